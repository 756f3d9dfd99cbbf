"""Where goods lie and people come to, and what is declared of the storefront."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.blueprint.examining import good, only

from counterfoil.blueprint import Catalogue, dump, examine_text, parse, render

PLACES = """\
places:
  WH: {name: Central, street: 1 quai Sud, city: Lyon, country: FR, latitude: 45.764, longitude: 4.8357}
  102: {pickup: true, handling: 2, cut_off: "15:00"}
"""
STOREFRONT = """\
storefront:
  origins: {web-eu: https://shop.example, odoo: [https://a.example, "http://localhost:3000"]}
  rate: 50/s
  blocked_by: [credit_hold]
  delivery: {FR: 2, "*": 4-7}
"""


def test_as_written_and_back_again(known: Catalogue, whole: str) -> None:
    read = good(examine_text(whole + PLACES + STOREFRONT, known=known, environ={}))
    assert (read.places["WH"].latitude, read.places["102"].handling) == (Decimal("45.764"), 2)
    assert read.storefront.origins["odoo"] == ("https://a.example", "http://localhost:3000")
    again = parse(dump(read), known=known, environ={}, require_secrets=False)
    assert (again.places, again.storefront) == (read.places, read.storefront)
    page = render(read)
    assert "1 quai Sud Lyon FR" in page
    assert "| A checkout waits for a person with | credit_hold |" in page
    assert "| On the way to any other country | 4-7 working days |" in page


@pytest.mark.parametrize(
    ("section", "path", "hint"),
    [
        ("places: {WH: {latitude: north, longitude: 1}}", "places.WH.latitude", ""),
        ("places: {WH: {latitude: 91, longitude: 1}}", "places.WH.latitude", ""),
        ("places: {WH: {longitude: 1}}", "places.WH.latitude", ""),
        ("places: {WH: {calendar: shop}}", "places.WH.calendar", ""),
        ("places: {WH: {country: fr}}", "places.WH.country", "write FR"),
        ("places: {WH: {pick_up: true}}", "places.WH.pick_up", 'did you mean "pickup"?'),
        ("places: {WH: Paris}", "places.WH", ""),
        ("storefront: {origins: {web-eu: shop.example}}", "storefront.origins", "it starts with"),
        ("storefront: {origins: {web-eu: https://shop.example/en}}", "storefront.origins", "scheme, host and port"),
        ("storefront: {origins: {web-e: https://shop.example}}", "storefront.origins.web-e", "did you mean"),
        ("storefront: {origins: [https://shop.example]}", "storefront.origins", ""),
        ("storefront: {delivery: {FR: 4-2}}", "storefront.delivery", "days such as 3"),
        ("storefront: {delivery: {France: 2}}", "storefront.delivery", "no two-letter country code"),
        ("storefront: {rate: fast}", "storefront.rate", ""),
    ],
)
def test_what_is_wrong_is_told_with_path_and_remedy(
    known: Catalogue, whole: str, section: str, path: str, hint: str
) -> None:
    problem = only(examine_text(f"{whole}{section}\n", known=known, environ={}))
    assert problem.path == path
    assert hint in problem.hint
    assert problem.line == whole.count("\n") + 1
