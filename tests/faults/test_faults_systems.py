"""Systems that answer badly or not at all, two hubs on one database, and a disk without room."""

from __future__ import annotations

import pytest
from tests.faults.conftest import Ground, until

ORDER = "sale.order/load"


def test_answers_lost_after_the_commit_again_and_again(ground: Ground) -> None:
    """case: F01, case: F02"""
    ground.fault("lost_answer", ORDER, times=3)
    numbers = ground.place(10)
    until(lambda: all(ground.in_odoo(n) for n in numbers))
    ground.nothing_wrong()


def test_a_payment_whose_answer_is_lost_is_recorded_once(ground: Ground) -> None:
    """case: F05"""
    ground.fault("lost_answer", "account.payment", times=4)
    ground.place(5)
    ground.nothing_wrong()


def test_connections_cut_before_the_work_and_a_gateway_that_says_502(ground: Ground) -> None:
    """No order is given up for what is no fault of its own."""
    ground.fault("reset", times=-1, share=0.5)
    numbers = ground.place(5)
    until(lambda: all(ground.answers(n) for n in numbers))
    ground.fault("status", times=10, status=502, body="<h1>Bad Gateway</h1>", content_type="text/html")
    ground.nothing_wrong()


def test_a_storm_of_429_is_waited_out(ground: Ground) -> None:
    """Odoo says for how long; the orders wait, none of them fails. case: F40"""
    ground.fault("throttle", times=-1, seconds=2.0)
    numbers = ground.place(20)
    until(lambda: all(202 in ground.answers(n) for n in numbers))
    assert not any(ground.in_odoo(n) for n in numbers)
    ground.nothing_wrong()
    assert all(len(ground.in_odoo(n)) == 1 for n in numbers)


def test_placed_and_cancelled_while_odoo_is_away(ground: Ground) -> None:
    """It hears of both at once: the cancel is carried out after its order, or both are dropped."""
    ground.fault("down", times=-1)
    [number, other] = ground.place(2)
    until(lambda: 202 in ground.answers(number))
    ground.cancel(number)
    ground.nothing_wrong()
    assert [o["state"] for o in ground.in_odoo(number)] in ([], ["cancel"])
    assert [o["state"] for o in ground.in_odoo(other)] == ["sale"]


@pytest.mark.parametrize("ground", ["postgresql"], indirect=True)
@pytest.mark.postgres
def test_two_hubs_on_one_database_make_each_order_once(ground: Ground) -> None:
    """Every webhook comes twice, and the poll finds the same once more. case: F03"""
    ground.site.shop.shop.set_quirks(duplicate=1.0)
    try:
        numbers = ground.place(60)
        until(lambda: all(ground.in_odoo(n) for n in numbers))
    finally:
        ground.site.shop.shop.set_quirks()
    ground.nothing_wrong()
    assert [len(ground.in_odoo(n)) for n in numbers] == [1] * 60


@pytest.mark.parametrize("ground", ["sqlite"], indirect=True)
def test_a_full_disk_is_said_at_the_door_and_survived(ground: Ground) -> None:
    """503, so that the shop knows; the process stays, and goes on by itself when there is room."""
    if not ground.site.disk.can_be_full:
        pytest.skip("no file system can be mounted here")
    starts = [hub.starts for hub in ground.site.hubs]
    before = ground.place(5)
    until(lambda: all(202 in ground.answers(n) for n in before))
    ground.site.disk.fill()
    refused = []
    try:
        for _ in range(200):  # what the database's log has room for already is still taken
            [number] = ground.place()
            until(lambda number=number: ground.answers(number))
            if 503 in ground.answers(number):
                refused = [number]
                break
        assert refused, "the door goes on acknowledging"
    finally:
        ground.site.disk.free()
    ground.nothing_wrong()
    assert [hub.starts for hub in ground.site.hubs] == starts
    assert all(len(ground.in_odoo(n)) == 1 for n in (*before, *refused))
