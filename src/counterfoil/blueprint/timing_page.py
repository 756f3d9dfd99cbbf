"""The parts of the page that say what is promised, and when what may wait is done."""

from __future__ import annotations

from counterfoil.blueprint.model import Blueprint
from counterfoil.blueprint.page import Block, section
from counterfoil.blueprint.values import format_duration

_TIMING_HEAD = ("When", "Do", "Timing", "Runs (minute hour day month weekday)", "Window", "Cut-off", "Days and zone of")
_PROMISE_HEAD = ("Promise", "After", "Expected", "Within", "Counted in", "Needless after", "Who looks after it")
_CALENDAR_HEAD = ("Calendar", "Zone", "Open", "Closed")


def timing_and_promises(blueprint: Blueprint) -> list[Block]:
    """The flows that say when, the promises and the calendars; nothing where there are none."""
    timed = [flow for flow in blueprint.flows if flow.timing or flow.schedule or flow.window]
    timings = [
        (
            *(flow.on, flow.do, flow.timing or "", flow.schedule or "", flow.window or "", flow.cut_off or ""),
            flow.calendar or flow.zone or "",
        )
        for flow in timed
    ]
    owner = blueprint.exceptions.owner_of("promise_missed")
    promises = [
        (
            *(name, p.after + (f" at {p.from_}" if p.from_ else ""), " or ".join(p.expect), format_duration(p.within)),
            *(f"open hours of {p.calendar}" if p.calendar else "all hours", " or ".join(p.unless), p.owner or owner),
        )
        for name, p in blueprint.promises.items()
    ]
    calendars = [
        (name, c.zone, ", ".join(f"{days} {' '.join(spans)}" for days, spans in c.open.items()), ", ".join(c.closed))
        for name, c in blueprint.calendars.items()
    ]
    return [
        *section("When flows are done", _TIMING_HEAD, timings),
        *section("Promises", _PROMISE_HEAD, promises),
        *section("Calendars", _CALENDAR_HEAD, calendars),
    ]
