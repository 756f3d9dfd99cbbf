"""Availability over HTTP: of one SKU, or of up to 500 at once.

These are the routes a shop asks most, so they stand before the framework, and what they answer is ready: bytes of the
book (book.py), closed by how old they are. The ETag is of the numbers alone, not of their age: who has them already is
answered 304 with the new `As-Of`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import unquote_plus

import sqlalchemy as sa
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from counterfoil.doors.storefront.book import Book
from counterfoil.doors.storefront.context import Context
from counterfoil.doors.storefront.models import MOST_SKUS
from counterfoil.doors.storefront.problems import (
    EVERYWHERE,
    INVALID,
    NOT_FOUND,
    TOO_LARGE,
    UNAVAILABLE,
    WRONG_METHOD,
    Refusal,
    documented,
)
from counterfoil.doors.storefront.shelf import UNTRACKED, Shelf

log = structlog.get_logger()

PATH = "/storefront/v1/availability"
SCOPE = "availability"
LARGEST_BODY = 256 * 1024
"""Bytes. 500 SKUs of 40 characters take 22 kB."""
_ONE = f"{PATH}/"
_READS = ("GET", "HEAD")


def application(context: Context) -> ASGIApp:
    """Every path under /storefront/v1/availability."""
    book: Book = context.book

    async def allowed(authorization: bytes) -> str:
        caller = context.gate.quick(authorization.decode("latin-1"), SCOPE)
        if caller is None:  # not seen for a while
            caller = await context.gate.check(authorization.decode("latin-1"), SCOPE)
        if isinstance(caller, Refusal):
            raise caller
        return caller.channel

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        authorization = known = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"if-none-match":
                known = value
        channel = await allowed(authorization)
        if not book.ready:
            raise UNAVAILABLE.problem("The hub has just started and is reading what is in stock.")
        shelf, path, method = book.shelf(channel), scope["path"], scope["method"]
        end = shelf.end()
        if path.startswith(_ONE):
            if method not in _READS:
                raise WRONG_METHOD.problem("One SKU can only be read.", {"Allow": "GET, HEAD"})
            entry = shelf.entry(path[len(_ONE) :])
            if entry is None:
                raise NOT_FOUND.problem("There is no such SKU.")
            return await _say(send, entry[0] + end, entry[1], shelf, known)
        if path != PATH:
            raise NOT_FOUND.problem("Nothing is here.")
        if method in _READS:
            skus, known_there = _asked(scope["query_string"]), known
        elif method == "POST":
            skus, known_there = _named(await _body(receive)), b""
            end = shelf.end()  # while the body came it may have become stale
        else:
            raise WRONG_METHOD.problem("Lists are read with GET or POST.", {"Allow": "GET, HEAD, POST"})
        body, digest = _list(shelf, skus, end)
        await _say(send, body, digest, shelf, known_there)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await answer(scope, receive, send)
        except Refusal as refusal:
            await refusal.response()(scope, receive, send)
        except (OSError, sa.exc.SQLAlchemyError) as error:
            log.error("storefront not answered", route=PATH, error=type(error).__name__)
            await UNAVAILABLE.problem("The store could not be reached.").response()(scope, receive, send)

    return app


async def _say(send: Send, body: bytes, digest: bytes, shelf: Shelf, known: bytes) -> None:
    etag = b'W/"' + digest + b'"'
    headers = [(b"etag", etag), (b"as-of", shelf.as_of), (b"cache-control", b"private, no-cache")]
    if known and (digest in known or known == b"*"):
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body"})
        return
    headers += ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _list(shelf: Shelf, skus: list[str], end: bytes) -> tuple[bytes, bytes]:
    """The answer for many, and its digest."""
    items, digests, unknown = [], [], []
    for sku in skus:
        entry = shelf.entry(sku)
        if entry is None:
            unknown.append(sku)
        else:
            items.append(entry[0])
            digests.append(entry[1])
    missing = json.dumps(unknown, separators=(",", ":")).encode()
    digest = hashlib.blake2b(b"".join(digests) + missing, digest_size=8).hexdigest().encode()
    listed = b"},".join(items) + (b"}" if items else b"")
    return b'{"items":[' + listed + b'],"unknown":' + missing + end, digest


def _asked(query: bytes) -> list[str]:
    """The SKUs of `skus=A,B`; a comma within one is written %2C."""
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name == b"skus":
            return _checked([unquote_plus(each.decode("latin-1")) for each in value.split(b",")], "query.skus")
    raise _wrong("query.skus", f"1 to {MOST_SKUS} SKUs, parted by commas")


def _named(body: bytes) -> list[str]:
    """The SKUs of {"skus": ["A", "B"]}."""
    try:
        said: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise _wrong("body", 'JSON such as {"skus": ["A", "B"]}') from None
    skus = said.get("skus") if isinstance(said, dict) else None
    if not isinstance(skus, list) or not all(isinstance(sku, str) for sku in skus):
        raise _wrong("body.skus", f"a list of 1 to {MOST_SKUS} SKUs")
    return _checked(skus, "body.skus")


def _checked(skus: list[str], place: str) -> list[str]:
    """Each once, in their order."""
    if not 1 <= len(skus) <= MOST_SKUS or not all(skus):
        raise _wrong(place, f"1 to {MOST_SKUS} SKUs, none of them empty")
    return list(dict.fromkeys(skus))


def _wrong(place: str, expected: str) -> Refusal:
    return INVALID.problem("The SKUs cannot be read.", errors=[{"at": place, "expected": expected}])


async def _body(receive: Receive) -> bytes:
    read = bytearray()
    while True:
        message = await receive()
        read += message.get("body", b"")
        if len(read) > LARGEST_BODY:
            raise TOO_LARGE.problem(f"At most {LARGEST_BODY} bytes are taken here.")
        if not message.get("more_body"):
            return bytes(read)


# --- as the OpenAPI document has it -----------------------------------------------------------------------------------

_AGE: dict[str, Any] = {
    "as_of": {
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}],
        "description": "when the ERP was last looked at; what was sold here since is taken off already",
    },
    "age_seconds": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
    "stale": {"type": "boolean", "description": "older than the blueprint's `stock.stale_after`: `when_stale` decides"},
}
_ENTRY: dict[str, Any] = {
    "sku": {"type": "string"},
    "state": {"enum": ["in_stock", "low", "back_order", "pre_order", "out", UNTRACKED]},
    "quantity": {
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}],
        "description": "whole units that may be sold from stock now; null where they are not counted",
    },
    "beyond": {"type": "integer", "minimum": 0, "description": "how many more may be sold on back-order or pre-order"},
}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def paths() -> dict[str, Any]:
    """The OpenAPI path items of these routes."""
    skus = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": MOST_SKUS}
    unknown = {"type": "array", "items": {"type": "string"}, "description": "SKUs that there are not"}
    many = _object({"items": {"type": "array", "items": _object(_ENTRY)}, "unknown": unknown, **_AGE})
    known = {"name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"}}
    asked = {"name": "skus", "in": "query", "required": True, "style": "form", "explode": False, "schema": skus}
    body = {"required": True, "content": {"application/json": {"schema": _object({"skus": skus})}}}
    one = {"name": "sku", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    same = {"description": "The numbers are as the ETag says; how old they are says `As-Of`.", "headers": _HEADERS}

    def operation(name: str, summary: str, schema: dict[str, Any], more: Any, *kinds: Any) -> dict[str, Any]:
        answer = {"description": summary, "headers": _HEADERS, "content": {"application/json": {"schema": schema}}}
        refused = {str(status): said for status, said in documented(*EVERYWHERE, *kinds).items()}
        said = {"operationId": name, "summary": summary, "security": [{"HTTPBearer": []}]}
        return {**said, "responses": {"200": answer, **refused}, **more}

    single = operation("availability", "How many of one SKU may be sold", _object(_ENTRY | _AGE), {}, NOT_FOUND)
    get = operation("availabilities", f"Of up to {MOST_SKUS} SKUs", many, {"parameters": [asked, known]})
    post = operation("availabilities_posted", f"Of up to {MOST_SKUS} SKUs", many, {"requestBody": body})
    single["parameters"] = [one, known]
    for each in (single, get):
        each["responses"]["304"] = same
    return {f"{PATH}/{{sku}}": {"get": single}, PATH: {"get": get, "post": post}}


_HEADERS = {
    "ETag": {"schema": {"type": "string"}, "description": "of the numbers, whatever their age"},
    "As-Of": {"schema": {"type": "string"}, "description": "as `as_of`; empty where it is null"},
}
