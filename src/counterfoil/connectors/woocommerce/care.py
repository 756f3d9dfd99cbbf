"""Care for the shop's webhooks: missing, switched-off and misdirected ones are found and made anew.

WooCommerce never retries a delivery and switches a webhook off at its 7th failure in a row; switched on again it dies
on the next failure. So it is deleted and made anew, the new one first: for a moment two deliver, never none. Until
then, and always, the poll carries the load.

A repair that does not last must not flap: a topic is made anew at most once in `pause` seconds, told by the shop's own
dates (so that a restart of the hub forgets nothing) and by what this process did.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from counterfoil.connectors.woocommerce.client import Client
from counterfoil.hub.contract import Finding, Mark

PAUSE = 1800.0
"""Seconds before the same topic is made anew again."""
_POLL = "until then orders arrive by the poll"
SET_UP = "For webhooks, set webhook_secret and public_url in the blueprint."


@dataclass(slots=True)
class Carer:
    """What care remembers between its rounds: when a topic was last made, and webhooks whose signature was wrong."""

    pause: float = PAUSE
    clock: Callable[[], float] = time.monotonic
    made: dict[str, float] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    def refuse(self, headers: Mapping[str, str]) -> None:
        """A delivery was refused for its signature: that webhook has another secret, and fails each time."""
        number = next((v for k, v in headers.items() if k.lower() == "x-wc-webhook-id"), "")
        if number.isdigit() and len(number) < 20 and len(self.refused) < 100:
            self.refused.add(number)

    async def look(
        self, client: Client, system: str, public_url: str, secret: str, topics: Sequence[str]
    ) -> list[Finding]:
        """One finding a topic, after repair where it was needed and possible. Raises Failure."""
        polled = only_polled(public_url, secret)
        if polled:
            return [Finding("webhooks", Mark.OK, polled, SET_UP)]  # a choice, not a fault
        hooks, now = await all_hooks(client)
        findings = []
        for topic in topics:
            state = judge([h for h in hooks if h["topic"] == topic], system, public_url, self.refused)
            if not state.fault:
                if state.surplus:
                    await _delete(client, state.surplus)
                findings.append(Finding(f"webhook {topic}", Mark.OK, "active; its secret cannot be read back"))
                continue
            findings.append(await self._repair(client, system, public_url, secret, topic, state, now))
        self.refused.clear()
        return findings

    async def _repair(
        self, client: Client, system: str, public_url: str, secret: str, topic: str, state: State, now: datetime
    ) -> Finding:
        check = f"webhook {topic}"
        if state.by_hand:
            remedy = "Activate or delete it in WooCommerce > Settings > Advanced > Webhooks."
            return Finding(check, Mark.WARNING, f"{state.fault}; {_POLL}", remedy)
        youngest = max((age for age in (made_at(hook) for hook in state.ours) if age), default=None)
        waited = min(
            self.clock() - self.made.get(topic, float("-inf")),
            (now - youngest).total_seconds() if youngest else float("inf"),
        )
        if waited < self.pause:
            minutes = max(1, round((self.pause - waited) / 60))
            found = f"{state.fault}, though it was just made anew; it is tried again in {minutes} min, {_POLL}"
            remedy = "See that the shop reaches public_url: WooCommerce > Status > Logs, webhooks-delivery."
            return Finding(check, Mark.WARNING, found, remedy)
        self.made[topic] = self.clock()
        await make_anew(client, topic, target(public_url, system), secret, state.ours)
        return Finding(check, Mark.OK, f"{state.fault}; made anew")


def only_polled(public_url: str, secret: object) -> str:
    """Why no webhooks are wanted, in words; '' where they are. Without an address or a secret none can be made."""
    missing = "webhook_secret" if not secret else "public_url" if not public_url else ""
    return f"no {missing} is set: orders arrive by the poll only" if missing else ""


@dataclass(frozen=True, slots=True)
class State:
    """What was found of one topic: the fault in words or '', our webhooks, and those that are one too many."""

    fault: str = ""
    by_hand: bool = False
    ours: tuple[dict[str, Any], ...] = ()
    surplus: tuple[dict[str, Any], ...] = ()


def judge(hooks: Sequence[dict[str, Any]], system: str, public_url: str, refused: set[str]) -> State:
    """The webhooks of one topic. Pure."""
    here = [hook for hook in hooks if points_here(hook, system, public_url)]
    stray = [hook for hook in hooks if hook not in here and _is_ours(hook, system)]
    good = [hook for hook in here if hook["status"] == "active" and str(hook["id"]) not in refused]
    if good:
        newest = max(good, key=lambda hook: int(hook["id"]))
        return State(surplus=tuple(hook for hook in (*here, *stray) if hook is not newest and _is_ours(hook, system)))
    if any(hook["status"] == "active" for hook in here):
        fault = "its signature does not match, so its secret is another one"
    elif any(hook["status"] == "paused" for hook in here):
        return State("paused by somebody in the shop", by_hand=True, ours=tuple(here))
    elif here:
        fault = f"switched off by the shop ({', '.join(sorted({str(hook['status']) for hook in here}))})"
    elif stray:
        fault = "it goes to an address that is not the hub's any more"
    else:
        fault = "does not exist"
    return State(fault, ours=(*here, *stray))


async def all_hooks(client: Client) -> tuple[list[dict[str, Any]], datetime]:
    """All webhooks of the shop, and its time. There is no time to move a cursor by; they are few and rarely change."""
    hooks: list[dict[str, Any]] = []
    page, pages, now = 1, 1, datetime.now(UTC)
    while page <= pages:
        answer = await client.get("webhooks", per_page=100, page=page)
        hooks += answer.data
        now = answer.shop_time or now
        pages = answer.number("x-wp-totalpages") or 1
        page += 1
    return hooks, now


def points_here(hook: Mapping[str, Any], system: str, public_url: str) -> bool:
    """Whether the webhook delivers to this hub's door."""
    return str(hook["delivery_url"]).rstrip("/") == target(public_url, system)


def _is_ours(hook: Mapping[str, Any], system: str) -> bool:
    """Made by Counterfoil, for this system, at whatever address it had then."""
    there = str(hook["delivery_url"]).rstrip("/")
    return str(hook.get("name", "")).startswith("Counterfoil ") and there.endswith(f"/webhooks/{system}")


def target(public_url: str, system: str) -> str:
    """Where webhooks of a system go."""
    return f"{public_url.rstrip('/')}/webhooks/{system}"


def made_at(hook: Mapping[str, Any]) -> datetime | None:
    """When the shop made it (UTC)."""
    try:
        return datetime.fromisoformat(str(hook.get("date_created_gmt"))).replace(tzinfo=UTC)
    except ValueError:
        return None


async def make_anew(client: Client, topic: str, url: str, secret: str, old: Sequence[Mapping[str, Any]]) -> None:
    """The new webhook first, then the old ones go: for a moment two deliver, never none. Raises Failure."""
    content = {"name": f"Counterfoil {topic}", "topic": topic, "delivery_url": url, "secret": secret}
    await client.call("POST", "webhooks", content={**content, "status": "active"})
    await _delete(client, old)


async def _delete(client: Client, hooks: Sequence[Mapping[str, Any]]) -> None:
    for hook in hooks:
        await client.call("DELETE", f"webhooks/{hook['id']}", params={"force": "true"})


async def ensure_webhooks(
    client: Client, system: str, public_url: str, secret: str, renew: bool, topics: Sequence[str]
) -> list[str]:
    """See `WooCommerce.ensure_webhooks`."""
    url = target(public_url, system)
    ours = [hook for hook in (await all_hooks(client))[0] if points_here(hook, system, public_url)]
    created = []
    for topic in topics:
        mine = [hook for hook in ours if hook["topic"] == topic]
        if not renew and any(hook["status"] == "active" for hook in mine):
            continue
        await make_anew(client, topic, url, secret, mine)
        created.append(topic)
    return created
