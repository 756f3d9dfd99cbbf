"""The docs that a person on call needs, as the console shows them: found, read and made HTML from Markdown.

They are part of the wheel (`counterfoil/docs`); in a checkout they are read where they are written. HTML that stands in
them is shown as text; a link leads to the console's page of it where there is one, else it is only its text.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from counterfoil.doors.console.markup import Html, link, tag
from counterfoil.hub.exceptions.runbooks import name_of

ROOT = "/console"
RUNBOOKS = "runbooks"
FOLDERS = (RUNBOOKS, "how-to", "reference")
"""Those of docs/ that are shown."""
_PACKAGE = Path(__file__).parents[2]
_DOCS = next((docs for docs in (_PACKAGE / "docs", _PACKAGE.parents[1] / "docs") if docs.is_dir()), _PACKAGE / "docs")
_ROLES = {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "th": "columnheader", "td": "cell"}
_READER = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
_READER.add_render_rule("td_open", lambda self, *at: f'{self.renderToken(*at)}<span class="cell">')
_READER.add_render_rule("td_close", lambda *_: "</span></td>\n")


def runbook(name: str) -> Html:
    """The way to a runbook, by the name of its page; it says its title."""
    return link(f"{ROOT}/{RUNBOOKS}/{name}", titles(RUNBOOKS).get(name, name))


def helps(name: str) -> Html:
    """The same on a line of its own, beneath a finding."""
    return tag("div", runbook(name), class_="small")


def helps_with(reason: str) -> Html:
    """The same, by the reason that the finding gives."""
    return helps(name_of(reason))


@cache
def titles(folder: str) -> Mapping[str, str]:
    """The pages of a folder: their titles by their names, in the order of the titles."""
    found = {file.stem: _title(file) for file in (_DOCS / folder).glob("*.md")}
    return dict(sorted(found.items(), key=lambda each: each[1].lower()))


def _title(file: Path) -> str:
    with file.open(encoding="utf-8") as lines:
        return next(lines).strip("# \n")


@cache
def shown(folder: str, name: str) -> Html:
    """A page without its title. Raises KeyError for one that is not there."""
    if folder not in FOLDERS or name not in titles(folder):
        raise KeyError(name)
    return html((_DOCS / folder / f"{name}.md").read_text(encoding="utf-8").partition("\n")[2], folder)


def html(text: str, folder: str = RUNBOOKS) -> Html:
    """Markdown as HTML; `folder` is where relative links begin."""
    tokens = _READER.parse(text)
    heads: list[str] = []
    for place, token in enumerate(tokens):
        kind = token.type.removesuffix("_open")
        if token.children:
            token.children = _led(token.children, folder)
        if kind in _ROLES and token.nesting == 1:
            token.attrs = {"role": _ROLES[kind]}  # rows are cards on a narrow screen: roles keep them a table
        if kind == "tr":
            column = 0
        elif kind == "table":
            heads = []
        elif kind == "th" and token.nesting == 1:
            heads.append(_plain(tokens[place + 1]))
        elif kind == "td" and token.nesting == 1:
            token.attrs["data-head"] = heads[column]
            column += 1
    drawn = _READER.renderer.render(tokens, _READER.options, {})
    return Html(drawn.replace("<pre>", '<pre tabindex="0">'))  # it may scroll


def _led(children: Sequence[Token], folder: str) -> list[Token]:
    """Links to where the console has the page; a link to what it has not is only its text."""
    kept, lost = [], False
    for token in children:
        if token.type == "link_open":
            address = _address(str(token.attrs["href"]), folder)
            lost = not address
            token.attrs["href"] = address
        if not (lost and token.type in ("link_open", "link_close")):
            kept.append(token)
    return kept


def _address(href: str, folder: str) -> str:
    if href.startswith("https://"):
        return href
    file = href.partition("#")[0]
    path = posixpath.normpath(posixpath.join(folder, file)) if file else ""
    place, _, name = path.removesuffix(".md").partition("/")
    if path == RUNBOOKS or (place in FOLDERS and name in titles(place)):
        return f"{ROOT}/{path.removesuffix('.md')}"
    return ""


def _plain(inline: Token) -> str:
    return "".join(token.content for token in inline.children or ())
