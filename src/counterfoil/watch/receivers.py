"""The three ways in which people are told: e-mail, an incoming webhook of Slack's kind, events of PagerDuty's kind.

None has run against the vendor: requests are shaped by the published documentation and checked against stand-ins.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import smtplib
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, localtime
from typing import Any, Protocol, TypeVar

import httpx
import structlog

from counterfoil.blueprint.notify import Mail, Notify
from counterfoil.retail.events import at_utc
from counterfoil.watch.notices import Trouble, Words

log = structlog.get_logger()
T = TypeVar("T")

PATIENCE = 10.0
"""Seconds that a receiver has to answer."""
MAIL_PATIENCE = 30.0
"""Seconds that a mail server has for everything: some let one wait before they greet, or look into the message."""
LONGEST = 3500
"""Characters of a text for Slack, which asks for 4,000 at the most and cuts at 40,000."""
_MALFORMED = (400, 413, 422)
_NO_ATOM = re.compile(r"[^\w.-]", re.ASCII)


class NotTold(Exception):
    """The receiver did not take the message; the text holds no secret."""


class Refused(NotTold):
    """It will not take this one message as it is; others it may take."""


class Receiver(Protocol):
    """One place where an owner is reached. All raise NotTold, Refused."""

    @property
    def name(self) -> str:
        """What the store knows it as; no secret."""

    @property
    def sums_up(self) -> bool:
        """Whether several troubles can be told in one message."""

    async def tell(self, trouble: Trouble, words: Words, critical: bool) -> None:
        """Of one trouble."""

    async def tell_rest(self, words: Words, key: str) -> None:
        """Of several at once; `key` names this message."""

    async def taken_on(self, likeness: str) -> None:
        """Somebody looks after it."""

    async def over(self, likeness: str, words: Words) -> None:
        """It is over."""


def _name(kind: str, address: str) -> str:
    """What the store knows a receiver as: not its address, which may be a secret."""
    return f"{kind}:{hashlib.sha256(address.encode()).hexdigest()[:12]}"


@dataclass(slots=True)
class ByMail:
    """E-mail by SMTP, in a thread of its own; TLS certificates are checked. It is not told that something is over."""

    mail: Mail
    to: tuple[str, ...]
    owner: str
    sums_up: bool = True

    @property
    def name(self) -> str:
        """By the addresses."""
        return _name("email", " ".join(self.to))

    async def tell(self, trouble: Trouble, words: Words, critical: bool) -> None:
        """The same message again has the same id, so that a mailbox can tell."""
        await self._send(words, f"{trouble.likeness}.{trouble.newest}", critical)

    async def tell_rest(self, words: Words, key: str) -> None:
        """All in one message."""
        await self._send(words, key, False)

    async def taken_on(self, likeness: str) -> None:
        """Not worth a message."""

    async def over(self, likeness: str, words: Words) -> None:
        """Not worth a message."""

    async def _send(self, words: Words, key: str, critical: bool) -> None:
        message = EmailMessage()
        message["Subject"] = f"[Counterfoil{': critical' if critical else ''}] {' '.join(words.title.split())}"
        message["From"], message["To"] = self.mail.from_, ", ".join(self.to)
        message["Date"] = format_datetime(localtime())
        domain = self.mail.from_.rpartition("@")[2]
        message["Message-ID"] = (
            f"<{_NO_ATOM.sub('-', key)}.{hashlib.sha256(self.owner.encode()).hexdigest()[:8]}@{domain}>"
        )
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's out-of-office answers it
        message.set_content(words.text, cte="quoted-printable")  # for servers that take seven bits
        try:
            async with asyncio.timeout(MAIL_PATIENCE):
                refused = await _aside(lambda: self._hand_over(message))
        except smtplib.SMTPDataError as error:
            kind = Refused if error.smtp_code >= 500 else NotTold
            raise kind(f"{self.mail.host}: it does not take the message ({error.smtp_code})") from error
        except UnicodeError:  # its words hold the password
            raise NotTold(f"{self.mail.host}: one signs in with ASCII there, and user or password is not") from None
        except (OSError, smtplib.SMTPException) as error:
            raise NotTold(f"{self.mail.host}: {type(error).__name__}") from error
        if refused:  # the others have it: sending it again would tell them twice
            codes = sorted({code for code, _ in refused.values()})
            log.error("a mail server refuses some addresses", owner=self.owner, refused=len(refused), codes=codes)

    def _hand_over(self, message: EmailMessage) -> Mapping[str, tuple[int, bytes]]:
        """By address, how the server refused it."""
        context = ssl.create_default_context()
        place: tuple[str, int] = (self.mail.host, self.mail.port)
        if self.mail.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(*place, timeout=MAIL_PATIENCE, context=context)
        else:
            server = smtplib.SMTP(*place, timeout=MAIL_PATIENCE)
        try:
            if self.mail.tls == "starttls":
                server.starttls(context=context)
            if self.mail.user and self.mail.password is not None:
                server.login(self.mail.user, self.mail.password.reveal())
            return server.send_message(message)
        finally:
            with contextlib.suppress(OSError, smtplib.SMTPException):  # what was taken is taken, however it hangs up
                server.quit()


async def _aside(work: Callable[[], T]) -> T:
    """What blocks, in a thread that nobody waits for when the hub stops."""
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # nobody can cancel it any more

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True, name="mail").start()
    return await asyncio.wrap_future(outcome)


class _Posts:
    """What posts JSON."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self.client, self.url = client, url

    async def post(self, body: Mapping[str, Any]) -> None:
        """Raises NotTold unless it is taken."""
        try:
            answer = await self.client.post(self.url, json=body, timeout=PATIENCE)
        except httpx.HTTPError as error:
            raise NotTold(type(error).__name__) from error
        if not answer.is_success:
            raise (Refused if answer.status_code in _MALFORMED else NotTold)(f"HTTP {answer.status_code}")


class BySlack(_Posts):
    """An incoming webhook, by https://api.slack.com/messaging/webhooks: JSON with `text`, answered with 200.

    In text `&`, `<` and `>` are written as entities: https://api.slack.com/reference/surfaces/formatting#escaping.
    """

    sums_up = True

    @property
    def name(self) -> str:
        """By the address, which is a secret."""
        return _name("slack", self.url)

    async def tell(self, trouble: Trouble, words: Words, critical: bool) -> None:
        """With the title in bold."""
        await self._say(f"{':rotating_light: ' if critical else ''}*{_escaped(words.title)}*\n{_escaped(words.text)}")

    async def tell_rest(self, words: Words, key: str) -> None:
        """All in one message."""
        await self._say(f"*{_escaped(words.title)}*\n{_escaped(words.text)}")

    async def taken_on(self, likeness: str) -> None:
        """Not worth a message."""

    async def over(self, likeness: str, words: Words) -> None:
        """One line."""
        await self._say(f"Over: {_escaped(words.title)}")

    async def _say(self, text: str) -> None:
        await self.post({"text": text})


def _escaped(text: str) -> str:
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class ByPagerDuty(_Posts):
    """The Events API v2, by https://developer.pagerduty.com/docs/events-api-v2/trigger-events/ and its pages on
    acknowledging and resolving: `dedup_key` makes a repeat the same incident. Taken with 202.
    """

    sums_up = False

    def __init__(self, client: httpx.AsyncClient, rules: Notify, key: str, owner: str, hub: str) -> None:
        super().__init__(client, rules.pagerduty_url)
        self.key, self.owner, self.hub = key, owner, hub

    @property
    def name(self) -> str:
        """By the integration key, which is a secret."""
        return _name("pagerduty", self.key)

    async def tell(self, trouble: Trouble, words: Words, critical: bool) -> None:
        """Trigger, or add to what was triggered."""
        links = [(words.link, "Counterfoil"), (words.runbook, "What to do")]
        payload = {
            "summary": words.title[:1024],
            "source": self.hub,
            "severity": "critical" if critical else "warning",
            "timestamp": at_utc(trouble.oldest).isoformat(),
            "component": trouble.system,
            "group": trouble.owner,
            "class": trouble.reason,
            "custom_details": {"count": trouble.count, "text": words.text},
        }
        linked = [{"href": href, "text": text} for href, text in links if href.startswith("http")]
        more = {"client": "Counterfoil", **({"client_url": words.link} if words.link else {}), "links": linked}
        await self._event("trigger", trouble.likeness, {"payload": payload, **more})

    async def tell_rest(self, words: Words, key: str) -> None:
        """Each is an incident of its own: what is too much waits."""

    async def taken_on(self, likeness: str) -> None:
        """Acknowledge."""
        await self._event("acknowledge", likeness, {})

    async def over(self, likeness: str, words: Words) -> None:
        """Resolve."""
        await self._event("resolve", likeness, {})

    async def _event(self, action: str, likeness: str, more: Mapping[str, Any]) -> None:
        dedup = hashlib.sha256(f"{self.hub} {self.owner} {likeness}".encode()).hexdigest()
        await self.post({"routing_key": self.key, "event_action": action, "dedup_key": dedup, **more})


def receivers_of(rules: Notify, owner: str, hub: str, client: httpx.AsyncClient) -> list[Receiver]:
    """Where an owner is reached; `hub` is what this hub is called outside."""
    reached = rules.owners[owner]
    found: list[Receiver] = []
    if reached.email and rules.mail is not None:
        found.append(ByMail(rules.mail, reached.email, owner))
    if reached.slack is not None:
        found.append(BySlack(client, reached.slack.reveal()))
    if reached.pagerduty is not None:
        found.append(ByPagerDuty(client, rules, reached.pagerduty.reveal(), owner, hub))
    return found
