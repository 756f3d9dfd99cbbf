"""Who may not see personal data finds none in the console: not on a page, not in what its websocket tells later."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterable
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import pytest
import websockets
from tests import console_stage
from tests.console_stage import Stage
from tests.fakes import SHOP, Fake, House, order, rows_of
from tests.integration.doors.test_console import client_id, connected, listeners

from counterfoil.hub import receipts
from counterfoil.hub.access.roles import Role
from counterfoil.hub.contract import Kind, Observed, Outcome, Raw
from counterfoil.hub.exceptions import correcting
from counterfoil.hub.receipts import Arrival
from counterfoil.hub.schema import exception
from counterfoil.hub.store import Store
from counterfoil.processes.changes import changes
from counterfoil.retail.appointment import Appointment
from counterfoil.retail.entity import Entity
from counterfoil.retail.money import Money
from counterfoil.retail.order import Order, Refund
from counterfoil.retail.party import Account, Address, Customer

NAME, STREET, CITY, NOTE = "Zoe Quillfeather", "Larkspur Lane 77", "Wintermoor", "the blue door, ring twice"
EMAIL, PHONE, VAT = "zoe.quill@mail.example", "+49 171 5550123", "DE811907980"
ZOE = Customer(id="12", email=EMAIL, name=NAME, company="Heronworks", phone=PHONE, vat=VAT)
HOME = Address(name=NAME, company="Heronworks", street=STREET, city=CITY, postcode="98431", state="Westmarch")
HOME = HOME.model_copy(update={"country": "DE", "phone": PHONE, "email": EMAIL})
THEIRS = ("zoe", "quillfeather", "zoe.quill", "5550123", "larkspur", "wintermoor", "98431", "heronworks", "westmarch")
THEIRS += ("811907980", "blue door", "1990-04-01", "her mother", "mistletoe")
"""What is Zoe's, in small letters."""
SAID = (
    f"Quillfeather is no customer there: {NAME} <{EMAIL}>, {STREET} in {CITY}, rings from {PHONE}; "
    f"zoe quillfeather was found twice, at larkspur lane too."
)
KINDS: dict[str, type[Entity]] = {"order": Order, "customer": Account, "appointment": Appointment}
UNLINKED = (f"{SHOP}:customer:12", f"{SHOP}:appointment:5")
HARMLESS = ("receipt", "event", "more", "search")
"""The acts of pages that only show more."""


class Shop(Fake):
    """It tells each thing in the retail language."""

    def decode(self, given: Raw) -> Observed:
        state = KINDS[given.kind].model_validate_json(given.body)
        return Observed(given.kind, given.object_id, given.headers["at"], state)


def told(kind: str, state: Entity) -> Arrival:
    """A receipt of it."""
    headers = {"at": "2026-11-02T10:00:00+00:00"}
    raw = Raw(kind, state.canonical_id.rpartition(":")[2], state.model_dump_json().encode(), headers)
    return Arrival(SHOP, "webhook", raw)


def of_zoe(number: int) -> Order:
    """An order of hers."""
    people = {"customer": ZOE, "billing": HOME, "shipping": HOME, "note": NOTE, "extra": {"born": "1990-04-01"}}
    back = Refund(id="1", amount=Money.of("2.00", "EUR"), reason="called for her mother")
    return order(number=number).model_copy(update={**people, "refunds": (back,)})


def appointment() -> Appointment:
    """She comes."""
    times = {name: f"2026-11-03T1{n}:00:00Z" for n, name in enumerate(("held_from", "starts_at", "ends_at"))}
    told = {"name": NAME, "email": EMAIL, "phone": PHONE, "note": NOTE}
    words = {"system": SHOP, "id": "5", "state": "requested", "service": "fitting", "place": "WH", "staff": "Ida"}
    where = {"user": "ida", "title": f"Fitting: {NAME}", "location": "", "type": "", "zone": "Europe/Berlin"}
    return Appointment.model_validate(
        {**words, **where, **times, "held_until": "2026-11-03T13:00:00Z", "visitor": told}
    )


@pytest.fixture
async def stage(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    """The console of a shop in which everything is about Zoe, and much of it in words."""
    shutil.copy(sqlite_template, tmp_path / "counterfoil.db")
    store = Store(f"sqlite:///{tmp_path}/counterfoil.db")
    house = House(store, shop=Shop(SHOP))
    house.processes[SHOP] |= {kind: changes(SHOP, kind) for kind in ("customer", "appointment")}
    refused = Outcome(Kind.REJECTED, "no_such_customer", SAID, f"trace: {SAID}", f"Ask {NAME}.")
    for number in (2, 3):
        house.erp.always[f"{SHOP}:order:{number}"] = refused
    account = Account(system=SHOP, id="12", customer=ZOE, billing=HOME, extra={"born": "1990-04-01"})
    arrived = [told("order", of_zoe(n)) for n in (1, 2, 3)]
    arrived += [told("customer", account), told("appointment", appointment())]
    async with store.write() as connection:
        await receipts.take(connection, store, arrived)
    await house.work()
    (refused_first, *_) = await rows_of(store, exception)
    await correcting.correct(
        store, refused_first["id"], {"billing.street": "Mistletoe Close 9"}, "otto", f"{NAME} rang"
    )
    await house.work()
    try:
        async with console_stage.opened(house, admin=True) as opened:
            yield opened
    finally:
        await store.close()


class Crawl:
    """Everything that the console shows somebody: each page that a link leads to, what its websocket then says, and
    what comes of the acts on it that only show more. `shown` is the text by where it stood."""

    def __init__(self, stage: Stage, client: httpx.AsyncClient) -> None:
        self.stage, self.client = stage, client
        self.shown: dict[str, str] = {}

    async def all(self, *begin: str) -> None:
        """From these addresses on."""
        ahead, known = list(begin), set(begin)
        while ahead:
            address = ahead.pop()
            for found in await self._page(address):
                if self._is_shown(found) and urlsplit(found).path not in known:
                    known.add(urlsplit(found).path)
                    ahead.append(found)

    @staticmethod
    def _is_shown(address: str) -> bool:
        path = urlsplit(address).path
        return (
            path.startswith(("/console", "/admin/v1/"))
            and not path.endswith("/parquet")
            and not re.search(r"/assets/|/sign-|/runbooks/|/how-to/|/reference/|_nicegui", path)
        )

    async def _page(self, address: str) -> Iterable[str]:
        answer = await self.client.get(address, follow_redirects=True)
        assert answer.status_code == 200, address
        text = unescape(answer.text).replace('\\"', '"')
        self.shown[address] = f"{text} {unquote(address)}"
        if listeners_of := listeners(answer.text) if "client_id" in answer.text else []:
            async with connected(self.stage, self.client, answer.text) as socket:
                for number, listener in listeners_of:
                    for detail in acts_on(text):
                        text += await self._act(socket, client_id(answer.text), number, listener, detail)
            self.shown[f"{address} later"] = text
        return re.findall(r'href="([^"#]+)', text)

    async def _act(
        self, socket: websockets.ClientConnection, client: str, number: int, listener: str, detail: dict[str, str]
    ) -> str:
        asked = {"id": number, "client_id": client, "listener_id": listener, "args": [json.dumps({"detail": detail})]}
        await socket.send("42" + json.dumps(["event", asked]))
        heard = ""
        while f'"{number}":' not in heard or "data-turn" not in heard:
            heard += str(await socket.recv())
        return unescape(heard).replace('\\"', '"').replace(EMAIL.upper(), "what was asked")


def acts_on(text: str) -> list[dict[str, str]]:
    """What the buttons of a page would send."""
    buttons = [
        dict(re.findall(r'data-(\w+)="([^"]*)"', tag)) for tag in re.findall(r"<button[^>]*data-act=[^>]*>", text)
    ]
    return [button for button in buttons if button["act"] in HARMLESS] + [{"act": "search", "q": EMAIL.upper()}]


@contextlib.asynccontextmanager
async def crawled(stage: Stage, login: str, *roles: Role) -> AsyncIterator[dict[str, str]]:
    """What somebody with these roles sees."""
    await stage.user(login, *roles)
    async with stage.signed_in(login) as client:
        crawl = Crawl(stage, client)
        await crawl.all("/console", "/console/counterfoil?q=N", *(f"/console/counterfoil/{id_}" for id_ in UNLINKED))
        yield crawl.shown


async def test_who_may_not_see_personal_data_finds_none_on_any_page_nor_behind_any_button(stage: Stage) -> None:
    def leaks(shown: dict[str, str]) -> set[tuple[str, str]]:
        return {(where, secret) for where, text in shown.items() for secret in THEIRS if secret in text.lower()}

    async with crawled(stage, "otto", Role.OPERATOR) as shown:
        assert {secret for _, secret in leaks(shown)} == set(THEIRS)  # it is all there to be seen
        by_otto = set(shown)
    async with crawled(stage, "vera", Role.VIEWER, Role.APPROVER, Role.ADMIN) as shown:
        assert not leaks(shown)
        assert {where.removesuffix(" later") for where in shown} == {where.removesuffix(" later") for where in by_otto}
        assert len(shown) > 20
