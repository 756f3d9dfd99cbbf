"""From bytes to data: what YAML is read, what is refused, and where the finger points."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.blueprint.examining import Look, only

from counterfoil.blueprint import BlueprintError, Catalogue, load
from counterfoil.blueprint.yamlread import read


def test_on_is_a_key_and_only_true_and_false_are_booleans() -> None:
    text = "on: yes\noff: no\ny: n\nNO: off\ntruth: true\nlie: false\n"
    data = {"on": "yes", "off": "no", "y": "n", "NO": "off", "truth": True, "lie": False}
    assert read(text, "x.yaml").data == data


def test_numbers_that_are_not_plain_and_times_stay_text() -> None:
    texts = "007 1e3 1_000 0x10 1.50 12:30 2026-11-01 2026-11-01T00:00:00Z +1 .5 99999999999999999999".split()
    assert read(f"[1, -2, 0, {', '.join(texts)}]", "x.yaml").data == [1, -2, 0, *texts]


def test_quotes_make_text() -> None:
    assert read("""["1", 'true', "~", '']""", "x.yaml").data == ["1", "true", "~", ""]


def test_nothing_can_be_said_in_four_ways() -> None:
    assert read("{a: , b: ~, c: null, d: Null}", "x.yaml").data == dict.fromkeys("abcd")


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read("\ufeffa: 1".encode(), "x.yaml").data == {"a": 1}


def test_windows_line_ends_count_as_one_line(look: Look, whole: str) -> None:
    text = whole.replace("poll: 60s", "poll: often").replace("\n", "\r\n")
    assert [problem.line for problem in look(text.encode()).problems] == [12]


@pytest.mark.parametrize(
    ("text", "line", "found", "hint"),
    [
        ("", 1, "an empty file", ""),
        ("# nothing yet\n", 1, "an empty file", ""),
        ("a:\n\tb: 1", 2, "text that is not valid YAML", "indent with spaces, not tabs"),
        ("a: 1\nb: [1, 2\nc: 3", 3, "text that is not valid YAML", "expected ',' or ']'"),
        ("a: 1\nb: 'open\nc: 3", 2, "text that is not valid YAML", "unexpected end of stream"),
        ("a: b: c", 1, "text that is not valid YAML", "put the text in quotes"),
        ("a: 1\nb: @x", 2, "text that is not valid YAML", "put the text in quotes"),
        ("a: {b: ${NAME}}", 1, "text that is not valid YAML", 'between { and } write "${NAME}" in quotes'),
        ("a:\n - {method: *, b: 1}", 2, "text that is not valid YAML", 'write "*" in quotes'),
        ("a: 1\n--- \nb: 2", 2, "text that is not valid YAML", "expected a single document"),
        ('a: "\\UFFFFFFFF"', 1, "text that is not valid YAML", "int"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", 1, "an anchor (&) or alias (*)", "write the value out"),
        ("a: *all", 1, "an anchor (&) or alias (*)", 'or "*" in quotes'),
        ("a: 1\nb: !!python/object/apply:os.system [x]", 2, "a tag (!)", "put the text in quotes"),
        ("a: !!binary aGk=", 1, "a tag (!)", "put the text in quotes"),
        ("[" * 100_000, 1, "something nested deeper than 12 levels", ""),
        ("a: " + "{b: " * 50, 1, "something nested deeper than 12 levels", ""),
        ("a: 1\nb: \x07", 2, "the character U+0007", ""),
        ("a: \ud800", 1, "the character U+D800", ""),
        (b"a: 1\nb: caf\xe9\n", 2, "the byte 0xe9, which is not UTF-8", "save the file as UTF-8"),
        ("a: 1".encode("utf-16"), 1, "the byte 0xff, which is not UTF-8", "save the file as UTF-8"),
        ("a: " + "x" * 1_000_000, 1, "more than 1 MB", ""),
        (b"a: " + b"x" * 1_000_000, 1, "more than 1 MB", ""),
        ("- a\n- b", 1, "a list", ""),
        ("just text", 1, '"just text"', ""),
        ("~", 1, "nothing", ""),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str | bytes) else str(value),
)
def test_what_is_no_blueprint_at_all_is_told_in_one_clear_problem(
    look: Look, text: str | bytes, line: int, found: str, hint: str
) -> None:
    problem = only(look(text))
    assert (problem.file, problem.line, problem.found) == ("shop.yaml", line, found)
    assert problem.expected
    assert hint in problem.hint


def test_a_key_given_twice_is_an_error_at_the_second(look: Look, whole: str) -> None:
    text = whole.replace("    poll: 60s\n", "    poll: 60s\n    poll: 90s\n")
    (problem,) = look(text).problems
    assert (problem.line, problem.path) == (13, "systems.web-eu.poll")
    assert (problem.found, problem.expected) == ('the key "poll" twice', "each key once")
    assert problem.hint == "first on line 12"


def test_a_whole_system_given_twice_is_an_error_too(look: Look, whole: str) -> None:
    text = whole.replace("owners:\n", "  odoo: {connector: odoo}\nowners:\n")
    (problem,) = look(text).problems
    assert (problem.line, problem.path, problem.found) == (20, "systems.odoo", 'the key "odoo" twice')


def test_a_key_that_is_a_list_is_an_error(look: Look, whole: str) -> None:
    (problem,) = look(whole + "? [a, b]\n: c\n").problems
    assert problem.line == len(whole.splitlines()) + 1
    assert (problem.found, problem.expected) == ("a list or mapping as a key", "text as a key")


@pytest.mark.parametrize("merge", ["<<: {poll: 90s}", "=: 1"])
def test_merge_keys_are_keys_like_others_and_unknown(look: Look, whole: str, merge: str) -> None:
    (problem,) = look(whole.replace("    poll: 60s\n", f"    {merge}\n")).problems
    assert problem.line == 12
    assert problem.found.startswith("the unknown key")


def test_a_problem_of_a_list_points_at_its_key_and_of_a_value_at_the_value(look: Look, whole: str) -> None:
    (problem,) = look(whole.replace("database: prod", "database:\n      - prod")).problems
    assert (problem.line, problem.column) == (18, 5)
    (problem,) = look(whole.replace("poll: 60s", "poll:\n      often")).problems
    assert (problem.line, problem.column) == (13, 7)


def test_what_was_found_is_shown_short_and_on_one_line(look: Look, whole: str) -> None:
    (problem,) = look(whole.replace("poll: 60s", 'poll: "a\\nb\\e' + "x" * 500 + '"')).problems
    assert problem.found.startswith('"a\\nb\\u001b')
    assert len(problem.found) < 90
    assert "\n" not in str(problem)


@pytest.mark.parametrize(
    ("place", "found", "hint"),
    [
        ("missing.yaml", "no such file", "No such file or directory"),
        (".", "a file that cannot be read", "Is a directory"),
        ("nul\0.yaml", "a file that cannot be read", "null byte"),
    ],
)
def test_a_file_that_cannot_be_opened_is_named(
    tmp_path: Path, known: Catalogue, place: str, found: str, hint: str
) -> None:
    with pytest.raises(BlueprintError) as raised:
        load(tmp_path / place, known=known)
    (problem,) = raised.value.problems
    assert (problem.file, problem.line) == (str(tmp_path / place), 0)
    assert (problem.found, problem.expected) == (found, "a blueprint in YAML")
    assert hint in problem.hint


def test_a_blueprint_is_loaded_from_its_file(
    tmp_path: Path, known: Catalogue, environ: dict[str, str], whole: str
) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(whole, encoding="utf-8")
    assert list(load(path, known=known, environ=environ).systems) == ["web-eu", "odoo"]
    assert load(str(path), known=known, environ=environ) == load(path, known=known, environ=environ)


def test_a_file_above_the_limit_is_refused(tmp_path: Path, known: Catalogue) -> None:
    path = tmp_path / "shop.yaml"
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(BlueprintError, match="more than 1 MB"):
        load(path, known=known)
