"""Appointments over HTTP: what a shop's front end sends, what it is answered."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
from tests.appointing import PARIS, SECTIONS, at
from tests.conftest import ON_SQLITE
from tests.storefront_stage import ROOT, Stage, storefront

from counterfoil.hub import systems
from counterfoil.hub.contract import Kind, Outcome
from counterfoil.hub.store import Store

pytestmark = ON_SQLITE


def shown(moment: int) -> str:
    """As the store's clocks show it."""
    return datetime.fromtimestamp(moment, PARIS).isoformat()


async def slots(stage: Stage, **more: Any) -> httpx.Response:
    window = {"from": shown(at(9)), "until": shown(at(10.5))}
    return await stage.client.get(
        f"{ROOT}/appointments/slots", params={"service": "eye-test", "store": "WH", **window, **more}
    )


async def book(stage: Stage, key: str, hours: float = 10, staff: str = "", **more: Any) -> httpx.Response:
    asked = {"service": "eye-test", "store": "WH", "starts_at": shown(at(hours)), "staff": staff}
    asked |= {"customer": {"name": "Erika", "email": "erika@example.com"}, **more}
    return await stage.client.post(f"{ROOT}/appointments", json=asked, headers={"Idempotency-Key": key})


async def change(stage: Stage, id_: str, act: str, key: str = "change-01", **asked: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key}
    return await stage.client.post(f"{ROOT}/appointments/{id_}/{act}", json=asked or None, headers=headers)


def kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


async def test_from_a_free_slot_to_a_cancelled_appointment(store: Store) -> None:
    """What is offered, booked with whoever is free, the same again, moved, cancelled; each over the store's clock."""
    async with storefront(store, SECTIONS) as stage:
        [service] = (await stage.client.get(f"{ROOT}/appointments/services")).json()
        assert (service["minutes"], service["stores"]) == (30, {"WH": ["anna", "bo"]})
        free = (await slots(stage)).json()
        assert [s["starts_at"] for s in free["slots"]] == [shown(at(h)) for h in (9, 9.5, 10)]
        assert free["slots"][0]["ends_at"] == shown(at(9.5))
        assert (free["slots"][0]["staff"], free["as_of"], free["stale"]) == (["anna", "bo"], None, True)
        first, again = [await book(stage, "visit-0001") for _ in range(2)]
        made = first.json()
        assert (first.status_code, again.json()) == (201, made)
        assert (made["state"], made["staff"], made["starts_at"]) == ("requested", "anna", shown(at(10)))
        assert "erika" not in first.text.lower()
        assert (await book(stage, "visit-0002")).json()["staff"] == "bo"
        taken = await book(stage, "visit-0003")
        assert kind(taken) == (409, "taken")
        assert taken.json()["instead"][0] == {"starts_at": shown(at(11)), "staff": "anna"}
        assert [s["starts_at"] for s in (await slots(stage)).json()["slots"]] == [shown(at(9))]
        moved = await change(stage, made["id"], "move", starts_at=shown(at(17)))
        assert (moved.json()["state"], moved.json()["ends_at"]) == ("requested", shown(at(17.5)))
        assert (await change(stage, made["id"], "cancel")).json()["state"] == "cancelled"
        assert kind(await change(stage, made["id"], "move", "change-02", starts_at=shown(at(9)))) == (409, "cancelled")
        assert (await stage.client.get(f"{ROOT}/appointments/{made['id']}")).json()["state"] == "cancelled"


async def test_what_cannot_be_booked(store: Store) -> None:
    """Not offered, outside the hours, too soon or too far, a key for something else, another channel's; all say why."""
    async with storefront(store, SECTIONS) as stage:
        assert kind(await book(stage, "visit-0001", service="haircut")) == (404, "not_offered")
        assert kind(await slots(stage, store="LYON")) == (404, "not_offered")
        for hours, staff in ((8.5, ""), (17.75, ""), (12, "bo"), (24 * 90, ""), (10.25, "")):
            assert kind(await book(stage, "visit-0001", hours, staff)) == (409, "taken"), hours
        assert kind(await book(stage, "visit-0001", starts_at=shown(at(9, 0) - 86400))) == (409, "taken")
        made = (await book(stage, "visit-0001")).json()
        assert kind(await book(stage, "visit-0001", 9)) == (409, "other_request")
        assert (await book(stage, "visit-0002", customer={"name": ""})).status_code == 422
        stage.client.headers["Authorization"] = await stage.token(channel="other")
        for answer in (
            await stage.client.get(f"{ROOT}/appointments/{made['id']}"),
            await change(stage, made["id"], "cancel"),
            await change(stage, made["id"], "move", starts_at=shown(at(9))),
        ):
            assert kind(answer) == (404, "not_found")
        stage.client.headers["Authorization"] = await stage.token("orders")
        assert (await slots(stage)).status_code == 403


async def test_with_odoo_gone_a_request_says_so(store: Store) -> None:
    """It is taken, its time is held, and it is marked."""
    async with storefront(store, SECTIONS) as stage:
        assert (await book(stage, "visit-0001", staff="bo")).json()["erp_reachable"] is True
        async with store.write() as connection:
            await systems.close_system(connection, store, "odoo", Outcome(Kind.DOWN, "unreachable"))
        made = (await book(stage, "visit-0002", staff="anna")).json()
        assert (made["state"], made["erp_reachable"]) == ("requested", False)
        assert kind(await book(stage, "visit-0003", staff="anna")) == (409, "taken")


async def test_at_most_a_month_at_once(store: Store) -> None:
    async with storefront(store, SECTIONS) as stage:
        far = (await slots(stage, until=shown(at(9, 200)))).json()["slots"]
        last = datetime.fromisoformat(far[-1]["starts_at"])
        assert last - datetime.fromisoformat(far[0]["starts_at"]) < timedelta(days=31)
