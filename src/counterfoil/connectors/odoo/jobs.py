"""What every operation on orders needs: the job, looking for its order, reading it back, telling what stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo.client import QUIET, Client
from counterfoil.connectors.odoo.lookups import Lookups
from counterfoil.connectors.odoo.translate import MODULE, Draft, Impossible, name_of
from counterfoil.connectors.odoo.versions import Names
from counterfoil.hub.contract import Failure, Item, Kind, Outcome, rejected
from counterfoil.retail.order import Order

NUMBER_TAKEN = "must have an unique sequence number"
"""Odoo 14's words for an entry whose number another one has."""

STATE = ["name", "amount_total", "amount_untaxed", "amount_tax", "currency_id", "create_uid"]
STATE += ["partner_id", "partner_invoice_id", "partner_shipping_id", "invoice_ids"]


@dataclass(slots=True)
class Job:
    """One order on its way through a batch. Finished as soon as it has an outcome.

    `order` is None where the event is not the shop's and the shop's order is not needed.
    """

    item: Item
    order_or_none: Order | None
    confirm: bool = False
    odoo_id: int = 0
    made: Draft | None = None
    columns: Mapping[str, str] = field(default_factory=dict)  # of `load()`, besides those of every order
    warehouse: str = ""  # the order's own, by short name; '': Odoo's choice
    ships: Mapping[str, str] = field(default_factory=dict)  # what ships from where, in words, of an order just made
    state: dict[str, Any] = field(default_factory=dict)
    payment: str = ""
    outcome: Outcome | None = None

    @property
    def order(self) -> Order:
        """The shop's order; only for operations whose events carry it."""
        assert self.order_or_none is not None
        return self.order_or_none

    @property
    def name(self) -> str:
        """The order's external id without the module."""
        return name_of(self.item.subject)

    @property
    def external_id(self) -> str:
        """Of the order."""
        return f"{MODULE}.{self.name}"

    @property
    def called(self) -> str:
        """What a person calls the order."""
        number = self.order_or_none.number if self.order_or_none else self.item.subject
        return f"{number} ({self.state['name']})" if self.state else number

    def refuse(self, reason: str, message: str, suggestion: str, technical: str = "") -> None:
        """A person must look."""
        self.outcome = rejected(reason, message, suggestion, technical)


def newest(item: Item) -> Order:
    """The order as last known: what was queued may have been overtaken."""
    return Order.model_validate(item.data.get("state") or item.data["order"])


def open_jobs(jobs: Sequence[Job]) -> list[Job]:
    """Those without an outcome yet."""
    return [job for job in jobs if job.outcome is None]


def outcomes(jobs: Sequence[Job]) -> list[Outcome]:
    """One each, in order."""
    return [job.outcome for job in jobs if job.outcome is not None]


def decimal(value: Any) -> Decimal:
    """A number of Odoo (a float over JSON, 0.8300000000000001) as it was meant."""
    return Decimal(str(round(value, 9) if isinstance(value, float) else value or 0))


def many2one(value: Any) -> int:
    """The record number of a many2one as Odoo reads it, 0 for none."""
    return int(value[0]) if value else 0


class Desk:
    """One Odoo, as the operations work on it."""

    def __init__(self, client: Client, lookups: Lookups) -> None:
        self.client, self.lookups = client, lookups

    async def names(self) -> Names:
        """What things are called in this version."""
        return await self.client.names()

    async def find(self, jobs: Sequence[Job], more: Iterable[str] = ()) -> dict[str, int]:
        """Give each job the number its order has in Odoo; the numbers of `more` external ids besides."""
        wanted = [job.external_id for job in jobs] + list(more)
        known = await self.lookups.external_ids(wanted, *FOUND) if wanted else {}
        for job in jobs:
            job.odoo_id = known.get(job.external_id, 0)
            if not job.odoo_id and job.item.link:
                job.refuse(
                    "deleted_in_odoo",
                    f"Order {job.called} was in Odoo (number {job.item.link}) and has been deleted there.",
                    "It is not made again by itself. Enter it by hand and resolve this, or skip it.",
                )
        return known

    async def find_or_refuse(self, jobs: Sequence[Job], message: str) -> list[Job]:
        """Those whose order is in Odoo, with its number there; the others are refused with the message."""
        await self.find(jobs)
        for job in jobs:
            if not job.odoo_id:
                job.refuse("order_not_in_odoo", message, "See why the order was not accepted; then retry.")
        return open_jobs(jobs)

    async def read_back(self, jobs: Sequence[Job]) -> None:
        """How each order stands now; one that is gone gets its outcome."""
        if not jobs:
            return
        names = await self.names()
        fields = [*STATE, *names.order_state_fields(), *(["warehouse_id"] if self.lookups.rules.routed else [])]
        ids = [job.odoo_id for job in jobs]
        rows = {r["id"]: r for r in await self.client.call("sale.order", "read", ids=ids, fields=fields)}
        for job in jobs:
            if job.odoo_id in rows:
                job.state = rows[job.odoo_id]
            else:
                job.refuse(
                    "deleted_in_odoo",
                    f"Order {job.called} (number {job.odoo_id} in Odoo) has been deleted there.",
                    "It is not made again by itself. Enter it by hand and resolve this, or skip it.",
                )

    async def post(self, model: str, ids: Sequence[int], entries: Sequence[int]) -> None:
        """Post drafts, whose journal entries are `entries`. Raises Failure.

        Odoo 14 gives a journal's first draft of a month its number at once, and so the same one to two that are made
        at the same time: the one that comes too late gets another.
        """
        try:
            await self.client.call(model, "action_post", ids=list(ids), context=QUIET)
            return
        except Failure as failure:
            if NUMBER_TAKEN not in failure.outcome.technical:
                raise
        domain = [["id", "in", list(entries)], ["state", "=", "draft"]]
        drafts = [row["id"] for row in await self.client.search_read("account.move", domain, ["id"])]
        await self.client.call("account.move", "write", ids=drafts, vals={"name": "/"}, context=QUIET)
        await self.client.call(model, "action_post", ids=list(ids), context=QUIET)

    async def lines(self, orders: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
        """The lines of each order; `external_id` is '' where the line is not ours."""
        if not orders:
            return {}
        names = await self.names()
        fields = ["order_id", "product_id", "name", "product_uom_qty", "qty_delivered", "qty_invoiced"]
        fields += ["qty_to_invoice", "price_unit", "price_subtotal", "price_tax", names.line_taxes]
        fields += ["extra_tax_data"] if names.outside_taxes else []
        fields += [names.line_route] if self.lookups.rules.routed else []
        domain = [["order_id", "in", list(orders)], ["display_type", "=", False]]
        rows = await self.client.search_read("sale.order.line", domain, fields, order="id")
        known = await self.names_of("sale.order.line", [row["id"] for row in rows])
        found: dict[int, list[dict[str, Any]]] = {}
        for row in rows:
            found.setdefault(row["order_id"][0], []).append({**row, "external_id": known.get(row["id"], "")})
        return found

    async def names_of(self, model: str, ids: Sequence[int]) -> dict[int, str]:
        """Our own external ids (without module) of these records."""
        if not ids:
            return {}
        domain = [["module", "=", MODULE], ["model", "=", model], ["res_id", "in", list(ids)]]
        rows = await self.client.search_read("ir.model.data", domain, ["name", "res_id"], order="id")
        return {row["res_id"]: row["name"] for row in rows}

    async def each(self, jobs: Sequence[Job], do: Callable[[Job], Awaitable[None]]) -> None:
        """One job after the other; what Odoo or the order itself says no to is that job's own outcome."""
        for job in jobs:
            try:
                await do(job)
            except Impossible as no:
                job.outcome = no.outcome
            except Failure as failure:
                if failure.outcome.kind is not Kind.REJECTED:
                    raise
                job.outcome = failure.outcome


FOUND = ("sale.order", "account.payment", "account.move", "stock.picking")


def result(job: Job) -> dict[str, Any]:
    """What Odoo shows for the order now: kept in the counterfoil and told to the shop."""
    state = job.state
    kept = {
        "number": state["name"],
        "state": state["state"],
        "total": f"{decimal(state['amount_total']):f}",
        "untaxed": f"{decimal(state['amount_untaxed']):f}",
        "tax": f"{decimal(state['amount_tax']):f}",
        "currency": state["currency_id"][1],
    }
    if job.ships:
        kept["ships_from"] = dict(job.ships)
    if job.payment:
        kept["payment"] = job.payment
    if job.made is not None and job.made.rounding:
        kept["rounding"] = f"{job.made.rounding:f}"
    return kept


def shown(job: Job) -> tuple[Decimal, int]:
    """What Odoo shows the order to come to: the total and its currency."""
    return decimal(job.state["amount_total"]), job.state["currency_id"][0]
