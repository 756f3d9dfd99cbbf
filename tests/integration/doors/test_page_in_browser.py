"""The page of a blueprint in a real browser: light, dark, on a phone, with nothing asked for from outside."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest
from tests.browser import asked, picture

from counterfoil.blueprint import render_page
from counterfoil.blueprint.explaining import Measured, Taken
from counterfoil.doors import assembly

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))
BLUEPRINTS = [file for file in EXAMPLES if "counterfoil: 1" in file.read_text(encoding="utf-8")]
PHONE, DESK = 390, 1280


@pytest.fixture(params=BLUEPRINTS, ids=lambda file: file.stem)
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The page of one of the examples, with some figures."""
    plan = assembly.load(request.param, require_secrets=False)
    found = Measured(
        30, {flow.do: Taken(1000, 0.4, 2.0, 9.0, 1000, 1) for flow in plan.flows}, {}, [("unknown_sku", 3, 1)]
    )
    file = tmp_path / "page.html"
    text = render_page(plan, f"Blueprint {request.param.stem}", "html", assembly.catalogue(), found)
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_page_fits_the_screen_and_only_the_diagram_scrolls(page: Path, width: int) -> None:
    wider = "[p.documentElement.scrollWidth, p.documentElement.clientWidth]"
    content, screen = json.loads(f"[{asked(page, wider, width)}]")
    assert content <= screen
    over = "[...p.querySelectorAll('main *')].filter(e => !e.closest('figure, thead') && e.clientWidth"
    over += " && e.scrollWidth > e.clientWidth + 1).map(e => e.tagName + ' ' + e.textContent.slice(0, 40)).join(';')"
    assert asked(page, f"'over: ' + ({over})", width) == "over: "


def test_labels_of_the_diagram_stay_in_their_boxes(page: Path) -> None:
    """With the browser's own fonts, whose widths nobody here knows."""
    out = "[...p.querySelectorAll('svg g')].flatMap(g => { const r = g.querySelector(':scope > rect');"
    out += " const b = r && r.getBBox(); return b ? [...g.querySelectorAll(':scope > text')].filter(t => {"
    out += " const a = t.getBBox(); return a.x < b.x || a.x + a.width > b.x + b.width || a.y < b.y - 1"
    out += " || a.y + a.height > b.y + b.height + 1 }).map(t => t.textContent) : [] }).join(';')"
    assert asked(page, f"'out: ' + ({out})", DESK) == "out: "
    assert int(asked(page, "p.querySelectorAll('svg text').length", DESK)) > 5


def test_the_page_asks_for_nothing_and_its_links_lead_somewhere(page: Path) -> None:
    loaded = "p.defaultView.performance.getEntriesByType('resource').length"
    assert asked(page, loaded, DESK) == "0"
    dead = "[...p.querySelectorAll('a')].filter(a => !p.getElementById(a.getAttribute('href').slice(1))).length"
    assert asked(page, dead, DESK) == "0"


def test_dark_is_dark_and_light_is_light(page: Path, tmp_path: Path) -> None:
    light = corner(picture(page, tmp_path / "light.png", DESK, 900))
    dark = corner(picture(page, tmp_path / "dark.png", DESK, 900, dark=True))
    assert min(light) > 240
    assert max(dark) < 40
    assert picture(page, tmp_path / "phone.png", PHONE, 900)


def corner(png: bytes) -> bytes:
    """Red, green and blue of the first pixel; of the first row every filter leaves the first pixel as it is, or adds
    nothing to it."""
    data, at = b"", 8
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        data += png[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += length + 12
    return zlib.decompress(data)[1:4]
