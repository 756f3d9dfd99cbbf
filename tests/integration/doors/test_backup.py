"""Backup and restore: made while orders go on, checked; after a restore nothing is lost and nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.command import also
from tests.conftest import ON_POSTGRESQL, ON_SQLITE
from tests.fakes import ERP, SHOP, Fake, House, assert_one_status, at, hasten, payload, raw, rows_of, subject
from tests.integration.doors.conftest import Scene

from counterfoil.doors import backup
from counterfoil.hub import exceptions, poller, schema
from counterfoil.hub.contract import Feed, Page, Raw, rejected
from counterfoil.hub.rewinding import rewind
from counterfoil.hub.store import AlreadyServing, Store, open_store, serving_alone

OVERLAPS = {SHOP: timedelta(minutes=2), ERP: timedelta(minutes=2)}


class Shop(Fake):
    """A shop whose list is asked for by the time of the change, as real ones are."""

    def __init__(self) -> None:
        super().__init__(SHOP)
        self.orders: dict[str, bytes] = {}

    def save(self, body: bytes) -> bytes:
        """An order as it stands from now on; its webhook is up to the test."""
        self.orders[json.loads(body)["id"]] = body
        return body

    @property
    def feeds(self) -> Sequence[Feed]:
        return [Feed("orders", "order", self.every, self._changed_since)]

    async def _changed_since(self, cursor: Mapping[str, Any]) -> AsyncIterator[Page]:
        dated = sorted((json.loads(body)["modified"], body) for body in self.orders.values())
        fresh: list[tuple[str, Raw]] = [(when, raw(body)) for when, body in dated if when > cursor.get("since", "")]
        yield Page([r for _, r in fresh], {"since": fresh[-1][0]} if fresh else cursor)


class Place:
    """A shop and an ERP that live on, and the hub's store, which comes and goes."""

    def __init__(self, url: str) -> None:
        self.url, self.shop, self.erp = url, Shop(), Fake(ERP)

    async def hub(self, act: Callable[[House], Awaitable[Any]]) -> Any:
        """Run a hub for as long as it takes: `act`, then poll, and work until nothing is due."""
        store = await open_store(self.url)
        try:
            with serving_alone(store):
                house = House(store, shop=self.shop, erp=self.erp)
                done = await act(house)
                await hasten(store)
                await poller.poll_once(store, SHOP, self.shop.feeds[0])
                await house.work()
                await assert_one_status(store)
                return done
        finally:
            await store.close()

    async def poll(self) -> None:
        """Only poll and work."""
        await self.hub(nothing)


async def nothing(_house: House) -> None:
    return None


@pytest.fixture
async def place(store: Store, store_url: str) -> Place:
    return Place(store_url)


Copy = Callable[[], Awaitable[None]]


@pytest.fixture
async def copies(store_url: str, tmp_path: Path) -> tuple[Copy, Copy]:
    """Make a backup of the store, and put it back, by the means of each database."""
    file = tmp_path / "copy"

    async def back_up() -> None:
        if store_url.startswith("sqlite"):
            await asyncio.to_thread(backup.backup, store_url, file)
        else:
            run("pg_dump", "--format=custom", f"--file={file}", f"--dbname={store_url}")

    async def put_back() -> None:
        if store_url.startswith("sqlite"):
            await asyncio.to_thread(backup.restore, store_url, file, True)
        else:
            run(
                "pg_restore",
                "--clean",
                "--if-exists",
                "--no-owner",
                "--exit-on-error",
                f"--dbname={store_url}",
                str(file),
            )
        store = await open_store(store_url)
        await rewind(store, OVERLAPS, who="pia")
        await store.close()

    return back_up, put_back


def run(program: str, *arguments: str) -> None:
    """A program of PostgreSQL's, as docs/how-to/backup-and-restore.md has it."""
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} on this machine")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- what comes of it -----------------------------------------------------------------------------------------------


async def test_what_happened_since_the_backup_is_done_again_without_doing_anything_twice(
    place: Place, copies: tuple[Copy, Copy]
) -> None:
    back_up, put_back = copies
    place.shop.save(payload(1, modified=at(0)))
    place.shop.save(payload(2, modified=at(0)))

    async def before(house: House) -> None:
        await house.work()

    await place.hub(before)
    await back_up()

    async def since(house: House) -> None:
        await house.hear(place.shop.save(payload(3, modified=at(300))))  # by webhook
        place.shop.save(payload(4, modified=at(310)))  # by the poll
        await house.hear(place.shop.save(payload(1, status="cancelled", modified=at(320))))

    await place.hub(since)
    assert place.erp.history[2:] == [
        ("accept_order", subject(3)),
        ("cancel_order", subject(1)),
        ("accept_order", subject(4)),
    ]
    done = len(place.erp.history)

    await put_back()
    await place.poll()
    assert sorted(place.erp.made) == [subject(n) for n in (1, 2, 3, 4)]
    # asked once more for what the restored hub cannot know, where it finds what stands; not for what it knows
    assert sorted(place.erp.history[done:]) == sorted(place.erp.history[2:done])


async def test_an_order_that_the_poll_had_passed_when_the_backup_was_made_is_not_lost(
    place: Place, copies: tuple[Copy, Copy]
) -> None:
    """The shop saved it late, dated before what the poll had seen; its webhook was lost with the newer state."""
    back_up, put_back = copies
    place.shop.save(payload(1, modified=at(100)))
    await place.poll()
    await back_up()
    late = place.shop.save(payload(2, modified=at(60)))
    await place.hub(lambda house: house.hear(late))
    assert place.erp.made == [subject(1), subject(2)]

    await put_back()
    place.erp.made.clear()
    await place.poll()
    assert place.erp.made == [subject(2)]


async def test_what_waits_for_a_person_waits_again(place: Place, copies: tuple[Copy, Copy]) -> None:
    back_up, put_back = copies
    place.erp.always[subject(1)] = rejected("unknown_sku", "No such article.", "Make it.")
    place.shop.save(payload(1))
    await place.poll()
    await back_up()

    async def skip(house: House) -> None:
        (row,) = await house.exceptions()
        await exceptions.act(house.store, row["id"], "skipped", "pia")

    await place.hub(skip)
    await put_back()
    assert len(await place.hub(lambda house: house.exceptions())) == 1


async def test_after_says_from_when_on_everything_is_read_again(store: Store) -> None:
    """A store restored by other means: its cursors may be anywhere."""
    async with store.write() as connection:
        rows = [
            {"system": SHOP, "feed": "orders", "value": {"since": at(600), "more": 1}, "token": "x"},
            {"system": SHOP, "feed": "early", "value": {"since": at(0)}, "token": None},
            {"system": SHOP, "feed": "no-time", "value": {"at": 5}, "token": None},
            {"system": "hub", "feed": "replay", "value": {"since": at(600)}, "token": None},
        ]
        for row in rows:
            await connection.execute(sa.insert(schema.cursor).values(next_at=9e9, **row))
    moment = datetime(2026, 11, 2, 10, 5, tzinfo=UTC)
    told = await rewind(store, OVERLAPS, moment, dry_run=True)
    assert told == {(SHOP, "orders"): "2026-11-02T10:03:00Z", (SHOP, "early"): "2026-11-02T09:58:00Z"}
    assert {r["next_at"] for r in await rows_of(store, schema.cursor)} == {9e9}, "a dry run changes nothing"

    assert await rewind(store, OVERLAPS, moment) == told
    kept = {r["feed"]: r for r in await rows_of(store, schema.cursor)}
    assert kept["orders"]["value"] == {"since": "2026-11-02T10:03:00Z", "more": 1}
    assert (kept["orders"]["next_at"], kept["orders"]["token"]) == (0.0, None)
    assert kept["no-time"]["value"] == {"at": 5}
    assert (kept["replay"]["value"], kept["replay"]["next_at"]) == ({"since": at(600)}, 9e9)


def spoil(file: Path) -> None:
    """What a broken disk leaves of a store and its log."""
    file.write_bytes(b"not a database at all" * 1000)
    file.with_name(file.name + "-wal").write_bytes(b"old log")


# --- SQLite: the file -----------------------------------------------------------------------------------------------


@ON_SQLITE
async def test_a_backup_is_whole_though_orders_go_on_meanwhile(store: Store, store_url: str, tmp_path: Path) -> None:
    house = House(store)
    copies: list[Path] = []
    with serving_alone(store):
        async with house.working():
            for n in range(30):
                await house.receive(payload(n))
                if n % 10 == 5:
                    copies.append(tmp_path / f"copy-{n}.db")
                    await asyncio.to_thread(backup.backup, store_url, copies[-1])
    for file in copies:
        assert file.stat().st_mode & 0o077 == 0, "it holds personal data"
        copy = await open_store(f"sqlite:///{file}")
        await assert_one_status(copy)
        again = House(copy)
        await hasten(copy)
        async with copy.write() as connection:
            await connection.execute(sa.update(schema.lane).values(worker=None, token=None, lease_until=None))
        await again.work()
        assert len(await rows_of(copy, schema.event, type="order.accepted")) == len(await rows_of(copy, schema.receipt))
        await copy.close()
    assert [name for name in os.listdir(tmp_path) if "partial" in name] == []


@ON_SQLITE
async def test_a_restore_is_refused_while_the_store_is_served(store: Store, store_url: str, tmp_path: Path) -> None:
    backup.backup(store_url, tmp_path / "copy.db")
    with serving_alone(store), pytest.raises(AlreadyServing, match="another process serves"):
        backup.restore(store_url, tmp_path / "copy.db", force=True)


@ON_SQLITE
async def test_a_restore_is_refused_while_another_command_uses_the_file(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    backup.backup(store_url, tmp_path / "copy.db")
    async with store.read() as connection:
        await connection.execute(sa.select(schema.lane))
        with pytest.raises(backup.Unusable, match="in use by another command"):
            await asyncio.to_thread(backup.restore, store_url, tmp_path / "copy.db", True)
    await House(store).hear(payload(1))
    assert await House(store).events() == ["order.placed", "order.accepted"], "it was left as it was"


@ON_SQLITE
async def test_nothing_is_overwritten_unless_it_is_asked_for_and_the_old_store_is_kept(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "copy.db"
    await House(store).hear(payload(1))
    backup.backup(store_url, file)
    with pytest.raises(backup.Unusable, match="--force"):
        backup.backup(store_url, file)
    await House(store).hear(payload(2))
    await store.close()
    with pytest.raises(backup.Unusable, match="--force"):
        backup.restore(store_url, file)
    kept = backup.restore(store_url, file, force=True)
    assert kept is not None
    counts = []
    for each in (store.url.database, str(kept)):
        with sqlite3.connect(str(each)) as connection:
            counts.append(connection.execute("select count(*) from receipt").fetchone()[0])
    assert counts == [1, 2]


@ON_SQLITE
async def test_a_damaged_backup_is_not_restored(store: Store, store_url: str, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    await House(store).hear(*[payload(n) for n in range(30)])
    backup.backup(store_url, file)
    content = bytearray(file.read_bytes())
    for page in range(3, len(content) // 4096):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    file.write_bytes(content)
    with pytest.raises(backup.Unusable, match=r"damaged|no backup"):
        backup.restore(store_url, file, force=True)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("create table receipt (id)")
    for wrong in (other, tmp_path / "none.db"):
        with pytest.raises(backup.Unusable, match="no backup"):
            backup.restore(store_url, wrong, force=True)
    assert len(await rows_of(store, schema.receipt)) == 30


@ON_SQLITE
async def test_a_damaged_store_is_replaced_with_its_log(store: Store, store_url: str, tmp_path: Path) -> None:
    """What is left of the old one must not be taken for a part of the new one."""
    file, damaged = tmp_path / "copy.db", Path(str(store.url.database))
    await House(store).hear(payload(1))
    backup.backup(store_url, file)
    await store.close()
    spoil(damaged)
    kept = backup.restore(store_url, file, force=True)
    assert kept is not None
    files = set(os.listdir(damaged.parent))
    assert f"{damaged.name}-wal" not in files
    assert kept.name in files
    again = await open_store(store_url)
    assert await House(again).events() == ["order.placed", "order.accepted"]
    await again.close()


@ON_POSTGRESQL
async def test_on_postgresql_it_says_what_to_use(store_url: str, tmp_path: Path) -> None:
    for act in (backup.backup, backup.restore):
        with pytest.raises(backup.Unusable, match="pg_dump"):
            act(store_url, tmp_path / "copy")


# --- the commands -----------------------------------------------------------------------------------------------------


async def test_backup_purge_and_restore_from_the_command_line(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    async with scene.hub():
        done = json.loads((await also("backup", file, "-b", scene.file, "--json")).stdout)
        assert set(done["rows"]) == {"receipt", "object", "event", "delivery", "exception"}
        would = await also("purge", "--dry-run", "--json", "-b", scene.file)
        assert json.loads(would.stdout) == {}
        refused = await also("restore", file, "--force", "-b", scene.file, code=1)
        assert "another process serves" in refused.stderr
    asked = await also("restore", "-b", scene.file, code=2)
    assert "--after" in asked.stderr
    looked = json.loads((await also("restore", file, "--dry-run", "--json", "-b", scene.file)).stdout)
    assert looked["rows"] == done["rows"]
    back = json.loads((await also("restore", file, "--force", "--json", "-b", scene.file)).stdout)
    assert Path(back["replaced"]).name in os.listdir(scene.file.parent)
    again = await also("restore", "--after", "2026-01-01T00:00:00Z", "--json", "-b", scene.file)
    read = json.loads(again.stdout)["reads_from"]
    assert all(since < "2026-01-01" for since in read.values()), read
