"""What all operations on shop orders share: one item after another, and the order of an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from counterfoil.connectors.overlay import PLAIN, Dialect
from counterfoil.connectors.woocommerce.client import Answer, Client
from counterfoil.connectors.woocommerce.translate import ERP_NUMBER, decode, erp_numbers
from counterfoil.hub.contract import BadPayload, Failure, Item, Kind, Observed, Outcome, rejected

WHOLE_SHOP = {Kind.DOWN, Kind.THROTTLED, Kind.MISCONFIGURED}  # no use in asking for the next item


async def one_by_one(items: Sequence[Item], work: Callable[[Item], Awaitable[Outcome]]) -> list[Outcome]:
    """One outcome an item; trouble of the whole shop is the outcome of all that were still to come."""
    outcomes: list[Outcome] = []
    for item in items:
        try:
            outcomes.append(await work(item))
        except Failure as failure:
            outcomes.append(failure.outcome)
            if failure.outcome.kind in WHOLE_SHOP:
                outcomes += [failure.outcome] * (len(items) - len(outcomes))
                break
    return outcomes


def number_of(subject: str) -> str:
    """The shop's id at the end of a canonical id. Raises Failure (ours) for anything but digits."""
    number = subject.rpartition(":")[2]
    if not number.isascii() or not number.isdigit():
        raise Failure(
            Outcome(Kind.BUG, "no_number", "This does not name anything of the shop.", f"subject {subject!r}")
        )
    return number


def order_in(answer: Answer, order_id: str) -> dict[str, Any]:
    """The order of an answer. Some caches answer a PUT with the page they hold; that is not taken for an order."""
    if isinstance(answer.data, dict) and str(answer.data.get("id")) == order_id:
        return answer.data
    technical = f"expected order {order_id}, got {answer.body[:200].decode('utf-8', 'replace')!r}"
    raise Failure(Outcome(Kind.RETRY, "odd_answer", "The shop answered with something else.", technical))


def rows_in(answer: Answer) -> list[dict[str, Any]]:
    """The list of an answer. What is none is not taken for an empty one: notes would be written twice."""
    if isinstance(answer.data, list) and all(isinstance(entry, dict) for entry in answer.data):
        return answer.data
    technical = f"expected a list, got {answer.body[:200].decode('utf-8', 'replace')!r}"
    raise Failure(Outcome(Kind.RETRY, "odd_answer", "The shop answered with something else.", technical))


def observed_in(system: str, answer: Answer, dialect: Dialect = PLAIN) -> Observed | None:
    """The order as our write left it; None where it cannot be read, which shows when it comes in by itself."""
    try:
        return decode(system, answer.body, dialect)
    except BadPayload:
        return None


async def note_orders(client: Client, system: str, items: Sequence[Item], dialect: Dialect = PLAIN) -> list[Outcome]:
    """Write the ERP's number (`data["number"]`) into each shop order's meta data; one outcome an item.

    Idempotent by looking first: an order that has the number already is not written, so a repeat after a lost
    answer moves nothing in the shop. The lane keeps one delivery at work per order; what remains is a second
    writer between look and write, which can leave the meta row twice, both with a number.
    """
    return await one_by_one(items, lambda item: _note_order(client, system, item, dialect))


async def _note_order(client: Client, system: str, item: Item, dialect: Dialect) -> Outcome:
    number = item.data.get("number")
    order_id = number_of(item.subject)
    if not isinstance(number, str) or not number:
        technical = f"subject {item.subject!r}, number {number!r}"
        return Outcome(Kind.BUG, "no_number", "There is no order number to write into the shop.", technical)
    known = erp_numbers(order_in(await client.get(f"orders/{order_id}"), order_id))
    if number in known:
        return _noted(order_id, number, written=False)
    meta = {"meta_data": [{"key": ERP_NUMBER, "value": number}]}
    answer = await client.call("PUT", f"orders/{order_id}", content=meta)
    if number not in erp_numbers(order_in(answer, order_id)):
        return rejected(
            "note_not_kept",
            f"The shop took the ERP's order number {number} but did not keep it.",
            "A plugin in the shop filters order meta data; allow the key _counterfoil_erp_number.",
        )
    return _noted(order_id, number, written=True, observed=observed_in(system, answer, dialect))


def _noted(order_id: str, number: str, written: bool, observed: Observed | None = None) -> Outcome:
    """Done. Only a write of ours is observed: what a mere look shows comes in by the feed."""
    result = {"number": number, "order_id": order_id, "written": written}
    return Outcome(Kind.DONE, result=result, link=order_id, emits=("order.noted",), observed=observed)
