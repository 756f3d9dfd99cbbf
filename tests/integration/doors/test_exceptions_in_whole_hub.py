"""Many orders wait for one row of the blueprint: who owns them is told once, and the row clears them all."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import sqlalchemy as sa
from tests.command import also
from tests.integration.doors.conftest import Scene, at_rest, until
from tests.receiving import receivers

from counterfoil.doors.serve import Hub
from counterfoil.hub import exceptions
from counterfoil.hub.schema import notice_sent
from counterfoil.watch import notifying

ORDERS = 5
PAID = {"status": "processing", "payment_method": "stripe", "date_paid_gmt": "2026-11-01T10:00:00"}
NOTIFY = """
notify:
  owners: {{shop-manager: {{slack: "${{HOOK}}"}}}}
  gather: 1s
"""


async def _open(running: Hub, count: int) -> bool:
    return len(await exceptions.listing(running.store)) == count


async def _told(running: Hub) -> bool:
    """Who was told is written down: a hub that stops between the two tells it again."""
    async with running.store.read() as connection:
        return bool((await connection.execute(sa.select(notice_sent))).all())


async def test_many_alike_are_told_once_and_cleared_by_one_row(scene: Scene, monkeypatch: Any) -> None:
    monkeypatch.setattr(notifying, "EVERY", 0.2)
    row = '  - {method: "stripe", journal: WSTRP}\n'
    whole = scene.file.read_text()
    assert 'method: "stripe"' in whole
    without = "\n".join(line for line in whole.split("\n") if 'method: "stripe"' not in line) + NOTIFY.format()
    async with receivers() as (posted, _):
        monkeypatch.setenv("HOOK", f"{posted.url}/services/T1")
        scene.file.write_text(without)
        async with scene.hub() as running:
            for _ in range(ORDERS):
                await asyncio.to_thread(scene.shop.shop.place, **PAID)
            await until(lambda: _open(running, ORDERS), 20.0)
            await at_rest(running, scene)
            await until(lambda: _told(running))
        ((_, told),) = posted.taken
        assert "unmapped payment at odoo" in told["text"]

        (group,) = json.loads((await also("exceptions", "groups", "-b", scene.file, "--json")).stdout)["groups"]
        assert (group["count"], group["reason"]) == (ORDERS, "unmapped_payment")
        proposed = await also("exceptions", "add-row", str(group["example"]), "journal=WSTRP", "-b", scene.file)
        assert f"is proposed for {ORDERS} exceptions" in proposed.stdout

        scene.file.write_text(without.replace("payments:\n", f"payments:\n{row}"))
        async with scene.hub() as running:
            await until(lambda: _open(running, 0), 20.0)
            await at_rest(running, scene)
            await until(lambda: len(posted.taken) == 2)
        assert posted.taken[1][1]["text"].startswith("Over:")
    verdict = scene.verdict()
    assert (verdict["orders_in_odoo"], verdict["duplicates"], verdict["lost"]) == (ORDERS, 0, 0), verdict
