"""What the console gives to read and to keep: runbooks as pages, tables as files; what it links to is there."""

from __future__ import annotations

import re
import shutil
import tomllib
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import console_stage
from tests.fakes import House, payload

from counterfoil.doors.console import guides, runbooks
from counterfoil.hub.access.roles import Role
from counterfoil.hub.contract import Kind, Outcome
from counterfoil.hub.store import Store
from counterfoil.watch.rules import RULES

EVERY = [(folder, name) for folder in guides.FOLDERS for name in guides.titles(folder)]
DOCS = Path(__file__).resolve().parents[3] / "docs"
MARKDOWN = st.text(st.sampled_from("<>&\"'`*_[]()!|#- \nab/:=")) | st.text()
TAG = re.compile(r"<(/?)([a-z0-9]+)((?: [a-z-]+=\"[^\"<>]*\")*) ?/?>")
ALLOWED = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "pre", "code", "em", "strong", "a", "blockquote"}
ALLOWED |= {"hr", "br", "table", "thead", "tbody", "tr", "th", "td", "span"}


@pytest.mark.parametrize("folder", guides.FOLDERS)
def test_every_page_of_the_docs_is_shown_whole_and_leads_only_to_what_is_there(folder: str) -> None:
    assert set(guides.titles(folder)) == {file.stem for file in (DOCS / folder).glob("*.md")}
    for name, title in guides.titles(folder).items():
        html, text = guides.shown(folder, name), (DOCS / folder / f"{name}.md").read_text("utf-8")
        assert text.startswith(f"# {title}\n")
        assert html.count("<h2>") == len(re.findall(r"^## ", text, re.M))
        inside = [a for a in re.findall(r'href="([^"]*)"', html) if not a.startswith("https://")]
        places = [tuple(a.removeprefix("/console/").split("/")) for a in inside]
        assert [p for p in places if p not in EVERY and p != (guides.RUNBOOKS,)] == []
        assert safe(html)


def test_the_wheel_carries_what_is_shown() -> None:
    made = tomllib.loads((DOCS.parent / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]
    carried = made["wheel"]["force-include"]
    assert {f"docs/{f}": f"counterfoil/docs/{f}" for f in guides.FOLDERS}.items() <= carried.items()


@settings(max_examples=200)
@given(MARKDOWN)
def test_no_markdown_becomes_markup_of_its_own(text: str) -> None:
    """HTML in a page, an address that is a script, a style: none of it gets through a strict policy."""
    assert safe(guides.html(text))


def safe(html: str) -> bool:
    """Whether there are only tags that Markdown makes, without styles, handlers and addresses that are scripts."""
    tags = TAG.findall(html)
    attributes = " ".join(attributes for _, _, attributes in tags)
    rest = TAG.sub("", html)
    return (
        {name for _, name, _ in tags} <= ALLOWED
        and not {"<", ">"} & set(rest)
        and not re.search(r' (style|on\w+|src)=|href="(?!/console/|https://)', attributes)
    )


def test_a_link_out_of_what_is_shown_is_only_its_text_and_html_is_text() -> None:
    text = "[tax](tax.md) [all](../runbooks/) [out](../../examples/blueprint.yaml) [bad](javascript:alert(1)) <b>x</b>"
    html = guides.html(f"{text} [below](#x)")
    assert re.findall(r'href="([^"]*)"', html) == ["/console/runbooks/tax", "/console/runbooks"]
    assert "out" in html
    assert "&lt;b&gt;" in html


def test_a_table_needs_no_style_and_each_cell_says_its_column_and_a_picture_is_not_fetched() -> None:
    html = guides.html("| day | `n` |\n|:--|--:|\n| 1 | 2 |\n| 3 | 4 |\n\n![seen](https://elsewhere.example/x.png)")
    assert re.findall(r'<td role="cell" data-head="([^"]*)"><span class="cell">(\d)</span></td>', html) == [
        *(("day", "1"), ("n", "2"), ("day", "3"), ("n", "4"))
    ]
    assert safe(html)
    assert "<img" not in html


def test_the_list_has_each_runbook_and_each_alert_leads_to_its_own() -> None:
    html = runbooks.listing(guides.titles(guides.RUNBOOKS))
    assert html.count('href="/console/runbooks/') == len(guides.titles(guides.RUNBOOKS))
    for rule in RULES:
        (row,) = [row for row in html.split("<tr") if f'"/console/runbooks/{rule.page}"' in row]
        assert rule.name in row.replace("<wbr>", "")


async def test_a_viewer_reads_runbooks_and_takes_each_table_of_a_report_home(
    sqlite_template: Path, tmp_path: Path
) -> None:
    shutil.copy(sqlite_template, tmp_path / "counterfoil.db")
    store = Store(f"sqlite:///{tmp_path}/counterfoil.db")
    house = House(store)
    house.erp.always["shop:order:1"] = Outcome(Kind.REJECTED, "unknown_sku", "Order 1 has a SKU that nobody knows.")
    try:
        await house.hear(payload(1))
        async with console_stage.opened(house, admin=True) as stage:
            await stage.user("vera", Role.VIEWER)
            async with stage.signed_in("vera") as client:
                page = (await client.get("/console/exceptions/1")).text
                (runbook,) = set(re.findall(r"/console/runbooks/[a-z-]+", page))
                assert runbook == "/console/runbooks/article-not-found"
                for address in ("/console/runbooks", runbook, "/console/how-to/reports", "/console/reference/metrics"):
                    answer = await client.get(address)
                    assert answer.status_code == 200, address
                    assert ' style="' not in answer.text
                for address in ("/console/runbooks/none", "/console/runbooks/..%2fconcepts", "/console/how-to/tax"):
                    assert (await client.get(address)).status_code == 404
                reports = unescape((await client.get("/console/reports?days=7")).text)
                files = re.findall(r"/admin/v1/reports/[a-z]+/[a-z]+\?days=7", reports)
                assert len(files) == 6
                for file in files:
                    answer = await client.get(file)
                    assert answer.status_code == 200, file
                    assert "attachment" in answer.headers["content-disposition"]
    finally:
        await store.close()
