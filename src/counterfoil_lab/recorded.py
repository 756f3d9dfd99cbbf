"""Recorded WooCommerce answers through the whole hub into an Odoo: one JSON line an order, then the counts.

    python -m counterfoil_lab.recorded --orders DIR --odoo real|sandbox [--catalogue DIR]

DIR holds orders/*.json, storefront/*.json, scenarios/*.json, each {request, response: {status, headers, body}}.
Of several files of one order the newest `date_modified` counts; *_dp6.json are left out. The newest body of each
order, and each body that is no order, goes in at the webhook door, signed as a shop signs.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
from rich.console import Console
from rich.progress import Progress

from counterfoil.doors.assembly import load
from counterfoil.doors.serve import Hub, hub
from counterfoil.hub import lanes
from counterfoil.hub.schema import exception, object_, receipt
from counterfoil.hub.worker import idle
from counterfoil_lab.checker import OdooOrder, odoo_orders, order_differences
from counterfoil_lab.stage import WEBHOOK_SECRET, NoOdoo, OdooPlace, an_odoo, blueprint, prepared
from counterfoil_sandbox.woocommerce import RECORDINGS

SHOP = "web"


@dataclass(frozen=True, slots=True)
class Fed:
    """One thing fed in: an order by its id, or another body by its file."""

    name: str
    body: dict[str, Any] | str
    raw: bytes

    @property
    def is_order(self) -> bool:
        """Whether it claims to be an order (whatever is wrong inside)."""
        return isinstance(self.body, dict) and "line_items" in self.body and "status" in self.body


def read(folder: Path) -> list[Fed]:
    """What the folder holds, orders by number first. Raises SystemExit when there is nothing."""
    newest: dict[str, tuple[str, Fed]] = {}
    others: list[Fed] = []
    files = [f for sub in ("orders", "storefront", "scenarios") for f in sorted(folder.glob(f"{sub}/*.json"))]
    for path in files:
        if path.stem.endswith("_dp6"):
            continue
        content = json.loads(path.read_text(encoding="utf-8"))
        body = content["response"]["body"] if isinstance(content, dict) and "response" in content else content
        for part in body if isinstance(body, list) else [body]:
            raw = part.encode() if isinstance(part, str) else json.dumps(part, ensure_ascii=False).encode()
            fed = Fed(f"{path.parent.name}/{path.name}", part, raw)
            if not fed.is_order:
                others.append(fed)
                continue
            order, changed = str(part["id"]), str(part.get("date_modified_gmt") or part.get("date_modified") or "")
            if order not in newest or changed > newest[order][0]:
                newest[order] = (changed, Fed(order, part, raw))
    if not newest and not others:
        raise SystemExit(
            f"no recorded orders under {folder}: expected orders/*.json, storefront/*.json or scenarios/*.json"
        )
    return [fed for _, fed in sorted(newest.values(), key=lambda x: (len(x[1].name), x[1].name))] + others


async def feed(url: str, things: list[Fed]) -> dict[str, int]:
    """Post each body, signed, to the webhook door; the HTTP status by name."""
    answers: dict[str, int] = {}
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for fed in things:
            signature = base64.b64encode(hmac.new(WEBHOOK_SECRET.encode(), fed.raw, hashlib.sha256).digest()).decode()
            headers = {
                "X-WC-Webhook-Signature": signature,
                "X-WC-Webhook-Topic": "order.updated",
                "X-WC-Webhook-Resource": "order",
                "Content-Type": "application/json",
            }
            answers[fed.name] = (await client.post(f"/webhooks/{SHOP}", content=fed.raw, headers=headers)).status_code
    return answers


async def settle(running: Hub, things: int) -> None:
    """Until nothing is due or in flight any more, saying on stderr how far it is."""
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("taking over", total=things)
        while not await idle(running.store):
            waiting = (await lanes.depth(running.store))["lanes_waiting"]
            bar.update(task, completed=things - waiting)
            await asyncio.sleep(0.2)


async def verdicts(running: Hub, things: list[Fed], place: OdooPlace) -> list[dict[str, Any]]:
    """One line for each thing fed: what the hub made of it, and what Odoo shows."""
    async with running.store.read() as connection:
        stages = {r.canonical_id: r.stage for r in await connection.execute(sa.select(object_))}
        receipts = {
            r.digest: r.object_id for r in await connection.execute(sa.select(receipt.c.digest, receipt.c.object_id))
        }
        open_ = {
            r.subject: r for r in await connection.execute(sa.select(exception).where(exception.c.status == "open"))
        }
    in_odoo = odoo_orders(place.api, f"{SHOP}:order:")
    lines = []
    for fed in things:
        object_id = receipts.get(hashlib.sha256(fed.raw).hexdigest(), "")
        subject = f"{SHOP}:order:{object_id}"
        line = _line(fed, stages.get(subject, ""), open_.get(subject), in_odoo.get(subject))
        lines.append(line)
    return lines


def _line(fed: Fed, stage: str, problem: Any, found: list[OdooOrder] | None) -> dict[str, Any]:
    body: dict[str, Any] = fed.body if isinstance(fed.body, dict) else {}
    line: dict[str, Any] = {"order": fed.name, "outcome": "", "total": None, "odoo_total": None}
    if fed.is_order:
        line |= {"total": body["total"], "tax": body["total_tax"]}
    if found:
        first = found[0]
        line |= {"odoo_total": first.text(first.total), "odoo_tax": first.text(first.tax)}
        line["tax_difference"] = first.text(first.tax - first.rounded(Decimal(body["total_tax"])))
        line["differences"] = order_differences(body, first)
        line["rounding_line"] = first.text(first.rounding)
        if len(found) > 1:
            line["doubled"] = len(found)
    if problem is not None:
        line["outcome"] = "exception" if fed.is_order else "refused"
        line |= {"reason": problem.reason, "message": problem.message, "suggestion": problem.suggestion}
    elif stage in ("waiting", "not_wanted"):
        line["outcome"] = stage
    elif found:
        line["outcome"] = "accepted" if found[0].state == "sale" else "quotation"
    else:
        line |= {"outcome": "lost", "reason": "neither in Odoo nor in the exception list"}
    return line


async def through_the_hub(folder: Path, catalogue: Path, kind: str) -> list[dict[str, Any]]:
    """Feed the folder through a hub of its own; the verdicts."""
    things = read(folder)
    currencies = {fed.body["currency"] for fed in things if fed.is_order and isinstance(fed.body, dict)}
    with tempfile.TemporaryDirectory() as temporary, an_odoo(kind, "cf_recorded", workers=2) as place:
        prepared(place, catalogue, currencies)
        plan = blueprint(Path(temporary), place, shop=SHOP, note_orders=False, catalogue=catalogue)
        async with hub(load(plan), ("doors", "workers")) as running:
            answers = await feed(running.url, things)
            turned_away = [name for name, status in answers.items() if status >= 300]
            if turned_away:
                print(f"turned away at the door: {', '.join(turned_away)}", file=sys.stderr)
            await settle(running, len(things))
            return await verdicts(running, things, place)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=Path, required=True, help="folder of recorded answers")
    parser.add_argument("--catalogue", type=Path, default=RECORDINGS, help="folder with products, variations, taxes")
    parser.add_argument("--odoo", choices=("sandbox", "real"), default="sandbox")
    options = parser.parse_args()
    try:
        lines = asyncio.run(through_the_hub(options.orders, options.catalogue, options.odoo))
    except NoOdoo as why:
        print(why, file=sys.stderr)
        return 77
    for line in lines:
        print(json.dumps(line, ensure_ascii=False))
    outcomes = Counter(line["outcome"] for line in lines)
    wrong = sum(bool(line.get("differences")) for line in lines)
    doubled = sum("doubled" in line for line in lines)
    print(json.dumps({"orders": len(lines), **outcomes, "amounts_wrong": wrong, "doubled": doubled}))
    return 1 if wrong or doubled or outcomes["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
