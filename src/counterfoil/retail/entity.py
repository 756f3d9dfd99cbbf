"""What every business object has in common: it is a value, and it has one id across all systems."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Entity(BaseModel):
    """An object as one system has it now. Immutable; two that look alike are equal."""

    model_config = ConfigDict(frozen=True)

    @property
    def canonical_id(self) -> str:
        """The id of this object across all systems: `web-eu:order:1001`, home system first."""
        raise NotImplementedError
