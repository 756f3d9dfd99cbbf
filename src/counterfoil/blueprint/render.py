"""A blueprint for reading: what its page says, and as YAML with every default written out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Literal

import yaml

from counterfoil.blueprint import (
    appointments,
    approvals,
    console,
    explaining,
    mapping,
    metrics,
    notify,
    ownership,
    places,
    responding,
    routing,
    stock,
    storefront,
    traces,
)
from counterfoil.blueprint.catalogue import Catalogue
from counterfoil.blueprint.drift import in_words
from counterfoil.blueprint.identity import rules_in_words
from counterfoil.blueprint.model import HUB_ASK, Assortment, Blueprint, Channel, Flow, System, TaxRow
from counterfoil.blueprint.page import Block, Heading, section
from counterfoil.blueprint.page_html import html
from counterfoil.blueprint.page_markdown import markdown
from counterfoil.blueprint.prescriptions import in_words as prescriptions_in_words
from counterfoil.blueprint.pricing import prices_in_words
from counterfoil.blueprint.quality import quality_in_words
from counterfoil.blueprint.returning import returns_in_words
from counterfoil.blueprint.timing_page import timing_and_promises
from counterfoil.blueprint.trials import trials_in_words
from counterfoil.blueprint.values import Secret, format_duration

_WHEN_DOWN = {
    "critical": "waits; a person is told when it takes too long",
    "defer": "waits until it is back",
    "latest_only": "waits; only the latest state is sent",
}
_ON_EXCEPTION = {"hold": "what follows for the same thing waits", "pass": "what follows goes on"}
_FIRST = {
    "wait": "waits, not in Odoo yet",
    "quotation": "accepted as a quotation, not confirmed",
    "accept": "accepted and confirmed; payment recorded when the shop says paid",
    "not_wanted": "not wanted",
}
_METHODS = {"*": "any other", "": "none given"}
_SYSTEM_HEAD = ("System", "Connector", "Address", "Polled", "Orders from", "Limits", "Settings")
_STOCK = {
    "available": "what nobody was promised yet",
    "on_hand": "what stands on the shelf",
    "forecast": "what nobody was promised, and what is on its way in",
}
_CHANNEL_HEAD = (
    *("Shop", "Sells", "Stock it is told", "From the warehouses", "Listed only with", "Written by us", "Tax classes"),
)
_FLOW_HEAD = ("When", "From", "Do", "Within", "If the system is down", "On an exception", "Limits")


def render(blueprint: Blueprint, known: Catalogue | None = None) -> str:
    """The blueprint in Markdown, without secrets; `known` tells what its connectors do by themselves."""
    return markdown("Blueprint", content(blueprint, known))


def render_page(
    blueprint: Blueprint,
    title: str,
    form: Literal["html", "markdown"],
    known: Catalogue | None = None,
    found: explaining.Measured | None = None,
) -> str:
    """The whole page, with what was `found` in the store if given."""
    return {"html": html, "markdown": markdown}[form](title, content(blueprint, known, found))


def content(
    blueprint: Blueprint, known: Catalogue | None = None, found: explaining.Measured | None = None
) -> list[Block]:
    """What the page says, without secrets, each text as it stands in the blueprint; with what was `found` if given."""
    lines: list[Block] = [
        "What is declared here is what the hub does: who owns what, what follows from what and how soon, and what"
        " happens when a system is down or something needs a person."
    ]
    lines += section("Systems", _SYSTEM_HEAD, (_system(s, known) for s in blueprint.systems.values()))
    lines += explaining.flows_drawn(blueprint, known)
    lines += section("Flows", _FLOW_HEAD, _flows(blueprint.flows))
    lag, backlog = format_duration(blueprint.pressure.lag), blueprint.pressure.backlog
    slowed = f"due for more than {lag}, or more than {backlog} of those are due"
    lines += [f"Flows that wait until a system is back slow down while a delivery of the others has been {slowed}."]
    lines += timing_and_promises(blueprint)
    lines += explaining.when_down(blueprint, known)
    lines += explaining.measured(blueprint, found)
    lines += section("Owners of the truth", *ownership.rows(blueprint.owners, list(blueprint.systems)))
    lines += section("Channels", _CHANNEL_HEAD, (_channel(name, c) for name, c in blueprint.channels.items()))
    lines += section("Orders", ("The shop says", "Never accepted before", "Accepted before"), _orders(blueprint))
    tolerance = blueprint.orders.rounding_tolerance
    lines.append(f"Rounding differences up to {tolerance} of the currency's smallest units are accepted.")
    lines += rules_in_words(blueprint.customers, blueprint.products)
    lines += section("Taxes", ("Rate", "Country", "Class", "Tax in Odoo"), map(_tax, blueprint.taxes))
    methods = ((_METHODS.get(row.method, row.method), row.journal) for row in blueprint.payments)
    lines += section("Payments", ("Method of the shop", "Journal in Odoo"), methods)
    lines += section("Orders in Odoo", ("Shop", "Ships from", "Pricelist"), mapping.places(blueprint))
    lines += stock.on_page(blueprint.stock)
    lines += [*places.on_page(blueprint.places), *storefront.on_page(blueprint.storefront)]
    lines += [*metrics.on_page(blueprint.metrics), *traces.on_page(blueprint.traces)]
    lines += console.on_page(blueprint.console)
    lines += appointments.on_page(blueprint.appointments)
    lines += routing.on_page(blueprint.routing)
    lines += section("Fields", mapping.HEAD, mapping.rows(blueprint, known))
    lines += section("States", mapping.STATES_HEAD, mapping.states(blueprint, known))
    lines += responding.on_page(blueprint.exceptions)
    lines += notify.on_page(blueprint.notify)
    bodies, history = (format_duration(age) for age in (blueprint.retention.bodies, blueprint.retention.history))
    lines += [Heading("What is looked after by the clock"), in_words(blueprint.drift)]
    lines += [*prices_in_words(blueprint.prices), *quality_in_words(blueprint.quality)]
    lines += [*prescriptions_in_words(blueprint.prescriptions), *returns_in_words(blueprint.returns)]
    lines += trials_in_words(blueprint.trials)
    lines += section("Changes for two", ("A change of", "Is approved by"), approvals.rows(blueprint.approvals))
    lines.append(Heading("What is kept"))
    lines.append(f"What is finished is kept for {history}, the raw bodies that arrived for {bodies}.")
    outside = f", known outside as {blueprint.public_url}" if blueprint.public_url else ""
    lines.append(f"The store is {blueprint.store}; webhooks come in at {blueprint.listen}{outside}.")
    lines += explaining.known_limits(blueprint, known)
    return lines


def dump(blueprint: Blueprint) -> str:
    """The blueprint as YAML that loads again: every default written out, secrets as the references they came from.

    Other `${NAME}` references stand as what they were replaced with.
    """
    return yaml.safe_dump(as_data(blueprint), sort_keys=False, allow_unicode=True, width=110)


def as_data(blueprint: Blueprint) -> dict[str, Any]:
    """What `dump` writes, as plain data."""
    data: dict[str, Any] = blueprint.model_dump(mode="json", by_alias=True, exclude_none=True)
    for system in data["systems"].values():
        del system["name"]
        system.update(system.pop("settings"))
        for key in ("url", "limits"):
            if not system[key]:
                del system[key]
    data["exceptions"] = responding.as_written(data["exceptions"])
    return data


def _system(system: System, known: Catalogue | None) -> tuple[str, ...]:
    settings = [f"{name}: {value}" for name, value in system.settings.items() if not isinstance(value, Secret)]
    connector = known.connectors.get(system.connector) if known else None
    poll = system.poll or (connector.poll if connector else None)
    polled = f"every {format_duration(poll)}" if poll else "as its connector does"
    polled += f", {format_duration(system.overlap)} overlap"
    since = system.cut_over.isoformat().replace("+00:00", "Z") if system.cut_over else ""
    limits = [str(system.limits.rate)] if system.limits.rate else []
    limits += [f"{system.limits.concurrency} at once"] if system.limits.concurrency else []
    return system.name, system.connector, system.url, polled, since, ", ".join(limits), ", ".join(settings)


def _flows(flows: Sequence[Flow]) -> Iterable[tuple[str, ...]]:
    """A row each; neighbours that differ only in their event share one, as they mostly were written."""
    for _, alike in groupby(flows, lambda flow: flow.model_copy(update={"on": ""})):
        same = list(alike)
        yield ", ".join(flow.on for flow in same), *_flow(same[0])


def _channel(name: str, channel: Channel) -> tuple[str, ...]:
    less = f", less {channel.safety_stock}" if channel.safety_stock else ""
    return (
        name,
        _assortment(channel.assortment),
        _STOCK[channel.stock] + less,
        ", ".join(channel.warehouses) or "all",
        ", ".join(channel.requires) or "nothing asked",
        ", ".join(channel.publish) or "nothing",
        ", ".join(f"{odoo} → {shop}" for odoo, shop in channel.tax_classes.items()),
    )


def _assortment(assortment: Assortment) -> str:
    only = ", ".join(assortment.only) or "all"
    return f"{only}, without {', '.join(assortment.never)}" if assortment.never else only


def _flow(flow: Flow) -> tuple[str, ...]:
    limits = [f"{flow.batch} at once"] if flow.batch else []
    limits += [str(flow.rate)] if flow.rate else []
    promise = format_duration(flow.within) if flow.within else ""
    down = "" if flow.do == HUB_ASK else _WHEN_DOWN[flow.when_down]
    return (
        flow.from_ or "any",
        _do(flow),
        promise,
        down,
        _ON_EXCEPTION[flow.on_exception],
        ", ".join(limits),
    )


def _do(flow: Flow) -> str:
    return "put before a person" if flow.do == HUB_ASK else flow.do


def _tax(row: TaxRow) -> tuple[str, ...]:
    tax = f"number {row.odoo}" if isinstance(row.odoo, int) else row.odoo
    return f"{row.rate} %", row.country or "any", row.class_ or "any", tax


def _orders(blueprint: Blueprint) -> list[tuple[str, str, str]]:
    """The order table: this blueprint's choices, and what its flows do with an order already accepted."""
    orders = blueprint.orders

    def then(event: str) -> str:
        done = list(dict.fromkeys(_do(flow) for flow in blueprint.flows if flow.on == event))
        return f"{event}: {', '.join(done) or 'no flow'}"

    return [
        ("checkout-draft, trash", _FIRST["not_wanted"], then("order.cancelled")),
        ("pending, failed", _FIRST[orders.pending], then("order.payment_lost")),
        ("on-hold", _FIRST[orders.on_hold], "stays as it is"),
        ("processing", _FIRST[orders.processing], then("order.paid")),
        ("completed", _FIRST[orders.completed], then("order.completed")),
        ("cancelled", _FIRST["not_wanted"], then("order.cancelled")),
        ("refunded in full", _FIRST["not_wanted"], then("order.refunded")),
        ("refunded in part", _FIRST[orders.processing], then("order.refunded")),
        ("other lines, address or amounts", "as it now stands", then("order.changed")),
        ("created before the cut-over", _FIRST["not_wanted"], ""),
    ]
