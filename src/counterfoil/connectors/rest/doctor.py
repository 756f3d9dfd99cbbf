"""What the doctor looks at in a JSON API: each list that is declared, one page of it, and every record on that page."""

from __future__ import annotations

from counterfoil.connectors.overlay import Dialect
from counterfoil.connectors.rest import feeds
from counterfoil.connectors.rest.client import Client
from counterfoil.connectors.rest.mapping import KINDS
from counterfoil.connectors.rest.reading import Shape, decode
from counterfoil.connectors.rest.writing import NAMES
from counterfoil.hub.contract import BadPayload, Failure, Finding, Kind, Mark

_AT_ONCE = (Kind.DOWN, Kind.THROTTLED)


async def examine(client: Client, shape: Shape, dialect: Dialect, webhooks: bool) -> list[Finding]:
    """Reachable, token accepted, a page of each list readable, the mapping fits. Never raises."""
    found: list[Finding] = []
    if client.url.startswith("http://"):
        words = "plain http: the token can be read on its way"
        found.append(Finding("address", Mark.WARNING, words, "Give an address with https."))
    lists = [kind for kind in KINDS if kind in shape.paths and kind in shape.reads]
    for kind in lists:
        try:
            found.append(await _list(client, shape, dialect, kind))
        except Failure as failure:
            out = failure.outcome
            found.append(Finding(NAMES[kind], Mark.FAILED, out.message, out.suggestion or out.technical))
            if out.kind in _AT_ONCE or out.reason in ("unauthorized", "bad_address"):
                return found
    if not lists:
        others = [name for kind, name in NAMES.items() if kind in shape.paths]
        remedy = "Nothing can be asked without writing; the first record will tell."
        found.append(Finding("lists", Mark.WARNING, f"nothing is read here; written to: {', '.join(others)}", remedy))
    elif not webhooks:
        remedy = "If it can send Standard Webhooks, give webhook_secret."
        found.append(Finding("webhooks", Mark.OK, "off: changes are known at the next poll", remedy))
    return found


async def _list(client: Client, shape: Shape, dialect: Dialect, kind: str) -> Finding:
    async for page in feeds.poll(client, shape, kind, {}, 0):
        for raw in page.receipts:
            try:
                decode(shape, client.system, raw, dialect)
            except BadPayload as bad:
                return Finding(NAMES[kind], Mark.FAILED, f"{raw.object_id}: {bad.message}", bad.suggestion)
        return Finding(NAMES[kind], Mark.OK, f"readable; the first page has {len(page.receipts)}")
    return Finding(NAMES[kind], Mark.OK, "readable, and empty")
