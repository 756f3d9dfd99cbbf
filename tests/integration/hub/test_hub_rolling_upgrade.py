"""A rolling upgrade: the newer version changes the store while processes of the older one are at work on it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from tests.conftest import BOTH
from tests.fakes import House, assert_one_status, payload, rows_of, subject, until
from tests.integration.hub.test_hub_store import database

from counterfoil.hub import schema
from counterfoil.hub import store as store_module
from counterfoil.hub.store import Store, StoreError, change_tables, open_store

MIGRATIONS = str(Path(store_module.__file__).parent / "migrations")
REVISIONS = [r.revision for r in ScriptDirectory(MIGRATIONS).walk_revisions()][::-1]


@pytest.fixture(params=BOTH)
async def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """A store of its own: its tables are changed."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/counterfoil.db"
        return
    postgres_url = request.getfixturevalue("postgres_url")
    async with database(postgres_url, sa.make_url(postgres_url).database + "_rolling") as url:
        yield url


async def newer_version(store: Store) -> None:
    """What the first process of a made-up newer version does to the store as it starts."""

    def change(connection: sa.Connection) -> None:
        for table in ("receipt", "object", "event", "delivery", "delivery_log", "lane", "exception", "cursor"):
            connection.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN newer TEXT"))
        connection.execute(sa.text("CREATE TABLE newer (id INTEGER PRIMARY KEY, what TEXT)"))
        connection.execute(sa.text("CREATE INDEX newer_lane ON lane (newer)"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    await change_tables(store, change)


async def test_a_running_process_of_the_older_version_goes_on_and_none_is_started(fresh_url: str) -> None:
    store = await open_store(fresh_url)
    house = House(store)
    numbers = itertools.count()
    told: list[int] = []

    async def more(count: int) -> None:
        for number in itertools.islice(numbers, count):
            await house.receive(payload(number))
            told.append(number)

    def all_made() -> Callable[[], Awaitable[bool]]:
        wanted = len(told)

        async def made() -> bool:
            return len(house.erp.made) >= wanted

        return made

    async with house.working(house.worker(), house.worker()):
        await more(20)
        await newer_version(store)
        await more(20)
        await until(all_made(), 30)
        with pytest.raises(StoreError, match="made by a newer version"):
            await open_store(fresh_url)
        await more(5)
        await until(all_made(), 30)

        async def finished() -> bool:
            return not await rows_of(store, schema.delivery)

        await until(finished)
    assert sorted(house.erp.made) == sorted(subject(n) for n in told)
    assert set(await house.outcomes()) == {"done"}
    await assert_one_status(store)
    await store.close()


def tables_of(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    """The columns of each table."""
    look = sa.inspect(connection)
    return {t: {c["name"]: c for c in look.get_columns(t)} for t in look.get_table_names()}


def upgraded(url: str, revision: str) -> dict[str, dict[str, Any]]:
    """The tables after the migrations up to this one."""
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        found = tables_of(connection)
    engine.dispose()
    return found


@pytest.mark.parametrize(("before", "after"), list(itertools.pairwise(REVISIONS)))
def test_every_migration_only_adds_what_older_code_need_not_know(tmp_path: Path, before: str, after: str) -> None:
    """Decision 9: a table, an index, or a column that may stay empty. What goes, goes one release after its use."""
    url = f"sqlite:///{tmp_path}/store.db"
    old, new = upgraded(url, before), upgraded(url, after)
    for table, columns in old.items():
        assert columns.keys() <= new[table].keys(), f"{after} takes a column away from {table}"
        for name, column in columns.items():
            assert str(new[table][name]["type"]) == str(column["type"]), f"{after} changes {table}.{name}"
            assert new[table][name]["nullable"] >= column["nullable"], f"{after} makes {table}.{name} mandatory"
        for name in new[table].keys() - columns.keys():
            added = new[table][name]
            assert added["nullable"] or added["default"] is not None, f"older code cannot write {table} without {name}"
