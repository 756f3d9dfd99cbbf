"""The Odoo stand-in's tables: a small ORM in memory with domains, ordering, undo and external ids.

Fields, labels, selections and orders come from `recordings/odoo/fields_19.json` (answers of a real Odoo 19), so a
field that is not there is refused as the real server refuses it. What a model *does* (defaults, totals, states) is
registered from `odoo_models` in the tables of hooks below; the store itself knows no model but `ir.model.data`.

A row is never changed in place: `put` replaces it and remembers the old one, which is all a rollback needs.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Predicate = Callable[[Row], bool]

RECORDINGS = Path(__file__).parent / "recordings" / "odoo"
SCHEMA: dict[str, dict[str, Any]] = json.loads((RECORDINGS / "fields_19.json").read_text())

# Hooks, by model: filled by odoo_models.
BEFORE_CREATE: dict[str, Callable[[Store, Row], None]] = {}  # completes the values given with defaults
BEFORE_WRITE: dict[str, Callable[[Store, list[int], Row], None]] = {}  # refuses, or completes what is written
AFTER_SAVE: dict[str, Callable[[Store, Row, set[str]], None]] = {}  # after create or write of these fields
BEFORE_UNLINK: dict[str, Callable[[Store, list[int]], None]] = {}
COMPUTED: dict[tuple[str, str], Callable[[Store, Row], Any]] = {}
NAME_FIELDS: dict[str, tuple[str, ...]] = {}  # what name_search looks at, beside the display name
CASCADE = {("sale.order.line", "order_id"), ("product.product", "product_tmpl_id")}  # children that go with it
DIGITS = {"product_uom_qty": 2, "discount": 2, "amount": 4}  # decimals a float is cut to; unit prices are not in 19

EMPTY = {"integer": 0, "float": 0.0, "monetary": 0.0, "boolean": False}
MAGIC = ("id", "create_uid", "create_date", "write_uid", "write_date")
COMMA_FIELD = re.compile(r"^\s*([a-z_0-9.]+)(?:\s+(asc|desc))?\s*$", re.IGNORECASE)


class OdooError(Exception):
    """What Odoo answers instead of a result.

    status: of the HTTP answer. name: Python name of the exception. plain, field: the message as `load` words it
    and the field it names, where these differ from the HTTP answer.
    """

    def __init__(self, status: int, name: str, message: str, *, plain: str = "", field: str = "") -> None:
        super().__init__(message)
        self.status, self.name, self.message = status, name, message
        self.plain, self.field = plain or message, field

    @property
    def arguments(self) -> list[Any]:
        """As in the answer's body: HTTP errors carry their status too."""
        return [self.message, self.status] if self.name.startswith("werkzeug") else [self.message]


def value_error(message: str) -> OdooError:
    """A programming error on the caller's side: 500."""
    return OdooError(500, "builtins.ValueError", message)


def user_error(message: str) -> OdooError:
    """A business rule said no: 422."""
    return OdooError(422, "odoo.exceptions.UserError", message)


def validation_error(message: str) -> OdooError:
    """A constraint said no: 422."""
    return OdooError(422, "odoo.exceptions.ValidationError", message)


def database_error(detail: str, field: str = "") -> OdooError:
    """A constraint of the database said no: 422; `load` shows the bare detail."""
    message = f"The operation cannot be completed: {detail}"
    return OdooError(422, "odoo.exceptions.ValidationError", message, plain=detail, field=field)


def missing_error(model: str, record_id: Any) -> OdooError:
    """The record is gone: 404."""
    message = f"Record does not exist or has been deleted.\n(Record: {model}({record_id},), User: 2)"
    return OdooError(404, "odoo.exceptions.MissingError", message)


def rounded(value: float, step: float) -> float:
    """`value` to the nearest multiple of `step`, halves away from zero, forgiving the last bits of a float."""
    if not value or not step:
        return 0.0
    scale = round(1 / step) if step < 1 else 1 / step
    scaled = value * scale
    return round(scaled + math.copysign(abs(scaled) * 2**-50, scaled)) / scale


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
        self.settle: Callable[[Store], None] = lambda _store: None
        self.xmlids: dict[tuple[str, str], int] = {}
        self._undo: list[tuple[str, int, Row | None]] = []
        self._orders: dict[str, Any] = {}
        # (child model, its many2one) -> parent id -> child ids
        self.children: dict[tuple[str, str], dict[int, dict[int, None]]] = {}
        self._indexed: dict[str, list[str]] = {model: [] for model in SCHEMA}
        for spec in SCHEMA.values():
            for field in spec["fields"].values():
                if field["type"] == "one2many" and field["relation"] in SCHEMA and "relation_field" in field:
                    key = (field["relation"], field["relation_field"])
                    if key not in self.children and key[1] in SCHEMA[key[0]]["fields"]:
                        self.children[key] = {}
                        self._indexed[key[0]].append(key[1])

    # Tables and undo

    def now(self) -> str:
        """The time of this transaction, UTC, whole seconds, as Odoo writes it."""
        return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")

    def put(self, model: str, record_id: int, row: Row | None) -> None:
        """Set or delete (None) one row; the only way anything changes."""
        table = self.rows[model]
        old = table.get(record_id)
        self._undo.append((model, record_id, old))
        for field in self._indexed[model]:
            index = self.children[model, field]
            if old and old[field]:
                index[old[field]].pop(record_id, None)
            if row and row[field]:
                index.setdefault(row[field], {})[record_id] = None
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

    def rollback(self, mark: int = 0) -> None:
        """Undo everything since `mark`; numbers once given are not given again, as with PostgreSQL."""
        while len(self._undo) > mark:
            model, record_id, old = self._undo.pop()
            self.put(model, record_id, old)
            self._undo.pop()
        self.stale_orders &= self.rows["sale.order"].keys()

    def commit(self) -> None:
        """Keep everything done so far."""
        self.flush()
        self._undo.clear()

    def flush(self) -> None:
        """Compute what waits to be computed (order totals)."""
        if self.stale_orders:
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
        return list(value) if isinstance(value, (list, dict)) and not isinstance(value, dict) else value

    # Searching

    def search(
        self, model: str, domain: Any, offset: int = 0, limit: int | None = None, order: str | None = None
    ) -> list[int]:
        """Ids that match, in the model's order or the one asked for."""
        self.flush()
        test = compile_domain(self, model, domain)
        table = self.rows[model]
        names = {leaf[0] for leaf in _leaves(domain)}
        hidden = "active" in self.fields(model) and "active" not in names and self.context.get("active_test", True)
        found = [
            row["id"]
            for row in (table[i] for i in self._candidates(model, domain))
            if (not hidden or row["active"]) and test(row)
        ]
        found = self.sorted(model, found, order)
        return found[offset : offset + limit if limit else None]

    def _candidates(self, model: str, domain: Any) -> Iterable[int]:
        """Ids worth testing: few when the domain asks for ids or for the lines of an order."""
        table = self.rows[model]
        if not any(token in ("|", "!") for token in domain if isinstance(token, str)):
            for field, op, value in _leaves(domain):
                wanted = value if isinstance(value, (list, tuple)) else [value]
                if op not in ("=", "in") or not all(type(v) is int for v in wanted):
                    continue
                if field == "id":
                    return [i for i in dict.fromkeys(wanted) if i in table]
                if (model, field) in self.children:
                    index = self.children[model, field]
                    return [i for parent in dict.fromkeys(wanted) for i in index.get(parent, ())]
        return list(table)

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
        moment = self.now()
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
            row = {**self.rows[model][record_id], "write_uid": self.uid, "write_date": self.now()}
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

    def unlink(self, model: str, ids: Sequence[int]) -> None:
        """Delete records and their own external ids; as in Odoo, those of lines that go with their order stay."""
        self.check_access(model, "unlink")
        self.check_exist(model, ids)
        if model in BEFORE_UNLINK:
            BEFORE_UNLINK[model](self, list(ids))
        gone = set(ids)
        for data in list(self.rows["ir.model.data"].values()):
            if data["model"] == model and data["res_id"] in gone:
                self.put("ir.model.data", data["id"], None)
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
        spec = self.fields(model)[name]
        kind = spec["type"]
        if kind in ("many2many", "one2many"):
            return self._converted_set(model, name, value, row)
        if value is None or value is False:
            return EMPTY.get(kind, False)
        if kind == "many2one":
            return self._converted_link(model, name, value)
        if kind in ("char", "text"):
            return str(value)
        if kind == "html":
            return value if str(value).lstrip().startswith("<") else f"<p>{value}</p>"
        if kind in ("integer", "many2one_reference"):
            return int(value)
        if kind == "float":
            digits = DIGITS.get(name)
            return rounded(float(value), 10**-digits) if digits else float(value)
        if kind == "monetary":
            currency = self.rows["res.currency"].get(row.get("currency_id") or 0)
            return rounded(float(value), currency["rounding"]) if currency else float(value)
        if kind == "boolean":
            return bool(value)
        if kind == "selection":
            if value not in [choice for choice, _label in spec["selection"]] and name != "lang":
                raise value_error(f"Wrong value for {model}.{name}: {value!r}")
            return value
        if kind in ("date", "datetime"):
            return parse_time(value, kind)
        return value

    def _converted_link(self, model: str, name: str, value: Any) -> int | bool:
        target = self.relation(model, name)
        try:
            record_id = int(value)
        except (TypeError, ValueError):
            raise bad_number(value, "integer") from None
        if target and record_id not in self.rows[target]:
            if model.startswith("sale."):  # orders read what they point to before the database checks it
                raise missing_error(target, record_id)
            raise database_error(still_used(model, name))
        return record_id or False

    def _converted_set(self, model: str, name: str, value: Any, row: Row) -> list[int]:
        target = self.relation(model, name)
        found: dict[int, None] = dict.fromkeys(row.get(name) or [])
        for command in value or []:
            if isinstance(command, int):  # a plain list of ids
                found[command] = None
            elif command[0] == 6:
                found = dict.fromkeys(command[2])
            elif command[0] == 5:
                found = {}
            elif command[0] == 4:
                found[command[1]] = None
            elif command[0] in (2, 3):
                found.pop(command[1], None)
            elif command[0] == 0:
                found[self.create(target, command[2], nested=True)] = None
            elif command[0] == 1:
                self.write(target, [command[1]], command[2])
        if value is False:
            found = {}
        if target:
            self.check_exist(target, found)
            return self.sorted(target, found)
        return list(found)

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
            self.set("ir.model.data", known, model=model, res_id=record_id, write_date=self.now())
            return
        vals = {"module": module, "name": name, "model": model, "res_id": record_id}
        refused, self.refused = self.refused, set()  # Odoo does this with its own rights
        self.create("ir.model.data", {**vals, "noupdate": bool(self.context.get("noupdate"))})
        self.refused = refused


def required_error(model: str, name: str, label: str, model_label: str) -> OdooError:
    """A mandatory field is empty: worded by Odoo for the HTTP answer and, shorter, for `load`."""
    error = database_error(
        f"Missing required value for the field '{label}' ({name}).\nModel: '{model_label}' ({model})\n"
        "- create/update: a mandatory field is not set\n"
        "- delete: another model requires the record being deleted, you can archive it instead\n",
        name,
    )
    error.model = model
    return error


def still_used(model: str, name: str) -> str:
    """Odoo's words for a broken foreign key, also when nothing was deleted."""
    label, model_label = SCHEMA[model]["fields"][name]["string"], SCHEMA[model]["name"]
    return (
        "Another model is using the record you are trying to delete.\n\n"
        f"The troublemaker is: '{model_label}' ({model})\n"
        f"Thanks to the following constraint: '{label}' ({name})\n"
        "How about archiving the record instead?"
    )


def parse_time(value: Any, kind: str) -> str:
    """A date or time in Odoo's own format, nothing else; raises ValueError."""
    text = str(value)
    if kind == "date":
        return datetime.strptime(text[:10], "%Y-%m-%d").replace(tzinfo=UTC).strftime("%Y-%m-%d")
    shape = "%Y-%m-%d %H:%M:%S" if len(text) > 10 else "%Y-%m-%d"
    return datetime.strptime(text[:19], shape).replace(tzinfo=UTC).strftime("%Y-%m-%d %H:%M:%S")


def _through(table: dict[int, Row], field: str, getter: Callable[[Row], Any]) -> Callable[[Row], Any]:
    def key(row: Row) -> Any:
        other = table.get(row[field])
        # A tuple in front, so that rows without the record compare with those that have one.
        return (True, ()) if other is None else (False, (getter(other),))

    return key


# Domains

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
LIKES = {"like", "ilike", "=like", "=ilike", "not like", "not ilike", "not =like", "not =ilike"}
OPERATORS = {"=", "!=", "<>", "==", "in", "not in", "any", "not any", *COMPARE, *LIKES}


def _leaves(domain: Any) -> list[Any]:
    return [token for token in domain if isinstance(token, (list, tuple)) and len(token) == 3]


def compile_domain(store: Store, model: str, domain: Any) -> Predicate:
    """A domain in Odoo's prefix notation as a test of one row; raises as the real server words it."""
    if not isinstance(domain, (list, tuple)):
        raise OdooError(500, "builtins.TypeError", f"Domain() invalid argument type for domain: {domain!r}")
    stack: list[Predicate] = []
    try:
        for token in reversed(domain):
            if token == "!":
                one = stack.pop()
                stack.append(lambda row, one=one: not one(row))
            elif token in ("&", "|"):
                left, right = stack.pop(), stack.pop()
                stack.append(_both(left, right) if token == "&" else _either(left, right))
            elif isinstance(token, (list, tuple)) and len(token) == 3:
                stack.append(_leaf(store, model, *token))
            else:
                raise value_error(f"Domain() invalid item in domain: {token!r}")
    except IndexError:
        raise value_error(f"Domain() malformed domain {domain!r}") from None
    if domain and domain[-1] in ("&", "|", "!"):
        raise value_error(f"Domain() malformed domain {domain!r}")
    stack.reverse()
    return lambda row: all(test(row) for test in stack)


def _both(left: Predicate, right: Predicate) -> Predicate:
    return lambda row: left(row) and right(row)


def _either(left: Predicate, right: Predicate) -> Predicate:
    return lambda row: left(row) or right(row)


def _leaf(store: Store, model: str, path: Any, op: Any, value: Any) -> Predicate:
    if path in (0, 1) and op in ("=", "!="):
        verdict = (path == value) == (op == "=")
        return lambda row: verdict
    condition = f"in condition ({path!r}, {op!r}, {value!r})"
    op = {"<>": "!=", "==": "="}.get(str(op).lower(), str(op).lower())
    if op not in OPERATORS:
        raise value_error(f"Invalid operator {condition}")
    field, _, rest = str(path).partition(".")
    spec = store.fields(model).get(field)
    if spec is None:
        raise value_error(f"Invalid field {model}.{field} {condition}")
    target = store.relation(model, field)
    if rest or op in ("any", "not any"):
        if not target:
            raise value_error(f"Invalid field property {rest!r} on {model}.{field}")
        inner = compile_domain(store, target, [(rest, op, value)] if rest else value)
        return _any_of(store, model, field, target, inner, negated=op == "not any" and not rest)
    if spec["type"] in ("many2one", "many2many", "one2many"):
        return _relation_leaf(store, model, field, op, value, condition)
    get: Callable[[Row], Any] = operator.itemgetter(field)
    if (model, field) in COMPUTED or field == "display_name":

        def get(row: Row) -> Any:
            return store.shown(model, row, field)

    if spec["type"] == "datetime" and op not in LIKES:
        given = value if isinstance(value, (list, tuple)) else [value]
        moments = [_moment(v, op) for v in given]
        value = moments if isinstance(value, (list, tuple)) else moments[0]
    elif spec["type"] in NUMBERS:
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, str):
                raise bad_number(one, NUMBERS[spec["type"]])
    return _scalar_leaf(get, op, value)


NUMBERS = {"integer": "integer", "float": "double precision", "monetary": "numeric"}


def bad_number(value: Any, kind: str) -> OdooError:
    """PostgreSQL's refusal of a text where a number belongs."""
    message = f'invalid input syntax for type {kind}: "{value}"\n'
    return OdooError(500, "psycopg2.errors.InvalidTextRepresentation", message)


def _moment(value: Any, op: str) -> Any:
    """A time in a condition as the column keeps it; a bare date means that whole day."""
    if not value and value != "":
        return False
    if not isinstance(value, str):
        raise value_error(f"Failed to cast {value!r} into a datetime")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        message = f"Invalid term {value!r} in expression date: {value!r}" if value else "Empty date value"
        raise value_error(message) from None
    if moment.tzinfo:
        raise value_error(f"expecting only datetimes with no timezone: {value!r}")
    if len(value) <= 10 and op in ("<=", ">"):
        return f"{value} 23:59:59"
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _scalar_leaf(get: Callable[[Row], Any], op: str, value: Any) -> Predicate:
    if op in LIKES:
        return _like(get, op, value)
    if op in COMPARE:
        compare = COMPARE[op]

        def compared(row: Row) -> bool:
            found = get(row)
            return found is not None and (found is not False or value is False) and bool(compare(found, value))

        return compared
    if op in ("=", "!=") and isinstance(value, (list, tuple)):
        op = {"=": "in", "!=": "not in"}[op]
    values = list(value) if op in ("in", "not in") and isinstance(value, (list, tuple)) else [value]
    wanted = {v for v in values if v not in (False, None, "")}
    nulls = len(wanted) < len(set(map(repr, values)))
    positive = op in ("=", "in")

    def member(row: Row) -> bool:
        found = get(row)
        return ((found in wanted) if found else (nulls or found in wanted)) == positive

    return member


def _like(get: Callable[[Row], Any], op: str, value: Any) -> Predicate:
    text = str(value or "")
    pattern = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in text)
    if not op.endswith("=like") and not op.endswith("=ilike"):
        pattern = f".*{pattern}.*"
    found = re.compile(pattern, re.DOTALL | (re.IGNORECASE if "ilike" in op else 0)).fullmatch
    positive = not op.startswith("not")

    def matches(row: Row) -> bool:
        return bool(found(str(get(row) or ""))) == positive

    return matches


def _relation_leaf(store: Store, model: str, field: str, op: str, value: Any, condition: str) -> Predicate:
    target = store.relation(model, field)
    if op in COMPARE:
        if isinstance(value, str):
            message = f"Inequality not supported for relational field using a string {condition}"
            raise OdooError(500, "builtins.TypeError", message)
        return _scalar_leaf(operator.itemgetter(field), op, value)
    names = isinstance(value, str) or (isinstance(value, (list, tuple)) and any(isinstance(v, str) for v in value))
    if names or op in LIKES:  # by name
        sub_op = op.removeprefix("not ") if op != "!=" else "="
        inner = _scalar_leaf(lambda row: store.display_name(target, row["id"]), sub_op, value)
        return _any_of(store, model, field, target, inner, negated=op != sub_op)
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    wanted = {v for v in values if v}
    nulls = any(v is False or v is None for v in values)
    positive = op in ("=", "in")
    if store.fields(model)[field]["type"] == "many2one" and (model, field) not in COMPUTED:
        return lambda row: ((row[field] in wanted) if row[field] else nulls) == positive

    def test(row: Row) -> bool:
        found = store.value(model, row, field)
        ids = found if isinstance(found, list) else [found] if found else []
        return (any(i in wanted for i in ids) if ids else nulls) == positive

    return test


def _any_of(store: Store, model: str, field: str, target: str, inner: Predicate, *, negated: bool = False) -> Predicate:
    table = store.rows[target]

    def test(row: Row) -> bool:
        found = store.value(model, row, field)
        ids = found if isinstance(found, list) else [found] if found else []
        return any(i in table and inner(table[i]) for i in ids) != negated

    return test
