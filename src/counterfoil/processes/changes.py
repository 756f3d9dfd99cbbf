"""Stock, products, customers: what differs from what was known is the fact, and the newest state is all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from counterfoil.hub.contract import Observed
from counterfoil.hub.decode import Decision, Process
from counterfoil.hub.receipts import IMPORT, RELEASED
from counterfoil.hub.records import Known
from counterfoil.hub.retelling import Retell
from counterfoil.retail.entity import Entity
from counterfoil.retail.events import Event, event_id, hashed_ref, moment
from counterfoil.retail.keys import phone_refs
from counterfoil.retail.party import Account, normal_email
from counterfoil.retail.product import Product, StockLevel

IGNORED = {"customer": frozenset({"modified_at"}), "product": frozenset({"costs"})}
"""By kind: what moves without being news."""


def changes(system: str, kind: str, look: Callable[[Known | None, Observed], None] | None = None) -> Process:
    """The process for objects of one kind: `<kind>.changed`, with the state under the kind's name.

    The stage of an object is the number of its changes. It is part of the event's id: a stock that goes 5 → 3 → 5
    within one second of the other system's clock has changed three times, and each must reach the channel (F06).
    An import keeps the object and tells nobody. `look` may raise HeldBack for what a person must release first.
    """

    def interpret(known: Known | None, observed: Observed, origin: str) -> Decision:
        if origin == IMPORT:
            return Decision(known.stage if known else "0")
        if look is not None and origin != RELEASED:
            look(known, observed)
        stage = str(1 + int(known.stage or 0) if known else 1)
        identity = (observed.version, stage)
        return Decision(stage, (changed(system, kind, observed.state, moment(observed.version), identity),))

    return Process(interpret, IGNORED.get(kind, frozenset()), again=partial(_again, kind))


def retells() -> dict[str, Retell]:
    """What tells the stock again, by event: with no change of its own it would not reach the channel.

    `product.published` names the articles that the channel did not have before (`new_articles`): told while it did
    not list them, their stock went nowhere. `order.told` says that the channel has moved its own stock with the
    order's new status (`stock_moved`), after or before the ERP's quantity arrived.
    """

    def new_articles(cause: Event) -> list[str]:
        ids = cause.data.get("new_articles", ())
        return [str(id_) for id_ in ids] if isinstance(ids, list | tuple) else []

    def moved(cause: Event) -> bool:
        return cause.data.get("stock_moved") is True

    return {
        "product.published": Retell("stock", partial(_again, "stock"), about=new_articles),
        "order.told": Retell("stock", partial(_again, "stock"), of_order=moved),
    }


def _again(kind: str, cause: Event, system: str, state: Mapping[str, Any]) -> Event:
    """What is known at `system`, told once more because of `cause`."""
    event = changed(system, kind, _ENTITIES[kind].model_validate(state), cause.time, ("retold", cause.id))
    return event.model_copy(update={"causation": cause.id, "correlation": cause.correlation})


def changed(system: str, kind: str, state: Entity, at: datetime, identity: tuple[str, ...]) -> Event:
    """The fact that an object of this kind is now so; `identity` is what tells it from other facts about it."""
    type_, subject = f"{kind}.changed", state.canonical_id
    return Event(
        id=event_id(system, type_, subject, *identity),
        type=type_,
        source=system,
        subject=subject,
        key=subject,
        time=at,
        correlation=subject,
        refs=tuple(dict.fromkeys(_REFS.get(kind, lambda _state: [])(state))),
        data={kind: state.model_dump(mode="json")},
    )


def _of_stock(state: Any) -> list[tuple[str, str]]:
    level: StockLevel = state
    return [("sku", level.sku)] if level.sku else []


def _of_product(state: Any) -> list[tuple[str, str]]:
    product: Product = state
    return [("sku", v.sku) for v in product.variants if v.sku] + [("gtin", v.gtin) for v in product.variants if v.gtin]


def _of_customer(state: Any) -> list[tuple[str, str]]:
    account: Account = state
    refs = [("email", hashed_ref(normal_email(account.customer.email)))] if account.customer.email else []
    return refs + phone_refs((account.customer.phone, account.billing.country))


_ENTITIES: Mapping[str, type[Entity]] = {"stock": StockLevel, "product": Product, "customer": Account}
_REFS: Mapping[str, Callable[[Any], list[tuple[str, str]]]] = {
    "stock": _of_stock,
    "product": _of_product,
    "customer": _of_customer,
}
