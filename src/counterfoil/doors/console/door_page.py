"""The page to sign in, and what is said before somebody is in: whole without any script."""

from __future__ import annotations

from urllib.parse import urlencode

from counterfoil.doors.console import words
from counterfoil.doors.console.markup import Child, Html, join, tag


def sign_in(said: str = "", login: str = "", after: str = "/console", hint: str = "", elsewhere: str = "") -> str:
    """`said`: how it went before; `after`: where to go then; `hint`: what a new hub's owner should know; `elsewhere`:
    the provider at which people may sign in too."""
    form = tag(
        "form",
        tag("input", type="hidden", name="next", value=after),
        tag(
            "label",
            words.LOGIN,
            tag("input", name="login", value=login, autocomplete="username", autocapitalize="none", required=True),
            class_="field",
        ),
        tag(
            "label",
            words.PASSWORD,
            tag("input", name="password", type="password", autocomplete="current-password", required=True),
            class_="field",
        ),
        tag("button", words.SIGN_IN, class_="main"),
        method="post",
        action="/console/sign-in",
    )
    notes = tag("p", said, class_="said warn", role="status") if said else None
    way = f"/admin/v1/sign-in/elsewhere?{urlencode({'to': after})}"
    other = tag("a", words.SIGN_IN_AT.format(name=elsewhere), href=way, class_="button") if elsewhere else None
    out = tag("a", words.SIGN_OUT_AT.format(name=elsewhere), href="/admin/v1/sign-out/elsewhere")
    left = tag("p", out, class_="soft") if elsewhere and said == words.SIGNED_OUT else None
    hinted = tag("p", hint, class_="soft") if hint else None
    return _page(words.SIGN_IN, join(tag("h1", words.SIGN_IN), notes, left, form, other, hinted))


def says(title: str, text: str) -> str:
    """Only this."""
    return _page(title, join(tag("h1", title), tag("p", text), tag("p", tag("a", words.BACK, href="/console"))))


def _page(title: str, content: Child) -> str:
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width,initial-scale=1"),
        tag("title", f"{title} · Counterfoil"),
        tag("link", rel="stylesheet", href="/console/assets/console.css"),
        tag("link", rel="icon", href="/console/assets/icon.svg", type="image/svg+xml"),
        tag("script", src="/console/assets/theme.js"),
    )
    card = tag("main", tag("p", "Counterfoil", class_="brand"), tag("div", content, class_="card"))
    return Html("<!doctype html>") + tag("html", tag("head", head), tag("body", card, class_="door"), lang="en")
