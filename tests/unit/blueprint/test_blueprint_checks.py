"""Whether the parts fit each other: names, operations, owners, loops, and what is hardly meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.unit.blueprint.examining import Changed, Look, good, only

from counterfoil.blueprint import (
    Catalogue,
    ConnectorInfo,
    OperationInfo,
    Problem,
    SettingInfo,
    examine_text,
)


@pytest.mark.parametrize(
    ("old", "new", "path", "found", "expected", "hint"),
    [
        (
            "connector: woocommerce",
            "connector: woocomerce",
            "systems.web-eu.connector",
            '"woocomerce"',
            "one of odoo, woocommerce",
            'did you mean "woocommerce"?',
        ),
        ("connector: woocommerce", "connector: [x]", "systems.web-eu.connector", "a list", "one of odoo", ""),
        ("  order: web-eu", "  order: webeu", "owners.order", '"webeu"', "a declared system", '"web-eu"?'),
        ("  stock: odoo", "  stok: odoo", "owners.stok", '"stok"', "one of customer, order", '"stock"?'),
        (
            "on: order.placed",
            "on: order.placd",
            "flows[0].on",
            '"order.placd"',
            "an event: one of",
            '"order.placed"?',
        ),
        ("from: web-eu", "from: web-us", "flows[0].from", '"web-us"', "one of odoo, web-eu", '"web-eu"?'),
        (
            "odoo.accept_order",
            "odo.accept_order",
            "flows[0].do",
            '"odo.accept_order"',
            "declared system",
            '"odoo"?',
        ),
        (
            "odoo.accept_order",
            "odoo.acept_order",
            "flows[0].do",
            '"odoo.acept_order"',
            "one of hub.ask, odoo.accept_order, odoo.cancel_order",
            'did you mean "odoo.accept_order"?',
        ),
        ("odoo.accept_order", "web-eu.accept_order", "flows[0].do", '"web-eu.accept_order"', "hub.ask", ""),
        ("do: hub.ask", "do: hub.tell", "flows[3].do", '"hub.tell"', "hub.ask", ""),
        (
            "{on: order.changed, do: hub.ask}",
            "{on: order.cancelled, do: odoo.cancel_order, within: 5m}",
            "flows[3]",
            "order.cancelled → odoo.cancel_order a second time",
            "each rule once",
            "the first is flows[1] on line 32",
        ),
        (
            "{on: order.changed, do: hub.ask}",
            "{on: order.placed, do: odoo.accept_order}",
            "flows[3]",
            "order.placed → odoo.accept_order a second time",
            "each rule once",
            "the first is flows[0] on line 24",
        ),
        (
            "{rate: 5.5, odoo: 7}",
            "{rate: 20.0, country: FR, class: standard, odoo: 7}",
            "taxes[1]",
            '"20.0" "FR" "standard" a second time',
            "each once",
            "the first is taxes[0] on line 43",
        ),
        (
            '{method: "*", journal: BNK2}',
            "{method: bacs, journal: BNK2}",
            "payments[1]",
            '"bacs" a second time',
            "each once",
            "the first is payments[0] on line 46",
        ),
    ],
)
def test_parts_that_do_not_fit_are_told_with_line_found_and_expected(
    changed: Changed, old: str, new: str, path: str, found: str, expected: str, hint: str
) -> None:
    examined, line = changed(old, new)
    problem = only(examined)
    assert (problem.line, problem.path, problem.found) == (line, path, found)
    assert expected in problem.expected
    assert hint in problem.hint


def test_the_same_event_may_do_two_things_and_two_systems_the_same(look: Look, whole: str) -> None:
    more = "  - {on: order.cancelled, do: hub.ask}\n  - {on: order.placed, from: odoo, do: odoo.accept_order}\n"
    examined = look(whole.replace("orders:\n", f"{more}orders:\n"))
    assert examined.problems == ()


def test_a_system_that_cannot_be_read_is_not_held_against_those_who_name_it(look: Look, whole: str) -> None:
    examined = look(whole.replace("connector: woocommerce", "connector: shopify"))
    assert [problem.path for problem in examined.problems] == ["systems.web-eu.connector"]
    assert examined.warnings == ()
    examined = look(whole.replace("connector: woocommerce", "connector:"))
    assert [problem.path for problem in examined.problems] == ["systems.web-eu.connector"]
    assert examined.warnings == ()


def test_the_setting_of_another_connector_is_unknown(look: Look, whole: str) -> None:
    (problem,) = look(
        whole.replace("    database: prod\n", "    database: prod\n    consumer_key: ${WEB_KEY}\n")
    ).problems
    assert (problem.line, problem.path) == (19, "systems.odoo.consumer_key")
    assert problem.expected == "one of api_key, connector, cut_over, database, limits, overlap, poll, url"


def test_a_connector_may_do_without_an_address(known: Catalogue) -> None:
    files = Catalogue.of([ConnectorInfo("folder", (SettingInfo("path", required=True),), needs_url=False)], ())
    text = "counterfoil: 1\nsystems:\n  till: {connector: folder, path: 7}\n"
    blueprint = good(examine_text(text, known=files, environ={}))
    assert blueprint.systems["till"].url == ""
    assert blueprint.systems["till"].text("path") == "7"


def test_reasons_of_exceptions_are_checked_where_they_are_known(known: Catalogue, whole: str) -> None:
    strict = replace(known, reasons=frozenset({"bug", "misconfigured", "unknown_sku"}))
    text = whole.replace("  bug: integration-engineer", "  bugs: integration-engineer")
    (problem,) = examine_text(text, known=strict, environ={}).problems
    assert (problem.line, problem.path, problem.found) == (50, "exceptions.bugs", 'the unknown key "bugs"')
    assert problem.hint == 'did you mean "bug"?'
    assert examine_text(text, known=known, environ={}).problems == ()


# Loops


def emitting(known: Catalogue, note_order: tuple[str, ...]) -> Catalogue:
    """The catalogue, with `note_order` of the shop giving rise to these events."""
    shop = replace(known.connectors["woocommerce"], operations=(OperationInfo("note_order", "order", note_order),))
    return Catalogue.of([shop, known.connectors["odoo"]], known.events)


def loops(text: str, known: Catalogue) -> list[Problem]:
    """The problems of `text`, secrets aside."""
    return list(examine_text(text, known=known, environ={}).problems)


def test_flows_that_lead_back_to_themselves_are_an_error_that_names_the_way(known: Catalogue, whole: str) -> None:
    text = whole.replace("{on: order.changed, do: hub.ask}", "{on: order.changed, do: odoo.accept_order}")
    (problem,) = loops(text, emitting(known, ("order.noted", "order.changed")))
    assert (problem.line, problem.path) == (33, "flows[2].do")
    assert problem.found == "order.accepted → web-eu.note_order → order.changed → odoo.accept_order → order.accepted"
    assert problem.expected == "flows that come to an end"


def test_a_flow_that_sets_itself_off_is_a_loop(known: Catalogue, whole: str) -> None:
    (problem,) = loops(whole, emitting(known, ("order.accepted",)))
    assert problem.found == "order.accepted → web-eu.note_order → order.accepted"
    assert (problem.line, problem.path) == (33, "flows[2].do")


def test_it_is_no_loop_if_the_event_comes_from_another_system_than_the_flow_waits_for(
    known: Catalogue, whole: str
) -> None:
    catalogue = emitting(known, ("order.accepted",))
    text = whole.replace("{on: order.accepted, do:", "{on: order.accepted, from: odoo, do:")
    assert loops(text, catalogue) == []


def test_two_loops_are_both_told(known: Catalogue, whole: str) -> None:
    text = whole.replace("{on: order.changed, do: hub.ask}", "{on: order.closed, do: odoo.cancel_order}")
    problems = loops(text, emitting(known, ("order.accepted",)))
    assert [problem.path for problem in problems] == ["flows[2].do", "flows[3].do"]


def test_a_chain_that_ends_is_no_loop(known: Catalogue, whole: str) -> None:
    assert loops(whole, known) == []


# Warnings: told, and the blueprint can still be used


NOW = datetime(2026, 6, 1, tzinfo=UTC)


def warned(text: str, known: Catalogue) -> list[Problem]:
    """The warnings of `text`, which must be usable."""
    examined = examine_text(text, known=known, environ={}, file="shop.yaml", now=NOW)
    good(examined)
    return list(examined.warnings)


def test_a_whole_blueprint_has_no_warnings(known: Catalogue, whole: str) -> None:
    assert warned(whole, known) == []


def test_a_promise_shorter_than_the_only_poll_is_warned_of(known: Catalogue, whole: str) -> None:
    polled = whole.replace("    webhook_secret: ${WEB_HOOK}\n", "")
    assert warned(polled, known) == [], "60s within, 60s poll"
    (warning,) = warned(polled.replace("poll: 60s", "poll: 5m"), known)
    assert (warning.line, warning.path, warning.found) == (26, "flows[0].within", '"60s"')
    assert warning.expected == "at least 5m, the poll of web-eu"
    assert warned(whole.replace("poll: 60s", "poll: 5m"), known) == [], "webhooks come as well"


def test_two_systems_at_one_address_are_warned_of(known: Catalogue, whole: str) -> None:
    twin = "  web-2: {connector: odoo, url: https://odoo.example/, database: b, api_key: '${K}'}\nowners:\n"
    (warning,) = warned(whole.replace("owners:\n", twin), known)
    assert (warning.line, warning.path) == (20, "systems.web-2")
    assert warning.found == "the same connector and address as odoo"
    assert warning.expected == "one system for each address"


def test_a_cut_over_still_to_come_is_warned_of(known: Catalogue, whole: str) -> None:
    (warning,) = warned(whole.replace("2026-01-01T00:00:00Z", "2026-06-01T00:00:01Z"), known)
    assert (warning.line, warning.path) == (14, "systems.web-eu.cut_over")
    assert (warning.found, warning.expected) == ('"2026-06-01T00:00:01Z"', "a time that has come")
    assert warned(whole.replace("2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"), known) == []


def test_a_flow_that_nothing_can_set_off_is_warned_of(known: Catalogue, whole: str) -> None:
    (warning,) = warned(whole.replace("from: web-eu", "from: odoo"), known)
    assert (warning.line, warning.path, warning.found) == (24, "flows[0].on", '"order.placed"')
    assert warning.hint == "this flow would never be set off"


def test_warnings_are_told_beside_problems(known: Catalogue, whole: str) -> None:
    text = whole.replace("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z").replace("poll: 60s", "poll: often")
    examined = examine_text(text, known=known, environ={}, now=NOW)
    assert [problem.path for problem in examined.problems] == ["systems.web-eu.poll"]
    assert [warning.path for warning in examined.warnings] == ["systems.web-eu.cut_over"]


def test_only_of_a_state_the_newest_alone_may_be_sent(changed: Changed, whole: str, known: Catalogue) -> None:
    """An order left out would be lost."""
    problem = only(changed("when_down: critical", "when_down: latest_only")[0])
    assert (problem.path, problem.expected) == ("flows[0].when_down", "critical or defer")
    assert problem.hint.startswith("odoo.accept_order is not about a state of which only the newest matters")
    erp = known.connectors["odoo"]
    states = replace(erp, operations=tuple(replace(o, state=True) for o in erp.operations))
    stateful = Catalogue.of([known.connectors["woocommerce"], states], known.events)
    text = whole.replace("when_down: critical", "when_down: latest_only")
    assert examine_text(text, known=stateful, environ={}, require_secrets=False).problems == ()


def test_a_person_is_asked_each_time(changed: Changed) -> None:
    problem = only(changed("do: hub.ask", "do: hub.ask, when_down: latest_only")[0])
    assert (problem.path, problem.expected) == ("flows[3].when_down", "critical or defer")
