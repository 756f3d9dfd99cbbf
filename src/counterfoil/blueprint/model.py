"""The operating model as data: immutable, checked field by field, with the defaults of every key.

Each field's description says what is expected there; the messages of a wrong blueprint are made of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    WrapSerializer,
)
from pydantic_core import CoreSchema, core_schema

HUB = "hub"
"""The name no system may have: the hub's own operations stand under it."""

HUB_ASK = "hub.ask"
"""The built-in operation: put it before a person."""

SYSTEM_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
"""No dot, colon or underscore: those part a system's name from the rest in operations, ids and external ids."""

HIDDEN = "**********"

_UNITS = {"ms": timedelta(milliseconds=1), "s": timedelta(seconds=1), "m": timedelta(minutes=1)} | {
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_LONGEST = timedelta(days=3650)
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_RATE = re.compile(r"([0-9]{1,6})/(s|min|h)")
_PER = {"s": 1, "min": 60, "h": 3600}
_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")
_LISTEN = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")

V = TypeVar("V")


class Remedy(ValueError):
    """A wrong value whose message says how to put it right; shown as the hint of a problem."""


class SecretMissing(LookupError):
    """A secret was asked for that was never looked up; load the blueprint with its secrets."""


class Secret:
    """A value that must not be seen. repr, str, format and JSON show how it was written, never what it is.

    `value` None means that it was not looked up. `written` is the reference as it stands in the blueprint, or
    `file` the path of `{file: path}`.
    """

    __slots__ = ("_value", "file", "written")

    def __init__(self, value: str | None, written: str = HIDDEN, *, file: str = "") -> None:
        self._value = value
        self.file = file
        self.written = f"{{file: {file}}}" if file else written

    @property
    def resolved(self) -> bool:
        """Whether the value is known."""
        return self._value is not None

    def reveal(self) -> str:
        """The value itself. Raises SecretMissing if it was not looked up."""
        if self._value is None:
            raise SecretMissing(f"{self.written} was not looked up")
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.written})"

    def __str__(self) -> str:
        return self.written

    def __format__(self, spec: str) -> str:
        return format(self.written, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._value, self.written) == (other._value, other.written)

    def __hash__(self) -> int:
        return hash((self._value, self.written))

    def reference(self) -> str | dict[str, str]:
        """What to write into a blueprint for it."""
        return {"file": self.file} if self.file else self.written

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        # Text is taken in code only (a blueprint's own text goes through load.py, which insists on references).
        return core_schema.no_info_plain_validator_function(
            cls._taken,
            serialization=core_schema.plain_serializer_function_ser_schema(cls.reference, when_used="json"),
        )

    @classmethod
    def _taken(cls, value: object) -> Secret:
        if isinstance(value, Secret):
            return value
        if isinstance(value, str):
            return cls(value, re.sub(r"(?<=://).*@", f"{HIDDEN}@", value) if "://" in value else HIDDEN)
        raise ValueError("a secret is text")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` calls in `per_seconds` seconds."""

    count: int
    per_seconds: int

    @property
    def per_second(self) -> float:
        """Calls a second."""
        return self.count / self.per_seconds

    def __str__(self) -> str:
        """`10/s`, as the blueprint has it."""
        unit = next((unit for unit, seconds in _PER.items() if seconds == self.per_seconds), f"{self.per_seconds}s")
        return f"{self.count}/{unit}"


def parse_duration(text: str) -> timedelta:
    """`60s`, `2m`, `48h`, `1d` or `200ms` as a timedelta. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        digits = re.fullmatch(r"[0-9]+", text)
        raise Remedy(f"give a unit: {text}s") if digits else ValueError("a whole number and s, m, h or d")
    if int(match[1]) > _LONGEST / _UNITS[match[2]]:
        raise Remedy("at most 3650d")
    return int(match[1]) * _UNITS[match[2]]


def format_duration(duration: timedelta) -> str:
    """The shortest way to write it: `2m`, `90s`, `0s`."""
    for unit in ("d", "h", "m", "s"):
        if duration % _UNITS[unit] == timedelta(0) and (duration or unit == "s"):
            return f"{duration // _UNITS[unit]}{unit}"
    return f"{duration // _UNITS['ms']}ms"


def parse_rate(text: str) -> Rate:
    """`10/s`, `300/min` or `5000/h`. Raises ValueError."""
    match = _RATE.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError("a whole number above 0, then /s, /min or /h")
    return Rate(int(match[1]), _PER[match[2]])


def parse_moment(text: str) -> datetime:
    """An ISO 8601 date and time with its zone, in UTC. Raises ValueError, also if the zone is missing."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("write it like 2026-11-01T00:00:00Z") from None
    if moment.tzinfo is None:
        zoned = f"{moment.isoformat()}Z" if moment.microsecond == 0 else "a Z at the end"
        raise Remedy(f"the time zone is missing: {zoned} if UTC is meant, or an offset such as +01:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Remedy("too far from today") from None


def parse_url(text: str) -> str:
    """An http(s) address without its trailing slash. Raises ValueError, also for a user, query or fragment."""
    if "${" in text:  # not looked up (require_secrets=False): nothing to judge yet
        return text
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise Remedy("not a well-formed address") from None
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise Remedy("it starts with http:// or https:// and a host")
    if "@" in parts.netloc:
        raise Remedy("user and password do not belong into an address")
    if parts.query or parts.fragment:
        raise Remedy("leave off what follows ? or #")
    return text.rstrip("/")


def _percent(value: Any) -> Any:
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return Decimal(value)
    if not isinstance(value, str) or not _PERCENT.fullmatch(value):
        swapped = isinstance(value, str) and value.replace(",", ".").rstrip("% ")
        raise (Remedy(f"write {swapped}") if swapped and _PERCENT.fullmatch(swapped) else ValueError("a plain number"))
    return Decimal(value)


def _country(value: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}", value):
        upper = value.upper()
        raise Remedy(f"write {upper}") if re.fullmatch(r"[A-Z]{2}", upper) else ValueError("two capital letters")
    return value


def _listen(value: str) -> str:
    match = _LISTEN.fullmatch(value)
    if "${" in value:  # not looked up, as in parse_url
        return value
    if match is None or int(match[2]) > 65535:
        raise ValueError("a host, a colon and a port up to 65535")
    return value


def _named_operation(value: str) -> str:
    if not re.fullmatch(r"[^.\s]+\.[^.\s]+", value):
        raise ValueError("a system, a dot and what it shall do")
    return value


def _longer_than_nothing(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise Remedy("longer than 0s")
    return value


def _each_once(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) != len(value):
        raise Remedy("each once")
    return value


class ReadOnlyDict(Mapping[str, V]):
    """A mapping that cannot be changed, but, unlike MappingProxyType, can be copied and pickled with its model."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, V]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: str) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)


def _as_dict(value: Mapping[str, V], handler: SerializerFunctionWrapHandler) -> Any:
    return handler(dict(value))


Duration = Annotated[
    timedelta,
    BeforeValidator(lambda value: value if isinstance(value, timedelta) else parse_duration(str(value))),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
Wait = Annotated[Duration, AfterValidator(_longer_than_nothing)]
Moment = Annotated[
    datetime,
    BeforeValidator(lambda value: parse_moment(value.isoformat() if isinstance(value, datetime) else str(value))),
]
Url = Annotated[str, AfterValidator(lambda value: parse_url(value) if value else value)]
Percent = Annotated[Decimal, BeforeValidator(_percent), Field(ge=0, le=100)]
Name = Annotated[str, Field(min_length=1)]
ReadOnly = Annotated[Mapping[str, V], AfterValidator(ReadOnlyDict), WrapSerializer(_as_dict)]

_AN_ADDRESS = "an address such as https://shop.example"
_A_DURATION = "a duration such as 60s or 2m"


class _Part(BaseModel):
    # Whole numbers become text where text is wanted: a journal may be called 101.
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, hide_input_in_errors=True)


RateValue = Annotated[
    Rate,
    BeforeValidator(lambda value: value if isinstance(value, Rate) else parse_rate(str(value))),
    PlainSerializer(str, return_type=str, when_used="json"),
]
_A_RATE = "a rate such as 10/s or 300/min"


class Limits(_Part):
    """How fast and how many at once a system may be called, by all workers together."""

    rate: RateValue | None = Field(default=None, description=f"{_A_RATE}: deliveries, whatever the operation")
    concurrency: int | None = Field(
        default=None, strict=True, ge=1, le=100, description="a whole number from 1 to 100: calls at once"
    )


class System(_Part):
    """One running application, and how to reach it."""

    name: str = Field(pattern=rf"^{SYSTEM_NAME.pattern}$")
    connector: Name = Field(description="the kind of system, such as woocommerce or odoo")
    url: Url = Field(default="", description=_AN_ADDRESS)
    poll: Wait | None = Field(default=None, description=_A_DURATION)  # None: as often as its connector does by itself
    overlap: Duration = Field(default=timedelta(minutes=2), description=_A_DURATION)
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


class Flow(_Part):
    """On this event, do that operation, within this time, and this if the system is down."""

    on: Name = Field(description="an event such as order.placed")
    from_: Name | None = Field(
        default=None, validation_alias="from", serialization_alias="from", description="the name of a system"
    )
    do: Annotated[Name, AfterValidator(_named_operation)] = Field(
        description="an operation such as odoo.accept_order, or hub.ask"
    )
    within: Wait | None = Field(default=None, description=_A_DURATION)
    when_down: Literal["critical", "defer", "latest_only"] = Field(
        default="defer", description="one of critical, defer, latest_only"
    )
    on_exception: Literal["hold", "pass"] = Field(default="hold", description="one of hold, pass")
    batch: int | None = Field(default=None, strict=True, ge=1, le=1000, description="a whole number from 1 to 1000")
    rate: RateValue | None = Field(default=None, description=_A_RATE)

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


class OrderChoices(_Part):
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


class CustomerRules(_Part):
    """How a customer is found in Odoo: by these, in this order; the first that finds exactly one wins."""

    match: Annotated[tuple[Literal["email", "vat", "phone"], ...], AfterValidator(_each_once)] = Field(
        default=("email",), min_length=1, description="a list of email, vat, phone, each at most once"
    )


class TaxRow(_Part):
    """A tax of the shop and its tax in Odoo, by name or external id (text) or by database id (number)."""

    rate: Percent = Field(description="a percentage from 0 to 100 such as 20 or 5.5")
    country: Annotated[str, AfterValidator(_country)] | None = Field(
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


class PaymentRow(_Part):
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


class Channel(_Part):
    """What a shop is told of products and stock. `tax_classes`: Odoo's tax to the shop's tax class."""

    warehouses: Annotated[tuple[Name, ...], AfterValidator(_each_once)] = Field(
        default=(), description="a list of warehouse codes in Odoo, such as [WH]; empty for all"
    )
    stock: Literal["available", "on_hand", "forecast"] = Field(
        default="available", description="one of available, on_hand, forecast"
    )
    safety_stock: int = Field(
        default=0, strict=True, ge=0, le=1_000_000, description="a whole number of units that the shop is not told of"
    )
    requires: Annotated[tuple[Need, ...], AfterValidator(_each_once)] = Field(
        default=("sku", "price"), description=f"a list of {', '.join(get_args(Need))}"
    )
    tax_classes: ReadOnly[str] = Field(
        default_factory=dict, validate_default=True, description="a mapping of taxes in Odoo to tax classes of the shop"
    )
    publish: Annotated[tuple[Published, ...], AfterValidator(_each_once)] = Field(
        default=get_args(Published), description=f"a list of {', '.join(get_args(Published))}"
    )


class Pressure(_Part):
    """From when on flows that may wait (`when_down: defer`) slow down, so that the others are on time."""

    backlog: int = Field(
        default=5000,
        strict=True,
        ge=1,
        le=10_000_000,
        description="a whole number: so many deliveries that must be on time are due",
    )
    lag: Wait = Field(default=timedelta(seconds=20), description=f"{_A_DURATION}: one of them has been due for so long")


class ExceptionOwners(_Part):
    """Who looks after which exceptions."""

    default: Name = Field(default="shop-manager", description="who looks after it")
    by_reason: ReadOnly[Name] = Field(
        default_factory=lambda: {"misconfigured": "integration-engineer", "bug": "integration-engineer"},
        validate_default=True,
        description="who looks after it",
    )

    def owner_of(self, reason: str, outcome: str = "") -> str:
        """By the reason, else by the outcome, else the default."""
        return self.by_reason.get(reason) or self.by_reason.get(outcome) or self.default


class Retention(_Part):
    """How long is kept what is finished: raw bodies, and the history (receipts, events, log, closed exceptions)."""

    bodies: Wait = Field(default=timedelta(days=90), description="a duration such as 90d")
    history: Wait = Field(default=timedelta(days=400), description="a duration such as 400d")


class Blueprint(_Part):
    """The whole operating model of one hub."""

    counterfoil: Literal[1] = 1
    store: Secret = Field(default=Secret("sqlite:///counterfoil.db", "sqlite:///counterfoil.db"))
    listen: Annotated[str, AfterValidator(_listen)] = Field(
        default="127.0.0.1:8470", description="a host and port such as 127.0.0.1:8470"
    )
    public_url: Url | None = Field(default=None, min_length=1, description="an address such as https://hub.example")
    systems: ReadOnly[System]
    owners: ReadOnly[str] = Field(default_factory=dict, validate_default=True)
    flows: tuple[Flow, ...] = ()
    channels: ReadOnly[Channel] = Field(default_factory=dict, validate_default=True)
    orders: OrderChoices = OrderChoices()
    customers: CustomerRules = CustomerRules()
    taxes: tuple[TaxRow, ...] = ()
    payments: tuple[PaymentRow, ...] = ()
    exceptions: ExceptionOwners = ExceptionOwners()
    retention: Retention = Retention()
    pressure: Pressure = Pressure()

    @property
    def listen_host(self) -> str:
        """The host of `listen`, without brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def listen_port(self) -> int:
        """The port of `listen`; 0 means any free one."""
        return int(self.listen.rpartition(":")[2])

    def flows_on(self, event_type: str, system: str) -> tuple[Flow, ...]:
        """The flows an event of that type from that system sets off, in the order written."""
        return tuple(flow for flow in self.flows if flow.matches(event_type, system))
