"""kill -9 at the worst moment, on a real process: what it had in its hands is taken up again, nothing is skipped."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import ON_SQLITE
from tests.fakes import SHOP, House, assert_one_status, hasten, payload, rows_of, subject, until
from tests.integration.hub.killed import ORDERS, FolderErp, feeding_shop

import counterfoil
from counterfoil.hub import poller, schema
from counterfoil.hub.store import AlreadyServing, Store, serving_alone

HERE = Path(__file__).parent


@contextlib.contextmanager
def a_process_at(moment: str, store_url: str, folder: Path) -> Iterator[None]:
    """A process that has come to the moment, and is killed by SIGKILL at the end of the block."""
    paths = [str(Path(counterfoil.__file__).parents[1]), str(HERE.parents[2])]
    process = subprocess.Popen(
        [sys.executable, str(HERE / "killed.py"), moment, store_url, str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    try:
        for _ in range(1000):
            if (folder / "reached").exists() or process.poll() is not None:
                break
            time.sleep(0.01)
        assert (folder / "reached").exists(), "the process ended, or never came to the moment"
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the ERP keeps its orders."""
    (tmp_path / "erp").mkdir()
    return tmp_path / "erp"


@pytest.mark.parametrize("moment", ["worker-before", "worker-after"])
async def test_a_worker_killed_in_the_middle_of_a_delivery(
    store: Store, store_url: str, folder: Path, moment: str
) -> None:
    """Before or after the ERP had committed: another worker takes it up when the lease is over, each order once.

    case: F11, case: F01
    """
    erp = FolderErp(folder)
    house = House(store, erp=erp)
    await house.receive(*[payload(n) for n in range(ORDERS)])
    with a_process_at(moment, store_url, folder):
        pass
    assert {r["worker"] is None for r in await rows_of(store, schema.lane)} == {False}

    async with house.working(house.worker(lease=0.8)):

        async def all_there() -> bool:
            return await rows_of(store, schema.delivery) == []

        await until(all_there)
    assert set(os.listdir(folder)) - {"asked", "reached"} == {subject(n).replace(":", "_") for n in range(ORDERS)}
    asked = (folder / "asked").read_text().splitlines()
    assert asked.count(subject(2)) == (2 if moment == "worker-after" else 1)
    assert (await house.outcomes()).count("done") == ORDERS
    assert (await house.events()).count("order.accepted") == ORDERS
    assert await house.exceptions() == []
    await assert_one_status(store)


async def test_a_poll_killed_between_reading_and_commit_skips_nothing(
    store: Store, store_url: str, folder: Path
) -> None:
    """The first page was committed with its cursor, the second was not: the next poll begins there. case: F08"""
    shop = feeding_shop()
    with a_process_at("poll-before-commit", store_url, folder):
        pass

    async def only_the_first_page() -> bool:
        return len(await rows_of(store, schema.receipt)) == 2

    await until(only_the_first_page)
    (cursor,) = await rows_of(store, schema.cursor)
    assert cursor["value"] == {"at": 2}

    await hasten(store)  # the turn of the dead process is over
    assert await poller.poll_once(store, SHOP, shop.feeds[0]) == 3
    house = House(store, shop=shop)
    await house.work()
    assert sorted(house.erp.made) == [subject(n) for n in range(ORDERS)]
    assert len(await rows_of(store, schema.receipt)) == ORDERS


@ON_SQLITE
async def test_on_sqlite_a_second_process_is_refused_until_the_first_is_gone(
    store: Store, store_url: str, folder: Path
) -> None:
    """In plain words, with what to do; and a process that was killed leaves no lock behind."""
    await House(store).receive(*[payload(n) for n in range(ORDERS)])
    with a_process_at("worker-before", store_url, folder):
        with pytest.raises(AlreadyServing) as refused, serving_alone(store):
            raise AssertionError("two processes serve one file")
        assert str(refused.value) == (
            f"another process serves {store.url.database}: on SQLite only one can. "
            "Stop it, or set `store: postgresql://…` in the blueprint."
        )
    with serving_alone(store):
        pass
