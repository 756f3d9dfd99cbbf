"""`counterfoil find`: what a number, an address or an id belongs to."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer
from rich.table import Table

from counterfoil.blueprint import Blueprint
from counterfoil.doors.cli_base import DEFAULT, AsJson, BlueprintPath, fail, out, print_json, with_store
from counterfoil.hub.store import Store
from counterfoil.hub.views import search
from counterfoil.hub.views.things import THINGS


def find(
    text: Annotated[str, typer.Argument(help="an order number, e-mail, telephone, SKU, payment, tracking, any id …")],
    thing: Annotated[str, typer.Option(help=f"only one of {', '.join(THINGS)}")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="so many of each kind of thing")] = 10,
    after: Annotated[str, typer.Option(help="where the page before ended, as it said; with --thing")] = "",
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Find what a text belongs to: whole numbers first, then what begins with it; by kind of thing, in pages."""
    if thing and thing not in THINGS:
        fail(f"There is no {thing!r} to look for; there are: {', '.join(THINGS)}.", 2)
    if after and not thing:
        fail("Say with --thing of what the next page is wanted.", 2)

    async def look(store: Store, plan: Blueprint) -> search.Found:
        return await search.find(store, text, plan.systems, thing, after, limit, may_see=True)

    try:
        found = with_store(blueprint, look)
    except search.BadPage as error:
        fail(str(error), 2)
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        for group in found.groups:
            _print(group)
    if not found.groups:
        fail(
            f"Nothing is known of {text!r}. E-mail addresses and telephone numbers are found whole only, all else by "
            f"its first {search.MIN_PREFIX} characters."
        )


def _print(group: search.Group) -> None:
    table = Table("", "name", "found by", "stage", "", "exceptions", title=group.thing, title_justify="left")
    for hit in group.hits:
        line = hit.line
        facts = "; ".join(f"{name} {text}" for name, text in line.facts.items())
        why = hit.why if hit.exact else f"{hit.why} …"
        table.add_row(line.subject, line.title, why, line.stage, facts, str(line.exceptions_open or ""))
    out.print(table)
    if group.after:
        out.print(f"There are more: --thing {group.thing} --after '{group.after}'")


def add_to(app: typer.Typer) -> None:
    """Offer the command."""
    app.command()(find)
