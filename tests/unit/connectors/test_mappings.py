"""The tables of fields cannot lie: each field is changed, and what moves is what its rows say, no less and no more."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from tests.conformance.making import line, order
from tests.probing import moved, probed
from tests.unit.connectors.odoo.an_odoo import AnOdoo
from tests.unit.connectors.odoo.test_odoo_lookups import REFERENCE
from tests.unit.connectors.odoo.test_odoo_reading import body as fulfilment_body
from tests.unit.connectors.odoo.test_odoo_reading import invoice, move, picking
from tests.unit.connectors.odoo.test_odoo_reading import line as odoo_line
from tests.unit.connectors.odoo.test_odoo_translate import drafted

from counterfoil.connectors.odoo import mapping as odoo
from counterfoil.connectors.odoo.customers import partner_values
from counterfoil.connectors.odoo.feeds import receipt
from counterfoil.connectors.odoo.people import People
from counterfoil.connectors.odoo.reading import decode as decode_odoo
from counterfoil.connectors.odoo.translate import load_fields, load_rows
from counterfoil.connectors.odoo.versions import BY_VERSION, V19
from counterfoil.connectors.odoo.watching import Reader
from counterfoil.connectors.woocommerce import mapping as woo
from counterfoil.connectors.woocommerce.accounts import _content, decode_account
from counterfoil.connectors.woocommerce.product_fields import Facts, wanted
from counterfoil.connectors.woocommerce.translate import decode
from counterfoil.doors import assembly
from counterfoil.hub.contract import BadPayload
from counterfoil.retail.fields import ALL
from counterfoil.retail.listing import Channel
from counterfoil.retail.mapping import Row, StateRow, Way
from counterfoil.retail.money import Money
from counterfoil.retail.party import Account
from counterfoil.retail.product import Image, Product, SalePrice, Variant
from counterfoil_sandbox.woocommerce_orders import RECORDINGS, recorded_orders

Table = dict[str, set[str]]


def told(rows: Iterable[Row], way: Way, leave_out: Iterable[str] = ()) -> Table:
    """What the rows say: by what is changed (the system's field inwards, ours outwards), what moves."""
    table: Table = {}
    for row in rows:
        if row.way in (way, Way.BOTH) and row.field not in leave_out:
            for theirs in row.theirs:
                change, follows = (theirs, row.field) if way is Way.IN else (row.field, theirs)
                table.setdefault(change, set()).add(follows)
    return table


def all_of(*found: Mapping[str, set[str]]) -> Table:
    """One table of several probes."""
    whole: Table = {}
    for each in found:
        for name, fields in each.items():
            whole.setdefault(name, set()).update(fields)
    return whole


# --- WooCommerce -----------------------------------------------------------------------------------------------------


def plugged(body: Mapping[str, Any], **meta: str) -> dict[str, Any]:
    """A recorded body whose meta data stand by their keys, to be changed one by one."""
    return {**copy.deepcopy(body), "meta_data": dict(meta)}


def as_sent(body: Mapping[str, Any]) -> bytes:
    """With meta data as the shop sends them."""
    meta = [{"id": n, "key": key, "value": value} for n, (key, value) in enumerate(body["meta_data"].items())]
    return json.dumps({**body, "meta_data": meta}).encode()


def read_or(before: Any, read: Callable[[bytes], Any]) -> Callable[[Any], Any]:
    """What is read; nothing moves by a body that is refused."""

    def state(body: Any) -> Any:
        try:
            return read(as_sent(body)).state.model_dump(mode="json")
        except BadPayload:
            return before

    return state


def probe(body: Mapping[str, Any], read: Callable[[bytes], Any], others: dict[str, list[Any]]) -> Table:
    return probed(body, read_or(read(as_sent(body)).state.model_dump(mode="json"), read), others)


def shop_order(number: int, **changes: Any) -> dict[str, Any]:
    """A recorded order with what it lacks for every field to count."""
    recorded = next(each for each in recorded_orders() if each["id"] == number)
    body = plugged({**recorded, **changes}, _wcpay_refund_status="done", _counterfoil_erp_number="S1")
    body["shipping"]["email"] = "there@shop.example"
    body["transaction_id"] = "tx"
    body["tax_lines"].append(
        {"rate_id": 977, "rate_code": "US-CA-TAX-1", "label": "Tax", "rate_percent": 7, "compound": False}
        | {"tax_total": "0.00", "shipping_tax_total": "0.00"}
    )
    return body


OF_AN_ORDER: dict[str, list[Any]] = {
    "status": ["failed"],
    "currency": [],  # changes every amount, which is in it
    "tax_lines[].rate_code": ["DE-BY-TAX-1"],
    "meta_data._wcpay_refund_status": ["pending"],
    **{
        f"{lines}[].taxes[].total": ["9.99"] for lines in ("line_items", "shipping_lines")
    },  # total_tax puts cents right
    "line_items[].id": [900001],  # the next number is another line's
}


def test_what_is_read_of_a_shops_order() -> None:
    """Changing a tax may move a cent elsewhere: sums are settled, and `rounding` takes what is left."""
    coupons = shop_order(259)
    for coupon in coupons["coupon_lines"]:  # as the block checkout has them: the order's total alone says how much
        coupon |= {"discount": "0", "discount_tax": "0"}
    vats = [{**shop_order(152), "meta_data": {key: "FR1"}} for key in woo.VAT_METAS]
    bodies = [*(shop_order(number) for number in (152, 226, 259)), coupons, *vats]

    found = all_of(*(probe(body, lambda text: decode("web", text), OF_AN_ORDER) for body in bodies))

    table = told(woo.ORDER, Way.IN) | {"currency": {"currency"}}
    found["currency"] = {"currency"}
    settled = {"rounding", "lines[].taxes[].amount"}
    for field in found:
        if "tax" in field or field.endswith("lines[].total"):
            found[field] -= settled - table.get(field, set())
    assert {field: follows for field, follows in found.items() if follows} == table


def test_what_is_read_of_a_shops_customer() -> None:
    """Names are the account's own, else those of the billing address."""
    listed = json.loads((RECORDINGS / "customers" / "list_page_1.json").read_text(encoding="utf-8"))
    recorded = next(c for c in listed["response"]["body"] if c["first_name"] and c["billing"]["phone"])
    whole = plugged(recorded)
    whole["shipping"] |= {"email": "there@shop.example"}
    bodies = [whole, *({**whole, "meta_data": {key: "FR1"}} for key in woo.VAT_METAS)]

    found = all_of(*(probe(body, lambda text: decode_account("web", text), {}) for body in bodies))

    assert found == told(woo.CUSTOMER, Way.IN)


ACCOUNT = Account.model_validate(
    {
        "system": "odoo",
        "id": "7",
        "customer": {"id": "7", "email": "a@b.example", "name": "Ann Bee", "company": "Bee", "phone": "1", "vat": "V"},
        "billing": dict.fromkeys(
            ("name", "company", "street", "street2", "city", "postcode", "state", "country", "email"), "b"
        ),
        "shipping": dict.fromkeys(
            ("name", "company", "street", "street2", "city", "postcode", "state", "country", "phone", "email"), "s"
        ),
    }
)


def test_what_is_written_of_a_customer_into_a_shop() -> None:
    """Into a new account: nothing stands there yet."""

    def write(state: Any) -> Any:
        return _content(Account.model_validate(state), {}, ALL)

    full = ACCOUNT.model_dump(mode="json")
    called = {**full, "customer": {**full["customer"], "phone": ""}, "billing": {**full["billing"], "phone": "2"}}
    homeless = {**full, "billing": dict.fromkeys(full["billing"], "")}

    others: dict[str, list[Any]] = {f"{part}.name": ["Cay Dee"] for part in ("customer", "billing", "shipping")}
    found = all_of(*(probed(state, write, others) for state in (full, called, homeless)))

    table = told(woo.CUSTOMER, Way.OUT)
    for place in ("billing", "shipping"):  # an address that comes to be is written whole
        for field in [name for name in found if name.startswith(f"{place}.")]:
            found[field] &= table.get(field, set())
    found["customer.name"] -= {"billing.first_name", "billing.last_name"}
    assert {field: follows for field, follows in found.items() if follows} == table


FACTS = Facts("EUR", 2, True, "kg")
CHANNEL = Channel(tax_classes={"20% G": "standard", "5% R": "reduced"})
ARTICLE = Variant(
    id="1",
    sku="A",
    gtin="4006381333931",
    options=(("Size", "M"),),
    price=Money.of("19.90", "EUR"),
    sale=SalePrice(price=Money.of("9.90", "EUR"), starts_at="2026-11-01T00:00:00Z", ends_at="2026-12-01T00:00:00Z"),
    weight=Decimal("1.5"),
    image=Image(digest="v", url="https://i.example/v"),
)
PRODUCT = Product(
    system="odoo",
    id="70",
    name="Shirt",
    description="Of wool",
    tax_class="20% G",
    category=("Clothes",),
    image=Image(digest="p", url="https://i.example/p"),
    variants=(ARTICLE, ARTICLE.model_copy(update={"id": "2", "sku": "B", "options": (("Size", "L"),)})),
)


def test_what_is_written_of_a_product_into_a_shop() -> None:
    """Its own fields and those of its variations; ids, pictures and options are looked up on the way."""

    def write(state: Any) -> Any:
        made = wanted(Product.model_validate(state), CHANNEL, FACTS)
        own = [{**a.content, "attributes": a.choice, "image": a.image.digest if a.image else ""} for a in made.articles]
        return {**made.content, "categories": made.category, "images": made.image and made.image.digest, "own": own}

    others: dict[str, list[Any]] = {
        "tax_class": ["5% R"],
        "variants[].price": ["21.00 EUR"],
        "variants[].sale.price": ["8.00 EUR"],
        "variants[].gtin": ["96385074"],
        "variants[].weight": ["2.5"],
    }
    single = PRODUCT.model_copy(update={"variants": (ARTICLE.model_copy(update={"options": ()}),), "tax_class": ""})
    untaxed = PRODUCT.model_copy(update={"tax_class": "0%"})
    none = replace(CHANNEL, tax_classes={**CHANNEL.tax_classes, "0%": "none"})
    found = all_of(*(probed(p.model_dump(mode="json"), write, others) for p in (PRODUCT, single)))
    found = {field: {name.removeprefix("own[].") for name in follows} for field, follows in found.items()}
    found["tax_class"] |= moved(wanted(PRODUCT, none, FACTS).content, wanted(untaxed, none, FACTS).content)

    # a picture goes by its digest, an option by name and value
    joined: Table = {}
    for field, follows in found.items():
        name = field.removesuffix(".digest").removesuffix("[]") if field != "variants[]" else field
        name = "variants[].options" if field.startswith("variants[].options") else name
        plain = {"attributes" if each.startswith("attributes") else each.removesuffix("[]") for each in follows}
        joined.setdefault(name, set()).update(plain)
    assert joined == told(woo.PRODUCT, Way.OUT)


# --- Odoo ------------------------------------------------------------------------------------------------------------


def test_what_is_written_of_a_customer_into_odoo() -> None:
    """Each field from the first place where it is known."""
    numbers = replace(REFERENCE, countries={"FR": 75, "FRX": 76}, states={("FR", "75"): 1, ("FR", "75x"): 2})
    billing = ACCOUNT.billing.model_copy(update={"country": "FR", "state": "75", "phone": "2"})

    def write(state: Any) -> Any:
        account = Account.model_validate(state)
        return partner_values(account.customer, account.billing, numbers)

    states = [ACCOUNT.model_copy(update={"billing": billing}).model_dump(mode="json")]
    for sources in odoo.PARTNER.values():
        for n in range(len(sources)):
            state = copy.deepcopy(states[0])
            for part, name in sources[:n]:
                state[part][name] = ""
            states.append(state)

    found = all_of(*(probed(state, write, {"billing.state": ["75x"], "billing.country": ["FRX"]}) for state in states))

    found["billing.country"] -= {"state_id"}  # a state is one of its country
    assert found == told(odoo.CUSTOMER, Way.OUT)


PARTNER = {
    "parent_id": False,
    "partner_share": True,
    "active": True,
    "is_company": True,
    "vat": "FR1",
    **dict.fromkeys(("name", "email", "phone", "street", "street2", "city", "zip"), "x"),
    "country_id": 75,
    "state_id": 1,
}


async def test_what_is_read_of_a_customer_of_odoo() -> None:
    """Its own address is the billing one unless it has a contact for invoices."""

    async def read(own: Mapping[str, Any], invoices: Mapping[str, Any], delivery: Mapping[str, Any]) -> Any:
        server = AnOdoo()
        for number, code in ((75, "FR"), (76, "DE")):
            server.write("res.country", number, code=code)
            server.write("res.country.state", number - 74, code=f"S{number}")
        server.write("res.partner", 7, **own)
        for number, kind, values in ((8, "invoice", invoices), (9, "delivery", delivery)):
            if values:
                server.write("res.partner", number, **{**PARTNER, **values, "parent_id": 7, "type": kind})
        bodies = await People(Reader(server)).read([7])
        return decode_odoo("odoo", receipt("customer", "7", bodies["7"], "2026-11-02T10:00:00Z")).state.model_dump()

    found: Table = {"id": {"id", "customer.id"}}  # the record itself
    for contacts in ({}, {"city": "y"}):
        before = await read(PARTNER, contacts, contacts)
        for field, value in PARTNER.items():
            if field in ("parent_id", "partner_share", "active"):
                continue
            new: Any = not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else "other"
            changes = {"": (({**PARTNER, field: new}), contacts, contacts)}
            if contacts:
                changes["invoice."] = (PARTNER, {**contacts, field: new}, contacts)
                changes["delivery."] = (PARTNER, contacts, {**contacts, field: new})
            for prefix, change in changes.items():
                follows = moved(before, await read(*change))
                if follows:
                    found.setdefault(prefix + field, set()).update(follows)

    assert found == told(odoo.CUSTOMER, Way.IN)


ELSEWHERE = ("customer", "billing", "shipping", "currency", "payments", "rounding")
"""What accept_order does in other calls, or in a line of its own: looked at by the conformance suite."""
COLUMNS = [row for row in odoo.ORDER if row.how.name != "channel"]


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("id", order("1"), order("2", number="#1")),
        ("system", order(), order(system="other")),
        ("number", order(), order(number="#2")),
        ("placed_at", order(), order(placed_at="2026-11-02T11:30:00Z")),
        ("note", order(), order(note="ring twice")),
        ("lines[].id", order("1", line(id="1")), order("1", line(id="2"))),
        ("lines[].sku", order("1", line()), order("1", line().model_copy(update={"sku": "SKU-B"}))),
        ("lines[].name", order("1", line()), order("1", line().model_copy(update={"name": "Hat"}))),
        ("lines[].quantity", order("1", line()), order("1", line(quantity="2"))),
        ("lines[].net", order("1", line()), order("1", line(net="11.00"))),
        (
            "lines[].taxes",
            order("1", line(taxes={"20": "2.00"})),
            order("1", line(taxes={"10": "1.00"})),
        ),
    ],
)
def test_what_is_written_of_an_order_into_odoo(field: str, before: Any, after: Any) -> None:
    """The columns of `load()` in which the two differ."""
    columns = [name.removesuffix("/.id").replace("/", ".") for name in load_fields(V19)]

    def cells(of: Any) -> list[list[str]]:
        made = drafted(of)
        numbers = {"SKU-A": 1, "SKU-B": 2}
        rows = tuple(replace(row, product=numbers[each.sku]) for row, each in zip(made.rows, of.lines, strict=True))
        return load_rows(of, replace(made, rows=rows), 5, 6, 7, V19)

    one, two = cells(before), cells(after)
    differ = {name for name, a, b in zip(columns, one[0], two[0], strict=True) if a != b}

    assert differ == told(COLUMNS, Way.OUT, ELSEWHERE)[field]


def test_every_field_of_an_order_that_odoo_gets_has_been_looked_at() -> None:
    """A row that no case above is about would be nobody's."""
    cases = {case[0] for case in test_what_is_written_of_an_order_into_odoo.pytestmark[0].args[1]}
    assert cases == set(told(COLUMNS, Way.OUT, ELSEWHERE))


FOUND_AS = {"order.": "", "lines[].": "order_line.", "pickings[].": "picking_ids.", "invoices[].": "invoice_ids."}
FOUND_AS |= {"moves[].": "move_ids."}
MADE_OF = {
    "move_ids.done": ["move_ids.quantity"],
    "move_ids.way": ["move_ids.location_id", "move_ids.location_dest_id"],
}
"""What the feed has made of Odoo's rows before they are decoded."""
LINKS = ("order_line.id", "move_ids.picking_id", "move_ids.sale_line_id", "move_ids.state", "invoice_ids.state")
"""What only says which row belongs to which, or whether it counts."""


def test_what_is_read_of_an_order_of_odoo() -> None:
    """The order with its lines, pickings, moves and invoices, as the feed has found them."""
    more = {"backorder_id": [2, "WH/OUT/2"], "carrier_tracking_ref": "T", "carrier_tracking_url": "https://t.example"}
    picked, waits = picking(3, **more), picking(4, state="assigned", **more)
    body = fulfilment_body(
        lines=[odoo_line(1, "web_order_164_line_77", 1, 2.0, 1.0)],
        pickings=[picked, waits],
        moves=[move(3, 1, 1, 1.0), move(4, 1, 1, 1.0, state="assigned")],
        invoices=[invoice()],
    )
    others: dict[str, list[Any]] = {
        "order.origin": ["web:order:165"],
        "order.state": ["cancel"],
        "lines[].external_id": ["web_order_164_line_78"],
        "lines[].product_id": [2],
        "lines[].name": ["Hat\nred"],
        "pickings[].state": ["cancel"],
        "pickings[].date_done": ["2026-11-03 11:00:00"],
        "pickings[].carrier_tracking_url": ["https://u.example"],
        "moves[].product_id": [2],
        "moves[].way": ["back"],
        "moves[].state": [],
        "invoices[].move_type": ["out_refund"],
        "invoices[].state": [],
        "invoices[].amount_residual": [0.0],
        "invoices[].currency_id[]": ["USD"],
        "articles.1.sku": [],
        "articles.1.service": [],
    }

    def read(changed: Any) -> Any:
        text = receipt("fulfilment", "web:order:164", changed, "2026-11-02T10:00:00Z")
        return decode_odoo("odoo", text, "https://odoo.example").state.model_dump(mode="json")

    found: Table = {}
    for field, follows in probed(body, read, others).items():
        name = field.removesuffix("[]")
        for ours, theirs in FOUND_AS.items():
            name = theirs + name.removeprefix(ours) if name.startswith(ours) else name
        for each in MADE_OF.get(name, [name]):
            found.setdefault(each, set()).update(follows)

    table = told(odoo.FULFILMENT, Way.IN)
    for field in LINKS:
        found.pop(field, None)
    for field in ("picking_ids.id", "picking_ids.state", "move_ids.location_id", "move_ids.location_dest_id"):
        found[field] &= table[field]  # a shipment without goods, or the other way round, is another one altogether
    found["origin"] &= table["origin"]  # no line belongs to another order
    assert found == table


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(assembly.CONNECTORS))
def test_rows_are_of_one_shape(name: str) -> None:
    """Each canonical field stands there once each way, and what it is called exists in the retail language."""
    info = assembly.catalogue().connectors[name]
    seen: set[tuple[str, str, str, tuple[str, ...]]] = set()
    for row in info.rows:
        key = (row.object, row.field, row.way, row.theirs)
        assert key not in seen, key
        seen.add(key)
        assert row.theirs, row


def test_states_of_payments_are_those_of_the_versions() -> None:
    """What counts as posted in one version or another."""
    [row] = [row for row in odoo.STATES if row.object == "payment"]
    assert set(row.theirs) == {state for names in BY_VERSION.values() for state in names.payment_posted}


@pytest.mark.parametrize("state", [row for row in woo.STATES if row.object == "payment"])
def test_states_of_a_shops_payments(state: StateRow) -> None:
    """Paid is what has a date."""
    body = shop_order(152) | {"date_paid_gmt": "2026-11-02T10:00:00" if state.state == "paid" else None}
    paid: Any = decode("web", as_sent(body)).state
    assert bool(paid.paid_at) == (state.state == "paid")
