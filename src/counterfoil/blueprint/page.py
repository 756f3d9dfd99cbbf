"""What the page of a blueprint is made of, whatever it is written as: headings, paragraphs, tables, one diagram.

All texts are plain: who writes the page escapes them, so that nothing in a blueprint can become part of its markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from counterfoil.blueprint.problems import plain

__all__ = ["Arrow", "Block", "Diagram", "Heading", "Table", "plain", "section"]


@dataclass(frozen=True, slots=True)
class Heading:
    """What the blocks up to the next one are about."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of as many cells as the head has."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Arrow:
    """What one system is told of another's facts: for each operation there, the facts that lead to it.

    `critical` are the operations of which a person is told when they wait too long.
    """

    source: str
    target: str
    lines: tuple[tuple[tuple[str, ...], str], ...]
    critical: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Diagram:
    """Who tells whom what. `systems` are (name, kind) in the order declared; an arrow's ends are names of them."""

    systems: tuple[tuple[str, str], ...]
    arrows: tuple[Arrow, ...]


Block = str | Heading | Table | Diagram
"""A part of the page; text is a paragraph, empty text is nothing."""


def section(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[Block]:
    """Heading and table; nothing if there are no rows."""
    body = tuple(tuple(row) for row in rows)
    return [Heading(title), Table(tuple(head), body)] if body else []
