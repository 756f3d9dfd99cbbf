"""Odoo's failures → outcomes: by content, never by HTTP status alone. Pure.

Observed on Odoo 19's JSON-2: business errors are 422, a wrong field is 500, a database that is gone is an HTML
404. JSON-RPC of 14 to 19 answers 200 to everything and names the exception in `error.data.name`. `load()` answers
with `ids: false` when it lost a race or met a bad row.
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
_NO_RIGHT = re.compile(
    r"You are not allowed to |Due to security restrictions|top-secret records|doesn't have '\w+' access", re.IGNORECASE
)
# Odoo's words for a model that no installed module brings: JSON-2, and JSON-RPC of 14 to 19
_NO_MODEL = re.compile(r"^the model '|^Object \S+ doesn't exist")
# after five failures Odoo refuses a good key too, for a minute (res.users, _on_login_cooldown)
_COOLDOWN = "Too many login failures"
COOLDOWN_SECONDS = 60
# the user of a number that was kept is gone: the record is itself the one who asks
_NO_USER = re.compile(r"Record: res\.users\((\d+),\), User: \1\b")
_RACE_NAMES = ("SerializationFailure", "DeadlockDetected", "LockNotAvailable")
_GONE_NAMES = (
    *("OperationalError", "InterfaceError", "AdminShutdown", "CrashShutdown", "CannotConnectNow"),
    *("TooManyConnections", "ReadOnlySqlTransaction", "DiskFull"),
)
_BUSINESS_NAMES = ("UserError", "ValidationError", "RedirectWarning")
_SENSELESS_NAMES = ("ValueError", "TypeError", "AttributeError", "KeyError", "NotFound", "UnprocessableEntity")


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


def bad_credentials(technical: str) -> Outcome:
    """Odoo does not know this user, or not by this key."""
    return misconfigured(
        "bad_credentials",
        "Odoo refuses the API key.",
        "Make a new API key in Odoo (preferences, Account Security) and put it where the blueprint says; on Odoo 14 to "
        "18 see that `login` is the user's own, too.",
        technical,
    )


def unsupported(message: str) -> Outcome:
    """An Odoo that this connector does not serve."""
    return misconfigured("unsupported_version", message, "Use an Odoo of a version that is served.", message)


def classify(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """The outcome of a JSON-2 answer that is not a success."""
    error = _error(body)
    if error is None:
        return _not_json(status, headers, body)
    name = str(error.get("name", ""))
    message = str(error.get("message", "")).strip()
    technical = f"HTTP {status} {name}: {message}"
    named = _by_name(name, message, technical)
    if named:
        return named
    if status == 401:
        return bad_credentials(technical)
    if status == 429:
        return throttled(headers, technical)
    if status in (502, 503, 504):
        return down("unreachable", technical)
    return _ours(name, technical, str(error.get("debug", "")))


def classify_rpc(status: int, headers: Mapping[str, str], body: bytes) -> Outcome | None:
    """The outcome of a JSON-RPC answer; None where it is a success."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not ("jsonrpc" in answer or "error" in answer):
        return _no_rpc(status, headers, body)
    error = answer.get("error")
    if error is None:
        return None
    data = error.get("data") if isinstance(error, dict) else None
    data = data if isinstance(data, dict) else {}
    name = str(data.get("name", ""))
    message = str(data.get("message") or (error.get("message") if isinstance(error, dict) else error) or "").strip()
    technical = f"{name or 'JSON-RPC error'}: {message}"
    return _by_name(name, message, technical) or _ours(name, technical, str(data.get("debug", "")))


def _by_name(name: str, message: str, technical: str) -> Outcome | None:
    """What an exception of that name means; None for those that say nothing by themselves."""
    last = name.rsplit(".", 1)[-1]
    if last in _RACE_NAMES or lost_race(message):
        return retry(technical)
    if last in _GONE_NAMES:
        return down("database_gone", technical)
    if last in ("PoolError", "SessionExpiredException"):  # all connections are taken; signed out meanwhile
        return Outcome(Kind.RETRY, "busy", "Odoo was busy.", technical)
    if last == "AccessDenied" and _COOLDOWN in message:
        return throttled({"retry-after": str(COOLDOWN_SECONDS)}, technical)
    if last in ("Unauthorized", "AccessDenied") or (last == "MissingError" and _NO_USER.search(message)):
        return bad_credentials(technical)
    if last == "AccessError":
        return no_right(message, technical)
    if last == "MissingError":
        return rejected(
            "record_gone",
            f"Odoo says: {message}",
            "The record was deleted in Odoo. Bring it back or resolve this by hand.",
            technical,
        )
    if last in ("NotFound", "UserError") and _NO_MODEL.search(message):
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
    return None


def _ours(name: str, technical: str, debug: str) -> Outcome:
    """A call that Odoo cannot make sense of."""
    return Outcome(
        Kind.BUG,
        "odoo_version_difference" if name.rsplit(".", 1)[-1] in _SENSELESS_NAMES else "odoo_failed",
        "Odoo could not make sense of the call. A module or version difference is likely; please report it.",
        f"{technical}\n{debug[-3000:]}",
        "Run `counterfoil doctor`; retry once it is clean or a newer version is installed.",
    )


def throttled(headers: Mapping[str, str], technical: str) -> Outcome:
    """Something in front of Odoo asks to wait (Retry-After in seconds, else ten)."""
    value = headers.get("retry-after", "")
    wait = min(int(value), 3600) if value.isdigit() else 10
    until = datetime.now(UTC) + timedelta(seconds=wait)
    return Outcome(Kind.THROTTLED, "throttled", "Odoo asks to wait.", technical, until=until)


def _no_rpc(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """No JSON-RPC answer: a page of Odoo's, of a proxy, or of something else."""
    outcome = _not_json(status, headers, body)
    if outcome.reason != "no_json2":
        return outcome
    return misconfigured(
        "no_jsonrpc",
        "This address does not speak Odoo's JSON-RPC API.",
        "Check the address of the Odoo system in the blueprint; nothing may follow the server's name but a port.",
        outcome.technical,
    )


def page(status: int, body: bytes) -> str:
    """A page in few words, for the engineer."""
    text = re.sub(r"<[^>]+>", " ", body[:600].decode("utf-8", "replace"))
    return f"HTTP {status}: {' '.join(text.split())[:300]}"


def _not_json(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    technical = page(status, body)
    if status == 404 and "database" in technical:
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
