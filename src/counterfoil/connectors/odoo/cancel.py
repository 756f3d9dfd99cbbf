"""An order is not wanted any more, or its payment went back: cancel_order, hold_order."""

from __future__ import annotations

from collections.abc import Sequence

from counterfoil.connectors.odoo.client import QUIET
from counterfoil.connectors.odoo.credits import Credits
from counterfoil.connectors.odoo.jobs import Desk, Job, newest, open_jobs, outcomes, result
from counterfoil.connectors.odoo.payments import Payments
from counterfoil.hub.contract import Item, Outcome, done
from counterfoil.retail.order import Status

CANCEL = {**QUIET, "disable_cancel_warning": True}
"""Without it, action_cancel of Odoo 15 to 18 answers with a question and cancels nothing."""


class Cancelling:
    """cancel_order and hold_order."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.client = desk, desk.client
        self.credits, self.payments = Credits(desk), Payments(desk)

    async def cancel_order(self, items: Sequence[Item]) -> list[Outcome]:
        """Cancel each order of which nothing has been shipped; a posted invoice is taken back by a credit note first.

        Idempotent: reads the state first; a credit note has its own external id. Draft invoices and open deliveries
        are cancelled by Odoo itself. The payment stays, open: giving it back is the refund's business.
        """
        jobs = [Job(item, newest(item)) for item in items]
        await self.desk.find(jobs)
        for job in jobs:
            if not job.odoo_id:
                job.outcome = done({"cancelled": "was never in Odoo, or is deleted there"})
            elif not job.order.is_given_up:
                job.outcome = done({"superseded": f"the shop says {job.order.status} by now"})
        await self.desk.read_back(open_jobs(jobs))
        await self._refuse(open_jobs(jobs))
        await self.desk.each(open_jobs(jobs), self._take_back)
        await self._cancel([job for job in open_jobs(jobs) if job.state["state"] != "cancel"])
        for job in open_jobs(jobs):
            if job.state["state"] == "cancel":
                job.outcome = done(result(job), link=str(job.odoo_id))
            else:
                job.refuse(
                    "not_cancelled",
                    f"Odoo did not cancel {job.state['name']}; it is {job.state['state']}.",
                    "Cancel it in Odoo by hand, then resolve this.",
                )
        return outcomes(jobs)

    async def _refuse(self, jobs: Sequence[Job]) -> None:
        names = await self.desk.names()
        shipped = await self._shipped([job.odoo_id for job in jobs])
        for job in jobs:
            if job.odoo_id in shipped:
                job.refuse(
                    "cancelled_after_shipping",
                    f"Order {job.called} was shipped, at least in part, before the shop cancelled it.",
                    "Arrange the return with the customer, receive it in Odoo and refund it in the shop; "
                    "then resolve this.",
                )
            elif names.locked(job.state):
                job.refuse(
                    "locked_in_odoo",
                    f"Order {job.called} is locked in Odoo and cannot be cancelled.",
                    "Unlock it in Odoo, then retry.",
                )

    async def _shipped(self, ids: Sequence[int]) -> set[int]:
        """Orders of which something has left the house."""
        if not ids:
            return set()
        domain = [["order_id", "in", list(ids)], ["qty_delivered", ">", 0], ["product_id.type", "!=", "service"]]
        rows = await self.client.search_read("sale.order.line", domain, ["order_id"])
        return {row["order_id"][0] for row in rows}

    async def _take_back(self, job: Job) -> None:
        await self.payments.match(await self.credits.take_all_back(job))

    async def _cancel(self, jobs: Sequence[Job]) -> None:
        if jobs:
            await self.client.call("sale.order", "action_cancel", ids=[job.odoo_id for job in jobs], context=CANCEL)
            await self.desk.read_back(jobs)

    # --- payment lost ---------------------------------------------------------------------------------------

    async def hold_order(self, items: Sequence[Item]) -> list[Outcome]:
        """The shop waits for the payment again: a quotation stays one, a confirmed order is put before a person.

        Writes nothing, so a repeat changes nothing.
        """
        jobs = [Job(item, newest(item)) for item in items]
        await self.desk.find(jobs)
        for job in open_jobs(jobs):
            if job.order.status not in (Status.PENDING, Status.FAILED):
                job.outcome = done({"superseded": f"the shop says {job.order.status} by now"})
            elif not job.odoo_id:
                job.outcome = done({"held": "was never in Odoo"})
        await self.desk.read_back(open_jobs(jobs))
        for job in open_jobs(jobs):
            if job.state["state"] in ("draft", "sent", "cancel"):
                job.outcome = done(result(job), link=str(job.odoo_id))
            else:
                job.refuse(
                    "payment_lost",
                    f"The shop says {job.order.status} for order {job.called}, which is confirmed in Odoo: "
                    "its payment failed or was taken back.",
                    "Hold the delivery in Odoo and ask for the money, or cancel the order in the shop. "
                    "It goes on by itself once the shop says it is paid.",
                )
        return outcomes(jobs)
