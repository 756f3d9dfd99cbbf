"""Processes that die or stand still: whatever was acknowledged is carried out, once, in its order."""

from __future__ import annotations

import pytest
from tests.faults.conftest import Ground, until

from counterfoil_lab.site import LEASE, wait_for

ORDER = "sale.order/load"
"""The call by which an order comes to stand in Odoo."""


def kill_workers(ground: Ground) -> None:
    """SIGKILL for every process of the hub that carries out deliveries."""
    for hub in ground.site.hubs[-2:]:
        assert hub.kill()


def test_a_worker_killed_between_the_call_and_its_acknowledgement(ground: Ground) -> None:
    """Odoo has the order, nobody was told: whoever takes it up finds it there. case: F01, case: F11"""
    ground.fault("late_answer", ORDER, times=1, seconds=30.0)
    [number] = ground.place()
    until(lambda: ground.in_odoo(number))
    kill_workers(ground)
    assert [o["state"] for o in ground.in_odoo(number)] == ["draft"]  # what follows the call had not been done
    ground.nothing_wrong()
    assert [o["state"] for o in ground.in_odoo(number)] == ["sale"]


def test_every_process_of_the_hub_killed_while_the_door_acknowledges(ground: Ground) -> None:
    """What was answered with 2xx is carried out, though the shop cannot be asked again."""
    with ground.shop_cannot_be_asked():
        numbers = ground.place(30)
        until(lambda: any(202 in ground.answers(n) for n in numbers))
        assert [hub.kill() for hub in ground.site.hubs] == [True] * len(ground.site.hubs)
        acknowledged = [n for n in numbers if 202 in ground.answers(n)]
        until(lambda: all(ground.in_odoo(n) for n in acknowledged))
    ground.nothing_wrong()


def test_odoo_killed_again_and_again_while_orders_come_and_are_cancelled(ground: Ground) -> None:
    """A cancel never before its order, an order never after its cancel."""
    numbers = []
    for _ in range(4):
        batch = ground.place(6)
        until(lambda first=batch[0]: ground.in_odoo(first))
        assert ground.site.erp.kill(0.5)
        for number in batch[::2]:
            ground.cancel(number)
        numbers += batch
    ground.nothing_wrong()
    states = {n: [o["state"] for o in ground.in_odoo(n)] for n in numbers}
    assert {tuple(states[n]) for n in numbers[1::2]} == {("sale",)}
    assert {tuple(states[n]) for n in numbers[::2]} <= {("cancel",), ()}  # or was cancelled before it was ever known


@pytest.mark.parametrize("ground", ["postgresql"], indirect=True)
@pytest.mark.postgres
def test_postgresql_killed_while_the_door_acknowledges(ground: Ground) -> None:
    """What was answered with 2xx is in it when it is back: it runs with fsync and synchronous_commit."""
    assert ground.site.postgres is not None
    with ground.shop_cannot_be_asked():
        numbers = ground.place(40)
        until(lambda: any(202 in ground.answers(n) for n in numbers))
        assert ground.site.postgres.kill(0.5)
        acknowledged = [n for n in numbers if 202 in ground.answers(n)]
        until(lambda: all(ground.in_odoo(n) for n in acknowledged))
    ground.nothing_wrong()


@pytest.mark.parametrize("ground", ["postgresql"], indirect=True)
@pytest.mark.postgres
def test_a_worker_that_stands_still_past_its_lease_and_goes_on(ground: Ground) -> None:
    """Another has done its work by then; what it still says itself changes nothing."""
    *_, one, other = ground.site.hubs
    other.stall()  # so that it is the first who takes the order
    ground.fault("latency", ORDER, times=1, seconds=2.0)
    [number] = ground.place()
    until(ground.fault_was_met)
    one.stall()
    other.go_on()
    until(lambda: [o["state"] for o in ground.in_odoo(number)] == ["sale"])
    one.go_on()
    ground.nothing_wrong()


@pytest.mark.parametrize("ground", ["sqlite"], indirect=True)
def test_the_hubs_clock_jumps_beyond_the_lease_and_back(ground: Ground) -> None:
    """On SQLite that is the store's clock too: every lease is over at once."""
    numbers = ground.place(10)
    until(lambda: any(ground.in_odoo(n) for n in numbers))
    ground.site.jump(LEASE * 1.5)
    numbers += ground.place(10)
    until(lambda: all(ground.in_odoo(n) for n in numbers))
    ground.site.jump(0)
    ground.place(10)
    ground.nothing_wrong()


def test_a_door_that_is_killed_comes_back_and_the_orders_of_meanwhile_too(ground: Ground) -> None:
    """case: F07"""
    assert ground.site.hubs[0].kill(down=1.0)
    numbers = ground.place(5)
    wait_for(f"{ground.site.door}/health")
    ground.nothing_wrong()
    assert all(len(ground.in_odoo(n)) == 1 for n in numbers)
