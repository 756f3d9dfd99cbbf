"""The retailer's rules of stock: the most specific holds, fences keep for others, bundles are what their parts make."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from counterfoil.blueprint import Catalogue, ConnectorInfo, parse
from counterfoil.processes.stock import Find, Rules
from counterfoil.retail.availability import MILLION, UNIT, Article, Basis

CATALOGUE = Catalogue.of([ConnectorInfo("shop", is_channel=True, needs_url=False)], frozenset())
SYSTEMS = "counterfoil: 1\nsystems: {web: {connector: shop}, till: {connector: shop}, odoo: {connector: shop}}\n"
MUG = Article("MUG", ("Home", "Kitchen"))


def rules(text: str) -> Rules:
    return Rules(parse(SYSTEMS + text, known=CATALOGUE))


def shelf(stock: Mapping[str, int], place: str = "WH") -> Find:
    """So many units on hand of each SKU, at one place."""
    return lambda sku: (Article(sku), [(place, stock[sku] * UNIT, 0, 0, 0)]) if sku in stock else None


@pytest.mark.parametrize(
    ("article", "channel", "safety"),
    [
        (Article("X"), "till", 1),
        (Article("X"), "web", 2),  # a channel before everything
        (Article("X", ("Home",)), "web", 3),  # a category before a channel
        (Article("X", ("HOME", "kitchen", "Mugs")), "till", 4),  # the deeper one, whatever its case
        (Article("X", ("Home", "Kitchen")), "web", 5),  # of the same category the one that names the channel
        (Article("X", ("Homes",)), "till", 1),  # a category is a path, not the beginning of a word
        (MUG, "web", 0),  # a SKU before all
    ],
)
def test_the_most_specific_rule_holds(article: Article, channel: str, safety: int) -> None:
    made = rules("""\
channels: {web: {safety_stock: 2}}
stock:
  safety:
    - {units: 1}
    - {category: Home, units: 3}
    - {category: Home / Kitchen, units: 4}
    - {channel: web, category: Home / Kitchen, units: 5}
    - {sku: MUG, units: 0}
""")
    assert made.policy(channel, article).safety == safety * UNIT
    assert made.policy(channel, article) is made.policy(channel, article)  # made once


def test_a_shop_told_what_stands_on_the_shelf_is_promised_from_what_is_available() -> None:
    """case: F16"""
    made = rules("channels: {web: {stock: on_hand, warehouses: [WH]}}")
    assert made.told("web", MUG).basis is Basis.ON_HAND
    assert made.policy("web", MUG).basis is Basis.AVAILABLE
    assert made.policy("web", MUG).places == {"WH"}


def test_a_fence_is_kept_from_the_others_where_both_sell_from_the_same_place() -> None:
    made = rules("""\
channels: {web: {warehouses: [WH, S1]}, till: {warehouses: [S1]}, odoo: {warehouses: [S2]}}
stock:
  ring_fences:
    - {channel: till, units: 4}
    - {channel: till, sku: MUG, percent: 25, exclusive: true}
""")
    assert made.policy("web", Article("X")).fenced == 4 * UNIT
    assert made.policy("web", MUG).fenced_share == MILLION // 4
    assert made.policy("odoo", MUG).fenced_share == 0
    assert made.policy("till", Article("X")).fenced == 0
    assert made.policy("till", Article("X")).own is None
    assert made.policy("till", MUG).own_share == MILLION // 4


def test_what_may_be_sold_beyond_stock_by_its_rule_and_none_where_it_says_zero() -> None:
    made = rules("""\
stock:
  beyond:
    - {kind: back_order, days: 7}
    - {sku: MUG, kind: pre_order, limit: 0}
""")
    beyond = made.policy("web", Article("X")).beyond
    assert beyond is not None
    assert (beyond.kind, beyond.limit, beyond.days) == ("back_order", None, 7)
    assert made.policy("web", MUG).beyond is None


def test_past_the_declared_age_each_shop_does_what_it_is_told_to() -> None:
    made = rules("stock: {safety: [{units: 2}], when_stale: {web: stop, till: safety_only}}")
    found = shelf({"MUG": 9})
    ask = [made.answer(channel, "MUG", found, stale=True).units for channel in ("web", "till", "odoo")]
    assert ask == [0, 2, 7]
    assert made.answer("web", "MUG", found).units == 7


def test_what_can_be_collected_in_a_store_is_what_stands_there() -> None:
    made = rules("""\
places: {S1: {pickup: true}, WH: {}}
channels: {web: {warehouses: [WH], safety_stock: 5}}
stock: {stores_keep: 1}
""")
    assert made.pickup_places == ("S1",)
    found = shelf({"MUG": 3}, "S1")
    assert made.answer("web", "MUG", found, place="S1").units == 2
    assert made.answer("web", "MUG", found).units == 0


def test_bundles_are_what_their_parts_make_and_change_with_them() -> None:
    """case: F18"""
    made = rules("stock: {safety: [{sku: BOX, units: 1}], bundles: {SET: {MUG: 2, BOX: 1}, GIFT: {SET: 1, MUG: 1}}}")
    found = shelf({"MUG": 9, "BOX": 5})
    assert made.quantity("web", "SET", found) == 4
    assert made.quantity("web", "GIFT", found) == 3
    assert made.quantity("web", "SET", shelf({"MUG": 9})) == 0
    assert set(made.bundles_with("MUG")) == {"SET", "GIFT"}
    assert [(part.sku, part.quantity) for part in made.account("web", "GIFT", found)] == [("MUG", 3000), ("BOX", 1000)]


def test_kits_of_the_erp_are_bundles_too_and_the_blueprint_wins() -> None:
    made = rules("stock: {bundles: {SET: {MUG: 2}}}")
    made.learn_kits({"SET": {"MUG": 9 * UNIT}, "KIT": {"SET": UNIT, "LID": 2 * UNIT}})
    assert made.bundles["SET"] == {"MUG": 2 * UNIT}
    assert made.quantity("web", "KIT", shelf({"MUG": 8, "LID": 6})) == 3
    assert made.bundles_with("LID") == ("KIT",)
    made.learn_kits({"MUG": {"SET": UNIT}})  # a circle through the blueprint's own bundle
    assert made.bundles.keys() == {"SET"}


def test_of_what_is_not_known_there_is_nothing_and_it_is_said() -> None:
    (part,) = rules("").account("web", "MUG", lambda _sku: None)
    assert part.answer.units == 0
    assert "not known" in part.steps[-1].words
