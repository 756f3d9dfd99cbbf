"""Money in Odoo: payments in and out, each once by its external id, and what they are matched with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo.client import QUIET
from counterfoil.connectors.odoo.errors import load_failed
from counterfoil.connectors.odoo.jobs import Desk, Job, decimal, many2one
from counterfoil.connectors.odoo.lookups import Reference, pick_currency, pick_journal
from counterfoil.connectors.odoo.translate import MODULE, Impossible, impossible
from counterfoil.hub.contract import Failure, Kind
from counterfoil.retail.money import Money, round_to
from counterfoil.retail.order import Payment


def owed(jobs: Sequence[Job]) -> dict[str, tuple[Job, Payment]]:
    """The payments that the shop says it has received, by the external id each has in Odoo."""
    return {
        f"{MODULE}.{payment_name(job, number)}": (job, payment)
        for job in jobs
        for number, payment in enumerate(job.order.payments)
        if payment.paid_at is not None and payment.amount.amount > 0
    }


def payment_name(job: Job, number: object) -> str:
    """The external id (without module) of the order's payment `number`."""
    return f"{job.name.replace('_order_', '_payment_', 1)}_{number}"


class Payments:
    """Recording and matching payments. Everything is looked at before it is done, so that a repeat changes nothing."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.client, self.lookups = desk, desk.client, desk.lookups

    async def record(self, jobs: Sequence[Job], known: Mapping[str, int]) -> None:
        """Record what the shop says it has received, once, under the payment's own external id."""
        payments = owed(jobs)
        if not payments:
            return
        reference = await self.lookups.reference()
        rows = {}
        for name, (job, payment) in payments.items():
            if name in known or job.outcome is not None:
                continue
            assert payment.paid_at is not None
            try:
                rows[name] = self.row(
                    job, payment.method, payment.amount, payment.paid_at, payment.reference, reference
                )
            except Impossible as no:
                job.outcome = no.outcome
        numbers = {**{n: known[n] for n in payments if n in known}, **await self.make(rows, "inbound")}
        states = await self.post(numbers)
        for name, (job, _) in payments.items():
            if name not in states or job.outcome is not None:
                continue
            job.payment = states[name]["name"] or str(states[name]["id"])
            try:
                await self.must_be_posted(job, states[name])
            except Impossible as no:
                job.outcome = no.outcome

    async def correct(self, jobs: Sequence[Job], known: Mapping[str, int]) -> None:
        """An amended order may have been paid otherwise: payments that stand there get the amount the shop says.

        Idempotent: what is written is the amount itself, and only where it differs; one left as a draft is posted
        by `record`. A payment that is matched with the bank is for a person.
        """
        numbers = {name: known[name] for name in owed(jobs) if name in known}
        if not numbers:
            return
        fields = ["name", "state", "amount", "is_matched"]
        rows = await self.client.call("account.payment", "read", ids=sorted(set(numbers.values())), fields=fields)
        standing = {row["id"]: row for row in rows}
        reference = await self.lookups.reference()
        for name, (job, payment) in owed(jobs).items():
            row = standing.get(numbers.get(name, 0))
            amount = round_to(payment.amount.amount, pick_currency(job.order, reference).unit)
            if row is None or decimal(row["amount"]) == amount:
                continue
            if row["is_matched"] and (row["state"] != "draft"):
                job.refuse(
                    "payment_differs",
                    f"The shop says {payment.amount} were paid for order {job.called}; the payment {row['name']} in "
                    f"Odoo is {row['amount']} and matched with the bank.",
                    "Record or give back the difference in Odoo, then resolve this.",
                )
                continue
            if row["state"] != "draft":
                await self.client.call("account.payment", "action_draft", ids=[row["id"]], context=QUIET)
            vals = {"amount": float(amount)}
            await self.client.call("account.payment", "write", ids=[row["id"]], vals=vals, context=QUIET)

    async def must_be_posted(self, job: Job, row: Mapping[str, Any]) -> None:
        """Raises Impossible for a payment that is not, a cancelled one say: it is not posted again behind backs."""
        if row["state"] not in (await self.desk.names()).payment_posted:
            raise impossible(
                "payment_not_posted",
                f"The payment {row['name'] or row['id']} of order {job.called} is {row['state']} in Odoo.",
                "Look at the payment in Odoo, post it or make another, then retry.",
            )

    def row(
        self, job: Job, method: str, amount: Money, at: datetime, words: str, reference: Reference
    ) -> tuple[str, ...]:
        """What `make` needs of one payment. Raises Impossible where the method has no journal."""
        currency = pick_currency(job.order, reference)
        return (
            str(job.state["partner_id"][0]),
            f"{round_to(amount.amount, currency.unit):f}",
            str(currency.id),
            str(pick_journal(method, reference, self.lookups.rules)),
            " ".join(filter(None, (job.state["name"], job.order.number, words))),
            at.astimezone(UTC).strftime("%Y-%m-%d"),
        )

    async def make(self, rows: Mapping[str, Sequence[str]], direction: str) -> dict[str, int]:
        """Insert payments by external id, `direction` inbound or outbound; their numbers. Raises Failure."""
        if not rows:
            return {}
        names = await self.desk.names()
        fields = ["id", "partner_id/.id", "amount", "currency_id/.id", "journal_id/.id", names.payment_memo, "date"]
        fields += ["payment_type", "partner_type"]
        matrix = [[name, *row, direction, "customer"] for name, row in rows.items()]
        ids, messages = await self.client.load("account.payment", fields, matrix)
        if messages:
            raise Failure(load_failed(messages))
        return dict(zip(rows, ids, strict=True))

    async def post(self, numbers: Mapping[str, int]) -> dict[str, dict[str, Any]]:
        """Post the drafts among these payments; all of them as they stand then."""
        states = await self._read(numbers)
        drafts = {row["id"]: many2one(row["move_id"]) for row in states.values() if row["state"] == "draft"}
        if not drafts:
            return states
        # posting what another hub has posted meanwhile changes nothing
        await self.desk.post("account.payment", list(drafts), list(drafts.values()))
        return await self._read(numbers)

    async def _read(self, numbers: Mapping[str, int]) -> dict[str, dict[str, Any]]:
        if not numbers:
            return {}
        fields = ["name", "state", "move_id"]
        rows = await self.client.call("account.payment", "read", ids=sorted(set(numbers.values())), fields=fields)
        by_id = {row["id"]: row for row in rows}
        return {name: by_id[number] for name, number in numbers.items() if number in by_id}

    async def of_order(self, job: Job) -> list[dict[str, Any]]:
        """The payments received for an order, found by their external ids."""
        prefix = payment_name(job, "")
        domain = [["module", "=", MODULE], ["model", "=", "account.payment"], ["name", "=like", f"{prefix}%"]]
        rows = await self.client.search_read("ir.model.data", domain, ["name", "res_id"])
        # an underscore stands for any character in =like
        numbers = {row["name"]: row["res_id"] for row in rows if row["name"].startswith(prefix)}
        return list((await self._read(numbers)).values())

    # --- matching -------------------------------------------------------------------------------------------

    async def settle(self, jobs: Sequence[Job]) -> None:
        """What was invoiced before it was paid is paid by the payment that has come since. Looks at what is open."""
        for job in jobs:
            if not (job.payment and job.state["invoice_ids"]):
                continue
            domain = [["id", "in", job.state["invoice_ids"]], ["state", "=", "posted"]]
            rows = await self.client.search_read("account.move", domain, ["amount_residual"])
            open_ = [row["id"] for row in rows if decimal(row["amount_residual"])]
            if open_:
                await self.pay(await self.of_order(job), open_)

    async def match(self, groups: Sequence[Sequence[int]]) -> None:
        """Reconcile what is open between entries (account.move numbers): each group among itself, one after another.

        Idempotent by what is open: matched lines have nothing left to match, so a repeat does nothing.
        """
        for group in groups:
            for debit, credit in _pairs(await self._open_lines([entry for entry in group if entry])):
                await self._assign(debit["move_id"][0], credit["id"])

    async def _assign(self, entry: int, line: int) -> None:
        try:
            await self.client.call(
                "account.move", "js_assign_outstanding_line", ids=[entry], line_id=line, context=QUIET
            )
        except Failure as failure:
            # another hub was faster; what is really left open is seen by who reads it back
            if failure.outcome.kind is not Kind.REJECTED:
                raise

    async def _open_lines(self, entries: Sequence[int]) -> list[dict[str, Any]]:
        if not entries:
            return []
        receivable = list((await self.desk.names()).receivable)
        domain = [["move_id", "in", list(entries)], receivable, ["parent_state", "=", "posted"]]
        fields = ["move_id", "account_id", "amount_residual", "amount_residual_currency", "reconciled"]
        rows = await self.client.search_read("account.move.line", domain, fields, order="id")
        return [row for row in rows if not row["reconciled"] and _residual(row)]

    async def pay(self, payments: Sequence[Mapping[str, Any]], invoices: Sequence[int]) -> None:
        """Have these payments (as `of_order` gives them) pay these invoices."""
        names = await self.desk.names()
        for payment in payments:
            if many2one(payment["move_id"]) or not invoices or payment["state"] not in names.payment_posted:
                continue
            # without an outstanding account a payment has no entry until the bank statement: it is linked instead
            if names.payment_invoices:
                known = await self.client.call(
                    "account.payment", "read", ids=[payment["id"]], fields=[names.payment_invoices]
                )
                missing = [[4, number] for number in invoices if number not in known[0][names.payment_invoices]]
                if missing:
                    values = {names.payment_invoices: missing}
                    await self.client.call("account.payment", "write", ids=[payment["id"]], vals=values, context=QUIET)
        await self.match([[*(many2one(payment["move_id"]) for payment in payments), *invoices]])


def _residual(line: Mapping[str, Any]) -> Decimal:
    return decimal(line["amount_residual_currency"]) or decimal(line["amount_residual"])


def _pairs(lines: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Debits with credits of the same account, oldest first, as long as something of both is left."""
    pairs = []
    left = {line["id"]: abs(_residual(line)) for line in lines}
    for debit in (line for line in lines if _residual(line) > 0):
        for credit in (line for line in lines if _residual(line) < 0):
            part = min(left[debit["id"]], left[credit["id"]])
            if part > 0 and debit["account_id"] == credit["account_id"]:
                pairs.append((debit, credit))
                left[debit["id"]] -= part
                left[credit["id"]] -= part
    return pairs
