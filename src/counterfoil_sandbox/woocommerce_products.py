"""The products part of the WooCommerce stand-in's REST API: lists, single ones, batches, categories, attributes."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from starlette.requests import Request

from counterfoil_sandbox.woocommerce_catalogue import Catalogue, Json
from counterfoil_sandbox.woocommerce_rest import Rest, count_of, invalid, json_body, listed, moment_of, one_of, paging
from counterfoil_sandbox.woocommerce_state import Shop

Handler = Callable[[Request], Any]
_BATCH = 100
_STATUSES = ("any", "future", "trash", "draft", "pending", "private", "publish")
_ORDERBY = ("date", "id", "include", "title", "slug", "modified", "menu_order")
_TEXTS = ("regular_price", "sale_price", "sku", "name", "description", "weight", "tax_class", "global_unique_id")
_GONE = Rest(404, "woocommerce_rest_product_invalid_id", "Invalid ID.")
_GONE_VARIATION = Rest(404, "woocommerce_rest_product_variation_invalid_id", "Invalid ID.")


class Products:
    """The handlers, over the shop's catalogue."""

    def __init__(self, shop: Shop, folder: Path | str | None) -> None:
        self.shop = shop
        self.catalogue = shop.catalogue = Catalogue(shop.lock, shop.now, shop.date, folder)

    @property
    def table(self) -> list[tuple[str, Handler, str, list[str]]]:
        """Path, handler, Allow header and methods of each route."""
        one, many = "GET, POST, PUT, PATCH, DELETE", "GET, POST"
        every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        writes = ["POST", "PUT", "PATCH"]
        variations = "/products/{id:int}/variations"
        return [
            ("/products", self.products, many, ["GET", "POST"]),
            ("/products/batch", self.batch, "POST, PUT, PATCH", writes),
            ("/products/categories", self.categories, many, ["GET", "POST"]),
            ("/products/attributes", self.attributes, many, ["GET"]),
            ("/products/{id:int}", self.product, one, every),
            (variations, self.variations, many, ["GET", "POST"]),
            (f"{variations}/batch", self.variations_batch, "POST, PUT, PATCH", writes),
            (f"{variations}/{{variation:int}}", self.variation, one, every),
            ("/taxes/classes", self.tax_classes, many, ["GET"]),
            ("/settings/products", self.settings, "GET", ["GET"]),
        ]

    # -- products

    async def products(self, request: Request) -> Any:
        """List products, or make one."""
        if request.method == "POST":
            body = await json_body(request)
            _check(body)
            made = self.catalogue.write(body)
            return 201, _written(made), {"Location": f"{self.shop.url}wp-json/wc/v3/products/{made['id']}"}
        with self.shop.lock:
            query = request.query_params
            if query.get("sku"):  # the only way to see variations here; of several texts the whole counts too
                skus = query["sku"].split(",")
                rows: Iterable[Json] = self.catalogue.with_skus([*skus, query["sku"]])
            elif query.get("include"):
                rows = [row for n in _numbers(query["include"]) if (row := self.catalogue.products.get(n)) is not None]
            else:
                rows = self.catalogue.products.values()
            return self._page(request, rows, self.catalogue.shown)

    async def product(self, request: Request) -> Any:
        """Read, change or delete one product; a variation can be read here too."""
        number = request.path_params["id"]
        if request.method in ("POST", "PUT", "PATCH"):
            body = await json_body(request)
            _check(body)
            return _written(self.catalogue.write(body, number))
        with self.shop.lock:
            row = self.catalogue.entry(number)
            if row is None:
                raise _GONE
            if request.method == "DELETE":
                return self.catalogue.remove(number, request.query_params.get("force") in ("true", "1"))
            return self.catalogue.shown(row)

    async def batch(self, request: Request) -> Any:
        """Many at once: 200, with an error for each that fails. The parts are not checked for their types."""
        body = await json_body(request)
        return self._batch(
            body,
            lambda row: _written(self.catalogue.write(row)),
            lambda row: _written(self.catalogue.write(row, _number(row.get("id")))),
            lambda number: self.catalogue.remove(number),
        )

    # -- variations

    async def variations(self, request: Request) -> Any:
        """List the variations of a product, or make one."""
        parent = request.path_params["id"]
        if request.method == "POST":
            body = await json_body(request)
            _check(body)
            made = self.catalogue.write_variation(parent, body)
            place = f"{self.shop.url}wp-json/wc/v3/products/{parent}/variations/{made['id']}"
            return 201, self.catalogue.shown_variation(made), {"Location": place}
        with self.shop.lock:
            rows = self.catalogue.children(parent)
            if sku := request.query_params.get("sku"):
                rows = [row for row in rows if row["sku"].lower() in {s.lower() for s in sku.split(",")}]
            if include := request.query_params.get("include"):
                rows = [row for row in rows if row["id"] in _numbers(include)]
            return self._page(request, rows, self.catalogue.shown_variation)

    async def variation(self, request: Request) -> Any:
        """Read, change or delete one variation."""
        parent, number = request.path_params["id"], request.path_params["variation"]
        if request.method in ("POST", "PUT", "PATCH"):
            body = await json_body(request)
            _check(body)
            return self.catalogue.shown_variation(self.catalogue.write_variation(parent, body, number))
        with self.shop.lock:
            row = self.catalogue.variations.get(number)
            if row is None or row["parent_id"] != parent:
                raise _GONE_VARIATION
            return self.catalogue.remove(number) if request.method == "DELETE" else self.catalogue.shown_variation(row)

    async def variations_batch(self, request: Request) -> Any:
        """Many variations of one product at once."""
        parent, body = request.path_params["id"], await json_body(request)

        def update(row: Json) -> Json:
            return self.catalogue.write_variation(parent, row, _number(row.get("id")))

        return self._batch(
            body,
            lambda row: self.catalogue.write_variation(parent, row),
            update,
            lambda number: self.catalogue.remove(number),
            self.catalogue.shown_variation,
        )

    # -- the rest

    async def categories(self, request: Request) -> Any:
        """List categories by name, or make one."""
        if request.method == "POST":
            made = self.catalogue.category(await json_body(request))
            return 201, made, {"Location": f"{self.shop.url}wp-json/wc/v3/products/categories/{made['id']}"}
        query = request.query_params
        page, per_page = count_of(query, "page", 1, 10**9), count_of(query, "per_page", 10, 100)
        rows = sorted(self.catalogue.categories.values(), key=_collated)
        if "parent" in query:
            rows = [row for row in rows if str(row["parent"]) == query["parent"]]
        return 200, rows[(page - 1) * per_page : page * per_page], paging(request, page, per_page, len(rows))

    async def attributes(self, request: Request) -> Any:
        """All global attributes; there are no pages."""
        rows = list(self.catalogue.attributes.values())
        return 200, rows, {"X-WP-Total": str(len(rows)), "X-WP-TotalPages": "1"}

    async def tax_classes(self, _request: Request) -> Any:
        """All tax classes."""
        rows = self.catalogue.tax_classes
        return 200, rows, {"X-WP-Total": str(len(rows)), "X-WP-TotalPages": "1"}

    async def settings(self, _request: Request) -> Any:
        """WooCommerce > Settings > Products, as far as anyone looks; not held to a recording, as there is none."""
        names = ("woocommerce_weight_unit", "woocommerce_manage_stock")
        return [{"id": name, "value": self.catalogue.settings[name]} for name in names]

    # -- small print

    def _page(self, request: Request, rows: Iterable[Json], shown: Callable[[Json], Json]) -> Any:
        query = request.query_params
        page, per_page = count_of(query, "page", 1, 10**9), count_of(query, "per_page", 10, 100)
        orderby = one_of(query, "orderby", "date", _ORDERBY)
        order = one_of(query, "order", "desc", ("asc", "desc"))
        found = [row for row in rows if self._wanted(query, row)]
        if orderby != "include":
            found.sort(key=self._key(orderby), reverse=order == "desc")
        start = int(query.get("offset") or (page - 1) * per_page)
        return 200, [shown(row) for row in found[start : start + per_page]], paging(request, page, per_page, len(found))

    def _key(self, orderby: str) -> Callable[[Json], Any]:
        times = {"date": self.catalogue.created, "modified": self.catalogue.modified}.get(orderby)
        if times is not None:
            return lambda row: (times[row["id"]], row["id"])
        field = {"title": "name"}.get(orderby, orderby)
        return lambda row: (row.get(field, ""), row["id"])

    def _wanted(self, query: Any, row: Json) -> bool:
        status = one_of(query, "status", "any", _STATUSES)
        if row["status"] == "trash" if status == "any" else row["status"] != status:
            return False
        if "type" in query and row["type"] != query["type"]:
            return False
        if "slug" in query and row.get("slug") != query["slug"]:
            return False
        if "exclude" in query and row["id"] in _numbers(query["exclude"]):
            return False
        if "search" in query and query["search"].lower() not in row["name"].lower():
            return False
        for name, times in (("", self.catalogue.created), ("modified_", self.catalogue.modified)):
            for side in ("after", "before"):
                if f"{name}{side}" in query:
                    gmt = query.get("dates_are_gmt") in ("true", "1")
                    bound = moment_of(f"{name}{side}", query[f"{name}{side}"], gmt, self.shop.zone)
                    own = times[row["id"]]
                    if own <= bound if side == "after" else own >= bound:
                        return False
        return True

    def _batch(
        self,
        body: Json,
        create: Callable[[Json], Json],
        update: Callable[[Json], Json],
        delete: Callable[[int], Json],
        shown: Callable[[Json], Json] = lambda row: row,
    ) -> Any:
        if sum(len(body.get(part) or []) for part in ("create", "update", "delete")) > _BATCH:
            words = f"Unable to accept more than {_BATCH} items for this request."
            raise Rest(413, "woocommerce_rest_request_entity_too_large", words)
        answer: Json = {}
        for part, work in (("create", create), ("update", update), ("delete", delete)):
            rows = body.get(part)
            if rows:
                answer[part] = [self._one(part, row, work, shown) for row in rows]
        return answer

    def _one(self, part: str, row: Any, work: Callable[[Any], Json], shown: Callable[[Json], Json]) -> Json:
        number = 0 if part == "create" else row if part == "delete" else row.get("id")
        try:
            return shown(work(row))
        except Rest as error:
            return {"id": number, "error": error.body}


def _check(body: Json) -> None:
    """The types of a single write, which WordPress checks before anything else."""
    for name in _TEXTS:
        if name in body and not isinstance(body[name], str):
            raise _wrong_type(name, "string")
    quantity = body.get("stock_quantity")
    if quantity is not None and not str(quantity).lstrip("-").isdigit():
        raise _wrong_type("stock_quantity", "integer")
    known = ("draft", "pending", "private", "publish", "future", "auto-draft", "trash")
    if "status" in body and body["status"] not in known:
        raise invalid("status", f"status is not one of {listed(known)}.", "rest_not_in_enum")


def _wrong_type(name: str, wanted: str) -> Rest:
    words = f"{name} is not of type {wanted}."
    details = {name: {"code": "rest_invalid_type", "message": words, "data": {"param": name}}}
    data = {"status": 400, "params": {name: words}, "details": details}
    return Rest(400, "rest_invalid_param", f"Invalid parameter(s): {name}", data)


def _written(row: Json) -> Json:
    """The answer to a write tells two things more (recorded)."""
    return {
        **row,
        "permalink_template": row["permalink"].replace(row["slug"], "%pagename%"),
        "generated_slug": row["slug"],
    }


def _collated(row: Json) -> str:
    """MySQL sorts é beside e."""
    plain = unicodedata.normalize("NFKD", row["name"])
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


def _numbers(text: str) -> list[int]:
    return [int(n) for n in text.split(",") if n.strip().isdigit()]


def _number(value: Any) -> int:
    return value if isinstance(value, int) else -1
