"""Make the template database that scripts/odoo19 clones: a French company, ready to sell, ship, invoice and be
paid, in seven currencies.

Run by Odoo's own interpreter:  python odoo19_template.py CONF DATABASE KEYS_DIR
Writes two API keys, KEYS_DIR/admin.key and KEYS_DIR/norights.key, readable by their owner only.
"""
# ruff: noqa: I001 - beside bench/odoo.py it takes `odoo` for a module of this project

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import odoo.init  # noqa: F401 - completes the namespace package before anything else of it is imported
from odoo import SUPERUSER_ID, api, models
from odoo.modules.registry import Registry
from odoo.service.db import _create_empty_database
from odoo.tools import config

# What the flows touch (rpc: the old APIs; delivery: shipping costs and tracking numbers), and the country's accounting.
MODULES = (
    "rpc",
    "contacts",
    "crm",
    "sale_management",
    "sale_crm",
    "stock",
    "sale_stock",
    "purchase_stock",
    "delivery",
    "stock_delivery",
    "account",
    "l10n_fr_account",
)
# The chart brings these too, but switched off.
REDUCED_TAXES = ("10% G", "5.5% G", "2.1% G", "10% S", "5.5% S", "2.1% S")
# Units of the currency for one EUR: round figures, so that amounts in another currency are not taken one for one.
CURRENCIES = {"USD": 1.10, "GBP": 0.85, "CHF": 0.95, "JPY": 160.0, "PLN": 4.30, "HUF": 400.0}


def main(conf: str, database: str, keys: Path) -> None:
    config.parse_config(["-c", conf, "--skip-auto-install"], setup_logging=True)
    _create_empty_database(database)
    registry = Registry.new(database, update_module=True, install_modules=["base"], new_db_demo=False)
    with environment(registry) as env:
        # Before accounting comes in, so that it picks this country's chart.
        env.company.write({"country_id": env.ref("base.fr").id, "currency_id": env.ref("base.EUR").id})
        # Odoo asks its maker's servers for company data and the like; a test database never leaves the machine.
        env["ir.config_parameter"].set_param("iap.endpoint", "http://127.0.0.1:9")
    registry = Registry.new(database, update_module=True, install_modules=MODULES)
    with environment(registry) as env:
        set_up_currencies(env)
        taxes = env["account.tax"].with_context(active_test=False)
        taxes.search([("type_tax_use", "=", "sale"), ("name", "in", REDUCED_TAXES)]).active = True
        admin = env.ref("base.user_admin")
        for group in ("base.group_multi_currency", "product.group_product_pricelist"):
            admin.group_ids |= env.ref(group)
        norights = env["res.users"].create(
            {
                "name": "counterfoil-norights",
                "login": "counterfoil-norights",
                "group_ids": [(6, 0, [env.ref("base.group_user").id])],
            }
        )
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_key(env, admin, keys / "admin.key")
        write_key(env, norights, keys / "norights.key")


@contextmanager
def environment(registry: Registry) -> Iterator[api.Environment]:
    """An environment as superuser, committed at its end."""
    with registry.cursor() as cr:
        yield api.Environment(cr, SUPERUSER_ID, {})


def set_up_currencies(env: api.Environment) -> None:
    """Each currency active, with one rate and a pricelist. The company's own currency has its default pricelist."""
    for name, rate in CURRENCIES.items():
        currency = env.ref(f"base.{name}")
        currency.active = True
        env["res.currency.rate"].create({"currency_id": currency.id, "name": "2020-01-01", "rate": rate})
        env["product.pricelist"].create({"name": name, "currency_id": currency.id})


def write_key(env: api.Environment, user: models.Model, path: Path) -> None:
    """An API key of the user that never expires, as one line in a file of mode 600."""
    key = env["res.users.apikeys"].with_user(user).sudo()._generate("rpc", "counterfoil", None)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(key + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
