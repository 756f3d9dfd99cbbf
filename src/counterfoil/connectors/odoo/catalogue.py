"""Odoo's products whole: template, variants, prices, taxes, category, images. And every article, for linking."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo import kits
from counterfoil.connectors.odoo.kits import Kits
from counterfoil.connectors.odoo.prices import DEEPEST, ITEM_FIELDS, Article, Book, exact, rules
from counterfoil.connectors.odoo.watching import KEEP, Changed, Reader, Row, Watch, iso, number, stamp
from counterfoil.hub.contract import Failure, Kind, Outcome
from counterfoil.retail.money import round_to

BATCH = 200
NONE: Mapping[str, str] = {}
OWN_SKUS = "COUNTERFOIL-"
"""What the SKUs of the services begin with that Counterfoil itself makes (lookups.py): never sold on a channel."""

TEMPLATES = Watch("product.template", "id", ("list_price", "sale_ok", "active"))
VARIANTS = Watch("product.product", "product_tmpl_id", ("default_code", "barcode", "active"))
OPTIONS = Watch("product.template.attribute.value", "product_tmpl_id", ("price_extra",))
CATEGORIES = Watch("product.category", "id")
RULES = Watch("product.pricelist.item", "id", ("fixed_price", "percent_price", "date_start", "date_end"))
_TEMPLATE = ["name", "description_sale", "taxes_id", "categ_id", "sale_ok", "active", "currency_id", "type"]
_VARIANT = ["product_tmpl_id", "default_code", "barcode", "lst_price", "standard_price", "weight", "active"]


@dataclass(slots=True)
class _Shared:
    """What many products share, read every few minutes."""

    at: float
    company: int
    taxes: dict[int, Row]
    categories: dict[int, Row]
    root: int  # Odoo's own "All", up to 18: not a category that anybody chose
    currencies: dict[int, Row] = field(default_factory=dict)
    pricelists: dict[int, int] = field(default_factory=dict)  # → currency


class Catalogue:
    """Reads products. `pricelist` is its name, number or external id; '' for list prices.

    `language` is the code of the language that names and texts are read in. `channels` are the pricelists of shops that
    do not sell by `pricelist`.
    """

    def __init__(
        self, reader: Reader, pricelist: str = "", language: str = "", channels: Mapping[str, str] = NONE
    ) -> None:
        self.reader, self.pricelist, self.kits = reader, pricelist, Kits(reader)
        self.channels = {shop: name for shop, name in channels.items() if name != pricelist}
        self.pricelists = sorted({pricelist, *self.channels.values()} - {""})
        self.context = {"lang": language} if language else {}
        self._shared: _Shared | None = None
        self._numbers: dict[str, int] = {}

    # --- what changed -----------------------------------------------------------------------------------------

    async def watches(self) -> tuple[Watch, ...]:
        """What to watch: rules only of the pricelists that count. Raises Failure."""
        always = (TEMPLATES, VARIANTS, OPTIONS, CATEGORIES, *await self.kits.watches())
        if not self.pricelists:
            return always
        return (*always, Watch(RULES.model, RULES.owner, RULES.marks, (await self._our_rules(),)))

    async def owners(self, changes: Iterable[Changed]) -> list[int]:
        """The products that changed rows are about, each once. Raises Failure."""
        found: set[int] = set()
        touched: dict[str, list[int]] = defaultdict(list)
        for change in changes:
            if change.watch.model in (CATEGORIES.model, RULES.model, kits.LINES.model):
                touched[change.watch.model].append(change.row["id"])
            else:
                found.add(change.owner)
        if categories := touched[CATEGORIES.model]:
            self._shared = None  # the new name is wanted
            found |= await self._of_categories(categories)
        if lines := touched[kits.LINES.model]:
            found |= await self.kits.of_lines(lines)
        if items := touched[RULES.model]:
            found |= await self._of_rules([["id", "in", items]])
        return sorted(found - {0})

    async def crossed(self, before: datetime, now: datetime) -> set[int]:
        """Products with a campaign that began or ended after `before` and until `now`. Raises Failure."""
        if not self.pricelists or before >= now:
            return set()
        since, until = stamp(before), stamp(now)
        domain = [await self._our_rules(), "|", "&", ["date_start", ">", since], ["date_start", "<=", until]]
        domain += ["&", ["date_end", ">", since], ["date_end", "<=", until]]
        return await self._of_rules(domain)

    async def rule_ids(self) -> list[int]:
        """The numbers of all rules of the pricelists: a deleted one leaves no other trace. Raises Failure."""
        if not self.pricelists:
            return []
        return list(await self.reader.client.call(RULES.model, "search", domain=[await self._our_rules()], order="id"))

    async def everything(self) -> list[Any]:
        """The domain of all products on sale or not. Raises Failure."""
        return [["active", "=", True]]

    async def _our_rules(self) -> list[Any]:
        """The domain leaf of the rules that count: of the pricelists, and those they build on."""
        return ["pricelist_id", "in", await self._lists()]

    async def _lists(self) -> list[int]:
        found = sorted({await self.number_of(name) for name in self.pricelists})
        for _ in range(DEEPEST):
            domain = [["pricelist_id", "in", found], ["base", "=", "pricelist"], ["base_pricelist_id", "!=", False]]
            rows = await self.reader.rows(RULES.model, domain, ["base_pricelist_id"])
            more = sorted({number(row["base_pricelist_id"]) for row in rows} - set(found))
            if not more:
                break
            found += more
        return found

    async def _of_categories(self, categories: Sequence[int]) -> set[int]:
        rows = await self.reader.rows("product.template", [["categ_id", "child_of", list(categories)]], ["id"])
        return {row["id"] for row in rows}

    async def _of_rules(self, domain: Sequence[Any]) -> set[int]:
        fields = ["applied_on", "product_id", "product_tmpl_id", "categ_id"]
        found: set[int] = set()
        variants: list[int] = []
        categories: list[int] = []
        async for page in self.reader.pages(RULES.model, domain, fields):
            for row in page:
                match row["applied_on"]:
                    case "0_product_variant":
                        variants.append(number(row["product_id"]))
                    case "1_product":
                        found.add(number(row["product_tmpl_id"]))
                    case "2_product_category":
                        categories.append(number(row["categ_id"]))
                    case _:
                        return await self._all()
        if variants:
            rows = await self.reader.rows("product.product", [["id", "in", variants]], ["product_tmpl_id"])
            found |= {number(row["product_tmpl_id"]) for row in rows}
        if categories:
            found |= await self._of_categories(categories)
        return found

    async def _all(self) -> set[int]:
        found: set[int] = set()
        async for page in self.reader.pages("product.template", await self.everything(), ["active"]):
            found |= {row["id"] for row in page}
        return found

    # --- reading ----------------------------------------------------------------------------------------------

    async def read(self, products: Sequence[int]) -> dict[str, Mapping[str, Any]]:
        """Bodies by product (template number). Prices are as of Odoo's clock. Raises Failure."""
        at = await self.reader.now()
        shared = await self._reference()
        names = await self.reader.client.names()
        storable = names.storable[0][0]
        domain = [["id", "in", list(products)]]
        templates = await self.reader.rows(
            "product.template", domain, [*_TEMPLATE, storable], ["is_kits", "public_categ_ids"], context=self.context
        )
        domain = [["product_tmpl_id", "in", list(products)]]
        fields = [*_VARIANT, "product_template_attribute_value_ids"]
        variants = await self.reader.rows("product.product", domain, fields, context=self.context)
        values = await self._options(variants)
        images = await self._images([t["id"] for t in templates], [v["id"] for v in variants])
        book = await self._book(templates, variants, shared)
        made = await self._kits(templates, variants, values, shared)
        bodies: dict[str, Mapping[str, Any]] = {}
        for row in templates:
            own = [v for v in variants if number(v["product_tmpl_id"]) == row["id"]]
            if any((v["default_code"] or "").startswith(OWN_SKUS) for v in own):
                continue
            articles = [_article(row, v, shared) for v in own]
            bodies[str(row["id"])] = {
                "id": row["id"],
                "name": row["name"],
                "description": row["description_sale"] or "",
                "sellable": bool(row["sale_ok"] and row["active"]),
                "tracked": (names.is_storable()[2] == row[storable] and not row.get("is_kits"))
                or any(v["id"] in made for v in own),  # of a kit there is what its parts make
                "taxes": _taxes(row, shared),
                "category": _path(number(row["categ_id"]), shared),
                "image": images.get(("product.template", row["id"]), ""),
                "variants": [
                    {
                        "id": v["id"],
                        "sku": v["default_code"] or "",
                        "gtin": v["barcode"] or "",
                        "weight": v["weight"],
                        "active": v["active"],
                        "options": _chosen(v, values),
                        "image": images.get(("product.product", v["id"]), ""),
                        **(priced := self._prices(article, self.pricelist, book, shared, at)),
                        **self._own(article, book, shared, at),
                        "cost": _cost(article, row, priced["currency"], shared),
                        **({"parts": made[v["id"]]} if v["id"] in made else {}),
                    }
                    for v, article in zip(own, articles, strict=True)
                ],
            }
        return bodies

    def _own(self, article: Article, book: Book | None, shared: _Shared, at: datetime) -> dict[str, Any]:
        own = {shop: self._prices(article, name, book, shared, at) for shop, name in sorted(self.channels.items())}
        return {"channels": own} if own else {}

    def _prices(
        self, article: Article, pricelist: str, book: Book | None, shared: _Shared, at: datetime
    ) -> dict[str, Any]:
        if book is None or not pricelist:
            currency = shared.currencies[article.currency]
            return {"price": _shown(article.list_price, exact(currency["rounding"])), "currency": currency["name"]}
        list_ = self._numbers[pricelist]
        priced = book.price(article, list_, at)
        found = {"price": str(priced.regular), "currency": shared.currencies[book.currencies[list_]]["name"]}
        if priced.sale is not None:
            found["sale"] = str(priced.sale)
            found["starts"] = iso(priced.starts) if priced.starts else ""
            found["ends"] = iso(priced.ends) if priced.ends else ""
        return found

    async def _kits(
        self,
        templates: Sequence[Row],
        variants: Sequence[Row],
        values: Mapping[int, tuple[int, list[str]]],
        shared: _Shared,
    ) -> Mapping[int, list[tuple[int, str]]]:
        """What the kits among them are made of, by variant; where a product does not say that it is one (14), ask."""
        are_kits = {t["id"] for t in templates if t.get("is_kits", True)}
        own = [v for v in variants if number(v["product_tmpl_id"]) in are_kits]
        return await self.kits.read(own, {id_: line for id_, (line, _) in values.items()}, shared.company)

    async def _options(self, variants: Sequence[Row]) -> dict[int, tuple[int, list[str]]]:
        """(attribute line, [attribute, value]) by number."""
        ids = sorted({id_ for v in variants for id_ in v["product_template_attribute_value_ids"]})
        if not ids:
            return {}
        model, domain = "product.template.attribute.value", [["id", "in", ids]]
        fields = ["attribute_line_id", "attribute_id", "name"]
        rows = await self.reader.rows(model, domain, fields, named=True, context=self.context)
        return {row["id"]: (number(row["attribute_line_id"]), [row["attribute_id"][1], row["name"]]) for row in rows}

    async def _images(self, templates: Sequence[int], variants: Sequence[int]) -> dict[tuple[str, int], str]:
        """The content's fingerprint by model and record, of those with a picture of their own."""
        names = await self.reader.client.names()
        domain: list[Any] = [["res_field", "in", [names.image, names.variant_image]], "|"]
        domain += ["&", ["res_model", "=", "product.template"], ["res_id", "in", list(templates)]]
        domain += ["&", ["res_model", "=", "product.product"], ["res_id", "in", list(variants)]]
        try:
            rows = await self.reader.rows("ir.attachment", domain, ["res_model", "res_id", "checksum"])
        except Failure as failure:
            if failure.outcome.reason != "no_right":
                raise
            return {}  # no picture is better than no product
        return {(row["res_model"], row["res_id"]): row["checksum"] or "" for row in rows}

    async def _book(self, templates: Sequence[Row], variants: Sequence[Row], shared: _Shared) -> Book | None:
        if not self.pricelists:
            return None
        lists = await self._lists()
        domain: list[Any] = [["pricelist_id", "in", lists]]
        domain += ["|", ["product_tmpl_id", "=", False], ["product_tmpl_id", "in", [t["id"] for t in templates]]]
        domain += ["|", ["product_id", "=", False], ["product_id", "in", [v["id"] for v in variants]]]
        items = [row async for page in self.reader.pages(RULES.model, domain, ITEM_FIELDS) for row in page]
        paths = {id_: " / ".join(_names(id_, shared)) for id_ in shared.categories}
        return Book(
            rules(items, paths),
            {each: shared.pricelists[each] for each in lists if each in shared.pricelists},
            {id_: Decimal(str(row["rate"])) for id_, row in shared.currencies.items()},
            {id_: Decimal(str(row["rounding"])) for id_, row in shared.currencies.items()},
        )

    async def number_of(self, pricelist: str) -> int:
        """The number of a pricelist that the blueprint names. Raises Failure."""
        if pricelist in self._numbers:
            return self._numbers[pricelist]
        module, _, name = pricelist.rpartition(".")
        found: list[int] = []
        if module:
            domain = [["module", "=", module], ["name", "=", name], ["model", "=", "product.pricelist"]]
            found = [row["res_id"] for row in await self.reader.rows("ir.model.data", domain, ["res_id"])]
        if not found:
            named = ["name", "=", pricelist]
            leaf: list[Any] = ["id", "=", int(pricelist)] if pricelist.isdigit() else named
            found = [row["id"] for row in await self.reader.rows("product.pricelist", [leaf], ["id"], archived=False)]
        if len(found) != 1:
            much = "no pricelist" if not found else f"{len(found)} pricelists"
            raise Failure(
                Outcome(
                    Kind.MISCONFIGURED,
                    "unknown_pricelist",
                    f"Odoo has {much} {pricelist!r}.",
                    suggestion="Correct `pricelist` of the Odoo system, or of the channel, in the blueprint: a name or "
                    "an external id.",
                )
            )
        self._numbers[pricelist] = found[0]
        return found[0]

    async def _reference(self) -> _Shared:
        if self._shared is None or time.monotonic() - self._shared.at > KEEP:
            rows = self.reader.rows
            companies = await self.reader.client.search_read("res.company", [], ["id"], order="sequence, id", limit=1)
            taxes = await rows("account.tax", [], ["name", "price_include", "company_id", "amount", "amount_type"])
            categories = await rows("product.category", [], ["name", "parent_id"], context=self.context)
            root = [["module", "=", "product"], ["name", "=", "product_category_all"]]
            roots = await rows("ir.model.data", root, ["res_id"])
            currencies = await rows("res.currency", [["active", "=", True]], ["name", "rate", "rounding"])
            lists = await rows("product.pricelist", [], ["currency_id"]) if self.pricelists else []
            self._shared = _Shared(
                at=time.monotonic(),
                company=companies[0]["id"],
                taxes={row["id"]: row for row in taxes},
                categories={row["id"]: row for row in categories},
                root=roots[0]["res_id"] if roots else 0,
                currencies={row["id"]: row for row in currencies},
                pricelists={row["id"]: number(row["currency_id"]) for row in lists},
            )
        return self._shared

    # --- linking ----------------------------------------------------------------------------------------------

    async def articles(self) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
        """Every sellable variant: its number and the keys it can be linked by. Raises Failure."""
        domain = [["sale_ok", "=", True], ["active", "=", True]]
        fields = ["default_code", "barcode", "product_tmpl_id", "name"]
        async for page in self.reader.pages("product.product", domain, fields):
            for row in page:
                sku = row["default_code"] or ""
                if sku.startswith(OWN_SKUS):
                    continue
                keys = {"sku": sku, "gtin": row["barcode"] or "", "label": row["name"] or ""}
                keys["product"] = str(number(row["product_tmpl_id"]))
                yield str(row["id"]), {key: value for key, value in keys.items() if value}


def _shown(price: Decimal, unit: Decimal) -> str:
    """With the currency's digits, or more where the price has more."""
    rounded = round_to(price, unit)
    return f"{rounded if rounded == price else price:f}"


def _article(template: Row, variant: Row, shared: _Shared) -> Article:
    return Article(
        id=variant["id"],
        template=template["id"],
        categories=tuple(_line(number(template["categ_id"]), shared)),
        list_price=exact(variant["lst_price"]),
        cost=exact(variant["standard_price"]),
        currency=number(template["currency_id"]),
    )


def _cost(article: Article, template: Row, currency: str, shared: _Shared) -> str:
    """What the article costs, in terms of its price: with tax where that is; empty where the two do not compare."""
    taxes = [tax for tax in _own_taxes(template, shared) if tax["price_include"]]
    comparable = all(tax["amount_type"] == "percent" for tax in taxes)
    if not article.cost or not comparable or shared.currencies[article.currency]["name"] != currency:
        return ""
    return f"{article.cost * (1 + sum((exact(tax['amount']) for tax in taxes), Decimal(0)) / 100):f}"


def _chosen(variant: Row, values: Mapping[int, tuple[int, list[str]]]) -> list[list[str]]:
    """[attribute, value] of a variant, in the order of the product's attributes."""
    ids = variant["product_template_attribute_value_ids"]
    return [pair for _, pair in sorted(values[id_] for id_ in ids if id_ in values)]


def _line(category: int, shared: _Shared) -> list[int]:
    """The numbers from the root to the category."""
    found: list[int] = []
    while category and category in shared.categories and category not in found:
        found.insert(0, category)
        category = number(shared.categories[category]["parent_id"])
    return found


def _names(category: int, shared: _Shared) -> list[str]:
    return [shared.categories[id_]["name"] for id_ in _line(category, shared)]


def _path(category: int, shared: _Shared) -> list[str]:
    return [shared.categories[id_]["name"] for id_ in _line(category, shared) if id_ != shared.root]


def _taxes(template: Row, shared: _Shared) -> list[dict[str, Any]]:
    return [{"name": tax["name"], "included": bool(tax["price_include"])} for tax in _own_taxes(template, shared)]


def _own_taxes(template: Row, shared: _Shared) -> list[Row]:
    """Those of our company."""
    own = [shared.taxes[id_] for id_ in sorted(template["taxes_id"]) if id_ in shared.taxes]
    return [tax for tax in own if number(tax["company_id"]) in (0, shared.company)]
