"""Orders from before the cut-over, brought into Odoo as history: they stand there, and nothing follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from counterfoil.connectors.odoo.accept import Accepting
from counterfoil.connectors.odoo.client import QUIET
from counterfoil.connectors.odoo.jobs import Desk, Job, newest, open_jobs, outcomes, result
from counterfoil.hub.contract import Item, Outcome, done
from counterfoil.retail.order import Status

UNPAID = (Status.PENDING, Status.FAILED)
MARKS = "counterfoil_history"
"""The module of a second external id that says an order came as history: `counterfoil_history.<system>_order_<id>`.

Its state could not say so: people lock orders too, and some companies lock each one they confirm.
"""


def mark(job: Job) -> str:
    """The external id that an order of history has besides its own."""
    return f"{MARKS}.{job.name}"


class History:
    """import_order."""

    def __init__(self, desk: Desk, accepting: Accepting) -> None:
        self.desk, self.client, self.accepting = desk, desk.client, accepting

    async def import_order(self, items: Sequence[Item]) -> list[Outcome]:
        """An order as history: its customer, lines and totals, confirmed and locked; no delivery, mail, invoice or
        payment comes of it.

        Idempotent by the same external ids as acceptance, so that an order is either history or alive; a second one
        marks it as history for good (`mark`), before the state is written. The state is written, not reached by
        confirming, which is what would start a delivery; mark and state go to a draft only.
        """
        jobs = [Job(item, newest(item)) for item in items]
        for job in jobs:
            if job.order.is_given_up or job.order.status in UNPAID:
                job.outcome = done({"imported": f"nothing: the shop says {job.order.status}"})
        wanted = open_jobs(jobs)
        known = await self.desk.find(wanted, [mark(job) for job in wanted])
        await self.accepting.create([job for job in open_jobs(jobs) if not job.odoo_id])
        await self.desk.read_back(open_jobs(jobs))
        await self.accepting.even_out(open_jobs(jobs))
        self.accepting.compare(open_jobs(jobs))
        names = await self.desk.names()
        drafts = [job for job in open_jobs(jobs) if job.state["state"] in ("draft", "sent")]
        if drafts:
            vals: dict[str, Any] = (
                {"state": "sale", names.order_locked: True} if names.order_locked else {"state": "done"}
            )
            await self._mark([job for job in drafts if mark(job) not in known])
            ids = [job.odoo_id for job in drafts]
            await self.client.call("sale.order", "write", ids=ids, vals=vals, context=QUIET)
            await self.desk.read_back(drafts)
        for job in open_jobs(jobs):
            job.outcome = done(result(job), link=str(job.odoo_id))
        return outcomes(jobs)

    async def _mark(self, jobs: Sequence[Job]) -> None:
        values = [
            {"module": MARKS, "name": job.name, "model": "sale.order", "res_id": job.odoo_id, "noupdate": True}
            for job in jobs
        ]
        if values:
            await self.client.call("ir.model.data", "create", vals_list=values)
