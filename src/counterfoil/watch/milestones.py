"""Promises between milestones: which facts make, keep and end them, and what is to be said of one that was missed.

Pure. Times are seconds since the epoch; what a promise took is in promise time: the open hours of its calendar, where
it has one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from counterfoil.blueprint import Blueprint, format_duration
from counterfoil.blueprint.calendars import Hours
from counterfoil.hub.contract import Kind, Outcome
from counterfoil.retail.events import Event, at_utc

REASON = "promise_missed"
NEWS = 30 * 86400.0
"""A business time that is older than this when it is heard of, or lies ahead, is a clock gone wrong."""
NEAR = 600.0
"""Seconds for which a fact that was heard of before the one that makes the promise still counts for it."""
KEPT, LATE, VOID = "kept", "late", "void"


@dataclass(frozen=True, slots=True)
class Rule:
    """A promise of the blueprint, ready to be applied. `within` in seconds; `hours` None: all hours count."""

    name: str
    after: str
    source: str | None
    expect: frozenset[str]
    unless: frozenset[str]
    within: float
    owner: str
    words: str
    hours: Hours | None = None

    def due(self, began: float) -> float:
        """By when it must have happened."""
        return self.hours.add(began, self.within) if self.hours else began + self.within

    def took(self, began: float, ended: float) -> float:
        """The promise time in between."""
        return self.hours.between(began, ended) if self.hours else max(0.0, ended - began)


@dataclass(slots=True)
class Promised:
    """One promise about one subject; `id` is its row's, None where there is none yet."""

    name: str
    subject: str
    event_id: str
    began_at: float
    due_at: float
    id: int | None = None
    missed_at: float | None = None
    ended_at: float | None = None
    ended_as: str | None = None
    took: float | None = None
    ended_by: str = ""  # the type of the event


def rules_of(blueprint: Blueprint) -> dict[str, Rule]:
    """The promises of the blueprint by name."""
    found = {}
    for name, promise in blueprint.promises.items():
        calendar = f" of {promise.calendar}'s open hours" if promise.calendar else ""
        found[name] = Rule(
            name,
            promise.after,
            promise.from_,
            frozenset(promise.expect),
            frozenset(promise.unless),
            promise.within.total_seconds(),
            promise.owner or blueprint.exceptions.owner_of(REASON),
            f"{' or '.join(promise.expect)} within {format_duration(promise.within)}{calendar} of {promise.after}",
            blueprint.calendars[promise.calendar].hours if promise.calendar else None,
        )
    return found


def happened(told: float, heard: float) -> float:
    """When a fact happened that its source dates to `told`.

    Business time counts: an outage of ours does not make a customer wait less. But what is said to lie ahead, or more
    than NEWS back, comes from a clock that is off, and then the moment we heard of it is the best there is.
    """
    return told if heard - NEWS <= told <= heard else heard


class Milestones:
    """The rules by the events they are about."""

    def __init__(self, rules: Mapping[str, Rule]) -> None:
        self.rules = rules
        self._making: dict[str, list[Rule]] = defaultdict(list)
        self._ending: dict[str, list[Rule]] = defaultdict(list)
        for rule in rules.values():
            self._making[rule.after].append(rule)
            for event in rule.expect | rule.unless:
                self._ending[event].append(rule)
        self.named = frozenset(self._making) | frozenset(self._ending)

    def follow(self, events: Iterable[Event], known: Iterable[Promised], heard: float) -> list[Promised]:
        """What `events`, in order, do to the open promises `known` of their subjects: those made and those ended."""
        open_ = {(p.name, p.subject): p for p in known}
        changed: list[Promised] = []
        for event in events:
            when = happened(event.time.timestamp(), heard)
            for rule in self._ending.get(event.type, ()):
                promised = open_.pop((rule.name, event.subject), None)
                if promised is not None:
                    end(rule, promised, event.type, when)
                    if promised.id is not None:  # else it is among the changed already
                        changed.append(promised)
            for rule in self._making.get(event.type, ()):
                place = (rule.name, event.subject)
                if place in open_ or rule.source not in (None, event.source, event.subject.split(":", 1)[0]):
                    continue  # the first fact that is not answered yet counts
                open_[place] = Promised(rule.name, event.subject, event.id, when, rule.due(when))
                changed.append(open_[place])
        return changed


def end(rule: Rule, promised: Promised, event: str, when: float) -> None:
    """An event has kept the promise, or made it void."""
    promised.ended_at, promised.ended_by = max(when, promised.began_at), event
    if event in rule.unless:
        promised.ended_as = VOID
        return
    promised.ended_as = KEPT if promised.ended_at <= promised.due_at else LATE
    promised.took = rule.took(promised.began_at, promised.ended_at)


def overlooked(rule: Rule, promised: Promised, facts: Sequence[tuple[str, float]], since: float) -> bool:
    """Whether one of the recorded `facts` (type, time) has ended it without being noticed; then it is ended.

    What was heard of before the fact that made it did not find it: a system may tell of an order's shipment before the
    answer to our own call is kept. `since` is when the promise before it ended: what ended that one is used up.
    """
    after = max(since, promised.began_at - NEAR)
    mine = sorted((when, type_) for type_, when in facts if when > after and type_ in rule.expect | rule.unless)
    if mine:
        end(rule, promised, mine[0][1], mine[0][0])
    return bool(mine)


def missed(rule: Rule, promised: Promised) -> Outcome:
    """What a person is told."""
    began, due = (f"{at_utc(when):%Y-%m-%d %H:%M:%S} UTC" for when in (promised.began_at, promised.due_at))
    kind, _, number = promised.subject.partition(":")[2].partition(":")
    kind = "stock" if kind == "variant" else kind
    return Outcome(
        Kind.REJECTED,
        REASON,
        f"Promised was {rule.words}; that was at {began}, and it has not happened by {due}.",
        suggestion=f"See what it waits for (`counterfoil show {kind} {number}`) and put that right. "
        "This closes by itself once it has happened.",
    )


def closing(promised: Promised) -> str:
    """What is noted on the exception of a promise that ended after it was missed."""
    if promised.ended_as == VOID:
        return f"{promised.ended_by} came: the promise is void"
    if promised.ended_as == KEPT:
        return f"{promised.ended_by} had happened in time, and was heard of late"
    late = format_duration_of((promised.ended_at or 0.0) - promised.due_at)
    return f"{promised.ended_by} has happened after all, {late} late"


def format_duration_of(seconds: float) -> str:
    """As exact as a reader needs it: `3.2 s`, `4 min`, `2.5 h`, `3.1 d`."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
