"""Orders that wait for a prescription: held back just before the ERP is called, and let go; and what the ERP is given.

A released prescription is opened here for its one call, and is in nothing that is kept.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from counterfoil.hub import records
from counterfoil.hub.contract import Item, Kind, Outcome, rejected
from counterfoil.hub.preparing import Ruling
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import prescriptions as kept
from counterfoil.hub.storefront.prescriptions import Record
from counterfoil.hub.storefront.vault import NotOpened
from counterfoil.hub.waiting import at_most
from counterfoil.processes import prescriptions as rule
from counterfoil.processes.prescribing import NoKey, Prescribing
from counterfoil.processes.prescriptions import REASONS, Said
from counterfoil.retail.order import Order

log = structlog.get_logger()

HELD_BACK = ("accept_order", "amend_order")
"""The operations that an order waits before."""
ATTACH = "attach_prescription"
CARE_EVERY = 5.0
"""Seconds between two looks at orders that wait: a release at the very moment an order began to wait is found so."""
PURGE_EVERY = 3600.0


class Withholding:
    """Holds back what waits for a prescription of `desk`."""

    def __init__(self, desk: Prescribing) -> None:
        self.desk = desk

    async def prepare(self, store: Store, operation: str, items: Sequence[Item]) -> Mapping[int, Ruling]:
        """An order waits before it is accepted or amended; an attaching gets what the prescription says."""
        name = operation.partition(".")[2]
        if name in HELD_BACK and self.desk.rules.declared:
            return await self._waiting(name, items)
        return await self._contents(items) if name == ATTACH else {}

    async def _waiting(self, operation: str, items: Sequence[Item]) -> Mapping[int, Ruling]:
        rulings: dict[int, Ruling] = {}
        async with self.desk.store.read() as connection:
            for item in items:
                order = Order.model_validate(item.data.get("state") or item.data["order"])
                standing = None if order.is_given_up else await self.desk.standing(connection, order)
                if standing is None or not standing.waits_for:
                    continue
                waits = rule.waiting(order, standing.lines, standing.records, self.desk.rules)
                if self.desk.rules.hold == "order" or operation != HELD_BACK[0]:
                    rulings[item.delivery] = Ruling(instead=waits)
                elif item.data.get("level", "accept") == "accept":
                    rulings[item.delivery] = Ruling({"level": "quotation"}, then=waits)
        return rulings

    async def _contents(self, items: Sequence[Item]) -> Mapping[int, Ruling]:
        rulings: dict[int, Ruling] = {}
        async with self.desk.store.read() as connection:
            for item in items:
                found = await kept.get(connection, str(item.data["prescription"]["id"]), lock=False)
                record, sealed = found or (None, None)
                if record is None or sealed is None:
                    rulings[item.delivery] = Ruling(instead=_GONE)
                    continue
                try:
                    said = self.desk.opened(record, sealed)
                except (NoKey, NotOpened, ValueError) as error:
                    rulings[item.delivery] = Ruling(instead=_closed(error))
                    continue
                rulings[item.delivery] = Ruling({"document": self._document(record, said)})
        return rulings

    def _document(self, record: Record, said: Said) -> dict[str, Any]:
        """What the ERP is given: in memory, on its way to the call."""
        ending, type_ = _MEDIA.get(said.media, ("", ""))
        as_record = self.desk.rules.record
        return {
            "name": f"prescription-{record.number}-{record.id[:6]}",
            "ending": ending,
            "media_type": type_,
            "content": base64.b64encode(said.content).decode(),
            "values": dict(said.values),
            "record": as_record.model_dump(mode="json", exclude_none=True) if as_record else None,
        }

    # --- by the clock -----------------------------------------------------------------------------------------

    async def care(self) -> int:
        """Let orders go on that wait for what is there by now; how many."""
        moved = 0
        async with self.desk.store.read() as connection:
            waiting = await kept.waiting_orders(connection, REASONS)
            known = await records.states_of(connection, "order", [subject for subject, _ in waiting])
            orders = {subject: Order.model_validate(state) for subject, state in known.items()}
            now = {s: (await self.desk.standing(connection, order)).waits_for for s, order in orders.items()}
        for subject, reason in waiting:
            if subject in now and now[subject] != reason:
                async with self.desk.store.write() as connection:
                    await self.desk.go_on(connection, subject, "it does not wait for that any more")
                moved += 1
        return moved

    async def purge(self) -> int:
        """What was kept as long as declared goes; how many."""
        async with self.desk.store.write() as connection:
            return await kept.purge(connection, self.desk.store, self.desk.rules.keep.total_seconds())

    async def run(self, stop: asyncio.Event) -> None:
        """`care` and `purge` by the clock, until `stop`."""
        purged = float("-inf")
        while not stop.is_set():
            try:
                await self.care()
                if time.monotonic() - purged > PURGE_EVERY:
                    await self.purge()
                    purged = time.monotonic()
            except Exception as error:  # mostly the store out of reach; the next round tries again
                log.error("prescriptions not looked after", error=type(error).__name__)
            await at_most(CARE_EVERY, stop)


_MEDIA = {"pdf": (".pdf", "application/pdf"), "jpeg": (".jpg", "image/jpeg"), "png": (".png", "image/png")}

_GONE = rejected(
    "prescription_gone",
    "The prescription is not kept any more.",
    "Attach it in the ERP by hand if it is needed there, then resolve this.",
)


def _closed(error: Exception) -> Outcome:
    return Outcome(
        Kind.MISCONFIGURED,
        "no_settings",
        "A prescription cannot be opened: the key is missing, or another one.",
        str(error),
        "Give the key it was sealed with as prescriptions.key or under old_keys, then retry.",
    )
