"""What Odoo knows that orders need: products by SKU, currencies, taxes, journals, countries.

Reference data is kept for a few minutes; a miss reads it again at once, so that a tax or journal made a second
ago is found. Products are asked for each time: a discontinued one must not be sold from memory.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo.client import Client
from counterfoil.connectors.odoo.rules import Rules, TaxRule
from counterfoil.connectors.odoo.translate import MODULE, Currency, Impossible, OdooTax, impossible, sorted_unique
from counterfoil.hub.contract import Failure, rejected
from counterfoil.retail.mapping import choose, missing, scalar, to_add
from counterfoil.retail.order import LineKind, Order, TaxRate

KEEP = 300.0
"""Seconds that reference data is trusted."""

SERVICES = {"shipping": "Shipping", "fee": "Fee", "rounding": "Rounding difference", "refund": "Refund"}


@dataclass(frozen=True, slots=True)
class Reference:
    """Odoo's reference data at one moment."""

    at: float
    company: int
    company_country: str
    currencies: Mapping[str, Currency]
    taxes: tuple[OdooTax, ...]
    tax_ids: Mapping[str, int]  # external id → number
    journals: Mapping[str, int]
    countries: Mapping[str, int]
    states: Mapping[tuple[str, str], int]
    services: Mapping[str, int]
    banks: tuple[str, ...] = ()  # codes of the journals that take money
    warehouses: Mapping[str, int] = field(default_factory=dict)  # by short name; only where the blueprint names one
    routes: Mapping[str, int] = field(default_factory=dict)  # by warehouse: the route of a line that ships from there
    pricelists: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # by name or external id; and its currency


class Lookups:
    """Reference data and products of one Odoo."""

    def __init__(self, client: Client, rules: Rules) -> None:
        self.client, self.rules = client, rules
        self._reference: Reference | None = None

    async def reference(self, not_before: float = 0.0) -> Reference:
        """The reference data, read again if it is old or was read before `not_before` (monotonic seconds)."""
        now = time.monotonic()
        if self._reference is None or now - self._reference.at > KEEP or self._reference.at < not_before:
            self._reference = await self._read(now)
        return self._reference

    async def _read(self, now: float) -> Reference:
        call = self.client.search_read
        names = await self.client.names()
        company = (await call("res.company", [], ["currency_id", names.fiscal_country], order="sequence, id"))[0]
        lists = await call("product.pricelist", [], ["name", "currency_id", "company_id"], order="sequence, id")
        pricelists: dict[int, int] = {}
        for row in lists:
            if not row["company_id"] or row["company_id"][0] == company["id"]:
                pricelists.setdefault(row["currency_id"][0], row["id"])
        own = company["currency_id"][0]
        currencies = {
            c["name"]: Currency(
                c["id"],
                c["name"],
                Decimal(str(c["rounding"])),
                pricelists.get(c["id"], 0 if c["id"] == own and not names.pricelist_required else -1),
            )
            for c in await call("res.currency", [], ["name", "rounding"])
        }
        countries = {c["code"]: c["id"] for c in await call("res.country", [], ["code"])}
        by_id = {number: code for code, number in countries.items()}
        country = company[names.fiscal_country]
        home = by_id.get(country[0], "") if country else ""
        taxes = await self._taxes(company["id"], by_id, home, names.tax_country)
        books = await call("account.journal", [["company_id", "=", company["id"]]], ["code", "type"])
        states = {
            (by_id.get(s["country_id"][0], ""), s["code"]): s["id"]
            for s in await call("res.country.state", [], ["code", "country_id"])
        }
        named = [t.odoo for t in self.rules.taxes if "." in t.odoo]
        houses, routes = await self._warehouses(company["id"])
        return Reference(
            at=now,
            company=company["id"],
            company_country=home,
            currencies=currencies,
            taxes=taxes,
            tax_ids=await self.external_ids(named, "account.tax") if named else {},
            journals={row["code"]: row["id"] for row in books},
            countries=countries,
            states=states,
            services=await self._services(),
            banks=tuple(row["code"] for row in books if row["type"] in ("bank", "cash")),
            warehouses=houses,
            routes=routes,
            pricelists=await self._pricelists(lists) if self.rules.pricelists else {},
        )

    async def _warehouses(self, company: int) -> tuple[dict[str, int], dict[str, int]]:
        """The warehouses by short name, and the routes by which lines ship from them; only where they are needed."""
        if not (self.rules.warehouses or self.rules.pickups or self.rules.routed):
            return {}, {}
        names, fields = await self.client.names(), ["code", "delivery_route_id", "out_type_id"]
        rows = await self.client.search_read("stock.warehouse", [["company_id", "=", company]], fields)
        houses = {row["code"]: row["id"] for row in rows}
        if not self.rules.routed:
            return houses, {}
        if names.line_follows_route:
            # Odoo leaves out routes that may not be chosen on lines where it reads those of a line (19, many2many)
            ids = {row["delivery_route_id"][0]: row["code"] for row in rows if row["delivery_route_id"]}
            domain = [["id", "in", sorted(ids)], ["sale_selectable", "=", True]]
            found = await self.client.search_read("stock.route", domain, ["id"])
            return houses, {ids[row["id"]]: row["id"] for row in found}
        # the order's warehouse would win over the delivery route of another one: a rule of no warehouse is needed
        kinds = {row["out_type_id"][0]: row["code"] for row in rows if row["out_type_id"]}
        domain = [["picking_type_id", "in", sorted(kinds)], ["warehouse_id", "=", False], ["action", "!=", "push"]]
        domain += [["route_id.sale_selectable", "=", True]]
        found = await self.client.search_read("stock.rule", domain, ["picking_type_id", "route_id"], order="id desc")
        return houses, {kinds[row["picking_type_id"][0]]: row["route_id"][0] for row in found}

    async def _pricelists(self, lists: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
        """Those whose name is theirs alone, and those that the blueprint names by external id."""
        counts = Counter(row["name"] for row in lists)
        found = {row["id"]: (row["id"], row["currency_id"][0]) for row in lists}
        named = {row["name"]: found[row["id"]] for row in lists if counts[row["name"]] == 1}
        wanted = [name for name in self.rules.pricelists.values() if "." in name and name not in named]
        external = await self.external_ids(wanted, "product.pricelist") if wanted else {}
        return named | {name: found[id_] for name, id_ in external.items() if id_ in found}

    async def _taxes(self, company: int, countries: Mapping[int, str], home: str, country: str) -> tuple[OdooTax, ...]:
        """All sales taxes; where they have no `country` field (14) they are the company's own country's, `home`."""
        rows = await self.client.search_read(
            "account.tax",
            [["type_tax_use", "=", "sale"], ["amount_type", "=", "percent"], ["company_id", "=", company]],
            ["name", "amount", "price_include", "tax_scope", *filter(None, [country])],
            order="sequence, id",
        )
        return tuple(
            OdooTax(
                r["id"],
                r["name"],
                Decimal(str(r["amount"])),
                bool(r["price_include"]),
                home if not country else countries.get(r[country][0], "") if r[country] else "",
                r["tax_scope"] or "",
            )
            for r in rows
        )

    async def _services(self) -> dict[str, int]:
        """The products that shipping, fees, rounding and refunded amounts stand under; made once, by external id."""
        rows = [
            [f"{MODULE}.product_{key}", title, f"COUNTERFOIL-{key.upper()}", "service", "False", "order"]
            for key, title in SERVICES.items()
        ]
        fields = ["id", "name", "default_code", "type", "purchase_ok", "invoice_policy"]
        names = [row[0] for row in rows]
        known = await self.external_ids(names, "product.product")
        if len(known) < len(names):
            ids, messages = await self.client.load("product.product", fields, rows)
            if messages:
                raise Failure(
                    rejected("odoo_refused", f"Odoo says: {messages[0].get('message')}", "Make them by hand.")
                )
            known = dict(zip(names, ids, strict=True))
        # nobody delivers them: where that is what is invoiced, they never would be
        domain = [["id", "in", sorted(known.values())], ["invoice_policy", "!=", "order"]]
        late = [row["id"] for row in await self.client.search_read("product.product", domain, ["id"], archived=True)]
        if late:
            await self.client.call("product.product", "write", ids=late, vals={"invoice_policy": "order"})
        return {key: known[f"{MODULE}.product_{key}"] for key in SERVICES}

    async def external_ids(self, names: Iterable[str], *models: str) -> dict[str, int]:
        """Record numbers by external id (`module.name`), for those that exist and are of one of `models`."""
        by_module: dict[str, list[str]] = defaultdict(list)
        for full in names:
            module, _, name = full.partition(".")
            by_module[module].append(name)
        found: dict[str, int] = {}
        for module, short in by_module.items():
            rows = await self.client.search_read(
                "ir.model.data",
                [["module", "=", module], ["model", "in", list(models)], ["name", "in", short]],
                ["name", "res_id"],
            )
            found.update({f"{module}.{r['name']}": r["res_id"] for r in rows})
        return found

    async def products(self, skus: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
        """Products by SKU, archived ones among them."""
        wanted = sorted_unique(list(skus))
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        if wanted:
            fields = ["default_code", "active", "sale_ok"]
            for row in await self.client.search_read(
                "product.product", [["default_code", "in", wanted]], fields, archived=True
            ):
                found[row["default_code"]].append(row)
        return found


def pick_product(sku: str, name: str, found: Mapping[str, list[dict[str, Any]]]) -> int:
    """The one sellable product of this SKU. Raises Impossible; nothing is ever matched by a display name."""
    rows = found.get(sku, [])
    active = [r for r in rows if r["active"]]
    if len(active) > 1:
        raise impossible(
            "ambiguous_sku",
            f"Odoo has {len(active)} products with SKU {sku}.",
            "Give each product its own internal reference in Odoo, then retry.",
        )
    if not rows:
        raise impossible(
            "unknown_sku",
            f"Odoo has no product with SKU {sku} (“{name}”).",
            f"Make a product with internal reference {sku} in Odoo, or correct the SKU in the shop; then retry.",
        )
    if not active or not active[0]["sale_ok"]:
        raise impossible(
            "discontinued_sku",
            f"The product with SKU {sku} (“{name}”) is discontinued in Odoo.",
            "Bring it back from the archive and allow its sale, or exchange the line in the shop; then retry.",
        )
    return int(active[0]["id"])


def pick_currency(order: Order, reference: Reference) -> Currency:
    """The order's currency with a pricelist that sells in it. Raises Impossible."""
    currency = reference.currencies.get(order.currency)
    if currency is None:
        raise impossible(
            "unknown_currency",
            f"Odoo does not have the currency {order.currency} (or it is not active).",
            f"Activate {order.currency} in Odoo (Invoicing, Configuration, Currencies), then retry.",
        )
    if currency.pricelist < 0:
        raise impossible(
            "no_pricelist",
            f"Odoo has no pricelist in {order.currency}.",
            f"Make a pricelist in {order.currency} in Odoo, then retry.",
        )
    return currency


def pick_taxes(order: Order, reference: Reference, rules: Rules) -> dict[tuple[str, str, LineKind], OdooTax | None]:
    """Odoo's tax for each (rate, class, kind of line) of the order. Raises Impossible."""
    rates = {rate.code: rate for rate in order.rates}
    return {
        (part.code, line.tax_class, line.kind): pick_tax(
            rates[part.code], line.tax_class, line.kind, order.ship_to.country, reference, rules
        )
        for line in order.lines
        for part in line.taxes
    }


def pick_tax(
    rate: TaxRate, tax_class: str, kind: LineKind, ship_to: str, reference: Reference, rules: Rules
) -> OdooTax | None:
    """By a declared rule, else by rate, country and inclusion; None for nought percent that Odoo has no tax for."""
    country = rate.country or ship_to
    for rule in rules.taxes:
        if rule.percent == rate.percent and rule.country in ("", country) and rule.tax_class in ("", tax_class):
            return _declared(rule, reference)
    same = [tax for tax in reference.taxes if tax.percent == rate.percent]
    candidates = [t for t in same if t.country == country] or [
        t for t in same if t.country == reference.company_country
    ]
    # a price that still lacks its tax is what we send, so a tax that is added to it comes first
    candidates = [t for t in candidates if not t.included] or candidates
    scope = "consu" if kind is LineKind.PRODUCT else "service"
    candidates = [t for t in candidates if t.scope == scope] or [t for t in candidates if not t.scope] or candidates
    if len(candidates) > 1:
        names = ", ".join(f"“{t.name}” ({t.id})" for t in candidates[:5])
        raise impossible(
            "ambiguous_tax",
            f"Odoo has several taxes of {rate.percent.normalize():f} % for {country}: {names}.",
            missing(_tax_row(rate, country, tax_class if kind is LineKind.PRODUCT else "", "…")),
        )
    if candidates:
        return candidates[0]
    if rate.percent == 0:
        return None
    raise impossible(
        "unmapped_tax",
        f"Odoo has no sales tax of {rate.percent.normalize():f} % for {country or 'this country'} (“{rate.name}”).",
        missing(
            _tax_row(rate, country, "", "…"),
            [t.name for t in same] or [t.name for t in reference.taxes if t.country == country],
            "Or make that tax in Odoo; then retry.",
        ),
    )


def _tax_row(rate: TaxRate, country: str, tax_class: str, odoo: str) -> str:
    where = {key: value for key, value in (("country", country), ("class", tax_class)) if value}
    return to_add("taxes", {"rate": Decimal(f"{rate.percent.normalize():f}"), **where, "odoo": odoo})


def _declared(rule: TaxRule, reference: Reference) -> OdooTax:
    wanted = reference.tax_ids.get(rule.odoo)
    for tax in reference.taxes:
        if tax.id == wanted or tax.name == rule.odoo or str(tax.id) == rule.odoo:
            return tax
    raise impossible(
        "unmapped_tax",
        f"The blueprint names the tax {rule.odoo!r}, which Odoo does not have as a sales tax.",
        "Correct the row under taxes in the blueprint, or make the tax in Odoo; then retry.",
    )


def pick_journal(method: str, reference: Reference, rules: Rules) -> int:
    """The journal a payment by `method` goes to. Raises Impossible."""
    code = rules.payments.get(method, rules.payments.get("*"))
    if code is None:
        raise impossible(
            "unmapped_payment",
            f"The blueprint does not say where payments by {method or '(no method given)'!r} go.",
            missing(to_add("payments", {"method": method, "journal": choose(reference.banks)}), reference.banks),
        )
    if code not in reference.journals:
        raise impossible(
            "unmapped_payment",
            f"The blueprint sends payments by {method!r} to journal {code}, which Odoo does not have.",
            "Correct the row under payments in the blueprint, or make the journal in Odoo; then retry.",
        )
    return reference.journals[code]


def pick_place(order: Order, reference: Reference, rules: Rules, house: str) -> dict[str, str]:
    """The warehouse `house` ('': Odoo's own choice) and the shop's pricelist, as columns of `load()`.

    Raises Impossible where Odoo has no such thing, or a pricelist of another currency.
    """
    columns: dict[str, str] = {}
    listed = rules.pricelists.get(order.system)
    if house:
        if house not in reference.warehouses:
            raise _no_place(order, "warehouse", house, list(reference.warehouses))
        columns["warehouse_id/.id"] = str(reference.warehouses[house])
    if listed is not None:
        number, currency = reference.pricelists.get(listed, (0, 0))
        if currency != pick_currency(order, reference).id:
            fits = pick_currency(order, reference).id
            offers = [name for name, (_, currency) in reference.pricelists.items() if currency == fits]
            raise _no_place(order, "pricelist", listed, offers, f" in {order.currency}")
        columns["pricelist_id/.id"] = str(number)
    return columns


def _no_place(order: Order, key: str, named: str, offers: Sequence[str], which: str = "") -> Impossible:
    row = f"channels:\n  {order.system}:\n    {key}: {scalar(choose(offers))}"
    return impossible(
        f"unmapped_{key}",
        f"The blueprint gives orders of {order.system} the {key} {named!r}, which Odoo does not have{which}.",
        missing(row, offers, f"Or make that {key} in Odoo; then retry."),
    )
