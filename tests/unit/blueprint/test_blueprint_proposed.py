"""A blueprint that is proposed as text tells nothing of the hub's environment, but what is in force anyway."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import CATALOGUE, FLOWS

from counterfoil.blueprint import Blueprint, as_data, parse
from counterfoil.blueprint.load import Examined
from counterfoil.blueprint.proposed import FILE, examined, profiles_in

SYSTEMS = 'systems:\n  shop: {connector: fake, url: "URL"}\n  erp: {connector: fake}\n'
NAMES = st.text("abcdefghijklmnop", min_size=12, max_size=16)


def text_of(url: str = "https://shop.example", more: str = "") -> str:
    return f"counterfoil: 1\n{SYSTEMS.replace('URL', url)}flows:\n{FLOWS}{more}"


def running(url: str = "https://shop.example", more: str = "", **environ: str) -> Blueprint:
    return parse(text_of(url, more), known=CATALOGUE, environ=environ)


def look(text: str, in_force: Blueprint, profile: str | None = None, **environ: str) -> Examined:
    return examined(text, known=CATALOGUE, in_force=in_force, environ=environ, profile=profile)


@given(NAMES, NAMES)
def test_a_variable_is_what_is_in_force_there_or_a_problem_that_names_the_line_and_never_its_value(
    host: str, other: str
) -> None:
    text = text_of("https://${HOST}", "public_url: https://${OTHER}\n")
    environ = {"HOST": host, "OTHER": other}
    found = look(text, running("https://${HOST}", **environ), **environ)
    assert found.blueprint is None
    (problem,) = found.problems
    assert (problem.file, problem.path, problem.line) == (FILE, "public_url", text.count("\n"))
    assert "counterfoil blueprint propose" in problem.hint
    assert host == other or other not in repr(found)

    found = look(text, running("https://${HOST}", "public_url: https://${OTHER}\n", **environ), **environ)
    assert found.blueprint is not None
    assert f"https://{other}" in json.dumps(as_data(found.blueprint))


def test_what_is_wrong_is_said_as_ever_and_what_cannot_be_read_too() -> None:
    in_force = running()
    wrong = look(text_of(more="retentoin: {}\n"), in_force)
    assert [(p.line, p.hint) for p in wrong.problems] == [(9, 'did you mean "retention"?')]
    assert look("flows: [", in_force).problems[0].file == FILE
    assert profiles_in("flows: [") == []
    assert look(text_of(), in_force).blueprint is not None


def test_a_profile_of_the_text_counts_and_so_does_what_is_in_force_with_it() -> None:
    environ = {"HOST": "test.shop.example"}
    text = text_of(more='profiles: {test: {systems: {shop: {url: "https://${HOST}"}}}}\n')
    assert profiles_in(text) == ["test"]
    in_force = running("https://test.shop.example")
    found = look(text, in_force, "test", **environ)
    assert found.blueprint is not None
    assert found.blueprint.systems["shop"].url == "https://test.shop.example"
    assert look(text, running("https://elsewhere.example"), "test", **environ).blueprint is None
    plain = look(text, in_force, **environ).blueprint
    assert plain is not None
    assert plain.systems["shop"].url == "https://shop.example"
