"""Money given back: credit notes, the payment out, the return that is to come. refund_order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo import routing
from counterfoil.connectors.odoo.accept import routed
from counterfoil.connectors.odoo.credits import CreditNote, Credits
from counterfoil.connectors.odoo.jobs import Desk, Job, decimal, many2one, newest, open_jobs, outcomes, result
from counterfoil.connectors.odoo.lines import Reduced, lower, lowered, reductions
from counterfoil.connectors.odoo.lookups import Reference, pick_currency, pick_tax
from counterfoil.connectors.odoo.payments import Payments
from counterfoil.connectors.odoo.refundlines import (
    Composed,
    Taxes,
    charge,
    compose,
    exceeds,
    is_in_full,
    standing,
    standing_at,
    standing_parts,
)
from counterfoil.connectors.odoo.shipping import Shipping
from counterfoil.connectors.odoo.translate import MODULE, Row, impossible
from counterfoil.hub.contract import Item, Outcome, done
from counterfoil.retail.money import round_to
from counterfoil.retail.order import LineKind, Order, Refund


class Refunding:
    """refund_order."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.client, self.lookups = desk, desk.client, desk.lookups
        self.credits, self.payments, self.shipping = Credits(desk), Payments(desk), Shipping(desk)

    async def refund_order(self, items: Sequence[Item]) -> list[Outcome]:
        """Book each refund of an order: a posted credit note of its lines or its amount, the payment out, both
        matched; units that are not shipped are taken off the order, shipped ones that come back get a return that
        waits for the warehouse. Of an order that is cancelled in Odoo only the money is booked: its invoice, if there
        was one, is taken back already.

        Idempotent by external ids: the credit note is `counterfoil.<system>_refund_<id>`, the payment and the return
        stand beside it; what an order line goes down to is written as the quantity itself. A refund that is pending
        or not known whole, and one of an order that was never paid, post nothing.
        """
        jobs = [Job(item, newest(item)) for item in items]
        await self.desk.find(jobs)
        for job in open_jobs(jobs):
            refunds = _refunds(job)
            if not job.odoo_id:
                job.outcome = done({"refunded": "the order is not in Odoo"})
            elif job.order.paid_at is None:
                job.outcome = done({"refunded": "nothing: the order was never paid"})
            elif exceeds(refunds, job.order):
                job.refuse(
                    "refund_exceeds_order",
                    f"More is given back for order {job.called} than its total of {job.order.total}: "
                    f"{', '.join(str(refund.amount) for refund in refunds)}. Nothing was booked.",
                    "Correct the refunds in the shop, or book them in Odoo by hand and resolve this.",
                )
        await self.desk.read_back(open_jobs(jobs))
        await self.desk.each(open_jobs(jobs), self._all)
        return outcomes(jobs)

    async def _all(self, job: Job) -> None:
        booked = [await self._one(job, refund) for refund in _refunds(job) if _counts(refund)]
        gone = [f"{MODULE}.{job.order.system}_refund_{number}" for number in job.item.data.get("gone", ())]
        deleted = await self.lookups.external_ids(gone, "account.move") if gone else {}
        if deleted:
            job.refuse(
                "refund_deleted",
                f"The shop has deleted {len(deleted)} refund(s) of order {job.called} that are booked in Odoo.",
                "Take the credit note and the payment back in Odoo by hand if no money was given back.",
            )
        else:
            await self.desk.read_back([job])
            job.outcome = done({**result(job), "refunds": booked or "nothing to book yet"}, link=str(job.odoo_id))

    async def _one(self, job: Job, refund: Refund) -> dict[str, Any]:
        """Book one refund; what stands of it. Raises Impossible, Failure."""
        name = f"{job.order.system}_refund_{refund.id}"
        ids = [f"{MODULE}.{name}", f"{MODULE}.{name}_payment"]
        known = await self.lookups.external_ids(ids, "account.move", "account.payment")
        reference = await self.lookups.reference()
        told: dict[str, Any] = {"id": refund.id, "amount": str(refund.amount)}
        note = 0
        if job.state["state"] != "cancel":
            credit = await self._credit(job, refund, ids[0], known.get(ids[0], 0), reference)
            note, told["credit_note"] = credit["id"], credit["name"]
            told |= await self._goods(job, refund, name, reference)
        out = await self._pay_back(job, refund, ids[1], known, reference)
        told["payment"] = out["name"] or str(out["id"])
        await self._match(job, out, note)
        return told

    async def _match(self, job: Job, out: Mapping[str, Any], note: int) -> None:
        """The payment out with its credit note; what is then open of the order, among itself.

        An invoice that was still open is matched with the credit note as it is posted: then the payment out goes
        with the payment in.
        """
        if note:
            await self.payments.pay([out], [note])
        received = await self.payments.of_order(job)
        invoices, notes = await self.credits.of_order(job)
        entries = [many2one(row["move_id"]) for row in (*received, out)]
        entries += [move["id"] for move in (*invoices, *notes) if move["state"] == "posted"]
        await self.payments.match([entries])

    async def _credit(
        self, job: Job, refund: Refund, external_id: str, number: int, reference: Reference
    ) -> dict[str, Any]:
        """The refund's credit note, posted."""
        currency = pick_currency(job.order, reference)
        amount = round_to(refund.amount.amount, currency.unit)
        names = await self.desk.names()
        if number and not names.entry_lines_named:
            composed = await self._compose(job, refund, external_id, reference)
            await self.credits.name_lines(number, [line.row.external_id for line in composed.lines])
        if not number:
            composed = await self._compose(job, refund, external_id, reference)
            invoices, _ = await self.credits.of_order(job)
            posted = [move for move in invoices if move["state"] == "posted"]
            covers = [move for move in posted if decimal(move["amount_total"]) >= amount] or posted
            assert refund.refunded_at is not None
            note = CreditNote(
                external_id,
                refund.refunded_at.astimezone(UTC).strftime("%Y-%m-%d"),
                " ".join(filter(None, (job.order.number, refund.reason))),
                covers[-1]["id"] if covers else 0,
                amount,
                currency,
                composed.lines,
            )
            number = await self.credits.make(job, note)
        return await self.credits.post(number, amount, currency.unit, f"credit note of order {job.called}")

    async def _compose(self, job: Job, refund: Refund, external_id: str, reference: Reference) -> Composed:
        lines = (await self.desk.lines([job.odoo_id])).get(job.odoo_id, [])
        rules = self.lookups.rules
        return compose(
            external_id,
            refund,
            job.order,
            lines,
            self._taxes(job.order, refund, reference),
            reference.services,
            pick_currency(job.order, reference),
            rules.tolerance,
        )

    def _taxes(self, order: Order, refund: Refund, reference: Reference) -> Taxes:
        """Odoo's tax for each (rate, class, kind of line) of the refund and the order."""
        rates = {rate.code: rate for rate in order.rates}
        classes = {line.id: line.tax_class for line in order.lines}
        wanted = {(t.code, classes.get(part.line, ""), part.kind) for part in refund.lines for t in part.taxes}
        wanted |= {(t.code, line.tax_class, line.kind) for line in order.lines for t in line.taxes}
        unknown = sorted({code for code, _, _ in wanted} - set(rates))
        if unknown:
            raise impossible(
                "unmapped_tax",
                f"Refund {refund.id} of order {order.number} has taxes the order does not list: {', '.join(unknown)}.",
                "Book the credit note in Odoo by hand, then resolve this.",
            )
        return {
            (code, tax_class, kind): pick_tax(
                rates[code], tax_class, kind, order.ship_to.country, reference, self.lookups.rules
            )
            for code, tax_class, kind in sorted(wanted)
        }

    async def _goods(self, job: Job, refund: Refund, name: str, reference: Reference) -> dict[str, Any]:
        """Units that are not shipped go off the order; a return is prepared for those that come back."""
        lines = (await self.desk.lines([job.odoo_id])).get(job.odoo_id, [])
        taken_off = await reductions(self.desk, [line["id"] for line in lines])
        taxes = self._taxes(job.order, refund, reference)
        late = await self._lower(job, lines, taken_off, taxes, reference)
        back = await self._coming_back(job, refund, name, lines)
        back = await self._less_requested(job, refund, back, lines) if back else back
        returns = await self.shipping.prepare_return(job, name, back)
        if late:
            raise impossible(
                "shipped_meanwhile",
                f"{', '.join(late)} of order {job.called} was refunded before it was shipped, and shipped meanwhile. "
                "The credit note is booked.",
                "Arrange the return with the customer and prepare it in Odoo; then retry.",
            )
        return {"returns": returns} if returns else {}

    async def _coming_back(
        self, job: Job, refund: Refund, name: str, lines: Sequence[Mapping[str, Any]]
    ) -> dict[int, Decimal]:
        """Shipped units by order line: what the credit note that stands there has on lines not linked to the order."""
        if is_in_full(refund, job.order):
            return {}
        domain = [["module", "=", MODULE], ["model", "=", "account.move.line"], ["name", "=like", f"{name}_line_%"]]
        rows = await self.client.search_read("ir.model.data", domain, ["name", "res_id"])
        ids = {row["res_id"]: row["name"] for row in rows if row["name"].startswith(f"{name}_line_")}
        fields = ["quantity", "sale_line_ids"]
        found = await self.client.search_read("account.move.line", [["id", "in", sorted(ids)]], fields) if ids else []
        back: dict[int, Decimal] = {}
        told = {part.line for part in refund.lines if part.quantity > 0 and part.kind is LineKind.PRODUCT}
        for row in found:
            line = ids[row["id"]].removeprefix(f"{name}_line_").removesuffix("_shipped")
            if line not in told or row["sale_line_ids"]:
                continue
            there, left = standing_parts(line, lines), decimal(row["quantity"])
            for each in there:
                some = left if each is there[-1] else min(decimal(each["qty_delivered"]), left)
                if some:
                    back[each["id"]] = back.get(each["id"], Decimal(0)) + some
                    left -= some
        return back

    async def _less_requested(
        self, job: Job, refund: Refund, back: Mapping[int, Decimal], lines: Sequence[Mapping[str, Any]]
    ) -> dict[int, Decimal]:
        """What of it has no return yet: units that the customer asked to return already stand for refunded ones, each
        for one."""
        requested = await self.shipping.coming_back(f"{job.name}_requested_")
        if not requested:
            return dict(back)
        earlier = itertools.takewhile(lambda each: each.id != refund.id, filter(_counts, _refunds(job)))
        for each in earlier:
            name = f"{job.order.system}_refund_{each.id}"
            own = await self.shipping.coming_back(f"{name}_return_")
            for line, units in (await self._coming_back(job, each, name, lines)).items():
                used = max(units - own.get(line, Decimal(0)), Decimal(0))
                requested[line] = max(requested.get(line, Decimal(0)) - used, Decimal(0))
        return {line: units - min(units, requested.get(line, Decimal(0))) for line, units in back.items()}

    async def _lower(
        self,
        job: Job,
        lines: Sequence[Mapping[str, Any]],
        taken_off: Mapping[int, Reduced],
        taxes: Taxes,
        reference: Reference,
    ) -> list[str]:
        """Order lines keep what is not refunded; in words, what was shipped before that could be done."""
        names, currency = await self.desk.names(), pick_currency(job.order, reference)
        rows, late = list[tuple[str, Row]](), list[str]()
        prefix = f"{MODULE}.{job.name}_line_"
        for wanted in job.order.lines:
            stands = standing(wanted.id, lines)
            if stands is None or not any(each["id"] in taken_off for each in standing_parts(wanted.id, lines)):
                continue
            taxed = [(tax.code, tax.amount) for tax in wanted.taxes]
            product = int(stands["product_id"][0])
            amounts = (product, wanted.quantity, wanted.net, taxed, wanted, wanted.kind, taxes, currency)
            whole = charge(f"{prefix}{wanted.id}", wanted.name, *amounts)
            for _, part in routing.parts_of(whole, routed(job), reference, currency.unit):
                stands = standing_at(part.external_id.partition(".")[2], lines)
                less = taken_off.get(int(stands["id"])) if stands is not None else None
                if stands is None or less is None:
                    continue
                aim = max(part.quantity - less.quantity, Decimal(0))
                shipped, now = decimal(stands["qty_delivered"]), decimal(stands["product_uom_qty"])
                if shipped > aim:
                    late.append(f"{(shipped - aim).normalize():f} × {wanted.name}")
                aim = max(aim, shipped)
                if now <= aim:
                    continue
                rows.append((stands["external_id"], lowered(part, less, aim)))
        await lower(self.desk, job, rows, currency, names)
        return late

    async def _pay_back(
        self, job: Job, refund: Refund, external_id: str, known: Mapping[str, int], reference: Reference
    ) -> dict[str, Any]:
        """The payment out, posted."""
        numbers = {external_id: known[external_id]} if external_id in known else {}
        if not numbers:
            assert refund.refunded_at is not None
            paid = next(payment for payment in job.order.payments if payment.paid_at is not None)
            words = f"refund {refund.id}"
            row = self.payments.row(job, paid.method, refund.amount, refund.refunded_at, words, reference)
            numbers = await self.payments.make({external_id: row}, "outbound")
        out = (await self.payments.post(numbers))[external_id]
        await self.payments.must_be_posted(job, out)
        return out


def _refunds(job: Job) -> list[Refund]:
    """All that the event tells, oldest first."""
    refunds = [Refund.model_validate(each) for each in job.item.data.get("refunds", ())]
    return sorted(refunds, key=lambda refund: (str(refund.refunded_at or ""), len(refund.id), refund.id))


def _counts(refund: Refund) -> bool:
    """Whether money was given back: known whole, not pending, more than nought."""
    return refund.is_whole and not refund.pending and refund.amount.amount > 0
