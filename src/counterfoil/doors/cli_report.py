"""`counterfoil report`: the last days in figures, shown or as a file."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from counterfoil.blueprint import Blueprint
from counterfoil.doors.cli_base import DEFAULT, AsJson, BlueprintPath, fail, out, print_json, with_store
from counterfoil.hub.store import Store
from counterfoil.hub.views.exporting import written
from counterfoil.hub.views.reports import TABLES, Report
from counterfoil.hub.views.reports import report as look_back
from counterfoil.hub.views.today import zone_of


class Format(StrEnum):
    """What a table can be had as."""

    CSV = "csv"
    PARQUET = "parquet"


AsFile = Annotated[
    Format | None, typer.Option("--format", help="a file on stdout: CSV, safe to open in a spreadsheet, or Parquet")
]


def report(
    table: Annotated[str, typer.Argument(help=f"one of {', '.join(TABLES)}")],
    days: Annotated[int, typer.Option(min=1, max=400, help="the last so many")] = 7,
    format_: AsFile = None,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """The last days in figures: throughput by day and channel, how promises were kept, exceptions by cause."""
    if table not in TABLES:
        fail(f"There is no report {table!r}; there are: {', '.join(TABLES)}.", 2)

    async def look(store: Store, plan: Blueprint) -> Report:
        return await look_back(store, days, zone_of(plan))

    rows, kind = getattr(with_store(blueprint, look), table), TABLES[table]
    if format_ is not None:
        print_file(rows, kind, format_, table)
    elif as_json:
        print_json([dataclasses.asdict(row) for row in rows])
    else:
        names = [field.name for field in dataclasses.fields(kind)]
        shown = Table(*names, title=f"the last {days} days", title_justify="left")
        for row in rows:
            values = (getattr(row, name) for name in names)
            shown.add_row(*(f"{value:.1f}" if isinstance(value, float) else str(value) for value in values))
        out.print(shown)


def print_file(rows: Sequence[Any], kind: type[Any], format_: Format, name: str) -> None:
    """Rows of the dataclass `kind` on stdout, which Parquet does not let be a terminal."""
    if format_ is Format.PARQUET and sys.stdout.isatty():
        fail(f"Parquet is no text: send it to a file, such as `… --format parquet > {name}.parquet`.", 2)
    typer.echo(written(rows, kind, format_), nl=False)


def add_to(app: typer.Typer) -> None:
    """Offer the command."""
    app.command()(report)
