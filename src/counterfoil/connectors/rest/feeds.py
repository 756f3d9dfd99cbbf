"""Changed records, polled.

How none is lost:
- The lower bound is a moving time: rows that change while pages are read move to the end and would pull others over a
  page border unseen. The API must give the oldest change first; where it does not, the feed stops and says so.
- The last second of a page is asked for again, so it does not matter whether `updated_since` includes its moment.
- More rows in one second than a page holds are read by page number, over and over until a pass brings nothing new.
- A page is never taken for the last because it is short: an API may give fewer than it is asked for.
- The cursor stays `overlap` behind the system's own clock, for records that are saved late. What comes twice is
  dropped by the hub.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from counterfoil.connectors.rest.client import NOT_THERE, Client
from counterfoil.connectors.rest.reading import Shape, changed_at, id_of, raw_of, records_in
from counterfoil.hub.contract import BadPayload, Failure, Kind, Outcome, Page

_SECOND = timedelta(seconds=1)
Row = tuple[tuple[str, str], datetime | None, dict[str, Any]]
"""(id, how it looks), when it changed, the record."""


async def poll(
    client: Client, shape: Shape, kind: str, cursor: Mapping[str, Any], overlap: float
) -> AsyncIterator[Page]:
    """Pages of records of that kind changed since the cursor, until there are no more. Raises Failure."""
    since = datetime.fromisoformat(cursor["since"]) if shape.since and cursor.get("since") else None
    seen: set[tuple[str, str]] = set()
    limit, kept = None, dict(cursor)
    number, again = 1, False  # the page, and whether this pass over the pages from here on has brought something
    while True:
        time, rows = await _ask(client, shape, kind, since, number)
        fresh = [row for row in rows if row[0] not in seen]
        seen.update(row[0] for row in fresh)
        last = rows[-1][1] if rows and shape.since else None
        if last:
            limit = limit or (time or last) - timedelta(seconds=overlap)
            kept = {"since": min(last - _SECOND, limit).isoformat()}
        if fresh:
            yield Page([raw_of(shape, kind, record) for _, _, record in fresh], kept)
        again = again or bool(fresh and shape.since)
        if last and (since is None or last - _SECOND > since) and (number == 1 or not again):
            since, number, again = last - _SECOND, 1, False
        elif last and since and last - _SECOND > since:
            number, again = 1, False
        elif rows:
            number += 1
        elif again:
            number, again = 1, False
        else:
            yield Page([], kept)
            return


async def _ask(
    client: Client, shape: Shape, kind: str, since: datetime | None, number: int
) -> tuple[datetime | None, list[Row]]:
    params = {**shape.query, shape.page: str(number), shape.size: str(shape.per_page)}
    if since is not None:
        params[shape.since] = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        answer = await client.call("GET", shape.paths[kind], params=params)
    except Failure as failure:
        if failure.outcome.reason != NOT_THERE:
            raise
        words = f"there is nothing at {shape.paths[kind]}"
        raise Failure(odd(client.system, kind, "no_such_path", words)) from failure
    records = records_in(shape, answer.data)
    if records is None:
        raise Failure(odd(client.system, kind, "not_a_list", "it is no list of records; name it with list_field"))
    try:
        rows: list[Row] = [
            ((id_of(shape, each), raw_of(shape, kind, each).body.decode()), changed_at(shape, each), each)
            for each in records
        ]
    except BadPayload as bad:
        raise Failure(odd(client.system, kind, bad.reason, bad.message)) from bad
    if shape.since:
        _in_order(client.system, shape, kind, since, [row[1] for row in rows])
    return answer.time, rows


def _in_order(system: str, shape: Shape, kind: str, since: datetime | None, times: list[datetime | None]) -> None:
    known = [each for each in times if each is not None]
    if len(known) < len(times):
        words = f"a record has no {shape.changed}; name it with changed_field, or write since_parameter: no"
        raise Failure(odd(system, kind, "undated", words))
    if known != sorted(known):
        words = f"it is not in the order of {shape.changed}; ask for it with query, or write since_parameter: no"
        raise Failure(odd(system, kind, "unsorted", words))
    if since is not None and known and known[0] < since - _SECOND:
        words = f"it goes further back than {shape.since} asks for; name the parameter, or write since_parameter: no"
        raise Failure(odd(system, kind, "filter_ignored", words))


def odd(system: str, kind: str, reason: str, words: str) -> Outcome:
    """A list that cannot be trusted: going on would lose records."""
    fix = f"Look at the settings of {system} in the blueprint beside its API's documentation."
    return Outcome(Kind.MISCONFIGURED, reason, f"The list of {kind} records of {system}: {words}.", suggestion=fix)
