"""Odoo's failures → outcomes: by content, never by HTTP status alone. Pure.

Observed on Odoo 19's JSON-2: business errors are 422, a wrong field is 500, a database that is gone is an HTML
404, and `load()` answers 200 with `ids: false` when it lost a race or met a bad row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from counterfoil.hub.contract import Kind, Outcome, rejected

_RACE = re.compile(
    r"could not serialize access|deadlock detected|could not obtain lock|"
    r"duplicate key value violates unique constraint \"ir_model_data",
    re.IGNORECASE,
)
_NO_RIGHT = re.compile(r"You are not allowed to |top-secret records|doesn't have '\w+' access")
_RACE_NAMES = ("SerializationFailure", "DeadlockDetected", "LockNotAvailable")
_GONE_NAMES = ("OperationalError", "InterfaceError", "AdminShutdown", "CannotConnectNow", "TooManyConnections")
_BUSINESS_NAMES = ("UserError", "ValidationError", "RedirectWarning")


def lost_race(message: str) -> bool:
    """Whether the words are those of two transactions meeting: try again at once."""
    return bool(_RACE.search(message))


def retry(message: str) -> Outcome:
    """Two transactions met; the same call will do on its own."""
    return Outcome(Kind.RETRY, "lost_race", "Odoo was busy with the same records.", message)


def down(reason: str, technical: str) -> Outcome:
    """Odoo cannot be reached as a whole."""
    words = {
        "unreachable": "Odoo does not answer.",
        "database_gone": "Odoo answers, but its database is gone or has another name.",
    }
    return Outcome(
        Kind.DOWN,
        reason,
        words.get(reason, "Odoo is out of order."),
        technical,
        "Nothing is lost: work goes on by itself once Odoo is back. See that Odoo and its PostgreSQL are running.",
    )


def misconfigured(reason: str, message: str, suggestion: str, technical: str = "") -> Outcome:
    """Credentials, rights or modules: nothing will work until someone changes that."""
    return Outcome(Kind.MISCONFIGURED, reason, message, technical, suggestion)


def no_right(message: str, technical: str) -> Outcome:
    """The key's user may not do this."""
    return misconfigured(
        "no_right",
        f"The Odoo user lacks a right: {message}",
        "Give the key's user that right; `counterfoil doctor` names the groups that are needed.",
        technical,
    )


def classify(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """The outcome of a JSON-2 answer that is not a success."""
    error = _error(body)
    if error is None:
        return _not_json(status, headers, body)
    name = str(error.get("name", ""))
    message = str(error.get("message", "")).strip()
    technical = f"HTTP {status} {name}: {message}"
    last = name.rsplit(".", 1)[-1]
    if last in _RACE_NAMES or lost_race(message):
        return retry(technical)
    if last in _GONE_NAMES:
        return down("database_gone", technical)
    if status == 401 or last in ("Unauthorized", "AccessDenied"):
        return misconfigured(
            "bad_credentials",
            "Odoo refuses the API key.",
            "Make a new API key in Odoo (preferences, Account Security) and put it where the blueprint says.",
            technical,
        )
    if last == "AccessError":
        return no_right(message, technical)
    if last == "MissingError":
        return rejected(
            "record_gone",
            f"Odoo says: {message}",
            "The record was deleted in Odoo. Bring it back or resolve this by hand.",
            technical,
        )
    if last == "NotFound" and "the model" in message:
        return misconfigured(
            "module_missing",
            f"Odoo lacks a module: {message}",
            "Install the Sales and Invoicing apps in Odoo.",
            technical,
        )
    if last in _BUSINESS_NAMES:
        return rejected(
            "odoo_refused", f"Odoo says: {message}", "Put it right in Odoo or in the shop, then retry.", technical
        )
    if status == 429:
        return throttled(headers, technical)
    if status in (502, 503, 504):
        return down("unreachable", technical)
    return Outcome(
        Kind.BUG,
        "odoo_version_difference" if last in ("ValueError", "NotFound", "UnprocessableEntity") else "odoo_failed",
        "Odoo could not make sense of the call. A module or version difference is likely; please report it.",
        f"{technical}\n{str(error.get('debug', ''))[-3000:]}",
        "Run `counterfoil doctor`; retry once it is clean or a newer version is installed.",
    )


def throttled(headers: Mapping[str, str], technical: str) -> Outcome:
    """Something in front of Odoo asks to wait (Retry-After in seconds, else ten)."""
    value = headers.get("retry-after", "")
    wait = min(int(value), 3600) if value.isdigit() else 10
    until = datetime.now(UTC) + timedelta(seconds=wait)
    return Outcome(Kind.THROTTLED, "throttled", "Odoo asks to wait.", technical, until=until)


def _not_json(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    text = re.sub(r"<[^>]+>", " ", body[:600].decode("utf-8", "replace"))
    technical = f"HTTP {status}: {' '.join(text.split())[:300]}"
    if status == 404 and "database" in text:
        return down("database_gone", technical)
    if status == 404:
        return misconfigured(
            "no_json2",
            "This address does not speak Odoo's JSON-2 API.",
            "Check the address of the Odoo system in the blueprint; JSON-2 needs Odoo 19 with the module `rpc`.",
            technical,
        )
    if status == 429:
        return throttled(headers, technical)
    if status == 413:
        return Outcome(Kind.BUG, "too_large", "A proxy in front of Odoo refuses calls of this size.", technical)
    return down("unreachable", technical)


def _error(body: bytes) -> Mapping[str, Any] | None:
    try:
        error = json.loads(body)
    except ValueError:
        return None
    return error if isinstance(error, dict) and "name" in error else None


def load_failed(messages: Sequence[Mapping[str, Any]]) -> Outcome:
    """The outcome of a `load()` that answered `ids: false`."""
    words = "; ".join(str(m.get("message", "")).strip() for m in messages if m.get("type") != "warning")
    words = words or "; ".join(str(m.get("message", "")) for m in messages) or "no reason given"
    if lost_race(words):
        return retry(words)
    if _NO_RIGHT.search(words):  # load() answers 200 where every other method answers 403
        return no_right(words.partition("\n")[0], words)
    return rejected("odoo_refused", f"Odoo says: {words}", "Put it right in Odoo or in the shop, then retry.", words)
