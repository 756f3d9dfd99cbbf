"""Reservations over HTTP: what a shop's front end sends, what it is answered."""

from __future__ import annotations

from typing import Any

import httpx
from tests.conftest import ON_SQLITE
from tests.storefront_stage import ROOT, Stage, product, storefront

from counterfoil.hub.store import Store

pytestmark = ON_SQLITE
STOCK = "stock: {bundles: {SET: {MUG: 1, SPOON: 2}}}\nplaces: {S1: {name: Store, pickup: true}}\n"


async def hold(stage: Stage, key: str, *lines: tuple[str, int], **more: Any) -> httpx.Response:
    asked = {"lines": [{"sku": sku, "quantity": n} for sku, n in lines], **more}
    return await stage.client.post(f"{ROOT}/reservations", json=asked, headers={"Idempotency-Key": key})


async def change(stage: Stage, id_: str, act: str, asked: Any, key: str = "") -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await stage.client.post(f"{ROOT}/reservations/{id_}/{act}", json=asked, headers=headers)


async def filled(stage: Stage) -> None:
    await stage.sells(product("MUG"), product("SPOON"), product("GIFT", tracked=False))
    await stage.counts(MUG={"WH": 5, "S1": 1}, SPOON={"WH": 4})


async def test_a_cart_is_held_confirmed_and_kept(store: Store) -> None:
    """A bundle, a part of it and something that nobody counts; the same key and request again is the same."""
    async with storefront(store, STOCK) as stage:
        await filled(stage)
        first, again = [await hold(stage, "cart-0001", ("SET", 1), ("SPOON", 2), ("GIFT", 9)) for _ in range(2)]
        held = first.json()
        assert (first.status_code, again.json()) == (201, held)
        assert held["state"] == "held"
        other = await hold(stage, "cart-0001", ("SPOON", 1))
        assert (other.status_code, other.json()["type"].rpartition("/")[2]) == (409, "other_request")
        short = await hold(stage, "cart-0002", ("SPOON", 1), ("MUG", 1))
        assert short.status_code == 409
        assert short.json()["lines"] == [{"sku": "SPOON", "available": 0}, {"sku": "MUG", "available": 5}]
        confirmed = await change(stage, held["id"], "confirm", {"order": "1001"}, "confirm-1")
        assert (confirmed.json()["state"], confirmed.json()["order"]) == ("confirmed", "1001")
        assert (await change(stage, held["id"], "confirm", {"order": "1002"})).json()["status"] == 409
        assert (await stage.client.get(f"{ROOT}/reservations/{held['id']}")).json() == confirmed.json()


async def test_what_is_given_back_is_seen_at_once(store: Store) -> None:
    """Held longer, then given back: the page of the article has it again."""
    async with storefront(store, STOCK) as stage:
        await filled(stage)
        held = (await hold(stage, "cart-0001", ("MUG", 6), seconds=60)).json()
        longer = (await change(stage, held["id"], "extend", {"seconds": 3600})).json()
        assert longer["expires_at"] > held["expires_at"]
        for _ in range(2):
            released = await stage.client.delete(f"{ROOT}/reservations/{held['id']}")
            assert (released.status_code, released.json()["state"]) == (200, "released")
        assert (await change(stage, held["id"], "extend", {})).json()["type"].rpartition("/")[2] == "ended"
        assert (await hold(stage, "cart-0002", ("MUG", 6))).status_code == 201


async def test_a_store_has_only_what_stands_there(store: Store) -> None:
    async with storefront(store, STOCK) as stage:
        await filled(stage)
        assert (await hold(stage, "cart-0001", ("MUG", 2), place="S1")).json()["lines"] == [
            {"sku": "MUG", "available": 1}
        ]
        assert (await hold(stage, "cart-0002", ("MUG", 1), place="S1")).status_code == 201


async def test_another_channels_reservation_is_not_found(store: Store) -> None:
    async with storefront(store, STOCK) as stage:
        await filled(stage)
        held = (await hold(stage, "cart-0001", ("MUG", 1))).json()
        stage.client.headers["Authorization"] = await stage.token(channel="other")
        assert (await stage.client.get(f"{ROOT}/reservations/{held['id']}")).status_code == 404
        assert (await stage.client.delete(f"{ROOT}/reservations/{held['id']}")).status_code == 404
