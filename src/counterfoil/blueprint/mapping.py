"""What the blueprint maps itself, beside its connectors' tables: fields by expressions, a shop's own order states."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from counterfoil.blueprint.catalogue import Catalogue, ConnectorInfo
from counterfoil.blueprint.problems import Path, choice, nearest, quoted
from counterfoil.blueprint.yamlread import Source
from counterfoil.retail.expression import BadExpression, compiled
from counterfoil.retail.mapping import Overlays, Row, StateRow, Way
from counterfoil.retail.order import Status

if TYPE_CHECKING:
    from counterfoil.blueprint.check import Draft
    from counterfoil.blueprint.model import Blueprint, System
    from counterfoil.blueprint.problems import Problem

Fields = Mapping[str, Mapping[str, Mapping[str, str]]]
"""System, object, field: expression. Or, of states: system, object, the system's own state: ours."""

AN_EXPRESSION = "a JMESPath expression such as \"meta_data[?key=='po_number'].value | [0]\""
STATES = {"order": tuple(status.value for status in Status)}
_EXTRA = re.compile(r"extra\.[a-z][a-z0-9_]{0,39}")
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,62}")
_STATE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def read(data: Mapping[str, Any], section: str, blame: Callable[..., None]) -> dict[str, dict[str, dict[str, str]]]:
    """What stands under `mappings` or `statuses`, without what is no text; `blame` is told of that."""
    leaf = AN_EXPRESSION if section == "mappings" else f"one of {', '.join(STATES['order'])}"
    whole: dict[str, dict[str, dict[str, str]]] = {}
    for system, objects in data.items():
        for object_, fields in _below(objects, (section, system), "a mapping of objects", blame):
            for field, text in _below(fields, (section, system, object_), "a mapping of fields", blame):
                if isinstance(text, str):
                    whole.setdefault(system, {}).setdefault(object_, {})[field] = text
                else:
                    blame((section, system, object_, field), leaf)
    return whole


def _below(data: Any, path: Path, expected: str, blame: Callable[..., None]) -> Iterable[tuple[str, Any]]:
    if isinstance(data, dict):
        return data.items()
    blame(path, expected)
    return ()


def problems(draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    """Fields and states that are none, expressions that cannot be read or come to something else than one value."""
    for section in ("mappings", "statuses"):
        declared: Fields = getattr(draft, section)
        for name, objects in declared.items():
            if name not in draft.systems:
                expected = f"a declared system: {choice(draft.systems)}" if draft.systems else "a declared system"
                near = nearest(name, draft.systems)
                yield source.problem((section, name), expected, quoted(name), near, at_key=True)
                continue
            system = draft.systems[name]
            check = _fields if section == "mappings" else _states
            if system is not None and system.connector in known.connectors:
                for object_, fields in objects.items():
                    yield from check(system, object_, fields, known, source)


def _fields(
    system: System, object_: str, fields: Mapping[str, str], known: Catalogue, source: Source
) -> Iterator[Problem]:
    place: Path = ("mappings", system.name, object_)
    offers = known.connectors[system.connector].overlays
    if object_ not in offers:
        near = nearest(object_, offers) or f"of {system.connector} nothing else can be mapped here"
        yield source.problem(place, choice(offers), quoted(object_), near, at_key=True)
        return
    for field, text in fields.items():
        wrong = _field(field, offers[object_])
        if wrong:
            near = nearest(field, offers[object_].fields)
            yield source.problem((*place, field), wrong, quoted(field), near, at_key=True)
            continue
        yield from _expression((*place, field), text, offers[object_].way is Way.IN and "." not in field, source)


def _field(field: str, offer: Overlays) -> str:
    """What was expected in place of this field; nothing where it is fine."""
    if offer.way is Way.IN:
        own = "extra.NAME with a NAME of small letters, digits and _"
        fits = field in offer.fields or _EXTRA.fullmatch(field)
        return "" if fits else f"{choice([*offer.fields])}, or {own}"
    if not _FIELD.fullmatch(field if not offer.any_case else field.lower()):
        return "a field of the system, such as x_channel"
    return "another field: this one the hub writes by itself" if field in offer.fields else ""


def _expression(path: Path, text: str, plain: bool, source: Source) -> Iterator[Problem]:
    try:
        kinds = compiled(text).kinds
    except BadExpression as bad:
        yield source.problem(path, AN_EXPRESSION, hint=str(bad))
        return
    if kinds & {"list", "mapping"}:
        hint = "it comes to a list: put | [0] behind it for the first" if "list" in kinds else "it comes to a mapping"
        yield source.problem(path, "an expression that comes to one value", hint=hint)
    elif plain and kinds == {"boolean"}:
        yield source.problem(path, "an expression that comes to a text", hint="it comes to true or false")


def _states(
    system: System, object_: str, states: Mapping[str, str], known: Catalogue, source: Source
) -> Iterator[Problem]:
    place: Path = ("statuses", system.name, object_)
    connector = known.connectors[system.connector]
    offer = connector.overlays.get(object_)
    if object_ not in STATES or offer is None or offer.way is not Way.IN:
        yield source.problem(place, "order, of a shop", quoted(object_), at_key=True)
        return
    theirs = {word for row in connector.states if row.object == object_ for word in row.theirs}
    for own, ours in states.items():
        if not _STATE.fullmatch(own):
            yield source.problem((*place, own), "a state of the shop's own", quoted(own), at_key=True)
        elif plain(own) in theirs:
            hint = "what it means is fixed; `orders` says what is done then"
            yield source.problem((*place, own), "a state of the shop's own", quoted(own), hint, at_key=True)
        if ours not in STATES[object_]:
            yield source.problem((*place, own), choice(STATES[object_]), hint=nearest(ours, STATES[object_]))


def plain(state: str) -> str:
    """A state without the prefix that WordPress stores it with."""
    return state.removeprefix("wc-")


# --- for reading -----------------------------------------------------------------------------------------------------

HEAD = ("System", "Object", "Field", "Way", "From or to", "How")
STATES_HEAD = ("System", "Object", "State", "Its own words", "Way", "What it is")


def rows(blueprint: Blueprint, known: Catalogue | None) -> list[tuple[str, ...]]:
    """A row for each field that crosses: what this blueprint maps itself, and its connectors' tables."""
    told: list[tuple[str, ...]] = []
    for name, objects in blueprint.mappings.items():
        connector = known.connectors.get(blueprint.systems[name].connector) if known else None
        for object_, fields in objects.items():
            way = connector.overlays[object_].way.value if connector else ""
            told += [(name, object_, field, way, text, "this blueprint") for field, text in fields.items()]
    return told + [(names, *_row(row)) for names, connector in _kinds(blueprint, known) for row in connector.rows]


def _kinds(blueprint: Blueprint, known: Catalogue | None) -> Iterator[tuple[str, ConnectorInfo]]:
    """Each connector there is, with the names of its systems."""
    for kind in dict.fromkeys(system.connector for system in blueprint.systems.values()):
        connector = known.connectors.get(kind) if known else None
        if connector is not None:
            yield ", ".join(name for name, s in blueprint.systems.items() if s.connector == kind), connector


def _row(row: Row) -> tuple[str, ...]:
    how = f"{row.how.name}: {row.how.words}" if row.how.words else row.how.name
    return row.object, row.field, row.way.value, ", ".join(row.theirs), f"{how}. {row.note}" if row.note else how


def places(blueprint: Blueprint) -> list[tuple[str, ...]]:
    """For shops that say so: the warehouse and the pricelist that their orders have in Odoo."""
    named = ((name, channel.warehouse, channel.pricelist) for name, channel in blueprint.channels.items())
    return [(name, house or "as Odoo does", list_ or "by currency") for name, house, list_ in named if house or list_]


def states(blueprint: Blueprint, known: Catalogue | None) -> list[tuple[str, ...]]:
    """A row for each state: those that this blueprint adds, and the connectors' tables."""
    told = [
        (name, object_, ours, word, "in", "this blueprint")
        for name, objects in blueprint.statuses.items()
        for object_, own in objects.items()
        for word, ours in own.items()
    ]
    return told + [(names, *_state(row)) for names, connector in _kinds(blueprint, known) for row in connector.states]


def _state(row: StateRow) -> tuple[str, ...]:
    return row.object, row.state, ", ".join(row.theirs), row.way.value, row.note
