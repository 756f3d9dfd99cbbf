"""Set the stage: an Odoo (stand-in or real) prepared with a catalogue, and a blueprint that joins it to a shop."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from counterfoil.doors.setup import write_secret
from counterfoil_lab.odoo_api import Odoo
from counterfoil_lab.prepare import JOURNALS, prepare, tax_rows
from counterfoil_sandbox.odoo import make_app
from counterfoil_sandbox.serving import free_port, serving

REPOSITORY = Path(__file__).resolve().parents[2]
SKIPPED = 77
"""Exit code of the scripts where this machine cannot carry an Odoo."""


@dataclass(frozen=True, slots=True)
class OdooPlace:
    """Where an Odoo answers."""

    url: str
    database: str
    api_key: str
    login: str = ""  # of an Odoo 14, which wants it beside the key

    @property
    def api(self) -> Odoo:
        """For preparing and checking."""
        return Odoo(self.url, self.api_key, self.database, self.login)


class NoOdoo(RuntimeError):
    """This machine cannot carry a real Odoo; the message is the one line that says why."""


@contextlib.contextmanager
def an_odoo(kind: str, database: str, workers: int = 0) -> Iterator[OdooPlace]:
    """`sandbox`: a stand-in in this process; `real`, `real14`: Odoo 19, 14 with a fresh database. Raises NoOdoo."""
    if kind == "sandbox":
        app = make_app(currency="EUR", country="FR")
        with serving(app) as url:
            yield OdooPlace(url, "sandbox", "sandbox-key")
        return
    version = 14 if kind == "real14" else 19
    place = real_odoo(database, workers, version)
    try:
        yield place
    finally:
        _script(version, "drop", database)


def real_odoo(database: str, workers: int = 0, version: int = 19) -> OdooPlace:
    """A real Odoo serving a fresh copy of the template, 14 always without workers; left running. Raises NoOdoo."""
    _script(version, "up")
    _script(version, "drop", database)
    workers = workers if version == 19 else 0
    return at(json.loads(_script(version, "serve", database, str(free_port()), str(workers)).splitlines()[-1]), version)


def at(answer: Mapping[str, str], version: int) -> OdooPlace:
    """The place that the script for this version describes."""
    return OdooPlace(answer["url"], answer["database"], answer["api_key"], answer["login"] if version == 14 else "")


def _script(version: int, *arguments: str) -> str:
    script = REPOSITORY / "scripts" / f"odoo{version}"
    done = subprocess.run([script, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == SKIPPED:
        raise NoOdoo(f"a real Odoo {version} cannot be had on this machine (see the line above)")
    if done.returncode:
        raise RuntimeError(f"scripts/{script.name} {' '.join(arguments)} failed with {done.returncode}")
    return done.stdout


BLUEPRINT = """\
counterfoil: 1
store: {store}
listen: 127.0.0.1:{port}
public_url: http://127.0.0.1:{port}
systems:
  {shop}:
    connector: woocommerce
    url: {shop_url}
    consumer_key: {{file: secrets/shop-key}}
    consumer_secret: {{file: secrets/shop-secret}}
    webhook_secret: {{file: secrets/shop-webhook}}
    poll: {poll}
    overlap: 2m
  odoo:
    connector: odoo
    url: {odoo_url}
    database: {database}
{login}    api_key: {{file: secrets/odoo-key}}
owners: {{order: {shop}, customer: {shop}, product: odoo, stock: odoo}}
flows:
{flows}payments:
{payments}
taxes:
{taxes}
{stock}"""

ORDERS_IN = """\
  - {{on: [order.placed, order.paid], from: {shop}, do: odoo.accept_order, within: 60s, when_down: critical}}
  - {{on: order.changed, from: {shop}, do: odoo.amend_order}}
  - {{on: order.cancelled, from: {shop}, do: odoo.cancel_order}}
"""
NOTE = """\
  - {{on: order.accepted, from: {shop}, do: {shop}.note_order}}
"""
ASK = """\
  - {{on: order.payment_lost, from: {shop}, do: hub.ask}}
"""
WHOLE = """\
  - {{on: order.payment_lost, from: {shop}, do: odoo.hold_order}}
  - {{on: order.refunded, from: {shop}, do: {shop}.read_refunds}}
  - {{on: order.refund_read, from: {shop}, do: odoo.refund_order}}
  - {{on: order.completed, from: {shop}, do: odoo.check_shipped}}
  - {{on: shipment.dispatched, from: odoo, do: odoo.invoice_order}}
  - on: [order.confirmed, shipment.dispatched, order.backordered, order.delivered, order.invoiced, order.credited,
         order.closed, shipment.returned]
    from: odoo
    do: {shop}.tell_order
  - {{on: stock.changed, from: odoo, do: {shop}.publish_stock, when_down: latest_only, on_exception: pass}}
  - {{on: product.changed, from: odoo, do: {shop}.publish_product, when_down: latest_only, on_exception: pass}}
"""
"""The whole life of an order, with invoices on delivery, stock and catalogue."""

WEBHOOK_SECRET = "whsec_sandbox"
SHOP_KEYS = ("ck_sandbox", "cs_sandbox")


def blueprint(
    folder: Path,
    odoo: OdooPlace,
    shop_url: str = "http://127.0.0.1:9",
    shop: str = "web",
    poll: str = "5s",
    note_orders: bool = True,
    store: str = "",
    journals: Mapping[str, str] = JOURNALS,
    catalogue: Path | None = None,
    whole: bool = False,
) -> Path:
    """Write a blueprint joining one WooCommerce shop to one Odoo, with its secrets, into `folder`; its path.

    The `catalogue` is the folder the Odoo was prepared from. `whole`: with all that follows after the order is in.
    """
    (folder / "secrets").mkdir(exist_ok=True, mode=0o700)
    secrets = dict(zip(("shop-key", "shop-secret"), SHOP_KEYS, strict=True))
    secrets |= {"shop-webhook": WEBHOOK_SECRET, "odoo-key": odoo.api_key}
    for name, value in secrets.items():
        write_secret(folder / "secrets" / name, value)
    file = folder / "blueprint.yaml"
    flows = ORDERS_IN + (NOTE if note_orders else "") + (WHOLE if whole else ASK)
    file.write_text(
        BLUEPRINT.format(
            store=store or f"sqlite:///{folder / 'counterfoil.db'}",
            port=free_port(),
            shop=shop,
            shop_url=shop_url,
            poll=poll,
            odoo_url=odoo.url,
            database=odoo.database,
            login=f"    login: {odoo.login}\n" if odoo.login else "",
            flows=flows.format(shop=shop),
            stock="stock: {hold: 1s}\n" if whole else "",
            payments="\n".join(f'  - {{method: "{m}", journal: {j}}}' for m, j in journals.items()),
            taxes="\n".join(f"  - {row}" for row in (tax_rows(catalogue) if catalogue else [])),
        ),
        encoding="utf-8",
    )
    return file


def prepared(odoo: OdooPlace, folder: Path, currencies: Iterable[str], more_skus: Iterable[str] = ()) -> dict[str, int]:
    """Prepare the Odoo from the catalogue in `folder`, saying so on stderr."""
    counts = prepare(odoo.api, folder, currencies, more_skus)
    print("Odoo prepared:", ", ".join(f"{n} {what}" for what, n in counts.items()), file=sys.stderr)
    return counts
