"""Order notes of the WooCommerce stand-in: what staff and programs write on an order, and what customers are mailed.

As recorded on 9.9.5: the newest first, within a second in order of id; no paging; a note moves nothing on the order.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from counterfoil_sandbox.woocommerce_rest import Rest, json_body, one_of
from counterfoil_sandbox.woocommerce_state import Json, Shop
from counterfoil_sandbox.woocommerce_webhooks import GONE


class Notes:
    """The handlers of the order notes API."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    async def of_order(self, request: Request) -> Any:
        """List the notes of an order (`type`: any, customer or internal), or write one."""
        number = request.path_params["id"]
        body = await json_body(request) if request.method == "POST" else {}
        if request.method == "POST" and "note" not in body:
            data = {"status": 400, "params": ["note"]}
            raise Rest(400, "rest_missing_callback_param", "Missing parameter(s): note", data)
        with self.shop.lock:
            if number not in self.shop.stored:
                raise Rest(404, GONE["code"], "Invalid order ID.")
            if request.method == "GET":
                wanted = one_of(request.query_params, "type", "any", ("any", "customer", "internal"))
                found = [n for n in self.shop.notes(number) if wanted in ("any", _kind(n))]
                return [{**note, "_links": self._links(number, note)} for note in found]
            note = self.shop.add_note(
                number, str(body["note"]), customer=body.get("customer_note") in (True, "true", 1)
            )
        location = f"{self.shop.url}wp-json/wc/v3/orders/{number}/notes/{note['id']}"
        return 201, {**note, "_links": self._links(number, note)}, {"Location": location}

    async def one(self, request: Request) -> Any:
        """Read or delete one."""
        number, note_id = request.path_params["id"], request.path_params["note"]
        with self.shop.lock:
            if number not in self.shop.stored:
                raise Rest(404, GONE["code"], "Invalid order ID.")
            note = next((n for n in self.shop.stored[number].notes if n["id"] == note_id), None)
            if note is None:
                raise Rest(404, "woocommerce_rest_invalid_id", "Invalid resource ID.")
            if request.method == "DELETE":
                if request.query_params.get("force") not in ("true", "1"):
                    words = "Webhooks do not support trashing."  # the real one says so of notes, too
                    raise Rest(501, "woocommerce_rest_trash_not_supported", words)
                self.shop.stored[number].notes.remove(note)
            return {**note, "_links": self._links(number, note)}

    def _links(self, number: int, note: Json) -> Json:
        order = f"{self.shop.url.rstrip('/')}/wp-json/wc/v3/orders/{number}"
        own = {"href": f"{order}/notes/{note['id']}", "targetHints": {"allow": ["GET", "DELETE"]}}
        return {"self": [own], "collection": [{"href": f"{order}/notes"}], "up": [{"href": order}]}


def _kind(note: Json) -> str:
    return "customer" if note["customer_note"] else "internal"
