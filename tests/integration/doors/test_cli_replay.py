"""replay as its users meet it: first what would be done, then again by today's flows, and nothing twice."""

from __future__ import annotations

import json

import pytest
from tests.command import also, counterfoil
from tests.integration.doors.conftest import Scene, at_rest, until

from counterfoil.hub import replay, replays
from counterfoil.hub.replay import Choice


async def carried_out(scene: Scene) -> int:
    """One order, all the way into Odoo; its number."""
    async with scene.hub() as running:
        number = int(scene.shop.shop.place(status="processing", payment_method="bacs")["id"])
        await until(lambda: bool(scene.in_odoo(number)))
        await at_rest(running, scene)
    return number


async def test_replay_shows_first_changes_nothing_that_stands_and_goes_on_in_the_hub(scene: Scene) -> None:
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
        store, chosen = running.store, Choice(subject=about)
        slow = await replays.begin(store, chosen, replay.Plan(), "ada", rate=0.001)
        jobs = json.loads((await also("replays", "--stop", str(slow), "-b", scene.file, "--json")).stdout)
        assert [(job["state"], job["choice"]) for job in jobs if job["number"] == slow] == [
            ("stopped", {"subject": about})
        ]
        assert await replays.begin(store, chosen, replay.Plan(), "ada") == slow  # now at once; the hub takes it up

        async def over() -> bool:
            return (await replays.get(store, slow)).state == "done"

        await until(over)
        await at_rest(running, scene)
    assert scene.in_odoo(number) == before


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("replay",), "Say which", 2),
        (("replay", "--type", "order.shipped"), "there are: ", 2),
        (("replay", "--from", "yesterday"), "2025-01-01", 2),
        (("replay", "--type", "order.placed", "--rate", "fast"), "such as 5/s", 2),
        (("replay", "--system", "nowhere"), "there are: web, odoo", 1),
        (("replays", "--stop", "99"), "There is no replay 99.", 1),
    ],
)
def test_what_cannot_be_replayed_is_said_with_a_remedy(
    scene: Scene, arguments: tuple[str, ...], said: str, code: int
) -> None:
    done = counterfoil(*arguments, "-b", scene.file, code=code)
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
