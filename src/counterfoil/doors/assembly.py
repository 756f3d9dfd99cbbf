"""Put together what a blueprint declares: connectors, processes, worker. The one place that knows all floors."""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Blueprint, Catalogue, ConnectorInfo, OperationInfo, Secret, SettingInfo, System
from counterfoil.blueprint import load as load_blueprint
from counterfoil.blueprint.manifest import limits_in_words
from counterfoil.blueprint.mapping import plain
from counterfoil.blueprint.ownership import enforced
from counterfoil.blueprint.stock import path_of
from counterfoil.connectors import odoo, rest, woocommerce
from counterfoil.connectors.odoo.rules import NOBODY, Staff
from counterfoil.connectors.overlay import Dialect
from counterfoil.hub import routing
from counterfoil.hub.carrying import Follow
from counterfoil.hub.contract import Connector
from counterfoil.hub.decode import Process
from counterfoil.hub.preparing import combined
from counterfoil.hub.store import Store
from counterfoil.hub.telling import Teller
from counterfoil.hub.worker import Worker
from counterfoil.processes.booking import Diary
from counterfoil.processes.calendars import Calendars
from counterfoil.processes.changes import changes, retells
from counterfoil.processes.claiming import Claimant
from counterfoil.processes.fulfilment import fulfilments
from counterfoil.processes.ontrial import OnTrial
from counterfoil.processes.orders import orders
from counterfoil.processes.prescribing import Prescribing
from counterfoil.processes.pricing import PriceRule, held_back
from counterfoil.processes.publication import Publication
from counterfoil.processes.returning import Returning
from counterfoil.processes.routing import Router
from counterfoil.processes.stock import Rules
from counterfoil.processes.trying import Trying
from counterfoil.processes.withholding import Withholding
from counterfoil.retail.availability import Article
from counterfoil.retail.events import EVENT_TYPES, Event
from counterfoil.retail.listing import Channel
from counterfoil.retail.order import Status
from counterfoil.watch.drift_house import House
from counterfoil.watch.promises import Follower

CONNECTORS = {"odoo": odoo, "rest": rest, "woocommerce": woocommerce}
_PUBLISHING = {"publish_product", "publish_stock"}
_POSTING = {"invoice_order", "refund_order"}


def catalogue() -> Catalogue:
    """What the blueprint is checked against: the connectors there are, their operations, settings and events."""
    return Catalogue.of([_info(module) for module in CONNECTORS.values()], frozenset(EVENT_TYPES))


@functools.cache  # a command asks several times, and each reads the manifest
def _info(module: Any) -> ConnectorInfo:
    capabilities = module.CAPABILITIES
    manifest = tomllib.loads(Path(module.__file__).with_name("manifest.toml").read_text("utf-8"))
    said = {o["name"]: (o["idempotent_by"], o["remaining_window"]) for o in manifest["operations"]}
    return ConnectorInfo(
        name=capabilities["name"],
        settings=tuple(SettingInfo(s.name, secret=s.secret, required=s.required, help=s.help) for s in module.SETTINGS),
        operations=tuple(
            OperationInfo(o["name"], o["stream"], o["emits"], o.get("state", False), *said.get(o["name"], ()))
            for o in capabilities["operations"]
        ),
        events=capabilities["events"],
        webhook_setting=capabilities.get("webhook_setting"),
        poll=timedelta(seconds=capabilities.get("poll", 60.0)),
        is_channel=any(operation["name"] in _PUBLISHING for operation in capabilities["operations"]),
        limits=limits_in_words(manifest),
        rows=module.mapping.ROWS,
        states=module.mapping.STATES,
        overlays=module.mapping.OVERLAYS,
        reports_with=capabilities.get("reports_with", {}),
    )


def streams(blueprint: Blueprint) -> dict[str, str]:
    """The stream of each `system.operation`, without connecting to anything."""
    known = catalogue().connectors
    return {
        f"{name}.{operation.name}": operation.stream
        for name, system in blueprint.systems.items()
        for operation in known[system.connector].operations
    }


def load(path: Path | str, require_secrets: bool = True, profile: str = "") -> Blueprint:
    """The checked blueprint. Raises BlueprintError with every problem, its line, and what was expected."""
    return load_blueprint(Path(path), known=catalogue(), require_secrets=require_secrets, profile=profile)


def settings_of(system: System, blueprint: Blueprint) -> dict[str, str]:
    """A system's settings as plain texts for its connector; secrets revealed, times in seconds."""
    texts = {name: _text(value) for name, value in system.settings.items()}
    texts |= {"url": system.url, "overlap": _text(system.overlap)}
    if system.poll:  # else the connector knows best
        texts["poll"] = _text(system.poll)
    if system.cut_over:
        texts["cut_over"] = system.cut_over.isoformat()
    if blueprint.public_url:
        texts["public_url"] = blueprint.public_url
    return texts


def _text(value: str | int | bool | timedelta | Secret) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.3f}"
    return str(value)


def connectors(blueprint: Blueprint) -> dict[str, Connector]:
    """One connector for each declared system."""
    made: dict[str, Connector] = {}
    for name, system in blueprint.systems.items():
        settings = settings_of(system, blueprint)
        if system.connector == "odoo":
            made[name] = odoo.Odoo(name, settings, odoo_rules(blueprint, name))
        elif system.connector == "rest":
            made[name] = rest.Rest(name, settings, dialect=dialect_of(blueprint, name))
        else:
            channel, dialect = channel_of(blueprint, name), dialect_of(blueprint, name)
            made[name] = woocommerce.WooCommerce(name, settings, channel=channel, dialect=dialect)
    return made


def dialect_of(blueprint: Blueprint, system: str) -> Dialect:
    """What the blueprint maps itself of this system."""
    own = blueprint.statuses.get(system, {}).get("order", {})
    statuses = {plain(said): Status(ours) for said, ours in own.items()}
    return Dialect(system, statuses, blueprint.mappings.get(system, {}))


def channel_of(blueprint: Blueprint, system: str) -> Channel:
    """What the shop `system` is told of products and stock; the usual where the blueprint says nothing of it."""
    declared = blueprint.channels.get(system)
    if declared is None:
        return Channel(system)
    return Channel(
        name=system,
        stock=stock_rules(blueprint).told(system, Article("")),
        requires=frozenset(declared.requires),
        tax_classes=dict(declared.tax_classes),
        publish=frozenset(declared.publish),
        only=tuple(map(path_of, declared.assortment.only)),
        never=tuple(map(path_of, declared.assortment.never)),
    )


def stock_rules(blueprint: Blueprint) -> Rules:
    """What the blueprint declares of stock: the one place that says how much a channel may sell."""
    return Rules(blueprint)


def channels(blueprint: Blueprint) -> dict[str, Channel]:
    """What each system is told of products and stock, if it is told."""
    return {name: channel_of(blueprint, name) for name in blueprint.systems}


def house(store: Store, blueprint: Blueprint, made: Mapping[str, Connector]) -> House:
    """What a drift audit works with."""
    return House(store, blueprint, made, processes(blueprint), streams(blueprint))


def odoo_rules(blueprint: Blueprint, system: str) -> odoo.Rules:
    """The blueprint's choices that the connector of this Odoo carries out."""
    return odoo.Rules(
        match=tuple(blueprint.customers.match),
        taxes=tuple(odoo.TaxRule(t.rate, t.country or "", t.class_ or "", str(t.odoo)) for t in blueprint.taxes),
        payments={p.method: p.journal for p in blueprint.payments},
        tolerance=blueprint.orders.rounding_tolerance,
        warehouses={name: shop.warehouse for name, shop in blueprint.channels.items() if shop.warehouse},
        pricelists={name: shop.pricelist for name, shop in blueprint.channels.items() if shop.pricelist},
        pickups=blueprint.routing.pickup,
        routed=frozenset(place for rule in blueprint.routing.rules for place in rule.from_ or blueprint.places),
        dialect=dialect_of(blueprint, system),
        staff=staff_at(blueprint, system),
        invoices=any(f.system == system and f.operation in _POSTING for f in blueprint.flows),
    )


def staff_at(blueprint: Blueprint, system: str) -> Staff:
    """Whose calendars are read there."""
    declared = blueprint.appointments
    if declared.system != system:
        return NOBODY
    ahead = max((service.horizon + 2 * service.duration for service in declared.services.values()), default=timedelta())
    return Staff(tuple(member.user for member in declared.staff.values()), ahead.days + 1)


def processes(blueprint: Blueprint) -> dict[str, Mapping[str, Process]]:
    """By system, then by kind of object: what each of them says of its objects."""
    made: dict[str, Mapping[str, Process]] = {}
    for name, system in blueprint.systems.items():
        if system.connector == "odoo":
            rules = blueprint.prices
            look = held_back(PriceRule(rules.min_margin, rules.most_change, rules.most_off)) if rules.declared else None
            kinds = {"stock": replace(changes(name, "stock"), counts=True), "customer": changes(name, "customer")}
            kinds["product"] = changes(name, "product", look)
            kinds["calendar"] = changes(name, "calendar")
            ready = blueprint.routing.ready if blueprint.routing.pickup else ""
            made[name] = {"fulfilment": fulfilments(name, ready), **kinds}
        elif system.connector == "rest":
            made[name] = {kind: changes(name, kind) for kind in rest.mapping.KINDS}
        else:
            ordered = orders(blueprint.orders, system.cut_over, blueprint.trials)
            made[name] = {"order": ordered, "customer": changes(name, "customer")}
    return {
        name: {kind: replace(each, owners=enforced(blueprint.owners, kind)) for kind, each in kinds.items()}
        for name, kinds in made.items()
    }


def publication(store: Store, blueprint: Blueprint) -> Publication:
    """What the channels are told of stock."""
    return Publication(store, blueprint, stock_rules(blueprint), streams(blueprint), counted(blueprint))


def counted(blueprint: Blueprint) -> list[str]:
    """The systems whose stock is what may be promised."""
    return [name for name, kinds in processes(blueprint).items() if any(kind.counts for kind in kinds.values())]


def worker(
    store: Store,
    blueprint: Blueprint,
    made: Mapping[str, Connector],
    told: Publication | None = None,
    **options: Any,
) -> Worker:
    """A worker over the given connectors. COUNTERFOIL_LEASE (seconds) shortens its lease, for tests that kill it."""
    told = told or publication(store, blueprint)
    if lease := os.environ.get("COUNTERFOIL_LEASE"):
        options = {"lease": float(lease), **options}
    options = {"follow": _follow(store, blueprint, told), **options}
    more = [routing.prepare] if blueprint.routing.rules else []
    more += [OnTrial(blueprint.trials).prepare] if blueprint.trials.declared else []
    options = {"prepare": combined(withholding(store, blueprint).prepare, told.prepare, *more), **options}
    return Worker(store, blueprint, made, processes(blueprint), retells=retells(), **options)


def _follow(store: Store, blueprint: Blueprint, told: Publication) -> Follow | None:
    """Who is told of new events: what orders claim of stock that is counted, then promises."""
    followers: list[Follow] = []
    if told.counted:
        followers.append(Claimant(told.rules, Router.of(blueprint), told.articles))
    if blueprint.appointments.services:
        followers.append(Calendars(diary(store, blueprint)))
    if (promises := _promises(blueprint)) is not None:
        followers.append(promises)

    async def follow(connection: AsyncConnection, store: Store, events: Sequence[Event]) -> None:
        for each in followers:
            await each(connection, store, events)

    return follow if followers else None


def _promises(blueprint: Blueprint) -> Follow | None:
    """Who watches that promises are kept, where any is made."""
    return Follower(blueprint) if blueprint.promises else None


def _teller(store: Store, blueprint: Blueprint) -> Teller:
    """Who tells facts that no system told."""
    return Teller(store, blueprint, streams(blueprint), _promises(blueprint))


def diary(store: Store, blueprint: Blueprint) -> Diary:
    """The appointments of this hub."""
    return Diary(_teller(store, blueprint))


def prescribing(store: Store, blueprint: Blueprint) -> Prescribing:
    """The prescriptions of this hub."""
    return Prescribing(_teller(store, blueprint))


def withholding(store: Store, blueprint: Blueprint) -> Withholding:
    """The orders of this hub that wait for a prescription."""
    return Withholding(prescribing(store, blueprint))


def returning(store: Store, blueprint: Blueprint) -> Returning:
    """The returns that customers of this hub ask for."""
    return Returning(_teller(store, blueprint))


def trying(store: Store, blueprint: Blueprint) -> Trying:
    """The orders of this hub that are tried on at home."""
    return Trying(_teller(store, blueprint))
