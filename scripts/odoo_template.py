"""Make the template database that scripts/odoo19 or scripts/odoo14 clones: a French company, ready to sell, ship,
invoice and be paid, in seven currencies, in both versions as alike as can be.

Run by Odoo's own interpreter (Odoo 14's is Python 3.9):  python odoo_template.py CONF DATABASE KEYS_DIR
Writes two API keys, KEYS_DIR/admin.key and KEYS_DIR/norights.key, readable by their owner only.
"""
# ruff: noqa: I001 - beside bench/odoo.py it takes `odoo` for a module of this project

import os
import sys
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path

if find_spec("odoo.init"):  # not in Odoo 14
    import odoo.init  # noqa: F401 - completes the namespace package before anything else of it is imported
from odoo import SUPERUSER_ID, api, release
from odoo.modules.registry import Registry
from odoo.service.db import _create_empty_database
from odoo.tools import config

IS_14 = release.version_info[0] == 14
# What the flows touch (rpc: the old APIs; delivery: shipping costs and tracking numbers), and the country's accounting.
MODULES = (
    *("contacts", "crm", "sale_management", "sale_crm", "stock", "sale_stock", "purchase_stock", "delivery", "account"),
    *(("l10n_fr",) if IS_14 else ("rpc", "stock_delivery", "l10n_fr_account")),
)
GROUPS = "groups_id" if IS_14 else "group_ids"
# The chart of Odoo 19 brings these too, but switched off.
REDUCED_TAXES = ("10% G", "5.5% G", "2.1% G", "10% S", "5.5% S", "2.1% S")
# Units of the currency for one EUR: round figures, so that amounts in another currency are not taken one for one.
CURRENCIES = {"USD": 1.10, "GBP": 0.85, "CHF": 0.95, "JPY": 160.0, "PLN": 4.30, "HUF": 400.0}


def main(conf, database, keys):
    if IS_14:
        config.parse_config(["-c", conf])
    else:
        config.parse_config(["-c", conf, "--skip-auto-install"], setup_logging=True)
    _create_empty_database(database)
    with installed(database, ["base"]) as env:
        # Before accounting comes in, so that it picks this country's chart.
        env.company.write({"country_id": env.ref("base.fr").id, "currency_id": env.ref("base.EUR").id})
        # Odoo asks its maker's servers for company data and the like; a test database never leaves the machine.
        env["ir.config_parameter"].set_param("iap.endpoint", "http://127.0.0.1:9")
    with installed(database, MODULES) as env:
        set_up_accounting(env)
        set_up_currencies(env)
        admin = env.ref("base.user_admin")
        for group in ("base.group_multi_currency", "product.group_product_pricelist"):
            admin[GROUPS] |= env.ref(group)
        norights = env["res.users"].create(
            {
                "name": "counterfoil-norights",
                "login": "counterfoil-norights",
                GROUPS: [(6, 0, [env.ref("base.group_user").id])],
            }
        )
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_key(env, admin, keys / "admin.key")
        write_key(env, norights, keys / "norights.key")


@contextmanager
def installed(database, modules):
    """An environment as superuser with these modules installed, committed at its end."""
    if IS_14:
        config["init"] = dict.fromkeys(modules, 1)
        registry = Registry.new(database, update_module=True)
    else:
        registry = Registry.new(database, update_module=True, install_modules=modules, new_db_demo=False)
    with api.Environment.manage() if IS_14 else nullcontext(), registry.cursor() as cr:
        yield api.Environment(cr, SUPERUSER_ID, {})


def set_up_accounting(env):
    """The country's chart, with one sales tax of each rate: added to the price, due when invoiced."""
    if IS_14 and not env.company.chart_template_id:  # where it has not come by itself
        env.ref("l10n_fr.l10n_fr_pcg_chart_template").try_loading()
    for tax in env["account.tax"].with_context(active_test=False).search([("type_tax_use", "=", "sale")]):
        if IS_14:  # others of the same rates: in the price, due when paid
            tax.active = not tax.price_include and tax.tax_exigibility == "on_invoice"
        elif tax.name in REDUCED_TAXES:
            tax.active = True


def set_up_currencies(env):
    """Each currency active, with one rate and a pricelist. The company's own currency has its default pricelist."""
    for name, rate in CURRENCIES.items():
        currency = env.ref("base." + name)
        currency.active = True
        env["res.currency.rate"].search([("currency_id", "=", currency.id)]).unlink()
        env["res.currency.rate"].create({"currency_id": currency.id, "name": "2020-01-01", "rate": rate})
        env["product.pricelist"].create({"name": name, "currency_id": currency.id})


def write_key(env, user, path):
    """An API key of the user that never expires, as one line in a file of mode 600."""
    expires = () if IS_14 else (None,)
    key = env["res.users.apikeys"].with_user(user).sudo()._generate("rpc", "counterfoil", *expires)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(key + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
