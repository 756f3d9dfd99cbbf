"""The admin API over a store, and people who use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from argon2 import PasswordHasher

from counterfoil.blueprint import Blueprint
from counterfoil.doors.admin.app import front
from counterfoil.doors.admin.context import CSRF, Admin
from counterfoil.hub.access import passwords, tokens, users
from counterfoil.hub.access.roles import Right, Role
from counterfoil.hub.store import Store

PASSWORD = "correct horse battery"
HUB = "http://hub.test"


def cheap_passwords(monkeypatch: Any) -> None:
    """Argon2 with next to no effort: what is tested is what is done with it."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords._nobodys.cache_clear()


def desk_of(store: Store, **declared: Any) -> Admin:
    return Admin(store, Blueprint.model_validate({"systems": {}, **declared}), {}, {}, asyncio.Event())


async def somebody(store: Store, login: str = "anna", roles: Iterable[Role] = (Role.VIEWER,)) -> str:
    return await users.add(store, login, login.title(), f"{login}@shop.test", PASSWORD, roles, "test")


async def token_for(store: Store, login: str, rights: Iterable[Right] = Right) -> str:
    return (await tokens.add(store, login, "a test", rights, 3600.0, "test"))[1]


@asynccontextmanager
async def client_of(desk: Admin, token: str = "", at: str = HUB) -> AsyncIterator[httpx.AsyncClient]:
    """A browser, or a program with a token."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(front(desk), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"{at}/admin/v1", headers=headers) as client:
        yield client


async def signed_in(client: httpx.AsyncClient, name: str = "anna", password: str = PASSWORD) -> httpx.Response:
    """Sign in; what is asked from then on carries the session's CSRF token."""
    answer = await client.post("/sign-in", json={"name": name, "password": password})
    if answer.is_success:
        client.headers[CSRF] = answer.json()["csrf"]
    return answer
