"""`counterfoil promises`: what was promised between the milestones of a process, and how it was kept."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from counterfoil.blueprint import Blueprint, format_duration, parse_duration
from counterfoil.doors.cli_base import DEFAULT, AsJson, BlueprintPath, out, print_json, with_store
from counterfoil.hub.store import Store
from counterfoil.watch import promises as kept
from counterfoil.watch.milestones import format_duration_of


def _seconds(text: str) -> float:
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(f"{error}, such as 7d or 24h") from None


def promises(
    blueprint: BlueprintPath = DEFAULT,
    since: Annotated[str, typer.Option(help="how far back, such as 24h or 30d")] = "7d",
    as_json: AsJson = False,
) -> None:
    """How the promises of the blueprint are kept: open now; kept, late and missed of late; the time they took.

    `missed` has not happened until now. Where a promise has a calendar, the time taken is in its open hours.
    """
    seconds = _seconds(since)

    async def look(store: Store, plan: Blueprint) -> list[dict[str, Any]]:
        found = await kept.measured(store, list(plan.promises), seconds)
        return [_row(plan, name, found[name]) for name in plan.promises]

    rows = with_store(blueprint, look)
    if as_json:
        print_json(rows)
        return
    if not rows:
        out.print("The blueprint promises nothing: declare it under `promises`.")
        return
    numbers = [Column(name, justify="right") for name in ("open", "kept", "late", "missed", "in time")]
    times = [Column(name, justify="right") for name in ("half", "95 %", "99 %")]
    table = Table("promise", "within", *numbers, *times, "counted in", title=f"the last {since}", title_justify="left")
    for row in rows:
        share = "" if row["share"] is None else f"{row['share']:.1%}"
        took = ("" if row[p] is None else format_duration_of(row[p]) for p in ("p50", "p95", "p99"))
        counts = (str(row[name]) for name in ("open", "kept", "late", "missed"))
        table.add_row(row["promise"], row["within"], *counts, share, *took, row["counted_in"])
    out.print(table)


def _row(plan: Blueprint, name: str, found: kept.Measured) -> dict[str, Any]:
    """One promise; times in seconds."""
    declared = plan.promises[name]
    counts = {key: getattr(found, key) for key in ("open", "kept", "late", "missed", "void")}
    return {
        "promise": name,
        "within": format_duration(declared.within),
        **counts,
        "share": found.share,
        **{p: getattr(found, p) for p in ("p50", "p95", "p99")},
        "counted_in": f"open hours of {declared.calendar}" if declared.calendar else "all hours",
    }


def add_to(app: typer.Typer) -> None:
    """Offer the command."""
    app.command()(promises)
