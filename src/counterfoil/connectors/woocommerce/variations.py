"""The variations of one product: matched by our id or their own SKU, made, changed, hidden; never deleted.

Orders point at variations, so one that its home system has dropped is hidden (`private`), and one that a person made
in the shop is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from counterfoil.connectors.woocommerce import batches
from counterfoil.connectors.woocommerce.client import Client
from counterfoil.connectors.woocommerce.places import Place, Row, ambiguous, pages
from counterfoil.connectors.woocommerce.product_fields import (
    DIGEST,
    ID,
    IMAGES,
    Article,
    Content,
    Facts,
    Wanted,
    choice_of,
    meta,
    meta_data,
)
from counterfoil.connectors.woocommerce.refusals import named, not_kept
from counterfoil.connectors.woocommerce.shop_rows import extended, ours
from counterfoil.hub.contract import Outcome, rejected

_FIELDS = "id,sku,status,meta_data"
_HIDDEN = "private"


@dataclass(slots=True)
class Variations:
    """What became of them: links by canonical id, the canonical ids of new ones, and the first problem."""

    links: dict[str, str] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)
    problem: Outcome | None = None


@dataclass(frozen=True, slots=True)
class _Write:
    """One variation to be made (no id in its content) or changed; `article` is None for one that is hidden."""

    content: Content
    article: Article | None


async def publish_variations(
    client: Client, facts: Facts, want: Wanted, row: Row, made: bool, attempt: int, rewrite: bool = False
) -> Variations:
    """Bring the variations of the product `row` to what is wanted; one just `made` has none yet. Raises Failure.

    Idempotent: they are looked up first, and those that carry their digest are not written, unless all are to be
    written again (`rewrite`).
    """
    result, parent = Variations(), int(row["id"])
    path = f"products/{parent}/variations"
    known = [] if made else [found async for found in pages(client, path, _fields=_FIELDS)]
    matched, problem = _match(want, known, str(row.get("sku", "")))
    if problem is not None:
        return Variations(problem=problem)
    missing = [a for a in want.articles if a.id not in matched and not a.withheld]
    if missing and not made and not ours(row) and row.get("type") == "variable":
        result.problem = await _make_room(client, want, row)
        if result.problem is not None:
            return result
    writes = [
        write for a in want.articles if (write := _write(a, matched.get(a.id), want, row, facts, rewrite)) is not None
    ]
    writes += _dropped(want, known) if want.shows else []
    result.links = {id_: Place(parent, int(found["id"])).link for id_, found in matched.items()}
    for chunk in batches.portions(writes, lambda write: write.content):
        await _write_some(client, path, parent, chunk, result, attempt)
    return result


def _match(want: Wanted, known: Sequence[Row], parent_sku: str) -> tuple[dict[str, Row], Outcome | None]:
    """The shop's variation of each article: by our id, else by a SKU of its own (one like its parent's is none)."""
    matched: dict[str, Row] = {}
    for article in want.articles:
        found = [row for row in known if meta(row, ID) == article.id]
        if not found and article.sku and article.sku != parent_sku:
            found = [row for row in known if row.get("sku") == article.sku and meta(row, ID) in ("", article.id)]
        if len(found) > 1:
            return {}, ambiguous(article.sku, [f"variation {row['id']}" for row in found])
        if found:
            matched[article.id] = found[0]
    return matched, None


async def _make_room(client: Client, want: Wanted, row: Row) -> Outcome | None:
    """New options for a product that the shop made itself; an exception where it varies by other things."""
    attributes = extended(row, want.options)
    if attributes is None:
        names = ", ".join(want.options) or "nothing"
        words = (
            f"A variant is missing in the shop's product {row['id']}, which does not vary by {names} as the ERP's does."
        )
        fix = "Make the attributes alike in both, letter for letter, or add the variation with its SKU in the shop."
        return rejected("options_differ", words, fix)
    _, (answered,) = await batches.write(client, "products", update=[{"id": row["id"], "attributes": attributes}])
    return answered if isinstance(answered, Outcome) else None


def _write(
    article: Article, found: Row | None, want: Wanted, row: Row, facts: Facts, rewrite: bool = False
) -> _Write | None:
    """What to send for an article; None where it stands already, or is neither there nor for sale."""
    if found is not None and not rewrite and meta(found, DIGEST) == article.digest:
        return None
    if article.withheld:
        if found is None or not want.shows:
            return None
        content = {"id": found["id"], "status": _HIDDEN, "meta_data": meta_data(digest=article.digest)}
        return _Write(content, article)
    content = dict(article.content)
    values = {"id": article.id, "digest": article.digest}
    if found is None:
        content["status"] = "publish"
        if want.tracked:
            content["manage_stock"] = True  # with nothing on it until its stock is told: never oversold
    else:
        content["id"] = found["id"]
        content |= {"status": "publish"} if want.shows else {}
    if found is None or ours(row):
        content["attributes"] = choice_of(article, facts)
    if article.image is not None and (found is None or meta(found, IMAGES) != article.image.digest):
        content["image"] = {"src": article.image.url}
        values["images"] = article.image.digest
    content["meta_data"] = meta_data(**values)
    return _Write(content, article)


def _dropped(want: Wanted, known: Sequence[Row]) -> list[_Write]:
    """Variations of ours that the product no longer has."""
    own = {article.id for article in want.articles} | {""}
    left = [row for row in known if meta(row, ID) not in own and row.get("status") != _HIDDEN]
    return [_Write({"id": row["id"], "status": _HIDDEN, "meta_data": meta_data(digest="")}, None) for row in left]


async def _write_some(
    client: Client, path: str, parent: int, writes: Sequence[_Write], result: Variations, attempt: int
) -> None:
    new = [write for write in writes if "id" not in write.content]
    old = [write for write in writes if "id" in write.content]
    created, updated = await batches.write(client, path, [w.content for w in new], [w.content for w in old])
    for write, row in zip([*new, *old], [*created, *updated], strict=True):
        sku = write.article.sku if write.article else ""
        if isinstance(row, Outcome):
            result.problem = result.problem or named(row, sku, attempt, write.content)
            continue
        result.problem = result.problem or not_kept(sku, write.content, row)
        if write.article is not None:
            result.links[write.article.id] = Place(parent, int(row["id"])).link
            if "id" not in write.content:
                result.new.append(write.article.id)
