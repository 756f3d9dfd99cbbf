"""A released prescription with its order in Odoo: attach_prescription.

What a prescription says comes with the call and is in no message of ours: Odoo's own words are left out where they
might repeat it.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from counterfoil.connectors.odoo.errors import load_failed
from counterfoil.connectors.odoo.jobs import Desk, Job, outcomes
from counterfoil.connectors.odoo.translate import MODULE
from counterfoil.hub.contract import Failure, Item, Kind, Outcome, done

Row = tuple[list[str], list[str]]
"""Columns and cells."""


class Attaching:
    """attach_prescription."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.client = desk, desk.client

    async def attach_prescription(self, items: Sequence[Item]) -> list[Outcome]:
        """Put each prescription beside its order: the document and what it says as attachments of the sales order, or
        as a record of the model the blueprint declares.

        Idempotent by external ids, insert-only: `counterfoil.<system>_order_<id>_prescription_<id>` with `_file` or
        `_values` behind it for attachments. What people have changed since, or deleted, stays so.
        """
        jobs = [Job(item, None) for item in items]
        nothing = "The order of this prescription is not in Odoo, so there is nothing to attach it to."
        for job in await self.desk.find_or_refuse(jobs, nothing):
            document = job.item.data["document"]
            name = f"{job.external_id}_prescription_{job.item.data['prescription']['id']}"
            made = document["record"]
            model = made["model"] if made else "ir.attachment"
            rows = [_record(name, job.odoo_id, document, made)] if made else _attachments(name, job.odoo_id, document)
            await self._load(job, model, rows)
        return outcomes(jobs)

    async def _load(self, job: Job, model: str, rows: Sequence[Row]) -> None:
        numbers: list[int] = []
        for columns, cells in rows:
            try:
                ids, messages = await self.client.load(model, columns, [cells])
            except Failure as failure:
                if failure.outcome.kind not in (Kind.REJECTED, Kind.BUG):
                    raise Failure(_discreet(failure.outcome)) from None
                job.outcome = _discreet(failure.outcome)
                return
            if messages:
                job.outcome = _discreet(load_failed(messages), [m["field"] for m in messages if m.get("field")])
                return
            numbers += ids
        job.outcome = done({"model": model, "records": numbers})


def _attachments(name: str, order: int, document: Mapping[str, Any]) -> list[Row]:
    columns = ["id", "name", "res_model", "res_id", "mimetype", "datas"]
    rows: list[Row] = []
    if document["values"]:
        text = "".join(f"{field}: {value}\n" for field, value in document["values"].items())
        cells = [f"{name}_values", f"{document['name']}.txt", "sale.order", str(order), "text/plain"]
        rows.append((columns, [*cells, base64.b64encode(text.encode()).decode()]))
    if document["content"]:
        cells = [f"{name}_file", document["name"] + document["ending"], "sale.order", str(order)]
        rows.append((columns, [*cells, document["media_type"], document["content"]]))
    return rows


def _record(name: str, order: int, document: Mapping[str, Any], made: Mapping[str, Any]) -> Row:
    told = {there: document["values"][here] for here, there in made["fields"].items() if here in document["values"]}
    if made.get("file") and document["content"]:
        told[made["file"]] = document["content"]
    return ["id", f"{made['order']}/.id", *told], [name, str(order), *told.values()]


def _discreet(outcome: Outcome, fields: Sequence[str] = ()) -> Outcome:
    """The same, without the words of who was told a person's health."""
    at = f" The fields: {', '.join(fields)}." if fields else ""
    return dataclasses.replace(
        outcome,
        message=f"Odoo did not take the prescription ({outcome.reason}).{at}",
        technical=f"{MODULE}: Odoo's own words are left out, as they may repeat what the prescription says.",
    )
