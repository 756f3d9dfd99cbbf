"""A stand-in for Odoo 19 speaking JSON-2, in memory: `POST /json/2/<model>/<method>` with an API key.

`make_app` gives the application (wrapped in `Faulty`), `seed` a catalogue, `app.inner.state.odoo` the state.
Where it answers, it answers as the real server was seen to: status, error body, rows, messages of `load`.

    python -m counterfoil_sandbox.odoo --port 8069 --products 100
"""

from __future__ import annotations

import argparse
import inspect
import json
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from counterfoil_sandbox import odoo_load, odoo_models
from counterfoil_sandbox.faults import Faulty
from counterfoil_sandbox.odoo_models import INSTALLED, MODULE_MODELS, find
from counterfoil_sandbox.odoo_store import COMPUTED, NAME_FIELDS, SCHEMA, OdooError, Row, Store, compile_domain
from counterfoil_sandbox.serving import serve_forever

VERSION = {"version_info": [19, 0, 0, "final", 0, ""], "version": "19.0"}
NO_DATABASE = (
    "<!DOCTYPE html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"
    "<p>No database is selected and the requested URL was not found in the server-wide controllers.</p>\n"
    "<p>Please verify the hostname, <a href=/web/login>login</a> and try again.</p>\n\n"
    "<!-- Alternatively, use the X-Odoo-Database header. -->\n"
)
NO_CSRF = (
    "<!doctype html>\n<html lang=en>\n<title>400 Bad Request</title>\n<h1>Bad Request</h1>\n"
    "<p>Session expired (invalid CSRF token)</p>\n"
)
NOT_JSON = (
    "<!doctype html>\n<html lang=en>\n<title>415 Unsupported Media Type</title>\n<h1>Unsupported Media Type</h1>\n"
    "<p>Request inferred type is compatible with [&#39;http&#39;] but "
    "&#39;/json/2/&lt;__model__&gt;/&lt;__method__&gt;&#39; is type=&#39;json2&#39;.<br><br>"
    "Please verify the Content-Type request header and try again.</p>\n"
)
# The real server closes the connection after each answer.
CLOSE = {"connection": "close"}
SERIALIZATION = "could not serialize access due to concurrent update\n"


@dataclass
class Target:
    """What a method is called on."""

    store: Store
    model: str
    ids: list[int]


Method = Callable[..., Any]
METHODS: dict[str, tuple[Method, bool]] = {}  # name, or model:name -> function, on the model (no ids allowed)
READING: set[str] = set()
PRIVATE = {"search_fetch", "exists", "check_access", "browse", "sudo", "with_context", "mapped", "filtered"}


def method(*names: str, on_model: bool = False, reads: bool = False) -> Callable[[Method], Method]:
    """Register a method callable over JSON-2; its signature is what callers must keep to."""

    def register(function: Method) -> Method:
        for name in names:
            METHODS[name] = (function, on_model)
            if reads:
                READING.add(name)
        return function

    return register


@method("search", on_model=True, reads=True)
def _search(self: Target, domain: Any, offset: int = 0, limit: Any = None, order: Any = None) -> list[int]:
    self.store.check_access(self.model, "read")
    return self.store.search(self.model, domain, offset, limit, order)


@method("search_count", on_model=True, reads=True)
def _search_count(self: Target, domain: Any, limit: Any = None) -> int:
    self.store.check_access(self.model, "read")
    return len(self.store.search(self.model, domain, 0, limit, "id"))


@method("search_read", on_model=True, reads=True)
def _search_read(
    self: Target,
    domain: Any = None,
    fields: Any = None,
    offset: int = 0,
    limit: Any = None,
    order: Any = None,
    load: Any = "_classic_read",
) -> list[Row]:
    self.store.check_access(self.model, "read")
    found = self.store.search(self.model, domain or [], offset, limit, order)
    return self.store.read(self.model, found, fields, load)


@method("read", reads=True)
def _read(self: Target, fields: Any = None, load: Any = "_classic_read") -> list[Row]:
    self.store.check_access(self.model, "read")
    return self.store.read(self.model, self.ids, fields, load)


@method("name_search", on_model=True, reads=True)
def _name_search(
    self: Target, name: str = "", domain: Any = None, operator: str = "ilike", limit: int = 100
) -> list[list[Any]]:
    self.store.check_access(self.model, "read")
    names = NAME_FIELDS.get(self.model, ("display_name",))
    tests = [compile_domain(self.store, self.model, [(field, operator, name)]) for field in names]
    rows = self.store.rows[self.model]
    found = self.store.search(self.model, domain or [])
    hits = [i for i in found if not name or any(test(rows[i]) for test in tests)]
    return [[i, self.store.display_name(self.model, i)] for i in hits[:limit]]


@method("fields_get", on_model=True, reads=True)
def _fields_get(self: Target, allfields: Any = None, attributes: Any = None) -> Row:
    return {
        name: {key: value for key, value in spec.items() if not attributes or key in attributes}
        for name, spec in self.store.fields(self.model).items()
        if not allfields or name in allfields
    }


@method("has_access", reads=True)
def _has_access(self: Target, operation: str) -> bool:
    if operation not in ("read", "write", "create", "unlink"):
        raise OdooError(500, "builtins.AssertionError", "Invalid access mode")
    return self.model not in self.store.refused


@method("check_access_rights", on_model=True, reads=True)
def _check_access_rights(self: Target, operation: str, raise_exception: bool = True) -> bool | None:
    if raise_exception:
        self.store.check_access(self.model, operation)
        return None
    return self.model not in self.store.refused


@method("create", on_model=True)
def _create(self: Target, vals_list: Any) -> list[int]:
    rows = [vals_list] if isinstance(vals_list, dict) else vals_list
    return [self.store.create(self.model, values) for values in rows]


@method("write")
def _write(self: Target, vals: Row) -> bool:
    self.store.write(self.model, self.ids, vals)
    return True


@method("unlink")
def _unlink(self: Target) -> bool:
    self.store.unlink(self.model, self.ids)
    return True


@method("load", on_model=True)
def _load(self: Target, fields: Any, data: Any) -> Row:
    return odoo_load.load(self.store, self.model, fields, data)


@method("message_post")
def _message_post(self: Target, body: str = "", **_kwargs: Any) -> int:
    self.store.check_exist(self.model, self.ids)
    number = self.store.sequences["message"] = self.store.sequences.get("message", 0) + 1
    return number


@method("res.users:context_get", on_model=True, reads=True)
def _context_get(self: Target) -> Row:
    return {"lang": "en_US", "tz": False, "uid": self.store.uid}


@method("ir.config_parameter:get_param", on_model=True, reads=True)
def _get_param(self: Target, key: str, default: Any = False) -> Any:
    self.store.check_access(self.model, "read")
    rows = self.store.rows[self.model].values()
    return next((row["value"] for row in rows if row["key"] == key), default)


@method("decimal.precision:precision_get", on_model=True, reads=True)
def _precision_get(self: Target, application: str) -> int:
    rows = self.store.rows[self.model].values()
    return next((row["digits"] for row in rows if row["name"] == application), 2)


@method("sale.order:action_confirm")
def _confirm(self: Target) -> bool:
    return odoo_models.confirm_orders(self.store, self.ids)


@method("sale.order:action_cancel")
def _cancel(self: Target) -> bool:
    return odoo_models.cancel_orders(self.store, self.ids)


@method("sale.order:action_draft")
def _draft(self: Target) -> bool:
    return odoo_models.reopen_orders(self.store, self.ids)


@method("sale.order:action_lock")
def _lock(self: Target) -> None:
    self.store.write(self.model, self.ids, {"locked": True})


@method("sale.order:action_unlock")
def _unlock(self: Target) -> None:
    self.store.write(self.model, self.ids, {"locked": False})


@method("account.payment:action_post")
def _post(self: Target) -> None:
    odoo_models.post_payments(self.store, self.ids)


@method("account.payment:action_draft")
def _payment_draft(self: Target) -> None:
    odoo_models.set_payments(self.store, self.ids, "draft")


@method("account.payment:action_cancel")
def _payment_cancel(self: Target) -> None:
    odoo_models.set_payments(self.store, self.ids, "canceled")


@cache
def _signature(function: Method) -> inspect.Signature:
    return inspect.signature(function)


class Odoo:
    """The state of the stand-in: its records, who may do what, and what it does wrong next."""

    def __init__(self, store: Store, api_key: str, database: str) -> None:
        self.store = store
        self.database = database
        self.database_up = True
        self.api_keys: dict[str, int] = {api_key: 2}
        self.denied: dict[str, set[str]] = {}
        self.serialization_failures = 0
        self.calls: list[tuple[str, str, int]] = []
        self._lock = threading.RLock()

    @property
    def missing(self) -> set[str]:
        """Models of modules that are not installed."""
        return self.store.missing

    def call(self, model: str, method: str, /, ids: Any = (), context: Any = None, **arguments: Any) -> Any:
        """One call as the administrator, without HTTP or faults. Raises OdooError."""
        return self.answer(model, method, {"ids": ids, "context": context, **arguments})

    def answer(self, model: str, name: str, arguments: Row, api_key: str = "") -> Any:
        """One JSON-2 call, one transaction. Raises OdooError; any other exception is the caller's wrong argument."""
        arguments = dict(arguments)
        ids, context = arguments.pop("ids", ()), arguments.pop("context", None)
        with self._lock:
            store = self.store
            store.context = dict(context or {})
            store.refused = self.denied.get(api_key, set())
            store.uid = self.api_keys.get(api_key, 2)
            try:
                result = self._dispatch(model, name, [ids] if isinstance(ids, int) else list(ids), arguments)
                store.commit()
            except BaseException:
                store.rollback()
                store.stale_orders.clear()
                raise
            finally:
                store.context, store.refused = {}, set()
            return result

    def _dispatch(self, model: str, name: str, ids: list[int], arguments: Row) -> Any:
        if model not in SCHEMA or model in self.missing:
            raise OdooError(404, "werkzeug.exceptions.NotFound", f"the model {model!r} does not exist")
        if name.startswith("_") or name in PRIVATE:
            text = f"Private methods (such as '{model}.{name}') cannot be called remotely."
            raise OdooError(403, "odoo.exceptions.AccessError", text)
        known = METHODS.get(f"{model}:{name}") or METHODS.get(name)
        if known is None:
            text = f"The method '{model}.{name}' does not exist"
            raise OdooError(404, "werkzeug.exceptions.NotFound", text)
        function, on_model = known
        unprocessable = "werkzeug.exceptions.UnprocessableEntity"
        if on_model and ids:
            raise OdooError(422, unprocessable, f"cannot call {model}.{name} with ids")
        target = Target(self.store, model, ids)
        try:
            _signature(function).bind(target, **arguments)
        except TypeError as error:
            raise OdooError(422, unprocessable, str(error)) from None
        rows = arguments.get("data") or arguments.get("vals_list") or ids
        self.calls.append((model, name, len(rows) if isinstance(rows, list) else 1))
        if self.serialization_failures > 0 and not {name, f"{model}:{name}"} & READING:
            self.serialization_failures -= 1
            if name == "load":
                return odoo_load.lost_race(model, arguments["fields"], arguments["data"])
            raise OdooError(500, "psycopg2.errors.SerializationFailure", SERIALIZATION)
        return function(target, **arguments)

    def rows(self, model: str) -> list[Row]:
        """Copies of all records of a model as they are kept, archived ones too, with one2many ids."""
        with self._lock:
            self.store.context = {"active_test": False}
            fields = self.store.fields(model)
            computed = [f for f in fields if (model, f) in COMPUTED or fields[f]["type"] == "one2many"]
            rows = list(self.store.rows[model].values())
            result = [{**row, **{f: self.store.value(model, row, f) for f in computed}} for row in rows]
            self.store.context = {}
            return result

    def ref(self, xmlid: str) -> tuple[str, int] | None:
        """(model, id) behind an external id `module.name`; None if unknown or the record is gone."""
        return self.store.ref(xmlid)

    def install(self, module: str, installed: bool) -> None:
        """Make a module and its models appear or disappear."""
        models = set(MODULE_MODELS.get(module, ()))
        self.store.missing = self.missing - models if installed else self.missing | models
        row_id = find(self.store, "ir.module.module", name=module)
        row = self.store.rows["ir.module.module"][row_id]
        version = row["installed_version"] if installed else False
        state = "installed" if installed else "uninstalled"
        self.store.set("ir.module.module", row_id, state=state, latest_version=version)
        self.store.commit()

    def restart(self) -> None:
        """As after repair: database up, rights and conflicts back to normal. Records stay."""
        self.database_up = True
        self.denied.clear()
        self.serialization_failures = 0


# HTTP


def _error(error: OdooError, debug: str = "") -> Response:
    name = error.name.removeprefix("builtins.")
    body = {
        "name": error.name,
        "message": error.message,
        "arguments": error.arguments,
        "context": {},
        "debug": debug or f"Traceback (most recent call last):\n  ...\n{name}: {error.message}\n",
    }
    headers = {**CLOSE, "www-authenticate": "Bearer"} if error.status == 401 else CLOSE
    return _json(body, error.status, headers)


def _json(body: Any, status: int = 200, headers: Mapping[str, str] = CLOSE) -> Response:
    return Response(json.dumps(body), status, headers, media_type="application/json; charset=utf-8")


async def _json2(request: Request) -> Response:
    odoo: Odoo = request.app.state.odoo
    if not odoo.database_up or request.headers.get("x-odoo-database", odoo.database) != odoo.database:
        return HTMLResponse(NO_DATABASE, 404, CLOSE)
    parts = request.path_params.get("rest", "").strip("/").split("/")
    if request.method != "POST" or len(parts) != 2:
        return _error(OdooError(404, "werkzeug.exceptions.NotFound", "Did you mean POST /json/2/<model>/<method>?"))
    if "json" not in request.headers.get("content-type", ""):
        return HTMLResponse(NOT_JSON, 415, CLOSE)
    try:
        key = _key(odoo, request)
        return _json(odoo.answer(parts[0], parts[1], _arguments(await request.body()), key))
    except OdooError as error:
        return _error(error)
    except Exception as error:  # a real Odoo answers any exception like this
        name = f"builtins.{type(error).__name__}"
        return _error(OdooError(500, name, str(error)), traceback.format_exc())


def _key(odoo: Odoo, request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    message = "Invalid apikey"
    if scheme.lower() != "bearer":
        message = "User not authenticated, use an API Key with a Bearer Authorization header."
    elif key in odoo.api_keys:
        return key
    raise OdooError(401, "werkzeug.exceptions.Unauthorized", message)


def _arguments(body: bytes) -> Row:
    try:
        arguments = json.loads(body or b"{}")
    except ValueError as error:
        text = f"could not parse the body as json: {error}"
        raise OdooError(400, "werkzeug.exceptions.BadRequest", text) from None
    return arguments if isinstance(arguments, dict) else {}


async def _version(request: Request) -> Response:
    return _json(VERSION) if request.method == "GET" else HTMLResponse(NO_CSRF, 400, CLOSE)


async def _health(request: Request) -> Response:
    if request.method != "GET":
        return HTMLResponse(NO_CSRF, 400, CLOSE)
    up = request.app.state.odoo.database_up
    if request.query_params.get("db_server_status"):
        return JSONResponse({"status": "pass" if up else "fail", "db_server_status": up}, 200 if up else 500, CLOSE)
    return JSONResponse({"status": "pass"}, 200, CLOSE)


async def _records(request: Request) -> Response:
    model = request.path_params["model"]
    if model not in SCHEMA:
        return JSONResponse({"error": f"no model {model}"}, 404)
    return JSONResponse(request.app.state.odoo.rows(model))


async def _control(request: Request) -> Response:
    odoo: Odoo = request.app.state.odoo
    door = request.path_params["door"]
    asked = json.loads(await request.body() or b"{}")
    if door == "database":
        odoo.database_up = bool(asked["up"])
    elif door == "modules":
        for module, installed in asked.items():
            odoo.install(module, bool(installed))
    elif door == "rights":
        key = asked.get("api_key") or next(iter(odoo.api_keys))
        odoo.denied[key] = set(asked["deny"])
    elif door == "serialization":
        odoo.serialization_failures = int(asked["failures"])
    elif door == "keys":
        if "add" in asked:
            odoo.api_keys[asked["add"]] = 2
        odoo.api_keys.pop(asked.get("remove", ""), None)
    elif door == "restart":
        odoo.restart()
        request.app.state.faults.clear()
    else:
        return JSONResponse({"error": f"no door {door}"}, 404)
    return JSONResponse({"ok": True})


def make_app(
    *,
    api_key: str = "sandbox-key",
    database: str = "sandbox",
    currency: str = "USD",
    country: str = "US",
    rounding: str = "round_globally",
    modules: Iterable[str] = INSTALLED,
) -> Faulty:
    """A fresh Odoo with one company; rounding is its tax_calculation_rounding_method (or `round_per_line`)."""
    store = Store()
    installed = tuple(modules)
    odoo_models.first_data(store, currency=currency, country=country, rounding=rounding, modules=installed)
    for module, models in MODULE_MODELS.items():
        if module not in installed:
            store.missing |= set(models)
    every = ["GET", "POST", "PUT", "DELETE", "PATCH"]
    inner = Starlette(
        routes=[
            Route("/json/2", _json2, methods=every),
            Route("/json/2/{rest:path}", _json2, methods=every),
            Route("/web/version", _version, methods=["GET", "POST"]),
            Route("/json/version", _version, methods=["GET", "POST"]),
            Route("/web/health", _health, methods=["GET", "POST"]),
            Route("/_sandbox/records/{model}", _records),
            Route("/_sandbox/{door}", _control, methods=["POST"]),
        ]
    )
    inner.state.odoo = Odoo(store, api_key, database)
    app = Faulty(inner)
    inner.state.faults = app.faults
    return app


def seed(
    app: Faulty,
    products: Iterable[str | Row] = (),
    taxes: Iterable[Row] = (),
    currencies: Iterable[str] = (),
    journals: Iterable[str | Row] = (),
    pricelists: Iterable[Row] = (),
    partners: Iterable[Row] = (),
) -> dict[str, dict[str, int]]:
    """Put a catalogue into the stand-in; answers the ids by code or name.

    products: default codes, or values of product.product. taxes: values of account.tax, `country` as ISO code
    allowed. currencies: ISO codes to activate, each with a pricelist (Odoo takes an order's currency from it).
    journals: codes (of bank journals), or values of account.journal.
    """
    store: Store = app.inner.state.odoo.store
    ids: dict[str, dict[str, int]] = {
        name: {} for name in ("products", "taxes", "currencies", "journals", "pricelists", "partners")
    }
    for tax in taxes:
        values = {name: value for name, value in tax.items() if name != "country"}
        if "country" in tax:
            values["country_id"] = find(store, "res.country", code=tax["country"])
        ids["taxes"][tax["name"]] = store.create("account.tax", values)
    for product in products:
        values = {"default_code": product, "name": product} if isinstance(product, str) else dict(product)
        values.setdefault("name", values.get("default_code") or values.get("barcode"))
        ids["products"][values.get("default_code") or values["name"]] = store.create("product.product", values)
    home = store.rows["res.company"][1]["currency_id"]
    wanted = list(currencies)
    if wanted and not store.rows["product.pricelist"]:
        code = store.rows["res.currency"][home]["name"]
        ids["pricelists"][code] = store.create("product.pricelist", {"name": "Default", "sequence": 10})
    for code in wanted:
        currency_id = ids["currencies"][code] = find(store, "res.currency", name=code)
        store.set("res.currency", currency_id, active=True)
        if currency_id != home:
            values = {"name": code, "currency_id": currency_id}
            ids["pricelists"][code] = store.create("product.pricelist", values)
    for values in pricelists:
        code = store.display_name("res.currency", values.get("currency_id") or home)
        ids["pricelists"][code] = store.create("product.pricelist", values)
    for journal in journals:
        values = {"code": journal, "name": journal} if isinstance(journal, str) else dict(journal)
        values.setdefault("type", "bank")
        journal_id = store.create("account.journal", values)
        ids["journals"][store.rows["account.journal"][journal_id]["code"]] = journal_id
    for values in partners:
        ids["partners"][values["name"]] = store.create("res.partner", values)
    store.commit()
    return ids


def main() -> None:
    """Serve the stand-in until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m counterfoil_sandbox.odoo", description=__doc__)
    parser.add_argument("--port", type=int, default=8069)
    parser.add_argument("--api-key", default="sandbox-key")
    parser.add_argument("--database", default="sandbox")
    parser.add_argument("--currency", default="EUR")
    parser.add_argument("--country", default="FR")
    parser.add_argument("--products", type=int, default=20, help="products SKU-0001… to begin with")
    options = parser.parse_args()
    app = make_app(
        api_key=options.api_key, database=options.database, currency=options.currency, country=options.country
    )
    seed(app, products=[f"SKU-{n:04d}" for n in range(1, options.products + 1)])
    print(f"Odoo 19 stand-in on http://127.0.0.1:{options.port}, database {options.database}", flush=True)
    serve_forever(app, options.port)


if __name__ == "__main__":
    main()
