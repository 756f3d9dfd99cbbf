"""Which place ships what of an order: one place first, then whole lines, then quantities, by declared preference."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import CATALOGUE, order

from counterfoil.blueprint import parse
from counterfoil.processes.routing import Places, Routed, Router
from counterfoil.retail.money import Money
from counterfoil.retail.order import Line, LineKind, Order
from counterfoil.retail.party import Address

PLAN = """
counterfoil: 1
systems: {shop: {connector: fake}}
calendars: {work: {zone: Europe/Berlin, open: {mon-fri: "08:00-18:00"}}}
places:
  BER: {country: DE, region: DE-BE, calendar: work, zone: Europe/Berlin, cut_off: "15:00"}
  MUC: {country: DE, region: BY, calendar: work, zone: Europe/Berlin, cut_off: "12:00"}
  PAR: {country: FR, pickup: true, name: Paris Bastille}
"""
NOON = datetime(2026, 11, 19, 12, 30, tzinfo=UTC)  # a Thursday, 13:30 in Berlin
U = 1000


def router(section: str) -> Router:
    return Router.of(parse(f"{PLAN}routing: {section}\n", known=CATALOGUE))


def sold(to: str = "DE", pickup: str = "", **quantities: int | str) -> Order:
    """An order of these SKUs, a line each; the line's id is the SKU in small letters."""
    country, _, state = to.partition("-")
    lines = tuple(
        Line(id=sku.lower(), kind=LineKind.PRODUCT, name=sku, quantity=Decimal(n), net=Money.of("1", "EUR"), sku=sku)
        for sku, n in quantities.items()
    )
    total = Money.of(len(lines), "EUR")
    where = Address(country=country, state=state, city="Somewhere")
    values: dict[str, Any] = {"billing": where, "shipping": Address(), "pickup": pickup, "rates": ()}
    values |= {"lines": lines, "total": total, "tax_told": Money.zero("EUR"), "rounding": Money.zero("EUR")}
    return order().model_copy(update=values)


def routed(section: str, wanted: Order, free: Mapping[str, Mapping[str, int]], **more: Any) -> dict[str, Places]:
    """The lines, with units instead of thousandths."""
    in_thousandths = {sku: {place: n * U for place, n in rows.items()} for sku, rows in free.items()}
    found = router(section).places_for(wanted, in_thousandths, more.pop("at", NOON), **more)
    return {line: tuple((place, n // U) for place, n in places) for line, places in found.lines.items()}


def test_the_nearest_place_that_has_everything_ships_everything() -> None:
    free = {"A": {"BER": 5, "MUC": 5, "PAR": 5}, "B": {"BER": 0, "MUC": 1, "PAR": 1}}
    rule = "{rules: [{prefer: [distance]}]}"
    assert routed(rule, sold("FR", A=2, B=1), free) == {"a": (("PAR", 2),), "b": (("PAR", 1),)}
    assert routed(rule, sold("DE-BE", A=2, B=1), free) == {"a": (("MUC", 2),), "b": (("MUC", 1),)}
    assert routed(rule, sold("DE-BE", A=2), free) == {"a": (("BER", 2),)}


@pytest.mark.parametrize(
    ("section", "place"),
    [
        ("{rules: [{prefer: [stock]}]}", "PAR"),
        ("{rules: [{prefer: [stock], from: [BER, MUC]}]}", "MUC"),
        ('{rules: [{prefer: [cost]}], cost: {BER: {"*": 9}, MUC: {DE: 7, "*": 1}}}', "MUC"),
        ('{rules: [{prefer: [cost]}], cost: {BER: {"*": 9}, MUC: {DE: 7, DE-BE: 10}}}', "BER"),
        ("{rules: [{prefer: [cut_off], from: [MUC, BER]}]}", "BER"),
        ("{rules: [{prefer: [distance]}], distance: {PAR: {DE: 0}, BER: {DE: 1}}}", "PAR"),
        ("{rules: [{prefer: [cost], from: [BER]}, {channel: shop, prefer: [cost], from: [PAR]}]}", "PAR"),
        ("{rules: [{prefer: [cut_off], from: [PAR, BER]}]}", "BER"),  # alike: by their codes
    ],
)
def test_what_decides_between_places_that_could_all_ship(section: str, place: str) -> None:
    free = {"A": {"BER": 2, "MUC": 3, "PAR": 4}}
    assert routed(section, sold("DE-BE", A=2), free) == {"a": ((place, 2),)}


def test_after_the_cut_off_it_leaves_on_the_next_open_day() -> None:
    rule = router("{rules: [{}]}")
    friday = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)  # 15:00 in Berlin
    assert rule.ships_on("BER", friday) == date(2026, 11, 23)
    assert rule.ships_on("BER", friday - timedelta(minutes=1)) == rule.ships_on("PAR", friday) == friday.date()


def test_whole_lines_before_quantities_and_only_where_that_is_allowed() -> None:
    free = {"A": {"BER": 5, "MUC": 0}, "B": {"BER": 0, "MUC": 5}, "C": {"BER": 1, "MUC": 2}}
    wanted = sold("DE-BE", A=2, B=2, C=3)
    by_lines = routed("{rules: [{split: lines}]}", wanted, free)
    assert by_lines == {"a": (("BER", 2),), "b": (("MUC", 2),), "c": (("MUC", 3),)}  # C waits where most of it is
    by_quantities = routed("{rules: [{split: quantities}]}", wanted, free)
    assert by_quantities == {**by_lines, "c": (("BER", 1), ("MUC", 2))}
    never = routed("{rules: [{split: never}]}", wanted, free)
    assert {place for places in never.values() for place, _ in places} == {"MUC"}  # one line each, more pieces


def test_whole_lines_come_from_as_few_places_as_will_do() -> None:
    free = {"A": {"BER": 1, "MUC": 1}, "B": {"MUC": 1}, "C": {"PAR": 1}}
    found = routed("{rules: [{}]}", sold("DE-BE", A=1, B=1, C=1), free)
    assert found == {"a": (("MUC", 1),), "b": (("MUC", 1),), "c": (("PAR", 1),)}  # though A's nearest is another


def test_bundles_need_all_their_parts_in_one_place_and_share_them_with_other_lines() -> None:
    """case: F18"""
    parts = {"SET": {"A": 2 * U, "B": U}}
    free = {"A": {"BER": 4, "MUC": 9}, "B": {"BER": 9, "MUC": 0}}
    section = "{rules: [{from: [BER, MUC], split: lines}]}"
    assert routed(section, sold("DE-BE", SET=2), free, parts=parts) == {"set": (("BER", 2),)}
    both = routed(section, sold("DE-BE", SET=2, A=1), free, parts=parts)
    assert both == {"set": (("BER", 2),), "a": (("MUC", 1),)}


def test_what_is_not_counted_goes_with_the_rest() -> None:
    assert routed("{rules: [{}]}", sold("DE-BE", A=1, GIFT=1), {"A": {"PAR": 1}}) == {
        "a": (("PAR", 1),),
        "gift": (("PAR", 1),),
    }


def test_an_order_that_is_collected_is_its_stores_whatever_it_has() -> None:
    section = '{rules: [{}], pickup: {shop: {"local_pickup:3": PAR}}}'
    found = router(section).places_for(sold("DE", "local_pickup:3", A=2), {"A": {"BER": 9 * U}}, NOON)
    assert found == Routed({"a": (("PAR", 2 * U),)}, ("collected at Paris Bastille (PAR)",))


def test_nothing_is_said_where_nothing_is_declared() -> None:
    assert routed("{}", sold(A=1), {"A": {"BER": 5}}) == {}
    assert not router("{}").routes("shop")


def test_a_changed_order_keeps_its_places_as_far_as_they_go() -> None:
    before = {"a": (("PAR", 2 * U),)}
    free = {"A": {"BER": 9}, "B": {"BER": 9}}
    grown = routed("{rules: [{}]}", sold("DE-BE", A=3, B=1), free, before=before)
    assert grown == {"a": (("PAR", 2), ("BER", 1)), "b": (("BER", 1),)}
    assert routed("{rules: [{}]}", sold("DE-BE", A=1), free, before=before) == {"a": (("PAR", 1),)}


def test_the_choice_is_told_in_words() -> None:
    free = {"A": {"BER": U, "MUC": 2 * U}, "B": {"MUC": U, "BER": U}}
    said = router("{rules: [{split: quantities, from: [BER, MUC]}]}")
    split = ("B from BER", "1 × A from BER", "2 × A from MUC")
    assert said.places_for(sold("DE-BE", A=1, B=1), free, NOON).words == ("all from BER, before MUC by distance",)
    assert said.places_for(sold("DE-BE", A=2, B=1), free, NOON).words == ("all from MUC: it alone has everything",)
    assert said.places_for(sold("DE-BE", A=3, B=1), free, NOON).words == split


PLACES = ("BER", "MUC", "PAR")
STOCK = st.dictionaries(
    st.sampled_from("ABC"), st.dictionaries(st.sampled_from(PLACES), st.integers(-3, 9), max_size=3), max_size=3
)
WANTED = st.dictionaries(st.sampled_from("ABC"), st.integers(1, 8), min_size=1, max_size=3)


@given(WANTED, STOCK, st.sampled_from(("never", "lines", "quantities")), st.sampled_from(("DE-BE", "FR", "US")))
def test_whatever_the_stock_every_unit_has_its_place(
    wanted: dict[str, int], free: dict[str, dict[str, int]], split: str, to: str
) -> None:
    """Each line whole, split no further than allowed, never beyond what is there while another place has it."""
    section = f"{{rules: [{{split: {split}}}]}}"
    found = routed(section, sold(to, **wanted), free)
    assert {line: sum(n for _, n in places) for line, places in found.items()} == {
        sku.lower(): n for sku, n in wanted.items()
    }
    assert found == routed(section, sold(to, **wanted), dict(reversed(free.items())))  # the order of stock says nothing
    used = {place for places in found.values() for place, _ in places}
    has_all = [p for p in PLACES if all(free[s].get(p, 0) >= n for s, n in wanted.items() if s in free)]
    if has_all:
        assert used <= set(has_all)
    if split == "never" or has_all:
        assert len(used) == 1
    if split == "lines":
        assert all(len(places) == 1 for places in found.values())
    if split == "quantities":
        for sku, n in wanted.items():
            there = {place: max(units, 0) for place, units in free.get(sku, {}).items()}
            if sku in free and sum(there.values()) >= n:
                assert all(units <= there.get(place, 0) for place, units in found[sku.lower()])
