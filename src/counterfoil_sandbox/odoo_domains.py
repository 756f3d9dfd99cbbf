"""Odoo's search conditions: a domain in prefix notation becomes a test of one row, worded errors included."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from counterfoil_sandbox.odoo_schema import COMPUTED, OdooError, Predicate, Row, value_error

if TYPE_CHECKING:
    from counterfoil_sandbox.odoo_store import Store

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
LIKES = {"like", "ilike", "=like", "=ilike", "not like", "not ilike", "not =like", "not =ilike"}
OPERATORS = {"=", "!=", "<>", "==", "in", "not in", "any", "not any", "child_of", "parent_of", *COMPARE, *LIKES}


def leaves(domain: Any) -> list[Any]:
    """The conditions of a domain, without what connects them."""
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
    if op in ("child_of", "parent_of"):
        return _family(store, model, field, target or model, op, value)
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


def _family(store: Store, model: str, field: str, target: str, op: str, value: Any) -> Predicate:
    """Records at or below (child_of) or at or above (parent_of) those given by number or name."""
    link = "location_id" if target == "stock.location" else "parent_id"
    if link not in store.fields(target):
        raise value_error(f"Invalid field {target}.{link} in condition ({field!r}, {op!r}, {value!r})")
    rows = store.rows[target]
    found: set[int] = set()
    waiting = [one for one in (value if isinstance(value, (list, tuple)) else [value]) if one]
    waiting = [i for one in waiting for i in ([one] if isinstance(one, int) else _named(store, target, str(one)))]
    while waiting:
        one = waiting.pop()
        if one in rows and one not in found:
            found.add(one)
            above = [rows[one][link]] if rows[one][link] else []
            below = [i for i, row in rows.items() if row[link] == one]
            waiting += below if op == "child_of" else above
    if field == "id":
        return lambda row: row["id"] in found

    def related(row: Row) -> bool:
        got = store.value(model, row, field)
        return any(i in found for i in (got if isinstance(got, list) else [got]))

    return related


def _named(store: Store, model: str, name: str) -> list[int]:
    return [i for i in store.rows[model] if name.casefold() in store.display_name(model, i).casefold()]


def _any_of(store: Store, model: str, field: str, target: str, inner: Predicate, *, negated: bool = False) -> Predicate:
    table = store.rows[target]

    def test(row: Row) -> bool:
        found = store.value(model, row, field)
        ids = found if isinstance(found, list) else [found] if found else []
        return any(i in table and inner(table[i]) for i in ids) != negated

    return test
