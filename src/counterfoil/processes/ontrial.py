"""What is different about operations on orders that are tried on at home, looked at just before each is called.

A trial is invoiced and paid by what it is settled with, by `settle_trial` alone; what the shop says of its payment and
its refunds is brought to what was charged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from counterfoil.blueprint.trials import Trials
from counterfoil.hub.contract import Item, done, rejected
from counterfoil.hub.preparing import Ruling
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import trials
from counterfoil.hub.storefront.trials import Row
from counterfoil.processes.trials import Charge, as_paid, money_back
from counterfoil.retail.order import Order, Refund


class OnTrial:
    """Rules on the operations of one hub."""

    def __init__(self, rules: Trials) -> None:
        self.rules = rules
        self.by_operation: Mapping[str, Callable[[Item, Row], Ruling]] = {
            "accept_order": self._accept,
            "amend_order": _paid,
            "invoice_order": _not_invoiced,
            "hold_order": _not_held,
            "refund_order": _refund,
            "tell_order": _tell,
            "settle_trial": _settle,
        }

    async def prepare(self, store: Store, operation: str, items: Sequence[Item]) -> Mapping[int, Ruling]:
        """Rulings by delivery. That an order is a trial, the row says: its shop may say otherwise once it is paid."""
        name = operation.partition(".")[2]
        rule = self.by_operation.get(name)
        if rule is None:
            return {}
        async with store.read() as connection:
            rows = await trials.of(connection, (item.subject for item in items))
        if name == "settle_trial":
            return {i.delivery: rule(i, rows[i.subject]) if i.subject in rows else _NO_TRIAL for i in items}
        return {item.delivery: rule(item, rows[item.subject]) for item in items if item.subject in rows}

    def _accept(self, item: Item, row: Row) -> Ruling:
        why = "" if item.link else self.rules.refused(_order(item))
        if not why:
            return _paid(item, row)
        return Ruling(
            instead=rejected(
                "not_on_trial",
                f"Order {row.number} is to be sent on trial, and {why}.",
                "Cancel it in the shop, or change the blueprint's trials; then retry.",
            )
        )


def _paid(item: Item, row: Row) -> Ruling:
    order = as_paid(_order(item), _charge(row)).model_dump(mode="json")
    return Ruling({name: order for name in ("order", "state") if name in item.data})


def _not_invoiced(_item: Item, _row: Row) -> Ruling:
    return Ruling(instead=done({"invoiced": "nothing: a trial is invoiced once it is settled"}))


def _not_held(_item: Item, _row: Row) -> Ruling:
    return Ruling(instead=done({"held": "nothing: a trial is paid once it is settled"}))


def _refund(item: Item, row: Row) -> Ruling:
    settled, order = _charge(row), _order(item)
    if settled is None:
        return Ruling(instead=done({"refunded": "nothing: nothing of the trial was charged"}))
    told = [Refund.model_validate(each) for each in item.data.get("refunds", ())]
    money, all_told = money_back(order, told, settled)
    if not all_told:
        return Ruling(
            instead=rejected(
                "trial_refund",
                f"Of a refund of order {row.number}, a trial that {settled.amount} were charged for, it cannot be told "
                "how much gave money back and how much only took off what was never charged.",
                "Book what was given back in Odoo by hand, then resolve this.",
            )
        )
    more = _paid(item, row).more
    return Ruling({**more, "refunds": [refund.model_dump(mode="json") for refund in money]})


def _tell(_item: Item, _row: Row) -> Ruling:
    """Its shop would date a payment when its status goes on."""
    return Ruling({"on_trial": True})


def _settle(_item: Item, row: Row) -> Ruling:
    return Ruling({"charge": row.charge}) if row.state == trials.SETTLED else _NOT_YET


def _charge(row: Row) -> Charge | None:
    return Charge.read(row.charge) if row.charge else None


def _order(item: Item) -> Order:
    return Order.model_validate(item.data.get("state") or item.data["order"])


_NO_TRIAL = Ruling(instead=done({"settled": "nothing: the order is no trial"}))
_NOT_YET = Ruling(instead=done({"settled": "nothing: the trial is not settled"}))
