"""`counterfoil find`, `flows`, `pause`, `resume`, `report` and `money`: what people type, and what a program reads."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from tests.command import counterfoil
from tests.fakes import SHOP, order
from typer.testing import CliRunner

from counterfoil.blueprint import OrderChoices
from counterfoil.doors import cli_money
from counterfoil.doors.cli import app
from counterfoil.hub import exceptions, lanes, records, versions
from counterfoil.hub.contract import Observed, Release, rejected
from counterfoil.hub.lanes import NewDelivery
from counterfoil.hub.store import Store, open_store
from counterfoil.processes.orders import orders
from counterfoil.retail.order import Order

PLAN = """\
counterfoil: 1
store: sqlite:///{folder}/hub.db
systems:
  shop: {{connector: woocommerce, url: https://shop.example, consumer_key: "${{K}}", consumer_secret: "${{K}}"}}
  odoo: {{connector: odoo, url: https://odoo.example, api_key: "${{K}}"}}
"""


@pytest.fixture
def file(tmp_path: Path, sqlite_template: Path) -> Path:
    """A blueprint whose store knows twelve orders of one customer, one of them on its way to Odoo."""
    plan = tmp_path / "counterfoil.yaml"
    plan.write_text(PLAN.format(folder=tmp_path))
    shutil.copy(sqlite_template, tmp_path / "hub.db")
    asyncio.run(fill(f"sqlite:///{tmp_path}/hub.db"))
    return plan


PAID = "2026-11-02T09:05:00+00:00"


async def fill(url: str) -> None:
    store = await open_store(url)
    for number in range(100, 112):
        paid = {"paid": PAID, "payment": "ch_1"} if number == 100 else {}
        await take(store, order(id=str(number), email="ada@mail.example", **paid), due=number == 100)
    await store.close()


async def take(store: Store, placed: Order, due: bool) -> None:
    decision = orders(OrderChoices(), None).interpret(None, Observed("order", placed.id, "1", placed), "webhook")
    async with store.write() as connection:
        known = records.Known("1", "", placed.model_dump(mode="json"), decision.stage)
        await records.keep_objects(connection, store, {(SHOP, "order", placed.id): (known, placed.canonical_id)})
        (event,) = await records.keep_events(connection, store, list(decision.events))
        if due:
            new = NewDelivery("odoo", "order", event.key, "accept_order", event.subject, event_id=event.id)
            await lanes.enqueue(connection, store, [new])


def told(file: Path, *arguments: str, code: int = 0) -> str:
    ran = counterfoil(*arguments, "-b", file, code=code)
    return ran.stdout + ran.stderr


def read(file: Path, *arguments: str) -> Any:
    return json.loads(told(file, *arguments, "--json"))


def test_an_address_finds_the_orders_in_pages(file: Path) -> None:
    shown = told(file, "find", "ADA@mail.example", "--limit", "10")
    assert "shop:order:111" in shown
    assert "e-mail" in shown
    assert "There are more: --thing order --after" in shown
    (first,) = read(file, "find", "ada@mail.example", "--limit", "10")["groups"]
    (rest,) = read(file, "find", "ada@mail.example", "--thing", "order", "--after", first["after"])["groups"]
    seen = [hit["line"]["subject"] for group in (first, rest) for hit in group["hits"]]
    assert sorted(seen) == [f"shop:order:{n}" for n in range(100, 112)]
    assert "Nothing is known of 'bob@mail.example'" in told(file, "find", "bob@mail.example", code=1)
    assert "there are: order, customer" in told(file, "find", "x", "--thing", "cat", code=2)
    assert "Say with --thing" in told(file, "find", "x", "--after", "[]", code=2)
    assert "search again without it" in told(file, "find", "x", "--thing", "order", "--after", "[]", code=2)


ODD = "[/x] [rear] :tea:"


def test_text_from_outside_is_shown_as_it_is_by_every_command(file: Path) -> None:
    async def fill_with_it() -> None:
        store = await open_store(f"sqlite:///{file.parent}/hub.db")
        placed = order(id="200", email="eve@mail.example", street=ODD, paid=PAID, payment=ODD)
        named = placed.billing.model_copy(update={"name": ODD})
        await take(store, placed.model_copy(update={"billing": named}), due=True)
        about = [("odoo", "shop:order:200", rejected("no_street", f"There is no {ODD}.", "Look."), "clerk")]
        async with store.write() as connection:
            await exceptions.open_about(connection, store, "accept_order", about)
        await store.close()

    asyncio.run(fill_with_it())
    groups = [f"exceptions {each}" for each in ("list", "groups", "show 1")]
    for command in ("find N200", "money", "show order N200", *groups):
        assert ODD in told(file, *command.split()), command


def test_a_stream_is_stopped_shown_and_let_go(file: Path) -> None:
    (waiting,) = [each for each in read(file, "flows") if each["depth"]]
    assert (waiting["system"], waiting["stream"], waiting["depth"]) == ("odoo", "order", 1)
    assert "Paused: odoo, stream order. What stands still: odoo.accept_order" in told(
        file, "pause", "odoo.accept_order", "--why", "stocktaking"
    )
    assert "paused already" in told(file, "pause", "odoo.accept_order")
    assert "stocktaking" in told(file, "flows")
    assert read(file, "status")["paused"] == {"odoo, stream order": "stocktaking"}
    assert "1 waiting because it is paused" in told(file, "drain", "odoo.accept_order", code=1)
    assert "is not paused by that name" in told(file, "resume", "odoo", code=1)
    assert "Goes on: odoo, stream order." in told(file, "resume", "odoo.accept_order")
    assert read(file, "status")["paused"] == {}
    drained = read(file, "drain", "odoo.accept_order", "--no-wait")
    assert (drained["left"], drained["state"]) == (1, "going")
    assert "there are: shop, odoo" in told(file, "pause", "crm", code=2)
    assert read(file, "pause", "shop", "--drain")["stream"] == "", "nothing is queued there, so nothing is waited for"


def test_a_report_is_a_table_json_or_a_file(file: Path) -> None:
    (row,) = read(file, "report", "throughput", "--days", "2")
    assert (row["system"], row["placed"]) == (SHOP, 12)
    (head, values) = csv.reader(io.StringIO(told(file, "report", "throughput", "--format", "csv")))
    assert dict(zip(head, values, strict=True))["placed"] == "12"
    assert "the last 7 days" in told(file, "report", "throughput")
    assert "there are: throughput, promises, causes" in told(file, "report", "money", code=2)


def test_money_that_waits_is_listed_and_exported(file: Path) -> None:
    found = read(file, "money")
    assert [(s["kind"], s["count"], s["amount"], s["currency"]) for s in found["sums"]] == [
        ("payment", 1, "12.00", "EUR")
    ]
    assert [(i["order"], i["reference"], i["operation"]) for i in found["items"]] == [
        ("shop:order:100", "ch_1", "odoo.accept_order")
    ]
    assert "12.00 EUR" in told(file, "money", "--kind", "payment", "--currency", "eur")
    assert "None of these waits." in told(file, "money", "--kind", "refund")
    (head, values) = csv.reader(io.StringIO(told(file, "money", "--format", "csv")))
    assert dict(zip(head, values, strict=True))["amount"] == "12.00"


def test_a_narrow_terminal_cuts_no_order_and_no_amount_of_money(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_money, "out", Console(width=60, file=(said := io.StringIO())))
    assert CliRunner().invoke(app, ["money", "-b", str(file)]).exit_code == 0
    lines = said.getvalue().rpartition("┡")[2].splitlines()  # below the head of the second table
    cells = [line.split("│")[1:-1] for line in lines if line.startswith("│")]
    whole = ["".join(column).replace(" ", "") for column in zip(*cells, strict=True)]
    assert (whole[0], whole[2], whole[5]) == ("shop:order:100", "12.00EUR", "odoo.accept_order")


def test_status_has_a_line_for_each_system_that_told_its_version(file: Path) -> None:
    async def keep() -> None:
        store = await open_store(f"sqlite:///{file.parent}/hub.db")
        for system, name in (("shop", "WooCommerce"), ("odoo", "Odoo")):
            await versions.keep(store, system, [Release(name, "9.9")])
        await store.close()

    asyncio.run(keep())
    lines = [line for line in told(file, "status").splitlines() if "9.9, since" in line]
    assert [("shop: WooCommerce" in line, "odoo: Odoo" in line) for line in lines] == [(True, False), (False, True)]


def test_alerts_say_where_their_runbooks_are_read(file: Path) -> None:
    def with_(more: str) -> set[str]:
        file.write_text(file.read_text() + more)
        (group,) = yaml.safe_load(told(file, "alerts"))["groups"]
        return {rule["annotations"]["runbook_url"].rpartition("/")[0] for rule in group["rules"]}

    assert with_("") == {"docs/runbooks"}
    assert with_("public_url: https://hub.example\n") == {"https://hub.example/console/runbooks"}
    assert with_("notify: {runbooks: 'https://docs.example/on-call/'}\n") == {"https://docs.example/on-call"}


def test_show_finds_the_same(file: Path) -> None:
    assert [one["subject"] for one in read(file, "show", "order", "N100")] == ["shop:order:100"]
