"""A console to look at: its pages over a store, served on a free port of this machine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import httpx
import uvicorn
from starlette.types import Receive, Scope, Send
from tests.fakes import ERP, SHOP, House, rows_of

from counterfoil.doors.admin import opening
from counterfoil.doors.admin.context import Admin
from counterfoil.doors.console.opening import Console, beside
from counterfoil.doors.serve import _Server
from counterfoil.doors.webhooks import problem
from counterfoil.hub.access import sessions, users
from counterfoil.hub.access.roles import Role
from counterfoil.hub.schema import exception

PASSWORD = "correct horse battery staple"


@dataclass(slots=True)
class Stage:
    """`url` is where it is served."""

    desk: Admin
    console: Console
    url: str

    async def user(self, login: str, *roles: Role, password: str | None = None) -> str:
        """Somebody who can be signed in; with a password by themselves, which costs its hash. Their name."""
        store, whom = self.desk.store, (login, login.title(), "")
        if password is not None:
            await users.add(store, *whom, password, roles, "test")
        else:
            async with store.write() as connection:
                await users.keep_new(connection, store, *whom, roles, "test")
        return login

    async def exceptions(self) -> list[dict]:
        """All exceptions."""
        return await rows_of(self.desk.store, exception)

    @contextlib.asynccontextmanager
    async def signed_in(self, login: str) -> AsyncIterator[httpx.AsyncClient]:
        """A client with a session of theirs."""
        store = self.desk.store
        async with store.write() as connection:
            known = await users.found(connection, login)
            assert known is not None
            token = await sessions.begin(connection, store, known["id"], self.desk.limits)
        async with httpx.AsyncClient(base_url=self.url, cookies={self.desk.cookie: token}) as client:
            yield client


async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    """The other doors: none."""
    await problem(404, "unknown", "no such door")(scope, receive, send)


@contextlib.asynccontextmanager
async def opened(house: House, streams: Sequence[tuple[str, str]] = (), admin: bool = False) -> AsyncIterator[Stage]:
    """The console of a house, until the end; on request the admin API beside it."""
    desk = Admin(house.store, house.blueprint, {SHOP: house.shop, ERP: house.erp}, dict(streams))
    console = Console(desk)
    others = opening.beside(nowhere, desk) if admin else nowhere
    server = _Server(
        uvicorn.Config(beside(others, console), port=0, lifespan="off", log_level="warning", access_log=False)
    )
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            assert not serving.done()
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Stage(desk, console, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        await serving
        await console.close()
