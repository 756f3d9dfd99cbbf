"""What happens to orders and customers in the WooCommerce stand-in: notes, refunds, amendments, accounts, and how fast.

Answers are held to the recordings in test_woocommerce_standin.py; this is what was measured beside them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from counterfoil_sandbox.woocommerce import ShopApp, make_app
from counterfoil_sandbox.woocommerce_orders import CHARGES, adds_up, make_order

T0 = 1_800_000_000


@pytest.fixture
def app() -> ShopApp:
    app = make_app(webhook_delay=3600)
    app.shop.set_clock(frozen_at=T0)
    return app


def client_of(app: ShopApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(
        transport=transport, base_url="http://shop.example/wp-json/wc/v3", auth=("ck_sandbox", "cs_sandbox")
    )


def taxed(order: dict[str, Any]) -> bool:
    return len(order["line_items"]) > 1 and Decimal(order["total_tax"]) > 0


# -- notes


async def test_a_note_moves_nothing_and_sends_nothing(app: ShopApp) -> None:
    """As measured: neither date_modified nor a webhook; and customers are told of theirs only."""
    app.shop.add_webhook({"topic": "order.updated", "delivery_url": "http://127.0.0.1:9/x"})
    app.shop.place(make_order(0), at=T0 - 60)
    waiting = app.shop.waiting
    before = app.shop.order(1000)
    async with client_of(app) as client:
        private = await client.post("/orders/1000/notes", json={"note": "for us"})
        public = await client.post("/orders/1000/notes", json={"note": "for you", "customer_note": True})
        listed = [(await client.get("/orders/1000/notes", params={"type": t})).json() for t in ("internal", "customer")]
        one = await client.get(f"/orders/1000/notes/{public.json()['id']}")
        assert (await client.delete(f"/orders/1000/notes/{private.json()['id']}")).status_code == 501
        params = {"force": "true"}
        assert (await client.delete(f"/orders/1000/notes/{private.json()['id']}", params=params)).status_code == 200
        missing = await client.post("/orders/1000/notes", json={})
        nowhere = await client.get("/orders/77/notes")
        left = (await client.get("/orders/1000/notes")).json()
    assert (private.status_code, private.json()["customer_note"], public.json()["customer_note"]) == (201, False, True)
    assert [[n["note"] for n in found] for found in listed] == [["for us"], ["for you"]]
    assert one.json()["note"] == "for you"
    assert [n["note"] for n in left] == ["for you"]
    assert (missing.json()["message"], nowhere.status_code) == ("Missing parameter(s): note", 404)
    assert app.shop.order(1000) == before
    assert app.shop.waiting == waiting


def test_notes_are_listed_the_newest_first(app: ShopApp) -> None:
    """Within a second in order of id, as recorded; the shop itself notes each change of status."""
    app.shop.place(make_order(0))
    app.shop.add_note(1000, "a")
    app.shop.add_note(1000, "b")
    app.shop.set_clock(frozen_at=T0 + 5)
    app.shop.change(1000, status="completed")
    words = "Order status changed from Processing to Completed."
    assert [n["note"] for n in app.shop.notes(1000)] == [words, "a", "b"]


# -- dates of payment and completion


@pytest.mark.parametrize(
    ("method", "status", "paid", "completed"),
    [
        ("bacs", "processing", True, False),
        ("bacs", "completed", True, True),
        ("bacs", "on-hold", False, False),
        ("cod", "processing", False, False),
        ("cod", "completed", True, True),
    ],
)
def test_a_status_brings_its_dates(app: ShopApp, method: str, status: str, paid: bool, completed: bool) -> None:
    """Processing means paid, but for cash on delivery, which is paid when it is completed."""
    app.shop.place(make_order(0, status="pending"), payment_method=method)
    order = app.shop.change(1000, status=status)
    assert (order["date_paid_gmt"] is not None, order["date_completed_gmt"] is not None) == (paid, completed)


# -- refunds


@pytest.mark.parametrize("n", range(12))
def test_every_line_given_back_is_the_whole_order(app: ShopApp, n: int) -> None:
    """Line by line, shipping and fees too: to the cent the total, and then the order is refunded."""
    order = app.shop.place(make_order(n))
    charges = [charge for key in CHARGES for charge in order[key]]
    for charge in charges:
        app.shop.refund(order["id"], lines=[charge["id"]])
    now = app.shop.order(order["id"])
    assert sum(Decimal(r["total"]) for r in now["refunds"]) == -Decimal(order["total"])
    assert (now["status"], now["total"]) == ("refunded", order["total"])


def test_some_pieces_of_a_line(app: ShopApp) -> None:
    """Their share of net and taxes, negative, with the order's line named; the rates sum the lines."""
    order = app.shop.place(make_order(0, only=lambda o: taxed(o) and o["line_items"][0]["quantity"] > 1))
    line = order["line_items"][0]
    app.shop.refund(1000, lines={line["id"]: 1})
    (refund,) = app.shop.stored[1000].refunds
    (given,) = refund["line_items"]
    share = Decimal(line["total"]) / line["quantity"]
    assert (given["quantity"], given["meta_data"][0]["value"]) == (-1, str(line["id"]))
    assert abs(-Decimal(given["total"]) - share) <= Decimal("0.005")
    assert Decimal(refund["amount"]) == -Decimal(given["total"]) - Decimal(given["total_tax"])
    assert sum(Decimal(r["tax_total"]) for r in refund["tax_lines"]) == Decimal(given["total_tax"])


async def test_the_list_of_all_refunds(app: ShopApp) -> None:
    """The newest first, each with its order; by time; a deleted one is simply not there."""
    for n in range(3):
        app.shop.place(make_order(n), at=T0 - 500)
        app.shop.set_clock(frozen_at=T0 + n)
        app.shop.refund(1000 + n, "1.00")
    gone = app.shop.stored[1001].refunds[0]["id"]
    async with client_of(app) as client:
        every = (await client.get("/refunds")).json()
        late = (await client.get("/refunds", params={"after": "2027-01-15T08:00:01Z"})).json()
        await client.delete(f"/orders/1001/refunds/{gone}", params={"force": "true"})
        answer = await client.get("/refunds", params={"orderby": "id", "order": "asc", "per_page": 1, "page": 2})
    assert [r["parent_id"] for r in every] == [1002, 1001, 1000]
    assert [r["parent_id"] for r in late] == [1002]
    assert [r["parent_id"] for r in answer.json()] == [1002]
    assert answer.headers["x-wp-total"] == "2"


# -- amendments


@pytest.mark.parametrize("n", range(20))
def test_an_amended_order_still_adds_up(app: ShopApp, n: int) -> None:
    """One piece more, none of another line: lines, rates and total agree; it tells of itself like any change."""
    order = app.shop.place(make_order(n, only=taxed))
    first, last = order["line_items"][0], order["line_items"][-1]
    app.shop.set_clock(frozen_at=T0 + 60)
    now = app.shop.amend(order["id"], {first["id"]: first["quantity"] + 1, last["id"]: 0}, customer_note="More please")
    assert adds_up(now)
    assert len(now["line_items"]) == len(order["line_items"]) - 1
    assert now["line_items"][0]["quantity"] == first["quantity"] + 1
    assert Decimal(now["line_items"][0]["total"]) > Decimal(first["total"]) or Decimal(first["total"]) == 0
    assert (now["customer_note"], now["date_modified_gmt"]) == ("More please", "2027-01-15T08:01:00")
    back = app.shop.amend(order["id"], {})
    assert back["total"] == now["total"]


# -- accounts


async def test_accounts_over_the_api(app: ShopApp) -> None:
    """Made once an address, found by it, changed by field, gone for good; modified_after is ignored."""
    async with client_of(app) as client:
        made = await client.post("/customers", json={"email": "ana@example.test", "first_name": "Ana"})
        number = made.json()["id"]
        again = await client.post("/customers", json={"email": "Ana@example.test"})
        found = (await client.get("/customers", params={"email": "ana@example.test"})).json()
        app.shop.set_clock(frozen_at=T0 + 60)
        changed = await client.put(f"/customers/{number}", json={"billing": {"city": "Porto"}})
        total = [
            (await client.get("/customers", params=params)).headers["x-wp-total"]
            for params in ({}, {"modified_after": "2030-01-01T00:00:00Z"})
        ]
        nowhere = await client.put("/customers/9999", json={})
        assert (await client.delete(f"/customers/{number}")).status_code == 501
        assert (await client.delete(f"/customers/{number}", params={"force": "true"})).status_code == 200
        assert (await client.get(f"/customers/{number}")).status_code == 404
    assert (made.status_code, again.status_code) == (201, 400)
    assert [entry["id"] for entry in found] == [number]
    assert (changed.json()["billing"]["city"], changed.json()["first_name"]) == ("Porto", "Ana")
    assert changed.json()["date_modified_gmt"] == "2027-01-15T08:01:00"
    assert total[0] == total[1]
    assert (nowhere.status_code, nowhere.json()["code"]) == (400, "woocommerce_rest_invalid_id")


def test_a_new_account_tells_of_itself_twice(app: ShopApp) -> None:
    """customer.created and customer.updated; a change one, a deletion its id."""
    for topic in ("customer.created", "customer.updated", "customer.deleted"):
        app.shop.add_webhook({"topic": topic, "delivery_url": "http://127.0.0.1:9/x"})
    made = app.shop.customers.add("ana@example.test")
    assert app.shop.waiting == 2
    app.shop.customers.change(made["id"], first_name="Ana")
    assert app.shop.waiting == 2  # the pending one says it already
    app.shop.customers.delete(made["id"])
    assert app.shop.waiting == 3


# -- the poll


def test_the_order_of_changes_survives_every_kind_of_change(app: ShopApp) -> None:
    """Placed, touched, refunded, trashed, restored, deleted for good: what a poll sees is what stands."""
    for n in range(30):
        app.shop.place(make_order(n), at=T0 - 600 + n)
    for step, number in enumerate(range(1000, 1030, 3)):
        app.shop.set_clock(frozen_at=T0 + step)
        app.shop.touch(number)
        app.shop.refund(number + 1, "1.00")
        app.shop.delete(number + 2)
        if step % 2:
            app.shop.restore(number + 2)
        if step % 3 == 0:
            app.shop.delete(number + 2, force=True)
    found = [stored.data["id"] for stored in app.shop.changed(None, None)]
    by_hand = sorted((stored.modified, number) for number, stored in app.shop.stored.items())
    assert found == [number for _, number in by_hand]
    assert [s.modified for s in app.shop.changed(T0 + 4, T0 + 6)] == [T0 + 5] * 3
