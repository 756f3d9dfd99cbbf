"""What people do and see, as functions that ask for their right themselves: routes and console call only these."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from counterfoil.doors.admin.context import Admin
from counterfoil.hub.access.people import Person, require
from counterfoil.hub.access.roles import Right

P = ParamSpec("P")
T = TypeVar("T")

ACTS: dict[str, Any] = {}
"""Every act there is, by module and name, each with its `right`. None: whoever is signed in, for themselves."""

Act = Callable[Concatenate[Admin, Person, P], Coroutine[Any, Any, T]]


def act(right: Right | None) -> Callable[[Act[P, T]], Act[P, T]]:
    """Declares what an `async def f(desk: Admin, person: Person, …)` asks of the person; it raises NotAllowed."""

    def declared(function: Act[P, T]) -> Act[P, T]:
        @functools.wraps(function)
        async def allowed(desk: Admin, person: Person, *args: P.args, **more: P.kwargs) -> T:
            if right is not None:
                require(person, right)
            return await function(desk, person, *args, **more)

        allowed.right = right  # type: ignore[attr-defined]
        ACTS[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] = allowed
        return cast("Act[P, T]", allowed)

    return declared
