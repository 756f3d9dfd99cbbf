"""Is this Odoo fit for what is asked of it? Reachability, version, rights, modules, decimals, master data."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from counterfoil.connectors.odoo.calendar import Calendars
from counterfoil.connectors.odoo.calendar import examine as calendars_of
from counterfoil.connectors.odoo.catalogue import OWN_SKUS, Catalogue
from counterfoil.connectors.odoo.client import Client
from counterfoil.connectors.odoo.lookups import Lookups, Reference
from counterfoil.connectors.odoo.mapping import MODELS
from counterfoil.connectors.odoo.releases import SERVED, TRY_A_COPY
from counterfoil.connectors.odoo.versions import UnsupportedVersion, major_of, names, warning
from counterfoil.connectors.odoo.watching import Reader
from counterfoil.hub.contract import Failure, Finding, Mark

RIGHTS = {
    "sale.order": ("create", "write"),
    "res.partner": ("create", "write"),
    "account.payment": ("create", "write"),
    "account.move": ("create", "write"),
    "product.product": ("read",),
    "product.pricelist.item": ("read",),
    "stock.picking": ("read", "write"),
    "stock.quant": ("read",),
    "stock.move": ("read",),
    "stock.warehouse": ("read",),
    "ir.model.data": ("read",),
}
GROUPS = "Sales: Administrator, Inventory: User, Invoicing, Products: Create, Access Rights (for external ids)"
MOST_SKEW = 60.0
ENOUGH_DIGITS = 4
"""Digits of 'Product Price' with which a unit price carries a line of some hundred pieces to the cent."""


def _failed(check: str, failure: Failure) -> Finding:
    outcome = failure.outcome
    return Finding(check, Mark.FAILED, outcome.message or outcome.technical, outcome.suggestion)


async def examine(client: Client, lookups: Lookups, catalogue: Catalogue) -> list[Finding]:
    """All findings; stops early where the next look makes no sense. Never raises."""
    findings: list[Finding] = []
    try:
        version, date = await client.version()
        names(major_of(version))
        doubt = warning(version)
        mark, found = (Mark.WARNING, doubt) if doubt else (Mark.OK, f"Odoo {version}")
        remedy = TRY_A_COPY if doubt else ""
        findings.append(Finding("version", mark, found, remedy))
        findings.append(_clock(date))
    except Failure as failure:
        return [_failed("reachable", failure)]
    except (UnsupportedVersion, ValueError) as error:
        return [Finding("version", Mark.FAILED, str(error), SERVED)]
    try:
        await client.call("res.users", "context_get")
        findings.append(Finding("sign-in", Mark.OK, "the API key is accepted"))
    except Failure as failure:
        return [*findings, _failed("sign-in", failure)]
    for look in (_rights, _modules, _decimals):
        findings += await _safely(look.__name__.strip("_"), look, client)
    findings += await _safely("reference data", lambda _: _reference(lookups), client)
    findings += await _safely("mappings", lambda _: _mappings(client, lookups), client)
    findings += await _safely("routing", lambda _: _routing(lookups), client)
    findings += await _safely("taxes abroad", lambda _: _taxes_abroad(client, lookups), client)
    for look in (_companies, _warehouses, _carriers, _invoicing, _skus):
        findings += await _safely(look.__name__.strip("_"), look, client)
    findings += await _safely("pricelist", lambda _: _pricelist(catalogue), client)
    staff = Calendars(Reader(client), lookups.rules.staff)
    return findings + await _safely("calendars", lambda _: calendars_of(staff), client)


async def _safely(check: str, look: Any, client: Client) -> list[Finding]:
    try:
        return list(await look(client))
    except Failure as failure:
        return [_failed(check, failure)]


def _clock(date: str | None) -> Finding:
    try:
        told = parsedate_to_datetime(date or "")
    except ValueError:
        return Finding("clock", Mark.WARNING, "Odoo does not tell its time")
    # naive where a proxy added a second date; HTTP knows no other zone than UTC
    skew = (told.replace(tzinfo=told.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    if abs(skew) > MOST_SKEW:
        remedy = "Set both machines to one time source (NTP)."
        return Finding("clock", Mark.WARNING, f"Odoo's clock is {skew:+.0f} s from ours", remedy)
    return Finding("clock", Mark.OK, f"within {max(1, round(abs(skew)))} s of ours")


async def _rights(client: Client) -> list[Finding]:
    missing = []
    method = (await client.names()).access_method
    quietly: dict[str, Any] = {} if method == "has_access" else {"raise_exception": False}
    for model, operations in RIGHTS.items():
        for operation in operations:
            try:
                allowed = await client.call(model, method, operation=operation, **quietly)
            except Failure as failure:
                if failure.outcome.reason == "module_missing" and model.startswith("stock."):
                    break  # the modules are looked at on their own
                if failure.outcome.reason == "module_missing":
                    remedy = "Install the Sales and Invoicing apps in Odoo."
                    return [Finding("modules", Mark.FAILED, f"Odoo has no model {model}", remedy)]
                raise
            if not allowed:
                missing.append(f"{operation} {model}")
    if missing:
        remedy = f"Give the key's user these groups: {GROUPS}."
        return [Finding("rights", Mark.FAILED, f"the user may not {', '.join(missing)}", remedy)]
    return [Finding("rights", Mark.OK, "orders, customers, payments and invoices may be written, stock may be read")]


async def _routing(lookups: Lookups) -> list[Finding]:
    """Every warehouse that orders are routed to is there, and a line can ask to ship from it."""
    routed = lookups.rules.routed
    if not routed:
        return []
    reference = await lookups.reference()
    lost = sorted(routed - reference.warehouses.keys())
    if lost:
        remedy = f"Correct the codes under places in the blueprint; Odoo has {', '.join(sorted(reference.warehouses))}."
        return [Finding("routing", Mark.FAILED, f"Odoo has no warehouse {', '.join(lost)}", remedy)]
    closed = sorted(routed - reference.routes.keys())
    if closed and len(routed) > 1:
        found = f"no line can ask to ship from {', '.join(closed)}: orders from several places will wait for a person"
        remedy = "Tick Sales Order Lines on their delivery routes (Inventory, Configuration, Routes)."
        return [Finding("routing", Mark.WARNING, found, remedy)]
    return [Finding("routing", Mark.OK, f"lines can ship from {', '.join(sorted(routed))}")]


def _only_for_administrators(check: str, failure: Failure) -> list[Finding]:
    """Orders do not need it, and a key's user should be no administrator: no reason to worry anyone."""
    if failure.outcome.reason != "no_right":
        raise failure
    return [Finding(check, Mark.OK, "not shown to this user; the models that orders need are there")]


async def _modules(client: Client) -> list[Finding]:
    wanted = {"sale": "needed for orders", "account": "needed for payments", "stock": "needed for deliveries"}
    try:
        rows = await client.search_read("ir.module.module", [["name", "in", sorted(wanted)]], ["name", "state"])
    except Failure as failure:
        return _only_for_administrators("modules", failure)
    states = {row["name"]: row["state"] for row in rows}
    findings = []
    for name, why in wanted.items():
        if states.get(name) == "installed":
            findings.append(Finding(f"module {name}", Mark.OK, "installed"))
        else:
            mark = Mark.WARNING if name == "stock" else Mark.FAILED
            findings.append(Finding(f"module {name}", mark, f"not installed: {why}", f"Install the module {name}."))
    return findings


async def _decimals(client: Client) -> list[Finding]:
    digits, version = await client.price_digits(), await client.names()
    if version.rounds_price_unit and digits < ENOUGH_DIGITS:
        found = f"unit prices are cut to {digits} digits: cents go to a rounding line"
        remedy = "Set 'Product Price' to 6 digits (Settings, Technical, Decimal Accuracy)."
        return [Finding("price digits", Mark.WARNING, found, remedy)]
    keeps = "" if version.rounds_price_unit else f"; Odoo {version.major} keeps more, which orders need"
    return [Finding("price digits", Mark.OK, f"{digits} digits{keeps}")]


async def _reference(lookups: Lookups) -> list[Finding]:
    reference = await lookups.reference(not_before=float("inf"))
    findings = [*_places(lookups, reference), Finding("currencies", Mark.OK, ", ".join(sorted(reference.currencies)))]
    without = sorted(c.code for c in reference.currencies.values() if c.pricelist < 0)
    if without:
        remedy = "Make a pricelist in each currency the shop sells in."
        findings.append(Finding("pricelists", Mark.WARNING, f"none in {', '.join(without)}", remedy))
    rates = sorted({f"{t.percent.normalize():f} %" for t in reference.taxes})
    findings.append(Finding("sales taxes", Mark.OK if rates else Mark.WARNING, ", ".join(rates) or "none"))
    lost = sorted({code for code in lookups.rules.payments.values() if code not in reference.journals})
    if lost:
        remedy = "Correct `payments` in the blueprint or make the journals in Odoo."
        findings.append(Finding("journals", Mark.FAILED, f"Odoo has no journal {', '.join(lost)}", remedy))
    elif not lookups.rules.payments:
        remedy = "Say under `payments` where each payment method goes."
        findings.append(Finding("journals", Mark.WARNING, "no payment method is mapped", remedy))
    else:
        findings.append(Finding("journals", Mark.OK, "all that the blueprint names are there"))
    return findings


async def _taxes_abroad(client: Client, lookups: Lookups) -> list[Finding]:
    """From 15 on Odoo posts no invoice with taxes of another country than the company's, but for a fiscal position
    with a tax number there (account_move.py, _validate_taxes_country). In 14 all taxes are the company's country's."""
    if not lookups.rules.invoices:
        return []
    reference = await lookups.reference()
    abroad = {tax.country for tax in reference.taxes} - {"", reference.company_country}
    if not abroad:
        return []
    # an order gets its position from where it goes: one that does not apply by itself is of no use to it
    domain = [["foreign_vat", "!=", False], ["auto_apply", "=", True], ["company_id", "=", reference.company]]
    try:
        rows = await client.search_read("account.fiscal.position", domain, ["country_id"])
    except Failure as failure:
        if failure.outcome.reason == "module_missing":
            return []  # the modules are looked at on their own
        raise
    registered = {row["country_id"][0] for row in rows if row["country_id"]}
    missing = sorted(code for code in abroad if reference.countries.get(code) not in registered)
    if not missing:
        return [Finding("taxes abroad", Mark.OK, f"the company is registered in {', '.join(sorted(abroad))}")]
    found = f"sales taxes of {', '.join(missing)}, where the company is not registered: Odoo will post no such invoice"
    remedy = (
        "Make a fiscal position for each country with its Foreign Tax ID and 'Detect Automatically'; "
        "or archive the taxes of countries that you do not charge."
    )
    return [Finding("taxes abroad", Mark.WARNING, found, remedy)]


def _places(lookups: Lookups, reference: Reference) -> list[Finding]:
    """Warehouses and pricelists that the blueprint names for the orders of its shops."""
    rules, findings = lookups.rules, []
    for key, named, there in (
        ("warehouse", rules.warehouses, set(reference.warehouses)),
        ("pricelist", rules.pricelists, set(reference.pricelists)),
    ):
        lost = sorted({f"{name} ({shop})" for shop, name in named.items() if name not in there})
        if lost:
            remedy = f"Correct {key} under `channels` in the blueprint, or make it in Odoo."
            findings.append(Finding(f"{key} of orders", Mark.FAILED, f"Odoo has no {key} {', '.join(lost)}", remedy))
        elif named:
            findings.append(Finding(f"{key} of orders", Mark.OK, ", ".join(sorted(set(named.values())))))
    return findings


async def _mappings(client: Client, lookups: Lookups) -> list[Finding]:
    """The fields that the blueprint's `mappings` fill: there, and to be written."""
    findings = []
    for object_, fields in lookups.rules.dialect.fields.items():
        model = MODELS[object_]
        told = await client.call(model, "fields_get", allfields=sorted(fields), attributes=["type", "readonly"])
        lost = [field for field in sorted(fields) if field not in told]
        closed = [field for field in sorted(fields) if field in told and told[field]["readonly"]]
        many = [f for f in sorted(fields) if f in told and told[f]["type"] in ("one2many", "many2many", "binary")]
        remedy = f"Correct mappings in the blueprint under {object_}, or make the field in Odoo (Studio, or a module)."
        for words, named in (("does not have", lost), ("computes or locks", closed), ("keeps lists or files in", many)):
            if named:
                found = f"{model}: Odoo {words} {', '.join(named)}"
                findings.append(Finding("mappings", Mark.FAILED, found, remedy))
        if not (lost or closed or many):
            findings.append(Finding("mappings", Mark.OK, f"{model}: {', '.join(sorted(fields))} can be written"))
    return findings


async def _companies(client: Client) -> list[Finding]:
    rows = await client.search_read("res.company", [], ["name"], order="sequence, id")
    found = ", ".join(row["name"] for row in rows)
    if len(rows) > 1:
        remedy = "Say under `company` of this system in the blueprint which one the shops sell for."
        return [Finding("company", Mark.WARNING, f"the user sees {len(rows)}: {found}", remedy)]
    return [Finding("company", Mark.OK, found)]


async def _warehouses(client: Client) -> list[Finding]:
    try:
        rows = await client.search_read("stock.warehouse", [], ["code", "name"], order="sequence, id")
    except Failure as failure:
        if failure.outcome.reason == "module_missing":
            return [Finding("warehouses", Mark.WARNING, "none: Odoo keeps no stock", "Install the module stock.")]
        raise
    codes = [str(row["code"]) for row in rows]
    if len(set(codes)) < len(codes):
        twice = ", ".join(sorted({code for code in codes if codes.count(code) > 1}))
        remedy = "Give each warehouse a short name of its own: stock is told by it."
        return [Finding("warehouses", Mark.FAILED, f"several have the short name {twice}", remedy)]
    return [Finding("warehouses", Mark.OK, ", ".join(f"{row['code']} ({row['name']})" for row in rows) or "none")]


async def _carriers(client: Client) -> list[Finding]:
    try:
        told = await client.call("stock.picking", "fields_get", attributes=["type"])
    except Failure as failure:
        if failure.outcome.reason == "module_missing":
            return []
        raise
    if "carrier_tracking_ref" in told:
        return [Finding("tracking numbers", Mark.OK, "shipments have them")]
    remedy = "Install Delivery Costs (module delivery; from 17 on stock_delivery) if shops are to show them."
    return [Finding("tracking numbers", Mark.WARNING, "shipments in this Odoo have none", remedy)]


async def _invoicing(client: Client) -> list[Finding]:
    counts = {}
    for policy in ("order", "delivery"):
        domain = [["sale_ok", "=", True], ["type", "!=", "service"], ["invoice_policy", "=", policy]]
        counts[policy] = int(await client.call("product.template", "search_count", domain=domain))
    found = f"{counts['order']} products are invoiced as ordered, {counts['delivery']} as delivered"
    if all(counts.values()):
        remedy = "An order with both gets two invoices; give all products one policy if that is not wanted."
        return [Finding("invoicing", Mark.WARNING, found, remedy)]
    return [Finding("invoicing", Mark.OK, found)]


async def _skus(client: Client) -> list[Finding]:
    counts: Counter[str] = Counter()
    domain = [["sale_ok", "=", True], ["active", "=", True]]
    async for rows in Reader(client).pages("product.product", domain, ["default_code"]):
        counts.update(str(row["default_code"] or "") for row in rows)
    empty = counts.pop("", 0)
    several = sorted(sku for sku, count in counts.items() if count > 1 and not sku.startswith(OWN_SKUS))
    if not empty and not several:
        return [Finding("SKUs", Mark.OK, f"{counts.total()} articles, each with a SKU of its own")]
    shown = f" ({', '.join(several[:5])}{', …' if len(several) > 5 else ''})" if several else ""
    found = f"{empty} articles have none, {len(several)} SKUs stand for several articles{shown}"
    remedy = "Give each sellable article an internal reference of its own: orders find their articles by it alone."
    return [Finding("SKUs", Mark.WARNING, found, remedy)]


async def _pricelist(catalogue: Catalogue) -> list[Finding]:
    if not catalogue.pricelists:
        return []
    for name in catalogue.pricelists:
        await catalogue.number_of(name)
    return [Finding("pricelist", Mark.OK, f"{', '.join(catalogue.pricelists)}: there")]
