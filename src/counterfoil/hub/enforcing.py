"""Owners, enforced while receipts are decoded: what is looked up for it, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import counterparts, ownership
from counterfoil.hub.claiming import Work
from counterfoil.hub.contract import Observed, Outcome
from counterfoil.hub.counterparts import Kin, Place
from counterfoil.hub.ownership import Clash, Side
from counterfoil.hub.receipts import IMPORT
from counterfoil.hub.records import Known
from counterfoil.retail.events import Event
from counterfoil.retail.fields import FIELDS, State

if TYPE_CHECKING:
    from counterfoil.hub.decode import Process


@dataclass(frozen=True, slots=True)
class Enforced:
    """The events that go out, whether the change itself is told, what to count (if it is), what a person is asked."""

    events: tuple[Event, ...]
    spread: bool
    counted: str = ""
    question: Outcome | None = None


class Enforcer:
    """Enforces the rules of one system's kinds of object over one batch. `places` are the same things elsewhere."""

    def __init__(self, connection: AsyncConnection, system: str, kin: Mapping[Place, Kin]) -> None:
        self.connection, self.system, self.kin = connection, system, kin
        self._told: dict[str, list[State]] = {}

    @classmethod
    async def begin(
        cls, connection: AsyncConnection, system: str, processes: Mapping[str, Process], read: Sequence[Any]
    ) -> Enforcer:
        """For the (work, Observed or Outcome) of a batch; nothing is asked where nothing is to be enforced."""
        ruled = {kind for kind, process in processes.items() if process.owners and len(FIELDS.get(kind, ())) > 1}
        places = {
            place
            for _, o in read
            if isinstance(o, Observed) and o.kind in ruled
            for place in [(system, o.kind, o.object_id)]
            if counterparts.name_of(place) == o.state.canonical_id
        }
        return cls(connection, system, await counterparts.kin(connection, places))

    @property
    def places(self) -> list[Place]:
        """Where else the things of this batch are."""
        return [place for kin in self.kin.values() for place in kin.places]

    async def enforce(
        self,
        process: Process,
        work: Work,
        observed: Observed,
        known: Mapping[Place, Known],
        events: tuple[Event, ...],
        earlier: Sequence[Event],
    ) -> Enforced:
        """What becomes of a change and its `events`; `earlier` are those of this batch that are not kept yet."""
        rule, kind, subject = process.owners, observed.kind, observed.state.canonical_id
        assert rule is not None
        origin, sides = self._elsewhere(observed, known)
        before = known.get((self.system, kind, observed.object_id))
        now = observed.state.model_dump(mode="json")
        ruling = ownership.rule_on(rule, kind, self.system, origin, before.state if before else None, now, sides)
        clashes = []
        for clash in ruling.clashes:
            told = await self._words(kind, clash, subject, before, earlier) if clash.other else ()
            if (found := ownership.settled(kind, clash, told)) is not None:
                clashes.append(found)
        if ruling.owned is not None:
            events = tuple(_with(event, ruling.owned) for event in events)
        trespasses = [clash for clash in clashes if not clash.by_owner]
        out = list(events) if ruling.spread else []
        if work.row.origin != IMPORT:
            revert = rule.otherwise == "revert" and process.again is not None
            cause = ownership.trace(kind, subject, observed.version, work.receipt_id or 0, revert, clashes)
            if cause is not None and process.again is not None:
                out.append(cause)
                for side in _to_hear(trespasses, revert):
                    event = process.again(cause, side.system, side.state)
                    owned = ownership.owned_by(rule, kind, side.system, origin)
                    out.append(event if owned is None else _with(event, owned))
        counted = ""
        if trespasses or (before is None and not ruling.spread):
            counted = ownership.NOT_OWNER
        elif not ruling.spread:
            counted = "echo"
        asked = trespasses and rule.otherwise == "ask" and work.row.origin != IMPORT
        question = ownership.question(kind, subject, trespasses) if asked else None
        return Enforced(tuple(out), ruling.spread, counted, question)

    def at_peace(self, process: Process, observed: Observed, known: Mapping[Place, Known]) -> bool:
        """Whether a person need not be asked any more: all that others own is what they say."""
        rule = process.owners
        if rule is None or rule.otherwise != "ask":
            return False
        origin, sides = self._elsewhere(observed, known)
        now = observed.state.model_dump(mode="json")
        return ownership.agrees(rule, observed.kind, self.system, origin, now, sides)

    def _elsewhere(self, observed: Observed, known: Mapping[Place, Known]) -> tuple[str, list[Side]]:
        """Where the thing was made, and what is known of it at other systems."""
        kin = self.kin.get((self.system, observed.kind, observed.object_id), Kin((), self.system))
        places = [place for place in kin.places if place in known]
        return kin.origin, [Side(place[0], counterparts.name_of(place), known[place].state) for place in places]

    async def _words(
        self, kind: str, clash: Clash, subject: str, before: Known | None, earlier: Sequence[Event]
    ) -> list[State]:
        """What the owner of the clashing field has told of the thing until now, oldest first."""
        teller = subject if clash.by_owner or clash.other is None else clash.other.subject
        if teller not in self._told:
            self._told[teller] = await counterparts.told(self.connection, kind, teller)
        own = [before.state] if before and teller == subject else []
        return [*self._told[teller], *(e.data[kind] for e in earlier if e.subject == teller and kind in e.data), *own]


def _with(event: Event, owned: Sequence[str]) -> Event:
    return event.model_copy(update={"data": {**event.data, "owned": list(owned)}})


def _to_hear(trespasses: Sequence[Clash], revert: bool) -> list[Side]:
    """The owners whose values are told again, each once: of what is reverted, and of what was contested."""
    sides = [clash.other for clash in trespasses if clash.other and (revert or clash.contested)]
    return list({side.subject: side for side in sides}.values())
