"""Customers' accounts against the shop's stand-in over HTTP: read whole, written from their owner, never guessed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.woocommerce_shop import SYSTEM, T0, Door, feed, item, poll, run, settings, shop_at_t0

from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.hub.contract import BadPayload, Failure, Kind, Outcome, Raw
from counterfoil.retail.party import Account, Address, Customer
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS, ShopApp

PLACE = Address(
    name="Ana Lima", street="1 High St", street2="Flat 2", city="Porto", postcode="4000", country="PT", phone="+3511"
)


@pytest.fixture
def app() -> ShopApp:
    return shop_at_t0(None)


def account(email: str = "ana@example.test", name: str = "Ana Lima", **more: Any) -> Account:
    """A customer as the ERP has them."""
    known = {"billing": PLACE, "shipping": PLACE}
    customer = Customer(id="17", email=email, name=name, phone=more.pop("phone", "+3511"))
    return Account(system="odoo", id="17", customer=customer, **{**known, **more})


async def update(shop: WooCommerce, found: Account, link: str = "") -> Outcome:
    delivery = item(found.canonical_id, "customer.changed", found, link)
    return (await run(shop, "update_customer", delivery))[0]


def entry(app: ShopApp, email: str = "ana@example.test") -> dict[str, Any]:
    found = app.shop.customers.of_email(email)
    assert found is not None
    return found


def writes(app: ShopApp) -> int:
    return sum(n for line, n in app.requests.items() if "customers" in line and line.split()[0] in ("PUT", "POST"))


# -- reading


def test_recorded_accounts_can_be_read() -> None:
    """Names, both addresses, VAT number, dates: as a real shop wrote them."""
    body = json.loads((RECORDINGS / "customers/list_page_1.json").read_text(encoding="utf-8"))["response"]["body"]
    shop = WooCommerce(SYSTEM, settings("https://shop.example"))
    for data in body:
        observed = shop.decode(Raw("customer", str(data["id"]), json.dumps(data).encode()))
        state = observed.state
        assert isinstance(state, Account)
        assert (observed.kind, state.id, state.canonical_id) == (
            "customer",
            str(data["id"]),
            f"{SYSTEM}:customer:{data['id']}",
        )
        assert observed.version == data["date_modified_gmt"] + "Z"
        assert state.customer.email == data["email"]
        assert state.customer.name == f"{data['first_name']} {data['last_name']}".strip()
        assert state.billing.street == data["billing"]["address_1"]
        vat = [m["value"] for m in data["meta_data"] if m["key"] == "vat_number"]
        assert state.customer.vat == (vat[0] if vat else "")


def test_a_recorded_webhook_tells_the_same() -> None:
    """customer.updated carries the whole account."""
    path = RECORDINGS / "webhooks" / "delivery_customer.updated_16.json"
    data = json.loads(path.read_text(encoding="utf-8"))["body"]
    observed = WooCommerce(SYSTEM, settings("https://shop.example")).decode(
        Raw("customer", "5", json.dumps(data).encode())
    )
    assert isinstance(observed.state, Account)
    assert observed.state.customer.name == "José Ángel Núñez Ibáñez"
    assert observed.state.modified_at == datetime(2026, 11, 21, 2, 28, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"id":7}', "deleted"),
        (b'{"code":"woocommerce_rest_invalid_id","message":"Invalid","data":{"status":404}}', "shop_error_body"),
        (b'{"id":"x","email":"a@b.c"}', "wrong_shape"),
        (b'{"id":7,"role":"customer"}', "missing_field"),
        (b"<html>", "not_json"),
        (b'{"id":7,"email":"a@b.c","billing":"odd"}', "wrong_shape"),
    ],
)
def test_what_is_no_account(body: bytes, reason: str) -> None:
    """Deleted, an error signed like any payload, or nonsense: each by its name."""
    shop = WooCommerce(SYSTEM, settings("https://shop.example"))
    with pytest.raises(BadPayload) as caught:
        shop.decode(Raw("customer", "7", body))
    assert caught.value.reason == reason


async def test_all_accounts_over_many_pages(app: ShopApp, shop: WooCommerce) -> None:
    """case: F39. 230 of them, in order of id; the same again is the same bytes, which the hub drops."""
    for n in range(230):
        app.shop.customers.add(f"c{n:03}@example.test", first_name="C", last_name=str(n))
    receipts, cursor = await poll(shop, {}, "customers")
    again, _ = await poll(shop, cursor, "customers")
    assert [int(raw.object_id) for raw in receipts] == sorted(app.shop.customers.entries)
    assert {raw.kind for raw in receipts} == {"customer"}
    assert [raw.body for raw in again] == [raw.body for raw in receipts]
    found = [pair async for pair in shop.people()]
    assert found[3] == (receipts[3].object_id, {"email": "c003@example.test", "name": "C 3"})
    assert len(found) == 230


async def test_an_answer_that_is_no_list_stops_the_round(app: ShopApp, shop: WooCommerce) -> None:
    """Better said than half read."""
    app.faults.add("status", path="customers", status=200, body='{"a": 1}')
    with pytest.raises(Failure) as caught:
        await poll(shop, {}, "customers")
    assert caught.value.outcome.reason == "not_a_list"


async def test_webhooks_bring_accounts(app: ShopApp, shop: WooCommerce) -> None:
    """Created, updated, deleted: each a receipt of its customer."""
    door = Door(shop)
    with serving(door.app()) as public_url:
        await shop.ensure_webhooks(public_url)
        made = app.shop.customers.add("ana@example.test", first_name="Ana")
        app.shop.deliver_now()
        app.shop.customers.change(made["id"], last_name="Lima")
        app.shop.deliver_now()
        app.shop.customers.delete(made["id"])
        app.shop.deliver_now()
    topics = [raw.headers["x-wc-webhook-topic"] for raw in door.kept]
    assert topics == ["customer.created", "customer.updated", "customer.updated", "customer.deleted"]
    assert {(raw.kind, raw.object_id) for raw in door.kept} == {("customer", str(made["id"]))}
    state = shop.decode(door.kept[2]).state
    assert isinstance(state, Account)
    assert state.customer.name == "Ana Lima"
    with pytest.raises(BadPayload, match="was deleted"):
        shop.decode(door.kept[3])


# -- writing


async def test_found_by_link(app: ShopApp, shop: WooCommerce) -> None:
    """Names, both addresses and phone; never the e-mail address, which is what they log in with."""
    made = app.shop.customers.add("old@example.test", first_name="Anna", last_name="Lima")
    app.shop.set_clock(frozen_at=T0 + 60)
    outcome = await update(shop, account("new@example.test"), str(made["id"]))
    assert (outcome.kind, outcome.link, outcome.emits) == (Kind.DONE, str(made["id"]), ("customer.updated",))
    now = entry(app, "old@example.test")
    assert (now["first_name"], now["last_name"], now["email"]) == ("Ana", "Lima", "old@example.test")
    assert (now["billing"]["address_1"], now["billing"]["phone"], now["shipping"]["city"]) == (
        "1 High St",
        "+3511",
        "Porto",
    )
    receipts, _ = await poll(shop, {}, "customers")
    assert shop.decode(receipts[0]) == outcome.observed
    assert outcome.wrote == {"customer", "billing", "shipping"}


async def test_found_by_email_never_by_name(app: ShopApp, shop: WooCommerce) -> None:
    """case: F36. Two of the same name: the one with the address, whatever its case; without one, nobody."""
    app.shop.customers.add("other@example.test", first_name="Ana", last_name="Lima")
    app.shop.customers.add("Ana@Example.test")
    before = entry(app, "other@example.test").copy()
    outcome = await update(shop, account())
    assert outcome.link == str(entry(app)["id"])
    assert entry(app, "other@example.test") == before
    for email in ("", "nobody@example.test"):
        outcome = await update(shop, account(email))
        assert (outcome.kind, outcome.link, outcome.result["written"]) == (Kind.DONE, "", False)
    assert entry(app, "other@example.test") == before
    assert len(app.shop.customers.entries) == 2


async def test_a_shop_that_ignores_the_search_gives_nobody(app: ShopApp, shop: WooCommerce) -> None:
    """case: F36. A plugin that sends everyone must not have the first one overwritten."""
    app.shop.customers.add("other@example.test", first_name="Otto")
    everyone = json.dumps([entry(app, "other@example.test")])
    app.faults.add("status", path="customers", status=200, body=everyone)
    assert (await update(shop, account())).link == ""
    assert entry(app, "other@example.test")["first_name"] == "Otto"


async def test_the_same_again_writes_nothing(app: ShopApp, shop: WooCommerce) -> None:
    """case: F37. What is there already is not written: no echo."""
    app.shop.customers.add("ana@example.test")
    await update(shop, account())
    before = writes(app)
    outcome = await update(shop, account(), str(entry(app)["id"]))
    assert (outcome.result["written"], outcome.observed) == (False, None)
    assert writes(app) == before == 1


async def test_nothing_is_written_over_something(app: ShopApp, shop: WooCommerce) -> None:
    """What the ERP does not know (a shipping address, a phone, a state) stays as the customer gave it."""
    app.shop.customers.add(
        "ana@example.test",
        first_name="Ana Maria",
        last_name="Lima",
        billing={"state": "PT-13", "country": "PT", "phone": "5"},
        shipping={"address_1": "Work", "city": "Braga", "country": "PT"},
    )
    await update(shop, account(name="", phone="", billing=PLACE.model_copy(update={"phone": ""}), shipping=Address()))
    now = entry(app)
    assert (now["first_name"], now["shipping"]["address_1"], now["billing"]["phone"]) == ("Ana Maria", "Work", "5")
    assert (now["billing"]["state"], now["billing"]["city"]) == ("PT-13", "Porto")


@pytest.mark.parametrize(
    ("first", "last", "name", "written"),
    [
        ("Ana Maria", "Lima", "Ana Maria Lima", ("Ana Maria", "Lima")),  # the same, however it is split
        ("Ana", "Maria Lima", "Ana Maria Lima", ("Ana", "Maria Lima")),
        ("Ana", "Lima", "Ana Maria Souza", ("Ana Maria", "Souza")),
        ("Ana", "Lima", "Cher", ("", "Cher")),
    ],
)
async def test_names_keep_their_parts(
    app: ShopApp, shop: WooCommerce, first: str, last: str, name: str, written: tuple[str, str]
) -> None:
    """The ERP has one name, the shop two: they are split anew only where they say something else."""
    app.shop.customers.add("ana@example.test", first_name=first, last_name=last)
    await update(shop, account(name=name))
    assert (entry(app)["first_name"], entry(app)["last_name"]) == written


async def test_a_state_with_its_country_in_front(app: ShopApp, shop: WooCommerce) -> None:
    """WooCommerce says DE-BE where the ERP says BE: nothing to write."""
    app.shop.customers.add("ana@example.test", billing={"state": "DE-BE", "country": "DE"})
    await update(shop, account(billing=PLACE.model_copy(update={"country": "DE", "state": "BE"})))
    assert entry(app)["billing"]["state"] == "DE-BE"


async def test_accounts_are_made_only_when_asked(app: ShopApp, url: str) -> None:
    """create_customers: yes; a lost answer makes no second one."""
    shop = WooCommerce(SYSTEM, settings(url, create_customers="yes"))
    app.faults.add("lost_answer", method="POST", path="customers")
    assert (await update(shop, account())).kind is Kind.DOWN
    outcome = await update(shop, account())
    assert (outcome.kind, outcome.link) == (Kind.DONE, str(entry(app)["id"]))
    assert len(app.shop.customers.entries) == 1
    assert entry(app)["billing"]["city"] == "Porto"
    await shop.close()


async def test_an_account_that_is_gone_is_not_made_again(app: ShopApp, shop: WooCommerce) -> None:
    """Deleted in the shop: a person's, not ours."""
    outcome = await update(shop, account(), "99")
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "account_gone")
    assert app.shop.customers.entries == {}


async def test_fifty_items_with_one_bad_among_them(app: ShopApp, shop: WooCommerce) -> None:
    """case: F17. A link that leads nowhere and an item without anything: they alone fail."""
    items = []
    for n in range(50):
        app.shop.customers.add(f"c{n}@example.test")
        found = account(f"c{n}@example.test")
        items.append(item(f"odoo:customer:{n}", "customer.changed", None if n == 9 else found, "99" if n == 5 else ""))
    outcomes = await run(shop, "update_customer", *items)
    assert {n: o.reason for n, o in enumerate(outcomes) if o.kind is not Kind.DONE} == {
        5: "account_gone",
        9: "no_customer",
    }
    assert writes(app) == 48


async def test_the_feed_can_be_switched_off(url: str) -> None:
    """A shop whose customers stay where they are."""
    shop = WooCommerce(SYSTEM, settings(url, customers="no"))
    with pytest.raises(StopIteration):
        feed(shop, "customers")
    await shop.close()


# -- owners of single fields


async def owning(shop: WooCommerce, found: Account, *owned: str, link: str = "") -> Outcome:
    delivery = item(found.canonical_id, "customer.changed", found, link, owned=list(owned))
    return (await run(shop, "update_customer", delivery))[0]


async def test_only_what_its_teller_owns_is_written(app: ShopApp, shop: WooCommerce) -> None:
    """Whom to call belongs to `phone` wherever it stands; the rest of the address to `billing`."""
    mine = {"address_1": "9 Own St", "city": "Braga", "country": "PT", "phone": "5", "company": "Own"}
    app.shop.customers.add("ana@example.test", first_name="Ana Maria", last_name="Lima", billing=mine)
    outcome = await owning(shop, account(name="Anna", phone="+3511"), "phone")
    now = entry(app)
    assert (now["billing"]["phone"], now["billing"]["address_1"], now["first_name"]) == (
        "+3511",
        "9 Own St",
        "Ana Maria",
    )
    assert outcome.wrote == {"customer.phone", "billing.phone"}
    await owning(shop, account(name="Anna", phone="7"), "billing")
    now = entry(app)
    assert (now["billing"]["phone"], now["billing"]["address_1"], now["first_name"]) == (
        "+3511",
        "1 High St",
        "Ana Maria",
    )
    assert now["billing"]["company"] == "Own"


async def test_who_owns_nothing_writes_nothing(app: ShopApp, shop: WooCommerce) -> None:
    """An event from before there were owners, told again."""
    app.shop.customers.add("ana@example.test")
    assert (await owning(shop, account())).result["written"] is False
    assert writes(app) == 0


async def test_accounts_are_made_by_the_owner_of_customers_only(app: ShopApp, url: str) -> None:
    """And whole: of a new one nobody else has said anything yet. case: F34"""
    shop = WooCommerce(SYSTEM, settings(url, create_customers="yes"))
    assert (await owning(shop, account(), "email", "name", "phone")).result["written"] is False
    assert app.shop.customers.entries == {}
    await owning(shop, account(), "customer", "name")
    assert (entry(app)["first_name"], entry(app)["billing"]["city"]) == ("Ana", "Porto")
    await shop.close()
