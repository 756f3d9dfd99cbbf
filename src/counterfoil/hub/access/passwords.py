"""Passwords: argon2id, checked in a thread, as long for who is not known as for who is."""

from __future__ import annotations

import asyncio
import functools

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 12, 256
"""Characters."""
_AT_ONCE = 2
"""Checks at the same time: each takes 64 MiB and a core, and whoever guesses must not have more of the machine."""

_hasher = PasswordHasher()  # argon2id, by RFC 9106's second recommendation
_slots = asyncio.Semaphore(_AT_ONCE)


class Unsuitable(ValueError):
    """The password cannot be taken; the message says what one must be."""


def suitable(password: str, login: str) -> None:
    """Raises Unsuitable."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Unsuitable(f"A password has {SHORTEST} to {LONGEST} characters.")
    if password.casefold() == login.casefold() or len(set(password)) < 4:
        raise Unsuitable("A password is not the login name, and not a few characters over and over.")


async def hashed(password: str) -> str:
    """What is kept of it."""
    async with _slots:
        return await asyncio.to_thread(_hasher.hash, password)


async def fits(kept: str | None, password: str) -> bool:
    """Whether it is the password. Without any kept it takes as long, and is none."""
    if len(password) > LONGEST:
        return False
    async with _slots:
        right = await asyncio.to_thread(_checked, kept, password)
    return right and kept is not None


def outdated(kept: str) -> bool:
    """Whether it was hashed with less effort than is usual by now."""
    return _hasher.check_needs_rehash(kept)


@functools.cache
def _nobodys() -> str:
    return _hasher.hash("nobody's password")


def _checked(kept: str | None, password: str) -> bool:
    try:
        return _hasher.verify(kept or _nobodys(), password)
    except (VerificationError, InvalidHashError):
        return False
