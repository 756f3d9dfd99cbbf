"""What the blueprint declares for orders going into Odoo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from counterfoil.connectors.overlay import PLAIN, Dialect


@dataclass(frozen=True, slots=True)
class TaxRule:
    """A declared tax: this rate (percent), for this country and class ('' = any), is that tax of Odoo.

    `odoo` is the tax's name, its external id (`module.name`) or its number.
    """

    percent: Decimal
    country: str
    tax_class: str
    odoo: str


@dataclass(frozen=True, slots=True)
class Staff:
    """Whose calendars are read: users by login or by name, and how many days ahead."""

    users: tuple[str, ...] = ()
    days: int = 0


NOBODY = Staff()


@dataclass(frozen=True, slots=True)
class Rules:
    """How orders are taken over. `tolerance` is in the currency's smallest units.

    `routed`: the warehouses that orders may be routed to; `pickups`: their stores, where they are collected.
    `invoices`: invoices or credit notes are posted, beside the orders.
    `dialect`: fields that the blueprint fills itself.
    """

    match: tuple[str, ...] = ("email",)
    taxes: tuple[TaxRule, ...] = ()
    payments: Mapping[str, str] = field(default_factory=dict)  # payment method → journal code; "*" any other
    tolerance: int = 5
    invoices: bool = False
    warehouses: Mapping[str, str] = field(default_factory=dict)  # shop → short name of the one that ships its orders
    pricelists: Mapping[str, str] = field(default_factory=dict)  # shop → name or external id
    pickups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # shop → its way of collecting → warehouse
    routed: frozenset[str] = frozenset()
    dialect: Dialect = PLAIN
    staff: Staff = NOBODY
