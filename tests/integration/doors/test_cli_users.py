"""`counterfoil users` and `audit`: passwords that no argument holds, lists for programs, tampering that is found."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from tests.admin_stage import PASSWORD, cheap_passwords
from tests.storefront_stage import BLUEPRINT
from typer.testing import CliRunner

from counterfoil.doors.cli import app


@pytest.fixture
def plan(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cheap_passwords(monkeypatch)
    file = tmp_path / "counterfoil.yaml"
    file.write_text(f"{BLUEPRINT}store: sqlite:///{tmp_path / 'counterfoil.db'}\n")
    shutil.copy(sqlite_template, tmp_path / "counterfoil.db")
    return file


def run(plan: Path, *words: str, said: str = "") -> Result:
    return CliRunner().invoke(app, [*words, "-b", str(plan)], input=said)


def listed(plan: Path, *words: str) -> Any:
    return json.loads(run(plan, *words, "--json").stdout)


def test_people_are_made_changed_and_listed_and_all_of_it_is_audited(plan: Path) -> None:
    made = run(plan, "users", "add", "Anna", "--role", "operator", said=f"{PASSWORD}\n")
    assert made.exit_code == 0
    assert run(plan, "users", "add", "anna", "--role", "viewer", said=f"{PASSWORD}\n").exit_code == 1
    assert "12 to 256" in run(plan, "users", "password", "anna", said="short\n").stderr
    assert "users list" in run(plan, "users", "roles", "nobody", "--role", "viewer").stderr
    token = listed(plan, "users", "tokens", "add", "anna", "nightly", "--right", "see")
    assert run(plan, "users", "tokens", "revoke", token["id"], "--yes").exit_code == 0
    assert run(plan, "users", "disable", "anna").exit_code == 0
    [user] = listed(plan, "users", "list")
    assert (user["login"], user["roles"], user["disabled_at"] is None) == ("anna", ["operator"], False)
    assert not {"password", "identity"} & set(user)
    acts = [row["act"] for row in reversed(listed(plan, "audit", "list"))]
    tokens = ["personal-token.added", "personal-token.revoked"]
    assert acts == ["user.added", *tokens, "user.disabled"]


def test_verify_ends_with_1_where_a_row_is_not_as_it_was_written(plan: Path) -> None:
    run(plan, "users", "add", "anna", "--role", "operator", said=f"{PASSWORD}\n")
    run(plan, "users", "disable", "anna")
    head = listed(plan, "audit", "verify")["head"]
    assert run(plan, "audit", "verify", "--head", head).exit_code == 0
    with closing(sqlite3.connect(plan.with_name("counterfoil.db"))) as database:
        database.execute("DROP TRIGGER audit_stays_update")
        database.execute("UPDATE audit SET who = 'eve' WHERE id = 2")
        database.commit()
    found = run(plan, "audit", "verify")
    assert (found.exit_code, "row 2: it is not as it was written" in found.stderr) == (1, True)
    told = run(plan, "audit", "verify", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["row"] == 2
