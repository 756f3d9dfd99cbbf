"""What is read of exceptions: the list, one, and the groups of what is alike, with the money at stake."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from counterfoil.hub.exceptions.likeness import likeness
from counterfoil.hub.schema import exception, object_
from counterfoil.hub.store import Store
from counterfoil.retail.money import Money

STATUSES = ("open", "retried", "resolved", "skipped", "all")
"""What `listing` may be asked for."""
CHUNK = 500
"""Exceptions that are given their likeness in one transaction, where an older version has opened them."""


class NoSuchException(LookupError):
    """There is no exception with this number; `counterfoil exceptions list` shows the open ones."""


@dataclass(frozen=True, slots=True)
class Group:
    """Open exceptions that are alike. Times are seconds since the epoch.

    `example` is the row of the oldest. `stakes` are the totals of the orders they are about, each order once, by
    currency.
    """

    likeness: str
    count: int
    oldest: float
    newest: float
    owners: tuple[str, ...]
    example: Mapping[str, Any]
    stakes: Mapping[str, Decimal] = field(default_factory=dict)


async def listing(store: Store, status: str = "open", limit: int = 200) -> list[dict[str, Any]]:
    """The exceptions of a status, one of STATUSES, oldest first."""
    statement = sa.select(exception).order_by(exception.c.opened_at, exception.c.id).limit(limit)
    if status != "all":
        statement = statement.where(exception.c.status == status)
    async with store.read() as connection:
        return [dict(row._mapping) for row in await connection.execute(statement)]


async def get(store: Store, number: int) -> dict[str, Any]:
    """One exception. Raises NoSuchException."""
    async with store.read() as connection:
        row = (await connection.execute(sa.select(exception).where(exception.c.id == number))).first()
    if row is None:
        raise NoSuchException(f"there is no exception {number}")
    return dict(row._mapping)


async def get_all(store: Store, numbers: Collection[int]) -> list[dict[str, Any]]:
    """These exceptions, oldest first; a number that there is none of is left out."""
    x, found = exception.c, []
    wanted = sorted(numbers)
    async with store.read() as connection:
        for start in range(0, len(wanted), CHUNK):
            some = sa.select(exception).where(x.id.in_(wanted[start : start + CHUNK]))
            found += [dict(row._mapping) for row in await connection.execute(some)]
    return sorted(found, key=lambda row: (row["opened_at"], row["id"]))


async def groups(
    store: Store, owner: str = "", limit: int = 50, offset: int = 0, stakes: bool = True, outcome: str = ""
) -> tuple[list[Group], int]:
    """A page of what is open and alike, the largest group first, and how many groups there are.

    With an `owner` only what is theirs is counted, with an `outcome` (`rejected`, say) only what came of that.
    Grouping and paging happen in the database, by an index.
    """
    await name_unnamed(store)
    x = exception.c
    listed = sa.func.json_group_array if store.is_sqlite else sa.func.jsonb_agg
    mine = [x.status == "open", x.likeness != "", *([x.owner == owner] if owner else [])]
    mine += [x.outcome == outcome] if outcome else []
    by_owner = sa.select(
        *(x.likeness, x.owner, sa.func.count().label("n"), sa.func.min(x.id).label("first")),
        *(sa.func.min(x.opened_at).label("oldest"), sa.func.max(x.opened_at).label("newest")),
    )
    each = by_owner.where(*mine).group_by(x.likeness, x.owner).subquery().c
    grouped = (
        sa.select(
            *(each.likeness, sa.func.sum(each.n).label("n"), sa.func.min(each.first).label("first")),
            *(sa.func.min(each.oldest).label("oldest"), sa.func.max(each.newest).label("newest")),
            sa.type_coerce(listed(each.owner), sa.Text).label("owners"),
            sa.func.count().over().label("of"),
        )
        .group_by(each.likeness)
        .order_by(sa.desc("n"), sa.text("oldest"), each.likeness)
    )
    async with store.read() as connection:
        page = (await connection.execute(grouped.limit(limit).offset(offset))).all()
        firsts = sa.select(exception).where(x.id.in_([row.first for row in page]))
        examples = {row.id: dict(row._mapping) for row in await connection.execute(firsts)}
    at_stake = await money_at_stake(store, [row.likeness for row in page], owner, outcome) if stakes else {}
    found = [
        Group(
            *(row.likeness, int(row.n), row.oldest, row.newest, tuple(sorted(texts(row.owners)))),
            *(examples[row.first], at_stake.get(row.likeness, {})),
        )
        for row in page
        if row.first in examples
    ]
    return found, page[0].of if page else 0


def texts(listed: Any) -> list[str]:
    """A list that the database has made: SQLite gives it as text."""
    return list(json.loads(listed) if isinstance(listed, str) else listed)


async def money_at_stake(
    store: Store, likenesses: Collection[str], owner: str = "", outcome: str = ""
) -> dict[str, dict[str, Decimal]]:
    """By likeness and currency the totals of the orders that open exceptions are about, each order once; exact.

    The database counts how often each amount comes; amounts are added up as decimals, which SQLite does not have.
    """
    x = exception.c
    mine = [x.status == "open", x.likeness.in_(sorted(likenesses)), *([x.owner == owner] if owner else [])]
    mine += [x.outcome == outcome] if outcome else []
    found: dict[str, dict[str, Decimal]] = defaultdict(dict)
    async with store.read() as connection:
        for alike, text, count in await connection.execute(_totals(sa.select(x.likeness, x.subject).where(*mine))):
            _add(found[alike], text, count)
    return {alike: dict(sorted(sums.items())) for alike, sums in found.items()}


def _totals(about: sa.Select[Any]) -> sa.Select[Any]:
    """How often each total comes among the orders of (likeness, subject)."""
    asked, o = about.distinct().subquery(), object_.c
    home = o.system + ":order:" + o.object_id  # the order where it comes from, not its counterpart
    here = (o.canonical_id == asked.c.subject, o.kind == "order", home == asked.c.subject)
    # one by one, by index: joined, PostgreSQL reads every object there is
    total = sa.select(o.state["total"].as_string()).where(*here).limit(1).correlate(asked).scalar_subquery()
    each = sa.select(asked.c.likeness, total.label("total")).subquery().c
    found = sa.select(each.likeness, each.total, sa.func.count()).where(each.total.is_not(None))
    return found.group_by(each.likeness, each.total)


def _add(sums: dict[str, Decimal], text: str, count: int) -> None:
    each = Money.parse(text)
    sums[each.currency] = sums.get(each.currency, Decimal(0)) + each.amount * count


async def money_of(store: Store, numbers: Collection[int]) -> dict[str, Decimal]:
    """By currency the totals of the orders that these exceptions are about, each order once; exact."""
    x = exception.c
    sums: dict[str, Decimal] = {}
    subjects = sorted({row["subject"] for row in await get_all(store, numbers)})
    async with store.read() as connection:
        for start in range(0, len(subjects), CHUNK):
            some = sa.select(sa.literal("").label("likeness"), x.subject).where(
                x.subject.in_(subjects[start : start + CHUNK])
            )
            for _, text, count in await connection.execute(_totals(some)):
                _add(sums, text, count)
    return dict(sorted(sums.items()))


def in_words(stakes: Mapping[str, Decimal]) -> str:
    """For people: `36.30 EUR, 5 SEK`."""
    return ", ".join(f"{amount:f} {code}" for code, amount in stakes.items())


async def alike(store: Store, number: int, owner: str = "") -> list[int]:
    """The open exceptions like this one, oldest first; it may itself be closed. Raises NoSuchException."""
    await name_unnamed(store)
    one = await get(store, number)
    of = one["likeness"] or _likeness(one)
    return await open_with(store, of, owner)


async def open_with(store: Store, of: str, owner: str = "") -> list[int]:
    """The numbers of the open exceptions of a likeness, oldest first."""
    x = exception.c
    mine = [x.status == "open", x.likeness == of, *([x.owner == owner] if owner else [])]
    async with store.read() as connection:
        return list((await connection.execute(sa.select(x.id).where(*mine).order_by(x.opened_at, x.id))).scalars())


async def within(
    store: Store, of: str, owner: str = "", limit: int = 50, offset: int = 0
) -> tuple[list[dict[str, Any]], int]:
    """A page of the open exceptions of a likeness, oldest first, and how many there are."""
    x = exception.c
    mine = [x.status == "open", x.likeness == of, *([x.owner == owner] if owner else [])]
    page = sa.select(exception).where(*mine).order_by(x.opened_at, x.id).limit(limit).offset(offset)
    async with store.read() as connection:
        total = await connection.scalar(sa.select(sa.func.count()).select_from(exception).where(*mine))
        return [dict(row._mapping) for row in await connection.execute(page)], total or 0


async def open_because(store: Store, reason: str) -> list[int]:
    """The numbers of the open exceptions with this reason, oldest first."""
    x = exception.c
    wanted = sa.select(x.id).where(x.status == "open", x.reason == reason).order_by(x.opened_at, x.id)
    async with store.read() as connection:
        return list((await connection.execute(wanted)).scalars())


async def name_unnamed(store: Store) -> None:
    """Give open exceptions their likeness that a version before it knew of it has opened."""
    x = exception.c
    unnamed = sa.select(exception).where(x.status == "open", x.likeness == "").order_by(x.id).limit(CHUNK)
    rows: Sequence[Any] = [None]
    while rows:
        async with store.read() as connection:
            rows = (await connection.execute(unnamed)).all()
        if rows:
            async with store.write() as connection:
                named = sa.update(exception).where(x.id == sa.bindparam("b_id")).values(likeness=sa.bindparam("b_of"))
                await connection.execute(named, [{"b_id": r.id, "b_of": _likeness(dict(r._mapping))} for r in rows])


def _likeness(row: Mapping[str, Any]) -> str:
    said = (row[name] for name in ("system", "operation", "reason", "message", "suggestion", "subject"))
    return likeness(*said)
