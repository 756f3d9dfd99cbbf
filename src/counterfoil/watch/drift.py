"""Drift: what a shop and the ERP say of the same thing, side by side, and why they differ. Pure.

A row is one thing with what it counts for on either side. It is even, or it has exactly one verdict; so in every group
the shop's total less the ERP's is the sum of what the verdicts explain, and of drift.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

ZERO = Decimal(0)
SAMPLE = 5
"""Rows kept of each reason that is no drift."""

Group = tuple[str, str]
"""(measure, part), such as ("orders", "2026-11-21 confirmed")."""
Amounts = Mapping[Group, Decimal]


class Verdict(StrEnum):
    """Why a row differs. Only the last is drift."""

    DECLARED = "as declared"  # the blueprint wants it so: before the cut-over, unpaid, not listed, within the tolerance
    IN_FLIGHT = "in flight"  # a delivery is open, or it has just changed
    PERSON = "before a person"  # an exception is open, or a person has closed one and left it so
    DRIFT = "drift"


@dataclass(frozen=True, slots=True)
class Remedy:
    """How a row can be made even. `fetch`: (system, kind, id) to be taken in where the hub knows them otherwise.

    `tell`: types of events about `about` that are handed to the system `to` again. With none the owner is not clear.
    """

    fetch: tuple[tuple[str, str, str], ...] = ()
    tell: tuple[str, ...] = ()
    about: str = ""
    to: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing on both sides. `declared` says why the blueprint wants a difference, if it does.

    `subjects` are under which its deliveries and exceptions run, `changed_at` when it last changed (seconds), where a
    side says so.
    """

    what: str
    key: str
    label: str
    shop: Amounts
    erp: Amounts
    shop_says: str = ""
    erp_says: str = ""
    declared: str = ""
    subjects: tuple[str, ...] = ()
    changed_at: float | None = None
    remedy: Remedy = Remedy()

    @property
    def groups(self) -> set[Group]:
        """The groups it counts in."""
        return {*self.shop, *self.erp}

    def difference(self, group: Group) -> Decimal:
        """The shop's less the ERP's."""
        return self.shop.get(group, ZERO) - self.erp.get(group, ZERO)

    @property
    def differs(self) -> bool:
        """Whether the two sides count for something else anywhere."""
        return any(self.difference(group) for group in self.groups)

    def looks_like(self, other: Row) -> bool:
        """Whether both sides are as they are in `other`."""
        return all(
            self.shop.get(g, ZERO) == other.shop.get(g, ZERO) and self.erp.get(g, ZERO) == other.erp.get(g, ZERO)
            for g in self.groups | other.groups
        )


@dataclass(frozen=True, slots=True)
class Bearing:
    """What the hub knows of a row: open deliveries, an open exception, one that a person closed, its last outcome.

    `done_at` is when a delivery about it last came to an end, in seconds by the store's clock.
    """

    open: int = 0
    exception: int | None = None
    reason: str = ""
    decided: int | None = None
    decided_as: str = ""
    done_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that is not even, its one verdict and why, in words. `repaired` says what was done about drift."""

    row: Row
    verdict: Verdict
    why: str
    repaired: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON and CSV; of customers only the id."""
        row = self.row
        return {
            **{"what": row.what, "key": row.key, "label": row.label, "shop": row.shop_says, "erp": row.erp_says},
            **{"verdict": str(self.verdict), "why": self.why, "repaired": self.repaired},
        }


def judge(row: Row, bearing: Bearing, since: float, fresh_after: float) -> Finding | None:
    """The one verdict of a row; None if it is even.

    `since`: what came to an end later may have changed either side while it was read. What changed after `fresh_after`
    may not have been heard of yet (both in seconds by the store's clock).
    """
    if not row.differs:
        return None
    if row.declared:
        return Finding(row, Verdict.DECLARED, row.declared)
    if bearing.exception is not None:
        return Finding(row, Verdict.PERSON, f"exception {bearing.exception} is open: {bearing.reason}")
    if bearing.open:
        return Finding(row, Verdict.IN_FLIGHT, "a delivery about it is open")
    if bearing.done_at >= since:
        return Finding(row, Verdict.IN_FLIGHT, "a delivery about it ended while it was read")
    if row.changed_at is not None and row.changed_at > fresh_after:
        return Finding(row, Verdict.IN_FLIGHT, "it has changed within the time that is promised")
    if bearing.decided is not None:
        return Finding(row, Verdict.PERSON, f"exception {bearing.decided} was {bearing.decided_as} by a person")
    return Finding(row, Verdict.DRIFT, "nothing under way, nobody asked, and nothing declared explains it")


@dataclass(slots=True)
class Cell:
    """One group: the totals of both sides, and what of their difference each verdict accounts for."""

    shop: Decimal = ZERO
    erp: Decimal = ZERO
    by: dict[Verdict, Decimal] = field(default_factory=dict)

    @property
    def difference(self) -> Decimal:
        """The shop's less the ERP's."""
        return self.shop - self.erp


@dataclass(slots=True)
class Tally:
    """Both sides counted: totals by group, how many rows of which verdict, why, and the rows of drift themselves."""

    rows: int = 0
    cells: dict[Group, Cell] = field(default_factory=dict)
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    whys: Counter[tuple[Verdict, str]] = field(default_factory=Counter)
    drift: list[Finding] = field(default_factory=list)
    samples: list[Finding] = field(default_factory=list)

    def add(self, row: Row, finding: Finding | None) -> None:
        """Count a row, with its verdict if it is not even. Raises ValueError for a verdict that does not fit it."""
        if row.differs != (finding is not None):
            raise ValueError(f"{row.key}: a row has a verdict exactly if it differs")
        self.rows += 1
        for group in row.groups:
            cell = self.cells.setdefault(group, Cell())
            cell.shop += row.shop.get(group, ZERO)
            cell.erp += row.erp.get(group, ZERO)
            if finding is not None and row.difference(group):
                cell.by[finding.verdict] = cell.by.get(finding.verdict, ZERO) + row.difference(group)
        if finding is None:
            return
        self.verdicts[finding.verdict] += 1
        if finding.verdict is Verdict.DRIFT:
            self.drift.append(finding)
            return
        why = (finding.verdict, _general(finding.why))
        self.whys[why] += 1
        if self.whys[why] <= SAMPLE:
            self.samples.append(finding)

    @property
    def is_even(self) -> bool:
        """Whether nothing drifts, though something may differ for a reason."""
        return not self.verdicts[Verdict.DRIFT]


def _general(why: str) -> str:
    """The reason without the numbers of exceptions, to count by."""
    return " ".join(word for word in why.split() if not word.isdigit())
