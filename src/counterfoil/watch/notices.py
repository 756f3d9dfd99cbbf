"""What people are told of open exceptions, in which words, and when. Pure.

A notice is about a trouble: the open exceptions of one owner that are alike, or a system that cannot be called. No
words of a system or a customer stand in it, as those may name people: the reason, the count, numbers of orders, links.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from counterfoil.blueprint.calendars import parse_span
from counterfoil.blueprint.notify import Notify, Reached
from counterfoil.hub.exceptions import runbooks
from counterfoil.retail.events import at_utc

AGAIN = 3600.0
"""Seconds at the least between two notices of one trouble that goes on growing."""
LONGEST_WAIT = 1800.0
"""Seconds at the most until a receiver that is down is tried again."""
SHOWN = 3
SYSTEM_CLOSED = "system_closed"
_WITH_A_NUMBER = ("order", "shipment", "refund", "invoice", "product", "variant", "stock", "article")
"""The kinds of things whose ids are numbers of the trade, not of people."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong for one owner. `newest` is the number of its newest exception; times in seconds since the epoch."""

    owner: str
    likeness: str
    reason: str
    outcome: str
    system: str
    operation: str
    count: int
    newest: int
    oldest: float
    about: tuple[str, ...] = ()
    taken_on: bool = False

    def is_critical(self, rules: Notify) -> bool:
        """Whether it is told at night too."""
        return self.reason in rules.critical or self.outcome in rules.critical


@dataclass(frozen=True, slots=True)
class Told:
    """What a receiver knows of a trouble; as the table `notice` has it."""

    told: int = 0
    due_at: float | None = None
    told_at: float | None = None
    tries: int = 0
    taken_on: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """A message: `title` in a line, `text` in some, where to look, and where it is said what to do."""

    title: str
    text: str
    link: str
    runbook: str = ""


def due_at(trouble: Trouble, told: Told | None, now: float, rules: Notify) -> float | None:
    """When the receiver is told of the trouble, by what it knows; None: there is nothing new."""
    if told is None:
        return now + rules.gather.total_seconds()
    if told.due_at is not None or trouble.newest <= told.told or trouble.taken_on:
        return told.due_at
    return max(now + rules.gather.total_seconds(), (told.told_at or 0.0) + AGAIN)


def is_quiet(reached: Reached, rules: Notify, now: float) -> bool:
    """Whether it is in the owner's quiet hours."""
    if reached.quiet is None:
        return False
    begin, end = parse_span(reached.quiet)
    here = datetime.fromtimestamp(now, ZoneInfo(rules.zone))
    minute = here.hour * 60 + here.minute
    return begin <= minute < end or begin <= minute + 24 * 60 < end


def wait_after(tries: int) -> float:
    """Seconds until a receiver that failed so often is tried again."""
    return float(min(LONGEST_WAIT, 15.0 * 2 ** min(tries, 12)))


def shared_out(due: Sequence[Trouble], left: int, sums_up: bool) -> tuple[list[Trouble], list[Trouble]]:
    """Of what is due, the most pressing first, with `left` messages to go: those told each by itself, and those told
    together in the last message. What is in neither waits."""
    if len(due) <= left:
        return list(due), []
    if not sums_up or left == 0:
        return list(due[:left]), []
    return list(due[: left - 1]), list(due[left - 1 :])


def subject_of(canonical: str) -> str:
    """What a notice may call the thing that an exception is about."""
    kind = [*canonical.split(":", 2), "", ""][1]
    return canonical if kind in _WITH_A_NUMBER else ":".join(canonical.split(":", 2)[:2])


def words_of(trouble: Trouble, rules: Notify, public_url: str | None) -> Words:
    """The message about one trouble."""
    reason = trouble.reason.replace("_", " ").replace(".", " ")
    where = f"{trouble.system}.{trouble.operation}" if trouble.operation else trouble.system
    count = f"{trouble.count} × " if trouble.count > 1 else ""
    lines = [f"{count}{reason}, at {where}, since {at_utc(trouble.oldest):%Y-%m-%d %H:%M} UTC."]
    if about := list(dict.fromkeys(map(subject_of, trouble.about)))[:SHOWN]:
        more = trouble.count - len(about)
        lines.append(f"About {', '.join(about)}{f' and {more} more' if more > 0 else ''}.")
    if trouble.reason == SYSTEM_CLOSED:
        lines += ["Nothing is lost: what is for it waits in order.", "counterfoil status"]
        place = "/console"
    else:
        lines += [f"counterfoil exceptions show {trouble.newest}"]
        place = f"/console/exceptions/alike/{trouble.likeness}"
    link = f"{public_url.rstrip('/')}{place}" if public_url else ""
    runbook = runbook_of(trouble, rules, public_url)
    lines += [f"What to do: {runbook}", *([link] if link else [])]
    return Words(f"{count}{reason} at {trouble.system}", "\n".join(lines), link, runbook)


def summed_up(troubles: Sequence[Trouble], rules: Notify, public_url: str | None) -> Words:
    """One message about many troubles, where there were too many for one each."""
    count = sum(trouble.count for trouble in troubles)
    each = [f"- {words_of(trouble, rules, None).title}" for trouble in troubles[:20]]
    more = [f"- and {len(troubles) - 20} more"] if len(troubles) > 20 else []
    link = f"{public_url.rstrip('/')}/console/exceptions" if public_url else ""
    head = f"There were more than {rules.at_most} messages in an hour; these are the rest."
    text = "\n".join([head, *each, *more, "counterfoil exceptions groups", *([link] if link else [])])
    return Words(f"{len(troubles)} more troubles, {count} exceptions", text, link)


def runbook_of(trouble: Trouble, rules: Notify, public_url: str | None) -> str:
    """Where it is said what to do."""
    reason = "unreachable" if trouble.reason == SYSTEM_CLOSED else trouble.reason
    return runbooks.address_of(reason, runbooks.published(rules.runbooks, public_url))


def pressing(troubles: Iterable[Trouble], rules: Notify) -> list[Trouble]:
    """What is critical first, then the oldest."""
    return sorted(troubles, key=lambda t: (not t.is_critical(rules), t.oldest, t.likeness))


def theirs(troubles: Iterable[Trouble], owner: str, reached: Reached, rules: Notify) -> dict[str, Trouble]:
    """What an owner is told of, by likeness."""
    mine = (t for t in troubles if t.owner == owner)
    return {t.likeness: t for t in mine if reached.only == "all" or t.is_critical(rules)}


def over(told: Mapping[str, Told], open_: Mapping[str, Trouble]) -> list[str]:
    """The likenesses that a receiver was told of, or waits to be told of, and that are over."""
    return sorted(set(told) - set(open_))
