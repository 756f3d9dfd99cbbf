"""Taking an order over: made, compared to the cent, confirmed, its payment recorded. Insert-only.

Idempotent by external ids, held by Odoo's own unique constraint: `counterfoil.<system>_order_<id>` for the
order, one for each line, one for the customer from its match key, one for the payment. Rows that exist are never
rewritten, so a repeat cannot undo what people have since changed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo import customers, routing
from counterfoil.connectors.odoo.client import QUIET
from counterfoil.connectors.odoo.errors import load_failed
from counterfoil.connectors.odoo.jobs import (
    Desk,
    Job,
    decimal,
    newest,
    open_jobs,
    outcomes,
    result,
    shown,
)
from counterfoil.connectors.odoo.lookups import (
    Lookups,
    Reference,
    pick_currency,
    pick_journal,
    pick_place,
    pick_product,
    pick_taxes,
)
from counterfoil.connectors.odoo.payments import Payments, owed
from counterfoil.connectors.odoo.translate import (
    MODULE,
    Impossible,
    Row,
    below,
    check,
    draft,
    line_fields,
    line_row,
    load_fields,
    load_rows,
    own_columns,
)
from counterfoil.hub.contract import BadPayload, Failure, Item, Kind, Outcome, done
from counterfoil.retail.order import LineKind

UPDATE = {**QUIET, "mode": "init", "noupdate": True}
"""For `load()`: rows whose external id exists are brought to what is sent (orm/models.py, _load_records)."""


class Accepting:
    """accept_order, and how orders are made and confirmed."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.client, self.lookups = desk, desk.client, desk.lookups
        self.payments = Payments(desk)

    async def accept_order(self, items: Sequence[Item]) -> list[Outcome]:
        """Bring each order up to the state given: there, confirmed if it should be, its payment recorded if paid.

        Idempotent: looks up its external ids first, inserts only what is missing, confirms only drafts, posts
        only draft payments. The state is read back at the end and is the result.
        """
        jobs = [Job(item, newest(item), item.data.get("level", "accept") == "accept") for item in items]
        for job in jobs:
            if job.order.is_given_up:
                job.outcome = done({"superseded": f"the shop says {job.order.status} by now"})
        wanted = open_jobs(jobs)
        known = await self.desk.find(wanted, owed(wanted))
        await self.create([job for job in open_jobs(jobs) if not job.odoo_id])
        await self.desk.read_back(open_jobs(jobs))
        await self.even_out(open_jobs(jobs))
        self.compare(open_jobs(jobs))
        await self.confirm(open_jobs(jobs))
        await self.payments.record(open_jobs(jobs), known)
        await self.payments.settle(open_jobs(jobs))
        for job in open_jobs(jobs):
            job.outcome = done(result(job), link=str(job.odoo_id), emits=("order.accepted",))
        return outcomes(jobs)

    async def create(self, jobs: Sequence[Job]) -> None:
        """Insert the orders with their customers and lines, nothing else."""
        if not jobs:
            return
        names = await self.desk.names()
        reference = await self.prepare(jobs)
        ready = open_jobs(jobs)
        parties = await customers.resolve([job.order for job in ready], self.lookups, reference)
        rows: dict[str, list[list[str]]] = {}
        columns: dict[tuple[tuple[str, ...], bool], list[Job]] = {}
        for job in ready:
            who = parties[job.order.canonical_id]
            if isinstance(who, Impossible):
                job.outcome = who.outcome
                continue
            try:
                more = {**job.columns, **own_columns(job.order, self.lookups.rules.dialect)}
            except BadPayload as bad:
                job.refuse(bad.reason, bad.message, bad.suggestion)
                continue
            assert job.made is not None
            addresses = (who.customer, who.invoice_to, who.ship_to)
            try:
                made = routing.placed(job.made, routed(job), job.warehouse, reference)
            except Impossible as no:
                job.outcome = no.outcome
                continue
            parted = any(row.route for row in made.rows)
            if self.lookups.rules.routed or job.order.pickup:
                job.ships = routing.in_words(made, job.warehouse, reference)
            rows[job.external_id] = load_rows(job.order, made, *addresses, names, more, parted)
            columns.setdefault((tuple(more), parted), []).append(job)
        for (fields, parted), alike in columns.items():  # an empty column would empty a field that has a default
            await self._load_orders(alike, load_fields(names, fields, parted), rows)

    async def prepare(self, jobs: Sequence[Job]) -> Reference:
        """Give each job its draft, or the outcome that says why there is none; the reference data that was used."""
        started = time.monotonic()
        reference = await self.lookups.reference()
        found = await self.lookups.products(line.sku for job in jobs for line in job.order.lines)
        failed = [_prepare(job, reference, found, self.lookups) for job in jobs]
        if any(failed):
            # what was missing may have been made since the reference data was read
            reference = await self.lookups.reference(not_before=started)
            for job in jobs:
                if job.outcome is not None:
                    job.outcome = None
                    _prepare(job, reference, found, self.lookups)
        return reference

    async def _load_orders(self, jobs: Sequence[Job], fields: list[str], rows: dict[str, list[list[str]]]) -> None:
        """Insert; a row that Odoo refuses fails alone and the others go again without it."""
        jobs = list(jobs)
        while jobs:
            matrix = [row for job in jobs for row in rows[job.external_id]]
            ids, messages = await self.client.load("sale.order", fields, matrix)
            if not messages:
                for job, number in zip(jobs, ids, strict=True):
                    job.odoo_id = number
                return
            bad = _blamed(jobs, rows, messages)
            if bad is None:
                raise Failure(load_failed(messages))  # nobody in particular: the worker halves the batch
            bad.outcome = load_failed([m for m in messages if m.get("type") != "warning"][:1])
            jobs.remove(bad)

    async def even_out(self, jobs: Sequence[Job], also_confirmed: bool = False) -> None:
        """Where Odoo computes taxes itself and rounds unit prices (14–18), what that moves goes to the rounding line
        of a quotation, within the tolerance: the total is the customer's.

        Idempotent: the line has its external id and gets its whole amount, not a difference.
        """
        names = await self.desk.names()
        if names.outside_taxes or not jobs:
            return
        reference = await self.lookups.reference()
        step = Decimal(1).scaleb(-await self.client.price_digits())
        off = []
        for job in jobs:
            currency = pick_currency(job.order, reference)
            total = job.made.total if job.made is not None else job.order.total.rounded(currency.unit).amount
            wrong = total - shown(job)[0]
            pieces = sum((line.quantity for line in job.order.lines), Decimal(0)) if names.rounds_price_unit else 0
            # cut prices move a line by up to half a step a piece, and its taxes with it
            near = abs(wrong) <= self.lookups.rules.tolerance * currency.unit + pieces * step
            open_to_it = also_confirmed or job.state["state"] in ("draft", "sent")
            if wrong and near and open_to_it and shown(job)[1] == currency.id:
                off.append((job, currency, wrong))
        lines = await self.desk.lines([job.odoo_id for job, _, _ in off])
        for job, currency, wrong in off:
            external_id = f"{job.external_id}_rounding"
            standing = next((r for r in lines[job.odoo_id] if f"{MODULE}.{r['external_id']}" == external_id), None)
            amount = wrong + (decimal(standing["price_subtotal"]) if standing else 0)
            row = Row("Rounding", external_id, reference.services["rounding"], decimal(1), amount, amount, {})
            fields = ["id", *line_fields(names)]
            matrix = below([job.external_id], [line_row(row, currency, names)])
            _, messages = await self.client.load("sale.order", fields, matrix, UPDATE)
            if messages:
                job.outcome = load_failed(messages)
        await self.desk.read_back([job for job, _, _ in off if job.outcome is None])

    def compare(self, jobs: Sequence[Job]) -> None:
        """Odoo must show the amounts the customer paid before anything is confirmed."""
        for job in jobs:
            if job.state["state"] == "cancel":
                job.refuse(
                    "cancelled_in_odoo",
                    f"Order {job.called} is cancelled in Odoo, the shop wants it.",
                    "Set it back to quotation and confirm it in Odoo, or cancel it in the shop; then resolve this.",
                )
            elif job.made is not None and shown(job) != (job.made.total, job.made.currency.id):
                job.refuse(
                    "total_differs",
                    f"{job.state['name']} in Odoo comes to {job.state['amount_total']} {job.state['currency_id'][1]}, "
                    f"the customer's total is {job.made.total} {job.made.currency.code}. It was not confirmed.",
                    "See what in Odoo changes prices (a module, an automation, a pricelist; too few digits for "
                    "'Product Price' before Odoo 19); correct the quotation, then retry.",
                )

    async def confirm(self, jobs: Sequence[Job]) -> None:
        """Confirm the quotations among those that should be."""
        drafts = [job for job in jobs if job.confirm and job.state["state"] in ("draft", "sent")]
        while drafts:
            refused: Failure | None = None
            try:
                await self.client.call("sale.order", "action_confirm", ids=[j.odoo_id for j in drafts], context=QUIET)
            except Failure as failure:
                if failure.outcome.kind is not Kind.REJECTED:
                    raise
                refused = failure
            await self.desk.read_back(drafts)
            left = [job for job in open_jobs(drafts) if job.state["state"] in ("draft", "sent")]
            if refused is None:
                return
            if len(left) == len(drafts):
                raise refused
            drafts = left  # another hub confirmed the others meanwhile: that is why Odoo refused all of them


def routed(job: Job) -> routing.Lines:
    """Where the order was routed to, by line; nothing for one that is collected: all of that is its store's."""
    return {} if job.order.pickup else job.item.data.get("routing") or {}


def _prepare(job: Job, reference: Reference, found: Mapping[str, list[dict[str, Any]]], lookups: Lookups) -> bool:
    """Make the draft, or give the job its outcome; whether it failed."""
    order, rules = job.order, lookups.rules
    try:
        check(order)
        products = {
            line.sku: pick_product(line.sku, line.name, found) for line in order.lines if line.kind is LineKind.PRODUCT
        }
        currency = pick_currency(order, reference)
        taxes = pick_taxes(order, reference, rules)
        for payment in order.payments:
            if payment.paid_at is not None and payment.amount.amount > 0:
                pick_journal(payment.method, reference, rules)
        job.warehouse = routing.warehouse_of(order, routed(job), rules, reference)
        job.columns = pick_place(order, reference, rules, job.warehouse)
        job.made = draft(order, currency, products, reference.services, taxes, rules.tolerance)
    except Impossible as no:
        job.outcome = no.outcome
    return job.outcome is not None


def _blamed(jobs: Sequence[Job], rows: dict[str, list[list[str]]], messages: list[dict[str, Any]]) -> Job | None:
    """The job that the first error's rows belong to."""
    at = next((m["rows"]["from"] for m in messages if m.get("type") != "warning" and "rows" in m), None)
    if at is None:
        return None
    for job in jobs:
        at -= len(rows[job.external_id])
        if at < 0:
            return job
    return None
