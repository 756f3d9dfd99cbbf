"""What needs a prescription, what one must say, and what an order waits for."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conformance.making import line, order

from counterfoil.blueprint.prescriptions import Measure, Needing, Prescriptions
from counterfoil.hub.storefront.prescriptions import RELEASED, REPLACED, Record
from counterfoil.processes.prescriptions import checked, in_need, media_of, states, waits_for
from counterfoil.retail.order import LineKind

TODAY = date(2026, 11, 22)
FIELDS = {
    "sphere": Measure(type="number", min=Decimal(-20), max=Decimal(20), step=Decimal("0.25")),
    "cylinder": Measure(type="number", required=False),
    "axis": Measure(type="integer", min=Decimal(0), max=Decimal(180), required=False, needs="cylinder"),
    "issued_on": Measure(type="date", valid_for=timedelta(days=730), required=False),
    "eye": Measure(type="choice", choices=("left", "right"), required=False),
    "note": Measure(type="text", longest=5, required=False),
}
RULES = Prescriptions(
    needs=Needing(skus=("RX-*",), categories=("Lenses / Made",), tax_classes=("medical",)), fields=FIELDS
)
STATES = ("to_release", RELEASED, "rejected", REPLACED)
records = st.builds(
    Record,
    id=st.text("abc", min_size=1),
    channel=st.just("web"),
    subject=st.just("web:order:1"),
    number=st.just("1"),
    lines=st.lists(st.sampled_from("12"), min_size=1, unique=True).map(tuple),
    state=st.sampled_from(STATES),
    made_at=st.floats(0, 100),
)


@pytest.mark.parametrize(
    ("sku", "tax_class", "category", "needed"),
    [
        ("RX-1", "", (), True),
        ("rx-1", "", (), False),
        ("MUG", "", (), False),
        ("MUG", "medical", (), True),
        ("MUG", "", ("Lenses", "Made", "Blue"), True),
        ("MUG", "", ("lenses", "MADE"), True),  # as in the other rules that go by categories
        ("MUG", "", ("Lenses",), False),
        ("", "", (), False),
    ],
)
def test_what_needs_one(sku: str, tax_class: str, category: tuple[str, ...], needed: bool) -> None:
    of = order("1", line(sku, tax_class=tax_class), line("RX-9", "4.00", kind=LineKind.SHIPPING))
    found = in_need(of, RULES, {sku: [category]} if category else {})
    assert [each.sku for each in found] == ([sku] if needed else [])


@given(st.lists(records, max_size=6))
def test_an_order_goes_on_only_with_a_released_one_for_each_line(known: list[Record]) -> None:
    standing = states("12", known)
    released = all(any(r.state == RELEASED and each in r.lines for r in known) for each in "12")
    assert (waits_for(standing) == "") is released
    assert all(r is None or r.state != REPLACED for r in standing.values())


@pytest.mark.parametrize(
    ("name", "told", "value"),
    [
        ("sphere", "-3.25", "-3.25"),
        ("sphere", 20, "20"),
        ("sphere", 0.1 + 0.15, "0.25"),
        ("sphere", "-20.25", None),
        ("sphere", "1.3", None),
        ("sphere", "1e9999", None),
        ("sphere", float("nan"), None),
        ("sphere", True, None),
        ("sphere", [1], None),
        ("axis", 90.5, None),
        ("axis", 181, None),
        ("issued_on", "2024-11-22", "2024-11-22"),
        ("issued_on", "2024-11-21", None),
        ("issued_on", "2026-11-23", None),
        ("issued_on", "yesterday", None),
        ("eye", "left", "left"),
        ("eye", "third", None),
        ("note", "fit", "fit"),
        ("note", "longer than it may be", None),
        ("note", "a\nb", None),
    ],
)
def test_a_value_is_taken_as_declared_or_named_as_wrong(name: str, told: object, value: str | None) -> None:
    values, wrong = checked({"sphere": 1, "cylinder": 1, name: told}, RULES, TODAY)
    assert values.get(name) == value
    assert [each.at for each in wrong] == ([] if value is not None else [name])
    assert value is not None or str(told) not in wrong[0].expected


def test_what_is_missing_unknown_or_alone_is_named() -> None:
    _, wrong = checked({"axis": 90, "colour": "x"}, RULES, TODAY)
    assert sorted(each.at for each in wrong) == ["colour", "cylinder", "sphere"]


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())))
def test_nothing_that_can_be_sent_breaks_it(told: object) -> None:
    for name in FIELDS:
        values, _ = checked({name: told}, RULES, TODAY)
        assert checked(values, RULES, TODAY)[0] == values, "what was taken is taken again"


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (b"%PDF-1.4 ... %%EOF\n", "pdf"),
        (b"%PDF-1.4 cut off", ""),
        (b"\xff\xd8\xff\xe0 ... \xff\xd9", "jpeg"),
        (b"\xff\xd8\xff\xe0 cut off", ""),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR IEND\xaeB`\x82", "png"),
        (b"GIF89a", ""),
        (b"<html>%PDF-1.4 %%EOF", ""),
        (b"", ""),
    ],
)
def test_a_file_is_what_its_content_is(content: bytes, media: str) -> None:
    assert media_of(content) == media
