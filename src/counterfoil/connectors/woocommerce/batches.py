"""Batches of products and variations: one call, an answer per item, 100 at most (413 above, recorded)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from counterfoil.connectors.woocommerce.client import Client, outcome_of
from counterfoil.hub.contract import Failure, Kind, Outcome

MOST = 100
CREATES = 25
"""New ones in a write: each takes the shop about 70 ms, on a slow host far more, and a call must end in time."""
WITH_IMAGES = 5
"""Those for which the shop fetches images, which it does before it answers."""
_GONE = ("not_in_shop", "gone")
_WRONG_ROUTE = "woocommerce_rest_invalid_product_id"  # a variation's id among products: the link is of another shape
Answered = Mapping[str, Any] | Outcome
Row = TypeVar("Row")


async def write(
    client: Client, path: str, create: Sequence[Mapping[str, Any]] = (), update: Sequence[Mapping[str, Any]] = ()
) -> tuple[list[Answered], list[Answered]]:
    """Send both lists to `path` (`products`, `products/55/variations`); each item's row as it now stands, or why not.

    The shop answers 200 with an error per item, in the order of the request. Raises Failure for the whole call.
    """
    content = {name: list(rows) for name, rows in (("create", create), ("update", update)) if rows}
    if not content:
        return [], []
    answer = await client.call("POST", f"{path}/batch", content=content)
    data = answer.data if isinstance(answer.data, dict) else {}
    given: list[list[Answered]] = []
    for name, rows in (("create", create), ("update", update)):
        found = data.get(name, [] if not rows else None)
        if not isinstance(found, list) or len(found) != len(rows) or not all(isinstance(row, dict) for row in found):
            technical = f"{path}/batch: {name} of {len(rows)}, got {answer.body[:200].decode('utf-8', 'replace')!r}"
            raise Failure(Outcome(Kind.RETRY, "odd_answer", "The shop answered with something else.", technical))
        given.append([_read(row, sent, f"{path}/batch") for row, sent in zip(found, rows, strict=True)])
    return given[0], given[1]


def portions(rows: Sequence[Row], content: Callable[[Row], Mapping[str, Any]]) -> Iterator[Sequence[Row]]:
    """The rows in portions that the shop can be expected to write before the request times out."""
    sizes = [_size(content(row)) for row in rows]
    for size in (MOST, CREATES, WITH_IMAGES):
        group = [row for row, own in zip(rows, sizes, strict=True) if own == size]
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _size(content: Mapping[str, Any]) -> int:
    if "images" in content or "image" in content:
        return WITH_IMAGES
    return MOST if "id" in content else CREATES


def is_gone(outcome: Outcome) -> bool:
    """Whether the shop has no such product or variation at that place."""
    return outcome.reason in _GONE


def _read(row: Mapping[str, Any], sent: Mapping[str, Any], path: str) -> Answered:
    error = row.get("error")
    if error is None:
        if sent.get("id", row.get("id")) != row.get("id"):
            technical = f"{path}: asked for {sent.get('id')}, got {row.get('id')}"
            return Outcome(Kind.RETRY, "odd_answer", "The shop answered for another product.", technical)
        return row
    error = error if isinstance(error, dict) else {}
    code, details = str(error.get("code", "")), error.get("data")
    if code == _WRONG_ROUTE:
        return Outcome(Kind.REJECTED, "gone", "The shop has no such product there.", f"{path}: {code}")
    status = details.get("status") if isinstance(details, dict) else None
    outcome = outcome_of(
        status if isinstance(status, int) and status >= 400 else 400, {}, json.dumps(error).encode(), path
    )
    return outcome or Outcome(Kind.REJECTED, "refused_by_shop", "The shop refuses this.", f"{path}: {code}")
