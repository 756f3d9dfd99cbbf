"""Owners, enforced: what of a changed object its system may tell others, and what becomes of the rest. Pure.

A change that is not its system's to make is compared with what the owner is known to say. The same is our own write,
or agreement; and so is a value that the owner told not long ago, which may just have been written there by us. Any
other clashes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.ownership import ORIGIN, Ownership, enforced
from counterfoil.hub.contract import Outcome, rejected
from counterfoil.retail import fields
from counterfoil.retail.events import Event, event_id, moment
from counterfoil.retail.fields import Owned, State

NOT_OWNER = "not_owner"
"""The counter of changes that were not spread, or not in all they changed."""
NOT_THE_OWNER = "not_the_owner"
"""The reason of the exception that asks a person about one."""


@dataclass(frozen=True, slots=True)
class Side:
    """The same thing at another system, as it was last known there."""

    system: str
    subject: str
    state: State


@dataclass(frozen=True, slots=True)
class Clash:
    """A field that `system` changed from `before` to `now`, while the `other` side says `theirs`.

    Where the system owns the field, what the other side says is lost; else the other side is the owner's (None for
    what is told whole). `contested`: both have changed it since they last agreed.
    """

    field: str
    system: str
    owner: str
    other: Side | None = None
    before: Any = None
    now: Any = None
    theirs: Any = None
    contested: bool = False

    @property
    def by_owner(self) -> bool:
        """Whether it was the owner who changed it."""
        return self.owner == self.system


@dataclass(frozen=True, slots=True)
class Ruling:
    """`spread`: whether others are told; `owned`: the fields that are the teller's (None: all); and the clashes."""

    spread: bool
    owned: tuple[str, ...] | None
    clashes: tuple[Clash, ...] = ()


def owned_by(rule: Ownership, kind: str, system: str, origin: str) -> tuple[str, ...] | None:
    """The fields that are the system's; None: all. `origin` is where the thing was made."""
    every = fields.FIELDS[kind]
    mine = [name for name in every if _owner(rule, name, origin) == system]
    return None if len(mine) == len(every) else tuple(fields.shortened(kind, mine))


def owned_now(blueprint: Blueprint, type_: str, source: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data of an event with `owned` as the present blueprint says: it may be told again long after it happened."""
    kind, _, what = type_.partition(".")
    rule = enforced(blueprint.owners, kind)
    if what != "changed" or rule is None or rule.owner == ORIGIN:
        return data
    owned = owned_by(rule, kind, source, "")
    rest = {name: value for name, value in data.items() if name != "owned"}
    return rest if owned is None else {**rest, "owned": list(owned)}


def rule_on(
    rule: Ownership, kind: str, system: str, origin: str, before: State | None, now: State, sides: Sequence[Side]
) -> Ruling:
    """What to make of a change at `system`, before the owners' earlier words are looked at (see `settled`)."""
    owned = owned_by(rule, kind, system, origin)
    if owned == () and len(fields.FIELDS[kind]) == 1:
        return Ruling(False, owned, (Clash(kind, system, _owner(rule, kind, origin)),))
    if before is None:  # seen for the first time: nobody knows who changed what
        return Ruling(owned != (), owned)
    mine = Owned(None if owned is None else frozenset(owned))
    moved = sorted(fields.changed(kind, before, now))
    clashes = [
        clash
        for name in moved
        for clash in _clashes(kind, name, system, _owner(rule, name, origin), (before, now), sides)
    ]
    return Ruling(any(name in mine for name in moved), owned, tuple(clashes))


def agrees(rule: Ownership, kind: str, system: str, origin: str, now: State, sides: Sequence[Side]) -> bool:
    """Whether a state says, of every field that can be compared, what the system that owns it says."""
    said = {side.system: side.state for side in sides}
    foreign = [name for name in fields.FIELDS[kind] if name != kind and _owner(rule, name, origin) != system]
    return bool(foreign) and all(
        owner in said and fields.says(kind, name, said[owner], fields.value(kind, name, now))
        for name in foreign
        for owner in [_owner(rule, name, origin)]
    )


def _owner(rule: Ownership, field: str, origin: str) -> str:
    owner = rule.owner_of(field)
    return origin if owner == ORIGIN else owner


def _clashes(
    kind: str, field: str, system: str, owner: str, states: tuple[State, State], sides: Sequence[Side]
) -> list[Clash]:
    """What no field covers cannot be compared between systems, and has none."""
    before, now = (fields.value(kind, field, state) for state in states)
    if field == kind or before == now:
        return []
    found = []
    for side in sides:
        theirs = fields.value(kind, field, side.state)
        if owner == system:
            at_odds = theirs and not fields.same(field, theirs, before) and not fields.same(field, theirs, now)
        else:
            at_odds = side.system == owner and not fields.says(kind, field, side.state, now)
        if at_odds:
            found.append(Clash(field, system, owner, side, before, now, theirs))
    return found


def settled(kind: str, clash: Clash, told: Sequence[State]) -> Clash | None:
    """The clash in the light of what the owner told until now, oldest first; None if it is none after all."""
    if clash.other is None:
        return clash
    if clash.by_owner:
        behind = any(fields.says(kind, clash.field, state, clash.theirs) for state in told)
        return None if behind else replace(clash, contested=True)
    agreed = [place for place, state in enumerate(told) if fields.says(kind, clash.field, state, clash.before)]
    on_its_way = told[agreed[-1] + 1 :] if agreed else told
    if any(fields.says(kind, clash.field, state, clash.now) for state in on_its_way):
        return None
    moved_on = bool(agreed) and not fields.same(clash.field, clash.theirs, clash.before)
    return replace(clash, contested=moved_on)


# --- what follows -----------------------------------------------------------------------------------------------------


def trace(kind: str, subject: str, version: str, receipt: int, revert: bool, clashes: Sequence[Clash]) -> Event | None:
    """The fact that both sides changed a field, or (`revert`) that one is taken back, with all values; else None."""
    contested = [clash for clash in clashes if clash.contested]
    kept = contested or [clash for clash in clashes if revert and clash.other]
    if not kept:
        return None
    what, system = "contested" if contested else "reverted", kept[0].system
    return Event(
        id=event_id(system, f"{kind}.{what}", subject, version, str(receipt)),
        type=f"{kind}.{what}",
        source=system,
        subject=subject,
        key=subject,
        time=moment(version),
        correlation=subject,
        data={
            "why": "; ".join(f"{clash.field}: the value of its owner, {clash.owner}, stands" for clash in kept),
            what: [_as_data(clash) for clash in kept],
        },
    )


def _as_data(clash: Clash) -> dict[str, Any]:
    values = {clash.system: clash.now} | ({clash.other.system: clash.theirs} if clash.other else {})
    decided = f"the value of {clash.owner} stands"
    return {"field": clash.field, "owner": clash.owner, "before": clash.before, "values": values, "decided": decided}


def question(kind: str, subject: str, clashes: Sequence[Clash]) -> Outcome:
    """What a person is told of a change by a system that does not own what it changed."""
    system, owners = clashes[0].system, sorted({clash.owner for clash in clashes})
    if clashes[0].other is None:
        words = f"{system} told of {subject}, but {owners[0]} owns every {kind}. Nobody else was told."
    else:
        words = " ".join(
            f"{system} changed {_shown(c.before)} to {_shown(c.now)} in the field {c.field} of {subject}; "
            f"{c.owner} owns it and says {_shown(c.theirs)}{', which it had changed too' if c.contested else ''}."
            for c in clashes
        )
        words += " Nobody else was told."
    advice = f"Make the change in {' and '.join(owners)}, or put it back in {system}. "
    return rejected(NOT_THE_OWNER, words, advice + "Who owns what stands under owners in the blueprint.")


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "") else json.dumps(value, ensure_ascii=False)
