"""What an upgrade or a customisation changed is said before an order fails on it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from counterfoil.connectors.odoo.fingerprint import compare, take, uses
from counterfoil.connectors.odoo.versions import BY_VERSION
from counterfoil.hub.contract import Mark

Print = dict[str, Any]


def a_print() -> Print:
    """Of an Odoo that does all that is asked."""
    state = {"type": "selection", "required": False, "selection": ["cancel", "done", "draft", "sale", "sent"]}
    partner = {"type": "many2one", "required": True, "relation": "res.partner"}
    order = {"fields": {"state": state, "partner_id": partner}, "asks": ["warehouse_id"]}
    quant = {"fields": {"quantity": {"type": "float", "required": False}}, "asks": []}
    models = {"sale.order": order, "stock.quant": quant, "mrp.bom": None}
    return {"format": 1, "version": "16.0", "modules": ["sale", "stock"], "models": models}


Change = Callable[[Print], object]


def order(new: Print) -> Any:
    """The fingerprint of sale.order."""
    return new["models"]["sale.order"]


@pytest.mark.parametrize(
    ("change", "check", "mark", "says"),
    [
        (lambda p: order(p)["fields"].pop("state"), "sale.order.state", Mark.FAILED, "is gone"),
        (lambda p: order(p)["fields"]["state"].update(type="char"), "sale.order.state", Mark.FAILED, "its type was"),
        (
            lambda p: order(p)["fields"]["partner_id"].update(relation="x.y"),
            "sale.order.partner_id",
            Mark.FAILED,
            "was res.partner and is x.y",
        ),
        (lambda p: order(p)["fields"]["state"].update(required=True), "sale.order.state", Mark.WARNING, "required"),
        (
            lambda p: order(p)["fields"]["state"]["selection"].remove("sent"),
            "sale.order.state",
            Mark.FAILED,
            "lost the values sent",
        ),
        (
            lambda p: order(p)["fields"]["state"]["selection"].append("packed"),
            "sale.order.state",
            Mark.WARNING,
            "new values packed",
        ),
        (
            lambda p: order(p)["asks"].append("x_channel"),
            "sale.order.x_channel",
            Mark.FAILED,
            "a custom field that is required",
        ),
        (lambda p: p["models"].update({"stock.quant": None}), "stock.quant", Mark.FAILED, "gone, or hidden"),
        (lambda p: p["modules"].remove("stock"), "module stock", Mark.FAILED, "not any more"),
        (lambda p: p["modules"].append("mrp"), "module mrp", Mark.WARNING, "installed meanwhile"),
        (lambda p: p.update(version="16.1"), "version", Mark.WARNING, "16.0 became 16.1"),
    ],
)
def test_each_change_is_said_with_what_to_do(change: Change, check: str, mark: Mark, says: str) -> None:
    """One finding, and nothing about what did not change."""
    new = copy.deepcopy(a_print())
    change(new)
    [finding] = compare(a_print(), new)
    assert (finding.check, finding.mark) == (check, mark)
    assert says in finding.found
    assert finding.remedy


@pytest.mark.parametrize(
    "harmless",
    [
        lambda p: None,
        lambda p: order(p)["asks"].remove("warehouse_id"),
        lambda p: order(p)["fields"]["partner_id"].update(required=False),
        lambda p: p.update(modules=None),
        lambda p: p["models"].update({"mrp.bom": {"fields": {}, "asks": []}}),
    ],
)
def test_what_does_no_harm_is_not_said(harmless: Change) -> None:
    """Less asked for, or not shown to this user."""
    new = copy.deepcopy(a_print())
    harmless(new)
    assert compare(a_print(), new) == []


def test_names_that_change_with_a_release_are_no_news() -> None:
    """From 16 to 19 fields have other names, which the connector knows; what is left of the rest is compared."""
    new = copy.deepcopy(a_print()) | {"version": "19.0"}
    del order(new)["fields"]["partner_id"]
    order(new)["asks"].append("x_channel")
    assert [finding.check for finding in compare(a_print(), new)] == ["version", "sale.order.x_channel"]


@pytest.mark.parametrize("junk", [{}, {"format": 0, "models": {}}, {"format": 1}])
def test_something_else_is_refused(junk: Print) -> None:
    """Rather than compared with nothing."""
    with pytest.raises(ValueError, match="no fingerprint"):
        compare(junk, a_print())
    with pytest.raises(ValueError, match="no fingerprint"):
        compare(a_print(), junk)


class Told:
    """An Odoo that tells its fields."""

    def __init__(self, **more: Any) -> None:
        self.more = more

    async def names(self) -> Any:
        return BY_VERSION[19]

    async def version(self) -> tuple[str, None]:
        return "19.0", None

    async def search_read(self, *_: Any, **__: Any) -> list[dict[str, str]]:
        return [{"name": "stock"}, {"name": "sale"}]

    async def call(self, model: str, method: str, **arguments: Any) -> Any:
        if method == "default_get":
            return {"picking_policy": "direct"}
        used = {name: {"type": "char", "required": False} for name in uses(BY_VERSION[19])[model].fields}
        asked = {"picking_policy": {"type": "selection", "required": True, "selection": [["direct", "Direct"]]}}
        return used | asked | (self.more if model == "sale.order" else {})


async def test_a_print_is_the_same_until_something_changes() -> None:
    """It survives being kept as JSON; what Odoo fills in by itself is not asked of us."""
    before = await take(Told())  # type: ignore[arg-type]
    assert compare(json.loads(json.dumps(before)), await take(Told())) == []  # type: ignore[arg-type]
    assert before["models"]["sale.order"]["asks"] == []
    after = await take(Told(x_channel={"type": "char", "required": True}))  # type: ignore[arg-type]
    assert [finding.check for finding in compare(before, after)] == ["sale.order.x_channel"]
