"""The section `stock`: rules by article and shop, bundles, ages; and what is wrong with one."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from tests.fakes import CATALOGUE

from counterfoil.blueprint import dump, examine_text, parse, render

PLAN = "counterfoil: 1\nsystems: {web-eu: {connector: fake}, odoo: {connector: fake}}\n"

SECTION = """\
stock:
  safety:
    - units: 1
    - {channel: web-eu, category: Home / Kitchen, units: 2.5}
  ring_fences:
    - {channel: web-eu, percent: 20, exclusive: true}
  beyond:
    - {sku: NEXT, kind: pre_order, limit: 50, days: 3, from: 2027-03-01}
  bundles:
    SET: {MUG: 2, BOX: 1}
    GIFT: {SET: 1, RIBBON: 0.5}
  hold: 20m
  when_stale: {web-eu: stop}
  stores_keep: 1
"""


def test_a_whole_section_is_read_and_written_again() -> None:
    plan = parse(PLAN + SECTION, known=CATALOGUE)
    rules = plan.stock
    assert [rule.units for rule in rules.safety] == [Decimal(1), Decimal("2.5")]
    assert rules.ring_fences[0].exclusive
    assert rules.beyond[0].from_ == date(2027, 3, 1)
    assert dict(rules.bundles["GIFT"]) == {"SET": Decimal(1), "RIBBON": Decimal("0.5")}
    assert (rules.hold, rules.order_within, rules.low) == (timedelta(minutes=20), timedelta(days=1), Decimal(3))
    assert rules.when_stale["web-eu"] == "stop"
    assert parse(dump(plan), known=CATALOGUE).stock == rules


def test_the_page_says_each_rule_and_nothing_where_nothing_is_declared() -> None:
    page = render(parse(PLAN + SECTION, known=CATALOGUE))
    assert "20 % of what is on hand kept for it, and it sells nothing else" in page
    assert "a bundle of 2 × MUG, 1 × BOX" in page
    assert "web-eu sells nothing" in page
    assert "reservation" not in render(parse(PLAN, known=CATALOGUE))


@pytest.mark.parametrize(
    ("section", "where", "says"),
    [
        ("safety: [{channel: web-us, units: 1}]", "stock.safety[0].channel", 'did you mean "web-eu"?'),
        ("safety: [{units: many}]", "stock.safety[0].units", "expected a number of units such as 2 or 0.5"),
        ("safety: [{units: 1}, {units: 2}]", "stock.safety[1]", "the first is stock.safety[0]: take one out"),
        ("safety: [{sku: A, category: B, units: 2}]", "stock.safety[0].category", "a sku or a category, not both"),
        ("{safety: [{sku: S, units: 1}], bundles: {S: {A: 1}}}", "stock.safety[0].sku", "name those, such as A"),
        ("ring_fences: [{channel: web-eu}]", "stock.ring_fences[0]", "either units or percent"),
        (
            "ring_fences: [{channel: web-eu, percent: 60}, {channel: odoo, percent: 50}]",
            "stock.ring_fences[1].percent",
            "at most 100 for all channels together",
        ),
        ("beyond: [{kind: someday}]", "stock.beyond[0].kind", "one of back_order, pre_order, incoming"),
        ("beyond: [{kind: pre_order, from: soon}]", "stock.beyond[0].from", "a day such as 2027-03-01"),
        ("bundles: {A: {A: 1}}", "stock.bundles.A.A", "a bundle cannot be a part of itself"),
        ("bundles: {A: {B: 1}, B: {C: 1, A: 2}}", "stock.bundles.A.B", "found A → B → A"),
        ("bundles: {A: {}}", "stock.bundles.A", "a bundle is made of something"),
        ("bundles: {A: {B: 0}}", "stock.bundles.A.B", "more than 0"),
        ("when_stale: {web-us: stop}", "stock.when_stale.web-us", "a declared shop"),
        ("when_stale: {web-eu: stopp}", "stock.when_stale.web-eu", 'did you mean "stop"?'),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(section: str, where: str, says: str) -> None:
    text = f"{PLAN}stock: {section if section.startswith('{') else '{' + section + '}'}\n"
    found = examine_text(text, known=CATALOGUE, file="shop.yaml")
    (problem,) = found.problems
    assert problem.path == where
    assert says in str(problem)
    assert problem.line == text.count("\n")


def test_parts_that_two_bundles_share_are_no_circle() -> None:
    text = f"{PLAN}stock: {{bundles: {{A: {{B: 1, C: 1}}, B: {{C: 1}}}}}}\n"
    assert not examine_text(text, known=CATALOGUE).problems
