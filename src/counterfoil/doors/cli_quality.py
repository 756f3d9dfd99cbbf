"""`counterfoil quality`: what products lack, what stands twice, what is priced below its cost."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.quality import WORDS
from counterfoil.doors.cli_base import DEFAULT, AsJson, BlueprintPath, fail, out, print_json, progress, with_store
from counterfoil.doors.onboarding import Unfit
from counterfoil.hub.store import Store
from counterfoil.watch import quality
from counterfoil.watch.quality import Found

SHOWN = 10


def quality_(
    checks: Annotated[
        list[str] | None, typer.Option("--check", help="this alone, instead of those of the blueprint; may be repeated")
    ] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="write what is found into this file")] = None,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Look at the data of all products for sale, as their owner last told them. Exit code 1 if something is found."""
    if unknown := [name for name in checks or () if name not in WORDS]:
        fail(f"There is no check {unknown[0]!r}; there are: {', '.join(WORDS)}.", 2)

    async def look(store: Store, plan: Blueprint) -> tuple[int, list[Found]]:
        owner = plan.owner_of("product")
        if owner not in plan.systems:
            raise Unfit("Nobody owns products: say who, such as owners: {product: odoo}.")
        with progress() as bars:
            count = 0

            def tick(n: int) -> None:
                nonlocal count
                count += n
                bars.reach("products looked at", count, None)

            return await quality.survey(store, owner, checks or plan.quality.check, tick)

    products, found = with_store(blueprint, look)
    if csv_file is not None:
        with csv_file.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["check", "product", "sku", "found"])
            writer.writerows([one.check, one.product, one.sku, one.words] for one in found)
    if as_json:
        print_json({"products": products, "found": [asdict(one) for one in found]})
    else:
        _print(products, found)
    raise typer.Exit(1 if found else 0)


def _print(products: int, found: list[Found]) -> None:
    if not found:
        out.print(f"{products} products: nothing found.")
        return
    counts = Counter(one.check for one in found)
    table = Table("check", "found", "such as", title=f"{products} products", title_justify="left")
    for check, count in counts.most_common():
        some = [f"{one.sku or one.product}: {one.words}" for one in found if one.check == check][:SHOWN]
        table.add_row(WORDS[check], str(count), "\n".join(some))
    out.print(table)
    if len(found) > SHOWN:
        out.print("--csv FILE writes all of it.")


def add_to(app: typer.Typer) -> None:
    """Put `quality` into the command line."""
    app.command("quality")(quality_)
