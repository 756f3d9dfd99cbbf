"""`counterfoil exceptions`: groups, a dry run first, acts on all alike, and the row that clears them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from tests.fakes import order, rows_of
from typer.testing import CliRunner

from counterfoil.doors import assembly, cli_exceptions
from counterfoil.doors.cli import app
from counterfoil.hub import exceptions, inforce, schema
from counterfoil.hub.contract import Outcome, rejected
from counterfoil.hub.store import Store, open_store
from counterfoil.retail.mapping import missing, to_add

BLUEPRINT = """\
counterfoil: 1
store: sqlite:///{store}
systems:
  shop: {{connector: woocommerce, url: "https://shop.example", consumer_key: "${{K}}", consumer_secret: "${{S}}"}}
  odoo: {{connector: odoo, url: "https://odoo.example", database: prod, api_key: "${{O}}"}}
flows: [{{on: order.placed, from: shop, do: odoo.accept_order}}]
payments: [{{method: card, journal: BNK1}}]
approvals: {{sections: [payments], by: [anna, bob]}}
notify: {{runbooks: "https://docs.example/runbooks"}}
"""
CASH = missing(to_add("payments", {"method": "cash", "journal": "…"}), ["CSH1", "BNK1"])


def unmapped(number: int) -> Outcome:
    return rejected("unmapped_payment", f"Order {number} was paid by 'cash'.", CASH)


class Queue:
    """A blueprint with a store of open exceptions, and the command line on it."""

    def __init__(self, folder: Path) -> None:
        self.file, self.url = folder / "hub.yaml", f"sqlite:///{folder}/hub.db"
        self.file.write_text(BLUEPRINT.format(store=folder / "hub.db"))
        self.on(self._fill)

    def on(self, act: Callable[[Store], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            store = await open_store(self.url)
            try:
                return await act(store)
            finally:
                await store.close()

        return asyncio.run(run())

    async def _fill(self, store: Store) -> None:
        await inforce.settle(store, assembly.load(self.file, require_secrets=False), assembly.catalogue(), "hub")
        state = order().model_dump(mode="json")
        about = [("odoo", f"shop:order:{n}", unmapped(n), "shop-manager") for n in range(1, 5)]
        about.append(("odoo", "shop:order:9", rejected("no_lines", "Order 9 has no lines.", "Look."), "clerk"))
        async with store.write() as connection:
            await exceptions.open_about(connection, store, "accept_order", about)
            rows = [
                {"system": "shop", "kind": "order", "object_id": str(n), "canonical_id": f"shop:order:{n}"}
                | {
                    "version": "",
                    "digest": "",
                    "stage": "",
                    "updated_at": 0.0,
                    "state": {**state, "total": "10.10 EUR"},
                }
                for n in (1, 2, 3, 4, 9)
            ]
            await connection.execute(sa.insert(schema.object_), rows)

    def run(self, *words: str, code: int = 0) -> Result:
        ended = CliRunner().invoke(app, ["exceptions", *words, "-b", str(self.file)])
        assert ended.exit_code == code, ended.output
        return ended

    def statuses(self) -> dict[int, str]:
        return {e["id"]: e["status"] for e in self.on(lambda store: rows_of(store, schema.exception))}


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


def test_groups_show_what_is_alike_and_what_is_at_stake(queue: Queue) -> None:
    told = json.loads(queue.run("groups", "--json").stdout)
    assert told["of"] == 2
    assert [(g["count"], g["reason"], g["at_stake"], g["runbook"]) for g in told["groups"]] == [
        (4, "unmapped_payment", {"EUR": "40.40"}, "docs/runbooks/payment-not-mapped.md"),
        (1, "no_lines", {"EUR": "10.10"}, "docs/runbooks/order-not-enterable.md"),
    ]
    assert json.loads(queue.run("groups", "--owner", "clerk", "--json").stdout)["of"] == 1
    assert "1 more groups: --offset 1" in queue.run("groups", "--limit", "1").stdout


def test_a_status_that_there_is_none_of_is_refused(queue: Queue) -> None:
    assert "there are: open, retried, resolved, skipped, all." in queue.run("list", "--status", "bogus", code=2).output


def test_show_links_the_runbook_where_it_is_published(queue: Queue) -> None:
    shown = queue.run("show", "2").stdout
    assert "4 open (--alike 2)" in shown
    assert "https://docs.example/runbooks/payment-not-mapped" in shown


@pytest.mark.parametrize("act", ["retry", "resolve", "skip"])
def test_a_dry_run_says_what_would_be_done_and_does_nothing(queue: Queue, act: str) -> None:
    before = queue.statuses()
    said = queue.run(act, "--alike", "2", "--dry-run").stdout
    assert "4 exceptions, 40.40 EUR at stake. Nothing was changed." in said
    would = json.loads(queue.run(act, "--reason", "no_lines", "--dry-run", "--json").stdout)
    assert [row["subject"] for row in would["would"]] == ["shop:order:9"]
    assert queue.statuses() == before


def test_all_alike_are_closed_and_no_other(queue: Queue) -> None:
    done = json.loads(queue.run("resolve", "--alike", "2", "--note", "entered by hand", "--json").stdout)
    assert done == {"act": "resolved", "done": [1, 2, 3, 4], "closed_before": []}
    assert queue.statuses() == dict.fromkeys((1, 2, 3, 4), "resolved") | {5: "open"}
    acts = queue.on(lambda store: rows_of(store, schema.audit, act="exception.resolved"))
    assert {row["detail"]["note"] for row in acts} == {"entered by hand"}
    assert "0 of 0: resolved" in queue.run("resolve", "--alike", "2").stdout


def test_many_are_not_skipped_without_a_reason_and_nothing_without_a_choice(queue: Queue) -> None:
    assert "--note REASON" in queue.run("skip", "--alike", "2", code=2).output
    assert "give numbers, --alike NUMBER or --reason" in queue.run("retry", code=1).output
    assert set(queue.statuses().values()) == {"open"}


def test_the_others_are_left_where_the_first_was_not_tried(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_exceptions, "PATIENCE", 0.3)
    assert "does the hub run?" in queue.run("retry", "--alike", "2", "--one-first", code=1).output
    assert queue.statuses() == {1: "open", 2: "retried", 3: "open", 4: "open", 5: "open"}


def test_a_row_is_proposed_for_all_alike_and_what_to_do_next_is_said(queue: Queue) -> None:
    assert "gap at journal" in queue.run("add-row", "2", code=1).output
    dry = queue.run("add-row", "2", "journal=CSH1", "--dry-run").stdout
    assert "journal: CSH1" in dry
    assert "It would be proposed for 4 exceptions. Nothing was changed." in dry
    said = queue.run("add-row", "2", "journal=CSH1", "--who", "anna").stdout
    assert "Change 2 is proposed for 4 exceptions." in said
    assert "counterfoil blueprint approve 2" in said
    queue.on(lambda store: inforce.approve(store, 2, "bob", assembly.catalogue()))


def test_who_takes_it_on_is_shown(queue: Queue) -> None:
    queue.run("acknowledge", "2")
    assert "taken on" in queue.run("show", "2").stdout
    assert "is open" not in queue.run("skip", "2", "--note", "a test").output
    assert "exception 2 was skipped already" in queue.run("acknowledge", "2", code=1).output


def test_what_cannot_be_linked_is_told(queue: Queue) -> None:
    async def about_products(store: Store) -> None:
        about = [("odoo", f"shop:product:{n}", rejected("refused", "There.", "Link it."), "buyer") for n in (6, 7)]
        async with store.write() as connection:
            await exceptions.open_about(connection, store, "tell_product", about)

    queue.on(about_products)
    assert "counterfoil exceptions resolve 5 --note" in queue.run("link", "5", "S00042", code=1).output
    assert "will be tried again" in queue.run("link", "6", "42").stdout
    assert "was retried already" in queue.run("link", "6", "42", code=1).output
    assert "linked already" in queue.run("link", "7", "42", code=1).output
