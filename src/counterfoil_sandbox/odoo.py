"""A stand-in for Odoo 19 speaking JSON-2, in memory: `POST /json/2/<model>/<method>` with an API key.

`make_app` gives the application (wrapped in `Faulty`), `seed` a catalogue, `app.inner.state.odoo` the state.
Where it answers, it answers as the real server was seen to: status, error body, rows, messages of `load`.

    python -m counterfoil_sandbox.odoo --port 8069 --products 100
"""

from __future__ import annotations

import argparse
import contextlib
import inspect
import json
import threading
import traceback
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from counterfoil_sandbox import odoo_actions, odoo_images, odoo_load, odoo_models
from counterfoil_sandbox.faults import Faulty
from counterfoil_sandbox.odoo_base import find
from counterfoil_sandbox.odoo_methods import METHODS, PRIVATE, READING, Method, Target
from counterfoil_sandbox.odoo_models import INSTALLED, MODULE_MODELS
from counterfoil_sandbox.odoo_schema import COMPUTED, SCHEMA, OdooError, Row
from counterfoil_sandbox.odoo_store import Store
from counterfoil_sandbox.serving import serve_forever, serving

_ = odoo_actions  # registers its methods

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
        self.history: list[tuple[str, str, float]] = []
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
            store.begin()
            try:
                result = self._dispatch(model, name, [ids] if isinstance(ids, int) else list(ids), arguments)
                store.flush()
                self._note_orders()
                store.commit()
            except BaseException:
                store.rollback()
                store.stale_orders.clear()
                store.stale_invoices.clear()
                store.stale_templates.clear()
                raise
            finally:
                store.end()
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

    def _note_orders(self) -> None:
        """What each order written by this call has become: origin, state, total."""
        for number in self.store.written("sale.order"):
            row = self.store.rows["sale.order"].get(number)
            if row is not None:
                self.history.append((row["origin"] or "", row["state"], row["amount_total"]))

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


async def _history(request: Request) -> Response:
    """What became of orders, commit by commit: origin, state, total."""
    return JSONResponse(request.app.state.odoo.history)


async def _image(request: Request) -> Response:
    """What a browser gets at /web/image/<model>/<id>/<field>."""
    odoo: Odoo = request.app.state.odoo
    parts = request.path_params
    content = odoo_images.shown_image(odoo.store, parts["model"], parts["number"], parts["field"])
    return Response(content, 200 if content else 404, CLOSE, media_type="image/png")


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
            Route("/web/image/{model}/{number:int}/{field}", _image),
            Route("/_sandbox/records/{model}", _records),
            Route("/_sandbox/history", _history),
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
    parser.add_argument("--calm-port", type=int, default=0, help="a second one, which no fault reaches")
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
    with serving(app.inner, options.calm_port) if options.calm_port else contextlib.nullcontext():
        serve_forever(app, options.port)


if __name__ == "__main__":
    main()
