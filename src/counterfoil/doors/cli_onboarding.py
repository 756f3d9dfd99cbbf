"""`counterfoil link`, `import`, `publish`, `listing`: going live beside what is there."""

from __future__ import annotations

import csv
import getpass
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.table import Table

from counterfoil.blueprint import Blueprint
from counterfoil.doors import onboarding, publishing
from counterfoil.doors.cli_base import (
    DEFAULT,
    AsJson,
    BlueprintPath,
    confirmed,
    day_or_moment,
    fail,
    out,
    per_second,
    print_json,
    progress,
    with_store,
    with_systems,
)
from counterfoil.doors.linked import Linked, What
from counterfoil.doors.onboarding import HasHistory, Unfit
from counterfoil.doors.publishing import TOLD, Published, Unlisted
from counterfoil.hub import linking
from counterfoil.hub.contract import Connector
from counterfoil.hub.store import Store

SHOWN = 20
"""Rows of a review list that are printed; all of them go to a file."""

Shop = Annotated[str, typer.Argument(help="the shop's name in the blueprint")]


def link(
    what: Annotated[str, typer.Argument(help="products or customers")],
    system: Shop,
    write: Annotated[bool, typer.Option("--write", help="write the links; without it nothing is changed")] = False,
    review: Annotated[
        Path | None, typer.Option(help="a file for all that is not linked, with reasons: .csv or .json")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="such a file given back, with link, not the same or later in `decision`")
    ] = None,
    personal: Annotated[bool, typer.Option("--personal", help="names and addresses too in the review file")] = False,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Find what a shop and the ERP both have, by the keys of `products.match` and `customers.match`.

    Never by a name: likenesses (`candidates`) only go to the review. Shows what it would link; --write does it, and
    keeps the decisions. Links that are there are kept.
    """
    if what not in ("products", "customers"):
        fail(f"{what!r} cannot be linked; ask for products or customers.", 2)
    for file in (review, decisions):
        if file is not None and file.suffix not in (".csv", ".json"):
            fail(f"{file}: the name of the review list ends in .csv or .json.", 2)
    if personal and review is None:
        fail("--personal goes with --review FILE: names and addresses go nowhere else.", 2)
    wanted, who = cast(What, what), getpass.getuser()

    async def act(store: Store, plan: Blueprint, made: Mapping[str, Connector]) -> Linked:
        with progress() as bars:
            found = await onboarding.link(
                store, plan, made, system, wanted, write, bars.advance, decisions, who, personal
            )
        if found.written:
            counts = {"matched": len(found.matching.matched), "written": found.written}
            await linking.note(store, who, "linked", f"{system}:{what}", counts)
        return found

    found = with_systems(blueprint, act)
    if review is not None:
        write_rows(review, _review_rows(found, personal))
    if as_json:
        print_json(found.summary() | ({"rows": _review_rows(found)} if review is None else {"file": str(review)}))
    else:
        _print_link(found, review)


def _review_rows(found: Linked, personal: bool = False) -> list[dict[str, str]]:
    return [row.as_dict(found.erp, found.shop, personal) for row in found.rows]


def write_rows(file: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """A list into a .csv or .json file that only its owner can read. Ends the command where that cannot be."""
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline="") as to:
            if file.suffix == ".json":
                json.dump(rows, to, ensure_ascii=False, indent=2)
                return
            writer = csv.DictWriter(to, list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}. Nothing else is lost; ask for another file.")


def _harmless(text: str) -> str:
    """A spreadsheet takes what begins like this for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _print_link(found: Linked, review: Path | None) -> None:
    counts = found.summary()
    table = Table("what", "how many", title=f"{found.what} of {found.erp} and {found.shop}", title_justify="left")
    table.add_row(f"at {found.erp}", str(found.found[0]))
    table.add_row(f"at {found.shop}", str(found.found[1]))
    table.add_row("linked already", str(counts["already_linked"]))
    by = ", ".join(f"{n} by {kind}" for kind, n in counts["matched_by"].items())
    table.add_row("matched now", f"{counts['matched']}" + (f" ({by})" if by else ""))
    if found.what == "products":
        table.add_row("whole products matched", str(counts["whole_products"]["matched"]))
    for word, number in counts["decided"].items():
        if number:
            table.add_row(f"decided: {word}", str(number))
    for reason, number in counts["review"].items():
        table.add_row(f"to look at: {reason.replace('_', ' ')}", str(number))
    out.print(table)
    rows = _review_rows(found)
    if rows and review is None:
        shown = Table("what", "reason", "by", "key", found.erp, found.shop, title="to look at", title_justify="left")
        for row in rows[:SHOWN]:
            shown.add_row(*(row[c] for c in ("what", "reason", "by", "key", found.erp, found.shop)))
        out.print(shown)
        if len(rows) > SHOWN:
            out.print(f"… and {len(rows) - SHOWN} more: --review list.csv has them all.")
    if review is not None:
        out.print(f"Wrote {len(rows)} rows to {review}.")
    if found.written is not None:
        out.print(f"Wrote {found.written} links.")
    else:
        out.print("Nothing was changed. --write links what was matched, and keeps what was decided.")


def import_(
    system: Shop,
    since: Annotated[str, typer.Option(help="orders from then on: 2024-01-01, or a date and time with its zone")],
    until: Annotated[str, typer.Option(help="and before then; by default the cut-over")] = "",
    rate: Annotated[str, typer.Option(help="at most so many orders, such as 5/s or 100/min")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask, take them in")] = False,
    again: Annotated[bool, typer.Option(help="from the beginning, although it was done or begun before")] = False,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take a shop's orders from before the cut-over into Odoo as history, without side effects.

    Counts them first. The hub imports what is taken in; `counterfoil status` shows what is left.
    """
    start, end = day_or_moment(since), day_or_moment(until) if until else None
    pace = per_second(rate)

    async def count(_: Store, plan: Blueprint, made: Mapping[str, Connector]) -> tuple[dict[str, Any], bool]:
        first, last = onboarding.span(plan, system, start, end)
        number = await _with_history(made[system], system).count_history(first, last)
        flows = [f.do for f in plan.flows_on("order.history", system)]
        found = {"system": system, "since": first.isoformat(), "until": last.isoformat(), "orders": number}
        return found | {"taken_in": None}, bool(flows)

    found, flows = with_systems(blueprint, count)
    if not flows:
        fail(
            f"No flow is on order.history from {system}. Add one to the blueprint, such as "
            f"{{on: order.history, from: {system}, do: odoo.import_order, on_exception: pass}}."
        )
    if not as_json:
        out.print(f"{found['orders']} orders of {system} from {found['since']} to {found['until']}.")
    if not found["orders"] or not confirmed("Take them in?", yes):
        if as_json:
            print_json(found)
        elif found["orders"]:
            out.print("Nothing was changed. --yes takes them in.")
        return

    async def take(store: Store, plan: Blueprint, made: Mapping[str, Connector]) -> int:
        first, last = onboarding.span(plan, system, start, end)
        shop = _with_history(made[system], system)
        with progress() as bars:

            def tick(label: str, n: int, _: int | None) -> None:
                bars.advance(label, n, found["orders"])

            return await onboarding.import_history(store, shop, system, first, last, pace, tick, again)

    found["taken_in"] = with_systems(blueprint, take)
    if as_json:
        print_json(found)
    elif found["taken_in"]:
        out.print(f"{found['taken_in']} taken in. The running hub imports them; see `counterfoil status`.")
    else:
        out.print("All of them were taken in before. --again takes them in once more.")


def _with_history(connector: Connector, system: str) -> HasHistory:
    if not isinstance(connector, HasHistory):
        raise Unfit(f"{system} is not a shop whose old orders can be read.")
    return connector


def publish(
    system: Shop,
    what: Annotated[str, typer.Argument(help="products or stock")],
    again: Annotated[bool, typer.Option("--again", help="tell also what has not changed")] = False,
    rate: Annotated[str, typer.Option(help="with --again: at most so many, such as 20/s or 600/min")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say how many are known")] = False,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Read all products or the whole stock of the ERP again, and tell the shop what is news.

    A second run writes nothing. --again tells the rest once more: after a shop was connected later, or its channel
    declared anew.
    """
    if what not in TOLD:
        fail(f"{what!r} cannot be published; ask for products or stock.", 2)
    wanted, pace, who = cast(publishing.What, what), per_second(rate), getpass.getuser()

    async def act(store: Store, plan: Blueprint, made: Mapping[str, Connector]) -> Published:
        with progress() as bars:
            return await publishing.publish(store, plan, made, system, wanted, bars.advance, again, dry_run, pace, who)

    done = with_systems(blueprint, act)
    if as_json:
        print_json(asdict(done))
    elif dry_run:
        out.print(f"{done.known} {what} are known; they would be read again.")
    else:
        told = "" if done.told_again is None else f", {done.told_again} are told again"
        words = f"{done.read_anew} were news{told}. The running hub tells {system}; see `counterfoil status`."
        out.print(words)


def listing(system: Shop, blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """Say which products cannot be sold on a channel, and why; from what is known, nothing is asked."""

    async def act(store: Store, plan: Blueprint) -> tuple[int, list[Unlisted]]:
        return await publishing.listing(store, plan, system)

    known, found = with_store(blueprint, act)
    if as_json:
        print_json({"system": system, "known": known, "products": [one.as_dict() for one in found]})
        return
    if not known:
        fail(f"No product is known yet. The running hub reads them; or: counterfoil publish {system} products.")
    if not found:
        out.print(f"All {known} products can be sold on {system}.")
        return
    _print_unlisted(system, known, found)


def _print_unlisted(system: str, known: int, found: Sequence[Unlisted]) -> None:
    table = Table("product", "name", "cannot be sold on this channel because", title=system, title_justify="left")
    for one in found:
        lines = [f"{r.sku or r.variant}: {r.words}" if r.variant else r.words for r in one.reasons]
        table.add_row(one.product, one.name, "\n".join(lines))
    out.print(table)
    whole = sum(one.whole for one in found)
    out.print(f"{whole} of {known} products cannot be sold, {len(found) - whole} only in part.")


def add_to(app: typer.Typer) -> None:
    """Put these commands into the command line."""
    app.command("link")(link)
    app.command("import")(import_)
    app.command("publish")(publish)
    app.command("listing")(listing)
