"""A blueprint file to a checked, immutable Blueprint, or to everything that is wrong with it at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from counterfoil.blueprint import check, yamlread
from counterfoil.blueprint.catalogue import Catalogue, ConnectorInfo
from counterfoil.blueprint.check import Draft
from counterfoil.blueprint.model import (
    HUB,
    SYSTEM_NAME,
    Blueprint,
    Channel,
    CustomerRules,
    ExceptionOwners,
    Flow,
    Limits,
    OrderChoices,
    PaymentRow,
    Pressure,
    Retention,
    System,
    TaxRow,
)
from counterfoil.blueprint.problems import BlueprintError, Path, Problem, choice, described, nearest, quoted
from counterfoil.blueprint.secrets import REFERENCE, Lookup, NotGiven
from counterfoil.blueprint.values import Remedy, Secret
from counterfoil.blueprint.yamlread import Source

_SECTIONS = (
    *("systems", "owners", "flows", "channels", "orders", "customers", "taxes", "payments", "exceptions"),
    *("pressure", "retention"),
)
_SCALARS = ("counterfoil", "store", "listen", "public_url")
_OF_EVERY_SYSTEM = ("connector", "url", "poll", "overlap", "cut_over", "limits")
_A_NAME = "a name of small letters, digits and -, beginning with a letter, at most 40 long"

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Examined:
    """What looking at a blueprint brought to light. `blueprint` is None if there are problems."""

    blueprint: Blueprint | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()


def load(
    path: str | os.PathLike[str],
    *,
    known: Catalogue,
    environ: Mapping[str, str] = os.environ,
    require_secrets: bool = True,
) -> Blueprint:
    """The blueprint in the file at `path`. Raises BlueprintError with all its problems.

    Secret files with a relative path are looked for beside the blueprint. With `require_secrets` False, references
    that lead nowhere are left unresolved, which is enough to check and to show it.
    """
    return _usable(examine(path, known=known, environ=environ, require_secrets=require_secrets))


def parse(
    text: str | bytes,
    *,
    known: Catalogue,
    environ: Mapping[str, str] = os.environ,
    require_secrets: bool = True,
    file: str = "<text>",
    folder: FilePath = FilePath("."),
) -> Blueprint:
    """The blueprint in `text`, as `load`; `file` is what messages call it. Raises BlueprintError."""
    return _usable(
        examine_text(text, known=known, environ=environ, require_secrets=require_secrets, file=file, folder=folder)
    )


def examine(
    path: str | os.PathLike[str],
    *,
    known: Catalogue,
    environ: Mapping[str, str] = os.environ,
    require_secrets: bool = False,
    now: datetime | None = None,
) -> Examined:
    """Problems and warnings of the file at `path`, for showing. Raises nothing for what the file holds."""
    place = FilePath(path)
    try:
        with place.open("rb") as file:
            text = file.read(yamlread.MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        hint = getattr(error, "strerror", None) or str(error)
        found = "no such file" if isinstance(error, FileNotFoundError) else "a file that cannot be read"
        return Examined(None, (Problem(str(path), 0, 0, "", found, "a blueprint in YAML", hint),))
    return examine_text(
        text,
        known=known,
        environ=environ,
        require_secrets=require_secrets,
        file=str(path),
        folder=place.parent,
        now=now,
    )


def examine_text(
    text: str | bytes,
    *,
    known: Catalogue,
    environ: Mapping[str, str] = os.environ,
    require_secrets: bool = False,
    file: str = "<text>",
    folder: FilePath = FilePath("."),
    now: datetime | None = None,
) -> Examined:
    """Problems and warnings of `text`, as `examine`. `now` is an aware time, by default the present."""
    try:
        source = yamlread.read(text, file)
    except BlueprintError as error:
        return Examined(None, error.problems)
    reading = _Reading(source, known, Lookup(environ, folder, require_secrets))
    blueprint = reading.blueprint()
    problems = _in_order(source.problems)
    warnings = _in_order(check.warnings(reading.draft, known, source, now or datetime.now(UTC)))
    return Examined(None if problems else blueprint, problems, warnings)


def _usable(examined: Examined) -> Blueprint:
    if examined.blueprint is None:
        raise BlueprintError(examined.problems)
    return examined.blueprint


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """As they stand in the file; of two about the same value the first says enough."""
    first: dict[tuple[str, int, int], Problem] = {}
    for problem in problems:
        first.setdefault((problem.path, problem.line, problem.column), problem)
    return tuple(sorted(first.values(), key=lambda problem: (problem.line, problem.column)))


class _Reading:
    """One reading of one source: every method adds what is wrong to `source.problems` and goes on."""

    def __init__(self, source: Source, known: Catalogue, lookup: Lookup) -> None:
        self.source, self.known, self.lookup = source, known, lookup
        self.draft = Draft()

    def blame(self, path: Path, expected: str, found: str | None = None, hint: str = "", at_key: bool = False) -> None:
        """Add a problem of the value at `path`, or of its key."""
        self.source.problems.append(self.source.problem(path, expected, found, hint, at_key))

    def blueprint(self) -> Blueprint | None:
        """The whole; None if nothing whole came of it."""
        data = self.source.data
        if not isinstance(data, dict):
            self.blame((), "a mapping with the keys counterfoil, systems, flows and so on")
            return None
        if "counterfoil" not in data:
            self.blame(("counterfoil",), "counterfoil: 1, the version of the format")
        elif isinstance(data["counterfoil"], bool) or data["counterfoil"] != 1:
            self.blame(("counterfoil",), "1, the version of the format")
            return None
        self.only_keys(data, (*_SCALARS, *_SECTIONS), ())
        self.stray_references(data)
        whole: dict[str, Any] = {"counterfoil": 1, "systems": self.systems()}
        if "store" in data:
            whole["store"] = self.looked_up(self.lookup.store, data["store"], ("store",))
        for key in ("listen", "public_url"):
            if key in data and data[key] is None:
                self.blame((key,), "a value", hint="or leave the key out")
            elif key in data:
                whole[key] = self.text(data[key], (key,))
        whole["owners"] = self.draft.owners = self.owners()
        whole["flows"] = self.flows()
        whole["channels"] = self.draft.channels = self.channels()
        whole["taxes"] = self.rows("taxes", TaxRow, self.draft.taxes)
        whole["payments"] = self.rows("payments", PaymentRow, self.draft.payments)
        whole["orders"] = self.part("orders", OrderChoices)
        whole["customers"] = self.part("customers", CustomerRules)
        whole["exceptions"] = self.exceptions()
        whole["retention"] = self.draft.retention = self.part("retention", Retention)
        whole["pressure"] = self.part("pressure", Pressure)
        whole = {key: value for key, value in whole.items() if value is not None}
        blueprint = self.build(Blueprint, whole, (), tuple(whole))
        self.source.problems.extend(check.problems(self.draft, self.known, self.source))
        return blueprint

    def section(self, key: str, kind: type[Any], expected: str) -> Any:
        """The mapping or list under `key`; empty if it is absent or has nothing in it, or is something else."""
        value = self.source.at((key,))
        if value is None:
            return kind()
        if not isinstance(value, kind):
            self.blame((key,), expected)
            return kind()
        return value

    def systems(self) -> dict[str, System]:
        """The systems that could be read; the draft knows of the others too."""
        entries = self.section("systems", dict, "a mapping of names to systems")
        if not entries and self.source.at(("systems",)) in (None, {}):
            self.blame(("systems",), "at least one system", "none")
        for name, data in entries.items():
            system = self.system(name, data)
            if name != HUB:
                self.draft.systems[name] = system
        return {name: system for name, system in self.draft.systems.items() if system is not None}

    def system(self, name: str, data: Any) -> System | None:
        """One entry of `systems`."""
        path = ("systems", name)
        if name == HUB:
            self.blame(path, "another name", quoted(name), "it means Counterfoil itself, as in hub.ask", at_key=True)
            return None
        if not SYSTEM_NAME.fullmatch(name):
            self.blame(path, _A_NAME, quoted(name), at_key=True)
            return None
        if not isinstance(data, dict):
            self.blame(path, "a mapping with connector, url and so on")
            return None
        common = {key: value for key, value in data.items() if key in _OF_EVERY_SYSTEM}
        if isinstance(common.get("url"), str):
            common["url"] = self.text(common["url"], (*path, "url"))
            if common["url"] is None:
                del common["url"]
        if common.get("limits") is not None:
            common["limits"] = self.built(Limits, common["limits"], (*path, "limits")) or Limits()
        connector = self.connector(data, path)
        if connector is not None:
            self.only_keys(data, (*_OF_EVERY_SYSTEM, *(setting.name for setting in connector.settings)), path)
            if connector.needs_url and not common.get("url"):
                self.blame((*path, "url"), "an address such as https://shop.example")
                common.pop("url", None)
            common["settings"] = self.settings(connector, data, path)
        return self.build(System, {"name": name} | common, path, (*common, "name"))

    def connector(self, data: dict[str, Any], path: Path) -> ConnectorInfo | None:
        """What the catalogue says of the connector the entry names."""
        given = data.get("connector")
        connector = self.known.connectors.get(given) if isinstance(given, str) else None
        if connector is None and given is not None:
            self.blame((*path, "connector"), choice(self.known.connectors), hint=nearest(given, self.known.connectors))
        return connector

    def settings(self, connector: ConnectorInfo, data: dict[str, Any], path: Path) -> dict[str, str | Secret]:
        """The connector's own keys of the entry, looked up."""
        result: dict[str, str | Secret] = {}
        for setting in connector.settings:
            if setting.name in _OF_EVERY_SYSTEM:
                continue
            below, value = (*path, setting.name), data.get(setting.name)
            expected = setting.help or ("${NAME} or {file: path}" if setting.secret else "a text")
            read: str | Secret | None = None
            if value is None:
                if setting.required or setting.name in data:
                    self.blame(below, expected)
            elif setting.secret:
                read = self.looked_up(self.lookup.secret, value, below)
            elif isinstance(value, dict | list):
                self.blame(below, expected)
            else:
                read = self.text(described(value) if not isinstance(value, str) else value, below)
            if read == "" and setting.required:
                self.blame(below, expected, hint="it is empty")
            elif read is not None:
                result[setting.name] = read
        return result

    def owners(self) -> dict[str, str]:
        """Object to system."""
        entries = self.section("owners", dict, "a mapping of objects to systems")
        for name, owner in entries.items():
            if not isinstance(owner, str):
                self.blame(("owners", name), "the name of a system")
        return {name: owner for name, owner in entries.items() if isinstance(owner, str)}

    def flows(self) -> tuple[Flow, ...]:
        """The list under `flows`: a row is one flow, or one for each event of the list it is `on`."""
        for index, data in enumerate(self.section("flows", list, "a list of flows")):
            row, events = ("flows", index), data.get("on") if isinstance(data, dict) else None
            if not isinstance(events, list):
                self.flow(data, row, (*row, "on"))
                continue
            if not events:
                self.blame((*row, "on"), "an event such as order.placed, or a list of them")
            for number, event in enumerate(events):
                place = (*row, "on", number)
                if isinstance(event, str) and event:
                    self.flow(data | {"on": event}, row, place)
                else:
                    self.blame(place, "an event such as order.placed")
        return tuple(self.draft.flows.values())

    def flow(self, data: Any, row: Path, place: Path) -> None:
        """One flow, kept in the draft with the place of its event."""
        flow = self.built(Flow, data, row)
        if flow is not None:
            number = len(self.draft.flows)
            self.draft.flows[number], self.draft.places[number] = flow, place

    def channels(self) -> dict[str, Channel]:
        """Shop to what it is told."""
        entries = self.section("channels", dict, "a mapping of shops to what they are told")
        read = {name: self.built(Channel, data, ("channels", name)) for name, data in entries.items()}
        return {name: channel for name, channel in read.items() if channel is not None}

    def rows(self, key: str, model: type[M], into: dict[int, M]) -> tuple[M, ...]:
        """The list under `key`, also kept `into` the draft by the place of each row."""
        for index, data in enumerate(self.section(key, list, f"a list of {key}")):
            row = self.built(model, data, (key, index))
            if row is not None:
                into[index] = row
        return tuple(into.values())

    def part(self, key: str, model: type[M]) -> M | None:
        """The mapping under `key`, or its defaults."""
        return self.built(model, self.section(key, dict, "a mapping"), (key,))

    def exceptions(self) -> ExceptionOwners:
        """Reasons and outcomes to their owners; those not named keep the usual ones."""
        entries = dict(self.section("exceptions", dict, "a mapping of reasons to who looks after them"))
        for reason, owner in list(entries.items()):
            if not isinstance(owner, str) or not owner:
                self.blame(("exceptions", reason), "who looks after it")
                del entries[reason]
        if self.known.reasons:
            self.only_keys(entries, ("default", *self.known.reasons), ("exceptions",))
        default = {"default": entries.pop("default")} if "default" in entries else {}
        usual = ExceptionOwners().by_reason
        return ExceptionOwners(**default, by_reason={**usual, **entries})

    def text(self, value: Any, path: Path) -> Any:
        """`value` with its references replaced, None (and a problem) if one leads nowhere."""
        return self.looked_up(self.lookup.text, value, path) if isinstance(value, str) else value

    def looked_up(self, look: Callable[[Any], Any], value: Any, path: Path) -> Any:
        """What `look` makes of `value`, None (and a problem) if it raises NotGiven."""
        try:
            return look(value)
        except NotGiven as reason:
            self.blame(path, reason.expected, reason.found, reason.hint)
            return None

    def stray_references(self, data: dict[str, Any]) -> None:
        """`${NAME}` where it would be taken as it stands."""
        hint = "${NAME} is looked up in store, listen, public_url and the entries of systems only"
        for section in (key for key in data if key in _SECTIONS):
            for path, value in self.source.texts((section,)):
                key = path[2] if section == "systems" and len(path) > 2 else None
                replaced = key is not None and (key == "url" or key not in _OF_EVERY_SYSTEM)
                if not replaced and REFERENCE.search(value):
                    self.blame(path, "the value itself", hint=hint)

    def only_keys(self, data: Mapping[str, Any], allowed: tuple[str, ...], path: Path) -> None:
        """Blame the keys that are not `allowed`."""
        for key in data:
            if key not in allowed:
                hint = nearest(key, allowed)
                self.blame((*path, key), choice(allowed), f"the unknown key {quoted(key)}", hint, at_key=True)

    def built(self, model: type[M], data: Any, path: Path) -> M | None:
        """`data` as written, in `model`."""
        names = tuple(field.validation_alias or name for name, field in model.model_fields.items())
        allowed = tuple(str(name) for name in names)
        if not isinstance(data, dict):
            self.blame(path, f"a mapping with the keys {', '.join(allowed)}")
            return None
        self.only_keys(data, allowed, path)
        return self.build(model, data, path, allowed)

    def build(self, model: type[M], data: dict[str, Any], path: Path, allowed: tuple[str, ...]) -> M | None:
        """A `model` of the `allowed` keys of `data`.

        Keys with a wrong value are blamed and left out, so that the rest can still be checked; None if it cannot
        stand without them.
        """
        fields = {str(field.validation_alias or name): field for name, field in model.model_fields.items()}
        kept = {key: value for key, value in data.items() if key in allowed and value is not None}
        for key in data:
            if key in allowed and data[key] is None:
                hint = "" if fields[key].is_required() else "or leave the key out"
                self.blame((*path, key), fields[key].description or "a value", hint=hint)
        try:
            return model.model_validate(kept)
        except ValidationError as wrong:
            errors = wrong.errors()
        places = [error["loc"] for error in errors]
        for error in errors:
            key, place = str(error["loc"][0]), error["loc"]
            # A list is not blamed besides its items; what is null was blamed above.
            around = any(other != place and other[: len(place)] == place for other in places)
            if not around and not (key in data and data[key] is None):
                # Of the rest of the location only list items are ours; the others name branches of a union.
                below = (*path, key, *(step for step in place[1:] if isinstance(step, int)))
                self.blame(below, fields[key].description or "a value", hint=_hint(error))
        kept = {key: value for key, value in kept.items() if key not in {error["loc"][0] for error in errors}}
        try:
            return model.model_validate(kept)
        except ValidationError:
            return None


def _hint(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    if error["type"] == "literal_error":
        return nearest(error["input"], re.findall(r"'([^']+)'", str(context.get("expected"))))
    cause = context.get("error")
    return str(cause) if isinstance(cause, Remedy) else ""
