"""`counterfoil money`: payments and refunds that wait to be matched, shown or as a file."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Column, Table

from counterfoil.doors.cli_base import DEFAULT, AsJson, BlueprintPath, moment, out, print_json, with_store
from counterfoil.doors.cli_report import AsFile, print_file
from counterfoil.hub.views import money as view
from counterfoil.watch.milestones import format_duration_of


class Kind(StrEnum):
    """What waits."""

    PAYMENT = view.PAYMENT
    REFUND = view.REFUND


def money(
    kind: Annotated[Kind | None, typer.Option(help="only these")] = None,
    currency: Annotated[str, typer.Option(help="only in this one, such as EUR")] = "",
    limit: Annotated[int, typer.Option(min=1, help="so many are listed; JSON and files have all")] = 50,
    format_: AsFile = None,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Payments and refunds that storefronts told of and the ERP has not booked yet, the longest wait first.

    Bank statements and payouts of payment providers are not read: what is booked may not have arrived.
    """
    found = with_store(blueprint, lambda store, _: view.waiting(store))
    items = view.chosen(found, kind or "", currency)
    if format_ is not None:
        print_file(items, view.Item, format_, "money")
    elif as_json:
        print_json({"sums": [dataclasses.asdict(s) for s in found.sums], "items": [*map(dataclasses.asdict, items)]})
    elif items:
        _print(found.sums, items, limit)
    else:
        out.print("None of these waits." if kind or currency else "Nothing waits.")


def _print(sums: tuple[view.Sum, ...], items: tuple[view.Item, ...], limit: int) -> None:
    right = [Column(name, justify="right") for name in ("count", "amount", "oldest")]
    summed = Table("", *right, title="all that waits", title_justify="left")
    for each in sums:
        amount = f"{'at least ' if each.at_least else ''}{each.amount:f} {each.currency}"
        summed.add_row(f"{each.kind}s", str(each.count), amount, format_duration_of(each.oldest))
    out.print(summed)
    listed = Table("order", "kind", Column("amount", justify="right"), "reference", "since", "waits at", "")
    for column in listed.columns:
        column.overflow = "fold"
    for item in items[:limit]:
        state = item.state if item.exception is None else f"{item.state} {item.exception}"
        amount, since = f"{item.amount:f} {item.currency}", moment(item.since.timestamp())
        listed.add_row(item.order, item.kind, amount, item.reference, since, item.operation, state)
    out.print(listed)
    if len(items) > limit:
        out.print(f"{len(items) - limit} more: --limit {len(items)}")


def add_to(app: typer.Typer) -> None:
    """Offer the command."""
    app.command()(money)
