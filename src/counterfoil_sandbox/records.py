"""A system of records behind a JSON API, such as a CRM, a till, a finance system or a warehouse, over real HTTP.

    app = make_app({"/accounts": "customer"})
    with serving(app) as url:
        app.book.write("/accounts", "7", {"customer": {"name": "Anna"}})

Lists answer `?updated_since=&page=&per_page=`, oldest change first; records are read and PUT by their key; a POST with
an Idempotency-Key that was there before answers what it answered then. Webhooks are signed by Standard Webhooks.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from counterfoil_sandbox.faults import Faulty
from counterfoil_sandbox.serving import serve_forever

DEMO = {"accounts": "customer", "products": "product", "stock": "stock", "orders": "order", "postings": "record"}
"""The paths of `python -m counterfoil_sandbox.records PORT`."""


class Book:
    """The records by path and key, who wrote what, and the webhooks. Safe to use from several threads.

    `zone` is of the times it tells, `bare` without saying so; `most` records a page at most, whatever it is asked for.
    """

    def __init__(self, paths: Mapping[str, str], zone: tzinfo = UTC, most: int = 1000, bare: bool = False) -> None:
        self.paths, self.zone, self.most, self.bare = dict(paths), zone, most, bare
        self.records: dict[str, dict[str, dict[str, Any]]] = {path: {} for path in paths}
        self.posted: dict[str, dict[str, Any]] = {}  # by Idempotency-Key
        self.posts: list[dict[str, Any]] = []
        self.requests: Counter[str] = Counter()
        self.hook: tuple[str, str] = ("", "")
        self.sorted = True
        self.after_page: Callable[[str], None] = lambda _path: None
        self.lock = threading.RLock()

    def write(self, path: str, key: str, fields: Mapping[str, Any], at: datetime | None = None) -> dict[str, Any]:
        """Somebody there makes or changes a record: the fields are put over what stands. Webhooks are sent at once."""
        with self.lock:
            before = self.records[path].get(key, {"id": key})
            changed = (at or datetime.now(UTC)).astimezone(self.zone)
            changed = changed.replace(tzinfo=None) if self.bare else changed
            record = {**before, **fields, "updated_at": changed.isoformat(timespec="microseconds")}
            self.records[path].pop(key, None)
            self.records[path][key] = record
        self._tell(path, record)
        return record

    def hear(self, url: str, secret: str) -> None:
        """Send webhooks to this address from now on."""
        self.hook = (url, secret)

    def _tell(self, path: str, record: Mapping[str, Any]) -> None:
        url, secret = self.hook
        if not url:
            return
        body = json.dumps({"type": f"{self.paths[path]}.changed", "data": record}).encode()
        with contextlib.suppress(httpx.HTTPError), httpx.Client(timeout=5) as client:
            client.post(url, content=body, headers=signed(secret, body))

    def page(self, path: str, since: str, number: int, size: int) -> list[dict[str, Any]]:
        """One page, oldest change first; `since` includes its moment."""
        with self.lock:
            found = list(self.records[path].values())
            if self.sorted:
                found.sort(key=self._changed)
            if since:
                from_ = datetime.fromisoformat(since)
                found = [record for record in found if self._changed(record) >= from_]
            size = min(size, self.most)
            return found[(number - 1) * size : number * size]

    def _changed(self, record: Mapping[str, Any]) -> datetime:
        told = datetime.fromisoformat(record["updated_at"])
        return told if told.tzinfo else told.replace(tzinfo=self.zone)


_numbers = itertools.count(1)


def signed(secret: str, body: bytes, at: float | None = None) -> dict[str, str]:
    """The headers of a message by Standard Webhooks; `at` in seconds since 1970, now without it."""
    id_, timestamp = f"msg_{next(_numbers)}", str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    digest = hmac.new(key, b".".join((id_.encode(), timestamp.encode(), body)), hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": id_, "webhook-timestamp": timestamp, "webhook-signature": signature}


class BookApp(Faulty):
    """The stand-in with its book."""

    def __init__(self, app: Starlette, book: Book) -> None:
        super().__init__(app)
        self.book = book


def make_app(
    paths: Mapping[str, str],
    *,
    token: str = "sandbox-token",  # noqa: S107
    zone: tzinfo = UTC,
    most: int = 1000,
    bare: bool = False,
) -> BookApp:
    """An empty system with these paths, each with the kind of its records (`{"/accounts": "customer"}`)."""
    book = Book(paths, zone, most, bare)

    def allowed(work: Callable[[Request, str], Any]) -> Callable[[Request], Any]:
        async def handle(request: Request) -> Response:
            path = "/" + request.path_params["path"]
            book.requests[f"{request.method} {path}"] += 1
            if not hmac.compare_digest(request.headers.get("authorization", ""), f"Bearer {token}"):
                return problem(401, "the token is not known")
            if path not in book.paths:
                return problem(404, "there is no such path")
            answer: Response = await work(request, path)
            return answer

        return handle

    async def many(request: Request, path: str) -> Response:
        if request.method == "POST":
            return _posted(book, request.headers.get("idempotency-key", ""), await request.json())
        asked = request.query_params
        rows = book.page(path, asked.get("updated_since", ""), int(asked["page"]), int(asked.get("per_page", 20)))
        rows = [row for row in rows if row.get("email") == asked.get("email", row.get("email"))]
        book.after_page(path)
        return JSONResponse({"data": rows})

    async def one(request: Request, path: str) -> Response:
        key = request.path_params["key"]
        standing = book.records[path].get(key)
        if request.method == "PUT":
            content = await request.json()
            if "refuse" in json.dumps(content):
                return problem(422, "this record is refused here")
            if standing is not None and request.headers.get("if-match", _etag(standing)) != _etag(standing):
                return problem(412, "it was changed meanwhile")
            with book.lock:
                book.records[path].pop(key, None)
                book.records[path][key] = {}
            standing = book.write(path, key, {**content, "id": key})
        if standing is None:
            return problem(404, "there is no such record")
        return JSONResponse(standing, headers={"ETag": _etag(standing)})

    every = ["GET", "POST"]
    routes = [
        Route("/{path}", allowed(many), methods=every),
        Route("/{path}/{key:path}", allowed(one), methods=["GET", "PUT"]),
    ]
    return BookApp(Starlette(routes=routes), book)


def problem(status: int, detail: str) -> Response:
    """An RFC 9457 answer."""
    return JSONResponse({"title": "refused", "detail": detail}, status, media_type="application/problem+json")


def _etag(record: Mapping[str, Any]) -> str:
    return f'"{hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]}"'


def _posted(book: Book, key: str, content: Mapping[str, Any]) -> Response:
    with book.lock:
        if not key or key not in book.posted:
            made = {**content, "id": f"P{len(book.posts) + 1}"}
            book.posts.append(made)
            book.posted[key] = made
        return JSONResponse(book.posted[key], 201)


if __name__ == "__main__":
    serve_forever(make_app({f"/{name}": kind for name, kind in DEMO.items()}), int(sys.argv[1]))
