#!/usr/bin/env python3
"""Write docs/reference from the code: events, operations, configuration, versions of Odoo. --check: are they so?

Everything stands in the code once: EVENT_TYPES, the connectors' CAPABILITIES, SETTINGS and manifests, the models of
the blueprint and the table of Odoo's versions. Nothing here knows a fact of its own.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from counterfoil.blueprint import Blueprint, appointments, format_duration, parse, prescriptions, routing, stock
from counterfoil.blueprint import model as blueprint_model
from counterfoil.blueprint.approvals import Approvals
from counterfoil.blueprint.calendars import Calendar
from counterfoil.blueprint.drift import Drift
from counterfoil.blueprint.identity import ArticleRules, CustomerRules
from counterfoil.blueprint.metrics import MetricsRules
from counterfoil.blueprint.ownership import Ownership
from counterfoil.blueprint.places import Place
from counterfoil.blueprint.pricing import PriceRules
from counterfoil.blueprint.promising import Promise
from counterfoil.blueprint.quality import QualityRules
from counterfoil.blueprint.returning import Returns
from counterfoil.blueprint.storefront import Storefront
from counterfoil.blueprint.traces import Traces
from counterfoil.connectors.odoo import versions
from counterfoil.doors import assembly
from counterfoil.doors.storefront import opening
from counterfoil.doors.storefront.problems import KINDS
from counterfoil.retail.events import EVENT_TYPES
from counterfoil.retail.mapping import Overlays, Way
from counterfoil.watch.metrics import names
from counterfoil.watch.rules import RULES

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "blueprint.yaml"
MADE = "<!-- Made by scripts/reference.py from the code; change it there. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows), ""]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) or "–" for cell in cells) + " |"


def code(names: Iterable[str]) -> str:
    """Names as code, with commas."""
    return ", ".join(f"`{name}`" for name in names)


def manifest(connector: ModuleType) -> dict[str, Any]:
    """A connector's manifest.toml."""
    with (Path(str(connector.__file__)).parent / "manifest.toml").open("rb") as file:
        return tomllib.load(file)


def example() -> Blueprint:
    """The example's flows are the default ones."""
    return parse(EXAMPLE.read_bytes(), known=assembly.catalogue(), environ={}, require_secrets=False)


# Events


def events() -> str:
    """What happens, who says so, and what the default flows do then."""
    plan = example()
    rows = [
        (f"`{name}`", words, _said_by(name), code(dict.fromkeys(f.do for f in plan.flows if f.on == name)))
        for name, words in EVENT_TYPES.items()
    ]
    lines = ["# Events", "", MADE, ""]
    lines += [
        "Each event is an immutable fact in a CloudEvents 1.0 envelope. “Said by” names the kind of system whose own "
        "changes become it, or the operation that brings it about. The last column is what the flows of "
        "[examples/blueprint.yaml](../../examples/blueprint.yaml) do then.",
        "",
    ]
    return "\n".join([*lines, *table(("event", "what it means", "said by", "the default flows do"), rows)])


def _said_by(event: str) -> str:
    reports, brings = [], []
    for name, connector in assembly.CONNECTORS.items():
        capabilities = connector.CAPABILITIES
        if event in capabilities["events"]:
            reports.append(name)
        brings += [f"`{name}.{op['name']}`" for op in capabilities["operations"] if event in op["emits"]]
    return ", ".join([*reports, *brings])


# Operations


def operations() -> str:
    """What each kind of system can be asked to do, and how it is idempotent."""
    lines = ["# Operations", "", MADE, ""]
    lines += ["`hub.ask` is the hub's own: it puts the event before a person.", ""]
    for name, connector in assembly.CONNECTORS.items():
        said = manifest(connector)
        lines += [f"## {said.get('title', name)}", ""]
        lines += _facts(said)
        told = {entry["name"]: entry for entry in said.get("operations", []) if isinstance(entry, Mapping)}
        rows = []
        for operation in connector.CAPABILITIES["operations"]:
            entry = told.get(operation["name"], {})
            rows.append(
                (
                    f"`{operation['name']}`",
                    operation["stream"],
                    code(sorted(operation["emits"])),
                    str(entry.get("idempotent_by", said.get("idempotency", {}).get("how", ""))),
                    str(entry.get("remaining_window", "")),
                )
            )
        lines += table(("operation", "stream", "brings about", "idempotent by", "what window remains"), rows)
    return "\n".join(lines)


def _facts(said: Mapping[str, Any]) -> list[str]:
    """The manifest's plain facts, in its own order."""
    rows = [(key, _words(value)) for key, value in said.items() if key in ("versions", "api", "auth")]
    for section in ("reads", "writes", "limits", "quality"):
        rows += [(f"{section}: {key}".replace("_", " "), _words(value)) for key, value in said.get(section, {}).items()]
    return table(("about", "what it is"), rows)


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


# Configuration


def configuration() -> str:
    """Every key of the blueprint."""
    lines = ["# The blueprint", "", MADE, ""]
    lines += [
        "One YAML file. `counterfoil check` names every problem with its line. Durations are written `60s`, `2m`, "
        "`48h` or `1d`, rates `10/s`, `300/min` or `5000/h`. Secrets are only referred to: `${NAME}` or "
        "`{file: path}`. "
        "[examples/blueprint.yaml](../../examples/blueprint.yaml) shows every key.",
        "",
        "## The whole",
        "",
    ]
    lines += _model(Blueprint, leave_out=("counterfoil",), expected=_SECTIONS)
    lines += ["## systems: NAME", ""]
    lines += _model(blueprint_model.System, leave_out=("name", "settings"), expected=_SYSTEM)
    for name, connector in assembly.CONNECTORS.items():
        info = assembly.catalogue().connectors[name]
        lines += [
            f"### connector: {name}",
            "",
            f"Polled every {format_duration(info.poll)} unless `poll` says more.",
            "",
        ]
        rows = [
            (f"`{s.name}`", " and ".join(filter(None, ("required" * s.required, "secret" * s.secret))), s.help)
            for s in connector.SETTINGS
        ]
        lines += table(("key", "kind", "what it is"), rows)
    for title, part in _PARTS:
        lines += [f"## {title}", "", (inspect.getdoc(part) or "").split("\n\n")[0], "", *_model(part)]
    return "\n".join(lines)


_PARTS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("systems: NAME: limits", blueprint_model.Limits),
    ("flows", blueprint_model.Flow),
    ("channels: SHOP", blueprint_model.Channel),
    ("orders", blueprint_model.OrderChoices),
    ("owners: OBJECT", Ownership),
    ("channels: SHOP: assortment", blueprint_model.Assortment),
    ("customers", CustomerRules),
    ("products", ArticleRules),
    ("prices", PriceRules),
    ("quality", QualityRules),
    ("taxes", blueprint_model.TaxRow),
    ("payments", blueprint_model.PaymentRow),
    ("exceptions", blueprint_model.ExceptionOwners),
    ("pressure", blueprint_model.Pressure),
    ("calendars: NAME", Calendar),
    ("promises: NAME", Promise),
    ("drift", Drift),
    ("approvals", Approvals),
    ("stock", stock.StockRules),
    ("stock: safety", stock.Safety),
    ("stock: ring_fences", stock.RingFence),
    ("stock: beyond", stock.Beyond),
    ("places: CODE", Place),
    ("routing", routing.Routing),
    ("routing: rules", routing.Rule),
    ("storefront", Storefront),
    ("appointments", appointments.Appointments),
    ("appointments: services: NAME", appointments.Service),
    ("appointments: staff: NAME", appointments.Member),
    ("prescriptions", prescriptions.Prescriptions),
    ("prescriptions: needed", prescriptions.Needing),
    ("returns", Returns),
    ("metrics", MetricsRules),
    ("traces", Traces),
)
_SECTIONS = {
    "store": "`sqlite:///file.db` or `postgresql://user:${PASSWORD}@host/database`",
    "systems": "the systems by name; see below",
    "owners": "which system owns `order`, `customer`, `product` and `stock`, or each of their fields",
    "flows": "a list of flows; see below",
    "channels": "what each shop is told; see below",
    "orders": "see below",
    "customers": "see below",
    "taxes": "see below",
    "payments": "see below",
    "mappings": "fields by expressions: a system, an object, a field and a JMESPath expression",
    "statuses": "order states of a shop's own: a system, `order`, its state and ours",
    "exceptions": "see below",
    "pressure": "see below",
    "products": "see below",
    "prices": "see below",
    "quality": "see below",
    "calendars": "open hours by name; see below",
    "promises": "promises by name; see below",
    "drift": "see below",
    "approvals": "see below",
    "stock": "what may be sold of what there is; see below",
    "places": "where goods lie and people come to, by the warehouse's code; see below",
    "routing": "where orders ship from; see below",
    "storefront": "the storefront API; see below",
    "appointments": "see below",
    "prescriptions": "see below",
    "returns": "see below",
    "metrics": "who may read the metrics; see below",
    "traces": "where traces are sent; see below",
    "profiles": "what is otherwise, by profile: any of these keys",
}
_SYSTEM = {
    "poll": "a duration such as 60s: how often it is polled; without it as its connector does",
    "overlap": "a duration such as 2m: how far back each poll looks again",
    "cut_over": "a date and time with its zone: orders created before are not wanted, but by `counterfoil import`",
}


def _model(
    model: type[BaseModel], leave_out: Sequence[str] = (), expected: Mapping[str, str] | None = None
) -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        if name in leave_out:
            continue
        key = str(field.validation_alias or name)
        if model is blueprint_model.ExceptionOwners and name == "by_reason":
            key = "a reason or an outcome"
        words = (expected or {}).get(name) or field.description or ""
        if key == "on":
            words += ", or a list of them"
        rows.append((f"`{key}`", _default(field), words))
    return table(("key", "default", "what it is"), rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, blueprint_model.Secret):
        return f"`{value.written}`"
    if hasattr(value, "total_seconds"):
        return f"`{format_duration(value)}`"
    if isinstance(value, Mapping):
        return ", ".join(f"`{key}: {text}`" for key, text in value.items())
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`" if value else ""
    if isinstance(value, Enum):
        return f"`{value.value}`"
    if value is None or value == "" or value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    return f"`{value}`"


# Mappings


def mappings() -> str:
    """Each connector's fields and states in the retail language, and what a blueprint may map itself."""
    lines = ["# Mappings", "", MADE, ""]
    lines += [
        "Which field of a system is which field of the retail language, and which way it crosses: `in`, `out` or both. "
        "`[]` stands for each of a list. [map fields](../how-to/map-fields.md) says how a blueprint adds to it.",
        "",
    ]
    for name, info in assembly.catalogue().connectors.items():
        lines += [f"## {name}", ""]
        for object_ in dict.fromkeys(row.object for row in info.rows):
            rows = [row for row in info.rows if row.object == object_]
            lines += [f"### {name}: {object_}", ""]
            lines += table(
                ("field", "way", "theirs", "how", "note"),
                ((f"`{r.field}`", r.way.value, code(r.theirs), r.how.name, r.note) for r in rows),
            )
        hows = {row.how.name: row.how.words for row in info.rows if row.how.words}
        lines += [f"### {name}: how", "", *table(("how", "what is done"), hows.items())]
        states = ((r.object, f"`{r.state}`", code(r.theirs), r.way.value, r.note) for r in info.states)
        lines += [f"### {name}: states", "", *table(("object", "ours", "theirs", "way", "what it is"), states)]
        own = ((object_, offer.way.value, _own_fields(offer)) for object_, offer in info.overlays.items())
        lines += [f"### {name}: what `mappings` may name", "", *table(("object", "way", "fields"), own)]
    return "\n".join(lines)


def _own_fields(offer: Overlays) -> str:
    if offer.way is Way.IN:
        return f"{code(sorted(offer.fields))}, and `extra.NAME`"
    return f"any of its own fields but {code(sorted(offer.fields))}"


# Versions


def odoo_versions() -> str:
    """How the versions of Odoo differ, as far as this connector is concerned."""
    lines = ["# Versions of Odoo", "", MADE, ""]
    known = list(versions.BY_VERSION.values())
    tried = ", ".join(f"{each.major}.0" for each in known if each.tried)
    rest = ", ".join(f"{each.major}.0" for each in known if not each.tried)
    lines += [
        f"Odoo {versions.OLDEST} to {versions.NEWEST} are served. What is said of {tried} comes from live servers; of "
        f"{rest} from knowledge of those releases, never tried, and `counterfoil doctor` says so. A newer one is taken "
        f"for {versions.NEWEST} with a warning. What a row names is where Odoo differs; “–”: this version has no such "
        "field.",
        "",
    ]
    words = dict(_comments())
    rows = []
    for field in fields(versions.Names):
        if field.name in ("major", "tried"):
            continue
        values = [_version_value(getattr(each, field.name)) for each in known]
        if len(set(values)) > 1:
            rows.append((field.name.replace("_", " "), words.get(field.name, ""), *values))
    head = ("what", "where", *(f"{each.major}" for each in known))
    return "\n".join([*lines, *table(head, rows)])


def _comments() -> Iterator[tuple[str, str]]:
    """What stands behind each field of Names in its source; a section's name where nothing does."""
    section = ""
    for line in inspect.getsource(versions.Names).splitlines():
        heading = re.fullmatch(r"    # (.+)", line)
        found = re.fullmatch(r"    (\w+): [^#]+(?:# (.+))?", line)
        if heading:
            section = heading[1]
        elif found:
            yield found[1], found[2] or section


def _version_value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        flat = [" ".join(part) if isinstance(part, tuple) else str(part) for part in value]
        return code(flat)
    return f"`{value}`" if value else ""


# Storefront


def storefront() -> str:
    """Every route of the storefront API and every problem it may answer."""
    document = opening.document(example())
    lines = ["# The storefront API", "", MADE, ""]
    lines += [
        "[How it is used](../how-to/storefront-api.md). What each route takes and answers to the last field is in the "
        "OpenAPI document that a running hub serves at `/storefront/v1/openapi.json`. A token needs the scope named "
        "here (`counterfoil tokens add`).",
        "",
        "## Routes",
        "",
    ]
    everywhere = {"401", "403", "413", "422", "429", "503"}
    rows = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            answers = sorted(set(operation["responses"]) - everywhere)
            words = operation.get("description") or operation["summary"]
            rows.append((f"`{method.upper()} {path}`", operation.get("x-scope", ""), words, ", ".join(answers)))
    lines += table(("route", "scope", "what it does", "answers"), rows)
    lines += ["Any of them may answer 401, 403, 413, 422, 429 and 503 too.", "", "## Problems", ""]
    lines += ["Each is an RFC 9457 problem; its `type` is `/storefront/v1/problems/CODE`.", ""]
    kinds = sorted(KINDS.values(), key=lambda kind: (kind.status, kind.code))
    problems = ((str(kind.status), f"`{kind.code}`", kind.title, kind.remedy) for kind in kinds)
    lines += table(("status", "code", "what it means", "what to do"), problems)
    return "\n".join(lines)


# Metrics


def metrics() -> str:
    """Every metric of ours and every alert."""
    lines = ["# Metrics and alerts", "", MADE, ""]
    lines += [
        "[How they are read](../how-to/metrics.md). Seconds, bytes, and seconds since the epoch where a name says "
        "`timestamp`. Counters and histograms are of one process since it began; gauges that tell of the store are the "
        "same from every process, and missing while it is away. Beside these there are the usual `process_*` of the "
        "process itself.",
        "",
        "## Metrics",
        "",
    ]
    rows = ((f"`{name}`", kind, code(labels), words) for name, (kind, words, labels) in names().items())
    lines += table(("metric", "kind", "labels", "what it is"), rows)
    lines += ["## Alerts", "", "As `ops/prometheus/alerts.yml` has them; each leads to its runbook.", ""]
    alerts = (
        (f"[{rule.name}](../{rule.runbook.removeprefix('docs/')})", rule.severity, rule.lasts, f"`{rule.expr}`")
        for rule in RULES
    )
    return "\n".join([*lines, *table(("alert", "severity", "after", "when"), alerts)])


PAGES = {
    "metrics.md": metrics,
    "events.md": events,
    "operations.md": operations,
    "configuration.md": configuration,
    "odoo-versions.md": odoo_versions,
    "mappings.md": mappings,
    "storefront.md": storefront,
}


def files() -> dict[str, str]:
    """What stands in docs/reference/, by path."""
    return {f"docs/reference/{name}": make().rstrip() + "\n" for name, make in PAGES.items()}


if __name__ == "__main__":
    import written

    raise SystemExit(written.main(sys.argv[1:], "reference.py", "docs/reference", files()))
