"""What differs between two blueprints is told by meaning: who, what, from which value to which."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.blueprint.examining import Look, good

from counterfoil.blueprint import as_data
from counterfoil.blueprint.difference import differences, digest, in_words, operating_model

Change = tuple[str, str]


def told(look: Look, whole: str, *changes: Change) -> list[str]:
    """What is said of the whole blueprint before and after these replacements."""
    text = whole
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return [str(c) for c in differences(as_data(good(look(whole))), as_data(good(look(text))))]


def test_the_same_blueprint_written_otherwise_does_not_differ(look: Look, whole: str) -> None:
    otherwise = yaml.safe_dump(yaml.safe_load(whole.replace("on: order", '"on": order')), sort_keys=True)
    assert otherwise != whole
    first, second = as_data(good(look(whole))), as_data(good(look(otherwise)))
    assert differences(first, second) == ()
    assert digest(first) == digest(second)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("    poll: 60s\n", "    poll: 2m\n"), "changed  systems.web-eu.poll: 1m → 2m"),
        (("order: web-eu", "order: odoo"), "changed  owners.order: web-eu → odoo"),
        (("    within: 60s\n", ""), "removed  flows: on order.placed, from web-eu, do odoo.accept_order: within: 1m"),
        (
            ("{on: order.cancelled, do", "{on: order.refunded, do"),
            "removed  flows: on order.cancelled, do odoo.cancel_order: when_down defer, on_exception hold",
        ),
        (("{rate: 5.5, odoo: 7}", "{rate: 5.5, odoo: 8}"), "changed  taxes: rate 5.5: odoo: 7 → 8"),
        (("{rate: 5.5, odoo: 7}", '{rate: 5.5, odoo: "7"}'), 'changed  taxes: rate 5.5: odoo: 7 → "7"'),
        (
            ('{method: "*", journal: BNK2}', '{method: "*", journal: B3}'),
            "changed  payments: method *: journal: BNK2 → B3",
        ),
        (("bug: integration-engineer", "bug: anna"), "changed  exceptions.bug: integration-engineer → anna"),
    ],
)
def test_a_change_is_told_where_it_is_and_what_it_was(look: Look, whole: str, change: Change, said: str) -> None:
    assert said in told(look, whole, change)


def test_a_secret_is_told_by_its_reference_only(look: Look, whole: str) -> None:
    said = told(look, whole, ("api_key: ${ODOO_KEY}", "api_key: ${WEB_KEY}"))
    assert said == ["changed  systems.odoo.api_key: ${ODOO_KEY} → ${WEB_KEY}"]
    assert in_words({"file": "secrets/key"}) == "{file: secrets/key}"


def test_rows_in_another_order_are_told_once(look: Look, whole: str) -> None:
    lines = "  - {on: order.accepted, do: web-eu.note_order}\n", "  - {on: order.changed, do: hub.ask}\n"
    said = told(look, whole, ("".join(lines), "".join(reversed(lines))))
    assert len(said) == 1
    assert said[0].startswith("changed  flows: their order: ")


def test_a_system_that_was_not_there_is_added_by_name(look: Look, whole: str) -> None:
    second = '  spare: {connector: odoo, url: https://two.example, database: x, api_key: "${ODOO_KEY}"}\nowners:\n'
    said = told(look, whole, ("owners:\n", second))
    expected = (
        "added    systems.spare: connector odoo, url https://two.example, overlap 2m, database x, api_key ${ODOO_KEY}"
    )
    assert said == [expected]


def test_rows_where_there_were_none_are_named_one_by_one() -> None:
    new = {"taxes": [{"rate": "20", "odoo": 1}, {"rate": "5.5", "odoo": 2}]}
    for empty in ({}, {"taxes": []}, {"taxes": None}):
        assert [c.what for c in differences(empty, new)] == ["taxes: rate 20", "taxes: rate 5.5"]
        assert [c.how for c in differences(new, empty)] == ["removed", "removed"]


def test_where_a_process_runs_is_no_part_of_the_operating_model(look: Look, whole: str) -> None:
    here = as_data(good(look(whole)))
    there = as_data(good(look(whole.replace("listen: 127.0.0.1:8470", "listen: 0.0.0.0:80"))))
    assert [str(c) for c in differences(here, there)] == ["changed  listen: 127.0.0.1:8470 → 0.0.0.0:80"]
    assert digest(here) == digest(there)


leaves = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "1", "a", "b"])
below = st.recursive(
    leaves,
    lambda some: (
        st.lists(some, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "file", "on"]), some, max_size=3)
    ),
    max_leaves=8,
)
SECTIONS = ["flows", "taxes", "owners", "mappings", "store"]
data = st.dictionaries(st.sampled_from(SECTIONS), below, max_size=4)


@given(data, data)
def test_nothing_is_told_only_where_nothing_differs(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Whatever shape the sections have, also those that come later."""
    changes = differences(one, other)
    assert changes or filled(one) == filled(other)
    assert len(differences(other, one)) == len(changes)
    assert (digest(one) != digest(other)) or not differences(operating_model(one), operating_model(other))
    for change in changes:
        assert change.old != change.new
        assert change.section in change.what


def filled(value: Any) -> Any:
    """Without nothing and without empty sections, which say the same; true is not 1."""
    if isinstance(value, dict):
        below = {key: filled(v) for key, v in value.items() if v is not None}
        return {key: v for key, v in below.items() if key not in SECTIONS or v not in ({}, [])}
    if isinstance(value, list):
        return [filled(v) for v in value]
    return (type(value).__name__, value)
