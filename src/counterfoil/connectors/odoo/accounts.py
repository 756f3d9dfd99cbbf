"""A customer's master data, brought to Odoo: update_customer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from counterfoil.connectors.odoo.client import QUIET
from counterfoil.connectors.odoo.customers import FIELDS, found_by, match_keys, partner_values
from counterfoil.connectors.odoo.errors import load_failed
from counterfoil.connectors.odoo.jobs import Desk, many2one
from counterfoil.connectors.odoo.lookups import Reference
from counterfoil.connectors.odoo.mapping import NUMBERS, PARTNER, ours
from counterfoil.connectors.odoo.translate import MODULE, Impossible
from counterfoil.connectors.overlay import Dialect, written
from counterfoil.hub.contract import BadPayload, Failure, Item, Kind, Outcome, done, rejected
from counterfoil.retail.expression import Scalar
from counterfoil.retail.fields import Owned, owned_in
from counterfoil.retail.party import Account, fingerprint, normal_email, normal_phone, normal_vat

_OURS = {name: ours(name) for name in PARTNER}
"""The field of the retail language that each of Odoo's is; whoever does not own it does not write it."""


def newest_account(item: Item) -> Account:
    """The customer as last known."""
    return Account.model_validate(item.data.get("state") or item.data["customer"])


@dataclass(slots=True)
class _Job:
    """A customer on the way to Odoo: what it shall say there, and the partner it is, once that is known."""

    item: Item
    name: str  # the external id of the customer itself
    keys: Sequence[tuple[str, str]] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Scalar] = field(default_factory=dict)  # those that the blueprint itself maps
    partner: Mapping[str, Any] | None = None
    outcome: Outcome | None = None

    @property
    def owned(self) -> Owned:
        """What of the customer is its system's to say."""
        return owned_in(self.item.data)

    @property
    def names(self) -> list[str]:
        """The external ids it may have: its own, and the one that orders give it."""
        return [self.name, *_own_names(self.keys)]


class Accounts:
    """update_customer."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.client, self.lookups = desk, desk.client, desk.lookups

    async def update_customer(self, items: Sequence[Item]) -> list[Outcome]:
        """Bring each customer's partner to what the shop says now; made where there is none.

        Found by the link, else by the external id `counterfoil.<system>_customer_<id>` (which Odoo's own merge carries
        over to the partner that stays), else by the declared keys, never by the name. Only what differs is written,
        and nothing is emptied because the shop does not know it, so that a repeat writes nothing. Of what the data
        name as `owned` nothing else is written, and who does not own customers makes none; a new one is made whole.
        Raises Failure for Odoo as a whole.
        """
        reference = await self.lookups.reference()
        jobs = [self._job(item, reference) for item in items]
        waiting = [job for job in jobs if job.outcome is None]
        while waiting:
            together, waiting = _apart(waiting)
            await self._bring(together)
        return [job.outcome or _bug(job) for job in jobs]

    async def _bring(self, jobs: Sequence[_Job]) -> None:
        """All of them in a handful of calls; each by itself where Odoo refuses something."""
        try:
            await self._find(jobs)
            await self._make([job for job in jobs if job.outcome is None and job.partner is None])
            await self._name([job for job in jobs if job.partner is not None])
            await self._write([job for job in jobs if job.outcome is None])
        except Failure as failure:
            if failure.outcome.kind is not Kind.REJECTED:
                raise
            if len(jobs) == 1:
                jobs[0].outcome = failure.outcome
                return
            for job in jobs:
                job.partner = job.outcome = None
                await self._bring([job])

    def _job(self, item: Item, reference: Reference) -> _Job:
        account = newest_account(item)
        job = _Job(item, f"{MODULE}.{account.system}_customer_{account.id}")
        try:
            job.own = own_values(account, self.lookups.rules.dialect)
            job.values = _values(account, reference) | job.own
            job.keys = _keys(account, self.lookups.rules.match)
        except Impossible as no:
            job.outcome = no.outcome
        except BadPayload as bad:
            job.outcome = rejected(bad.reason, bad.message, bad.suggestion)
        return job

    async def _find(self, jobs: Sequence[_Job]) -> None:
        """The partner that each of them is; an outcome where several could be, or where it is not to be made."""
        known = await self.lookups.external_ids(sorted({name for job in jobs for name in job.names}), "res.partner")
        # the link's partner may be gone: merged in Odoo. Its external ids are on the one that stayed
        candidates = {
            job.name: [
                *([int(job.item.link)] if job.item.link.isdigit() else []),
                *(known[name] for name in job.names if name in known),
            ]
            for job in jobs
        }
        fields = [*PARTNER, *jobs[0].own]
        there = await self._partners({id_ for ids in candidates.values() for id_ in ids}, fields)
        for job in jobs:
            job.partner = next((there[id_] for id_ in candidates[job.name] if id_ in there), None)
        strangers = [job for job in jobs if job.partner is None]
        found = await found_by([key for job in strangers for key in job.keys], self.lookups)
        there = await self._partners({ids[0] for ids in found.values() if len(ids) == 1}, fields)
        for job in strangers:
            several = next((ids for key in job.keys if len(ids := found.get(key, [])) > 1), [])
            alone = next((ids[0] for key in job.keys if len(ids := found.get(key, [])) == 1), None)
            job.partner = there.get(alone) if alone else None
            if alone is None and several:
                job.outcome = rejected(
                    "ambiguous_customer",
                    f"Odoo has {len(several)} customers that match: {', '.join(map(str, several[:5]))}.",
                    "Merge them in Odoo (Contacts, Action, Merge), then retry.",
                )
            elif job.partner is None and "customer" not in job.owned:
                told = {"partner": "", "wrote": [], "because": "only the owner of customers makes new ones"}
                job.outcome = done(told)

    async def _partners(self, ids: Collection[int], fields: Sequence[str]) -> dict[int, Mapping[str, Any]]:
        """Those that are there, archived ones among them, by number."""
        if not ids:
            return {}
        rows = await self.client.search_read("res.partner", [["id", "in", sorted(ids)]], list(fields), archived=True)
        return {row["id"]: row for row in rows}

    async def _make(self, jobs: Sequence[_Job]) -> None:
        """New partners, whole: of what they have nobody else has said anything yet."""
        if not jobs:
            return
        fields = [f"{name}/.id" if name in NUMBERS else name for name in jobs[0].values]
        rows = [[job.names[-1], *(str(value or "") for value in job.values.values())] for job in jobs]
        ids, messages = await self.client.load("res.partner", ["id", *fields], rows)
        if messages:
            raise Failure(load_failed(messages))
        for job, number in zip(jobs, ids, strict=True):
            job.partner = {"id": number}
            job.outcome = done({"partner": number, "wrote": "a new customer"}, link=str(number))

    async def _name(self, jobs: Sequence[_Job]) -> None:
        """Give the partners the customers' own external ids, or carry those over to them."""
        short = {job.name.removeprefix(f"{MODULE}."): _number(job) for job in jobs}
        if not short:
            return
        domain = [["module", "=", MODULE], ["name", "in", sorted(short)]]
        rows = await self.client.search_read("ir.model.data", domain, ["name", "model", "res_id"])
        named = {row["name"] for row in rows}
        kind = {"module": MODULE, "model": "res.partner", "noupdate": True}
        new = [{**kind, "name": name, "res_id": number} for name, number in short.items() if name not in named]
        if new:
            await self.client.call("ir.model.data", "create", vals_list=new)
        for row in rows:
            if row["res_id"] != short[row["name"]]:
                await self.client.call("ir.model.data", "write", ids=[row["id"]], vals={"res_id": short[row["name"]]})

    async def _write(self, jobs: Sequence[_Job]) -> None:
        """What differs at partners that were there; those that differ in the same fields in one call."""
        alike: dict[tuple[str, ...], list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
        for job in jobs:
            number, changes = _number(job), _changes(job)
            job.outcome = done({"partner": number, "wrote": sorted(changes)}, link=str(number))
            if changes:
                alike[tuple(sorted(changes))].append((number, changes))
        for names, some in alike.items():
            if len(some) == 1 or not set(names) <= set(PARTNER):  # of unknown fields only their own types are right
                for number, wanted in some:
                    await self.client.call("res.partner", "write", ids=[number], vals=wanted, context=QUIET)
                continue
            columns = [".id", *(f"{name}/.id" if name in NUMBERS else name for name in names)]
            told = [[str(number), *(str(wanted[name] or "") for name in names)] for number, wanted in some]
            _, messages = await self.client.load("res.partner", columns, told, QUIET)
            if messages:
                raise Failure(load_failed(messages))


def _apart(jobs: Sequence[_Job]) -> tuple[list[_Job], list[_Job]]:
    """Those that can be looked up together, and the others: who may be the same partner waits for the next round."""
    together: list[_Job] = []
    later: list[_Job] = []
    taken: set[object] = set()
    for job in jobs:
        mine = {job.name, *job.keys, *([("link", job.item.link)] if job.item.link else [])}
        (later if mine & taken else together).append(job)
        taken |= mine
    return together, later


def _number(job: _Job) -> int:
    assert job.partner is not None
    return int(job.partner["id"])


def _changes(job: _Job) -> dict[str, Any]:
    """What of its own the customer says otherwise than the partner does."""
    there = job.partner or {}
    changes: dict[str, Any] = {
        name: value
        for name, value in job.values.items()
        if value and _OURS.get(name, "customer") in job.owned and not _same(name, value, there)
    }
    if "country_id" in changes and not job.values["state_id"] and "billing.state" in job.owned:
        changes["state_id"] = False  # a state of another country
    return changes


def _bug(job: _Job) -> Outcome:
    return Outcome(Kind.BUG, "nothing_done", "The customer was neither written nor refused.", job.item.subject)


def _keys(account: Account, match: Sequence[str]) -> list[tuple[str, str]]:
    return match_keys(account.customer, account.billing, match)


def _own_names(keys: Sequence[tuple[str, str]]) -> list[str]:
    """The external ids that orders give the customer: from the match key."""
    return [f"{MODULE}.customer_{fingerprint(*keys[0])}"] if keys else []


def _values(account: Account, reference: Reference) -> dict[str, Any]:
    values = partner_values(account.customer, account.billing, reference)
    return {name: int(value or 0) if name in NUMBERS else value for name, value in values.items()}


def own_values(account: Account, dialect: Dialect) -> dict[str, Scalar]:
    """What the blueprint itself writes into the partner's fields. Raises BadPayload."""
    if "customer" not in dialect.fields:
        return {}
    told = account.model_dump(mode="json")
    return written(dialect, "customer", {"customer": told | told["customer"] | {"id": account.id}})


def _same(name: str, value: Any, standing: Mapping[str, Any]) -> bool:
    there = standing[name]
    if name in NUMBERS:
        return bool(many2one(there) == value)
    if name in FIELDS:
        normal = {"email": normal_email, "phone": normal_phone, "vat": normal_vat}[name]
        return normal(str(there or "")) == normal(str(value))
    if isinstance(there, list) and name not in PARTNER:  # a record of another model
        return bool(many2one(there) == value)
    return bool(there == value) or str(there or "") == str(value)
