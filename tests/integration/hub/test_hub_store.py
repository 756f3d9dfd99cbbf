"""The store: opened, refused in plain words, made up to date, and woken."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from tests.conftest import BOTH, ON_POSTGRESQL
from tests.fakes import House, payload, rows_of, subject, until

import counterfoil
from counterfoil.hub import schema
from counterfoil.hub.store import AlreadyServing, Store, StoreError, open_store, serving_alone, upgrade


@contextlib.asynccontextmanager
async def database(postgres_url: str, name: str) -> AsyncIterator[str]:
    """A new, empty database beside the test's own; its URL."""
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute(f'drop database if exists "{name}" with (force)')
        await admin.execute(f'create database "{name}"')
        yield sa.make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
        await admin.execute(f'drop database "{name}" with (force)')
    finally:
        await admin.close()


@pytest.fixture(params=BOTH)
async def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Where a store can be that has never been opened."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new/folder/counterfoil.db"
        return
    postgres_url = request.getfixturevalue("postgres_url")
    async with database(postgres_url, sa.make_url(postgres_url).database + "_fresh") as url:
        yield url


# --- migrations -----------------------------------------------------------------------------------------------------


async def test_a_fresh_store_has_the_tables_the_code_knows(fresh_url: str) -> None:
    """Every table, column, type and index: the migrations and the schema say the same."""
    store = await open_store(fresh_url)

    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, schema.metadata))

    async with store.read() as connection:
        found = await connection.run_sync(differences)
    await store.close()
    assert found == []


async def test_on_sqlite_the_same_numbers_are_never_given_out_again(tmp_path: Path) -> None:
    """AUTOINCREMENT, which a comparison of schemas does not see."""
    store = await open_store(f"sqlite:///{tmp_path}/counterfoil.db")
    async with store.read() as connection:
        made = await connection.execute(sa.text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'"))
        autoincrement = set(made.scalars())
    await store.close()
    wanted = {t.name for t in schema.metadata.sorted_tables if t.dialect_options["sqlite"]["autoincrement"]}
    assert wanted == {"receipt", "delivery"}
    assert autoincrement == wanted


async def test_opening_again_changes_nothing_and_keeps_all(fresh_url: str) -> None:
    store = await open_store(fresh_url)
    await House(store).hear(payload(1))
    await upgrade(store)
    await store.close()
    store = await open_store(fresh_url)
    assert await House(store).events() == ["order.placed", "order.accepted"]
    await store.close()


async def test_several_processes_may_start_at_once_on_a_fresh_store(fresh_url: str) -> None:
    """Each wants to make the tables; one does, the others find them."""
    if fresh_url.startswith("sqlite"):
        Path(fresh_url.removeprefix("sqlite:///")).parent.mkdir(parents=True)
    program = (
        "import asyncio, sys; from counterfoil.hub.store import open_store\n"
        "async def main():\n    await (await open_store(sys.argv[1])).close()\n"
        "asyncio.run(main())"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(counterfoil.__file__).parents[1])}
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, fresh_url, env=env, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    ended = [(await process.communicate())[1].decode() for process in processes]
    assert [p.returncode for p in processes] == [0, 0, 0], ended
    store = await open_store(fresh_url, migrate=False)
    await store.close()


async def test_several_may_start_at_once_within_one_process(fresh_url: str) -> None:
    if fresh_url.startswith("sqlite"):
        Path(fresh_url.removeprefix("sqlite:///")).parent.mkdir(parents=True)
    stores = await asyncio.gather(*(open_store(fresh_url) for _ in range(3)))
    for store in stores:
        await store.close()


async def test_a_store_of_a_newer_version_is_left_alone(fresh_url: str) -> None:
    """Somebody went back to an older version: it says so, instead of working on tables it does not know."""
    store = await open_store(fresh_url)
    async with store.write() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    await store.close()
    with pytest.raises(StoreError, match="newer version of Counterfoil"):
        await open_store(fresh_url)


async def test_a_store_without_tables_is_refused_where_none_may_be_made(fresh_url: str) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        await open_store(fresh_url, migrate=False)


# --- out of reach -----------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def postgres_that_says(code: str, message: str) -> AsyncIterator[int]:
    """Something that speaks enough of PostgreSQL to refuse a connection; its port."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if (await reader.readexactly(8))[4:] == (80877103).to_bytes(4, "big"):  # asks for TLS
                writer.write(b"N")
                await reader.readexactly(8)
            fields = b"".join(f"{k}{v}\0".encode() for k, v in [("S", "FATAL"), ("C", code), ("M", message)]) + b"\0"
            writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_postgresql_that_is_not_there_is_said_without_the_password(unused_tcp_port: int) -> None:
    with pytest.raises(StoreError) as refused:
        await open_store(f"postgresql://hub:geheim@127.0.0.1:{unused_tcp_port}/counterfoil")
    said = str(refused.value)
    assert said.startswith(f"store postgresql://hub:***@127.0.0.1:{unused_tcp_port}/counterfoil cannot be opened: ")
    assert "geheim" not in said


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("57P03", "the database system is starting up"),
        ("28P01", 'password authentication failed for user "hub"'),
        ("3D000", 'database "counterfoil" does not exist'),
        ("53300", "sorry, too many clients already"),
    ],
)
async def test_what_postgresql_says_when_it_refuses_is_passed_on(code: str, message: str) -> None:
    async with postgres_that_says(code, message) as port:
        with pytest.raises(StoreError) as refused:
            await open_store(f"postgresql://hub:geheim@127.0.0.1:{port}/counterfoil")
    assert str(refused.value).endswith(f"cannot be opened: {message}")
    assert "geheim" not in str(refused.value)


async def test_a_worker_outlives_a_restart_of_postgresql() -> None:
    """While the database says that it is starting up, the worker and its heart go on trying."""
    async with postgres_that_says("57P03", "the database system is starting up") as port:
        store = Store(f"postgresql://hub@127.0.0.1:{port}/counterfoil")
        worker = House(store).worker(lease=0.2)
        running, beating = asyncio.create_task(worker.run()), asyncio.create_task(worker._beat())
        await asyncio.sleep(0.4)
        assert not running.done()
        assert not beating.done()
        worker.stop()
        beating.cancel()
        await asyncio.wait([running, beating], timeout=5)
        await store.close()


# --- serving alone ----------------------------------------------------------------------------------------------------


async def test_sqlite_is_served_once(tmp_path: Path) -> None:
    """A second serving process is refused; a command that only wants to look is not."""
    url = f"sqlite:///{tmp_path}/counterfoil.db"
    serving, second = await open_store(url), await open_store(url)
    with serving_alone(serving):
        with pytest.raises(AlreadyServing, match="on SQLite only one can"), serving_alone(second):
            raise AssertionError("two serve one file")
        await House(serving).hear(payload(1))
        assert len(await rows_of(second, schema.event)) == 2
    with serving_alone(second):
        pass
    await serving.close()
    await second.close()


@pytest.mark.postgres
async def test_postgresql_is_served_by_as_many_as_like(postgres_url: str) -> None:
    store = Store(postgres_url)
    with serving_alone(store), serving_alone(store):
        pass
    await store.close()


# --- transactions, clock, durability ------------------------------------------------------------------------------


async def test_what_raises_is_rolled_back(store: Store) -> None:
    link = sa.insert(schema.link).values(canonical_id="a", system="b", object_id="c", since=0)
    with contextlib.suppress(KeyError):
        async with store.write() as connection:
            await connection.execute(link)
            raise KeyError("stop")
    assert await rows_of(store, schema.link) == []


async def test_the_clock_is_the_databases_and_runs_within_a_transaction(store: Store) -> None:
    """Leases are timed by it: a transaction's own start would be too early."""
    async with store.read() as connection:
        first = await connection.scalar(sa.select(store.now))
        await asyncio.sleep(0.05)
        second = await connection.scalar(sa.select(store.now))
    assert first == pytest.approx(time.time(), abs=2)
    assert second - first > 0.03


async def test_a_commit_is_worth_what_the_store_says(store: Store) -> None:
    told = await store.durability()
    if store.is_sqlite:
        assert told == {"sqlite_synchronous": "FULL", "sqlite_journal_mode": "wal"}
    else:
        assert set(told) == {"fsync", "synchronous_commit"}


# --- waking -----------------------------------------------------------------------------------------------------------


async def test_who_waits_is_woken_by_the_commit_and_not_before(store: Store) -> None:
    await store.listen()
    async with store.write() as connection:
        await store.notify(connection)
        await store.wait(0.1)
        assert not store._wake.is_set()
    async with asyncio.timeout(30):
        await store.wait(3600)


async def test_nobody_is_woken_for_what_was_rolled_back(store: Store) -> None:
    await store.listen()
    with contextlib.suppress(KeyError):
        async with store.write() as connection:
            await store.notify(connection)
            raise KeyError("stop")
    await asyncio.sleep(0.05)
    assert not store._wake.is_set()


@ON_POSTGRESQL
async def test_on_postgresql_one_process_wakes_another(
    store: Store, another_store: Callable[[], Awaitable[Store]]
) -> None:
    elsewhere = await another_store()
    await elsewhere.listen()
    waiting = asyncio.create_task(elsewhere.wait(3600))
    async with asyncio.timeout(30):
        await House(store).receive(payload(1))
        await waiting


@ON_POSTGRESQL
async def test_a_listener_that_was_cut_off_is_replaced(store: Store) -> None:
    """The worker's heart looks after it; meanwhile its own poll finds the work."""
    house = House(store)
    async with house.working(house.worker(lease=0.4)):

        async def listens() -> bool:
            return store._listener is not None and await store.listening()

        await until(listens)
        cut = store._listener.get_server_pid()
        async with store.write() as connection:
            await connection.execute(sa.select(sa.func.pg_terminate_backend(cut)))

        async def listens_anew() -> bool:
            return await listens() and store._listener.get_server_pid() != cut

        await until(listens_anew)
        await house.receive(payload(1))

        async def made() -> bool:
            return house.erp.made == [subject(1)]

        await until(made)
