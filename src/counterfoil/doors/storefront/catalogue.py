"""The product page in one read, and lists for the home page and category pages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import sqlalchemy as sa
import structlog
from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, Field

from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.models import (
    MOST_SKUS,
    Asked,
    Availability,
    Country,
    Delivery,
    Fresh,
    Prices,
    Sku,
    Store,
    Text,
)
from counterfoil.doors.storefront.problems import Kind, documented
from counterfoil.doors.storefront.selling import Selling
from counterfoil.doors.storefront.tokens import Caller, needs
from counterfoil.hub import records
from counterfoil.processes.arriving import Where
from counterfoil.retail.product import Product, Variant

log = structlog.get_logger()

NO_SUCH_SKU = Kind("no_such_sku", 404, "The channel does not sell this", "Check the SKU, and the channel's assortment.")
CACHED: dict[int | str, dict[str, Any]] = {304: {"description": "It is as the ETag of `If-None-Match` says."}}


class Listed(BaseModel):
    """An article for a list."""

    sku: str
    name: str
    image: str | None
    category: list[str]
    price: Prices | None
    availability: Availability


class Listing(Fresh):
    """In the order asked for; SKUs that the channel does not sell stand under `unknown`."""

    items: list[Listed]
    unknown: list[str]


class Choice(BaseModel):
    """One variant of a product."""

    sku: str
    gtin: str
    options: dict[str, str]
    image: str | None
    price: Prices | None
    availability: Availability


class Page(Fresh):
    """All that a product page shows of one article; `variants` are all of its product that the channel sells."""

    sku: str
    product: str
    name: str
    description: str | None = Field(description="null while the hub's store cannot be read")
    category: list[str]
    variants: list[Choice]
    price: Prices | None
    availability: Availability
    delivery: Delivery | None = Field(description="null where there is none, or where nobody can say when")
    stores: list[Store]


Said = TypeVar("Said", Listing, Page)


class Wanted(Asked):
    """Up to 500 SKUs."""

    skus: list[Sku] = Field(min_length=1, max_length=MOST_SKUS)


class Place(Asked):
    """Where the customer is, as far as the page knows."""

    latitude: float | None = Field(default=None, ge=-90, le=90, description="degrees north")
    longitude: float | None = Field(default=None, ge=-180, le=180, description="degrees east")
    country: Country | None = None
    region: Text = ""
    city: Text = ""

    def where(self) -> Where:
        """For the estimates."""
        return Where(self.latitude, self.longitude, self.country or "", self.region, self.city)


def routes(context: Context) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["catalogue"])
    selling = Selling(context)

    def listed(channel: str, skus: Iterable[str], response: Response, known: str | None) -> Listing | Response:
        """With an ETag of all that is said, but for the age."""
        book, at = context.ready_book(), datetime.now(UTC)
        items, unknown = [], []
        for sku in dict.fromkeys(skus):
            found = selling.article(channel, sku)
            if found is None:
                unknown.append(sku)
                continue
            product, variant = found
            items.append(
                Listed(
                    sku=sku,
                    name=product.name,
                    image=_image(product, variant),
                    category=list(product.category),
                    price=selling.prices(channel, product, variant, at),
                    availability=selling.availability(channel, sku),
                )
            )
        return _tagged(Listing(items=items, unknown=unknown, **book.freshness().said()), response, known)

    @router.get("/products", responses=CACHED, response_model=Listing)
    async def list_products(
        caller: Annotated[Caller, needs("catalogue")],
        response: Response,
        sku: Annotated[list[Sku], Query(min_length=1, max_length=MOST_SKUS, description="once for each article")],
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Listing | Response:
        """Articles for a list: name, picture, price and availability."""
        return listed(caller.channel, sku, response, if_none_match)

    @router.post("/products/list", responses=CACHED, response_model=Listing)
    async def list_many_products(
        caller: Annotated[Caller, needs("catalogue")],
        response: Response,
        body: Wanted,
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Listing | Response:
        """The same for more SKUs than an address can hold."""
        return listed(caller.channel, body.skus, response, if_none_match)

    @router.get("/products/{sku:path}", responses={**CACHED, **documented(NO_SUCH_SKU)}, response_model=Page)
    async def product_page(
        sku: str,
        caller: Annotated[Caller, needs("catalogue")],
        response: Response,
        place: Annotated[Place, Depends()],
        if_none_match: Annotated[str | None, Header()] = None,
    ) -> Page | Response:
        """One product page in one read: product, variants, price now, availability, delivery and stores."""
        book, at, channel = context.ready_book(), datetime.now(UTC), caller.channel
        found = selling.article(channel, sku)
        if found is None:
            raise NO_SUCH_SKU.problem("The channel sells no article of this SKU.")
        product, variant = found
        fresh = book.freshness()
        page = Page(
            sku=sku,
            product=product.canonical_id,
            name=product.name,
            description=await _description(context, product),
            category=list(product.category),
            variants=[
                Choice(
                    sku=each.sku,
                    gtin=each.gtin,
                    options=dict(each.options),
                    image=_image(product, each),
                    price=selling.prices(channel, product, each, at),
                    availability=selling.availability(channel, each.sku),
                )
                for each in product.variants
                if each.active and each.sku
            ],
            price=selling.prices(channel, product, variant, at),
            availability=selling.availability(channel, sku),
            delivery=selling.delivery(channel, sku, at, place.country or ""),
            stores=selling.stores(channel, sku, place.where()),
            **fresh.said(),
        )
        return _tagged(page, response, if_none_match)

    return router


def _tagged(body: Said, response: Response, known: str | None) -> Said | Response:
    said = body.model_dump_json(exclude={"as_of", "age_seconds"}).encode()
    tag = f'"{hashlib.blake2b(said, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if known and tag in (each.strip().removeprefix("W/") for each in known.split(",")):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return body


def _image(product: Product, variant: Variant) -> str | None:
    image = variant.image or product.image
    return image.url if image else None


async def _description(context: Context, product: Product) -> str | None:
    """From the store, as it is too long for memory; a page without it is better than none."""
    id_ = product.canonical_id
    try:
        async with context.store.read() as connection:
            state = (await records.states_of(connection, "product", [id_])).get(id_, {})
    except (OSError, sa.exc.SQLAlchemyError) as error:
        log.warning("a product page goes without its description", error=type(error).__name__)
        return None
    return str(state.get("description", ""))
