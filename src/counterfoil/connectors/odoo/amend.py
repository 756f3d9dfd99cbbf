"""An order changed in the shop after Odoo took it over: brought to what the shop says now, while nothing is shipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from counterfoil.connectors.odoo import customers, lines, routing
from counterfoil.connectors.odoo.accept import UPDATE, Accepting, routed
from counterfoil.connectors.odoo.client import QUIET
from counterfoil.connectors.odoo.credits import Credits
from counterfoil.connectors.odoo.customers import Parties
from counterfoil.connectors.odoo.errors import load_failed
from counterfoil.connectors.odoo.jobs import Desk, Job, decimal, many2one, newest, open_jobs, outcomes, result
from counterfoil.connectors.odoo.lookups import Reference
from counterfoil.connectors.odoo.payments import Payments, owed
from counterfoil.connectors.odoo.translate import Draft, Row, below, line_fields, line_row
from counterfoil.connectors.odoo.versions import Names
from counterfoil.hub.contract import Failure, Item, Outcome, done
from counterfoil.retail.order import Order

AMEND = {**UPDATE, "update_delivery_shipping_partner": True}
"""Open deliveries go to the new address as well (sale_stock/models/sale_order.py of 19, write)."""

DELIVERY = "its delivery address"
COLUMNS: dict[str, Callable[[Parties], int]] = {
    "partner_invoice_id/.id": lambda who: who.invoice_to,
    "partner_shipping_id/.id": lambda who: who.ship_to,
}


class Amending:
    """amend_order."""

    def __init__(self, desk: Desk, accepting: Accepting) -> None:
        self.desk, self.client, self.accepting = desk, desk.client, accepting
        self.credits, self.payments = Credits(desk), Payments(desk)

    async def amend_order(self, items: Sequence[Item]) -> list[Outcome]:
        """An order changed in the shop. Not in Odoo yet: accepted as it now stands. There: its lines, quantities,
        prices, taxes, addresses and shipping are brought to what the shop says now, in one call; open deliveries
        follow, an invoice is taken back (to be made anew), and the total is read back and compared to the cent.

        Idempotent: what is written is the whole of the newest state, never a difference, to lines known by their
        external ids; an order that is as it should be is not written to. Refused, and nothing rewritten: a change to
        what is shipped, a locked or cancelled order, lines that a person put into it.
        """
        jobs = [Job(item, newest(item), item.data.get("level", "accept") == "accept") for item in items]
        for job in jobs:
            if job.order.is_given_up:
                job.outcome = done({"superseded": f"the shop says {job.order.status} by now"})
        wanted = open_jobs(jobs)
        known = await self.desk.find(wanted, owed(wanted))
        there = [job for job in open_jobs(jobs) if job.odoo_id]
        await self.desk.read_back(there)
        await self._amend(open_jobs(there), known)
        others = open_jobs(jobs)
        accepted = await self.accepting.accept_order([job.item for job in others]) if others else []
        for job, outcome in zip(others, accepted, strict=True):
            job.outcome = outcome
        return outcomes(jobs)

    async def _amend(self, jobs: Sequence[Job], known: Mapping[str, int]) -> None:
        names = await self.desk.names()
        cancelled = [job for job in jobs if job.state["state"] == "cancel"]
        self.accepting.compare(cancelled)
        jobs = open_jobs(jobs)
        if not jobs:
            return
        reference = await self.accepting.prepare(jobs)
        ready = open_jobs(jobs)
        partners = {job.order.canonical_id: int(job.state["partner_id"][0]) for job in ready}
        parties = await customers.below([job.order for job in ready], partners, self.desk.lookups, reference)
        standing = await self.desk.lines([job.odoo_id for job in ready])
        taken_off = await lines.reductions(self.desk, [line["id"] for rows in standing.values() for line in rows])

        async def one(job: Job) -> None:
            assert job.made is not None
            there = standing.get(job.odoo_id, [])
            made = routing.placed(job.made, routed(job), _warehouse(job, reference), reference)
            job.made = lines.aimed(made, there, taken_off)
            await self._one(job, job.made, parties[job.order.canonical_id], there, names)

        await self.desk.each(ready, one)
        await self.desk.read_back(open_jobs(ready))
        await self._keep_up(open_jobs(ready), names)
        await self.accepting.even_out(open_jobs(ready), also_confirmed=True)
        self.accepting.compare(open_jobs(ready))
        await self.accepting.confirm(open_jobs(ready))
        await self.payments.correct(open_jobs(ready), known)
        await self.payments.record(open_jobs(ready), known)
        for job in open_jobs(ready):
            job.outcome = done(result(job), link=str(job.odoo_id), emits=("order.accepted",))

    async def _one(self, job: Job, made: Draft, who: Parties, there: Sequence[dict[str, Any]], names: Names) -> None:
        """Bring one order to its newest state. Raises Impossible, Failure."""
        touched = [*lines.changed(made, there, names), *lines.gone(made, there, names)]
        addresses = _addresses(job, who)
        if not touched and not addresses:
            return
        self._refuse(job, touched, addresses, there, names)
        if job.outcome is not None:
            return
        if touched:
            # it is invoiced anew, as a whole, once it is as it should be
            await self.payments.match(await self.credits.take_all_back(job))
        fields = ["id", *addresses.values()]
        head = [job.external_id, *(str(COLUMNS[column](who)) for column in addresses.values())]
        # what ships already keeps its place; only lines that are new go where they are routed to
        routes = {line["external_id"]: routing.standing_route(line, names.line_route) for line in there}
        rows = [replace(row, route=routes.get(row.external_id.partition(".")[2], row.route)) for row in touched]
        parted = any(row.route for row in rows)
        cells = [line_row(row, made.currency, names, parted) for row in rows]
        fields += line_fields(names, routed=parted) if cells else []
        _, messages = await self.client.load("sale.order", fields, below(head, cells) if cells else [head], AMEND)
        if messages:
            raise Failure(load_failed(messages))
        if touched and job.state["state"] not in ("draft", "sent"):
            await lines.follow(self.desk, [job.odoo_id])

    async def _keep_up(self, jobs: Sequence[Job], names: Names) -> None:
        """Open deliveries have the order's delivery address and name, where Odoo does not see to that itself.

        What moves that joined a delivery have emptied is filled in again; one with another address is changed if the
        address changed in the shop, else a person chose it. Idempotent: looks first, writes only what differs.
        """
        confirmed = {job.odoo_id: job for job in jobs if job.state["state"] in names.confirmed_states}
        if names.delivery_kept_up or not confirmed:
            return
        domain = [["sale_id", "in", sorted(confirmed)], ["state", "not in", ["done", "cancel"]]]
        domain += [["picking_type_id.code", "=", "outgoing"]]
        fields = ["sale_id", "partner_id", "origin"]
        for picking in await self.client.search_read("stock.picking", domain, fields, order="id"):
            job = confirmed[many2one(picking["sale_id"])]
            aim, stands = many2one(job.state["partner_shipping_id"]), many2one(picking["partner_id"])
            vals: dict[str, Any] = {}
            if stands != aim and (not stands or _moved(job)):
                vals["partner_id"] = aim
            if not picking["origin"]:
                vals["origin"] = job.state["name"]
            if vals:
                await self.client.call("stock.picking", "write", ids=[picking["id"]], vals=vals, context=QUIET)

    def _refuse(
        self,
        job: Job,
        touched: Sequence[Row],
        addresses: Mapping[str, str],
        there: Sequence[dict[str, Any]],
        names: Names,
    ) -> None:
        """Give the job its outcome where a person must decide."""
        what = ", ".join([*(["its lines"] if touched else []), *addresses])
        versions = (
            f"Odoo has {job.state['amount_total']} {job.state['currency_id'][1]} for {_told(there)}; "
            f"the shop says {job.order.total} for {_wanted(job)}."
        )
        ours = {row.external_id.partition(".")[2] for row in touched}
        strangers = [line for line in there if not line["external_id"] and decimal(line["product_uom_qty"])]
        shipped = [line for line in there if decimal(line["qty_delivered"]) > 0]
        late = [line for line in shipped if line["external_id"] in ours]
        if names.locked(job.state):
            job.refuse(
                "locked_in_odoo",
                f"Order {job.called} changed in the shop ({what}) and is locked in Odoo. {versions}",
                "Unlock it in Odoo, then retry; or change it there by hand and resolve this.",
            )
        elif strangers:
            job.refuse(
                "changed_in_odoo",
                f"Order {job.called} changed in the shop ({what}), and a person has put lines into it in Odoo "
                f"({_told(strangers)}). {versions}",
                "Bring both together in Odoo by hand, then resolve this.",
            )
        elif late or (shipped and DELIVERY in addresses):
            job.refuse(
                "changed_after_shipping",
                f"Order {job.called} changed in the shop ({what}) after {_told(late or shipped)} was shipped. "
                f"{versions}",
                "Agree with the customer on a return, a second order or a refund; then resolve this.",
            )


def _warehouse(job: Job, reference: Reference) -> str:
    """The short name of the warehouse that the order has in Odoo."""
    number = many2one(job.state.get("warehouse_id"))
    return next((code for code, id_ in reference.warehouses.items() if id_ == number), "")


def _before(job: Job) -> Order | None:
    """The order as it was before the change, where the event tells."""
    return Order.model_validate(job.item.data["before"]) if job.item.data.get("before") else None


def _moved(job: Job) -> bool:
    """Whether the goods go elsewhere than before, for all that the event tells."""
    before = _before(job)
    return before is None or before.ship_to != job.order.ship_to


def _addresses(job: Job, who: Parties) -> dict[str, str]:
    """Which addresses must be written, in words, and the columns they are written to.

    Those that did not change in the shop are left as they are: a person may have put them right in Odoo.
    """
    before, now = _before(job), job.order
    found = {}
    if (before is None or before.billing != now.billing) and job.state["partner_invoice_id"][0] != who.invoice_to:
        found["its invoice address"] = "partner_invoice_id/.id"
    if _moved(job) and job.state["partner_shipping_id"][0] != who.ship_to:
        found[DELIVERY] = "partner_shipping_id/.id"
    return found


def _told(there: Sequence[Mapping[str, Any]]) -> str:
    standing = [line for line in there if decimal(line["product_uom_qty"])]
    return ", ".join(f"{decimal(line['product_uom_qty']).normalize():f} × {line['name']}" for line in standing[:8])


def _wanted(job: Job) -> str:
    return ", ".join(f"{line.quantity.normalize():f} × {line.name}" for line in job.order.lines[:8])
