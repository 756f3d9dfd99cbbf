"""What every route of the storefront works with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from counterfoil.blueprint import Blueprint
from counterfoil.doors.storefront.book import Book
from counterfoil.doors.storefront.problems import UNAVAILABLE
from counterfoil.doors.storefront.tokens import Gate
from counterfoil.hub import systems
from counterfoil.hub.contract import Connector
from counterfoil.hub.store import Store
from counterfoil.processes.reserving import Desk

ERP = "odoo"


@dataclass(slots=True)
class Context:
    """One a process. `book` is what is known of products and stock, in memory (book.py); `reservations` is the desk
    that holds stock (processes/reserving.py). `more` is for what only one module needs. `stop`: the process ends."""

    store: Store
    blueprint: Blueprint
    connectors: Mapping[str, Connector]
    gate: Gate
    book: Book
    reservations: Desk
    more: dict[str, Any] = field(default_factory=dict)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def feeds(self, kind: str) -> list[tuple[str, str]]:
        """Where the ERPs tell of objects of this kind: (system, feed)."""
        systems = self.blueprint.systems
        erps = [name for name in self.connectors if systems[name].connector == ERP]
        return [(name, feed.name) for name in erps for feed in self.connectors[name].feeds if feed.kind == kind]

    async def erp_reachable(self, operation: str) -> bool:
        """Whether the systems that do this by the flows answer."""
        there = {flow.system for flow in self.blueprint.flows if flow.operation == operation}
        return not there & set(await systems.closed(self.store))

    def ready_book(self) -> Book:
        """The book, once all of it was read. Raises Refusal before."""
        if not self.book.ready:
            raise UNAVAILABLE.problem("The hub has just started and is reading what is in stock.")
        return self.book
