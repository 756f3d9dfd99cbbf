"""A JSON API over real HTTP: its lists read without loss, its records written without harm, its failures understood."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from counterfoil.connectors.overlay import Dialect
from counterfoil.connectors.rest import Rest
from counterfoil.hub.contract import Failure, Item, Kind, Mark, Outcome
from counterfoil.retail.money import Money
from counterfoil.retail.party import Account, Customer
from counterfoil.retail.product import ChannelPrice, Place, Product, StockLevel, Variant
from counterfoil_sandbox.records import Book, BookApp, make_app
from counterfoil_sandbox.serving import serving

PATHS = {"/accounts": "customer", "/goods": "product", "/stock": "stock", "/orders": "order", "/postings": "record"}
SETTINGS = {"customers": "/accounts", "stock": "/stock", "orders": "/orders", "records": "/postings"}
START = datetime(2026, 11, 1, 8, tzinfo=UTC)


@pytest.fixture
def app() -> BookApp:
    return make_app(PATHS, zone=timezone(timedelta(hours=2)))


@pytest.fixture
def book(app: BookApp) -> Book:
    return app.book


@pytest.fixture
def url(app: BookApp) -> Iterator[str]:
    with serving(app) as address:
        yield address


@pytest.fixture
async def crm(url: str) -> AsyncIterator[Rest]:
    made = connector(url)
    yield made
    await made.close()


def connector(url: str, mapped: Mapping[str, Mapping[str, str]] | None = None, **settings: str) -> Rest:
    dialect = Dialect("crm", fields=mapped or {})
    return Rest("crm", {"url": url, "token": "sandbox-token", **SETTINGS, **settings}, dialect=dialect)


async def polled(made: Rest, kind: str, cursor: Mapping[str, Any] | None = None) -> tuple[list[str], Mapping[str, Any]]:
    """The ids in the order they came, and the last cursor."""
    feed = next(feed for feed in made.feeds if feed.kind == kind)
    ids: list[str] = []
    kept: Mapping[str, Any] = cursor or {}
    async for page in feed.poll(kept):
        ids += [raw.object_id for raw in page.receipts]
        kept = page.cursor
    return ids, kept


def customer(link: str = "", owned: list[str] | None = None, subject: str = "web:customer:1", **person: str) -> Item:
    state = Account(system="web", id="1", customer=Customer(**person)).model_dump(mode="json")
    data = {"customer": state, "state": state} | ({} if owned is None else {"owned": owned})
    return Item(1, subject, subject, "customer.changed", data, link)


async def do(made: Rest, operation: str, *items: Item) -> list[Outcome]:
    return await made.operations[operation].run(items)


# --- reading ----------------------------------------------------------------------------------------------------------


async def test_every_record_comes_once_page_by_page(crm: Rest, book: Book) -> None:
    """250 records of which many share a second, in pages of 100."""
    for n in range(250):
        book.write("/accounts", str(n), {}, START + timedelta(seconds=n // 40))
    ids, cursor = await polled(crm, "customer")
    assert sorted(ids) == sorted(map(str, range(250)))
    assert len(ids) == len(set(ids))
    assert datetime.fromisoformat(cursor["since"]) == START + timedelta(seconds=5)


@pytest.mark.parametrize("most", [7, 1000])
async def test_more_in_one_second_than_a_page_holds(book: Book, url: str, most: int) -> None:
    """Also where the API gives fewer records than it is asked for, and says nothing of it."""
    book.most = most
    for n in range(30):
        book.write("/accounts", str(n), {}, START)
    book.write("/accounts", "later", {}, START + timedelta(minutes=1))
    made = connector(url, per_page="10")
    ids, _ = await polled(made, "customer")
    assert sorted(ids) == sorted([*map(str, range(30)), "later"])
    await made.close()


@pytest.mark.parametrize("same_second", [True, False])
async def test_no_record_is_lost_while_others_change(book: Book, url: str, same_second: bool) -> None:
    """Rows that move to the end pull the next ones over the border of a page that was read. (case: pagination)"""
    for n in range(30):
        book.write("/accounts", str(n), {}, START + timedelta(seconds=0 if same_second else 10 * n))
    moving = iter(range(0, 12))

    def move(path: str) -> None:
        number = next(moving, None)
        if number is not None:
            book.write(path, str(number), {}, START + timedelta(hours=1, seconds=number))

    book.after_page = move
    made = connector(url, per_page="10")
    ids, _ = await polled(made, "customer")
    assert set(ids) == set(map(str, range(30)))
    await made.close()


async def test_a_record_saved_late_is_found_by_the_overlap(book: Book, url: str) -> None:
    """The next poll reaches back behind the system's own clock."""
    made = connector(url, overlap="2m")
    now = datetime.now(UTC)
    book.write("/accounts", "new", {}, now)
    _, cursor = await polled(made, "customer")
    book.write("/accounts", "late", {}, now - timedelta(seconds=60))
    ids, _ = await polled(made, "customer", cursor)
    assert "late" in ids
    await made.close()


async def test_a_restart_in_the_middle_goes_on_where_it_was(crm: Rest, book: Book) -> None:
    """Each page's cursor is enough: nothing before it is lost, little is read twice."""
    for n in range(250):
        book.write("/accounts", str(n), {}, START + timedelta(seconds=10 * n))
    feed = next(feed for feed in crm.feeds if feed.kind == "customer")
    first = await anext(aiter(feed.poll({})))
    ids, _ = await polled(crm, "customer", first.cursor)
    assert {raw.object_id for raw in first.receipts} | set(ids) == set(map(str, range(250)))
    assert len(ids) <= 152


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"changed_field": "modified"}, "undated"), ({"list_field": "rows"}, "not_a_list"), ({}, "unsorted")],
)
async def test_a_list_that_cannot_be_trusted_stops_the_feed(
    book: Book, url: str, settings: dict[str, str], reason: str
) -> None:
    """Going on would lose records without anybody knowing."""
    book.write("/accounts", "2", {}, START + timedelta(hours=1))
    book.write("/accounts", "1", {}, START)
    book.sorted = False
    made = connector(url, **settings)
    with pytest.raises(Failure) as raised:
        await polled(made, "customer")
    assert (raised.value.outcome.kind, raised.value.outcome.reason) == (Kind.MISCONFIGURED, reason)
    await made.close()


async def test_a_list_that_cannot_be_asked_for_changes_is_read_whole(book: Book, url: str) -> None:
    """In any order, each time all of it."""
    book.sorted = False
    for n in (3, 1, 2):
        book.write("/accounts", str(n), {}, START + timedelta(hours=n))
    made = connector(url, since_parameter="no", per_page="2")
    ids, cursor = await polled(made, "customer")
    assert (sorted(ids), cursor) == (["1", "2", "3"], {})
    await made.close()


# --- writing ----------------------------------------------------------------------------------------------------------


async def test_a_repeat_writes_the_same_record_and_only_once(crm: Rest, book: Book) -> None:
    """The key is the canonical id; the answer may be lost in between. (case: duplicates)"""
    (first,) = await do(crm, "put_customer", customer(name="Anna", phone="1"))
    (again,) = await do(crm, "put_customer", customer(name="Anna", phone="1"))
    assert (first.kind, first.link, first.result["written"]) == (Kind.DONE, "web:customer:1", True)
    assert (again.kind, again.result["written"]) == (Kind.DONE, False)
    assert list(book.records["/accounts"]) == ["web:customer:1"]
    assert book.requests["PUT /accounts"] == 1


async def test_an_answer_that_is_lost_does_not_make_a_second_record(app: BookApp, crm: Rest, book: Book) -> None:
    """Written, but the connection broke: the repeat finds it there."""
    app.faults.add("lost_answer", method="PUT")
    with pytest.raises(Failure) as raised:
        await do(crm, "put_customer", customer(name="Anna"))
    assert raised.value.outcome.kind is Kind.DOWN
    (outcome,) = await do(crm, "put_customer", customer(name="Anna"))
    assert (outcome.result["written"], len(book.records["/accounts"])) == (False, 1)


async def test_fields_that_are_not_ours_stay_and_nothing_is_emptied(crm: Rest, book: Book) -> None:
    """Only the owned phone is written, over a record with fields nobody told us of."""
    book.write("/accounts", "7", {"customer": {"name": "Theirs", "vat": "V1"}, "manager": "M"})
    item = customer("7", ["phone"], name="Ours", phone="555", vat="")
    (outcome,) = await do(crm, "put_customer", item)
    assert outcome.wrote == frozenset({"customer.phone", "billing.phone"})
    record = book.records["/accounts"]["7"]
    assert record["customer"] == {"name": "Theirs", "vat": "V1", "phone": "555"}
    assert record["manager"] == "M"


async def test_who_does_not_own_customers_makes_none(crm: Rest, book: Book) -> None:
    """Nothing is written, and that is no failure."""
    (outcome,) = await do(crm, "put_customer", customer(owned=["phone"], phone="1"))
    assert (outcome.kind, outcome.result["written"], book.records["/accounts"]) == (Kind.DONE, False, {})


async def test_a_linked_record_that_is_gone_is_not_made_again(crm: Rest, book: Book) -> None:
    """A person decides."""
    (outcome,) = await do(crm, "put_customer", customer("9", name="Anna"))
    assert (outcome.kind, outcome.reason, book.records["/accounts"]) == (Kind.REJECTED, "record_gone", {})


async def test_the_echo_of_our_write_says_what_the_answer_said(crm: Rest, book: Book) -> None:
    """What is observed after a write is what the next poll brings, to the digest. (case: echo)"""
    (outcome,) = await do(crm, "put_customer", customer(name="Anna", phone="1"))
    feed = next(feed for feed in crm.feeds if feed.kind == "customer")
    page = await anext(aiter(feed.poll({})))
    assert outcome.observed == crm.decode(page.receipts[0])


async def test_a_mapping_makes_the_body(book: Book, url: str) -> None:
    """In the system's own words, capitals and all; what comes to nothing is left out."""
    mapped = {"put_stock": {"articleNo": "stock.sku", "free": "stock.available", "bin": "stock.bin"}}
    made = connector(url, mapped)
    level = StockLevel(system="odoo", id="23", sku="S1", places=(Place(warehouse="W", on_hand="5", outgoing="2"),))  # type: ignore[arg-type]
    item = Item(1, "odoo:variant:23", "k", "stock.changed", {"stock": level.model_dump(mode="json")})
    (outcome,) = await do(made, "put_stock", item)
    record = dict(book.records["/stock"]["odoo:variant:23"])
    assert outcome.kind is Kind.DONE
    assert {k: v for k, v in record.items() if k not in ("id", "updated_at")} == {"articleNo": "S1", "free": 3}
    await made.close()


async def test_a_fact_is_posted_once_however_often_it_is_tried(app: BookApp, crm: Rest, book: Book) -> None:
    """The event's id is the Idempotency-Key, so a lost answer posts no second invoice."""
    app.faults.add("lost_answer", method="POST")
    item = Item(1, "web:order:1", "k", "order.invoiced", {"invoice": {"id": "5"}}, event="e1")
    with pytest.raises(Failure):
        await do(crm, "post_record", item)
    (outcome,) = await do(crm, "post_record", item)
    assert (outcome.emits, outcome.link, len(book.posts)) == (("record.posted",), "", 1)
    assert book.posts[0] | {"id": ""} == {
        "id": "",
        "type": "order.invoiced",
        "subject": "web:order:1",
        "invoice": {"id": "5"},
    }


async def test_where_no_idempotency_key_is_known_the_fact_is_put_under_its_own(book: Book, url: str) -> None:
    """record_method: put."""
    made = connector(url, record_method="put")
    item = Item(1, "web:order:1", "k", "order.invoiced", {"invoice": {"id": "5"}}, event="e1")
    await do(made, "post_record", item)
    await do(made, "post_record", item)
    assert list(book.records["/postings"]) == ["e1"]
    await made.close()


async def test_a_bad_row_fails_alone(crm: Rest, book: Book) -> None:
    """Of three in one batch the refused one has the system's own words. (case: batch with a bad row)"""
    items = [customer(subject=f"web:customer:{n}", name=name) for n, name in enumerate(("A", "refuse", "C"))]
    outcomes = await do(crm, "put_customer", *items)
    assert [o.kind for o in outcomes] == [Kind.DONE, Kind.REJECTED, Kind.DONE]
    assert "this record is refused here" in outcomes[1].message
    assert len(book.records["/accounts"]) == 2


async def test_a_change_between_look_and_write_is_not_overwritten(crm: Rest, book: Book, app: BookApp) -> None:
    """With an ETag the write is refused and tried again over what stands there then."""
    book.write("/accounts", "7", {"manager": "before"})
    app.faults.add("status", method="PUT", status=412, body="{}")
    (outcome,) = await do(crm, "put_customer", customer("7", name="Anna"))
    assert outcome.kind is Kind.RETRY


async def test_a_path_that_is_not_declared_stops_that_operation_alone(url: str) -> None:
    """The reason is one that pauses one operation."""
    made = Rest("crm", {"url": url, "token": "sandbox-token", "customers": "/accounts"})
    with pytest.raises(Failure) as raised:
        await do(made, "post_record", Item(1, "s", "k", "order.invoiced", {}, event="e"))
    assert (raised.value.outcome.kind, raised.value.outcome.reason) == (Kind.MISCONFIGURED, "no_settings")
    assert "records: /" in raised.value.outcome.suggestion
    await made.close()


# --- failures ---------------------------------------------------------------------------------------------------------

TABLE = [
    (401, "{}", Kind.MISCONFIGURED, "unauthorized"),
    (403, '{"detail": "no"}', Kind.MISCONFIGURED, "no_right"),
    (403, "<html>", Kind.MISCONFIGURED, "unauthorized"),
    (302, "", Kind.MISCONFIGURED, "bad_address"),
    (405, "", Kind.MISCONFIGURED, "no_settings"),
    (409, "{}", Kind.RETRY, "busy"),
    (412, "{}", Kind.RETRY, "busy"),
    (500, "{}", Kind.RETRY, "crashed"),
    (502, "<html>", Kind.DOWN, "down"),
    (503, "{}", Kind.DOWN, "down"),
    (200, "<html>maintenance</html>", Kind.DOWN, "not_json"),
    (422, '{"error": {"message": "no such tier"}}', Kind.REJECTED, "refused"),
]


@pytest.mark.parametrize(("status", "body", "kind", "reason"), TABLE)
async def test_every_failure_has_its_outcome(
    app: BookApp, crm: Rest, status: int, body: str, kind: Kind, reason: str
) -> None:
    """By what the answer holds before its status. (case: error table)"""
    app.faults.add("status", status=status, body=body, content_type="text/html" if "<" in body else "application/json")
    try:
        (outcome,) = await do(crm, "put_customer", customer(name="Anna"))
    except Failure as failure:
        outcome = failure.outcome
    assert (outcome.kind, outcome.reason) == (kind, reason)


async def test_a_limit_says_until_when(app: BookApp, crm: Rest) -> None:
    """Retry-After is kept to. (case: rate limit)"""
    app.faults.add("throttle", seconds=30)
    before = datetime.now(UTC)
    with pytest.raises(Failure) as raised:
        await polled(crm, "customer")
    until = raised.value.outcome.until
    assert raised.value.outcome.kind is Kind.THROTTLED
    assert until
    assert timedelta(seconds=29) <= until - before <= timedelta(seconds=60)


async def test_the_token_is_in_no_message(
    app: BookApp, url: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither in outcomes nor in logs, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    made = Rest("crm", {"url": url, "token": "tok-very-secret", **SETTINGS})
    with pytest.raises(Failure) as raised:
        await polled(made, "customer")
    app.faults.add("reset")
    with pytest.raises(Failure) as broken:
        await polled(made, "customer")
    said = [str(raised.value), str(broken.value), caplog.text, *capsys.readouterr(), str(await made.doctor())]
    assert not [text for text in said if "very-secret" in text]
    await made.close()


# --- doctor -----------------------------------------------------------------------------------------------------------


async def test_the_doctor_reads_a_page_of_each_list(crm: Rest, book: Book) -> None:
    """And says how many it found; plain http is warned of."""
    book.write("/accounts", "7", {})
    found = {finding.check: finding for finding in await crm.doctor()}
    assert found["customers"].mark is Mark.OK
    assert "1" in found["customers"].found
    assert (found["stock"].mark, found["address"].mark) == (Mark.OK, Mark.WARNING)


async def test_the_doctor_finds_a_mapping_that_does_not_fit(book: Book, url: str) -> None:
    """It names the record and the row of the blueprint."""
    book.write("/accounts", "7", {"tags": ["a"]})
    made = connector(url, {"customer": {"phone": "tags"}})
    found = {finding.check: finding for finding in await made.doctor()}
    assert found["customers"].mark is Mark.FAILED
    assert found["customers"].found.startswith("7: ")
    assert "customer: phone" in found["customers"].remedy
    await made.close()


async def test_the_doctor_says_that_a_token_is_wrong(url: str) -> None:
    """Once, and not for each list."""
    made = Rest("crm", {"url": url, "token": "wrong", **SETTINGS})
    failed = [finding for finding in await made.doctor() if finding.mark is Mark.FAILED]
    assert [finding.found for finding in failed] == ["crm does not accept the token."]
    await made.close()


async def test_people_are_listed_for_linking(crm: Rest, book: Book) -> None:
    """With what they can be known by."""
    book.write("/accounts", "7", {"customer": {"email": "a@b.test", "name": "A"}, "billing": {"city": "Porto"}})
    assert [each async for each in crm.people()] == [("7", {"email": "a@b.test", "name": "A", "city": "Porto"})]


# --- a customer that is there already --------------------------------------------------------------------------------


async def test_a_customer_is_found_by_the_address_where_it_can_be_asked_for(book: Book, url: str) -> None:
    """In the record that is there, whatever its id; never a second one."""
    book.write("/accounts", "7", {"email": "a@b.test", "manager": "M"})
    mapped = {"customer": {"email": "email"}, "put_customer": {"tel": "customer.customer.phone"}}
    made = connector(url, mapped, email_parameter="email")
    (outcome,) = await do(made, "put_customer", customer(owned=["phone"], email="a@b.test", phone="1"))
    assert (outcome.link, book.records["/accounts"]["7"]["tel"], len(book.records["/accounts"])) == ("7", "1", 1)
    await made.close()


async def test_of_two_with_one_address_a_person_decides(book: Book, url: str) -> None:
    """Neither is written."""
    for key in ("7", "8"):
        book.write("/accounts", key, {"email": "a@b.test"})
    made = connector(url, {"customer": {"email": "email"}}, email_parameter="email")
    (outcome,) = await do(made, "put_customer", customer(email="a@b.test", phone="1"))
    assert (outcome.kind, outcome.reason, book.requests["PUT /accounts"]) == (Kind.REJECTED, "ambiguous_customer", 0)
    await made.close()


async def test_an_order_needs_an_event_that_tells_of_it(crm: Rest, book: Book) -> None:
    """What the ERP made of an order is no order."""
    item = Item(1, "web:order:1", "k", "order.accepted", {"state": {"order": "web:order:1", "number": "S1"}})
    (outcome,) = await do(crm, "put_order", item)
    assert (outcome.kind, outcome.reason, book.records["/orders"]) == (Kind.REJECTED, "not_an_order", {})


async def test_a_record_has_the_prices_of_its_own_system_only(book: Book, url: str) -> None:
    """Where Odoo has a pricelist for it; another one's prices do not leave the house."""
    made = connector(url, products="/goods")
    prices = tuple(
        ChannelPrice(channel=name, price=Money.of(own, "EUR")) for name, own in (("crm", "12"), ("web", "9"))
    )
    mug = Product(system="odoo", id="7", name="Mug", variants=(Variant(id="1", sku="MUG", prices=prices),))
    item = Item(1, "odoo:product:7", "k", "product.changed", {"product": mug.model_dump(mode="json")})
    (outcome,) = await do(made, "put_product", item)
    assert outcome.kind is Kind.DONE
    [variant] = book.records["/goods"]["odoo:product:7"]["variants"]
    assert (variant["price"], variant["prices"]) == ("12 EUR", [])
    await made.close()
