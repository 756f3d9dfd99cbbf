"""Owners under random edits: whatever is changed where, late, doubled or in another order, the owner's word stands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import ON_SQLITE, empty
from tests.owned_customers import ERP, OTHER, SHOP, Pair

from counterfoil.hub.store import Store

OWNERS = {"name": SHOP, "billing.street": SHOP, "company": SHOP, "phone": ERP, "vat": ERP, "billing.city": ERP}
RULE = "{{owner: shop, fields: {{phone: erp, vat: erp, billing.city: erp}}, otherwise: {}}}"
VALUES = ["1", "2", "3", ""]

Act = tuple[Any, ...]
SIDES = st.sampled_from([SHOP, ERP])
EDITS = st.tuples(st.just("edit"), SIDES, st.sampled_from(sorted(OWNERS)), st.sampled_from(VALUES))
RIDES = st.tuples(st.just("ride"), st.sampled_from(sorted(OWNERS)), st.sampled_from(VALUES))
SAYS = st.tuples(st.sampled_from(["say", "repeat"]), SIDES, st.integers(0, 5))
WORKS = st.just(("work",))
ACTS = st.lists(st.one_of(EDITS, EDITS, SAYS, SAYS, RIDES, WORKS), min_size=1, max_size=14)


async def carry_out(pair: Pair, acts: list[Act]) -> None:
    """Do it all, then let everything come to rest. To ride: the owner changes a field while we write another one."""
    for act, *rest in acts:
        if act == "work":
            await pair.work()
        elif act == "ride":
            pair.books[OWNERS[rest[0]]].riding.append(tuple(rest))
        elif act == "edit":
            system, field, value = rest
            if pair.books[system][field] != value:
                pair.books[system].edit(field, value)
        else:
            book, number = pair.books[rest[0]], rest[1]
            messages = book.unsaid if act == "say" else book.said
            if messages:
                await pair.hear(book.system, messages[number % len(messages)])
    await pair.settle()


@ON_SQLITE
@pytest.mark.parametrize("otherwise", ["revert", "drop", "ask"])
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(acts=ACTS, answers=st.booleans())
async def test_at_rest_the_owner_of_each_field_has_had_the_last_word(
    store: Store, otherwise: str, acts: list[Act], answers: bool
) -> None:
    """Random edits in both systems, random delays, repeats and reorderings. case: F37

    The ERP says what stands there after our write, or it does not, and is polled. The hub never writes a field at its
    owner. At rest both systems are equal in every field that was not last changed behind its owner's back, and with
    `revert` in all. No edit is written more than once.
    """
    await empty(store)
    pair = await Pair.at_rest(store, RULE.format(otherwise))
    had = {field: pair.books[owner][field] for field, owner in OWNERS.items()}
    pair.erp.answers = answers
    await carry_out(pair, acts)
    for field, owner in OWNERS.items():
        mine = [value for system, name, value in pair.edits if (system, name) == (owner, field)]
        assert pair.books[owner][field] == (mine[-1] if mine else had[field]), f"{field} was written at its owner"
        last = [system for system, name, _ in pair.edits if name == field][-1:]
        if otherwise == "revert" or last != [OTHER[owner]]:
            assert pair.shop[field] == pair.erp[field], field
    assert pair.shop.writes + pair.erp.writes <= len(pair.edits)
    if otherwise != "ask":
        assert await pair.exceptions() == []
