"""`counterfoil init`: try what was answered, write a blueprint and the files its secrets are referred to in."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from counterfoil.blueprint import Blueprint, BlueprintError
from counterfoil.connectors.woocommerce import WooCommerce
from counterfoil.doors import assembly
from counterfoil.hub.contract import Failure, Finding


class SetupError(ValueError):
    """What was answered does not make a blueprint; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What `init` asked for."""

    file: Path
    shop: str
    shop_url: str
    consumer_key: str
    consumer_secret: str
    odoo_url: str
    odoo_database: str
    odoo_api_key: str
    cut_over: str
    invoices: str = "on_order"
    odoo_login: str = ""


TEMPLATE = """\
# The operating model: which systems there are, who owns what, and what happens when.
# Check it with `counterfoil check`, read it with `counterfoil blueprint render`.
counterfoil: 1
store: sqlite:///{folder}counterfoil.db   # or postgresql://user:${{DB_PASSWORD}}@host/counterfoil
listen: 127.0.0.1:8470
# public_url: https://hub.example         # the address shops reach this hub under, for webhooks

systems:
  {shop}:
    connector: woocommerce
    url: {shop_url}
    consumer_key: {{file: {secrets}/{shop}-key}}
    consumer_secret: {{file: {secrets}/{shop}-secret}}
    webhook_secret: {{file: {secrets}/{shop}-webhook}}
    cut_over: {cut_over}   # orders placed before are not wanted
  odoo:
    connector: odoo
    url: {odoo_url}
{database}{login}    api_key: {{file: {secrets}/odoo-key}}

owners: {{order: {shop}, customer: {shop}, product: odoo, stock: odoo}}

flows:
  # Orders into Odoo.
  - {{on: [order.placed, order.paid], from: {shop}, do: odoo.accept_order, within: 60s, when_down: critical}}
  - {{on: order.changed, from: {shop}, do: odoo.amend_order}}
  - {{on: order.cancelled, from: {shop}, do: odoo.cancel_order}}
  - {{on: order.payment_lost, from: {shop}, do: odoo.hold_order}}
  - {{on: order.refunded, from: {shop}, do: {shop}.read_refunds}}
  - {{on: order.refund_read, from: {shop}, do: odoo.refund_order}}
  - {{on: order.completed, from: {shop}, do: odoo.check_shipped}}
  - {{on: order.history, from: {shop}, do: odoo.import_order, on_exception: pass}}
{invoices}
  # What Odoo does about an order, back to the shop.
  - {{on: order.accepted, from: {shop}, do: {shop}.note_order}}
  - on: [order.confirmed, shipment.dispatched, order.backordered, order.delivered, order.invoiced, order.credited,
         order.closed, shipment.returned]
    from: {shop}
    do: {shop}.tell_order
    within: 60s

  # Stock and products from Odoo; of what waits only the newest is sent. The first run tells the shop all of them: link
  # products first, or take these two out until you have.
  - {{on: stock.changed, from: odoo, do: {shop}.publish_stock, within: 60s, when_down: latest_only, on_exception: pass}}
  - {{on: product.changed, from: odoo, do: {shop}.publish_product, when_down: latest_only, on_exception: pass}}

  # Customers' master data.
  - {{on: customer.changed, from: {shop}, do: odoo.update_customer, on_exception: pass}}

channels:
  {shop}:
    warehouses: []                        # codes in Odoo; none: all
    stock: available                      # available | on_hand | forecast
    safety_stock: 0
    requires: [sku, price]                # what a product must have before the shop gets it

payments:                                 # the shop's payment method → the journal in Odoo
  - {{method: "*", journal: BNK1}}

customers: {{match: [email]}}
exceptions: {{default: shop-manager, misconfigured: integration-engineer, bug: integration-engineer}}
"""

INVOICES = {
    "on_order": """
  # Invoiced as soon as Odoo has accepted the order (on_delivery: `on: shipment.dispatched`).
  - {{on: order.accepted, from: {shop}, do: odoo.invoice_order}}
""",
    "on_delivery": """
  # Invoiced when goods leave (on_order: `on: order.accepted`).
  - {{on: shipment.dispatched, from: {shop}, do: odoo.invoice_order}}
""",
    "none": """
  # Invoices are made in Odoo by hand (on_order: `on: order.accepted`, on_delivery: `on: shipment.dispatched`,
  # both with `do: odoo.invoice_order`).
""",
}
"""When Odoo invoices an order; by the answers of `init`."""


async def write(answers: Answers, check: bool, force: bool) -> dict[str, list[Finding]]:
    """Write the blueprint and its secrets (mode 600); what the doctor found of both systems.

    Raises FileExistsError, SetupError.
    """
    file = answers.file
    if file.exists() and not force:
        raise FileExistsError(file)
    folder = file.parent / f"{file.stem}.secrets"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = {
        f"{answers.shop}-key": answers.consumer_key,
        f"{answers.shop}-secret": answers.consumer_secret,
        f"{answers.shop}-webhook": secrets.token_urlsafe(32),
        "odoo-key": answers.odoo_api_key,
    }
    for name, value in kept.items():
        write_secret(folder / name, value)
    database = f"    database: {answers.odoo_database}\n" if answers.odoo_database else ""
    login = f"    login: {answers.odoo_login}\n" if answers.odoo_login else ""
    text = TEMPLATE.format(
        shop=answers.shop,
        shop_url=answers.shop_url,
        odoo_url=answers.odoo_url,
        database=database,
        login=login,
        cut_over=answers.cut_over,
        secrets=folder.name,
        folder="",
        invoices=INVOICES[answers.invoices].format(shop=answers.shop),
    )
    file.write_text(text, encoding="utf-8")
    try:
        blueprint = assembly.load(file)
    except BlueprintError as error:
        file.rename(file.with_suffix(".rejected"))
        raise SetupError(
            f"{error}\nThe answers do not make a blueprint; see {file.with_suffix('.rejected')}"
        ) from error
    return await _examine(blueprint) if check else {}


def write_secret(path: Path, value: str) -> None:
    """Keep a secret in a file of its own that only its owner can read."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(value + "\n", encoding="utf-8")


async def _examine(blueprint: Blueprint) -> dict[str, list[Finding]]:
    made = assembly.connectors(blueprint)
    try:
        return {name: await connector.doctor() for name, connector in made.items()}
    finally:
        for connector in made.values():
            await connector.close()


async def ensure_webhooks(blueprint: Blueprint, system: str, renew: bool, out: Console) -> None:
    """Create or repair a shop's webhooks. Raises SetupError."""
    made = assembly.connectors(blueprint)
    try:
        connector = made.get(system)
        if not isinstance(connector, WooCommerce):
            raise SetupError(f"{system!r} is not a shop with webhooks in this blueprint.")
        assert blueprint.public_url is not None
        changed = await connector.ensure_webhooks(blueprint.public_url, renew=renew)
        out.print(f"made: {', '.join(changed)}" if changed else "all webhooks stand and are active")
    except Failure as failure:
        raise SetupError(f"{failure.outcome.message}\n{failure.outcome.suggestion}") from failure
    finally:
        for one in made.values():
            await one.close()
