"""Telling people of open exceptions: once for each that is new, gathered, at most so many an hour, and when it is over.

What each receiver knows is kept in the store, written down after each message: over a restart nothing is told anew, and
a message whose answer was lost is told a second time, with the same id. A receiver that is down is tried again, later
and later; the others, and the hub, go on.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import httpx
import sqlalchemy as sa
import structlog

from counterfoil.blueprint import Blueprint
from counterfoil.hub import schedule, systems
from counterfoil.hub.exceptions.looking import name_unnamed, texts
from counterfoil.hub.schema import exception, notice, notice_sent
from counterfoil.hub.store import Store
from counterfoil.hub.waiting import repeat
from counterfoil.watch import notices
from counterfoil.watch.notices import Told, Trouble
from counterfoil.watch.receivers import NotTold, Receiver, Refused, receivers_of

log = structlog.get_logger()

EVERY = 10.0
"""Seconds between two looks."""
HOUR = 3600.0
_TURN = ("hub", "notify")


async def troubles(store: Store, blueprint: Blueprint) -> list[Trouble]:
    """What is open now: by owner and likeness, and the systems that are not called."""
    await name_unnamed(store)
    x = exception.c
    listed = sa.func.json_group_array if store.is_sqlite else sa.func.jsonb_agg
    grouped = (
        sa.select(
            *(x.owner, x.likeness, sa.func.max(x.reason), sa.func.max(x.outcome), sa.func.max(x.system)),
            *(sa.func.max(x.operation), sa.func.count(), sa.func.max(x.id), sa.func.min(x.opened_at)),
            sa.func.count() == sa.func.count(x.acknowledged_at),
        )
        .where(x.status == "open", x.likeness != "")
        .group_by(x.owner, x.likeness)
    )
    place = sa.func.row_number().over(partition_by=(x.owner, x.likeness), order_by=x.id)
    ranked = sa.select(x.owner, x.likeness, x.subject, place.label("place")).where(x.status == "open").subquery().c
    firsts = sa.select(ranked.owner, ranked.likeness, sa.type_coerce(listed(ranked.subject), sa.Text))
    firsts = firsts.where(ranked.place <= notices.SHOWN).group_by(ranked.owner, ranked.likeness)
    async with store.read() as connection:
        rows = (await connection.execute(grouped)).all()
        about = {(o, of): texts(subjects) for o, of, subjects in await connection.execute(firsts)}
        closed = await systems.closed_now(connection, store)
    found = []
    for *told, taken_on in rows:
        one = Trouble(*told)
        found.append(replace(one, about=tuple(about.get((one.owner, one.likeness), ())), taken_on=bool(taken_on)))
    owner = blueprint.exceptions.owner_of("critical_waits", "down")
    for name, state in closed.items():
        system, _, operation = name.partition(".")
        since = state.since  # it stands for a number too: what was closed anew is new
        words = (f"closed:{name}", notices.SYSTEM_CLOSED, state.outcome, system, operation, 1, int(since), since)
        found.append(Trouble(owner, *words))
    return found


async def look(store: Store, blueprint: Blueprint, receivers: Mapping[str, Sequence[Receiver]]) -> int:
    """Tell every receiver of each owner what it does not know yet; how many messages went out."""
    open_ = await troubles(store, blueprint)
    async with store.read() as connection:
        now = await store.clock(connection)
        kept = (await connection.execute(sa.select(notice))).all()
        recent = sa.select(notice_sent.c.receiver, sa.func.count()).where(notice_sent.c.at > now - HOUR)
        sent = {row[0]: row[1] for row in await connection.execute(recent.group_by(notice_sent.c.receiver))}
    known: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for row in kept:
        known[row.owner, row.receiver][row.likeness] = row
    desks = []
    for owner, theirs in receivers.items():
        mine = notices.theirs(open_, owner, blueprint.notify.owners[owner], blueprint.notify)
        for receiver in theirs:
            desk = _Desk(store, blueprint, owner, receiver, known.pop((owner, receiver.name), {}), now)
            desks.append(desk.tell(mine, blueprint.notify.at_most - sent.get(receiver.name, 0)))
    done = await asyncio.gather(*desks, return_exceptions=True)  # who is slow, or wrong, keeps nobody else waiting
    gone = [(owner, name) for owner, name in known]  # who is reached nowhere, or elsewhere, by now
    if gone or sent:
        async with store.write() as connection:
            for owner, name in gone:
                mine_ = (notice.c.owner == owner, notice.c.receiver == name)
                await connection.execute(sa.delete(notice).where(*mine_))
            await connection.execute(sa.delete(notice_sent).where(notice_sent.c.at < now - 2 * HOUR))
    told = 0
    for each in done:
        if isinstance(each, BaseException):
            raise each
        told += each
    return told


class _Desk:
    """One look at one receiver of one owner."""

    def __init__(
        self, store: Store, blueprint: Blueprint, owner: str, receiver: Receiver, rows: Mapping[str, Any], now: float
    ) -> None:
        self.store, self.rules, self.url = store, blueprint.notify, blueprint.public_url
        self.owner, self.receiver, self.now = owner, receiver, now
        self.reached = blueprint.notify.owners[owner]
        self.words = {of: row.words for of, row in rows.items()}
        self.known = {
            of: Told(row.told, row.due_at, row.told_at, row.tries, bool(row.words.get("taken_on")))
            for of, row in rows.items()
        }

    async def tell(self, open_: Mapping[str, Trouble], left: int) -> int:
        """What is over, what is taken on, what is new; how many messages went out."""
        sent, due = 0, list[Trouble]()
        try:
            for likeness in notices.over(self.known, open_):
                await self._over(likeness)
            for likeness, trouble in open_.items():
                await self._taken_on(likeness, trouble)
            due = notices.pressing(await self._due(open_), self.rules)
            alone, together = notices.shared_out(due, max(left, 0), self.receiver.sums_up)
            for trouble in alone:
                words = notices.words_of(trouble, self.rules, self.url)
                sent += await self._sent(self.receiver.tell(trouble, words, trouble.is_critical(self.rules)), [trouble])
            if together:
                newest = max(trouble.newest for trouble in together)
                words = notices.summed_up(together, self.rules, self.url)
                key = f"rest.{together[0].likeness}.{newest}"
                sent += await self._sent(self.receiver.tell_rest(words, key), together)
        except NotTold as error:  # what it does not know yet it is told at a later try
            log.warning("somebody cannot be told", owner=self.owner, receiver=self.receiver.name, error=str(error))
            for trouble in due:
                told = self.known[trouble.likeness]
                if told.due_at is not None and told.due_at <= self.now:
                    await self._keep(trouble, self._later(told))
        return sent

    async def _sent(self, message: Awaitable[None], troubles: Sequence[Trouble]) -> bool:
        """Whether the message was taken. One that is refused is tried later, and stops no other. Raises NotTold."""
        try:
            await message
        except Refused as error:
            self._say_refused(error)
            for trouble in troubles:
                await self._keep(trouble, self._later(self.known[trouble.likeness]))
            return False
        await self._told(troubles)
        return True

    def _say_refused(self, error: Refused) -> None:
        log.error("a receiver refuses a message", owner=self.owner, receiver=self.receiver.name, error=str(error))

    def _later(self, told: Told) -> Told:
        return replace(told, due_at=self.now + notices.wait_after(told.tries), tries=told.tries + 1)

    async def _due(self, open_: Mapping[str, Trouble]) -> list[Trouble]:
        quiet = notices.is_quiet(self.reached, self.rules, self.now)
        due = []
        for likeness, trouble in open_.items():
            told = self.known.get(likeness)
            at = notices.due_at(trouble, told, self.now, self.rules)
            if told is None or at != told.due_at:
                await self._keep(trouble, replace(told or Told(), due_at=at))
            if at is not None and at <= self.now and (trouble.is_critical(self.rules) or not quiet):
                due.append(trouble)
        return due

    async def _told(self, troubles: Sequence[Trouble]) -> None:
        for number, trouble in enumerate(troubles):
            told = Told(trouble.newest, None, self.now, 0, trouble.taken_on)
            await self._keep(trouble, told, counts=number == 0)

    async def _keep(self, trouble: Trouble, told: Told, counts: bool = False) -> None:
        self.known[trouble.likeness] = told
        words = {**asdict(trouble), "taken_on": told.taken_on}
        values = {"told": told.told, "due_at": told.due_at, "told_at": told.told_at, "tries": told.tries}
        place = {"owner": self.owner, "likeness": trouble.likeness, "receiver": self.receiver.name}
        new = self.store.insert(notice).values({**place, **values, "words": words})
        kept = new.on_conflict_do_update(index_elements=list(place), set_={**values, "words": new.excluded.words})
        async with self.store.write() as connection:
            await connection.execute(kept)
            if counts:
                sent = sa.insert(notice_sent).values(receiver=self.receiver.name, at=self.store.now)
                await connection.execute(sent)

    async def _taken_on(self, likeness: str, trouble: Trouble) -> None:
        told = self.known.get(likeness)
        if told is not None and told.told and trouble.taken_on and not told.taken_on:
            try:
                await self.receiver.taken_on(likeness)
            except Refused as error:  # that it is open they know
                self._say_refused(error)
            await self._keep(trouble, replace(told, taken_on=True))

    async def _over(self, likeness: str) -> None:
        told = self.known[likeness]
        if told.told:  # who was not told of it need not hear that it is over
            if told.tries and told.due_at is not None and told.due_at > self.now:
                return
            was = {k: v for k, v in self.words[likeness].items() if k in Trouble.__dataclass_fields__}
            trouble = Trouble(**{**was, "about": tuple(was["about"])})
            try:
                await self.receiver.over(likeness, notices.words_of(trouble, self.rules, self.url))
            except NotTold as error:
                await self._keep(trouble, self._later(told))
                if not isinstance(error, Refused):
                    raise
                self._say_refused(error)
                return
        del self.known[likeness]
        place = (notice.c.owner == self.owner, notice.c.receiver == self.receiver.name)
        async with self.store.write() as connection:
            await connection.execute(sa.delete(notice).where(*place, notice.c.likeness == likeness))


async def run(store: Store, blueprint: Blueprint, stop: asyncio.Event, turn: float = schedule.TURN) -> None:
    """Look every few seconds until `stop`, one process at a time; nothing where nobody is declared to be told."""
    if not blueprint.notify.owners:
        return
    hub = blueprint.public_url or f"http://{blueprint.listen}"
    async with httpx.AsyncClient() as client:
        receivers = {owner: receivers_of(blueprint.notify, owner, hub, client) for owner in blueprint.notify.owners}

        async def in_turn() -> None:
            await schedule.in_turn(store, _TURN, lambda: look(store, blueprint, receivers), EVERY, turn)

        await repeat(in_turn, EVERY / 2, stop, "cannot tell people")
