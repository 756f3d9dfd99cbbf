"""A blueprint for reading: Markdown for people, YAML that loads again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from counterfoil.blueprint import Blueprint, Catalogue, Examined, dump, load, parse, render

Look = Callable[[str], Examined]

EXAMPLE = Path(__file__).parents[3] / "examples" / "blueprint.yaml"


def rendered(look: Look, text: str) -> str:
    """The Markdown of a text that must be usable."""
    blueprint = look(text).blueprint
    assert blueprint is not None
    return render(blueprint)


def test_systems_are_listed_without_their_secrets(look: Look, whole: str) -> None:
    text = rendered(look, whole)
    row = "| web-eu | woocommerce | https://shop.example | every 1m, 2m overlap | 2026-01-01T00:00:00Z | – |"
    assert row in text
    assert "| odoo | odoo | https://odoo.example | every 1m, 2m overlap | – | database: prod |" in text
    assert "0123456789" not in text


def test_a_flow_tells_its_promise_and_what_happens_when_things_go_wrong(look: Look, whole: str) -> None:
    text = rendered(look, whole)
    row = "| order.placed | web-eu | odoo.accept_order | 1m | waits, and alerts at once |"
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
    blueprint: Blueprint = load(EXAMPLE, known=known_events(known), environ={}, require_secrets=False)
    assert list(blueprint.systems) == ["web-eu", "odoo"]
    assert blueprint.flows_on("order.placed", "web-eu")[0].do == "odoo.accept_order"
    assert render(blueprint)


def test_every_key_of_the_example_shows_its_default_where_it_has_one() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    for key in (
        *Blueprint.model_fields,
        "poll",
        "overlap",
        "cut_over",
        "from",
        "batch",
        "rate",
        "rounding_tolerance",
    ):
        assert key in text


def known_events(known: Catalogue) -> Catalogue:
    """The catalogue with the one event more that the example uses."""
    return Catalogue.of(known.connectors.values(), frozenset(known.events) | {"order.payment_lost"})
