"""`counterfoil purge`, `backup` and `restore`: what is kept, for how long, and where else."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from counterfoil.blueprint import Blueprint, format_duration
from counterfoil.doors import backup
from counterfoil.doors.cli_base import (
    DEFAULT,
    AsJson,
    BlueprintPath,
    day_or_moment,
    fail,
    finished,
    loaded,
    out,
    print_json,
    with_store,
)
from counterfoil.hub import retention, rewinding
from counterfoil.hub.store import Store, serving_alone

DryRun = Annotated[bool, typer.Option("--dry-run", help="only show what would be done")]


def purge(blueprint: BlueprintPath = DEFAULT, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Purge what is finished and older than `retention` declares, now. A serving hub does it by itself every hour."""

    async def act(store: Store, plan: Blueprint) -> tuple[dict[str, int], Blueprint]:
        return dict(await retention.purge(store, plan.retention, dry_run=dry_run)), plan

    gone, plan = with_store(blueprint, act)
    if as_json:
        print_json(gone)
        return
    bodies, history = format_duration(plan.retention.bodies), format_duration(plan.retention.history)
    out.print(f"Kept: bodies for {bodies}, the history for {history}; nothing that is unfinished or before a person.")
    _table("would go" if dry_run else "gone", gone or {"nothing": 0})


def backup_(
    file: Annotated[Path, typer.Argument(help="where to")],
    blueprint: BlueprintPath = DEFAULT,
    force: Annotated[bool, typer.Option(help="replace the file if it is there")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy a SQLite store as it is now into FILE, also while it is served; the copy is checked."""
    url = loaded(blueprint, require_secrets=False).store.reveal()
    held = finished(asyncio.to_thread(backup.backup, url, file, force))
    if as_json:
        print_json({"file": str(file), "rows": held})
    else:
        _table("backed up", held)


def restore(
    file: Annotated[Path | None, typer.Argument(help="the backup; none: only let the polls begin earlier")] = None,
    blueprint: BlueprintPath = DEFAULT,
    after: Annotated[str, typer.Option(help="read again what the systems did from this moment on")] = "",
    force: Annotated[bool, typer.Option(help="put it in the place of the store that is there")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of a SQLite store, and read again what the systems did since.

    On PostgreSQL restore with its own tools first, then say the moment it was restored to: `restore --after MOMENT`.
    All processes of the hub must be stopped.
    """
    if file is None and not after:
        fail("Say which backup to restore, or, for a store restored by other means, --after which moment.", 2)
    plan = loaded(blueprint, require_secrets=False)
    moment = day_or_moment(after) if after else None
    overlaps = {name: system.overlap for name, system in plan.systems.items()}
    done: dict[str, Any] = {"dry_run": dry_run}
    if file is not None:
        url = plan.store.reveal()
        if dry_run:
            done["rows"] = finished(asyncio.to_thread(backup.examine, file))
        else:
            kept = finished(asyncio.to_thread(backup.restore, url, file, force))
            done["replaced"] = str(kept) if kept else ""
    if file is None or not dry_run:

        async def act(store: Store, _: Blueprint) -> dict[tuple[str, str], str]:
            with serving_alone(store):
                return await rewinding.rewind(store, overlaps, moment, getpass.getuser(), dry_run)

        found = with_store(blueprint, act)
        done["reads_from"] = {f"{system}.{feed}": since for (system, feed), since in found.items()}
    if as_json:
        print_json(done)
        return
    if done.get("replaced"):
        out.print(f"The store that was there is kept as {done['replaced']}.", soft_wrap=True)
    if "rows" in done:
        _table("would be restored", done["rows"])
    if done.get("reads_from"):
        _table("reads from (UTC)", done["reads_from"])
    if not dry_run:
        out.print("Start the hub: what happened at the systems since is read again; what stands already is left alone.")


def _table(title: str, rows: dict[str, Any]) -> None:
    table = Table("what", title)
    for name, value in rows.items():
        table.add_row(name, str(value))
    out.print(table)


def add_to(app: typer.Typer) -> None:
    """Offer the commands."""
    app.command()(purge)
    app.command("backup")(backup_)
    app.command()(restore)
