"""A blueprint for reading: Markdown for people, YAML that loads again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.unit.blueprint.examining import Look, good

from counterfoil.blueprint import (
    Blueprint,
    Catalogue,
    Channel,
    OperationInfo,
    dump,
    examine,
    load,
    parse,
    render,
)
from counterfoil.connectors.odoo import mapping as odoo_mapping
from counterfoil.connectors.woocommerce import mapping as woocommerce_mapping
from counterfoil.retail.events import EVENT_TYPES

EXAMPLE = Path(__file__).parents[3] / "examples" / "blueprint.yaml"


def rendered(look: Look, text: str) -> str:
    """The Markdown of a text that must be usable."""
    return render(good(look(text)))


def test_systems_are_listed_without_their_secrets(look: Look, whole: str) -> None:
    text = rendered(look, whole)
    row = "| web-eu | woocommerce | https://shop.example | every 1m, 2m overlap | 2026-01-01T00:00:00Z | – | – |"
    assert row in text
    assert "| odoo | odoo | https://odoo.example | as its connector does, 2m overlap | – | – | database: prod |" in text
    assert "0123456789" not in text


def test_declared_limits_and_pressure_are_shown(look: Look, whole: str) -> None:
    text = rendered(
        look, whole.replace("    overlap: 2m\n", "    overlap: 2m\n    limits: {rate: 10/s, concurrency: 4}\n")
    )
    assert "| 2026-01-01T00:00:00Z | 10/s, 4 at once | – |" in text
    assert "has been due for more than 20s, or more than 5000 of those are due." in text


def test_a_flow_tells_its_promise_and_what_happens_when_things_go_wrong(look: Look, whole: str) -> None:
    text = rendered(look, whole)
    row = "| order.placed | web-eu | odoo.accept_order | 1m | waits; a person is told when it takes too long |"
    assert f"{row} what follows for the same thing waits | 20 at once, 10/s |" in text
    assert "| order.changed | any | put before a person | – | – |" in text


def test_the_order_table_shows_the_choices_and_the_flows(look: Look, whole: str) -> None:
    text = rendered(look, whole.replace("pending: wait", "pending: quotation"))
    assert "| pending, failed | accepted as a quotation, not confirmed | order.payment_lost: no flow |" in text
    assert "| cancelled | not wanted | order.cancelled: odoo.cancel_order |" in text
    assert "up to 5 of the currency's smallest units" in text


def test_rows_and_owners_are_listed(look: Look, whole: str) -> None:
    text = rendered(look, whole)
    for row in (
        "| 20 % | FR | standard | 20% G |",
        "| 5.5 % | any | any | number 7 |",
        "| bacs | BNK1 |",
        "| any other | BNK2 |",
        "| order | web-eu |",
        "| bug | integration-engineer |",
        "| anything else | shop-manager |",
    ):
        assert row in text


def test_what_is_not_there_has_no_heading(look: Look) -> None:
    systems = '  odoo: {connector: odoo, url: https://x.example, database: a, api_key: "${ODOO_KEY}"}\n'
    text = rendered(look, f"counterfoil: 1\nsystems:\n{systems}")
    assert "## Systems" in text
    for heading in ("Flows", "Taxes", "Payments", "Owners of the truth"):
        assert f"## {heading}" not in text


def test_a_bar_or_line_break_in_a_name_does_not_break_the_table(look: Look, whole: str) -> None:
    text = rendered(look, whole.replace('"20% G"', r'"20% | G\nx"'))
    assert r"| 20 % | FR | standard | 20% \| G x |" in text


def test_a_dumped_blueprint_loads_again_equal(known: Catalogue, environ: dict[str, str], whole: str) -> None:
    before = parse(whole, known=known, environ=environ)
    assert parse(dump(before), known=known, environ=environ) == before


def test_a_dump_keeps_secret_files_as_references(known: Catalogue, tmp_path: Path, whole: str) -> None:
    text = whole.replace("${ODOO_KEY}", "{file: key}")
    before = parse(text, known=known, environ={}, require_secrets=False)
    assert "file: key" in dump(before)
    assert parse(dump(before), known=known, environ={}, require_secrets=False) == before


def test_the_example_is_a_whole_and_sound_blueprint(known: Catalogue) -> None:
    blueprint: Blueprint = load(EXAMPLE, known=whole_catalogue(known), environ={}, require_secrets=False)
    assert examine(EXAMPLE, known=whole_catalogue(known), environ={}).warnings == ()
    assert list(blueprint.systems) == ["web-eu", "odoo"]
    assert blueprint.flows_on("order.placed", "web-eu")[0].do == "odoo.accept_order"
    assert render(blueprint)


def test_every_key_of_the_example_shows_its_default_where_it_has_one() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    for key in (
        *Blueprint.model_fields,
        *Channel.model_fields,
        "poll",
        "overlap",
        "cut_over",
        "from",
        "batch",
        "rate",
        "concurrency",
        "backlog",
        "lag",
        "rounding_tolerance",
    ):
        assert key in text


def whole_catalogue(known: Catalogue) -> Catalogue:
    """The catalogue with all that the example uses: every event, and the operations of its flows."""
    shop, odoo = known.connectors["woocommerce"], known.connectors["odoo"]
    told = {"stock.changed", "product.changed", "order.confirmed", "order.backordered", "order.delivered"}
    told |= {"order.ready_for_pickup", "order.invoiced", "order.credited", "order.closed"}
    told |= {"shipment.dispatched", "shipment.returned"}
    shop = replace(
        shop,
        operations=(
            OperationInfo("note_order", "order", ("order.noted",)),
            OperationInfo("tell_order", "order", ("order.told",), state=True),
            OperationInfo("read_refunds", "order", ("order.refund_read",)),
            OperationInfo("publish_stock", "stock", ("stock.published",), state=True),
            OperationInfo("publish_product", "product", ("product.published",), state=True),
        ),
        events=frozenset(EVENT_TYPES) - told - {"order.accepted", "order.refund_read"},
        is_channel=True,
        overlays=woocommerce_mapping.OVERLAYS,
    )
    names = ("amend_order", "hold_order", "refund_order", "invoice_order", "check_shipped", "import_order")
    names += ("attach_prescription", "prepare_return", "book_appointment", "move_appointment", "cancel_appointment")
    more = tuple(OperationInfo(name, "order") for name in names)
    odoo = replace(
        odoo,
        operations=(*odoo.operations, *more, OperationInfo("update_customer", "customer")),
        events=told,
        overlays=odoo_mapping.OVERLAYS,
    )
    return Catalogue.of([shop, odoo], frozenset(EVENT_TYPES))


def test_a_poll_that_is_not_given_is_told_where_the_connectors_are_known(look: Look, known: Catalogue) -> None:
    system = 'odoo: {connector: odoo, url: https://x.example, database: a, api_key: "${ODOO_KEY}"}'
    blueprint = look(f"counterfoil: 1\nsystems:\n  {system}\n").blueprint
    assert blueprint is not None
    quick = Catalogue.of([replace(known.connectors["odoo"], poll=timedelta(seconds=2))], ())
    assert "| every 2s, 2m overlap |" in render(blueprint, quick)


def test_flows_that_differ_only_in_their_event_share_a_row(look: Look, whole: str) -> None:
    listed = whole.replace("{on: order.cancelled, do", "{on: [order.cancelled, order.refunded], do")
    assert "| order.cancelled, order.refunded | any | odoo.cancel_order |" in rendered(look, listed)


def test_a_channel_is_told_in_words(known: Catalogue, whole: str, environ: dict[str, str]) -> None:
    channels = (
        "channels:\n  web-eu: {warehouses: [WH, 7], stock: on_hand, safety_stock: 2, requires: [image],"
        ' publish: [stock], tax_classes: {"20% G": standard}}\n'
    )
    blueprint = parse(whole + channels, known=whole_catalogue(known), environ=environ)
    row = "| web-eu | all | what stands on the shelf, less 2 | WH, 7 | image | stock | 20% G → standard |"
    assert row in render(blueprint)
    assert parse(dump(blueprint), known=whole_catalogue(known), environ=environ) == blueprint
