"""Which prices wait for a person, and which data of products are looked at."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.unit.blueprint.examining import good, only

from counterfoil.blueprint import Catalogue, dump, examine_text, parse
from counterfoil.blueprint.pricing import prices_in_words
from counterfoil.blueprint.quality import QualityRules, quality_in_words


def test_as_written_and_back_again(known: Catalogue, whole: str) -> None:
    text = whole + "prices: {min_margin: 0, most_off: 62.5}\nquality: {every: 24h, check: [weight, gtin]}\n"
    read = good(examine_text(text, known=known, environ={}))
    assert (read.prices.min_margin, read.prices.most_change, read.prices.most_off) == (0, None, Decimal("62.5"))
    assert (read.quality.every, read.quality.check) == (timedelta(days=1), ("weight", "gtin"))
    assert parse(dump(read), known=known, environ={}, require_secrets=False).prices == read.prices
    assert prices_in_words(read.prices) == [
        "A price waits for a person's word where it leaves less than 0 % over the cost, or takes more than 62.5 % off "
        "in a campaign."
    ]
    assert quality_in_words(read.quality) == [
        "Every 1d is looked for: articles without a weight, articles without a valid GTIN."
    ]


def test_what_is_not_declared_is_not_asked(known: Catalogue, whole: str) -> None:
    read = good(examine_text(whole, known=known, environ={}))
    assert not read.prices.declared
    assert prices_in_words(read.prices) == quality_in_words(QualityRules()) == []


@pytest.mark.parametrize(
    ("section", "path", "expected", "hint"),
    [
        ("prices: {min_margin: cheap}", "prices.min_margin", "a percentage", ""),
        ("prices: {most_off: 50%}", "prices.most_off", "a percentage", "write 50"),
        ("prices: {most_change: -1}", "prices.most_change", "a percentage", ""),
        ("prices: {margin: 1}", "prices.margin", "one of", 'did you mean "min_margin"?'),
        ("quality: {every: daily}", "quality.every", "a duration", ""),
        ("quality: {check: [wieght]}", "quality.check[0]", "a list of sku", 'did you mean "weight"?'),
        ("quality: {check: [sku, sku]}", "quality.check", "a list of sku", "each once"),
    ],
)
def test_what_is_wrong_is_told_with_path_and_remedy(
    known: Catalogue, whole: str, section: str, path: str, expected: str, hint: str
) -> None:
    problem = only(examine_text(f"{whole}{section}\n", known=known, environ={}))
    assert (problem.path, problem.hint) == (path, hint)
    assert problem.expected.startswith(expected)
    assert problem.line == whole.count("\n") + 1
