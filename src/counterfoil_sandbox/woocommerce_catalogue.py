"""The catalogue of the WooCommerce stand-in: products, variations, categories, attributes, with indexes.

Writes follow 9.9.5 as recorded and, where nothing was recorded, its source (WC_REST_Products_Controller and
WC_REST_Product_Variations_Controller, version 3): what it refuses, and what it swallows in silence.
"""

from __future__ import annotations

import copy
import html
import itertools
import re
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from counterfoil_sandbox.woocommerce_orders import RECORDINGS, recordings, without_links
from counterfoil_sandbox.woocommerce_rest import Rest, merged_meta

Json = dict[str, Any]
FIRST_PRODUCT = 100_001
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?")
_PLAIN = (
    *("name", "description", "short_description", "status", "featured", "catalog_visibility", "virtual"),
    *("downloadable", "tax_status", "weight", "dimensions", "sold_individually", "menu_order", "backorders"),
    *("reviews_allowed", "purchase_note", "low_stock_amount", "slug"),
)
_PRICES = ("regular_price", "sale_price")


class Catalogue:
    """What the shop sells. Guarded by the shop's lock; `now` is the shop's clock, `date` writes its dates.

    `settings` are the values of WooCommerce > Settings by their ids, the recorded ones at first. `uploads` lists
    the image addresses fetched, `broken_images` those that cannot be. With `follows_orders` orders move stock.
    """

    def __init__(
        self,
        lock: threading.RLock,
        now: Callable[[], float],
        date: Callable[[Json, str, int | None], None],
        folder: Path | str | None = RECORDINGS,
    ) -> None:
        self.lock, self._now, self._date = lock, now, date
        self.products: dict[int, Json] = {}
        self.variations: dict[int, Json] = {}
        self.created: dict[int, int] = {}
        self.modified: dict[int, int] = {}
        self.settings: dict[str, str] = {"woocommerce_weight_unit": "lbs", "woocommerce_manage_stock": "yes"}
        self.uploads: list[str] = []
        self.broken_images: set[str] = set()
        self.follows_orders = False
        self._taken: dict[int, list[tuple[int, int]]] = {}
        self._skus: dict[str, set[int]] = {}
        self._gtins: dict[str, int] = {}
        self._ids = itertools.count(FIRST_PRODUCT)
        self._template = _template()
        self.categories = {row["id"]: row for row in _recorded(RECORDINGS, "misc/categories.json")}
        self.attributes = {row["id"]: row for row in _recorded(RECORDINGS, "misc/attributes.json")}
        self.tax_classes = _recorded(RECORDINGS, "taxes/classes.json")
        self._terms: dict[int, list[str]] = {number: [] for number in self.attributes}
        if folder is not None:
            for row in _recorded(folder, "products/list_page_*.json"):
                self._take_in(self.products, row)
            for row in _recorded(folder, "variations/product_*/list_page_*.json"):
                self._take_in(self.variations, row)
        self._term_ids = itertools.count(max(self.categories, default=0) + 100)

    # -- looking

    def find(self, sku: str) -> Json | None:
        """The product or variation with exactly this SKU of its own, as stored; None where there is none."""
        with self.lock:
            found = [self.entry(number) for number in sorted(self._skus.get(sku.lower(), ()))]
            return copy.deepcopy(next((row for row in found if row is not None and row["sku"] == sku), None))

    def entry(self, number: int) -> Json | None:
        """A product or a variation by id, the stored one."""
        return self.products.get(number) or self.variations.get(number)

    def with_skus(self, skus: Iterable[str]) -> list[Json]:
        """Products and variations whose own SKU is one of these: MySQL compares without regard to case."""
        numbers = {number for sku in skus for number in self._skus.get(sku.lower(), ())}
        return [row for number in sorted(numbers) if (row := self.entry(number)) is not None]

    def children(self, parent: int) -> list[Json]:
        """The variations of a product."""
        numbers = self.products[parent]["variations"] if parent in self.products else []
        return [self.variations[number] for number in numbers if number in self.variations]

    def shown(self, row: Json) -> Json:
        """A product as the API shows it, a variation in a product's shape, as `GET products` does with `sku`."""
        if row["id"] in self.products:
            return row if row["type"] == "variable" else {**row, "on_sale": self._on_sale(row)}
        own = self.shown_variation(row)
        parent = self.products.get(row["parent_id"], {})
        rest = {key: copy.copy(value) for key, value in self._template.items() if key not in own}
        # the image of a variation is one, that of a product a list
        own = {key: value for key, value in own.items() if key != "image"}
        return {**rest, **own, "name": f"{parent.get('name', '')} - {row['name']}", "images": [], "categories": []}

    def shown_variation(self, row: Json) -> Json:
        """A variation as the API shows it: what it has not of its own comes from its parent, the SKU too.

        A campaign is on from its start to its end by the shop's clock: WC_Product::is_on_sale() looks at each reading.
        """
        parent = self.products.get(row["parent_id"])
        if parent is None:
            return row
        shown = {**row, "on_sale": self._on_sale(row)}
        shown["sku"] = row["sku"] or parent["sku"]
        if row["manage_stock"] is not True and parent["manage_stock"] is True:
            shown.update(manage_stock="parent", stock_quantity=parent["stock_quantity"])
        elif row["manage_stock"] == "parent":  # which no longer does
            shown.update(manage_stock=False, stock_quantity=None)
        return shown

    # -- writing

    def write(self, body: Json, number: int | None = None) -> Json:
        """Make a product, or change one. Raises Rest as WooCommerce does; gives the stored product."""
        with self.lock:
            if number is not None and number in self.variations:
                words = (
                    "To manipulate product variations you should use the "
                    "/products/&lt;product_id&gt;/variations/&lt;id&gt; endpoint."
                )
                raise Rest(404, "woocommerce_rest_invalid_product_id", words)
            old = self.products.get(number) if number is not None else None
            if number is not None and old is None:
                raise Rest(400, "woocommerce_rest_product_invalid_id", "Invalid ID.")
            data = copy.deepcopy(old or self._template)
            data["type"] = body.get("type", data["type"])
            self._fill(data, body, old)
            if "categories" in body:
                data["categories"] = self._categories(body["categories"])
            if "attributes" in body:
                data["attributes"] = self._attributes(body["attributes"])
            if "images" in body:
                data["images"] = self._images(body["images"], "woocommerce_product_image_upload_error")
            if data["type"] == "variable":
                data.update(regular_price="", sale_price="")
                data["has_options"] = bool(data["attributes"])
            self._put(self.products, data, old)
            return data

    def write_variation(self, parent: int, body: Json, number: int | None = None) -> Json:
        """Make a variation of a product, or change one. Raises Rest; gives the stored variation."""
        with self.lock:
            old = self.variations.get(number) if number is not None else None
            if parent not in self.products or (number is not None and (old is None or old["parent_id"] != parent)):
                raise Rest(404, "woocommerce_rest_product_variation_invalid_id", "Invalid ID.")
            data = copy.deepcopy(old) if old else self._new_variation(parent)
            self._fill(data, body, old)
            if "attributes" in body:
                data["attributes"] = self._choices(parent, body["attributes"])
                data["name"] = ", ".join(choice["option"] for choice in data["attributes"])
            if "image" in body:
                images = self._images([body["image"]], "woocommerce_variation_image_upload_error")
                data["image"] = images[0] if images else None
            self._put(self.variations, data, old)
            if old is None:
                self.products[parent]["variations"].append(data["id"])
            self._touch(self.products[parent])
            self._sync(self.products[parent])
            return data

    def remove(self, number: int, force: bool = True) -> Json:
        """Into the trash, or for good. A variation always goes for good. Gives it as it was."""
        with self.lock:
            row = self.entry(number)
            if row is None:
                raise Rest(404, "woocommerce_rest_product_invalid_id", "Invalid ID.")
            before = copy.deepcopy(row)
            if number in self.products and not force:
                row["status"] = "trash"
                self._touch(row)
                return before
            self._forget(row)
            if number in self.variations:
                del self.variations[number]
                parent = self.products[row["parent_id"]]
                parent["variations"] = [child for child in parent["variations"] if child != number]
                self._touch(parent)
            else:
                for child in row["variations"]:
                    self._forget(self.variations.pop(child))
                del self.products[number]
            return before

    def category(self, body: Json) -> Json:
        """A new category. Raises Rest where its parent has one of that name already."""
        with self.lock:
            name, parent = html.escape(str(body.get("name", "")), quote=False), int(body.get("parent") or 0)
            if not name:
                raise Rest(400, "rest_missing_callback_param", "Missing parameter(s): name")
            for row in self.categories.values():
                if (row["parent"], row["name"].lower()) == (parent, name.lower()):
                    words = "A term with the name provided already exists with this parent."
                    raise Rest(400, "term_exists", words, {"status": 400, "resource_id": row["id"]})
            number = next(self._term_ids)
            made = {"id": number, "name": name, "slug": _slug(name), "parent": parent, "description": ""}
            made |= {"display": "default", "image": None, "menu_order": 0, "count": 0}
            self.categories[number] = made
            return made

    def sell(self, number: int, quantity: int) -> None:
        """An order takes so many (negative: gives back) of a product or variation; unmanaged stock stays."""
        with self.lock:
            row = self.entry(number)
            if row is None:
                return
            if row["manage_stock"] is not True and row.get("parent_id"):
                row = self.products[row["parent_id"]]
            if row["manage_stock"] is True:
                row["stock_quantity"] = (row["stock_quantity"] or 0) - quantity  # below zero too, as measured
                self._sync(row)
                self._touch(row)

    def follow(self, order: Json) -> None:
        """Take or give back what an order holds, each once, where `follows_orders` says so.

        As WooCommerce does (measured): on-hold, processing and completed take, cancelled and pending give back.
        """
        if not self.follows_orders:
            return
        with self.lock:
            if order["status"] in ("on-hold", "processing", "completed") and order["id"] not in self._taken:
                lines = [(row["variation_id"] or row["product_id"], row["quantity"]) for row in order["line_items"]]
                self._taken[order["id"]] = lines
                for number, quantity in lines:
                    self.sell(number, quantity)
            elif order["status"] in ("cancelled", "pending"):
                for number, quantity in self._taken.pop(order["id"], []):
                    self.sell(number, -quantity)

    # -- small print

    def _take_in(self, place: dict[int, Json], row: Json) -> None:
        place[row["id"]] = row
        for name, times in (("date_created_gmt", self.created), ("date_modified_gmt", self.modified)):
            times[row["id"]] = int(datetime.fromisoformat(row[name]).replace(tzinfo=UTC).timestamp())
        if row["sku"]:
            self._skus.setdefault(row["sku"].lower(), set()).add(row["id"])
        if row["global_unique_id"]:
            self._gtins[row["global_unique_id"]] = row["id"]

    def _new_variation(self, parent: int) -> Json:
        data = {key: copy.copy(self._template[key]) for key in _VARIATION if key in self._template}
        own = self.products[parent]
        data |= {"type": "variation", "image": None, "attributes": [], "name": "", "parent_id": parent}
        return data | {"tax_status": own["tax_status"], "tax_class": own["tax_class"], "permalink": own["permalink"]}

    def _fill(self, data: Json, body: Json, old: Json | None) -> None:
        """The fields that products and variations share."""
        for name in _PLAIN:
            if name in body and name in data:
                data[name] = body[name]
        if "tax_class" in body:  # an unknown one is the standard one, in silence
            known = {row["slug"] for row in self.tax_classes} - {"standard"}
            data["tax_class"] = body["tax_class"] if body["tax_class"] in known else ""
        for name in _PRICES:
            if name in body and body[name] is not None:
                data[name] = _price(body[name])
        for name in ("date_on_sale_from", "date_on_sale_to"):
            if body.get(f"{name}_gmt") is not None:  # PHP's isset: null says nothing, an empty text clears
                self._date(data, name, _second(body[f"{name}_gmt"]))
        if "sku" in body and body["sku"] is not None:
            self._check_sku(str(body["sku"]).strip(), data.get("id"))
            data["sku"] = str(body["sku"]).strip()
        if "global_unique_id" in body and body["global_unique_id"] is not None:
            self._check_gtin(str(body["global_unique_id"]), data.get("id"))
            data["global_unique_id"] = str(body["global_unique_id"])
        if self.settings["woocommerce_manage_stock"] == "yes":
            data["manage_stock"] = body.get("manage_stock", data["manage_stock"])
            if data["manage_stock"] is not True:
                data["stock_quantity"] = None  # a quantity sent along is ignored in silence
            elif body.get("stock_quantity") is not None:
                data["stock_quantity"] = int(body["stock_quantity"])
        if "stock_status" in body:
            data["stock_status"] = body["stock_status"]
        if "meta_data" in body:
            data["meta_data"] = merged_meta(data["meta_data"], body["meta_data"])

    def _put(self, place: dict[int, Json], data: Json, old: Json | None) -> None:
        """Keep it under its id, with dates and everything derived; move the indexes."""
        second = int(self._now())
        if old is None:
            data["id"] = next(self._ids)
            self._date(data, "date_created", second)
            self.created[data["id"]] = second
            slug = data.get("slug") or _slug(data["name"])
            if "slug" in data:
                data.update(slug=slug, permalink=f"https://shop.example/product/{slug}/")
        else:
            self._forget(old)
        self._touch(data)
        self._sync(data)
        place[data["id"]] = data
        if data["sku"]:
            self._skus.setdefault(data["sku"].lower(), set()).add(data["id"])
        if data["global_unique_id"]:
            self._gtins[data["global_unique_id"]] = data["id"]

    def _forget(self, row: Json) -> None:
        self._skus.get(row["sku"].lower(), set()).discard(row["id"])
        self._gtins.pop(row["global_unique_id"], None)

    def _touch(self, row: Json) -> None:
        self.modified[row["id"]] = int(self._now())
        self._date(row, "date_modified", self.modified[row["id"]])

    def _sync(self, row: Json) -> None:
        """Price, sale, stock status: what follows from the rest."""
        if row["type"] == "variable":
            prices = [child["price"] for child in self.children(row["id"]) if child["price"]] if row.get("id") else []
            row["price"] = min(prices, key=float, default="")
        else:
            row["on_sale"] = self._on_sale(row)
            row["price"] = row["sale_price"] if row["on_sale"] else row["regular_price"]
        row["purchasable"] = row["price"] != ""
        if row["manage_stock"] is True:
            row["stock_quantity"] = row["stock_quantity"] or 0
            out = "outofstock" if row["backorders"] == "no" else "onbackorder"
            row["stock_status"] = "instock" if row["stock_quantity"] > 0 else out
        row["backorders_allowed"] = row["backorders"] != "no"

    def _on_sale(self, row: Json) -> bool:
        if not row["sale_price"] or not row["regular_price"] or float(row["sale_price"]) >= float(row["regular_price"]):
            return False
        start, end = row["date_on_sale_from_gmt"], row["date_on_sale_to_gmt"]
        now = datetime.fromtimestamp(self._now(), UTC).replace(tzinfo=None).isoformat()
        return (start is None or start <= now) and (end is None or now <= end)

    def _check_sku(self, sku: str, own: int | None) -> None:
        others = [number for number in self._skus.get(sku.lower(), ()) if number != own] if sku else []
        if not others:
            return
        if (self.entry(others[0]) or {}).get("status") == "trash":  # as measured: it says no more than that
            words = f"The SKU ({sku}) you are trying to insert is already present in the lookup table"
            raise Rest(400, "woocommerce_rest_product_not_created", words)
        data = {"status": 400, "resource_id": others[0], "unique_sku": f"{sku}-1"}
        raise Rest(400, "product_invalid_sku", "Invalid or duplicated SKU.", data)

    def _check_gtin(self, gtin: str, own: int | None) -> None:
        other = self._gtins.get(gtin) if gtin else None
        if (other is not None and other != own) or not re.fullmatch(r"[\d-]*", gtin):
            data = {"status": 400, "resource_id": other or 0}
            words = "Invalid or duplicated GTIN, UPC, EAN or ISBN."
            raise Rest(400, "product_invalid_global_unique_id", words, data)

    def _categories(self, wanted: list[Json]) -> list[Json]:
        """Unknown ids are dropped in silence; without any it is Uncategorized."""
        found = [self.categories[row["id"]] for row in wanted if row.get("id") in self.categories]
        return [{key: row[key] for key in ("id", "name", "slug")} for row in found or [self.categories[15]]]

    def _attributes(self, wanted: list[Json]) -> list[Json]:
        rows = []
        for row in wanted:
            shared = self.attributes.get(row.get("id") or 0)
            name = shared["name"] if shared else str(row.get("name", ""))
            options = [str(option) for option in row.get("options", [])]
            if not name or (shared and not options):
                continue
            if shared:
                terms = self._terms[shared["id"]]
                terms += [option for option in options if option not in terms]
            rows.append(
                {
                    "id": shared["id"] if shared else 0,
                    "name": name,
                    "slug": shared["slug"] if shared else name,
                    "position": int(row.get("position", 0)),
                    "visible": bool(row.get("visible")),
                    "variation": bool(row.get("variation")),
                    "options": options,
                }
            )
        return rows

    def _choices(self, parent: int, wanted: list[Json]) -> list[Json]:
        """A variation's options; those of attributes its parent does not vary by are dropped in silence."""
        rows = [row for row in self.products[parent]["attributes"] if row["variation"]]
        found = []
        for choice in wanted:
            for row in rows:
                if (row["id"] == choice["id"]) if choice.get("id") else (row["name"] == choice.get("name")):
                    option = str(choice.get("option", ""))
                    found.append({key: row[key] for key in ("id", "name", "slug")} | {"option": option})
        return found

    def _images(self, wanted: list[Json], code: str) -> list[Json]:
        """Images by address are fetched; by id they are kept."""
        rows = []
        for row in wanted:
            if row.get("id"):
                rows.append({"id": row["id"], "src": row.get("src", ""), "name": "", "alt": ""})
            elif src := str(row.get("src", "")):
                if src in self.broken_images or not src.startswith(("http://", "https://")):
                    raise Rest(400, code, f"Error getting remote image {src}. Error: Not Found")
                self.uploads.append(src)
                rows.append({"id": next(self._ids), "src": src, "name": row.get("name", ""), "alt": ""})
        return rows


_VARIATION = (
    *("type", "date_created", "date_created_gmt", "date_modified", "date_modified_gmt", "description", "permalink"),
    *("sku", "global_unique_id", "price", "regular_price", "sale_price", "date_on_sale_from"),
    *("date_on_sale_from_gmt", "date_on_sale_to", "date_on_sale_to_gmt", "on_sale", "status", "purchasable"),
    *("virtual", "downloadable", "downloads", "download_limit", "download_expiry", "tax_status", "tax_class"),
    *("manage_stock", "stock_quantity", "stock_status", "backorders", "backorders_allowed", "backordered"),
    *("low_stock_amount", "weight", "dimensions", "shipping_class", "shipping_class_id", "image", "attributes"),
    *("menu_order", "meta_data", "name", "parent_id"),
)


def _recorded(folder: Path | str, pattern: str) -> list[Json]:
    return [without_links(row) for _, recording in recordings(folder, pattern) for row in recording["response"]["body"]]


def _template() -> Json:
    """A new product without anything: the recorded answer to making one, emptied."""
    recording = next(iter(recordings(RECORDINGS, "errors/batch_partial.json")))[1]
    data = without_links(recording["response"]["body"]["create"][0])
    for name in ("permalink_template", "generated_slug", "id"):
        del data[name]
    return {**data, "name": "", "slug": "", "sku": "", "price": "", "regular_price": "", "purchasable": False}


def _price(value: Any) -> str:
    """wc_format_decimal: a comma is a point, what is no number is nothing."""
    text = str(value).strip()
    return text.replace(",", ".") if _NUMBER.fullmatch(text) else ""


def _second(text: str) -> int | None:
    """strtotime of a GMT date; an empty text clears."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", html.unescape(name).lower()).strip("-")
