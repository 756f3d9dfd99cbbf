"""The accounts of the WooCommerce stand-in's customers, and their API.

As recorded on 9.9.5: `modified_after` is ignored, an e-mail address has one account, any write moves date_modified,
and a new account sends customer.created and customer.updated.
"""

from __future__ import annotations

import copy
import hashlib
from typing import Any

from starlette.requests import Request

from counterfoil_sandbox.woocommerce_rest import Rest, count_of, json_body, merged_meta, one_of, paging
from counterfoil_sandbox.woocommerce_state import Json, Shop

_ROLES = ("all", "administrator", "editor", "author", "contributor", "subscriber", "customer", "shop_manager")
_BILLING = ("first_name", "last_name", "company", "address_1", "address_2", "city", "postcode", "country", "state")
_INVALID = "woocommerce_rest_invalid_id"


class Customers:
    """All accounts by id. Changes announce their webhooks; `payload` is what those carry."""

    def __init__(self, shop: Shop, entries: list[Json]) -> None:
        self.shop = shop
        self.entries: dict[int, Json] = {entry["id"]: copy.deepcopy(entry) for entry in entries}
        shop.payloads["customer"] = self.payload
        shop.customers = self

    def payload(self, number: int) -> Json | None:
        """The account as the API shows it; None for one that is gone."""
        found = self.entries.get(number)
        return {**found, "_links": self._links(number)} if found else None

    def add(self, email: str, **fields: Any) -> Json:
        """A new account. ValueError where the address has one."""
        with self.shop.lock:
            if self.of_email(email):
                raise ValueError(f"An account is already registered with {email}.")
            number = max(self.entries, default=1) + 1
            blank = dict.fromkeys((*_BILLING, "phone"), "")
            entry: Json = {"id": number}
            self.shop.date(entry, "date_created", int(self.shop.now()))
            self.shop.date(entry, "date_modified", int(self.shop.now()))
            entry.update(email=email, first_name="", last_name="", role="customer", username=email.partition("@")[0])
            entry.update(billing={**dict.fromkeys(_BILLING, ""), "email": "", "phone": ""}, shipping=blank)
            digest = hashlib.sha256(email.encode()).hexdigest()
            entry.update(is_paying_customer=False, avatar_url=f"https://secure.gravatar.com/avatar/{digest}?s=96")
            entry["meta_data"] = []
            self.entries[number] = entry
            self._write(entry, fields)
            self.shop.courier.announce("customer.created", number)
            self.shop.courier.announce("customer.updated", number)
            return copy.deepcopy(entry)

    def change(self, number: int, **fields: Any) -> Json:
        """Write fields of an account; addresses are merged. KeyError for an unknown one."""
        with self.shop.lock:
            entry = self.entries[number]
            self._write(entry, fields)
            self.shop.date(entry, "date_modified", int(self.shop.now()))
            self.shop.courier.announce("customer.updated", number)
            return copy.deepcopy(entry)

    def delete(self, number: int) -> Json:
        """Gone for good. KeyError for an unknown one."""
        with self.shop.lock:
            entry = self.entries.pop(number)
            self.shop.courier.announce("customer.deleted", number)
            return entry

    def of_email(self, email: str) -> Json | None:
        """The account of an address."""
        return next((e for e in self.entries.values() if e["email"].lower() == email.lower()), None)

    def _write(self, entry: Json, fields: Json) -> None:
        for name in ("email", "first_name", "last_name"):
            if name in fields:
                entry[name] = fields[name]
        for name in ("billing", "shipping"):
            if name in fields:
                entry[name] = {**entry[name], **fields[name]}
        if "meta_data" in fields:
            entry["meta_data"] = merged_meta(entry["meta_data"], fields["meta_data"])

    def _links(self, number: int) -> Json:
        base = f"{self.shop.url.rstrip('/')}/wp-json/wc/v3/customers"
        allow = {"allow": ["GET", "POST", "PUT", "PATCH", "DELETE"]}
        return {"self": [{"href": f"{base}/{number}", "targetHints": allow}], "collection": [{"href": base}]}

    # -- the API

    async def many(self, request: Request) -> Any:
        """List accounts, or make one."""
        if request.method == "POST":
            return self._create(await json_body(request))
        query = request.query_params
        page, per_page = count_of(query, "page", 1, 10**9), count_of(query, "per_page", 10, 100)
        orderby = one_of(query, "orderby", "name", ("id", "include", "name", "registered_date"))
        order = one_of(query, "order", "asc", ("asc", "desc"))
        role = one_of(query, "role", "customer", _ROLES)
        include = {int(n) for n in query.get("include", "").split(",") if n.isdigit()}
        email, search = query.get("email", "").lower(), query.get("search", "").lower()
        with self.shop.lock:
            found = [
                entry
                for entry in self.entries.values()
                if role in ("all", entry["role"])
                and (not include or entry["id"] in include)
                and (not email or entry["email"].lower() == email)
                and (not search or search in f"{entry['email']} {entry['username']}".lower())
            ]
            keys = {"name": "username", "registered_date": "date_created_gmt"}
            found.sort(key=lambda entry: entry[keys.get(orderby, "id")], reverse=order == "desc")
            part = [self.payload(entry["id"]) for entry in found[(page - 1) * per_page : page * per_page]]
        return 200, part, paging(request, page, per_page, len(found) if part or page == 1 else 0)

    def _create(self, body: Json) -> Any:
        if "email" not in body:
            data = {"status": 400, "params": ["email"]}
            raise Rest(400, "rest_missing_callback_param", "Missing parameter(s): email", data)
        email = str(body["email"])
        if self.of_email(email):
            words = f"An account is already registered with {email}. Please log in or use a different email address."
            raise Rest(400, "registration-error-email-exists", words)
        made = self.add(**{**body, "email": email})
        location = f"{self.shop.url}wp-json/wc/v3/customers/{made['id']}"
        return 201, self.payload(made["id"]), {"Location": location}

    async def one(self, request: Request) -> Any:
        """Read, change or delete one account."""
        number = request.path_params["id"]
        writes = request.method in ("PUT", "POST", "PATCH")
        body = await json_body(request) if writes else {}
        with self.shop.lock:
            if number not in self.entries:
                raise Rest(400 if writes else 404, _INVALID, "Invalid resource ID.")
            if writes:
                other = self.of_email(str(body.get("email", ""))) if "email" in body else None
                if other is not None and other["id"] != number:
                    raise Rest(400, "woocommerce_rest_customer_invalid_email", "Email address is invalid.")
                self.change(number, **body)
            if request.method == "DELETE":
                if request.query_params.get("force") not in ("true", "1"):
                    words = "Customers do not support trashing."
                    raise Rest(501, "woocommerce_rest_trash_not_supported", words)
                gone = self.payload(number)
                self.delete(number)
                return gone
            return self.payload(number)
