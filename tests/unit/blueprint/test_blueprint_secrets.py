"""Secrets never stand in a blueprint, and never show once they were looked up."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from tests.unit.blueprint.examining import Changed, Look, good

from counterfoil.blueprint import (
    Blueprint,
    Catalogue,
    Secret,
    SecretMissing,
    System,
    dump,
    examine_text,
    load,
    parse,
    render,
)


def test_a_secret_is_read_from_the_environment(look: Look, whole: str) -> None:
    assert good(look(whole)).systems["odoo"].secret("api_key") == "ok_0123456789"


@pytest.mark.parametrize(
    ("held", "secret"),
    [
        (b"s3cret", "s3cret"),
        (b"s3cret\n", "s3cret"),
        (b"s3cret\r\n", "s3cret"),
        (b"s3cret\n\n", "s3cret\n"),
        (b" s3cret \n", " s3cret "),
        ("gehëim\n".encode(), "gehëim"),
    ],
)
def test_a_secret_file_loses_one_trailing_newline_and_nothing_else(
    tmp_path: Path, changed: Changed, held: bytes, secret: str
) -> None:
    (tmp_path / "key").write_bytes(held)
    examined, _ = changed("${ODOO_KEY}", "{file: key}")
    assert good(examined).systems["odoo"].secret("api_key") == secret


def test_a_secret_file_is_looked_for_beside_the_blueprint(
    tmp_path: Path, known: Catalogue, environ: dict[str, str], whole: str
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "key").write_text("beside")
    (tmp_path / "shop.yaml").write_text(whole.replace("${ODOO_KEY}", "{file: run/key}"))
    assert load(tmp_path / "shop.yaml", known=known, environ=environ).systems["odoo"].secret("api_key") == "beside"


def test_the_path_of_a_secret_file_may_come_from_the_environment(
    tmp_path: Path, known: Catalogue, environ: dict[str, str], whole: str
) -> None:
    (tmp_path / "key").write_text("there")
    text = whole.replace("${ODOO_KEY}", '{file: "${CREDENTIALS}/key"}')
    blueprint = parse(text, known=known, environ=environ | {"CREDENTIALS": str(tmp_path)})
    assert blueprint.systems["odoo"].secret("api_key") == "there"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("ok_live_secret", "a value written out"),
        ('"prefix-${ODOO_KEY}"', "a value written out"),
        ("$ODOO_KEY", "a value written out"),
        ("12345678", "a value written out"),
        ("true", "a value written out"),
        ("[ok_live_secret]", "a list"),
        ("{file: a, other: ok_live_secret}", "a mapping"),
        ("{file: [ok_live_secret]}", "a mapping"),
    ],
)
def test_a_secret_written_out_is_an_error_that_does_not_repeat_it(changed: Changed, written: str, found: str) -> None:
    examined, line = changed("${ODOO_KEY}", written)
    (problem,) = examined.problems
    assert (problem.line, problem.path, problem.found) == (line, "systems.odoo.api_key", found)
    assert problem.expected == "${NAME} for an environment variable, or {file: path}"
    assert problem.hint == "a secret must not stand in the blueprint"
    assert "ok_live_secret" not in str(problem)
    assert "12345678" not in str(problem)


@pytest.mark.parametrize(("environ", "hint"), [({}, "ODOO_KEY is not set"), ({"ODOO_KEY": ""}, "ODOO_KEY is empty")])
def test_a_missing_variable_is_named_with_its_place(
    whole: str, known: Catalogue, environ: dict[str, str], hint: str
) -> None:
    text = whole.replace("${WEB_", "${ODOO_").replace("_SECRET}", "_KEY}").replace("_HOOK}", "_KEY}")
    examined = examine_text(text, known=known, environ=environ, require_secrets=True, file="shop.yaml")
    problem = examined.problems[-1]
    assert (problem.line, problem.path, problem.found) == (19, "systems.odoo.api_key", '"${ODOO_KEY}"')
    assert (problem.expected, problem.hint) == ("a secret in the environment variable ODOO_KEY", hint)
    assert len(examined.problems) == 4


def test_a_variable_that_is_not_text_is_an_error(known: Catalogue, environ: dict[str, str], whole: str) -> None:
    environ["ODOO_KEY"] = "\udcff"
    (problem,) = examine_text(whole, known=known, environ=environ, require_secrets=True).problems
    assert problem.expected == "UTF-8 text in the environment variable ODOO_KEY"


def test_a_secret_file_that_cannot_be_used_is_named_with_where_it_was_looked_for(
    tmp_path: Path, changed: Changed
) -> None:
    def complaint(path: str) -> tuple[str, str]:
        examined, line = changed("${ODOO_KEY}", "{file: " + path + "}")
        (problem,) = examined.problems
        assert (problem.line, problem.path) == (line, "systems.odoo.api_key")
        assert problem.found == f'{{file: "{path}"}}'
        return problem.expected, problem.hint

    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "huge").write_bytes(b"x" * 70_000)
    expected, hint = complaint("missing")
    assert expected == "a readable file"
    assert hint.startswith("looked for ")
    assert hint.endswith("No such file or directory")
    assert "missing" in hint
    assert complaint("folder") == ("a readable file", f'"{tmp_path}/folder" is not a file')
    assert complaint("/dev/zero") == ("a readable file", '"/dev/zero" is not a file')
    assert complaint("empty") == ("a secret in the file", f'"{tmp_path}/empty" is empty')
    assert complaint("binary") == ("UTF-8 text in the file", "")
    assert complaint("huge") == ("a secret of at most 64 kB", "")


def test_without_required_secrets_a_blueprint_can_be_checked_anywhere(known: Catalogue, whole: str) -> None:
    text = whole.replace("${WEB_KEY}", "{file: /nowhere/key}").replace("https://shop.example", "https://${SHOP}")
    blueprint = parse(text, known=known, environ={}, require_secrets=False)
    key = blueprint.systems["odoo"].settings["api_key"]
    assert isinstance(key, Secret)
    assert not key.resolved
    with pytest.raises(SecretMissing, match="ODOO_KEY"):
        blueprint.systems["odoo"].secret("api_key")
    assert blueprint.systems["web-eu"].url == "https://${SHOP}"


def test_a_secret_written_out_is_an_error_even_where_secrets_are_not_required(known: Catalogue, whole: str) -> None:
    text = whole.replace("${ODOO_KEY}", "ok_live_secret")
    (problem,) = examine_text(text, known=known, environ={}, require_secrets=False).problems
    assert problem.found == "a value written out"


def test_variables_are_filled_into_addresses_and_settings(
    known: Catalogue, environ: dict[str, str], whole: str
) -> None:
    text = (
        whole.replace("https://shop.example", "https://${HOST}/shop")
        .replace("database: prod", "database: ${STAGE}-db")
        .replace("https://hub.example", "https://hub.${HOST}")
        .replace("127.0.0.1:8470", "${HOST}:8470")
    )
    blueprint = parse(text, known=known, environ=environ | {"HOST": "x.example", "STAGE": "${HOST}"})
    assert blueprint.systems["web-eu"].url == "https://x.example/shop"
    assert blueprint.systems["odoo"].text("database") == "${HOST}-db", "what is filled in is not filled in again"
    assert (blueprint.public_url, blueprint.listen) == ("https://hub.x.example", "x.example:8470")


@pytest.mark.parametrize(
    ("old", "new", "path", "found", "expected", "hint"),
    [
        (
            "https://shop.example",
            "https://${SHOP}/${PATH_}",
            "systems.web-eu.url",
            '"https://${SHOP}/${PATH_}"',
            "every ${NAME} to be set",
            "PATH_, SHOP are not in the environment",
        ),
        (
            "database: prod",
            "database: ${STAGE}",
            "systems.odoo.database",
            '"${STAGE}"',
            "every ${NAME} to be set",
            "STAGE is not in the environment",
        ),
        (
            "database: prod",
            "database: ${not-a-name}",
            "systems.odoo.database",
            '"${not-a-name}"',
            "${NAME}, with a name of letters, digits and _",
            "",
        ),
        (
            "method: bacs",
            'method: "${METHOD}"',
            "payments[0].method",
            '"${METHOD}"',
            "the value itself",
            "${NAME} is looked up in store, listen, public_url and the entries of systems only",
        ),
        (
            "poll: 60s",
            "poll: ${POLL}",
            "systems.web-eu.poll",
            '"${POLL}"',
            "the value itself",
            "${NAME} is looked up in store, listen, public_url and the entries of systems only",
        ),
    ],
)
def test_a_variable_that_cannot_be_filled_in_is_an_error(
    changed: Changed, old: str, new: str, path: str, found: str, expected: str, hint: str
) -> None:
    examined, line = changed(old, new)
    (problem,) = examined.problems
    assert (problem.line, problem.path, problem.found) == (line, path, found)
    assert (problem.expected, problem.hint) == (expected, hint)


def test_an_address_with_a_password_is_refused_and_the_password_not_repeated(changed: Changed) -> None:
    examined, line = changed("https://shop.example", "https://me:hunter2@shop.example")
    (problem,) = examined.problems
    assert (problem.line, problem.path) == (line, "systems.web-eu.url")
    assert problem.found == '"https://***@shop.example"'
    assert problem.hint == "user and password do not belong into an address"


STORE = "sqlite:///data/counterfoil.db"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("sqlite:////var/lib/counterfoil.db", "sqlite:////var/lib/counterfoil.db"),
        ("postgresql://hub:${DB_PASSWORD}@db:5432/hub", "postgresql://hub:db_0123456789@db:5432/hub"),
        ("postgresql:///hub?host=/run/postgresql", "postgresql:///hub?host=/run/postgresql"),
        ("postgresql://hub@db/hub", "postgresql://hub@db/hub"),
    ],
)
def test_the_store_is_sqlite_or_postgresql(changed: Changed, written: str, address: str) -> None:
    examined, _ = changed(STORE, written)
    store = good(examined).store
    assert (store.reveal(), str(store)) == (address, written)


@pytest.mark.parametrize(
    ("written", "found", "hint"),
    [
        ("mysql://db/hub", '"mysql://db/hub"', ""),
        ("sqlite://", '"sqlite://"', ""),
        ("[x]", "a list", ""),
        ("", "nothing", ""),
        ("postgresql://hub:hunter2@db/hub", "an address with its password written out", "must not stand"),
        ("postgresql://hub:hun/ter2@db/hub", "an address with its password written out", "must not stand"),
        ("postgresql://hub:hunter2${DB_PASSWORD}@db/hub", "an address with its password written out", "must not"),
        ("postgresql://db/hub?user=x&password=hunter2", "an address with its password written out", "must not"),
        ("mysql+x:hunter2@db", '"mysql+x:hunter2@db"', ""),
    ],
)
def test_another_store_or_a_password_in_it_is_refused(changed: Changed, written: str, found: str, hint: str) -> None:
    examined, line = changed(STORE, written)
    (problem,) = examined.problems
    assert (problem.line, problem.path, problem.found) == (line, "store", found)
    assert problem.expected.startswith("sqlite:///<file> or postgresql://")
    assert hint in problem.hint


def test_a_database_password_that_would_break_the_address_is_told(
    known: Catalogue, environ: dict[str, str], whole: str
) -> None:
    environ["DB_PASSWORD"] = "p@ss"
    text = whole.replace(STORE, "postgresql://hub:${DB_PASSWORD}@db/hub")
    (problem,) = examine_text(text, known=known, environ=environ, require_secrets=True).problems
    assert (problem.line, problem.expected) == (2, "a password with its special characters percent-encoded")
    assert "DB_PASSWORD" in problem.hint
    assert "p@ss" not in str(problem)


def test_a_missing_database_password_is_told_or_left_open(known: Catalogue, whole: str) -> None:
    text = whole.replace(STORE, "postgresql://hub:${DB_PASSWORD}@db/hub")
    examined = examine_text(text, known=known, environ={}, require_secrets=True)
    assert examined.problems[0].hint == "DB_PASSWORD is not in the environment"
    store = parse(text, known=known, environ={}, require_secrets=False).store
    assert not store.resolved


def test_a_secret_shows_nowhere(known: Catalogue, environ: dict[str, str], whole: str) -> None:
    text = whole.replace(STORE, "postgresql://hub:${DB_PASSWORD}@db/hub")
    blueprint = parse(text, known=known, environ=environ)
    key = blueprint.systems["odoo"].settings["api_key"]
    shown = [
        repr(blueprint),
        str(blueprint),
        blueprint.model_dump_json(),
        json.dumps(blueprint.model_dump(mode="json")),
        repr(blueprint.model_dump()),
        render(blueprint),
        dump(blueprint),
        f"{key} {key!r} {key:>40}",
        repr(vars(blueprint)),
        repr(copy.deepcopy(blueprint)),
    ]
    for text in shown:
        for value in environ.values():
            assert value not in text
    assert repr(key) == "Secret(${ODOO_KEY})"


def test_a_secret_does_not_show_in_the_errors_of_the_model() -> None:
    with pytest.raises(ValueError, match="poll") as raised:
        System(name="odoo", connector="odoo", poll="hunter2")  # type: ignore[arg-type]
    assert "hunter2" not in str(raised.value)


def test_a_store_given_in_code_does_not_show_its_password() -> None:
    blueprint = Blueprint.model_validate({"store": "postgresql://u:hunter2@db/x", "systems": {}})
    assert blueprint.store.reveal() == "postgresql://u:hunter2@db/x"
    assert "hunter2" not in repr(blueprint) + blueprint.model_dump_json()


def test_a_secret_is_only_given_to_who_asks_for_a_secret(look: Look, whole: str) -> None:
    odoo = good(look(whole)).systems["odoo"]
    with pytest.raises(TypeError, match="ask for it with secret"):
        odoo.text("api_key")
    with pytest.raises(KeyError):
        odoo.secret("no_such_setting")
    assert odoo.text("no_such_setting", "fallback") == "fallback"
