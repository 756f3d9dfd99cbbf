"""Who tells whom what: the flows of a blueprint, gathered into one arrow for each pair of systems."""

from __future__ import annotations

from collections.abc import Iterator

from counterfoil.blueprint.catalogue import Catalogue
from counterfoil.blueprint.check import Draft, operation_of, set_off_by, sources_of
from counterfoil.blueprint.model import HUB_ASK, Blueprint, Flow
from counterfoil.blueprint.page import Arrow, Diagram

PEOPLE = "a person"
"""What the diagram calls the target of hub.ask; no system has a name with a space."""


def diagram(blueprint: Blueprint, known: Catalogue) -> Diagram:
    """The systems, and an arrow from each that reports an event to each that does something about it."""
    told: dict[tuple[str, str], dict[str, list[str]]] = {}
    critical: set[tuple[str, str, str]] = set()
    for flow, sources in _reported(blueprint, known):
        target, does = (PEOPLE, "review") if flow.do == HUB_ASK else (flow.system, flow.operation)
        for source in sources:
            events = told.setdefault((source, target), {}).setdefault(does, [])
            events += [flow.on] if flow.on not in events else []
            if flow.when_down == "critical":
                critical.add((source, target, does))
    systems = [(name, system.connector) for name, system in blueprint.systems.items()]
    systems += [(PEOPLE, "who looks after it")] if any(target == PEOPLE for _, target in told) else []
    order = {name: number for number, (name, _) in enumerate(systems)}
    arrows = [
        Arrow(
            source,
            target,
            tuple((tuple(events), does) for does, events in lines.items()),
            frozenset(does for does in lines if (source, target, does) in critical),
        )
        for (source, target), lines in told.items()
    ]
    return Diagram(tuple(systems), tuple(sorted(arrows, key=lambda a: (order[a.source], order[a.target]))))


def _reported(blueprint: Blueprint, known: Catalogue) -> Iterator[tuple[Flow, list[str]]]:
    """Each flow, and the systems its event comes out of: by what they report, or by what another flow does there."""
    draft = Draft(systems=dict(blueprint.systems), flows=dict(enumerate(blueprint.flows)))
    emitted: dict[str, set[str]] = {}
    for flow in blueprint.flows:
        operation = operation_of(flow, draft, known)
        for event in operation.emits if operation else ():
            emitted.setdefault(event, set()).add(flow.system)
    for flow in blueprint.flows:
        found = {system.name for system in sources_of(flow, draft, known)}
        found = {flow.from_} if flow.from_ in found else found
        found |= {name for name in emitted.get(flow.on, ()) if set_off_by(flow, name, draft, known)}
        # where nobody is known to report it, the flow itself says most
        found = found or {flow.from_ or flow.system}
        yield flow, [name for name in blueprint.systems if name in found]
