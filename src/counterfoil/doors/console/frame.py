"""What every page has: its frame, its address and title, its refusals, and parts that can act and be shown anew."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import sqlalchemy as sa
import structlog
from fastapi import Request
from nicegui import Client, ui
from starlette.responses import Response

from counterfoil.doors.console import words
from counterfoil.doors.console.markup import Child, Html, join, link, nothing, tag
from counterfoil.doors.console.stage import ROOT
from counterfoil.doors.console.visit import SessionEnded, Visit
from counterfoil.doors.problems import Refusal
from counterfoil.hub.access.people import NotAllowed, Person
from counterfoil.hub.access.roles import Right

log = structlog.get_logger()

LONGEST_FIELD = 250_000
"""Characters of a field that a page sends; what is longer is cut, and then refused by whoever reads it."""
SESSION_EVERY = 30.0
"""Seconds between two looks of an open page whether its session is still there."""

HEAD = (
    f'<link rel="stylesheet" href="{ROOT}/assets/console.css">'
    f'<script src="{ROOT}/assets/theme.js"></script>'
    f'<script src="{ROOT}/assets/console.js" defer></script>'
)
PAGES = (  # address, name, key after g
    ("", words.TODAY, "t"),
    ("/counterfoil", words.COUNTERFOIL, "c"),
    ("/exceptions", words.EXCEPTIONS, "e"),
    ("/flows", words.FLOWS, "f"),
    ("/systems", words.SYSTEMS, "s"),
    ("/blueprint", words.BLUEPRINT, "b"),
    ("/reports", words.REPORTS, "r"),
    ("/runbooks", words.RUNBOOKS, "u"),
)

Fields = Mapping[str, str]
Act = Callable[[Person, Fields], Awaitable[None]]
Build = Callable[["Page"], Awaitable[None]]


class Gone(LookupError):
    """What the address names is not there (any more). The message says so to a person."""


class Page:
    """A page while it is open: who looks at it, what was asked for, and a line that says how the last act went."""

    def __init__(self, visit: Visit, request: Request, client: Client, said: Part) -> None:
        self.visit, self.request, self.client, self.said = visit, request, client, said

    def asked(self, name: str, default: str = "") -> str:
        """A parameter of the address: of its path, or of its query."""
        return str(self.request.path_params.get(name) or self.request.query_params.get(name, default))

    def place(self) -> int:
        """From which row of a long list on, as its pager says it."""
        text = self.asked("from")
        return int(text) if text.isdigit() and len(text) < 10 else 0

    def say(self, text: Child, tone: str = "good") -> None:
        """How it went, to whoever looks and whoever listens."""
        self.said.show(tag("p", text, class_=f"said {tone}", data_focus=tone == "bad"))

    def go(self, address: str) -> None:
        """To another page of the console; the browser's side puts its root before it."""
        self.client.open(address)

    def heading(self, title: str, about: Child = None, window: str = "") -> None:
        """The page's first line; `window` is its title where that says more."""
        ui.page_title(f"{window or title} · Counterfoil")
        Part(self, join(tag("h1", title, id="main", tabindex="-1"), tag("p", about, class_="about") if about else None))

    def every(self, seconds: float, look: Callable[[Person], Awaitable[None]]) -> None:
        """Look again so often while the page is open. Nothing of it counts as an act of the person's."""

        async def tick() -> None:
            if self.client.has_socket_connection:  # who left a page may come back to it for RECONNECT seconds
                await self.guarded(lambda: self._looked(look))

        ui.timer(seconds, tick, immediate=False)

    async def _looked(self, look: Callable[[Person], Awaitable[None]]) -> None:
        await look(await self.visit.who(touch=False))

    async def guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it, and say what came between."""
        try:
            await work()
        except SessionEnded:
            self.go("/sign-in?why=ended")
        except NotAllowed as refusal:
            self.say(f"{words.NOT_ALLOWED} {refusal}", "bad")
        except Gone as gone:
            self.say(str(gone), "bad")
        except Refusal as refusal:
            self.say(refusal.detail, "bad")
        except (OSError, sa.exc.SQLAlchemyError) as error:
            log.error("the console cannot reach the store", error=type(error).__name__)
            self.say(words.STORE_AWAY, "bad")
        except Exception:
            reference = secrets.token_hex(4)
            log.exception("an act of the console failed", reference=reference)
            self.say(words.FAILED.format(reference=reference), "bad")


class Part:
    """A piece of a page. What its forms and buttons with `data-act` say goes to its act, one at a time."""

    def __init__(
        self, page: Page | None, html: Html, act: Act | None = None, element: str = "div", **more: str
    ) -> None:
        self._shown = html
        self._turn = 0
        self._element = ui.element(element)
        self._element._props.update({"innerHTML": html, "data-part": "", "data-turn": "0"})
        self._element._props.update({name.rstrip("_").replace("_", "-"): value for name, value in more.items()})
        if act is not None:
            if page is None:
                raise TypeError("a part that acts belongs to a page")
            self._acts(page, act)

    def show(self, html: Html) -> None:
        """Show this instead."""
        if html != self._shown:
            self._shown = html
            self._element._props["innerHTML"] = html
            self._element.update()

    def _acts(self, page: Page, act: Act) -> None:
        async def acted(event: Any) -> None:
            fields = fields_of(event.args)

            async def work() -> None:
                await act(await page.visit.who(), fields)

            await page.guarded(work)
            self._turn += 1  # tells the browser that it may act again
            self._element._props["data-turn"] = str(self._turn)
            self._element.update()

        self._element.on("act", acted, args=["detail"])


def fields_of(args: object) -> dict[str, str]:
    """What a form sent, as text: it comes from a browser, so anything may be in it."""
    detail = args.get("detail") if isinstance(args, dict) else None
    if not isinstance(detail, dict):
        return {}
    return {str(name): value[:LONGEST_FIELD] for name, value in detail.items() if isinstance(value, str)}


def page(path: str, right: Right = Right.SEE) -> Callable[[Build], Build]:
    """Make it the page of this address, for whoever has the right. What `build` raises becomes a page that says so."""

    def register(build: Build) -> Build:
        @ui.page(path or "/", title="Counterfoil", response_timeout=30)
        async def shown(request: Request, client: Client) -> Response | None:
            visit: Visit = request.scope["counterfoil.visit"]
            ui.add_head_html(HEAD)
            ui.add_body_html(tag("noscript", tag("p", words.NO_SCRIPT)))
            said = _frame(client, visit, request.url.path.removeprefix(ROOT))
            opened = Page(visit, request, client, said)
            try:
                if not visit.person.may(right):
                    raise NotAllowed(words.NEEDS.format(right=right.value))
                await build(opened)
            except NotAllowed as refusal:
                _instead(opened, 403, words.NOT_ALLOWED, str(refusal))
            except Gone as gone:
                _instead(opened, 404, words.NOT_THERE, str(gone))
            except Refusal as refusal:
                _instead(opened, refusal.status_code, words.NOT_THERE, refusal.detail)
            except (OSError, sa.exc.SQLAlchemyError) as error:
                log.error("the console cannot reach the store", error=type(error).__name__)
                _instead(opened, 503, words.STORE_AWAY_TITLE, words.STORE_AWAY)
            except Exception:
                reference = secrets.token_hex(4)
                log.exception("a page of the console failed", reference=reference)
                _instead(opened, 500, words.FAILED_TITLE, words.FAILED.format(reference=reference))
            opened.every(SESSION_EVERY, _nothing)
            return None

        return build

    return register


async def _nothing(_person: Person) -> None:
    """Asking who they are was all."""


def _instead(page: Page, status: int, title: str, text: str) -> None:
    """The page shows only this."""
    page.client.status_code = status
    page.client.content.clear()
    with page.client.content:
        page.heading(title)
        Part(page, nothing(text, tag("p", link(ROOT, words.BACK))))


def _frame(client: Client, visit: Visit, path: str) -> Part:
    """What stands around the page's own content."""
    with client.layout:
        for place, piece in enumerate((_head(visit), _navigation(path))):
            name, html, more = piece
            part = Part(None, html, None, name, **more)
            part._element.move(target_index=place)
    with client.content:
        return Part(None, Html(""), None, "div", role="status", aria_live="polite", class_="saying")


def _head(visit: Visit) -> tuple[str, Html, dict[str, str]]:
    html = join(
        tag("a", words.SKIP_TO_CONTENT, href="#main", class_="skip"),
        tag("button", words.MENU, type="button", class_="menu", aria_controls="pages", aria_expanded="false"),
        tag("a", "Counterfoil", href=ROOT, class_="brand"),
        tag(
            "form",
            tag("label", words.SEARCH, for_="search", class_="unseen"),
            tag(
                "input",
                id="search",
                name="q",
                type="search",
                placeholder=words.SEARCH_HINT,
                autocomplete="off",
                aria_keyshortcuts="/",
            ),
            action=f"{ROOT}/counterfoil",
            method="get",
            role="search",
            data_search=True,
        ),
        tag(
            "form",
            tag("span", visit.person.name, class_="person"),
            tag("button", words.SIGN_OUT, type="submit", class_="quiet"),
            action=f"{ROOT}/sign-out",
            method="post",
            class_="leave",
        ),
    )
    return "header", html, {"class": "top"}


def _navigation(path: str) -> tuple[str, Html, dict[str, str]]:
    def item(address: str, name: str, key: str) -> Html:
        here = path.rstrip("/") == address or (address != "" and path.startswith(f"{address}/"))
        current = ("page" if path.rstrip("/") == address else "true") if here else None
        return tag("li", link(f"{ROOT}{address}" or ROOT, name, aria_current=current, data_key=key))

    themes = (("", words.THEME_SYSTEM), ("light", words.THEME_LIGHT), ("dark", words.THEME_DARK))
    html = join(
        tag("ul", *(item(*each) for each in PAGES)),
        tag(
            "label",
            tag("span", words.THEME),
            tag("select", *(tag("option", name, value=value) for value, name in themes), data_theme_choice=True),
            class_="theme",
        ),
    )
    return "nav", html, {"class": "pages", "id": "pages", "aria-label": words.PAGES}


def now() -> float:
    """The time by which ages on a page are said, in seconds."""
    return time.time()
