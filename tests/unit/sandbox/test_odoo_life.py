"""The Odoo stand-in beyond its recorded days: what clients load and poll, what it refuses, how it finds rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from counterfoil_sandbox.odoo import Odoo, make_app, seed
from counterfoil_sandbox.odoo_schema import OdooError

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTjxGQAAAABJRU5ErkJggg=="


@pytest.fixture
def house() -> SimpleNamespace:
    """A stand-in with a stored article (ten of it), a customer, and a clock that stands still."""
    app = make_app(currency="EUR", country="FR")
    ids = seed(app, products=[{"default_code": "A", "name": "A", "is_storable": True}], partners=[{"name": "C"}])
    odoo: Odoo = app.inner.state.odoo
    clock = SimpleNamespace(now=datetime(2026, 11, 21, 12, 0, 0, 500_000, tzinfo=UTC))
    odoo.store.clock = lambda: clock.now
    product, customer = ids["products"]["A"], ids["partners"]["C"]
    shelf = odoo.call("stock.warehouse", "search_read", fields=["lot_stock_id"])[0]["lot_stock_id"][0]
    count(odoo, product, shelf, 10)
    return SimpleNamespace(app=app, odoo=odoo, clock=clock, product=product, customer=customer, shelf=shelf)


def count(odoo: Odoo, product: int, shelf: int, quantity: float) -> None:
    values = {"product_id": product, "location_id": shelf, "inventory_quantity": quantity}
    quants = odoo.call("stock.quant", "create", vals_list=[values], context={"inventory_mode": True})
    odoo.call("stock.quant", "action_apply_inventory", quants)


def order(house: SimpleNamespace, quantity: float = 2, price: float = 10.0) -> int:
    """A confirmed order of the article without taxes."""
    line = {"product_id": house.product, "name": "A", "product_uom_qty": quantity, "price_unit": price, "tax_ids": []}
    values = {"partner_id": house.customer, "order_line": [[0, 0, line]]}
    [made] = house.odoo.call("sale.order", "create", vals_list=[values])
    house.odoo.call("sale.order", "action_confirm", [made])
    return int(made)


def shipped(house: SimpleNamespace, number: int) -> dict[str, Any]:
    """The order's only transfer, validated."""
    [picking] = house.odoo.call("stock.picking", "search_read", domain=[["sale_id", "=", number]])
    house.odoo.call("stock.picking", "button_validate", [picking["id"]], context={"skip_sms": True})
    return dict(house.odoo.call("stock.picking", "read", [picking["id"]])[0])


def invoiced(house: SimpleNamespace, number: int) -> int:
    """The posted invoice of an order."""
    context = {"active_model": "sale.order", "active_ids": [number]}
    wizard = house.odoo.call("sale.advance.payment.inv", "create", vals_list=[{}], context=context)
    move = house.odoo.call("sale.advance.payment.inv", "create_invoices", wizard, context=context)["res_id"]
    house.odoo.call("account.move", "action_post", [move])
    return int(move)


def test_a_time_shown_in_seconds_is_earlier_than_the_row(house: SimpleNamespace) -> None:
    """The column has microseconds, the answer has not: `>` the time one was told finds the row again, `=` does not."""
    number = order(house)
    [row] = house.odoo.call("sale.order", "read", [number], fields=["write_date"])
    assert row["write_date"] == "2026-11-21 12:00:00"
    for op, found in ((">=", [number]), (">", [number]), ("=", []), ("<=", [])):
        assert house.odoo.call("sale.order", "search", domain=[["write_date", op, row["write_date"]]]) == found


def test_shipping_is_seen_by_polling(house: SimpleNamespace) -> None:
    """Every model a feed watches moves its write_date, the article itself never does."""
    number = order(house)
    before = house.odoo.call("product.product", "read", [house.product], fields=["write_date"])
    house.clock.now += timedelta(seconds=10)
    since = [["write_date", ">=", "2026-11-21 12:00:05"]]
    models = ("sale.order", "sale.order.line", "stock.picking", "stock.move", "stock.quant")
    assert all(house.odoo.call(model, "search", domain=since) == [] for model in models)
    shipped(house, number)
    assert all(house.odoo.call(model, "search", domain=since) for model in models)
    assert house.odoo.call("product.product", "read", [house.product], fields=["write_date"]) == before


def test_conditions_through_lines_and_either_or_use_indexes(house: SimpleNamespace) -> None:
    numbers = [order(house, 1) for _ in range(30)]
    house.clock.now += timedelta(seconds=10)
    house.odoo.call("sale.order.line", "write", _lines(house, numbers[3]), vals={"name": "new words"})
    late = "2026-11-21 12:00:05"
    domain = ["|", ["write_date", ">=", late], ["order_line.write_date", ">=", late]]
    assert house.odoo.call("sale.order", "search", domain=domain) == [numbers[3]]
    assert list(house.odoo.store.index.candidates("sale.order", domain)) == [numbers[3]]
    moves = house.odoo.store.index.candidates("stock.move", [["sale_line_id.order_id", "in", [numbers[5]]]])
    assert len(list(moves)) == 1


def _lines(house: SimpleNamespace, number: int) -> list[int]:
    return list(house.odoo.call("sale.order", "read", [number], fields=["order_line"])[0]["order_line"])


def test_walking_by_number(house: SimpleNamespace) -> None:
    numbers = [order(house, 1) for _ in range(7)]
    seen: list[int] = []
    while page := house.odoo.call(
        "sale.order", "search", domain=[["id", ">", seen[-1] if seen else 0]], order="id", limit=3
    ):
        seen += page
    assert seen == numbers


def test_below_a_category(house: SimpleNamespace) -> None:
    top, _other = house.odoo.call("product.category", "create", vals_list=[{"name": "top"}, {"name": "other"}])
    [under] = house.odoo.call("product.category", "create", vals_list=[{"name": "under", "parent_id": top}])
    house.odoo.call("product.product", "write", [house.product], vals={"categ_id": under})
    for op, value, found in (("child_of", top, 1), ("child_of", under, 1), ("=", top, 0), ("child_of", _other, 0)):
        domain = [["categ_id", op, [value] if op == "child_of" else value]]
        assert house.odoo.call("product.product", "search_count", domain=domain) == found
    above = house.odoo.call("product.category", "search", domain=[["id", "parent_of", [under]]])
    assert sorted(above) == sorted([top, under])


def test_a_return_can_be_loaded(house: SimpleNamespace) -> None:
    """A return prepared under an external id, once, with its moves; it waits for the warehouse."""
    number = order(house)
    done = shipped(house, number)
    [move] = house.odoo.call("stock.move", "search_read", domain=[["picking_id", "=", done["id"]]])
    [kind] = house.odoo.call("stock.picking.type", "read", [done["picking_type_id"][0]])
    fields = ["id", "partner_id/.id", "picking_type_id/.id", "location_id/.id", "location_dest_id/.id", "origin"]
    fields += ["return_id/.id", "move_ids/id", "move_ids/product_id/.id", "move_ids/product_uom/.id"]
    fields += ["move_ids/product_uom_qty", "move_ids/location_id/.id", "move_ids/location_dest_id/.id"]
    fields += ["move_ids/origin_returned_move_id/.id", "move_ids/sale_line_id/.id", "move_ids/to_refund"]
    places = [done["location_dest_id"][0], house.shelf]
    row = ["cf.back", house.customer, kind["return_picking_type_id"][0], *places, "Return", done["id"], "cf.back_1"]
    row += [house.product, move["product_uom"][0], 1, *places, move["id"], move["sale_line_id"][0], "True"]
    cells = [[str(cell) for cell in row]]
    context = {"mode": "update", "noupdate": True}
    first = house.odoo.call("stock.picking", "load", context=context, fields=fields, data=cells)
    assert first["messages"] == []
    assert house.odoo.call("stock.picking", "load", context=context, fields=fields, data=cells)["ids"] == first["ids"]
    house.odoo.call("stock.picking", "action_confirm", first["ids"])
    [back] = house.odoo.call("stock.picking", "read", first["ids"])
    assert (back["state"], back["picking_type_code"], back["return_id"][0]) == ("assigned", "incoming", done["id"])
    [line] = house.odoo.call("sale.order.line", "read", _lines(house, number), fields=["qty_delivered"])
    assert line["qty_delivered"] == 2.0
    house.odoo.call("stock.picking", "button_validate", first["ids"])
    [line] = house.odoo.call("sale.order.line", "read", _lines(house, number), fields=["qty_delivered"])
    assert line["qty_delivered"] == 1.0


def test_a_history_order_moves_nothing(house: SimpleNamespace) -> None:
    """Writing the state is not confirming: no transfer, and the article stays free."""
    line = {"product_id": house.product, "product_uom_qty": 3}
    values = {"partner_id": house.customer, "order_line": [[0, 0, line]]}
    made = house.odoo.call("sale.order", "create", vals_list=[values])
    house.odoo.call("sale.order", "write", made, vals={"state": "sale", "locked": True})
    [row] = house.odoo.call("sale.order", "read", made, fields=["state", "picking_ids", "delivery_status"])
    assert (row["state"], row["picking_ids"], row["delivery_status"]) == ("sale", [], False)
    assert house.odoo.call("product.product", "read", [house.product], fields=["free_qty"])[0]["free_qty"] == 10.0


def test_open_deliveries_get_the_new_address_when_asked(house: SimpleNamespace) -> None:
    number = order(house)
    [door] = house.odoo.call("res.partner", "create", vals_list=[{"name": "Door", "type": "delivery"}])
    domain = [["sale_id", "=", number]]
    house.odoo.call("sale.order", "write", [number], vals={"partner_shipping_id": door})
    assert house.odoo.call("stock.picking", "search_read", domain=domain)[0]["partner_id"][0] == house.customer
    context = {"update_delivery_shipping_partner": True}
    house.odoo.call("sale.order", "write", [number], vals={"partner_shipping_id": door}, context=context)
    assert house.odoo.call("stock.picking", "search_read", domain=domain)[0]["partner_id"][0] == door


def test_the_payment_wizard_pays_an_invoice(house: SimpleNamespace) -> None:
    invoice = invoiced(house, order(house))
    context = {"active_model": "account.move", "active_ids": [invoice]}
    wizard = house.odoo.call("account.payment.register", "create", vals_list=[{}], context=context)
    payment = house.odoo.call("account.payment.register", "action_create_payments", wizard)["res_id"]
    [move] = house.odoo.call("account.move", "read", [invoice], fields=["payment_state", "amount_residual"])
    assert (move["payment_state"], move["amount_residual"]) == ("paid", 0.0)
    assert house.odoo.call("account.payment", "read", [payment], fields=["amount", "state"])[0]["amount"] == 20.0
    with pytest.raises(OdooError, match="nothing left to pay"):
        house.odoo.call("account.payment.register", "create", vals_list=[{}], context=context)


def test_undoing_a_match_owes_the_money_again(house: SimpleNamespace) -> None:
    invoice = invoiced(house, order(house))
    context = {"active_model": "account.move", "active_ids": [invoice]}
    wizard = house.odoo.call("account.payment.register", "create", vals_list=[{"amount": 5.0}], context=context)
    house.odoo.call("account.payment.register", "action_create_payments", wizard)
    domain = [["move_id", "=", invoice], ["account_type", "=", "asset_receivable"]]
    items = house.odoo.call("account.move.line", "search", domain=domain)
    fields = ["payment_state", "amount_residual"]
    [move] = house.odoo.call("account.move", "read", [invoice], fields=fields)
    assert (move["payment_state"], move["amount_residual"]) == ("partial", 15.0)
    house.odoo.call("account.move.line", "remove_move_reconcile", items)
    [move] = house.odoo.call("account.move", "read", [invoice], fields=fields)
    assert (move["payment_state"], move["amount_residual"]) == ("not_paid", 20.0)


def test_another_amount_of_a_matched_payment_undoes_the_match(house: SimpleNamespace) -> None:
    """As on the real server: back to draft keeps the match, the new amount does not."""
    invoice = invoiced(house, order(house))
    context = {"active_model": "account.move", "active_ids": [invoice]}
    wizard = house.odoo.call("account.payment.register", "create", vals_list=[{}], context=context)
    payment = house.odoo.call("account.payment.register", "action_create_payments", wizard)["res_id"]

    def state() -> str:
        return str(house.odoo.call("account.move", "read", [invoice], fields=["payment_state"])[0]["payment_state"])

    house.odoo.call("account.payment", "action_draft", [payment])
    assert state() == "paid"
    house.odoo.call("account.payment", "write", [payment], vals={"amount": 15.0})
    house.odoo.call("account.payment", "action_post", [payment])
    assert state() == "not_paid"
    [row] = house.odoo.call("account.payment", "read", [payment], fields=["move_id", "amount", "state"])
    assert (row["amount"], row["state"]) == (15.0, "in_process")
    domain = [["move_id", "=", row["move_id"][0]], ["account_type", "=", "asset_receivable"]]
    [item] = house.odoo.call("account.move.line", "search_read", domain=domain)
    assert item["amount_residual"] == -15.0


def test_returned_goods_serve_who_waits_and_count_as_not_sent(house: SimpleNamespace) -> None:
    """What comes back is reserved for the next order; more of the line then sends what came back as well."""
    number = order(house, 10)
    done = shipped(house, number)
    waiting = order(house, 4)
    [open_move] = house.odoo.call("stock.move", "search_read", domain=[["picking_id.sale_id", "=", waiting]])
    assert (open_move["state"], open_move["quantity"]) == ("confirmed", 0.0)
    [wizard] = house.odoo.call("stock.return.picking", "create", vals_list=[{"picking_id": done["id"]}])
    lines = house.odoo.call("stock.return.picking.line", "search", domain=[["wizard_id", "=", wizard]])
    house.odoo.call("stock.return.picking.line", "write", lines, vals={"quantity": 4})
    back = house.odoo.call("stock.return.picking", "action_create_returns", [wizard])["res_id"]
    house.odoo.call("stock.picking", "button_validate", [back])
    [open_move] = house.odoo.call("stock.move", "read", [open_move["id"]], fields=["state", "quantity"])
    assert (open_move["state"], open_move["quantity"]) == ("assigned", 4.0)
    house.odoo.call("sale.order.line", "write", _lines(house, number), vals={"product_uom_qty": 11})
    moves = house.odoo.call("stock.move", "search_read", domain=[["sale_line_id", "in", _lines(house, number)]])
    assert [move["product_uom_qty"] for move in moves if move["state"] not in ("done", "cancel")] == [5.0]


def test_the_customers_link_is_made_once(house: SimpleNamespace) -> None:
    invoice = invoiced(house, order(house))
    [before] = house.odoo.call("account.move", "read", [invoice], fields=["access_token", "access_url"])
    assert before["access_token"] is False
    url = house.odoo.call("account.move", "get_portal_url", [invoice])
    [after] = house.odoo.call("account.move", "read", [invoice], fields=["access_token"])
    assert url == f"{before['access_url']}?access_token={after['access_token']}"
    assert house.odoo.call("account.move", "get_portal_url", [invoice]) == url


def test_images_are_served_and_told_by_their_checksum(house: SimpleNamespace) -> None:
    [row] = house.odoo.call("product.product", "read", [house.product], fields=["product_tmpl_id"])
    house.odoo.call("product.template", "write", [row["product_tmpl_id"][0]], vals={"image_1920": DOT})
    client = TestClient(house.app)
    answer: httpx.Response = client.get(f"/web/image/product.product/{house.product}/image_1920")
    assert (answer.status_code, answer.content[:4]) == (200, b"\x89PNG")
    assert client.get("/web/image/product.product/999/image_1920").status_code == 404
    unasked = house.odoo.call("ir.attachment", "search", domain=[["res_model", "=", "product.template"]])
    asked = house.odoo.call("ir.attachment", "search", domain=[["res_field", "=", "image_1920"]])
    assert (unasked, len(asked)) == ([], 1)


@pytest.mark.parametrize(
    ("model", "method", "status", "message"),
    [
        ("stock.rule", "search_read", 404, "the model 'stock.rule' does not exist"),
        ("stock.picking", "action_fly", 404, "The method 'stock.picking.action_fly' does not exist"),
        ("stock.picking", "_action_done", 403, "Private methods (such as 'stock.picking._action_done') cannot be"),
        ("account.move", "action_post", 404, "Record does not exist or has been deleted.\n(Record: account.move(77,)"),
    ],
)
def test_what_is_not_known_is_refused(
    house: SimpleNamespace, model: str, method: str, status: int, message: str
) -> None:
    """Never silence: a model, a method or a record that is not there says so."""
    with pytest.raises(OdooError) as refused:
        house.odoo.call(model, method, [77] if method.startswith("action") else [])
    assert refused.value.status == status
    assert refused.value.message.startswith(message)


def test_a_failed_call_leaves_no_trace_in_stock(house: SimpleNamespace) -> None:
    """One call, one transaction: what was reserved before the error is free again."""
    one, two = order(house), order(house)
    house.odoo.call("sale.order", "action_cancel", [two])
    before = house.odoo.rows("stock.quant")
    with pytest.raises(OdooError, match="not in a state"):
        house.odoo.call("sale.order", "action_confirm", [one, two])
    with pytest.raises(OdooError, match="does not exist"):
        house.odoo.call("stock.picking", "button_validate", [1, 99])
    assert house.odoo.rows("stock.quant") == before


def test_without_the_stock_module_nothing_is_delivered(house: SimpleNamespace) -> None:
    house.odoo.install("stock", installed=False)
    number = order(house)
    [row] = house.odoo.call("sale.order", "read", [number], fields=["state", "delivery_status"])
    assert (row["state"], row["delivery_status"]) == ("sale", False)
    with pytest.raises(OdooError, match=r"the model 'stock\.picking' does not exist"):
        house.odoo.call("stock.picking", "search")
