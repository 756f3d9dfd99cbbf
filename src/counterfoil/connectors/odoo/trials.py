"""An order that was tried on at home, once all of it is decided: settle_trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo.client import QUIET
from counterfoil.connectors.odoo.invoices import Invoiced, Invoicing, part_of
from counterfoil.connectors.odoo.jobs import Job, decimal, open_jobs, outcomes
from counterfoil.connectors.odoo.lines import linked, lower
from counterfoil.connectors.odoo.refundlines import standing_parts
from counterfoil.connectors.odoo.translate import Currency, Impossible, Row
from counterfoil.connectors.odoo.versions import Names
from counterfoil.hub.contract import Failure, Item, Kind, Outcome, done
from counterfoil.retail.money import Money

NOUGHT = Decimal(0)


class Settling(Invoicing):
    """settle_trial."""

    async def settle_trial(self, items: Sequence[Item]) -> list[Outcome]:
        """Invoice exactly what each order was settled with (`charge` beside its data), posted, to the cent, and paid
        by the payment recorded; once what goes back has been received, the order has no more on it than was charged.

        Idempotent: what stands on an invoice is not invoiced again, and an order line is lowered to the quantity
        itself, once it has no more delivered than that. Nothing is ever invoiced beyond the charge.
        """
        jobs = [Job(item, None) for item in items]
        found = await self.desk.find_or_refuse(jobs, "The order that was tried on at home is not in Odoo.")
        await self.desk.read_back(found)
        await self.desk.each(open_jobs(jobs), self._settle)
        return outcomes(jobs)

    async def _settle(self, job: Job) -> None:
        try:
            await self._charge(job)
        except (Failure, Impossible) as error:
            if isinstance(error, Failure) and error.outcome.kind is not Kind.REJECTED:
                raise
            await self.desk.read_back([job])  # another hub may have been at the same draft; if not, it is refused again
            await self._charge(job)

    async def _charge(self, job: Job) -> None:
        names, charge = await self.desk.names(), job.item.data["charge"]
        if job.state["state"] not in names.confirmed_states:
            told = {"number": job.state["name"], "settled": f"nothing: the order is {job.state['state']}"}
            job.outcome = done(told, link=str(job.odoo_id))
            return
        lines = (await self.desk.lines([job.odoo_id])).get(job.odoo_id, [])
        charged = shares(charge, lines)
        short = any(charged[line["id"]] > decimal(line["qty_invoiced"]) for line in lines)  # drafts count as invoiced
        if short and any(decimal(line["qty_to_invoice"]) for line in lines):
            await self._make(job)
        await self._cut(job, charged)
        await self._post_all(job, names, Money.parse(charge["amount"]).amount)
        if not names.locked(job.state):
            await self._lower(job, lines, charged, names)

    async def _cut(self, job: Job, charged: Mapping[int, Decimal]) -> None:
        """Drafts of ours keep what is charged and is not on another invoice yet; one that keeps nothing goes: another
        hub was faster, and Odoo had the rest to invoice."""
        invoices, _ = await self.credits.of_order(job)
        drafts = {m["id"] for m in invoices if m["state"] == "draft" and m["create_uid"] == job.state["create_uid"]}
        left = dict(charged)
        rows = await linked(self.desk, sorted(charged))
        commands: dict[int, list[list[Any]]] = {}
        empty = set(drafts)
        for row in sorted(rows, key=lambda each: each["move_id"][0] in drafts):
            line, units = row["sale_line_ids"][0], decimal(row["quantity"])
            kept = units if row["move_id"][0] not in drafts else max(min(units, left[line]), NOUGHT)
            left[line] -= kept
            if kept:
                empty.discard(row["move_id"][0])
            if kept != units:
                change = [1, row["id"], {"quantity": float(kept)}] if kept else [2, row["id"]]
                commands.setdefault(row["move_id"][0], []).append(change)
        for draft in commands.keys() - empty:
            vals = {"invoice_line_ids": commands[draft]}
            await self.client.call("account.move", "write", ids=[draft], vals=vals, context=QUIET)
        if gone := sorted(commands.keys() & empty):
            await self.client.call("account.move", "unlink", ids=gone, context=QUIET)
            await self.desk.read_back([job])

    async def _lower(
        self, job: Job, lines: Sequence[Mapping[str, Any]], charged: Mapping[int, Decimal], names: Names
    ) -> None:
        """Order lines of which nothing is out any more that was not charged: so nobody invoices the rest by hand."""
        currency = (await self.lookups.reference()).currencies[job.state["currency_id"][1]]
        rows = []
        for line in lines:
            aim = charged[line["id"]]
            over = decimal(line["product_uom_qty"]) > aim >= decimal(line["qty_delivered"])
            if line["external_id"] and over:
                rows.append((line["external_id"], _lowered(line, aim, currency, names)))
        await lower(self.desk, job, rows, currency, names)


def shares(charge: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[int, Decimal]:
    """Units that are charged by order line: a line that ships from several places has its units where they are
    invoiced or delivered; what evens out the order's cents goes with all of it."""
    found: dict[int, Decimal] = {line["id"]: NOUGHT for line in lines}
    for name, units in charge["lines"].items():
        parts, left = standing_parts(name, lines), Decimal(units)
        for most in ("qty_invoiced", "qty_delivered", "product_uom_qty"):
            for each in parts:
                some = max(min(decimal(each[most]) - found[each["id"]], left), NOUGHT)
                found[each["id"]] += some
                left -= some
    for line in lines if charge["whole"] else ():
        if line["external_id"].endswith("_rounding"):
            found[line["id"]] = decimal(line["product_uom_qty"])
    return found


def _lowered(line: Mapping[str, Any], aim: Decimal, currency: Currency, names: Names) -> Row:
    """What is left of the line: what the invoice has of it."""
    if aim:
        return part_of(line, aim, Invoiced(), currency, names)
    price = decimal(line["price_unit"])
    return Row(line["name"], "", 0, NOUGHT, price, NOUGHT, dict.fromkeys(line[names.line_taxes], NOUGHT))
