"""A stand-in for Odoo 14, 16 and 18: the one for 19 behind the door and under the names of an older version.

`speaking(app, 16)` wraps a stand-in of Odoo 19. It answers JSON-RPC (`/jsonrpc`) as the older version does, knows its
fields by the recordings of that version (recordings/odoo/names_<version>.json) and refuses all others, and behaves
as it does where that matters: unit prices are cut to a few digits, a cancellation asks first, a pricelist is needed.

    python -m counterfoil_sandbox.odoo_versions --version 16 --port 8069
"""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from counterfoil_sandbox.odoo import make_app, seed
from counterfoil_sandbox.serving import serve_forever

RECORDINGS = Path(__file__).parent / "recordings" / "odoo"
SERVED = {14: "14.0", 16: "16.0-20230301", 18: "18.0+e-20250520", 19: "19.0"}
DOOR, ASKED = "/jsonrpc", "/web/webclient/version_info"

Row = dict[str, Any]

OLD_NAMES: tuple[tuple[str, str, str, int], ...] = (
    ("sale.order.line", "tax_ids", "tax_id", 18),
    ("sale.order.line", "product_uom_id", "product_uom", 18),
    ("sale.order.line", "route_ids", "route_id", 18),
    ("res.users", "group_ids", "groups_id", 18),
    ("account.payment", "memo", "ref", 17),
    ("account.move", "origin_payment_id", "payment_id", 17),
    ("account.move", "reversal_move_ids", "reversal_move_id", 17),
    ("stock.move", "quantity", "quantity_done", 16),
    ("stock.move.line", "quantity", "qty_done", 16),
    ("stock.picking", "move_ids", "move_lines", 15),
    ("account.move.line", "account_type", "account_internal_type", 14),
    ("res.company", "account_fiscal_country_id", "account_tax_fiscal_country_id", 14),
)
"""model, name in 19, older name, last version that has it."""

OLD_VALUES: tuple[tuple[str, str, str, str, int], ...] = (
    ("account.payment", "state", "in_process", "posted", 17),
    ("account.payment", "state", "paid", "posted", 17),
    ("account.payment", "state", "canceled", "cancel", 17),
    ("account.move.line", "account_type", "asset_receivable", "receivable", 14),
)
"""model, field (as in 19), value in 19, older value, last version that has it."""

ON_MODEL = {
    *("create", "search", "search_read", "search_count", "load", "fields_get", "has_access", "check_access_rights"),
    *("context_get", "default_get", "name_search", "read_group"),
}
BY_PLACE = {
    "create": ("vals_list",),
    "write": ("vals",),
    "search": ("domain",),
    "search_count": ("domain",),
    "search_read": ("domain", "fields"),
    "read": ("fields",),
    "check_access_rights": ("operation", "raise_exception"),
    "has_access": ("operation",),
    "copy": ("default",),
}
OLD_METHODS = {"create_returns": ("action_create_returns", 17), "reverse_moves": ("refund_moves", 16)}
"""Older name of a method, its name in 19, last version that has it."""
PRICED = ("sale.order.line", "account.move.line")
PRODUCTS = ("product.product", "product.template")


class Refusal(Exception):
    """An exception of Odoo's, by its name and message."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name, self.message = name, message


class Page(Exception):
    """An answer that is none of Odoo's: handed on as it came."""

    def __init__(self, sent: list[Message]) -> None:
        super().__init__("not Odoo's")
        self.sent = sent


class Dialect:
    """The names of one version."""

    def __init__(self, major: int, digits: int) -> None:
        self.major, self.digits = major, digits
        told = json.loads((RECORDINGS / f"names_{major}.json").read_text(encoding="utf-8"))
        self.fields: dict[str, dict[str, str]] = told
        self.new = {(model, old): new for model, new, old, last in OLD_NAMES if major <= last}

    def name(self, model: str, field: str) -> str:
        """A field's name in 19. Raises Refusal where this version has no such field."""
        known = self.fields.get(model)
        if known is not None and field not in known and field not in ("id", ".id"):
            raise Refusal("builtins.ValueError", f"Invalid field {field!r} on model {model!r}")
        return self.new.get((model, field), field)

    def path(self, model: str, path: str, between: str) -> tuple[str, str, str]:
        """(path, last model, last field) in 19 of a path through relations."""
        steps, field = [], ""
        where = model
        for part in path.split(between) if not path.startswith(between) else [path]:
            model, field = where, self.name(where, part) if where else part
            steps.append(field)
            where = (self.fields.get(model, {}).get(part, "") + " ").split(" ")[1]
        return between.join(steps), model, field

    def values(self, model: str, field: str, value: Any) -> Any:
        """A value, or several, as 19 has them; one old value may be several new ones."""
        many = value if isinstance(value, list) else [value]
        found: list[Any] = []
        for each in many:
            new = [n for m, f, n, old, last in OLD_VALUES if (m, f, old) == (model, field, each) and self.major <= last]
            found += new or [each]
        return found if isinstance(value, list) or len(found) > 1 else found[0]

    def domain(self, model: str, domain: Sequence[Any]) -> list[Any]:
        """A domain in 19's names and values."""
        return [self._leaf(model, leaf) if isinstance(leaf, list | tuple) else leaf for leaf in domain]

    def _leaf(self, model: str, leaf: Sequence[Any]) -> list[Any]:
        path, last, field = self.path(model, leaf[0], ".")
        operator, value = leaf[1], leaf[2]
        if last in PRODUCTS and field in ("type", "detailed_type") and value == "product" and self.major <= 17:
            return [path.rpartition(field)[0] + "is_storable", operator, True]
        if field == "exclude_from_invoice_tab":  # up to 15: lines that Odoo adds by itself, taxes and the receivable
            return [path.rpartition(field)[0] + "display_type", "!=" if value else "=", "product"]
        new = self.values(last, field, value)
        if isinstance(new, list) and not isinstance(value, list):
            operator = {"=": "in", "!=": "not in"}[operator]
        return [path, operator, new]

    def vals(self, model: str, vals: Row) -> Row:
        """Values to write, those of lines among them."""
        found: Row = {}
        for field, value in vals.items():
            new = self.name(model, field)
            relation = (self.fields.get(model, {}).get(field, "") + " ").split(" ")[1]
            if isinstance(value, list) and relation:
                value = [self._command(relation, command) for command in value]
            found[new] = self._cut(model, new, self.values(model, new, value))
        if model in PRODUCTS and self.major <= 17:
            kind = found.pop("detailed_type", found.get("type"))
            if kind:
                found |= {"type": "consu" if kind == "product" else kind, "is_storable": kind == "product"}
        if model == "sale.order" and self.major <= 16 and "state" in found:
            done = found["state"] == "done"
            found |= {"locked": done, "state": "sale" if done else found["state"]}
        return found

    def _command(self, model: str, command: Any) -> Any:
        if isinstance(command, list | tuple) and len(command) == 3 and isinstance(command[2], dict):
            return [*command[:2], self.vals(model, command[2])]
        return command

    def _cut(self, model: str, field: str, value: Any) -> Any:
        if self.major >= 19 or model not in PRICED or field != "price_unit":
            return value
        cut = round(Decimal(str(value or 0)), self.digits)
        return f"{cut:f}" if isinstance(value, str) else float(cut)

    def columns(self, model: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[Any]]:
        """The matrix of a load()."""
        found = [self.path(model, column, "/") for column in columns]
        table = [
            [
                self._cut(last, field, self.values(last, field, cell))
                for (_, last, field), cell in zip(found, row, strict=True)
            ]
            for row in rows
        ]
        names = [path for path, _, _ in found]
        if model in PRODUCTS and self.major <= 17:
            at = next((names.index(name) for name in ("detailed_type", "type") if name in names), None)
            if at is not None:
                names = [*names[:at], "type", *names[at + 1 :], "is_storable"]
                kept = [(row, row[at] == "product") for row in table]
                table = [[*r[:at], "consu" if it else r[at], *r[at + 1 :], str(it)] for r, it in kept]
        if model == "account.move" and self.major <= 15:  # Odoo makes the lines anew: their external ids are lost
            keep = [n for n, name in enumerate(names) if name != "invoice_line_ids/id"]
            names, table = [names[n] for n in keep], [[row[n] for n in keep] for row in table]
        if model == "sale.order" and self.major <= 16:
            for row in table:
                if row[0] and "pricelist_id/.id" in names and not row[names.index("pricelist_id/.id")]:
                    raise Refusal("load", "Missing required value for the field 'Pricelist' (pricelist_id)")
        return names, table

    def asked(self, model: str, fields: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """(fields to read in 19, {its name: the name asked by})."""
        by = {self.name(model, field): field for field in fields}
        wanted = list(by)
        if model in PRODUCTS and self.major <= 17 and {"type", "detailed_type"} & by.keys():
            wanted = [name for name in wanted if name != "detailed_type"]
            wanted += [name for name in ("type", "is_storable") if name not in wanted]
        if model == "sale.order" and self.major <= 16 and "state" in by:
            wanted.append("locked")
        return wanted, by

    def row(self, model: str, row: Row, by: Mapping[str, str]) -> Row:
        """A row of 19's under the names it was asked by."""
        if model in PRODUCTS and self.major <= 17 and "is_storable" in row and "is_storable" not in by:
            kind = "product" if row["is_storable"] else row["type"]
            row = row | {"type": kind, "detailed_type": kind}
        if model == "sale.order" and self.major <= 16 and row.get("locked") and row.get("state") == "sale":
            row = row | {"state": "done"}
        old = {(f, n): o for m, f, n, o, last in OLD_VALUES if m == model and self.major <= last}
        return {
            asked: old.get((new, row[new]), row[new]) if isinstance(row[new], str) else row[new]
            for new, asked in {"id": "id", **by}.items()
            if new in row
        }

    def described(self, model: str, allfields: Sequence[str] = (), attributes: Sequence[str] = ()) -> Row:
        """fields_get."""
        found: Row = {}
        for field, told in self.fields[model].items():
            if not allfields or field in allfields:
                kind, _, relation = told.partition(" ")
                full = {"type": kind, "string": field, "required": False, "readonly": False, "store": True}
                full |= {"relation": relation} if relation else {}
                full |= {"digits": [16, self.digits]} if field == "price_unit" else {}
                found[field] = {name: value for name, value in full.items() if not attributes or name in attributes}
        return found


class Speaking:
    """The ASGI application of an older Odoo, around the stand-in of 19."""

    def __init__(self, app: ASGIApp, version: int, login: str, digits: int) -> None:
        self.app = app
        self.dialect, self.version, self.login = Dialect(version, digits), version, login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not self._answers(path):
            hidden = self.version < 19 and (path.startswith("/json") or path == "/web/version")
            if scope["type"] == "http" and (hidden or (self.version < 15 and path == "/web/health")):
                await _send(send, 404, b"<title>404 Not Found</title>\n<h1>Not Found</h1>", "text/html; charset=utf-8")
            else:
                await self.app(scope, receive, send)
            return
        asked = json.loads(await _body(receive))
        answer: Row = {"jsonrpc": "2.0", "id": asked.get("id")}
        try:
            result = self._told() if path == ASKED else await self._serve(scope, asked["params"])
            answer |= {} if result is None else {"result": result}
        except Page as page:
            for message in page.sent:
                await send(message)
            return
        except Refusal as refusal:
            data = {"name": refusal.name, "message": refusal.message, "arguments": [refusal.message], "context": {}}
            debug = f"Traceback (most recent call last):\n  ...\n{refusal.name}: {refusal.message}\n"
            answer["error"] = {"code": 200, "message": "Odoo Server Error", "data": data | {"debug": debug}}
        await _send(send, 200, json.dumps(answer).encode(), "application/json")

    def _answers(self, path: str) -> bool:
        return path in (DOOR, ASKED)

    def _told(self) -> Row:
        return {
            "server_version": SERVED[self.version],
            "server_version_info": [self.version, 0, 0, "final", 0, ""],
            "server_serie": f"{self.version}.0",
            "protocol_version": 1,
        }

    async def _serve(self, scope: Scope, params: Row) -> Any:
        service, method, args = params["service"], params["method"], list(params["args"])
        if (service, method) == ("common", "version"):
            return self._told()
        if service == "db":
            raise Refusal("odoo.exceptions.AccessDenied", "Access Denied")
        if (service, method) in (("common", "authenticate"), ("common", "login")):
            return await self._sign_in(scope, *args[:3])
        if (service, method) != ("object", "execute_kw"):
            raise Refusal("builtins.NameError", f"Method not available {method}")
        database, user, key, model, name = args[:5]
        placed, named = list(args[5]) if len(args) > 5 else [], dict(args[6]) if len(args) > 6 else {}
        if user != 2:
            words = f"Record does not exist or has been deleted.\n(Record: res.users({user},), User: {user})"
            raise Refusal("odoo.exceptions.MissingError", words)
        return await self._execute(Inner(self.app, scope, database, key), model, name, placed, named)

    async def _sign_in(self, scope: Scope, database: str, login: str, key: str) -> int | bool:
        try:
            await Inner(self.app, scope, database, key).call("res.users", "context_get", {})
        except Refusal as refusal:
            if refusal.name != "odoo.exceptions.AccessDenied":
                raise
            return False
        return 2 if login == self.login else False

    async def _execute(self, inner: Inner, model: str, name: str, placed: list[Any], named: Row) -> Any:
        ids: list[int] = []
        if name not in ON_MODEL:
            if not placed:
                raise Refusal("builtins.IndexError", "list index out of range")
            first = placed.pop(0)
            ids = first if isinstance(first, list) else [first]
        named |= dict(zip(BY_PLACE.get(name, ()), placed, strict=False))
        new, last = OLD_METHODS.get(name, (name, 19))
        renamed = next(
            (old for old, (after, until) in OLD_METHODS.items() if after == name and self.version <= until), ""
        )
        if self.version > last or renamed or (name == "has_access" and self.version <= 17):
            raise Refusal("builtins.AttributeError", f"type object {model!r} has no attribute {name!r}")
        if name == "check_access_rights":
            return await inner.call(model, "has_access", {"operation": named["operation"]})
        if name == "fields_get" and model in self.dialect.fields:
            return self.dialect.described(model, named.get("allfields") or (), named.get("attributes") or ())
        if model == "sale.order" and name in ("action_confirm", "action_cancel"):
            return await self._step(inner, name, ids, named)
        try:
            arguments, by = self._translated(model, name, named)
        except Refusal as refusal:
            if refusal.name != "load":
                raise
            message = {"type": "error", "message": refusal.message, "record": 0, "rows": {"from": 0, "to": 0}}
            return {"ids": False, "messages": [message], "nextrow": 0}
        one = name == "create" and isinstance(arguments.get("vals_list"), dict)
        if one:
            arguments["vals_list"] = [arguments["vals_list"]]
        result = await inner.call(model, new, arguments, ids)
        if by is not None:
            return [self.dialect.row(model, row, by) for row in result]
        return result[0] if one else result

    def _translated(self, model: str, name: str, named: Row) -> tuple[Row, dict[str, str] | None]:
        """The arguments as 19 wants them; for a reading, {its name: the name asked by}."""
        dialect, found, by = self.dialect, dict(named), None
        if name == "search_read" and "load" in found and self.version <= 14:
            raise Refusal("builtins.TypeError", "search_read() got an unexpected keyword argument 'load'")
        if "domain" in found:
            found["domain"] = dialect.domain(model, found["domain"])
        if name in ("read", "search_read") and found.get("fields"):
            found["fields"], by = dialect.asked(model, found["fields"])
        if name == "load":
            found["fields"], found["data"] = dialect.columns(model, found["fields"], found["data"])
        for values in ("vals", "vals_list"):
            if values in found:
                told = found[values]
                found[values] = (
                    [dialect.vals(model, v) for v in told] if isinstance(told, list) else dialect.vals(model, told)
                )
        return found, by

    async def _step(self, inner: Inner, name: str, ids: list[int], named: Row) -> Any:
        """Confirming twice is nothing up to 16; cancelling a confirmed order is a question on 16 to 18."""
        rows = await inner.call("sale.order", "read", {"fields": ["state"]}, ids)
        drafts = [row["id"] for row in rows if row["state"] in ("draft", "sent")]
        if name == "action_confirm" and self.version <= 16:
            return await inner.call("sale.order", name, named, drafts) if drafts else True
        asks = name == "action_cancel" and 15 <= self.version <= 18 and len(drafts) < len(ids)
        if asks and not (named.get("context") or {}).get("disable_cancel_warning"):
            return {"type": "ir.actions.act_window", "res_model": "sale.order.cancel", "view_mode": "form"}
        return await inner.call("sale.order", name, named, ids)


class Inner:
    """JSON-2 calls to the stand-in of 19, on behalf of one request."""

    def __init__(self, app: ASGIApp, scope: Scope, database: str, key: str) -> None:
        self.app, self.scope, self.database, self.key = app, scope, database, key

    async def call(self, model: str, method: str, arguments: Row, ids: Sequence[int] = ()) -> Any:
        """The result. Raises Refusal as the older API words it; what breaks the connection is passed on."""
        body = json.dumps(arguments | ({"ids": list(ids)} if ids else {})).encode()
        headers = [
            (b"authorization", f"bearer {self.key}".encode()),
            (b"x-odoo-database", self.database.encode()),
            (b"content-type", b"application/json"),
        ]
        path = f"/json/2/{model}/{method}"
        scope = self.scope | {"path": path, "raw_path": path.encode(), "headers": headers}
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        status = next(m["status"] for m in sent if m["type"] == "http.response.start")
        said = b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body")
        if status == 200:
            return json.loads(said)
        error = _error(said)
        if error is None and (status != 404 or b"database" not in said):
            raise Page(sent)
        raise _refusal(status, error, model, self.database)


def _error(said: bytes) -> Row | None:
    try:
        error = json.loads(said)
    except ValueError:
        return None
    return error if isinstance(error, dict) and "name" in error else None


def _refusal(status: int, error: Row | None, model: str, database: str) -> Refusal:
    if error is None:
        return Refusal(
            "psycopg2.OperationalError", f'connection failed: FATAL:  database "{database}" does not exist\n'
        )
    name, message = error["name"], error["message"]
    if status == 401:
        return Refusal("odoo.exceptions.AccessDenied", "Access Denied")
    if name.endswith(".NotFound"):
        if "the model" in message:
            return Refusal("odoo.exceptions.UserError", f"Object {model} doesn't exist")
        return Refusal("builtins.AttributeError", message)
    return Refusal("builtins.TypeError" if status == 422 and name.startswith("werkzeug") else name, message)


async def _body(receive: Receive) -> bytes:
    return b"".join([part async for part in _parts(receive)])


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def _send(send: Send, status: int, body: bytes, kind: str) -> None:
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def speaking(app: ASGIApp, version: int, login: str = "admin", digits: int = 2) -> Speaking:
    """The stand-in `app` as an Odoo of `version` (14, 16, 18; 19: JSON-RPC beside JSON-2).

    `login` is the one user's, `digits` is the decimal accuracy 'Product Price'.
    """
    return Speaking(app, version, login, digits)


def main() -> None:
    """Serve an older stand-in until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m counterfoil_sandbox.odoo_versions", description=__doc__)
    parser.add_argument("--version", type=int, default=16, choices=SERVED)
    parser.add_argument("--port", type=int, default=8069)
    options = parser.parse_args()
    app = make_app(currency="EUR", country="FR")
    seed(app, products=[f"SKU-{n:04d}" for n in range(1, 21)], currencies=["EUR"])
    print(f"Odoo {options.version} stand-in on http://127.0.0.1:{options.port}, login admin", flush=True)
    serve_forever(speaking(app, options.version), options.port)


if __name__ == "__main__":
    main()
