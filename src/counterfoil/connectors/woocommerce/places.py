"""Which product or variation of the shop is which article: by link, else by SKU, never by a name.

A link is `55` for a product and `55/56` for a variation with its parent. SKUs are asked for with `GET products?sku=`,
which finds variations too and looks at an entry's own SKU only: in lists and answers a variation without one carries
its parent's (recorded: shop facts, "Money"), so a variation that shows its parent's SKU has none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from counterfoil.connectors.woocommerce.client import Answer, Client
from counterfoil.connectors.woocommerce.reading import clean
from counterfoil.hub.contract import Failure, Kind, Outcome

PAGE = 100
_URL = 4000
"""Characters of SKUs in one address: web servers take about 8,000 for all of it."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A product of the shop, or a variation of one."""

    product: int
    variation: int = 0

    @property
    def link(self) -> str:
        """`55` or `55/56`."""
        return f"{self.product}/{self.variation}" if self.variation else str(self.product)


def place_of(link: str) -> Place | None:
    """The place a link names; None for a text that is no link."""
    product, slash, variation = link.partition("/")
    numbers = [product, variation] if slash else [product]
    if not all(n.isascii() and n.isdigit() and int(n) for n in numbers):
        return None
    return Place(int(product), int(variation) if slash else 0)


def place_of_row(row: Row) -> Place:
    """Where a row of `GET products` stands."""
    return Place(row["parent_id"], row["id"]) if row["type"] == "variation" else Place(row["id"])


def one_article(sku: str, rows: Iterable[Row]) -> Place | Outcome | None:
    """The article with this SKU among the shop's rows for it; None if there is none, an exception if it is unclear."""
    found = [place_of_row(row) for row in rows]
    if len(found) > 1:
        return ambiguous(sku, [place.link for place in found])
    kinds = {row["type"] for row in rows}
    if kinds - {"simple", "variation"}:
        return Outcome(
            Kind.REJECTED,
            "not_an_article",
            f"The SKU {sku} stands in the shop on a {'/'.join(sorted(kinds))} product, which has no stock of its own.",
            f"product {found[0].link}",
            "Give the SKU to the variation it means, or take it off the product.",
        )
    return found[0] if found else None


def ambiguous(sku: str, links: Iterable[str]) -> Outcome:
    """Several things in the shop answer to one SKU: a person decides which is meant."""
    return Outcome(
        Kind.REJECTED,
        "ambiguous_sku",
        f"The shop has several products with the SKU {sku}.",
        f"products {', '.join(sorted(links))}",
        "Give each its own SKU in the shop, then retry.",
    )


async def rows_by_sku(client: Client, skus: Iterable[str], fields: str) -> dict[str, list[Row]]:
    """The shop's products and variations of each SKU, the trash left out. `fields` are asked for beside the key.

    The shop compares without regard to case; what differs in it is another SKU and left out. Raises Failure.
    """
    wanted = {sku for sku in skus if sku}
    found: dict[str, list[Row]] = {}
    for chunk in _chunks(sorted(wanted)):
        async for row in pages(client, "products", sku=chunk, _fields=f"id,sku,type,parent_id,{fields}"):
            if row.get("sku") in wanted and row not in found.setdefault(row["sku"], []):
                found[row["sku"]].append(row)
    return found


async def rows_by_id(client: Client, numbers: Iterable[int], fields: str) -> dict[int, Row]:
    """Products by id, the trash left out. Raises Failure."""
    wanted = sorted(set(numbers))
    found: dict[int, Row] = {}
    for start in range(0, len(wanted), PAGE):
        include = ",".join(str(number) for number in wanted[start : start + PAGE])
        fields_ = f"id,sku,type,parent_id,{fields}"
        async for row in pages(client, "products", include=include, _fields=fields_):
            found[row["id"]] = row
    return found


async def pages(client: Client, path: str, **params: str | int) -> AsyncIterator[Row]:
    """All rows of a list, in order of id. Raises Failure."""
    page, last = 1, 1
    while page <= last:
        answer = await client.get(path, per_page=PAGE, page=page, orderby="id", order="asc", **params)
        for row in rows_in(answer, path):
            yield row
        last = answer.number("x-wp-totalpages") or 1
        page += 1


def rows_in(answer: Answer, path: str) -> list[dict[str, Any]]:
    """The rows of a list; some caches and plugins answer with anything. Raises Failure."""
    if isinstance(answer.data, list) and all(isinstance(row, dict) and "id" in row for row in answer.data):
        return answer.data
    technical = f"{path}: expected a list, got {answer.body[:200].decode('utf-8', 'replace')!r}"
    raise Failure(Outcome(Kind.RETRY, "odd_answer", "The shop answered with something else.", technical))


async def articles(client: Client) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """Every article of the shop by its link, in order of product id, with its keys: sku, gtin, product, label.

    Variations each on their own; a variation that shows its parent's SKU has none. Raises Failure.
    """
    async for product in pages(client, "products", _fields="id,sku,type,name,global_unique_id"):
        if product["type"] != "variable":
            yield str(product["id"]), _keys(product, str(product["id"]), str(product["sku"]))
            continue
        path = f"products/{product['id']}/variations"
        async for row in pages(client, path, _fields="id,sku,name,global_unique_id"):
            own = "" if row["sku"] == product["sku"] else str(row["sku"])
            named = {**row, "name": f"{product['name']} - {row.get('name', '')}"}
            yield f"{product['id']}/{row['id']}", _keys(named, str(product["id"]), own)


def _keys(row: Row, product: str, sku: str) -> dict[str, str]:
    keys = {"sku": sku, "gtin": str(row.get("global_unique_id") or ""), "product": product}
    keys["label"] = clean(str(row.get("name", "")))
    return {name: value for name, value in keys.items() if value}


def _chunks(skus: list[str]) -> Iterator[str]:
    """SKUs for one request each, joined by commas; one that has a comma goes alone, as the shop splits there."""
    chunk: list[str] = []
    length = 0
    for sku in skus:
        size = len(quote(sku)) + 3
        if "," in sku:
            yield sku
            continue
        if chunk and (len(chunk) == PAGE or length + size > _URL):
            yield ",".join(chunk)
            chunk, length = [], 0
        chunk.append(sku)
        length += size
    if chunk:
        yield ",".join(chunk)
