"""Which blueprint is in force: kept whole whenever it changes, with who, when and why; some changes only with a second
person's approval.

What starts is compared with what is in force. The same starts without a word, however often and in how many processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import yaml
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint, BlueprintError, Catalogue, as_data, dump, parse
from counterfoil.blueprint.approvals import APPROVALS, needing, why_not
from counterfoil.blueprint.difference import Change, differences, digest, operating_model
from counterfoil.hub.access import audit
from counterfoil.hub.schema import blueprint_change
from counterfoil.hub.store import Store

_LOCK = 727002
"""Of several processes that start at once on PostgreSQL one at a time compares and keeps."""


class NotApproved(Exception):
    """The blueprint changes what needs a second person, and none has approved it. The message says what to do."""


class NoSuchChange(LookupError):
    """There is no change of the blueprint with this number, or it cannot be approved (any more)."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed change: its number (0: nothing was proposed), what differs, and which sections need approval."""

    number: int
    changes: tuple[Change, ...]
    needing: tuple[str, ...]


async def settle(store: Store, blueprint: Blueprint, known: Catalogue, who: str) -> None:
    """Put the blueprint in force and keep it, if it is another one than before. Raises NotApproved."""
    new = as_data(blueprint)
    async with store.read() as connection:
        current = await _current(connection)
    if current is not None and current.digest == digest(new):
        return
    async with store.write() as connection:
        await _one_at_a_time(connection, store)
        current = await _current(connection)
        before = read_back(current.text, known) if current else {}
        changes = _changes(before, new)
        if current is not None and not changes:
            return
        sections = list(dict.fromkeys(change.section for change in changes))
        needed = needing(before.get(APPROVALS, {}), sections)
        proposals = await _proposals(connection)
        same = next((row for row in proposals if row.digest == digest(new)), None)
        basis = await _approved(connection, proposals, needed, new, known) if needed else same
        if needed and basis is None:
            raise NotApproved(_refusal(needed, changes, same, before.get(APPROVALS, {}).get("by", ())))
        await _enter(connection, store, blueprint, sections, basis, who)


async def propose(
    store: Store, blueprint: Blueprint, known: Catalogue, who: str, why: str, dry_run: bool = False
) -> Proposal:
    """Keep the blueprint as a proposal, once; number 0 if it does not differ from the one in force, or for a
    `dry_run`."""
    new = as_data(blueprint)
    async with store.write() as connection:
        await _one_at_a_time(connection, store)
        current = await _current(connection)
        before = read_back(current.text, known) if current else {}
        changes = _changes(before, new)
        if not changes:
            return Proposal(0, (), ())
        sections = list(dict.fromkeys(change.section for change in changes))
        needed = tuple(needing(before.get(APPROVALS, {}), sections))
        if dry_run:
            return Proposal(0, changes, needed)
        proposed = await _proposals(connection)
        again = next((row.id for row in proposed if (row.digest, row.proposed_by) == (digest(new), who)), None)
        if again is not None:
            return Proposal(again, changes, needed)
        number = await _keep(connection, blueprint, sections, proposed_at=store.now, proposed_by=who, why=why)
        await _note(connection, store, who, "proposed", number, {"sections": sections, "why": why})
        return Proposal(number, changes, needed)


async def approve(store: Store, number: int, who: str, known: Catalogue) -> None:
    """Agree to a proposal as a second person. Raises NoSuchChange, NotApproved for who may not."""
    async with store.write() as connection:
        await _one_at_a_time(connection, store)
        row = (await connection.execute(_where(blueprint_change.c.id == number))).first()
        if row is None:
            raise NoSuchChange(f"There is no change {number}; `counterfoil blueprint history` shows them.")
        if row.approved_at is not None or row.in_force_at is not None:
            done = f"was approved by {row.approved_by}" if row.approved_by else "is or was in force"
            raise NoSuchChange(f"Change {number} {done} already; nothing was changed.")
        current = await _current(connection)
        rules = read_back(current.text, known).get(APPROVALS, {}) if current else {}
        if reason := why_not(rules, row.proposed_by, who):
            raise NotApproved(reason)
        mine = blueprint_change.c.id == number
        await connection.execute(sa.update(blueprint_change).where(mine).values(approved_at=store.now, approved_by=who))
        await _note(connection, store, who, "approved", number, {"sections": row.sections, "by": row.proposed_by})


async def history(store: Store, limit: int = 1000) -> list[dict[str, Any]]:
    """The changes, newest first."""
    async with store.read() as connection:
        rows = await connection.execute(_where().order_by(blueprint_change.c.id.desc()).limit(limit))
        return [dict(row._mapping) for row in rows]


async def text_of(store: Store, number: int | None) -> str:
    """The blueprint of a change as YAML, or the one in force. Raises NoSuchChange."""
    async with store.read() as connection:
        if number is None:
            row = await _current(connection)
            missing = "No blueprint is in force yet: it is kept when the hub starts with it."
        else:
            row = (await connection.execute(_where(blueprint_change.c.id == number))).first()
            missing = f"There is no change {number}; `counterfoil blueprint history` shows them."
    if row is None:
        raise NoSuchChange(missing)
    return str(row.text)


async def against_in_force(store: Store, number: int, known: Catalogue) -> tuple[Change, ...]:
    """What the change makes otherwise than it is in force. Raises NoSuchChange."""
    before, after = [read_back(await text_of(store, which), known) for which in (None, number)]
    return _changes(before, after)


def read_back(text: str, known: Catalogue) -> dict[str, Any]:
    """What was kept, as plain data; what is new in this version of Counterfoil has its default there."""
    try:
        return as_data(parse(text, known=known, environ={}, require_secrets=False))
    except BlueprintError:  # an older version took what this one does not
        return dict(yaml.safe_load(text))


def _changes(before: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    return differences(operating_model(before), operating_model(new))


def _where(*conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(blueprint_change).where(*conditions)


async def _one_at_a_time(connection: AsyncConnection, store: Store) -> None:
    if not store.is_sqlite:  # there the write lock does it
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


async def _current(connection: AsyncConnection) -> Any:
    last = blueprint_change.c.in_force_at.desc(), blueprint_change.c.id.desc()
    found = await connection.execute(_where(blueprint_change.c.in_force_at.is_not(None)).order_by(*last).limit(1))
    return found.first()


async def _proposals(connection: AsyncConnection) -> Sequence[Any]:
    waiting = _where(blueprint_change.c.in_force_at.is_(None)).order_by(blueprint_change.c.id.desc())
    return (await connection.execute(waiting)).all()


async def _approved(
    connection: AsyncConnection,
    proposals: Sequence[Any],
    needed: Sequence[str],
    new: Mapping[str, Any],
    known: Catalogue,
) -> Any:
    """The newest approved proposal that has these sections as they are now, unless they were changed after it."""
    changed = await connection.execute(_where(blueprint_change.c.in_force_at.is_not(None)))
    since = max((row.in_force_at for row in changed if set(row.sections) & set(needed)), default=0.0)
    wanted = {section: new.get(section) for section in needed}
    for row in proposals:
        if row.approved_at is not None and row.approved_at > since:
            proposed = read_back(row.text, known)
            if not differences({section: proposed.get(section) for section in needed}, wanted):
                return row
    return None


async def _enter(
    connection: AsyncConnection, store: Store, blueprint: Blueprint, sections: Sequence[str], basis: Any, who: str
) -> None:
    """In force from now on: the proposal it stands on, and a row of its own where it differs from that elsewhere."""
    number = basis.id if basis is not None else 0
    if basis is not None:
        mine = blueprint_change.c.id == basis.id
        await connection.execute(sa.update(blueprint_change).where(mine).values(in_force_at=store.now))
    if basis is None or basis.digest != digest(as_data(blueprint)):
        more: dict[str, Any] = {"proposed_by": who, "why": ""}
        if basis is not None:
            more = {"proposed_by": basis.proposed_by, "why": basis.why}
            more |= {"approved_at": basis.approved_at, "approved_by": basis.approved_by}
        number = await _keep(connection, blueprint, sections, proposed_at=store.now, in_force_at=store.now, **more)
    await _note(connection, store, who, "in force", number, {"sections": list(sections)})


async def _keep(connection: AsyncConnection, blueprint: Blueprint, sections: Sequence[str], **more: Any) -> int:
    row = {"digest": digest(as_data(blueprint)), "text": dump(blueprint), "sections": list(sections), **more}
    inserted = sa.insert(blueprint_change).values(row).returning(blueprint_change.c.id)
    return int((await connection.execute(inserted)).scalar_one())


async def _note(
    connection: AsyncConnection, store: Store, who: str, act: str, number: int, detail: Mapping[str, Any]
) -> None:
    await audit.note(connection, store, who, f"blueprint {act}", f"blueprint:{number}", detail)


def _refusal(needed: Sequence[str], changes: Sequence[Change], same: Any, by: Sequence[str]) -> str:
    lines = [f"This blueprint changes {', '.join(needed)}, which needs a second person, and nobody has approved it:"]
    lines += [f"  {change}" for change in changes if change.section in needed]
    second = f"one of {', '.join(by)}" if by else "somebody else"
    if same is None:
        lines.append("Propose it: counterfoil blueprint propose -b FILE --who NAME --why REASON.")
        lines.append(f"Then {second} approves it: counterfoil blueprint approve NUMBER -b FILE --who NAME.")
    else:
        lines.append(f"It was proposed by {same.proposed_by} as change {same.id}; {second} has to approve it:")
        lines.append(f"counterfoil blueprint approve {same.id} -b FILE --who NAME.")
    lines.append("The hub was not started; with the blueprint that is in force it does.")
    return "\n".join(lines)
