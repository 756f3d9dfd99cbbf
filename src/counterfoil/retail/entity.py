"""What every business object has in common: it is a value, and it has one id across all systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    StrictInt,
    StrictStr,
    model_serializer,
)


class Entity(BaseModel):
    """An object as one system has it now. Immutable; two that look alike are equal."""

    model_config = ConfigDict(frozen=True)

    @property
    def canonical_id(self) -> str:
        """The id of this object across all systems: `web-eu:order:1001`, home system first."""
        raise NotImplementedError


LATER = ("extra", "reference", "pickup", "kits")
"""Fields that came to be after states had been kept: empty, they are left out of what is written, so that a state
known from before looks the same."""


class Extended(Entity):
    """An object that can carry fields of one retailer's own, by name; which, the blueprint's `mappings` say."""

    extra: Mapping[str, StrictBool | StrictInt | StrictStr] = Field(default_factory=dict)

    @model_serializer(mode="wrap", when_used="json")
    def _without_what_is_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        for name in LATER:
            if name in written and not written[name]:
                del written[name]
        return written
