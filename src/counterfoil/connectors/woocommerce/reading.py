"""Reading JSON that may be anything: each look at it names the place when it finds something else."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from counterfoil.hub.contract import BadPayload
from counterfoil.retail.money import NotAnAmount, decimal_of

MAX_BODY = 4 * 1024 * 1024  # bytes; a real order with 200 lines has about 200 kB
MAX_AMOUNT = Decimal(10) ** 12  # an amount beyond it is a mistake, and 28 digits would no longer add exactly
LOOK_AT_ORDER = "Open the order in the shop and save it again; if it stays, send the kept body to the engineer."


def json_object(body: bytes) -> Mapping[str, Any]:
    """The body's JSON object, numbers as exact Decimals. Raises BadPayload."""
    if len(body) > MAX_BODY:
        raise BadPayload(
            "too_large",
            f"The body has {len(body):,} bytes; an order has at most {MAX_BODY:,}.",
            "See in the shop what is stored on this order; a plugin may be filling its meta data.",
        )
    try:
        data = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except RecursionError as error:
        raise BadPayload("too_deep", "The body is nested too deeply to be an order.", LOOK_AT_ORDER) from error
    except (ValueError, ArithmeticError) as error:
        raise BadPayload(
            "not_json",
            f"The shop did not send JSON, but: {body[:80].decode('utf-8', 'replace')!r}",
            "Often a PHP warning or a maintenance page stands in front of the JSON; look at the shop's error log.",
        ) from error
    if not isinstance(data, dict):
        raise BadPayload("wrong_shape", f"The body is {kind_of(data)}, not an order.", LOOK_AT_ORDER)
    return data


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def not_an_order(data: Mapping[str, Any]) -> NoReturn:
    """WooCommerce signs its error answers like any payload, and a deletion is nothing but an id."""
    if set(data) == {"id"}:
        raise BadPayload(
            "deleted",
            f"The shop says that order {words(data['id'])} was deleted.",
            "Cancel it in the ERP if it stands there and has not been shipped.",
        )
    if isinstance(data.get("code"), str) and "message" in data:
        code = words(data["code"])
        fix = "If the order was deleted in the shop before the message left, nothing is to be done."
        if "invalid_id" not in code:
            fix = "In WooCommerce > Settings > Advanced > Webhooks, give the webhook an owner who may see orders."
        raise BadPayload(
            "shop_error_body", f"Instead of an order the shop sent an error: {words(data['message'])} ({code})", fix
        )
    raise BadPayload("missing_field", "The body has no line_items, so it is not an order.", LOOK_AT_ORDER)


def label_of(data: Mapping[str, Any]) -> str:
    """What to call the order in a message."""
    name = data.get("number", data.get("id"))
    return f"Order {words(name)}" if isinstance(name, str | int) else "An order without a number"


def words(value: object) -> str:
    """Foreign text for use inside a message."""
    return clean(str(value)[:200]) if isinstance(value, str | int) else kind_of(value)


def kind_of(value: object) -> str:
    """What kind of JSON value it is, in words."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def clean(text: str) -> str:
    """Text as people see it: entities resolved, without NUL and half surrogates, which no database keeps."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return html.unescape(whole).replace("\x00", "").strip()


@dataclass(frozen=True, slots=True)
class At:
    """A JSON object and where in the order it stands, so that complaints (BadPayload) can name the place."""

    where: str
    data: Mapping[str, Any]

    def place(self, key: str) -> str:
        """Where `key` stands, such as line_items[0].total."""
        return f"{self.where}.{key}" if self.where else key

    def wrong(self, key: str, expected: str, reason: str = "wrong_shape") -> NoReturn:
        """Complain about the value of `key`."""
        found = self.data.get(key)
        shown = f"{words(found)!r:.60}" if isinstance(found, str) else kind_of(found)
        raise BadPayload(reason, f"{self.place(key)} is {shown}, expected {expected}", LOOK_AT_ORDER)

    def take(self, key: str) -> Any:
        """The value of `key`, which must be there."""
        if key not in self.data:
            raise BadPayload("missing_field", f"{self.place(key)} is missing", LOOK_AT_ORDER)
        return self.data[key]

    def text(self, key: str, default: str | None = None) -> str:
        """Text for people; null and false read as empty, numbers as their digits."""
        value = self.take(key) if default is None else self.data.get(key, default)
        if value is None or value is False:
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int):
            self.wrong(key, "a text")
        return clean(str(value))

    def code(self, key: str) -> str:
        """Text for machines: no entities to resolve, nothing but trimmed."""
        value = self.data.get(key)
        return "".join(c for c in value if c.isprintable()).strip() if isinstance(value, str) else ""

    def flag(self, key: str) -> bool:
        """Whether `key` is true; anything else is not."""
        return self.data.get(key) is True

    def id(self, key: str) -> str:
        """A positive whole number as text."""
        value = self.take(key)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
            self.wrong(key, "a positive whole number")
        return str(value)

    def reference(self, key: str) -> str:
        """The id of another thing, empty where the shop says 0 or nothing."""
        return "" if self.data.get(key) in (None, 0, "", "0", False) else self.id(key)

    def amount(self, key: str, blank: Decimal | None = None) -> Decimal:
        """An exact amount from plain notation; an empty or missing one is `blank`, where that is given."""
        value = self.data.get(key, "") if blank is not None else self.take(key)
        if blank is not None and value in (None, ""):
            return blank
        try:
            found = decimal_of(value)
        except NotAnAmount:
            self.wrong(key, "an amount such as 12.50", "bad_amount")
        if not is_sane(found, 12):
            self.wrong(key, f"an amount below {MAX_AMOUNT:,}", "bad_amount")
        return found

    def quantity(self, key: str) -> Decimal:
        """How many, possibly broken (2.5 m) or negative."""
        value = self.data.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
            self.wrong(key, "a number")
        try:
            found = Decimal(value)
        except InvalidOperation:
            self.wrong(key, "a number")
        if not found.is_finite() or not is_sane(found, 6):
            self.wrong(key, "a quantity")
        return found

    def moment(self, key: str) -> datetime | None:
        """A `*_gmt` field, which is UTC without saying so; None where the shop has none."""
        value = self.data.get(key)
        if value is None or value == "":
            return None
        try:
            if not isinstance(value, str) or len(value) > 40:
                raise ValueError(key)
            found = datetime.fromisoformat(value)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            self.wrong(key, "a date such as 2026-11-21T02:31:26")

    def object(self, key: str) -> At:
        """A nested object; PHP writes an empty one as an empty list."""
        value = self.data.get(key)
        if value is None or value == []:
            value = {}
        if not isinstance(value, dict):
            self.wrong(key, "an object")
        return At(self.place(key), value)

    def objects(self, key: str, required: bool = False) -> list[At]:
        """A list of objects."""
        value = self.take(key) if required else self.data.get(key, [])
        if value is None:
            value = []
        if not isinstance(value, list):
            self.wrong(key, "a list")
        for position, entry in enumerate(value):
            if not isinstance(entry, dict):
                raise BadPayload(
                    "wrong_shape",
                    f"{self.place(key)}[{position}] is {kind_of(entry)}, expected an object",
                    LOOK_AT_ORDER,
                )
        return [At(f"{self.place(key)}[{position}]", entry) for position, entry in enumerate(value)]


def is_sane(number: Decimal, places: int) -> bool:
    """Neither huge nor finer than `places` digits after the point."""
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and -places <= exponent <= 12 and abs(number) < MAX_AMOUNT


def meta_texts(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Key and value of the textual meta data; plugins store anything there, so what is odd is passed over."""
    entries = data.get("meta_data")
    if not isinstance(entries, list):
        return []
    pairs = [(entry.get("key"), entry.get("value")) for entry in entries if isinstance(entry, dict)]
    return [
        (key, clean(str(value)))
        for key, value in pairs
        if isinstance(key, str) and isinstance(value, str | int) and not isinstance(value, bool)
    ]
