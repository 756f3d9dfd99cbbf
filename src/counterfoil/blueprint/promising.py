"""Promises between milestones: what must have happened by when after a fact, unless something else happens before."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from counterfoil.blueprint.values import A_DURATION, Name, Part, Wait, each_once


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Events = Annotated[tuple[Name, ...], BeforeValidator(_listed), AfterValidator(each_once)]


class Promise(Part):
    """One step of a process. With a `calendar` only its open hours count towards `within`."""

    after: Name = Field(description="an event such as order.placed")
    from_: Name | None = Field(
        default=None, validation_alias="from", serialization_alias="from", description="the name of a system"
    )
    expect: Events = Field(min_length=1, description="an event such as order.accepted, or a list of them")
    unless: Events = Field(default=(), description="an event such as order.cancelled, or a list of them")
    within: Wait = Field(description=A_DURATION)
    calendar: Name | None = Field(default=None, description="the name of a calendar")
    owner: Name | None = Field(default=None, description="who looks after it")

    model_config = ConfigDict(populate_by_name=True)
