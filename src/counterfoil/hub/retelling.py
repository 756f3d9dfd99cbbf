"""Retelling: an event that makes what is known of other things news again, without anything about them changing.

A channel that has just got a new article has never been told its stock, and one that has just put an order's goods
back has moved its stock by itself. An unchanged stock is not told again by itself: so it is told anew, from the newest
state known, in the transaction that keeps the event.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub.schema import link, object_
from counterfoil.retail.events import Event


@dataclass(frozen=True, slots=True)
class Retell:
    """What to tell again after an event: objects of `kind`.

    `about` names their canonical ids; `of_order` says whether those of the articles of the subject, an order of the
    system that told, are meant too. `tell` makes the event of (cause, system, the state known there).
    """

    kind: str
    tell: Callable[[Event, str, Mapping[str, Any]], Event]
    about: Callable[[Event], Collection[str]] = lambda _cause: ()
    of_order: Callable[[Event], bool] = lambda _cause: False


async def retold(connection: AsyncConnection, retells: Mapping[str, Retell], events: Sequence[Event]) -> list[Event]:
    """The events that follow from `events`; what nothing is known of is left out."""
    told: list[Event] = []
    for cause in events:
        retell = retells.get(cause.type)
        if retell is None:
            continue
        ids = set(retell.about(cause)) | (await _articles(connection, cause) if retell.of_order(cause) else set())
        if not ids:
            continue
        rows = await connection.execute(
            sa.select(object_.c.system, object_.c.state)
            .where(object_.c.canonical_id.in_(sorted(ids)), object_.c.kind == retell.kind)
            .order_by(object_.c.canonical_id, object_.c.system)
        )
        told += [retell.tell(cause, row.system, row.state) for row in rows]
    return told


async def _articles(connection: AsyncConnection, cause: Event) -> set[str]:
    """The canonical ids of what was sold with an order. A shop's id of a variant may be `product/variant`."""
    mine = sa.and_(object_.c.canonical_id == cause.subject, object_.c.system == cause.source, object_.c.kind == "order")
    state = await connection.scalar(sa.select(object_.c.state).where(mine))
    sold = {str(line.get("product_id")) for line in (state or {}).get("lines", ()) if line.get("product_id")}
    if not sold:
        return set()
    ids = sa.or_(link.c.object_id.in_(sorted(sold)), *(link.c.object_id.like(f"%/{id_}") for id_ in sorted(sold)))
    rows = await connection.execute(
        sa.select(link.c.canonical_id).where(
            link.c.system == cause.source, link.c.canonical_id.contains(":variant:"), ids
        )
    )
    return set(rows.scalars())
