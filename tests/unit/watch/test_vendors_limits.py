"""Whatever a trouble is called, what is posted keeps to what Slack and PagerDuty document."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st

from counterfoil.blueprint.notify import Notify
from counterfoil.watch import notices
from counterfoil.watch.notices import Trouble
from counterfoil.watch.receivers import ByPagerDuty, BySlack

RULES = Notify()
TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
LONG = st.builds(
    lambda word, times: word * times, st.text("ab &<>*_`\nü×", min_size=1, max_size=8), st.integers(1, 999)
)
TROUBLES = st.builds(
    Trouble,
    owner=TEXT,
    likeness=TEXT,
    reason=TEXT | LONG,
    outcome=TEXT,
    system=TEXT | LONG,
    operation=TEXT,
    count=st.integers(1, 10**9),
    newest=st.integers(1, 10**12),
    oldest=st.floats(0, 4e9),
    about=st.lists(TEXT | LONG, max_size=5).map(tuple),
)


def text(longest: int, shortest: int = 1) -> dict[str, Any]:
    return {"type": "string", "minLength": shortest, "maxLength": longest}


ADDRESS = {"type": "string", "pattern": "^https?://"}
_EVENT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["routing_key", "event_action", "dedup_key"],
    "properties": {
        "routing_key": text(32, 32),
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": text(255),
        "client": text(255),
        "client_url": ADDRESS,
        "links": {"items": {"properties": {"href": ADDRESS, "text": text(255)}, "required": ["href"]}},
        "payload": {
            "type": "object",
            "additionalProperties": False,
            "required": ["summary", "severity", "source"],
            "properties": {
                "summary": text(1024),
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "source": text(1024),
                "timestamp": {
                    "type": "string",
                    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
                },
                **{name: {"type": "string"} for name in ("component", "group", "class")},
                "custom_details": {"type": "object"},
            },
        },
    },
    "if": {"properties": {"event_action": {"const": "trigger"}}},
    "then": {"required": ["payload"]},
    "else": {"maxProperties": 3},
}
"""https://developer.pagerduty.com/docs/events-api-v2/trigger-events/, and its pages on acknowledging and resolving."""
EVENT = jsonschema.Draft202012Validator(_EVENT)
LARGEST_EVENT = 512 * 1024
_SLACK = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": {"text": {**text(40_000), "pattern": r"^([^<>&]|&(amp|lt|gt);)*$"}},
}
"""https://api.slack.com/messaging/webhooks, https://api.slack.com/changelog/2018-04-truncating-really-long-messages and
https://api.slack.com/reference/surfaces/formatting#escaping."""


SLACK = jsonschema.Draft202012Validator(_SLACK)


class Client:
    """Takes everything, as httpx would send it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def post(self, url: str, json: Any, **_more: Any) -> httpx.Response:
        """As httpx has it."""
        request = httpx.Request("POST", url, json=json)
        self.bodies.append(request.content)
        return httpx.Response(202, request=request)


def posted(troubles: list[Trouble], url: str | None) -> tuple[list[bytes], list[bytes]]:
    """What goes to Slack and to PagerDuty, of each on its own, of its end, and of all together."""
    slack, pager = Client(), Client()

    async def tell() -> None:
        for receiver in (
            BySlack(slack, "https://slack.test"),  # type: ignore[arg-type]
            ByPagerDuty(pager, RULES, 32 * "k", "shop", "https://hub.example"),  # type: ignore[arg-type]
        ):
            for number, trouble in enumerate(troubles):
                words = notices.words_of(trouble, RULES, url)
                await receiver.tell(trouble, words, critical=number % 2 == 0)
                await receiver.taken_on(trouble.likeness)
                await receiver.over(trouble.likeness, words)
            await receiver.tell_rest(notices.summed_up(troubles, RULES, url), "rest")

    asyncio.run(tell())
    return slack.bodies, pager.bodies


@settings(max_examples=30)
@example([Trouble("o", "l", 2000 * "&", "down", 2000 * "<", "", 2, 1, 0.0, (5000 * ">",))] * 21, None)
@given(st.lists(TROUBLES, min_size=1, max_size=3), st.sampled_from([None, "https://hub.example"]))
def test_what_is_posted_keeps_to_what_the_vendors_document(troubles: list[Trouble], url: str | None) -> None:
    to_slack, to_pagerduty = posted(troubles, url)
    assert len(to_slack) == 2 * len(troubles) + 1
    assert len(to_pagerduty) == 3 * len(troubles)
    for body in to_slack:
        SLACK.validate(json.loads(body))
    for body in to_pagerduty:
        EVENT.validate(json.loads(body))
        assert len(body) <= LARGEST_EVENT
