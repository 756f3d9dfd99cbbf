"""Customer invoices: everything that can be invoiced now, posted, to the cent, and paid by the payment recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo import history
from counterfoil.connectors.odoo.client import QUIET
from counterfoil.connectors.odoo.credits import Credits
from counterfoil.connectors.odoo.jobs import Desk, Job, decimal, many2one, open_jobs, outcomes, result
from counterfoil.connectors.odoo.lines import linked, taxes_of
from counterfoil.connectors.odoo.payments import Payments
from counterfoil.connectors.odoo.translate import Currency, Row, impossible, outside_taxes, price_unit
from counterfoil.connectors.odoo.versions import Names
from counterfoil.hub.contract import Failure, Item, Kind, Outcome, done
from counterfoil.retail.money import round_to

WIZARD = "sale.advance.payment.inv"


class Invoicing:
    """invoice_order."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.client, self.lookups = desk, desk.client, desk.lookups
        self.credits, self.payments = Credits(desk), Payments(desk)

    async def invoice_order(self, items: Sequence[Item]) -> list[Outcome]:
        """Invoice what each order has to invoice now, by its products' policies, post it, have it paid by the payment
        recorded. A part of a line is invoiced with its part of the taxes, so that all parts sum to the line.

        Idempotent by Odoo's own quantity to invoice: what stands on an invoice, be it a draft, is not invoiced again,
        and of two at once Odoo lets one through (both write the order's lines). A draft that an earlier attempt left
        is finished; one that a person made is left to that person. An order that came as history is never invoiced:
        it was, before.
        """
        jobs = [Job(item, None) for item in items]
        known = await self.desk.find(jobs, [history.mark(job) for job in jobs])
        for job in open_jobs(jobs):
            if not job.odoo_id:
                job.outcome = done({"invoiced": "nothing: the order is not in Odoo"})
            elif history.mark(job) in known:
                words = "nothing: the order came as history, from before the cut-over"
                job.outcome = done({"invoiced": words}, link=str(job.odoo_id))
        await self.desk.read_back(open_jobs(jobs))
        await self.desk.each(open_jobs(jobs), self._invoice)
        return outcomes(jobs)

    async def _invoice(self, job: Job) -> None:
        names = await self.desk.names()
        if job.state["state"] not in names.confirmed_states:
            job.outcome = done({**result(job), "invoiced": f"nothing: the order is {job.state['state']}"})
            return
        lines = (await self.desk.lines([job.odoo_id])).get(job.odoo_id, [])
        if any(decimal(line["qty_to_invoice"]) for line in lines):
            await self._make(job)
        await self._post_all(job, names)

    async def _post_all(self, job: Job, names: Names, total: Decimal | None = None) -> None:
        """Finish the order's drafts, each of which comes to `total` where that is known; pay what is open."""
        invoices, notes = await self.credits.of_order(job)
        for draft in (move for move in invoices if move["state"] == "draft"):
            await self._finish(job, draft, names, total)
        posted = [m for m in (await self.credits.read([move["id"] for move in invoices])) if m["state"] == "posted"]
        payments = await self.payments.of_order(job)
        open_notes = [n["id"] for n in notes if n["state"] == "posted" and decimal(n["amount_residual"])]
        if any(decimal(move["amount_residual"]) for move in posted):
            # an invoice that was taken back goes with its credit note, before any payment is looked for
            await self.payments.match(
                [[many2one(n["reversed_entry_id"]), n["id"]] for n in notes if n["id"] in open_notes]
            )
            await self.payments.pay(payments, [move["id"] for move in posted])
            await self.payments.match([[*(move["id"] for move in posted), *open_notes]])
            posted = await self.credits.read([move["id"] for move in posted])
        told = [
            {"number": m["name"], "total": f"{decimal(m['amount_total']):f}", "payment": m["payment_state"]}
            for m in posted
        ]
        job.outcome = done({**result(job), "invoices": told or "nothing to invoice yet"}, link=str(job.odoo_id))

    async def _make(self, job: Job) -> None:
        """One draft of everything that can be invoiced, the way Odoo's own wizard makes it."""
        about = {"active_model": "sale.order", "active_ids": [job.odoo_id], "active_id": job.odoo_id}
        context = {**QUIET, **about}
        values = [{"advance_payment_method": "delivered"}]
        try:
            wizard = await self.client.call(WIZARD, "create", context=context, vals_list=values)
            ids = wizard if isinstance(wizard, list) else [wizard]
            await self.client.call(WIZARD, "create_invoices", ids=ids, context=context)
        except Failure as failure:
            if failure.outcome.kind is not Kind.REJECTED:
                raise
            lines = (await self.desk.lines([job.odoo_id])).get(job.odoo_id, [])
            if any(decimal(line["qty_to_invoice"]) for line in lines):
                raise  # else another hub invoiced it meanwhile: that is why there was nothing left
        await self.desk.read_back([job])

    async def _finish(self, job: Job, draft: Mapping[str, Any], names: Names, total: Decimal | None = None) -> None:
        """Post a draft that is ours, once its lines have their part of what the customer pays. Raises Impossible."""
        if draft["create_uid"] != job.state["create_uid"]:
            raise impossible(
                "draft_in_odoo",
                f"A person ({draft['create_uid'][1]}) has made a draft invoice for order {job.called}.",
                "Post it or delete it in Odoo, then retry.",
            )
        expected = await self._share(job, draft, names)
        currency = (await self.lookups.reference()).currencies[job.state["currency_id"][1]]
        expected = expected if total is None else total
        await self.credits.post(draft["id"], expected, currency.unit, f"invoice of order {job.called}")

    async def _share(self, job: Job, draft: Mapping[str, Any], names: Names) -> Decimal:
        """Bring the draft's lines to their part of the order's; what the draft should come to."""
        lines = {line["id"]: line for line in (await self.desk.lines([job.odoo_id])).get(job.odoo_id, [])}
        currency = (await self.lookups.reference()).currencies[job.state["currency_id"][1]]
        rows = await linked(self.desk, sorted(lines))
        # posted ones come first, whatever their number: two drafts of ours can only be two halves of one order
        earlier = [row for row in rows if row["move_id"][0] != draft["id"]]
        credit = {
            m["id"]
            for m in await self.credits.read(sorted({row["move_id"][0] for row in earlier}))
            if m["move_type"] == "out_refund"
        }
        parts: dict[int, Row] = {}
        total = Decimal(0)
        for row in (row for row in rows if row["move_id"][0] == draft["id"]):
            line = lines[row["sale_line_ids"][0]]
            before = Invoiced()
            for other in (each for each in earlier if line["id"] in each["sale_line_ids"]):
                before.add(other, -1 if other["move_id"][0] in credit else 1, names)
            part = part_of(line, decimal(row["quantity"]), before, currency, names)
            total += part.total
            if (decimal(row["price_subtotal"]), decimal(row["price_total"])) != (part.net, part.total):
                parts[row["id"]] = part
        if parts and names.outside_taxes:
            await self._replace(draft["id"], parts, currency)
        ends = all(decimal(line["qty_invoiced"]) == decimal(line["product_uom_qty"]) for line in lines.values())
        if ends and not names.outside_taxes:
            total = decimal(job.state["amount_total"]) - await self._before(earlier)
        return total

    async def _before(self, earlier: Sequence[Mapping[str, Any]]) -> Decimal:
        """What the order's other invoices come to, less what their credit notes have of the order's lines: Odoo rounds
        the taxes of an order as a whole, so that its lines do not sum to it."""
        moves = {move["id"]: move for move in await self.credits.read(sorted({row["move_id"][0] for row in earlier}))}
        total = Decimal(0)
        for move in moves.values():
            if move["move_type"] == "out_invoice":
                total += decimal(move["amount_total"])
                continue
            taken_back = moves.get(many2one(move["reversed_entry_id"]))
            if taken_back is not None and taken_back["amount_total"] == move["amount_total"]:
                total -= decimal(move["amount_total"])
            else:
                mine = (decimal(row["price_total"]) for row in earlier if row["move_id"][0] == move["id"])
                total -= sum(mine, Decimal(0))
        return total

    async def _replace(self, draft: int, parts: Mapping[int, Row], currency: Currency) -> None:
        """Lines of a draft are made anew, in one call: Odoo computes an invoice's taxes again for other lines, not for
        other taxes given from outside (account/models/account_move.py, _sync_tax_lines)."""
        fields = ["sequence", "product_id", "name", "product_uom_id", "tax_ids", "account_id", "sale_line_ids"]
        rows = await self.client.search_read("account.move.line", [["id", "in", sorted(parts)]], fields, order="id")
        commands: list[list[Any]] = [[2, row["id"]] for row in rows]
        for row in rows:
            part = parts[row["id"]]
            told = outside_taxes(part, currency)
            values: dict[str, Any] = {
                name: many2one(row[name]) or False for name in ("product_id", "product_uom_id", "account_id")
            }
            values |= {name: [[6, 0, row[name]]] for name in ("tax_ids", "sale_line_ids")}
            values |= {"sequence": row["sequence"], "name": row["name"], "quantity": float(part.quantity)}
            values |= {"price_unit": float(part.price_unit), "extra_tax_data": json.loads(told) if told else False}
            commands.append([0, 0, values])
        vals = {"invoice_line_ids": commands}
        await self.client.call("account.move", "write", ids=[draft], vals=vals, context=QUIET)


class Invoiced:
    """What of an order line is on other invoices, credit notes taken off."""

    def __init__(self) -> None:
        self.quantity = self.net = Decimal(0)
        self.taxes: dict[int, Decimal] = {}

    def add(self, row: Mapping[str, Any], sign: int, names: Names) -> None:
        """One more line."""
        self.quantity += sign * decimal(row["quantity"])
        self.net += sign * decimal(row["price_subtotal"])
        for tax, amount in taxes_of(row, names).items():
            self.taxes[tax] = self.taxes.get(tax, Decimal(0)) + sign * amount


def part_of(line: Mapping[str, Any], quantity: Decimal, before: Invoiced, currency: Currency, names: Names) -> Row:
    """`quantity` of an order line with what is left of its net and taxes when all that went before is taken off."""
    ordered = decimal(line["product_uom_qty"])
    share = (before.quantity + quantity) / ordered if ordered else Decimal(0)
    there = taxes_of(line, names)
    taxes = {
        tax: round_to(there.get(tax, Decimal(0)) * share, currency.unit) - before.taxes.get(tax, Decimal(0))
        for tax in {**there, **before.taxes}
    }
    net = round_to(decimal(line["price_subtotal"]) * share, currency.unit) - before.net
    price = decimal(line["price_unit"])
    included = price * ordered - decimal(line["price_subtotal"])  # taxes that are part of the price
    told = sum(there.values(), Decimal(0))
    ratio = included / told if told and abs(included) >= currency.unit else Decimal(0)
    net_and_tax = net + ratio * sum(taxes.values(), Decimal(0))
    if round_to(price * quantity, currency.unit) != round_to(net_and_tax, currency.unit):
        price = price_unit(net_and_tax, quantity)
    return Row(line["name"], "", 0, quantity, price, net, taxes)
