"""The parts of the page that no section of the blueprint holds as it stands: what an outage means, what is known not to
work, and what was measured beside what was promised."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from counterfoil.blueprint.catalogue import Catalogue
from counterfoil.blueprint.diagram import diagram
from counterfoil.blueprint.model import Blueprint, System
from counterfoil.blueprint.page import Block, Heading, section
from counterfoil.blueprint.values import format_duration

_DOWN_HEAD = (
    *("When this is down", "This is kept and waits in its order", "Of these a person is told when they are late"),
    *("Of these only the newest is sent afterwards", "What happens there meanwhile"),
)
_TIMES = ("Done", "Half within", "95 of 100 within", "99 of 100 within", "Late")


@dataclass(frozen=True, slots=True)
class Taken:
    """How long something took so many times, in seconds; how many of those that were promised were late, or are."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    promised: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What the store says of the last `days`: by `system.operation` from the event to the end of it, by promise, and
    (reason, how many, of them open). Operations are of the `newest` tries alone where that is given."""

    days: int
    operations: Mapping[str, Taken] = field(default_factory=dict)
    promises: Mapping[str, Taken] = field(default_factory=dict)
    exceptions: Sequence[tuple[str, int, int]] = ()
    newest: int | None = None


def flows_drawn(blueprint: Blueprint, known: Catalogue | None) -> list[Block]:
    """The diagram, where the connectors are known."""
    drawn = diagram(blueprint, known) if known else None
    return [Heading("Who tells whom what"), drawn] if drawn and drawn.arrows else []


def when_down(blueprint: Blueprint, known: Catalogue | None) -> list[Block]:
    """For each system what waits, who is told and what is caught up with."""
    rows = []
    for name, system in blueprint.systems.items():
        waits: dict[str, list[str]] = {"critical": [], "defer": [], "latest_only": []}
        for flow in blueprint.flows:
            if flow.system == name and flow.operation not in waits[flow.when_down]:
                waits[flow.when_down].append(flow.operation)
        everything = dict.fromkeys(waits["critical"] + waits["defer"])
        cells = [everything, waits["critical"], waits["latest_only"]]
        rows.append((name, *(", ".join(cell) or "nothing" for cell in cells), _caught_up(system, known)))
    said = (
        "Nothing is lost while a system is away: what others tell is taken and acknowledged all the same, what has to"
    )
    said += " be done there waits, and goes on by itself when the system answers again. Other systems go on meanwhile."
    return [Heading("When a system is down"), said, *section("", _DOWN_HEAD, rows)[1:]]


def _caught_up(system: System, known: Catalogue | None) -> str:
    connector = known.connectors.get(system.connector) if known else None
    if connector is None or not connector.events:
        return "unknown"
    reach = format_duration(system.overlap)
    return f"is read once it is back, from {reach} before the last reading on; what was read already is not done twice"


def known_limits(blueprint: Blueprint, known: Catalogue | None) -> list[Block]:
    """What the connectors say of themselves, once for each kind of system."""
    connectors = list(dict.fromkeys(system.connector for system in blueprint.systems.values()))
    infos = [known.connectors[name] for name in connectors if known and name in known.connectors]
    limits = ((info.name, about, words) for info in infos for about, words in info.limits)
    once = ((f"{i.name}: {o.name}", o.once, o.remains) for i in infos for o in i.operations if o.once)
    return [
        *section("Known limits", ("Kind of system", "About", "What is known"), limits),
        *section("Why nothing is done twice", ("Operation", "Done once by", "What can go wrong all the same"), once),
    ]


def measured(blueprint: Blueprint, found: Measured | None) -> list[Block]:
    """What was promised beside what was measured; nothing if nothing was asked for."""
    if found is None:
        return []
    heading: list[Block] = [Heading(f"Promised and measured, the last {found.days} days")]
    said = "From the fact to the end of what was done about it, with all waiting and all outages in between."
    if found.newest is not None:
        said += f" Operations are measured on the newest {found.newest:,} tries."
    heading += [said, *section("", ("Operation", "Promised within", *_TIMES), _beside(blueprint, found))[1:]]
    kept = ((n, format_duration(p.within), *_times(found.promises.get(n))) for n, p in blueprint.promises.items())
    heading += section("", ("Promise of a process", "Within", *_TIMES), kept)[1:]
    exceptions = ((reason, str(count), str(still)) for reason, count, still in found.exceptions)
    return [*heading, *section("Exceptions by reason", ("Reason", "Put before a person", "Still open"), exceptions)]


def _beside(blueprint: Blueprint, found: Measured) -> Iterator[tuple[str, ...]]:
    promised: dict[str, list[str]] = {}
    for flow in blueprint.flows:
        of = promised.setdefault(flow.do, [])
        if flow.within and (within := format_duration(flow.within)) not in of:
            of.append(within)
    for do, times in promised.items():
        taken = found.operations.get(do)
        if taken is not None or times:
            yield do, ", ".join(times), *_times(taken)


def _times(taken: Taken | None) -> Iterable[str]:
    if taken is None:
        return ("0", "", "", "", "")
    share = f"{taken.late} of {taken.promised}" if taken.promised else ""
    return (str(taken.count), *map(_seconds, (taken.p50, taken.p95, taken.p99)), share)


def _seconds(seconds: float | None) -> str:
    """As exact as a reader needs it."""
    if seconds is None:
        return ""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
