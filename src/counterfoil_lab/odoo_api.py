"""The plainest way to talk to an Odoo 19 or 14, independent of Counterfoil: used to prepare and to check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True, slots=True)
class Names:
    """What is called, or done, otherwise in Odoo 14; '' stands for: it has no such field."""

    line_taxes: str  # sale.order.line
    cuts_prices: bool  # unit prices are cut to the digits of 'Product Price'
    payment_memo: str  # account.payment
    payment_posted: tuple[str, ...]  # account.payment.state
    tax_country: str  # account.tax and account.tax.group
    tax_added: tuple[str, str]  # account.tax: field and value of a tax that comes on top of the price
    move_done: str  # stock.move: what has been, or is about to be, moved
    move_picked: str  # stock.move: that quantity is meant; without it nothing leaves that has not been written there
    apply_count: str  # stock.quant; without it a count stands as soon as it is created
    return_method: str  # stock.return.picking
    return_location: str  # stock.return.picking: where the goods come back to
    storable: tuple[tuple[str, Any], ...]  # values of a product whose stock is kept

    def moved(self, quantity: float) -> dict[str, Any]:
        """Values of a stock.move of which so much leaves."""
        return {self.move_done: quantity} | ({self.move_picked: quantity > 0} if self.move_picked else {})

    def stocked(self) -> list[Any]:
        """Domain leaf: products whose stock is kept."""
        return [self.storable[-1][0], "=", self.storable[-1][1]]


ODOO_14 = Names(
    line_taxes="tax_id",
    cuts_prices=True,
    payment_memo="ref",
    payment_posted=("posted",),
    tax_country="",
    tax_added=("price_include", "False"),
    move_done="quantity_done",
    move_picked="",
    apply_count="",
    return_method="create_returns",
    return_location="location_id",
    storable=(("type", "product"),),
)
ODOO_19 = Names(
    line_taxes="tax_ids",
    cuts_prices=False,
    payment_memo="memo",
    payment_posted=("in_process", "paid"),
    tax_country="country_id",
    tax_added=("price_include_override", "tax_excluded"),
    move_done="quantity",
    move_picked="picked",
    apply_count="action_apply_inventory",
    return_method="action_create_returns",
    return_location="",
    storable=(("type", "consu"), ("is_storable", True)),
)


class Odoo:
    """Calls, synchronous: by JSON-2, or with a `login` by JSON-RPC to an Odoo 14. Raises RuntimeError."""

    def __init__(self, url: str, api_key: str, database: str = "", login: str = "") -> None:
        self.names = ODOO_14 if login else ODOO_19
        headers = {} if login else {"Authorization": f"bearer {api_key}"}
        if database and not login:
            headers["X-Odoo-Database"] = database
        limits = httpx.Limits(max_keepalive_connections=0)  # Odoo closes each connection anyway
        self.http = httpx.Client(base_url=url, headers=headers, timeout=120, limits=limits)
        self.user: tuple[Any, ...] = ()
        if login:
            self.user = (database, self._rpc("common", "authenticate", database, login, api_key, {}), api_key)

    def call(self, model: str, method: str, **arguments: Any) -> Any:
        """One method call; its result. Records go by `ids`, what is written by `vals` or `vals_list`."""
        if self.user:
            placed = [arguments.pop(name) for name in ("ids", "vals", "vals_list") if name in arguments]
            return self._rpc("object", "execute_kw", *self.user, model, method, placed, arguments)
        response = self.http.post(f"/json/2/{model}/{method}", json=arguments)
        if response.status_code != 200:
            raise RuntimeError(f"{model}.{method}: HTTP {response.status_code} {response.text[:300]}")
        return response.json()

    def _rpc(self, service: str, method: str, *arguments: Any) -> Any:
        params = {"service": service, "method": method, "args": arguments}
        answer = self.http.post("/jsonrpc", json={"jsonrpc": "2.0", "method": "call", "params": params}).json()
        if "error" in answer:
            raise RuntimeError(f"{arguments[3:5] or method}: {answer['error']['data']['message'][:300]}")
        return answer.get("result")  # 14 leaves out one that is nothing

    def read(self, model: str, domain: list[Any], fields: list[str], **more: Any) -> list[dict[str, Any]]:
        """All records of a domain, archived ones among them, in pages of 2,000."""
        rows: list[dict[str, Any]] = []
        while True:
            page = self.call(
                model,
                "search_read",
                domain=domain,
                fields=fields,
                context={"active_test": False},
                limit=2000,
                offset=len(rows),
                order="id",
                **more,
            )
            rows += page
            if len(page) < 2000:
                return rows

    def load(self, model: str, fields: list[str], rows: list[list[str]]) -> list[int]:
        """Insert-only import by external id; the record numbers."""
        answer = self.call(
            model,
            "load",
            fields=fields,
            data=rows,
            context={"mode": "update", "noupdate": True, "tracking_disable": True},
        )
        if answer["ids"] is False:
            raise RuntimeError(f"{model}.load: {answer['messages'][:3]}")
        return list(answer["ids"])
