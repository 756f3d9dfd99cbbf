"""Exceptions: what needs a person, with reason, owner and suggested fix; and what a person can do about it.

`retry` tries again, `resolve` says it was put right by hand, `skip` says it is not wanted. A held lane goes on
after any of the three. An exception is open or closed; a delivery is never at once failed and pending.
"""

from counterfoil.hub.contract import NEEDS_APPROVAL
from counterfoil.hub.exceptions.acting import (
    NothingHeldBack,
    NotOpen,
    acknowledge,
    act,
    close_as_retried,
    held_lanes,
    release,
    retry_about,
)
from counterfoil.hub.exceptions.bulk import Closed, came_of, in_bulk
from counterfoil.hub.exceptions.correcting import CannotCorrect
from counterfoil.hub.exceptions.fixing import CannotLink
from counterfoil.hub.exceptions.looking import (
    STATUSES,
    Group,
    NoSuchException,
    alike,
    get,
    get_all,
    groups,
    listing,
    money_at_stake,
    money_of,
    open_because,
    open_with,
    within,
)
from counterfoil.hub.exceptions.opening import (
    close_about,
    close_for_system,
    is_open_for,
    of_promise,
    open_about,
    open_for_promises,
    open_for_system,
    open_for_work,
)
from counterfoil.hub.exceptions.rows import CannotAdd

__all__ = [
    "NEEDS_APPROVAL",
    "STATUSES",
    "CannotAdd",
    "CannotCorrect",
    "CannotLink",
    "Closed",
    "Group",
    "NoSuchException",
    "NotOpen",
    "NothingHeldBack",
    "acknowledge",
    "act",
    "alike",
    "came_of",
    "close_about",
    "close_as_retried",
    "close_for_system",
    "get",
    "get_all",
    "groups",
    "held_lanes",
    "in_bulk",
    "is_open_for",
    "listing",
    "money_at_stake",
    "money_of",
    "of_promise",
    "open_about",
    "open_because",
    "open_for_promises",
    "open_for_system",
    "open_for_work",
    "open_with",
    "release",
    "retry_about",
    "within",
]
