"""An Odoo as the conformance suite sees it: looked at and disturbed from outside, never through the connector.

One class for the stand-in and the real server; what must be done differently to each stands in its subclass.
Answers can be lost after the commit: a stand-in has faults of its own, before the real one stands a proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo import Odoo as OdooConnector
from counterfoil.connectors.odoo import Rules
from counterfoil.retail.order import Order
from counterfoil_lab.checker import OdooOrder, odoo_orders
from counterfoil_lab.odoo_api import Odoo
from counterfoil_lab.prepare import JOURNALS, prepare
from counterfoil_lab.stage import OdooPlace
from counterfoil_sandbox import proxy
from counterfoil_sandbox.faults import Faults
from counterfoil_sandbox.odoo import Odoo as StandIn
from counterfoil_sandbox.odoo import make_app
from counterfoil_sandbox.odoo_versions import speaking
from counterfoil_sandbox.serving import serving
from counterfoil_sandbox.woocommerce import RECORDINGS

SKUS = tuple(f"SKU-{letter}" for letter in "ABCDEFGH")
STATES = {"draft": "quotation", "sent": "quotation", "sale": "confirmed", "cancel": "cancelled"}
WRITES = {
    "the customer": "/res.partner/load",
    "the order": "/sale.order/load",
    "the confirmation": "/sale.order/action_confirm",
    "the payment": "/account.payment/load",
    "the posting": "/account.payment/action_post",
}
RULES = Rules(payments={**JOURNALS, "*": "WMISC"})


class Meeting:
    """Holds the first request to a path back until a second one has come, then lets both go at once."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.first: dict[str, asyncio.Event | None] = {}
        self.met: set[str] = set()
        self.patience = 2.0

    def at(self, *paths: str, patience: float = 2.0) -> None:
        """Two requests meet at each of these; the first waits `patience` seconds for the second."""
        self.first, self.met, self.patience = dict.fromkeys(paths), set(), patience

    @property
    def waiting(self) -> bool:
        """Whether a first request is being held."""
        return any(event is not None and not event.is_set() for event in self.first.values())

    def release(self) -> None:
        """Let the first go without a second."""
        for event in self.first.values():
            if event is not None:
                self.loop.call_soon_threadsafe(event.set)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = "/" + scope["path"].removeprefix("/json/2/") if scope["type"] == "http" else ""
        if path in self.first and path not in self.met:
            waiting = self.first[path]
            if waiting is not None:
                self.met.add(path)
                waiting.set()
            else:
                self.loop = asyncio.get_running_loop()
                self.first[path] = waiting = asyncio.Event()
                with contextlib.suppress(TimeoutError):  # the other one may have no more business there
                    async with asyncio.timeout(self.patience):
                        await waiting.wait()
        await self.app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class Standing:
    """An order as it stands in the ERP: state quotation, confirmed or cancelled; lines by the shop's line id."""

    id: int
    state: str
    customer: int
    seen: OdooOrder


class Erp:
    """An Odoo prepared for the suite: `place` to look at it, `url` for the connector, where faults come first."""

    login = ""

    def __init__(self, place: OdooPlace, url: str, faults: Faults, meeting: Meeting) -> None:
        self.place, self.url, self.faults, self.meeting = place, url, faults, meeting
        self.api: Odoo = place.api
        self.writes: Mapping[str, str] = WRITES

    # --- the connector ------------------------------------------------------------------------------------------

    def connector(self, rules: Rules = RULES, **changes: str) -> OdooConnector:
        """One more hub's connector to this Odoo. Settings can be changed: url, database, api_key, timeout."""
        place = {"url": self.url, "database": self.place.database, "login": self.login, "api_key": self.place.api_key}
        return OdooConnector("odoo", {**place, "timeout": "30", **changes}, rules)

    # --- looking ------------------------------------------------------------------------------------------------

    def standing(self, order: Order) -> list[Standing]:
        """Everything that stands in Odoo for this order, by its origin; more than one is a double."""
        rows = self.api.read("sale.order", [["origin", "=", order.canonical_id]], ["name", "state", "partner_id"])
        seen = {o.number: o for o in odoo_orders(self.api, order.canonical_id).get(order.canonical_id, [])}
        return [Standing(r["id"], STATES[r["state"]], r["partner_id"][0], seen[r["name"]]) for r in rows]

    def one(self, order: Order) -> Standing:
        """The one that stands there."""
        found = self.standing(order)
        assert len(found) == 1, f"{len(found)} orders stand in Odoo for {order.canonical_id}"
        return found[0]

    def number(self, order: Order) -> int:
        """Of the one that stands there; without looking at all of it, as `one` does."""
        found = self.api.read("sale.order", [["origin", "=", order.canonical_id]], ["id"])
        assert len(found) == 1, f"{len(found)} orders stand in Odoo for {order.canonical_id}"
        return int(found[0]["id"])

    def customers(self, email: str) -> list[int]:
        """Top-level partners with this address, in any case."""
        domain = [["email", "=ilike", email], ["parent_id", "=", False]]
        return [row["id"] for row in self.api.read("res.partner", domain, ["id"])]

    def children(self, partner: int) -> list[dict[str, Any]]:
        """The addresses below a partner."""
        fields = ["type", "street", "city", "zip", "country_id", "name"]
        return self.api.read("res.partner", [["parent_id", "=", partner]], fields)

    def payments(self, order: Order) -> list[dict[str, Any]]:
        """All payments that name this order, drafts too, with their journal entries."""
        fields = ["memo", "amount", "state", "currency_id", "journal_id", "date", "partner_id", "move_id"]
        return self.api.read("account.payment", [["memo", "ilike", f"{order.number} "]], fields)

    def everything(self, order: Order) -> dict[str, Any]:
        """All that Odoo holds of the order, with the time of its last change: equal means nothing was rewritten."""
        found = {}
        for model, domain in (
            ("sale.order", [["origin", "=", order.canonical_id]]),
            ("sale.order.line", [["order_id.origin", "=", order.canonical_id]]),
            ("account.payment", [["memo", "ilike", f"{order.number} "]]),
            ("res.partner", [["email", "=ilike", order.customer.email or "-"]]),
        ):
            found[model] = self.api.read(model, domain, self._stored(model))
        return found

    def _stored(self, model: str) -> list[str]:
        kept = {
            "sale.order": "name state note client_order_ref amount_total amount_tax partner_id partner_shipping_id",
            "sale.order.line": "name product_id product_uom_qty price_unit price_subtotal price_tax tax_ids",
            "account.payment": "state amount memo date journal_id",
            "res.partner": "name street city phone email vat",  # confirming an order touches its customer: no time here
        }
        return [*kept[model].split(), *(["write_date"] if model != "res.partner" else [])]

    # --- people at work in Odoo ---------------------------------------------------------------------------------

    def write(self, order: Order, **values: Any) -> None:
        """A person changes the order's own fields."""
        self.api.call("sale.order", "write", ids=[self.number(order)], vals=values)

    def cancel(self, order: Order) -> None:
        """A person cancels it."""
        self.api.call("sale.order", "action_cancel", ids=[self.number(order)])

    def delete(self, order: Order) -> None:
        """A person cancels and deletes it."""
        number = self.number(order)
        self.api.call("sale.order", "action_cancel", ids=[number])
        self.api.call("sale.order", "unlink", ids=[number])

    def lock(self, order: Order) -> None:
        """A person locks it."""
        self.api.call("sale.order", "action_lock", ids=[self.number(order)])

    def change_price(self, order: Order, price: float) -> None:
        """A person gives the first line another price."""
        lines = self.api.read("sale.order.line", [["order_id", "=", self.number(order)]], ["id"])
        self.api.call("sale.order.line", "write", ids=[lines[0]["id"]], vals={"price_unit": price})

    def make_customer(self, email: str, **values: Any) -> int:
        """A person enters a customer."""
        return int(self.api.call("res.partner", "create", vals_list=[{"name": "By hand", "email": email, **values}])[0])

    def make_product(self, sku: str, **values: Any) -> int:
        """A person enters a product."""
        row = {"name": f"Article {sku}", "default_code": sku, "type": "consu", "is_storable": True, **values}
        return int(self.api.call("product.product", "create", vals_list=[row])[0])

    def make_tax(self, name: str, percent: float, **values: Any) -> int:
        """A person enters a sales tax; values as in account.tax."""
        country = self.api.read("res.country", [["code", "=", "FR"]], ["id"])[0]["id"]
        row = {"name": name, "amount": percent, "type_tax_use": "sale", "country_id": country, **values}
        return int(self.api.call("account.tax", "create", vals_list=[row])[0])

    @contextlib.contextmanager
    def rounding(self, method: str) -> Iterator[None]:
        """The company counts taxes this way meanwhile: round_per_line or round_globally."""
        company = self.api.read("res.company", [], ["tax_calculation_rounding_method"])[0]
        self.api.call("res.company", "write", ids=[company["id"]], vals={"tax_calculation_rounding_method": method})
        try:
            yield
        finally:
            before = {"tax_calculation_rounding_method": company["tax_calculation_rounding_method"]}
            self.api.call("res.company", "write", ids=[company["id"]], vals=before)

    def ship(self, order: Order, **parts: float) -> None:
        """The goods leave the house: all that waits, or so many of each SKU (`sku_a=1`) and the rest later."""
        picking = self.waiting(order)[-1]["id"]
        moves = self.api.read("stock.move", [["picking_id", "=", picking]], ["product_id", "product_uom_qty"])
        for move in moves:
            sku = move["product_id"][1].partition("]")[0].strip("[").lower().replace("-", "_")
            quantity = parts.get(sku, 0.0) if parts else move["product_uom_qty"]
            self.api.call("stock.move", "write", ids=[move["id"]], vals={"quantity": quantity, "picked": True})
        context = {"skip_sms": True, "skip_backorder": True}
        self.api.call("stock.picking", "button_validate", ids=[picking], context=context)

    # --- what became of it --------------------------------------------------------------------------------------

    def pickings(self, order: Order) -> list[dict[str, Any]]:
        """Deliveries and returns of the order, cancelled ones left out, oldest first."""
        domain = [["sale_id", "=", self.number(order)], ["state", "!=", "cancel"]]
        return self.api.read("stock.picking", domain, ["name", "state", "picking_type_code", "partner_id", "return_id"])

    def waiting(self, order: Order) -> list[dict[str, Any]]:
        """Deliveries that have not left yet."""
        return [p for p in self.pickings(order) if p["picking_type_code"] == "outgoing" and p["state"] != "done"]

    def to_ship(self, order: Order) -> dict[str, float]:
        """Units in deliveries that have not left yet, by SKU."""
        return self._units([p["id"] for p in self.waiting(order)])

    def to_come_back(self, order: Order) -> dict[str, float]:
        """Units in returns that the warehouse has not received yet, by SKU."""
        back = [p for p in self.pickings(order) if p["picking_type_code"] == "incoming" and p["state"] != "done"]
        return self._units([p["id"] for p in back])

    def _units(self, pickings: list[int]) -> dict[str, float]:
        found: dict[str, float] = {}
        domain = [["picking_id", "in", pickings], ["state", "!=", "cancel"]]
        for move in self.api.read("stock.move", domain, ["product_id", "product_uom_qty"]):
            sku = move["product_id"][1].partition("]")[0].strip("[")
            found[sku] = found.get(sku, 0.0) + move["product_uom_qty"]
        return found

    def invoices(self, order: Order) -> list[dict[str, Any]]:
        """Customer invoices of the order, oldest first."""
        return self._moves(order, "out_invoice")

    def credit_notes(self, order: Order) -> list[dict[str, Any]]:
        """Credit notes of the order, oldest first."""
        return self._moves(order, "out_refund")

    def _moves(self, order: Order, kind: str) -> list[dict[str, Any]]:
        fields = ["name", "state", "amount_total", "amount_tax", "amount_residual", "payment_state", "write_date"]
        fields += ["reversed_entry_id", "invoice_date", "currency_id"]
        [standing] = self.api.read("sale.order", [["origin", "=", order.canonical_id]], ["name"])
        domain = [["move_type", "=", kind], ["invoice_origin", "=", standing["name"]]]
        return self.api.read("account.move", domain, fields)

    def charged(self, move: dict[str, Any]) -> list[tuple[str, float, float, float]]:
        """(name, quantity, net, gross) of each line of an invoice or credit note."""
        domain = [["move_id", "=", move["id"]], ["display_type", "=", "product"]]
        fields = ["name", "quantity", "price_subtotal", "price_total"]
        rows = self.api.read("account.move.line", domain, fields)
        return [(r["name"], r["quantity"], r["price_subtotal"], r["price_total"]) for r in rows]

    def is_balanced(self, move: dict[str, Any]) -> bool:
        """Whether the entry's debit is its credit."""
        lines = self.api.read("account.move.line", [["move_id", "=", move["id"]]], ["debit", "credit"])
        return round(sum(each["debit"] - each["credit"] for each in lines), 6) == 0

    def to_invoice(self, order: Order) -> list[float]:
        """What Odoo would invoice now, by line."""
        domain = [["order_id", "=", self.number(order)]]
        return [row["qty_to_invoice"] for row in self.api.read("sale.order.line", domain, ["qty_to_invoice"])]

    def money(self, order: Order) -> list[tuple[str, float, str]]:
        """(direction, amount, state) of each payment of the order, oldest first."""
        fields = ["payment_type", "amount", "state"]
        rows = self.api.read("account.payment", [["memo", "ilike", f"{order.number} "]], fields)
        return [(row["payment_type"], row["amount"], row["state"]) for row in rows]

    def mails(self, order: Order) -> list[dict[str, Any]]:
        """Mails that went or wait to go out about the order."""
        domain = [["model", "=", "sale.order"], ["res_id", "=", self.number(order)], ["message_type", "=", "email"]]
        return self.api.read("mail.message", domain, ["subject"])

    def merge_customers(self, gone: int, stays: int) -> None:
        """A person merges two customers with Odoo's own wizard."""
        wizard = "base.partner.merge.automatic.wizard"
        values = {"partner_ids": [[6, 0, [gone, stays]]], "dst_partner_id": stays, "state": "selection"}
        number = self.api.call(wizard, "create", vals_list=[values])
        self.api.call(wizard, "action_merge", ids=number)

    # --- trouble ------------------------------------------------------------------------------------------------

    def key_without_rights(self) -> str:
        """An API key that is accepted, of a user who may not see orders."""
        raise NotImplementedError

    @contextlib.contextmanager
    def without_database(self) -> Iterator[dict[str, str]]:
        """The server answers, its database is not there; settings for the connector to see that."""
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def losing_race(self, order: Order) -> AsyncIterator[None]:
        """The next load of this order loses against another transaction."""
        raise NotImplementedError
        yield


@contextlib.contextmanager
def before(place: OdooPlace, kind: type[Erp]) -> Iterator[Erp]:
    """The place prepared, with a proxy before it."""
    prepare(place.api, RECORDINGS, {"EUR", "USD", "JPY"}, SKUS)
    app = proxy.make_app(place.url)
    meeting = Meeting(app)
    with serving(meeting) as url:
        yield kind(place, url, app.faults, meeting)


class StandInErp(Erp):
    """The stand-in, of any version; tests look at it in the names of 19."""

    state: StandIn
    version: int

    def key_without_rights(self) -> str:
        """A second key, for whom the models are closed."""
        self.state.api_keys["key-without-rights"] = 6
        closed = {"sale.order", "sale.order.line", "res.partner", "account.payment", "ir.model.data"}
        self.state.denied["key-without-rights"] = closed | {"ir.module.module", "decimal.precision"}
        return "key-without-rights"

    @contextlib.contextmanager
    def without_database(self) -> Iterator[dict[str, str]]:
        """As with its PostgreSQL stopped."""
        self.state.database_up = False
        try:
            yield {}
        finally:
            self.state.database_up = True

    @contextlib.asynccontextmanager
    async def losing_race(self, order: Order) -> AsyncIterator[None]:
        """The next writing call fails as a lost race does."""
        self.state.serialization_failures = 1
        yield
        self.state.serialization_failures = 0


@contextlib.contextmanager
def standing_in(version: int = 19) -> Iterator[StandInErp]:
    """A stand-in of a French company, prepared. What breaks, breaks behind the door of an older `version`, and faults
    go by JSON-2 paths; who looks goes past all that, under /aside.
    """
    app = make_app(currency="EUR", country="FR")
    meeting = Meeting(app)
    door = meeting if version == 19 else speaking(meeting, version)

    async def doors(scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix("/aside")
        await (door if path == scope["path"] else app.inner)({**scope, "path": path}, receive, send)

    with serving(doors) as url:
        place = OdooPlace(f"{url}/aside", "sandbox", "sandbox-key")
        prepare(place.api, RECORDINGS, {"EUR", "USD", "JPY"}, SKUS)
        erp = StandInErp(place, url, app.faults, meeting)
        erp.state, erp.version, erp.login = app.inner.state.odoo, version, "admin"
        yield erp


def money(amount: str) -> Decimal:
    """Shorter to read in a table of amounts."""
    return Decimal(amount)
