"""The command line as its users meet it: real processes, a real file, stand-in systems."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

from tests.command import COMMAND, also, counterfoil
from tests.integration.doors.conftest import Scene, at_rest, until

from counterfoil.doors.serve import Hub
from counterfoil.hub import exceptions
from counterfoil_lab.stage import SHOP_KEYS


async def an_exception(scene: Scene) -> int:
    """An order with an unknown SKU put through the hub; its number."""
    async with scene.hub() as running:
        order = scene.shop.shop.place(status="on-hold", payment_method="bacs")
        good = order["line_items"]
        scene.shop.shop.change(order["id"], line_items=[good[0] | {"sku": "NO-SUCH"}, *good[1:]])
        await until(lambda: _one_open(running))
        await at_rest(running, scene)
    return int(order["id"])


async def _one_open(running: Hub) -> bool:
    return len(await exceptions.listing(running.store)) == 1


async def test_show_exceptions_retry_and_status(scene: Scene) -> None:
    number = await an_exception(scene)
    listed = json.loads((await also("exceptions", "list", "-b", scene.file, "--json")).stdout)
    assert [row["reason"] for row in listed] == ["unknown_sku"]
    one = str(listed[0]["id"])
    shown = (await also("exceptions", "show", one, "-b", scene.file)).stdout
    assert "NO-SUCH" in shown
    timeline = json.loads((await also("show", "order", str(number), "-b", scene.file, "--json")).stdout)
    assert [e["what"] for e in timeline[0]["entries"]].count("exception") == 1
    assert "order.placed" in (await also("show", "order", str(number), "-b", scene.file)).stdout
    status = json.loads((await also("status", "-b", scene.file, "--json")).stdout)
    assert status["exceptions_open"] == 1
    assert status["held"] >= 1
    await also("exceptions", "retry", one, "-b", scene.file)
    again = await also("exceptions", "retry", one, "-b", scene.file, code=1)
    assert "was retried already" in again.stderr
    missing = await also("exceptions", "skip", "999", "-b", scene.file, code=1)
    assert "no exception 999" in missing.stderr
    nothing = await also("show", "order", "31415", "-b", scene.file, code=1)
    assert "Nothing is known" in nothing.stderr


async def test_skip_and_resolve_let_the_lane_go_on(scene: Scene) -> None:
    await an_exception(scene)
    await also("exceptions", "skip", "1", "-b", scene.file, "--note", "a test")
    status = json.loads((await also("status", "-b", scene.file, "--json")).stdout)
    assert (status["exceptions_open"], status["held"]) == (0, 0)


async def test_doctor_looks_at_both_systems_once_the_webhooks_are_made(scene: Scene) -> None:
    made = await also("webhooks", "web", "-b", scene.file)
    assert "order.created" in made.stdout
    assert "all webhooks stand" in (await also("webhooks", "web", "-b", scene.file)).stdout
    found = json.loads((await also("doctor", "-b", scene.file, "--json")).stdout)
    assert set(found) == {"web", "odoo"}
    assert {f["mark"] for finding in found.values() for f in finding} == {"ok"}


async def test_doctor_says_what_is_wrong_and_what_to_do(scene: Scene) -> None:
    (scene.file.parent / "secrets" / "odoo-key").write_text("wrong")
    done = await also("doctor", "-b", scene.file, "--json", code=1)
    failed = [f for f in json.loads(done.stdout)["odoo"] if f["mark"] == "failed"]
    assert "API key" in failed[0]["found"]
    assert failed[0]["remedy"]


async def test_init_asks_tries_and_writes_a_blueprint_without_secrets_in_it(scene: Scene, tmp_path: Path) -> None:
    file = tmp_path / "new" / "shop.yaml"
    file.parent.mkdir()
    arguments = ["--shop-url", scene.shop_url, "--shop-name", "web", "--odoo-url", scene.place.url]
    arguments += ["--odoo-database", "sandbox", "--cut-over", "2026-01-01T00:00:00Z"]
    arguments += ["--odoo-login", "", "--invoices", "on_delivery"]
    secrets = {"WEB_KEY": SHOP_KEYS[0], "WEB_SECRET": SHOP_KEYS[1], "ODOO_API_KEY": "sandbox-key"}
    done = await also("init", file, *arguments, **secrets)
    assert "sign-in" in done.stdout
    text = file.read_text()
    assert not [value for value in secrets.values() if value in text]
    assert (file.parent / "shop.secrets" / "odoo-key").stat().st_mode & 0o077 == 0
    assert "{on: shipment.dispatched, from: web, do: odoo.invoice_order}" in text
    checked = await also("check", "-b", file)
    assert "warning" not in checked.stdout
    refused = await also("init", file, *arguments, code=1, **secrets)
    assert "--force" in refused.stderr


def test_check_names_line_found_and_expected(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("counterfoil: 1\nstore: sqlite:///x.db\nsystems:\n  odoo:\n    connector: sap\n    url: http://x\n")
    done = counterfoil("check", "-b", file, code=2)
    assert "bad.yaml:5" in done.stdout
    assert "sap" in done.stdout
    assert counterfoil("run", "-b", file, code=2).stderr


async def test_run_serves_until_it_is_told_to_stop_and_refuses_a_second_server(scene: Scene) -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "run", "-b", str(scene.file), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(30):
        while b"serving" not in await process.stderr.readline():
            pass
    second = await also("run", "-b", scene.file, code=1)
    assert "another process serves" in second.stderr
    assert "postgresql://" in second.stderr
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(15):
        assert await process.wait() == 0
