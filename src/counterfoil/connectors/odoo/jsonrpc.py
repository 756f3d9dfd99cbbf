"""Odoo's JSON-RPC API (`/jsonrpc`), for 14 to 18: every answer is HTTP 200, failures are told by their content.

XML-RPC is not used: it fails on a method without result, after Odoo has committed it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from counterfoil.connectors.odoo import errors
from counterfoil.connectors.odoo.client import Client, Http
from counterfoil.connectors.odoo.versions import Names
from counterfoil.hub.contract import Failure

BY_PLACE = {
    "create": "vals_list",
    "write": "vals",
    "search": "domain",
    "search_count": "domain",
    "copy": "default",
}
"""Arguments that models and versions call by different names (`search_count(args)` up to 15): sent without one."""


class JsonRpc(Client):
    """`login` is the user's; `key` their API key or password. `timeout` in seconds for each call."""

    def __init__(
        self,
        url: str,
        database: str,
        login: str,
        key: str,
        timeout: float,
        transport: httpx.AsyncBaseTransport | None = None,
        speaks: Names | None = None,
    ) -> None:
        super().__init__(Http(url, {}, timeout, transport), speaks)
        self._database, self._login, self._key = database, login, key
        self._user = 0

    async def call(
        self,
        model: str,
        method: str,
        ids: Sequence[int] = (),
        context: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> Any:
        """One method call; its result. Raises Failure."""
        user = self._user or await self._sign_in()
        placed: list[Any] = [list(ids)] if ids else []
        if method in BY_PLACE and BY_PLACE[method] in arguments:
            placed.append(arguments.pop(BY_PLACE[method]))
        named = {**arguments, "context": dict(context or {})}
        try:
            return await self._ask(
                "object", "execute_kw", self._database, user, self._key, model, method, placed, named
            )
        except Failure as failure:
            if failure.outcome.reason == "bad_credentials":
                self._user = 0  # another user may have the login by now
            raise

    async def _sign_in(self) -> int:
        """The number of the user. Raises Failure, misconfigured where the login, key or database is not right."""
        if not self._login:
            raise Failure(
                errors.misconfigured(
                    "login_missing",
                    "Odoo 14 to 18 want the user's login beside the API key.",
                    "Add `login:` (the e-mail address the user signs in with) to the Odoo system in the blueprint.",
                )
            )
        if not self._database:
            self._database = await self._only_database()
        user = await self._ask("common", "authenticate", self._database, self._login, self._key, {})
        if not isinstance(user, int) or not user:
            raise Failure(errors.bad_credentials("common.authenticate answered false"))
        self._user = user
        return user

    async def _only_database(self) -> str:
        """The server's database where it has one and shows it. Raises Failure."""
        try:
            names = list(await self._ask("db", "list") or ())
        except Failure as failure:
            if failure.outcome.reason != "bad_credentials":  # listing is switched off: AccessDenied
                raise
            names = []
        if len(names) == 1:
            return str(names[0])
        found = f"it has {', '.join(map(str, names[:5]))}" if names else "it does not list them"
        raise Failure(
            errors.misconfigured(
                "database_missing",
                f"The blueprint does not say which database of this Odoo to use ({found}).",
                "Add `database:` to the Odoo system in the blueprint.",
            )
        )

    async def _ask(self, service: str, method: str, *args: Any) -> Any:
        """One JSON-RPC request; its result. Raises Failure."""
        params = {"service": service, "method": method, "args": args}
        return result_of(await _send(self._http, "/jsonrpc", params))

    async def version(self) -> tuple[str, str | None]:
        """(server version, its Date header), without signing in. Raises Failure."""
        return await rpc_version(self._http)


def result_of(response: httpx.Response) -> Any:
    """The result of a JSON-RPC answer, None where it has none. Raises Failure."""
    outcome = errors.classify_rpc(response.status_code, response.headers, response.content)
    if outcome is not None:
        raise Failure(outcome)
    return response.json().get("result")


async def rpc_version(http: Http) -> tuple[str, str | None]:
    """(server version, Date header) as `common.version` tells it. Raises Failure."""
    return _told(await _send(http, "/jsonrpc", {"service": "common", "method": "version", "args": []}))


async def page_version(http: Http) -> tuple[str, str | None]:
    """(server version, Date header) as Odoo's web client asks for it, where /jsonrpc is shut. Raises Failure."""
    return _told(await _send(http, "/web/webclient/version_info", {}))


async def _send(http: Http, path: str, params: Mapping[str, Any]) -> httpx.Response:
    """One JSON-RPC request; over HTTP no id is needed to find its answer."""
    return await http.send("POST", path, {"jsonrpc": "2.0", "method": "call", "id": 0, "params": params})


def _told(response: httpx.Response) -> tuple[str, str | None]:
    try:
        return str(result_of(response)["server_version"]), response.headers.get("date")
    except (KeyError, TypeError) as error:
        raise Failure(errors.down("unreachable", "the answer names no version of Odoo")) from error
