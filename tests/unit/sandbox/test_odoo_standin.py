"""The Odoo stand-in answers as the recorded Odoo 19 does, counts as it does, and fails on demand."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from counterfoil_sandbox.odoo import Odoo, make_app, seed
from counterfoil_sandbox.odoo_schema import RECORDINGS, OdooError
from counterfoil_sandbox.serving import serving

ERRORS = json.loads((RECORDINGS / "errors_19.json").read_text())
TOTALS = json.loads((RECORDINGS / "totals_19.json").read_text())
INSERT_ONLY = {"mode": "update", "noupdate": True, "tracking_disable": True}
ORDER = ["id", "partner_id/.id", "client_order_ref"]
LINE = ["id", "product_id/.id", "name", "product_uom_qty", "price_unit", "tax_ids/.id"]
HEADER = ORDER + [f"order_line/{name}" for name in LINE]


@pytest.fixture
def shop() -> SimpleNamespace:
    """A stand-in with two products and a customer; `post` is one JSON-2 call over HTTP."""
    app = make_app(database="o19bench")
    ids = seed(app, products=["A", "B"], currencies=["EUR", "JPY"], partners=[{"name": "C", "email": "c@x.test"}])
    odoo: Odoo = app.inner.state.odoo
    client = TestClient(app)

    def post(path: str, body: Any = None, key: str | None = "sandbox-key", **headers: str) -> httpx.Response:
        if key:
            headers["authorization"] = f"bearer {key}"
        content = body if isinstance(body, str) else json.dumps(body or {})
        return client.post(path, content=content, headers={"content-type": "application/json", **headers})

    product, partner = ids["products"], ids["partners"]
    return SimpleNamespace(app=app, odoo=odoo, client=client, post=post, a=product["A"], b=product["B"], c=partner["C"])


def order_rows(shop: SimpleNamespace, name: str, *lines: tuple[Any, ...]) -> list[list[Any]]:
    """Matrix rows of one order; a line is (product, quantity, price)."""
    rows = []
    for number, (product, quantity, price) in enumerate(lines, 1):
        head = [f"cf.{name}", str(shop.c), name] if number == 1 else ["", "", ""]
        rows.append([*head, f"cf.{name}_{number}", str(product), f"Line {number}", str(quantity), str(price), "1"])
    return rows


def load(shop: SimpleNamespace, rows: list[list[Any]], fields: list[str] = HEADER, **context: Any) -> Any:
    return shop.odoo.call("sale.order", "load", context={**INSERT_ONLY, **context}, fields=fields, data=rows)


@pytest.mark.parametrize("name", [name for name, case in ERRORS.items() if "path" in case])
def test_answers_as_recorded(shop: SimpleNamespace, name: str) -> None:
    """Status and body (name, message, arguments, context) of the real server's errors, call by call."""
    case = ERRORS[name]
    body, headers, key = case["body"], {}, "sandbox-key"
    if name == "auth_wrong_key":
        key = "nope"
    elif name == "auth_no_key":
        key = None
    elif name == "wrong_db":
        headers["x-odoo-database"] = "nosuchdb"
    elif name.startswith("user_error"):
        [order] = load(shop, order_rows(shop, "o", (shop.a, 1, 5)))["ids"]
        shop.odoo.call("sale.order", "action_confirm", [order])
        body = {"ids": [order]}
    elif name == "access_error_create":
        shop.client.post("/_sandbox/rights", json={"deny": ["sale.order"]})
    elif name == "serialization_failure":
        shop.odoo.serialization_failures = 1
        body = {"ids": [shop.c], "vals": {"color": 3}}
    answer = shop.post(case["path"], body, key, **headers)
    assert answer.status_code == case["status"]
    assert answer.headers["connection"] == "close"
    if isinstance(case["answer"], str):
        assert answer.text == case["answer"]
    elif name == "ok_search_read":
        assert answer.json()[0].keys() == case["answer"][0].keys()
    else:
        got = answer.json()
        if isinstance(got, dict):
            assert got.pop("debug").startswith("Traceback")
        assert got == case["answer"]
    assert ("www-authenticate" in answer.headers) == (case["status"] == 401)


def test_load_with_a_bad_row_tells_it_as_recorded(shop: SimpleNamespace) -> None:
    rows = order_rows(shop, "o1", (shop.a, 1, 1), (shop.b, 1, 1), (shop.a, 2, 1))
    rows += order_rows(shop, "o2", (shop.a, 1, 1), (shop.b, 1, 1), (shop.a, 2, 1))
    rows += order_rows(shop, "o3", (999999999, 1, 1), (shop.b, 1, 1), (shop.a, 2, 1))
    answer = shop.post("/json/2/sale.order/load", {"fields": HEADER, "data": rows, "context": INSERT_ONLY})
    assert answer.status_code == 200
    assert answer.json() == ERRORS["load_error_row"]["answer"]
    assert shop.odoo.rows("sale.order") == []
    assert shop.odoo.ref("cf.o1") is None


def test_totals_agree_with_the_real_server() -> None:
    """Forty random orders computed by Odoo 19: included, compound, fixed, division and manual taxes, also in JPY."""
    app = make_app()
    ids = seed(app, products=["X"], currencies=["EUR", "JPY"], taxes=TOTALS["taxes"], partners=[{"name": "C"}])
    odoo: Odoo = app.inner.state.odoo
    currencies = {**ids["currencies"], "USD": 1}
    orders = []
    for order in TOTALS["orders"]:
        lines = [_line(line, ids, currencies[order["currency"]]) for line in order["lines"]]
        pricelist = ids["pricelists"][order["currency"]]
        orders.append({"partner_id": ids["partners"]["C"], "pricelist_id": pricelist, "order_line": lines})
    made = odoo.call("sale.order", "create", vals_list=orders)
    fields = ["amount_untaxed", "amount_tax", "amount_total", "order_line"]
    for order, got in zip(TOTALS["orders"], odoo.call("sale.order", "read", made, fields=fields), strict=True):
        assert [got[f] for f in fields[:3]] == pytest.approx(order["totals"], abs=1e-9)
        lines = odoo.call("sale.order.line", "read", got["order_line"], fields=["price_subtotal", "price_total"])
        for line, amounts in zip(lines, order["line_amounts"], strict=True):
            assert [line["price_subtotal"], line["price_total"]] == pytest.approx(amounts, abs=1e-9)


def _line(line: dict[str, Any], ids: dict[str, dict[str, int]], currency: int) -> list[Any]:
    values = {
        "product_id": ids["products"]["X"],
        "name": "x",
        "product_uom_qty": line["qty"],
        "price_unit": line["price_unit"],
        "discount": line["discount"],
        "tax_ids": [[6, 0, [ids["taxes"][name] for name in line["taxes"]]]],
    }
    if extra := line["extra"]:
        given = {name: extra[name] for name in ("price_unit", "quantity", "discount")}
        manual = {str(ids["taxes"][name]): amounts for name, amounts in extra["manual"].items()}
        values["extra_tax_data"] = {**given, "currency_id": currency, "manual_tax_amounts": manual}
        if "total" in extra:
            values["extra_tax_data"]["manual_total_excluded_currency"] = extra["total"]
        if "key" in extra:
            values["extra_tax_data"]["computation_key"] = extra["key"]
    return [0, 0, values]


@pytest.mark.parametrize(("rounding", "tax"), [("round_globally", 0.41), ("round_per_line", 0.42)])
def test_rounding_method(rounding: str, tax: float) -> None:
    """Three lines of 0.90 at 15 %: 0.405 rounded once, or 0.135 rounded three times."""
    app = make_app(rounding=rounding)
    ids = seed(app, products=["A"], partners=[{"name": "C"}])
    line = {"product_id": ids["products"]["A"], "price_unit": 0.9, "tax_ids": [[6, 0, [1]]]}
    values = {"partner_id": ids["partners"]["C"], "order_line": [[0, 0, line]] * 3}
    [order] = app.inner.state.odoo.call("sale.order", "create", vals_list=[values])
    assert app.inner.state.odoo.call("sale.order", "read", [order])[0]["amount_tax"] == tax


def test_insert_only_never_rewrites(shop: SimpleNamespace) -> None:
    """Loaded again, an order keeps what people made of it, and the same ids come back in row order."""
    rows = order_rows(shop, "o1", (shop.a, 2, 1.23), (shop.b, 1, 5)) + order_rows(shop, "o2", (shop.a, 1, 3))
    first = load(shop, rows)
    assert first == {"ids": first["ids"], "messages": [], "nextrow": 0}
    shop.odoo.call("sale.order", "write", first["ids"][:1], vals={"client_order_ref": "by hand"})
    again = load(shop, rows[2:] + rows[:2])
    assert again["ids"] == first["ids"][::-1]
    assert [row["client_order_ref"] for row in shop.odoo.rows("sale.order")] == ["by hand", "o2"]
    assert len(shop.odoo.rows("sale.order.line")) == 3
    assert shop.odoo.ref("cf.o1_2") == ("sale.order.line", 2)


def test_upsert_changes_lines_in_place(shop: SimpleNamespace) -> None:
    [order] = load(shop, order_rows(shop, "o1", (shop.a, 2, 1)))["ids"]
    assert load(shop, order_rows(shop, "o1", (shop.a, 3, 2)), mode="init")["ids"] == [order]
    [line] = shop.odoo.rows("sale.order.line")
    assert (line["product_uom_qty"], line["price_unit"], line["price_subtotal"]) == (3.0, 2.0, 6.0)


def test_the_same_external_id_twice_in_one_call(shop: SimpleNamespace) -> None:
    rows = order_rows(shop, "o1", (shop.a, 1, 1))
    [one, two] = load(shop, rows + rows)["ids"]
    assert one == two


def test_unlink_takes_the_external_id_but_leaves_those_of_the_lines(shop: SimpleNamespace) -> None:
    rows = order_rows(shop, "o1", (shop.a, 1, 1))
    [order] = load(shop, rows)["ids"]
    shop.odoo.call("sale.order", "unlink", [order])
    assert [row["name"] for row in shop.odoo.rows("ir.model.data")] == ["o1_1"]
    [anew] = load(shop, rows)["ids"]
    assert anew != order
    assert shop.odoo.ref("cf.o1_1") == ("sale.order.line", 2)


@pytest.mark.parametrize(
    ("field", "cell", "message"),
    [
        ("state", "bogus", "Value 'bogus' not found in selection field 'Status'"),
        ("date_order", "2026-11-20T10:00:00Z", "does not seem to be a valid datetime for field 'Order Date'"),
        ("date_order", "", "Unknown error during import: <class 'AssertionError'>: Datetime instance expected"),
        ("locked", "maybe", "Unknown value 'maybe' for boolean field 'Locked'"),
        ("pricelist_id/.id", "777", "No matching record found for database id '777' in field 'Pricelist'"),
        ("pricelist_id/id", "cf.nope", "No matching record found for external id 'cf.nope' in field 'Pricelist'"),
        ("order_line/price_unit", "abc", "does not seem to be a number for field 'Order Lines/Unit Price'"),
        ("order_line/extra_tax_data", "{bad", "a valid JSON for field 'Order Lines/Extra Tax Data'"),
        ("order_line/name", "", None),
    ],
)
def test_bad_cells(shop: SimpleNamespace, field: str, cell: str, message: str | None) -> None:
    fields = [*ORDER[:2], "order_line/product_id/.id", field]
    answer = load(shop, [["cf.x", str(shop.c), str(shop.a), cell]], fields)
    assert answer["ids"] is False
    told = answer["messages"][0]["message"]
    if message:
        assert message in told
    else:
        assert told.startswith("Missing required value for the field 'Order Reference' (name).\nModel: Unknown")


def test_a_missing_customer_is_told_twice(shop: SimpleNamespace) -> None:
    answer = load(shop, [["cf.x", "999999", "x"]], ORDER)
    assert [m["field"] for m in answer["messages"]] == ["partner_id", "partner_id"]
    assert [m["message"][:10] for m in answer["messages"]] == ["No matchin", "Missing re"]


def test_wrong_types_and_columns_are_programming_errors(shop: SimpleNamespace) -> None:
    for fields, row, text in (
        (["id", "nofield"], ["cf.x", "1"], "Invalid field name 'nofield'"),
        ([*ORDER[:2], "order_line/tax_ids/.id"], ["cf.x", str(shop.c), 1], "'int' object has no attribute 'split'"),
    ):
        answer = shop.post("/json/2/sale.order/load", {"fields": fields, "data": [row]})
        assert (answer.status_code, answer.json()["message"]) == (500, text)


def test_a_row_may_point_to_a_row_above(shop: SimpleNamespace) -> None:
    fields = ["id", "name", "parent_id/id", "type"]
    rows = [["cf.p", "Firm", "", ""], ["cf.d", "Depot", "cf.p", "delivery"]]
    answer = shop.odoo.call("res.partner", "load", fields=fields, data=rows)
    assert shop.odoo.call("res.partner", "read", answer["ids"][1:], fields=["display_name"]) == [
        {"id": answer["ids"][1], "display_name": "Firm, Depot"}
    ]


def test_confirm_cancel_and_back(shop: SimpleNamespace) -> None:
    [order] = load(shop, order_rows(shop, "o1", (shop.a, 2, 10)))["ids"]
    fields = ["state", "invoice_status", "delivery_status", "amount_total"]

    def seen() -> list[Any]:
        return [shop.odoo.call("sale.order", "read", [order], fields=fields)[0][f] for f in fields]

    assert seen() == ["draft", "no", False, 23.0]
    assert shop.odoo.call("sale.order", "action_confirm", [order]) is True
    assert seen() == ["sale", "to invoice", "pending", 23.0]
    with pytest.raises(OdooError, match="can't remove one of its lines"):
        shop.odoo.call("sale.order.line", "unlink", [1])
    shop.odoo.call("sale.order", "action_lock", [order])
    with pytest.raises(OdooError, match="cannot cancel a locked order"):
        shop.odoo.call("sale.order", "action_cancel", [order])
    shop.odoo.call("sale.order", "action_unlock", [order])
    assert shop.odoo.call("sale.order", "action_cancel", [order]) is True
    assert shop.odoo.call("sale.order", "action_cancel", [order]) is True
    assert seen()[:3] == ["cancel", "no", False]


def test_confirming_needs_products_and_is_all_or_nothing(shop: SimpleNamespace) -> None:
    values = [{"partner_id": shop.c}, {"partner_id": shop.c, "order_line": [[0, 0, {"name": "no product"}]]}]
    orders = shop.odoo.call("sale.order", "create", vals_list=values)
    with pytest.raises(OdooError, match="missing a product"):
        shop.odoo.call("sale.order", "action_confirm", orders)
    assert {row["state"] for row in shop.odoo.rows("sale.order")} == {"draft"}
    with pytest.raises(OdooError, match="does not exist or has been deleted"):
        shop.odoo.call("sale.order", "action_confirm", [999])


def test_a_new_quantity_asks_for_the_list_price_again(shop: SimpleNamespace) -> None:
    """Odoo 19 does this unless the price is written too: an upsert that forgets the price changes it."""
    load(shop, order_rows(shop, "o1", (shop.a, 2, 10)))
    shop.odoo.call("sale.order.line", "write", [1], vals={"product_uom_qty": 3})
    assert shop.odoo.rows("sale.order.line")[0]["price_unit"] == 1.0
    shop.odoo.call("sale.order.line", "write", [1], vals={"product_uom_qty": 4, "price_unit": 10})
    shop.odoo.call("sale.order.line", "write", [1], vals={"product_uom_qty": 5})
    assert shop.odoo.rows("sale.order.line")[0]["price_unit"] == 10.0


def test_an_orders_currency_comes_from_its_pricelist(shop: SimpleNamespace) -> None:
    [euro] = shop.odoo.call("product.pricelist", "search", domain=[["currency_id.name", "=", "EUR"]])
    values = [{"partner_id": shop.c, "currency_id": 25}, {"partner_id": shop.c, "pricelist_id": euro}]
    orders = shop.odoo.call("sale.order", "create", vals_list=values)
    read = shop.odoo.call("sale.order", "read", orders, fields=["currency_id"])
    assert [row["currency_id"][1] for row in read] == ["USD", "EUR"]


def test_payments(shop: SimpleNamespace) -> None:
    values = {"partner_id": shop.c, "amount": 12.345, "journal_id": 6, "date": "2026-11-20", "memo": "web-1"}
    [payment] = shop.odoo.call("account.payment", "create", vals_list=[values])
    assert shop.odoo.call("account.payment", "action_post", [payment]) is None
    assert shop.odoo.call("account.payment", "action_post", [payment]) is None
    [row] = shop.odoo.call("account.payment", "read", [payment])
    assert (row["state"], row["name"], row["amount"]) == ("in_process", "PBNK1/2026/00001", 12.35)
    assert row["payment_method_line_id"] == [1, "Manual Payment (Bank)"]
    with pytest.raises(OdooError, match="amount cannot be negative"):
        shop.odoo.call("account.payment", "create", vals_list=[{"amount": -1}])


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        ([["email_normalized", "=", "anna@x.test"]], ["Anna"]),
        ([["name", "=like", "An%"]], ["Anna", "Anton"]),
        ([["name", "like", "nn"]], ["Anna"]),
        ([["name", "like", "NN"]], []),
        ([["name", "ilike", "DEP"]], ["Depot"]),
        ([["name", "=ilike", "an%"], ["name", "not ilike", "NNA"]], ["Anton"]),
        (["|", ["name", "=", "Anna"], ["name", "=", "Anton"]], ["Anna", "Anton"]),
        (["!", ["name", "in", ["Anna", "Depot"]], ["name", "=like", "An%"]], ["Anton"]),
        ([["email", "=", False], ["name", "=like", "An%"]], ["Anton"]),
        ([["email", "!=", "c@x.test"], ["name", "=like", "An%"]], ["Anna", "Anton"]),
        ([["country_id.code", "=", "FR"]], ["Anna"]),
        ([["country_id", "=", "France"]], ["Anna"]),
        ([["country_id.currency_id.name", "in", ["EUR"]]], ["Anna"]),
        ([["child_ids.type", "=", "delivery"]], ["Anton"]),
        ([["child_ids", "=", False], ["name", "=like", "An%"]], ["Anna"]),
        ([["name", "=like", "Old%"]], []),
        ([["name", "=like", "Old%"], ["active", "in", [True, False]]], ["Old"]),
        ([["id", "<", 0]], []),
    ],
)
def test_domains(shop: SimpleNamespace, domain: list[Any], names: list[str]) -> None:
    partners = [
        {"name": "Anna", "email": "Anna <Anna@x.test>", "country_id": 75},
        {"name": "Anton", "child_ids": [[0, 0, {"name": "Depot", "type": "delivery"}]]},
        {"name": "Old", "active": False},
    ]
    shop.odoo.call("res.partner", "create", vals_list=partners)
    found = shop.odoo.call("res.partner", "search_read", domain=domain, fields=["name"])
    assert [row["name"] for row in found] == names


def test_order_limit_and_offset(shop: SimpleNamespace) -> None:
    load(shop, order_rows(shop, "o1", (shop.a, 1, 3)) + order_rows(shop, "o2", (shop.a, 1, 2)))
    search = {"domain": [], "order": "amount_total", "limit": 1}
    assert shop.odoo.call("sale.order", "search", **search) == [2]
    assert shop.odoo.call("sale.order", "search", **search, offset=1) == [1]
    assert shop.odoo.call("sale.order", "search", domain=[]) == [2, 1]


def test_wrong_url_and_version(shop: SimpleNamespace) -> None:
    assert shop.client.get("/json/2/res.partner/search").status_code == 404
    assert shop.client.get("/web/version").json() == {"version_info": [19, 0, 0, "final", 0, ""], "version": "19.0"}
    assert shop.client.post("/web/version").status_code == 400
    assert shop.client.get("/web/health").json() == {"status": "pass"}
    assert shop.post("/json/2/res.partner/search", "{}", **{"content-type": "text/plain"}).status_code == 415
    answer = shop.post("/json/2/res.users/context_get")
    assert answer.json() == {"lang": "en_US", "tz": False, "uid": 2}


def test_database_gone_and_back(shop: SimpleNamespace) -> None:
    shop.client.post("/_sandbox/database", json={"up": False})
    answer = shop.post("/json/2/res.users/context_get")
    assert (answer.status_code, answer.text) == (404, ERRORS["wrong_db"]["answer"])
    assert shop.client.get("/web/health?db_server_status=1").status_code == 500
    shop.client.post("/_sandbox/restart")
    assert shop.post("/json/2/res.users/context_get").status_code == 200


def test_module_not_installed(shop: SimpleNamespace) -> None:
    shop.client.post("/_sandbox/modules", json={"sale": False})
    answer = shop.post("/json/2/sale.order/search", {"domain": []})
    assert (answer.status_code, answer.json()["message"]) == (404, "the model 'sale.order' does not exist")
    domain = [["name", "=", "sale"]]
    assert (
        shop.odoo.call("ir.module.module", "search_read", domain=domain, fields=["state"])[0]["state"] == "uninstalled"
    )
    shop.client.post("/_sandbox/modules", json={"sale": True})
    assert shop.post("/json/2/sale.order/search", {"domain": []}).json() == []


def test_load_without_the_right_answers_200_and_says_so(shop: SimpleNamespace) -> None:
    shop.client.post("/_sandbox/rights", json={"api_key": "sandbox-key", "deny": ["sale.order"]})
    rows = order_rows(shop, "o1", (shop.a, 1, 1))
    answer = shop.post("/json/2/sale.order/load", {"fields": HEADER, "data": rows, "context": INSERT_ONLY})
    assert answer.status_code == 200
    assert answer.json()["messages"][0]["message"].startswith("You are not allowed to create 'Sales Order'")
    assert shop.post("/json/2/sale.order/search", {"domain": []}).status_code == 403
    assert shop.post("/json/2/sale.order/has_access", {"operation": "create"}).json() is False


def test_load_that_lost_a_race(shop: SimpleNamespace) -> None:
    shop.client.post("/_sandbox/serialization", json={"failures": 1})
    rows = [row for n in range(12) for row in order_rows(shop, f"o{n}", (shop.a, 1, 1))]
    answer = load(shop, rows)
    assert answer["ids"] is False
    assert [m["message"] for m in answer["messages"][:10]] == [
        "could not serialize access due to concurrent update\n"
    ] * 10
    assert answer["messages"][10]["type"] == "warning"
    assert len(load(shop, rows)["ids"]) == 12


def test_lost_answer_did_the_work(shop: SimpleNamespace) -> None:
    """Over a real socket: the connection drops, the order is there, a repeat finds it."""
    shop.app.faults.add("lost_answer", path="/sale.order/load")
    body = {"fields": HEADER, "data": order_rows(shop, "o1", (shop.a, 1, 1)), "context": INSERT_ONLY}
    headers = {"authorization": "bearer sandbox-key"}
    with serving(shop.app) as url:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(f"{url}/json/2/sale.order/load", json=body, headers=headers)
        answer = httpx.post(f"{url}/json/2/sale.order/load", json=body, headers=headers)
    assert answer.json()["ids"] == [1]
    assert len(shop.odoo.rows("sale.order")) == 1


def test_records_door_and_two_writers_at_once(shop: SimpleNamespace) -> None:
    def write(name: str) -> None:
        for n in range(20):
            load(shop, order_rows(shop, f"{name}{n}", (shop.a, 1, 1)))

    writers = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    records = shop.client.get("/_sandbox/records/sale.order").json()
    assert len(records) == 40
    assert len({row["name"] for row in records}) == 40
    assert all(row["order_line"] for row in records)


def test_late_answer_did_the_work_before_anyone_is_told(shop: SimpleNamespace) -> None:
    shop.app.faults.add("late_answer", path="/sale.order/load", seconds=0.2)
    body = {"fields": HEADER, "data": order_rows(shop, "o1", (shop.a, 1, 1)), "context": INSERT_ONLY}
    headers = {"authorization": "bearer sandbox-key"}
    with serving(shop.app) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/json/2/sale.order/load", json=body, headers=headers, timeout=0.1)
        assert len(shop.odoo.rows("sale.order")) == 1


def test_what_an_order_becomes_is_noted_commit_by_commit(shop: SimpleNamespace) -> None:
    """What is rolled back is not."""
    load(shop, order_rows(shop, "o1", (shop.a, 1, 1)))
    [order] = shop.odoo.rows("sale.order")
    shop.odoo.call("sale.order", "action_confirm", ids=[order["id"]])
    with pytest.raises(OdooError):
        shop.odoo.call("sale.order", "write", ids=[order["id"], 10**6], vals={"note": "lost"})
    shop.odoo.call("sale.order", "action_cancel", ids=[order["id"]])
    with serving(shop.app) as url:
        history = httpx.get(f"{url}/_sandbox/history").json()
    assert [(state, total) for _, state, total in history] == [
        (state, order["amount_total"]) for state in ("draft", "sale", "cancel")
    ]
