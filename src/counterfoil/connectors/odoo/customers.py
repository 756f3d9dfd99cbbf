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
from counterfoil.connectors.odoo.translate import MODULE, Impossible, impossible, order_name
from counterfoil.hub.contract import Failure
from counterfoil.retail.order import Order
from counterfoil.retail.party import Address, fingerprint, normal_email, normal_phone, normal_vat

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
    return match_keys(customer.email or billing.email, customer.vat, customer.phone or billing.phone, match)


def match_keys(email: str, vat: str, phone: str, match: Sequence[str]) -> list[tuple[str, str]]:
    """The declared ones among these keys, in the declared order, as they are compared; empty ones left out."""
    values = {"email": normal_email(email), "vat": normal_vat(vat), "phone": normal_phone(phone)}
    return [(rule, values[rule]) for rule in match if values[rule]]


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
        known.update(await _load(lookups, ["id", *_PARTNER_FIELDS], rows))
    settled = [o for o in orders if o.canonical_id not in result]
    partners = {o.canonical_id: known[names[o.canonical_id]] for o in settled}
    homes = {known[name]: _made_home(order) for name, order in fresh.items()}
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
        field = FIELDS[rule]
        domain: list[Any] = [[field, "in", values], ["parent_id", "=", False]]
        if rule == "phone":  # written in many ways; compared without the ways of writing
            domain = [["phone", "!=", False], ["parent_id", "=", False]]
        for row in await lookups.client.search_read("res.partner", domain, [field], order="id"):
            value = normal_phone(row[field]) if rule == "phone" else row[field]
            if rule == "vat":
                value = normal_vat(value)
            found.setdefault((rule, value), []).append(row["id"])
    return found


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


_PARTNER_FIELDS = [
    *("name", "email", "phone", "vat", "company_name", "street", "street2", "city", "zip"),
    *("country_id/.id", "state_id/.id"),
]


def _partner_row(order: Order, reference: Reference) -> list[str]:
    customer, billing = order.customer, order.billing
    return [
        _partner_name(order),
        customer.email or billing.email,
        customer.phone or billing.phone,
        customer.vat,
        customer.company or billing.company,
        *place(billing, reference),
    ]


def _partner_name(order: Order) -> str:
    customer, billing = order.customer, order.billing
    return customer.name or billing.name or customer.company or billing.company or customer.email or "Guest"


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
        known.update(await _load(lookups, columns + _PARTNER_FIELDS[5:], rows_new))
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


def _made_home(order: Order) -> str:
    """Where a partner lives that was just made from this order."""
    name, company = _partner_name(order), order.customer.company or order.billing.company
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
