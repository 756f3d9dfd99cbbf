"""What Counterfoil relies on in an Odoo, as one JSON, and what an upgrade or a customisation changed of it.

Taken when all is well and compared later: a field that went, changed its type, lost a value or became required is
found before the first order fails on it. Comparing is pure; taking it reads fields, never records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from counterfoil.connectors.odoo.client import Client
from counterfoil.connectors.odoo.versions import Names
from counterfoil.hub.contract import Failure, Finding, Kind, Mark

FORMAT = 1
MODULES = ("sale", "sale_stock", "stock", "account", "product", "delivery", "stock_delivery", "mrp", "sale_management")


@dataclass(frozen=True, slots=True)
class Use:
    """The fields of a model that are used; `made`: records of it are made, so that what it requires matters."""

    fields: tuple[str, ...]
    made: bool = False
    optional: bool = False  # not every Odoo has the model


def uses(names: Names) -> dict[str, Use]:
    """What is used, by model, as this version calls it."""

    def fields(text: str, *more: str) -> tuple[str, ...]:
        return tuple(sorted(filter(None, (*text.split(), *more))))

    return {
        "sale.order": Use(
            fields(
                "name state origin client_order_ref note date_order partner_id partner_invoice_id partner_shipping_id "
                "pricelist_id currency_id order_line invoice_ids picking_ids amount_total amount_untaxed amount_tax "
                "write_date",
                names.order_locked,
                names.delivery_status,
            ),
            made=True,
        ),
        "sale.order.line": Use(
            fields(
                "order_id product_id name product_uom_qty price_unit discount price_subtotal qty_delivered "
                "qty_invoiced qty_to_invoice display_type invoice_lines move_ids write_date",
                names.line_taxes,
                names.line_uom,
                "extra_tax_data" if names.outside_taxes else "",
            ),
            made=True,
        ),
        "res.partner": Use(
            fields(
                "name email email_normalized phone vat company_name is_company street street2 city zip state_id "
                "country_id parent_id type active partner_share write_date",
                names.mobile,
            ),
            made=True,
        ),
        "account.payment": Use(
            fields(
                "partner_id amount currency_id journal_id payment_type partner_type date state name",
                names.payment_memo,
            ),
            made=True,
        ),
        "account.move": Use(
            fields(
                "name state move_type payment_state amount_total amount_residual currency_id invoice_date "
                "invoice_origin reversed_entry_id access_url access_token write_date",
                names.reversals,
            ),
            made=True,
        ),
        "account.tax": Use(fields("name amount amount_type type_tax_use price_include company_id", names.tax_country)),
        "account.journal": Use(fields("code type company_id")),
        "res.company": Use(fields("currency_id", names.fiscal_country)),
        "res.currency": Use(fields("name rounding rate active")),
        "product.template": Use(
            fields(
                "name description_sale list_price taxes_id categ_id sale_ok active type invoice_policy write_date",
                names.storable[0][0],
            )
        ),
        "product.product": Use(
            fields(
                "default_code barcode lst_price weight active sale_ok product_tmpl_id qty_available outgoing_qty "
                "incoming_qty product_template_attribute_value_ids write_date"
            )
        ),
        "product.pricelist": Use(fields("name currency_id company_id")),
        "product.pricelist.item": Use(
            fields(
                "pricelist_id applied_on product_id product_tmpl_id categ_id min_quantity base base_pricelist_id "
                "compute_price fixed_price percent_price price_discount price_surcharge price_round date_start date_end"
            )
        ),
        "stock.picking": Use(
            fields(
                "name state sale_id backorder_id date_done carrier_id carrier_tracking_ref carrier_tracking_url "
                "write_date",
                names.picking_moves,
            ),
            optional=True,
        ),
        "stock.move": Use(
            fields(
                "picking_id product_id product_uom_qty state sale_line_id location_id location_dest_id write_date",
                names.move_done,
            ),
            optional=True,
        ),
        "stock.quant": Use(fields("product_id quantity reserved_quantity write_date"), optional=True),
        "stock.warehouse": Use(fields("code view_location_id"), optional=True),
        "calendar.event": Use(
            fields("name start stop allday active show_as user_id partner_ids location description privacy write_date"),
            made=True,
            optional=True,
        ),
        "calendar.attendee": Use(fields("event_id partner_id state write_date"), optional=True),
        "ir.model.data": Use(fields("module name model res_id")),
    }


async def take(client: Client) -> dict[str, Any]:
    """The fingerprint of an Odoo: `version`, `modules` (None where the key's user may not see them), `models`.

    Raises Failure.
    """
    names = await client.names()
    version, _ = await client.version()
    models: dict[str, Any] = {}
    for model, use in uses(names).items():
        models[model] = await _model(client, model, use)
    return {"format": FORMAT, "version": version, "modules": await _modules(client), "models": models}


async def _model(client: Client, model: str, use: Use) -> dict[str, Any] | None:
    try:
        told = await client.call(model, "fields_get", attributes=["type", "required", "selection", "relation"])
    except Failure as failure:
        if failure.outcome.reason in ("module_missing", "no_right"):
            return None
        raise
    used = {name: _field(told[name]) for name in use.fields if name in told}
    asks = sorted(name for name, each in told.items() if each.get("required") and name not in used)
    if use.made and asks:  # what Odoo fills in by itself asks nothing of us
        filled = await _defaults(client, model, asks)
        asks = [name for name in asks if filled.get(name) in (None, False)]
    return {"fields": used, "asks": asks if use.made else []}


async def _defaults(client: Client, model: str, fields: Sequence[str]) -> Mapping[str, Any]:
    """What Odoo fills in by itself. Each model that overrides `default_get` may call its argument otherwise."""
    for argument in ("fields", "fields_list", "default_fields"):
        asked: dict[str, Any] = {argument: list(fields)}
        try:
            return dict(await client.call(model, "default_get", **asked))
        except Failure as failure:
            if failure.outcome.kind is not Kind.BUG:
                raise
    return {}


def _field(told: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {"type": told["type"], "required": bool(told.get("required"))}
    if told.get("relation"):
        kept["relation"] = told["relation"]
    if isinstance(told.get("selection"), list):
        kept["selection"] = sorted(str(value) for value, _ in told["selection"])
    return kept


async def _modules(client: Client) -> list[str] | None:
    try:
        rows = await client.search_read(
            "ir.module.module", [["name", "in", list(MODULES)], ["state", "=", "installed"]], ["name"]
        )
    except Failure as failure:
        if failure.outcome.reason == "no_right":
            return None
        raise
    return sorted(row["name"] for row in rows)


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Finding]:
    """What changed between two fingerprints: FAILED where Counterfoil breaks on it, WARNING where it may. Pure.

    Raises ValueError for what is no fingerprint.
    """
    for each in (old, new):
        if each.get("format") != FORMAT or not isinstance(each.get("models"), Mapping):
            raise ValueError("this is no fingerprint of an Odoo; take a new one")
    findings: list[Finding] = []
    if old["version"] != new["version"]:
        findings.append(
            Finding("version", Mark.WARNING, f"{old['version']} became {new['version']}", "Look at what follows.")
        )
    findings += _compare_modules(old.get("modules"), new.get("modules"))
    renamed = old["version"].partition(".")[0] != new["version"].partition(".")[0]
    for model, before in sorted(old["models"].items()):
        findings += _compare_model(model, before, new["models"].get(model), renamed)
    return findings


def _compare_modules(old: Sequence[str] | None, new: Sequence[str] | None) -> list[Finding]:
    if old is None or new is None:
        return []
    gone = [
        Finding(f"module {name}", Mark.FAILED, "was installed, is not any more", f"Install the module {name} again.")
        for name in sorted(set(old) - set(new))
    ]
    come = [
        Finding(f"module {name}", Mark.WARNING, "was installed meanwhile", "See whether orders still go through.")
        for name in sorted(set(new) - set(old))
    ]
    return gone + come


def _compare_model(
    model: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, renamed: bool
) -> list[Finding]:
    if old is None:
        return []
    if new is None:
        remedy = "Install the module that it came from, or give the key's user the right to see it."
        return [Finding(model, Mark.FAILED, "is gone, or hidden from this user", remedy)]
    findings: list[Finding] = []
    for name, before in sorted(old["fields"].items()):
        now = new["fields"].get(name)
        # between releases names change, and the connector knows the new ones: what is used now is in `new`
        if now is None and not renamed:
            remedy = "Bring the field back, or install a version of Counterfoil that does without it."
            findings.append(Finding(f"{model}.{name}", Mark.FAILED, "the field is gone", remedy))
        elif now is not None:
            findings += _compare_field(f"{model}.{name}", before, now)
    for name in sorted(set(new["asks"]) - set(old["asks"])):
        remedy = "Give the field a default value in Odoo, or make it not required: Counterfoil does not fill it in."
        kind = "a custom field that is required" if name.startswith("x_") else "a field that is required"
        findings.append(Finding(f"{model}.{name}", Mark.FAILED, f"{kind}, without a default, is new", remedy))
    return findings


def _compare_field(field: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Finding]:
    findings: list[Finding] = []
    for what in ("type", "relation"):
        if old.get(what) != new.get(what):
            found = f"its {what} was {old.get(what)} and is {new.get(what)}"
            findings.append(Finding(field, Mark.FAILED, found, "Undo the customisation that changed it."))
    if new["required"] and not old["required"]:
        remedy = "Make it optional again, or see that orders from shops always have it."
        findings.append(Finding(field, Mark.WARNING, "became required", remedy))
    if lost := sorted(set(old.get("selection", ())) - set(new.get("selection", ()))):
        remedy = "Bring the values back; Counterfoil writes or reads them."
        findings.append(Finding(field, Mark.FAILED, f"lost the values {', '.join(lost)}", remedy))
    if come := sorted(set(new.get("selection", ())) - set(old.get("selection", ()))):
        remedy = "See whether records in that state are to be told to the shop."
        findings.append(Finding(field, Mark.WARNING, f"has the new values {', '.join(come)}", remedy))
    return findings
