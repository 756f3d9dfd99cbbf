"""What a shop is told of products and stock."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.blueprint.examining import good, only

from counterfoil.blueprint import Blueprint, Catalogue, Examined, examine_text


def looked(known: Catalogue, whole: str, channels: str) -> Examined:
    """The whole blueprint with this `channels` section; only shops are channels."""
    shop = replace(known.connectors["woocommerce"], is_channel=True)
    catalogue = Catalogue.of([shop, known.connectors["odoo"]], known.events)
    return examine_text(f"{whole}channels:{channels}", known=catalogue, environ={})


def read(known: Catalogue, whole: str, channels: str) -> Blueprint:
    """The same, which must be usable."""
    return good(looked(known, whole, channels))


def test_a_channel_is_read_whole(known: Catalogue, whole: str) -> None:
    """Safety stock and tax classes are declared, never guessed."""
    text = (
        "\n  web-eu:\n    warehouses: [WH, 101]\n    stock: forecast\n    safety_stock: 3\n"
        '    requires: [image, gtin]\n    tax_classes: {"20% G": standard, "5.5% G": 7}\n    publish: [price, stock]\n'
    )
    text += "    assortment: {only: [Clothing, Home / Kitchen], never: [Clothing / Outlet]}\n"
    channel = read(known, whole, text).channels["web-eu"]
    assert channel.assortment.only == ("Clothing", "Home / Kitchen")
    assert channel.assortment.never == ("Clothing / Outlet",)
    assert (channel.warehouses, channel.stock, channel.safety_stock) == (("WH", "101"), "forecast", 3)
    assert (channel.requires, channel.publish) == (("image", "gtin"), ("price", "stock"))
    assert dict(channel.tax_classes) == {"20% G": "standard", "5.5% G": "7"}


def test_what_is_left_out_is_careful(known: Catalogue, whole: str) -> None:
    channel = read(known, whole, " {web-eu: {}}\n").channels["web-eu"]
    assert (channel.warehouses, channel.stock, channel.safety_stock) == ((), "available", 0)
    assert channel.requires == ("sku", "price")
    assert {"stock", "price"} <= set(channel.publish)


@pytest.mark.parametrize(
    ("channels", "path", "expected", "hint"),
    [
        ("{web-ue: {}}", "channels.web-ue", "a declared shop: web-eu", 'did you mean "web-eu"?'),
        ("{odoo: {}}", "channels.odoo", "a declared shop", "nothing can be published at odoo"),
        ("{web-eu: {stock: free}}", "channels.web-eu.stock", "one of available, on_hand, forecast", ""),
        ("{web-eu: {safety_stock: -1}}", "channels.web-eu.safety_stock", "a whole number of units", ""),
        ("{web-eu: {safety_stock: '2'}}", "channels.web-eu.safety_stock", "a whole number of units", ""),
        (
            "{web-eu: {requires: [image, picture]}}",
            "channels.web-eu.requires[1]",
            "a list of sku, price",
            'did you mean "price"?',
        ),
        ("{web-eu: {publish: [price, price]}}", "channels.web-eu.publish", "a list of name", "each once"),
        ("{web-eu: {warehouses: WH}}", "channels.web-eu.warehouses", "a list of warehouse codes", ""),
        ("{web-eu: {tax_classes: [standard]}}", "channels.web-eu.tax_classes", "a mapping of taxes", ""),
        ("{web-eu: {safety_stok: 1}}", "channels.web-eu.safety_stok", "one of", 'did you mean "safety_stock"?'),
        ("{web-eu: {assortment: {only: Tea}}}", "channels.web-eu.assortment.only", "a list of categories", ""),
        ("{web-eu: {assortment: {not: [Tea]}}}", "channels.web-eu.assortment.not", "one of never, only", ""),
        ("{web-eu: {assortment: [Tea]}}", "channels.web-eu.assortment", "a mapping with the keys only, never", ""),
        ("{web-eu: 3}", "channels.web-eu", "a mapping with the keys warehouses", ""),
        ("[web-eu]", "channels", "a mapping of shops", ""),
    ],
)
def test_what_is_wrong_is_told_with_path_and_remedy(
    known: Catalogue, whole: str, channels: str, path: str, expected: str, hint: str
) -> None:
    problem = only(looked(known, whole, f" {channels}\n"))
    assert problem.path == path
    assert problem.line == whole.count("\n") + 1
    assert problem.expected.startswith(expected)
    assert problem.hint == hint


def test_a_shop_that_cannot_be_read_is_not_held_against_its_channel(known: Catalogue, whole: str) -> None:
    examined = looked(known, whole.replace("connector: woocommerce", "connector: shopify"), " {web-eu: {}}\n")
    assert [problem.path for problem in examined.problems] == ["systems.web-eu.connector"]
