"""`counterfoil prices`: take prices back to what they were."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table

from counterfoil.blueprint import HUB_ASK, Blueprint
from counterfoil.doors import assembly
from counterfoil.doors.cli_base import (
    DEFAULT,
    AsJson,
    BlueprintPath,
    confirmed,
    day_or_moment,
    out,
    print_json,
    progress,
    with_store,
)
from counterfoil.doors.onboarding import Unfit
from counterfoil.hub import restating
from counterfoil.hub.restating import Restated
from counterfoil.hub.store import Store
from counterfoil.hub.worker import ASK
from counterfoil.processes.changes import changed
from counterfoil.processes.pricing import with_prices_of
from counterfoil.retail.product import Product, Variant

prices_app = typer.Typer(no_args_is_help=True, help="Prices that went out, and back to what they were.")
SHOWN = 20


@prices_app.callback()
def _prices() -> None:
    """A group of its own, also while it has one command."""


@prices_app.command()
def rollback(
    to: Annotated[str, typer.Option("--to", help="back to what was known then: a day, or a date and time")],
    system: Annotated[str, typer.Option(help="whose products; the owner of products without it")] = "",
    sku: Annotated[list[str] | None, typer.Option(help="only this article; may be repeated")] = None,
    note: Annotated[str, typer.Option(help="why; kept in the audit log")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask, do it")] = False,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Give every channel the prices and campaigns of an earlier moment again; shows first which.

    They hold until the owner of prices tells something new of a product: put them right there, too.
    """
    then, only = day_or_moment(to), frozenset(sku or ())

    def blend(now: Product, before: Product) -> Product:
        back = with_prices_of(now, before)
        return back if not only else _only(now, back, only)

    async def look(store: Store, plan: Blueprint) -> tuple[str, list[Restated]]:
        owner = system or plan.owner_of("product", "price")
        if owner not in plan.systems:
            raise Unfit(f"Say whose products with --system; there are: {', '.join(plan.systems)}.")
        return owner, await restating.plan(store, owner, "product", then, blend, Product)

    owner, planned = with_store(blueprint, look)
    moved = [row for one in planned for row in _moved(one)]
    found: dict[str, Any] = {"products": len(planned), "articles": len(moved), "prices": moved, "restated": None}
    if not as_json:
        _print(moved, len(planned))
    if not planned or not confirmed("Give these to the channels?", yes):
        if as_json:
            print_json(found)
        elif planned:
            out.print("Nothing was changed. --yes does it.")
        return

    async def act(store: Store, plan: Blueprint) -> int:
        process = assembly.processes(plan)[owner]["product"]
        who, done = getpass.getuser(), 0
        with progress() as bars:

            def tick(n: int) -> None:
                nonlocal done
                done += n
                bars.reach("products restated", done, len(planned))

            place, streams = (owner, "product"), {**assembly.streams(plan), HUB_ASK: ASK.stream}
            return await restating.restate(store, plan, streams, process, changed, place, planned, who, note, tick)

    found["restated"] = with_store(blueprint, act)
    if as_json:
        print_json(found)
    else:
        left = len(planned) - found["restated"]
        more = f" {left} changed meanwhile and were left alone." if left else ""
        out.print(f"{found['restated']} products are told at their earlier prices.{more}")


def _only(now: Product, back: Product, skus: frozenset[str]) -> Product:
    both = zip(now.variants, back.variants, strict=True)
    return now.model_copy(update={"variants": tuple(b if n.sku in skus else n for n, b in both)})


def _moved(one: Restated) -> list[Mapping[str, str]]:
    """The articles whose price is another one then: SKU, now, then."""
    assert isinstance(one.now, Product)
    assert isinstance(one.wanted, Product)
    pairs = zip(one.now.variants, one.wanted.variants, strict=True)
    return [{"sku": n.sku or n.id, "now": _price(n), "then": _price(w)} for n, w in pairs if n != w]


def _price(variant: Variant) -> str:
    sale = variant.sale
    ends = f" until {sale.ends_at:%Y-%m-%d %H:%M} UTC" if sale and sale.ends_at else ""
    return f"{variant.price or 'none'}" + (f", campaign {sale.price}{ends}" if sale else "")


def _print(moved: list[Mapping[str, str]], products: int) -> None:
    table = Table("SKU", "now", "then", title=f"{len(moved)} articles of {products} products", title_justify="left")
    for row in moved[:SHOWN]:
        table.add_row(row["sku"], row["now"], row["then"])
    out.print(table)
    if len(moved) > SHOWN:
        out.print(f"and {len(moved) - SHOWN} more; --json lists them all")
