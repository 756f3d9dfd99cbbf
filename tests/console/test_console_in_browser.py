"""The console in a real browser: the work of a shop's people, what every page looks like, and who can use it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect
from tests.console.conftest import PICTURES, Seen, axe
from tests.console_stage import PASSWORD, Stage
from tests.fakes import ERP, House, at, failing, payload, subject, until

from counterfoil.hub import draining, replays
from counterfoil.hub.access.roles import Role
from counterfoil.hub.contract import Kind, Outcome
from counterfoil.hub.pausing import Place
from counterfoil.hub.replay import Choice, Plan
from counterfoil.retail.mapping import missing

UNMAPPED = missing("payments:\n  - {method: klarna_pay_later, journal: …}", ["Bank", "Cash"])
LONG = "A-VERY-LONG-SKU-THAT-SOMEBODY-MADE_" + 40 * "X"
PAGES = {
    "today": "",
    "search": "/counterfoil?q=N5",
    "nothing-found": "/counterfoil?q=nowhere-to-be-found",
    "journey": f"/counterfoil/{subject(5)}",
    "journey-refused": f"/counterfoil/{subject(21)}",
    "exceptions": "/exceptions",
    "exception": "/exceptions/1",
    "money": "/money",
    "flows": "/flows",
    "systems": "/systems",
    "system": f"/systems/{ERP}",
    "blueprint": "/blueprint",
    "reports": "/reports",
    "runbooks": "/runbooks",
    "runbook": "/runbooks/tax",
    "how-to": "/how-to/reports",
    "not-there": "/nowhere",
}


async def refuse(house: House, numbers: range, message: str = "", reason: str = "unmapped_payment") -> None:
    """These orders come in, and the ERP says no."""
    for n in numbers:
        said = message or "Order {n} was paid by “klarna_pay_later”, and nobody has said which journal takes it."
        text = said.format(n=n)
        house.erp.always[subject(n)] = Outcome(Kind.REJECTED, reason, text, suggestion=UNMAPPED)
    await house.hear(*(payload(n, paid=at(0), payment=f"ch_3Nq{n}Kz") for n in numbers))


async def ready(page: Page, address: str) -> None:
    """The page is there, drawn, and its websocket open."""
    await page.goto(f"/console{address}")
    await page.locator("h1#main").wait_for()
    await until(lambda: page.evaluate("window.did_handshake === true"), 15)  # not in the page: its policy has no eval


async def test_somebody_new_signs_in_finds_an_order_by_its_customers_email_and_reads_what_happened(
    house: House, stage: Stage, visited: Callable[..., Any], seen: Seen
) -> None:
    await stage.user("otto", Role.OPERATOR, password=PASSWORD)
    await house.hear(*(payload(n, email=f"customer{n}@example.org") for n in range(1, 10)))
    async with visited() as page:
        await page.goto("/console/exceptions")
        await page.get_by_label("Name").fill("otto")
        await page.get_by_label("Password").fill("something else entirely")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("status")).to_contain_text("do not go together")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Exceptions")).to_be_visible()  # where they were going
        await page.keyboard.press("/")
        await page.keyboard.type("customer7@example.org")
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="N7").click()
        assert "example.org" not in page.url
        await expect(page.get_by_role("heading", name="Order N7")).to_be_visible()
        steps = page.locator("ol.timeline")
        await expect(steps).to_contain_text("order.placed")
        await expect(steps).to_contain_text("erp.accept_order: done")
        await expect(page.get_by_role("img", name="The journey of order N7")).to_be_visible()
        await page.get_by_role("button", name="What arrived").first.click()
        await expect(page.locator("pre")).to_contain_text("customer7@example.org")
    assert not [text for text in seen.troubles if "401" not in text]  # that of the wrong password
    assert len(seen.hosts) == 1


async def test_fifty_alike_are_tried_on_one_and_then_cleared_together(
    house: House, stage: Stage, visited: Callable[..., Any], seen: Seen
) -> None:
    await stage.user("otto", Role.OPERATOR)
    await refuse(house, range(1, 51))
    await refuse(house, range(51, 53), "Order {n} has a SKU that nobody knows.", "unknown_sku")
    house.erp.always.clear()  # somebody has put right what was in the way
    async with house.working(), visited("otto") as page:
        await ready(page, "/exceptions")
        await expect(page.locator("tbody tr")).to_have_count(2)
        await page.get_by_role("link", name="klarna_pay_later").click()
        await expect(page.get_by_role("heading", name="50 alike")).to_be_visible()
        await page.get_by_role("button", name="Try the oldest").click()
        await expect(page.get_by_role("status").filter(has_text="It worked")).to_be_visible()
        await page.get_by_label("Not wanted").check()
        await page.get_by_role("button", name="Show what would happen").click()
        await expect(page.get_by_role("status").first).to_contain_text("Say why")
        await page.get_by_label("Try again").check()
        await page.get_by_label("Why (kept with your name)").last.fill("the journal is there now")
        await page.get_by_role("button", name="Show what would happen").click()
        await expect(page.get_by_text("49 would be tried again")).to_be_visible()
        assert len([e for e in await stage.exceptions() if e["status"] == "open"]) == 51  # so far it was only shown
        await page.get_by_role("button", name="Do it for all 49").click()
        await expect(page.get_by_text("49 are tried again.")).to_be_visible()
        await expect(page.get_by_text("None of these is open any more.")).to_be_visible()
        await until(lambda: all_made(house, range(1, 51)), 15)
        await ready(page, "/exceptions")
        await expect(page.locator("tbody tr")).to_have_count(1)
    closed = [e for e in await stage.exceptions() if e["status"] != "open"]
    assert {(e["closed_by"], e["status"]) for e in closed} == {("otto", "retried")}
    assert [e["note"] for e in closed].count("the journal is there now") == 49
    assert not seen.troubles


async def all_made(house: House, numbers: range) -> bool:
    """Whether the ERP has each of these orders, once."""
    assert len(house.erp.made) == len(set(house.erp.made))
    return {subject(n) for n in numbers} <= set(house.erp.made)


async def test_an_outage_shows_on_today_while_it_lasts_and_its_end(
    house: House, stage: Stage, visited: Callable[..., Any], seen: Seen
) -> None:
    await stage.user("vera", Role.VIEWER)
    house.erp.answer = failing(Kind.DOWN, "unreachable", message="Nobody answers there.")
    async with visited("vera") as page, house.working():
        await ready(page, "")
        erp = page.locator("a.tile.system", has_text=ERP)
        await expect(erp).to_contain_text("well")
        await house.receive(payload(1))
        await expect(erp).to_contain_text("down", timeout=30_000)
        house.erp.answer = None
        await expect(erp).to_contain_text("well", timeout=60_000)
    assert not seen.troubles


async def test_a_flow_is_paused_and_goes_on_an_event_is_replayed_after_a_look_and_the_stream_drained(
    house: House, stage: Stage, visited: Callable[..., Any], seen: Seen
) -> None:
    await stage.user("otto", Role.OPERATOR)
    stage.desk.streams = {f"{ERP}.accept_order": "order"}
    await house.hear(payload(1))
    async with visited("otto") as page:
        await ready(page, "/flows")
        row = page.locator("tbody tr", has_text="order").first
        await page.locator("select[name=name]").select_option(f"{ERP}.accept_order")
        await page.locator("input[name=why]").fill("stocktaking")
        await page.get_by_role("button", name="Pause").click()
        await expect(row).to_contain_text("Paused by otto")
        await expect(row).to_contain_text("stocktaking")
        await page.get_by_role("button", name="Resume").click()
        await expect(row).to_contain_text("runs")
        await page.get_by_role("button", name="Show what would happen").click()
        await expect(page.get_by_role("status").first).to_contain_text("That would be everything")
        await page.get_by_label("About one thing").fill(subject(1))
        await page.get_by_role("button", name="Show what would happen").click()
        await page.get_by_role("button", name="Replay them (1)").click()
        await expect(page.get_by_role("status").first).to_contain_text("Replay 1 has begun")
        job = page.locator("table", has_text=subject(1)).locator("tbody tr")
        await page.get_by_role("button", name="Stop").click()
        await expect(job).to_contain_text("stopped")
        await expect(job).to_contain_text("by otto")
        await page.get_by_role("button", name="Go on").click()
        await expect(job).to_contain_text("runs")
        await replays.carry_out(house.store, house.blueprint, stage.desk.streams, 1)
        await expect(job).to_contain_text("1 of 1")
        await expect(job).to_contain_text("done")
        await page.get_by_role("button", name="Drain").click()
        drained = page.locator("table", has_text="otto").locator("tbody tr").first
        await expect(drained).to_contain_text("0 of 1")
        await house.work()
        await expect(drained).to_contain_text("nothing is left")
    assert house.erp.made == [subject(1)]
    assert len(house.erp.calls) == 2
    assert not seen.troubles


async def test_who_is_signed_out_elsewhere_is_led_to_the_door_by_the_next_act(
    house: House, stage: Stage, visited: Callable[..., Any]
) -> None:
    await stage.user("otto", Role.OPERATOR)
    await refuse(house, range(1, 2))
    async with visited("otto") as page:
        await ready(page, "/exceptions/1")
        other = await page.context.new_page()
        await ready(other, "")
        await other.get_by_role("button", name="Sign out").click()
        await expect(other.get_by_role("status")).to_contain_text("signed out")
        await page.get_by_label("Put right by hand").check()
        await page.get_by_label("Why (kept with your name)").last.fill("done")
        await page.get_by_role("button", name="Do it", exact=True).click()
        await expect(page.get_by_role("status")).to_contain_text("Your session has ended")
    assert [e["status"] for e in await stage.exceptions()] == ["open"]


async def test_the_keyboard_is_enough(house: House, stage: Stage, visited: Callable[..., Any], seen: Seen) -> None:
    await stage.user("vera", Role.VIEWER)
    async with visited("vera") as page:
        await ready(page, "")
        await page.keyboard.press("Tab")
        assert await focused(page) == "Skip to the content"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        await page.keyboard.press("g")
        await page.keyboard.press("e")
        await expect(page.get_by_role("heading", name="Exceptions", exact=True)).to_be_visible()
        await page.keyboard.press("/")
        assert await page.evaluate("document.activeElement.id") == "search"
        await page.get_by_label("Theme").select_option("dark")
        dark = "getComputedStyle(document.body).backgroundColor"
        colour = await page.evaluate(dark)
        await ready(page, "/flows")
        assert await page.evaluate(dark) == colour == "rgb(17, 21, 27)"
        outlined = "getComputedStyle(document.activeElement).outlineStyle"
        for _ in range(8):
            await page.keyboard.press("Tab")
            assert await page.evaluate(outlined) == "solid", await focused(page)
    async with visited("vera", width=360) as page:
        await ready(page, "")
        await page.get_by_role("button", name="Menu").click()
        await page.get_by_role("link", name="Systems").first.click()
        await expect(page.get_by_role("heading", name="Systems", exact=True)).to_be_visible()
    assert not seen.troubles


async def focused(page: Page) -> str:
    """The text of what has the focus."""
    return str(await page.evaluate("document.activeElement.textContent"))


async def many_of_everything(house: House, stage: Stage) -> str:
    """Orders that went well, exceptions alike and long names; who may do everything there."""
    await house.hear(*(payload(n, email=f"customer{n}@example.org") for n in range(1, 20)))
    await refuse(house, range(20, 80))
    await refuse(house, range(80, 84), f"Line 1 of order {{n}} has the SKU {LONG}, which nobody knows.", "unknown_sku")
    login = await stage.user("somebody-with-quite-a-long-name", *Role)
    await draining.begin(house.store, Place(ERP, "order"), login)
    chosen, planned = Choice(types=("order.placed",), system=ERP, newest_only=True), Plan(events=80, deliveries=80)
    number = await replays.begin(house.store, chosen, planned, login, rate=5)
    await replays.stop(house.store, number, login)
    return login


async def every_page(page: Page, looked_at: Callable[[str], Awaitable[None]]) -> None:
    """Go to each, and have it looked at; the last is one on which somebody is about to act on many."""
    for name, address in PAGES.items():
        await ready(page, address)
        await looked_at(name)
    await ready(page, "/exceptions")
    await page.get_by_role("link", name="klarna_pay_later").click()
    await page.get_by_role("heading", name="60 alike").wait_for()
    await page.get_by_role("button", name="Show what would happen").click()
    await expect(page.get_by_text("60 would be tried again")).to_be_visible()
    await looked_at("alike")


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (360, False), (360, True)])
async def test_every_page_can_be_looked_at_has_a_title_and_is_no_wider_than_the_screen(
    house: House, stage: Stage, visited: Callable[..., Any], seen: Seen, width: int, dark: bool
) -> None:
    """The pictures are in .bench/console."""
    login = await many_of_everything(house, stage)
    folder = PICTURES / f"{width}-{'dark' if dark else 'light'}"
    folder.mkdir(parents=True, exist_ok=True)
    wide: list[str] = []
    titles: dict[str, str] = {}
    async with visited(login, width=width, dark=dark) as page:

        async def looked_at(name: str) -> None:
            await page.evaluate("scrollTo(0, 0)")  # the frame's head stays where one looks
            await page.screenshot(path=folder / f"{name}.png", full_page=True)
            if await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                wide.append(name)
            titles[name] = await page.title()

        await every_page(page, looked_at)
        await page.goto("/console/sign-in?why=ended")
        await looked_at("sign-in")
    assert not wide
    assert len(set(titles.values())) == len(titles) - 1  # both searches are one page
    assert not [text for text in seen.troubles if "404" not in text]  # that of the page that is not there
    assert len(seen.hosts) == 1


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (360, True)])
async def test_axe_finds_nothing_serious_on_any_page(
    house: House, stage: Stage, visited: Callable[..., Any], width: int, dark: bool
) -> None:
    login = await many_of_everything(house, stage)
    found: list[str] = []
    async with visited(login, width=width, dark=dark, bypass_csp=True) as page:  # it tries out styles of its own

        async def looked_at(name: str) -> None:
            await page.evaluate(axe())
            told = json.loads(await page.evaluate("axe.run(document).then(r => JSON.stringify(r))"))
            assert told["passes"]
            for violation in told["violations"]:
                if violation["impact"] in ("serious", "critical"):
                    where = [node["target"] for node in violation["nodes"][:3]]
                    found.append(f"{name}: {violation['id']} ({violation['impact']}) {where}")

        await every_page(page, looked_at)
        await page.goto("/console/sign-in?why=ended")
        await looked_at("sign-in")
    assert not found
