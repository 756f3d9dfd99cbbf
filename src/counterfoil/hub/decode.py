"""Decode: receipts become events by comparison with the object as it was last known.

Most shops send states, not facts, late, doubled and in any order. Older than known is stale, equal is a
duplicate or our own echo, and what differs becomes events. Object, events and deliveries are one transaction.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.contract import BadPayload, Connector, Kind, Observed, Outcome, Raw, done, rejected
from counterfoil.hub.lanes import Work
from counterfoil.hub.receipts import object_key
from counterfoil.hub.records import Known, keep_object, keep_seen, known_objects, state_digest
from counterfoil.hub.store import Store, count
from counterfoil.retail.events import Event

DELETED = "deleted"
"""The reason with which a decoder says that its object is gone at the source."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a process makes of a changed object: the stage it is in now, and the facts that follow."""

    stage: str
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Process:
    """How one kind of object is read.

    `ignore` names the fields whose change is no news (our own marks, say); `matters` the stages in which a person
    must know that the object was deleted at its source.
    """

    interpret: Callable[[Known | None, Observed], Decision]
    ignore: frozenset[str] = frozenset()
    matters: frozenset[str] = frozenset()

    def digest(self, observed: Observed) -> str:
        """The fingerprint of what counts as news."""
        return state_digest(observed.state, self.ignore)


@dataclass(slots=True)
class Decoded:
    """What a batch of receipts came to."""

    outcomes: list[tuple[Work, Outcome]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


def read(connector: Connector, work: Work) -> Observed | Outcome:
    """The receipt in the retail language, or why it cannot be read. Never raises."""
    row = work.row
    try:
        return connector.decode(Raw(row.kind, row.object_id, bytes(row.body), row.headers))
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
    known = await known_objects(connection, [(system, w.row.kind, w.row.object_id) for w, _ in read_])
    bodies: dict[tuple[str, str], str] = {}
    for work, observed in read_:
        body = (system, object_key(work.row.kind, work.row.object_id))
        if isinstance(observed, Outcome):
            bodies[body] = work.row.digest  # the same again is told to nobody a second time
            before = known.get((system, work.row.kind, work.row.object_id))
            process = processes.get(work.row.kind)
            if observed.reason == DELETED and not (before and process and before.stage in process.matters):
                counts[(system, DELETED)] += 1
                observed = done({"dropped": DELETED})
            decoded.outcomes.append((work, observed))
            continue
        place = (system, observed.kind, observed.object_id)
        before = known.get(place)
        try:
            digest = processes[observed.kind].digest(observed)
            verdict = compare(before, observed.version, digest)
            decision = processes[observed.kind].interpret(before, observed) if verdict == "news" else None
        except Exception:  # rules that stumble over one object must not take the others with it
            bodies[body] = work.row.digest
            decoded.outcomes.append((work, _bug("interpret_failed")))
            continue
        if verdict != "stale":
            # of two states with one version a webhook may bring the older one last: let the next poll decide again
            unsure = before is not None and verdict == "news" and observed.version == before.version
            bodies[body] = "" if unsure and work.row.origin == "webhook" else work.row.digest
        if decision is not None:
            decoded.events.extend(decision.events)
            stage = decision.stage
            result: dict[str, Any] = {"stage": stage, "events": [e.type for e in decision.events]}
        else:
            counts[(system, verdict)] += 1
            stage = before.stage if before else ""
            result = {"dropped": verdict}
        if verdict in ("news", "echo"):
            await keep_object(connection, store, system, observed, digest, stage)
            state = observed.state.model_dump(mode="json")
            known[place] = Known(observed.version, digest, state, stage)
        decoded.outcomes.append((work, done(result)))
    await count(connection, store, counts)
    await keep_seen(connection, store, bodies)
    return decoded


def compare(known: Known | None, version: str, digest: str) -> str:
    """news, stale (older than known), duplicate (the same again) or echo (newer, but no news in it)."""
    if known is None:
        return "news"
    if version < known.version:
        return "stale"
    if digest != known.digest:
        return "news"
    return "duplicate" if version == known.version else "echo"
