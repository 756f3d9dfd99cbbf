"""Seeing what changed in Odoo: rows by their `write_date`, page by page, so that none is skipped.

What Odoo does (measured on 14 to 19):
- `write_date` is the *start* of the transaction that wrote the row: a long one commits behind whoever looked meanwhile.
  So each look begins `overlap` before the last one, by Odoo's own clock, and rows that were seen are told by their
  marks: a row that was written twice within one second differs in more than its time.
- Times are cut to whole seconds in answers, not in the column: the filter is `>=`, and a row is taken for known only
  when it was read well after the second it was written in. What remains for the walk (feeds.py) to find: a change that
  the marks do not show, by a transaction of more than a second that began in the very second of the row's last change.
- Pages are by id, `id > last`: a row that changes while pages are read keeps its place, and a page number would skip.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from counterfoil.connectors.odoo.client import Client, time_of
from counterfoil.hub.contract import Failure

PAGE = 1000
"""Rows of one answer: 1,000 take Odoo some 30 ms, and no proxy minds the size."""
KEEP = 300.0
"""Seconds that fields and other reference data are trusted."""

Row = dict[str, Any]


class Reader:
    """Rows of one Odoo, without names of the records they point to, and with only the fields this Odoo has."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._fields: dict[str, tuple[float, frozenset[str]]] = {}

    async def now(self) -> datetime:
        """Odoo's clock at its last answer: never later than now. Raises Failure."""
        if self.client.server_time is None:
            await self.client.version()
        return self.client.server_time or datetime.fromtimestamp(0, UTC)

    async def now_exactly(self) -> datetime:
        """Odoo's clock, asked for: less than 3 ms without signing in. Raises Failure."""
        _, date = await self.client.version()
        return time_of(date) or await self.now()

    async def fields(self, model: str) -> frozenset[str]:
        """The model's fields that the key's user may see; none where the model is not there. Raises Failure."""
        at, found = self._fields.get(model, (0.0, frozenset[str]()))
        if not at or time.monotonic() - at > KEEP:
            found = await self._fields_get(model)
            self._fields[model] = (time.monotonic(), found)
        return found

    async def _fields_get(self, model: str) -> frozenset[str]:
        try:
            return frozenset(await self.client.call(model, "fields_get", attributes=["type"]))
        except Failure as failure:
            if failure.outcome.reason == "module_missing":
                return frozenset()
            raise

    async def rows(
        self,
        model: str,
        domain: Sequence[Any],
        fields: Sequence[str],
        optional: Sequence[str] = (),
        *,
        named: bool = False,
        limit: int = 0,
        archived: bool = True,
        context: Mapping[str, Any] | None = None,
    ) -> list[Row]:
        """Rows by id; `optional` fields only where they are there; `named`: with names of what they point to.

        Raises Failure.
        """
        wanted = list(fields)
        if optional:
            there = await self.fields(model)
            wanted += [name for name in optional if name in there]
        arguments: dict[str, Any] = {"domain": list(domain), "fields": wanted, "order": "id"}
        if limit:
            arguments["limit"] = limit
        if not named and (await self.client.names()).unnamed_reads:
            arguments["load"] = ""
        context = {**(context or {}), **({"active_test": False} if archived else {})}
        rows = list(await self.client.call(model, "search_read", context=context, **arguments))
        return rows if named else [{name: _unnamed(value) for name, value in row.items()} for row in rows]

    async def pages(
        self, model: str, domain: Sequence[Any], fields: Sequence[str], after: int = 0, size: int = PAGE
    ) -> AsyncIterator[list[Row]]:
        """All rows of the domain with an id above `after`, in pages by id. Raises Failure."""
        while True:
            rows = await self.rows(model, [*domain, ["id", ">", after]], fields, limit=size)
            if rows:
                yield rows
                after = int(rows[-1]["id"])
            if len(rows) < size:
                return


@dataclass(frozen=True, slots=True)
class Watch:
    """Rows whose change matters. `marks` are stored fields that tell one state of a row from the next."""

    model: str
    owner: str
    """The field that names what the row belongs to; `id` for itself."""
    marks: tuple[str, ...] = ()
    domain: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """A row that was not seen in this state before."""

    watch: Watch
    row: Row

    @property
    def owner(self) -> int:
        """The number of what the row belongs to, 0 for none."""
        return number(self.row[self.watch.owner])


class Seen:
    """The states of rows that were read within the overlap. In memory only: after a restart they come once more."""

    def __init__(self) -> None:
        self._marks: dict[tuple[str, int], tuple[Any, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._marks)

    def news(self, watch: Watch, rows: Iterable[Row]) -> list[Changed]:
        """Those that are not known in the state they are in."""
        return [Changed(watch, row) for row in rows if self._marks.get((watch.model, row["id"])) != _marks(watch, row)]

    def learn(self, changed: Iterable[Changed], settled: str) -> None:
        """They have been dealt with. To be called once what came of them is safely kept.

        Those written at `settled` (Odoo's format) or later are looked at once more: the same second may have brought
        another change that their marks do not show.
        """
        for each in changed:
            if each.row["write_date"] < settled:
                self._marks[(each.watch.model, each.row["id"])] = _marks(each.watch, each.row)

    def forget(self, before: str) -> None:
        """What was written before this (Odoo's format) will not be asked for again."""
        self._marks = {key: marks for key, marks in self._marks.items() if marks[0] >= before}


def _unnamed(value: Any) -> Any:
    """7 for [7, "its name"]."""
    is_pair = isinstance(value, list) and len(value) == 2 and isinstance(value[1], str)
    return value[0] if is_pair else value


def _marks(watch: Watch, row: Row) -> tuple[Any, ...]:
    return (row["write_date"], *(row[name] for name in watch.marks))


async def changed(reader: Reader, seen: Seen, watches: Sequence[Watch], since: str) -> list[Changed]:
    """Rows written at `since` (Odoo's format) or later and not seen so before. Raises Failure."""
    found: list[Changed] = []
    for watch in watches:
        fields = sorted({"write_date", watch.owner, *watch.marks} - {"id"})
        async for rows in reader.pages(watch.model, [*watch.domain, ["write_date", ">=", since]], fields):
            found += seen.news(watch, rows)
    return found


def number(value: Any) -> int:
    """The number of a record pointed to: of 7, of [7, "its name"], and 0 of false."""
    if isinstance(value, list | tuple):
        value = value[0] if value else 0
    return int(value or 0)


def stamp(moment: datetime) -> str:
    """A moment as Odoo's domains want it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def moment_of(text: str) -> datetime:
    """Of a time as Odoo or `iso` writes it; UTC. Raises ValueError."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def iso(moment: datetime) -> str:
    """With a Z, whole seconds: sorts in time as text."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
