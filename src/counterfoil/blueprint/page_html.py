"""A page as one HTML file that needs nothing else: no script, no font, no address, style and diagram inside."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from counterfoil.blueprint.page import Block, Diagram, Heading, Table, plain
from counterfoil.blueprint.svg import svg

_NOTHING_FROM_OUTSIDE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""A second lock behind the escaping: a browser that follows it runs no script and asks for no address."""

_MAY_BREAK = re.compile(r"([._])(?=\w)")
_BETWEEN = re.compile(r"[\s._-]+")
_PART = 22
"""Characters of a word in a table that are kept together."""

STYLE = """
:root{color-scheme:light dark;--text:#1d2530;--soft:#5a6675;--page:#fff;--card:#f6f8fa;--line:#d5dbe2;--accent:#0b57a4}
@media (prefers-color-scheme:dark){:root{--text:#e6eaef;--soft:#a3afbd;--page:#12161c;--card:#1b212a;--line:#38424f;
--accent:#82b9f5}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;max-width:68rem;background:var(--page);color:var(--text);
font:1rem/1.5 system-ui,sans-serif}
h1,h2,p,nav,.long{overflow-wrap:anywhere}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .5rem}
h2{font-size:1.3rem;margin:2.5rem 0 .6rem;padding-top:.4rem;border-top:1px solid var(--line)}
p{max-width:46rem;margin:.5rem 0}
nav ul{display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;margin:1rem 0;padding:0;list-style:none}
a{color:var(--accent)}
table{width:100%;border-collapse:collapse;font-size:.92rem;margin:.6rem 0}
th,td{padding:.4rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
thead th{background:var(--card);font-weight:600}
tbody th{font-weight:600}
thead th:first-child{width:22%}
figure{margin:.6rem 0;overflow-x:auto}
figcaption{color:var(--soft);font-size:.9rem}
svg{display:block;width:100%;min-width:46rem;height:auto;font:12px system-ui,sans-serif}
svg text{fill:var(--text)}
svg .name{font-size:13px;font-weight:600;text-anchor:middle}
svg .kind{fill:var(--soft);text-anchor:middle}
svg tspan{font-weight:600}
.arrow path{fill:none;stroke:var(--c);stroke-width:1.6}
.arrow .critical path{stroke-width:3.2}
.arrow .head{fill:var(--c);stroke:none}
.arrow rect,.system rect{fill:var(--card);stroke:var(--c);stroke-width:1.4}
.arrow tspan.critical{text-decoration:underline}
.c0{--c:#1f6fc4}.c1{--c:#b3501b}.c2{--c:#2c8047}.c3{--c:#8a46b5}.c4{--c:#b52a5e}.c5{--c:#127d86}.c6{--c:#7a6a12}.c7{--c:#5b6472}
@media (prefers-color-scheme:dark){.c0{--c:#6db1f7}.c1{--c:#f09a66}.c2{--c:#77c98f}.c3{--c:#c79be6}.c4{--c:#f08bb0}
.c5{--c:#6accd4}.c6{--c:#d6c25a}.c7{--c:#aab4c2}}
@media (max-width:44rem){body{padding:1rem}h1{font-size:1.5rem}
table,tbody,tr,th,td{display:block}thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tr{border:1px solid var(--line);border-radius:.5rem;margin:.6rem 0;background:var(--card)}
tbody th,td{display:grid;grid-template-columns:8rem 1fr;border:0;padding:.3rem .7rem}td.none{display:none}
tbody th::before,td::before{content:attr(data-head);color:var(--soft);font-weight:400}}
@media print{:root{color-scheme:light;--text:#000;--soft:#444;--page:#fff;--card:#f4f4f4;--line:#bbb;--accent:#000}
body{max-width:none;padding:0;font-size:9.5pt}nav{display:none}h2{break-after:avoid;margin-top:1.2rem}
tr,figure{break-inside:avoid}thead{display:table-header-group}svg{min-width:0}}
"""
# On a narrow screen each row is a card, with the head of its column before each cell.


def html(title: str, blocks: Iterable[Block]) -> str:
    """The whole page. Every text is shown as it stands: nothing in it becomes markup."""
    blocks = [block for block in blocks if block]
    headings = [block for block in blocks if isinstance(block, Heading)]
    links = "".join(f'<li><a href="#s{n}">{_text(h.text)}</a></li>' for n, h in enumerate(headings))
    number, body = 0, []
    opened = False
    for block in blocks:
        if isinstance(block, Heading):
            body.append(f'{"</section>" if opened else ""}<section aria-labelledby="s{number}">')
            body.append(f'<h2 id="s{number}">{_text(block.text)}</h2>')
            number, opened = number + 1, True
        else:
            body.append(_block(block))
    body += ["</section>"] if opened else []
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_NOTHING_FROM_OUTSIDE)}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>",
        f"<header><h1>{_text(title)}</h1></header>",
        f'<nav aria-label="On this page"><ul>{links}</ul></nav>' if links else "",
        f"<main>\n{chr(10).join(body)}\n</main></body></html>\n",
    ]
    return "\n".join(filter(None, parts))


def _text(text: str) -> str:
    return escape(plain(text))


def _block(block: str | Table | Diagram) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Diagram):
        caption = "A thick line and an underlined operation: a person is told when it waits too long."
        shown = f"{svg(block)}<figcaption>{caption}</figcaption>"
        return f'<figure tabindex="0" aria-label="Diagram of the flows">{shown}</figure>'
    return f"<p>{_text(block)}</p>"


def _table(table: Table) -> str:
    """With the roles written out, which some browsers forget where the style shows rows as cards."""
    head = "".join(f'<th scope="col" role="columnheader">{_text(cell)}</th>' for cell in table.head)
    rows = "".join(f'<tr role="row">{"".join(_cells(table.head, row))}</tr>\n' for row in table.rows)
    return (
        f'<table role="table"><thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{rows}</tbody></table>'
    )


def _cells(head: tuple[str, ...], row: tuple[str, ...]) -> Iterable[str]:
    for number, (name, cell) in enumerate(zip(head, row, strict=True)):
        long = any(len(part) > _PART for part in _BETWEEN.split(plain(cell)))
        kind = "none" if not plain(cell) else "long" if long else ""
        about = f'data-head="{_text(name)}"' + (f' class="{kind}"' if kind else "")
        shown = _MAY_BREAK.sub(r"\1<wbr>", _text(cell)) or "–"
        if number == 0:
            yield f'<th scope="row" role="rowheader" {about}>{shown}</th>'
        else:
            yield f'<td role="cell" {about}>{shown}</td>'
