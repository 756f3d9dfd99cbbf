"""publish_product: make or change products of the shop, so that they stand there as their home system has them.

One round for a batch: look the products up (by link, else by SKU), leave alone what carries the digest of what is to
be published, write the rest in batches of 100, then the variations of each, and last the digest of those that have
variations. Whatever breaks off in between is found again by SKU and carried on: nothing is made twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from counterfoil.connectors.woocommerce import batches
from counterfoil.connectors.woocommerce.client import Client
from counterfoil.connectors.woocommerce.places import Row, ambiguous, place_of, rows_by_id, rows_by_sku
from counterfoil.connectors.woocommerce.product_fields import (
    DIGEST,
    ID,
    IMAGES,
    Content,
    Facts,
    Wanted,
    attributes_of,
    meta,
    meta_data,
    money_differs,
    wanted,
)
from counterfoil.connectors.woocommerce.refusals import named, not_kept
from counterfoil.connectors.woocommerce.shop_facts import ShopFacts
from counterfoil.connectors.woocommerce.shop_rows import categories_of, images_of, kept_attributes
from counterfoil.connectors.woocommerce.variations import publish_variations
from counterfoil.hub.contract import Failure, Item, Kind, Outcome, rejected
from counterfoil.retail.fields import ALL, Owned, owned_in
from counterfoil.retail.listing import Channel, sentence
from counterfoil.retail.product import Product

BATCH = 100
"""Products of one round: each that has variations takes a call or two of its own."""
_OURS = {"visibility": "sellable"}
_FIELDS = "status,catalog_visibility,categories,images,attributes,variations,meta_data"


@dataclass(slots=True)
class Job:
    """One product on its way, as far as the `channel` takes it. `row` is what the shop has of it, None: to be made."""

    item: Item
    channel: Channel
    product: Product | None = None
    want: Wanted | None = None
    row: Row | None = None
    outcome: Outcome | None = None
    made: bool = False
    differs: tuple[str, str] | None = None
    links: dict[str, str] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)

    @property
    def rewrite(self) -> bool:
        """Whether it is written though it carries its digest: what stands in the shop is known to be something else."""
        return self.item.data.get("rewrite") is True

    @property
    def open(self) -> bool:
        """Whether there is still something to be done."""
        return self.outcome is None and self.want is not None

    @property
    def sku(self) -> str:
        """What to call it in a message."""
        return self.wish.articles[0].sku if self.wish.articles else self.item.subject

    @property
    def wish(self) -> Wanted:
        """What is wanted of an open job."""
        if self.want is None:
            raise AssertionError("a job without a product is never open")
        return self.want


async def publish_products(client: Client, channel: Channel, shop: ShopFacts, items: Sequence[Item]) -> list[Outcome]:
    """Publish each item's Product (`data["state"]`); one outcome an item.

    Idempotent: found by link or SKU before it is made, and left alone where its digest stands in the shop already.
    A second hub making the same simple product is refused by the shop's unique SKUs. A product with variations gets
    its canonical id for a SKU and stays a draft until its variations stand, so it is found again after a lost answer.
    Of what the data name as `owned` nothing else is written, and nothing at all for who does not own the product.
    Raises Failure for the shop as a whole; then all is looked up anew.
    """
    facts = await shop.facts()
    jobs = [_job(item, _narrowed(channel, owned_in(item.data)), facts) for item in items]
    _refuse_other_money(jobs, shop, facts)
    _refuse_shared_skus(jobs)
    await _find(client, [job for job in jobs if job.open])
    for job in jobs:
        _follow_shape(job, facts)
    taken = Counter(job.row["id"] for job in jobs if job.row is not None)
    for job in jobs:
        if job.open and job.row is not None:
            job.outcome = _unfit(job, job.row, taken[job.row["id"]])
        if job.open:
            _settle_early(job)
    await _write_products(client, shop, facts, [job for job in jobs if job.open])
    for job in jobs:
        if job.open and not job.wish.simple:
            await _write_variations(client, facts, job)
    await _finish(client, [job for job in jobs if job.open])
    return [job.outcome or _published(job) for job in jobs]


def _narrowed(channel: Channel, owned: Owned) -> Channel:
    """The channel without the fields that somebody else owns; whether a product is to be seen is its `sellable`."""
    kept = {name for name in channel.publish if name == "stock" or _OURS.get(name, name) in owned}
    return channel if owned == ALL else replace(channel, publish=frozenset(kept))


def _job(item: Item, channel: Channel, facts: Facts) -> Job:
    try:
        product = Product.model_validate(item.data.get("state") or item.data.get("product")).on(channel.name)
    except ValidationError as error:
        technical = f"{item.subject}: {error.error_count()} errors, first at {error.errors()[0]['loc']}"
        outcome = Outcome(Kind.BUG, "no_product", "There is no product to publish.", technical)
        return Job(item, channel, outcome=outcome)
    if "product" not in owned_in(item.data):
        result = {"written": False, "because": "Only the owner of products publishes them."}
        return Job(item, channel, outcome=Outcome(Kind.DONE, result=result))
    job = Job(item, channel, product, wanted(product, channel, facts))
    job.differs = None if job.wish.hidden else money_differs(product, channel, facts)
    return job


def _refuse_other_money(jobs: Sequence[Job], shop: ShopFacts, facts: Facts) -> None:
    """Prices that cannot be the shop's. Where that is so for all products, a person is asked once for all of them."""
    differing = [job.item.subject for job in jobs if job.differs]
    fitting = any(job.open and not job.wish.hidden and not job.differs for job in jobs)
    teller = shop.teller(facts, differing, fitting)
    fix = "Make the ERP's and the shop's prices alike in this, or leave price and sale out of the channel's publish."
    for job in jobs:
        if job.differs is None:
            continue
        reason, words = job.differs
        if teller is None:
            job.outcome = rejected(reason, f"{job.wish.name} was not published: {words}.", fix)
        elif job.item.subject == teller:
            words = f"{job.wish.name} and the others are not published: {words}."
            job.outcome = rejected(reason, words, f"{fix} Then: counterfoil publish SHOP products --again.")
        else:
            result = {"written": False, "because": f"Not published: {words}.", "reasons": [reason]}
            job.outcome = Outcome(Kind.DONE, result=result)


def _refuse_shared_skus(jobs: Sequence[Job]) -> None:
    """Two products with one SKU would take turns at the same product of the shop."""
    shown = [job for job in jobs if job.open and not job.wish.hidden]
    counts = Counter(sku for job in shown for sku in set(job.wish.skus))
    for job in shown:
        shared = sorted(sku for sku in job.wish.skus if counts[sku] > 1)
        if shared:
            words = f"The SKU {shared[0]} stands on several products."
            job.outcome = rejected("duplicate_sku", words, "Give each product its own SKU, then publish again.")


async def _find(client: Client, jobs: Sequence[Job]) -> None:
    """What the shop has of each: by link in one read per 100, else by SKU."""
    linked = {job.item.subject: place for job in jobs if (place := place_of(job.item.link)) is not None}
    rows = await rows_by_id(client, {place.product for place in linked.values()}, _FIELDS) if linked else {}
    unknown = []
    for job in jobs:
        place = linked.get(job.item.subject)
        job.row = rows.get(place.product) if place else None
        if job.row is None:
            unknown.append(job)
    found = await rows_by_sku(client, {sku for job in unknown for sku in job.wish.skus}, _FIELDS) if unknown else {}
    parents = {row["parent_id"] for group in found.values() for row in group if row["type"] == "variation"}
    rows = await rows_by_id(client, parents, _FIELDS) if parents else {}
    for job in unknown:
        _choose(job, found, rows)


def _follow_shape(job: Job, facts: Facts) -> None:
    """One variant in the ERP, one variation in the shop: then it stays one to choose from."""
    product, row = job.product, job.row
    if not job.open or product is None or row is None or row["type"] != "variable":
        return
    if len(product.variants) == 1 and product.variants[0].options:
        job.want = wanted(product, job.channel, facts, choosable=True)


def _choose(job: Job, found: dict[str, list[Row]], parents: dict[int, Row]) -> None:
    """The one product of the shop that carries the SKUs of this one.

    To take it off sale only what we made or took over counts: the SKU may be a successor's, or the shop's own.
    """
    roots: dict[int, Row] = {}
    for sku in job.wish.skus:
        rows = found.get(sku, [])
        if job.wish.hidden:
            owned = [parents.get(row["parent_id"], row) for row in rows]
            roots |= {row["id"]: row for row in owned if meta(row, ID) == job.wish.id}
            continue
        if len(rows) > 1:
            job.outcome = ambiguous(sku, [str(row["id"]) for row in rows])
            return
        for row in rows:
            root = parents.get(row["parent_id"]) if row["type"] == "variation" else row
            if root is None:  # a variation whose parent is in the trash
                job.outcome = _in_trash(job, f"variation {row['id']} of product {row['parent_id']}")
                return
            roots[root["id"]] = root
    if len(roots) > 1:
        words = "Its SKUs stand on several products of the shop."
        fix = "In the shop, make them variations of one product, or give the ERP's variants products of their own."
        job.outcome = rejected("several_products", words, fix, f"products {sorted(roots)}")
    elif roots:
        job.row = next(iter(roots.values()))
    elif job.item.link and not job.wish.hidden:
        job.outcome = _in_trash(job, f"product {job.item.link}")


def _in_trash(job: Job, technical: str) -> Outcome:
    """What the shop threw away is not made again behind its back."""
    return rejected(
        "deleted_in_shop",
        f"The shop has deleted the product with the SKU {job.sku}, or put it into its trash.",
        "Restore it in the shop, or archive it in the ERP. To start anew, make a product with that SKU in the shop.",
        technical,
    )


def _unfit(job: Job, row: Row, taken: int) -> Outcome | None:
    """Why this product of the shop cannot be the one; None if it can."""
    want, owner = job.wish, meta(row, ID)
    if taken > 1 or owner not in ("", want.id):
        words = f"Product {row['id']} of the shop already stands for another product of the ERP."
        fix = "Give each product its own SKU; after a new ERP database, take the link of the old one away."
        return rejected("linked_elsewhere", words, fix, f"product {row['id']}: {owner or 'twice in this batch'}")
    fits = row["type"] == ("simple" if want.simple else "variable")
    grown = not want.simple and row["type"] == "simple" and owner == want.id  # it has got variants since
    if fits or grown or want.hidden:
        return None
    shape = "a simple product" if want.simple else "a product with variants"
    words = f"In the ERP it is {shape}, in the shop product {row['id']} is of the type {row['type']}."
    fix = "Make both alike: change the product's type in the shop, or its variants in the ERP."
    return rejected("shape_differs", words, fix)


def _settle_early(job: Job) -> None:
    """Done where nothing is to be written: it stands so already, or it is neither to be sold nor there."""
    want, row = job.wish, job.row
    if want.hidden and (row is None or not want.shows):
        job.outcome = _not_listed(job, written=False)
    elif (
        row is not None
        and not job.rewrite
        and meta(row, DIGEST) == want.digest
        and (want.simple or want.hidden or job.item.link)
    ):
        job.outcome = _not_listed(job, written=False) if want.hidden else _unchanged(job, row)


async def _write_products(client: Client, shop: ShopFacts, facts: Facts, jobs: Sequence[Job]) -> None:
    """Make and change the products themselves."""
    paths = await shop.category_ids(job.wish.category for job in jobs if not job.wish.hidden)
    ready = [(job, _content(job, facts, paths.get(job.wish.category))) for job in jobs]
    for pairs in batches.portions(ready, lambda pair: pair[1]):
        await _write_some(client, pairs)


async def _write_some(client: Client, pairs: Sequence[tuple[Job, Content]]) -> None:
    new = [(job, content) for job, content in pairs if job.row is None]
    old = [(job, content) for job, content in pairs if job.row is not None]
    created, updated = await batches.write(
        client, "products", [content for _, content in new], [content for _, content in old]
    )
    for (job, content), row in zip([*new, *old], [*created, *updated], strict=True):
        if isinstance(row, Outcome):
            job.outcome = named(row, job.sku, job.item.attempt, content)
            continue
        job.made = job.made or job.row is None
        job.row = row
        job.outcome = not_kept(job.sku, content, row)


def _content(job: Job, facts: Facts, category: int | None) -> Content:
    """What is sent for the product itself. Without variations the digest goes along, else it comes last."""
    want, row = job.wish, job.row
    if want.hidden and row is not None:
        away = {"status": "private", "catalog_visibility": "hidden"}
        return {"id": row["id"], **away, "meta_data": meta_data(digest=want.digest)}
    content: Content = dict(want.content)
    values = {"id": want.id}
    if want.simple:
        values["digest"] = want.digest
    if row is None:
        content |= {"name": want.name, "type": "simple" if want.simple else "variable"}  # of no use without a name
        values["made"] = "1"
        if want.simple:
            content["status"] = "publish" if want.shows else "draft"
            if want.tracked:
                content["manage_stock"] = True  # with nothing on it until its stock is told: never oversold
        else:
            content |= {"sku": want.id, "status": "draft"}
    else:
        content["id"] = row["id"]
        if not want.simple and row["type"] == "simple":
            content |= {"type": "variable", "sku": "", "manage_stock": False}
        if want.shows and want.simple:
            content |= _visible(row)
    if not want.simple:
        content |= kept_attributes(row, attributes_of(want.options, facts))
    if category is not None:
        content["categories"] = categories_of(row, category)
        values["category"] = str(category)
    if want.image is not None and (row is None or meta(row, IMAGES) != want.image.digest):
        content["images"] = images_of(row, want.image)
        values["images"] = want.image.digest
    content["meta_data"] = meta_data(**values)
    return content


def _visible(row: Row) -> Content:
    """For sale; and back in the catalogue where we took it out. What the shop hides itself stays hidden."""
    by_us = row.get("status") == "private" and row.get("catalog_visibility") == "hidden"
    return {"status": "publish", **({"catalog_visibility": "visible"} if by_us else {})}


async def _write_variations(client: Client, facts: Facts, job: Job) -> None:
    if job.row is None or job.wish.hidden:
        return
    try:
        variations = await publish_variations(client, facts, job.wish, job.row, job.made, job.item.attempt, job.rewrite)
    except Failure as failure:
        if failure.outcome.kind not in (Kind.REJECTED, Kind.BUG):
            raise
        job.outcome = failure.outcome
        return
    job.links, job.new, job.outcome = variations.links, variations.new, variations.problem


async def _finish(client: Client, jobs: Sequence[Job]) -> None:
    """The digest of products with variations, now that all of it stands; and they are no drafts any more."""
    ready: list[tuple[Job, Content]] = []
    for job in jobs:
        if job.row is None or job.wish.simple or job.wish.hidden:
            continue
        content: Content = {"id": job.row["id"], "meta_data": meta_data(digest=job.wish.digest)}
        if job.row.get("sku") == job.wish.id:
            content["sku"] = ""
        if job.wish.shows:
            content |= _visible(job.row)
        ready.append((job, content))
    for pairs in batches.portions(ready, lambda pair: pair[1]):
        await _write_some(client, pairs)


def _links(job: Job, row: Row) -> dict[str, str]:
    if job.wish.simple:
        return {article.id: str(row["id"]) for article in job.wish.articles}
    return job.links


def _unchanged(job: Job, row: Row) -> Outcome:
    result = {"listed": True, "written": False, "product": str(row["id"])}
    return Outcome(Kind.DONE, result=result, link=str(row["id"]), links=_links(job, row))


def _not_listed(job: Job, written: bool) -> Outcome:
    row = job.row
    codes = sorted({reason.code for reason in job.wish.why_not})
    result = {"listed": False, "written": written, "because": sentence(job.wish.why_not), "reasons": codes}
    link = str(row["id"]) if row is not None and (meta(row, ID) == job.wish.id or job.item.link) else ""
    return Outcome(Kind.DONE, result=result, link=link)


def _published(job: Job) -> Outcome:
    want, row = job.wish, job.row
    if row is None:
        return Outcome(Kind.BUG, "nothing_done", "The product was neither written nor refused.", job.item.subject)
    if want.hidden:
        return _not_listed(job, written=True)
    links = _links(job, row)
    new = (list(links) if job.made else []) if want.simple else job.new
    result: dict[str, Any] = {"listed": True, "written": True, "product": str(row["id"]), "new_articles": new}
    if want.why_not:
        result["withheld"] = sentence(want.why_not)
    return Outcome(Kind.DONE, result=result, link=str(row["id"]), links=links, emits=("product.published",))
