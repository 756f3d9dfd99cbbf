"""Make the template database that scripts/odoo14 clones: a French company, ready to sell, ship, invoice and be
paid, in seven currencies, as like as can be to the one of scripts/odoo19.

Run by Odoo's own interpreter:  python3.9 odoo14_template.py CONF DATABASE KEYS_DIR
Writes two API keys, KEYS_DIR/admin.key and KEYS_DIR/norights.key, readable by their owner only.
"""

import os
import sys
from contextlib import closing, contextmanager
from pathlib import Path

from odoo.modules.registry import Registry
from odoo.service.db import _create_empty_database
from odoo.tools import config

import odoo
from odoo import SUPERUSER_ID, api

MODULES = (
    "contacts",
    "crm",
    "sale_management",
    "sale_crm",
    "stock",
    "sale_stock",
    "purchase_stock",
    "delivery",
    "account",
    "l10n_fr",
)
# Units of the currency for one EUR: round figures, so that amounts in another currency are not taken one for one.
CURRENCIES = {"USD": 1.10, "GBP": 0.85, "CHF": 0.95, "JPY": 160.0, "PLN": 4.30, "HUF": 400.0}


def main(conf, database, keys):
    config.parse_config(["-c", conf])
    _create_empty_database(database)
    config["init"] = {"base": 1}
    Registry.new(database, update_module=True)
    with environment(database) as env:
        # Before accounting comes in, so that it picks this country's chart.
        env.company.write({"country_id": env.ref("base.fr").id, "currency_id": env.ref("base.EUR").id})
        # Odoo asks its maker's servers for company data and the like; a test database never leaves the machine.
        env["ir.config_parameter"].set_param("iap.endpoint", "http://127.0.0.1:9")
    config["init"] = dict.fromkeys(MODULES, 1)
    Registry.new(database, update_module=True)
    with environment(database) as env:
        set_up_accounting(env)
        set_up_currencies(env)
        admin = env.ref("base.user_admin")
        for group in ("base.group_multi_currency", "product.group_product_pricelist"):
            admin.groups_id |= env.ref(group)
        norights = env["res.users"].create(
            {
                "name": "counterfoil-norights",
                "login": "counterfoil-norights",
                "groups_id": [(6, 0, [env.ref("base.group_user").id])],
            }
        )
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_key(env, admin, keys / "admin.key")
        write_key(env, norights, keys / "norights.key")


@contextmanager
def environment(database):
    """An environment as superuser, committed at its end."""
    with api.Environment.manage(), closing(odoo.sql_db.db_connect(database).cursor()) as cr:
        yield api.Environment(cr, SUPERUSER_ID, {})
        cr.commit()


def set_up_accounting(env):
    """The country's chart, if it has not come by itself, with one sales tax of each rate: added to the price, due when
    invoiced. Its others of the same rates (in the price, due when paid) are switched off, as in later versions.
    """
    if not env.company.chart_template_id:
        env.ref("l10n_fr.l10n_fr_pcg_chart_template").try_loading()
    taxes = env["account.tax"].with_context(active_test=False).search([("type_tax_use", "=", "sale")])
    for tax in taxes:
        tax.active = not tax.price_include and tax.tax_exigibility == "on_invoice"


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
    key = env["res.users.apikeys"].with_user(user).sudo()._generate("rpc", "counterfoil")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(key + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
