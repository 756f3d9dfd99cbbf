"""Odoo's rows in the retail language; whatever else arrives is a bad payload, never a crash."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.connectors.odoo import Odoo
from counterfoil.connectors.odoo.feeds import receipt
from counterfoil.connectors.odoo.reading import decode
from counterfoil.hub.contract import BadPayload, Raw
from counterfoil.retail.availability import Policy
from counterfoil.retail.fulfilment import ErpState, Fulfilment, ShipmentState
from counterfoil.retail.money import Money
from counterfoil.retail.product import Product, StockLevel

URL = "https://odoo.example/"


def line(number: int, external_id: str, product: int, ordered: float, delivered: float = 0.0) -> dict[str, Any]:
    """A sale.order.line."""
    quantities = {"product_uom_qty": ordered, "qty_delivered": delivered, "qty_invoiced": 0.0}
    return {"id": number, "external_id": external_id, "product_id": product, "name": "Scarf\nwool", **quantities}


def move(picking: int, sale_line: int, product: int, quantity: float, **more: Any) -> dict[str, Any]:
    """A stock.move; `way` as the feed found it."""
    row = {"picking_id": picking, "sale_line_id": sale_line, "product_id": product, "product_uom_qty": quantity}
    return row | {"done": quantity, "state": "done", "way": "out"} | more


def picking(number: int, state: str = "done", **more: Any) -> dict[str, Any]:
    """A stock.picking, of an Odoo with carriers."""
    done = "2026-11-02 11:00:00" if state == "done" else False
    row = {"id": number, "name": f"WH/OUT/{number}", "state": state, "backorder_id": False, "date_done": done}
    return row | {"carrier_id": [3, "Parcel"], "carrier_tracking_ref": False, "carrier_tracking_url": False} | more


def invoice(**more: Any) -> dict[str, Any]:
    """An account.move."""
    row = {"id": 9, "name": "INV/1", "move_type": "out_invoice", "state": "posted", "amount_total": 12.0}
    row |= {"amount_residual": 12.0, "currency_id": [1, "EUR"], "invoice_date": "2026-11-02"}
    return row | {"access_url": "/my/invoices/9", "access_token": "t"} | more


def body(**more: Any) -> dict[str, Any]:
    """A whole order."""
    order = {"id": 5, "name": "S00005", "state": "sale", "origin": "web:order:164"}
    articles = {"1": {"sku": "A", "service": False}, "2": {"sku": "B", "service": True}}
    empty: dict[str, Any] = {"lines": [], "pickings": [], "moves": [], "invoices": []}
    return {"order": order, "articles": articles} | empty | more


def read(kind: str, what: Any) -> Any:
    """The state that comes of it."""
    return decode("odoo", receipt(kind, "1", what, "2026-11-02T10:00:00Z"), URL).state


def order_of(**more: Any) -> Fulfilment:
    """The fulfilment that comes of such a body."""
    state = read("fulfilment", body(**more))
    assert isinstance(state, Fulfilment)
    return state


def test_the_version_is_the_time_of_reading() -> None:
    """By Odoo's clock; the body has none, so that what is unchanged looks unchanged."""
    early, late = (receipt("fulfilment", "web:order:164", body(), f"2026-11-02T10:00:0{n}Z") for n in (1, 2))
    assert early.body == late.body
    observed = decode("odoo", late)
    assert (observed.version, observed.object_id) == ("2026-11-02T10:00:02Z", "web:order:164")


@pytest.mark.parametrize(
    ("state", "means"),
    [
        ("draft", ErpState.QUOTATION),
        ("sent", ErpState.QUOTATION),
        ("sale", ErpState.CONFIRMED),
        ("done", ErpState.CONFIRMED),
        ("cancel", ErpState.CANCELLED),
    ],
)
def test_states_of_all_versions(state: str, means: ErpState) -> None:
    """Up to 16 a locked order is `done`."""
    assert order_of(order=body()["order"] | {"state": state}).state is means


def test_lines_go_by_the_shops_ids() -> None:
    """A line in parts is one line; one that people added in Odoo has no id; a service needs no shipment."""
    rows = [
        line(1, "web_order_164_line_77", 1, 2.0, 1.0),
        line(2, "web_order_164_line_77_part_2", 1, 1.0, 1.0),
        line(3, "web_order_164_line_78_item_2", 2, 1.0),
        line(4, "", 1, 5.0),
        line(5, "web_order_16_line_79", 1, 1.0),  # another order's, by whatever accident
    ]
    lines = order_of(lines=rows).lines
    assert [(each.line, each.sku, each.ordered, each.delivered, each.shippable) for each in lines] == [
        ("77", "A", 3, 2, True),
        ("78", "B", 1, 0, False),
        ("", "A", 5, 0, True),
        ("", "A", 1, 0, True),
    ]


def test_a_shipment_its_back_order_and_a_return() -> None:
    """Each with what is in it: what left, what is still to leave, what came back."""
    rows = [line(1, "web_order_164_line_77", 1, 5.0)]
    moves = [
        move(10, 1, 1, 3.0, product_uom_qty=5.0),
        move(11, 1, 1, 2.0, state="confirmed", done=1.0),
        move(12, 1, 1, 1.0, way="back"),
    ]
    pickings = [
        picking(10, carrier_tracking_ref="T1", carrier_tracking_url="https://parcel.example/T1"),
        picking(11, "assigned", backorder_id=[10, "WH/OUT/10"]),
        picking(12),
    ]
    left, waiting, back = order_of(lines=rows, pickings=pickings, moves=moves).shipments
    assert (left.state, left.tracking, left.tracking_url, left.carrier) == (
        ShipmentState.DONE,
        "T1",
        "https://parcel.example/T1",
        "Parcel",
    )
    assert [(p.line, p.sku, p.quantity, p.name) for p in left.items] == [("77", "A", 3, "Scarf")]
    assert (waiting.state, waiting.follows, waiting.done_at) == (ShipmentState.OPEN, "10", None)
    assert [p.quantity for p in waiting.items] == [2]
    assert (back.returned, [p.quantity for p in back.items]) == (True, [1])


def test_goods_on_their_way_within_the_house() -> None:
    """Picked first and sent then: open as long as what goes out is not there yet, and never a shipment of its own."""
    waiting = [move(10, 1, 1, 2.0, way="later", state="assigned", done=0.0)]
    rows = [line(1, "web_order_164_line_77", 1, 2.0)]
    [shipment] = order_of(
        lines=rows, pickings=[picking(10, "assigned", backorder_id=[8, "PICK/8"])], moves=waiting
    ).shipments
    assert (shipment.state, shipment.follows) == (ShipmentState.OPEN, "")
    picked = [move(10, 1, 1, 2.0, way="later")]
    assert order_of(lines=rows, pickings=[picking(10)], moves=picked).shipments == ()
    within = [move(10, 1, 1, 2.0, way="")]
    assert order_of(lines=rows, pickings=[picking(10)], moves=within).shipments == ()


def test_moves_that_did_not_happen_are_left_out() -> None:
    """Cancelled ones, and those of nought pieces."""
    moves = [move(10, 1, 1, 2.0), move(10, 1, 2, 1.0, state="cancel"), move(10, 1, 2, 0.0)]
    [shipment] = order_of(lines=[line(1, "", 1, 2.0)], pickings=[picking(10)], moves=moves).shipments
    assert [p.sku for p in shipment.items] == ["A"]


def test_an_odoo_without_carriers() -> None:
    """Without the module the fields are not there at all."""
    plain = {k: v for k, v in picking(10).items() if not k.startswith("carrier")}
    [shipment] = order_of(pickings=[plain], moves=[move(10, 0, 1, 1.0)]).shipments
    assert (shipment.carrier, shipment.tracking, shipment.tracking_url) == ("", "", "")


@pytest.mark.parametrize("url", ['[["1","https://a.example"]]', "javascript:alert(1)", False])
def test_only_a_web_address_is_a_tracking_link(url: Any) -> None:
    """It ends up in a mail to the customer."""
    [shipment] = order_of(pickings=[picking(10, carrier_tracking_url=url)], moves=[move(10, 0, 1, 1.0)]).shipments
    assert shipment.tracking_url == ""


def test_invoices_and_credit_notes() -> None:
    """Posted ones only; paid where nothing is open; the link only with the key that opens it."""
    rows = [
        invoice(),
        invoice(id=10, move_type="out_refund", amount_total=2.0, amount_residual=0.0, access_token=False),
        invoice(id=11, state="draft", name="/"),
        invoice(id=12, state="cancel"),
    ]
    first, credit = order_of(invoices=rows).invoices
    assert (first.credit, first.paid, first.total) == (False, False, Money.of("12.0", "EUR"))
    assert first.url == "https://odoo.example/my/invoices/9?access_token=t"
    assert (credit.credit, credit.paid, credit.url) == (True, True, "")


def test_stock_below_zero_is_told_as_it_is() -> None:
    """case: F23 - it is for the channel's rule to show none, and for a person to know."""
    what = {"id": 7, "sku": "A", "places": {"WH": [-2.0, 3.0, 0.1], "B": [4.0, 0.0, 0.0]}}
    level: StockLevel = read("stock", what)
    assert [(p.warehouse, p.on_hand, p.outgoing, p.incoming) for p in level.places] == [
        ("B", 4, 0, 0),
        ("WH", -2, 3, Decimal("0.1")),
    ]
    assert (level.canonical_id, level.to_sell(Policy())) == ("odoo:variant:7", 0)
    assert str(level.places[0].on_hand) == "4"


def product(**more: Any) -> dict[str, Any]:
    """A product with one variant."""
    variant = {"id": 23, "sku": "A", "gtin": "", "weight": 0.0, "active": True, "options": [["Colour", "Red"]]}
    variant |= {"image": "d1", "price": "9.00", "currency": "EUR"}
    row = {"id": 17, "name": "Scarf", "description": "", "sellable": True, "tracked": True, "taxes": []}
    return row | {"category": ["Clothes"], "image": "", "variants": [variant | more]}


def test_a_product_with_its_campaign_and_picture() -> None:
    """Pictures have the default address, or the one that the blueprint says."""
    what = product(sale="7.50", starts="2026-12-01T00:00:00Z", ends="")
    what["taxes"] = [{"name": "20% G", "included": True}]
    told: Product = read("product", what)
    [variant] = told.variants
    assert (told.tax_class, told.prices_include_tax, told.category) == ("20% G", True, ("Clothes",))
    assert variant.sale is not None
    assert (variant.sale.price, variant.sale.ends_at) == (Money.of("7.50", "EUR"), None)
    assert variant.image is not None
    assert variant.image.url == "https://odoo.example/web/image/product.product/23/image_1024"
    assert (variant.weight, variant.options, told.image) == (None, (("Colour", "Red"),), None)
    elsewhere = decode("odoo", receipt("product", "17", what, "2026"), URL, "https://cdn.example/{sku}-{digest}.jpg")
    assert elsewhere.state.variants[0].image.url == "https://cdn.example/A-d1.jpg"  # type: ignore[attr-defined]


@pytest.mark.parametrize("template", ["https://cdn.example/{name}.jpg", "https://cdn.example/{", "{0}"])
def test_a_template_for_pictures_that_cannot_be_filled_in(template: str) -> None:
    """Said at the start, by name, rather than of each product."""
    settings = {"url": URL, "api_key": "k", "image_url": template}
    with pytest.raises(ValueError, match=r"systems\.erp\.image_url: found .* expected"):
        Odoo("erp", settings)


# --- nonsense ------------------------------------------------------------------------------------------------------

KINDS = ("fulfilment", "stock", "product", "customer")
NUMBERS = st.integers() | st.floats() | st.sampled_from([float("inf"), float("nan"), 10**400])
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
WHOLE = {
    "fulfilment": body(
        lines=[line(1, "web_order_164_line_1", 1, 1.0)],
        pickings=[picking(10)],
        moves=[move(10, 1, 1, 1.0)],
        invoices=[invoice()],
    ),
    "stock": {"id": 7, "sku": "A", "places": {"WH": [1.0, 0.0, 0.0]}},
    "product": product(),
    "customer": {
        **dict.fromkeys(("name", "email", "phone", "vat"), ""),
        **{"id": 1, "is_company": False, "invoice": {}, "delivery": {}},
        "home": dict.fromkeys("name email phone street street2 city zip state country".split(), ""),
        "own": {"x_credit_hold": False, "x_agent": [4, "Kim"], "x_share": 0.5},
    },
}


@given(kind=st.sampled_from([*KINDS, "order"]), junk=st.binary(max_size=30) | ANYTHING.map(lambda x: json.dumps(x)))
def test_anything_else_is_a_bad_payload(kind: str, junk: bytes | str) -> None:
    """With words for people; never any other exception."""
    raw = Raw(kind, "1", junk.encode() if isinstance(junk, str) else junk, {"read_at": "2026"})
    with pytest.raises(BadPayload) as bad:
        decode("odoo", raw)
    assert bad.value.message


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a body."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here] + [path for key, each in inner for path in paths(each, (*here, key))]


@given(data=st.data(), kind=st.sampled_from(KINDS), junk=ANYTHING)
def test_one_wrong_value_in_it_never_crashes(data: st.DataObject, kind: str, junk: Any) -> None:
    """A customised Odoo may send anything anywhere: it is read or refused."""
    what = json.loads(json.dumps(WHOLE[kind]))
    path = data.draw(st.sampled_from(paths(what)[1:]))
    place = what
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = junk
    with contextlib.suppress(BadPayload):
        decode("odoo", Raw(kind, "1", json.dumps(what).encode(), {"read_at": "2026"}), URL)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_time_of_reading_it_is_no_receipt(kind: str) -> None:
    """Nothing could tell it from an older one."""
    raw = Raw(kind, "1", json.dumps(WHOLE[kind]).encode())
    with pytest.raises(BadPayload):
        decode("odoo", raw)
