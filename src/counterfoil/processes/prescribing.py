"""Prescriptions, taken, shown, released: what is written is sealed, who saw or decided stands in the audit.

The vault is opened where something is sealed or read, never to count or to list.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from counterfoil.blueprint import Secret
from counterfoil.hub import exceptions
from counterfoil.hub.access import audit
from counterfoil.hub.storefront import prescriptions as kept
from counterfoil.hub.storefront import shoporders
from counterfoil.hub.storefront.prescriptions import REJECTED, RELEASED, REPLACED, TO_RELEASE, Record
from counterfoil.hub.storefront.vault import NotOpened, Vault
from counterfoil.hub.telling import Teller
from counterfoil.processes import prescriptions as rule
from counterfoil.processes.prescriptions import REASONS, Said, Wrong
from counterfoil.retail.events import at_utc
from counterfoil.retail.order import Line, Order

WHY_REJECTED = ("unreadable", "expired", "incomplete", "not_for_this_order", "other")
"""The codes of a rejection; the customer is told the code, never the words of who decided."""
_KNOWN_FOR = 60.0


class NotDeclared(LookupError):
    """The blueprint declares nothing that is sold on a prescription; see its section `prescriptions`."""


class NoKey(LookupError):
    """The key that seals prescriptions is not there; the message names where it was looked for."""


class NoSuchPrescription(LookupError):
    """There is no prescription with this id; `counterfoil prescriptions list` shows those there are."""


class MayNot(PermissionError):
    """That person may not do so in that role; nothing was shown or changed, and the attempt is in the audit."""


class NotToDecide(ValueError):
    """It was decided already, or replaced by a newer one; nothing was changed."""


class NotNeeded(ValueError):
    """Nothing of the order is sold on a prescription, or it is not wanted any more; nothing was kept."""


class Released(ValueError):
    """A released prescription is there for these lines already; nothing was kept."""


class Unfit(ValueError):
    """The prescription is not as it must be; `wrong` says where. Nothing was kept."""

    def __init__(self, wrong: Sequence[Wrong]) -> None:
        super().__init__(f"{len(wrong)} field(s) are not as they must be")
        self.wrong = tuple(wrong)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an order stands: its lines in need, and the record that counts for each."""

    order: Order
    lines: Sequence[Line]
    records: Mapping[str, Record | None]

    @property
    def waits_for(self) -> str:
        """The reason for which it waits; empty where it does not."""
        return rule.waits_for(self.records)


class Prescribing:
    """One hub's prescriptions."""

    def __init__(self, teller: Teller) -> None:
        self.teller, self.store, self.blueprint = teller, teller.store, teller.blueprint
        self.rules = self.blueprint.prescriptions
        self._vault: Vault | None = None
        self._categories: dict[str, tuple[float, set[tuple[str, ...]]]] = {}

    @property
    def vault(self) -> Vault:
        """Raises NoKey, BadKey."""
        if self._vault is None:
            if self.rules.key is None:
                raise NoKey("The blueprint names no prescriptions.key; counterfoil prescriptions new-key makes one.")
            self._vault = Vault(_revealed(self.rules.key), [_revealed(key) for key in self.rules.old_keys])
        return self._vault

    # --- orders -----------------------------------------------------------------------------------------------

    async def needs(self, connection: AsyncConnection, order: Order) -> list[Line]:
        """The lines of the order that are only sold on a prescription."""
        categories = await self._categories_of(connection, order) if self.rules.needs.categories else {}
        return rule.in_need(order, self.rules, categories)

    async def _categories_of(self, connection: AsyncConnection, order: Order) -> rule.Categories:
        now, skus = time.monotonic(), {line.sku for line in order.lines if line.sku}
        unknown = {s for s in skus if s not in self._categories or now - self._categories[s][0] > _KNOWN_FOR}
        if unknown:
            found = await kept.categories_of(connection, unknown)
            self._categories |= {sku: (now, found.get(sku, set())) for sku in unknown}
        return {sku: self._categories[sku][1] for sku in skus}

    async def standing(self, connection: AsyncConnection, order: Order) -> Standing:
        """How the order stands now."""
        lines = await self.needs(connection, order)
        records = (await kept.of_orders(connection, [order.canonical_id]))[order.canonical_id] if lines else []
        return Standing(order, lines, rule.states((line.id for line in lines), records))

    async def of_customer(self, channel: str, number: str, email: str) -> Standing:
        """How the customer's order stands. Raises NoSuchOrder."""
        async with self.store.read() as connection:
            found = await shoporders.find(connection, channel, number, email)
            return await self.standing(connection, found.order)

    async def attach(
        self,
        channel: str,
        number: str,
        email: str,
        lines: Sequence[str],
        given: Mapping[str, Any],
        content: bytes,
        today: date | None = None,
    ) -> Record:
        """Take a prescription for these lines of the customer's order (none named: all that still need one).

        The same again is the same record. Raises NotDeclared, NoKey, NoSuchOrder, NotNeeded, Released, Unfit.
        """
        if not self.rules.declared:
            raise NotDeclared
        values, wrong = rule.checked(given, self.rules, today or datetime.now(UTC).date())
        media = rule.media_of(content)
        wrong += rule.wrong_file(content, media, self.rules)
        if wrong:
            raise Unfit(wrong)
        async with self.store.write() as connection:
            found = await shoporders.find(connection, channel, number, email, lock=True)
            standing = await self.standing(connection, found.order)
            wanted = _wanted(standing, lines)
            digest = hashlib.sha256(content).digest()
            said = json.dumps(values, sort_keys=True).encode()
            id_ = self.vault.name(found.id.encode(), json.dumps(wanted).encode(), said, digest)
            known = await kept.get(connection, id_)
            if known is not None and known[0].state != REPLACED:
                return known[0]
            at = await self.store.clock(connection)
            record = Record(id_, channel, found.id, found.order.number, tuple(wanted), TO_RELEASE, at)
            older = (await kept.of_orders(connection, [found.id]))[found.id]
            gone = [r.id for r in older if r.state in (TO_RELEASE, REJECTED) and set(r.lines) <= set(wanted)]
            await kept.replace(connection, gone)
            await kept.keep(connection, self.store, record, self.vault.seal(rule.packed(values, media, content), id_))
            await self._tell(connection, "prescription.attached", record, at)
            await self.go_on(connection, record.subject, "a prescription was attached")
            return record

    async def _tell(self, connection: AsyncConnection, type_: str, record: Record, at: float) -> None:
        events = [rule.fact(type_, record, at)]
        await self.teller.tell(connection, events)

    async def go_on(self, connection: AsyncConnection, subject: str, why: str) -> None:
        """Whatever of the order waits for a prescription is tried again."""
        await exceptions.retry_about(connection, self.store, subject, REASONS, why)

    # --- people -----------------------------------------------------------------------------------------------

    async def show(self, id_: str, role: str, who: str, why: str) -> tuple[Record, Said]:
        """What it says; that it was seen, by whom and why, is in the audit first.

        Raises NoSuchPrescription, MayNot, NoKey, NotOpened.
        """
        record = await self._allowed("see", id_, role, who, why)
        async with self.store.write() as connection:
            _, sealed = await self._one(connection, id_)
            detail = {"id": id_, "role": role, "why": why}
            await audit.note(connection, self.store, who, "prescription.shown", record.subject, detail)
            if sealed is None:
                raise NotOpened("it was replaced by a newer one, and what it said is gone")
            said = self.opened(record, sealed)
        return record, said

    async def decide(self, id_: str, role: str, who: str, why: str, reason: str = "") -> Record:
        """Release it, or with a `reason` (a code) reject it; the order goes on by itself.

        What is released must still fit what is declared today. Raises NoSuchPrescription, MayNot, NotToDecide, Unfit,
        NoKey, NotOpened.
        """
        await self._allowed("release", id_, role, who, why)
        async with self.store.write() as connection:
            record, sealed = await self._one(connection, id_)
            if record.state != TO_RELEASE or sealed is None:
                raise NotToDecide(f"Prescription {id_} is {record.state}; nothing was changed.")
            at = await self.store.clock(connection)
            if not reason:
                said = self.opened(record, sealed)
                _, wrong = rule.checked(said.values, self.rules, at_utc(at).date())
                if wrong:
                    raise Unfit(wrong)
            state = REJECTED if reason else RELEASED
            await kept.decide(connection, self.store, id_, state, who, reason)
            detail = {"id": id_, "role": role, "why": why, **({"reason": reason} if reason else {})}
            record = replace(record, state=state, decided_at=at, decided_by=who, reason=reason)
            await self._tell(connection, f"prescription.{state}", record, at)
            await self.go_on(connection, record.subject, f"a prescription was {state}")
            await audit.note(connection, self.store, who, f"prescription.{state}", record.subject, detail)
            return record

    def opened(self, record: Record, sealed: bytes) -> Said:
        """What it says. Raises NoKey, BadKey, NotOpened."""
        return rule.unpacked(self.vault.open(sealed, record.id))

    async def _allowed(self, act: Any, id_: str, role: str, who: str, why: str) -> Record:
        """The record; who may not is refused, and that they tried is in the audit."""
        async with self.store.write() as connection:
            record, _ = await self._one(connection, id_)
            refusal = self.rules.may(act, role, who) or ("" if why.strip() else "Say why: --why.")
            if refusal:
                detail = {"id": id_, "role": role, "act": act, "why": why}
                await audit.note(connection, self.store, who, "prescription.refused", record.subject, detail)
        if refusal:
            raise MayNot(refusal)
        return record

    async def _one(self, connection: AsyncConnection, id_: str) -> tuple[Record, bytes | None]:
        found = await kept.get(connection, id_)
        if found is None:
            raise NoSuchPrescription(f"There is no prescription {id_!r}; counterfoil prescriptions list shows them.")
        return found

    async def rekey(self, who: str, dry_run: bool = False) -> tuple[int, int]:
        """Seal with the present key what is sealed with an old one: (so many, of so many). Raises NotOpened."""
        last, done, seen = "", 0, 0
        while True:
            async with self.store.write() as connection:
                page = await kept.sealed_after(connection, last, 20)
                for id_, sealed in page:
                    last, seen = id_, seen + 1
                    if self.vault.is_current(sealed):
                        continue
                    done += 1
                    if not dry_run:
                        await kept.reseal(connection, id_, self.vault.seal(self.vault.open(sealed, id_), id_))
                if not page and done and not dry_run:
                    await audit.note(connection, self.store, who, "prescription.rekeyed", "prescriptions", {"n": done})
            if not page:
                return done, seen


def _revealed(key: Secret) -> str:
    if not key.resolved:
        raise NoKey(f"The key that seals prescriptions was not found: {key.written} is not set or not readable.")
    return key.reveal()


def _wanted(standing: Standing, lines: Sequence[str]) -> list[str]:
    """The lines that a prescription is taken for, in order. Raises NotNeeded, Released."""
    need = [line.id for line in standing.lines]
    if standing.order.is_given_up or not need or not set(lines) <= set(need):
        raise NotNeeded
    open_ = [line for line in need if (r := standing.records[line]) is None or r.state != RELEASED]
    wanted = [line for line in need if line in lines] if lines else open_
    if not wanted or not set(wanted) <= set(open_):
        raise Released
    return wanted
