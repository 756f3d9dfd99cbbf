"""Odoo's customers: top-level partners with the newest of their addresses. And all of them, for linking."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from counterfoil.connectors.odoo.watching import KEEP, Changed, Reader, Row, Watch, number

BATCH = 500
PLACE = ("name", "email", "phone", "street", "street2", "city", "zip", "state_id", "country_id")
PARTNERS = Watch("res.partner", "parent_id", PLACE, (["partner_share", "=", True],))
"""Not those who work here: `partner_share` is false for the company's own users."""


class People:
    """Reads customers; `own` are fields of partners that are read besides: the retailer's own, such as a hold."""

    def __init__(self, reader: Reader, own: Sequence[str] = ()) -> None:
        self.reader, self.own = reader, tuple(own)
        self._codes: tuple[float, dict[int, str], dict[int, str]] = (0.0, {}, {})

    async def watches(self) -> tuple[Watch, ...]:
        """Partners."""
        return (replace(PARTNERS, marks=(*PLACE, *self.own)),)

    async def owners(self, changes: Iterable[Changed]) -> list[int]:
        """The top-level partners that changed rows belong to, each once."""
        return sorted({change.owner or change.row["id"] for change in changes})

    async def read(self, partners: Sequence[int]) -> dict[str, Mapping[str, Any]]:
        """Bodies by partner: people and companies that can be known again. Raises Failure."""
        domain = [["id", "in", list(partners)], ["parent_id", "=", False], *PARTNERS.domain, ["active", "=", True]]
        fields = [*PLACE, "vat", "is_company", *self.own]
        found = await self.reader.rows("res.partner", domain, fields)
        found = [row for row in found if row["email"] or row["vat"] or row["phone"]]
        domain = [["parent_id", "in", [row["id"] for row in found]], ["type", "in", ["invoice", "delivery"]]]
        domain.append(["active", "=", True])
        children = await self.reader.rows("res.partner", domain, [*PLACE, "type", "parent_id"]) if found else []
        countries, states = await self._places()
        newest = {(number(row["parent_id"]), row["type"]): row for row in children}  # by id: the last one stays
        bodies: dict[str, Mapping[str, Any]] = {}
        for row in found:
            places = {kind: newest.get((row["id"], kind)) for kind in ("invoice", "delivery")}
            bodies[str(row["id"])] = {
                "id": row["id"],
                "name": row["name"] or "",
                "email": row["email"] or "",
                "phone": row["phone"] or "",
                "vat": row["vat"] or "",
                "is_company": row["is_company"],
                "home": _place(row, countries, states),
                "invoice": _place(places["invoice"], countries, states),
                "delivery": _place(places["delivery"], countries, states),
                **({"own": {name: row[name] for name in self.own}} if self.own else {}),
            }
        return bodies

    async def _places(self) -> tuple[dict[int, str], dict[int, str]]:
        at, countries, states = self._codes
        if not at or time.monotonic() - at > KEEP:
            countries = {row["id"]: row["code"] or "" for row in await self.reader.rows("res.country", [], ["code"])}
            states = {row["id"]: row["code"] or "" for row in await self.reader.rows("res.country.state", [], ["code"])}
            self._codes = (time.monotonic(), countries, states)
        return countries, states

    async def people(self) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
        """Every customer: its number, the keys it can be linked by, its name and address. Raises Failure."""
        domain = [["parent_id", "=", False], ["active", "=", True], *PARTNERS.domain]
        countries, _ = await self._places()
        fields = ["email", "vat", "phone", "name", "street", "zip", "city", "country_id"]
        async for page in self.reader.pages("res.partner", domain, fields):
            for row in page:
                told = {name: row[name] for name in ("email", "vat", "phone", "name", "street", "city")}
                told |= {"postcode": row["zip"], "country": countries.get(number(row["country_id"]), "")}
                yield str(row["id"]), {name: value for name, value in told.items() if value}


def _place(row: Row | None, countries: Mapping[int, str], states: Mapping[int, str]) -> dict[str, str]:
    if row is None:
        return {}
    place = {name: row[name] or "" for name in PLACE if name not in ("state_id", "country_id")}
    place["state"] = states.get(number(row["state_id"]), "")
    place["country"] = countries.get(number(row["country_id"]), "")
    return place
