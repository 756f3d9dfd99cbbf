"""Duplicates within one system, with what the hub knows of each record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from counterfoil.blueprint import Blueprint
from counterfoil.doors import linked, onboarding
from counterfoil.doors.linked import What
from counterfoil.doors.onboarding import Tick, Unfit
from counterfoil.hub import candidates, duplicates, linking
from counterfoil.hub.contract import Connector
from counterfoil.hub.duplicates import Group, Standing
from counterfoil.hub.matching import Thing
from counterfoil.hub.store import Store


@dataclass(frozen=True, slots=True)
class Found:
    """The groups in one system, the records in them, and what the hub knows of those."""

    system: str
    what: What
    read: int
    groups: tuple[Group, ...]
    things: Mapping[str, Thing]
    standing: Mapping[str, Standing]

    def summary(self) -> dict[str, Any]:
        """Counts, and the groups without anything personal."""
        return {
            "system": self.system,
            "what": self.what,
            "read": self.read,
            "groups": dict(sorted(Counter(group.reason for group in self.groups).items())),
            "records": len(self.things),
        }

    def rows(self, personal: bool) -> list[dict[str, str]]:
        """A row for each record of each group; with `personal` what it is called, where it lives, and its keys."""
        rows = []
        for number, group in enumerate(self.groups, 1):
            for i in group.ids:
                known = self.standing[i]
                row = {"group": str(number), "reason": group.reason, "why": duplicates.REASONS[group.reason]}
                row |= {"by": group.by, "id": i, "links": ", ".join(known.links), "orders": str(known.orders)}
                rows.append(row | ({"it says": linked.told_of(self.things[i])} if personal else {}))
        return rows


async def find(
    store: Store, blueprint: Blueprint, made: Mapping[str, Connector], system: str, what: What, tick: Tick
) -> Found:
    """The duplicates among all articles or customers of a system, by the declared rule. Raises Unfit, Failure."""
    if system not in made:
        raise Unfit(f"The blueprint declares no system {system!r}; there are: {', '.join(blueprint.systems)}.")
    rule = onboarding.rule_of(blueprint, what)
    things = await onboarding.things(store, made[system], system, what, rule.match, tick, candidates.TOLD)
    kind = "variant" if what == "products" else "customer"
    apart = set(await linking.known_apart(store, system, kind, system))
    groups = duplicates.groups(things, rule.match, rule.candidates.least(), apart)
    concerned = {i for group in groups for i in group.ids}
    by_id = {t.id: t for t in things if t.id in concerned}
    emails = {i: t.keys.get("email", "") for i, t in by_id.items()}
    return Found(system, what, len(things), tuple(groups), by_id, await duplicates.known(store, system, kind, emails))
