"""Owners are told of what is open: once, gathered, not too often, at night only of what is critical, and when over."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.fakes import CATALOGUE, ERP, FLOWS, SHOP, blueprint, rows_of
from tests.receiving import Mailbox, Posted, receivers

from counterfoil.blueprint import Blueprint, parse
from counterfoil.hub import exceptions, schema, systems
from counterfoil.hub.contract import Kind, Outcome, rejected
from counterfoil.hub.store import Store
from counterfoil.watch import notifying
from counterfoil.watch.receivers import Receiver, receivers_of

SKU, LINES = "unknown_sku", "no_lines"


class Desk:
    """A hub with the stand-ins of its receivers; `look` is what its schedule does every few seconds."""

    def __init__(self, store: Store, posted: Posted, mailbox: Mailbox, client: httpx.AsyncClient) -> None:
        self.store, self.posted, self.mailbox, self.client = store, posted, mailbox, client
        self.declare()

    def declare(self, owners: str = "", more: str = "", tls: str = "none") -> None:
        """The section `notify`; every owner that is named is reached in all three ways, unless said."""
        owners = owners or "shop-manager: {email: [shop@example.com], slack: '${HOOK}', pagerduty: '${KEY}'}"
        mail = f"{{host: 127.0.0.1, port: {self.mailbox.port}, tls: {tls}, from: hub@example.com}}"
        text = (
            "counterfoil: 1\npublic_url: https://hub.example\n"
            f"systems:\n  {SHOP}: {{connector: fake}}\n  {ERP}: {{connector: fake}}\nflows:\n{FLOWS}"
            f"notify:\n  mail: {mail}\n  pagerduty_url: {self.posted.url}/v2/enqueue\n"
            f"  owners:\n    {owners}\n{more}"
        )
        environ = {"HOOK": f"{self.posted.url}/services/T1", "KEY": "an-integration-key"}
        self.blueprint: Blueprint = parse(text, known=CATALOGUE, environ=environ)

    async def open(self, reason: str, *numbers: int) -> None:
        """Exceptions about these orders."""
        entries = [
            (
                ERP,
                f"{SHOP}:order:{n}",
                rejected(reason, f"“Anna Müller {n}” <anna@example.com>", "Look."),
                "shop-manager",
            )
            for n in numbers
        ]
        async with self.store.write() as connection:
            await exceptions.open_about(connection, self.store, f"do_{reason}", entries)

    async def look(self, later: float = 0.0) -> int:
        """Look, as a process that was started anew does, so many seconds later."""
        if later:
            n, s, x = schema.notice, schema.notice_sent, schema.exception
            async with self.store.write() as connection:
                earlier = {"due_at": n.c.due_at - later, "told_at": n.c.told_at - later}
                await connection.execute(sa.update(n).values(earlier))
                await connection.execute(sa.update(s).values(at=s.c.at - later))
                await connection.execute(sa.update(x).values(opened_at=x.c.opened_at - later))
        rules = self.blueprint.notify
        told: dict[str, list[Receiver]] = {
            o: receivers_of(rules, o, "https://hub.example", self.client) for o in rules.owners
        }
        return await notifying.look(self.store, self.blueprint, told)

    @property
    def slack(self) -> list[str]:
        return [body["text"] for body in self.posted.at("/services/T1")]

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.posted.at("/v2/enqueue")

    @property
    def mails(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mailbox.taken]


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        posted, mailbox = await stack.enter_async_context(receivers())
        client = await stack.enter_async_context(httpx.AsyncClient())
        yield Desk(store, posted, mailbox, client)


async def test_what_comes_within_minutes_is_one_message_with_count_first_three_and_links(desk: Desk) -> None:
    await desk.open(SKU, 1, 2)
    assert await desk.look() == 0
    await desk.open(SKU, 3, 4, 5)
    assert await desk.look(later=60) == 0
    assert await desk.look(later=61) == 3
    ((mail,), (text,), (event,)) = desk.mailbox.taken, desk.slack, desk.events
    assert mail["Subject"] == "[Counterfoil] 5 × unknown sku at erp"
    assert mail["To"] == "shop@example.com"
    for words in (mail.get_content(), text, event["payload"]["custom_details"]["text"]):
        assert "About shop:order:1, shop:order:2, shop:order:3 and 2 more." in words
        assert "https://hub.example/console/runbooks/article-not-found" in words
        assert "https://hub.example/console/exceptions/alike/" in words


async def test_no_words_that_may_name_a_person_leave_the_house(desk: Desk) -> None:
    await desk.open(SKU, 1)
    async with desk.store.write() as connection:
        about = [(ERP, "shop:customer:anna@example.com", rejected("ambiguous_customer", "Anna", "…"), "shop-manager")]
        await exceptions.open_about(connection, desk.store, "merge", about)
    await desk.look()
    await desk.look(later=121)
    everything = json.dumps([*desk.slack, *desk.events, *(m.as_string() for m in desk.mailbox.taken)]).lower()
    assert "shop:order:1" in everything
    assert "shop:customer" in everything
    assert "anna" not in everything


async def test_pagerduty_is_told_by_its_events_api_and_acknowledged_and_resolved_with_the_same_key(desk: Desk) -> None:
    """https://developer.pagerduty.com/docs/events-api-v2/trigger-events/: the required fields and the severities."""
    await desk.open(SKU, 1, 2)
    await desk.look()
    await desk.look(later=121)
    numbers = [e["id"] for e in await rows_of(desk.store, schema.exception)]
    await exceptions.acknowledge(desk.store, numbers[0], "ada")
    await desk.look()
    await exceptions.acknowledge(desk.store, numbers[1], "ada")
    await desk.look()
    await desk.look()
    for number in numbers:
        await exceptions.act(desk.store, number, "resolved", "ada")
    await desk.look()
    await desk.look()
    assert [e["event_action"] for e in desk.events] == ["trigger", "acknowledge", "resolve"]
    assert len({e["dedup_key"] for e in desk.events}) == 1
    assert {e["routing_key"] for e in desk.events} == {"an-integration-key"}
    trigger = desk.events[0]
    assert {"summary", "source", "severity"} <= trigger["payload"].keys()
    assert (trigger["payload"]["severity"], trigger["payload"]["class"]) == ("warning", "unknown_sku")
    runbook = "https://hub.example/console/runbooks/article-not-found"
    links = [(link["text"], link["href"]) for link in trigger["links"]]
    assert links == [("Counterfoil", trigger["client_url"]), ("What to do", runbook)]
    assert desk.slack[-1] == "Over: 2 × unknown sku at erp"
    assert len(desk.mails) == 1
    assert await rows_of(desk.store, schema.notice) == []


async def test_what_was_over_before_anybody_was_told_is_never_told(desk: Desk) -> None:
    await desk.open(SKU, 1)
    await desk.look()
    (one,) = await rows_of(desk.store, schema.exception)
    await exceptions.act(desk.store, one["id"], "skipped", "ada")
    await desk.look(later=121)
    assert (desk.posted.taken, desk.mails) == ([], [])


async def test_a_restart_tells_nothing_anew_and_what_goes_on_growing_at_most_once_an_hour(desk: Desk) -> None:
    await desk.open(SKU, 1)
    await desk.look()
    await desk.look(later=121)
    for _ in range(3):
        assert await desk.look(later=60) == 0
    await desk.open(SKU, 2)
    await desk.look()
    assert await desk.look(later=1800) == 0
    assert await desk.look(later=1801) == 3
    assert desk.mails == ["[Counterfoil] unknown sku at erp", "[Counterfoil] 2 × unknown sku at erp"]
    assert [await desk.look(later=4000) for _ in range(3)] == [0, 0, 0], "nothing is new"


async def test_beyond_the_most_an_hour_the_rest_is_summed_up_and_nothing_is_lost(desk: Desk) -> None:
    desk.declare(more="  at_most: 3\n")
    reasons = [f"reason_{n}" for n in "abcdef"]
    for reason in reasons:
        await desk.open(reason, 1)
    await desk.look()
    await desk.look(later=121)
    await desk.look(later=60)
    assert len(desk.mails) == len(desk.slack) == len(desk.events) == 3
    assert desk.mails[-1] == "[Counterfoil] 4 more troubles, 4 exceptions"
    text = "".join(mail.get_content() for mail in desk.mailbox.taken)
    assert [r for r in reasons if r.replace("_", " ") not in text] == []
    await desk.look(later=3600)
    assert len(desk.mails) == 3, "it was told of all"
    assert sorted(e["payload"]["class"] for e in desk.events) == reasons, "there each is an incident: the rest waited"


async def test_in_quiet_hours_only_what_is_critical_is_told_and_the_rest_after_them(desk: Desk) -> None:
    always = "shop-manager: {email: [shop@example.com], quiet: '00:00-24:00'}"
    desk.declare(always)
    await desk.open(SKU, 1)
    await desk.open("oversold", 2)
    await desk.look()
    await desk.look(later=121)
    assert desk.mails == ["[Counterfoil: critical] oversold at erp"]
    desk.declare(always.replace(", quiet: '00:00-24:00'", ""))
    await desk.look()
    assert desk.mails[1:] == ["[Counterfoil] unknown sku at erp"]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("promise_missed", Kind.REJECTED), ("oversold", Kind.REJECTED), ("no_right", Kind.MISCONFIGURED)],
)
async def test_who_wants_only_what_is_critical_is_told_only_that(desk: Desk, reason: str, kind: Kind) -> None:
    desk.declare("shop-manager: {pagerduty: '${KEY}', only: critical}")
    await desk.open(SKU, 1)
    async with desk.store.write() as connection:
        about = [(ERP, "shop:order:9", Outcome(kind, reason, "It is so."), "shop-manager")]
        await exceptions.open_about(connection, desk.store, "look", about)
    await desk.look()
    await desk.look(later=121)
    assert [(e["payload"]["class"], e["payload"]["severity"]) for e in desk.events] == [(reason, "critical")]


async def test_a_system_that_is_not_called_is_told_and_so_is_its_end(desk: Desk) -> None:
    desk.declare("shop-manager: {pagerduty: '${KEY}', only: critical}")
    down = Outcome(Kind.DOWN, "unreachable", "It does not answer.")
    async with desk.store.write() as connection:
        await systems.close_system(connection, desk.store, ERP, down)
    await desk.look()
    await desk.look(later=121)
    async with desk.store.write() as connection:
        await systems.reopen(connection, desk.store, ERP)
    await desk.look()
    assert [(e["event_action"], e.get("payload", {}).get("summary")) for e in desk.events] == [
        ("trigger", "system closed at erp"),
        ("resolve", None),
    ]


async def test_a_receiver_that_is_down_is_tried_later_and_later_and_stops_no_other(desk: Desk) -> None:
    await desk.open(SKU, 1)
    await desk.look()
    desk.posted.answers = 503
    await desk.look(later=121)
    assert (desk.mails, desk.posted.refused) == (["[Counterfoil] unknown sku at erp"], 2)
    for later in (10, 10, 20, 20):
        await desk.look(later=later)
    assert desk.posted.refused == 6, "after 15 s and after 30 s more"
    desk.posted.answers = 202
    await desk.look(later=1800)
    assert (len(desk.slack), len(desk.events), len(desk.mails)) == (1, 1, 1)


async def test_what_a_receiver_refuses_as_it_is_stops_nothing_else_and_is_tried_later(desk: Desk) -> None:
    desk.declare("shop-manager: {slack: '${HOOK}', pagerduty: '${KEY}'}")
    desk.posted.hates = "unknown sku"
    await desk.open(SKU, 1)
    await desk.open(LINES, 2)
    await desk.look()
    assert await desk.look(later=121) == 2
    assert ["no lines" in text for text in desk.slack] == [True]
    assert [e["payload"]["class"] for e in desk.events] == [LINES]
    assert await desk.look(later=10) == 0
    assert desk.posted.refused == 2, "not before its time"
    desk.posted.hates = ""
    assert await desk.look(later=10) == 2
    desk.posted.hates = "resolve"
    for one in await rows_of(desk.store, schema.exception):
        await exceptions.act(desk.store, one["id"], "resolved", "ada")
    await desk.open("another", 3)
    await desk.look()
    assert await desk.look(later=121) == 2
    assert desk.slack[-1].startswith("*another at erp*")


async def test_mail_is_not_sent_in_the_clear_to_a_server_that_cannot_encrypt(desk: Desk) -> None:
    desk.declare("shop-manager: {email: [shop@example.com]}", tls="starttls")
    await desk.open(SKU, 1)
    await desk.look()
    assert await desk.look(later=121) == 0
    assert desk.mails == []


async def test_who_is_not_declared_any_more_is_forgotten(desk: Desk) -> None:
    await desk.open(SKU, 1)
    await desk.look()
    await desk.look(later=121)
    desk.declare("somebody-else: {slack: '${HOOK}'}")
    await desk.look()
    assert await rows_of(desk.store, schema.notice) == []


def test_nobody_is_told_unless_declared() -> None:
    assert blueprint().notify.owners == {}
