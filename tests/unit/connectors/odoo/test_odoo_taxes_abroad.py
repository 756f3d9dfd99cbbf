"""The doctor and taxes of countries in which the company is not registered: Odoo posts no invoice with them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from counterfoil.blueprint import parse
from counterfoil.connectors.odoo import Odoo, Rules
from counterfoil.doors import assembly
from counterfoil.hub.contract import Finding, Mark
from counterfoil_sandbox.odoo import make_app, seed
from counterfoil_sandbox.odoo_base import find
from counterfoil_sandbox.odoo_versions import speaking

TAXES = [
    {"name": "TVA 20 %", "amount": 20, "country": "FR"},
    {"name": "USt 19 %", "amount": 19, "country": "DE"},
    {"name": "VAT 23 %", "amount": 23, "country": "PL"},
]
GERMAN, POLISH = {"country": "DE", "foreign_vat": "DE136695976"}, {"country": "PL", "foreign_vat": "PL1234567883"}


class WithPositions:
    """The stand-in, which has no fiscal positions, with these."""

    def __init__(self, app: ASGIApp, positions: list[dict[str, Any]]) -> None:
        self.app, self.positions = app, positions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].endswith("/account.fiscal.position/search_read"):
            await self.app(scope, receive, send)
            return
        domain = json.loads(await Request(scope, receive).body())["domain"]
        rows = [row for row in self.positions if all(_holds(row[field], how, value) for field, how, value in domain)]
        await JSONResponse([{"id": n, "country_id": row["country_id"]} for n, row in enumerate(rows, 1)])(
            scope, receive, send
        )


def _holds(own: Any, how: str, value: Any) -> bool:
    return (own == value) == (how == "=")


async def looked(
    *positions: dict[str, Any],
    version: int = 19,
    served: bool = True,
    taxes: list[dict[str, Any]] = TAXES,
    rules: Rules = Rules(invoices=True),  # noqa: B008
) -> list[Finding]:
    """What the doctor says of taxes abroad, the company being French."""
    app = make_app(currency="EUR", country="FR")
    seed(app, taxes=[{"type_tax_use": "sale", **tax} for tax in taxes])
    store = app.inner.state.odoo.store
    usual = {"foreign_vat": False, "auto_apply": True, "company_id": 1}
    rows = [usual | each | {"country_id": [find(store, "res.country", code=each["country"]), ""]} for each in positions]
    inner: ASGIApp = WithPositions(app, rows) if served else app
    transport = httpx.ASGITransport(inner if version == 19 else speaking(inner, version))
    settings = {"url": "http://odoo.example", "database": "sandbox", "login": "admin", "api_key": "sandbox-key"}
    odoo = Odoo("odoo", settings, rules, transport)
    findings = await odoo.doctor()
    await odoo.close()
    return [finding for finding in findings if finding.check == "taxes abroad"]


@pytest.mark.parametrize("version", [16, 18, 19])
async def test_countries_without_a_registration_are_named(version: int) -> None:
    """Before the first invoice is refused."""
    (finding,) = await looked(GERMAN, version=version)
    assert finding.mark is Mark.WARNING
    assert finding.found.startswith("sales taxes of PL, where the company is not registered")
    assert "Foreign Tax ID" in finding.remedy


@pytest.mark.parametrize(
    "position",
    [{"foreign_vat": False}, {"auto_apply": False}, {"company_id": 2}],
    ids=["without a tax number", "not by itself", "another company's"],
)
async def test_only_a_position_that_orders_get_counts(position: dict[str, Any]) -> None:
    (finding,) = await looked(GERMAN | position, POLISH)
    assert (finding.mark, "sales taxes of DE," in finding.found) == (Mark.WARNING, True)


async def test_a_company_that_is_registered_there() -> None:
    (finding,) = await looked(GERMAN, POLISH)
    assert (finding.mark, finding.found) == (Mark.OK, "the company is registered in DE, PL")


async def test_taxes_of_its_own_country_need_nothing() -> None:
    assert await looked(taxes=TAXES[:1]) == []


async def test_odoo_14_has_no_such_rule() -> None:
    """Its taxes have no country."""
    assert await looked(version=14, taxes=[{**tax, "country": "FR"} for tax in TAXES]) == []


async def test_an_odoo_without_fiscal_positions_is_not_failed_for_them() -> None:
    """What it lacks is said where modules are looked at."""
    assert await looked(served=False) == []


async def test_a_blueprint_that_posts_nothing_is_not_warned() -> None:
    assert await looked(rules=Rules()) == []


@pytest.mark.parametrize(
    ("flow", "posts"),
    [
        ("{on: order.accepted, do: odoo.invoice_order}", True),
        ("{on: order.refund_read, do: odoo.refund_order}", True),
        ("{on: order.accepted, do: other.invoice_order}", False),
        ("{on: order.placed, do: odoo.accept_order}", False),
    ],
)
def test_what_posts_follows_from_the_flows(flow: str, posts: bool) -> None:
    text = f"""\
counterfoil: 1
systems:
  odoo: {{connector: odoo, url: https://odoo.example, api_key: "${{K}}"}}
  other: {{connector: odoo, url: https://other.example, api_key: "${{K}}"}}
flows:
  - {flow}
"""
    blueprint = parse(text, known=assembly.catalogue(), environ={"K": "k"})
    assert assembly.odoo_rules(blueprint, "odoo").invoices is posts
