"""The WooCommerce stand-in is held to recordings of a real 9.9.5, and to what was measured beside them.

All recordings of the package are replayed; those of another folder too, where COUNTERFOIL_RECORDED names one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS, ShopApp, make_app
from counterfoil_sandbox.woocommerce_orders import adds_up, generate, make_order, recorded_orders, without_links
from counterfoil_sandbox.woocommerce_webhooks import php_json

FOLDERS = [RECORDINGS, *(Path(p) for p in [os.environ.get("COUNTERFOIL_RECORDED", "")] if p)]
AUTH = ("ck_sandbox", "cs_sandbox")
RECORDED_SECRET = 'hub-secret-<&">-é'
REPLAYED = (
    *("orders/order_*.json", "refunds/*.json", "taxes/list_page_*.json", "customers/list_page_*.json"),
    *("products/list_page_*.json", "variations/product_*/list_page_*.json", "misc/payment_gateways.json"),
    *("misc/settings_*.json", "misc/orders_*.json", "misc/webhooks.json"),
    *("errors/400_bad_*.json", "errors/400_per_page_*.json", "errors/400_order_bad_status.json"),
    *("errors/400_line_no_product.json", "errors/400_order_bad_email.json", "errors/40[14]_*.json"),
    *("errors/page_beyond_last.json", "webhooks/create_*.json"),
    *("order_notes/*.json", "refunds_global/*.json", "errors/400_customer_*.json"),
)
NOT_PLAYED = ("oauth", "_dp6")
EXACT = ("orders/", "refunds/", "taxes/", "settings", "gateways", "variations/")  # the same data, not only its shape


def replayed() -> list[Any]:
    found = []
    for number, folder in enumerate(FOLDERS):
        for path in sorted(path for pattern in REPLAYED for path in folder.glob(pattern)):
            order = folder / "orders" / path.name.replace("_refunds", "").replace("_notes", "")
            # refunds and notes of an order that was not recorded
            orphan = path.parent.name in ("refunds", "order_notes") and not order.exists()
            if not orphan and not any(word in path.name for word in NOT_PLAYED):
                recording = json.loads(path.read_text(encoding="utf-8"))
                found.append(pytest.param(folder, path, recording, id=f"{number}:{path.relative_to(folder)}"))
    return found


def client_of(app: ShopApp, auth: Any = AUTH) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://shop.example/wp-json/wc/v3", auth=auth)


def shop_for(path: Path, folder: Path) -> tuple[ShopApp, Any]:
    """The stand-in and the key with which this recording was made."""
    name = path.name
    permissions = {"write_with_read": "read", "read_with_write": "write"}
    app = make_app(
        folder,
        permissions=next((value for word, value in permissions.items() if word in name), "read_write"),
        behind_tls="over_plain_http" not in name,
        webhook_delay=3600,
    )
    app.shop.load_recorded(folder)
    if "dup_email" in name and not app.shop.customers.of_email("cust001@example.test"):
        app.shop.customers.add("cust001@example.test")
    auth = {"no_auth": None, "bad_key": ("ck_wrong", "x"), "bad_secret": ("ck_sandbox", "x")}
    return app, next((value for word, value in auth.items() if word in name), AUTH)


def kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def differences(recorded: Any, given: Any, place: str = "") -> list[str]:
    """Where keys or JSON types differ.

    Null stands for anything: most nullable fields are texts when set. Links depend on the single order, and an
    image's id is a number or an empty text.
    """
    if recorded is None or given is None or place.endswith(("._links", ".image")):
        return []
    if kind(recorded) != kind(given):
        return [f"{place}: recorded {kind(recorded)}, given {kind(given)}"]
    if isinstance(recorded, dict):
        keys = {key for key in set(recorded) ^ set(given) if key != "_links"}
        found = [f"{place}: only one has {sorted(keys)}"] if keys else []
        for key in set(recorded) & set(given):
            found += differences(recorded[key], given[key], f"{place}.{key}")
        return found
    if isinstance(recorded, list) and recorded and given:
        return differences(recorded[0], given[0], f"{place}[0]")
    return []


@pytest.mark.parametrize(("folder", "path", "recording"), replayed())
async def test_answers_are_those_recorded(folder: Path, path: Path, recording: Any) -> None:
    """Same request, same status, same headers that clients read, same keys and JSON types."""
    request, wanted = recording["request"], recording["response"]
    app, auth = shop_for(path, folder)
    if path.name == "webhooks.json":
        for hook in wanted["body"]:
            app.shop.add_webhook({"topic": hook["topic"], "delivery_url": hook["delivery_url"]})
    url = urlsplit(request["url"])
    async with client_of(app, auth) as client:
        answer = await client.request(
            request["method"],
            url.path.removeprefix("/wp-json/wc/v3"),
            params=parse_qs(url.query),
            json=request["body"],
        )
    given = answer.json()
    assert answer.status_code == wanted["status"]
    assert differences(wanted["body"], given) == []
    for header in ("Content-Type", "Allow", "Vary"):
        assert answer.headers.get(header) == wanted["headers"].get(header)
    for header in ("X-WP-Total", "X-WP-TotalPages", "Location"):
        assert (header in answer.headers) == (header in wanted["headers"])
    if isinstance(given, dict) and "code" in given:
        assert given == wanted["body"]
    if any(word in f"{path.parent.name}/{path.name}" for word in EXACT):
        assert without_links(given) == without_links(wanted["body"])


def anonymous(value: Any) -> Any:
    """Without what differs from one making to the next: ids of its own, times, links, and empty names of taxes."""
    own = ("id", "date_created", "date_created_gmt", "_links", "meta_data", "price")
    if isinstance(value, dict):
        return {key: anonymous(inner) for key, inner in value.items() if key not in own}
    return [anonymous(inner) for inner in value] if isinstance(value, list) else value


def made_refunds() -> list[Any]:
    found = []
    for number, folder in enumerate(FOLDERS):
        for path in sorted(folder.glob("scenarios/refund_*.json")):
            recording = json.loads(path.read_text(encoding="utf-8"))
            order = urlsplit(recording["request"]["url"]).path.split("/")[-2]
            if (folder / f"orders/order_{order}.json").exists():
                found.append(pytest.param(folder, int(order), recording, id=f"{number}:{path.name}"))
    return found


@pytest.mark.parametrize(("folder", "number", "recording"), made_refunds())
async def test_refunds_are_made_as_recorded(folder: Path, number: int, recording: Any) -> None:
    """By line, of the shipping, by amount, nothing, too little: the same request gives the same amounts and taxes."""
    app = make_app(folder, webhook_delay=3600)
    app.shop.load_recorded(folder)
    for refund in app.shop.stored[number].refunds:  # the order as it was before
        app.shop.delete_refund(number, refund["id"])
    wanted = recording["response"]
    async with client_of(app) as client:
        answer = await client.post(f"/orders/{number}/refunds", json=recording["request"]["body"])
    assert answer.status_code == wanted["status"]
    assert differences(wanted["body"], answer.json()) == []
    assert anonymous(answer.json()) == anonymous(wanted["body"])


@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("webhooks/delivery_*.json")), ids=lambda p: p.name)
def test_json_is_written_as_php_writes_it(path: Path) -> None:
    """The real shop's signature holds over our bytes of the same body."""
    delivery = json.loads(path.read_text(encoding="utf-8"))
    body = php_json(delivery["body"])
    assert len(body) == delivery["raw_len"]
    digest = hmac.new(RECORDED_SECRET.encode(), body, hashlib.sha256).digest()
    assert base64.b64encode(digest).decode() == delivery["headers"]["X-WC-Webhook-Signature"]


def test_packaged_recordings_are_small() -> None:
    """The package stays light: under 600 KiB of recordings, the whole catalogue among them."""
    assert sum(path.stat().st_size for path in RECORDINGS.rglob("*") if path.is_file()) < 600 * 1024


# -- what was measured beside the recordings


async def numbers(client: httpx.AsyncClient, **params: str | int) -> list[int]:
    answer = await client.get("/orders", params={"per_page": 100, "orderby": "id", "order": "asc", **params})
    return [order["id"] for order in answer.json()]


MODIFIED = datetime(2026, 11, 21, 2, 25, 43, tzinfo=UTC).timestamp()  # 03:25:43 on the shop's clock


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"modified_after": "2026-11-21T03:25:43"}, False),
        ({"modified_after": "2026-11-21T03:25:42"}, True),
        ({"modified_after": "2026-11-21T02:25:43Z"}, False),
        ({"modified_after": "2026-11-21T02:25:42Z"}, True),
        ({"modified_after": "2026-11-21T03:25:42+01:00"}, True),
        ({"modified_after": "2026-11-21T02:25:43", "dates_are_gmt": "true"}, False),
        ({"modified_after": "2026-11-21T02:25:42", "dates_are_gmt": "true"}, True),
        ({"modified_after": "2026-11-21T02:25:42+00:00", "dates_are_gmt": "true"}, False),  # the silent miss
        ({"modified_before": "2026-11-21T02:25:43Z"}, False),
        ({"modified_before": "2026-11-21T02:25:44Z"}, True),
    ],
)
async def test_modified_after_is_strict_and_means_the_sites_time(params: dict[str, str], found: bool) -> None:
    """Whole seconds, strictly after; a bare time is the site's; an offset with dates_are_gmt misses."""
    app = make_app(site_timezone="Europe/Paris")
    app.shop.place(make_order(155), at=MODIFIED)
    async with client_of(app) as client:
        assert bool(await numbers(client, **params)) is found


async def test_page_numbers_skip_rows_that_change() -> None:
    """The reason why nothing may be polled by page number: five changes hide five others."""
    app = make_app(None)
    app.shop.set_clock(frozen_at=1_800_000_100)
    for n in range(20):
        app.shop.place(make_order(n), at=1_800_000_000 + n)
    params: dict[str, str | int] = {"per_page": 10, "orderby": "modified", "order": "asc"}
    async with client_of(app) as client:
        first = await numbers(client, **params)
        for number in first[:5]:
            app.shop.touch(number)
        second = await numbers(client, **params, page=2)
    assert len({*first, *second}) == 15


async def test_trash_is_left_out_unless_asked_for() -> None:
    """The default list leaves out trash; a permanent deletion leaves a 404; a bare PUT to it is a 400."""
    app = make_app(None)
    for n in range(3):
        app.shop.place(make_order(n))
    async with client_of(app) as client:
        assert (await client.delete("/orders/1000")).json()["status"] == "processing"
        assert (await client.delete("/orders/1001", params={"force": "true"})).status_code == 200
        assert await numbers(client) == [1002]
        assert await numbers(client, status="any") == [1002]
        assert await numbers(client, status="trash") == [1000]
        assert (await client.get("/orders/1000")).json()["status"] == "trash"
        assert (await client.get("/orders/1001")).status_code == 404
        assert (await client.put("/orders/1001", json={})).status_code == 400


async def test_every_put_moves_date_modified_and_meta_is_kept_by_key() -> None:
    """Even an empty PUT is a change; meta data is changed by key, appended, deleted by null, and made text."""
    app = make_app(None)
    app.shop.place(make_order(0), at=1_800_000_000)
    app.shop.set_clock(frozen_at=1_800_000_100)
    async with client_of(app) as client:
        before = (await client.get("/orders/1000")).json()
        after = (await client.put("/orders/1000", json={})).json()
        assert (before["date_modified_gmt"], after["date_modified_gmt"]) == (
            "2027-01-15T08:00:00",
            "2027-01-15T08:01:40",
        )
        for value in ("one", "two", 3):
            answer = await client.put("/orders/1000", json={"meta_data": [{"key": "erp", "value": value}]})
        assert [m["value"] for m in answer.json()["meta_data"] if m["key"] == "erp"] == ["3"]
        answer = await client.put("/orders/1000", json={"meta_data": [{"key": "erp", "value": None}]})
        assert [m for m in answer.json()["meta_data"] if m["key"] == "erp"] == []


async def test_a_body_without_json_content_type_is_not_seen() -> None:
    """WooCommerce answers 201 and makes an empty order."""
    app = make_app(None)
    async with client_of(app) as client:
        answer = await client.post("/orders", content=b'{"customer_note": "hello"}')
    assert (answer.status_code, answer.json()["customer_note"], answer.json()["line_items"]) == (201, "", [])


async def test_refunds_never_change_the_total_and_their_deletion_moves_nothing() -> None:
    """A full refund sets the status; a deleted refund leaves date_modified where it was."""
    app = make_app(None, webhook_delay=3600)
    order = app.shop.place(make_order(0), at=1_800_000_000)
    app.shop.set_clock(frozen_at=1_800_000_100)
    async with client_of(app) as client:
        answer = await client.post("/orders/1000/refunds", json={"amount": order["total"], "api_refund": False})
        assert answer.status_code == 201
        refunded = app.shop.order(1000)
        assert (refunded["status"], refunded["total"]) == ("refunded", order["total"])
        app.shop.set_clock(frozen_at=1_800_000_200)
        await client.delete(f"/orders/1000/refunds/{answer.json()['id']}", params={"force": "true"})
        too_much = await client.post("/orders/1000/refunds", json={"amount": "9999", "api_refund": False})
    assert app.shop.order(1000)["refunds"] == []
    assert app.shop.order(1000)["date_modified"] == refunded["date_modified"]
    assert (too_much.status_code, too_much.json()["message"]) == (500, "Invalid refund amount.")


# -- webhooks


class Receiver:
    """A door that remembers what came and answers as told."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[dict[str, str], bytes]] = []

    def app(self) -> Starlette:
        async def take(request: Request) -> Response:
            self.got.append((dict(request.headers), await request.body()))
            return Response(status_code=self.status)

        return Starlette(routes=[Route("/hook", take, methods=["POST"])])

    @property
    def topics(self) -> list[str]:
        return [headers.get("x-wc-webhook-topic", "ping") for headers, _ in self.got]

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for headers, body in self.got if "x-wc-webhook-topic" in headers]


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, str]]:
    door = Receiver()
    with serving(door.app()) as url:
        yield door, f"{url}/hook"


def hooked(url: str, *topics: str, **options: Any) -> ShopApp:
    """A shop whose webhooks leave only when a test says so."""
    app = make_app(None, webhook_delay=3600, **options)
    for topic in topics:
        app.shop.add_webhook({"topic": topic, "delivery_url": url, "secret": RECORDED_SECRET})
    return app


def test_a_delivery_looks_like_the_recorded_one(receiver: tuple[Receiver, str]) -> None:
    """Header names, body keys and JSON types as recorded, and a signature that holds."""
    door, url = receiver
    app = hooked(url, "order.created")
    app.shop.place(make_order(0))
    assert app.shop.deliver_now() == 1
    headers, body = door.got[0]
    recorded = json.loads((RECORDINGS / "webhooks/delivery_order.created_12.json").read_text(encoding="utf-8"))
    assert set(headers) == {name.lower() for name in recorded["headers"]}
    own = {"host", "content-length", "x-wc-webhook-source", "x-wc-webhook-signature", "x-wc-webhook-delivery-id"}
    assert {k: v for k, v in headers.items() if k not in own} == {
        k.lower(): v for k, v in recorded["headers"].items() if k.lower() not in own
    }
    assert differences(recorded["body"], json.loads(body)) == []
    digest = hmac.new(RECORDED_SECRET.encode(), body, hashlib.sha256).digest()
    assert headers["x-wc-webhook-signature"] == base64.b64encode(digest).decode()


async def test_creation_sends_an_unsigned_ping(receiver: tuple[Receiver, str]) -> None:
    """A form, no signature; a dead receiver does not keep the webhook from being made."""
    door, url = receiver
    app = make_app(None)
    async with client_of(app) as client:
        content = {"topic": "order.created", "delivery_url": url, "secret": "x"}
        made = await client.post("/webhooks", json=content)
        dead = await client.post("/webhooks", json={**content, "delivery_url": "http://127.0.0.1:9/hook"})
    headers, body = door.got[0]
    assert (body, headers["content-type"]) == (b"webhook_id=1", "application/x-www-form-urlencoded")
    assert "x-wc-webhook-signature" not in headers
    assert (made.status_code, dead.status_code, made.json()["status"]) == (201, 201, "active")
    assert not {"secret", "failure_count"} & set(made.json())


def test_pending_deliveries_are_one_and_tell_the_latest_state(receiver: tuple[Receiver, str]) -> None:
    """One POST sends created and updated; five changes before the delivery send one body, the last state."""
    door, url = receiver
    app = hooked(url, "order.created", "order.updated")
    app.shop.place(make_order(0, status="pending"))
    assert app.shop.deliver_now() == 2
    for status in ("on-hold", "processing", "on-hold", "processing", "completed"):
        app.shop.change(1000, status=status)
    assert app.shop.deliver_now() == 1
    assert door.topics == ["order.created", "order.updated", "order.updated"]
    assert door.bodies[-1]["status"] == "completed"


def test_delivery_ids_are_not_unique(receiver: tuple[Receiver, str]) -> None:
    """Two orders in one second share the delivery id of a webhook."""
    door, url = receiver
    app = hooked(url, "order.created")
    app.shop.set_clock(frozen_at=1_800_000_000)
    app.shop.place(make_order(0))
    app.shop.place(make_order(1))
    app.shop.deliver_now()
    assert len({headers["x-wc-webhook-delivery-id"] for headers, _ in door.got}) == 1


def test_an_order_gone_before_delivery_sends_a_signed_error(receiver: tuple[Receiver, str]) -> None:
    """And deleting for good sends nothing at all, the trash an id."""
    door, url = receiver
    app = hooked(url, "order.created", "order.deleted")
    app.shop.place(make_order(0))
    app.shop.delete(1000, force=True)
    app.shop.place(make_order(1))
    app.shop.deliver_now()
    app.shop.delete(1001)
    app.shop.deliver_now()
    assert door.bodies[0]["code"] == "woocommerce_rest_shop_order_invalid_id"
    assert door.topics == ["order.created", "order.created", "order.deleted"]
    assert door.bodies[-1] == {"id": 1001}


def test_the_seventh_failure_in_a_row_switches_a_webhook_off(receiver: tuple[Receiver, str]) -> None:
    """Nothing is ever retried; switched on again it dies on the next failure."""
    door, url = receiver
    app = hooked(url, "order.updated")
    door.status = 500
    app.shop.place(make_order(0))
    states = []
    for _ in range(9):
        app.shop.touch(1000)
        app.shop.deliver_now()
        states.append((app.shop.webhooks[0]["status"], app.shop.webhooks[0]["failure_count"]))
    assert states == [("active", n) for n in range(1, 7)] + [("disabled", 6)] * 3
    assert len(door.got) == 7
    app.shop.courier.hooks[1]["status"] = "active"
    app.shop.touch(1000)
    app.shop.deliver_now()
    assert app.shop.webhooks[0]["status"] == "disabled"
    app.shop.courier.hooks[1]["status"] = "active"
    door.status = 302
    app.shop.touch(1000)
    app.shop.deliver_now()
    assert (app.shop.webhooks[0]["status"], app.shop.webhooks[0]["failure_count"]) == ("active", 0)


def test_webhooks_leave_by_themselves(receiver: tuple[Receiver, str]) -> None:
    """Without anyone's help after the delay, unless WP-Cron stands still."""
    door, url = receiver
    app = hooked(url, "order.created")
    app.shop.courier.delay = 0.01
    app.shop.hold_webhooks()
    app.shop.place(make_order(0))
    assert not app.shop.drain(0.05)
    app.shop.hold_webhooks(False)
    assert app.shop.drain(5)
    assert door.topics == ["order.created"]


@pytest.mark.parametrize(
    ("quirk", "statuses"),
    [
        ("missing", []),
        ("duplicate", ["pending", "pending"]),
        ("stale", ["processing", "pending"]),
        ("error_body", [None]),
    ],
)
def test_quirks(receiver: tuple[Receiver, str], quirk: str, statuses: list[str | None]) -> None:
    """Missing, doubled, an old state after the new one, an error instead of the order."""
    door, url = receiver
    app = hooked(url, "order.created")
    app.shop.set_quirks(**{quirk: 1.0})
    app.shop.place(make_order(0, status="pending"))
    app.shop.set_quirks()
    if quirk == "stale":
        app.shop.change(1000, status="processing")
    app.shop.deliver_now()
    assert [body.get("status") for body in door.bodies] == statuses


# -- made orders, doors, faults


def test_made_orders_add_up_and_are_all_different() -> None:
    """200 orders: own ids everywhere, the same again for the same seed, and to the cent."""
    made = generate(count=200, seed=7)
    assert made == generate(count=200, seed=7)
    assert all(adds_up(order) for order in made)
    assert len({order["id"] for order in made}) == len({order["order_key"] for order in made}) == 200
    lines = [line["id"] for order in made for line in order["line_items"]]
    assert len(set(lines)) == len(lines)
    assert differences(recorded_orders()[0], made[0]) == []
    assert {order["status"] for order in made} == {"processing", "on-hold", "pending"}
    only = generate(count=20, only=lambda order: order["currency"] == "EUR")
    assert {order["currency"] for order in only} == {"EUR"}


async def test_doors_do_what_the_shop_can() -> None:
    """Placing, changing, deleting, quirks and the clock over HTTP, without a key."""
    app = make_app(None)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.example/_sandbox") as client:
        assert (await client.post("/clock", json={"frozen_at": 1_800_000_000})).json() == {"now": 1_800_000_000}
        made = (await client.post("/orders", json={"count": 3})).json()["ids"]
        assert len(made) == 3
        assert (await client.post("/orders", json={"customer_note": "mine"})).status_code == 200
        changed = await client.post(f"/orders/{made[0]}", json={"status": "cancelled"})
        assert changed.json()["date_modified_gmt"] == "2027-01-15T08:00:00"
        await client.delete(f"/orders/{made[1]}")
        await client.delete(f"/orders/{made[2]}?force=true")
        state = (await client.get("/state")).json()
        assert state["orders"] == 3
        assert (state["by_status"]["cancelled"], state["by_status"]["trash"]) == (1, 1)
        assert (await client.post("/quirks", json={"missing": 0.5})).json() == {"quirks": {"missing": 0.5}}
        assert (await client.post("/quirks", json={"odd": 1})).status_code == 400
        assert (await client.get("/orders/77")).status_code == 404
        await client.post(f"/orders/{made[0]}/refund", json={"amount": "1.00"})
        assert (await client.get(f"/orders/{made[0]}")).json()["refunds"][0]["total"] == "-1.00"
        await client.post(f"/orders/{made[1]}/restore")
        assert (await client.get(f"/orders/{made[1]}")).json()["status"] != "trash"
        assert {"webhooks", "deliveries", "waiting"} == set((await client.get("/webhooks")).json())


def test_the_date_header_is_the_shops_clock() -> None:
    """Over a real socket too, where the server adds one of its own: the last is the shop's."""
    app = make_app(None)
    app.shop.set_clock(frozen_at=1_800_000_000)
    with serving(app) as url, httpx.Client(base_url=url, auth=AUTH, trust_env=False) as client:
        answer = client.get("/wp-json/wc/v3/orders")
    assert answer.headers.get_list("date")[-1] == "Fri, 15 Jan 2027 08:00:00 GMT"


async def test_the_index_tells_the_time_zone() -> None:
    """As /wp-json/ does, without a key."""
    async with client_of(make_app(None, site_timezone="-07:00"), auth=None) as client:
        body = (await client.get("http://shop.example/wp-json/")).json()
    assert (body["gmt_offset"], body["timezone_string"]) == (-7, "")
    assert re.fullmatch(r"http://shop\.example", body["url"])


def test_the_sandbox_never_imports_the_hub() -> None:
    """A stand-in that shares code with what it tests would share its mistakes."""
    folder = Path(RECORDINGS).parents[1]
    for path in folder.glob("woocommerce*.py"):
        assert not re.search(r"^\s*(from|import) counterfoil\b(?!_)", path.read_text(encoding="utf-8"), re.MULTILINE)
