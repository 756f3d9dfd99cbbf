"""Who acts, and whether they may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from counterfoil.hub.access.roles import Right, Role, rights_of

How = Literal["session", "token"]


class NotAllowed(Exception):
    """That person may not do this; nothing was done or shown. The message names the right that is missing."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acts. `name` is what they sign in with, and what stands in the audit. `rights` is what they may
    now: of a personal token never more than the person's own roles allow."""

    id: str
    name: str
    roles: frozenset[Role]
    how: How
    rights: frozenset[Right]

    @classmethod
    def of(cls, id_: str, name: str, roles: Iterable[Role], how: How, only: Iterable[Right] | None = None) -> Person:
        """With all that the roles allow, or of that `only` these rights."""
        theirs = frozenset(roles)
        rights = rights_of(theirs)
        return cls(id_, name, theirs, how, rights if only is None else rights & frozenset(only))

    def may(self, right: Right) -> bool:
        """Whether they may."""
        return right in self.rights


def require(person: Person, right: Right) -> None:
    """Raises NotAllowed."""
    if not person.may(right):
        raise NotAllowed(f"This needs the right {right.value!r}, which {person.name} does not have here.")
