"""Putting the cause right: a row of the blueprint that is proposed for all alike, or the link of a record.

What a row was proposed for is tried again by itself once a hub has started with a blueprint that has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
import yaml

from counterfoil.blueprint import Blueprint, Catalogue, as_data, parse
from counterfoil.hub import inforce, linking
from counterfoil.hub.access import audit
from counterfoil.hub.exceptions import acting, bulk, rows
from counterfoil.hub.exceptions.likeness import proposed
from counterfoil.hub.exceptions.looking import alike, get, open_with
from counterfoil.hub.schema import exception_fix
from counterfoil.hub.store import Store
from counterfoil.hub.waiting import at_most

log = structlog.get_logger()


class CannotLink(ValueError):
    """The record cannot be linked; the message says why. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Fix:
    """What would be, or was, proposed: the row, and the open exceptions that wait for it. `proposal` None: a dry run;
    its number 0: the blueprint in force has the row already."""

    row: Mapping[str, Any]
    alike: tuple[int, ...]
    proposal: inforce.Proposal | None = None

    @property
    def text(self) -> str:
        """The row as it is pasted into the blueprint."""
        return str(yaml.safe_dump(self.row, sort_keys=False, allow_unicode=True, width=110))


async def propose_row(
    store: Store,
    known: Catalogue,
    number: int,
    values: Mapping[str, str],
    who: str,
    why: str = "",
    dry_run: bool = False,
) -> Fix:
    """Propose the row that the exception suggests, its gaps filled with `values`, on top of what is in force.

    Raises NoSuchException, CannotAdd, NoSuchChange where nothing is in force yet, BlueprintError where the blueprint
    would not be sound with the row.
    """
    told = await get(store, number)
    row = rows.filled(rows.read(proposed(told["suggestion"])), values)
    numbers = tuple(await alike(store, number))
    in_force = yaml.safe_load(await inforce.text_of(store, None))
    text = yaml.safe_dump(rows.added(in_force, row), sort_keys=False, allow_unicode=True)
    name = "the blueprint in force with this row"
    blueprint = parse(text, known=known, environ={}, require_secrets=False, file=name)
    if dry_run:
        return Fix(row, numbers)
    reason = why or f"exception {number}: {told['reason']}, {len(numbers)} alike"
    proposal = await inforce.propose(store, blueprint, known, who, reason)
    one = {"likeness": told["likeness"], "row": rows.as_loaded(as_data(blueprint), row), "change": proposal.number}
    async with store.write() as connection:
        await connection.execute(sa.insert(exception_fix).values(**one, at=store.now, who=who))
        detail = {"id": number, "alike": len(numbers), "change": proposal.number}
        await audit.note(connection, store, who, "exception.row_proposed", told["subject"], detail)
    return Fix(row, numbers, proposal)


async def carry_out(store: Store, blueprint: Blueprint) -> int:
    """Try again what is alike and waits for a row that the running blueprint has; how many.

    Stopped in between, it is done again from the beginning: what was tried is not open any more.
    """
    waiting = sa.select(exception_fix).where(exception_fix.c.done_at.is_(None)).order_by(exception_fix.c.id)
    async with store.read() as connection:
        fixes = (await connection.execute(waiting)).all()
    data, tried = as_data(blueprint) if fixes else {}, 0
    for fix in fixes:
        if not rows.stands_in(data, fix.row):
            continue
        note = f"the row of change {fix.change} is in force"
        closed = await bulk.in_bulk(store, await open_with(store, fix.likeness), "retried", fix.who, note)
        async with store.write() as connection:
            mine = exception_fix.c.id == fix.id
            await connection.execute(sa.update(exception_fix).where(mine).values(done_at=store.now))
        tried += len(closed.done)
        log.info("tried again with a new row of the blueprint", change=fix.change, exceptions=len(closed.done))
    return tried


def not_linkable(told: Mapping[str, Any]) -> str:
    """Why no record of its system can be said to be what the exception is about; empty where one can."""
    home, kind, mine = [*told["subject"].split(":", 2), "", ""][:3]
    if not mine or home == told["system"]:
        return f"exception {told['id']} is about nothing that {told['system']} could have a record of"
    if kind == "order":  # with a link alone it would be taken for one that was deleted there
        return (
            f"an order that was entered by hand cannot be linked: at {told['system']} only orders that the hub entered "
            f'are found. Say so instead: counterfoil exceptions resolve {told["id"]} --note "entered by hand as …"'
        )
    return ""


async def link_record(store: Store, number: int, object_id: str, who: str, note: str = "") -> dict[str, Any]:
    """Say which record of the exception's system the thing is that it is about, and try again.

    Raises NoSuchException, NotOpen, CannotLink.
    """
    told = await get(store, number)
    if told["status"] != "open":
        raise acting.NotOpen(f"exception {number} was {told['status']} already")
    if why := not_linkable(told):
        raise CannotLink(why)
    if not object_id.strip():
        raise CannotLink(f"say which record of {told['system']} it is: its id is empty")
    home, kind, mine = told["subject"].split(":", 2)
    pair = (mine, object_id.strip())
    if not await linking.write_links(store, home, kind, told["system"], [pair]):
        raise CannotLink(f"{told['subject']} or the record {object_id} of {told['system']} is linked already")
    await linking.decide(store, home, kind, told["system"], [pair], [], who)
    return await acting.act(store, number, "retried", who, note or f"linked with {told['system']} {object_id}")


async def run(store: Store, blueprint: Blueprint, stop: asyncio.Event, every: float = 10.0) -> None:
    """Once, as a hub begins with this blueprint: what waits for a row that it has is tried again."""
    while not stop.is_set():
        try:
            await carry_out(store, blueprint)
            return
        except (OSError, sa.exc.SQLAlchemyError) as error:
            log.error("cannot try again what waits for a row of the blueprint", error=type(error).__name__)
        await at_most(every, stop)
