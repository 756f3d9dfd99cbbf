"""What one key cannot show: whether the parts of a blueprint fit each other and the connectors there are.

Pure functions over what was read. Problems make a blueprint unusable, warnings do not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from counterfoil.blueprint import (
    appointments,
    approvals,
    drift,
    mapping,
    ownership,
    places,
    routing,
    stock,
    storefront,
    trials,
)
from counterfoil.blueprint.calendars import Calendar
from counterfoil.blueprint.catalogue import Catalogue, OperationInfo
from counterfoil.blueprint.drift import Drift
from counterfoil.blueprint.model import HUB, HUB_ASK, Blueprint, Channel, Flow, PaymentRow, Retention, System, TaxRow
from counterfoil.blueprint.places import Place
from counterfoil.blueprint.problems import Path, Problem, choice, dotted, nearest, quoted
from counterfoil.blueprint.promising import Promise
from counterfoil.blueprint.values import format_duration
from counterfoil.blueprint.yamlread import Source
from counterfoil.retail.events import OWN

Row = TypeVar("Row")

ORDER_PLACED = "order.placed"
"""Who reports it is where orders come from."""


@dataclass
class Draft:
    """The parts that could be read, by name or by their place in the list.

    A system is None where it is declared but could not be read, so that what names it is not blamed for it.
    A row of `flows` is one flow for each event it is `on`: flows go by a number of their own, and `places` says
    where each one's event stands.
    """

    systems: dict[str, System | None] = field(default_factory=dict)
    owners: dict[str, str | ownership.Ownership] = field(default_factory=dict)
    flows: dict[int, Flow] = field(default_factory=dict)
    places: dict[int, Path] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    taxes: dict[int, TaxRow] = field(default_factory=dict)
    payments: dict[int, PaymentRow] = field(default_factory=dict)
    mappings: mapping.Fields = field(default_factory=dict)
    statuses: mapping.Fields = field(default_factory=dict)
    retention: Retention | None = None
    approvals: approvals.Approvals | None = None
    calendars: dict[str, Calendar] = field(default_factory=dict)
    promises: dict[str, Promise] = field(default_factory=dict)
    drift: Drift | None = None
    sites: dict[str, Place] = field(default_factory=dict)
    appointments: appointments.Appointments | None = None
    storefront: storefront.Storefront | None = None
    routing: routing.Routing | None = None
    stock: stock.StockRules | None = None
    trials: trials.Trials | None = None

    def row(self, number: int, *key: str) -> Path:
        """Where the row of a flow stands, or one of its keys."""
        return (*self.places[number][:2], *key)

    def rule(self, number: int) -> Path:
        """What stands for the flow alone: its row, or its event where the row names several."""
        place = self.places[number]
        return place if len(place) > 3 else place[:2]


def problems(draft: Draft, known: Catalogue, source: Source) -> list[Problem]:
    """Everything that makes the parts unfit for each other."""
    return [
        *ownership.problems(draft, known, source),
        *_flow_ends(draft, known, source),
        *_channels(draft, known, source),
        *_same_flows(draft, source),
        *_loops(draft, known, source),
        *_same_rows(draft.taxes, lambda row: (row.rate, row.country, row.class_), "taxes", source),
        *_same_rows(draft.payments, lambda row: (row.method,), "payments", source),
        *mapping.problems(draft, known, source),
        *approvals.problems(draft.approvals, Blueprint.model_fields, source),
        *drift.problems(draft.drift, source),
        *places.problems(draft.sites, draft.calendars, source),
        *appointments.problems(draft, known, source),
        *storefront.problems(draft.storefront, draft.systems, source),
        *stock.problems(draft.stock, draft, source),
        *trials.problems(draft, source),
        *routing.problems(draft.routing, draft.sites, draft.systems, source),
    ]


def warnings(draft: Draft, known: Catalogue, source: Source, now: datetime) -> list[Problem]:
    """Everything that is allowed and yet hardly meant. `now` is an aware time."""
    return [
        *_same_systems(draft, source),
        *_cut_over_ahead(draft, source, now),
        *_unkept_promises(draft, known, source),
        *_flows_without_source(draft, known, source),
        *ownership.warnings(draft, known, source),
        *_bodies_beyond_history(draft, source),
        *approvals.warnings(draft.approvals, source),
    ]


def operation_of(flow: Flow, draft: Draft, known: Catalogue) -> OperationInfo | None:
    """What the catalogue says of the flow's operation; None for the hub's own and for unknown ones."""
    system = draft.systems.get(flow.system)
    connector = known.connectors.get(system.connector) if system else None
    return connector.operation(flow.operation) if connector else None


def _undeclared(path: Path, name: str, draft: Draft, source: Source) -> Problem:
    expected = f"a declared system: {choice(draft.systems)}" if draft.systems else "a declared system"
    return source.problem(path, expected, hint=nearest(name, draft.systems))


def _flow_ends(draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    for index, flow in draft.flows.items():
        if flow.on not in known.events:
            hint = nearest(flow.on, known.events)
            yield source.problem(draft.places[index], f"an event: {choice(known.events)}", hint=hint)
        if flow.from_ is not None and flow.from_ not in draft.systems:
            yield _undeclared(draft.row(index, "from"), flow.from_, draft, source)
        yield from _operation(index, flow, draft, known, source)
        yield from _latest_only(index, flow, draft, known, source)


def _operation(index: int, flow: Flow, draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    path = draft.row(index, "do")
    if flow.do == HUB_ASK:
        return
    if flow.system == HUB:
        yield source.problem(path, HUB_ASK)
        return
    if flow.system not in draft.systems:
        names = [*draft.systems, HUB]
        near = nearest(flow.system, names)
        yield source.problem(path, f"an operation of a declared system: {choice(names)}", hint=near)
        return
    system = draft.systems[flow.system]
    connector = known.connectors.get(system.connector) if system else None
    if connector is None or connector.operation(flow.operation) is not None:
        return
    offered = [f"{flow.system}.{operation.name}" for operation in connector.operations]
    if offered:
        yield source.problem(path, choice([*offered, HUB_ASK]), hint=nearest(flow.do, offered))
    else:
        yield source.problem(path, HUB_ASK, hint=f"{connector.name} offers no operations")


def _latest_only(index: int, flow: Flow, draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    operation = operation_of(flow, draft, known)
    if flow.when_down != "latest_only" or (operation.state if operation else flow.do != HUB_ASK):
        return
    hint = f"{flow.do} is not about a state of which only the newest matters: what is left out would be lost"
    yield source.problem(draft.row(index, "when_down"), "critical or defer", hint=hint)


def _channels(draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    for name in draft.channels:
        system = draft.systems.get(name)
        if name not in draft.systems:
            shops = [n for n, s in draft.systems.items() if s is None or _is_channel(s, known)]
            expected = f"a declared shop: {choice(shops)}" if shops else "a declared shop"
            yield source.problem(("channels", name), expected, quoted(name), nearest(name, shops), at_key=True)
        elif system is not None and system.connector in known.connectors and not _is_channel(system, known):
            hint = f"nothing can be published at {system.connector}"
            yield source.problem(("channels", name), "a declared shop", quoted(name), hint, at_key=True)


def _is_channel(system: System, known: Catalogue) -> bool:
    connector = known.connectors.get(system.connector)
    return connector is not None and connector.is_channel


def _same_flows(draft: Draft, source: Source) -> Iterator[Problem]:
    seen: dict[tuple[str, str], list[int]] = {}
    for index, flow in draft.flows.items():
        earlier = seen.setdefault((flow.on, flow.do), [])
        for other in earlier:
            if None in (flow.from_, draft.flows[other].from_) or flow.from_ == draft.flows[other].from_:
                found = f"{flow.on} → {flow.do} a second time"
                first = draft.rule(other)
                hint = f"the first is {dotted(first)}{_on_line(first, source)}"
                yield source.problem(draft.rule(index), "each rule once", found, hint)
                break
        earlier.append(index)


def _on_line(path: Path, source: Source) -> str:
    return f" on line {source.values[path][0]}" if path in source.values else ""


def _loops(draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    by_event: dict[str, list[int]] = {}
    for index, flow in draft.flows.items():
        by_event.setdefault(flow.on, []).append(index)

    def after(index: int) -> list[int]:
        flow = draft.flows[index]
        operation = operation_of(flow, draft, known)
        emitted = operation.emits if operation else ()
        sets_off = (i for e in emitted for i in by_event.get(e, ()))
        return [i for i in sets_off if set_off_by(draft.flows[i], flow.system, draft, known)]

    told: set[int] = set()
    for start in draft.flows:
        cycle = [] if start in told else _way_back(start, after)
        if cycle:
            told.update(cycle)
            steps = [f"{draft.flows[index].on} → {draft.flows[index].do}" for index in cycle]
            found = " → ".join([*steps, draft.flows[start].on])
            hint = "each flow sets off the next, without end: take one out"
            yield source.problem(draft.row(start, "do"), "flows that come to an end", found, hint)


def _way_back(start: int, after: Callable[[int], list[int]]) -> list[int]:
    """The shortest way from `start` to itself, without the return; empty if there is none."""
    came_from: dict[int, int] = {}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        for there in after(here):
            if there == start:
                way = [here]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if there not in came_from:
                came_from[there] = here
                queue.append(there)
    return []


def _same_rows(
    rows: Mapping[int, Row], key: Callable[[Row], tuple[object, ...]], section: str, source: Source
) -> Iterator[Problem]:
    seen: dict[tuple[object, ...], int] = {}
    for index, row in rows.items():
        first = seen.setdefault(key(row), index)
        if first != index:
            shown = " ".join(quoted(str(part)) for part in key(row) if part is not None)
            hint = f"the first is {dotted((section, first))}{_on_line((section, first), source)}"
            yield source.problem((section, index), "each once", f"{shown} a second time", hint)


def _same_systems(draft: Draft, source: Source) -> Iterator[Problem]:
    seen: dict[tuple[str, str], str] = {}
    for name, system in draft.systems.items():
        if system is None or not system.url:
            continue
        first = seen.setdefault((system.connector, system.url), name)
        if first != name:
            found = f"the same connector and address as {first}"
            hint = "what happens there would be read twice"
            yield source.problem(("systems", name), "one system for each address", found, hint)


def _cut_over_ahead(draft: Draft, source: Source, now: datetime) -> Iterator[Problem]:
    for name, system in draft.systems.items():
        if system and system.cut_over and system.cut_over > now:
            hint = "until then no order is wanted"
            yield source.problem(("systems", name, "cut_over"), "a time that has come", hint=hint)


def sources_of(flow: Flow, draft: Draft, known: Catalogue) -> Iterator[System]:
    """The systems whose own changes can set the flow off."""
    for system in draft.systems.values():
        connector = known.connectors.get(system.connector) if system else None
        told = system and connector and connector.reports(flow.on, system.settings)
        if system and told and set_off_by(flow, system.name, draft, known):
            yield system


def set_off_by(flow: Flow, source: str, draft: Draft, known: Catalogue) -> bool:
    """Whether the flow's event, when it comes from the system `source`, can be one that the flow is meant for.

    What an ERP says of an order is also `from` the shop that the order comes from.
    """
    if flow.from_ is None or flow.from_ == source:
        return True
    home = draft.systems.get(flow.from_)
    connector = known.connectors.get(home.connector) if home else None
    about_orders = flow.on.startswith(("order.", "shipment."))
    return about_orders and connector is not None and ORDER_PLACED in connector.events


def _unkept_promises(draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    for index, flow in draft.flows.items():
        for system in sources_of(flow, draft, known):
            connector = known.connectors[system.connector]
            hears = connector.webhook_setting
            only_polled = hears is None or hears not in system.settings
            poll = system.poll or connector.poll
            if flow.within is not None and only_polled and flow.within < poll:
                hint = f"{system.name} is only polled: shorten its poll"
                hint += ", or let it send webhooks" if hears else ""
                expected = f"at least {format_duration(poll)}, the poll of {system.name}"
                yield source.problem(draft.row(index, "within"), expected, hint=hint)


def _flows_without_source(draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    if any(system is None or system.connector not in known.connectors for system in draft.systems.values()):
        return  # who knows what those report
    emitted = {
        (event, flow.system)
        for flow in draft.flows.values()
        if (operation := operation_of(flow, draft, known)) is not None
        for event in operation.emits
    }
    for index, flow in draft.flows.items():
        if flow.on not in known.events or flow.on in OWN or any(sources_of(flow, draft, known)):
            continue
        if not any(event == flow.on and set_off_by(flow, system, draft, known) for event, system in emitted):
            where = f" at {flow.from_}" if flow.from_ else ""
            hint = "this flow would never be set off"
            expected = f"an event that a declared system reports or a flow brings about{where}"
            yield source.problem(draft.places[index], expected, hint=hint)


def _bodies_beyond_history(draft: Draft, source: Source) -> Iterator[Problem]:
    kept = draft.retention
    if kept is not None and kept.bodies > kept.history:
        hint = f"a body goes with its receipt, after {format_duration(kept.history)}"
        yield source.problem(("retention", "bodies"), "at most as long as the history", hint=hint)
