"""The refunds API of the WooCommerce stand-in.

As recorded on 9.9.5: without an amount it is the sum of the lines; more than is left is a 500, more pieces than were
bought are not minded, nothing is fine too; deleting one moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request

from counterfoil_sandbox.woocommerce_amounts import sum_of
from counterfoil_sandbox.woocommerce_rest import Rest, count_of, decimal_or_zero, json_body, moment_of, one_of, paging
from counterfoil_sandbox.woocommerce_state import Json, Shop


class Refunds:
    """The handlers of the refunds API."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    async def of_order(self, request: Request) -> Any:
        """List the refunds of an order, the newest first, or make one."""
        number = request.path_params["id"]
        stored = self.shop.stored.get(number)
        if stored is None:
            raise Rest(404, "woocommerce_rest_invalid_order", "Invalid order ID.", 404)
        if request.method == "GET":
            page, per_page = _page(request)
            part = stored.refunds[(page - 1) * per_page : page * per_page]
            return 200, part, paging(request, page, per_page, len(stored.refunds))
        body = await json_body(request)
        with self.shop.lock:
            lines = body.get("line_items") or []
            amount = decimal_or_zero(body["amount"]) if "amount" in body else sum_of(lines)
            given_back = sum((Decimal(refund["amount"]) for refund in stored.refunds), Decimal(0))
            if amount < 0:
                words = "Refund amount must be greater than zero."
                raise Rest(500, "woocommerce_rest_invalid_order_refund", words, 400)
            if amount > Decimal(stored.data["total"]) - given_back:
                raise Rest(500, "woocommerce_rest_cannot_create_order_refund", "Invalid refund amount.", 500)
            if body.get("api_refund", True):
                words = "The payment gateway for this order does not exist."
                raise Rest(500, "woocommerce_rest_cannot_create_order_refund", words, 500)
            refund = self.shop.refund(number, amount, str(body.get("reason", "")), lines=lines)
        location = f"{self.shop.url}wp-json/wc/v3/orders/{number}/refunds/{refund['id']}"
        return 201, refund, {"Location": location}

    async def one(self, request: Request) -> Any:
        """Read or delete one. Deleting a refund moves nothing and sends nothing."""
        number, refund_id = request.path_params["id"], request.path_params["refund"]
        with self.shop.lock:
            stored = self.shop.stored.get(number)
            found = next((r for r in stored.refunds if r["id"] == refund_id), None) if stored else None
            if found is None:
                raise Rest(404, "woocommerce_rest_invalid_order_refund_id", "Invalid order refund ID.")
            if request.method == "DELETE":
                self.shop.delete_refund(number, refund_id)
            return found

    async def all(self, request: Request) -> Any:
        """The refunds of all orders, each with its order as `parent_id`; the newest first unless asked otherwise."""
        query = request.query_params
        page, per_page = _page(request)
        orderby = one_of(query, "orderby", "date", ("date", "id", "include", "title", "slug", "modified"))
        order = one_of(query, "order", "desc", ("asc", "desc"))
        gmt = query.get("dates_are_gmt") in ("true", "1")
        bounds = {
            name: moment_of(name, query[name], gmt, self.shop.zone)
            for name in ("after", "before", "modified_after", "modified_before")
            if name in query
        }
        parents = {int(n) for n in query.get("parent", "").split(",") if n.isdigit()}
        found = []
        with self.shop.lock:
            for number, stored in self.shop.stored.items():
                if stored.data["status"] == "trash" or (parents and number not in parents):
                    continue
                for refund in stored.refunds:
                    second = second_of(refund)
                    if all(second > b if name.endswith("after") else second < b for name, b in bounds.items()):
                        found.append({"id": refund["id"], "parent_id": number, **refund})
        by: Callable[[Json], Any] = _id if orderby == "id" else lambda refund: (second_of(refund), refund["id"])
        found.sort(key=by, reverse=order == "desc")
        part = found[(page - 1) * per_page : page * per_page]
        return 200, part, paging(request, page, per_page, len(found) if part or page == 1 else 0)


def _page(request: Request) -> tuple[int, int]:
    query = request.query_params
    return count_of(query, "page", 1, 10**9), count_of(query, "per_page", 10, 100)


def _id(refund: Json) -> int:
    number: int = refund["id"]
    return number


def second_of(refund: Json) -> int:
    """When a refund was made, in seconds since the epoch."""
    return int(datetime.fromisoformat(refund["date_created_gmt"]).replace(tzinfo=UTC).timestamp())
