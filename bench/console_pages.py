"""The pages of the console in a real browser, and what workers feel of them: a part of bench/console.py.

A page counts from the start of its navigation until what it shows is painted, by the browser's own clock; a search from
that of the page that shows what was found. Stores are asked by turns, past the memory that open pages share. Deliveries
are counted in windows without and with open pages, by turns too, in the process that serves the pages, as it is with
`counterfoil run`.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from playwright.async_api import Page

from console_hub import chromium, hub

CUSTOMERS, SKUS, NAMED = 50_000, 500, 200
"""Customers, articles (one is in 1 of 500 orders, `SKU-0` in half of all), and customers with known addresses."""
OPEN, ROUNDS = (0, 1, 10), 20
"""Open *Today* pages, and how often each."""

SHOWN = """
window.shown = new Promise((resolve) => {
  const there = () => {
    const form = document.querySelector("form[data-kept]");
    const found = () => form.closest("[data-part]").nextElementSibling?.childElementCount;
    if (!document.getElementById("main") || (form && location.search && !found())) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
  };
  const watch = new MutationObserver(there);
  watch.observe(document, { childList: true, subtree: true });
});
"""
"""Says when all is there: a page is drawn at once, but what is searched for may come after it."""


def address(customer: int) -> str:
    """An e-mail address of a customer that can be looked for."""
    return f"c{customer}@mail.example"


def asked(orders: int) -> dict[str, Callable[[random.Random], str]]:
    """What is looked for, by what it is."""

    def number(dice: random.Random) -> int:
        return dice.randrange(max(1, orders))

    return {
        "order number": lambda d: f"N{number(d)}",
        "its first digits": lambda d: f"N{number(d)}"[:4],
        "e-mail": lambda d: address(d.randrange(NAMED)),
        "SKU in one of 500 orders": lambda d: f"SKU-{d.randrange(1, SKUS, 2)}",
        "SKU in half of all orders": lambda d: "SKU-0",
        "payment reference": lambda d: f"ch_{number(d)}",
        "tracking number": lambda d: f"00340{number(d)}",
        "invoice": lambda d: f"INV/2026/{number(d)}",
        "canonical id": lambda d: f"web:order:{number(d)}",
        "nothing": lambda d: f"nothing-{d.random()}",
    }


MEASURED = """async () => {
  while (!window.did_handshake) await new Promise((resolve) => setTimeout(resolve, 5));
  const button = document.querySelector("button[data-act=measure]");
  const part = button.closest("[data-part]");
  return new Promise((resolve) => {
    const began = performance.now();
    new MutationObserver((_, watch) => {
      if (part.contains(button)) return;
      watch.disconnect();
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
    }).observe(part, { childList: true, subtree: true });
    button.click();
  });
}"""
"""Milliseconds from the click for what was measured until it is painted, of the page *Blueprint*."""


def pages(orders: int, exceptions: int, likeness: str) -> dict[str, Callable[[random.Random], str]]:
    """Where each page is."""
    return {
        "today": lambda d: "",
        "counterfoil": lambda d: "/counterfoil",
        "journey": lambda d: f"/counterfoil/web:order:{d.randrange(max(1, orders))}",
        "exceptions": lambda d: "/exceptions",
        "exceptions, one owner": lambda d: "/exceptions?owner=finance",
        "exceptions, alike": lambda d: f"/exceptions/alike/{likeness}",
        "exception": lambda d: f"/exceptions/{d.randrange(1, max(2, exceptions))}",
        "money": lambda d: "/money",
        "flows": lambda d: "/flows",
        "systems": lambda d: "/systems",
        "system": lambda d: "/systems/odoo",
        "blueprint": lambda d: "/blueprint",
        "reports, 7 days": lambda d: "/reports?days=7",
        "reports, 30 days": lambda d: "/reports?days=30",
        "reports, 90 days": lambda d: "/reports?days=90",
        "runbooks": lambda d: "/runbooks",
        "runbook": lambda d: "/runbooks/tax",
    }


async def shown(page: Page) -> float:
    """Milliseconds from the navigation until it could be seen."""
    return float(await page.evaluate("window.shown"))


async def go(page: Page, where: str, may_lack: bool = False) -> float:
    """To an address; `may_lack`: of a thing that need not be there."""
    answer = await page.goto(f"/console{where}", wait_until="commit")
    if answer is None or (answer.status != 200 and not (may_lack and answer.status == 404)):
        raise SystemExit(f"/console{where} was answered by {answer and answer.status}")
    return await shown(page)


async def look_for(page: Page, text: str) -> float:
    """By the field that every page has."""
    await page.fill("#search", text)
    async with page.expect_navigation(wait_until="commit"):
        await page.press("#search", "Enter")
    return await shown(page)


async def timed(full: str, empty: str, orders: int, exceptions: int, times: int) -> dict[str, Any]:
    """Median and p95 of each page and search in ms, beside the empty store's."""
    async with hub(full) as grown, hub(empty) as bare, chromium() as browser:
        both = [await (await each.browser(browser, SHOWN)).new_page() for each in (grown, bare)]
        await go(both[0], "/exceptions")
        first = await both[0].locator("tbody a").first.get_attribute("href")
        places = pages(orders, exceptions, str(first).rpartition("/")[2].partition("?")[0])
        took: defaultdict[str, list[list[float]]] = defaultdict(list)
        for turn in range(times + 1):
            dice, each = random.Random(turn), {}
            for name, where in places.items():
                here = where(dice)
                each[name] = [await go(page, here, may_lack=page is both[1]) for page in both]
            for page in both:
                await go(page, "/blueprint")
            each["blueprint, measured"] = [await page.evaluate(MEASURED) for page in both]
            for name, text in asked(orders).items():
                sought = text(dice)
                each[f"search: {name}"] = [await look_for(page, sought) for page in both]
            print(f"  pages: {turn} of {times} turns", file=sys.stderr, flush=True)
            if turn:  # the first one fills the browser's and the statements' caches
                for name, ms in each.items():
                    took[name].append(ms)
    return {name: _summed(*zip(*each, strict=True)) for name, each in took.items()}


def _summed(full: Sequence[float], empty: Sequence[float]) -> dict[str, float]:
    p50, p95 = statistics.median(full), sorted(full)[min(len(full) - 1, int(len(full) * 0.95))]
    return {"p50": p50, "p95": p95, "empty": statistics.median(empty), "ratio": p50 / statistics.median(empty)}


async def beside(full: str) -> dict[str, Any]:
    """Deliveries a second by the number of open *Today* pages, in turn forwards and backwards."""
    rates: dict[int, list[tuple[float, float]]] = {n: [] for n in OPEN}
    async with hub(full, memory=True) as grown, chromium() as browser:
        for turn in range(ROUNDS):
            for n in OPEN if turn % 2 == 0 else reversed(OPEN):
                context = await grown.browser(browser, SHOWN)
                for _ in range(n):
                    await go(await context.new_page(), "")
                rate = await grown.delivers()
                await context.close()
                if rate is None:
                    raise SystemExit("a window was not full: the worker had nothing left to do; raise AHEAD")
                rates[n].append(rate)
            print(f"  workers: {turn + 1} of {ROUNDS} rounds", file=sys.stderr, flush=True)
    alone = [sum(each) for each in zip(*rates[0], strict=True)]
    found: dict[str, Any] = {}
    for n, each in rates.items():
        per_s, per_cpu_s = (sum(of) for of in zip(*each, strict=True))
        found[str(n)] = {
            **{"per_s": per_s / ROUNDS, "ratio": per_s / alone[0], "ratio_by_processor_time": per_cpu_s / alone[1]},
            "windows": (windows := [b[0] / a[0] for a, b in zip(rates[0], each, strict=True)]),
            "error": statistics.stdev(windows) / ROUNDS**0.5,
        }
    return found
