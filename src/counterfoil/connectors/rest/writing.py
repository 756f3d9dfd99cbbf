"""Records written into a JSON API: put_customer, put_product, put_stock, put_order, and post_record of any fact."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from counterfoil.connectors.overlay import Dialect, written
from counterfoil.connectors.rest.client import Answer, Client, record_path
from counterfoil.connectors.rest.reading import Shape, decode, id_of, raw_of, records_in
from counterfoil.hub.contract import BadPayload, Failure, Item, Kind, Observed, Outcome, done, rejected
from counterfoil.retail.availability import Policy
from counterfoil.retail.fields import ALL, Owned, owned_in
from counterfoil.retail.party import Account, normal_email
from counterfoil.retail.product import Product, StockLevel

_WROTE = {
    "customer": frozenset({"customer", "billing", "shipping", "extra"}),
    "product": frozenset(
        {"name", "description", "sellable", "tax_class", "category", "image", "costs", "variants", "extra"}
    ),
    "stock": frozenset({"sku", "places"}),
}
_AGREED = ("system", "id", "modified_at")
"""What of a canonical state is said otherwise in a record: by its key, and by its own time."""


async def one_by_one(items: Sequence[Item], work: Callable[[Item], Awaitable[Outcome]]) -> list[Outcome]:
    """One outcome an item; what refuses one refuses that one, what concerns the system as a whole is raised."""
    outcomes = []
    for item in items:
        try:
            outcomes.append(await work(item))
        except BadPayload as bad:
            outcomes.append(rejected(bad.reason, bad.message, bad.suggestion))
        except Failure as failure:
            if failure.outcome.kind not in (Kind.REJECTED, Kind.RETRY, Kind.BUG):
                raise
            outcomes.append(failure.outcome)
    return outcomes


async def put(client: Client, shape: Shape, dialect: Dialect, kind: str, item: Item) -> Outcome:
    """PUT the newest state of a customer, product, stock level or order into its record, `<path>/<key>`.

    The key is the record's id where it is linked, else the canonical id (`web-eu:order:1001`): a repeat writes the
    same record. A customer is also found by the e-mail address, where the API can be asked for it. The record is read
    first: fields that are not ours stay as they are, nothing is emptied because it is not known here, and what stands
    there already is not written again. Where the data name what is `owned`, nothing
    else is written, and who does not own such things makes none. Raises Failure, BadPayload.
    """
    state = item.data.get("state") or item.data.get(kind)
    if kind == "product" and isinstance(state, Mapping) and any(v.get("prices") for v in state.get("variants", ())):
        state = Product.model_validate(state).on(client.system).model_dump(mode="json")
    if not isinstance(state, Mapping):
        technical = f"{item.event_type} of {item.subject} carries no {kind}"
        return Outcome(Kind.BUG, "no_state", f"There is nothing known of this {kind}.", technical)
    if kind == "order" and "placed_at" not in state:
        fix = "Let the flow begin with what the shop says of its order: order.placed, order.changed, order.cancelled."
        return rejected("not_an_order", f"{item.event_type} tells nothing of the order itself.", fix)
    path, owned, key = _path(client, shape, kind), owned_in(item.data), item.link or item.subject
    ours = state if owned == ALL else only(state, owned.paths(kind))
    content = _content(dialect, kind, ours, item.data.get("quantity"))
    standing = await client.find(path, key)
    if standing is None and not item.link and kind == "customer" and shape.email:
        found = await _by_email(client, shape, dialect, Account.model_validate(state).customer.email)
        key = found or key
        standing = await client.find(path, found) if found else None
    if standing is None and item.link:
        fix = "If it was deleted on purpose, close this; it is not made again."
        return rejected("record_gone", f"{client.system} no longer has the record {key}.", fix)
    if standing is None and kind not in owned:
        because = f"only the owner of {kind}s makes new ones"
        return done({"record": "", "written": False, "because": because}, emits=_told(kind))
    there = standing.data if standing and isinstance(standing.data, dict) else {}
    wanted = merged(there, content)
    if standing is not None and wanted == there:
        return done({"record": key, "written": False}, link=key, emits=_told(kind))
    guard = {"If-Match": standing.etag} if standing and standing.etag else {}
    answer = await client.call("PUT", record_path(path, key), content=wanted, headers=guard)
    return await _written(client, shape, dialect, kind, key, answer, owned)


async def post(client: Client, shape: Shape, dialect: Dialect, method: str, item: Item) -> Outcome:
    """POST the fact to the path of `records`, with its event's id as Idempotency-Key: an invoice, a payment, anything.

    An API that knows no Idempotency-Key is given `record_method: put`: then it is PUT to `<path>/<event id>`, which a
    repeat writes again with the same content. Raises Failure, BadPayload.
    """
    data = {name: each for name, each in item.data.items() if name != "state"}  # the fact, not what came after it
    path, told = _path(client, shape, "record"), {"type": item.event_type, "subject": item.subject, **data}
    content = written(dialect, "post_record", told) if dialect.fields.get("post_record") else told
    if method == "put":
        answer = await client.call("PUT", record_path(path, item.event), content=content)
    else:
        answer = await client.call("POST", path, content=content, headers={"Idempotency-Key": item.event})
    number = _own_id(shape, answer.data) or item.event
    return done({"record": number, "fact": item.event_type}, emits=("record.posted",))


async def _by_email(client: Client, shape: Shape, dialect: Dialect, email: str) -> str:
    """The id of the one customer with this address, empty where there is none. Raises Failure, BadPayload."""
    if not email:
        return ""
    answer = await client.call("GET", shape.paths["customer"], params={shape.email: email, shape.page: "1"})
    states = [
        decode(shape, client.system, raw_of(shape, "customer", each), dialect).state
        for each in records_in(shape, answer.data) or ()
    ]
    same = [s.id for s in states if isinstance(s, Account) and normal_email(s.customer.email) == normal_email(email)]
    if len(same) > 1:
        words = f"{client.system} has {len(same)} customers with this e-mail address: {', '.join(same[:5])}."
        raise BadPayload("ambiguous_customer", words, f"Merge them in {client.system}, then retry.")
    return same[0] if same else ""


def _told(kind: str) -> tuple[str, ...]:
    return ("customer.updated",) if kind == "customer" else ()


def _path(client: Client, shape: Shape, kind: str) -> str:
    if kind in shape.paths:
        return shape.paths[kind]
    name = NAMES[kind]
    words = f"{client.system} has no path for {kind} records."
    fix = f"Give it in the blueprint: systems: {client.system}: {name}: /…"
    raise Failure(Outcome(Kind.MISCONFIGURED, "no_settings", words, suggestion=fix))


NAMES = {"customer": "customers", "product": "products", "stock": "stock", "order": "orders", "record": "records"}
"""The setting that holds the path of each kind of record."""


def _content(dialect: Dialect, kind: str, state: Mapping[str, Any], quantity: Any = None) -> dict[str, Any]:
    told = dict(state)
    if kind == "stock" and "places" in told:
        level = StockLevel.model_validate(state)
        told["on_hand"] = _number(sum((place.on_hand for place in level.places), Decimal(0)))
        told["available"] = quantity if isinstance(quantity, int) else level.to_sell(Policy())
    if dialect.fields.get(f"put_{kind}"):
        return {k: v for k, v in written(dialect, f"put_{kind}", {kind: told}).items() if v != ""}
    content: dict[str, Any] = known({name: value for name, value in told.items() if name not in _AGREED})
    return content


def _number(value: Decimal) -> int | str:
    return int(value) if value == value.to_integral_value() else str(value)


def known(value: Any) -> Any:
    """Without what is empty: nothing is written over what is there because it is not known here."""
    if isinstance(value, Mapping):
        inner = {name: known(each) for name, each in value.items()}
        return {name: each for name, each in inner.items() if each not in (None, "", {})}
    return [known(each) for each in value] if isinstance(value, list | tuple) else value


def merged(there: Any, ours: Any) -> Any:
    """What stands there with ours over it, field by field; things in lists go by their ids, if they have such."""
    if isinstance(there, dict) and isinstance(ours, dict):
        return {**there, **{name: merged(there.get(name), each) for name, each in ours.items()}}
    if isinstance(there, list) and isinstance(ours, list):
        by_id = {str(each["id"]): each for each in there if isinstance(each, dict) and "id" in each}
        return [merged(by_id.get(str(e["id"])), e) if isinstance(e, dict) and "id" in e else e for e in ours]
    return ours


def only(state: Any, paths: Iterable[str]) -> Any:
    """What of the state stands at these places (`customer.phone`, `variants.*.price`), with the ids in lists."""
    return _only(state, [tuple(path.split(".")) for path in paths])


def _only(state: Any, paths: Sequence[tuple[str, ...]]) -> Any:
    if () in paths:
        return state
    if isinstance(state, Mapping):
        below = {name: [path[1:] for path in paths if path[0] == name] for name in state}
        return {name: _only(state[name], inner) for name, inner in below.items() if inner}
    if isinstance(state, list | tuple):
        inner = [path[1:] for path in paths if path[0] == "*"]
        return [{**({"id": each["id"]} if "id" in each else {}), **_only(each, inner)} for each in state]
    return state


async def _written(
    client: Client, shape: Shape, dialect: Dialect, kind: str, key: str, answer: Answer, owned: Owned
) -> Outcome:
    """What our write left behind, from its answer or read back: so its echo is known when it comes."""
    if kind not in _WROTE:
        return done({"record": key, "written": True}, link=_own_id(shape, answer.data) or key)
    if not _own_id(shape, answer.data):
        back = await client.find(shape.paths[kind], key)
        answer = back or answer
    number, observed = _own_id(shape, answer.data) or key, None
    if isinstance(answer.data, dict):
        try:
            observed = decode(shape, client.system, raw_of(shape, kind, answer.data), dialect)
        except BadPayload:  # written all the same
            observed = None
    return _done(kind, number, observed, owned)


def _done(kind: str, number: str, observed: Observed | None, owned: Owned) -> Outcome:
    wrote = _WROTE[kind] if owned == ALL else owned.paths(kind)
    result = {"record": number, "written": True}
    return Outcome(Kind.DONE, result=result, link=number, emits=_told(kind), observed=observed, wrote=wrote)


def _own_id(shape: Shape, data: Any) -> str:
    if not isinstance(data, dict):
        return ""
    try:
        return id_of(shape, data)
    except BadPayload:
        return ""
