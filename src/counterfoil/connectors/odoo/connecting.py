"""Which Odoo is it? Found out at the first call, and again after something did not fit (Odoo was upgraded, say)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from counterfoil.connectors.odoo import errors
from counterfoil.connectors.odoo.client import Client, Http, Json2, known, web_version
from counterfoil.connectors.odoo.jsonrpc import JsonRpc, page_version, rpc_version
from counterfoil.connectors.odoo.versions import Names
from counterfoil.hub.contract import Failure, Kind

APIS = ("json2", "jsonrpc")
NOT_FITTING = (Kind.MISCONFIGURED, Kind.BUG, Kind.DOWN)
"""Failures after which the version is asked for again."""


def connect(settings: Mapping[str, str], transport: httpx.AsyncBaseTransport | None = None) -> Detecting:
    """The client of an Odoo by its `settings`: url, database, login, api_key, company, timeout, api. Does no I/O."""
    return Detecting(settings, transport)


class Detecting(Client):
    """A client that finds out at its first call which API, names and company its server needs."""

    def __init__(self, settings: Mapping[str, str], transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings, self._transport = settings, transport
        self._timeout = float(settings.get("timeout") or 45)
        super().__init__(Http(settings["url"], {}, self._timeout, transport))
        self._client: Client | None = None
        self._version = ""
        self._doubted = False
        self._company: int | None = None
        self._finding = asyncio.Lock()

    @property
    def server_time(self) -> datetime | None:
        """Odoo's own clock when it gave its last answer."""
        return (self._client and self._client.server_time) or self._http.time

    async def call(
        self,
        model: str,
        method: str,
        ids: Sequence[int] = (),
        context: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> Any:
        """One method call; its result. Raises Failure."""
        client = await self._found()
        company = {"allowed_company_ids": [self._company]} if self._company else {}
        try:
            return await client.call(model, method, ids, {**company, **(context or {})}, **arguments)
        except Failure as failure:
            self._doubted = self._doubted or failure.outcome.kind in NOT_FITTING
            raise

    async def version(self) -> tuple[str, str | None]:
        """(server version, its Date header), without signing in. Raises Failure."""
        told = await detect(self._http)
        self._doubted = self._doubted or self._version not in ("", told[0])
        return told

    def api_of(self, speaks: Names) -> str:
        """By which of APIS a version is spoken to, or whatever else the settings say."""
        return self._settings.get("api") or ("json2" if speaks.json2 else "jsonrpc")

    async def names(self) -> Names:
        """What things are called in this Odoo's version. Raises Failure."""
        return await (await self._found()).names()

    async def company(self) -> int:
        """The number of the company that the settings name; 0 where they name none. Raises Failure."""
        await self._found()
        return self._company or 0

    async def close(self) -> None:
        """Give back connections."""
        await super().close()
        if self._client is not None:
            await self._client.close()

    async def _found(self) -> Client:
        async with self._finding:
            if self._client is None or self._doubted:
                version, _ = await self.version()
                if self._client is None or version != self._version:
                    self._client, self._version = self._made(known(version)), version
                    self._company = None
                self._doubted = False
            if self._company is None:
                self._company = await self._named_company(self._client)
            return self._client

    def _made(self, speaks: Names) -> Client:
        told = self._settings
        url, database, key = told["url"], told.get("database", ""), told["api_key"]
        api = self.api_of(speaks)
        if api not in APIS:
            words = f"Odoo has no API {api!r}."
            raise Failure(errors.misconfigured("unknown_api", words, f"Say `api: {'` or `api: '.join(APIS)}`."))
        if api == "json2" and not speaks.json2:
            words = f"Odoo {speaks.major} has no JSON-2 API."
            raise Failure(errors.misconfigured("no_json2", words, "Take `api: json2` out of the blueprint."))
        if api == "json2":
            return Json2(url, database, key, self._timeout, self._transport, speaks)
        return JsonRpc(url, database, told.get("login", ""), key, self._timeout, self._transport, speaks)

    async def _named_company(self, client: Client) -> int:
        wanted = self._settings.get("company", "")
        if not wanted:
            return 0
        rows = await client.search_read("res.company", [], ["name"])
        found = [row["id"] for row in rows if wanted in (row["name"], str(row["id"]))]
        if len(found) == 1:
            return int(found[0])
        seen = ", ".join(f"“{row['name']}” ({row['id']})" for row in rows[:10])
        raise Failure(
            errors.misconfigured(
                "unknown_company",
                f"Odoo shows the user {len(found) or 'no'} companies {wanted!r}; it shows {seen or 'none'}.",
                "Correct `company` in the blueprint (name or number), or let the user into that company.",
            )
        )


async def detect(http: Http) -> tuple[str, str | None]:
    """(server version, Date header), asked for in each way that there is. Raises Failure."""
    told = await web_version(http)
    if told is not None:
        return told
    try:
        return await rpc_version(http)
    except Failure as failure:
        if failure.outcome.reason != "no_jsonrpc":
            raise
        return await page_version(http)  # the old door may be shut by a proxy; then nothing but the version works
