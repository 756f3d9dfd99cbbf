"""Odoo as a system that takes orders: accept, amend, cancel. Served: Odoo 19 over JSON-2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import httpx

from counterfoil.connectors.odoo import doctor
from counterfoil.connectors.odoo.client import Json2
from counterfoil.connectors.odoo.lookups import Lookups
from counterfoil.connectors.odoo.operations import Operations, newest
from counterfoil.connectors.odoo.rules import Rules, TaxRule
from counterfoil.connectors.odoo.translate import conflict_keys
from counterfoil.connectors.odoo.versions import V19
from counterfoil.hub.contract import (
    BadPayload,
    Feed,
    Finding,
    Item,
    Observed,
    Operation,
    Raw,
    Refused,
    Setting,
)

__all__ = ["CAPABILITIES", "SETTINGS", "Odoo", "Rules", "TaxRule"]

SETTINGS = (
    Setting("database", help="the database's name, where the server has several"),
    Setting("api_key", required=True, secret=True, help="of a user with the groups that `counterfoil doctor` names"),
    Setting("timeout", help="seconds for one call, 45 by default"),
)

CAPABILITIES = {
    "name": "odoo",
    "events": frozenset[str](),
    "operations": (
        {"name": "accept_order", "stream": "order", "emits": frozenset({"order.accepted"})},
        {"name": "amend_order", "stream": "order", "emits": frozenset({"order.accepted"})},
        {"name": "cancel_order", "stream": "order", "emits": frozenset({"order.closed"})},
    ),
}

BATCH = 20
"""Confirming is the limit, larger batches gain nothing and wait longer for each other."""
PARALLEL = 2


class Odoo:
    """One Odoo. `settings`: url, database, api_key, timeout (texts). Implements the connector contract."""

    def __init__(
        self,
        system: str,
        settings: Mapping[str, str],
        rules: Rules | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.system = system
        timeout = float(settings.get("timeout") or 45)
        self.client = Json2(settings["url"], settings.get("database", ""), settings["api_key"], timeout, transport)
        self.lookups = Lookups(self.client, rules or Rules())
        does = Operations(self.client, self.lookups, V19)
        offered = (
            ("accept_order", does.accept_order, ("order.accepted",)),
            ("amend_order", does.amend_order, ("order.accepted",)),
            ("cancel_order", does.cancel_order, ("order.closed",)),
        )
        self._operations = {
            # a batch is about fifteen calls, each with its own shorter time-out
            name: Operation(name, "order", run, BATCH, emits, 300.0, PARALLEL, _conflicts)
            for name, run, emits in offered
        }

    @property
    def operations(self) -> Mapping[str, Operation]:
        """accept_order, amend_order, cancel_order."""
        return self._operations

    @property
    def feeds(self) -> Sequence[Feed]:
        """None yet: Odoo is written to, not read from."""
        return ()

    def receive(self, headers: Mapping[str, str], body: bytes) -> Raw | None:
        """Odoo's own webhooks are unsigned and not taken."""
        raise Refused(404, "no_webhooks", "This system takes no webhooks.")

    def decode(self, raw: Raw) -> Observed:
        """Nothing arrives from Odoo yet."""
        raise BadPayload("not_expected", "Nothing is expected to arrive from Odoo.")

    async def doctor(self) -> list[Finding]:
        """Look at everything orders need; never raises."""
        return await doctor.examine(self.client, self.lookups)

    async def close(self) -> None:
        """Give back connections."""
        await self.client.close()


def _conflicts(item: Item) -> frozenset[str]:
    return conflict_keys(newest(item))
