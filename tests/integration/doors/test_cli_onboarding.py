"""link, import, publish and listing as their users meet them: real processes, stand-in systems."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from tests.command import also
from tests.integration.doors.conftest import Scene

CUT_OVER = "2025-01-01T00:00:00Z"


def with_cut_over(scene: Scene, flow: bool = True) -> Path:
    """The scene's blueprint with a cut-over, and a flow for what lies before it."""
    text = scene.file.read_text()
    text = text.replace("    overlap: 2m\n", f"    overlap: 2m\n    cut_over: {CUT_OVER}\n", 1)
    if flow:
        history = "  - {on: order.history, from: web, do: odoo.import_order, on_exception: pass}\n"
        text = text.replace("payments:\n", f"{history}payments:\n", 1)
    file = scene.file.with_name("with_cut_over.yaml")
    file.write_text(text)
    return file


async def test_link_shows_first_then_writes_and_then_finds_nothing_new(scene: Scene) -> None:
    """case: F36"""
    shown = json.loads((await also("link", "products", "web", "-b", scene.file, "--json")).stdout)
    assert shown["written"] is None
    assert shown["matched"] > 0
    written = json.loads((await also("link", "products", "web", "-b", scene.file, "--write", "--json")).stdout)
    assert written["written"] == shown["matched"] + shown["whole_products"]["matched"]
    again = json.loads((await also("link", "products", "web", "-b", scene.file, "--write", "--json")).stdout)
    assert (again["matched"], again["written"], again["already_linked"]) == (0, 0, shown["matched"])
    words = (await also("link", "products", "web", "-b", scene.file)).stdout
    assert "linked already" in words
    assert "--write links what was matched" in words


@pytest.mark.parametrize("kind", ["csv", "json"])
async def test_link_keeps_the_review_in_a_file(scene: Scene, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"review.{kind}"
    done = await also("link", "products", "web", "-b", scene.file, "--review", file)
    assert str(file) in done.stdout.replace("\n", "")
    text = file.read_text()
    rows = json.loads(text) if kind == "json" else list(csv.DictReader(text.splitlines()))
    assert list(rows[0]) == ["what", "reason", "why", "by", "key", "decision", "odoo", "web"]
    assert {row["reason"] for row in rows} == {"no_key", "product_split"}


async def test_link_customers(scene: Scene) -> None:
    shown = json.loads((await also("link", "customers", "web", "-b", scene.file, "--json")).stdout)
    assert set(shown["found"]) == {"odoo", "web"}
    assert all(not row["key"] for row in shown["rows"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("link", "orders", "web"), "products or customers"),
        (("link", "products", "web", "--review", "list.txt"), ".csv or .json"),
        (("link", "products", "nowhere"), "no system 'nowhere'"),
        (("import", "web", "--since", "last year"), "2025-01-01"),
        (("import", "web", "--since", "2024-01-01", "--rate", "fast"), "such as 5/s"),
        (("import", "web", "--since", "2024-01-01"), "cut_over"),
        (("publish", "web", "prices"), "products or stock"),
        (("publish", "web", "stock"), "{on: stock.changed, do: web.publish_stock}"),
        (("listing", "web"), "counterfoil publish web products"),
        (("listing", "nowhere"), "no system 'nowhere'"),
    ],
)
async def test_what_cannot_be_done_is_said_with_a_remedy(scene: Scene, arguments: tuple[str, ...], said: str) -> None:
    code = 2 if arguments[:2] in {("link", "orders"), ("publish", "web"), ("import", "web")} else 1
    code = {".csv or .json": 2, "cut_over": 1, "{on: stock.changed, do: web.publish_stock}": 1}.get(said, code)
    done = await also(*arguments, "-b", scene.file, code=code)
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


async def test_import_needs_a_flow(scene: Scene) -> None:
    done = await also("import", "web", "--since", "2024-01-01", "-b", with_cut_over(scene, flow=False), code=1)
    assert "order.history" in done.stderr
    assert "odoo.import_order" in done.stderr


async def test_import_counts_first_and_takes_in_once(scene: Scene) -> None:
    file = with_cut_over(scene)
    scene.shop.shop.set_clock(frozen_at=1_725_000_000)  # 2024-08-30
    for _ in range(3):
        scene.shop.shop.place(status="completed")
    scene.shop.shop.set_clock(frozen_at=1_763_000_000)  # behind the cut-over
    scene.shop.shop.place(status="processing")
    asked = json.loads((await also("import", "web", "--since", "2024-01-01", "-b", file, "--json")).stdout)
    assert (asked["orders"], asked["taken_in"]) == (3, None)
    assert "--yes" in (await also("import", "web", "--since", "2024-01-01", "-b", file)).stdout
    done = await also("import", "web", "--since", "2024-01-01", "-b", file, "--yes", "--json")
    assert json.loads(done.stdout)["taken_in"] == 3
    again = await also("import", "web", "--since", "2024-01-01", "-b", file, "--yes")
    assert "--again" in again.stdout
    anew = await also(
        "import", "web", "--since", "2024-01-01", "-b", file, "--yes", "--again", "--json", "--rate", "99/s"
    )
    assert json.loads(anew.stdout)["taken_in"] == 3
