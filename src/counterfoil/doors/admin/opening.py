"""Opens the admin API beside what else comes in at the hub's port."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from counterfoil.blueprint import Blueprint
from counterfoil.doors import assembly
from counterfoil.doors.admin.app import front
from counterfoil.doors.admin.context import ROOT, Admin
from counterfoil.hub.contract import Connector
from counterfoil.hub.store import Store


def desk_of(store: Store, blueprint: Blueprint, made: Mapping[str, Connector], stop: asyncio.Event) -> Admin:
    """What the admin API and the console work with."""
    return Admin(store, blueprint, made, assembly.streams(blueprint), stop)


def beside(others: ASGIApp, desk: Admin) -> ASGIApp:
    """One address for all."""
    admin = front(desk)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (admin if scope.get("path", "").startswith(f"{ROOT}/") else others)(scope, receive, send)

    return app
