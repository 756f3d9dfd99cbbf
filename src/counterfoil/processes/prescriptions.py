"""What a prescription must be, and what an order waits for. Pure decisions; what is read and kept is in prescribing.

Nothing here repeats a value of a prescription: problems name the field and what is expected of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from counterfoil.blueprint.model import HUB
from counterfoil.blueprint.prescriptions import Measure, Prescriptions
from counterfoil.blueprint.values import format_duration
from counterfoil.hub.contract import Outcome, rejected
from counterfoil.hub.storefront.prescriptions import RELEASED, REPLACED, TO_RELEASE, Record
from counterfoil.retail.events import Event, at_utc, event_id
from counterfoil.retail.order import Line, LineKind, Order

MISSING_REASON, TO_RELEASE_REASON = "prescription_missing", "prescription_to_release"
REASONS = (MISSING_REASON, TO_RELEASE_REASON)
"""Why an order waits."""
MISSING = "missing"
"""How a line stands that nothing was attached for; the other states are those of a record."""

Categories = Mapping[str, Collection[tuple[str, ...]]]
"""By SKU, the categories it is in: paths from the root."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a prescription: where, and what is expected there."""

    at: str
    expected: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a prescription says, opened. Not to be printed in logs: its repr shows nothing of it."""

    values: Mapping[str, str]
    media: str
    content: bytes

    def __repr__(self) -> str:
        return "Said(…)"


def in_need(order: Order, rules: Prescriptions, categories: Categories) -> list[Line]:
    """The order's lines that are only sold on a prescription."""
    return [line for line in order.lines if line.kind is LineKind.PRODUCT and _fits(line, rules, categories)]


def _fits(line: Line, rules: Prescriptions, categories: Categories) -> bool:
    paths = categories.get(line.sku) or ((),)
    return line.quantity > 0 and any(rules.needs.fits(line.sku, line.tax_class, path) for path in paths)


def states(lines: Iterable[str], records: Sequence[Record]) -> dict[str, Record | None]:
    """By line, the record that counts for it: a released one, else the newest."""
    found: dict[str, Record | None] = {}
    for line in lines:
        mine = [r for r in records if line in r.lines and r.state != REPLACED]
        found[line] = max(mine, key=lambda r: (r.state == RELEASED, r.made_at), default=None)
    return found


def waits_for(standing: Mapping[str, Record | None]) -> str:
    """The reason for which an order whose lines stand so waits; empty where it does not."""
    said = {record.state if record else MISSING for record in standing.values()}
    if said <= {RELEASED}:
        return ""
    return TO_RELEASE_REASON if said <= {RELEASED, TO_RELEASE} else MISSING_REASON


def waiting(
    order: Order, lines: Sequence[Line], standing: Mapping[str, Record | None], rules: Prescriptions
) -> Outcome:
    """What a person is told of an order that waits."""
    reason = waits_for(standing)
    so_far = "is not in Odoo" if rules.hold == "order" else "is not confirmed in Odoo"
    if reason == TO_RELEASE_REASON:
        ids = sorted({r.id for r in standing.values() if r is not None and r.state == TO_RELEASE})
        return rejected(
            reason,
            f"A prescription of order {order.number} is there and nobody has released it yet; until then the order "
            f"{so_far}.",
            f"Look at it (counterfoil prescriptions show {ids[0]} --role …), then release or reject it. The order "
            "goes on by itself.",
        )
    open_ = [line.sku or line.name for line in lines if (r := standing[line.id]) is None or r.state != RELEASED]
    return rejected(
        reason,
        f"Order {order.number} has what is only sold on a prescription, and none that counts is attached for "
        f"{', '.join(open_)}; until then the order {so_far}.",
        "Ask the customer for it: the shop's front end attaches it (POST /storefront/v1/prescriptions). The order "
        "goes on by itself once it is released.",
    )


def checked(given: Mapping[str, Any], rules: Prescriptions, today: date) -> tuple[dict[str, str], list[Wrong]]:
    """What was given as plain texts, by field, and what is wrong with it."""
    wrong = [Wrong(name, f"one of {', '.join(rules.fields)}") for name in given if name not in rules.fields]
    values: dict[str, str] = {}
    for name, measure in rules.fields.items():
        told = given.get(name)
        if told is None or told == "":
            if measure.required:
                wrong.append(Wrong(name, f"a value: {expected(measure)}"))
        elif (value := _read(told, measure, today)) is None:
            wrong.append(Wrong(name, expected(measure)))
        else:
            values[name] = value
    for name, measure in rules.fields.items():
        if name in values and measure.needs and measure.needs not in values:
            wrong.append(Wrong(measure.needs, f"a value, since {name} is given"))
    return values, wrong


def expected(measure: Measure) -> str:
    """What a field takes, in words."""
    if measure.type == "choice":
        return f"one of {', '.join(measure.choices)}"
    if measure.type == "date":
        age = f", not older than {format_duration(measure.valid_for)}" if measure.valid_for else ""
        return f"a date such as 2026-11-21, not after today{age}"
    if measure.type == "text":
        return f"a text of at most {measure.longest} characters"
    words = "a whole number" if measure.type == "integer" else "a number"
    words += f" from {measure.min}" if measure.min is not None else ""
    words += f" to {measure.max}" if measure.max is not None else ""
    return words + (f" in steps of {measure.step}" if measure.step is not None else "")


def _read(told: Any, measure: Measure, today: date) -> str | None:
    """The value as a text; None where it is not one."""
    if measure.type in ("number", "integer"):
        return _number(told, measure)
    if not isinstance(told, str):
        return None
    if measure.type == "choice":
        return told if told in measure.choices else None
    if measure.type == "text":
        return told if len(told) <= measure.longest and told.isprintable() else None
    try:
        day = date.fromisoformat(told)
    except ValueError:
        return None
    too_old = measure.valid_for is not None and today - day > measure.valid_for
    return None if day > today or too_old else day.isoformat()


def _number(told: Any, measure: Measure) -> str | None:
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        return None
    try:
        number = Decimal(str(told).strip())
        fits = number.is_finite() and abs(number) < 10**9 and -number.normalize().as_tuple().exponent <= 9  # type: ignore[operator]
    except (InvalidOperation, TypeError):
        return None
    if not fits or (measure.type == "integer" and number != number.to_integral_value()):
        return None
    below = measure.min is not None and number < measure.min
    above = measure.max is not None and number > measure.max
    between = measure.step is not None and number % measure.step != 0
    return None if below or above or between else f"{number:f}"


def media_of(content: bytes) -> str:
    """pdf, jpeg or png, by how the content begins and ends; empty for anything else. Says nothing of viruses."""
    if content.startswith(b"%PDF-") and b"%%EOF" in content[-2048:]:
        return "pdf"
    if content.startswith(b"\xff\xd8\xff") and b"\xff\xd9" in content[-65536:]:
        return "jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR") and b"IEND\xaeB`\x82" in content[-65536:]:
        return "png"
    return ""


def wrong_file(content: bytes, media: str, rules: Prescriptions) -> list[Wrong]:
    """What is wrong with the document of a prescription, which is of this `media_of`."""
    if not content:
        return [Wrong("file", f"a file: {', '.join(rules.files)}")] if rules.file == "required" else []
    if rules.file == "none":
        return [Wrong("file", "no file: the fields say it all")]
    if len(content) > rules.largest_file:
        return [Wrong("file", f"at most {rules.largest_file} bytes")]
    return [] if media in rules.files else [Wrong("file", f"one of {', '.join(rules.files)}, by its content and whole")]


def packed(values: Mapping[str, str], media: str, content: bytes) -> bytes:
    """All that a prescription says, to be sealed."""
    head = json.dumps({"values": dict(values), "media": media}).encode()
    return len(head).to_bytes(4, "big") + head + content


def unpacked(clear: bytes) -> Said:
    """What was packed."""
    length = int.from_bytes(clear[:4], "big")
    head = json.loads(clear[4 : 4 + length])
    return Said(head["values"], head["media"], clear[4 + length :])


def fact(type_: str, record: Record, at: float) -> Event:
    """What became of a prescription: which one and for which lines, never what it says."""
    about = {"id": record.id, "lines": list(record.lines), "state": record.state}
    about |= {"reason": record.reason} if record.reason else {}
    return Event(
        id=event_id(HUB, type_, record.subject, record.id, f"{at:.6f}"),
        type=type_,
        source=HUB,
        subject=record.subject,
        key=record.subject,
        time=at_utc(at),
        correlation=record.subject,
        refs=(("order", record.number), ("prescription", record.id)),
        data={"prescription": about},
    )
