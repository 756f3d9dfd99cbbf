"""replay as its users meet it: first what would be done, then again by today's flows, and nothing twice."""

from __future__ import annotations

import json

import pytest
from tests.command import also, counterfoil
from tests.integration.doors.conftest import Scene, at_rest, until


async def carried_out(scene: Scene) -> int:
    """One order, all the way into Odoo; its number."""
    async with scene.hub() as running:
        number = int(scene.shop.shop.place(status="processing", payment_method="bacs")["id"])
        await until(lambda: bool(scene.in_odoo(number)))
        await at_rest(running, scene)
    return number


async def test_replay_shows_first_and_then_changes_nothing_that_stands(scene: Scene) -> None:
    number = await carried_out(scene)
    about = f"web:order:{number}"
    before = scene.in_odoo(number)
    shown = json.loads((await also("replay", "--object", about, "-b", scene.file, "--json")).stdout)
    assert shown["replayed"] is None
    assert shown["by_operation"]["odoo.accept_order"] == 1
    words = (await also("replay", "--object", about, "--type", "order.placed", "-b", scene.file)).stdout
    assert "--yes replays them" in words
    assert about in words
    arguments = ("replay", "--object", about, "--type", "order.placed", "-b", scene.file, "--yes", "--json")
    assert json.loads((await also(*arguments)).stdout)["replayed"] == 1
    async with scene.hub() as running:
        await at_rest(running, scene)
    assert scene.in_odoo(number) == before


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        ((), "Say which", 2),
        (("--type", "order.shipped"), "there are: ", 2),
        (("--from", "yesterday"), "2025-01-01", 2),
        (("--type", "order.placed", "--rate", "fast"), "such as 5/s", 2),
        (("--system", "nowhere"), "there are: web, odoo", 1),
    ],
)
def test_what_cannot_be_replayed_is_said_with_a_remedy(
    scene: Scene, arguments: tuple[str, ...], said: str, code: int
) -> None:
    done = counterfoil("replay", *arguments, "-b", scene.file, code=code)
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_nothing_to_replay_is_no_error(scene: Scene) -> None:
    done = counterfoil("replay", "--from", "2020-01-01", "--to", "2020-01-02", "-b", scene.file, "--json", "--yes")
    assert json.loads(done.stdout) == {
        "events": 0,
        "deliveries": 0,
        "unfinished": 0,
        "by_type": {},
        "by_operation": {},
        "sample": [],
        "replayed": None,
    }
