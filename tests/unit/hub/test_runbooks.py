"""Every reason that the code gives has a runbook, every runbook a reason; what they link to and tell to type exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from counterfoil.doors.cli import app
from counterfoil.hub.exceptions import runbooks
from counterfoil.watch.rules import RULES

ROOT = Path(__file__).resolve().parents[3]
SOURCE, PAGES = ROOT / "src" / "counterfoil", ROOT / runbooks.FOLDER
GIVE_A_REASON = {"rejected": 0, "impossible": 0, "_rejected": 0, "refuse": 0, "misconfigured": 0, "down": 0, "_bug": 0}
GIVE_A_REASON |= {"BadPayload": 0, "Reason": 0, "_odd": 0, "odd": 2, "Outcome": 1}
"""What gives a reason, and as which argument."""
PASS = {"DONE", "RETRY", "THROTTLED"}
"""Outcomes that no exception is opened for."""
HEADINGS = ["What it means for the shop", "How to tell", "What to do", "How to know that it is over"]


def given(tree: ast.Module) -> Iterator[str]:
    """The reasons that a module gives in so many words."""
    named = {
        t.id: n.value for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)
    }
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        place = GIVE_A_REASON.get(name, len(call.args))
        kind = getattr(call.args[0], "attr", "") if name == "Outcome" and call.args else ""
        if place >= len(call.args) or kind in PASS:
            continue
        told = call.args[place]
        for each in (told.body, told.orelse) if isinstance(told, ast.IfExp) else (told,):
            word = named.get(each.id, each) if isinstance(each, ast.Name) else each
            if isinstance(word, ast.Constant) and isinstance(word.value, str):
                yield word.value


def trees() -> list[ast.Module]:
    return [ast.parse(file.read_text("utf-8")) for file in sorted(SOURCE.rglob("*.py"))]


ALERTS = {Path(rule.runbook).stem for rule in RULES}
"""Their pages are written for the alert, and are also about some reasons."""


def pages() -> list[str]:
    return sorted(file.stem for file in PAGES.glob("*.md"))


def test_every_reason_that_is_given_has_a_page() -> None:
    told = {reason for tree in trees() for reason in given(tree)}
    assert len(told) > 100, "reasons are given in another way than this looks for"
    rest = f"{runbooks.FOLDER}/{runbooks.REST}.md"
    assert sorted(reason for reason in told if runbooks.page_of(reason) == rest) == []


def test_every_reason_of_a_page_is_in_the_code_and_on_one_page() -> None:
    index = SOURCE / "hub" / "exceptions" / "runbooks.py"
    elsewhere = [ast.parse(f.read_text("utf-8")) for f in sorted(SOURCE.rglob("*.py")) if f != index]
    words = {n.value for tree in elsewhere for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    words |= {f"unmapped_{key}" for key in ("warehouse", "pricelist")}  # put together, in odoo/lookups.py
    listed = [reason for reasons in runbooks.PAGES.values() for reason in reasons]
    assert sorted(reason for reason in listed if reason not in words) == []
    assert len(listed) == len(set(listed))


def test_every_page_is_there_and_is_about_something() -> None:
    assert set(pages()) == {*runbooks.PAGES, runbooks.REST, "webhooks-ill"} | ALERTS


@pytest.mark.parametrize("page", sorted({*runbooks.PAGES, runbooks.REST}))
def test_a_page_says_what_it_is_about_what_to_do_and_links_to_what_there_is(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text("utf-8")
    assert re.findall(r"^## (.+)$", text, re.M) == HEADINGS
    assert page in ALERTS or sorted(r for r in runbooks.PAGES.get(page, ()) if f"`{r}`" not in text) == []
    broken = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not (PAGES / link.partition("#")[0]).exists()]
    assert broken == []
    unknown = [line for line in re.findall(r"`counterfoil ([^`]+)`", text) if not is_command(line)]
    assert unknown == []


def is_command(line: str) -> bool:
    """Whether there is this command, with these options."""
    command = typer.main.get_command(app)
    words = line.split()
    while words and hasattr(command, "commands"):
        if words[0] not in command.commands:
            return False
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts}
    return all(word in options for word in words if word.startswith("-"))


def test_what_care_finds_and_what_a_flow_asks_have_their_pages() -> None:
    assert runbooks.page_of("webhook_order_updated") == "docs/runbooks/webhooks-ill.md"
    assert runbooks.page_of("order.returned") == "docs/runbooks/asked.md"
    assert runbooks.page_of("something_new") == "docs/runbooks/any-exception.md"


def test_pages_are_linked_where_they_are_published_or_at_the_hub_itself() -> None:
    assert runbooks.address_of("unmapped_tax") == "docs/runbooks/tax.md"
    declared = runbooks.published("https://docs.example/runbooks/", "https://hub.example")
    assert runbooks.address_of("unmapped_tax", declared) == "https://docs.example/runbooks/tax"
    here = runbooks.published("", "https://hub.example/")
    assert runbooks.address_of("unmapped_tax", here) == "https://hub.example/console/runbooks/tax"
    assert runbooks.published("", None) == ""


def test_the_how_to_lists_every_reason_with_its_page() -> None:
    text = (ROOT / "docs" / "how-to" / "clear-an-exception.md").read_text("utf-8")
    listed = {
        page: set(re.findall(r"`(\w+)`", rest))
        for page, rest in re.findall(r"\(\.\./runbooks/([\w-]+)\.md\) \|(.*)", text)
    }
    assert {page: reasons for page, reasons in listed.items() if page in runbooks.PAGES} == runbooks.PAGES
