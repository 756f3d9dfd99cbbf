"""What the admin API shows of orders, lanes and systems, and its acts on flows; for each role what it may see."""

from __future__ import annotations

import asyncio
import io
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from tests.admin_stage import cheap_passwords, client_of, somebody, token_for
from tests.conftest import ON_SQLITE
from tests.fakes import ERP, FLOWS, SHOP, House, at, payload, rows_of, subject, until

from counterfoil.doors.admin.context import Admin
from counterfoil.hub import schema
from counterfoil.hub.access.roles import Role
from counterfoil.hub.contract import rejected
from counterfoil.hub.store import Store
from counterfoil.hub.worker import streams_of

ORDER = f"/journeys/{quote(subject(1), safe='')}"


async def house_of(store: Store) -> House:
    """An order that went through, and one that waits for a person."""
    house = House(store, FLOWS)
    house.erp.always[subject(2)] = rejected("unknown_sku", "No product for ada@mail.example.", "Make it.")
    await house.hear(*[payload(n, email="ada@mail.example", street="1 rue Haute", note="ring Ada") for n in (1, 2)])
    return house


def desk_of(house: House) -> Admin:
    connectors = {SHOP: house.shop, ERP: house.erp}
    return Admin(house.store, house.blueprint, connectors, streams_of(connectors), asyncio.Event())


@ON_SQLITE
async def test_every_view_shows_people_only_to_who_may_see_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_passwords(monkeypatch)
    house = await house_of(store)
    (receipt, *_) = await rows_of(store, schema.receipt)
    (placed, *_) = [r for r in await rows_of(store, schema.event) if r["type"] == "order.placed"]
    paths = [
        "/today",
        "/search?text=ada@mail.example",
        "/search?text=N1&thing=order",
        ORDER,
        f"{ORDER}/picture",
        f"/receipts/{receipt['id']}",
        f"/events/{placed['id']}",
        "/customers/ada@mail.example",
        "/flows",
        "/systems",
        "/reports?days=2",
        "/reports/causes/parquet",
        "/reports/causes/csv",
    ]
    shown = {}
    for role in (Role.OPERATOR, Role.VIEWER):
        await somebody(store, role.value, [role])
        async with client_of(desk_of(house), await token_for(store, role.value)) as client:
            answers = [await client.get(path) for path in paths]
            assert [a.status_code for a in answers] == [200] * len(paths)
            shown[role] = [a.text.replace('"text":"ada@mail.example"', "what was asked") for a in answers]
            cases = answers[7].json()
            assert [(c["subject"], c["status"]) for c in cases["cases"]] == [(subject(2), "open")]
            assert answers[8].json()[0]["system"] == ERP
            (cause,) = pq.read_table(io.BytesIO(answers[-2].content)).to_pylist()
            assert (cause["reason"], cause["opened"], cause["open"]) == ("unknown_sku", 1, 1)
            assert answers[-1].text.splitlines()[1].split(",")[1:] == ["unknown_sku", "1", "1"]
    for secret in ("ada@mail", "rue Haute", "ring Ada"):
        assert secret in "".join(shown[Role.OPERATOR])
        assert [p for p, text in zip(paths, shown[Role.VIEWER], strict=True) if secret in text] == []


@ON_SQLITE
async def test_what_is_not_there_and_what_cannot_be_read_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_passwords(monkeypatch)
    house = await house_of(store)
    await somebody(store, "op", [Role.OPERATOR])
    async with client_of(desk_of(house), await token_for(store, "op")) as client:
        for path in (
            "/journeys/shop:order:99",
            "/receipts/99",
            "/events/x",
            "/customers/x",
            "/reports/x/csv",
            "/reports/causes/xls",
        ):
            assert (await client.get(path)).status_code == 404
        for path in ("/search?text=x&thing=cat", "/search?text=N1&thing=order&after=here", "/reports?days=0"):
            assert (await client.get(path)).status_code == 422
        for zone in ("Mars/Phobos", "Europe", "../UTC", "%00"):
            refused = await client.get(f"/today?zone={zone}")
            assert (refused.status_code, "such as Europe/Paris" in refused.json()["detail"]) == (422, True)
        for name, status in (("crm", 404), (ERP, 409)):
            assert (await client.post(f"/flows/{name}/resume")).status_code == status
        assert (await client.post("/replay", json={"system": "crm"})).status_code == 422
        assert (await client.post("/replay", json={"types": ["order.eaten"]})).status_code == 422


@ON_SQLITE
async def test_an_operator_stops_a_stream_and_lets_it_go_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_passwords(monkeypatch)
    house = await house_of(store)
    await somebody(store, "mara", [Role.OPERATOR])
    async with client_of(desk_of(house), await token_for(store, "mara")) as client:
        stopped = await client.post("/flows/erp.accept_order/pause", json={"why": "stocktaking"})
        assert stopped.json() == {
            "operations": ["erp.accept_order", "erp.cancel_order", "erp.note_order", "erp.tell_order"],
            "in_hand": 0,
        }
        assert (await client.post("/flows/erp.accept_order/pause", json={})).status_code == 409

        async def waits() -> bool:
            return (await client.get("/flows")).json()[1]["depth"] == 2

        async with house.working():
            await house.receive(payload(3))
            await until(waits)
        assert subject(3) not in house.erp.made
        assert (await client.post("/flows/erp.accept_order/resume")).status_code == 204
        await house.work()
        assert subject(3) in house.erp.made
    acts = [(r["who"], r["act"], r["detail"]) for r in await rows_of(store, schema.audit) if "flows" in r["act"]]
    assert acts == [("mara", "flows.pause", {"why": "stocktaking"}), ("mara", "flows.resume", {})]


@ON_SQLITE
async def test_money_that_waits_is_listed_by_kind_and_currency_and_had_as_a_file(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_passwords(monkeypatch)
    house = House(store, FLOWS)
    house.erp.always |= {subject(n): rejected("unmapped_payment", "No journal.", "Add a row.") for n in (1, 2)}
    await house.hear(*(payload(n, paid=at(0), payment=f"ch_{n}", total=f"{n}.10") for n in (1, 2)))
    await somebody(store, "vera", [Role.VIEWER])
    async with client_of(desk_of(house), await token_for(store, "vera")) as client:
        found = (await client.get("/money?kind=payment&currency=EUR&limit=1&offset=1")).json()
        assert [(s["kind"], s["currency"], s["count"], s["amount"]) for s in found["sums"]] == [
            ("payment", "EUR", 2, "3.20")
        ]
        assert (found["of"], [i["amount"] for i in found["items"]]) == (2, ["2.10"])
        assert (await client.get("/today")).json()["money"] == found["sums"]
        assert (await client.get("/money?kind=refund")).json()["of"] == 0
        rows = (await client.get("/money/csv")).text.splitlines()
        assert [row.split(",")[6] for row in rows] == ["reference", "ch_1", "ch_2"]
        assert (await client.get("/money/pdf")).status_code == 404
        assert (await client.get("/money?kind=tax")).status_code == 422
