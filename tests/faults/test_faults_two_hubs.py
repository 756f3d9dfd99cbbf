"""The reported failures once more, under two `counterfoil run` on one PostgreSQL.

F14 speaks of files, which nothing reads yet; F20 of reservations (test_oversell.py): here of the counters and
objects that two processes write at once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import assert_one_status
from tests.faults.two_hubs import CANCELS_PER_SECOND, TwoHubs, two_hubs

from counterfoil.hub import schema, systems
from counterfoil.hub.worker import idle
from counterfoil.processes.publication import OVERSOLD
from counterfoil_lab import warehouse
from counterfoil_lab.checker import passed
from counterfoil_sandbox.woocommerce import make_order

HERE = Path(__file__).parent

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def scene(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHubs]:
    with two_hubs(tmp_path_factory.mktemp("two"), postgres_url) as scene:
        yield scene


@pytest.fixture
def hubs(scene: TwoHubs) -> Iterator[TwoHubs]:
    """Both run, whatever the test before did to them; at the end each delivery has one status. case: F13"""
    scene.up()
    yield scene
    scene.up()
    scene.at_rest()
    scene.do(assert_one_status(scene.store))


def simple(order: dict[str, Any]) -> bool:
    """A recorded order of one article in euro, paid before the goods leave."""
    return order["currency"] == "EUR" and order["payment_method"] == "bacs" and len(order["line_items"]) == 1


def place(hubs: TwoHubs, count: int, status: str = "processing", at: float | None = None) -> list[int]:
    """So many orders in the shop; their numbers."""
    first = 1 + max((order["id"] for order in hubs.shop.shop.orders), default=0)
    made = (make_order(first + n, status=status, only=simple) for n in range(count))
    return [hubs.shop.shop.place({**order, "id": 0}, at=at)["id"] for order in made]


def done_by(hubs: TwoHubs, operation: str, numbers: list[int]) -> set[str]:
    """The workers that carried out something of these orders."""
    subjects = {f"web:order:{number}" for number in numbers}
    return {r["worker"] for r in hubs.rows(schema.delivery_log, operation=operation) if r["subject"] in subjects}


def test_both_doors_and_both_polls_tell_of_the_same_orders(hubs: TwoHubs) -> None:
    """Each webhook twice at each door, a third of them never, and both poll: each order once. case: F03, F07"""
    hubs.shop.shop.set_quirks(duplicate=0.5, missing=0.3)
    numbers = place(hubs, 40)
    verdict = hubs.settled(numbers)
    hubs.shop.shop.set_quirks()
    assert passed(verdict), verdict["wrong"]
    assert len(done_by(hubs, "accept_order", numbers)) == 2, "both took part"


@pytest.mark.parametrize(
    "step", ["res.partner/load", "sale.order/load", "sale.order/action_confirm", "account.payment/load"]
)
def test_answers_are_lost_after_odoo_committed(hubs: TwoHubs, step: str) -> None:
    """Whoever asks again, a success: one order, one customer, one payment, by the shop's own numbers alone.

    case: F01, F02, F04, F05
    """
    hubs.faults.played.clear()
    hubs.faults.add("lost_answer", path=step, times=3)
    numbers = place(hubs, 6)
    verdict = hubs.settled(numbers)
    hubs.faults.clear()
    assert hubs.faults.played["lost_answer"] > 0
    assert passed(verdict), verdict["wrong"]
    assert_each_once(hubs, numbers)


def assert_each_once(hubs: TwoHubs, numbers: list[int]) -> None:
    """As Odoo has it: one external id an order, of the shop's number and nothing else, and one customer an e-mail."""
    rows = hubs.odoo.store.rows
    names = Counter(r["name"] for r in rows["ir.model.data"].values() if r["model"] == "sale.order")
    assert [names[f"web_order_{number}"] for number in numbers] == [1] * len(numbers)
    people = Counter(r["email"] for r in rows["res.partner"].values() if not r["parent_id"])
    emails = {hubs.shop.shop.order(number)["billing"]["email"] for number in numbers}
    assert [people[email] for email in emails] == [1] * len(emails)


@pytest.mark.parametrize("carried_out", [False, True], ids=["before", "after"])
def test_killed_while_odoo_takes_the_order(hubs: TwoHubs, carried_out: bool) -> None:
    """kill -9 before or after Odoo committed: the other one takes it up by itself; what the dead one asked for may
    come to Odoo when all is done, and still makes nothing twice. case: F01, F04, F11"""
    hubs.front.hold("sale.order/load", carried_out)
    numbers = place(hubs, 1)  # one, so that whoever has it is who waits for Odoo
    assert hubs.front.reached.wait(60)
    hubs.kill(hubs.busy())
    hubs.end_leases()
    verdict = hubs.settled(numbers)
    hubs.front.go_on.set()
    assert passed(verdict), verdict["wrong"]
    assert_each_once(hubs, numbers)


def test_stalled_past_the_lease_and_gone_on(hubs: TwoHubs) -> None:
    """One process stands still in the middle of a call, the other takes over and ends it, the first wakes up and has
    its answer: it is not heard. case: F03, F11"""
    hubs.front.hold("sale.order/load", carried_out=True)
    numbers = place(hubs, 1)
    assert hubs.front.reached.wait(60)
    name = hubs.busy()
    with hubs.stalled(name):
        hubs.end_leases()
        hubs.until(lambda: hubs.orders_in_odoo(numbers) and hubs.do(idle(hubs.store)))
        hubs.front.go_on.set()
    hubs.until(lambda: "lease lost" in hubs.log(name) or "calls cut off" in hubs.log(name))
    verdict = hubs.settled(numbers)
    assert passed(verdict), verdict["wrong"]
    assert_each_once(hubs, numbers)
    assert len(hubs.rows(schema.delivery_log, subject=f"web:order:{numbers[0]}", operation="accept_order")) == 1


def test_a_shop_in_another_zone_over_a_clock_change(hubs: TwoHubs) -> None:
    """Shop in Los Angeles while the hour comes twice, hubs in Kolkata and Newfoundland: all arrive, with the moment
    they were placed at. case: F10"""
    change = datetime(2026, 11, 1, 9, tzinfo=UTC).timestamp()
    numbers: dict[int, str] = {}
    for minutes in (-70, -40, -10, 10, 40, 70):
        at = change + minutes * 60
        hubs.us.shop.set_clock(frozen_at=at)
        number = hubs.us.shop.place(make_order(minutes + 100, status="on-hold", only=simple))["id"]
        numbers[number] = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        hubs.until(lambda number=number: hubs.orders_in_odoo([number], "us"))
    found = hubs.orders_in_odoo(numbers, "us")
    assert sorted((r["origin"], r["date_order"]) for r in found) == sorted(
        (f"us:order:{number}", at) for number, at in numbers.items()
    )


def test_odoo_lets_one_of_two_writers_lose(hubs: TwoHubs) -> None:
    """“could not serialize access”: tried again at once by whoever; no outage, and nobody is asked. case: F12"""
    hubs.odoo.serialization_failures = 6
    numbers = place(hubs, 12)
    verdict = hubs.settled(numbers)
    assert hubs.odoo.serialization_failures == 0
    assert passed(verdict), verdict["wrong"]
    subjects = {f"web:order:{number}" for number in numbers}
    outcomes = [r for r in hubs.rows(schema.delivery_log, operation="accept_order") if r["subject"] in subjects]
    assert {r["outcome"] for r in outcomes} == {"retry", "done"}
    assert hubs.do(systems.closed(hubs.store)) == {}
    assert [r for r in hubs.rows(schema.exception) if r["subject"] in subjects] == []


def test_one_bad_order_among_good_ones(hubs: TwoHubs) -> None:
    """It waits for a person, once; the others are there. case: F17"""
    bad = make_order(1, only=simple)
    bad["line_items"][0]["sku"] = "NO-SUCH"
    good = place(hubs, 8)
    number = hubs.shop.shop.place({**bad, "id": 0})["id"]
    good += place(hubs, 8)
    verdict = hubs.settled(good)
    assert passed(verdict), verdict["wrong"]
    hubs.until(lambda: hubs.rows(schema.exception, subject=f"web:order:{number}"))
    hubs.at_rest()
    # that this Odoo has less of some articles than is ordered is another exception, of theirs
    waiting = [r for r in hubs.rows(schema.exception, status="open") if r["reason"] != OVERSOLD]
    assert [(r["subject"], r["reason"]) for r in waiting] == [(f"web:order:{number}", "unknown_sku")]
    assert hubs.verdict([number])["exceptions"] == 1


def test_two_processes_write_one_counter_and_one_object(hubs: TwoHubs) -> None:
    """The same webhook forty times at both doors: forty are counted. Then a dozen changes of one order, heard at both
    doors and by the poll: Odoo has the last. case: F20"""
    (number,) = place(hubs, 1, status="pending", at=hubs.shop.shop.now() - 3600)  # no poll looks back so far
    hubs.until(lambda: hubs.rows(schema.object_, system="web", object_id=str(number)))
    hubs.at_rest()
    before = duplicates(hubs)
    assert hubs.doors.again(number, 20) == {202: 40}
    hubs.at_rest()
    assert duplicates(hubs) - before == 40

    hubs.shop.shop.change(number, status="on-hold")
    line = hubs.shop.shop.order(number)["line_items"][0]
    for pieces in range(1, 13):
        hubs.shop.shop.amend(number, {line["id"]: line["quantity"] + pieces})
    total = float(hubs.shop.shop.order(number)["total"])
    hubs.until(lambda: [r["amount_total"] for r in hubs.orders_in_odoo([number])] == [total])
    verdict = hubs.settled([number])
    assert passed(verdict), verdict["wrong"]


def duplicates(hubs: TwoHubs) -> int:
    """Webhooks that told nothing new, as the hubs counted them."""
    return sum(r["n"] for r in hubs.rows(schema.counter, system="web", name="duplicate_webhook"))


def test_a_declared_rate_holds_for_both_together(hubs: TwoHubs) -> None:
    """A dozen cancellations at 2/s: the n-th call of whoever comes no sooner than n halves of a second. case: F40"""
    numbers = place(hubs, 12)
    hubs.settled(numbers)
    hubs.shop.shop.hold_webhooks()
    began = time.time()
    for number in numbers:
        hubs.shop.shop.change(number, status="cancelled")
    hubs.shop.shop.hold_webhooks(False)
    hubs.until(lambda: all(r["state"] == "cancel" for r in hubs.orders_in_odoo(numbers)))
    hubs.at_rest()
    calls = [at for at, path in list(hubs.front.asked) if at >= began and path == "sale.order/action_cancel"]
    assert len(calls) == 12
    assert all(at - began >= n / CANCELS_PER_SECOND for n, at in enumerate(calls))
    assert len(done_by(hubs, "cancel_order", numbers)) == 2, "both took part"


def test_stock_goes_down_and_up_again(hubs: TwoHubs) -> None:
    """A thousand, two less, a thousand again: the shop shows each, also the one it showed before. case: F06"""
    sku = "SIM-0001"
    product = hubs.place.api.read("product.product", [["default_code", "=", sku]], ["id"])[0]["id"]

    def shown() -> int:
        return int(hubs.shop.shop.catalogue.find(sku)["stock_quantity"] or 0)

    warehouse.count_stock(hubs.place.api, {product: 1000})
    promised = 1000 - hubs.until(lambda: shown() if shown() > 500 else 0)
    for counted in (998, 1000):
        warehouse.count_stock(hubs.place.api, {product: counted})
        hubs.until(lambda counted=counted: shown() == counted - promised)


def test_killed_between_poll_and_commit_over_orders_of_one_second(hubs: TwoHubs) -> None:
    """No webhook comes. Twenty orders, a minute apart, then 250 of one second, over pages that change while they are
    read; who polls is killed when a page is written and not committed: the other one skips nothing.

    case: F07, F08, F09
    """
    shop = hubs.shop.shop
    hubs.kill("one")
    hubs.at_rest()
    shop.hold_webhooks()
    second = int(shop.now()) + 1500
    with hubs.stalled("two"):  # so that the next poll is the other one's
        numbers = [n for minute in range(20, 0, -1) for n in place(hubs, 1, "on-hold", at=second - 60 * minute)]
        shop.set_clock(frozen_at=second)
        numbers += place(hubs, 250, "on-hold")
        reached = hubs.folder / "reached"
        hubs.start("one", str(HERE / "hanging_hub.py"), str(hubs.files["one"]), "web", str(reached))
        hubs.end_leases()
        hubs.until(reached.exists)
        hubs.kill("one")
    hubs.end_leases()
    for number in numbers[::25]:
        shop.touch(number)
    hubs.up("one")
    hubs.until(lambda: len(hubs.orders_in_odoo(numbers)) >= 270)
    shop.set_clock(offset=3600)
    shop.hold_webhooks(False)
    verdict = hubs.settled(numbers)
    assert passed(verdict), verdict["wrong"]
    assert verdict["orders_in_odoo"] == 270
