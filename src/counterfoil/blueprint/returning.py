"""Which goods a customer may ask to send back, for how long, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from counterfoil.blueprint.values import A_DURATION, Name, Part, Wait, each_once, format_duration


class Returns(Part):
    """What a customer may ask for by the storefront. `within` counts from when they left."""

    asked: bool = Field(default=True, strict=True, description="true or false: whether customers may ask at all")
    within: Wait = Field(default=timedelta(days=30), description=f"{A_DURATION}: so long after they were shipped")
    reasons: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=("unwanted", "does_not_fit", "damaged", "wrong_item", "other"), description="a list of codes"
    )
    never: Annotated[tuple[Name, ...], AfterValidator(each_once)] = Field(
        default=(), description="a list of SKUs that are not taken back, * for any part, such as [RX-*]"
    )


def returns_in_words(rules: Returns) -> list[str]:
    """For people; nothing for the usual."""
    if rules == Returns():
        return []
    if not rules.asked:
        return ["Customers cannot ask for a return by the storefront."]
    never = f"; never {', '.join(rules.never)}" if rules.never else ""
    return [f"Customers may ask to return what was shipped in the last {format_duration(rules.within)}{never}."]
