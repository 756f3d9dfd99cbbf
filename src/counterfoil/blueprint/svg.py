"""The diagram of a page as SVG: who reports on the left, what it leads to in the middle, who does it on the right.

Labels have a place of their own and lines none but their ends, so that nothing is written over, however many flows
there are. Colours come from the page's style sheet by class (`c0` to `c7`, by who does it).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from counterfoil.blueprint.page import Arrow, Diagram, plain

COLOURS = 8
WIDTH = 980
_BOX, _LABEL = 170, 420  # widths
_LABEL_X = (WIDTH - _LABEL) // 2
_RIGHT_X = WIDTH - _BOX
_LINE, _PAD, _GAP = 16, 8, 10
_LABEL_CHARS, _NAME_CHARS = 60, 18
_BETWEEN_ARROWS = 14


@dataclass(frozen=True, slots=True)
class _Box:
    y: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def svg(diagram: Diagram) -> str:
    """The diagram; empty if there are no arrows. Text is escaped."""
    if not diagram.arrows:
        return ""
    kinds = dict(diagram.systems)
    labels, left = _stacked(diagram.arrows, kinds)
    right = _opposite(diagram.arrows, labels, kinds)
    height = max(box.y + box.height for box in (*labels, *left.values(), *right.values()))
    colour = {name: number % COLOURS for number, (name, _) in enumerate(diagram.systems)}
    arriving: dict[str, int] = {}
    parts: list[str] = []
    for arrow, label in zip(diagram.arrows, labels, strict=True):
        number = arriving[arrow.target] = arriving.get(arrow.target, -1) + 1
        of = sum(other.target == arrow.target for other in diagram.arrows)
        end = right[arrow.target].middle + (number - (of - 1) / 2) * _BETWEEN_ARROWS
        parts.append(_arrow(arrow, label, left[arrow.source], end, colour[arrow.target]))
    parts += [_box(0, box, name, kinds[name], colour[name]) for name, box in left.items()]
    parts += [_box(_RIGHT_X, box, name, kinds[name], colour[name]) for name, box in right.items()]
    words = (
        "On the left who reports something, on the right who does something about it; the table of flows says the same."
    )
    return (
        f'<svg role="img" aria-labelledby="flows-title flows-desc" viewBox="-1 -1 {WIDTH + 2} {height + 2:g}">'
        f'<title id="flows-title">Who tells whom what</title><desc id="flows-desc">{words}</desc>{"".join(parts)}</svg>'
    )


def _stacked(arrows: Sequence[Arrow], kinds: Mapping[str, str]) -> tuple[list[_Box], dict[str, _Box]]:
    """A place for each label, one below the other, and beside those of each source its box."""
    labels: list[_Box] = []
    sources: dict[str, _Box] = {}
    y = 0.0
    for arrow in arrows:
        if arrow.source not in sources and labels:
            above = sources[arrows[len(labels) - 1].source]
            y = max(y, above.y + above.height + 2 * _GAP)
        label = _Box(y, len(_lines(arrow)) * _LINE + 2 * _PAD)
        labels.append(label)
        top = sources.get(arrow.source, label).y
        sources[arrow.source] = _Box(top, max(y + label.height - top, _needed(arrow.source, kinds[arrow.source])))
        y += label.height + _GAP
    return labels, sources


def _opposite(arrows: Sequence[Arrow], labels: Sequence[_Box], kinds: Mapping[str, str]) -> dict[str, _Box]:
    """Each target as near to the middle of its labels as those above it allow."""
    reached: dict[str, list[float]] = {}
    for arrow, label in zip(arrows, labels, strict=True):
        reached.setdefault(arrow.target, []).append(label.middle)
    found: dict[str, _Box] = {}
    free = 0.0
    for name, middles in sorted(reached.items(), key=lambda item: sum(item[1]) / len(item[1])):
        height = max(_needed(name, kinds[name]), (len(middles) + 1) * _BETWEEN_ARROWS)
        y = max(free, sum(middles) / len(middles) - height / 2)
        found[name] = _Box(y, height)
        free = y + height + _GAP
    return found


def _needed(name: str, kind: str) -> float:
    return (len(_wrapped(name, _NAME_CHARS)) + len(_wrapped(kind, _NAME_CHARS))) * _LINE + 2 * _PAD


def _arrow(arrow: Arrow, label: _Box, source: _Box, end: float, colour: int) -> str:
    edge = _RIGHT_X - 8
    thick = ' class="critical"' if arrow.critical else ""
    bend = (_RIGHT_X - _LABEL_X - _LABEL) / 2
    start = _LABEL_X + _LABEL
    middle = label.middle
    begin = min(max(middle, source.y + _PAD), source.y + source.height - _PAD)
    line = (
        f'<path d="M{_BOX} {begin:g}C{_BOX + bend:g} {begin:g} {_LABEL_X - bend:g} {middle:g} {_LABEL_X} {middle:g}"/>'
        f'<path d="M{start} {middle:g}C{start + bend:g} {middle:g} {edge - bend:g} {end:g} {edge} {end:g}"/>'
        f'<path class="head" d="M{_RIGHT_X} {end:g}l-9 -5v10z"/>'
    )
    text = "".join(
        f'<text x="{_LABEL_X + 12}" y="{label.y + _PAD + _LINE * number + 12:g}">{words}</text>'
        for number, words in enumerate(_lines(arrow))
    )
    rectangle = f'<rect x="{_LABEL_X}" y="{label.y:g}" width="{_LABEL}" height="{label.height:g}" rx="6"/>'
    return f'<g class="arrow c{colour}"><g{thick}>{line}</g>{rectangle}{text}</g>'


def _lines(arrow: Arrow) -> list[str]:
    """The label's lines, as markup: facts, an arrow, and in bold what is done about them."""
    lines: list[str] = []
    for events, does in arrow.lines:
        *before, last = _wrapped(f"{', '.join(events)} \u2192 {does}", _LABEL_CHARS)
        facts, arrow_sign, deed = last.rpartition("\u2192 ")
        lines += [escape(line) for line in before]
        bold = ' class="critical"' if does in arrow.critical else ""
        lines.append(f"{escape(facts)}{arrow_sign}<tspan{bold}>{escape(deed)}</tspan>")
    return lines


def _box(x: int, box: _Box, name: str, kind: str, colour: int) -> str:
    lines = [(line, "name") for line in _wrapped(name, _NAME_CHARS)]
    lines += [(line, "kind") for line in _wrapped(kind, _NAME_CHARS)]
    top = box.middle - len(lines) * _LINE / 2 + 12
    text = "".join(
        f'<text class="{style}" x="{x + _BOX // 2}" y="{top + _LINE * number:g}">{escape(line)}</text>'
        for number, (line, style) in enumerate(lines)
    )
    rectangle = f'<rect x="{x}" y="{box.y:g}" width="{_BOX}" height="{box.height:g}" rx="8"/>'
    return f'<g class="system c{colour}">{rectangle}{text}</g>'


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(plain(text), width, break_on_hyphens=False) or [""]
