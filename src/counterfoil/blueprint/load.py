"""A blueprint file to a checked, immutable Blueprint, or to everything that is wrong with it at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from counterfoil.blueprint import (
    appointments,
    check,
    console,
    mapping,
    metrics,
    notify,
    prescriptions,
    profiles,
    responding,
    stock,
    timing_checks,
    yamlread,
)
from counterfoil.blueprint.approvals import Approvals
from counterfoil.blueprint.calendars import Calendar
from counterfoil.blueprint.catalogue import Catalogue, ConnectorInfo
from counterfoil.blueprint.check import Draft
from counterfoil.blueprint.drift import Drift
from counterfoil.blueprint.identity import ArticleRules, CustomerRules
from counterfoil.blueprint.model import (
    HUB,
    SYSTEM_NAME,
    Assortment,
    Blueprint,
    Channel,
    Flow,
    Limits,
    OrderChoices,
    PaymentRow,
    Pressure,
    Retention,
    System,
    TaxRow,
)
from counterfoil.blueprint.ownership import A_SYSTEM, Ownership
from counterfoil.blueprint.places import Place
from counterfoil.blueprint.pricing import PriceRules
from counterfoil.blueprint.problems import BlueprintError, Path, Problem, choice, described, nearest, quoted
from counterfoil.blueprint.promising import Promise
from counterfoil.blueprint.quality import QualityRules
from counterfoil.blueprint.returning import Returns
from counterfoil.blueprint.routing import Routing, Rule
from counterfoil.blueprint.secrets import REFERENCE, WRITTEN_OUT, Lookup, NotGiven
from counterfoil.blueprint.storefront import Storefront
from counterfoil.blueprint.traces import Traces
from counterfoil.blueprint.trials import Trials
from counterfoil.blueprint.values import Remedy, Secret
from counterfoil.blueprint.yamlread import Source

_MAPPED = ("mappings", "statuses")
_SECTIONS = (
    *_MAPPED,
    *("systems", "owners", "flows", "channels", "orders", "customers", "products", "taxes", "payments", "exceptions"),
    *("pressure", "retention", "approvals", "calendars", "promises", "prices", "quality", "drift"),
    *("appointments", "places", "storefront", "routing"),
    *("prescriptions", "returns", "trials", "stock", "console", "metrics", "traces", "notify"),
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
    profile: str = "",
) -> Blueprint:
    """The blueprint in the file at `path`, as it is with the profile. Raises BlueprintError with all its problems.

    Secret files with a relative path are looked for beside the blueprint. With `require_secrets` False, references
    that lead nowhere are left unresolved, which is enough to check and to show it.
    """
    return _usable(examine(path, known=known, environ=environ, require_secrets=require_secrets, profile=profile))


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
    profile: str = "",
) -> Examined:
    """Problems and warnings of the file at `path` with the profile. Raises nothing for what the files hold."""
    place = FilePath(path)
    try:
        text = _read(place)
        aside = profiles.beside(place).get(profile) if profile else None
        overlay = yamlread.read(_read(aside), str(aside)) if aside else None
    except BlueprintError as error:
        return Examined(None, error.problems)
    return examine_text(
        text,
        known=known,
        environ=environ,
        require_secrets=require_secrets,
        file=str(path),
        folder=place.parent,
        now=now,
        profile=profile,
        overlay=overlay,
    )


def _read(place: FilePath) -> bytes:
    try:
        with place.open("rb") as file:
            return file.read(yamlread.MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        hint = getattr(error, "strerror", None) or str(error)
        found = "no such file" if isinstance(error, FileNotFoundError) else "a file that cannot be read"
        raise BlueprintError([Problem(str(place), 0, 0, "", found, "a blueprint in YAML", hint)]) from None


def examine_text(
    text: str | bytes,
    *,
    known: Catalogue,
    environ: Mapping[str, str] = os.environ,
    require_secrets: bool = False,
    file: str = "<text>",
    folder: FilePath = FilePath("."),
    now: datetime | None = None,
    profile: str = "",
    overlay: Source | None = None,
) -> Examined:
    """Problems and warnings of `text`, as `examine`. `now` is an aware time, by default the present; `overlay` what
    the profile's own file holds. A secret that is written out is found in every profile, also in those not chosen.
    """
    try:
        source = yamlread.read(text, file)
        others = [name for name in ("", *profiles.names_in(source)) if name != profile]
    except BlueprintError as error:
        return Examined(None, error.problems)
    now = now or datetime.now(UTC)
    for other in others:
        elsewhere = yamlread.read(text, file)
        profiles.merge(elsewhere, other, None)
        _Reading(elsewhere, known, Lookup(environ, folder, required=False), now).blueprint()
        source.problems += [problem for problem in elsewhere.problems if problem.found in WRITTEN_OUT]
    profiles.merge(source, profile, overlay)
    reading = _Reading(source, known, Lookup(environ, folder, require_secrets), now)
    blueprint = reading.blueprint()
    problems = _in_order(source.problems)
    found = (each.warnings(reading.draft, known, source, now) for each in (check, timing_checks))
    warnings = _in_order(chain.from_iterable(found))
    return Examined(None if problems else blueprint, problems, warnings)


def _usable(examined: Examined) -> Blueprint:
    if examined.blueprint is None:
        raise BlueprintError(examined.problems)
    return examined.blueprint


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """As they stand in the file; of two about the same value the first says enough."""
    first: dict[tuple[str, str, int, int], Problem] = {}
    for problem in problems:
        first.setdefault((problem.file, problem.path, problem.line, problem.column), problem)
    return tuple(sorted(first.values(), key=lambda problem: (problem.file, problem.line, problem.column)))


class _Reading:
    """One reading of one source: every method adds what is wrong to `source.problems` and goes on."""

    def __init__(self, source: Source, known: Catalogue, lookup: Lookup, now: datetime) -> None:
        self.source, self.known, self.lookup, self.now = source, known, lookup, now
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
        self.only_keys(data, (*_SCALARS, *_SECTIONS, profiles.PROFILES), ())
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
        for key in _MAPPED:
            entries = self.section(key, dict, f"a mapping of systems to {key}")
            whole[key] = mapping.read(entries, key, self.blame)
            setattr(self.draft, key, whole[key])
        whole["orders"] = self.part("orders", OrderChoices)
        whole["customers"] = self.part("customers", CustomerRules)
        whole["products"] = self.part("products", ArticleRules)
        whole["prices"] = self.part("prices", PriceRules)
        whole["quality"] = self.part("quality", QualityRules)
        whole["exceptions"] = responding.read(self)
        whole["retention"] = self.draft.retention = self.part("retention", Retention)
        whole["calendars"] = self.draft.calendars = self.named("calendars", Calendar)
        whole["promises"] = self.draft.promises = self.named("promises", Promise)
        whole["places"] = self.draft.sites = self.sites()
        whole["appointments"] = self.draft.appointments = appointments.read(self)
        whole["storefront"] = self.draft.storefront = self.part("storefront", Storefront)
        whole["routing"] = self.draft.routing = self.routing()
        given = self.section("stock", dict, "a mapping")
        whole["stock"] = self.draft.stock = stock.read(given, self.built, self.blame)
        whole["pressure"] = self.part("pressure", Pressure)
        whole["drift"] = self.draft.drift = self.part("drift", Drift)
        whole["metrics"] = metrics.read(self)
        whole["traces"] = self.part("traces", Traces)
        whole["notify"] = notify.read(self)
        whole["prescriptions"] = prescriptions.read(self)
        whole["console"] = console.read(self)
        whole["returns"] = self.part("returns", Returns)
        whole["trials"] = self.draft.trials = self.part("trials", Trials)
        whole["approvals"] = self.draft.approvals = self.part("approvals", Approvals)
        whole = {key: value for key, value in whole.items() if value is not None}
        blueprint = self.build(Blueprint, whole, (), tuple(whole))
        self.source.problems.extend(check.problems(self.draft, self.known, self.source))
        self.source.problems.extend(timing_checks.problems(self.draft, self.known, self.source, self.now))
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
        meant = [key for key in data if given is None and nearest(key, ["connector"])]
        for key in meant[:1]:
            self.blame((*path, key), "connector", f"the unknown key {quoted(key)}", nearest(key, ["connector"]), True)
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

    def owners(self) -> dict[str, str | Ownership]:
        """Object to system, or to the rule that is kept for it."""
        read: dict[str, str | Ownership] = {}
        for name, data in self.section("owners", dict, "a mapping of objects to systems").items():
            path = ("owners", name)
            if isinstance(data, str):
                read[name] = data
            elif not isinstance(data, dict):
                self.blame(path, A_SYSTEM)
            else:
                if isinstance(data.get("fields"), dict):
                    data = data | {"fields": self.owners_of_fields(data["fields"], (*path, "fields"))}
                rule = self.built(Ownership, data, path)
                if rule is not None:
                    read[name] = rule
        return read

    def owners_of_fields(self, given: dict[str, Any], path: Path) -> dict[str, str]:
        """Field to system, without those that name none."""
        for field, owner in given.items():
            if not isinstance(owner, str):
                self.blame((*path, field), A_SYSTEM)
        return {field: owner for field, owner in given.items() if isinstance(owner, str)}

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
        read = {name: self.channel(data, ("channels", name)) for name, data in entries.items()}
        return {name: channel for name, channel in read.items() if channel is not None}

    def channel(self, data: Any, path: Path) -> Channel | None:
        """One entry of `channels`."""
        if isinstance(data, dict) and data.get("assortment") is not None:
            assortment = self.built(Assortment, data["assortment"], (*path, "assortment")) or Assortment()
            data = data | {"assortment": assortment}
        return self.built(Channel, data, path)

    def named(self, key: str, model: type[M]) -> dict[str, M]:
        """The mapping of names under `key`."""
        read: dict[str, M | None] = {}
        for name, data in self.section(key, dict, f"a mapping of names to {key}").items():
            if SYSTEM_NAME.fullmatch(name):
                read[name] = self.built(model, data, (key, name))
            else:
                self.blame((key, name), _A_NAME, quoted(name), at_key=True)
        return {name: part for name, part in read.items() if part is not None}

    def sites(self) -> dict[str, Place]:
        """Warehouse to where it is; its code is the ERP's own and may be anything."""
        entries = self.section("places", dict, "a mapping of warehouse codes to places")
        read = {code: self.built(Place, data, ("places", code)) for code, data in entries.items()}
        return {code: place for code, place in read.items() if place is not None}

    def routing(self) -> Routing | None:
        """The section with its rules; None where one of them cannot be read."""
        data = dict(self.section("routing", dict, "a mapping"))
        if not isinstance(rows := data.get("rules"), list):
            return self.built(Routing, data, ("routing",))
        rules = [self.built(Rule, row, ("routing", "rules", number)) for number, row in enumerate(rows)]
        routing = self.built(Routing, data | {"rules": [rule for rule in rules if rule]}, ("routing",))
        return routing if None not in rules else None

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
                replaced = replaced or (section == notify.SECTION and notify.is_reference(path[1:]))
                replaced = replaced or (section == metrics.SECTION and path[1:2] in metrics.SECRET_PATHS)
                replaced = replaced or (section == prescriptions.SECTION and path[1:2] in prescriptions.SECRET_PATHS)
                replaced = replaced or (section == console.SECTION and path[1:] == console.SECRET_PATH)
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
