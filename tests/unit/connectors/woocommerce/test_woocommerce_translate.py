"""Order JSON becomes the retail language to the cent, and nonsense becomes a BadPayload and nothing else.

Runs over the packaged recordings, and over those of another folder where COUNTERFOIL_RECORDED names one.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterfoil.connectors.woocommerce.reading import MAX_BODY
from counterfoil.connectors.woocommerce.translate import decode, place_of
from counterfoil.hub.contract import BadPayload, Observed
from counterfoil.retail.order import LineKind, Order, Status
from counterfoil_sandbox.woocommerce_orders import RECORDINGS, make_order, recorded_orders

FOLDERS = [RECORDINGS, *(Path(p) for p in [os.environ.get("COUNTERFOIL_RECORDED", "")] if p)]
CHARGES = ("line_items", "shipping_lines", "fee_lines")


def bodies(value: Any) -> Iterator[dict[str, Any]]:
    """Every order anywhere inside a recording."""
    if isinstance(value, dict):
        if "order_key" in value and "line_items" in value:
            yield value
            return
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from bodies(inner)


def recorded() -> list[Any]:
    found = []
    for number, folder in enumerate(FOLDERS):
        for path in sorted(folder.rglob("*.json")):
            if path.parent.name == "schema":
                continue
            orders = list(bodies(json.loads(path.read_text(encoding="utf-8"))))
            name = f"{number}:{path.relative_to(folder)}"
            found += [pytest.param(body, id=f"{name}#{i}" if i else name) for i, body in enumerate(orders)]
    return found


def order_of(data: dict[str, Any]) -> Order:
    return decode("web-eu", json.dumps(data).encode()).state


def one(number: int) -> dict[str, Any]:
    """A packaged recorded order, to be changed at will."""
    return copy.deepcopy(next(order for order in recorded_orders() if order["id"] == number))


def told_by_rate(data: dict[str, Any]) -> dict[str, Decimal]:
    return {str(t["rate_id"]): Decimal(t["tax_total"]) + Decimal(t["shipping_tax_total"]) for t in data["tax_lines"]}


@pytest.mark.parametrize("data", recorded())
def test_every_recorded_order_is_read_to_the_cent(data: dict[str, Any]) -> None:
    """Line nets are the shop's, taxes by rate the shop's, and what is left over is a few cents and named."""
    order = order_of(data)
    charges = [charge for key in CHARGES for charge in data[key]]
    assert [line.net.amount for line in order.lines] == [Decimal(charge["total"]) for charge in charges]
    assert order.net + order.tax + order.rounding == order.total
    assert order.total.amount == Decimal(data["total"])
    assert order.tax_told.amount == Decimal(data["total_tax"])
    assert abs(order.rounding.amount) <= Decimal("0.02")
    two_decimals = not data["total"].endswith("0000")
    if two_decimals:  # asked for with dp=6, WooCommerce rounds some of the sums and not the others
        by_rate = {code: money.amount for code, money in order.tax_by_rate.items()}
        assert by_rate == told_by_rate(data)
        for line, charge in zip(order.lines, charges, strict=True):
            assert abs(line.tax.amount - Decimal(charge["total_tax"])) <= Decimal("0.02")
            assert all(tax.amount.amount.as_tuple().exponent == -2 for tax in line.taxes)


def test_most_recorded_orders_have_nothing_to_round() -> None:
    """Only shops that round at the subtotal are a cent off their own lines."""
    off = {data["id"] for data in recorded_orders() if order_of(data).rounding}
    assert off == {364, 372, 373, 396, 400}


def test_a_storefront_order_in_full() -> None:
    """Guest, coupon, shipping, three rates: each word in its place."""
    order = order_of(one(390))
    assert (order.id, order.number, order.canonical_id) == ("390", "390", "web-eu:order:390")
    assert (order.status, order.currency, order.prices_include_tax) == (Status.ON_HOLD, "EUR", False)
    assert order.placed_at.isoformat() == "2026-11-21T02:31:17+00:00"
    assert (order.customer.is_guest, order.customer.email, order.customer.name) == (
        True,
        "store@example.test",
        "Store Façade",
    )
    assert (order.billing.street, order.billing.postcode, order.billing.country) == ("1 rue X", "75001", "FR")
    assert [line.kind for line in order.lines] == [LineKind.PRODUCT] * 6 + [LineKind.SHIPPING]
    first, shipping = order.lines[0], order.lines[-1]
    assert (first.id, first.name, first.sku, first.product_id, first.quantity, first.tax_class) == (
        *("908", "Câble USB-C n°023", "SIM-0023", "32"),
        Decimal(2),
        "reduced-rate",
    )
    assert (str(first.net), str(first.tax)) == ("418.41 EUR", "23.01 EUR")
    assert (shipping.name, str(shipping.net), str(shipping.tax)) == ("Colissimo", "4.90 EUR", "0.98 EUR")
    assert [(r.code, str(r.percent), r.country, r.name) for r in order.rates] == [
        ("2", "5.5", "FR", "TVA FR 5.5%"),
        ("3", "2.1", "FR", "TVA FR 2.1%"),
        ("1", "20", "FR", "TVA FR 20%"),
    ]
    # the coupon itself says 0, as always with the block checkout
    assert [(d.code, str(d.net), str(d.tax)) for d in order.discounts] == [("welcome10", "173.85 EUR", "12.91 EUR")]
    payment = order.payments[0]
    assert (payment.method, payment.title, payment.paid_at) == ("bacs", "Direct bank transfer", None)
    assert order.note == "via store api"


def test_compound_taxes_keep_country_state_and_compounding() -> None:
    """Quebec: GST, and QST on top of it."""
    rates = order_of(one(412)).rates
    assert [(r.country, r.state, r.name, str(r.percent), r.compound) for r in rates] == [
        ("CA", "QC", "GST", "5", False),
        ("CA", "QC", "QST", "9.975", True),
    ]


@pytest.mark.parametrize(
    ("code", "label", "place"),
    [
        ("FR-TVA FR 20%-1", "TVA FR 20%", ("FR", "")),
        ("CA-QC-GST-1", "GST", ("CA", "QC")),
        ("DE-MWST-REDUCED-1", "MwSt-Reduced", ("DE", "")),
        ("US-NY-TAX-1", "Tax", ("US", "NY")),
        ("VAT-1", "VAT", ("", "")),
        ("ES-IGIC-2", "renamed since", ("ES", "")),
        ("ÖSTERREICH", "", ("", "")),
        ("", "", ("", "")),
    ],
)
def test_where_a_rate_applies(code: str, label: str, place: tuple[str, str]) -> None:
    """The code joins country, state and name by dashes; names have dashes too."""
    assert place_of(code, label) == place


def test_refunds_are_positive_and_leave_the_total() -> None:
    """Seven refunds, some of nothing; the total never changed."""
    order = order_of(one(416))
    assert [str(refund.amount) for refund in order.refunds] == [
        *("0.50 EUR", "254.29 EUR", "0.00 EUR", "0.00 EUR", "1.20 EUR", "1.00 EUR", "5.00 EUR")
    ]
    assert str(order.total) == "261.99 EUR"
    assert order.is_refunded_in_full


def test_products_that_are_gone_leave_their_line() -> None:
    """A deleted product has neither id nor sku, a deleted variation its parent's."""
    gone, variation = order_of(one(319)).lines
    assert (gone.product_id, gone.sku) == ("", "")
    assert (variation.product_id, variation.sku) == ("77", "VAR-002")
    assert order_of(one(307)).lines[0].product_id == ""
    assert order_of(one(152)).lines[0].product_id == str(one(152)["line_items"][0]["variation_id"])


def test_broken_quantities_and_orders_without_lines() -> None:
    """Two and a half metres; nothing at all."""
    path = RECORDINGS / "scenarios/order_qty_2.5_php_filter_on.json"
    assert order_of(json.loads(path.read_text())["response"]["body"]).lines[0].quantity == Decimal("2.5")
    assert order_of(one(311)).lines == ()


def test_negative_fees_and_yen_with_decimals() -> None:
    """A fee may give something back; JPY has no decimals, a WooCommerce in JPY has two."""
    data = one(152)
    fee = data["fee_lines"][0]
    fee.update(total="-2.50", total_tax="0.00", taxes=[])
    assert str(order_of(data).lines[-1].net) == f"-2.50 {data['currency']}"
    assert str(order_of(one(157)).total.amount).endswith(f".{one(157)['total'].partition('.')[2]}")


def test_the_shops_word_on_a_rate_wins_by_a_few_cents_only() -> None:
    """A cent between lines and rate goes to the rate's largest line; a euro stays visible in the rounding."""
    data = one(390)
    before = order_of(data)
    data["tax_lines"][2]["tax_total"] = "77.28"
    after = order_of(data)
    moved = [b.id for a, b in zip(before.lines, after.lines, strict=True) if a.tax != b.tax]
    assert moved == ["913"]  # 31.69, the largest tax at 20 %
    assert str(after.rounding) == "-0.01 EUR"
    data["tax_lines"][2]["tax_total"] = "78.27"
    assert order_of(data).lines == before.lines
    data["total"] = "1687.77"
    assert str(order_of(data).rounding) == "1.00 EUR"


def test_a_lines_own_tax_is_kept_where_the_rate_allows() -> None:
    """Two halves of a cent, one rounded up and one down by the shop: told by line, so kept by line."""
    data = one(311)
    line = {"name": "x", "product_id": 1, "variation_id": 0, "quantity": 1, "sku": "x", "total": "1.00"}
    tax = [{"id": 1, "total": "0.125"}]
    told = {1: "0.13", 2: "0.12"}
    data["line_items"] = [{**line, "id": n, "total_tax": amount, "taxes": tax} for n, amount in told.items()]
    rate = {"rate_id": 1, "rate_code": "FR-X-1", "label": "X", "rate_percent": 12.5, "compound": False}
    data["tax_lines"] = [{**rate, "tax_total": "0.25", "shipping_tax_total": "0.00"}]
    data.update(total="2.25", total_tax="0.25")
    order = order_of(data)
    assert [str(line.tax) for line in order.lines] == ["0.13 EUR", "0.12 EUR"]
    assert not order.rounding


def test_texts_are_as_people_see_them() -> None:
    """Entities resolved, NUL and half surrogates gone: PostgreSQL would refuse them."""
    data = one(350)
    data["line_items"][0]["name"] = "Caf&eacute; &amp; Co &#8211; 1&nbsp;kg\u0000"
    data["billing"]["company"] = "Half \ud83d"
    order = order_of(data)
    assert order.lines[0].name == "Café & Co – 1\xa0kg"
    assert order.billing.company == "Half \ufffd"
    order.model_dump_json().encode()


def test_numbers_in_meta_data() -> None:
    """The ERP's number, the last one where two writers raced; the VAT number under any of its usual names."""
    data = one(350)
    data["meta_data"] += [
        {"id": 1, "key": "_counterfoil_erp_number", "value": "S00001"},
        {"id": 2, "key": "_counterfoil_erp_number", "value": "S00002"},
        {"id": 3, "key": "vat_number", "value": "FR00000000003"},
        {"id": 4, "key": "odd", "value": {"a": [1]}},
        "not even an object",
    ]
    order = order_of(data)
    assert (order.erp_number, order.customer.vat) == ("S00002", "FR00000000003")


def test_version_is_the_shops_gmt_second() -> None:
    """Versions sort in time whatever the site's time zone."""
    data = one(350)
    data.update(date_modified="2026-03-28T19:30:00", date_modified_gmt="2026-03-29T02:30:00")
    assert decode("web-eu", json.dumps(data).encode()).version == "2026-03-29T02:30:00Z"


def test_rates_older_orders_told_in_words_only() -> None:
    """rate_percent is null in orders older than WooCommerce 3.7; the label has it."""
    data = one(350)
    for rate in data["tax_lines"]:
        rate["rate_percent"] = None
    assert [rate.percent for rate in order_of(data).rates] == [Decimal(27)]


@pytest.mark.parametrize("status", ["wc-processing", "processing"])
def test_statuses(status: str) -> None:
    """With or without WordPress's prefix."""
    assert order_of({**one(350), "status": status}).status is Status.PROCESSING


# -- what cannot be read


def bad(body: bytes) -> BadPayload:
    with pytest.raises(BadPayload) as caught:
        decode("web-eu", body)
    assert caught.value.message
    assert caught.value.suggestion
    return caught.value


def changed(**fields: Any) -> bytes:
    return json.dumps({**one(350), **fields}).encode()


def line_changed(**fields: Any) -> bytes:
    data = one(350)
    data["line_items"][0].update(fields)
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        (b"", "not_json", "did not send JSON"),
        (b"<br />\n<b>Warning</b>: something in plugin.php", "not_json", "<br />"),
        (b"\xff\xfe", "not_json", "did not send JSON"),
        (b'{"line_items": NaN}', "not_json", "did not send JSON"),
        (b'{"id": ' + b"9" * 5000 + b"}", "not_json", "did not send JSON"),
        (b"[" * 100_000, "too_deep", "nested too deeply"),
        (b" " * (MAX_BODY + 1), "too_large", "bytes"),
        (b"[]", "wrong_shape", "a list"),
        (b"null", "wrong_shape", "null"),
        (b"{}", "missing_field", "line_items"),
        (b'{"id": 5}', "deleted", "order 5 was deleted"),
        (changed(status="shipped"), "unknown_status", "'shipped'"),
        (changed(currency="euro"), "wrong_shape", "currency is 'euro'"),
        (changed(total="1e5"), "bad_amount", "total is '1e5'"),
        (changed(total=["1"]), "bad_amount", "total is a list"),
        (changed(total="12,50"), "bad_amount", "total is '12,50'"),
        (changed(total="9" * 18), "bad_amount", "below"),
        (changed(total_tax=None), "bad_amount", "total_tax is null"),
        (changed(line_items={"0": 1}), "wrong_shape", "line_items is an object"),
        (changed(line_items=["x"]), "wrong_shape", "line_items[0] is a text"),
        (changed(billing=[1]), "wrong_shape", "billing is a list"),
        (changed(id="350"), "wrong_shape", "id is '350'"),
        (changed(id=True), "wrong_shape", "id is true or false"),
        (changed(date_modified_gmt="yesterday"), "wrong_shape", "date_modified_gmt is 'yesterday'"),
        (changed(date_modified_gmt=None, date_created_gmt=None), "wrong_shape", "date_modified_gmt is null"),
        (line_changed(quantity="many"), "wrong_shape", "line_items[0].quantity is 'many'"),
        (line_changed(taxes=[{"id": 99, "total": "1.00"}]), "unknown_tax_rate", "rate 99"),
        (line_changed(taxes=[{"id": 13, "total": "1e99"}]), "bad_amount", "line_items[0].taxes[0].total"),
        (line_changed(id=one(350)["line_items"][1]["id"]), "wrong_shape", "same id"),
    ],
)
def test_what_cannot_be_read_says_where(body: bytes, reason: str, words: str) -> None:
    """A reason for grouping, the place and the value for the person, and what to do."""
    found = bad(body)
    assert found.reason == reason
    assert words in found.message


def test_nothing_at_an_unknown_rate_is_nothing() -> None:
    """Zero tax at a rate the order no longer lists is not worth a person's time."""
    before = one(350)
    after = json.loads(line_changed(taxes=[*before["line_items"][0]["taxes"], {"id": 99, "total": "0"}]))
    assert order_of(after) == order_of(before)


@pytest.mark.parametrize("name", ["delivery_gone_order.created_47", "delivery_no_rights_394"])
def test_signed_error_bodies_are_no_orders(name: str) -> None:
    """Recorded: what WooCommerce sends for an order that is gone, or may not be seen."""
    recording = json.loads((RECORDINGS / f"webhooks/{name}.json").read_text())
    found = bad(json.dumps(recording["body"]).encode())
    assert found.reason == "shop_error_body"
    assert recording["body"]["message"] in found.message


@pytest.mark.parametrize("field", ["id", "number", "status", "currency", "total", "tax_lines", "shipping_lines"])
def test_missing_fields_are_named(field: str) -> None:
    """And the order too, by its number."""
    data = one(350)
    del data[field]
    found = bad(json.dumps(data).encode())
    assert found.reason == "missing_field"
    assert f"{field} is missing" in found.message
    assert "Order 350" in found.message


# -- whatever comes

anything = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
        st.sampled_from(["", "0", "1e400", "-1", "NaN", "1.5", "9" * 30, "2026-11-21T02:31:17", "\ud800", "\x00"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)
MADE = [make_order(n) for n in range(6)] + [one(412), one(416), one(319)]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*at, key)
        yield from places(inner, (*at, key))


def replaced(data: Any, place: tuple[Any, ...], new: Any) -> None:
    for key in place[:-1]:
        data = data[key]
    data[place[-1]] = new


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_change_gives_an_order_or_a_bad_payload(data: st.DataObject) -> None:
    """One to three places of an order hold anything at all; what is read adds up and can be stored."""
    order = copy.deepcopy(data.draw(st.sampled_from(MADE)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(list(places(order))))
        new = data.draw(anything)
        try:
            replaced(order, place, new)
        except (KeyError, TypeError, IndexError):
            continue
    try:
        seen = decode("web-eu", json.dumps(order).encode())
    except BadPayload as found:
        found.message.encode()
        return
    assert isinstance(seen, Observed)
    state = seen.state
    assert isinstance(state, Order)
    assert state.net + state.tax + state.rounding == state.total
    assert Order.model_validate_json(state.model_dump_json()) == state
    state.model_dump_json().encode()


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=200), anything.map(lambda value: json.dumps(value).encode())))
def test_any_body_gives_an_order_or_a_bad_payload(body: bytes) -> None:
    """Bytes of any kind."""
    with pytest.raises(BadPayload):
        decode("web-eu", body)


cents = st.integers(-500_000, 500_000).map(lambda n: Decimal(n).scaleb(-2))


@settings(max_examples=300, deadline=None)
@given(
    lines=st.lists(st.tuples(cents, st.integers(0, 27), st.integers(0, 27)), min_size=1, max_size=6),
    noise=st.lists(st.integers(-5, 5), min_size=3, max_size=3),
)
def test_parts_always_sum(lines: list[tuple[Decimal, int, int]], noise: list[int]) -> None:
    """Whatever a shop rounds where: parts, rounding and total agree, and each rate sums to the shop's word."""
    order = one(311)
    nets, taxes = Decimal(0), {1: Decimal(0), 2: Decimal(0)}
    for number, (net, first, second) in enumerate(lines):
        exact = {1: net * first / 100, 2: net * second / 100}
        told = sum(exact.values()).quantize(Decimal("0.01"))
        nets += net
        for code, amount in exact.items():
            taxes[code] += amount
        item = {"id": number + 1, "name": "x", "product_id": 1, "variation_id": 0, "quantity": 1, "sku": "x"}
        rows = [{"id": code, "total": str(amount)} for code, amount in exact.items()]
        order["line_items"].append({**item, "total": str(net), "total_tax": str(told), "taxes": rows})
    cent = Decimal("0.01")
    rates = {code: amount.quantize(cent) + noise[code] * cent / 5 for code, amount in taxes.items()}
    rates = {code: amount.quantize(cent) for code, amount in rates.items()}
    order["tax_lines"] = [
        {"rate_id": code, "rate_code": f"FR-X-{code}", "label": "X", "rate_percent": code, "compound": False}
        | {"tax_total": str(amount), "shipping_tax_total": "0.00"}
        for code, amount in rates.items()
    ]
    order.update(total=str(nets + sum(rates.values()) + noise[0] * cent), total_tax=str(sum(rates.values())))
    found = order_of(order)
    assert found.net + found.tax + found.rounding == found.total
    by_rate = {int(code): money.amount for code, money in found.tax_by_rate.items()}
    assert all(abs(by_rate[code] - rates[code]) <= Decimal("0.10") for code in rates)
    if len(lines) <= 3:  # so few lines are never more than five cents away
        assert by_rate == rates
        assert found.rounding.amount == noise[0] * cent


@pytest.mark.parametrize(
    ("shipping", "pickup"),
    [
        ({"method_id": "local_pickup", "instance_id": "3"}, "local_pickup:3"),
        ({"method_id": "local_pickup"}, "local_pickup"),
        (
            {
                "method_id": "pickup_location",
                "meta_data": [{"key": "pickup_location", "value": "Paris <b>Bastille</b>"}],
            },
            "pickup_location:Paris <b>Bastille</b>",
        ),
        ({"method_id": "flat_rate", "instance_id": "3"}, ""),
    ],
)
def test_how_an_order_is_collected(shipping: dict[str, Any], pickup: str) -> None:
    """The words of the shop, for the blueprint to say which store it means; one that is sent looks as it ever did."""
    data = one(189)
    data["shipping_lines"] = [data["shipping_lines"][0] | {"instance_id": "", "meta_data": []} | shipping]
    order = order_of(data)
    assert order.pickup == pickup
    assert ("pickup" in order.model_dump(mode="json")) is bool(pickup)


def test_an_order_of_which_a_part_is_sent_is_not_collected() -> None:
    data = one(189)
    sent = data["shipping_lines"][0]
    parts = [{"method_id": "local_pickup"}, {"method_id": "flat_rate", "id": sent["id"] + 1000}]
    data["shipping_lines"] = [{**sent, "total": "0.00", "total_tax": "0.00", "taxes": []} | part for part in parts]
    assert order_of(data).pickup == ""
