"""The connector contract: all that a connector and the hub know of each other.

A connector offers operations (things done to its system, in batches), feeds (changes polled from it), a door
(webhooks received from it), a decoder (raw body → retail language) and a doctor. It maps every failure of its
system to one of the outcomes below, by content rather than by HTTP status.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from counterfoil.retail.entity import Entity


class Kind(StrEnum):
    """What became of one delivery."""

    DONE = "done"
    RETRY = "retry"  # transient: again soon, with jitter; not an outage
    THROTTLED = "throttled"  # the system asked to wait until a time
    DOWN = "down"  # the system is out of reach: its lanes park, no attempt is counted
    REJECTED = "rejected"  # business: a person decides
    MISCONFIGURED = "misconfigured"  # credentials, rights, schema: what needs it pauses, one exception
    BUG = "bug"  # ours: exception with the trace


WHOLE_SYSTEM = frozenset(
    {
        *("bad_credentials", "unauthorized", "login_missing"),
        *("bad_address", "no_json2", "no_jsonrpc", "unknown_api", "unsupported_version"),
        *("database_missing", "unknown_company"),
    }
)
"""Reasons of a misconfigured outcome that no call to the system gets around: its address, its credentials, the
version or company behind them. A feed that fails so closes the system. One that fails for another reason (a right on
products, a module, an odd list) stops alone."""

REFUSED_CREDENTIALS = frozenset({"bad_credentials", "unauthorized", "login_missing"})
"""Those of them that say that the system does not take our credentials."""

ONE_OPERATION = frozenset({"no_right", "no_settings", "tax_basis_differs"})
"""Reasons of a misconfigured outcome that say nothing of the system's other operations: a right on one kind of record,
a setting that only this one needs. The operation pauses alone; for any other reason the whole system closes."""


NEEDS_APPROVAL = "needs_approval"
"""Why something is held back that nobody refused: a person must say that it is meant."""
NOT_PAID_OUT = "not_paid_out"
"""In the result of reading refunds: the ids of those that the payment provider has not paid out."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One item's result.

    `reason` is a short code for grouping, `message` for the person in the shop, `technical` for the engineer,
    `suggestion` the next step. `until` is when to try again (throttled, down). `result` of a done item is kept
    in the counterfoil; `link` is the id of the thing in the connector's system; `emits` are the types of the
    events this outcome gives rise to, with `result` as their data. `links` are more ids, by canonical id, for what
    the subject consists of. `observed` is the object as our write left it, and `wrote` names the fields of it that
    were ours: a state that differs from the last known one in nothing else is our own echo. `called` False: the system
    was not asked, so this says nothing of how it is.
    """

    kind: Kind
    reason: str = ""
    message: str = ""
    technical: str = ""
    suggestion: str = ""
    until: datetime | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    link: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    emits: tuple[str, ...] = ()
    observed: Observed | None = None
    wrote: frozenset[str] = frozenset()
    called: bool = True


def done(result: Mapping[str, Any], link: str = "", emits: tuple[str, ...] = ()) -> Outcome:
    """The item stands in the system as asked."""
    return Outcome(Kind.DONE, result=result, link=link, emits=emits)


def rejected(reason: str, message: str, suggestion: str, technical: str = "") -> Outcome:
    """The system or the order itself says no; a person must look."""
    return Outcome(Kind.REJECTED, reason, message, technical, suggestion)


class Failure(Exception):
    """A call failed as a whole. Carries the outcome that applies to every item of the call."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"{outcome.kind}: {outcome.reason}: {outcome.technical or outcome.message}")
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Item:
    """One delivery as an operation sees it. `link` is the id of the subject in this system, where known.

    `event` is the id of the fact behind it, the same at every attempt.
    """

    delivery: int
    subject: str
    key: str
    event_type: str
    data: Mapping[str, Any]
    link: str = ""
    attempt: int = 1
    event: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """Something a connector can do, in batches.

    `run` gets items of different keys and returns one outcome each, in order, or raises Failure for all.
    It must be idempotent: it may be called again with the same items after an answer was lost.
    `conflicts` names what two calls must not touch at the same time (product ids, say); the worker keeps calls
    that share one apart. `coalesces`: it carries out the newest state known, so that of several deliveries waiting
    in one lane only the last is carried out and answers for all.
    """

    name: str
    stream: str
    run: Callable[[Sequence[Item]], Awaitable[list[Outcome]]]
    batch: int = 1
    emits: tuple[str, ...] = ()
    timeout: float = 60.0
    parallel: int = 1
    conflicts: Callable[[Item], frozenset[str]] | None = None
    coalesces: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """Something that arrived, before anyone looked inside."""

    kind: str
    object_id: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a feed and the cursor to keep once its receipts are committed."""

    receipts: Sequence[Raw]
    cursor: Mapping[str, Any]


AGAIN = "again"
"""In the cursor a feed is given: the ids of what is to be read whether it changed or not. Never in one it keeps."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Changes polled from a system. `poll` yields pages from a cursor ({} the first time) until it is even.

    `again`: it takes ids of objects under AGAIN in the cursor and reads those too, whether they changed or not.
    """

    name: str
    kind: str
    every: float
    poll: Callable[[Mapping[str, Any]], AsyncIterator[Page]]
    again: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """An object as a system has it: `version` sorts in time within the object, '' where there is none."""

    kind: str
    object_id: str
    version: str
    state: Entity


class BadPayload(Exception):
    """A body that cannot be read as what it claims to be. `message` and `suggestion` are for people."""

    def __init__(self, reason: str, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.reason, self.message, self.suggestion = reason, message, suggestion


class Refused(Exception):
    """A door does not take this request: `status` is the HTTP answer, `reason` a code, `message` the words."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


class Mark(StrEnum):
    """How a finding of the doctor reads."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the doctor looked at: what was checked, what was found, what to do."""

    check: str
    mark: Mark
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """What a system says that it is: a product of it, such as WordPress, and its version, as it tells them.

    `tested` is what the connector was tested with, `doubt` why this one may not fit (both in words; empty: nothing to
    say), `remedy` what to do about that.
    """

    name: str
    version: str
    tested: str = ""
    doubt: str = ""
    remedy: str = ""


@runtime_checkable
class TellsVersions(Protocol):
    """A connector whose system says what it is. Optional; asked for seldom, so one or two cheap reads."""

    async def versions(self) -> Sequence[Release]:
        """The system's own first. Raises Failure."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of a system's blueprint entry that a connector understands."""

    name: str
    required: bool = False
    secret: bool = False
    help: str = ""


class Connector(Protocol):
    """One running system behind a uniform face."""

    system: str

    @property
    def operations(self) -> Mapping[str, Operation]:
        """By name, without the system: `accept_order`."""

    @property
    def feeds(self) -> Sequence[Feed]:
        """What is polled."""

    def receive(self, headers: Mapping[str, str], body: bytes) -> Raw | None:
        """Check a webhook's signature and take its cheap key. None: nothing to keep (a ping). Raises Refused."""

    def decode(self, raw: Raw) -> Observed:
        """The body in the retail language. Raises BadPayload."""

    async def care(self) -> list[Finding]:
        """Look after what may break unseen (webhooks) and put it right; called every few minutes. Raises Failure."""

    async def doctor(self) -> list[Finding]:
        """Look at reachability, version, rights, modules, settings; never raises."""

    async def close(self) -> None:
        """Give back connections."""
