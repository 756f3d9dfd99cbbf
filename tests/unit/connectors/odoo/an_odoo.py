"""An Odoo of the tests' own: tables with write dates, domains as the feeds use them, a clock that is turned by hand.

Rows are written at a transaction's start and become visible at its end, as in the real one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from counterfoil.connectors.odoo.client import Client
from counterfoil.connectors.odoo.versions import Names
from counterfoil.connectors.odoo.versions import names as names_of

START = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)


class AnOdoo(Client):
    """Tables by model: rows by id. `between` is called after each answer, to change things between pages."""

    def __init__(self, major: int = 19) -> None:
        self.clock = START
        self.tables: dict[str, dict[int, dict[str, Any]]] = {}
        self.calls: list[tuple[str, str]] = []
        self.between: Callable[[], None] = lambda: None
        self._names = names_of(major)

    @property
    def server_time(self) -> datetime:  # type: ignore[override]
        """The Date header has whole seconds."""
        return self.clock.replace(microsecond=0)

    async def names(self) -> Names:
        """Of its version."""
        return self._names

    async def version(self) -> tuple[str, str | None]:
        """With its time."""
        return f"{self._names.major}.0", format_datetime(self.server_time, usegmt=True)

    async def close(self) -> None:
        """Nothing to give back."""

    def write(self, model: str, id_: int, began: datetime | None = None, **values: Any) -> None:
        """A transaction that began then (now, if not said) is committed."""
        row = self.tables.setdefault(model, {}).setdefault(id_, {"id": id_})
        row.update(values, write_date=began or self.clock)

    def later(self, seconds: float) -> None:
        """Time passes."""
        self.clock += timedelta(seconds=seconds)

    async def call(
        self,
        model: str,
        method: str,
        ids: Sequence[int] = (),
        context: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> Any:
        """search_read, search and fields_get."""
        self.calls.append((model, method))
        rows = self.tables.get(model, {})
        if method == "fields_get":
            return {name: {"type": "char"} for row in rows.values() for name in row}
        found = [row for _, row in sorted(rows.items()) if matches(row, arguments["domain"])]
        found = found[: arguments.get("limit") or None]
        answer = [row["id"] for row in found]
        if method == "search_read":
            answer = [{name: shown(row.get(name, False)) for name in ["id", *arguments["fields"]]} for row in found]
        self.between()
        return answer


def shown(value: Any) -> Any:
    """As Odoo tells it: times in whole seconds."""
    return value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else value


def matches(row: Mapping[str, Any], domain: Sequence[Any]) -> bool:
    """Whether all leaves hold; paths through other tables are taken as they are written."""
    return all(holds(row.get(leaf[0], False), leaf[1], leaf[2]) for leaf in domain if isinstance(leaf, list))


def holds(value: Any, operator: str, wanted: Any) -> bool:
    """One leaf; anything but what is listed here is taken to hold."""
    if isinstance(value, datetime):
        wanted = datetime.strptime(wanted, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    match operator:
        case ">":
            return bool(value > wanted)
        case ">=":
            return bool(value >= wanted)
        case "in":
            return value in wanted
        case "=":
            return bool(value == wanted)
    return True
