"""Talking to Odoo: one call is one transaction in Odoo. Raises Failure with the outcome of what went wrong.

Only JSON-2 (Odoo 19 on) so far; JSON-RPC for 14–18 can stand beside it, as `call` is all that the rest knows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx

from counterfoil.connectors.odoo import errors
from counterfoil.hub.contract import Failure, Kind, Outcome

QUIET = {
    "tracking_disable": True,
    "mail_create_nolog": True,
    "mail_notrack": True,
    "mail_create_nosubscribe": True,
}
"""No chatter for each field: what happened is in the counterfoil, and it halves the time of a confirmation."""

INSERT_ONLY = {**QUIET, "mode": "update", "noupdate": True}
"""For `load()`: a row whose external id exists is left as it is (orm/models.py, _load_records)."""


class Json2:
    """Odoo's JSON-2 API. `timeout` in seconds for each call."""

    def __init__(
        self,
        url: str,
        database: str,
        api_key: str,
        timeout: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"bearer {api_key}", "User-Agent": "counterfoil"}
        if database:
            headers["X-Odoo-Database"] = database
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=5.0),
            transport=transport,
            limits=httpx.Limits(max_keepalive_connections=0),  # Odoo closes each connection anyway
        )

    async def call(
        self,
        model: str,
        method: str,
        ids: Sequence[int] = (),
        context: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> Any:
        """One method call; its result. Raises Failure."""
        body: dict[str, Any] = {**arguments, "context": context or {}}
        if ids:
            body["ids"] = list(ids)
        response = await self._send("POST", f"/json/2/{model}/{method}", body)
        if response.status_code != 200:
            raise Failure(errors.classify(response.status_code, response.headers, response.content))
        try:
            return response.json()
        except ValueError as error:
            raise Failure(errors.down("unreachable", f"HTTP 200 without JSON: {response.text[:200]}")) from error

    async def _send(self, verb: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            return await self._http.request(
                verb,
                path,
                content=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": "application/json"} if body is not None else None,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise Failure(errors.down("unreachable", f"{type(error).__name__}: {error}")) from error
        except httpx.HTTPError as error:
            words = f"{type(error).__name__}: {error}"
            if not await self._alive():
                raise Failure(errors.down("unreachable", words)) from error
            # sent, but no answer: it may have been carried out. The operations look before they write
            lost = Outcome(Kind.RETRY, "answer_lost", "Odoo took the call but its answer was lost.", words)
            raise Failure(lost) from error

    async def _alive(self) -> bool:
        """Whether Odoo answers at all: tells a lost answer from an outage."""
        try:
            return (await self._http.get("/web/health", timeout=5.0)).status_code < 500
        except httpx.HTTPError:
            return False

    async def search_read(
        self, model: str, domain: list[Any], fields: Sequence[str], archived: bool = False, order: str = ""
    ) -> list[dict[str, Any]]:
        """Records by domain; with `archived`, also those that are not active."""
        context = {"active_test": False} if archived else {}
        arguments: dict[str, Any] = {"domain": domain, "fields": list(fields), "context": context}
        if order:
            arguments["order"] = order
        return list(await self.call(model, "search_read", **arguments))

    async def load(
        self, model: str, fields: list[str], rows: list[list[str]]
    ) -> tuple[list[int], list[dict[str, Any]]]:
        """Insert-only import by external id: (ids, []) or ([], messages) with everything rolled back.

        Raises Failure where not a row is to blame but a lost race or a right that is missing.
        """
        answer = await self.call(model, "load", context=INSERT_ONLY, fields=fields, data=rows)
        if answer["ids"] is False:
            messages = list(answer["messages"])
            outcome = errors.load_failed(messages)
            if outcome.kind is not Kind.REJECTED:
                raise Failure(outcome)
            return [], messages
        return list(answer["ids"]), []

    async def version(self) -> tuple[str, str | None]:
        """(server version, its Date header), without signing in. Raises Failure."""
        response = await self._send("GET", "/web/version")
        if response.status_code != 200:
            raise Failure(errors.classify(response.status_code, response.headers, response.content))
        try:
            return str(response.json()["version"]), response.headers.get("date")
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(errors.down("unreachable", "/web/version does not answer like an Odoo 19")) from error

    async def close(self) -> None:
        """Give back connections."""
        await self._http.aclose()
