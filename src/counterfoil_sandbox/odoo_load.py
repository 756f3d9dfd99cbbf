"""`load()`: Odoo's matrix import, as far as records with lines need it, answering as a real Odoo 19 does.

Rows become records (a row with only one2many cells continues the record above), cells become values, then every
record is created or updated under its external id. Any error undoes everything and is told in `messages`, with HTTP
status 200.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from counterfoil_sandbox.odoo_domains import compile_domain
from counterfoil_sandbox.odoo_schema import (
    NAME_FIELDS,
    SCHEMA,
    OdooError,
    Row,
    database_error,
    parse_time,
    validation_error,
)
from counterfoil_sandbox.odoo_store import Store

REFERENCES = (None, "id", ".id")
Path = list[Any]
LOST_RACE = "could not serialize access due to concurrent update\n"


class BadCell(ValueError):
    """A cell that cannot be read. The message names the field, and in lines the line's field behind it."""

    def __init__(self, before: str, after: str = "", **info: Any) -> None:
        super().__init__(before + after)
        self.before, self.after, self.info = before, after, info
        self.bare = bool(after)  # the one message without its field's name beside it
        self.labels: list[str] = []

    def text(self) -> str:
        """The message with the path of labels in it."""
        return f"{self.before}'{'/'.join(self.labels)}'{self.after}"


def load(store: Store, model: str, fields: Sequence[str], data: Sequence[Sequence[Any]]) -> Row:
    """{ids, messages, nextrow}; the context gives mode (init or update), noupdate and module."""
    mark = store.mark()
    messages: list[Row] = []
    ids: list[int] = []
    pending: list[tuple[int | bool, Any, Row, Row]] = []

    def make_pending(xmlid: str | None = None) -> None:
        if xmlid is None or any(xmlid == waiting[1] for waiting in pending):
            _make(store, model, pending, ids, messages, mark)
            pending.clear()

    store.importing = str(store.context.get("module", "__import__"))
    store.before_ref = make_pending
    try:
        for number, (record, rows) in enumerate(_extract(model, [_path(field) for field in fields], data)):
            values = _convert(store, model, record, rows, number, messages)
            xmlid = record.get("id")
            if xmlid and "." not in xmlid:
                xmlid = f"{store.importing}.{xmlid}"
            info = {"rows": rows, "record": number}
            pending.append((_row_id(store, model, record, info, messages), xmlid, values, info))
        make_pending()
    finally:
        store.importing = ""
        store.before_ref = lambda _xmlid: None
    if any(message["type"] == "error" for message in messages):
        store.rollback(mark)
        return {"ids": False, "messages": messages, "nextrow": 0}
    return {"ids": ids, "messages": messages, "nextrow": 0}


def _make(
    store: Store,
    model: str,
    pending: list[tuple[int | bool, Any, Row, Row]],
    ids: list[int],
    messages: list[Row],
    mark: int,
) -> None:
    errors = 0
    for count, (row_id, xmlid, values, info) in enumerate(pending, 1):
        try:
            ids.append(_load_record(store, model, row_id, xmlid, values))
            store.flush()
            continue
        except OdooError as error:
            messages.append({**info, "type": "error", **_told(error, model)})
        except Exception as error:  # Odoo tells any failure this way
            messages.append({**info, "type": "error", **_told_unknown(type(error), str(error))})
        store.rollback(mark)  # as in Odoo: what went well before is undone at once
        errors += 1
        if errors >= 10 and errors >= count / 10:
            messages.append({"type": "warning", "message": TOO_MANY})
            return


TOO_MANY = (
    "Found more than 10 errors and more than one error per 10 records, interrupted to avoid showing too many errors."
)


def lost_race(model: str, fields: Sequence[str], data: Sequence[Sequence[Any]]) -> Row:
    """What `load` answers when another transaction touched the same rows."""
    messages: list[Row] = [
        {"rows": rows, "record": number, "type": "error", "message": LOST_RACE}
        for number, (_record, rows) in enumerate(_extract(model, [_path(field) for field in fields], data))
    ]
    if len(messages) >= 10:
        messages[10:] = [{"type": "warning", "message": TOO_MANY}]
    return {"ids": False, "messages": messages, "nextrow": 0}


def _told(error: OdooError, model: str) -> Row:
    if error.name.startswith("odoo.") and not error.field:
        return {"message": error.plain}
    if not error.field:
        kind = error.name.removeprefix("builtins.")
        return _told_unknown(type(kind, (), {"__module__": "builtins"}), error.message)
    if getattr(error, "model", model) == model:
        return {"message": error.plain, "field": error.field}
    # A line's missing value is told with the label the *order* has for a field of that name.
    label = SCHEMA[model]["fields"].get(error.field, {}).get("string")
    shown = f"'{label}' ({error.field})" if label else f"'{error.field}'"
    rest = error.plain.split("\n", 2)[2]
    return {"message": f"Missing required value for the field {shown}.\nModel: Unknown\n{rest}"}


def _told_unknown(kind: type, message: str) -> Row:
    name = f"<class '{kind.__name__}'>"
    return {"message": f"Unknown error during import: {name}: {message}", "moreinfo": "Resolve other errors first"}


# Rows to records


def _path(field: str) -> Path:
    field = re.sub(r"([^/])\.id", r"\1/.id", field)
    return list(re.sub(r"([^/]):id", r"\1/id", field).split("/"))


def _extract(model: str, paths: Sequence[Path], data: Sequence[Sequence[Any]]) -> Iterator[tuple[Row, Row]]:
    fields = SCHEMA[model]["fields"]
    for path in paths:
        if path[0] and "." not in path[0] and path[0] not in fields:
            raise OdooError(500, "builtins.ValueError", f"Invalid field name {path[0]!r}")
    kinds = [fields[path[0]]["type"] if path[0] in fields else "" for path in paths]
    lines = [i for i, kind in enumerate(kinds) if kind == "one2many"]
    others = [i for i, kind in enumerate(kinds) if kind != "one2many"]
    linked = {
        path[0]: [i for i, p in enumerate(paths) if p[0] == path[0]]
        for path, kind in zip(paths, kinds, strict=True)
        if kind in ("one2many", "many2one", "many2many")
    }
    at = 0
    while at < len(data):
        row = data[at]
        record = {path[0]: cell for path, cell in zip(paths, row, strict=False) if path[0] not in linked}
        below = itertools.takewhile(
            lambda r: any(_cells(r, lines)) and not any(_cells(r, others)),
            itertools.islice(data, at + 1, None),
        )
        span = [row, *below]
        for name, columns in linked.items():
            cells = [_cells(r, columns) for r in span]
            target = fields[name]["relation"]
            sub_paths = [paths[i][1:] or [None] for i in columns]
            filled = [c for c in cells if any(c)]
            if target in SCHEMA:
                record[name] = [sub for sub, _rows in _extract(target, sub_paths, filled)]
            else:
                record[name] = [dict(zip([p[0] for p in sub_paths], c, strict=True)) for c in filled]
        yield record, {"from": at, "to": at + len(span) - 1}
        at += len(span)


def _cells(row: Sequence[Any], columns: list[int]) -> list[Any]:
    """Some cells of a row; IndexError, as in Odoo, for a row that is too short."""
    return [row[i] for i in columns]


# Cells to values


def _convert(store: Store, model: str, record: Row, rows: Row, number: int, messages: list[Row]) -> Row:
    values: Row = {}
    for name, value in record.items():
        if name in REFERENCES:
            continue
        label = SCHEMA[model]["fields"][name]["string"]
        try:
            values[name] = _cell(store, model, name, value) if value else False
        except BadCell as bad:
            bad.labels.insert(0, label)
            head = {"rows": rows, "type": "error", "record": number, "field": name, "message": bad.text()}
            messages.append(head if bad.bare else {**head, **bad.info, "field_name": label})
    return values


def _cell(store: Store, model: str, name: str, value: Any) -> Any:
    """A filled cell's value. Raises BadCell; AttributeError where Odoo too expects text and gets something else."""
    spec = SCHEMA[model]["fields"][name]
    kind = spec["type"]
    if kind == "one2many":
        return _lines(store, spec["relation"], value)
    if kind in ("many2one", "many2many"):
        [reference] = value
        subfield = _subfield(reference)
        if kind == "many2one":
            return _record_id(store, spec["relation"], subfield, reference[subfield])
        return [(6, 0, [_record_id(store, spec["relation"], subfield, one) for one in reference[subfield].split(",")])]
    if kind == "selection":
        for choice, label in spec["selection"]:
            if value.lower() in (str(choice).lower(), label.lower()):
                return choice
        labels = [label for _choice, label in spec["selection"]]
        raise BadCell(f"Value '{value}' not found in selection field ", moreinfo=labels)
    if kind == "boolean":
        if value.lower() not in ("1", "true", "yes", "0", "false", "no"):
            hint = "Use '1' for yes and '0' for no"
            raise BadCell(f"Unknown value '{value}' for boolean field ", moreinfo=hint)
        return value.lower() in ("1", "true", "yes")
    try:
        if kind in ("integer", "many2one_reference"):
            return int(value)
        if kind in ("float", "monetary"):
            return float(value)
        if kind == "json":
            return json.loads(value)
        if kind in ("date", "datetime"):
            return parse_time(value, kind)
    except ValueError:
        what = {"integer": "an integer", "json": "a valid JSON", "date": "a valid date", "datetime": "a valid datetime"}
        shape = {"date": "2012-12-31", "datetime": "2012-12-31 23:59:59"}.get(kind)
        info = {"moreinfo": f"Use the format '{shape}'"} if shape else {}
        raise BadCell(f"'{value}' does not seem to be {what.get(kind, 'a number')} for field ", **info) from None
    return value


def _lines(store: Store, model: str, records: list[Row]) -> list[Any]:
    commands: list[Any] = []
    if len(records) == 1 and not set(records[0]) - set(REFERENCES):
        subfield = _subfield(records[0])
        records = [{subfield: one} for one in records[0][subfield].split(",")]
    for record in records:
        values: Row = {}
        for name, value in record.items():
            if name in REFERENCES:
                continue
            try:
                values[name] = _cell(store, model, name, value) if value else False
            except BadCell as bad:
                bad.labels.insert(0, SCHEMA[model]["fields"][name]["string"])
                raise
        found: Any = None
        references = {name: value for name, value in record.items() if name in REFERENCES}
        if references:
            subfield = _subfield(references)
            try:
                found = _record_id(store, model, subfield, record[subfield])
            except BadCell:
                if subfield != "id":
                    raise
                values["id"] = record["id"]
        commands += [(4, found, 0), (1, found, values)] if found else [(0, 0, values)]
    return commands


def _subfield(reference: Row) -> Any:
    if set(reference) - set(REFERENCES):
        raise OdooError(
            500, "builtins.ValueError", "Can not create Many-To-One records indirectly, import the field separately"
        )
    if len(reference) > 1:
        raise BadCell("Ambiguous specification for field ", ", only provide one of name, external id or database id")
    return next(iter(reference))


def _record_id(store: Store, model: str, subfield: Any, value: Any) -> int | bool:
    """The record a cell points to by name, external id or number; False for a cell that says no."""
    action: Row = {
        "name": "Possible Values",
        "type": "ir.actions.act_window",
        "target": "new",
        "view_mode": "list,form",
        "views": [[False, "list"], [False, "form"]],
        "context": {"create": False},
        "help": "See all possible values",
    }
    action["res_model"] = model if subfield is None else "ir.model.data"
    if subfield is not None:
        action["domain"] = [["model", "=", model]]
        if isinstance(value, str) and value.lower() in ("", "0", "false", "no"):
            return False
    found: int | None = None
    if subfield == ".id":
        try:
            number = int(value)
        except ValueError:
            raise BadCell(f"Invalid database id '{value}' for the field ", moreinfo=action) from None
        found = number if number in store.rows.get(model, ()) else None
    elif subfield == "id":
        xmlid = value if "." in value else f"{store.importing}.{value}"
        store.before_ref(xmlid)
        reference = store.ref(xmlid)
        found = reference[1] if reference and reference[0] == model else None
    else:
        names = ("display_name", *NAME_FIELDS.get(model, ()))
        same = compile_domain(store, model, ["|"] * (len(names) - 1) + [(name, "=", value) for name in names])
        found = next((i for i, row in store.rows[model].items() if same(row)), None)
    if found is None:
        kind = {None: "name", "id": "external id", ".id": "database id"}[subfield]
        raise BadCell(f"No matching record found for {kind} '{value}' in field ", moreinfo=action)
    return found


# Records to rows


def _row_id(store: Store, model: str, record: Row, info: Row, messages: list[Row]) -> int | bool:
    if not record.get(".id"):
        return False
    number = int(record[".id"])
    if number in store.rows[model]:
        return number
    text = f"Unknown database identifier '{number}'"
    messages.append({"rows": info["rows"], "type": "error", "record": info["record"], "field": ".id", "message": text})
    return False


def _load_record(store: Store, model: str, row_id: int | bool, xmlid: Any, values: Row) -> int:
    update = store.context.get("mode", "init") == "update"
    if not xmlid:
        if row_id:
            store.write(model, [row_id], values)
            return int(row_id)
        if update:
            raise validation_error("Cannot update a record without specifying its id or xml_id")
        return store.create(model, values)
    module, _, name = xmlid.partition(".")
    data = store.rows["ir.model.data"].get(store.xmlids.get((module, name), 0))
    if data and data["model"] != model:
        raise validation_error(
            f"For external id {xmlid} when trying to create/update a record of model {model} found record of "
            f"different model {data['model']} ({data['id']})"
        )
    if data and data["res_id"] in store.rows[model]:
        if not (update and data["noupdate"]):
            store.write(model, [data["res_id"]], values)
        return int(data["res_id"])
    if " " in name:
        raise database_error(
            'new row for relation "ir_model_data" violates check constraint "ir_model_data_name_nospaces"\n'
        )
    record_id = store.create(model, values)
    store.set_xmlid(xmlid, model, record_id)
    if model == "product.product":
        template = store.rows[model][record_id]["product_tmpl_id"]
        store.set_xmlid(f"{xmlid}_product_template", "product.template", template)
    return record_id
