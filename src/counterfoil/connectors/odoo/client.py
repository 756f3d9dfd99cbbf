"""Talking to Odoo: one call is one transaction in Odoo. Raises Failure with the outcome of what went wrong.

`Client` is all that the rest of the connector knows; `Json2` (Odoo 19 on) and `JsonRpc` (14 to 18, jsonrpc.py) are
its two ways of speaking, `connect` (connecting.py) finds out which one a server needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from counterfoil.connectors.odoo import errors
from counterfoil.connectors.odoo.versions import Names, UnsupportedVersion, major_of, names
from counterfoil.connectors.traced import traced
from counterfoil.connectors.trust import trusted
from counterfoil.hub.contract import Failure, Kind, Outcome

QUIET = {
    "tracking_disable": True,
    "mail_create_nolog": True,
    "mail_notrack": True,
    "mail_create_nosubscribe": True,
}
"""No chatter for each field: what happened is in the counterfoil, and it halves the time of a confirmation."""

INSERT_ONLY = {**QUIET, "mode": "update", "noupdate": True}
"""For `load()`: a row whose external id exists is left as it is (`_load_records` of 14 to 19 alike)."""


class Client:
    """One Odoo, over `http`; `speaks` are the names of its version, which is asked for where they are not given.

    No language is sent unless a call says one, so names and messages come in Odoo's source language, en_US, whatever
    the user's (`Environment.lang` of 14 to 19). Sent with a write, en_US would become the language of new customers.
    """

    def __init__(self, http: Http, speaks: Names | None = None) -> None:
        self._http, self._names = http, speaks

    @property
    def server_time(self) -> datetime | None:
        """Odoo's own clock when it gave its last answer (whole seconds, UTC); None before the first."""
        return self._http.time

    async def call(
        self,
        model: str,
        method: str,
        ids: Sequence[int] = (),
        context: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> Any:
        """One method call, arguments by name; its result, None where the method has none. Raises Failure."""
        raise NotImplementedError

    async def version(self) -> tuple[str, str | None]:
        """(server version, its Date header), without signing in. Raises Failure."""
        raise NotImplementedError

    async def names(self) -> Names:
        """What things are called in this Odoo's version. Raises Failure."""
        if self._names is None:
            self._names = known((await self.version())[0])
        return self._names

    async def close(self) -> None:
        """Give back connections."""
        await self._http.close()

    async def search_read(
        self,
        model: str,
        domain: Sequence[Any],
        fields: Sequence[str],
        archived: bool = False,
        order: str = "",
        limit: int = 0,
        offset: int = 0,
        context: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Records by domain; with `archived`, also those that are not active; with `limit`, at most as many."""
        context = {**(context or {}), **({"active_test": False} if archived else {})}
        arguments: dict[str, Any] = {"domain": list(domain), "fields": list(fields), "context": context}
        arguments |= {name: value for name, value in (("order", order), ("limit", limit), ("offset", offset)) if value}
        return list(await self.call(model, "search_read", **arguments))

    async def load(
        self,
        model: str,
        fields: list[str],
        rows: list[list[str]],
        context: Mapping[str, Any] = INSERT_ONLY,
    ) -> tuple[list[int], list[dict[str, Any]]]:
        """Import by external id, insert-only by default: (ids, []) or ([], messages) with everything rolled back.

        Raises Failure where not a row is to blame but a lost race or a right that is missing.
        """
        answer = await self.call(model, "load", context=context, fields=fields, data=rows)
        if answer["ids"] is False:
            messages = list(answer["messages"])
            outcome = errors.load_failed(messages)
            if outcome.kind is not Kind.REJECTED:
                raise Failure(outcome)
            return [], messages
        return list(answer["ids"]), []

    async def price_digits(self) -> int:
        """How many decimals unit prices of order lines have ('Product Price'). Raises Failure.

        From the field itself: the setting, decimal.precision, is for administrators alone on most versions.
        """
        told = await self.call("sale.order.line", "fields_get", allfields=["price_unit"], attributes=["digits"])
        digits = (told.get("price_unit") or {}).get("digits")
        return int(digits[1]) if digits else 2


class Http:
    """The connection under a client: what breaks becomes a Failure, each answer tells the time."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        timeout: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.time: datetime | None = None
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            headers={"User-Agent": "counterfoil", **headers},
            timeout=httpx.Timeout(timeout, connect=5.0),
            verify=trusted(),
            transport=transport,
            event_hooks=traced(url),
            limits=httpx.Limits(max_keepalive_connections=0),  # Odoo closes each connection anyway
        )

    async def send(self, verb: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """The answer, whatever its status. Raises Failure."""
        try:
            response = await self._http.request(
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
        self.time = time_of(response.headers.get("date")) or self.time
        return response

    async def _alive(self) -> bool:
        """Whether Odoo answers at all: tells a lost answer from an outage."""
        try:
            return (await self._http.get("/web/health", timeout=5.0)).status_code < 500
        except httpx.HTTPError:
            return False

    async def close(self) -> None:
        """Give back connections."""
        await self._http.aclose()


class Json2(Client):
    """Odoo's JSON-2 API. `timeout` in seconds for each call."""

    def __init__(
        self,
        url: str,
        database: str,
        api_key: str,
        timeout: float,
        transport: httpx.AsyncBaseTransport | None = None,
        speaks: Names | None = None,
    ) -> None:
        headers = {"Authorization": f"bearer {api_key}"} | ({"X-Odoo-Database": database} if database else {})
        super().__init__(Http(url, headers, timeout, transport), speaks)

    async def call(
        self,
        model: str,
        method: str,
        ids: Sequence[int] = (),
        context: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> Any:
        """One method call; its result. Raises Failure."""
        body: dict[str, Any] = {**arguments, "context": dict(context or {})}
        if ids:
            body["ids"] = list(ids)
        response = await self._http.send("POST", f"/json/2/{model}/{method}", body)
        if response.status_code != 200:
            raise Failure(errors.classify(response.status_code, response.headers, response.content))
        try:
            return response.json()
        except ValueError as error:
            raise Failure(errors.down("unreachable", f"HTTP 200 without JSON: {response.text[:200]}")) from error

    async def version(self) -> tuple[str, str | None]:
        """(server version, its Date header), without signing in. Raises Failure."""
        told = await web_version(self._http)
        if told is None:
            raise Failure(errors.down("unreachable", "/web/version does not answer like an Odoo 19"))
        return told


def time_of(date: str | None) -> datetime | None:
    """An HTTP Date header; None where there is none that can be read."""
    try:
        told = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    # naive where a proxy added a second date; HTTP knows no other zone than UTC
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)


async def web_version(http: Http) -> tuple[str, str | None] | None:
    """(server version, Date header) as /web/version tells it, from Odoo 19 on; None where there is no such page.

    Raises Failure where nobody answers.
    """
    response = await http.send("GET", "/web/version")
    if response.status_code in (429, 502, 503, 504):
        raise Failure(errors.classify(response.status_code, response.headers, response.content))
    try:
        version = response.json()["version"]
        return (version, response.headers.get("date")) if isinstance(version, str) else None
    except (ValueError, KeyError, TypeError):
        return None


def known(version: str) -> Names:
    """The names of a server version. Raises Failure where it is not served."""
    try:
        return names(major_of(version))
    except UnsupportedVersion as error:
        raise Failure(errors.unsupported(str(error))) from error
