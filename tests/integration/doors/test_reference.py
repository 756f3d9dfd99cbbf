"""The reference pages are made from the code, and say what it says now."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from counterfoil.blueprint import examine
from counterfoil.doors import assembly, setup

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "blueprint.yaml"


def test_the_reference_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_examples_are_sound_and_name_every_setting_of_every_connector() -> None:
    found = examine(EXAMPLE, known=assembly.catalogue(), environ={})
    assert (found.problems, found.warnings) == ((), ())
    text = "".join(file.read_text(encoding="utf-8") for file in sorted(EXAMPLE.parent.glob("*.yaml")))
    settings = {s.name for connector in assembly.CONNECTORS.values() for s in connector.SETTINGS}
    assert {name for name in settings if f" {name}: " not in text} == set()


@pytest.mark.parametrize("invoices", list(setup.INVOICES))
def test_init_writes_the_flows_of_the_example(tmp_path: Path, invoices: str) -> None:
    file = tmp_path / "shop.yaml"
    answers = setup.Answers(
        *(file, "web-eu", "https://shop.example", "ck", "cs"),
        *("https://odoo.example", "", "key", "2026-01-01T00:00:00Z", invoices),
    )
    asyncio.run(setup.write(answers, check=False, force=False))
    known = assembly.catalogue()
    ours = examine(file, known=known).blueprint
    theirs = examine(EXAMPLE, known=known, environ={}).blueprint
    assert ours is not None
    assert theirs is not None
    mine = {(flow.on, flow.from_, flow.do) for flow in ours.flows}
    sections = ("appointment.", "prescription.", "return.", "order.ready_for_pickup")  # of what init does not ask about
    example = {(flow.on, flow.from_, flow.do) for flow in theirs.flows if not flow.on.startswith(sections)}
    wanted = {
        "on_order": {("order.accepted", "web-eu", "odoo.invoice_order")},
        "on_delivery": {("shipment.dispatched", "web-eu", "odoo.invoice_order")},
        "none": set(),
    }
    assert mine - wanted[invoices] == example - wanted["on_order"]
    assert wanted[invoices] <= mine


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    """Relative links between pages, with their headings."""
    broken = []
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        for target in links(page.read_text(encoding="utf-8")):
            path, _, heading = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            missing = not file.exists()
            if missing or (heading and file.suffix == ".md" and heading not in headings(file)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []
    assert len(pages) > 20


def links(text: str) -> list[str]:
    """The relative targets of a page."""
    found = [part.split(")")[0] for part in text.split("](")[1:]]
    return [target for target in found if "://" not in target and not target.startswith("mailto:")]


def headings(file: Path) -> set[str]:
    """A page's headings as anchors."""
    lines = [line.lstrip("#").strip() for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    return {"".join(c for c in line.lower().replace(" ", "-") if c.isalnum() or c in "-_") for line in lines}
