"""Credit notes in Odoo: made once by external id, compared to the cent, posted; and invoices taken back by one.

A line that is linked to its order line lowers what Odoo holds to be invoiced, one that is not leaves it alone. It is
linked exactly where the order line's own quantity goes down as well: else Odoo would invoice the goods once more
(sale/models/sale_order_line.py, _compute_qty_invoiced, says the same of refunds).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo.client import QUIET
from counterfoil.connectors.odoo.errors import load_failed
from counterfoil.connectors.odoo.jobs import Desk, Job, decimal, many2one
from counterfoil.connectors.odoo.translate import MODULE, Currency, Row, below, impossible, outside_taxes
from counterfoil.hub.contract import Failure, Kind
from counterfoil.retail.money import round_to, smallest_unit

HEAD = ["id", "move_type", "partner_id/.id", "partner_shipping_id/.id", "currency_id/.id"]
HEAD += ["invoice_origin", "ref", "invoice_date", "reversed_entry_id/.id"]
LINE = ["id", "product_id/.id", "name", "quantity", "price_unit", "discount", "tax_ids/.id", "sale_line_ids/.id"]
NOT_CHARGED = ("line_section", "line_subsection", "line_note")


@dataclass(frozen=True, slots=True)
class CreditLine:
    """One line of a credit note; `sale_line` is the order line it is linked to, 0 for none."""

    row: Row
    sale_line: int = 0


@dataclass(frozen=True, slots=True)
class CreditNote:
    """A credit note to be. `dated` is an ISO date; `reverses` the invoice it takes back, 0 where there is none."""

    external_id: str
    dated: str
    reference: str
    reverses: int
    total: Decimal
    currency: Currency
    lines: tuple[CreditLine, ...]


class Credits:
    """Makes and posts credit notes."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.client, self.lookups = desk, desk.client, desk.lookups

    async def make(self, job: Job, note: CreditNote) -> int:
        """Insert the credit note, as a draft; its number. One that exists is left as it is. Raises Failure."""
        names = await self.desk.names()
        head = self._head(job, note.external_id, note.currency.id, note.dated, note.reference, note.reverses)
        # Odoo reckons with a price before it cuts it, and once more after a change: so that nothing moves, cut here
        step = Decimal(1).scaleb(-await self.client.price_digits()) if names.rounds_price_unit else Decimal(0)
        rows = []
        for line in note.lines:
            row = line.row
            price = round_to(row.price_unit, step) if step else row.price_unit
            values = [row.external_id, str(row.product), row.name, f"{row.quantity:f}", f"{price:f}", "0"]
            values += [",".join(str(tax) for tax in row.taxes), str(line.sale_line or "")]
            rows.append(values + ([outside_taxes(row, note.currency)] if names.outside_taxes else []))
        number = await self._load(below(head, rows), [*LINE, "extra_tax_data"] if names.outside_taxes else LINE)
        await self.name_lines(number, [line.row.external_id for line in note.lines])
        return number

    async def name_lines(self, number: int, external_ids: Sequence[str]) -> None:
        """Give an entry's lines their external ids where `load()` does not keep them (14, 15): those without one, in
        the order of the rows they were made from. Idempotent: a line that has one keeps it."""
        if (await self.desk.names()).entry_lines_named:
            return
        domain = [["move_id", "=", number], ["product_id", "!=", False], ["exclude_from_invoice_tab", "=", False]]
        lines = [row["id"] for row in await self.client.search_read("account.move.line", domain, ["id"], order="id")]
        known = await self.desk.names_of("account.move.line", lines)
        values = [
            {"module": MODULE, "name": name.partition(".")[2], "model": "account.move.line", "res_id": line}
            for line, name in zip(lines, external_ids, strict=False)
            if line not in known
        ]
        if values:
            vals_list = [each | {"noupdate": True} for each in values]
            await self.client.call("ir.model.data", "create", vals_list=vals_list)

    def _head(self, job: Job, external_id: str, currency: int, dated: str, reference: str, reverses: int) -> list[str]:
        partner, ship_to = job.state["partner_invoice_id"][0], job.state["partner_shipping_id"][0]
        values = [external_id, "out_refund", str(partner), str(ship_to), str(currency)]
        return [*values, job.state["name"], reference, dated, str(reverses or "")]

    async def _load(self, rows: list[list[str]], columns: Sequence[str]) -> int:
        fields = HEAD + [f"invoice_line_ids/{name}" for name in columns]
        ids, messages = await self.client.load("account.move", fields, rows)
        if messages:
            raise Failure(load_failed(messages))
        return ids[0]

    async def read(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Invoices and credit notes by number, oldest first."""
        if not numbers:
            return []
        fields = ["name", "state", "move_type", "amount_total", "amount_residual", "payment_state", "currency_id"]
        fields += ["create_uid", "reversed_entry_id", "invoice_line_ids", "invoice_date"]
        rows = await self.client.search_read("account.move", [["id", "in", list(numbers)]], fields, order="id")
        return rows

    async def of_order(self, job: Job) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """(invoices, credit notes) of an order, oldest first; a credit note by its line, its invoice or its origin."""
        linked = await self.read(job.state["invoice_ids"])
        invoices = [move for move in linked if move["move_type"] == "out_invoice"]
        about: list[Any] = [["invoice_origin", "=", job.state["name"]]]
        if invoices:
            about = ["|", *about, ["reversed_entry_id", "in", [move["id"] for move in invoices]]]
        domain = [["move_type", "=", "out_refund"], *about]
        beside = {row["id"] for row in await self.client.search_read("account.move", domain, ["id"])}
        notes = [move for move in linked if move["move_type"] == "out_refund"]
        notes += await self.read(sorted(beside - {move["id"] for move in notes}))
        return invoices, sorted(notes, key=lambda move: int(move["id"]))

    async def post(self, number: int, total: Decimal, unit: Decimal, what: str) -> dict[str, Any]:
        """Post a draft once it comes to `total`; how it stands then. `what` names it for people.

        Idempotent: a posted one stays. Where Odoo computes taxes itself, what it is off within the tolerance goes
        to a rounding line first. Raises Impossible, and leaves the draft, where it is off by more.
        """
        [move] = await self.read([number])
        if move["state"] == "draft" and decimal(move["amount_total"]) != total:
            await self._round(number, total - decimal(move["amount_total"]), unit)
            [move] = await self.read([number])
        if decimal(move["amount_total"]) != total:
            raise impossible(
                "total_differs",
                f"The {what} in Odoo ({move['name'] or 'draft'}) comes to {move['amount_total']} instead of {total}.",
                "See what in Odoo changes prices or taxes; correct the draft or delete it, then retry.",
            )
        if move["state"] == "draft":
            await self._post(number)
            [move] = await self.read([number])
        if move["state"] != "posted":
            raise impossible(
                "not_posted",
                f"The {what} in Odoo ({move['name'] or 'draft'}) is {move['state']}.",
                "Post it in Odoo by hand, or delete it and retry.",
            )
        return move

    async def _post(self, number: int) -> None:
        try:
            await self.desk.post("account.move", [number], [number])
        except Failure as failure:
            if failure.outcome.kind is not Kind.REJECTED:
                raise
            [move] = await self.read([number])
            if move["state"] != "posted":  # else another hub posted it meanwhile: that is why Odoo refused
                raise

    async def _round(self, number: int, difference: Decimal, unit: Decimal) -> None:
        names = await self.desk.names()
        if names.outside_taxes or abs(difference) > self.lookups.rules.tolerance * unit:
            return
        product = (await self.lookups.reference()).services["rounding"]
        values = {"product_id": product, "name": "Rounding", "quantity": 1.0, "price_unit": float(difference)}
        lines = [[0, 0, {**values, "tax_ids": [[6, 0, []]]}]]
        vals = {"invoice_line_ids": lines}
        await self.client.call("account.move", "write", ids=[number], vals=vals, context=QUIET)

    async def take_all_back(self, job: Job) -> list[list[int]]:
        """Take back each posted invoice of the order that is not taken back yet; [invoice, credit note] for each.

        Raises Impossible where a part of one was credited already: what is left is for a person.
        """
        if not job.state["invoice_ids"]:
            return []
        invoices, notes = await self.of_order(job)
        posted = [note for note in notes if note["state"] == "posted"]
        pairs = []
        for invoice in (move for move in invoices if move["state"] == "posted"):
            beside = [n for n in posted if many2one(n["reversed_entry_id"]) in (0, invoice["id"])]
            credited = sum((decimal(note["amount_total"]) for note in beside), Decimal(0))
            if not credited:
                pairs.append([invoice["id"], (await self.take_back(job, invoice))["id"]])
            elif credited < decimal(invoice["amount_total"]):
                raise impossible(
                    "partly_credited",
                    f"Invoice {invoice['name']} of order {job.called} was credited in part already "
                    f"({credited} of {invoice['amount_total']}).",
                    "Credit the rest of it in Odoo by hand, then retry.",
                )
        return pairs

    async def take_back(self, job: Job, invoice: dict[str, Any]) -> dict[str, Any]:
        """A posted invoice is taken back as a whole: a credit note of the same lines, linked like they are, posted.

        Once by the external id `counterfoil.<order>_reversal_<invoice>`. Raises Failure, Impossible.
        """
        names = await self.desk.names()
        external_id = f"{job.external_id}_reversal_{invoice['id']}"
        known = await self.lookups.external_ids([external_id], "account.move")
        number = known.get(external_id, 0)
        if not number:
            fields = ["product_id", "name", "quantity", "price_unit", "discount", "tax_ids", "sale_line_ids"]
            fields += ["account_id", "display_type", *(["extra_tax_data"] if names.outside_taxes else [])]
            domain = [["id", "in", invoice["invoice_line_ids"]]]
            lines = await self.client.search_read("account.move.line", domain, fields, order="id")
            rows = [
                [
                    f"{external_id}_line_{line['id']}",
                    str(many2one(line["product_id"]) or ""),
                    line["name"] or "",
                    str(line["quantity"]),
                    repr(line["price_unit"]),
                    str(line["discount"]),
                    ",".join(str(tax) for tax in line["tax_ids"]),
                    ",".join(str(each) for each in line["sale_line_ids"]),
                    *(
                        [json.dumps(line["extra_tax_data"]) if line["extra_tax_data"] else ""]
                        if names.outside_taxes
                        else []
                    ),
                    str(line["account_id"][0]),
                ]
                for line in lines
                if line["display_type"] not in NOT_CHARGED
            ]
            columns = [*LINE, *(["extra_tax_data"] if names.outside_taxes else []), "account_id/.id"]
            dated = str(invoice["invoice_date"] or "")
            reference = f"{job.called}: {invoice['name']}"
            head = self._head(job, external_id, invoice["currency_id"][0], dated, reference, invoice["id"])
            number = await self._load(below(head, rows), columns)
        unit = smallest_unit(str(invoice["currency_id"][1]))
        return await self.post(number, decimal(invoice["amount_total"]), unit, "credit note")
