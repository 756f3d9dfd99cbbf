"""A customer's master data, brought to Odoo: update_customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from counterfoil.connectors.odoo.client import QUIET
from counterfoil.connectors.odoo.customers import FIELDS, found_by, match_keys, place
from counterfoil.connectors.odoo.errors import load_failed
from counterfoil.connectors.odoo.jobs import Desk, many2one
from counterfoil.connectors.odoo.lookups import Reference
from counterfoil.connectors.odoo.translate import MODULE, Impossible, impossible
from counterfoil.hub.contract import Failure, Item, Kind, Outcome, done
from counterfoil.retail.party import Account, fingerprint, normal_email, normal_phone, normal_vat

READ = ["name", "email", "phone", "vat", "company_name", "street", "street2", "city", "zip", "country_id", "state_id"]


def newest_account(item: Item) -> Account:
    """The customer as last known."""
    return Account.model_validate(item.data.get("state") or item.data["customer"])


class Accounts:
    """update_customer."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.client, self.lookups = desk, desk.client, desk.lookups

    async def update_customer(self, items: Sequence[Item]) -> list[Outcome]:
        """Bring each customer's partner to what the shop says now; made where there is none.

        Found by the link, else by the external id `counterfoil.<system>_customer_<id>` (which Odoo's own merge carries
        over to the partner that stays), else by the declared keys, never by the name. Only what differs is written,
        and nothing is emptied because the shop does not know it, so that a repeat writes nothing.
        """
        results: list[Outcome] = []
        reference = await self.lookups.reference() if items else None
        for item in items:
            assert reference is not None
            try:
                results.append(await self._one(newest_account(item), item, reference))
            except Impossible as no:
                results.append(no.outcome)
            except Failure as failure:
                if failure.outcome.kind is not Kind.REJECTED:
                    raise
                results.append(failure.outcome)
        return results

    async def _one(self, account: Account, item: Item, reference: Reference) -> Outcome:
        values = _values(account, reference)
        name = f"{MODULE}.{account.system}_customer_{account.id}"
        keys = _keys(account, self.lookups.rules.match)
        standing = await self._standing(item.link, name, keys)
        if standing is None:
            number = await self._make(keys, name, values)
            await self._name(name, number)
            return done({"partner": number, "wrote": "a new customer"}, link=str(number))
        number = int(standing["id"])
        await self._name(name, number)
        changes = {field: value for field, value in values.items() if value and not _same(field, value, standing)}
        if "country_id" in changes and not values["state_id"]:
            changes["state_id"] = False  # a state of another country
        if changes:
            await self.client.call("res.partner", "write", ids=[number], vals=changes, context=QUIET)
        return done({"partner": number, "wrote": sorted(changes)}, link=str(number))

    async def _standing(self, link: str, name: str, keys: Sequence[tuple[str, str]]) -> dict[str, Any] | None:
        """The partner this customer is. Raises Impossible where several could be."""
        known = await self.lookups.external_ids([name, *_own_names(keys)], "res.partner")
        candidates = [int(link)] if link.isdigit() else []
        candidates += [known[each] for each in (name, *_own_names(keys)) if each in known]
        if not candidates:
            several: list[int] = []
            found = await found_by(keys, self.lookups)
            for key in keys:
                partners = found.get(key, [])
                if len(partners) == 1:
                    candidates = partners
                    break
                several = several or partners
            if not candidates and several:
                raise impossible(
                    "ambiguous_customer",
                    f"Odoo has {len(several)} customers that match: {', '.join(map(str, several[:5]))}.",
                    "Merge them in Odoo (Contacts, Action, Merge), then retry.",
                )
        if not candidates:
            return None
        rows = await self.client.search_read("res.partner", [["id", "in", candidates]], READ, archived=True)
        by_id = {row["id"]: row for row in rows}
        # the link's partner may be gone: merged in Odoo. Its external ids are on the one that stayed
        return next((by_id[number] for number in candidates if number in by_id), None)

    async def _make(self, keys: Sequence[tuple[str, str]], name: str, values: Mapping[str, Any]) -> int:
        own = next(iter(_own_names(keys)), name)
        fields = [f"{field}/.id" if field in ("country_id", "state_id") else field for field in values]
        row = [own, *(str(value or "") for value in values.values())]
        ids, messages = await self.client.load("res.partner", ["id", *fields], [row])
        if messages:
            raise Failure(load_failed(messages))
        return ids[0]

    async def _name(self, name: str, partner: int) -> None:
        """Give the partner the customer's own external id, or carry it over to it."""
        module, _, short = name.partition(".")
        domain = [["module", "=", module], ["name", "=", short]]
        rows = await self.client.search_read("ir.model.data", domain, ["model", "res_id"])
        if not rows:
            values = {"module": module, "name": short, "model": "res.partner", "res_id": partner, "noupdate": True}
            await self.client.call("ir.model.data", "create", vals_list=[values])
        elif rows[0]["res_id"] != partner:
            await self.client.call("ir.model.data", "write", ids=[rows[0]["id"]], vals={"res_id": partner})


def _keys(account: Account, match: Sequence[str]) -> list[tuple[str, str]]:
    customer, billing = account.customer, account.billing
    return match_keys(customer.email or billing.email, customer.vat, customer.phone or billing.phone, match)


def _own_names(keys: Sequence[tuple[str, str]]) -> list[str]:
    """The external ids that orders give the customer: from the match key."""
    return [f"{MODULE}.customer_{fingerprint(*keys[0])}"] if keys else []


def _values(account: Account, reference: Reference) -> dict[str, Any]:
    customer, billing = account.customer, account.billing
    street, street2, city, code, country, state = place(billing, reference)
    return {
        "name": customer.name or billing.name or customer.company or billing.company or customer.email or "Guest",
        "email": customer.email or billing.email,
        "phone": customer.phone or billing.phone,
        "vat": customer.vat,
        "company_name": customer.company or billing.company,
        "street": street,
        "street2": street2,
        "city": city,
        "zip": code,
        "country_id": int(country or 0),
        "state_id": int(state or 0),
    }


def _same(field: str, value: Any, standing: Mapping[str, Any]) -> bool:
    there = standing[field]
    if field in ("country_id", "state_id"):
        return bool(many2one(there) == value)
    if field in FIELDS:
        normal = {"email": normal_email, "phone": normal_phone, "vat": normal_vat}[field]
        return normal(str(there or "")) == normal(str(value))
    return str(there or "") == str(value)
