"""What keeps the Odoo stand-in quick with thousands of records: who points to whom, texts, and times of writing.

An index narrows down what a domain has to be tested on; it never decides by itself.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Any

from counterfoil_sandbox.odoo_schema import SCHEMA, Row

Key = tuple[str, str]
# Beside all many2one fields that have a one2many on the other side.
LINKS: tuple[Key, ...] = (
    ("account.move", "partner_id"),
    ("account.move.line", "account_id"),
    ("account.move.line", "partner_id"),
    ("account.move.line", "sale_line_ids"),
    ("account.partial.reconcile", "credit_move_id"),
    ("account.partial.reconcile", "debit_move_id"),
    ("account.payment", "partner_id"),
    ("ir.attachment", "res_id"),
    ("ir.model.data", "res_id"),
    ("mail.message", "res_id"),
    ("product.product", "product_template_attribute_value_ids"),
    ("res.partner", "commercial_partner_id"),
    ("sale.order", "partner_id"),
    ("sale.order.line", "product_id"),
    ("stock.move", "move_orig_ids"),
    ("stock.move", "product_id"),
    ("stock.move.line", "product_id"),
    ("stock.quant", "location_id"),
    ("stock.quant", "product_id"),
)
OPEN_MOVE = ("waiting", "confirmed", "assigned", "partially_available")
INVERSE: dict[Key, Key] = {("sale.order.line", "invoice_lines"): ("account.move.line", "sale_line_ids")}
TEXTS: tuple[Key, ...] = (
    ("account.move", "invoice_origin"),
    ("account.move", "name"),
    ("account.move", "ref"),
    ("account.payment", "memo"),
    ("account.payment", "name"),
    ("ir.model.data", "name"),
    ("product.product", "barcode"),
    ("product.product", "default_code"),
    ("product.template", "default_code"),
    ("res.partner", "email"),
    ("res.partner", "email_normalized"),
    ("res.partner", "ref"),
    ("res.partner", "vat"),
    ("sale.order", "client_order_ref"),
    ("sale.order", "name"),
    ("sale.order", "origin"),
    ("stock.picking", "name"),
    ("stock.picking", "origin"),
)


def _known(key: Key) -> bool:
    return key[0] in SCHEMA and key[1] in SCHEMA[key[0]]["fields"]


def _awaited(move: Row | None) -> Any:
    return move["product_id"] if move and move["state"] in OPEN_MOVE else None


class Index:
    """Kept by the store at every change of a row."""

    def __init__(self, rows: dict[str, dict[int, Row]]) -> None:
        self._rows = rows
        # (model, field) -> value -> ids in order of coming
        self.links: dict[Key, dict[int, dict[int, None]]] = {key: {} for key in LINKS if _known(key)}
        for spec in SCHEMA.values():
            for field in spec["fields"].values():
                key = (field.get("relation", ""), field.get("relation_field", ""))
                if field["type"] == "one2many" and key[0] in SCHEMA and key[1] in SCHEMA[key[0]]["fields"]:
                    self.links.setdefault(key, {})
        self.texts: dict[Key, dict[str, dict[int, None]]] = {key: {} for key in TEXTS if _known(key)}
        self.open_moves: dict[int, dict[int, None]] = {}  # product -> moves that are neither draft, done nor cancelled
        self.stamps: dict[str, list[tuple[str, int]]] = {model: [] for model in SCHEMA}
        self._links_of = {model: [f for m, f in self.links if m == model] for model in SCHEMA}
        self._texts_of = {model: [f for m, f in self.texts if m == model] for model in SCHEMA}

    def move(self, model: str, number: int, old: Row | None, new: Row | None) -> None:
        """A row comes (old None), changes or goes (new None)."""
        for field in self._links_of[model]:
            before, after = old[field] if old else None, new[field] if new else None
            if before != after:
                self._swap(self.links[model, field], number, before, after)
        for field in self._texts_of[model]:
            before, after = old[field] if old else None, new[field] if new else None
            if before != after:
                self._swap(self.texts[model, field], number, before and before.casefold(), after and after.casefold())
        if model == "stock.move":
            before, after = _awaited(old), _awaited(new)
            if before != after:
                self._swap(self.open_moves, number, before, after)
        if new and (not old or old["write_date"] != new["write_date"]):
            entry, stamps = (new["write_date"] or "", number), self.stamps[model]
            if not stamps or entry >= stamps[-1]:
                stamps.append(entry)
            else:
                insort(stamps, entry)

    @staticmethod
    def _swap(table: dict[Any, dict[int, None]], number: int, before: Any, after: Any) -> None:
        for value in before if isinstance(before, list) else [before] if before else []:
            found = table.get(value)
            if found is not None:
                found.pop(number, None)
        for value in after if isinstance(after, list) else [after] if after else []:
            table.setdefault(value, {})[number] = None

    def tidy(self) -> None:
        """Forget times of writing that are past; only while nothing waits to be undone."""
        for model, stamps in self.stamps.items():
            table = self._rows[model]
            if len(stamps) > 1000 + 2 * len(table):
                kept = {(table[i]["write_date"] or "", i) for _stamp, i in stamps if i in table}
                self.stamps[model] = sorted(kept)

    def candidates(self, model: str, domain: Any) -> Iterable[int]:
        """Ids worth testing against the domain, in order of coming."""
        stack: list[list[int] | None] = []
        for token in reversed(domain):
            if token == "!" and stack:
                stack[-1] = None
            elif token in ("&", "|") and len(stack) > 1:
                stack.append((self._fewer if token == "&" else self._both)(stack.pop(), stack.pop()))
            elif isinstance(token, (list, tuple)) and len(token) == 3:
                stack.append(self._leaf(model, *token))
        best: list[int] | None = None
        for found in stack:  # what nothing connects must all hold
            best = self._fewer(best, found)
        table = self._rows[model]
        return list(table) if best is None else [i for i in best if i in table]

    @staticmethod
    def _fewer(one: list[int] | None, other: list[int] | None) -> list[int] | None:
        if one is None or other is None:
            return other if one is None else one
        return one if len(one) <= len(other) else other

    @staticmethod
    def _both(one: list[int] | None, other: list[int] | None) -> list[int] | None:
        return None if one is None or other is None else sorted({*one, *other})

    def _leaf(self, model: str, field: Any, op: Any, value: Any) -> list[int] | None:
        """Ids that may fulfil one condition; None if no index can tell."""
        if field == "write_date" and op in (">", ">=") and isinstance(value, str):
            stamps = self.stamps[model]
            return sorted({i for _stamp, i in stamps[bisect_left(stamps, (value, 0)) :]})
        wanted = value if isinstance(value, (list, tuple)) else [value]
        first, _, rest = str(field).partition(".")
        if rest:
            return self._through(model, first, rest, op, value)
        if op == "=ilike" and (model, field) in self.texts and isinstance(value, str):
            if any(joker in value for joker in "%_\\"):
                return None
            return list(self.texts[model, field].get(value.casefold(), ()))
        if op not in ("=", "in") or not wanted:
            return None
        if (model, field) in self.texts and all(isinstance(v, str) and v for v in wanted):
            table = self.texts[model, field]
            return [i for text in dict.fromkeys(v.casefold() for v in wanted) for i in table.get(text, ())]
        if not all(type(v) is int for v in wanted):
            return None
        if field == "id":
            return list(dict.fromkeys(wanted))
        return self._of((model, field), wanted) if (model, field) in self.links else None

    def _through(self, model: str, first: str, rest: str, op: Any, value: Any) -> list[int] | None:
        """The same for a condition on the records behind a field."""
        spec = SCHEMA[model]["fields"].get(first, {})
        relation = spec.get("relation", "")
        backwards = INVERSE.get((model, first)) or (relation, spec.get("relation_field", ""))
        if relation not in SCHEMA or not ((model, first) in self.links or backwards in self.links):
            return None
        inner = self._leaf(relation, rest, op, value)
        if inner is None:
            return None
        if (model, first) in self.links:
            return self._of((model, first), inner)
        found: dict[int, None] = {}
        table = self._rows[relation]
        for number in inner:
            points = table[number][backwards[1]] if number in table else False
            found |= dict.fromkeys(points if isinstance(points, list) else [points] if points else [])
        return list(found)

    def _of(self, key: Key, numbers: Iterable[int]) -> list[int]:
        index = self.links[key]
        return list(dict.fromkeys(i for number in dict.fromkeys(numbers) for i in index.get(number, ())))
