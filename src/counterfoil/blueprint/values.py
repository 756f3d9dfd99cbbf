"""The values a blueprint is written in: durations, rates, moments, addresses, secrets; and the base of its parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, TypeVar
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


def percent(value: Any) -> Any:
    if isinstance(value, Decimal) or (isinstance(value, int) and not isinstance(value, bool)):
        return Decimal(value)
    if not isinstance(value, str) or not _PERCENT.fullmatch(value):
        swapped = isinstance(value, str) and value.replace(",", ".").rstrip("% ")
        raise (Remedy(f"write {swapped}") if swapped and _PERCENT.fullmatch(swapped) else ValueError("a plain number"))
    return Decimal(value)


def country_code(value: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}", value):
        upper = value.upper()
        raise Remedy(f"write {upper}") if re.fullmatch(r"[A-Z]{2}", upper) else ValueError("two capital letters")
    return value


def host_and_port(value: str) -> str:
    match = _LISTEN.fullmatch(value)
    if "${" in value:  # not looked up, as in parse_url
        return value
    if match is None or int(match[2]) > 65535:
        raise ValueError("a host, a colon and a port up to 65535")
    return value


def named_operation(value: str) -> str:
    if not re.fullmatch(r"[^.\s]+\.[^.\s]+", value):
        raise ValueError("a system, a dot and what it shall do")
    return value


def _longer_than_nothing(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise Remedy("longer than 0s")
    return value


def each_once(value: tuple[str, ...]) -> tuple[str, ...]:
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
Percent = Annotated[Decimal, BeforeValidator(percent), Field(ge=0, le=100)]
Name = Annotated[str, Field(min_length=1)]
ReadOnly = Annotated[Mapping[str, V], AfterValidator(ReadOnlyDict), WrapSerializer(_as_dict)]

AN_ADDRESS = "an address such as https://shop.example"
A_DURATION = "a duration such as 60s or 2m"


class Part(BaseModel):
    # Whole numbers become text where text is wanted: a journal may be called 101.
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, hide_input_in_errors=True)


RateValue = Annotated[
    Rate,
    BeforeValidator(lambda value: value if isinstance(value, Rate) else parse_rate(str(value))),
    PlainSerializer(str, return_type=str, when_used="json"),
]
A_RATE = "a rate such as 10/s or 300/min"
