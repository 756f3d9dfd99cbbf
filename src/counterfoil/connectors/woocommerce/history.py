"""Orders of the past, for `counterfoil import`: everything created in a span of time, whatever became of it.

Nothing new is created in the past, so the list is read by page, from the last page to the first: an order that goes
to the trash meanwhile pulls its neighbours towards pages still to come. One that comes back from the trash pushes
them the other way; that shows in the shop's total, and the reading begins again. What comes twice is dropped by the
hub.

Bounds are sent with Z and without `dates_are_gmt`: together they silently miss rows.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

from counterfoil.connectors.woocommerce.client import Answer, Client
from counterfoil.connectors.woocommerce.feeds import PER_PAGE
from counterfoil.connectors.woocommerce.translate import iso_z
from counterfoil.hub.contract import Failure, Kind, Outcome, Page, Raw


async def count_history(client: Client, since: datetime, until: datetime) -> int:
    """How many orders were created from `since` until before `until` (aware times). Raises Failure."""
    return _number(await _list(client, since, until, 1, 1), "x-wp-total")


async def history(
    client: Client, cursor: Mapping[str, Any], since: datetime, until: datetime, fields: str = ""
) -> AsyncIterator[Page]:
    """Pages of the orders created from `since` until before `until` (aware times), the newest first.

    The cursor of a page says where to go on after it; one with `page` 0 is at the end. `fields`, joined by commas:
    only these of each order. Raises Failure.
    """
    page, total = cursor.get("page"), cursor.get("total")
    if not isinstance(page, int) or not isinstance(total, int):
        page, total = await _last_page(client, since, until)
    while page > 0:
        answer = await _list(client, since, until, page, PER_PAGE, fields)
        now = _number(answer, "x-wp-total")
        if now > total:
            page, total = await _last_page(client, since, until)
            continue
        total, page = now, page - 1
        yield Page(_orders(answer), {"page": page, "total": total})


async def _last_page(client: Client, since: datetime, until: datetime) -> tuple[int, int]:
    total = _number(await _list(client, since, until, 1, 1), "x-wp-total")
    return -(-total // PER_PAGE), total


async def _list(client: Client, since: datetime, until: datetime, page: int, per_page: int, fields: str = "") -> Answer:
    # both bounds are exclusive and whole seconds
    after = iso_z(datetime.fromtimestamp(int(since.timestamp()) - 1, UTC))
    window = {"after": after, "before": iso_z(until.astimezone(UTC).replace(microsecond=0))}
    window |= {"_fields": fields} if fields else {}
    return await client.get("orders", status="any", orderby="id", order="asc", page=page, per_page=per_page, **window)


def _number(answer: Answer, header: str) -> int:
    value = answer.number(header)
    if value is None:
        raise _odd("no_page_count", "it does not say how many there are (X-WP-Total)")
    return value


def _orders(answer: Answer) -> list[Raw]:
    if not isinstance(answer.data, list):
        raise _odd("not_a_list", "it did not send a list")
    found = []
    for entry in answer.data:
        number = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(number, int) or isinstance(number, bool):
            raise _odd("no_id", "an order has no id")
        found.append(Raw("order", str(number), json.dumps(entry, separators=(",", ":")).encode()))
    return found


def _odd(reason: str, what: str) -> Failure:
    return Failure(
        Outcome(
            Kind.MISCONFIGURED,
            reason,
            f"The shop's list of orders cannot be trusted: {what}.",
            suggestion="Most often a plugin changes the REST API: switch it off for wc/v3/orders.",
        )
    )
