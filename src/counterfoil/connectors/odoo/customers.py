"""Customers in Odoo: found by the declared match rule, or made once, with their addresses.

A customer's external id comes from the match key (the e-mail address, say), so that a lost answer or a second
hub cannot make a second one, and a guest who registers later is the same person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from counterfoil.connectors.odoo.errors import load_failed
from counterfoil.connectors.odoo.lookups import Lookups, Reference
from counterfoil.connectors.odoo.mapping import NUMBERS, PARTNER
from counterfoil.connectors.odoo.translate import MODULE, Impossible, impossible, order_name
from counterfoil.hub.contract import Failure
from counterfoil.retail.keys import key_of
from counterfoil.retail.order import Order
from counterfoil.retail.party import Address, Customer, fingerprint

FIELDS = {"email": "email_normalized", "vat": "vat", "phone": "phone"}


@dataclass(frozen=True, slots=True)
class Parties:
    """Odoo's partner numbers for one order."""

    customer: int
    invoice_to: int
    ship_to: int


def keys(order: Order, match: Sequence[str]) -> list[tuple[str, str]]:
    """The match keys the order offers, in the declared order: [("email", "a@b.example"), …]."""
    customer, billing = order.customer, order.billing
    return match_keys(customer, billing, match)


def match_keys(customer: Customer, billing: Address, match: Sequence[str]) -> list[tuple[str, str]]:
    """The declared ones among their keys, in the declared order, as they are compared; empty ones left out."""
    written = {"email": customer.email or billing.email, "vat": customer.vat, "phone": customer.phone or billing.phone}
    offered = [(rule, key_of(rule, written[rule], billing.country)) for rule in match]
    return [(rule, value) for rule, value in offered if value]


def external_id(order: Order, match: Sequence[str]) -> str:
    """From the first match key; an order without any has a customer of its own."""
    offered = keys(order, match)
    return f"{MODULE}.customer_{fingerprint(*offered[0])}" if offered else f"{MODULE}.{order_name(order)}_customer"


async def resolve(orders: Sequence[Order], lookups: Lookups, reference: Reference) -> dict[str, Parties | Impossible]:
    """Partner numbers by canonical order id; an order whose customer is ambiguous gets the Impossible instead."""
    match = lookups.rules.match
    names = {order.canonical_id: external_id(order, match) for order in orders}
    known = await lookups.external_ids(set(names.values()), "res.partner")
    result: dict[str, Parties | Impossible] = {}
    strangers = [o for o in orders if names[o.canonical_id] not in known]
    offered = [key for order in strangers for key in keys(order, match)]
    found = await found_by(offered, lookups)
    fresh: dict[str, Order] = {}
    for order in strangers:
        try:
            partner = _match(order, match, found)
        except Impossible as ambiguous:
            result[order.canonical_id] = ambiguous
            continue
        if partner:
            known[names[order.canonical_id]] = partner
        else:
            fresh.setdefault(names[order.canonical_id], order)
    if fresh:
        rows = [[name, *_partner_row(order, reference)] for name, order in sorted(fresh.items())]
        known.update(await _load(lookups, ["id", *_PARTNER_COLUMNS], rows))
    settled = [o for o in orders if o.canonical_id not in result]
    partners = {o.canonical_id: known[names[o.canonical_id]] for o in settled}
    homes = {known[name]: _made_home(order, reference) for name, order in fresh.items()}
    homes |= await _homes(sorted(set(partners.values()) - set(homes)), lookups, reference)
    result.update(await _addresses(settled, partners, homes, lookups, reference))
    return result


async def below(
    orders: Sequence[Order], partners: Mapping[str, int], lookups: Lookups, reference: Reference
) -> dict[str, Parties]:
    """Invoice and delivery addresses of orders whose customers are known: `partners` by canonical order id."""
    homes = await _homes(sorted(set(partners.values())), lookups, reference)
    return await _addresses(orders, partners, homes, lookups, reference)


async def found_by(offered: Sequence[tuple[str, str]], lookups: Lookups) -> dict[tuple[str, str], list[int]]:
    """Top-level partners by (rule, value) for every one of these keys."""
    found: dict[tuple[str, str], list[int]] = {}
    for rule in lookups.rules.match:
        values = sorted({value for kind, value in offered if kind == rule})
        if not values:
            continue
        field, several = FIELDS[rule], ["|"] * (len(values) - 1)
        domain: list[Any] = [[field, "in", values]]
        if rule == "vat":  # a national number may stand there without its country
            domain = [[field, "in", sorted({*values, *(value[2:] for value in values)})]]
        elif rule == "phone":  # written in many ways: any that have its last digits in this order
            domain = [*several, *([field, "=like", _digits_in_order(value)] for value in values)]
        rows = await lookups.client.search_read(
            "res.partner", [["parent_id", "=", False], *domain], [field, "country_id"], order="id"
        )
        codes = {number: code for code, number in (await lookups.reference()).countries.items()} if rows else {}
        for row in rows:
            country = codes.get(row["country_id"][0], "") if row["country_id"] else ""
            found.setdefault((rule, key_of(rule, row[field], country)), []).append(row["id"])
    return found


def _digits_in_order(phone: str) -> str:
    """A pattern for a telephone number however its digits are parted; the last seven are enough to find it."""
    digits = [c for c in phone.partition(";")[0] if c.isdigit()]
    return f"%{'%'.join(digits[-7:])}%"


def _match(order: Order, match: Sequence[str], found: Mapping[tuple[str, str], list[int]]) -> int | None:
    """The first rule that finds exactly one wins; if rules only find several, a person decides."""
    several: list[int] = []
    for key in keys(order, match):
        partners = found.get(key, [])
        if len(partners) == 1:
            return partners[0]
        several = several or partners
    if several:
        raise impossible(
            "ambiguous_customer",
            f"Odoo has {len(several)} customers that match this order: {', '.join(map(str, several[:5]))}.",
            "Merge them in Odoo (Contacts, Action, Merge), then retry.",
        )
    return None


_PARTNER_COLUMNS = [f"{field}/.id" if field in NUMBERS else field for field in PARTNER]
_PLACE_COLUMNS = _PARTNER_COLUMNS[list(PARTNER).index("street") :]


def partner_values(customer: Customer, billing: Address, reference: Reference) -> dict[str, str]:
    """What a partner is to hold, by Odoo's fields (mapping.PARTNER); country and state as numbers in texts."""
    parts = {"customer": customer, "billing": billing}
    values = {
        field: next((text for part, name in sources if (text := str(getattr(parts[part], name)))), "")
        for field, sources in PARTNER.items()
    }
    return values | {"name": values["name"] or "Guest"} | dict(zip(_PLACE, place(billing, reference), strict=True))


def _partner_row(order: Order, reference: Reference) -> list[str]:
    return list(partner_values(order.customer, order.billing, reference).values())


_PLACE = ("street", "street2", "city", "zip", "country_id", "state_id")


def place(address: Address, reference: Reference) -> list[str]:
    """Street, second line, city, postcode, and Odoo's numbers of country and state ('' where it has none)."""
    country = reference.countries.get(address.country.upper())
    # shops write FR-75 or DE-BE where Odoo has 75 and BE
    code = address.state.removeprefix(f"{address.country}-")
    state = reference.states.get((address.country.upper(), code))
    return [address.street, address.street2, address.city, address.postcode, str(country or ""), str(state or "")]


async def _addresses(
    orders: Sequence[Order],
    partners: Mapping[str, int],
    homes: Mapping[int, str],
    lookups: Lookups,
    reference: Reference,
) -> dict[str, Parties]:
    """Invoice and delivery address: the customer itself where it lives there, else a contact below it."""
    children: dict[str, list[str]] = {}
    chosen: dict[str, dict[str, str]] = {}
    for order in orders:
        partner = partners[order.canonical_id]
        chosen[order.canonical_id] = {}
        for kind, address in (("invoice", order.billing), ("delivery", order.ship_to)):
            if address.is_empty or _whereabouts(address) == homes.get(partner):
                continue
            name = f"{MODULE}.{kind}_{partner}_{address.fingerprint}"
            contact = address.name or address.company or order.customer.name or "Address"
            children[name] = [
                contact,
                str(partner),
                kind,
                address.phone,
                address.company,
                *place(address, reference),
            ]
            chosen[order.canonical_id][kind] = name
    known = await lookups.external_ids(children, "res.partner") if children else {}
    rows_new = [[name, *values] for name, values in sorted(children.items()) if name not in known]
    if rows_new:
        columns = ["id", "name", "parent_id/.id", "type", "phone", "company_name"]
        known.update(await _load(lookups, columns + _PLACE_COLUMNS, rows_new))
    return {
        o.canonical_id: Parties(
            partners[o.canonical_id],
            *(
                known[chosen[o.canonical_id][kind]] if kind in chosen[o.canonical_id] else partners[o.canonical_id]
                for kind in ("invoice", "delivery")
            ),
        )
        for o in orders
    }


async def _homes(partners: Sequence[int], lookups: Lookups, reference: Reference) -> dict[int, str]:
    """Where partners of Odoo live, comparable with `_whereabouts`."""
    if not partners:
        return {}
    fields = ["name", "company_name", "street", "street2", "city", "zip", "country_id"]
    rows = await lookups.client.search_read("res.partner", [["id", "in", partners]], fields, archived=True)
    codes = {number: code for code, number in reference.countries.items()}
    return {
        row["id"]: fingerprint(
            *((row[field] or "") for field in fields[:-1]),
            codes.get(row["country_id"][0], "") if row["country_id"] else "",
        )
        for row in rows
    }


def _made_home(order: Order, reference: Reference) -> str:
    """Where a partner lives that was just made from this order."""
    values = partner_values(order.customer, order.billing, reference)
    name, company = values["name"], values["company_name"]
    return _whereabouts(order.billing.model_copy(update={"name": name, "company": company}))


def _whereabouts(address: Address) -> str:
    return fingerprint(
        *(address.name, address.company, address.street, address.street2),
        *(address.city, address.postcode, address.country),
    )


async def _load(lookups: Lookups, fields: list[str], rows: list[list[str]]) -> dict[str, int]:
    ids, messages = await lookups.client.load("res.partner", fields, rows)
    if messages:
        raise Failure(load_failed(messages))
    return dict(zip((row[0] for row in rows), ids, strict=True))
