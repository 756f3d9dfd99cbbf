"""Refunds as a real shop wrote them, in the retail language."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from counterfoil.connectors.woocommerce.reading import At
from counterfoil.connectors.woocommerce.refunds import refund_of
from counterfoil.connectors.woocommerce.translate import decode
from counterfoil.hub.contract import BadPayload
from counterfoil.retail.money import Money
from counterfoil.retail.order import LineKind, Order, Refund
from counterfoil_sandbox.woocommerce import RECORDINGS

FOLDERS = [RECORDINGS, *(Path(p) for p in [os.environ.get("COUNTERFOIL_RECORDED", "")] if p)]
RECORDED = [
    pytest.param(entry, id=f"{path.stem}:{entry['id']}")
    for folder in FOLDERS
    for path in sorted(folder.glob("refunds/*.json"))
    for entry in json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)["response"]["body"]
]


def made(name: str) -> dict[str, Any]:
    path = RECORDINGS / "scenarios" / f"{name}.json"
    body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)["response"]["body"]
    return body


def read(entry: dict[str, Any]) -> Refund:
    return refund_of(At("refunds[0]", entry), "EUR")


@pytest.mark.parametrize("entry", RECORDED)
def test_every_recorded_refund_can_be_read(entry: dict[str, Any]) -> None:
    """Positive amounts, whole, dated in UTC; lines name the order's own."""
    refund = read(entry)
    assert refund.is_whole
    assert refund.amount == Money.of(entry["amount"], "EUR")
    assert refund.refunded_at is not None
    assert refund.refunded_at.isoformat() == entry["date_created_gmt"] + "+00:00"
    charges = [*entry["line_items"], *entry["shipping_lines"], *entry["fee_lines"]]
    assert len(refund.lines) == len(charges)
    for line, charge in zip(refund.lines, charges, strict=True):
        assert line.line.isdigit()
        assert line.net == -Money.of(charge["total"], "EUR")
        assert sum((t.amount.amount for t in line.taxes), Decimal(0)) == -Decimal(charge["total_tax"])


def test_a_line_given_back() -> None:
    """One scarf, net and its tax by rate."""
    refund = read(made("refund_158"))
    (line,) = refund.lines
    assert (refund.amount, refund.reason) == (Money.of("45.82", "EUR"), "Taille trop petite")
    assert (line.line, line.kind, line.quantity) == ("48", LineKind.PRODUCT, Decimal(1))
    assert (line.net, [(t.code, t.amount) for t in line.taxes]) == (
        Money.of("38.18", "EUR"),
        [("1", Money.of("7.64", "EUR"))],
    )


def test_shipping_given_back() -> None:
    """No pieces; the unrounded tax (0.8568) becomes what the shop prints (0.86)."""
    (line,) = read(made("refund_152")).lines
    assert (line.line, line.kind, line.quantity) == ("28", LineKind.SHIPPING, Decimal(0))
    assert (line.net.amount, [t.amount.amount for t in line.taxes]) == (Decimal("4.08"), [Decimal("0.86")])


def test_by_amount_has_no_lines() -> None:
    """Money only."""
    refund = read(made("refund_151_a"))
    assert (refund.amount.amount, refund.lines) == (Decimal("1.00"), ())


def test_a_broken_quantity_is_exact() -> None:
    """2.5 m of cloth, with an extension that allows it."""
    entry = made("refund_158")
    entry["line_items"][0]["quantity"] = Decimal("-2.5")
    assert read(entry).lines[0].quantity == Decimal("2.5")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "abc"),
        ("amount", None),
        ("date_created_gmt", None),
        ("id", 0),
        ("line_items", {}),
        ("line_items", [1]),
    ],
)
def test_what_is_no_refund_says_where(field: str, value: object) -> None:
    """The place and what was expected."""
    with pytest.raises(BadPayload, match=r"refunds\[0\]"):
        read(made("refund_158") | {field: value})


@pytest.mark.parametrize(("status", "pending"), [("pending", True), ("successful", False), ("", False)])
def test_the_order_says_whether_its_last_refund_is_through(status: str, pending: bool) -> None:
    """case: F29. WooPayments keeps it in the order's meta data, for the newest refund."""
    recording = json.loads((RECORDINGS / "orders" / "order_151.json").read_text(encoding="utf-8"))
    data = recording["response"]["body"]
    assert [r["id"] for r in data["refunds"]] == [279, 280]
    data["meta_data"].append({"id": 1, "key": "_wcpay_refund_status", "value": status})
    order = decode("web-eu", json.dumps(data).encode()).state
    assert isinstance(order, Order)
    assert {r.id: r.pending for r in order.refunds} == {"280": pending, "279": False}
