"""What a run of `link` found: counts, and the review list as rows for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from counterfoil.doors import decisions
from counterfoil.doors.decisions import Decided
from counterfoil.hub.matching import REASONS, Matching, Review, Thing

What = Literal["products", "customers"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the review list. `keys` is empty for people: their keys are personal, as is what is `told`."""

    what: str
    reason: str
    by: str
    keys: str
    here: str
    there: str
    told: tuple[str, str] = ("", "")

    def as_dict(self, erp: str, shop: str, personal: bool = False) -> dict[str, str]:
        """With the systems' names as columns, the reason in words, and room for a decision."""
        reason = {"only_here": f"only_{erp}", "only_there": f"only_{shop}"}.get(self.reason, self.reason)
        row = {"what": self.what, "reason": reason, "why": REASONS[self.reason], "by": self.by, "key": self.keys}
        row |= {"decision": "", erp: self.here, shop: self.there}
        return row | ({f"{erp} says": self.told[0], f"{shop} says": self.told[1]} if personal else {})


@dataclass(frozen=True, slots=True)
class Linked:
    """What a run of `link` found, and wrote if it was told to."""

    erp: str
    shop: str
    what: What
    found: tuple[int, int]
    matching: Matching
    products: Matching
    rows: tuple[Row, ...]
    written: int | None
    decided: Decided

    def summary(self) -> dict[str, Any]:
        """The counts."""
        reasons = Counter(row.as_dict(self.erp, self.shop)["reason"] for row in self.rows)
        counts: dict[str, Any] = {
            "system": self.shop,
            "what": self.what,
            "found": {self.erp: self.found[0], self.shop: self.found[1]},
            "matched": len(self.matching.matched),
            "matched_by": dict(Counter(pair.by for pair in self.matching.matched)),
            "already_linked": len(self.matching.linked),
            "review": dict(sorted(reasons.items())),
            "decided": {decisions.LINK: len(self.decided.links), decisions.APART: len(self.decided.apart)},
            "written": self.written,
        }
        if self.what == "products":
            counts["whole_products"] = {
                "matched": len(self.products.matched),
                "already_linked": len(self.products.linked),
            }
        return counts


def rows_of(
    what: What, found: Matching, whole: Matching, here: Mapping[str, Thing], there: Mapping[str, Thing]
) -> tuple[Row, ...]:
    """The review as rows: articles or customers, then whole products."""

    def row(kind: str, entry: Review) -> Row:
        mine = [here[i] for i in entry.here if i in here]
        other = [there[i] for i in entry.there if i in there]
        keys: dict[str, None] = {}
        if kind == "article":
            for thing in (*mine, *other):
                keys |= dict.fromkeys(f"{name} {value}" for name, value in thing.keys.items())
        told = (_told(mine), _told(other))
        return Row(kind, entry.reason, entry.by, ", ".join(keys), " ".join(entry.here), " ".join(entry.there), told)

    one = "article" if what == "products" else "customer"
    return (*(row(one, entry) for entry in found.review), *(row("product", entry) for entry in whole.review))


def _told(of: Sequence[Thing]) -> str:
    return " / ".join(told_of(thing) for thing in of)


def told_of(thing: Thing) -> str:
    """What a person knows it by: name, address and keys. Personal, where it is a customer."""
    return ", ".join(dict.fromkeys([*thing.told.values(), *thing.keys.values()]))
