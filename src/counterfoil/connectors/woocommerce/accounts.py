"""Customers with an account in the shop, as Account, and their master data written back from their owner.

The shop's list ignores `modified_after` (measured on 9.9.5), so it is read whole, by id; what did not change is
dropped by the hub. An account is found by its link or its e-mail address, never by a name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from counterfoil.connectors.overlay import PLAIN, Dialect, read
from counterfoil.connectors.woocommerce.client import Answer, Client
from counterfoil.connectors.woocommerce.feeds import PER_PAGE, raw_of
from counterfoil.connectors.woocommerce.mapping import PLACE, VAT_METAS
from counterfoil.connectors.woocommerce.orders import one_by_one
from counterfoil.connectors.woocommerce.reading import At, clean, json_object, meta_texts, words
from counterfoil.connectors.woocommerce.translate import address_of, iso_z, name_of
from counterfoil.hub.contract import BadPayload, Failure, Item, Kind, Observed, Outcome, Page, rejected
from counterfoil.retail.fields import ALL, Owned, owned_in
from counterfoil.retail.party import Account, Address, Customer, normal_email

WROTE = frozenset({"customer", "billing", "shipping"})
_NEVER_WRITTEN = frozenset({"customer.id", "customer.email", "customer.vat"})
_OURS = {**PLACE, "state": "state", "phone": "phone", "first_name": "name", "last_name": "name"}


def decode_account(system: str, body: bytes, dialect: Dialect = PLAIN) -> Observed:
    """One account from a webhook's or the API's body. Raises BadPayload for whatever cannot be read."""
    data = json_object(body)
    if set(data) == {"id"}:
        raise BadPayload("deleted", f"The shop says that customer {words(data['id'])} was deleted.")
    if isinstance(data.get("code"), str) and "message" in data:
        raise BadPayload(
            "shop_error_body",
            f"Instead of a customer the shop sent an error: {words(data['message'])} ({words(data['code'])})",
            "If the customer was deleted before the message left, nothing is to be done.",
        )
    top = At("", data)
    billing = top.object("billing")
    modified = top.moment("date_modified_gmt") or top.moment("date_created_gmt")
    account = Account(
        system=system,
        id=top.id("id"),
        customer=_customer(top),
        billing=address_of(billing),
        shipping=address_of(top.object("shipping")),
        modified_at=modified,
    )
    account = read(dialect, "customer", account, data, clean, "customer")
    return Observed("customer", account.id, iso_z(modified) if modified else "", account)


def _customer(top: At) -> Customer:
    billing, found = top.object("billing"), dict(reversed(meta_texts(top.data)))
    return Customer(
        id=top.id("id"),
        email=top.text("email"),
        name=name_of(top) or name_of(billing),
        company=billing.text("company", ""),
        phone=billing.text("phone", ""),
        vat=next((found[key] for key in VAT_METAS if found.get(key)), ""),
    )


async def poll_customers(client: Client) -> AsyncIterator[Page]:
    """Every account, by id: new ones come at the end, and one that a deletion hides is there the next time."""
    async for entries in _pages(client):
        yield Page([raw_of(entry, "customer") for entry in entries], {})


async def people(client: Client) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
    """Id, keys (email, vat, phone), name and address of every account, by id. Raises Failure.

    What cannot be read is passed over.
    """
    async for entries in _pages(client, _fields="id,email,first_name,last_name,billing,meta_data"):
        for entry in entries:
            try:
                top = At("", entry)
                number, customer, place = top.id("id"), _customer(top), top.object("billing")
                told = {"email": customer.email, "vat": customer.vat, "phone": customer.phone, "name": customer.name}
                told |= {name: place.text(name, "") for name in ("postcode", "city", "country")}
                told["street"] = place.text("address_1", "")
            except BadPayload:
                continue
            yield number, {name: value for name, value in told.items() if value}


async def _pages(client: Client, **only: str) -> AsyncIterator[list[dict[str, Any]]]:
    page, pages = 1, 1
    while page <= pages:
        answer = await client.get("customers", per_page=PER_PAGE, page=page, orderby="id", order="asc", **only)
        if not isinstance(answer.data, list) or not all(isinstance(e, dict) and e.get("id") for e in answer.data):
            words_ = "The shop's list of customers cannot be trusted: it did not send a list of customers."
            raise Failure(Outcome(Kind.MISCONFIGURED, "not_a_list", words_, suggestion="Look for a plugin in the way."))
        yield answer.data
        pages = answer.number("x-wp-totalpages") or 1
        page += 1


async def update_customers(
    client: Client, system: str, create: bool, items: Sequence[Item], dialect: Dialect = PLAIN
) -> list[Outcome]:
    """Write each customer's names, addresses and phone (`data["state"]`, an Account) into their account.

    Never the e-mail address, which is what they log in with, and never emptiness over something. An account is made
    only if `create`, and by the owner of customers. Where the data name what is `owned`, nothing else is
    written. Idempotent by looking first; the shop itself keeps an address from having two accounts.
    """
    return await one_by_one(items, lambda item: _update(client, system, create, item, dialect))


async def _update(client: Client, system: str, create: bool, item: Item, dialect: Dialect) -> Outcome:
    state = item.data.get("state") or item.data.get("customer")
    if not isinstance(state, Mapping):
        technical = f"{item.event_type} of {item.subject} carries no customer"
        return Outcome(Kind.BUG, "no_customer", "There is nothing known of this customer.", technical)
    account, owned = Account.model_validate(state), owned_in(item.data)
    current = await _find(client, item.link, account.customer.email)
    if isinstance(current, Outcome):
        return current
    if current is None:
        if not create or not account.customer.email or "customer" not in owned:
            result = {"customer_id": "", "written": False, "because": "there is no account with this e-mail address"}
            return Outcome(Kind.DONE, result=result, emits=("customer.updated",))
        # born whole: of what it has nobody else has said anything yet
        content = {"email": account.customer.email, **_content(account, {}, ALL)}
        answer = await client.call("POST", "customers", content=content)
        return _updated(system, answer, str(_account_in(answer)["id"]), dialect, owned)
    number = str(current["id"])
    content = _content(account, current, owned)
    if not content:
        result = {"customer_id": number, "written": False}
        return Outcome(Kind.DONE, result=result, link=number, emits=("customer.updated",))
    answer = await client.call("PUT", f"customers/{number}", content=content)
    _account_in(answer, number)
    return _updated(system, answer, number, dialect, owned)


async def _find(client: Client, link: str, email: str) -> dict[str, Any] | Outcome | None:
    """The account by its link, else by its e-mail address; what to say of a link that leads nowhere."""
    if link:
        try:
            return _account_in(await client.get(f"customers/{link}"), link)
        except Failure as failure:
            if failure.outcome.reason != "not_in_shop":
                raise
        return rejected(
            "account_gone",
            f"The shop no longer has the account {link} of this customer.",
            "If it was deleted on purpose, close this; it is not made again.",
        )
    if not email:
        return None
    answer = await client.get("customers", email=email, role="all")
    entries = answer.data if isinstance(answer.data, list) else []
    # a plugin may ignore the parameter and send everyone: look at the address itself
    return next(
        (e for e in entries if isinstance(e, dict) and normal_email(str(e.get("email"))) == normal_email(email)), None
    )


def _account_in(answer: Answer, number: str = "") -> dict[str, Any]:
    if isinstance(answer.data, dict) and answer.data.get("id") and number in ("", str(answer.data["id"])):
        return answer.data
    technical = f"expected customer {number}, got {answer.body[:200].decode('utf-8', 'replace')!r}"
    raise Failure(Outcome(Kind.RETRY, "odd_answer", "The shop answered with something else.", technical))


def _updated(system: str, answer: Answer, number: str, dialect: Dialect, owned: Owned) -> Outcome:
    try:
        observed: Observed | None = decode_account(system, answer.body, dialect)
    except BadPayload:  # written all the same
        observed = None
    result = {"customer_id": number, "written": True}
    wrote = WROTE if owned == ALL else owned.paths("customer") - _NEVER_WRITTEN
    return Outcome(Kind.DONE, result=result, link=number, emits=("customer.updated",), observed=observed, wrote=wrote)


def _content(account: Account, current: Mapping[str, Any], owned: Owned) -> dict[str, Any]:
    """What of the account, as far as it is `owned`, is other than the shop has it, in the shop's words."""
    content: dict[str, Any] = _names(account.customer.name, current) if "name" in owned else {}
    billing = _place(account.billing, _part(current, "billing"))
    if account.customer.phone and account.customer.phone != str(_part(current, "billing").get("phone") or ""):
        billing["phone"] = account.customer.phone
    apart = account.billing.is_empty or (owned != ALL and not account.billing.company)
    company = account.customer.company if apart else ""
    if company and company != str(_part(current, "billing").get("company") or ""):
        billing["company"] = company
    shipping = _place(account.shipping, _part(current, "shipping"))
    billing = {name: value for name, value in billing.items() if owned.at("customer", "billing", _OURS[name])}
    shipping = {name: value for name, value in shipping.items() if owned.at("customer", "shipping", _OURS[name])}
    return content | ({"billing": billing} if billing else {}) | ({"shipping": shipping} if shipping else {})


def _part(current: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = current.get(name)
    return part if isinstance(part, dict) else {}


def _place(address: Address, current: Mapping[str, Any]) -> dict[str, str]:
    """The fields of an address that differ; nothing of an address that is not known."""
    if address.is_empty:
        return {}
    wanted = {theirs: str(getattr(address, ours)) for theirs, ours in PLACE.items()}
    if address.state or address.country != str(current.get("country") or ""):
        wanted["state"] = _state(address, str(current.get("state") or ""))
    if address.phone:
        wanted["phone"] = address.phone
    changed = {name: value for name, value in wanted.items() if value != str(current.get(name) or "")}
    return changed | _names(address.name, current)


def _state(address: Address, current: str) -> str:
    """The shop's code of a state: some countries have their own in front of it (DE-BE)."""
    return current if current == f"{address.country}-{address.state}" else address.state


def _names(name: str, current: Mapping[str, Any]) -> dict[str, str]:
    """First and last name where they do not make up `name` as it is: everything before the last word is first."""
    name = " ".join(name.split())
    have = f"{current.get('first_name') or ''} {current.get('last_name') or ''}"
    if not name or name == " ".join(have.split()):
        return {}
    first, _, last = name.rpartition(" ")
    return {"first_name": first, "last_name": last}
