"""What a person may do, by their roles. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Right(StrEnum):
    """What an act or a reading asks of who wants it."""

    SEE = "see"  # what runs and how: no names, no addresses
    SEE_PERSONAL = "see_personal"  # names, addresses, e-mail: what sensitive fields say
    EXCEPTIONS = "exceptions"  # retry, resolve, skip, release, set right
    REPLAY = "replay"
    FLOWS = "flows"  # pause, resume and drain
    IDENTITY = "identity"  # say what is the same and what is not
    PROPOSE = "blueprint_propose"
    APPROVE = "blueprint_approve"
    TOKENS = "tokens"  # those of the storefront
    USERS = "users"
    AUDIT = "audit"


class Role(StrEnum):
    """What somebody is to the hub. One person can have several."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    FINANCE = "finance"
    APPROVER = "approver"
    ADMIN = "admin"


_SEES_PEOPLE = frozenset({Right.SEE, Right.SEE_PERSONAL})
RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.SEE}),
    Role.OPERATOR: _SEES_PEOPLE | {Right.EXCEPTIONS, Right.REPLAY, Right.FLOWS, Right.IDENTITY, Right.PROPOSE},
    Role.FINANCE: _SEES_PEOPLE | {Right.EXCEPTIONS},
    Role.APPROVER: frozenset({Right.SEE, Right.APPROVE}),
    Role.ADMIN: frozenset({Right.SEE, Right.FLOWS, Right.PROPOSE, Right.TOKENS, Right.USERS, Right.AUDIT}),
}
"""What each role may: the least that its work needs. An admin is not let into customers' data by that alone."""


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """What somebody with these roles may."""
    return frozenset().union(*(RIGHTS[role] for role in roles))


def roles_in(names: Iterable[str]) -> frozenset[Role]:
    """The roles of these names; a name of another version is none."""
    known = {role.value: role for role in Role}
    return frozenset(known[name] for name in names if name in known)
