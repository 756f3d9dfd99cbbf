"""Put together what a blueprint declares: connectors, processes, worker. The one place that knows all floors."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from counterfoil.blueprint import Blueprint, Catalogue, ConnectorInfo, OperationInfo, Secret, SettingInfo, System
from counterfoil.blueprint import load as load_blueprint
from counterfoil.connectors import odoo, woocommerce
from counterfoil.hub.contract import Connector
from counterfoil.hub.decode import Process
from counterfoil.hub.store import Store
from counterfoil.hub.worker import Worker
from counterfoil.processes.orders import orders
from counterfoil.retail.events import EVENT_TYPES

CONNECTORS = {"odoo": odoo, "woocommerce": woocommerce}


def catalogue() -> Catalogue:
    """What the blueprint is checked against: the connectors there are, their operations, settings and events."""
    return Catalogue.of([_info(module) for module in CONNECTORS.values()], frozenset(EVENT_TYPES))


def _info(module: Any) -> ConnectorInfo:
    capabilities = module.CAPABILITIES
    return ConnectorInfo(
        name=capabilities["name"],
        settings=tuple(SettingInfo(s.name, secret=s.secret, required=s.required) for s in module.SETTINGS),
        operations=tuple(OperationInfo(o["name"], o["stream"], o["emits"]) for o in capabilities["operations"]),
        events=capabilities["events"],
        webhook_setting=capabilities.get("webhook_setting"),
    )


def load(path: Path | str, require_secrets: bool = True) -> Blueprint:
    """The checked blueprint. Raises BlueprintError with every problem, its line, and what was expected."""
    return load_blueprint(Path(path), known=catalogue(), require_secrets=require_secrets)


def settings_of(system: System, blueprint: Blueprint) -> dict[str, str]:
    """A system's settings as plain texts for its connector; secrets revealed, times in seconds."""
    texts = {name: _text(value) for name, value in system.settings.items()}
    texts |= {"url": system.url, "poll": _text(system.poll), "overlap": _text(system.overlap)}
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
            made[name] = odoo.Odoo(name, settings, odoo_rules(blueprint))
        else:
            made[name] = woocommerce.WooCommerce(name, settings)
    return made


def odoo_rules(blueprint: Blueprint) -> odoo.Rules:
    """The blueprint's choices that the Odoo connector carries out."""
    return odoo.Rules(
        match=tuple(blueprint.customers.match),
        taxes=tuple(odoo.TaxRule(t.rate, t.country or "", t.class_ or "", str(t.odoo)) for t in blueprint.taxes),
        payments={p.method: p.journal for p in blueprint.payments},
        tolerance=blueprint.orders.rounding_tolerance,
    )


def processes(blueprint: Blueprint) -> dict[str, Mapping[str, Process]]:
    """By system, then by kind of object."""
    return {name: {"order": orders(blueprint.orders, s.cut_over)} for name, s in blueprint.systems.items()}


def worker(store: Store, blueprint: Blueprint, made: Mapping[str, Connector], **options: Any) -> Worker:
    """A worker over the given connectors."""
    return Worker(store, blueprint, made, processes(blueprint), **options)
