"""A hub that takes appointments: its blueprint, an Odoo (a stand-in, or any other) and what is done to both."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import sqlalchemy as sa

from counterfoil.blueprint import Blueprint, parse
from counterfoil.connectors.odoo import Odoo
from counterfoil.doors import assembly
from counterfoil.hub import poller, schema
from counterfoil.hub.store import Store
from counterfoil.processes.booking import Diary
from counterfoil.retail.appointment import Visitor
from counterfoil_lab.odoo_api import Odoo as Api
from counterfoil_sandbox.odoo import make_app

PARIS = ZoneInfo("Europe/Paris")
SHOP, STORE, TEST = "web", "WH", "eye-test"
VISITOR = Visitor(name="Erika Muster", email="erika@example.com", phone="+33 1 23 45 67 89", note="first time")
STAFF = {"anna": ("Anna Petit", "anna@shop.example"), "bo": ("Bo Martin", "bo@shop.example")}
SYSTEMS = """\
counterfoil: 1
systems:
  web: {connector: woocommerce, url: "https://shop.example", consumer_key: "${KEY}", consumer_secret: "${KEY}"}
  odoo: {connector: odoo, url: "https://odoo.example", database: erp, api_key: "${KEY}"}
"""
SECTIONS = """\
calendars:
  paris: {zone: Europe/Paris, open: {mon-sun: "09:00-18:00"}}
  mornings: {zone: Europe/Paris, open: {mon-sun: "09:00-12:00"}}
places:
  WH: {name: Paris Bastille, street: 1 rue Haute, postcode: "75011", city: Paris, calendar: paris}
appointments:
  system: odoo
  services:
    eye-test: {title: Eye test, duration: 30m, after: 10m, every: 30m}
  staff:
    anna: {user: anna@shop.example, stores: [WH]}
    bo: {user: Bo Martin, stores: [WH], hours: mornings}
flows:
  - {on: [appointment.requested], do: odoo.book_appointment}
  - {on: [appointment.moved], from: web, do: odoo.move_appointment}
  - {on: [appointment.cancelled], from: web, do: odoo.cancel_appointment}
"""
TEXT = SYSTEMS + SECTIONS


def blueprint(text: str = TEXT) -> Blueprint:
    """The blueprint of these tests."""
    return parse(text, known=assembly.catalogue(), environ={"KEY": "sandbox-key"})


def at(hours: float, days: int = 3) -> int:
    """So many hours after midnight, by the wall clock of Paris, some days from now."""
    day = datetime.now(PARIS).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)
    return int((day + timedelta(hours=hours)).timestamp())


def utc(moment: int) -> str:
    """As Odoo writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")


class Dated(httpx.ASGITransport):
    """Answers tell the time, as every server's do."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        answer.headers["date"] = format_datetime(datetime.now(UTC), usegmt=True)
        return answer


class Practice:
    """A store, an Odoo with Anna and Bo, and a hub between customers and calendars."""

    def __init__(self, store: Store, text: str = TEXT, real: Mapping[str, Any] | None = None) -> None:
        """`real`: what its script says of a real Odoo; else a stand-in."""
        self.store, self.blueprint = store, blueprint(text)
        self.app = make_app()
        self.api: Any = self.app.inner.state.odoo
        place = {"database": "sandbox"}
        if real:
            self.api = Api(real["url"], real["api_key"], real["database"])
            place = {name: real[name] for name in ("url", "database", "api_key")}
        self.users = {name: self._user(*who) for name, who in STAFF.items()}
        settings = assembly.settings_of(self.blueprint.systems["odoo"], self.blueprint) | place
        rules = assembly.odoo_rules(self.blueprint, "odoo")
        self.odoo = Odoo("odoo", settings, rules, transport=None if real else Dated(app=self.app))
        self.diary: Diary = assembly.diary(store, self.blueprint)
        self.worker = assembly.worker(store, self.blueprint, {"odoo": self.odoo})

    def _user(self, name: str, login: str) -> tuple[int, int]:
        """(user, partner)."""
        found = self.api.call("res.users", "search_read", domain=[["login", "=", login]], fields=["partner_id"])
        if not found:
            [partner] = self.api.call("res.partner", "create", vals_list=[{"name": name, "email": login}])
            self.api.call("res.users", "create", vals_list=[{"login": login, "partner_id": partner}])
            return self._user(name, login)
        return found[0]["id"], found[0]["partner_id"][0]

    async def work(self) -> None:
        """Until nothing is due."""
        await self.worker.drain(20)

    async def look(self, anew: bool = False) -> None:
        """Poll the calendars, `anew` for the first time, and take in what was found."""
        [feed] = [feed for feed in self.odoo.feeds if feed.name == "calendar"]
        due = sa.update(schema.cursor).values({"next_at": 0.0, **({"value": {}} if anew else {})})
        async with self.store.write() as connection:
            await connection.execute(due)
        await poller.poll_once(self.store, "odoo", feed)
        await self.work()

    def event(self, who: str, start: int, stop: int, **values: Any) -> int:
        """Somebody of the staff puts something into their calendar."""
        user, partner = self.users[who]
        given = {"name": "Private", "start": utc(start), "stop": utc(stop), "user_id": user}
        given |= {"partner_ids": [[6, 0, [partner]]], **values}
        return int(self.api.call("calendar.event", "create", vals_list=[given])[0])

    def write(self, event: int, **values: Any) -> None:
        """Somebody changes it."""
        self.api.call("calendar.event", "write", ids=[event], vals=values)

    def decline(self, event: int) -> None:
        """Who is invited says no."""
        [answer] = self.rows("calendar.attendee", [["event_id", "=", event]], ["state"])
        self.api.call("calendar.attendee", "write", ids=[answer["id"]], vals={"state": "declined"})

    def make_private(self, who: str) -> None:
        """Others see of this calendar only when its owner is busy, unless an event says otherwise."""
        user, _ = self.users[who]
        settings = self.rows("res.users.settings", [["user_id", "=", user]], ["id"])
        numbers = [row["id"] for row in settings]
        if not numbers:
            numbers = self.api.call("res.users.settings", "create", vals_list=[{"user_id": user}])
        values = {"calendar_default_privacy": "private"}
        self.api.call("res.users.settings", "write", ids=numbers, vals=values)

    def events(self) -> list[dict[str, Any]]:
        """Our appointments in the calendars, archived or not."""
        fields = ["start", "stop", "user_id", "partner_ids", "active"]
        return self.rows("calendar.event", [["name", "=like", "Eye test%"]], fields)

    def rows(self, model: str, domain: list[Any], fields: list[str]) -> list[dict[str, Any]]:
        """Of Odoo, archived ones among them."""
        more = {"context": {"active_test": False}, "order": "id"}
        return list(self.api.call(model, "search_read", domain=domain, fields=fields, **more))
