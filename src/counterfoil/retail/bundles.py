"""Bundles: what is sold as one and taken from stock as its parts. Pure; quantities are thousandths of a unit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from counterfoil.retail.availability import UNIT, UNLIMITED, Answer, State


def of_bundle(parts: Sequence[tuple[Answer, int]]) -> Answer:
    """Of a bundle there is what its scarcest part makes: (the part's answer, thousandths of it in one bundle).

    Raises ValueError for a bundle of nothing.
    """
    if not parts or any(quantity <= 0 for _, quantity in parts):
        raise ValueError("a bundle is made of something")
    units = min(answer.free // quantity for answer, quantity in parts)
    more = [UNLIMITED if a.beyond >= UNLIMITED else (a.free + a.beyond * UNIT) // quantity for a, quantity in parts]
    beyond = UNLIMITED if min(more) >= UNLIMITED else max(0, min(more) - units)
    if units:
        state: State = "low" if any(a.state == "low" for a, _ in parts) else "in_stock"
    elif beyond:
        state = "pre_order" if any(a.state == "pre_order" for a, _ in parts) else "back_order"
    else:
        state = "out"
    each = [{place: there * UNIT // quantity for place, there in a.by_place} for a, quantity in parts]
    at = tuple((place, min(units, *(one.get(place, 0) for one in each))) for place in each[0])
    return Answer(units, beyond, state, at, units * UNIT)


def explode(lines: Iterable[tuple[str, int]], bundles: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """What the lines take of single articles: bundles in their parts, to the last; lines sharing a part add up (F18).

    Lines and parts are (article, thousandths), in what names `bundles` uses. Raises ValueError for bundles in a circle.
    """
    needed: dict[str, int] = {}

    def add(article: str, amount: int, around: tuple[str, ...]) -> None:
        parts = bundles.get(article)
        if parts is None:
            needed[article] = needed.get(article, 0) + amount
            return
        if article in around:
            raise ValueError(f"{article} is a part of itself")
        for part, each in parts.items():
            add(part, -(-amount * each // UNIT), (*around, article))

    for article, amount in lines:
        add(article, amount, ())
    return needed
