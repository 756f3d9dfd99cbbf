"""The section `routing` of the blueprint: which place ships, and where is collected."""

from __future__ import annotations

import pytest
from tests.fakes import CATALOGUE

from counterfoil.blueprint import dump, examine_text, parse, render

PLAN = """\
counterfoil: 1
systems: {shop: {connector: fake}}
places:
  WH: {country: DE}
  STO: {country: FR, pickup: true}
"""


def test_it_is_declared_shown_and_written_again() -> None:
    rule = "{channel: shop, from: [WH, STO], prefer: [cost, stock], split: quantities}"
    more = 'cost: {WH: {FR: 4.90, FR-IDF: 3, "*": 9}}, distance: {STO: {FR: 0}}, ready: done'
    pickup = '{shop: {"local_pickup:3": STO}}'
    plan = parse(f"{PLAN}routing: {{rules: [{rule}], pickup: {pickup}, {more}}}\n", known=CATALOGUE)
    page = render(plan)
    assert "| shop | WH, STO | the cheapest, then the place that keeps most" in page
    assert "| shop | local_pickup:3 | STO |" in page
    assert "once the store's delivery is done in Odoo" in page
    assert parse(dump(plan), known=CATALOGUE).routing == plan.routing
    assert "Routing" not in render(parse(PLAN, known=CATALOGUE))


@pytest.mark.parametrize(
    ("wrong", "path", "hint"),
    [
        ("{rules: [{channel: shp}]}", "routing.rules[0].channel", 'did you mean "shop"?'),
        ("{rules: [{from: [WHH]}]}", "routing.rules[0].from[0]", 'did you mean "WH"?'),
        ("{rules: [{}, {}]}", "routing.rules[1]", "merge it with the one above"),
        ("{rules: [{split: maybe}]}", "routing.rules[0].split", ""),
        ("{rules: [{prefer: [luck]}]}", "routing.rules[0].prefer[0]", ""),
        ("{cost: {WHH: {FR: 1}}}", "routing.cost.WHH", 'did you mean "WH"?'),
        ("{distance: {WH: {France: 1}}}", "routing.distance", 'nor "*" for any other'),
        ('{pickup: {shp: {"local_pickup:3": STO}}}', "routing.pickup.shp", 'did you mean "shop"?'),
        ('{pickup: {shop: {"local_pickup:3": WH}}}', 'routing.pickup.shop."local_pickup:3"', "pickup: true"),
        ("{ready: soon}", "routing.ready", ""),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line_and_a_remedy(wrong: str, path: str, hint: str) -> None:
    [problem] = examine_text(f"{PLAN}routing: {wrong}\n", known=CATALOGUE).problems
    assert (problem.line, problem.path) == (6, path)
    assert hint in problem.hint


def test_rules_without_places_are_told() -> None:
    plan = "counterfoil: 1\nsystems: {shop: {connector: fake}}\nrouting: {rules: [{}]}\n"
    [problem] = examine_text(plan, known=CATALOGUE).problems
    assert problem.hint == "declare them under places"
