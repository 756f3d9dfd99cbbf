"""What one channel says of an article, put together from the book and the blueprint; nothing here waits."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache

from counterfoil.blueprint.model import Channel
from counterfoil.doors import assembly
from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.models import Availability, Delivery, Prices, Store
from counterfoil.processes.arriving import Where, estimate, nearest, ships_on, travels
from counterfoil.retail.availability import Answer
from counterfoil.retail.offer import offer_at
from counterfoil.retail.product import Product, Variant

STORES_SHOWN = 20
"""Of each article, the nearest."""


class Selling:
    """Answers by channel. `context.book` must be there; routes ask `context.ready_book()` first."""

    def __init__(self, context: Context) -> None:
        self.context, blueprint = context, context.blueprint
        self._places = blueprint.places
        self._hours = {name: calendar.hours for name, calendar in blueprint.calendars.items()}
        self._listing = lru_cache(maxsize=100)(lambda channel: assembly.channel_of(blueprint, channel).listing)

    def declared(self, channel: str) -> Channel:
        """What the blueprint says of the channel; the usual where it says nothing."""
        return self.context.blueprint.channels.get(channel) or Channel()

    def article(self, channel: str, sku: str) -> tuple[Product, Variant] | None:
        """The product and variant of that SKU as the channel sells them, if it does."""
        product: Product | None = self.context.book.product(sku)
        if product is None or not product.sellable or not self._listing(channel).wants(product.category):
            return None
        variant = next((each for each in product.variants if each.sku == sku and each.active), None)
        return (product.on(channel), variant.on(channel)) if variant else None

    def is_bundle_alone(self, sku: str) -> bool:
        """Whether it is a bundle of the blueprint's that is no product itself: it has stock, and no price."""
        book = self.context.book
        return sku in book.rules.bundles and book.product(sku) is None

    def campaigns(self, channel: str) -> bool:
        """Whether the channel takes part in campaigns."""
        return "sale" in self.declared(channel).publish

    def sets_prices(self, channel: str) -> bool:
        """Whether the channel's prices are not its own."""
        return "price" in self.declared(channel).publish

    def prices(self, channel: str, product: Product, variant: Variant, at: datetime) -> Prices | None:
        """At that moment; None where the article has none, or the channel's prices are its own."""
        if not self.sets_prices(channel):
            return None
        return Prices.of(offer_at(variant, at, self.campaigns(channel)), product.prices_include_tax)

    def availability(self, channel: str, sku: str) -> Availability:
        """Now."""
        answer: Answer | None = self.context.book.answer(channel, sku)
        if answer is not None:
            return Availability(state=answer.state, quantity=answer.units, beyond=answer.beyond)
        if self.context.book.is_untracked(sku):
            return Availability(state="untracked", quantity=None, beyond=0)
        return Availability(state="out", quantity=0, beyond=0)

    def delivery(self, channel: str, sku: str, at: datetime, country: str) -> Delivery | None:
        """An estimate for one unit ordered at that moment."""
        book = self.context.book
        answer = book.answer(channel, sku)
        if answer is None:
            return None
        way = travels(self.context.blueprint.storefront.delivery, country) if country else None
        wished = self.declared(channel).warehouse
        beyond = book.policy(channel, sku).beyond
        found = estimate(answer, beyond, at, self._places, self._hours, way, wished)
        if found is None:
            return None
        return Delivery(place=found.place, ships_on=found.ships_on, earliest=found.earliest, latest=found.latest)

    def ready_on(self, place: str, at: datetime) -> date:
        """The day on which goods that are there can be collected, or leave, if asked for at that moment."""
        there = self._places[place]
        return ships_on(at, there, self._hours.get(there.calendar or ""))

    def stores(self, channel: str, sku: str, where: Where) -> list[Store]:
        """Where it can be collected, nearest first; those that have none say so. Nowhere, where nobody counts it."""
        book, stale = self.context.book, self.context.book.freshness().stale
        if book.answer(channel, sku, stale) is None:
            return []

        def there(code: str) -> int:
            return book.rules.answer(channel, sku, book.find, stale=stale, place=code).units

        found = []
        for code, far in nearest(self._places, where, self._places)[:STORES_SHOWN]:
            place = self._places[code]
            found.append(
                Store(
                    place=code,
                    name=place.name or code,
                    street=place.street,
                    postcode=place.postcode,
                    city=place.city,
                    country=place.country,
                    quantity=there(code),
                    kilometres=None if far is None else round(far, 1),
                )
            )
        return found
