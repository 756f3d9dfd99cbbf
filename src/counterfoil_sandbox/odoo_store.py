"""The Odoo stand-in's tables: a small ORM in memory with domains, ordering, undo and external ids.

A row is never changed in place: `put` replaces it and remembers the old one, which is all a rollback needs.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from counterfoil_sandbox.odoo_domains import compile_domain, leaves
from counterfoil_sandbox.odoo_index import Index
from counterfoil_sandbox.odoo_schema import (
    AFTER_SAVE,
    BEFORE_CREATE,
    BEFORE_UNLINK,
    BEFORE_WRITE,
    CASCADE,
    COMPUTED,
    EMPTY,
    HIDDEN,
    MAGIC,
    SCHEMA,
    OdooError,
    Row,
    database_error,
    missing_error,
    required_error,
    user_error,
    value_error,
)
from counterfoil_sandbox.odoo_values import converted

STAMPS = ("create_date", "write_date")
COMMA_FIELD = re.compile(r"^\s*([a-z_0-9.]+)(?:\s+(asc|desc))?\s*$", re.IGNORECASE)


class Store:
    """All records, and the context of the call at work (user, context, importing or not)."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[int, Row]] = {model: {} for model in SCHEMA}
        self.last_id: dict[str, int] = dict.fromkeys(SCHEMA, 0)
        self.sequences: dict[str, int] = {}
        self.missing: set[str] = set()
        self.refused: set[str] = set()  # models the calling user has no right to
        self.context: dict[str, Any] = {}
        self.uid = 2
        self.importing = ""  # module of external ids during load()
        self.before_ref: Callable[[str], None] = lambda _xmlid: None  # makes the rows of a load() seen so far
        self.stale_orders: set[int] = set()
        self.stale_invoices: set[int] = set()
        self.stale_templates: set[int] = set()
        self.highest: dict[str, int] = {}  # last number given in a series of invoices
        self.settle: Callable[[Store], None] = lambda _store: None
        self.xmlids: dict[tuple[str, str], int] = {}
        self._undo: list[tuple[str, int, Row | None]] = []
        self._orders: dict[str, Any] = {}
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._moment: datetime | None = None
        self.memo: dict[Any, Any] = {}  # what was computed since the last change of anything
        self.index = Index(self.rows)
        self.children = self.index.links  # (child model, its many2one) -> parent id -> child ids

    # Tables and undo

    def begin(self) -> None:
        """A transaction starts now: everything it writes bears this time, however long it lasts."""
        self._moment = self.clock()

    def end(self) -> None:
        """The transaction is over."""
        self._moment = None

    def stamp(self) -> str:
        """The start of this transaction as the columns write_date and create_date keep it, with microseconds."""
        return (self._moment or self.clock()).strftime("%Y-%m-%d %H:%M:%S.%f")

    def now(self) -> str:
        """The time of this transaction, UTC, whole seconds, as Odoo writes it into other fields."""
        return self.stamp()[:19]

    def today(self) -> str:
        """The day of this transaction."""
        return self.stamp()[:10]

    def put(self, model: str, record_id: int, row: Row | None) -> None:
        """Set or delete (None) one row; the only way anything changes."""
        table = self.rows[model]
        old = table.get(record_id)
        self._undo.append((model, record_id, old))
        self.memo.clear()
        self.index.move(model, record_id, old, row)
        if model == "ir.model.data":
            if old:
                self.xmlids.pop((old["module"], old["name"]), None)
            if row:
                self.xmlids[row["module"], row["name"]] = record_id
        if row is None:
            table.pop(record_id, None)
        else:
            table[record_id] = row

    def mark(self) -> int:
        """A point to roll back to."""
        return len(self._undo)

    def written(self, model: str) -> list[int]:
        """The model's records that this transaction has written so far, each once."""
        return list(dict.fromkeys(number for table, number, _ in self._undo if table == model))

    def rollback(self, mark: int = 0) -> None:
        """Undo everything since `mark`; numbers once given are not given again, as with PostgreSQL."""
        while len(self._undo) > mark:
            model, record_id, old = self._undo.pop()
            self.put(model, record_id, old)
            self._undo.pop()
        self.stale_orders &= self.rows["sale.order"].keys()
        self.stale_invoices &= self.rows["account.move"].keys()
        self.stale_templates &= self.rows["product.template"].keys()

    def commit(self) -> None:
        """Keep everything done so far."""
        self.flush()
        self._undo.clear()
        self.index.tidy()

    def flush(self) -> None:
        """Compute what waits to be computed: totals and statuses of invoices and orders."""
        if self.stale_orders or self.stale_invoices or self.stale_templates:
            self.settle(self)

    # Fields

    def fields(self, model: str) -> dict[str, Row]:
        """Definitions of the model's fields, by name."""
        fields: dict[str, Row] = SCHEMA[model]["fields"]
        return fields

    def relation(self, model: str, field: str) -> str:
        """The model a field points to; '' if that is not part of the stand-in."""
        target = self.fields(model)[field].get("relation", "")
        return target if target in SCHEMA else ""

    def value(self, model: str, row: Row, field: str) -> Any:
        """Raw value: many2one as id or False, x2many as list of ids."""
        computed = COMPUTED.get((model, field))
        if computed:
            return computed(self, row)
        spec = self.fields(model)[field]
        if spec["type"] == "one2many":
            index = self.children.get((spec["relation"], spec.get("relation_field", "")))
            if index is None:  # of a model that is not part of the stand-in
                return []
            return self.sorted(spec["relation"], self._seen(spec["relation"], index.get(row["id"], ())))
        return row.get(field, False)

    def _seen(self, model: str, ids: Iterable[int]) -> list[int]:
        if "active" not in self.fields(model) or not self.context.get("active_test", True):
            return list(ids)
        table = self.rows[model]
        return [i for i in ids if table[i]["active"]]

    def display_name(self, model: str, record_id: int) -> str:
        """What a person sees for a record."""
        row = self.rows[model].get(record_id)
        if row is None:
            return ""
        computed = COMPUTED.get((model, "display_name"))
        return str(computed(self, row) if computed else row.get("name") or f"{model},{record_id}")

    def shown(self, model: str, row: Row, field: str, load: str | None = "_classic_read") -> Any:
        """A value as `read` answers it."""
        if field == "display_name":
            return self.display_name(model, row["id"])
        value = self.value(model, row, field)
        if self.fields(model)[field]["type"] == "many2one" and value and load:
            target = self.relation(model, field)
            return [value, self.display_name(target, value)] if target else False
        if field in STAMPS and value:
            return value[:19]  # the column has microseconds, the answer has not
        return list(value) if isinstance(value, list) else value

    # Searching

    def search(
        self, model: str, domain: Any, offset: int = 0, limit: int | None = None, order: str | None = None
    ) -> list[int]:
        """Ids that match, in the model's order or the one asked for."""
        self.flush()
        names = {leaf[0] for leaf in leaves(domain)} if isinstance(domain, (list, tuple)) else set()
        if model in HIDDEN and not names & set(HIDDEN[model][0]):
            domain = [HIDDEN[model][1], *domain]
        test = compile_domain(self, model, domain)
        table = self.rows[model]
        hidden = "active" in self.fields(model) and "active" not in names and self.context.get("active_test", True)
        rows = (table[i] for i in self._in_reach(model, domain, order))
        matching = (row["id"] for row in rows if (not hidden or row["active"]) and test(row))
        if order == "id":
            return list(itertools.islice(matching, offset, offset + limit if limit else None))
        found = self.sorted(model, matching, order)
        return found[offset : offset + limit if limit else None]

    def _in_reach(self, model: str, domain: Any, order: str | None) -> Iterable[int]:
        """Ids worth testing; by number, and from the number asked for on, for those who walk through a table."""
        found = self.index.candidates(model, domain)
        if order != "id":
            return found
        numbers = sorted(found)
        first = 0
        if not any(token in ("|", "!") for token in domain if isinstance(token, str)):
            for leaf in leaves(domain):
                if leaf[0] == "id" and leaf[1] in (">", ">=") and type(leaf[2]) is int:
                    first = max(first, leaf[2])
        return numbers[bisect.bisect_left(numbers, first) :]

    def sorted(self, model: str, ids: Iterable[int], order: str | None = None) -> list[int]:
        """`ids` in the given order (SQL-like), nulls last when ascending, as PostgreSQL."""
        result = list(ids)
        if len(result) < 2 and not order:
            return result
        table = self.rows[model]
        for getter, backwards in reversed(self._order_terms(model, order or SCHEMA[model]["order"])):
            result.sort(key=lambda i, getter=getter: getter(table[i]), reverse=backwards)
        return result

    def _order_terms(self, model: str, order: str) -> list[tuple[Callable[[Row], Any], bool]]:
        cached = self._orders.get(f"{model}:{order}")
        if cached is not None:
            return cached
        terms: list[tuple[Callable[[Row], Any], bool]] = []
        for part in order.split(","):
            match = COMMA_FIELD.match(part)
            if not match:
                raise user_error(
                    f'Invalid "order" specified ({order}). A valid "order" specification is a comma-separated list '
                    "of valid field names (optionally followed by asc/desc for the direction)"
                )
            field, backwards = match[1], (match[2] or "").lower() == "desc"
            if field not in self.fields(model):
                raise value_error(f"Invalid field {field!r} on model {model!r}")
            target = self.relation(model, field) if self.fields(model)[field]["type"] == "many2one" else ""
            if target:
                table = self.rows[target]
                for getter, reverse in self._order_terms(target, SCHEMA[target]["order"]):
                    terms.append((_through(table, field, getter), reverse != backwards))
            else:
                terms.append((self._plain_key(model, field), backwards))
        self._orders[f"{model}:{order}"] = terms
        return terms

    def _plain_key(self, model: str, field: str) -> Callable[[Row], Any]:
        nullable = self.fields(model)[field]["type"] not in EMPTY
        if (model, field) in COMPUTED:
            return lambda row: (False, self.value(model, row, field) or "")
        if nullable:
            return lambda row: (row[field] is False, row[field] or "")
        return lambda row: (False, row[field])

    # Reading

    def read(
        self, model: str, ids: Sequence[int], fields: Sequence[str] | None, load: str | None = "_classic_read"
    ) -> list[Row]:
        """Values of the records that still exist, in the order asked for."""
        self.flush()
        known = self.fields(model)
        names = list(dict.fromkeys(fields)) if fields else list(known)
        for name in names:
            if name not in known:
                raise value_error(f"Invalid field {name!r} on {model!r}")
        table = self.rows[model]
        return [
            {"id": i, **{name: self.shown(model, table[i], name, load) for name in names if name != "id"}}
            for i in ids
            if i in table
        ]

    # Writing

    def check_access(self, model: str, operation: str) -> None:
        """Raises AccessError (403) in the words of the real server if the user may not."""
        if model not in self.refused:
            return
        verb = {"read": "access", "write": "modify", "create": "create", "unlink": "delete"}[operation]
        label = SCHEMA[model]["name"]
        groups = ["Sales/Administrator", "Sales/User: Own Documents Only"] if model.startswith("sale.") else []
        allowed = "No group currently allows this operation."
        if groups:
            allowed = "This operation is allowed for the following groups:\n\t- " + "\n\t- ".join(groups)
        message = (
            f"You are not allowed to {verb} '{label}' ({model}) records.\n\n{allowed}\n\n"
            "Contact your administrator to request access if necessary."
        )
        raise OdooError(403, "odoo.exceptions.AccessError", message)

    def create(self, model: str, given: Row, *, nested: bool = False) -> int:
        """One new record with defaults, required fields and one2many lines; its id."""
        self.check_access(model, "create")
        known = self.fields(model)
        for name in given:
            if name not in known:
                where = f"on model {model!r}" if nested else f"in {model!r}"
                raise value_error(f"Invalid field {name!r} {where}")
        vals = {name: value for name, value in given.items() if name not in MAGIC}
        if model in BEFORE_CREATE:
            BEFORE_CREATE[model](self, vals)
        record_id = self.last_id[model] = self.last_id[model] + 1
        moment = self.stamp()
        row: Row = {
            name: [] if spec["type"] in ("many2many", "one2many") else EMPTY.get(spec["type"], False)
            for name, spec in known.items()
        }
        row |= {"create_uid": self.uid, "create_date": moment, "write_uid": self.uid, "write_date": moment}
        row["id"] = record_id
        lines = {}
        for name, value in self._money_last(model, vals):
            if known[name]["type"] == "one2many":
                lines[name] = value
            else:
                row[name] = self.converted(model, name, value, row)
        self._check_required(model, row)
        self.put(model, record_id, row)
        for name, commands in lines.items():
            self._write_lines(model, record_id, name, commands)
        if model in AFTER_SAVE:
            AFTER_SAVE[model](self, self.rows[model][record_id], set(known))
        if self.importing and isinstance(given.get("id"), str):
            self.set_xmlid(given["id"], model, record_id)
        return record_id

    def write(self, model: str, ids: Sequence[int], given: Row) -> None:
        """Change records; raises MissingError if one is gone."""
        self.check_access(model, "write")
        known = self.fields(model)
        for name in given:
            if name not in known and model == "res.partner":  # overridden there, and looks the field up itself
                raise OdooError(500, "builtins.KeyError", name)
            if name not in known:
                raise value_error(f"Invalid field {name!r} in {model!r}")
        self.check_exist(model, ids)
        vals = {name: value for name, value in given.items() if name not in MAGIC}
        if model in BEFORE_WRITE:
            BEFORE_WRITE[model](self, list(ids), vals)
        for record_id in ids:
            row = {**self.rows[model][record_id], "write_uid": self.uid, "write_date": self.stamp()}
            for name, value in self._money_last(model, vals):
                if known[name]["type"] != "one2many":
                    row[name] = self.converted(model, name, value, row)
            self._check_required(model, row)
            self.put(model, record_id, row)
            for name, value in vals.items():
                if known[name]["type"] == "one2many":
                    self._write_lines(model, record_id, name, value)
            if model in AFTER_SAVE:
                AFTER_SAVE[model](self, self.rows[model][record_id], set(vals))

    def set(self, model: str, record_id: int, /, **values: Any) -> None:
        """Change stored values as they are, past every rule: for what Odoo computes itself."""
        self.put(model, record_id, {**self.rows[model][record_id], **values})

    def touch(self, model: str, record_id: int, /, **values: Any) -> bool:
        """Change what Odoo computes and stores: only where it differs, and then the record counts as written."""
        row = self.rows[model][record_id]
        if all(row[name] == value for name, value in values.items()):
            return False
        self.put(model, record_id, {**row, **values, "write_uid": self.uid, "write_date": self.stamp()})
        return True

    def stir(self, model: str, ids: Iterable[int]) -> None:
        """Let records count as written where Odoo writes what they already have."""
        for record_id in ids:
            row = self.rows[model][record_id]
            self.put(model, record_id, {**row, "write_uid": self.uid, "write_date": self.stamp()})

    def unlink(self, model: str, ids: Sequence[int]) -> None:
        """Delete records and their own external ids; as in Odoo, those of lines that go with their order stay."""
        self.check_access(model, "unlink")
        self.check_exist(model, ids)
        if model in BEFORE_UNLINK:
            BEFORE_UNLINK[model](self, list(ids))
        gone = dict.fromkeys(ids)
        for record_id in gone:
            for data in list(self.children["ir.model.data", "res_id"].get(record_id, ())):
                if self.rows["ir.model.data"][data]["model"] == model:
                    self.put("ir.model.data", data, None)
        for child, field in CASCADE:
            if self.fields(child)[field]["relation"] == model:
                for parent in gone:
                    for line in list(self.children[child, field].get(parent, ())):
                        self.put(child, line, None)
        for record_id in gone:
            self.put(model, record_id, None)

    def check_exist(self, model: str, ids: Iterable[int]) -> None:
        """Raises MissingError for the first that is gone."""
        for record_id in ids:
            if record_id not in self.rows[model]:
                raise missing_error(model, record_id)

    def _money_last(self, model: str, vals: Row) -> list[tuple[str, Any]]:
        """Amounts after the currency they are rounded in."""
        return sorted(vals.items(), key=lambda item: self.fields(model)[item[0]]["type"] == "monetary")

    def _check_required(self, model: str, row: Row) -> None:
        for name, spec in self.fields(model).items():
            stored = spec["store"] and (model, name) not in COMPUTED and spec["type"] not in EMPTY
            if stored and spec["required"] and (row[name] is False or row[name] is None):
                raise required_error(model, name, spec["string"], SCHEMA[model]["name"])

    def _write_lines(self, model: str, record_id: int, field: str, commands: Any) -> None:
        spec = self.fields(model)[field]
        child, inverse = self.relation(model, field), spec.get("relation_field")
        for command in commands or []:
            code = command[0]
            if code == 0:
                self.create(child, {**command[2], inverse: record_id}, nested=True)
            elif code == 1:
                self.write(child, [command[1]], {k: v for k, v in command[2].items() if k != "id"})
            elif code in (2, 3):
                self.unlink(child, [command[1]])
            elif code == 4:
                if self.rows[child].get(command[1], {}).get(inverse) != record_id:
                    self.write(child, [command[1]], {inverse: record_id})
            elif code in (5, 6):
                keep = command[2] if code == 6 else []
                old = self.children[child, str(inverse)].get(record_id, {})
                self.unlink(child, [i for i in old if i not in keep])

    def converted(self, model: str, name: str, value: Any, row: Row) -> Any:
        """A value given by a caller as the column keeps it; raises ValueError (500) or MissingError as Odoo does."""
        return converted(self, model, name, value, row)

    # External ids

    def ref(self, xmlid: str) -> tuple[str, int] | None:
        """(model, id) behind `module.name`, None if unknown or the record is gone."""
        module, _, name = xmlid.partition(".")
        data = self.rows["ir.model.data"].get(self.xmlids.get((module, name), 0))
        if not data or data["model"] not in self.rows or data["res_id"] not in self.rows[data["model"]]:
            return None
        return data["model"], data["res_id"]

    def set_xmlid(self, xmlid: str, model: str, record_id: int) -> None:
        """Bind an external id to a record; a dangling one is bound anew and keeps its noupdate."""
        module, _, name = (xmlid if "." in xmlid else f"{self.importing or '__import__'}.{xmlid}").partition(".")
        if " " in name:
            raise database_error(
                'new row for relation "ir_model_data" violates check constraint "ir_model_data_name_nospaces"\n'
            )
        known = self.xmlids.get((module, name))
        if known:
            self.set("ir.model.data", known, model=model, res_id=record_id, write_date=self.stamp())
            return
        vals = {"module": module, "name": name, "model": model, "res_id": record_id}
        refused, self.refused = self.refused, set()  # Odoo does this with its own rights
        self.create("ir.model.data", {**vals, "noupdate": bool(self.context.get("noupdate"))})
        self.refused = refused


def _through(table: dict[int, Row], field: str, getter: Callable[[Row], Any]) -> Callable[[Row], Any]:
    def key(row: Row) -> Any:
        other = table.get(row[field])
        # A tuple in front, so that rows without the record compare with those that have one.
        return (True, ()) if other is None else (False, (getter(other),))

    return key
