"""The reconciling poll: every order that changed, whether or not its webhook came.

How no row is lost:
- The lower bound is a moving time, never a page number: rows that change while pages are read move to the end and
  would pull others over a page border unseen.
- `modified_after` is strictly after and whole seconds: the last second of a page is asked for again.
- More rows in one second than a page holds are read by page within that second, from the last page to the first:
  a row that leaves the second pulls its neighbours towards pages still to come, never into pages already read.
- The cursor stays `overlap` behind the *shop's* clock, for orders that are saved late; the hub's clock plays no
  part. What comes twice is dropped by the hub.
- Every time is sent with Z: a bare one would mean the site's time zone, which has an hour twice a year that is not
  one, and an offset together with `dates_are_gmt` silently misses rows.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from counterfoil.connectors.woocommerce.client import Answer, Client
from counterfoil.connectors.woocommerce.translate import iso_z
from counterfoil.hub.contract import Failure, Kind, Outcome, Page, Raw

PER_PAGE = 100  # the most that WooCommerce allows


@dataclass(frozen=True, slots=True)
class _Row:
    """One order of a list; `second` is when it was last changed, in seconds since the epoch."""

    id: str
    second: int
    raw: Raw


async def poll_orders(
    client: Client, cursor: Mapping[str, Any], *, status: str, overlap: float, start: datetime | None
) -> AsyncIterator[Page]:
    """Pages of orders changed since the cursor, oldest change first, until the shop has no more.

    `status` is the shop's filter: `any` leaves out the trash, which has to be asked for by name. Without a cursor
    it begins at `start`, or with the shop's first order. `overlap` is in seconds. Raises Failure.
    """
    since = _second_of(cursor.get("since")) if cursor.get("since") else None
    if since is None and start is not None:
        since = int(start.timestamp() - overlap)
    border: frozenset[tuple[str, int]] = frozenset()
    answer = await _ask(client, status, since)
    limit = _limit(answer, overlap)
    if since is not None and limit is not None and limit < since:  # the shop's clock was set back
        since = limit
        answer = await _ask(client, status, since)
    while True:
        rows = _rows(answer, since)
        limit = _limit(answer, overlap) or limit or _row_limit(rows, overlap)
        fresh = [row.raw for row in rows if (row.id, row.second) not in border]
        if not _more(answer, rows):
            since = rows[-1].second if rows else since
            yield Page(fresh, _kept(cursor, since, limit))
            return
        last = rows[-1].second
        yield Page(fresh, _kept(cursor, last - 1, limit))
        if rows[0].second == last:
            sent = frozenset(row.id for row in rows)
            async for receipts in _one_second(client, status, last, sent):
                yield Page(receipts, _kept(cursor, last - 1, limit))
            since, border = last, frozenset()
        else:
            since, border = last - 1, frozenset((row.id, row.second) for row in rows if row.second == last)
        answer = await _ask(client, status, since)


async def _one_second(client: Client, status: str, second: int, sent: frozenset[str]) -> AsyncIterator[list[Raw]]:
    """The orders last changed in this very second and not `sent` yet, page by page from the last to the first."""
    window: dict[str, str | int] = {
        "modified_after": _stamp(second - 1),
        "modified_before": _stamp(second + 1),
        "orderby": "id",
    }
    pages = (await _list(client, status, **window)).number("x-wp-totalpages")
    if pages is None:
        raise Failure(_odd("no_page_count", "it does not say how many pages it has (X-WP-TotalPages)"))
    seen = set(sent)
    for page in [*range(pages, 1, -1), 1]:
        answer = await _list(client, status, page=page, **window)
        fresh = [row for row in _rows(answer, second - 1, ordered=False) if row.id not in seen]
        seen.update(row.id for row in fresh)
        if fresh:
            yield [row.raw for row in fresh]


async def _ask(client: Client, status: str, since: int | None) -> Answer:
    after: dict[str, str | int] = {} if since is None else {"modified_after": _stamp(since)}
    return await _list(client, status, orderby="modified", **after)


async def _list(client: Client, status: str, **params: str | int) -> Answer:
    return await client.get("orders", status=status, order="asc", per_page=PER_PAGE, **params)


def _rows(answer: Answer, since: int | None, ordered: bool = True) -> list[_Row]:
    """The answer's orders. Raises Failure where the shop did not do as it was asked: going on would lose orders."""
    if not isinstance(answer.data, list):
        raise Failure(_odd("not_a_list", "it did not send a list"))
    rows = [_row(entry) for entry in answer.data]
    seconds = [row.second for row in rows]
    if ordered and seconds != sorted(seconds):
        raise Failure(_odd("unsorted", "its list is not in the order of the changes"))
    if since is not None and seconds and min(seconds) <= since:
        raise Failure(_odd("filter_ignored", "its list goes further back than it was asked for"))
    return rows


def _row(entry: Mapping[str, Any]) -> _Row:
    try:
        number = str(int(entry["id"]))
        second = _second_of(entry["date_modified_gmt"])
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        name = entry.get("id", "?") if isinstance(entry, dict) else "?"
        raise Failure(_odd("undated", f"order {name!s:.20} has no date_modified_gmt; save it once")) from error
    return _Row(number, second, raw_of(entry))


def raw_of(entry: Mapping[str, Any], kind: str = "order") -> Raw:
    """The receipt of a thing out of a list, the same bytes whichever list it came in."""
    return Raw(kind, str(entry["id"]), json.dumps(entry, separators=(",", ":")).encode())


def _odd(reason: str, what: str) -> Outcome:
    return Outcome(
        Kind.MISCONFIGURED,
        reason,
        f"The shop's list of orders cannot be trusted: {what}.",
        suggestion="Most often a plugin changes the REST API: switch it off for wc/v3/orders.",
    )


def _more(answer: Answer, rows: Sequence[_Row]) -> bool:
    """Whether rows are left behind this page, by the shop's count or by the page being full."""
    pages = answer.number("x-wp-totalpages")
    return bool(rows) and (len(rows) >= PER_PAGE if pages is None else pages > 1)


def _limit(answer: Answer, overlap: float) -> int | None:
    """Where the cursor must stop: `overlap` before the shop's own time of this answer."""
    return None if answer.shop_time is None else int(answer.shop_time.timestamp() - overlap)


def _row_limit(rows: Sequence[_Row], overlap: float) -> int | None:
    """The same for a shop whose answers carry no Date: by the latest change seen."""
    return int(max(row.second for row in rows) - overlap) if rows else None


def _kept(cursor: Mapping[str, Any], since: int | None, limit: int | None) -> dict[str, Any]:
    if since is None or limit is None:
        return dict(cursor)
    return {"since": _stamp(min(since, limit))}


def _stamp(second: int) -> str:
    return iso_z(datetime.fromtimestamp(second, UTC))


def _second_of(text: Any) -> int:
    """Seconds since the epoch of an ISO 8601 text; bare ones are UTC."""
    moment = datetime.fromisoformat(str(text))
    return int((moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).timestamp())
