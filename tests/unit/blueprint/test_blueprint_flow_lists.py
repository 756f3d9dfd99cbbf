"""A flow on a list of events is one flow each; what is wrong with one is told with its own line."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.blueprint.examining import Changed, good

from counterfoil.blueprint import Catalogue, OperationInfo, examine_text

ROW = "  - {on: order.cancelled, do: odoo.cancel_order}\n"


def test_a_list_of_events_is_one_flow_each_in_order(changed: Changed) -> None:
    examined, _ = changed(ROW, ROW.replace("order.cancelled", "[order.cancelled, order.refunded]"))
    assert examined.problems == ()
    blueprint = good(examined)
    flows = [(flow.on, flow.do) for flow in blueprint.flows]
    assert flows[1:3] == [("order.cancelled", "odoo.cancel_order"), ("order.refunded", "odoo.cancel_order")]
    assert len(flows) == 5
    assert [f.do for f in blueprint.flows_on("order.refunded", "web-eu")] == ["odoo.cancel_order"]


@pytest.mark.parametrize(
    ("events", "line", "path", "found"),
    [
        ("\n    - order.cancelled\n    - order.nonsense", 2, "flows[1].on[1]", '"order.nonsense"'),
        ("\n    - order.cancelled\n    - 7", 2, "flows[1].on[1]", "7"),
        ("\n    - order.cancelled\n    - ", 2, "flows[1].on[1]", "nothing"),
        ("\n    - order.cancelled\n    - order.refunded\n    - order.cancelled", 3, "flows[1].on[2]", None),
        ("\n    - order.cancelled\n    - order.changed", 2, None, None),
        (" []", 0, "flows[1].on", "a list"),
    ],
    ids=["unknown", "a number", "nothing", "twice", "fine", "empty"],
)
def test_what_is_wrong_with_one_event_is_told_at_its_line(
    changed: Changed, events: str, line: int, path: str | None, found: str | None
) -> None:
    examined, first = changed(ROW, f"  - on:{events}\n    do: odoo.cancel_order\n")
    if path is None:
        assert examined.problems == ()
        return
    (problem,) = examined.problems
    assert (problem.line, problem.path) == (first + line, path)
    if found:
        assert problem.found == found
    else:
        assert problem.hint == f"the first is flows[1].on[0] on line {first + 1}"


def test_what_is_wrong_with_the_row_is_told_once(changed: Changed) -> None:
    row = ROW.replace("order.cancelled", "[order.cancelled, order.refunded]").replace("odoo.cancel", "odoo.cancle")
    examined, line = changed(ROW, row.replace("}", ", within: soon, whn: 1s}"))
    assert sorted(p.path for p in examined.problems) == ["flows[1].do", "flows[1].whn", "flows[1].within"]
    assert {p.line for p in examined.problems} == {line}


def test_a_loop_through_a_list_is_found(known: Catalogue, whole: str) -> None:
    text = whole.replace("on: order.changed, do: hub.ask", "on: [order.changed, order.noted], do: odoo.accept_order")
    (problem,) = examine_text(text, known=known, environ={}).problems
    assert problem.path == "flows[2].do"
    assert problem.found == "order.accepted → web-eu.note_order → order.noted → odoo.accept_order → order.accepted"


def test_what_an_erp_says_of_an_order_is_also_from_its_shop(known: Catalogue, whole: str) -> None:
    """`from: web-eu` finds what happened to web-eu's orders in Odoo, so no warning; a stock level has no shop."""
    odoo = replace(known.connectors["odoo"], events=frozenset({"shipment.dispatched", "stock.changed"}))
    both = Catalogue.of(
        [known.connectors["woocommerce"], odoo], known.events | {"shipment.dispatched", "stock.changed"}
    )
    flow = "  - {on: shipment.dispatched, from: web-eu, do: web-eu.note_order}\norders:\n"
    assert examine_text(whole.replace("orders:\n", flow), known=both, environ={}).warnings == ()
    stock = flow.replace("shipment.dispatched", "stock.changed")
    (warning,) = examine_text(whole.replace("orders:\n", stock), known=both, environ={}).warnings
    assert (warning.path, warning.hint) == ("flows[4].on", "this flow would never be set off")


def test_a_loop_over_the_shop_of_the_order_is_found(known: Catalogue, whole: str) -> None:
    """order.accepted comes from Odoo, and yet `from: web-eu` is set off by it."""
    shop = known.connectors["woocommerce"]
    shop = replace(shop, operations=(OperationInfo("note_order", "order", ("order.changed",)),))
    text = whole.replace("on: order.accepted, do:", "on: order.accepted, from: web-eu, do:")
    text = text.replace("{on: order.changed, do: hub.ask}", "{on: order.changed, do: odoo.accept_order}")
    catalogue = Catalogue.of([shop, known.connectors["odoo"]], known.events)
    assert [p.path for p in examine_text(text, known=catalogue, environ={}).problems] == ["flows[2].do"]


def test_a_promise_is_held_against_the_poll_of_the_connector_where_none_is_declared(
    known: Catalogue, whole: str
) -> None:
    text = whole.replace("    webhook_secret: ${WEB_HOOK}\n", "").replace("    poll: 60s\n", "")
    slow = replace(known.connectors["woocommerce"], poll=timedelta(minutes=3))
    examined = examine_text(text, known=Catalogue.of([slow, known.connectors["odoo"]], known.events), environ={})
    (warning,) = examined.warnings
    assert (warning.path, warning.expected) == ("flows[0].within", "at least 3m, the poll of web-eu")
    assert examine_text(text, known=known, environ={}).warnings == (), "60s is kept by the usual 60s"
