"""The retailer's own fields of a customer (`extra` in the mappings), from every record that is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.hub import counterparts
from counterfoil.hub.counterparts import Place
from counterfoil.hub.schema import event, event_ref, object_
from counterfoil.retail.events import hashed_ref
from counterfoil.retail.party import normal_email

KIND = "customer"


async def of_customer(
    connection: AsyncConnection, channel: str, id_: str = "", email: str = ""
) -> list[tuple[Place, Mapping[str, Any]]]:
    """The own fields of each record of the channel's customer of that id, and of who goes by that e-mail address.

    Records are those at any system, with what they are linked to. By address only those are found whose last change
    is not older than the history that is kept.
    """
    places: set[Place] = {(channel, KIND, id_)} if id_ else set()
    if email:
        mine = (event_ref.c.kind == "email", event_ref.c.value == hashed_ref(normal_email(email)))
        told = sa.select(event.c.subject).join(event_ref, event_ref.c.event_id == event.c.id).distinct()
        for subject in (await connection.execute(told.where(*mine, event.c.type == "customer.changed"))).scalars():
            system, kind, number = subject.split(":", 2)
            places.add((system, kind, number))
    places |= {place for each in (await counterparts.kin(connection, places)).values() for place in each.places}
    if not places:
        return []
    key = (object_.c.system, object_.c.kind, object_.c.object_id)
    rows = await connection.execute(sa.select(*key, object_.c.state).where(sa.tuple_(*key).in_(sorted(places))))
    return sorted(((r.system, r.kind, r.object_id), r.state.get("extra", {})) for r in rows)
