"""What has left the house: check_shipped, and the returns that refunds prepare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from counterfoil.connectors.odoo.client import QUIET
from counterfoil.connectors.odoo.errors import load_failed
from counterfoil.connectors.odoo.jobs import Desk, Job, decimal, many2one, newest, open_jobs, outcomes, result
from counterfoil.connectors.odoo.translate import MODULE, below
from counterfoil.hub.contract import Failure, Item, Outcome, done
from counterfoil.retail.order import Status


class Shipping:
    """check_shipped, and returns."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.client = desk, desk.client

    async def check_shipped(self, items: Sequence[Item]) -> list[Outcome]:
        """The shop closed the order as shipped: so it should be in Odoo. What is not is put before a person.

        Writes nothing, so a repeat changes nothing.
        """
        jobs = [Job(item, newest(item)) for item in items]
        await self.desk.find(jobs)
        for job in open_jobs(jobs):
            if job.order.status is not Status.COMPLETED:
                job.outcome = done({"superseded": f"the shop says {job.order.status} by now"})
            elif not job.odoo_id:
                job.outcome = done({"shipped": "the order is not in Odoo"})
        await self.desk.read_back(open_jobs(jobs))
        waiting = await self._waiting([job.odoo_id for job in open_jobs(jobs)])
        for job in open_jobs(jobs):
            left = waiting.get(job.odoo_id, [])
            if not left:
                job.outcome = done(result(job), link=str(job.odoo_id))
                continue
            job.refuse(
                "shipped_outside",
                f"The shop says order {job.called} is completed; in Odoo is still to be shipped: {', '.join(left)}.",
                "If the goods have left, validate the delivery in Odoo; if not, set the order back to processing in "
                "the shop. Then resolve this.",
            )
        return outcomes(jobs)

    async def _waiting(self, orders: Sequence[int]) -> dict[int, list[str]]:
        """Goods that are ordered and not shipped, in words, by order."""
        if not orders:
            return {}
        domain = [["order_id", "in", list(orders)], ["display_type", "=", False], ["product_id.type", "!=", "service"]]
        fields = ["order_id", "name", "product_uom_qty", "qty_delivered"]
        found: dict[int, list[str]] = {}
        for row in await self.client.search_read("sale.order.line", domain, fields, order="id"):
            left = decimal(row["product_uom_qty"]) - decimal(row["qty_delivered"])
            if left > 0:
                found.setdefault(row["order_id"][0], []).append(f"{left.normalize():f} × {row['name']}")
        return found

    async def prepare_return(self, job: Job, refund: str, wanted: Mapping[int, Decimal]) -> list[str]:
        """A return for goods that come back: `wanted` units by order line. It waits for the warehouse; its numbers.

        One for each delivery they left with, by the external id `<refund>_return_<delivery>`: made once. It does not
        lower what Odoo holds to be delivered (`to_refund`), since the credit note is there already; of a trial, where
        there is none, it does.
        """
        wanted = {line: quantity for line, quantity in wanted.items() if quantity > 0}
        if not wanted:
            return []
        names = await self.desk.names()
        fields = [
            "sale_line_id",
            "product_id",
            "product_uom",
            "product_uom_qty",
            names.move_done,
            "picking_id",
            "location_id",
        ]
        fields += ["location_dest_id", "origin_returned_move_id", "state"]
        fields += [names.procurement_group] if names.procurement_group else []
        domain = [["sale_line_id", "in", sorted(wanted)], ["state", "!=", "cancel"], ["picking_id", "!=", False]]
        moves = await self.client.search_read("stock.move", domain, fields, order="id")
        known = await self._made(f"{refund}_return_")
        mine = {number for _, number in known}
        parts = _parts(moves, wanted, mine, names.move_done)
        numbers = [number for _, number in known]
        made = {name for name, _ in known}
        for picking, part in parts.items():
            if f"{refund}_return_{picking}" not in made:
                numbers.append(await self._make(job, refund, picking, part))
        return await self._confirm(numbers)

    async def coming_back(self, prefix: str) -> dict[int, Decimal]:
        """Units by order line in our returns whose external ids begin so, received or not."""
        numbers = [number for _, number in await self._made(prefix)]
        if not numbers:
            return {}
        done = (await self.desk.names()).move_done
        domain = [["picking_id", "in", numbers], ["state", "!=", "cancel"]]
        found: dict[int, Decimal] = {}
        for row in await self.client.search_read(
            "stock.move", domain, ["sale_line_id", "product_uom_qty", done, "state"]
        ):
            line, units = many2one(row["sale_line_id"]), row[done] if row["state"] == "done" else row["product_uom_qty"]
            found[line] = found.get(line, Decimal(0)) + decimal(units)
        return found

    async def _made(self, prefix: str) -> list[tuple[str, int]]:
        domain = [["module", "=", MODULE], ["model", "=", "stock.picking"], ["name", "=like", f"{prefix}%"]]
        rows = await self.client.search_read("ir.model.data", domain, ["name", "res_id"])
        return [(row["name"], row["res_id"]) for row in rows if row["name"].startswith(prefix)]

    async def _make(self, job: Job, refund: str, picking: int, part: Sequence[tuple[dict[str, Any], Decimal]]) -> int:
        names = await self.desk.names()
        fields = ["name", "partner_id", "picking_type_id", "location_id", "location_dest_id"]
        [left] = await self.client.call("stock.picking", "read", ids=[picking], fields=fields)
        fields = ["return_picking_type_id", "default_location_dest_id"]
        [type_] = await self.client.call("stock.picking.type", "read", ids=[left["picking_type_id"][0]], fields=fields)
        number = many2one(type_["return_picking_type_id"])
        shelf = left["location_id"][0]
        if number:
            [back] = await self.client.call("stock.picking.type", "read", ids=[number], fields=fields)
            shelf = many2one(back["default_location_dest_id"]) or shelf
        name = f"{MODULE}.{refund}_return_{picking}"
        places = [str(left["location_dest_id"][0]), str(shelf)]
        head = [name, str(many2one(left["partner_id"]) or ""), str(number or left["picking_type_id"][0]), *places]
        head += [f"Return of {left['name']}", *([str(picking)] if names.picking_origin else [])]
        columns = ["id", "partner_id/.id", "picking_type_id/.id", "location_id/.id", "location_dest_id/.id", "origin"]
        columns += [f"{names.picking_origin}/.id"] if names.picking_origin else []
        inner = [
            "id",
            "product_id/.id",
            "product_uom/.id",
            "product_uom_qty",
            "location_id/.id",
            "location_dest_id/.id",
        ]
        inner += ["origin_returned_move_id/.id", "sale_line_id/.id", "to_refund"]
        inner += ["name"] if names.moves_named else []
        inner += [f"{names.procurement_group}/.id"] if names.procurement_group else []
        on_trial, rows = "trial" in job.item.data.get("return", {}), []
        for move, quantity in part:
            row = [f"{name}_{move['id']}", str(move["product_id"][0]), str(move["product_uom"][0]), f"{quantity:f}"]
            row += [*places, str(move["id"]), str(move["sale_line_id"][0]), str(on_trial)]
            row += [str(move["product_id"][1])] if names.moves_named else []
            row += [str(many2one(move[names.procurement_group]) or "")] if names.procurement_group else []
            rows.append(row)
        fields = columns + [f"{names.picking_moves}/{each}" for each in inner]
        ids, messages = await self.client.load("stock.picking", fields, below(head, rows))
        if messages:
            raise Failure(load_failed(messages))
        return ids[0]

    async def _confirm(self, numbers: Sequence[int]) -> list[str]:
        if not numbers:
            return []
        rows = await self.client.call("stock.picking", "read", ids=list(numbers), fields=["name", "state"])
        drafts = [row["id"] for row in rows if row["state"] == "draft"]
        if drafts:
            await self.client.call("stock.picking", "action_confirm", ids=drafts, context=QUIET)
        return [row["name"] for row in rows]


def _parts(
    moves: Sequence[dict[str, Any]], wanted: Mapping[int, Decimal], mine: set[int], done_field: str
) -> dict[int, list[tuple[dict[str, Any], Decimal]]]:
    """The units that come back, by the delivery and the move they left with; oldest first, returned ones taken off."""
    returned: dict[int, Decimal] = {}
    for move in moves:
        origin = many2one(move["origin_returned_move_id"])
        if origin and many2one(move["picking_id"]) not in mine:
            back = decimal(move[done_field]) if move["state"] == "done" else decimal(move["product_uom_qty"])
            returned[origin] = returned.get(origin, Decimal(0)) + back
    left = dict(wanted)
    parts: dict[int, list[tuple[dict[str, Any], Decimal]]] = {}
    for move in moves:
        line = move["sale_line_id"][0]
        if move["state"] != "done" or many2one(move["origin_returned_move_id"]) or left[line] <= 0:
            continue
        quantity = min(left[line], decimal(move[done_field]) - returned.get(move["id"], Decimal(0)))
        if quantity > 0:
            parts.setdefault(move["picking_id"][0], []).append((move, quantity))
            left[line] -= quantity
    return parts
