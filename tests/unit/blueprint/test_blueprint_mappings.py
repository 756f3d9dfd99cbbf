"""`mappings` and `statuses`: what a blueprint maps itself is checked before anything runs, with line and remedy."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.blueprint import Examined, dump, examine_text, parse, render
from counterfoil.doors import assembly

BASE = """\
counterfoil: 1
systems:
  web-eu: {connector: woocommerce, url: "https://shop.example", consumer_key: "${K}", consumer_secret: "${S}"}
  odoo: {connector: odoo, url: "https://odoo.example", api_key: "${A}"}
"""
WHOLE = (
    BASE
    + """\
mappings:
  web-eu:
    customer: {phone: "billing.phone || meta_data[?key=='mobile'].value | [0]", extra.tier: role}
    order: {reference: "meta_data[?key=='po_number'].value | [0]"}
  odoo:
    order: {client_order_ref: "order.reference || order.number", x_channel: "'web'"}
    customer: {x_tier: customer.extra.tier}
statuses:
  web-eu:
    order: {wc-awaiting-pickup: processing}
"""
)


def examined(more: str) -> Examined:
    """Of a blueprint with these sections."""
    return examine_text(BASE + more, known=assembly.catalogue(), environ={})


def test_a_whole_one_loads_and_is_written_out_as_it_was() -> None:
    """What is dumped loads again to the same."""
    known = assembly.catalogue()
    plan = parse(WHOLE, known=known, environ={}, require_secrets=False)
    again = parse(dump(plan), known=known, environ={}, require_secrets=False)
    assert dict(again.mappings["odoo"]["order"]) == dict(plan.mappings["odoo"]["order"])
    assert again.statuses["web-eu"]["order"]["wc-awaiting-pickup"] == "processing"


def test_the_page_shows_the_connectors_rows_and_the_blueprints_own() -> None:
    """Each field once for each way."""
    known = assembly.catalogue()
    text = render(parse(WHOLE, known=known, environ={}, require_secrets=False), known)
    assert "| web-eu | order | placed_at | in | date_created_gmt |" in text
    assert "| odoo | order | x_channel | out | 'web' | this blueprint |" in text
    assert "| web-eu | order | processing | wc-awaiting-pickup | in | this blueprint |" in text


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        ("mappings:\n  web:\n    order: {note: a}\n", 6, 'did you mean "web-eu"?'),
        ("mappings:\n  web-eu:\n    orders: {note: a}\n", 7, 'did you mean "order"?'),
        ("mappings:\n  web-eu:\n    product: {name: a}\n", 7, "one of customer, order"),
        ("mappings:\n  web-eu:\n    order: {not: a}\n", 7, 'did you mean "note"?'),
        ("mappings:\n  web-eu:\n    order:\n      note: a\n      extra.Gift: a\n", 9, "extra.NAME"),
        ("mappings:\n  web-eu:\n    order:\n      note: a ||\n", 8, "it is cut short, at character 5"),
        ("mappings:\n  web-eu:\n    order: {note: meta_data, reference: 'a[].b'}\n", 7, "put | [0] behind it"),
        ("mappings:\n  web-eu:\n    order: {note: 'a == b'}\n", 7, "true or false"),
        ("mappings:\n  web-eu:\n    order: {note: 12}\n", 7, "found 12, expected a JMESPath expression"),
        ("mappings:\n  web-eu: often\n", 6, "a mapping of objects"),
        ("mappings: [a]\n", 5, "a mapping of systems"),
        ("mappings:\n  odoo:\n    order: {partner_id: \"'1'\"}\n", 7, "this one the hub writes by itself"),
        ('mappings:\n  odoo:\n    order: {"order_line/x": "\'1\'"}\n', 7, "a field of the system"),
        ("statuses:\n  web-eu:\n    order: {wc-on-hold: processing}\n", 7, "a state of the shop's own"),
        ("statuses:\n  web-eu:\n    order: {picked: processed}\n", 7, 'did you mean "processing"?'),
        ("statuses:\n  web-eu:\n    payment: {picked: paid}\n", 7, "order, of a shop"),
        ("statuses:\n  odoo:\n    order: {picked: processing}\n", 7, "order, of a shop"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_a_remedy(more: str, line: int, words: str) -> None:
    """One problem each."""
    [problem] = examined(more).problems
    assert problem.line == line
    assert words in str(problem)


NAMES = st.sampled_from(["web-eu", "odoo", "order", "customer", "note", "extra.x", "x_y", "wc-a", "", "a b", "1"])
LEAVES = (
    st.sampled_from(["number", "a ||", "a[]", "processing", "", "`", "'web'"])
    | st.integers()
    | st.none()
    | st.booleans()
)
ANYTHING = st.recursive(LEAVES, lambda below: st.lists(below, max_size=2) | st.dictionaries(NAMES, below, max_size=3))


@given(st.sampled_from(["mappings", "statuses"]), ANYTHING | st.dictionaries(NAMES, ANYTHING, max_size=3))
def test_nothing_that_stands_there_breaks_the_check(section: str, data: Any) -> None:
    """Sound, or problems that each name a line and what was expected."""
    found = examined(yaml.safe_dump({section: data}, allow_unicode=True))
    for problem in found.problems:
        assert problem.line > 4
        assert problem.expected
