"""`counterfoil stock`: how many of a SKU each channel may sell, how that number came about, who takes what of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from counterfoil.blueprint import Blueprint, format_duration
from counterfoil.doors import assembly
from counterfoil.doors.cli_base import DEFAULT, AsJson, BlueprintPath, fail, moment, out, print_json, with_store
from counterfoil.hub.availability import stock as kept
from counterfoil.hub.availability.articles import Articles
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import looking
from counterfoil.processes.stock import Rules, whole
from counterfoil.retail.availability import UNIT, UNLIMITED, Answer, Article, Stand, in_units
from counterfoil.retail.bundles import explode
from counterfoil.retail.events import at_utc

FEED = "stock"
"""What the feeds are called by which stock is read, and the kind of what they tell of."""


def stock(
    sku: Annotated[str, typer.Argument(help="the article's SKU, or a bundle's")],
    channel: Annotated[list[str] | None, typer.Option(help="only this shop; may be repeated")] = None,
    place: Annotated[str, typer.Option(help="for collection in this store: its warehouse's code")] = "",
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Say how many of a SKU each shop may sell and how the number came about, step by step; and who takes what of it.

    Nothing is asked of any system: it is what the hub knows now, and it says of when.
    """

    async def look(store: Store, plan: Blueprint) -> dict[str, Any]:
        names = channel or _channels(plan)
        if unknown := [name for name in names if name not in plan.systems]:
            fail(f"There is no shop {unknown[0]!r}; there are: {', '.join(plan.systems)}.", 2)
        rules = assembly.stock_rules(plan)
        if place and place not in rules.pickup_places:
            stores = ", ".join(rules.pickup_places) or "none: say pickup: true at one under places"
            fail(f"Nothing is collected in {place!r}; stores: {stores}.", 2)
        return await _looked_at(store, plan, rules, sku, names, place)

    found = with_store(blueprint, look)
    if not found["known"]:
        fail(f"Nothing is known of the SKU {sku}: no reading of the ERP and no order has named it. Is it spelt right?")
    if as_json:
        print_json({name: value for name, value in found.items() if name != "known"})
    else:
        _print(found)


def _channels(plan: Blueprint) -> list[str]:
    """Those that are declared or told of stock, else every shop."""
    told = [flow.system for flow in plan.flows if flow.on == "stock.changed" and flow.system in plan.systems]
    known = assembly.catalogue().connectors
    shops = [name for name, system in plan.systems.items() if known[system.connector].is_channel]
    return list(dict.fromkeys([*plan.channels, *told])) or shops


async def _looked_at(
    store: Store, plan: Blueprint, rules: Rules, sku: str, channels: Iterable[str], place: str
) -> dict[str, Any]:
    articles = Articles()
    await articles.refresh(store)
    rules.learn_kits(articles.kits)
    parts = explode([(sku, UNIT)], rules.bundles)
    async with store.read() as connection:
        named = await kept.by_sku(connection, list(parts))
        takings = await kept.takings_of(connection, store, named.values())
        feeds = [(system, FEED) for system in assembly.counted(plan)]
        read_at, now = await looking.looked_at(connection, store, feeds, FEED)
    stands = await articles.found(store, list(parts))
    skus = {id_: part for part, id_ in named.items()}
    stale = read_at is None or now - read_at > plan.stock.stale_after.total_seconds()
    return {
        "known": bool(named),
        "sku": sku,
        "place": place or None,
        "bundle": {part: str(in_units(each)) for part, each in parts.items()} if sku in rules.bundles else None,
        "as_of": at_utc(read_at).isoformat() if read_at is not None else None,
        "stale": stale,
        "stale_after": format_duration(plan.stock.stale_after),
        "channels": {name: _channel(rules, name, sku, stands, stale, place) for name in channels},
        "taken": [
            {
                **{"by": t.holder, "sku": skus[t.article], "place": t.place, "channel": t.channel},
                **{"units": str(in_units(t.units)), "still_counted": str(in_units(t.left))},
            }
            for t in takings
        ],
    }


def _channel(
    rules: Rules,
    name: str,
    sku: str,
    stands: Mapping[str, tuple[Article, Sequence[Stand]]],
    stale: bool,
    place: str,
) -> dict[str, Any]:
    parts = rules.account(name, sku, stands.get, stale=stale, place=place)
    pickup = {at: rules.answer(name, sku, stands.get, stale=stale, place=at) for at in rules.pickup_places}
    return {
        **_answer(whole(parts)),
        "told": rules.quantity(name, sku, stands.get),
        "pickup": {at: answer.units for at, answer in pickup.items()},
        "parts": [
            {
                **{"sku": part.sku, "in_one": str(in_units(part.quantity)), **_answer(part.answer)},
                "steps": [
                    {"words": s.words, "by": str(in_units(s.by)), "left": str(in_units(s.left))} for s in part.steps
                ],
            }
            for part in parts
        ],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    beyond = "unlimited" if answer.beyond >= UNLIMITED else answer.beyond
    return {"units": answer.units, "beyond": beyond, "state": answer.state, "by_place": dict(answer.by_place)}


def _print(found: Mapping[str, Any]) -> None:
    as_of = moment(found["as_of"] and datetime.fromisoformat(found["as_of"]).timestamp())
    late = f", longer ago than {found['stale_after']}" if found["stale"] else ""
    out.print(f"The ERP's stock was last read {as_of}{late}." if as_of else "The ERP's stock was never read.")
    for name, one in found["channels"].items():
        more = f", and {one['beyond']} beyond stock" if one["beyond"] else ""
        there = f" for collection in {found['place']}" if found["place"] else ""
        out.print(f"\n{name}: {one['units']} of {found['sku']} may be sold{there}{more} ({one['state']})")
        if one["told"] != one["units"]:
            out.print(f"Its own stock number says {one['told']}.")
        for at, units in one["pickup"].items():
            out.print(f"For collection in {at}: {units}.")
        for part in one["parts"]:
            title = f"{part['sku']}, {part['in_one']} in each" if found["bundle"] else ""
            table = Table("how it came about", "by", "left", title=title or None, title_justify="left")
            for step in part["steps"]:
                table.add_row(step["words"], _signed(step["by"]), step["left"])
            out.print(table)
    if found["taken"]:
        table = Table("taken by", "SKU", "at", "units", "not in the ERP's figure yet", "channel")
        for row in found["taken"]:
            table.add_row(*(row[k] for k in ("by", "sku", "place", "units", "still_counted", "channel")))
        out.print(table)


def _signed(amount: str) -> str:
    return amount if amount.startswith("-") or amount == "0" else f"+{amount}"


def add_to(app: typer.Typer) -> None:
    """Offer the command."""
    app.command()(stock)
