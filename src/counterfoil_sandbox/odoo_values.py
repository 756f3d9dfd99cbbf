"""What callers give as values of fields, as the Odoo stand-in's columns keep it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from counterfoil_sandbox.odoo_domains import bad_number
from counterfoil_sandbox.odoo_schema import (
    DIGITS,
    EMPTY,
    Row,
    database_error,
    missing_error,
    parse_time,
    rounded,
    still_used,
    value_error,
)

if TYPE_CHECKING:
    from counterfoil_sandbox.odoo_store import Store


def converted(store: Store, model: str, name: str, value: Any, row: Row) -> Any:
    """A value given by a caller as the column keeps it; raises ValueError (500) or MissingError as Odoo does."""
    spec = store.fields(model)[name]
    kind = spec["type"]
    if kind in ("many2many", "one2many"):
        return _converted_set(store, model, name, value, row)
    if value is None or value is False:
        return EMPTY.get(kind, False)
    if kind == "many2one":
        return _converted_link(store, model, name, value)
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
        currency = store.rows["res.currency"].get(row.get("currency_id") or 0)
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


def _converted_link(store: Store, model: str, name: str, value: Any) -> int | bool:
    target = store.relation(model, name)
    try:
        record_id = int(value)
    except (TypeError, ValueError):
        raise bad_number(value, "integer") from None
    if target and record_id not in store.rows[target]:
        if model.startswith("sale."):  # orders read what they point to before the database checks it
            raise missing_error(target, record_id)
        raise database_error(still_used(model, name))
    return record_id or False


def _converted_set(store: Store, model: str, name: str, value: Any, row: Row) -> list[int]:
    target = store.relation(model, name)
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
            found[store.create(target, command[2], nested=True)] = None
        elif command[0] == 1:
            store.write(target, [command[1]], command[2])
    if value is False:
        found = {}
    if target:
        store.check_exist(target, found)
        return store.sorted(target, found)
    return list(found)
