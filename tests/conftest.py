"""The two stores every test of the durable core runs on: a SQLite file and a database of the project's PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy as sa

from counterfoil.hub import schema
from counterfoil.hub.store import Store, open_store

hypothesis.settings.register_profile("untimed", deadline=None)  # what a busy machine is slow at is no failure
hypothesis.settings.load_profile("untimed")

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "postgres"
CANNOT_BE_HAD = 77

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
ON_SQLITE = pytest.mark.parametrize("store_url", BOTH[:1], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("store_url", BOTH[1:], indirect=True)
"""For what can only happen on one of the two."""


def postgres(*arguments: str) -> str:
    """scripts/postgres; its last line. Skips the test where there is no PostgreSQL and none can be had."""
    ended = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False)
    if ended.returncode == CANNOT_BE_HAD:
        pytest.skip("PostgreSQL cannot be had on this machine")
    assert ended.returncode == 0, ended.stderr
    return (ended.stdout.splitlines() or [""])[-1]


def migrate(url: str) -> None:
    """Make the tables. In a thread of its own, as some test's event loop may be running in this one."""

    async def opened() -> None:
        await (await open_store(url)).close()

    thread = threading.Thread(target=lambda: asyncio.run(opened()))
    thread.start()
    thread.join()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL database of this test run, tables made; dropped at the end."""
    name = f"counterfoil_test_{os.getpid()}"
    url = postgres("createdb", name)
    # what a test loses is of no worth: this database need not wait for the disk, whatever the server does
    subprocess.run(
        [SCRIPT, "psql", name, "-qc", f'alter database "{name}" set synchronous_commit = off'],
        check=True,
        capture_output=True,
    )
    migrate(url)
    yield url
    postgres("dropdb", name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with tables, to be copied."""
    file = tmp_path_factory.mktemp("template") / "counterfoil.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(params=BOTH)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store with tables; a SQLite one is empty, a PostgreSQL one is emptied by `store`."""
    if request.param == "sqlite":
        file = tmp_path / "counterfoil.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), file)
        return f"sqlite:///{file}"
    return str(request.getfixturevalue("postgres_url"))


async def empty(store: Store) -> None:
    """Delete every row of every table; on SQLite, where each test has a file of its own, the audit keeps its rows."""
    audit = (schema.audit, schema.audit_head) if store.is_sqlite else ()
    async with store.write() as connection:
        if not store.is_sqlite:  # the audit's own triggers would keep its rows
            await connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        for table in schema.metadata.sorted_tables:
            if table not in audit:
                await connection.execute(sa.delete(table))


@pytest.fixture
async def another_store(store_url: str) -> AsyncIterator[Callable[[], Awaitable[Store]]]:
    """Opens the test's store once more, as another process would."""
    opened: list[Store] = []

    async def another() -> Store:
        opened.append(Store(store_url))
        return opened[-1]

    yield another
    for each in opened:
        await each.close()


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open, empty store: once on SQLite, once on PostgreSQL."""
    opened = Store(store_url)
    if not opened.is_sqlite:
        await empty(opened)
    yield opened
    await opened.close()
