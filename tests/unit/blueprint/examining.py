"""What the blueprint's tests say of an examined text: it is good, or has this one problem."""

from __future__ import annotations

from collections.abc import Callable

from counterfoil.blueprint import Blueprint, Examined, Problem

Look = Callable[[str | bytes], Examined]
Changed = Callable[[str, str], tuple[Examined, int]]
"""The fixtures `look` and `changed`."""


def good(examined: Examined) -> Blueprint:
    """The blueprint, which must be without problems."""
    assert examined.blueprint is not None, "\n".join(map(str, examined.problems))
    return examined.blueprint


def only(examined: Examined) -> Problem:
    """The one problem there must be."""
    assert examined.blueprint is None
    assert len(examined.problems) == 1, "\n".join(map(str, examined.problems))
    return examined.problems[0]
