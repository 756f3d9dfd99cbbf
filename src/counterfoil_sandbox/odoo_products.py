"""Articles of the Odoo stand-in: templates, their variants by attributes, categories and bar codes.

A template and its variants are kept as rows of their own. What they share is copied from the template to all
variants; what is each variant's own shows on the template while it has only one. Whenever a template counts as
written, so do its variants, as in Odoo 19.
"""

from __future__ import annotations

import itertools

from counterfoil_sandbox.odoo_base import company, defaults, related
from counterfoil_sandbox.odoo_schema import (
    AFTER_SAVE,
    BEFORE_CREATE,
    BEFORE_UNLINK,
    BEFORE_WRITE,
    COMPUTED,
    SCHEMA,
    Row,
    required_error,
    validation_error,
)
from counterfoil_sandbox.odoo_store import Store

TEMPLATE, VARIANT = "product.template", "product.product"
LINE, CHOSEN = "product.template.attribute.line", "product.template.attribute.value"
OWN = ("default_code", "barcode", "weight", "volume", "standard_price")  # of each variant
NOT_SHARED = {"id", "display_name", "create_uid", "create_date", "write_uid", "write_date", "active", *OWN}
NOT_SHARED |= {"is_product_variant", "product_variant_count"}
SHARED = sorted(
    {n for n, spec in SCHEMA[TEMPLATE]["fields"].items() if spec["type"] != "one2many" and "image" not in n}
    & set(SCHEMA[VARIANT]["fields"]) - NOT_SHARED
)
# An article that is in one of these is archived where Odoo would rather delete it.
USES = (("sale.order.line", "product_id"), ("stock.move", "product_id"), ("stock.quant", "product_id"))


def variants_of(store: Store, template_id: int, *, archived: bool = False) -> list[Row]:
    """A template's variants, the oldest first."""
    rows = [store.rows[VARIANT][i] for i in sorted(store.children[VARIANT, "product_tmpl_id"].get(template_id, ()))]
    return [row for row in rows if archived or row["active"]]


# Defaults and bar codes


def _product_defaults(store: Store, vals: Row) -> None:
    if not vals.get("name") and not vals.get("product_tmpl_id"):
        label = store.fields(TEMPLATE)["name"]["string"]
        raise required_error(TEMPLATE, "name", label, SCHEMA[TEMPLATE]["name"])
    for name, value in (
        ("type", "consu"),
        ("active", True),
        ("sale_ok", True),
        ("purchase_ok", True),
        ("list_price", vals.get("lst_price", 1.0)),
        ("uom_id", 1),
        ("tracking", "none"),
        ("invoice_policy", "order"),
        ("taxes_id", [i for i in [company(store)["account_sale_tax_id"]] if i]),
    ):
        vals.setdefault(name, value)
    vals.pop("lst_price", None)
    _unique_barcode(store, vals, 0)


def _variant_defaults(store: Store, vals: Row) -> None:
    _product_defaults(store, vals)
    if not vals.get("product_tmpl_id"):
        given = {name: value for name, value in vals.items() if name in (*SHARED, *OWN, "active")}
        store.context["_variant_comes"] = True
        vals["product_tmpl_id"] = store.create(TEMPLATE, given)
        store.context.pop("_variant_comes")


def _unique_barcode(store: Store, vals: Row, but: int) -> None:
    code = vals.get("barcode")
    for number in store.index.texts[VARIANT, "barcode"].get(str(code).casefold(), ()) if code else ():
        row = store.rows[VARIANT][number]
        if row["barcode"] == code and row["product_tmpl_id"] != vals.get("product_tmpl_id") and row["id"] != but:
            new = store.rows[VARIANT].get(but, {"default_code": False, "name": ""}) | vals
            names = f"{product_name(store, row)} and {product_name(store, new)}"
            raise validation_error(
                f'Barcode(s) already assigned:\n\n- Barcode "{code}" already assigned to product(s): {names}\n\n'
                "Note: products that you don't have access to will not be shown above."
            )


def product_name(store: Store, row: Row) -> str:
    """What a person sees: code, name, and what tells the variant from the others."""
    code = f"[{row['default_code']}] " if row["default_code"] else ""
    chosen = [store.rows[CHOSEN][i] for i in telling_values(store, row)]
    suffix = ", ".join(store.value(CHOSEN, one, "name") for one in chosen)
    return f"{code}{row['name'] or ''}" + (f" ({suffix})" if suffix else "")


def telling_values(store: Store, row: Row) -> list[int]:
    """The variant's chosen values of attributes that have more than one."""
    found = []
    for number in row.get("product_template_attribute_value_ids") or ():
        line = store.rows[LINE].get(store.rows[CHOSEN][number]["attribute_line_id"] or 0)
        if line and len(line["value_ids"]) > 1:
            found.append(number)
    return found


# Saving


def _variant_written(store: Store, ids: list[int], vals: Row) -> None:
    for product_id in ids:
        _unique_barcode(store, vals, product_id)


def _template_saved(store: Store, row: Row, changed: set[str]) -> None:
    if len(changed) == len(store.fields(TEMPLATE)):  # new
        if not store.context.get("_variant_comes"):
            make_variants(store, row["id"])
        return
    every = variants_of(store, row["id"], archived=True)
    same = {name: row[name] for name in changed & set(SHARED)}
    for variant in every:
        store.set(VARIANT, variant["id"], **same)
    own = changed & set(OWN)
    if own and len(every) == 1:
        _unique_barcode(store, {name: row[name] for name in own}, every[0]["id"])
        store.set(VARIANT, every[0]["id"], **{name: row[name] for name in own})
    if "active" in changed and not row["active"]:
        for variant in every:
            store.set(VARIANT, variant["id"], active=False)
    elif "active" in changed and not variants_of(store, row["id"]):
        make_variants(store, row["id"])
    if "attribute_line_ids" in changed:
        make_variants(store, row["id"])
    _written_with_template(store, row["id"])


def _written_with_template(store: Store, template_id: int) -> None:
    store.stir(VARIANT, [variant["id"] for variant in variants_of(store, template_id, archived=True)])


def _variant_saved(store: Store, row: Row, changed: set[str]) -> None:
    new = len(changed) == len(store.fields(VARIANT))
    if "lst_price" in changed and not new:
        price = row["lst_price"] - price_extra(store, row)
        store.set(VARIANT, row["id"], lst_price=0.0, list_price=price)
        row = store.rows[VARIANT][row["id"]]
        changed = changed | {"list_price"}
    template = row["product_tmpl_id"]
    every = variants_of(store, template, archived=True)
    shared = {name: row[name] for name in changed & set(SHARED)}
    own = {name: row[name] for name in changed & set(OWN)} if len(every) == 1 else {}
    if "active" in changed and len(every) == 1:
        own["active"] = row["active"]
    if new:
        if len(every) > 1:  # one more by hand: the template has no code of its own any more
            store.set(TEMPLATE, template, **dict.fromkeys(("default_code", "barcode"), False))
        return
    if not shared and not own:
        return
    store.set(TEMPLATE, template, **shared, **own)
    store.stir(TEMPLATE, [template])
    for variant in every:
        store.set(VARIANT, variant["id"], **shared)
    _written_with_template(store, template)


def price_extra(store: Store, row: Row) -> float:
    """What the variant costs more than its template, by its values."""
    return float(sum(store.rows[CHOSEN][i]["price_extra"] for i in row["product_template_attribute_value_ids"]))


# Attributes and variants


def _line_saved(store: Store, row: Row, changed: set[str]) -> None:
    if "value_ids" not in changed:
        return
    old = {store.rows[CHOSEN][i]["product_attribute_value_id"]: i for i in _chosen_of(store, row["id"])}
    for value in row["value_ids"]:
        if value not in old:
            store.create(
                CHOSEN,
                {
                    "attribute_line_id": row["id"],
                    "product_attribute_value_id": value,
                    "product_tmpl_id": row["product_tmpl_id"],
                    "attribute_id": row["attribute_id"],
                    "ptav_active": True,
                    "price_extra": store.rows["product.attribute.value"][value]["default_extra_price"],
                },
            )
    gone = [number for value, number in old.items() if value not in row["value_ids"]]
    if store.children[VARIANT, "product_tmpl_id"].get(row["product_tmpl_id"]):
        make_variants(store, row["product_tmpl_id"], without=gone)
        store.stir(TEMPLATE, [row["product_tmpl_id"]])
        _written_with_template(store, row["product_tmpl_id"])
    for number in gone:
        if store.children[VARIANT, "product_template_attribute_value_ids"].get(number):
            store.set(CHOSEN, number, ptav_active=False)
        else:
            store.put(CHOSEN, number, None)


def _lines_unlinked(store: Store, ids: list[int]) -> None:
    for number in ids:
        line = store.rows[LINE][number]
        store.write(LINE, [number], {"value_ids": [(5, 0, 0)]})
        store.stale_templates.add(line["product_tmpl_id"])


def _chosen_of(store: Store, line_id: int) -> list[int]:
    return [
        number
        for number in sorted(store.children[CHOSEN, "attribute_line_id"].get(line_id, ()))
        if store.rows[CHOSEN][number]["ptav_active"]
    ]


def make_variants(store: Store, template_id: int, without: list[int] | None = None) -> None:
    """Let the template have a variant for each combination of its values, and no other."""
    lines = store.sorted(LINE, store.children[LINE, "product_tmpl_id"].get(template_id, ()))
    choices: list[list[int]] = []
    dynamic = False
    for line_id in lines:
        chosen = [number for number in _chosen_of(store, line_id) if number not in (without or ())]
        rule = store.rows["product.attribute"][store.rows[LINE][line_id]["attribute_id"]]["create_variant"]
        dynamic = dynamic or rule == "dynamic"
        if chosen and rule != "no_variant":
            choices.append(store.sorted(CHOSEN, chosen))
    every = variants_of(store, template_id, archived=True)
    for single in (choice[0] for choice in choices if len(choice) == 1):  # joins variants that lack it
        line_id = store.rows[CHOSEN][single]["attribute_line_id"]
        for variant in every:
            values = variant["product_template_attribute_value_ids"]
            if all(store.rows[CHOSEN][i]["attribute_line_id"] != line_id for i in values):
                store.set(VARIANT, variant["id"], product_template_attribute_value_ids=[*values, single])
    every = variants_of(store, template_id, archived=True)
    known = {frozenset(row["product_template_attribute_value_ids"]): row for row in every}
    wanted = [list(combination) for combination in itertools.product(*choices)]
    for combination in wanted:
        row = known.pop(frozenset(combination), None)
        if row is None and not dynamic:
            _make_variant(store, template_id, combination, alone=len(wanted) == 1)
        elif row is not None and not row["active"] and store.rows[TEMPLATE][template_id]["active"]:
            store.touch(VARIANT, row["id"], active=True)
    for row in known.values():
        if any(store.children[model, field].get(row["id"]) for model, field in USES):
            store.touch(VARIANT, row["id"], active=False)
        else:
            store.put(VARIANT, row["id"], None)


def _make_variant(store: Store, template_id: int, combination: list[int], *, alone: bool) -> None:
    template = store.rows[TEMPLATE][template_id]
    values = {name: template[name] for name in (*SHARED, *(OWN if alone else ()), "active")}
    values |= {"product_tmpl_id": template_id, "product_template_attribute_value_ids": [(6, 0, combination)]}
    store.create(VARIANT, values)


def settle_templates(store: Store) -> None:
    """Variants of templates that lost an attribute."""
    while store.stale_templates:
        template = store.stale_templates.pop()
        if template in store.rows[TEMPLATE]:
            make_variants(store, template)


def _category_saved(store: Store, row: Row, changed: set[str]) -> None:
    parent = store.rows["product.category"].get(row["parent_id"] or 0)
    name = f"{parent['complete_name']} / {row['name']}" if parent else row["name"]
    path = f"{parent['parent_path'] if parent else ''}{row['id']}/"
    store.set("product.category", row["id"], complete_name=name, parent_path=path)
    if changed & {"name", "parent_id"}:
        for child in list(store.children["product.category", "parent_id"].get(row["id"], ())):
            if store.rows["product.category"][child]["complete_name"]:
                store.stir("product.category", [child])
                _category_saved(store, store.rows["product.category"][child], {"name"})


BEFORE_CREATE[TEMPLATE] = _product_defaults
BEFORE_CREATE[VARIANT] = _variant_defaults
BEFORE_WRITE[VARIANT] = _variant_written
AFTER_SAVE[TEMPLATE] = _template_saved
AFTER_SAVE[VARIANT] = _variant_saved
AFTER_SAVE[LINE] = _line_saved
BEFORE_UNLINK[LINE] = _lines_unlinked
AFTER_SAVE["product.category"] = _category_saved
BEFORE_CREATE["product.attribute"] = defaults(active=True, create_variant="always", display_type="radio", sequence=20)
BEFORE_CREATE["product.attribute.value"] = defaults(active=True)
BEFORE_CREATE[LINE] = defaults(active=True, sequence=10)
for _model in (VARIANT, TEMPLATE):
    COMPUTED[_model, "display_name"] = product_name
    related(_model, uom_name="uom_id.display_name")
    COMPUTED[_model, "currency_id"] = lambda store, _row: company(store)["currency_id"]
COMPUTED[VARIANT, "cost_currency_id"] = lambda store, _row: company(store)["currency_id"]
COMPUTED[VARIANT, "price_extra"] = price_extra
COMPUTED[VARIANT, "lst_price"] = lambda store, row: row["list_price"] + price_extra(store, row)
COMPUTED[VARIANT, "code"] = lambda _store, row: row["default_code"]
COMPUTED[VARIANT, "is_product_variant"] = lambda _store, _row: True
COMPUTED[VARIANT, "product_template_variant_value_ids"] = telling_values
COMPUTED[VARIANT, "combination_indices"] = lambda _store, row: ",".join(
    str(i) for i in sorted(row["product_template_attribute_value_ids"])
)
COMPUTED[VARIANT, "product_variant_ids"] = lambda store, row: [
    one["id"] for one in variants_of(store, row["product_tmpl_id"])
]
COMPUTED[VARIANT, "product_variant_count"] = lambda store, row: len(variants_of(store, row["product_tmpl_id"]))
# Not even active_test=False shows archived variants here.
COMPUTED[TEMPLATE, "product_variant_ids"] = lambda store, row: store.sorted(
    VARIANT, [one["id"] for one in variants_of(store, row["id"])]
)
COMPUTED[TEMPLATE, "product_variant_id"] = lambda store, row: next(
    (one["id"] for one in variants_of(store, row["id"])), False
)
COMPUTED[TEMPLATE, "product_variant_count"] = lambda store, row: len(variants_of(store, row["id"]))
COMPUTED[TEMPLATE, "has_configurable_attributes"] = lambda store, row: any(
    len(store.rows[LINE][i]["value_ids"]) > 1 for i in store.children[LINE, "product_tmpl_id"].get(row["id"], ())
)
COMPUTED["product.category", "display_name"] = lambda _store, row: row["complete_name"]
COMPUTED["product.attribute.value", "display_name"] = lambda store, row: (
    f"{store.display_name('product.attribute', row['attribute_id'])}: {row['name']}"
)
related("product.attribute.value", display_type="attribute_id.display_type")
related(CHOSEN, name="product_attribute_value_id.name", display_type="attribute_id.display_type")
COMPUTED[CHOSEN, "display_name"] = lambda store, row: store.display_name(
    "product.attribute.value", row["product_attribute_value_id"]
)
COMPUTED[CHOSEN, "currency_id"] = lambda store, _row: company(store)["currency_id"]
COMPUTED[CHOSEN, "ptav_product_variant_ids"] = lambda store, row: sorted(
    store.children[VARIANT, "product_template_attribute_value_ids"].get(row["id"], ())
)
COMPUTED[LINE, "value_count"] = lambda _store, row: len(row["value_ids"])
COMPUTED[LINE, "display_name"] = lambda store, row: store.display_name("product.attribute", row["attribute_id"])
COMPUTED[LINE, "product_template_value_ids"] = lambda store, row: _chosen_of(store, row["id"])
