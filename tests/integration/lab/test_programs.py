"""The demo, the recorded runner and the checker, on stand-ins."""

from __future__ import annotations

import copy
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from counterfoil_lab import demo
from counterfoil_lab.checker import OdooOrder, Sellable, check, order_differences, passed
from counterfoil_lab.recorded import through_the_hub
from counterfoil_sandbox.woocommerce import RECORDINGS
from counterfoil_sandbox.woocommerce_orders import recorded_orders

EXPECTED = Path(__file__).parents[2] / "recorded" / "expected.yaml"


def expected() -> dict[str, dict[str, Any]]:
    """The outcomes written down by hand, by order number or file."""
    return {str(row.get("order") or row["file"]): row for row in yaml.safe_load(EXPECTED.read_text(encoding="utf-8"))}


def disagreements(lines: list[dict[str, Any]], orders_only: bool = False) -> list[str]:
    """Where a line is not what was written down."""
    rows = expected()
    return [
        f"{line['order']}: {line['outcome']} {line.get('reason', '')} for {rows[line['order']]['outcome']}"
        for line in lines
        if line["order"] in rows and not (orders_only and "/" in line["order"])
        if line["outcome"] != rows[line["order"]]["outcome"]
        or rows[line["order"]].get("reason") not in (None, line.get("reason"))
    ]


async def test_the_packaged_recordings_come_out_as_written_down_by_hand() -> None:
    lines = await through_the_hub(RECORDINGS, RECORDINGS, "sandbox")
    assert len([line for line in lines if line["order"] in expected()]) >= 20
    assert disagreements(lines) == []
    assert [line for line in lines if line.get("differences")] == []


async def test_all_recordings_come_out_as_written_down_by_hand() -> None:
    folder = Path(os.environ.get("COUNTERFOIL_RECORDED", "../shared/recorded/woocommerce"))
    if not (folder / "orders").is_dir():
        pytest.skip("no full folder of recordings here (COUNTERFOIL_RECORDED names one)")
    lines = await through_the_hub(folder, folder, "sandbox")
    assert {line["order"] for line in lines} == set(expected())
    assert disagreements(lines) == []
    assert [line for line in lines if line.get("differences")] == []


async def test_the_demo_passes_with_fewer_orders() -> None:
    verdict = await demo.play("sandbox", 60, keep=False)
    assert passed(verdict), verdict["wrong"]
    assert verdict["orders_placed"] == 60
    assert verdict["orders_in_odoo"] > 30


# --- the checker itself: it must find what is wrong ---------------------------------------------------------------


def shop_order() -> dict[str, Any]:
    """A paid order as a shop states it."""
    order = copy.deepcopy(next(o for o in recorded_orders() if o["status"] == "processing" and o["tax_lines"]))
    return order | {"date_paid": "2026-11-21T00:00:00"}


def as_in_odoo(order: dict[str, Any]) -> OdooOrder:
    """The same order, right in every amount."""
    percents = {t["rate_id"]: f"{t['rate_percent']:g}" for t in order["tax_lines"]}
    lines = {
        str(line["id"]): (
            Decimal(line["total"]),
            Decimal(line["total_tax"]),
            tuple(sorted(percents[t["id"]] for t in line["taxes"] if t["total"])),
        )
        for line in [*order["line_items"], *order["shipping_lines"], *order["fee_lines"]]
    }
    total, tax = Decimal(order["total"]), Decimal(order["total_tax"])
    unit = Decimal("0.01")
    return OdooOrder("S00001", "sale", total, total - tax, tax, unit, order["currency"], total, Decimal(0), lines)


def judged(order: dict[str, Any], *found: OdooOrder) -> dict[str, Any]:
    skus = frozenset(line["sku"] for line in order["line_items"])
    known = Sellable(skus, frozenset({order["currency"]}))
    return check([order], {f"web:order:{order['id']}": list(found)}, known, "web")


def test_the_checker_passes_what_is_right() -> None:
    order = shop_order()
    assert passed(judged(order, as_in_odoo(order)))


def test_the_checker_finds_a_lost_order() -> None:
    verdict = judged(shop_order())
    assert (verdict["lost"], passed(verdict)) == (1, False)


def test_the_checker_finds_a_doubled_order() -> None:
    order = shop_order()
    assert judged(order, as_in_odoo(order), as_in_odoo(order))["duplicates"] == 1


def test_the_checker_finds_a_cent() -> None:
    order = shop_order()
    wrong = as_in_odoo(order)
    wrong.total += Decimal("0.01")
    assert judged(order, wrong)["total_mismatches"] == 1
    number, (net, tax, rates) = next(iter(wrong.lines.items()))
    line_wrong = as_in_odoo(order)
    line_wrong.lines[number] = (net + Decimal("0.01"), tax, rates)
    assert f"line {number}" in order_differences(order, line_wrong)


def test_the_checker_knows_what_becomes_of_a_cut_price() -> None:
    """Three for 10.00 are 9.99 where a unit price has two digits, and nothing else."""
    order = shop_order()
    order["line_items"][0] |= {"quantity": 3, "total": "10.00"}
    number, found = str(order["line_items"][0]["id"]), as_in_odoo(order)
    found.step = Decimal("0.01")
    assert order_differences(order, found)[f"line {number}"] == "10.00 for 9.99"
    found.lines[number] = (Decimal("9.99"), *found.lines[number][1:])
    assert f"line {number}" not in order_differences(order, found)


def test_the_checker_finds_an_unpaid_and_an_unconfirmed_order() -> None:
    order = shop_order()
    unpaid, draft = as_in_odoo(order), as_in_odoo(order)
    unpaid.paid = Decimal(0)
    draft.state = "draft"
    assert judged(order, unpaid)["finished_share"] == 0.0
    assert judged(order, draft)["unconfirmed"] == 1


def test_the_checker_finds_a_cancelled_order_still_standing() -> None:
    order = shop_order() | {"status": "cancelled"}
    assert judged(order, as_in_odoo(order))["still_standing"] == 1


def test_doing_nothing_does_not_pass() -> None:
    order = shop_order()
    assert not passed(judged(order))
