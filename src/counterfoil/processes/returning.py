"""Returns that customers ask for: taken, told to the ERP, and read again. A request is an event and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint.model import HUB
from counterfoil.blueprint.trials import DECIDED
from counterfoil.hub import records
from counterfoil.hub.storefront import requested, shoporders, trials
from counterfoil.hub.storefront.shoporders import Found
from counterfoil.hub.telling import Teller
from counterfoil.processes.returns import Request, returnable, state_of
from counterfoil.processes.trials import summed, tried
from counterfoil.retail.events import Event, at_utc, event_id
from counterfoil.retail.fulfilment import Fulfilment

REQUESTED, PREPARED = "return.requested", "return.prepared"


class NotTaken(LookupError):
    """The blueprint takes no requests for returns, or nothing is done about them."""


class AnotherRequest(ValueError):
    """The same Idempotency-Key came with another request before."""


class TooMany(ValueError):
    """More is asked for than may be returned; `left` says how much of each line may."""

    def __init__(self, left: Mapping[str, Decimal]) -> None:
        super().__init__("more than may be returned")
        self.left = dict(left)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the returns of an order stand: what may be asked for, and each request with its state."""

    found: Found
    fulfilment: Fulfilment | None
    left: Mapping[str, Decimal]
    requests: tuple[tuple[Request, str], ...]


class Returning:
    """One hub's requests for returns."""

    def __init__(self, teller: Teller) -> None:
        self.teller, self.store, self.blueprint = teller, teller.store, teller.blueprint
        self.rules = self.blueprint.returns

    @property
    def taken(self) -> bool:
        """Whether requests are taken: declared so, and a flow does something about them."""
        return self.rules.asked and any(flow.on == REQUESTED for flow in self.blueprint.flows)

    async def of_customer(self, channel: str, number: str, email: str) -> Standing:
        """How the returns of the customer's order stand. Raises NoSuchOrder."""
        async with self.store.read() as connection:
            return await self._standing(connection, channel, number, email)

    async def request(
        self, channel: str, number: str, email: str, lines: Mapping[str, Decimal], reason: str, key: str
    ) -> tuple[Request, Standing]:
        """Ask for these units (above zero) by line; the same `key` and request again is the same request.

        Raises NotTaken, NoSuchOrder, AnotherRequest, TooMany.
        """
        if not self.taken:
            raise NotTaken
        async with self.store.write() as connection:
            standing = await self._standing(connection, channel, number, email, lock=True)
            subject = standing.found.id
            id_ = hashlib.sha256(f"{subject}\x1f{key}".encode()).hexdigest()[:16]
            known = next((request for request, _ in standing.requests if request.id == id_), None)
            if known is not None:
                if (known.lines, known.reason) != (dict(lines), reason):
                    raise AnotherRequest
                return known, standing
            if not lines or any(units > standing.left.get(line, 0) for line, units in lines.items()):
                raise TooMany(standing.left)
            at = await self.store.clock(connection)
            request = Request(id_, at_utc(at), dict(lines), reason)
            event = asked_back(request, subject, standing.found.order.number)
            await self.teller.tell(connection, [event])
            return request, standing

    async def _standing(
        self, connection: AsyncConnection, channel: str, number: str, email: str, lock: bool = False
    ) -> Standing:
        found = await shoporders.find(connection, channel, number, email, lock)
        state = (await records.states_of(connection, "fulfilment", [found.id])).get(found.id)
        fulfilment = Fulfilment.model_validate(state) if state else None
        requests = await requests_of(connection, found.id)
        now = at_utc(await self.store.clock(connection))
        left = returnable(fulfilment, requests, self.rules, now) if fulfilment else {}
        if self.blueprint.trials.declared and await trials.holds(connection, found.id):
            lines = tried(fulfilment, await keeps_of(connection, found.id), requests)
            left = {line: min(units, lines[line].kept) for line, units in left.items() if lines[line].kept}
        return Standing(found, fulfilment, left, tuple((r, state_of(r, fulfilment)) for r in requests))


async def requests_of(connection: AsyncConnection, subject: str) -> list[Request]:
    """What was asked to be returned of an order, and how far each request is."""
    told = await requested.events_of(connection, subject, (REQUESTED, PREPARED))
    return _requests(told, await requested.given_up(connection, subject, [id_ for id_, *_ in told]))


async def keeps_of(connection: AsyncConnection, subject: str) -> dict[str, Decimal]:
    """Units by line that were decided to be kept of a trial."""
    return summed(data["trial"]["keep"] for *_, data in await requested.events_of(connection, subject, (DECIDED,)))


def _requests(told: list[tuple[str, str, float, Mapping[str, Any]]], gone: set[str]) -> list[Request]:
    prepared = {data["return"]: tuple(data["pickings"]) for _, type_, _, data in told if type_ == PREPARED}
    return [
        Request(
            data["return"]["id"],
            at_utc(at),
            {line: Decimal(units) for line, units in data["return"]["lines"].items()},
            data["return"]["reason"],
            prepared.get(data["return"]["id"], ()),
            event in gone,
        )
        for event, type_, at, data in told
        if type_ == REQUESTED
    ]


def asked_back(request: Request, subject: str, number: str, **more: Any) -> Event:
    """The event that is the request; `more` beside its data."""
    lines = {line: f"{units:f}" for line, units in request.lines.items()}
    return Event(
        id=event_id(HUB, REQUESTED, subject, request.id),
        type=REQUESTED,
        source=HUB,
        subject=subject,
        key=subject,
        time=request.asked_at,
        correlation=subject,
        refs=(("order", number), ("return", request.id)),
        data={"return": {"id": request.id, "lines": lines, "reason": request.reason, **more}},
    )
