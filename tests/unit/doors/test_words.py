"""A shipment or an invoice in one line; each word of the console has a name of its own."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from counterfoil.doors.console import words as console_words
from counterfoil.doors.words import in_words
from counterfoil.retail.fulfilment import Invoice, Packed, Shipment, ShipmentState
from counterfoil.retail.money import Money

PACKED = tuple(Packed(sku=f"SKU-{n}", quantity="2.000") for n in range(6))


def shipment(**more: Any) -> dict[str, Any]:
    made = Shipment(id="7", number="WH/OUT/00012", state=ShipmentState.DONE, **more)
    return {"shipment": made.model_dump(mode="json")}


@pytest.mark.parametrize(
    ("about", "words"),
    [
        (
            shipment(carrier="DHL", tracking="0034", tracking_url="https://t.example/0034", items=PACKED[:2]),
            "WH/OUT/00012: 2 × SKU-0, 2 × SKU-1; DHL 0034 https://t.example/0034",
        ),
        (
            shipment(items=PACKED),
            "WH/OUT/00012: 2 × SKU-0, 2 × SKU-1, 2 × SKU-2, 2 × SKU-3 and 2 more",
        ),
        (shipment(), "WH/OUT/00012"),
        (
            {"invoice": Invoice(id="3", number="INV/1", total=Money.parse("120.00 EUR")).model_dump(mode="json")},
            "INV/1 of 120.00 EUR",
        ),
        ({}, ""),
        ({"shipment": None}, ""),
        ({"shipment": {"id": 7, "items": [None, {"quantity": "x"}]}}, "7: ? × ?"),
    ],
)
def test_it_says_what_a_person_wants_to_know(about: dict[str, Any], words: str) -> None:
    assert in_words(about) == words


def test_no_word_of_the_console_is_said_anew_under_a_name_that_is_taken() -> None:
    body = ast.parse(Path(console_words.__file__).read_text(encoding="utf-8")).body
    names = [node.targets[0] for node in body if isinstance(node, ast.Assign)]
    counted = Counter(name.id for name in names if isinstance(name, ast.Name))
    assert len(counted) > 100
    assert [name for name, count in counted.items() if count > 1] == []
