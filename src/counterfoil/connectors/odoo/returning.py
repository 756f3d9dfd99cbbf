"""A return that a customer asked for: prepare_return."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from counterfoil.connectors.odoo.jobs import Desk, Job, decimal, open_jobs, outcomes
from counterfoil.connectors.odoo.refundlines import standing
from counterfoil.connectors.odoo.shipping import Shipping
from counterfoil.hub.contract import Item, Outcome, done


class Returning:
    """prepare_return."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.shipping = desk, Shipping(desk)

    async def prepare_return(self, items: Sequence[Item]) -> list[Outcome]:
        """For each request a return that waits for the warehouse, of the units that were shipped and are not on their
        way back yet. Money is the refund's business: a refund of the same units finds this return and makes no other.

        Idempotent by external ids: `<order>_requested_<id>_return_<delivery>`, made once.
        """
        jobs = [Job(item, None) for item in items]
        nothing = "The order that a customer wants to return goods of is not in Odoo."
        await self.desk.read_back(await self.desk.find_or_refuse(jobs, nothing))
        await self.desk.each(open_jobs(jobs), self._one)
        return outcomes(jobs)

    async def _one(self, job: Job) -> None:
        asked = job.item.data["return"]
        lines = (await self.desk.lines([job.odoo_id])).get(job.odoo_id, [])
        wanted: dict[int, Decimal] = {}
        for line, quantity in asked["lines"].items():
            stands = standing(line, lines)
            if stands is not None and decimal(stands["qty_delivered"]) > 0:
                wanted[stands["id"]] = wanted.get(stands["id"], Decimal(0)) + Decimal(quantity)
        numbers = await self.shipping.prepare_return(job, f"{job.name}_requested_{asked['id']}", wanted)
        if numbers:
            told = {"return": asked["id"], "pickings": numbers}
            job.outcome = done(told, link=str(job.odoo_id), emits=("return.prepared",))
        else:
            job.refuse(
                "nothing_to_return",
                f"A customer wants to return goods of order {job.called}, and Odoo knows none that left and are not "
                "on their way back already.",
                "Look at the order's deliveries and returns in Odoo; tell the customer, then resolve this.",
            )
