"""The operating model as data: immutable, checked field by field, with the defaults of every key.

Each field's description says what is expected there; the messages of a wrong blueprint are made of them.
"""

from __future__ import annotations

import functools
import re
from datetime import timedelta
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, ConfigDict, Field

from counterfoil.blueprint.appointments import Appointments
from counterfoil.blueprint.approvals import Approvals
from counterfoil.blueprint.calendars import A_ZONE, Calendar, Zone
from counterfoil.blueprint.console import Console
from counterfoil.blueprint.drift import Drift
from counterfoil.blueprint.identity import ArticleRules, CustomerRules
from counterfoil.blueprint.metrics import MetricsRules
from counterfoil.blueprint.notify import Notify
from counterfoil.blueprint.ownership import Ownership, owner_of
from counterfoil.blueprint.places import Place
from counterfoil.blueprint.prescriptions import Prescriptions
from counterfoil.blueprint.pricing import PriceRules
from counterfoil.blueprint.promising import Promise
from counterfoil.blueprint.quality import QualityRules
from counterfoil.blueprint.responding import ExceptionOwners
from counterfoil.blueprint.returning import Returns
from counterfoil.blueprint.routing import Routing
from counterfoil.blueprint.stock import StockRules
from counterfoil.blueprint.storefront import Storefront
from counterfoil.blueprint.timing import Timing, a_schedule, a_time, a_window, timing_of
from counterfoil.blueprint.traces import Traces
from counterfoil.blueprint.trials import Trials
from counterfoil.blueprint.values import (
    A_DURATION,
    A_RATE,
    AN_ADDRESS,
    Duration,
    Moment,
    Name,
    Part,
    Percent,
    RateValue,
    ReadOnly,
    Secret,
    Url,
    Wait,
    country_code,
    each_once,
    host_and_port,
    named_operation,
)

HUB = "hub"
"""The name no system may have: the hub's own operations stand under it."""

HUB_ASK = "hub.ask"
"""The built-in operation: put it before a person."""

SYSTEM_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
"""No dot, colon or underscore: those part a system's name from the rest in operations, ids and external ids."""


class Limits(Part):
    """How fast and how many at once a system may be called, by all workers together."""

    rate: RateValue | None = Field(default=None, description=f"{A_RATE}: deliveries, whatever the operation")
    concurrency: int | None = Field(
        default=None, strict=True, ge=1, le=100, description="a whole number from 1 to 100: calls at once"
    )


class System(Part):
    """One running application, and how to reach it."""

    name: str = Field(pattern=rf"^{SYSTEM_NAME.pattern}$")
    connector: Name = Field(description="the kind of system, such as woocommerce or odoo")
    url: Url = Field(default="", description=AN_ADDRESS)
    poll: Wait | None = Field(default=None, description=A_DURATION)  # None: as often as its connector does by itself
    overlap: Duration = Field(default=timedelta(minutes=2), description=A_DURATION)
    cut_over: Moment | None = Field(
        default=None, description="a date and time with its zone, such as 2026-11-01T00:00:00Z"
    )
    limits: Limits = Field(default=Limits(), description="a mapping with the keys rate, concurrency")
    settings: ReadOnly[str | Secret] = Field(default_factory=dict, validate_default=True)

    def text(self, name: str, default: str = "") -> str:
        """The setting `name` as written, or `default`. A secret is not given out."""
        value = self.settings.get(name, default)
        if isinstance(value, Secret):
            raise TypeError(f"{self.name}.{name} is a secret: ask for it with secret()")
        return value

    def secret(self, name: str) -> str:
        """The secret `name` in the clear. Raises KeyError if not given, SecretMissing if not looked up."""
        value = self.settings[name]
        return value.reveal() if isinstance(value, Secret) else value


class Flow(Part):
    """On this event, do that operation, within this time, and this if the system is down."""

    on: Name = Field(description="an event such as order.placed")
    from_: Name | None = Field(
        default=None, validation_alias="from", serialization_alias="from", description="the name of a system"
    )
    do: Annotated[Name, AfterValidator(named_operation)] = Field(
        description="an operation such as odoo.accept_order, or hub.ask"
    )
    within: Wait | None = Field(default=None, description=A_DURATION)
    when_down: Literal["critical", "defer", "latest_only"] = Field(
        default="defer", description="one of critical, defer, latest_only"
    )
    on_exception: Literal["hold", "pass"] = Field(default="hold", description="one of hold, pass")
    batch: int | None = Field(default=None, strict=True, ge=1, le=1000, description="a whole number from 1 to 1000")
    rate: RateValue | None = Field(default=None, description=A_RATE)
    timing: Literal["real-time", "near-real-time", "batch"] | None = Field(
        default=None, description="one of real-time, near-real-time, batch"
    )
    schedule: Annotated[str, AfterValidator(a_schedule)] | None = Field(
        default=None, description='a cron line such as "0 22 * * mon-fri"'
    )
    window: Annotated[str, AfterValidator(a_window)] | None = Field(
        default=None, description='a posting window such as "22:00-04:00"'
    )
    cut_off: Annotated[str, AfterValidator(a_time)] | None = Field(
        default=None, description='a time of day such as "17:00"'
    )
    calendar: Name | None = Field(default=None, description="the name of a calendar")
    zone: Zone | None = Field(default=None, description=A_ZONE)

    model_config = ConfigDict(populate_by_name=True)

    @property
    def system(self) -> str:
        """Where it is done: `odoo` of `odoo.accept_order`."""
        return self.do.partition(".")[0]

    @property
    def operation(self) -> str:
        """What is done: `accept_order` of `odoo.accept_order`."""
        return self.do.partition(".")[2]

    def matches(self, event_type: str, system: str) -> bool:
        """Whether an event of that type from that system sets it off."""
        return self.on == event_type and self.from_ in (None, system)


class OrderChoices(Part):
    """What a state of the shop's order means for an order that was never accepted before."""

    pending: Literal["wait", "quotation"] = Field(default="wait", description="one of wait, quotation")
    on_hold: Literal["wait", "quotation", "accept"] = Field(
        default="quotation", description="one of wait, quotation, accept"
    )
    processing: Literal["accept", "quotation"] = Field(default="accept", description="one of accept, quotation")
    completed: Literal["accept", "not_wanted"] = Field(default="accept", description="one of accept, not_wanted")
    rounding_tolerance: int = Field(
        default=5,
        strict=True,
        ge=0,
        le=1000,
        description="a whole number of the currency's smallest units, 0 to 1000",
    )


class TaxRow(Part):
    """A tax of the shop and its tax in Odoo, by name or external id (text) or by database id (number)."""

    rate: Percent = Field(description="a percentage from 0 to 100 such as 20 or 5.5")
    country: Annotated[str, AfterValidator(country_code)] | None = Field(
        default=None, description="a two-letter country code such as FR"
    )
    class_: Name | None = Field(
        None,
        validation_alias="class",
        serialization_alias="class",
        description="the shop's tax class, such as standard",
    )
    odoo: Annotated[int, Field(strict=True, ge=1)] | Annotated[str, Field(strict=True, min_length=1)] = Field(
        description="the name, external id or number of a tax in Odoo"
    )

    model_config = ConfigDict(populate_by_name=True)


class PaymentRow(Part):
    """A payment method of the shop and its journal in Odoo. `*` is any other method, empty text no method."""

    method: str = Field(description='a payment method of the shop, "*" for any other or "" for none')
    journal: Name = Field(description="the code of a journal in Odoo, such as BNK1")


Need = Literal["sku", "price", "image", "gtin", "description", "category", "weight"]
"""What a product may have to have before a channel takes it."""

Published = Literal[
    "name",
    "description",
    "price",
    "sale",
    "image",
    "category",
    "tax_class",
    "stock",
    "visibility",
    "weight",
    "gtin",
]
"""What the hub may write of a product into a channel."""


_CATEGORIES = "a list of categories of the owner of products, such as [Clothing, Home / Kitchen]"


class Assortment(Part):
    """Which products a channel is to sell, by category with all below it; `never` wins over `only`."""

    only: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description=f"{_CATEGORIES}; empty for all"
    )
    never: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(default=(), description=_CATEGORIES)


class Channel(Part):
    """What a shop is told of products and stock. `tax_classes`: Odoo's tax to the shop's tax class."""

    warehouses: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of warehouse codes in Odoo, such as [WH]; empty for all"
    )
    stock: Literal["available", "on_hand", "forecast"] = Field(
        default="available", description="one of available, on_hand, forecast"
    )
    safety_stock: int = Field(
        default=0, strict=True, ge=0, le=1_000_000, description="a whole number of units that the shop is not told of"
    )
    requires: Annotated[tuple[Need, ...], AfterValidator(each_once)] = Field(
        default=("sku", "price"), description=f"a list of {', '.join(get_args(Need))}"
    )
    tax_classes: ReadOnly[str] = Field(
        default_factory=dict, validate_default=True, description="a mapping of taxes in Odoo to tax classes of the shop"
    )
    publish: Annotated[tuple[Published, ...], AfterValidator(each_once)] = Field(
        default=get_args(Published), description=f"a list of {', '.join(get_args(Published))}"
    )
    warehouse: Name | None = Field(default=None, description="the short name of the warehouse in Odoo that ships")
    pricelist: Name | None = Field(default=None, description="the name or external id of the pricelist it sells by")
    assortment: Assortment = Field(default=Assortment(), description="a mapping with the keys only, never")


class Pressure(Part):
    """From when on flows that may wait (`when_down: defer`) slow down, so that the others are on time."""

    backlog: int = Field(
        default=5000,
        strict=True,
        ge=1,
        le=10_000_000,
        description="a whole number: so many deliveries that must be on time are due",
    )
    lag: Wait = Field(default=timedelta(seconds=20), description=f"{A_DURATION}: one of them has been due for so long")


class Retention(Part):
    """How long is kept what is finished: raw bodies, and the history (receipts, events, log, closed exceptions)."""

    bodies: Wait = Field(default=timedelta(days=90), description="a duration such as 90d")
    history: Wait = Field(default=timedelta(days=400), description="a duration such as 400d")


class Blueprint(Part):
    """The whole operating model of one hub."""

    counterfoil: Literal[1] = 1
    store: Secret = Field(default=Secret("sqlite:///counterfoil.db", "sqlite:///counterfoil.db"))
    listen: Annotated[str, AfterValidator(host_and_port)] = Field(
        default="127.0.0.1:8470", description="a host and port such as 127.0.0.1:8470"
    )
    public_url: Url | None = Field(default=None, min_length=1, description="an address such as https://hub.example")
    systems: ReadOnly[System]
    owners: ReadOnly[str | Ownership] = Field(default_factory=dict, validate_default=True)
    flows: tuple[Flow, ...] = ()
    channels: ReadOnly[Channel] = Field(default_factory=dict, validate_default=True)
    orders: OrderChoices = OrderChoices()
    customers: CustomerRules = CustomerRules()
    products: ArticleRules = ArticleRules()
    prices: PriceRules = PriceRules()
    quality: QualityRules = QualityRules()
    taxes: tuple[TaxRow, ...] = ()
    payments: tuple[PaymentRow, ...] = ()
    mappings: ReadOnly[ReadOnly[ReadOnly[str]]] = Field(default_factory=dict, validate_default=True)
    statuses: ReadOnly[ReadOnly[ReadOnly[str]]] = Field(default_factory=dict, validate_default=True)
    exceptions: ExceptionOwners = ExceptionOwners()
    retention: Retention = Retention()
    pressure: Pressure = Pressure()
    approvals: Approvals = Approvals()
    drift: Drift = Drift()
    prescriptions: Prescriptions = Prescriptions()
    returns: Returns = Returns()
    trials: Trials = Trials()
    calendars: ReadOnly[Calendar] = Field(default_factory=dict, validate_default=True)
    promises: ReadOnly[Promise] = Field(default_factory=dict, validate_default=True)
    places: ReadOnly[Place] = Field(default_factory=dict, validate_default=True)
    appointments: Appointments = Appointments()
    storefront: Storefront = Storefront()
    stock: StockRules = StockRules()
    routing: Routing = Routing()
    metrics: MetricsRules = MetricsRules()
    traces: Traces = Traces()
    notify: Notify = Notify()
    console: Console = Console()

    @property
    def listen_host(self) -> str:
        """The host of `listen`, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        """The port of `listen`; 0 means any free one."""
        return int(self.listen.rpartition(":")[2])

    def owner_of(self, object_: str, field: str = "") -> str:
        """The declared owner of an object or of a field of it: a system, `origin`, or empty where none is declared."""
        return owner_of(self.owners, object_, field)

    @functools.cached_property
    def timings(self) -> tuple[Timing | None, ...]:
        """When the deliveries of each flow may be done; None: at once."""
        return tuple(timing_of(flow, self.calendars) for flow in self.flows)

    def flows_on(self, event_type: str, system: str) -> tuple[Flow, ...]:
        """The flows an event of that type from that system sets off, in the order written."""
        return tuple(flow for flow in self.flows if flow.matches(event_type, system))
