"""`counterfoil prescriptions`: who may looks at one, releases or rejects it; the key alone is needed for that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.making import line, order
from tests.fakes import rows_of
from tests.storefront_stage import keep
from typer.testing import CliRunner

from counterfoil.blueprint.prescriptions import with_keys
from counterfoil.blueprint.secrets import Lookup
from counterfoil.doors import assembly
from counterfoil.doors.cli import app
from counterfoil.hub import records, schema
from counterfoil.hub.store import open_store
from counterfoil.hub.storefront.vault import new_key
from counterfoil.processes.orders import PLACED
from counterfoil.retail.events import Event

PLAN = """\
counterfoil: 1
store: sqlite:///{store}
systems:
  odoo: {{connector: odoo, url: http://127.0.0.1:9, api_key: "${{NOT_SET}}"}}
  web:
    {{connector: woocommerce, url: http://127.0.0.1:9, consumer_key: "${{NOT_SET}}", consumer_secret: "${{NOT_SET}}"}}
prescriptions:
  needs: {{skus: [RX-*]}}
  key: {{file: rx.key}}
  fields: {{sphere: {{type: number, step: 0.25}}}}
  roles: {{optician: [anna]}}
  seen_by: [optician]
  released_by: [optician]
"""
PDF = b"%PDF-1.7 scan %%EOF\n"
OF = order("1001", line("RX-150"))
ANNA = ("--role", "optician", "--who", "anna", "--why", "looked at it")
Run = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "rx.key").write_text(new_key() + "\n")
    file = tmp_path / "counterfoil.yaml"
    file.write_text(PLAN.format(store=tmp_path / "hub.db"))
    return file


@pytest.fixture
def run(file: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "250")

    def one(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["prescriptions", *arguments, "-b", str(file)])
        assert done.exit_code == code, done.output
        return done.stdout or done.stderr

    return one


async def attached(file: Path) -> str:
    """A prescription of an order that the hub knows; its id."""
    plan = assembly.load(file, require_secrets=False)
    store = await open_store(plan.store.reveal())
    await keep(store, "web", "order", OF.id, OF, PLACED)
    told = {"id": "e1", "type": "order.placed", "source": "web", "subject": OF.canonical_id, "key": OF.canonical_id}
    event = Event(time=OF.placed_at, correlation=OF.canonical_id, refs=(("order", OF.number),), data={}, **told)
    async with store.write() as connection:
        await records.keep_events(connection, store, [event])
    rules = with_keys(plan.prescriptions, Lookup({}, file.parent))
    desk = assembly.prescribing(store, plan.model_copy(update={"prescriptions": rules}))
    record = await desk.attach("web", OF.number, OF.customer.email, [], {"sphere": "-3.25"}, PDF)
    await store.close()
    return record.id


async def acts(file: Path) -> list[tuple[str, str]]:
    store = await open_store(f"sqlite:///{file.parent / 'hub.db'}")
    rows = await rows_of(store, schema.audit)
    await store.close()
    return [(row["act"].removeprefix("prescription."), row["who"]) for row in rows]


def test_who_may_sees_and_releases_it_and_all_of_it_is_in_the_audit(file: Path, run: Run) -> None:
    id_ = asyncio.run(attached(file))
    (row,) = json.loads(run("list", "--json"))
    assert (row["id"], row["number"], row["state"]) == (id_, "#1001", "to_release")
    assert "-3.25" not in run("list")
    bob = ("--role", "optician", "--who", "bob", "--why", "curious")
    assert "bob is not named" in run("show", id_, *bob, code=1)
    copy = file.parent / "copy.pdf"
    shown = json.loads(run("show", id_, *ANNA, "--json", "--file", str(copy)))
    assert shown["fields"] == {"sphere": "-3.25"}
    assert (copy.read_bytes(), copy.stat().st_mode & 0o777) == (PDF, 0o600)
    assert "no reason" in run("reject", id_, *ANNA, "--reason", "bored", code=2)
    assert "released" in run("release", id_, *ANNA)
    assert "is released" in run("reject", id_, *ANNA, "--reason", "other", code=1)
    assert asyncio.run(acts(file)) == [("refused", "bob"), ("shown", "anna"), ("released", "anna")]


def test_another_key_opens_it_only_while_the_old_one_is_named(file: Path, run: Run) -> None:
    id_ = asyncio.run(attached(file))
    (file.parent / "old.key").write_text((file.parent / "rx.key").read_text())
    (file.parent / "rx.key").write_text(new_key())
    assert "old_keys" in run("show", id_, *ANNA, code=1)
    file.write_text(file.read_text().replace("rx.key}", "rx.key}\n  old_keys: [{file: old.key}]"))
    assert "1 of 1" in run("rekey", "--dry-run")
    assert "1 of 1" in run("rekey")
    file.write_text(file.read_text().replace("  old_keys: [{file: old.key}]\n", ""))
    assert "-3.25" in run("show", id_, *ANNA)
    (file.parent / "rx.key").unlink()
    assert "rx.key" in run("show", id_, *ANNA, code=1)
