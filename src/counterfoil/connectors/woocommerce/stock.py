"""publish_stock: tell the shop how many units of each article it may sell.

Stock on a product whose stock is not managed is dropped in silence (recorded), so managing it is switched on in the
same write, and what the shop answers is compared with what was sent.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from counterfoil.connectors.woocommerce import batches
from counterfoil.connectors.woocommerce.client import Client
from counterfoil.connectors.woocommerce.places import Place, one_article, place_of, rows_by_sku
from counterfoil.hub.contract import Failure, Item, Kind, Outcome, done
from counterfoil.retail.listing import Channel
from counterfoil.retail.product import StockLevel

BATCH = batches.MOST


@dataclass(slots=True)
class _Job:
    """One article on its way: `gone` says that its place turned out to be empty."""

    sku: str
    quantity: int = 0
    place: Place | None = None
    gone: bool = False
    outcome: Outcome | None = None


async def publish_stock(client: Client, channel: Channel, items: Sequence[Item]) -> list[Outcome]:
    """Write the channel's quantity of each article (`data["quantity"]`, else of the StockLevel `data["state"]` alone).

    One outcome an item.
    Idempotent: a quantity is written, never a difference, so a repeat after a lost answer changes nothing. What is
    not in the shop is done as `{"listed": False}`. An order of the shop between the reading of the level and this
    write is overwritten until the level that knows of it is published. Raises Failure for the shop as a whole.
    """
    jobs = [_job(item, channel) for item in items]
    await _write(client, [job for job in jobs if job.outcome is None and job.place is not None])
    lost = [job for job in jobs if job.outcome is None]
    await _look_up(client, lost)
    await _write(client, [job for job in lost if job.outcome is None])
    return [job.outcome or _vanished(job) for job in jobs]


def _job(item: Item, channel: Channel) -> _Job:
    try:
        level = StockLevel.model_validate(item.data.get("state") or item.data.get("stock"))
    except ValidationError as error:
        technical = f"{item.subject}: {error.error_count()} errors, first at {error.errors()[0]['loc']}"
        return _Job("", outcome=Outcome(Kind.BUG, "no_stock_level", "There is no stock level to publish.", technical))
    sku = level.sku.strip()
    if "stock" not in channel.publish:
        return _Job(sku, outcome=done({"listed": False, "sku": sku, "because": "this channel's stock is its own"}))
    told = item.data.get("quantity")  # by the rules for this article, with what is taken of it and not in the level
    return _Job(sku, told if isinstance(told, int) else level.to_sell(channel.stock), place_of(item.link))


async def _look_up(client: Client, jobs: Sequence[_Job]) -> None:
    """Places by SKU for the jobs without one, and for those whose link led nowhere."""
    found = await rows_by_sku(client, {job.sku for job in jobs}, "status") if jobs else {}
    for job in jobs:
        place = one_article(job.sku, found.get(job.sku, []))
        if isinstance(place, Outcome):
            job.outcome = place
        elif place is None:
            job.outcome = done({"listed": False, "sku": job.sku})
        else:
            job.place = place


def _refuse_shared(jobs: Sequence[_Job]) -> None:
    """Two articles that lead to one place of the shop would overwrite each other."""
    counts = Counter(job.place for job in jobs)
    for job in jobs:
        if counts[job.place] > 1 and job.place is not None:
            job.outcome = Outcome(
                Kind.REJECTED,
                "shared_article",
                f"Several articles lead to one product of the shop, {job.sku} among them.",
                f"product {job.place.link}",
                "Give each article its own SKU and its own product in the shop, then retry.",
            )


async def _write(client: Client, jobs: Sequence[_Job]) -> None:
    """One call per 100 products, and per parent for variations, as the shop takes them no other way."""
    _refuse_shared(jobs)
    paths: dict[str, list[_Job]] = defaultdict(list)
    for job in jobs:
        if job.place is not None and job.outcome is None:
            parent = job.place.product if job.place.variation else 0
            paths[f"products/{parent}/variations" if parent else "products"].append(job)
    for path, group in paths.items():
        for start in range(0, len(group), BATCH):
            await _write_some(client, path, group[start : start + BATCH])


async def _write_some(client: Client, path: str, jobs: Sequence[_Job]) -> None:
    update = [{"id": _number(job), "manage_stock": True, "stock_quantity": job.quantity} for job in jobs]
    answered: Sequence[batches.Answered]
    try:
        _, answered = await batches.write(client, path, update=update)
    except Failure as failure:
        if failure.outcome.kind not in (Kind.REJECTED, Kind.BUG):
            raise
        answered = [failure.outcome] * len(jobs)
    for job, row in zip(jobs, answered, strict=True):
        if not isinstance(row, Outcome):
            job.outcome = _compared(job, row)
        elif batches.is_gone(row):
            job.gone = True
        else:
            job.outcome = row


def _number(job: _Job) -> int:
    return (job.place.variation or job.place.product) if job.place else 0


def _compared(job: _Job, row: Any) -> Outcome:
    """What the shop kept. Another number than ours is an order that came between: it is told again."""
    link = job.place.link if job.place else ""
    if row.get("manage_stock") is not True:
        return Outcome(
            Kind.REJECTED,
            "stock_not_managed",
            f"The shop does not keep stock of {job.sku}: it dropped the quantity {job.quantity} in silence.",
            f"product {link}: manage_stock is {row.get('manage_stock')!r}",
            "Switch on WooCommerce > Settings > Products > Inventory > Enable stock management.",
        )
    if row.get("stock_quantity") != job.quantity:
        technical = f"product {link}: wrote {job.quantity}, the shop answered {row.get('stock_quantity')!r}"
        return Outcome(Kind.RETRY, "stock_not_kept", f"The shop did not keep the stock of {job.sku}.", technical)
    return done({"listed": True, "sku": job.sku, "quantity": job.quantity, "product": link}, link=link)


def _vanished(job: _Job) -> Outcome:
    """Found by its SKU a moment ago and gone at the write: as good as not listed."""
    return done({"listed": False, "sku": job.sku})
