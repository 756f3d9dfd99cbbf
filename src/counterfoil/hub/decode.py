"""Decode: receipts become events by comparison with the object as it was last known.

Most shops send states, not facts, late, doubled and in any order. Older than known is stale, equal is a
duplicate or our own echo, and what differs becomes events. Object, events and deliveries are one transaction.
"""

from __future__ import annotations

import json
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint.ownership import Ownership
from counterfoil.hub.availability.readings import Reading
from counterfoil.hub.claiming import Work
from counterfoil.hub.contract import NEEDS_APPROVAL, BadPayload, Connector, Kind, Observed, Outcome, Raw, done, rejected
from counterfoil.hub.enforcing import Enforcer
from counterfoil.hub.receipts import ASKED_AT, IMPORT, object_key
from counterfoil.hub.records import Known, keep_objects, keep_seen, known_objects, state_digest
from counterfoil.hub.schema import object_
from counterfoil.hub.store import Store, count
from counterfoil.retail.events import Event, event_id
from counterfoil.retail.product import StockLevel

DELETED = "deleted"
"""The reason with which a decoder says that its object is gone at the source."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a process makes of a changed object: the stage it is in now, and the facts that follow."""

    stage: str
    events: tuple[Event, ...] = ()


class HeldBack(Exception):
    """What was told is not taken for known before a person releases it; the message says why."""


@dataclass(frozen=True, slots=True)
class Process:
    """How one kind of object is read.

    `interpret` is given the last known state, the one told now, and by which way it came (webhook, poll, import;
    released by a person, after it raised HeldBack).
    `ignore` names the fields whose change is no news (our own marks, say); `matters` the stages in which a person
    must know that the object was deleted at its source; `quiet` the stages of the same thing at its home system in
    which nothing that happens to it elsewhere is a fact for others. `owners` is the rule to be enforced, if there is
    one; `again` tells what is known at a system once more, by the cause, the system and the state. `counts`: these are
    the stock levels by which is promised. `needs`: facts that are such only where the same thing has something in a
    field at its home system, by type.
    """

    interpret: Callable[[Known | None, Observed, str], Decision]
    ignore: frozenset[str] = frozenset()
    matters: frozenset[str] = frozenset()
    quiet: frozenset[str] = frozenset()
    owners: Ownership | None = None
    again: Callable[[Event, str, Mapping[str, Any]], Event] | None = None
    counts: bool = False
    needs: Mapping[str, str] = field(default_factory=dict)

    def digest(self, observed: Observed) -> str:
        """The fingerprint of what counts as news."""
        return state_digest(observed.state, self.ignore)


@dataclass(slots=True)
class Decoded:
    """What a batch of receipts came to."""

    outcomes: list[tuple[Work, Outcome]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    works: dict[str, int] = field(default_factory=dict)  # by event id, the delivery whose receipt told of it
    seen: set[str] = field(default_factory=set)  # subjects of which something newer was told
    at_peace: set[str] = field(default_factory=set)  # those that say what the owners of their fields say
    readings: list[Reading] = field(default_factory=list)  # of stock, also where they say nothing new


def read(connector: Connector, work: Work) -> Observed | Outcome:
    """The receipt in the retail language, or why it cannot be read. Never raises."""
    row = work.row
    try:
        return connector.decode(Raw(row.kind, row.object_id, bytes(row.body), json.loads(row.headers)))
    except BadPayload as bad:
        return rejected(bad.reason, bad.message, bad.suggestion)
    except Exception:  # a decoder that breaks must not take the other receipts with it
        return _bug("decode_failed")


def _bug(reason: str) -> Outcome:
    return Outcome(
        Kind.BUG,
        reason,
        "What the shop sent could not be understood. It is kept; please report it.",
        traceback.format_exc(),
        "Report it with the receipt's number, then retry once a newer version is installed.",
    )


async def apply(
    connection: AsyncConnection, store: Store, system: str, processes: Mapping[str, Process], read_: Sequence[Any]
) -> Decoded:
    """Compare each (work, Observed or Outcome) with what is known, in order, and keep the result."""
    decoded = Decoded()
    counts: Counter[tuple[str, str]] = Counter()
    enforcer = await Enforcer.begin(connection, system, processes, read_)
    places = [(system, w.row.kind, w.row.object_id) for w, _ in read_]
    known = await known_objects(connection, [*places, *enforcer.places])
    at_home = await _home_stages(connection, system, processes, read_)
    has = await _home_fields(connection, processes, read_)
    bodies: dict[tuple[str, str], str] = {}
    changed: dict[tuple[str, str, str], str] = {}
    for work, observed in read_:
        body = (system, object_key(work.row.kind, work.row.object_id))
        if isinstance(observed, Outcome):
            bodies[body] = work.row.digest  # the same again is told to nobody a second time
            decoded.seen.discard(work.subject)
            before = known.get((system, work.row.kind, work.row.object_id))
            process = processes.get(work.row.kind)
            if observed.reason == DELETED and not (before and process and before.stage in process.matters):
                counts[(system, DELETED)] += 1
                observed = done({"dropped": DELETED})
            decoded.outcomes.append((work, observed))
            continue
        place = (system, observed.kind, observed.object_id)
        before, question = known.get(place), None
        try:
            digest = processes[observed.kind].digest(observed)
            verdict = compare(before, observed.version, digest)
            decision = None
            if verdict == "news" or (work.row.origin == IMPORT and verdict != "stale"):
                decision = processes[observed.kind].interpret(before, observed, work.row.origin)
        except HeldBack as held:
            bodies[body] = work.row.digest
            decoded.seen.add(work.subject)
            fix = "Release it if it is right (counterfoil exceptions release); else put it right where it comes from."
            decoded.outcomes.append((work, rejected(NEEDS_APPROVAL, str(held), fix)))
            continue
        except Exception:  # rules that stumble over one object must not take the others with it
            bodies[body] = work.row.digest
            decoded.outcomes.append((work, _bug("interpret_failed")))
            continue
        if verdict != "stale" and processes[observed.kind].counts and isinstance(observed.state, StockLevel):
            decoded.readings.append(_reading(work, observed.state))
        if verdict != "stale":
            # of two states with one version a webhook may bring the older one last: let the next poll decide again
            unsure = before is not None and verdict == "news" and observed.version == before.version
            bodies[body] = "" if unsure and work.row.origin == "webhook" else work.row.digest
        if decision is not None and (verdict == "news" or before is None or decision.stage != before.stage):
            stage, verdict = decision.stage, "news"
            quiet = at_home.get(observed.state.canonical_id, "") in processes[observed.kind].quiet
            home = has.get(observed.state.canonical_id, frozenset())
            needs = processes[observed.kind].needs
            events = () if quiet else tuple(e for e in decision.events if needs.get(e.type, "") in ("", *home))
            if before is not None and observed.version == before.version:
                # a state that comes back within one second of the system's clock is a fact of its own
                events = tuple(
                    e.model_copy(update={"id": event_id(e.source, e.type, e.subject, e.id, str(work.receipt_id))})
                    for e in events
                )
            if processes[observed.kind].owners is not None:
                kept = await enforcer.enforce(processes[observed.kind], work, observed, known, events, decoded.events)
                events, question = kept.events, kept.question
                if not kept.spread:
                    stage = before.stage if before else ""
                counts.update({(system, kept.counted): 1} if kept.counted else {})
            decoded.events.extend(events)
            decoded.works.update((e.id, work.id) for e in events)
            result: dict[str, Any] = {"stage": stage, "events": [e.type for e in events]}
        else:
            counts[(system, verdict)] += 1
            stage = before.stage if before else ""
            result = {"dropped": verdict}
        if verdict != "stale" and enforcer.at_peace(processes[observed.kind], observed, known):
            decoded.at_peace.add(work.subject)
        if verdict in ("news", "echo"):
            decoded.seen.add(work.subject)
            state = observed.state.model_dump(mode="json")
            known[place] = Known(observed.version, digest, state, stage)
            changed[place] = observed.state.canonical_id
        decoded.outcomes.append((work, question or done(result)))
    # gone and then seen again, in the shop's trash say: its state tells what became of it
    decoded.outcomes = [(w, _seen_again(w, o, decoded.seen)) for w, o in decoded.outcomes]
    await keep_objects(connection, store, {place: (known[place], id_) for place, id_ in changed.items()})
    await count(connection, store, counts)
    await keep_seen(connection, store, bodies)
    return decoded


def _seen_again(work: Work, outcome: Outcome, seen: set[str]) -> Outcome:
    return done({"dropped": DELETED}) if outcome.reason == DELETED and work.subject in seen else outcome


async def _home_stages(
    connection: AsyncConnection, system: str, processes: Mapping[str, Process], read_: Sequence[Any]
) -> dict[str, str]:
    """The stage at its home system of each object told of here, by canonical id; only where a process asks for it."""
    asking = {kind for kind, process in processes.items() if process.quiet}
    ids = {o.state.canonical_id for _, o in read_ if isinstance(o, Observed) and o.kind in asking}
    if not ids:
        return {}
    rows = await connection.execute(
        sa.select(object_.c.system, object_.c.canonical_id, object_.c.stage).where(
            object_.c.canonical_id.in_(list(ids)), object_.c.system != system
        )
    )
    return {r.canonical_id: r.stage for r in rows if r.canonical_id.startswith(f"{r.system}:")}


async def _home_fields(
    connection: AsyncConnection, processes: Mapping[str, Process], read_: Sequence[Any]
) -> dict[str, frozenset[str]]:
    """Which of the fields that facts need have something in them at home, by canonical id."""
    wanted = sorted({name for process in processes.values() for name in process.needs.values()})
    asking = {kind for kind, process in processes.items() if process.needs}
    ids = {o.state.canonical_id for _, o in read_ if isinstance(o, Observed) and o.kind in asking}
    if not ids:
        return {}
    columns = [object_.c.state[name].as_string().label(name) for name in wanted]
    home = object_.c.canonical_id == object_.c.system + ":" + object_.c.kind + ":" + object_.c.object_id
    rows = await connection.execute(
        sa.select(object_.c.canonical_id, *columns).where(object_.c.canonical_id.in_(list(ids)), home)
    )
    return {row.canonical_id: frozenset(name for name in wanted if getattr(row, name)) for row in rows}


async def keep_observed(
    connection: AsyncConnection,
    store: Store,
    system: str,
    processes: Mapping[str, Process],
    finished: Sequence[tuple[Work, Outcome]],
) -> None:
    """The answer to our own write is the newest state known: that is how its echo will be recognised."""
    writes = {(system, o.observed.kind, o.observed.object_id): o for _, o in finished if o.observed is not None}
    if not writes:
        return
    kept: dict[tuple[str, str, str], tuple[Known, str]] = {}
    for place, known in (await known_objects(connection, writes)).items():
        observed, wrote = writes[place].observed, writes[place].wrote
        process = processes.get(place[1])
        if observed is None or process is None:
            continue
        now = after_write(process, known, observed, wrote)
        if now is not None:
            state = now.state.model_dump(mode="json")
            kept[place] = (Known(now.version, process.digest(now), state, known.stage), now.state.canonical_id)
    await keep_objects(connection, store, kept)


def after_write(process: Process, known: Known, observed: Observed, wrote: frozenset[str]) -> Observed | None:
    """What is known once we have written the fields `wrote` and seen `observed`; None: nothing other than before.

    Somebody else's change may ride in the same answer. That one must still become events, by the receipt that comes
    with the echo: then only what we wrote is taken over, so that states from before our write are stale already.
    """
    if known.version > observed.version:
        return None
    kind = type(observed.state)
    try:
        last = kind.model_validate(known.state)
        ours = _taken_over(last.model_dump(mode="json"), observed.state.model_dump(mode="json"), wrote)
        now = kind.model_validate(ours)
        if state_digest(now, process.ignore) == state_digest(observed.state, process.ignore):
            return observed
        return Observed(observed.kind, observed.object_id, observed.version, now)
    except ValueError:  # kept by another version of ours, or the two do not go together: let the receipt tell
        return None


def _taken_over(last: dict[str, Any], seen: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """`last` with these fields as they were seen; `customer.phone` is one field of a part."""
    taken = dict(last)
    for name in names:
        first, _, rest = name.partition(".")
        part = seen.get(first)
        taken[first] = _taken_over(taken.get(first) or {}, part, [rest]) if rest and isinstance(part, dict) else part
    return taken


def _reading(work: Work, level: StockLevel) -> Reading:
    """A reading that we asked for says when it began; one that was sent to us may be of any time before."""
    asked_at = json.loads(work.row.headers).get(ASKED_AT) if work.row.origin == "poll" else None
    return Reading(level.canonical_id, level.sku.strip(), level.counted(), float(asked_at) if asked_at else None)


def compare(known: Known | None, version: str, digest: str) -> str:
    """news, stale (older than known), duplicate (the same again) or echo (newer, but no news in it)."""
    if known is None:
        return "news"
    if version < known.version:
        return "stale"
    if digest != known.digest:
        return "news"
    return "duplicate" if version == known.version else "echo"
