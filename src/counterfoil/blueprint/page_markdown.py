"""A page as Markdown, with its diagram as a Mermaid block."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from counterfoil.blueprint.page import Block, Diagram, Heading, Table, plain

_MARKS = re.compile(r"[\\`*\[\]<>&]")
_NAMED = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def markdown(title: str, blocks: Iterable[Block]) -> str:
    """The whole page. What a text has of Markdown's or HTML's own marks stands as it is."""
    lines = [f"# {escaped(title)}"]
    for block in blocks:
        if block:
            lines += ["", *_block(block)]
    return "\n".join(lines) + "\n"


def _block(block: Block) -> list[str]:
    if isinstance(block, Heading):
        return [f"## {escaped(block.text)}"]
    if isinstance(block, Table):
        return [_row(block.head), _row(["---"] * len(block.head)), *map(_row, block.rows)]
    if isinstance(block, Diagram):
        return ["```mermaid", *_mermaid(block), "```"]
    return [escaped(block)]


def escaped(text: str) -> str:
    """On one line, its marks taken for themselves."""
    return _MARKS.sub(lambda mark: _NAMED.get(mark[0], "\\" + mark[0]), plain(text))


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(cell).replace("|", "\\|") or "–" for cell in cells) + " |"


def _mermaid(diagram: Diagram) -> list[str]:
    number = {name: f"s{index}" for index, (name, _) in enumerate(diagram.systems)}
    lines = ["flowchart LR"]
    lines += [f'  {number[name]}["{_label(f"{name}: {kind}")}"]' for name, kind in diagram.systems]
    for arrow in diagram.arrows:
        told = "<br>".join(_label(f"{', '.join(events)}: {do}") for events, do in arrow.lines)
        lines.append(f'  {number[arrow.source]} -->|"{told}"| {number[arrow.target]}')
    return lines


def _label(text: str) -> str:
    """In Mermaid's own way of writing characters by number."""
    return re.sub(r"[^\w ,.:*/()-]", lambda mark: f"#{ord(mark[0])};", plain(text))
