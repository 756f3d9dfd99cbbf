"""Who did what, append-only and chained: each row carries the hash of the one before it and its own.

`note` is the only writer. The count of rows and the last hash, the head, are kept apart, so that rows cut off at the
end are missed too. Whoever can write to the database can also write a whole new chain: that is found only by a head
that was written down elsewhere (`verify` with it).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import audit, audit_head
from counterfoil.hub.store import Store, as_json

BEGINNING = "0" * 64
"""What stands for the hash before the first row."""
PAGE = 1000
_HEAD = audit_head.c.id == 1
_SAID = [*(c for c in audit.c if c.name != "detail"), sa.cast(audit.c.detail, sa.Text).label("said")]
"""A row with its detail as it is stored."""
_NOTHING: Mapping[str, Any] = {}

Act = tuple[str, str, Mapping[str, Any]]
"""What was done, to what, and the particulars."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying found. `problem` is empty where every row is as it was written; `row` is the id of the first that
    is not, where there is one."""

    rows: int
    head: str
    problem: str = ""
    row: int | None = None


async def note(
    connection: AsyncConnection,
    store: Store,
    who: str,
    act: str,
    subject: str = "",
    detail: Mapping[str, Any] = _NOTHING,
) -> None:
    """Write down who did what, in the caller's transaction that does it.

    Last in that transaction: all who write here wait for one another until they commit.
    """
    await note_all(connection, store, who, [(act, subject, detail)])


async def note_all(connection: AsyncConnection, store: Store, who: str, acts: Sequence[Act]) -> None:
    """The same of several acts at once."""
    if not acts:
        return
    last, before = await _ahead(connection, store, len(acts))
    ids, at, rows = await _ids(connection, store, len(acts)), await store.clock(connection), []
    for place, id_, (act, subject, detail) in zip(range(last - len(acts) + 1, last + 1), ids, acts, strict=True):
        own = digest((place, id_, at, who, act, subject, as_json(detail), before))
        row = {"id": id_, "at": at, "who": who, "act": act, "subject": subject, "detail": dict(detail)}
        rows.append({**row, "place": place, "before": before, "hash": own})
        before = own
    await connection.execute(sa.insert(audit), rows)
    await connection.execute(sa.update(audit_head).where(_HEAD).values(hash=before))


async def take_in(store: Store, who: str) -> int:
    """Chain what an older version has written beside this one, as it stands, and write down which rows these were; how
    many."""
    async with store.write() as connection:
        last, before = await _ahead(connection, store, 0)
        strays = sa.select(*_SAID).where(audit.c.place.is_(None)).order_by(audit.c.id).with_for_update()
        found = (await connection.execute(strays)).all()
        for place, row in enumerate(found, last + 1):
            own = digest((place, row.id, row.at, row.who, row.act, row.subject, row.said, before))
            link = {"place": place, "before": before, "hash": own}
            await connection.execute(sa.update(audit).where(audit.c.id == row.id).values(link))
            before = own
        if found:
            await connection.execute(sa.update(audit_head).where(_HEAD).values(place=last + len(found), hash=before))
            await note(connection, store, who, "audit.taken-in", detail={"rows": [row.id for row in found]})
    return len(found)


async def _ahead(connection: AsyncConnection, store: Store, count: int) -> tuple[int, str]:
    """Where the chain stands once so many more are written, and the hash of its last row until then. From here to the
    end of the transaction nobody else writes."""
    more = store.insert(audit_head).values(id=1, place=count, hash=BEGINNING)
    more = more.on_conflict_do_update(index_elements=["id"], set_={"place": audit_head.c.place + count})
    row = (await connection.execute(more.returning(audit_head.c.place, audit_head.c.hash))).one()
    return row.place, row.hash


async def _ids(connection: AsyncConnection, store: Store, count: int) -> Sequence[int]:
    if not store.is_sqlite:
        return await store.next_ids(connection, audit, count)
    last = await connection.scalar(sa.select(sa.func.max(audit.c.id))) or 0
    return range(last + 1, last + 1 + count)


def digest(row: Sequence[Any]) -> str:
    """The hash of (place, id, at, who, act, subject, detail as stored, hash before): all of a row but the hash."""
    said = json.dumps(list(row), separators=(",", ":"), default=lambda odd: {"not as it was written": repr(odd)})
    return hashlib.sha256(said.encode()).hexdigest()


async def listing(
    store: Store, limit: int = 100, before: int | None = None, who: str = "", act: str = "", subject: str = ""
) -> list[dict[str, Any]]:
    """The newest `limit` rows before the id `before`; `act` also finds what begins with it and a dot."""
    wanted = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(audit.c.id < before)
    if who:
        wanted = wanted.where(audit.c.who == who)
    if act:
        wanted = wanted.where((audit.c.act == act) | audit.c.act.startswith(f"{act}.", autoescape=True))
    if subject:
        wanted = wanted.where(audit.c.subject == subject)
    async with store.read() as connection:
        return [dict(row) for row in (await connection.execute(wanted)).mappings()]


async def get(store: Store, id_: int) -> dict[str, Any] | None:
    """One row."""
    async with store.read() as connection:
        row = (await connection.execute(sa.select(audit).where(audit.c.id == id_))).mappings().first()
    return dict(row) if row else None


async def verify(store: Store, head: str = "") -> Verdict:
    """Look at every row. `head`: one that was written down before, as `Verdict.head` has it. Raises ValueError where it
    is none."""
    noted = _head(head) if head else None
    async with store.read() as connection:
        if not store.is_sqlite:  # rows, head and strays as of one moment, whoever writes meanwhile
            await connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        kept = (await connection.execute(sa.select(audit_head.c.place, audit_head.c.hash).where(_HEAD))).first()
        before, place = BEGINNING, 0
        while page := await _page(connection, place):
            for row in page:
                problem = _wrong(row, place + 1, before)
                if not problem and noted and noted[0] == row.place and noted[1] != row.hash:
                    problem = "it is another than the one whose hash was written down"
                if problem:
                    return Verdict(place, f"{place}:{before}", problem, row.id)
                place, before = row.place, row.hash
        stray = await connection.scalar(sa.select(sa.func.min(audit.c.id)).where(audit.c.place.is_(None)))
    here = f"{place}:{before}"
    if stray is not None:
        return Verdict(place, here, "it is outside the chain: not this version of the hub wrote it", stray)
    if tuple(kept or (0, BEGINNING)) != (place, before):
        count = kept.place if kept else 0
        return Verdict(place, here, f"{count} rows were counted and {place} are there: the end is not as it was")
    if noted and noted[0] > place:
        return Verdict(place, here, f"{noted[0]} rows were written down and {place} are there: the end is cut off")
    return Verdict(place, here)


async def _page(connection: AsyncConnection, after: int) -> Sequence[Any]:
    page = sa.select(*_SAID).where(audit.c.place > after)
    return (await connection.execute(page.order_by(audit.c.place).limit(PAGE))).all()


def _wrong(row: Any, place: int, before: str) -> str:
    """What is wrong with a row that should be the one at `place`; empty: nothing."""
    if row.place != place:
        return f"what was written before it, as number {place}, is missing"
    if row.before != before:
        return "it does not follow from the row before it"
    if row.hash != digest((row.place, row.id, row.at, row.who, row.act, row.subject, row.said, row.before)):
        return "it is not as it was written"
    return ""


def _head(text: str) -> tuple[int, str]:
    place, _, own = text.strip().partition(":")
    if not place.isdigit() or len(own) != len(BEGINNING):
        raise ValueError("a head is a count and a hash, such as 17:3f…, as `counterfoil audit verify` prints it")
    return int(place), own.lower()
