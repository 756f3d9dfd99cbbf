"""What can be called on every model of the Odoo stand-in, and the register of all methods."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from counterfoil_sandbox import odoo_load
from counterfoil_sandbox.odoo_domains import compile_domain
from counterfoil_sandbox.odoo_schema import NAME_FIELDS, OdooError, Row
from counterfoil_sandbox.odoo_store import Store


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


@method("action_archive")
def _archive(self: Target) -> bool:
    self.store.write(self.model, self.ids, {"active": False})
    return True


@method("action_unarchive")
def _unarchive(self: Target) -> bool:
    self.store.write(self.model, self.ids, {"active": True})
    return True


@method("message_post")
def _message_post(self: Target, body: str = "", subject: Any = False, **_kwargs: Any) -> int:
    store = self.store
    store.check_exist(self.model, self.ids)
    text = body if body.lstrip().startswith("<") else f"<p>{html.escape(body, quote=False)}</p>"
    values = {"model": self.model, "res_id": self.ids[0], "body": text, "subject": subject, "date": store.now()}
    return store.create("mail.message", {**values, "message_type": "notification"})


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
