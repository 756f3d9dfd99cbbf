"""The section `drift`: when counts and totals are compared between the systems, what of them, what is made even."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from counterfoil.blueprint.calendars import A_ZONE, Zone, moment, zone_of
from counterfoil.blueprint.problems import Problem
from counterfoil.blueprint.values import A_DURATION, Part, Remedy, Wait, each_once, format_duration
from counterfoil.blueprint.yamlread import Source

Compared = Literal["orders", "stock", "prices", "customers"]
_ALL: tuple[Compared, ...] = get_args(Compared)
_NAMES = f"a list of {', '.join(_ALL)}"
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DAY = timedelta(days=1)


def _time_of_day(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise Remedy('a time of day in quotes such as "03:00"')
    return text


class Drift(Part):
    """How often is compared (never by itself without `every`), at what time of day where, and what is repaired.

    `since`: orders that were placed so long ago at most. `zone` is also whose days orders are counted by.
    """

    every: Wait | None = Field(default=None, description=A_DURATION)
    at: Annotated[str, AfterValidator(_time_of_day)] | None = Field(
        default=None, strict=True, description='a time of day in quotes such as "03:00"'
    )
    zone: Zone = Field(default="UTC", description=A_ZONE)
    since: Wait = Field(default=timedelta(days=30), description=A_DURATION)
    compare: Annotated[tuple[Compared, ...], AfterValidator(each_once)] = Field(
        default=_ALL, min_length=1, description=_NAMES
    )
    repair: Annotated[tuple[Compared, ...], AfterValidator(each_once)] = Field(default=(), description=_NAMES)

    def due_after(self, now: float) -> float:
        """When the next audit is due after one that ended `now` (seconds since the epoch)."""
        every = (self.every or _DAY).total_seconds()
        if self.at is None:
            return now + every
        zone = zone_of(self.zone)
        # from a day before: an audit that took its time must not put off the next one
        earliest = now + every - _DAY.total_seconds()
        hours, minutes = map(int, self.at.split(":"))
        day = datetime.fromtimestamp(earliest, UTC).astimezone(zone).date()
        while (due := moment(day, hours * 60 + minutes, zone)) <= earliest:
            day += _DAY
        return due


def problems(drift: Drift | None, source: Source) -> Iterator[Problem]:
    """What does not go together in the section."""
    if drift is None:
        return
    extra = [name for name in drift.repair if name not in drift.compare]
    if extra:
        yield source.problem(("drift", "repair"), "only what is compared", hint=f"add {extra[0]} to compare")
    if drift.at is not None and (drift.every is None or drift.every % _DAY):
        hint = f"{format_duration(drift.every)} is not" if drift.every else "say every: 24h"
        yield source.problem(("drift", "at"), "an `every` of whole days beside it", hint=hint)


def in_words(drift: Drift) -> str:
    """For people."""
    if drift.every is None:
        return "Counts and totals of the systems are compared on demand only."
    at = f" at {drift.at} ({drift.zone})" if drift.at else ""
    repaired = f"; {', '.join(drift.repair)} are published or taken in again where they differ" if drift.repair else ""
    return (
        f"Every {format_duration(drift.every)}{at} the {', '.join(drift.compare)} of the systems are compared"
        f"{repaired}; what nothing explains is put before a person."
    )
