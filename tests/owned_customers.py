"""Two systems that both hold one customer and can both be edited: to see who may tell whom, and who must not.

What a system has to say waits in `unsaid` until the test delivers it: late, twice or in another order.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from tests.fakes import at, rows_of

from counterfoil.blueprint import Catalogue, ConnectorInfo, OperationInfo, parse
from counterfoil.blueprint.ownership import enforced
from counterfoil.hub import exceptions, receipts, schema
from counterfoil.hub.contract import Feed, Finding, Item, Kind, Observed, Operation, Outcome, Raw, rejected
from counterfoil.hub.receipts import Arrival
from counterfoil.hub.store import Store
from counterfoil.hub.worker import Worker
from counterfoil.processes.changes import changes
from counterfoil.retail.events import EVENT_TYPES
from counterfoil.retail.fields import FIELDS, owned_in, value
from counterfoil.retail.party import Account, Address, Customer

SHOP, ERP = "shop", "erp"
OTHER = {SHOP: ERP, ERP: SHOP}
NUMBERS = {SHOP: "12", ERP: "17"}
FACTS = frozenset({"customer.changed"})
CATALOGUE = Catalogue.of(
    [ConnectorInfo("book", operations=(OperationInfo("update_customer", "customer"),), events=FACTS, needs_url=False)],
    frozenset(EVENT_TYPES),
)
BOTH_WAYS = """\
  - {on: customer.changed, from: shop, do: erp.update_customer}
  - {on: customer.changed, from: erp, do: shop.update_customer}
"""


def blueprint_text(owners: str, flows: str = BOTH_WAYS) -> str:
    """A shop and an ERP that tell each other of customers, and who owns them."""
    systems = f"systems:\n  {SHOP}: {{connector: book}}\n  {ERP}: {{connector: book}}\n"
    return f"counterfoil: 1\n{systems}owners:\n  customer: {owners}\nflows:\n{flows}"


class Book:
    """A system with one customer. Every call of its operation writes, as careless systems do, and tells of it."""

    def __init__(self, system: str, clock: Iterator[int]) -> None:
        self.system, self.number, self.clock = system, NUMBERS[system], clock
        person = Customer(id=self.number, name="Anna", email="a@example.test", phone="1", vat="V1", company="Firm")
        place = Address(name="Anna", street="1 High St", city="Porto", country="PT", phone="1", company="Firm")
        self.state = Account(system=system, id=self.number, customer=person, billing=place)
        self.version = at(next(clock))
        self.unsaid: list[Raw] = []
        self.said: list[Raw] = []
        self.writes = 0
        self.refuses = False
        self.answers = True  # whether its operation says what stands there afterwards
        self.edits: list[tuple[str, str, str]] = []  # shared by the books of a pair: (system, field, text) in order
        self.riding: deque[tuple[str, str]] = deque()
        self.say()

    def __getitem__(self, field: str) -> Any:
        return value("customer", field, self.state.model_dump(mode="json"))

    @property
    def subject(self) -> str:
        """Its canonical id."""
        return self.state.canonical_id

    def edit(self, field: str, text: str, quietly: bool = False) -> None:
        """A person changes one field."""
        self.edits.append((self.system, field, text))
        self._set(field, text)
        if not quietly:
            self.say()

    def _set(self, field: str, text: Any) -> None:
        data = self.state.model_dump(mode="json")
        for path in FIELDS["customer"][field]:
            _put(data, path, text)
        self.state = Account.model_validate(data)
        self.version = at(next(self.clock))

    def say(self) -> None:
        """A webhook with what stands there now, not yet delivered."""
        body = self.state.model_dump_json().encode()
        self.unsaid.append(Raw("customer", self.number, body, {"read_at": self.version}))

    async def write(self, items: Sequence[Item]) -> list[Outcome]:
        """update_customer: what is owned, emptiness too. A person may change other fields before the answer leaves."""
        if self.refuses:
            return [rejected("busy", "Not now.", "Later.")] * len(items)
        outcomes = []
        for item in items:
            told, owned = item.data["state"], owned_in(item.data)
            for field in FIELDS["customer"]:
                if field in owned and field != "customer":
                    self._set(field, value("customer", field, told))
            self.writes += 1
            while self.riding:
                self.edit(*self.riding.popleft(), quietly=True)
            self.say()
            seen = Observed("customer", self.number, self.version, self.state) if self.answers else None
            outcomes.append(Outcome(Kind.DONE, link=self.number, observed=seen, wrote=owned.paths("customer")))
        return outcomes

    # the contract

    @property
    def operations(self) -> Mapping[str, Operation]:
        return {"update_customer": Operation("update_customer", "customer", self.write, coalesces=True)}

    @property
    def feeds(self) -> Sequence[Feed]:
        return []

    def receive(self, headers: Mapping[str, str], body: bytes) -> Raw | None:
        raise NotImplementedError

    def decode(self, raw: Raw) -> Observed:
        state = Account.model_validate_json(raw.body)
        return Observed("customer", raw.object_id, raw.headers["read_at"], state)

    async def care(self) -> list[Finding]:
        return []

    async def doctor(self) -> list[Finding]:
        return []

    async def close(self) -> None:
        return None


def _put(data: dict[str, Any], path: tuple[str, ...], text: Any) -> None:
    for step in path[:-1]:
        data = data[step]
    data[path[-1]] = text


class Pair:
    """The hub between the two books, which know of each other and agree. `owners` as in the blueprint."""

    def __init__(self, store: Store, owners: str, flows: str = BOTH_WAYS) -> None:
        self.store = store
        self.blueprint = parse(blueprint_text(owners, flows), known=CATALOGUE)
        clock = itertools.count(1)
        self.books = {SHOP: Book(SHOP, clock), ERP: Book(ERP, clock)}
        self.edits = self.shop.edits = self.erp.edits
        rule = enforced(self.blueprint.owners, "customer")
        self.processes = {n: {"customer": dataclasses.replace(changes(n, "customer"), owners=rule)} for n in self.books}
        self.worker = Worker(store, self.blueprint, self.books, self.processes)

    @classmethod
    async def at_rest(cls, store: Store, owners: str, flows: str = BOTH_WAYS) -> Pair:
        """Linked, each has told of itself, and nothing is under way."""
        pair = cls(store, owners, flows)
        async with store.write() as connection:
            row = {"canonical_id": pair.shop.subject, "system": ERP, "object_id": NUMBERS[ERP], "since": 0}
            await connection.execute(sa.insert(schema.link).values(**row))
        await pair.settle()
        for book in pair.books.values():
            book.writes = 0
        async with store.write() as connection:
            await connection.execute(sa.delete(schema.counter))
        return pair

    @property
    def shop(self) -> Book:
        return self.books[SHOP]

    @property
    def erp(self) -> Book:
        return self.books[ERP]

    async def hear(self, system: str, raw: Raw, origin: str = "webhook") -> None:
        """Keep a message of a system, as its door does."""
        book = self.books[system]
        if raw in book.unsaid:
            book.unsaid.remove(raw)
            book.said.append(raw)
        async with self.store.write() as connection:
            await receipts.take(connection, self.store, [Arrival(system, origin, raw)])

    async def work(self) -> None:
        """Until nothing is due."""
        await self.worker.drain(20.0)

    async def told(self, system: str) -> None:
        """All that a system has to say is heard, and worked."""
        for raw in list(self.books[system].unsaid):
            await self.hear(system, raw)
            await self.work()

    async def go_on(self) -> None:
        """They refuse nothing any more, and what was refused is tried again."""
        self.shop.refuses = self.erp.refuses = False
        for row in await self.exceptions():
            if row["reason"] == "busy":
                await exceptions.act(self.store, row["id"], "retried", "somebody")
        await self.settle()

    async def settle(self, rounds: int = 12) -> None:
        """Everything is said, each is polled once more, and nothing is under way. Raises AssertionError for a loop."""
        for _ in range(rounds):
            await self.work()
            for name in self.books:
                await self.told(name)
            if not any(book.unsaid for book in self.books.values()):
                break
        else:
            raise AssertionError(f"still not at rest: {[(b.system, b.writes) for b in self.books.values()]}")
        for name, book in self.books.items():
            book.say()
            await self.hear(name, book.unsaid[-1], origin="poll")
        await self.work()

    async def events(self, type_: str) -> list[dict[str, Any]]:
        """The events of a type, as they were recorded."""
        rows = await rows_of(self.store, schema.event, type=type_)
        return sorted(rows, key=lambda row: (row["recorded_at"], row["time"]))

    async def exceptions(self, status: str = "open") -> list[dict[str, Any]]:
        """The exceptions of a status."""
        return await rows_of(self.store, schema.exception, status=status)

    async def counted(self, system: str) -> dict[str, int]:
        """The counters of a system."""
        return {row["name"]: row["n"] for row in await rows_of(self.store, schema.counter, system=system)}
