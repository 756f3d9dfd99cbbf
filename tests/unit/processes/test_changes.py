"""Stock, products and customers: a state that differs is a fact, and the fact carries all of the state."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import ERP, stock_level

from counterfoil.hub.contract import Observed
from counterfoil.hub.receipts import IMPORT
from counterfoil.hub.records import Known
from counterfoil.processes.changes import changes, retells
from counterfoil.retail.entity import Entity
from counterfoil.retail.events import Event
from counterfoil.retail.party import Account, Customer
from counterfoil.retail.product import Product, Variant

READ = "2026-11-02T10:00:00Z"


def told(
    kind: str, state: Entity, known: Known | None = None, origin: str = "poll", read_at: str = READ
) -> list[Event]:
    """The events of a state that is news."""
    return list(changes(ERP, kind).interpret(known, Observed(kind, "1", read_at, state), origin).events)


def test_the_first_sight_of_a_stock_is_news() -> None:
    (event,) = told("stock", stock_level(5))
    assert (event.type, event.subject, event.key, event.source) == (
        "stock.changed",
        "erp:variant:1",
        "erp:variant:1",
        ERP,
    )
    assert event.data == {"stock": stock_level(5).model_dump(mode="json")}
    assert event.time == datetime(2026, 11, 2, 10, tzinfo=UTC)
    assert ("sku", "MUG-1") in event.refs


def test_products_are_found_by_all_their_skus_and_gtins() -> None:
    variants = (Variant(id="1", sku="MUG-R", gtin="4006381333931"), Variant(id="2", sku="MUG-B"))
    (event,) = told("product", Product(system=ERP, id="17", name="Mug", variants=variants))
    assert (event.type, event.subject) == ("product.changed", "erp:product:17")
    assert set(event.refs) == {("sku", "MUG-R"), ("sku", "MUG-B"), ("gtin", "4006381333931")}


def test_a_customer_is_found_by_the_e_mail_and_the_e_mail_is_not_seen() -> None:
    account = Account(system=ERP, id="12", customer=Customer(email="Ada@Example.org"))
    (event,) = told("customer", account)
    assert (event.type, event.subject) == ("customer.changed", "erp:customer:12")
    assert "example" not in str(event.refs).lower()


def test_a_customer_that_was_only_touched_is_no_news() -> None:
    process = changes(ERP, "customer")
    touched = [
        Observed("customer", "12", READ, Account(system=ERP, id="12", customer=Customer(), modified_at=moment))
        for moment in (datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC))
    ]
    assert process.digest(touched[0]) == process.digest(touched[1])


def test_an_import_keeps_the_state_and_tells_nobody() -> None:
    assert told("stock", stock_level(5), origin=IMPORT) == []


def test_a_state_whose_version_is_no_time_happened_now() -> None:
    (event,) = told("stock", stock_level(5), read_at="17")
    assert abs((datetime.now(UTC) - event.time).total_seconds()) < 60


@given(st.lists(st.sampled_from([3, 5]), min_size=1, max_size=8))
def test_each_change_is_a_fact_of_its_own_even_within_one_second(quantities: list[int]) -> None:
    """Up and down and up again: no event is taken for an earlier one. case: F06"""
    process, known, ids = changes(ERP, "stock"), None, []
    for quantity in quantities:
        observed = Observed("stock", "1", READ, stock_level(quantity))
        if known is not None and process.digest(observed) == known.digest:
            continue
        decision = process.interpret(known, observed, "poll")
        ids += [e.id for e in decision.events]
        known = Known(READ, process.digest(observed), observed.state.model_dump(mode="json"), decision.stage)
    assert len(ids) == len(set(ids)) == 1 + sum(a != b for a, b in pairwise(quantities))


def test_the_stock_of_new_articles_is_told_again() -> None:
    retell = retells()["product.published"]
    (cause,) = told("product", Product(system=ERP, id="17", name="Mug", variants=()))
    cause = cause.model_copy(update={"type": "product.published", "data": {"new_articles": ["erp:variant:1"]}})
    assert retell.about(cause) == ["erp:variant:1"]
    event = retell.tell(cause, ERP, stock_level(5).model_dump(mode="json"))
    assert (event.type, event.source, event.subject) == ("stock.changed", ERP, "erp:variant:1")
    assert (event.causation, event.data["stock"]["sku"]) == (cause.id, "MUG-1")
    assert event.id != told("stock", stock_level(5))[0].id


def test_a_product_without_new_articles_retells_nothing() -> None:
    (cause,) = told("product", Product(system=ERP, id="17", name="Mug", variants=()))
    assert retells()["product.published"].about(cause) == []


def test_an_order_that_moved_the_channels_stock_has_its_articles_told_again() -> None:
    retell = retells()["order.told"]
    (cause,) = told("product", Product(system=ERP, id="17", name="Mug", variants=()))
    for data, moved in (({"stock_moved": True}, True), ({}, False), ({"stock_moved": "no"}, False)):
        assert retell.of_order(cause.model_copy(update={"data": data})) is moved
    assert retell.about(cause) == ()
