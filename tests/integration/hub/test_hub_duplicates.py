"""Duplicates within one system: grouped by the declared rule, each once, with what the hub knows of each record."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from counterfoil.hub import duplicates, records
from counterfoil.hub.duplicates import Group, groups
from counterfoil.hub.matching import Thing
from counterfoil.hub.store import Store
from counterfoil.retail.events import Event, at_utc, hashed_ref

KINDS = ("email", "phone")
PLACE = {"street": "12 rue de la Paix", "postcode": "75002", "city": "Paris"}


def thing(id_: str, name: str = "", **keys: str) -> Thing:
    return Thing(id_, keys, told={"name": name, **PLACE} if name else {})


def test_the_same_key_makes_a_group_and_the_first_one_says_why() -> None:
    people = [thing("3", email="a", phone="1"), thing("1", email="a", phone="1"), thing("2", email="b")]
    assert groups(people, KINDS, {}) == [Group("same_key", "email", ("1", "3"))]


def test_a_shared_telephone_beside_other_addresses_is_no_duplicate_for_sure() -> None:
    people = [thing("1", email="a", phone="1"), thing("2", email="b", phone="1"), thing("3", phone="1")]
    assert groups(people, KINDS, {}) == [Group("keys_disagree", "phone", ("1", "2", "3"))]


def test_who_is_much_alike_is_told_unless_a_key_has_told_already() -> None:
    least = {"name": 0.85, "address": 0.9}
    people = [thing("1", "Anna Müller", email="a"), thing("2", "Anna Mueller"), thing("3", "Anna Müller", email="a")]
    found = groups(people, KINDS, least)
    assert [(g.reason, g.ids) for g in found] == [
        ("same_key", ("1", "3")),
        ("candidate", ("1", "2")),
        ("candidate", ("2", "3")),
    ]


def test_what_was_told_apart_is_not_told_again() -> None:
    people = [thing("1", email="a"), thing("2", email="a"), thing("3", email="a")]
    assert groups(people[:2], KINDS, {}, {("1", "2")}) == []
    assert groups(people, KINDS, {}, {("1", "2"), ("1", "3")}) == [Group("same_key", "email", ("2", "3"))]


@given(st.lists(st.dictionaries(st.sampled_from(KINDS), st.sampled_from("abc"), max_size=2), max_size=8))
def test_every_two_that_share_a_key_are_in_one_group_and_the_order_is_nothing(keys: list[dict[str, str]]) -> None:
    people = [Thing(str(n), k) for n, k in enumerate(keys)]
    found = groups(people, KINDS, {})
    assert groups(people[::-1], KINDS, {}) == found
    for one in people:
        for other in people:
            if one.id < other.id and any(one.keys.get(k) == other.keys.get(k, "") for k in KINDS):
                assert any({one.id, other.id} <= set(group.ids) for group in found)
    for group in found:
        assert len({people[int(i)].keys[group.by] for i in group.ids}) == 1


async def test_which_of_them_has_links_and_orders_is_told(store: Store) -> None:
    async with store.write() as connection:
        await records.keep_links(connection, store, "odoo", {"web:customer:9": "1", "web:variant:8": "2"})
        await records.keep_links(connection, store, "crm", {"odoo:customer:2": "x"})
        facts = (
            (1, "order.placed"),
            (2, "order.placed"),
            (2, "order.placed"),
            (2, "order.paid"),
            (9, "customer.changed"),
        )
        for n, (number, type_) in enumerate(facts):
            subject = f"web:{type_.partition('.')[0]}:{number}"
            event = Event(
                **{"id": str(n), "type": type_, "source": "web", "subject": subject, "key": subject},
                **{"time": at_utc(number), "correlation": subject, "data": {}},
                refs=(("email", hashed_ref("a@x.example")),),
            )
            await records.keep_events(connection, store, [event])
    known = await duplicates.known(store, "odoo", "customer", {"1": "a@x.example", "2": "", "3": "b@x.example"})
    assert {i: (one.links, one.orders) for i, one in known.items()} == {
        "1": (["web 9"], 2),
        "2": (["crm x"], 0),
        "3": ([], 0),
    }
