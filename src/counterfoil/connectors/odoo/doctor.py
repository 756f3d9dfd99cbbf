"""Is this Odoo fit for orders? Reachability, version, rights, modules, decimals, currencies, taxes, journals."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from counterfoil.connectors.odoo.client import Json2
from counterfoil.connectors.odoo.lookups import Lookups
from counterfoil.connectors.odoo.versions import UnsupportedVersion, names
from counterfoil.hub.contract import Failure, Finding, Mark

RIGHTS = {
    "sale.order": ("create", "write"),
    "res.partner": ("create", "write"),
    "account.payment": ("create", "write"),
    "product.product": ("read",),
    "ir.model.data": ("read",),
}
GROUPS = "Sales: Administrator, Inventory: User, Invoicing, Products: Create, Access Rights (for external ids)"
MOST_SKEW = 60.0


def _failed(check: str, failure: Failure) -> Finding:
    outcome = failure.outcome
    return Finding(check, Mark.FAILED, outcome.message or outcome.technical, outcome.suggestion)


async def examine(client: Json2, lookups: Lookups) -> list[Finding]:
    """All findings; stops early where the next look makes no sense. Never raises."""
    findings: list[Finding] = []
    try:
        version, date = await client.version()
        names(int(version.split(".")[0].removeprefix("saas~")))
        findings.append(Finding("version", Mark.OK, f"Odoo {version}"))
        findings.append(_clock(date))
    except Failure as failure:
        return [_failed("reachable", failure)]
    except (UnsupportedVersion, ValueError) as error:
        return [Finding("version", Mark.FAILED, str(error), "Use Odoo 19.")]
    try:
        await client.call("res.users", "context_get")
        findings.append(Finding("sign-in", Mark.OK, "the API key is accepted"))
    except Failure as failure:
        return [*findings, _failed("sign-in", failure)]
    for look in (_rights, _modules, _decimals):
        findings += await _safely(look.__name__.strip("_"), look, client)
    findings += await _safely("reference data", lambda _: _reference(lookups), client)
    return findings


async def _safely(check: str, look: Any, client: Json2) -> list[Finding]:
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


async def _rights(client: Json2) -> list[Finding]:
    missing = []
    for model, operations in RIGHTS.items():
        for operation in operations:
            try:
                allowed = await client.call(model, "has_access", operation=operation)
            except Failure as failure:
                if failure.outcome.reason == "module_missing":
                    remedy = "Install the Sales and Invoicing apps in Odoo."
                    return [Finding("modules", Mark.FAILED, f"Odoo has no model {model}", remedy)]
                raise
            if not allowed:
                missing.append(f"{operation} {model}")
    if missing:
        remedy = f"Give the key's user these groups: {GROUPS}."
        return [Finding("rights", Mark.FAILED, f"the user may not {', '.join(missing)}", remedy)]
    return [Finding("rights", Mark.OK, "orders, customers and payments may be written")]


def _only_for_administrators(check: str, failure: Failure) -> list[Finding]:
    """Orders do not need it, and a key's user should be no administrator: no reason to worry anyone."""
    if failure.outcome.reason != "no_right":
        raise failure
    return [Finding(check, Mark.OK, "not shown to this user; the models that orders need are there")]


async def _modules(client: Json2) -> list[Finding]:
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


async def _decimals(client: Json2) -> list[Finding]:
    try:
        rows = await client.search_read("decimal.precision", [["name", "=", "Product Price"]], ["digits"])
    except Failure as failure:
        return _only_for_administrators("price digits", failure)
    digits = rows[0]["digits"] if rows else 2
    note = "shown with {} digits; 19 keeps more, which orders need to match to the cent"
    return [Finding("price digits", Mark.OK, note.format(digits))]


async def _reference(lookups: Lookups) -> list[Finding]:
    reference = await lookups.reference(not_before=float("inf"))
    findings = [Finding("currencies", Mark.OK, ", ".join(sorted(reference.currencies)))]
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
