"""One open page of one person: who they are is asked again before everything that they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from counterfoil.hub.access.people import Person

if TYPE_CHECKING:
    from counterfoil.doors.admin.context import Admin
    from counterfoil.doors.console.opening import Console


class SessionEnded(Exception):
    """They have signed out, were away too long, or may no longer sign in."""


class Busy(Exception):
    """Another hub of this process serves the console on another event loop."""


@dataclass(frozen=True, slots=True)
class Visit:
    """`person` is who they were when the page was asked for; `who` asks anew."""

    console: Console
    desk: Admin
    token: str
    person: Person
    zone: ZoneInfo

    async def who(self, touch: bool = True) -> Person:
        """The person as of now; `touch` says that it is they who act, not the page by itself. Raises SessionEnded."""
        person = await self.console.who(self.token, touch)
        if person is None:
            raise SessionEnded
        return person
