"""Things in a line: what each is called, how it stands, and whether anything about it waits for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import exception, object_
from counterfoil.hub.views.masking import mask

THINGS = ("order", "customer", "product", "variant", "appointment")
"""What can be looked for, in the order in which it is shown."""


def thing_of(subject: str) -> str:
    """`order` of `web-eu:order:1001`; empty for what has no such name."""
    parts = subject.split(":", 2)
    return parts[1] if len(parts) == 3 else ""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing. `title` is what people call it, `stage` how far it is, `facts` a few words more by name."""

    subject: str
    thing: str
    title: str
    stage: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    exceptions_open: int = 0


async def lines(connection: AsyncConnection, subjects: Sequence[str], may_see: bool) -> dict[str, Line]:
    """The things of these subjects as they were last known, by subject; each has one, known or not."""
    if not subjects:
        return {}
    asked = sorted(set(subjects))
    rows = await connection.execute(
        sa.select(object_.c.canonical_id, object_.c.system, object_.c.stage, object_.c.state)
        .where(object_.c.canonical_id.in_(asked))
        .order_by(object_.c.canonical_id, object_.c.updated_at)
    )
    known: dict[str, Any] = {}
    for row in rows:
        at_home = row.canonical_id.startswith(f"{row.system}:")
        if at_home or row.canonical_id not in known:
            known[row.canonical_id] = row
    still = sa.select(exception.c.subject, sa.func.count().label("n"))
    still = still.where(exception.c.subject.in_(asked), exception.c.status == "open").group_by(exception.c.subject)
    waiting = {row.subject: int(row.n) for row in await connection.execute(still)}
    return {s: _line(s, known.get(s), waiting.get(s, 0), may_see) for s in asked}


def _line(subject: str, row: Any, waiting: int, may_see: bool) -> Line:
    state = mask(row.state, may_see) if row is not None else {}
    thing = thing_of(subject)
    title, facts = _WORDS.get(thing, _plain)(state)
    own = subject.split(":", 2)[-1]
    told = {name: text for name, text in facts.items() if text}
    return Line(subject, thing, title or own, row.stage if row is not None else "", told, waiting)


def _order(state: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    who = state.get("customer") or {}
    total = state.get("total") or ""
    return str(state.get("number") or ""), {
        "status": str(state.get("status") or ""),
        "total": total if isinstance(total, str) else f"{total.get('amount', '')} {total.get('currency', '')}",
        "customer": str(who.get("name") or (state.get("billing") or {}).get("name") or ""),
        "e-mail": str(who.get("email") or ""),
        "placed": str(state.get("placed_at") or ""),
    }


def _customer(state: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    who = state.get("customer") or {}
    shown = {"e-mail": who.get("email"), "telephone": who.get("phone"), "company": who.get("company")}
    return str(who.get("name") or who.get("email") or ""), {name: str(text or "") for name, text in shown.items()}


def _product(state: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    skus = [str(v.get("sku")) for v in state.get("variants") or [] if v.get("sku")]
    more = f" and {len(skus) - 3} more" if len(skus) > 3 else ""
    return str(state.get("name") or ""), {"SKU": ", ".join(skus[:3]) + more}


def _variant(state: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    return str(state.get("sku") or ""), {}


def _appointment(state: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    who = state.get("visitor") or {}
    shown = {"visitor": who.get("name"), "starts": state.get("starts_at"), "place": state.get("place")}
    return str(state.get("service") or ""), {name: str(text or "") for name, text in shown.items()}


def _plain(_state: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    return "", {}


_WORDS = {
    "order": _order,
    "customer": _customer,
    "product": _product,
    "variant": _variant,
    "appointment": _appointment,
}
