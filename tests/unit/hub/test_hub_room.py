"""What a system says of its limit in its answers: understood in the ways there are, and never believed blindly."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from counterfoil.hub import room
from counterfoil.hub.room import LONGEST, Room, room_of


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Shopify-Shop-Api-Call-Limit": "32/40"}, Room(8, 10.0)),
        ({"X-Shopify-Shop-Api-Call-Limit": "80/80"}, Room(0, 10.0)),
        ({"X-Shopify-Shop-Api-Call-Limit": "19/40"}, None),
        ({"RateLimit-Limit": "100", "RateLimit-Remaining": "10", "RateLimit-Reset": "30"}, Room(10, 30.0)),
        ({"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "10", "RateLimit-Reset": "30"}, Room(10, 30.0)),
        ({"RateLimit-Limit": "100", "RateLimit-Remaining": "90", "RateLimit-Reset": "30"}, None),
        ({"RateLimit-Remaining": "10", "RateLimit-Reset": "30"}, Room(10, 30.0)),
        ({"RateLimit": "limit=100, remaining=5, reset=10"}, Room(5, 10.0)),
        ({"RateLimit": "limit=100, remaining=95, reset=10"}, None),
        ({"RateLimit": '"default";r=5;t=10'}, Room(5, 10.0)),
        ({"RateLimit": '"default";r=5;t=10', "RateLimit-Policy": '"default";q=100;w=60'}, Room(5, 10.0)),
        ({"RateLimit": '"default";r=95;t=10', "RateLimit-Policy": '"default";q=100;w=60'}, None),
    ],
)
def test_the_ways_in_which_systems_say_it(headers: dict[str, str], expected: Room | None) -> None:
    """case: F40"""
    assert room_of(httpx.Headers(headers)) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Shopify-Shop-Api-Call-Limit": "lots"},
        {"RateLimit-Remaining": "-1", "RateLimit-Reset": "30"},
        {"RateLimit-Remaining": "5"},
        {"RateLimit-Remaining": "5", "RateLimit-Reset": "0"},
        {"RateLimit": "r=t;=,"},
        {"RateLimit-Remaining": "9" * 5000, "RateLimit-Reset": "soon"},
    ],
)
def test_what_makes_no_sense_says_nothing(headers: dict[str, str]) -> None:
    assert room_of(httpx.Headers(headers)) is None


def test_nobody_is_believed_for_longer_than_an_hour() -> None:
    assert room_of({"ratelimit-remaining": "0", "ratelimit-reset": "999999999"}) == Room(0, LONGEST)


def test_what_is_left_is_spread_over_its_time() -> None:
    assert Room(8, 10.0).interval == 1.25
    assert Room(0, 10.0).interval == 10.0


async def test_what_is_told_is_heard_also_from_tasks_within_and_by_nobody_else() -> None:
    async def answer() -> None:
        room.tell({"x-shopify-shop-api-call-limit": "40/40"})

    with room.listening() as mine:
        await asyncio.gather(answer(), answer())
    await answer()
    with room.listening() as others:
        room.tell({})
    assert (mine, others) == ([Room(0, 10.0)] * 2, [None])
