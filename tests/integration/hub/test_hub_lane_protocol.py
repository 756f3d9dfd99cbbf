"""The lane protocol against a model of it: whatever workers do, in whatever order, whether their leases run or not.

The model holds the queue of each lane, which claim has it, and when it is due. After every step the tables must say
the same, so that a step that should change nothing is seen to change nothing. Time goes on by moving what the tables
say of it. COUNTERFOIL_EXAMPLES=n plays n runs by chance instead of the same few, and shrinks what it finds.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test
from tests.conftest import ON_POSTGRESQL, migrate, postgres
from tests.fakes import ERP

from counterfoil.hub import claiming, lanes, schema
from counterfoil.hub.claiming import Work
from counterfoil.hub.lanes import Fenced, LaneKey, NewDelivery, Settled
from counterfoil.hub.store import Store

EXAMPLES = int(os.environ.get("COUNTERFOIL_EXAMPLES") or 0)
SETTINGS = settings(
    max_examples=EXAMPLES or 30,
    stateful_step_count=30,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    phases=list(Phase) if EXAMPLES else [Phase.generate],  # to shrink a failure takes minutes
    suppress_health_check=list(HealthCheck),
)
UNTIL_FOUND = settings(SETTINGS, max_examples=100, derandomize=True, phases=[Phase.generate])

pytestmark = pytest.mark.timeout(300)

STREAM = "order"
KEYS = "aBcD"  # in another order where the database does not sort by bytes
HOUR = 3600.0
HELD = math.inf

Kind = tuple[str, str, str]
"""Operation, subject and source of the event: of one kind are the deliveries of a run that coalesces."""
KINDS: list[Kind] = [
    ("accept_order", "x", "shop"),
    ("cancel_order", "x", "shop"),
    ("publish_stock", "x", "shop"),
    ("publish_stock", "x", "erp"),
    ("publish_stock", "y", "shop"),
]
COALESCING = frozenset({"publish_stock"})

Outcome = tuple["Hand", str, int]
"""What comes of a hand: its fate, and in how many hours the lane is due again."""


@dataclass(frozen=True)
class Hand:
    """A lane as a worker once claimed it, to act upon for as long as it likes, lease or no lease."""

    claim: int
    lane: LaneKey
    token: str
    numbers: tuple[int, ...]  # of the deliveries that are over when it is done


Grip = tuple[Hand, ...]
"""All that one claim brought."""


@dataclass
class Line:
    """A lane as it should be; times in hours of the model."""

    due: float
    waiting: list[int] = field(default_factory=list)
    claim: int | None = None
    lease_until: float = 0.0


@dataclass(frozen=True)
class Place:
    """An open store and the loop it lives on."""

    runner: asyncio.Runner
    store: Store
    broke: list[Exception] = field(default_factory=list)

    def do(self, what: Coroutine[Any, Any, Any]) -> Any:
        """Run it to its end; what broke is remembered, as a deadlock does not come again when it is tried again."""
        try:
            return self.runner.run(what)
        except Exception as error:
            self.broke.append(error)
            raise


@pytest.fixture
def place(store_url: str) -> Iterator[Place]:
    with asyncio.Runner() as runner:
        opened = Store(store_url)
        yield Place(runner, opened)
        runner.run(opened.close())


def lane_of(key: str) -> LaneKey:
    return (ERP, STREAM, key)


STRANGER = Hand(0, lane_of("z"), "no token", (0,))
"""Somebody who claimed nothing, in a lane that never was."""

Several = list[tuple[Grip, int]]


def hand_of(grip: Grip, which: int) -> Hand:
    return grip[which % len(grip)] if grip else STRANGER


def hands_of(several: Several) -> list[Hand]:
    return [hand_of(grip, which) for grip, which in several]


hours = st.integers(0, 2)
whichever = st.integers(0, len(KEYS) - 1)
fates = st.sampled_from(["done", "retry", "parked", "held"])
orders = st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(KINDS)), max_size=4)


class LaneProtocol(RuleBasedStateMachine):
    """Workers that queue, claim, renew, acknowledge and give back, a person, and time."""

    # All claims there ever were: a worker that stalled comes back with what it had. One entry a claim, whatever it
    # brought, as that is chance when several claim at once.
    grips = Bundle("grips")
    several = st.lists(st.tuples(grips, whichever), max_size=3)
    outcomes = st.lists(st.tuples(grips, whichever, fates, hours), max_size=2)

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.store, self.do = place.store, place.do
        self.hour = 0
        self.lines: dict[LaneKey, Line] = {}
        self.kinds: dict[int, Kind] = {}  # of all deliveries ever queued, by number
        self.attempts: dict[int, int] = {}
        self.ids: dict[int, int] = {}
        self.over: set[int] = set()
        self.claims = itertools.count(1)
        self.tokens: dict[int, str] = {}
        self.do(self._begin())

    async def _begin(self) -> None:
        row = dict.fromkeys(("type", "subject", "key", "correlation"), "x")
        async with self.store.write() as connection:
            for table in (schema.lane, schema.delivery, schema.event):
                await connection.execute(sa.delete(table))
            for source in ("shop", "erp"):
                event = {**row, "id": source, "source": source, "time": 0, "recorded_at": 0, "data": {}}
                await connection.execute(sa.insert(schema.event).values(event))

    # --- what the tables say ----------------------------------------------------------------------------------------

    async def _tables(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Lanes and, in order, their deliveries, in the words of the model."""
        lane, delivery, now = schema.lane, schema.delivery, self.store.now
        due = sa.case((lane.c.due_at >= schema.HELD, "held"), (lane.c.due_at <= now, "due"), else_="later")
        lease = sa.case((lane.c.lease_until < now, "over"), (lane.c.lease_until.is_not(None), "runs"))
        async with self.store.read() as connection:
            lanes_ = await connection.execute(sa.select(lane.c.key, lane.c.n, lane.c.token, lane.c.worker, due, lease))
            found = {row[0]: tuple(row[1:]) for row in lanes_}
            rows = (await connection.execute(sa.select(delivery).order_by(delivery.c.id))).all()
        queues: dict[str, list[Any]] = {}
        for row in rows:
            number = round((row.promise_by - row.created_at) / HOUR)  # each is promised within so many hours
            assert self.ids.setdefault(number, row.id) == row.id
            queues.setdefault(row.key, []).append((number, row.operation, row.subject, row.event_id, row.attempt))
        assert len(set(self.ids.values())) == len(self.ids), "an id was used twice"
        return found, queues

    @invariant()
    def the_tables_say_what_the_model_says(self) -> None:
        """Nothing is lost, doubled or out of order, `n` counts, and who may act and when is as it should be."""
        found, queues = self.do(self._tables())
        assert queues == {
            key[2]: [(n, *self.kinds[n], self.attempts[n]) for n in line.waiting] for key, line in self.lines.items()
        }
        assert found == {key[2]: self._row(line) for key, line in self.lines.items()}

    def _row(self, line: Line) -> tuple[Any, ...]:
        due = "held" if line.due == HELD else "due" if line.due <= self.hour else "later"
        if line.claim is None:
            return (len(line.waiting), None, None, due, None)
        lease = "over" if line.lease_until < self.hour else "runs"
        return (len(line.waiting), self.tokens[line.claim], f"worker-{line.claim}", due, lease)

    # --- queueing ---------------------------------------------------------------------------------------------------

    def _new(self, wanted: Iterable[tuple[str, Kind]]) -> list[tuple[int, NewDelivery]]:
        made = []
        for key, kind in wanted:
            number = len(self.kinds) + 1
            self.kinds[number], self.attempts[number] = kind, 0
            operation, subject, source = kind
            within = number * HOUR
            made.append((number, NewDelivery(ERP, STREAM, key, operation, subject, source, within=within)))
        return made

    def _queued(self, new: Iterable[tuple[int, NewDelivery]]) -> None:
        for number, delivery in new:
            self.lines.setdefault(delivery.lane, Line(self.hour)).waiting.append(number)

    @rule(wanted=orders)
    def queue(self, wanted: list[tuple[str, Kind]]) -> None:
        new = self._new(wanted)
        self.do(self._enqueue([delivery for _, delivery in new]))
        self._queued(new)

    async def _enqueue(self, new: Sequence[NewDelivery]) -> None:
        async with self.store.write() as connection:
            await lanes.enqueue(connection, self.store, new)

    # --- claiming ---------------------------------------------------------------------------------------------------

    def _claimable(self) -> dict[LaneKey, Line]:
        return {key: line for key, line in self.lines.items() if line.claim is None and line.due <= self.hour}

    def _first(self, line: Line, deep: bool) -> list[tuple[int, ...]]:
        """What a claim must bring of this lane: the numbers of each work, those it answers for before its own."""
        if deep:
            return [(number,) for number in line.waiting[:3]]
        kind = self.kinds[line.waiting[0]]
        run = 1
        while kind[0] in COALESCING and run < len(line.waiting) and self.kinds[line.waiting[run]] == kind:
            run += 1
        return [tuple(line.waiting[:run])]

    async def _claim(self, claim: int, most: int, lease: float, deep: bool = False) -> list[Work]:
        more: dict[str, Any] = {"depth": 3} if deep else {"coalescing": COALESCING}
        return await claiming.claim(self.store, f"worker-{claim}", ERP, STREAM, most, lease * HOUR, **more)

    def _claimed(self, claim: int, works: list[Work], lease: float, deep: bool = False) -> Grip:
        """What was handed out is what is first in a lane that was free and due; note that it is."""
        hands: list[Hand] = []
        claimable = self._claimable()
        numbers = {id_: number for number, id_ in self.ids.items()}
        for key in {w.lane: w for w in works}:
            mine = [w for w in works if w.lane == key]
            assert key in claimable, "a lane was claimed that is taken, waits or is held"
            got = [tuple(numbers[i] for i in w.all_ids) for w in mine]
            assert got == self._first(claimable[key], deep), "what is carried out next is not the first of its lane"
            assert not self.over & {n for each in got for n in each}, "acknowledged, and handed out again"
            assert [w.attempt for w in mine] == [self.attempts[each[0]] + 1 for each in got]
            (self.tokens[claim],) = {w.token for w in works}
            claimable[key].claim, claimable[key].lease_until = claim, self.hour + lease
            hands.append(Hand(claim, key, mine[0].token, tuple(n for each in got for n in each)))
        return tuple(hands)

    @rule(target=grips, most=st.integers(1, 4), lease=hours, deep=st.booleans())
    def claim(self, most: int, lease: int, deep: bool) -> Grip:
        """Of what is free and due the lanes that waited longest. A lease of whole hours less a half: never just now."""
        return self._claim_now(most, lease + 0.5, deep)

    def _claim_now(self, most: int, lease: float, deep: bool) -> Grip:
        number = next(self.claims)
        before = {key: line.due for key, line in self._claimable().items()}
        hands = self._claimed(number, self.do(self._claim(number, most, lease, deep)), lease, deep)
        chosen = {hand.lane for hand in hands}
        assert len(chosen) == min(most, len(before)), "free and due, and not handed out"
        left = [due for key, due in before.items() if key not in chosen]
        assert not left or max(before[key] for key in chosen) <= min(left), "not those that waited longest"
        return hands

    @rule(target=grips, most=st.lists(st.integers(1, 3), min_size=2, max_size=3))
    def claim_at_once(self, most: list[int]) -> Any:
        """Several workers at the same moment: no lane goes to two, and they don't all come away with nothing."""
        numbers, there = list(itertools.islice(self.claims, len(most))), bool(self._claimable())
        works = self.do(_together(self._claim(number, n, 0.5) for number, n in zip(numbers, most, strict=True)))
        grips = [self._claimed(number, got, 0.5) for number, got in zip(numbers, works, strict=True)]
        assert any(grips) == there
        return multiple(*grips)

    # --- acknowledging ----------------------------------------------------------------------------------------------

    def _has(self, hand: Hand) -> bool:
        line = self.lines.get(hand.lane)
        return line is not None and line.claim == hand.claim

    def _settled(self, hand: Hand, fate: str, delay: int) -> Settled:
        ids = tuple(self.ids.get(number, 0) for number in hand.numbers)
        match fate:
            case "done":
                return Settled(hand.lane, hand.token, finished=ids, delay=delay * HOUR)
            case "retry":
                return Settled(hand.lane, hand.token, attempted=ids[0], delay=delay * HOUR)
            case "held":
                return Settled(hand.lane, hand.token, attempted=ids[0], held=True)
            case _:
                return Settled(hand.lane, hand.token, delay=delay * HOUR)

    async def _settle(
        self, settled: Sequence[Settled], new: Sequence[NewDelivery] = (), unheld: Collection[LaneKey] = ()
    ) -> None:
        async with self.store.write() as connection:
            await lanes.settle(connection, self.store, settled, new, unheld)

    def _acknowledged(self, hand: Hand, fate: str, delay: int) -> None:
        line = self.lines[hand.lane]
        if fate == "done":
            line.waiting = [number for number in line.waiting if number not in hand.numbers]
            self.over |= set(hand.numbers)
        elif fate != "parked":
            self.attempts[hand.numbers[0]] += 1
        line.claim, line.due = None, HELD if fate == "held" else self.hour + delay

    def _tidied(self) -> None:
        self.lines = {key: line for key, line in self.lines.items() if line.waiting}

    @rule(grip=grips, first=st.tuples(whichever, fates, hours), more=outcomes, wanted=orders, go_on=st.booleans())
    def acknowledge(
        self,
        grip: Grip,
        first: tuple[int, str, int],
        more: list[tuple[Grip, int, str, int]],
        wanted: list[tuple[str, Kind]],
        go_on: bool,
    ) -> None:
        """All of it with the present tokens, else nothing; what follows is queued, and held lanes of it may go on."""
        hands = ((hand_of(grip, which), fate, delay) for grip, which, fate, delay in [*more, (grip, *first)])
        self._acknowledge({outcome[0].lane: outcome for outcome in hands}.values(), wanted, go_on)

    def _acknowledge(
        self, outcomes: Collection[Outcome], wanted: Iterable[tuple[str, Kind]] = (), go_on: bool = False
    ) -> None:
        new = self._new(wanted)
        unheld = {delivery.lane for _, delivery in new} if go_on else set()
        lost = {hand.lane for hand, _, _ in outcomes if not self._has(hand)}
        try:
            self.do(self._settle([self._settled(*outcome) for outcome in outcomes], [d for _, d in new], unheld))
            gone = set()
        except Fenced as fenced:
            gone = fenced.lanes
        assert gone == lost, "somebody without the lane was heard, or who has it was sent away"
        if gone:
            return
        for outcome in outcomes:
            self._acknowledged(*outcome)
        for key in unheld & self.lines.keys():
            if self.lines[key].due == HELD and key not in {hand.lane for hand, _, _ in outcomes}:
                self.lines[key].due = self.hour
        self._queued(new)
        self._tidied()

    @rule(
        orders=st.lists(st.permutations(KEYS), min_size=2, max_size=6),
        grip=grips,
        more=st.lists(grips, max_size=3),
        beating=several,
        alone=st.booleans(),
    )
    def at_once(
        self, orders: list[list[str]], grip: Grip, more: list[Grip], beating: list[tuple[Grip, int]], alone: bool
    ) -> None:
        """All at the same moment, each with the same lanes in another order: no deadlock, and one acknowledgement."""
        batches = [self._new((key, KINDS[0]) for key in order) for order in orders]
        acting = [each or (STRANGER,) for each in [grip, *more]][: len(batches)]
        acts = [(hands, [] if alone else new) for hands, new in zip(acting, batches, strict=False)]
        acts += [((), new) for new in batches[len(acting) :]]
        renewed = {hand.lane: hand for hand in hands_of(beating)}
        beat = lanes.heartbeat(self.store, {key: hand.token for key, hand in renewed.items()}, 1.5 * HOUR)
        ended = self.do(_together([*(self._queue_or_settle(*act) for act in acts), beat]))[: len(acts)]

        theirs = {hand for hands in acting for hand in hands if self._has(hand)}
        for hand in renewed.values():
            if self._has(hand):
                self.lines[hand.lane].lease_until = self.hour + 1.5
        for hand in (hand for (hands, _), lost in zip(acts, ended, strict=True) if not lost for hand in hands):
            assert hand in theirs, "somebody without the lane was heard, or was heard twice"
            theirs.remove(hand)
            self._acknowledged(hand, "done", 0)
        for (hands, _), lost in zip(acts, ended, strict=True):
            assert not lost & {hand.lane for hand in hands if hand in theirs}, "who has the lane was sent away"
        self._tidied()
        before = {key: list(line.waiting) for key, line in self.lines.items()}
        self._queued(each for (_, new), lost in zip(acts, ended, strict=True) if not lost for each in new)
        _, queues = self.do(self._tables())
        for key, line in self.lines.items():  # who came first in a lane is chance, but behind what was there
            now, was = [row[0] for row in queues[key[2]]], before.get(key, [])
            assert now[: len(was)] == was
            assert sorted(now) == sorted(line.waiting)
            line.waiting = now

    async def _queue_or_settle(self, hands: Grip, new: list[tuple[int, NewDelivery]]) -> set[LaneKey]:
        """The lanes that were lost."""
        deliveries = [delivery for _, delivery in new]
        if not hands:
            await self._enqueue(deliveries)
            return set()
        try:
            await self._settle([self._settled(hand, "done", 0) for hand in hands], deliveries)
        except Fenced as fenced:
            return fenced.lanes
        return set()

    # --- leases, waiting, people ------------------------------------------------------------------------------------

    @rule(grip=grips, more=several, delay=hours)
    def give_back(self, grip: Grip, more: Several, delay: int) -> None:
        """Untouched; from who lost the lane it is not taken."""
        hands = {hand.lane: hand for hand in [*hands_of(more), *grip]}
        self.do(lanes.release(self.store, {key: hand.token for key, hand in hands.items()}, delay * HOUR))
        for key, hand in hands.items():
            if self._has(hand):
                self.lines[key].claim, self.lines[key].due = None, self.hour + delay

    @rule(grip=grips, more=several, lease=hours)
    def renew(self, grip: Grip, more: Several, lease: int) -> None:
        """A heart that beats too late renews nothing of another's."""
        hands = {hand.lane: hand for hand in [*hands_of(more), *grip]}
        tokens = {key: hand.token for key, hand in hands.items()}
        self.do(lanes.heartbeat(self.store, tokens, (lease + 0.5) * HOUR))
        for key, hand in hands.items():
            if self._has(hand):
                self.lines[key].lease_until = self.hour + lease + 0.5

    @rule(passed=st.integers(1, 3))
    def time_goes_on(self, passed: int) -> None:
        self.do(self._time_goes_on(passed * HOUR))
        self.hour += passed

    async def _time_goes_on(self, seconds: float) -> None:
        lane = schema.lane
        async with self.store.write() as connection:
            due_at = sa.case((lane.c.due_at < schema.HELD, lane.c.due_at - seconds), else_=lane.c.due_at)
            await connection.execute(sa.update(lane).values(lease_until=lane.c.lease_until - seconds, due_at=due_at))

    @rule(everyone=st.booleans())
    def reclaim(self, everyone: bool) -> None:
        """What leases that ran out held is free, and due as it was."""
        taken = [line for line in self.lines.values() if line.claim is not None]
        freed = [line for line in taken if everyone or line.lease_until < self.hour]
        assert self.do(lanes.reclaim(self.store, everyone)) == len(freed)
        for line in freed:
            line.claim = None

    @rule(target=grips, grip=grips, which=whichever, taken=st.booleans(), fate=fates)
    def stall(self, grip: Grip, which: int, taken: bool, fate: str) -> Grip:
        """A worker sleeps past its lease, others may have the lane by then, and it goes on: that counts for nothing."""
        hand, others = hand_of(grip, which), ()
        if self._has(hand):
            self.do(self._lease_ends(hand.lane))
            self.lines[hand.lane].lease_until = self.hour - 0.5
            self.reclaim(False)
            others = self._claim_now(len(KEYS), 0.5, True) if taken else ()
        self._acknowledge([(hand, fate, 0)])
        return others

    async def _lease_ends(self, key: LaneKey) -> None:
        async with self.store.write() as connection:
            ended = sa.update(schema.lane).filter_by(key=key[2]).values(lease_until=self.store.now - HOUR / 2)
            await connection.execute(ended)

    @rule(key=st.sampled_from(KEYS), skip=st.booleans())
    def a_person_acts(self, key: str, skip: bool) -> None:
        """On a lane that is held: its first delivery is tried again, or taken out."""
        line = self.lines.get(lane_of(key))
        if line is None or line.due != HELD:
            return
        finished = line.waiting[:1] if skip else []
        self.do(self._unhold(lane_of(key), [self.ids[number] for number in finished]))
        self.over |= set(finished)
        line.waiting, line.due = line.waiting[len(finished) :], self.hour
        self._tidied()

    async def _unhold(self, key: LaneKey, finished: Sequence[int]) -> None:
        async with self.store.write() as connection:
            await lanes.unhold(connection, self.store, key, finished)

    @rule()
    def all_comes_to_an_end(self) -> None:
        """Whatever state it is in: with time and a person, one worker finishes everything there is."""
        self.time_goes_on(10)
        self.reclaim(False)
        for key in KEYS:
            self.a_person_acts(key, False)
        while self.lines:
            for hand in self._claim_now(len(KEYS), 0.5, True):
                self._acknowledge([(hand, "done", 0)])
        assert self.over == self.ids.keys()
        assert self.do(self._tables()) == ({}, {})


async def _together(acts: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    """All at the same moment; the first that broke is raised when all have ended."""
    ended = await asyncio.gather(*acts, return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return ended


# --- the protocol, and what becomes of it without one of its parts ----------------------------------------------------


def test_the_protocol_holds(place: Place) -> None:
    """Order per key, one holder, nothing lost, nothing twice, nobody heard without the lane. case: F11, F13"""
    run_state_machine_as_test(lambda: LaneProtocol(place), settings=SETTINGS)


@pytest.fixture
def sorting_place() -> Iterator[Place]:
    """A database that sorts as people do, as most are made: `a` before `B`."""
    name = f"counterfoil_test_{os.getpid()}_sorting"
    made = f"create database \"{name}\" template template0 encoding utf8 locale_provider icu icu_locale 'en-US'"
    url = postgres("url", name)
    postgres("psql", "postgres", "-qc", made)
    try:
        migrate(url)
        with asyncio.Runner() as runner:
            opened = Store(url)
            yield Place(runner, opened)
            runner.run(opened.close())
    finally:
        postgres("dropdb", name)


@pytest.mark.postgres
def test_the_protocol_holds_in_a_database_that_sorts_as_people_do(sorting_place: Place) -> None:
    """Lanes are locked in one order, whoever sorts: the database or we."""
    run_state_machine_as_test(lambda: LaneProtocol(sorting_place), settings=SETTINGS)


Break = Callable[[pytest.MonkeyPatch], None]


def without_the_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lanes, "_check_tokens", lambda *_: None)


def one_token_for_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claiming, "secrets", SimpleNamespace(token_hex=lambda _: "same"))


def lanes_in_any_order(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lanes, "sorted", list, raising=False)


@pytest.mark.parametrize("broken", [without_the_fence, one_token_for_all])
def test_without_fence_or_token_somebody_is_heard_who_must_not_be(
    place: Place, monkeypatch: pytest.MonkeyPatch, broken: Break
) -> None:
    broken(monkeypatch)
    with pytest.raises((AssertionError, LookupError, Flaky)):
        run_state_machine_as_test(lambda: LaneProtocol(place), settings=UNTIL_FOUND)


@ON_POSTGRESQL
def test_without_sorted_locks_there_is_a_deadlock(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite there is one writer at a time, and so no ring to wait in."""
    lanes_in_any_order(monkeypatch)
    with pytest.raises((sa.exc.DBAPIError, Flaky)):
        run_state_machine_as_test(lambda: LaneProtocol(place), settings=UNTIL_FOUND)
    assert any("deadlock detected" in str(error) for error in place.broke)
