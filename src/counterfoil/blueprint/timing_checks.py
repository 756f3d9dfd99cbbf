"""Whether promises and timing classes fit the rest of the blueprint, and can be met by what its systems tell.

Pure functions over what was read. Problems make a blueprint unusable, warnings do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from counterfoil.blueprint.calendars import FARTHEST
from counterfoil.blueprint.catalogue import Catalogue
from counterfoil.blueprint.check import Draft, operation_of, set_off_by, sources_of
from counterfoil.blueprint.model import HUB_ASK, Flow, System
from counterfoil.blueprint.problems import Path, Problem, choice, nearest, quoted
from counterfoil.blueprint.promising import Promise
from counterfoil.blueprint.timing import NEAR_REAL_TIME, REAL_TIME, Timing, timing_of
from counterfoil.blueprint.values import format_duration
from counterfoil.blueprint.yamlread import Source
from counterfoil.retail.events import OWN

_WHEN, _WHERE = ("schedule", "window", "cut_off"), ("calendar", "zone")
_CLASSES = {"real-time": REAL_TIME, "near-real-time": NEAR_REAL_TIME}


def problems(draft: Draft, known: Catalogue, source: Source, now: datetime) -> list[Problem]:
    """Everything that makes promises and timings unfit for use. `now` is an aware time."""
    return [
        *_promise_ends(draft, known, source, now),
        *_brought_about_by_nobody(draft, known, source),
        *_timings(draft, source, now),
    ]


def warnings(draft: Draft, known: Catalogue, source: Source, now: datetime) -> list[Problem]:
    """Promises and timings that can hardly be met, and calendars that have run out."""
    return [
        *_too_slow_feeds(draft, known, source),
        *_too_slow_runs(draft, source, now),
        *_behind_waiting_flows(draft, known, source),
        *_too_slow_for_promises(draft, known, source, now),
        *_calendars_run_out(draft, source, now),
    ]


# --- problems -----------------------------------------------------------------------------------------------------


def _promise_ends(draft: Draft, known: Catalogue, source: Source, now: datetime) -> Iterator[Problem]:
    for name, promise in draft.promises.items():
        path: Path = ("promises", name)
        for place, event in _named(path, promise, source):
            if event not in known.events:
                hint = nearest(event, known.events)
                yield source.problem(place, f"an event: {choice(known.events)}", quoted(event), hint)
        for key in ("expect", "unless"):
            if promise.after in getattr(promise, key):
                yield source.problem((*path, key), f"other events than {promise.after}, after which it is promised")
        if both := sorted(set(promise.expect) & set(promise.unless)):
            hint = f"{both[0]} cannot both keep the promise and end it"
            yield source.problem((*path, "unless"), "other events than those under expect", quoted(both[0]), hint)
        if promise.from_ is not None and promise.from_ not in draft.systems:
            hint = nearest(promise.from_, draft.systems)
            yield source.problem((*path, "from"), f"a declared system: {choice(draft.systems)}", hint=hint)
        if promise.calendar is not None:
            yield from _calendar((*path, "calendar"), promise.calendar, draft, source)
            yield from _beyond_the_calendar((*path, "within"), promise, draft, source, now)


def _named(path: Path, promise: Promise, source: Source) -> Iterator[tuple[Path, str]]:
    yield (*path, "after"), promise.after
    for key in ("expect", "unless"):
        many = isinstance(source.at((*path, key)), list)
        for number, event in enumerate(getattr(promise, key)):
            yield (*path, key, number) if many else (*path, key), event


def _calendar(path: Path, name: str, draft: Draft, source: Source) -> Iterator[Problem]:
    if name not in draft.calendars and source.at(("calendars", name)) is None:  # else it could not be read
        expected = f"a declared calendar: {choice(draft.calendars)}" if draft.calendars else "a declared calendar"
        hint = nearest(name, draft.calendars) or ("" if draft.calendars else "declare it under calendars")
        yield source.problem(path, expected, hint=hint)


def _beyond_the_calendar(
    path: Path, promise: Promise, draft: Draft, source: Source, now: datetime
) -> Iterator[Problem]:
    calendar = draft.calendars.get(promise.calendar or "")
    if calendar is None:
        return
    due = calendar.hours.add(now.timestamp(), promise.within.total_seconds())
    if due > now.timestamp() + (FARTHEST - 10) * 86400:
        hint = f"{promise.calendar} is not open for so long in ten years: only its open hours count"
        yield source.problem(path, "a time that comes", hint=hint)


def _brought_about_by_nobody(draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    if _somebody_unknown(draft, known):
        return
    for name, promise in draft.promises.items():
        path: Path = ("promises", name)
        for key, events in (("after", (promise.after,)), ("expect", promise.expect)):
            brought = set(events) & OWN or any(_ways(event, draft, known) for event in events)
            if brought or not set(events) & set(known.events):
                continue
            shown = " or ".join(events)
            expected = "an event that a declared system reports or a flow brings about"
            hint = "the promise would never be made" if key == "after" else "nothing could ever keep the promise"
            yield source.problem((*path, key), expected, quoted(shown), f"{hint}: add the flow, or name another event")


def _somebody_unknown(draft: Draft, known: Catalogue) -> bool:
    """Whether there is a system of which nobody can say what it reports."""
    connectors = [known.connectors.get(system.connector) if system else None for system in draft.systems.values()]
    return not all(connector and connector.events for connector in connectors)


def _ways(event: str, draft: Draft, known: Catalogue) -> list[System | Flow]:
    """What can bring an event about: systems that report it, flows that emit it."""
    reported = [
        system
        for system in draft.systems.values()
        if system and (known_as := known.connectors.get(system.connector)) and known_as.reports(event, system.settings)
    ]
    emitted = [f for f in draft.flows.values() if (made := operation_of(f, draft, known)) and event in made.emits]
    return [*reported, *emitted]


def _timings(draft: Draft, source: Source, now: datetime) -> Iterator[Problem]:
    for index, flow in draft.flows.items():
        row = draft.row(index)
        written = source.at(row)
        if any(written.get(key) is not None and getattr(flow, key) is None for key in ("timing", *_WHEN, *_WHERE)):
            continue  # it could not be read, and was told already
        when = [key for key in _WHEN if getattr(flow, key) is not None]
        where = [key for key in _WHERE if getattr(flow, key) is not None]
        if flow.timing == "real-time" and when:
            hint = f"with a {when[0]} it has to wait"
            yield source.problem((*row, "timing"), "near-real-time or batch", hint=hint)
        elif flow.schedule and flow.timing != "batch":
            yield source.problem((*row, "schedule"), "timing: batch beside it", "a schedule without it")
        elif flow.timing == "batch" and not (flow.schedule or flow.window):
            yield source.problem((*row, "timing"), 'a schedule such as "0 22 * * *", or a window, beside batch')
        elif when == ["cut_off"]:
            hint = "what comes later waits for the next run or window"
            yield source.problem((*row, "cut_off"), "a schedule or a window beside it", hint=hint)
        elif when and len(where) != 1:
            found = "both" if where else "neither"
            yield source.problem((*row, when[0]), "either a calendar or a zone beside it", found, "zone: Europe/Paris")
        elif where and not when:
            yield source.problem((*row, where[0]), "a schedule or a window beside it", f"a {where[0]} alone")
        elif flow.calendar is not None and flow.calendar not in draft.calendars:
            yield from _calendar((*row, "calendar"), flow.calendar, draft, source)
        elif (timing := timing_of(flow, draft.calendars)) and not timing.is_ever(now.timestamp()):
            hint = "none of its runs is in the window, or on a working day"
            yield source.problem((*row, "schedule"), "runs that take place", hint=hint)


# --- warnings -----------------------------------------------------------------------------------------------------


def _timing(flow: Flow, draft: Draft) -> Timing | None:
    ready = (flow.calendar is None or flow.calendar in draft.calendars) and (flow.calendar or flow.zone)
    return timing_of(flow, draft.calendars) if ready else None


def _slow_feed(system: System, known: Catalogue) -> tuple[timedelta, str]:
    """How long it may take until the system is heard, and what to do about it; nothing where it sends webhooks."""
    connector = known.connectors[system.connector]
    hears = connector.webhook_setting
    if hears is not None and hears in system.settings:
        return timedelta(0), ""
    hint = f"{system.name} is only polled: shorten its poll" + (", or let it send webhooks" if hears else "")
    return system.poll or connector.poll, hint


def _too_slow_feeds(draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    for index, flow in draft.flows.items():
        told = _CLASSES.get(flow.timing or "")
        for system in sources_of(flow, draft, known) if told else ():
            poll, hint = _slow_feed(system, known)
            if told and poll > told:
                expected = f"a poll of {system.name} of at most {format_duration(told)}, not {format_duration(poll)}"
                yield source.problem(draft.row(index, "timing"), expected, hint=hint)


def _too_slow_runs(draft: Draft, source: Source, now: datetime) -> Iterator[Problem]:
    for index, flow in draft.flows.items():
        timing = _timing(flow, draft) if flow.within is not None else None
        if timing is not None and flow.within is not None:
            wait = _whole(timing.longest_wait(now.timestamp()))
            if flow.within < wait:
                expected = f"at least {format_duration(wait)}, the longest wait for its time"
                yield source.problem(draft.row(index, "within"), expected, hint="what waits for its time counts too")


def _behind_waiting_flows(draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    """Nothing overtakes in a lane: what is at once there waits behind what has to wait."""
    waiting = {
        (flow.system, operation.stream): flow
        for flow in draft.flows.values()
        if (flow.schedule or flow.window) and (operation := operation_of(flow, draft, known))
    }
    for index, flow in draft.flows.items():
        operation = operation_of(flow, draft, known)
        ahead = waiting.get((flow.system, operation.stream)) if operation else None
        if ahead is not None and flow.do != HUB_ASK and not (flow.schedule or flow.window):
            hint = f"it waits behind {ahead.on} → {ahead.do} of the same thing, as nothing overtakes"
            found = f"{flow.on} → {flow.do}, which is done at once"
            yield source.problem(draft.row(index, "do"), "the same timing in one stream", found, hint)


def _too_slow_for_promises(draft: Draft, known: Catalogue, source: Source, now: datetime) -> Iterator[Problem]:
    if _somebody_unknown(draft, known):
        return
    for name, promise in draft.promises.items():
        ways = [_time_of(way, draft, known, now) for event in promise.expect for way in _ways(event, draft, known)]
        told = [way for way in _ways(promise.after, draft, known) if isinstance(way, System)]
        own = [system for system in told if system.name == promise.from_]
        begins = [_slow_feed(s, known) for s in own or told if set_off_by(_as_flow(promise), s.name, draft, known)]
        # of several ways to keep it one that is quick enough will do; what begins it may be any
        slow = [min(ways, default=(timedelta(0), "")), max(begins, default=(timedelta(0), ""))]
        for takes, hint in slow:
            if takes > promise.within:
                yield source.problem(("promises", name, "within"), f"at least {format_duration(takes)}", hint=hint)
                break


def _as_flow(promise: Promise) -> Flow:
    return Flow(on=promise.after, from_=promise.from_, do=HUB_ASK)


def _time_of(way: System | Flow, draft: Draft, known: Catalogue, now: datetime) -> tuple[timedelta, str]:
    """How long it may take until an event is known that a system reports or a flow brings about, and what helps."""
    if isinstance(way, System):
        return _slow_feed(way, known)
    timing = _timing(way, draft)
    wait = _whole(timing.longest_wait(now.timestamp())) if timing else timedelta(0)
    return wait, f"{way.on} → {way.do} waits so long for its time"


def _whole(seconds: float) -> timedelta:
    """In whole minutes, rounded up."""
    return timedelta(minutes=-(-seconds // 60))


def _calendars_run_out(draft: Draft, source: Source, now: datetime) -> Iterator[Problem]:
    for name, calendar in draft.calendars.items():
        dated = [day for day in calendar.closed if len(day) > 5]
        if dated and max(dated) < f"{now:%Y-%m-%d}":
            hint = "add those to come, or write 12-25 for every year"
            yield source.problem(("calendars", name, "closed"), "closed days that are still to come", max(dated), hint)
