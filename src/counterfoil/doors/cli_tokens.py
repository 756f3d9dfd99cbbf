"""`counterfoil tokens`: who may use the storefront API, for which channel, and what they may."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table

from counterfoil.blueprint import Blueprint
from counterfoil.doors.cli_base import (
    DEFAULT,
    AsJson,
    BlueprintPath,
    confirmed,
    fail,
    moment,
    out,
    per_second,
    print_json,
    with_store,
)
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import apitokens

tokens_app = typer.Typer(help="Tokens of the storefront API.", no_args_is_help=True)


@tokens_app.command()
def add(
    name: Annotated[str, typer.Argument(help="who will use it, such as 'checkout of web-eu'")],
    channel: Annotated[str, typer.Option(help="the channel it is for, as the blueprint names it")],
    scope: Annotated[list[str], typer.Option(help=f"what it may, as often as needed: {', '.join(apitokens.SCOPES)}")],
    rate: Annotated[str, typer.Option(help="requests of it, such as 50/s; by default storefront.rate")] = "",
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Make a token. It is shown this once: the store keeps only what it can be recognised by."""
    if unknown := [each for each in scope if each not in apitokens.SCOPES]:
        fail(f"--scope: {unknown[0]!r} is none of {', '.join(apitokens.SCOPES)}.", 2)
    limit = per_second(rate) or None

    async def act(store: Store, plan: Blueprint) -> tuple[str, str]:
        if channel not in plan.systems:
            fail(f"--channel: {channel!r} is none of the blueprint's systems: {', '.join(plan.systems)}.", 2)
        return await apitokens.add(store, name, channel, scope, limit, getpass.getuser())

    id_, token = with_store(blueprint, act)
    if as_json:
        print_json({"id": id_, "token": token, "channel": channel, "scopes": sorted(set(scope)), "rate": limit})
        return
    out.print(token, soft_wrap=True)
    out.print(f"This is token {id_}. Keep it now: it is not shown again.", soft_wrap=True)


@tokens_app.command("list")
def list_(blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """The tokens there are, and those that were revoked."""

    async def act(store: Store, _plan: Blueprint) -> list[Mapping[str, Any]]:
        return await apitokens.all_of(store)

    rows = with_store(blueprint, act)
    if as_json:
        print_json(rows)
        return
    table = Table("id", "name", "channel", "may", "rate", "made", "by", "revoked")
    for row in rows:
        each = f"{row['rate']:g}/s" if row["rate"] else "usual"
        made, revoked = moment(row["made_at"]), moment(row["revoked_at"])
        scopes = ", ".join(row["scopes"])
        table.add_row(row["id"], row["name"], row["channel"], scopes, each, made, row["made_by"], revoked)
    out.print(table)


@tokens_app.command()
def revoke(
    id_: Annotated[str, typer.Argument(metavar="ID", help="as `tokens list` has it")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="without asking")] = False,
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """End a token. Serving processes refuse it within seconds; this cannot be undone."""
    if not confirmed(f"Whoever uses token {id_} is refused from now on. Revoke it?", yes):
        fail("Nothing was changed. Say --yes to revoke it without being asked.")

    async def act(store: Store, _plan: Blueprint) -> bool:
        return await apitokens.revoke(store, id_, getpass.getuser())

    if not with_store(blueprint, act):
        fail(f"There is no token {id_} that still works; `counterfoil tokens list` names them.")
    if as_json:
        print_json({"id": id_, "revoked": True})
    else:
        out.print(f"Token {id_} is revoked.", soft_wrap=True)
