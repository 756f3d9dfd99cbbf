"""The table of differences against what live servers of 14, 16, 18 and 19 said of their fields."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from typing import Any

import pytest

from counterfoil.connectors.odoo.versions import (
    BY_VERSION,
    MODELS,
    NEWEST,
    Names,
    UnsupportedVersion,
    major_of,
    names,
    warning,
)
from counterfoil_sandbox.odoo_versions import RECORDINGS

RECORDED = (14, 16, 18, 19)
NO_FIELD_NAMES = {
    *("major", "tried", "confirmed_states", "pricelist_required", "html_note", "cancel_asks", "confirm_twice"),
    *("outside_taxes", "rounds_price_unit", "payment_posted", "payment_cancelled", "reversal_method"),
    *("reversal_refund", "receivable", "moves_named", "return_method", "return_lines_given", "apply_inventory"),
    *("storable", "access_method", "entry_lines_named", "delivery_kept_up", "line_follows_route"),
}


@cache
def fields(version: int) -> dict[str, dict[str, str]]:
    """{model: {field: type}} as that version's fields_get told."""
    found: dict[str, dict[str, str]] = json.loads((RECORDINGS / f"names_{version}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("version", RECORDED)
def test_every_name_of_the_table_is_a_field_of_that_version(version: int) -> None:
    """case: F30 - a wrong name is an order that stops; '' must mean that the version has none of the known names."""
    for attribute, models in MODELS.items():
        name = getattr(names(version), attribute)
        known = {getattr(other, attribute) for other in BY_VERSION.values()} - {""}
        for model in models:
            if name:
                assert name in fields(version)[model], f"{version}: {model} has no {name} ({attribute})"
            else:
                there = known & set(fields(version)[model])
                assert not there, f"{version}: {model} has {there} ({attribute})"


def test_every_field_name_of_the_table_is_checked() -> None:
    """A name that is added must say which models have it."""
    assert {field.name for field in dataclasses.fields(Names)} - NO_FIELD_NAMES == set(MODELS)


@pytest.mark.parametrize("version", RECORDED)
def test_storable_receivable_and_taxes_from_outside(version: int) -> None:
    """What is more than a name: flags of a product with stock, the leaf of a receivable, extra_tax_data."""
    speaks, known = names(version), fields(version)
    for name, _ in speaks.storable:
        assert name in known["product.product"]
        assert name in known["product.template"]
    assert speaks.receivable[0] in known["account.move.line"]
    assert speaks.outside_taxes == ("extra_tax_data" in known["sale.order.line"])
    assert speaks.pricelist_required == (version <= 16)
    assert speaks.html_note == (known["sale.order"]["note"] == "html")


@pytest.mark.parametrize(
    ("version", "values", "leaf"),
    [
        (14, {"type": "product"}, ["type", "=", "product"]),
        (16, {"detailed_type": "product"}, ["detailed_type", "=", "product"]),
        (18, {"is_storable": True}, ["is_storable", "=", True]),
    ],
)
def test_a_product_whose_stock_is_kept(version: int, values: dict[str, Any], leaf: list[Any]) -> None:
    """As values to write and as a condition to search by."""
    assert names(version).storable_values() == values
    assert names(version).is_storable() == leaf


def test_a_locked_order() -> None:
    """Up to 16 a state, later a flag."""
    assert names(16).order_state_fields() == ("state", "delivery_status")
    assert names(16).locked({"state": "done"})
    assert not names(14).locked({"state": "sale"})
    assert names(18).order_state_fields() == ("state", "locked", "delivery_status")
    assert names(19).locked({"state": "sale", "locked": True})
    assert not names(19).locked({"state": "sale", "locked": False})


@pytest.mark.parametrize(
    ("told", "major"),
    [
        ("14.0", 14),
        ("16.0-20230301", 16),
        ("18.0+e-20250520", 18),
        ("saas~18.2", 18),
        ("saas-17.4", 17),
        ("20.0a1", 20),
    ],
)
def test_server_versions(told: str, major: int) -> None:
    """As live servers and Odoo's own cloud word them."""
    assert major_of(told) == major


@pytest.mark.parametrize("told", ["13.0", "8.0", "", "not a version"])
def test_older_ones_are_refused(told: str) -> None:
    """With the ones that are served."""
    with pytest.raises(UnsupportedVersion, match="14 to 19"):
        names(major_of(told))


def test_a_newer_one_is_taken_for_the_newest() -> None:
    """And the doctor says so."""
    assert names(23) == dataclasses.replace(BY_VERSION[NEWEST], major=23, tried=False)
    assert "newer than all that were tried" in warning("23.0")
    assert names(23).json2


def test_what_the_doctor_says_of_a_version() -> None:
    """Nothing of those that were run against."""
    assert [v for v in range(14, 20) if not warning(f"{v}.0")] == list(RECORDED)
    assert "taken for Odoo 18.0" in warning("saas~18.4")
