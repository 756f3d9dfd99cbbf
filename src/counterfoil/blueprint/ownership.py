"""Who owns an object, and which of its fields somebody else owns; and whether that can be kept.

The short form (`customer: web-eu`) says whose customers are, and is not enforced. The mapping is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from counterfoil.blueprint.catalogue import Catalogue
from counterfoil.blueprint.problems import Path, Problem, choice, dotted, nearest, quoted
from counterfoil.blueprint.values import Name, Part, ReadOnly
from counterfoil.blueprint.yamlread import Source
from counterfoil.retail import fields

if TYPE_CHECKING:
    from counterfoil.blueprint.check import Draft

ORIGIN = "origin"
"""The owner of a thing is the system in which it was made: each of several shops its own orders."""

A_SYSTEM = "the name of a system"
RETOLD = ("customer", "product")
"""What an owner can be made to tell again."""


class Ownership(Part):
    """The owner of an object, other owners of single fields, and what becomes of a change by any other system."""

    owner: Name = Field(description="the name of a system, or origin")
    fields: ReadOnly[Name] = Field(
        default_factory=dict, validate_default=True, description="a mapping of fields to systems"
    )
    otherwise: Literal["drop", "revert", "ask"] = Field(default="drop", description="one of drop, revert, ask")

    def owner_of(self, field: str = "") -> str:
        """The system that owns the field (or part of one), else the object's owner."""
        return self.fields.get(field) or self.fields.get(fields.whole_of(field)) or self.owner


Owners = Mapping[str, str | Ownership]


def owner_of(owners: Owners, kind: str, field: str = "") -> str:
    """The declared owner of an object or of a field of it: a system, `origin`, or empty where none is declared."""
    declared = owners.get(kind, "")
    return declared.owner_of(field) if isinstance(declared, Ownership) else declared


def enforced(owners: Owners, kind: str) -> Ownership | None:
    """The rule for this kind of object, where the blueprint has one to be enforced."""
    declared = owners.get(kind)
    return declared if isinstance(declared, Ownership) else None


def rows(owners: Owners, systems: list[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows of the matrix for people: who owns the object and each field named, by system.

    Without any rule it is the plain list of objects and their systems.
    """
    if not any(isinstance(declared, Ownership) for declared in owners.values()):
        return ("Object", "System"), [(kind, owner_of(owners, kind)) for kind in owners]
    columns = [*systems, *([ORIGIN] if ORIGIN in {owner_of(owners, kind) for kind in owners} else [])]
    found: list[tuple[str, ...]] = []
    for kind in owners:
        rule = enforced(owners, kind)
        given = sorted(rule.fields) if rule else []
        what = f"{kind}, all other fields" if given else kind
        marks = ["owns" if owner_of(owners, kind) == name else "" for name in columns]
        found.append((what, *marks, _OTHERWISE[rule.otherwise] if rule else "not enforced"))
        for field in given:
            marks = ["owns" if owner_of(owners, kind, field) == name else "" for name in columns]
            found.append((f"{kind}: {field}", *marks, ""))
    return ("What", *(_NAMED.get(name, name) for name in columns), "Changed by another system"), found


_OTHERWISE = {
    "drop": "not spread, counted",
    "revert": "not spread, the owner's value is written back",
    "ask": "not spread, put before a person",
}
_NAMED = {ORIGIN: "where it was made"}


# --- checks -----------------------------------------------------------------------------------------------------------


def problems(draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    """Unknown objects and fields, undeclared systems, two owners of one field, what cannot be written back."""
    for kind, declared in draft.owners.items():
        path: Path = ("owners", kind)
        if kind not in known.objects:
            near = nearest(kind, known.objects)
            yield source.problem(path, choice(known.objects), quoted(kind), near, at_key=True)
        if isinstance(declared, str):
            yield from _system(path, declared, draft, source, origin=True)
            continue
        yield from _system((*path, "owner"), declared.owner, draft, source, origin=True)
        for field, owner in declared.fields.items():
            yield from _system((*path, "fields", field), owner, draft, source)
            if kind in known.objects:
                yield from _field((*path, "fields", field), kind, declared, source)
        if declared.otherwise == "revert" and kind in known.objects:
            yield from _revert((*path, "otherwise"), kind, declared, draft, known, source)


def _system(path: Path, name: str, draft: Draft, source: Source, origin: bool = False) -> Iterator[Problem]:
    if name == ORIGIN and origin:
        if ORIGIN in draft.systems:
            hint = "a system is called so: give it another name"
            yield source.problem(path, "a word with one meaning", hint=hint)
        return
    if name in draft.systems:
        return
    allowed = [*draft.systems, *([ORIGIN] if origin else [])]
    expected = f"a declared system: {choice(draft.systems)}" if draft.systems else "a declared system"
    yield source.problem(path, f"{expected}, or {ORIGIN}" if origin else expected, hint=nearest(name, allowed))


def _field(path: Path, kind: str, rule: Ownership, source: Source) -> Iterator[Problem]:
    field, allowed = str(path[-1]), fields.names(kind)
    whole = fields.whole_of(field)
    if not allowed:
        hint = "it is told and written whole: leave fields out"
        yield source.problem(path, f"no fields: {kind} has one owner", quoted(field), hint, at_key=True)
    elif field not in allowed:
        yield source.problem(path, choice(allowed), quoted(field), nearest(field, allowed), at_key=True)
    elif whole != field and rule.fields.get(whole, rule.fields[field]) != rule.fields[field]:
        above = (*path[:-1], whole)
        line = source.values[above][0]
        hint = f"{dotted(above)} on line {line} is {rule.fields[whole]}: name the parts, or the whole"
        yield source.problem(path, "one owner for each field", f"{field} owned by {rule.fields[field]} as well", hint)


def _revert(
    path: Path, kind: str, rule: Ownership, draft: Draft, known: Catalogue, source: Source
) -> Iterator[Problem]:
    """An error, not a warning: without a way back `revert` would be a promise that nothing keeps."""
    if kind not in RETOLD:
        hint = f"{kind} cannot be told again; {choice(RETOLD)} can"
        yield source.problem(path, "drop or ask", hint=hint)
        return
    event = f"{kind}.changed"
    telling = [name for name in draft.systems if _tells(name, event, draft, known)]
    owners = [*telling] if rule.owner == ORIGIN else [rule.owner]
    for owner in dict.fromkeys([*owners, *rule.fields.values()]):
        for other in telling:
            back = any(
                flow.on == event and flow.from_ in (None, owner) and flow.system == other
                for flow in draft.flows.values()
            )
            if other != owner and owner in draft.systems and not back:
                hint = f"add one such as {{on: {event}, from: {owner}, do: {other}.…}}, or write drop or ask"
                yield source.problem(path, f"a flow that carries {owner}'s changes to {other}", hint=hint)
                return


def _tells(name: str, event: str, draft: Draft, known: Catalogue) -> bool:
    """Whether the system's own changes can become that event."""
    system = draft.systems.get(name)
    connector = known.connectors.get(system.connector) if system else None
    return system is not None and connector is not None and connector.reports(event, system.settings)


def warnings(draft: Draft, known: Catalogue, source: Source) -> Iterator[Problem]:
    """Flows that spread what their system does not own: never set off by a rule, or not held back by a short form."""
    for index, flow in draft.flows.items():
        kind, _, what = flow.on.partition(".")
        declared = draft.owners.get(kind)
        if what != "changed" or flow.from_ not in draft.systems or declared is None:
            continue
        if isinstance(declared, Ownership):
            if declared.owner not in (ORIGIN, flow.from_) and flow.from_ not in declared.fields.values():
                hint = f"{flow.from_} owns nothing of {kind}: this flow would never be set off"
                yield source.problem(draft.row(index, "from"), f"an owner of {kind}", hint=hint)
        elif kind in RETOLD and declared not in (ORIGIN, flow.from_):
            hint = f"to hold its changes back write {kind}: {{owner: {declared}}}; the short form is not enforced"
            yield source.problem(draft.row(index, "from"), f"{declared}, the owner of {kind}", hint=hint)
