"""Within `exceptions`: who looks after what, how soon somebody must, and who is next if nobody does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from counterfoil.blueprint.page import Block, section
from counterfoil.blueprint.values import A_DURATION, Name, Part, ReadOnly, Wait, each_once, format_duration

SECTION = "exceptions"
KEYS = ("respond_within", "escalate", "calendar")
"""What stands in the section beside reasons and outcomes."""


class ExceptionOwners(Part):
    """Who looks after which exceptions. What nobody acts on within its time goes to the next of `escalate`."""

    default: Name = Field(default="shop-manager", description="who looks after it")
    by_reason: ReadOnly[Name] = Field(
        default_factory=lambda: {"misconfigured": "integration-engineer", "bug": "integration-engineer"},
        validate_default=True,
        description="who looks after it",
    )
    respond_within: ReadOnly[Wait] = Field(
        default_factory=dict,
        validate_default=True,
        description=f"a mapping of reasons, outcomes, owners or default to {A_DURATION}",
    )
    escalate: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of owners, such as [shop-manager, head-of-retail]"
    )
    calendar: Name | None = Field(default=None, description="the name of a calendar")

    def owner_of(self, reason: str, outcome: str = "") -> str:
        """By the reason, else by the outcome, else the default."""
        return self.by_reason.get(reason) or self.by_reason.get(outcome) or self.default

    def seconds_for(self, reason: str, outcome: str, owner: str) -> float | None:
        """Within how many (open) seconds somebody must act: by reason, outcome, owner, else the default; None: none."""
        for name in (reason, outcome, owner, "default"):
            if name in self.respond_within:
                return float(self.respond_within[name].total_seconds())
        return None

    def after(self, owner: str) -> str | None:
        """Who is next after this owner; None: nobody."""
        if owner not in self.escalate:
            return self.escalate[0] if self.escalate else None
        place = self.escalate.index(owner) + 1
        return self.escalate[place] if place < len(self.escalate) else None


def read(reading: Any) -> ExceptionOwners:
    """The section; reasons and outcomes that are not named keep their usual owners."""
    entries = dict(reading.section(SECTION, dict, "a mapping of reasons to who looks after them"))
    aside = {key: entries.pop(key) for key in KEYS if key in entries}
    for reason, owner in list(entries.items()):
        if not isinstance(owner, str) or not owner:
            reading.blame((SECTION, reason), "who looks after it")
            del entries[reason]
    if reading.known.reasons:
        reading.only_keys(entries, ("default", *KEYS, *reading.known.reasons), (SECTION,))
    default = {"default": entries.pop("default")} if "default" in entries else {}
    times = reading.build(ExceptionOwners, aside, (SECTION,), KEYS) or ExceptionOwners()
    if times.calendar is not None and reading.source.at(("calendars", times.calendar)) is None:
        reading.blame((SECTION, "calendar"), "the name of a calendar that stands under calendars")
    if times.respond_within and not times.escalate:
        reading.blame((SECTION, "respond_within"), "escalate beside it, such as escalate: [shop-manager, head]")
    usual = ExceptionOwners().by_reason
    kept = {key: getattr(times, key) for key in KEYS}
    return ExceptionOwners(**default, **kept, by_reason={**usual, **entries})


def as_written(data: Mapping[str, Any]) -> dict[str, Any]:
    """The section's data as it is written: reasons beside the other keys."""
    return {**{key: value for key, value in data.items() if key != "by_reason"}, **data["by_reason"]}


def on_page(owners: ExceptionOwners) -> list[Block]:
    """For people."""
    people = [*owners.by_reason.items(), ("anything else", owners.default)]
    blocks = section("Exceptions", ("Reason", "Who looks after it"), people)
    times = [
        ("anything else" if name == "default" else name, format_duration(age))
        for name, age in owners.respond_within.items()
    ]
    hours = f", counted in the open hours of {owners.calendar}" if owners.calendar else ""
    if times:
        blocks += section("How soon somebody acts", ("Reason, outcome or owner", f"Within{hours}"), times)
        blocks.append(f"What nobody has acted on by then goes on to the next of {', '.join(owners.escalate)}.")
    return blocks
