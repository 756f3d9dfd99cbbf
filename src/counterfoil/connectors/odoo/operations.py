"""What Counterfoil does to Odoo: accept, amend, cancel orders, in batches, each item with its own outcome.

Idempotent by external ids, held by Odoo's own unique constraint: `counterfoil.<system>_order_<id>` for the
order, one for each line, one for the customer from its match key, one for the payment. Rows that exist are never
rewritten (insert-only), so a repeat cannot undo what people have since changed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo import customers
from counterfoil.connectors.odoo.client import QUIET, Json2
from counterfoil.connectors.odoo.errors import load_failed
from counterfoil.connectors.odoo.lookups import (
    Lookups,
    Reference,
    pick_currency,
    pick_journal,
    pick_product,
    pick_taxes,
)
from counterfoil.connectors.odoo.translate import (
    MODULE,
    Draft,
    Impossible,
    check,
    draft,
    load_fields,
    load_rows,
    order_name,
)
from counterfoil.connectors.odoo.versions import Names
from counterfoil.hub.contract import Failure, Item, Kind, Outcome, done, rejected
from counterfoil.retail.money import round_to, smallest_unit
from counterfoil.retail.order import Line, LineKind, Order, Payment, Status

GIVEN_UP = (Status.CANCELLED, Status.TRASH, Status.DRAFT)

STATE = ["name", "state", "amount_total", "amount_untaxed", "amount_tax", "currency_id", "partner_id", "locked"]


@dataclass(slots=True)
class Job:
    """One order on its way through a batch. Finished as soon as it has an outcome."""

    item: Item
    order: Order
    confirm: bool
    odoo_id: int = 0
    made: Draft | None = None
    state: dict[str, Any] = field(default_factory=dict)
    payment: str = ""
    outcome: Outcome | None = None

    @property
    def external_id(self) -> str:
        """Of the order."""
        return f"{MODULE}.{order_name(self.order)}"


def newest(item: Item) -> Order:
    """The order as last known: what was queued may have been overtaken."""
    return Order.model_validate(item.data.get("state") or item.data["order"])


def open_jobs(jobs: Sequence[Job]) -> list[Job]:
    """Those without an outcome yet."""
    return [job for job in jobs if job.outcome is None]


def outcomes(jobs: Sequence[Job]) -> list[Outcome]:
    """One each, in order."""
    return [job.outcome for job in jobs if job.outcome is not None]


class Operations:
    """The operations of one Odoo."""

    def __init__(self, client: Json2, lookups: Lookups, names: Names) -> None:
        self.client, self.lookups, self.names = client, lookups, names

    # --- accept ---------------------------------------------------------------------------------------------

    async def accept_order(self, items: Sequence[Item]) -> list[Outcome]:
        """Bring each order up to the state given: there, confirmed if it should be, its payment recorded if paid.

        Idempotent: looks up its external ids first, inserts only what is missing, confirms only drafts, posts
        only draft payments. The state is read back at the end and is the result.
        """
        jobs = [Job(item, newest(item), item.data.get("level", "accept") == "accept") for item in items]
        for job in jobs:
            if job.order.status in GIVEN_UP:
                job.outcome = done({"superseded": f"the shop says {job.order.status} by now"})
        known = await self._find(jobs)
        await self._create([job for job in open_jobs(jobs) if not job.odoo_id])
        await self._read_back(open_jobs(jobs))
        self._compare(open_jobs(jobs))
        await self._confirm(open_jobs(jobs))
        await self._pay(open_jobs(jobs), known)
        for job in open_jobs(jobs):
            job.outcome = done(result(job), link=str(job.odoo_id), emits=("order.accepted",))
        return outcomes(jobs)

    async def _find(self, jobs: Sequence[Job]) -> dict[str, int]:
        """Which orders Odoo holds already; the numbers of all that is known of them, their payments among it."""
        wanted = open_jobs(jobs)
        names = [job.external_id for job in wanted] + list(_owed(wanted))
        known = await self.lookups.external_ids(names, "sale.order", "account.payment")
        for job in wanted:
            job.odoo_id = known.get(job.external_id, 0)
            if not job.odoo_id and job.item.link:
                job.outcome = rejected(
                    "deleted_in_odoo",
                    f"Order {job.order.number} was in Odoo (number {job.item.link}) and has been deleted there.",
                    "It is not made again by itself. Enter it by hand and resolve this, or skip it.",
                )
        return known

    async def _create(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
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
        ready = open_jobs(jobs)
        parties = await customers.resolve([job.order for job in ready], self.lookups, reference)
        rows: dict[str, list[list[str]]] = {}
        for job in ready:
            who = parties[job.order.canonical_id]
            if isinstance(who, Impossible):
                job.outcome = who.outcome
            elif job.made is not None:
                rows[job.external_id] = load_rows(job.order, job.made, who.customer, who.invoice_to, who.ship_to)
        await self._load_orders(open_jobs(ready), rows)

    async def _load_orders(self, jobs: Sequence[Job], rows: dict[str, list[list[str]]]) -> None:
        """Insert; a row that Odoo refuses fails alone and the others go again without it."""
        jobs = list(jobs)
        while jobs:
            matrix = [row for job in jobs for row in rows[job.external_id]]
            ids, messages = await self.client.load("sale.order", load_fields(self.names.line_taxes), matrix)
            if not messages:
                for job, number in zip(jobs, ids, strict=True):
                    job.odoo_id = number
                return
            bad = _blamed(jobs, rows, messages)
            if bad is None:
                raise Failure(load_failed(messages))  # nobody in particular: the worker halves the batch
            bad.outcome = load_failed([m for m in messages if m.get("type") != "warning"][:1])
            jobs.remove(bad)

    async def _read_back(self, jobs: Sequence[Job]) -> None:
        ids = [job.odoo_id for job in jobs]
        rows = {r["id"]: r for r in await self.client.call("sale.order", "read", ids=ids, fields=STATE)} if ids else {}
        for job in jobs:
            if job.odoo_id in rows:
                job.state = rows[job.odoo_id]
            else:
                job.outcome = rejected(
                    "deleted_in_odoo",
                    f"Order {job.order.number} (number {job.odoo_id} in Odoo) has been deleted there.",
                    "It is not made again by itself. Enter it by hand and resolve this, or skip it.",
                )

    def _compare(self, jobs: Sequence[Job]) -> None:
        """Odoo must show the amounts the customer paid before anything is confirmed."""
        for job in jobs:
            if job.state["state"] == "cancel":
                job.outcome = rejected(
                    "cancelled_in_odoo",
                    f"Order {job.order.number} ({job.state['name']}) is cancelled in Odoo, the shop wants it.",
                    "Set it back to quotation and confirm it in Odoo, or cancel it in the shop; then resolve this.",
                )
            elif job.made is not None and _shown(job) != (job.made.total, job.made.currency.id):
                job.outcome = rejected(
                    "total_differs",
                    f"{job.state['name']} in Odoo comes to {job.state['amount_total']} {job.state['currency_id'][1]}, "
                    f"the customer's total is {job.made.total} {job.made.currency.code}. It was not confirmed.",
                    "See what in Odoo changes prices (a module, an automation, a pricelist); correct the quotation, "
                    "then retry.",
                )

    async def _confirm(self, jobs: Sequence[Job]) -> None:
        drafts = [job for job in jobs if job.confirm and job.state["state"] in ("draft", "sent")]
        while drafts:
            refused: Failure | None = None
            try:
                await self.client.call("sale.order", "action_confirm", ids=[j.odoo_id for j in drafts], context=QUIET)
            except Failure as failure:
                if failure.outcome.kind is not Kind.REJECTED:
                    raise
                refused = failure
            await self._read_back(drafts)
            left = [job for job in open_jobs(drafts) if job.state["state"] in ("draft", "sent")]
            if refused is None:
                return
            if len(left) == len(drafts):
                raise refused
            drafts = left  # another hub confirmed the others meanwhile: that is why Odoo refused all of them

    async def _pay(self, jobs: Sequence[Job], known: Mapping[str, int]) -> None:
        """Record what the shop says it has received, once, under the payment's own external id."""
        owed = _owed(jobs)
        if not owed:
            return
        states = await self._payments([known[name] for name in owed if name in known])
        reference = await self.lookups.reference()
        missing = {}
        for name, (job, payment) in owed.items():
            if name in known or job.outcome is not None:
                continue
            try:
                missing[name] = self._payment_row(name, job, payment, reference)
            except Impossible as no:
                job.outcome = no.outcome
        if missing:
            fields = ["id", "partner_id/.id", "amount", "currency_id/.id", "journal_id/.id", "payment_type"]
            fields += ["partner_type", self.names.payment_memo, "date"]
            ids, messages = await self.client.load("account.payment", fields, list(missing.values()))
            if messages:
                raise Failure(load_failed(messages))
            known = {**known, **dict(zip(missing, ids, strict=True))}
            states |= {number: {"state": "draft"} for number in ids}  # as Odoo makes them
        await self._post(owed, known, states)

    async def _post(
        self, owed: dict[str, tuple[Job, Payment]], known: Mapping[str, int], states: dict[int, dict[str, Any]]
    ) -> None:
        drafts = [number for number, row in states.items() if row["state"] == "draft"]
        if drafts:  # posting what another hub has posted meanwhile changes nothing
            await self.client.call("account.payment", "action_post", ids=drafts, context=QUIET)
            states |= await self._payments(drafts)
        for name, (job, _) in owed.items():
            row = states.get(known.get(name, 0))
            if row is None or job.outcome is not None:
                continue
            job.payment = row["name"] or str(row["id"])
            if row["state"] not in self.names.payment_posted:
                job.outcome = rejected(
                    "payment_not_posted",
                    f"The payment {job.payment} of order {job.order.number} is {row['state']} in Odoo.",
                    "Look at the payment in Odoo, post it or make another, then retry.",
                )

    async def _payments(self, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        fields = ["name", "state"]
        rows = await self.client.call("account.payment", "read", ids=ids, fields=fields) if ids else []
        return {row["id"]: row for row in rows}

    def _payment_row(self, name: str, job: Job, payment: Payment, reference: Reference) -> list[str]:
        currency = pick_currency(job.order, reference)
        assert payment.paid_at is not None
        words = " ".join(filter(None, (job.state["name"], job.order.number, payment.reference)))
        return [
            name,
            str(job.state["partner_id"][0]),
            f"{round_to(payment.amount.amount, currency.unit):f}",
            str(currency.id),
            str(pick_journal(payment.method, reference, self.lookups.rules)),
            "inbound",
            "customer",
            words,
            payment.paid_at.astimezone(UTC).strftime("%Y-%m-%d"),
        ]

    # --- amend ----------------------------------------------------------------------------------------------

    async def amend_order(self, items: Sequence[Item]) -> list[Outcome]:
        """An order changed in the shop. Not in Odoo yet: accepted as it now stands. Already there: compared line by
        line, and put before a person if Odoo differs. Nothing in Odoo is rewritten.
        """
        jobs = [Job(item, newest(item), True) for item in items]
        await self._find(jobs)
        present = [job for job in open_jobs(jobs) if job.odoo_id]
        await self._read_back(present)
        there = open_jobs(present)
        lines = await self._lines([job.odoo_id for job in there])
        found = await self.lookups.products(line.sku for job in there for line in job.order.lines)
        currencies = (await self.lookups.reference()).currencies if there else {}
        for job in there:
            currency = currencies.get(job.order.currency)
            unit = currency.unit if currency else smallest_unit(job.order.currency)
            job.outcome = _amended(job, lines.get(job.odoo_id, {}), found, unit)
        others = open_jobs(jobs)
        accepted = await self.accept_order([job.item for job in others]) if others else []
        for job, outcome in zip(others, accepted, strict=True):
            job.outcome = outcome
        return outcomes(jobs)

    async def _lines(self, orders: Sequence[int]) -> dict[int, dict[str, dict[str, Any]]]:
        """Each line as Odoo has it, by order and by the shop's line id."""
        if not orders:
            return {}
        fields = ["order_id", "product_id", "product_uom_qty", "price_subtotal"]
        rows = await self.client.search_read("sale.order.line", [["order_id", "in", list(orders)]], fields)
        domain = [["module", "=", MODULE], ["model", "=", "sale.order.line"], ["res_id", "in", [r["id"] for r in rows]]]
        names = {
            r["res_id"]: r["name"] for r in await self.client.search_read("ir.model.data", domain, ["name", "res_id"])
        }
        found: dict[int, dict[str, dict[str, Any]]] = {}
        for row in rows:
            line = names.get(row["id"], f"odoo_line_{row['id']}").rpartition("_line_")[2]
            if not line.endswith("_rounding"):
                found.setdefault(row["order_id"][0], {})[line] = row
        return found

    # --- cancel ---------------------------------------------------------------------------------------------

    async def cancel_order(self, items: Sequence[Item]) -> list[Outcome]:
        """Cancel each order, if nothing of it has been shipped. Idempotent: reads the state first."""
        jobs = [Job(item, newest(item), False) for item in items]
        known = await self.lookups.external_ids([job.external_id for job in jobs], "sale.order")
        for job in jobs:
            job.odoo_id = known.get(job.external_id, 0)
            if not job.odoo_id:
                job.outcome = done({"cancelled": "was never in Odoo"}, emits=("order.closed",))
            elif job.order.status not in GIVEN_UP:
                job.outcome = done({"superseded": f"the shop says {job.order.status} by now"})
        await self._read_back(open_jobs(jobs))
        shipped = await self._shipped([job.odoo_id for job in open_jobs(jobs)])
        for job in open_jobs(jobs):
            if job.odoo_id in shipped:
                job.outcome = rejected(
                    "shipped_already",
                    f"Order {job.order.number} ({job.state['name']}) was shipped before the shop cancelled it.",
                    "Arrange the return and refund with the customer, then resolve this.",
                )
            elif job.state.get("locked"):
                job.outcome = rejected(
                    "locked_in_odoo",
                    f"Order {job.order.number} ({job.state['name']}) is locked in Odoo and cannot be cancelled.",
                    "Unlock it in Odoo, then retry.",
                )
        await self._cancel([job for job in open_jobs(jobs) if job.state["state"] != "cancel"])
        for job in open_jobs(jobs):
            if job.state["state"] == "cancel":
                job.outcome = done(result(job), link=str(job.odoo_id), emits=("order.closed",))
            else:
                job.outcome = rejected(
                    "not_cancelled",
                    f"Odoo did not cancel {job.state['name']}; it is {job.state['state']}.",
                    "Cancel it in Odoo by hand, then resolve this.",
                )
        return outcomes(jobs)

    async def _cancel(self, jobs: Sequence[Job]) -> None:
        if jobs:
            await self.client.call("sale.order", "action_cancel", ids=[job.odoo_id for job in jobs], context=QUIET)
            await self._read_back(jobs)

    async def _shipped(self, ids: Sequence[int]) -> set[int]:
        """Orders of which something has left the house."""
        if not ids:
            return set()
        domain = [["order_id", "in", list(ids)], ["qty_delivered", ">", 0], ["product_id.type", "!=", "service"]]
        rows = await self.client.search_read("sale.order.line", domain, ["order_id"])
        return {row["order_id"][0] for row in rows}


def _owed(jobs: Sequence[Job]) -> dict[str, tuple[Job, Payment]]:
    """The payments that the shop says it has received, by the external id each has in Odoo."""
    return {
        f"{MODULE}.{job.order.system}_payment_{job.order.id}_{number}": (job, payment)
        for job in jobs
        for number, payment in enumerate(job.order.payments)
        if payment.paid_at is not None and payment.amount.amount > 0
    }


def _prepare(job: Job, reference: Reference, found: dict[str, list[dict[str, Any]]], lookups: Lookups) -> bool:
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
        job.made = draft(order, currency, products, reference.services, taxes, rules.tolerance)
    except Impossible as no:
        job.outcome = no.outcome
    return job.outcome is not None


def _shown(job: Job) -> tuple[Decimal, int]:
    """What Odoo shows the order to come to: the total and its currency."""
    return Decimal(str(job.state["amount_total"])), job.state["currency_id"][0]


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


def _amended(
    job: Job, lines: dict[str, dict[str, Any]], found: dict[str, list[dict[str, Any]]], unit: Decimal
) -> Outcome:
    """Done if Odoo has the order as it now stands, by its lines, total and addresses; else for a person."""
    now = job.order
    before = Order.model_validate(job.item.data["before"]) if job.item.data.get("before") else now
    same_lines = {line.id for line in now.lines} == set(lines) and all(
        _same_line(line, lines[line.id], found, unit) for line in now.lines
    )
    differs = {
        "its lines": not same_lines,
        "its total": Decimal(str(job.state["amount_total"])) != round_to(now.total.amount, unit),
        "its addresses": (before.billing, before.ship_to) != (now.billing, now.ship_to),
    }
    if not any(differs.values()):
        return done(result(job), link=str(job.odoo_id))
    return rejected(
        "changed_after_acceptance",
        f"Order {now.number} changed in the shop ({', '.join(what for what, is_so in differs.items() if is_so)}) "
        f"after Odoo accepted it as {job.state['name']} "
        f"({job.state['amount_total']} in Odoo, {now.total} in the shop).",
        "Compare both versions in the counterfoil, change the order in Odoo, then resolve this.",
    )


def _same_line(line: Line, row: dict[str, Any], found: dict[str, list[dict[str, Any]]], unit: Decimal) -> bool:
    """Whether Odoo's line is of that product, quantity and net."""
    same_product = line.kind is not LineKind.PRODUCT or any(
        product["id"] == row["product_id"][0] for product in found.get(line.sku, ())
    )
    same_net = abs(round_to(line.net.amount, unit) - Decimal(str(row["price_subtotal"]))) < unit
    return same_product and same_net and Decimal(str(row["product_uom_qty"])) == line.quantity


def result(job: Job) -> dict[str, Any]:
    """What Odoo shows for the order now: kept in the counterfoil and told to the shop."""
    state = job.state
    kept = {
        "number": state["name"],
        "state": state["state"],
        "total": f"{Decimal(str(state['amount_total'])):f}",
        "untaxed": f"{Decimal(str(state['amount_untaxed'])):f}",
        "tax": f"{Decimal(str(state['amount_tax'])):f}",
        "currency": state["currency_id"][1],
    }
    if job.payment:
        kept["payment"] = job.payment
    if job.made is not None and job.made.rounding:
        kept["rounding"] = f"{job.made.rounding:f}"
    return kept
