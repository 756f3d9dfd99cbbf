"""Promises as people meet them: found by a serving hub, shown by `counterfoil promises` and `counterfoil show`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.command import also, counterfoil
from tests.integration.doors.conftest import Scene, at_rest, open_exceptions, until

PROMISES = """
calendars:
  office: {zone: Europe/Paris, open: {mon-sun: "00:00-24:00"}}
promises:
  accepted: {after: order.placed, expect: order.accepted, within: 1h, from: web, owner: shop-manager}
  dispatched:
    {after: order.accepted, expect: shipment.dispatched, within: 100ms, calendar: office, unless: order.cancelled}
"""


async def test_a_serving_hub_keeps_count_and_tells_of_what_is_missing(scene: Scene) -> None:
    scene.file.write_text(scene.file.read_text() + PROMISES)
    async with scene.hub() as running:
        order = scene.shop.shop.place(status="processing")
        await until(lambda: _one_missed(running))
        (missed,) = await open_exceptions(running)
        assert (missed["reason"], missed["owner"]) == ("promise_missed", "shop-manager")
        assert "of office's open hours" in str(missed["message"])
        await asyncio.to_thread(scene.shop.shop.change, order["id"], status="cancelled")
        await at_rest(running, scene)
        await until(lambda: _none_open(running))

    rows = json.loads((await also("promises", "-b", scene.file, "--json")).stdout)
    assert [(r["promise"], r["kept"], r["void"], r["missed"], r["counted_in"]) for r in rows] == [
        ("accepted", 1, 0, 0, "all hours"),
        ("dispatched", 0, 1, 0, "open hours of office"),
    ]
    assert 0.0 < rows[0]["p50"] == rows[0]["p99"] < 3600.0
    assert rows[0]["share"] == 1.0
    table = (await also("promises", "-b", scene.file, "--since", "24h")).stdout
    assert "100.0%" in table
    assert "open hours of office" in table
    shown = (await also("show", "order", str(order["id"]), "-b", scene.file)).stdout
    assert "accepted: kept" in shown
    assert "dispatched: void" in shown


async def _one_missed(running: object) -> bool:
    return len(await open_exceptions(running)) == 1  # type: ignore[arg-type]


async def _none_open(running: object) -> bool:
    return not await open_exceptions(running)  # type: ignore[arg-type]


def test_a_time_that_is_none_and_a_blueprint_that_promises_nothing_are_told(scene: Scene) -> None:
    assert "such as 7d or 24h" in counterfoil("promises", "-b", scene.file, "--since", "a week", code=2).stderr
    assert "promises nothing" in counterfoil("promises", "-b", scene.file).stdout


def test_check_says_what_is_wrong_with_a_promise(scene: Scene) -> None:
    wrong = Path(scene.file)
    wrong.write_text(wrong.read_text() + PROMISES.replace("calendar: office", "calendar: offices"))
    assert 'did you mean "office"?' in counterfoil("check", "-b", wrong, code=2).stdout
