"""Expressions of the blueprint: one value or a plain word why not, with an end to what they may cost."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.retail.expression import MAX_LENGTH, BadExpression, Unfit, compiled

BODY = {
    "number": "12",
    "total": 12.5,
    "billing": {"phone": "", "city": "Lyon"},
    "meta_data": [{"key": "mobile", "value": "07"}, {"key": "gift", "value": True}],
}
PIECES = ["[", "]", "@", ",", "|", "||", "?", "meta_data", "value", "[]", "[0]", "*", ".", "'x'", "`1`", "==", "!", "&"]
PIECES += ["sort(", "to_string(", "join(", "(", ")", "{a: @", "}", " "]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("billing.phone || meta_data[?key=='mobile'].value | [0]", "07"),
        ("meta_data[?key=='gift'].value | [0]", True),
        ("meta_data[?key=='none'].value | [0]", None),
        ("'web'", "web"),
        ("length(meta_data)", 2),
        ("total", "12.5"),
        ("to_number(number)", 12),
        ("no.such.place", None),
    ],
)
def test_what_an_expression_finds(text: str, value: Any) -> None:
    """A text, a whole number, true or false, nothing; a number with a point as text."""
    assert compiled(text).value(BODY) == value


@pytest.mark.parametrize(
    ("text", "words", "position"),
    [
        ("billing.phone ||", "cut short", 17),
        ("a ~ b", "~", 3),
        ("a b", "not expected here", 3),
        ("upper(number)", "no function upper()", 1),
        (" ", "empty", 0),
        ("a" * (MAX_LENGTH + 1), "at most", 0),
    ],
)
def test_what_cannot_be_read_says_where(text: str, words: str, position: int) -> None:
    """Counted from 1."""
    with pytest.raises(BadExpression) as bad:
        compiled(text)
    assert words in str(bad.value)
    assert bad.value.position == position


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("meta_data[?key=='mobile'].value", {"list"}),
        ("meta_data[].value", {"list"}),
        ("meta_data[].value | [0]", set()),
        ("{a: number}", {"mapping"}),
        ("number == '12'", {"boolean"}),
        ("!number || `true`", {"boolean"}),
        ("number || meta_data[].value", set()),
    ],
)
def test_what_its_form_tells(text: str, kinds: set[str]) -> None:
    """Before it is ever carried out."""
    assert compiled(text).kinds == kinds


@pytest.mark.parametrize(
    "text",
    ["[@,@][]" + "|[@,@][]" * 60, "[@,@]" + "|[@,@]" * 70 + "|to_string(@)", "[@,@]" + "|[@,@]" * 70 + "|sort(@)"],
)
def test_lists_cannot_be_multiplied_without_end(text: str) -> None:
    """Sixty doublings would be 10^18 items: that is noticed long before."""
    with pytest.raises(Unfit):
        compiled(text).value(BODY)


def test_a_long_list_cannot_be_looked_at_for_ever() -> None:
    """Each look at each item is a step."""
    with pytest.raises(Unfit, match="steps"):
        compiled("[?a == `1` && b == `2`].c").value([{"a": 1, "b": 2, "c": 3}] * 30_000)


def test_a_number_that_no_store_keeps_is_refused() -> None:
    """Whole numbers have 64 bits there."""
    assert compiled("n").value({"n": 2**63 - 1}) == 2**63 - 1
    with pytest.raises(Unfit, match="too large"):
        compiled("n").value({"n": 2**63})


def test_words_about_a_failure_show_nothing_of_the_body() -> None:
    """It may be a person's: what is wrong is the kind of value."""
    with pytest.raises(Unfit) as no:
        compiled("abs(billing.city)").value(BODY)
    assert str(no.value) == "gives abs() a text"


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=40))
def test_any_text_is_an_expression_or_a_plain_refusal(text: str) -> None:
    """Nothing else is raised, at load or later."""
    found: Any = None
    with contextlib.suppress(BadExpression, Unfit):
        found = compiled(text).value(BODY)
    assert found is None or isinstance(found, str | int)
