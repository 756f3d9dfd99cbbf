"""The audit: every act is written down once, in one chain, and whatever happens to a row afterwards is found."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from tests.conftest import ON_POSTGRESQL

from counterfoil.hub.access import audit
from counterfoil.hub.schema import audit as rows
from counterfoil.hub.schema import audit_head
from counterfoil.hub.store import Store, upgrade

T = TypeVar("T")

TRIGGERS = ("audit_stays_update", "audit_stays_delete")


class Undone(Exception):
    """What the act was for went wrong."""


async def acted(store: Store, count: int = 6) -> None:
    for n in range(count):
        async with store.write() as connection:
            await audit.note(connection, store, "anna", "exception.skipped", f"web:order:{n}", {"n": n, "why": "é"})


async def let_go(store: Store) -> None:
    """What somebody does first who wants to change the audit and has the database in their hands."""
    async with store.write() as connection:
        for name in TRIGGERS:
            table = "" if store.is_sqlite else " ON audit"
            await connection.execute(sa.text(f"DROP TRIGGER {name}{table}"))


OTHERWISE: dict[str, Any] = {
    "id": st.integers(50, 99),
    "at": st.floats(0, 1e9),
    "who": st.text("abc", max_size=5),
    "act": st.text("abc", max_size=5),
    "subject": st.text("abc", max_size=5),
    "detail": st.dictionaries(st.sampled_from("ab"), st.integers(), max_size=2),
    "place": st.integers(50, 99),
    "before": st.text("0f", max_size=63),
    "hash": st.text("0f", max_size=63),
}
PLACES = st.integers(1, 6)
TAMPERING = st.one_of(
    *(st.tuples(st.just("change"), PLACES, st.just(name), value) for name, value in OTHERWISE.items()),
    st.tuples(st.just("rewrite with its hash"), PLACES),
    st.tuples(st.just("delete"), PLACES),
    st.tuples(st.just("delete and close the gap"), PLACES),
    st.tuples(st.just("cut off with the head"), PLACES),
    st.tuples(st.just("swap"), PLACES, PLACES).filter(lambda each: each[1] != each[2]),
    st.tuples(st.just("insert"), st.none() | st.integers(7, 9), st.sampled_from(("", "0" * 64))),
    st.tuples(st.just("head"), st.integers(0, 9), st.text("0f", min_size=64, max_size=64)),
)


async def tamper(connection: Any, how: tuple[Any, ...]) -> None:
    at = rows.c.place
    match how:
        case "change", place, name, value:
            await connection.execute(sa.update(rows).where(at == place).values({name: value}))
        case "rewrite with its hash", place:
            row = (await connection.execute(sa.select(*audit._SAID).where(at == place))).one()
            own = audit.digest((place, row.id, row.at, "eve", row.act, row.subject, row.said, row.before))
            await connection.execute(sa.update(rows).where(at == place).values(who="eve", hash=own))
        case "delete", place:
            await connection.execute(sa.delete(rows).where(at == place))
        case "delete and close the gap", place:
            await connection.execute(sa.delete(rows).where(at == place))
            for later in range(place + 1, 7):
                await connection.execute(sa.update(rows).where(at == later).values(place=later - 1))
            await connection.execute(sa.update(audit_head).values(place=5))
        case "cut off with the head", place:
            await connection.execute(sa.delete(rows).where(at >= place))
            last = await connection.scalar(sa.select(rows.c.hash).where(at == place - 1))
            await connection.execute(sa.update(audit_head).values(place=place - 1, hash=last or audit.BEGINNING))
        case "swap", one, other:
            for start, end in ((one, 90), (other, one), (90, other)):
                await connection.execute(sa.update(rows).where(at == start).values(place=end))
        case "insert", place, own:
            new = {"id": 77, "at": 1.0, "who": "eve", "act": "x", "subject": "", "detail": {}, "before": own}
            await connection.execute(sa.insert(rows).values(**new, place=place, hash=own))
        case "head", place, own:
            await connection.execute(sa.update(audit_head).values(place=place, hash=own))


@pytest.fixture(scope="module")
def written(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store with six acts, which its triggers protect no more; and its head."""
    file = tmp_path_factory.mktemp("audit") / "counterfoil.db"
    shutil.copy(sqlite_template, file)

    async def made(store: Store) -> str:
        await acted(store)
        await let_go(store)
        return (await audit.verify(store)).head

    return file, on(file, made)


def on(file: Path, act: Callable[[Store], Awaitable[T]]) -> T:
    async def run() -> T:
        store = Store(f"sqlite:///{file}")
        try:
            return await act(store)
        finally:
            await store.close()

    return asyncio.run(run())


@given(how=TAMPERING)
@settings(max_examples=80)
def test_whatever_is_done_to_a_row_is_found(how: tuple[Any, ...], written: tuple[Path, str]) -> None:
    """Any change of any column, a row gone, swapped or put in; a cut-off end together with its head is found by the
    head that was written down before."""
    file, head = written
    copy = file.with_name("copy.db")
    shutil.copy(file, copy)

    async def judged(store: Store) -> tuple[audit.Verdict, audit.Verdict]:
        async with store.write() as connection:
            await tamper(connection, how)
        return await audit.verify(store), await audit.verify(store, head)

    alone, with_head = on(copy, judged)
    assert with_head.problem
    assert alone.problem or how[0] == "cut off with the head"


async def test_what_was_written_is_as_it_was_written_and_its_head_grows_with_it(store: Store) -> None:
    await acted(store, 3)
    first = await audit.verify(store)
    await acted(store, 2)
    assert (first.rows, first.problem) == (3, "")
    later = await audit.verify(store, first.head)
    assert (later.rows, later.problem) == (5, "")
    assert (await audit.verify(store, later.head.replace("5:", "6:"))).problem.startswith("6 rows were written down")
    assert (await audit.verify(store, f"3:{'f' * 64}")).row is not None
    with pytest.raises(ValueError, match="a count and a hash"):
        await audit.verify(store, "3")


async def test_an_act_that_is_rolled_back_leaves_nothing_and_no_gap(store: Store) -> None:
    await acted(store, 1)
    with contextlib.suppress(Undone):
        async with store.write() as connection:
            await audit.note(connection, store, "bob", "replay")
            raise Undone
    await acted(store, 1)
    found = await audit.verify(store)
    assert (found.rows, found.problem) == (2, "")


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'eve'", "DELETE FROM audit"])
async def test_the_database_itself_refuses_to_change_the_audit(store: Store, statement: str) -> None:
    await refuses(store, statement)


@ON_POSTGRESQL
async def test_the_audit_is_not_emptied_at_once_either(store: Store) -> None:
    await refuses(store, "TRUNCATE audit")


async def refuses(store: Store, statement: str) -> None:
    await acted(store, 1)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        async with store.write() as connection:
            await connection.execute(sa.text(statement))
    assert (await audit.listing(store))[0]["who"] == "anna"


async def test_many_writers_at_once_make_one_chain(store: Store, another_store: Callable[[], Awaitable[Store]]) -> None:
    """Of several processes: their transactions wait for one another at the audit, and nowhere fork it."""
    stores = [store, await another_store(), await another_store()]
    await asyncio.gather(*(acted(each, 10) for each in stores for _ in range(3)))
    found = await audit.verify(store)
    assert (found.rows, found.problem) == (90, "")


async def test_what_an_older_version_wrote_is_outside_the_chain_until_it_is_taken_in(store: Store) -> None:
    """During an upgrade the old version goes on writing; it knows of no chain."""
    await acted(store, 2)
    async with store.write() as connection:
        old = {"at": 1.0, "who": "bob", "act": "replay", "subject": "", "detail": {}}
        await connection.execute(sa.insert(rows).values(old))
    found = await audit.verify(store)
    assert "outside the chain" in found.problem
    assert await audit.take_in(store, "anna") == 1
    assert await audit.take_in(store, "anna") == 0
    after = await audit.verify(store)
    assert (after.rows, after.problem) == (4, "")
    newest = (await audit.listing(store))[0]
    assert (newest["act"], newest["detail"]) == ("audit.taken-in", {"rows": [found.row]})


def test_rows_from_before_the_chain_are_chained_by_the_upgrade(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    upgraded(file, "0005")
    with contextlib.closing(sqlite3.connect(file)) as old:
        for n in range(3):
            row = (1.5 * n, "anna", "replay", "", f'{{"n": {n}, "é": 1.50}}')
            old.execute("INSERT INTO audit (at, who, act, subject, detail) VALUES (?, ?, ?, ?, ?)", row)
        old.commit()
    upgraded(file, "head")

    async def judged(store: Store) -> audit.Verdict:
        await acted(store, 1)
        return await audit.verify(store)

    found = on(file, judged)
    assert (found.rows, found.problem) == (4, "")


def upgraded(file: Path, to: str) -> None:
    async def run(store: Store) -> None:
        await upgrade(store, to)

    on(file, run)
