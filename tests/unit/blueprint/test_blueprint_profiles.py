"""Profiles: what is otherwise for test or production, merged key by key and checked as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.blueprint.examining import good, only

from counterfoil.blueprint import Catalogue, Examined, as_data, examine, examine_text
from counterfoil.blueprint.profiles import MOST, declared

TEST = """\
profiles:
  test:
    systems: {web-eu: {url: "https://test.example", webhook_secret: ~}}
    payments:
      - {method: any, journal: TEST}
    orders: {pending: quotation}
  production: {}
"""
Looked = tuple[Catalogue, dict[str, str]]


@pytest.fixture
def looked(known: Catalogue, environ: dict[str, str]) -> Looked:
    """What a blueprint is examined with."""
    return known, environ


def seen(looked: Looked, text: str, profile: str = "") -> Examined:
    known, environ = looked
    return examine_text(text, known=known, environ=environ, require_secrets=True, file="shop.yaml", profile=profile)


def test_a_profile_changes_what_it_names_and_nothing_else(looked: Looked, whole: str) -> None:
    before = good(seen(looked, whole))
    after = good(seen(looked, whole + TEST, "test"))
    assert after.systems["web-eu"].url == "https://test.example"
    assert "webhook_secret" not in after.systems["web-eu"].settings
    assert after.systems["web-eu"].poll == before.systems["web-eu"].poll
    assert [row.journal for row in after.payments] == ["TEST"]
    assert (after.orders.pending, after.orders.rounding_tolerance) == ("quotation", 5)
    assert (after.flows, after.taxes, after.systems["odoo"]) == (before.flows, before.taxes, before.systems["odoo"])


@pytest.mark.parametrize("profile", ["", "production"])
def test_without_it_or_with_an_empty_one_nothing_is_otherwise(looked: Looked, whole: str, profile: str) -> None:
    assert as_data(good(seen(looked, whole + TEST, profile))) == as_data(good(seen(looked, whole)))


def test_what_is_wrong_in_a_profile_is_told_at_its_own_line(looked: Looked, whole: str) -> None:
    text = whole + TEST.replace('"https://test.example"', "test.example")
    problem = only(seen(looked, text, "test"))
    assert problem.line == text.splitlines().index(next(x for x in text.splitlines() if "test.example" in x)) + 1
    assert (problem.path, problem.found) == ("systems.web-eu.url", '"test.example"')
    good(seen(looked, text))


def test_an_unknown_profile_is_refused_with_those_there_are(looked: Looked, whole: str) -> None:
    problem = only(seen(looked, whole + TEST, "tets"))
    assert (problem.found, problem.hint) == ("test, production", 'did you mean "test"?')
    alone = only(seen(looked, whole, "staging"))
    assert alone.line > 0
    assert ".staging.yaml" in alone.hint


@pytest.mark.parametrize("profile", ["", "test", "production"])
@pytest.mark.parametrize("where", ["base", "test"])
def test_a_secret_written_out_is_refused_wherever_it_stands(
    looked: Looked, whole: str, where: str, profile: str
) -> None:
    """Also where the chosen profile would have put a reference in its place."""
    other = TEST.replace("webhook_secret: ~", "consumer_key: ${OTHER}")
    text = whole + other.replace("${OTHER}", '"${WEB_SECRET}"')
    if where == "base":
        text = text.replace("consumer_key: ${WEB_KEY}", "consumer_key: ck_secret")
    else:
        text = text.replace('"${WEB_SECRET}"', "ck_secret")
    problem = only(seen(looked, text, profile))
    assert (problem.path, problem.found) == ("systems.web-eu.consumer_key", "a value written out")
    assert "ck_secret" in text.splitlines()[problem.line - 1]
    assert "ck_secret" not in str(problem)


@pytest.mark.parametrize(
    ("profiles", "expected"),
    [
        ("profiles: [test]", "a mapping of names"),
        ("profiles: {test: 1}", "a mapping with the keys that differ"),
        ("profiles: {'a b': {}}", "a name of letters"),
        ("profiles: {test: {profiles: {}}}", "other keys"),
        ("profiles: {" + ", ".join(f"p{n}: {{}}" for n in range(MOST + 1)) + "}", f"at most {MOST} profiles"),
    ],
)
def test_what_is_no_profile_is_told(looked: Looked, whole: str, profiles: str, expected: str) -> None:
    problem = only(seen(looked, f"{whole}{profiles}\n"))
    assert expected in problem.expected
    assert problem.line == len(whole.splitlines()) + 1


def test_a_profile_beside_the_file_comes_last_and_names_its_own_file(
    looked: Looked, whole: str, tmp_path: Path
) -> None:
    known, environ = looked
    file, beside = tmp_path / "shop.yaml", tmp_path / "shop.test.yaml"
    file.write_text(whole + TEST)
    beside.write_text('systems:\n  web-eu:\n    url: "https://beside.example"\n    overlap: 5m\n')
    found = good(examine(file, known=known, environ=environ, profile="test"))
    assert found.systems["web-eu"].url == "https://beside.example"
    assert [row.journal for row in found.payments] == ["TEST"]
    assert declared(file) == ["test", "production"]
    beside.write_text("systems:\n  web-eu:\n    overlap: long\n")
    problem = only(examine(file, known=known, environ=environ, profile="test"))
    assert (problem.file, problem.line, problem.path) == (str(beside), 3, "systems.web-eu.overlap")
    good(examine(file, known=known, environ=environ, profile="production"))


@pytest.mark.parametrize(("text", "found"), [("[", "not valid YAML"), ("- a", "a list"), ("", "an empty file")])
def test_a_file_beside_that_is_no_profile_is_told(
    looked: Looked, whole: str, tmp_path: Path, text: str, found: str
) -> None:
    known, environ = looked
    file = tmp_path / "shop.yaml"
    file.write_text(whole)
    (tmp_path / "shop.test.yaml").write_text(text)
    problem = only(examine(file, known=known, environ=environ, profile="test"))
    assert found in problem.found
    assert problem.file.endswith("shop.test.yaml")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("{sections: [owner]}", 'did you mean "owners"?'),
        ("{sections: [store]}", "a section: one of appointments, approvals"),
        ("{sections: [owners, owners]}", "a list of sections"),
        ("{sections: [owners], by: anna}", "a list of names"),
    ],
)
def test_rules_of_approval_that_cannot_be_kept_are_told(looked: Looked, whole: str, rules: str, expected: str) -> None:
    problem = only(seen(looked, f"{whole}approvals: {rules}\n"))
    assert expected in str(problem)


@pytest.mark.parametrize("rules", ["{sections: [owners], by: [anna]}", "{by: [anna, bob]}"])
def test_rules_of_approval_that_are_hardly_meant_are_warned_of(looked: Looked, whole: str, rules: str) -> None:
    assert [w.path for w in seen(looked, f"{whole}approvals: {rules}\n").warnings] == ["approvals.by"]
