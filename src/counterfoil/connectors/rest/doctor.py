"""What the doctor looks at in a JSON API: each list that is declared, one page of it, and every record on that page.

And which version of itself it tells, where the blueprint says at which address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from counterfoil.connectors.overlay import Dialect
from counterfoil.connectors.rest import feeds
from counterfoil.connectors.rest.client import Client
from counterfoil.connectors.rest.mapping import KINDS
from counterfoil.connectors.rest.reading import Shape, decode
from counterfoil.connectors.rest.writing import NAMES
from counterfoil.hub.contract import BadPayload, Failure, Finding, Kind, Mark, Outcome, Release

_AT_ONCE = (Kind.DOWN, Kind.THROTTLED)


async def examine(
    client: Client, shape: Shape, dialect: Dialect, webhooks: bool, version: ToldAt | None = None
) -> list[Finding]:
    """Reachable, token accepted, a page of each list readable, the mapping fits, its version. Never raises."""
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
    return [*found, *await _version(client, version or ToldAt())]


async def _version(client: Client, at: ToldAt) -> list[Finding]:
    try:
        return [Finding("version", Mark.OK, each.version) for each in await releases_of(client, at)]
    except Failure as failure:
        out = failure.outcome
        return [Finding("version", Mark.WARNING, out.message, out.suggestion or out.technical)]


async def _list(client: Client, shape: Shape, dialect: Dialect, kind: str) -> Finding:
    async for page in feeds.poll(client, shape, kind, {}, 0):
        for raw in page.receipts:
            try:
                decode(shape, client.system, raw, dialect)
            except BadPayload as bad:
                return Finding(NAMES[kind], Mark.FAILED, f"{raw.object_id}: {bad.message}", bad.suggestion)
        return Finding(NAMES[kind], Mark.OK, f"readable; the first page has {len(page.receipts)}")
    return Finding(NAMES[kind], Mark.OK, "readable, and empty")


@dataclass(frozen=True, slots=True)
class ToldAt:
    """Where a version stands: in the answer of `path`, in its header or its field. Without a path nothing is asked."""

    path: str = ""
    field: Sequence[str] = ("version",)
    header: str = ""


def told_at(system: str, settings: Mapping[str, str]) -> ToldAt:
    """What the settings say of it. Raises ValueError."""
    path, field, header = (settings.get(f"version_{name}") or "" for name in ("path", "field", "header"))
    if (field or header) and not path:
        name = "version_field" if field else "version_header"
        raise ValueError(f"systems.{system}.{name}: expected version_path too, found none: what is to be asked?")
    if path and not path.startswith("/"):
        raise ValueError(f"systems.{system}.version_path: expected a path such as /about, found {path!r}")
    if field and header:
        raise ValueError(f"systems.{system}: expected version_field or version_header, found both")
    return ToldAt(path, tuple((field or "version").split(".")), header)


async def releases_of(client: Client, at: ToldAt) -> list[Release]:
    """The system's version under its own name; nothing where there is no path. Raises Failure."""
    if not at.path:
        return []
    answer = await client.call("GET", at.path)
    told = answer.headers.get(at.header) if at.header else answer.data
    for part in () if at.header else at.field:
        told = told.get(part) if isinstance(told, dict) else None
    version = str(told).strip() if isinstance(told, str | int | float) and not isinstance(told, bool) else ""
    if not version:
        where = f"header {at.header}" if at.header else f"field {'.'.join(at.field)}"
        words = f"{client.system} tells no version in the {where} of its answer to {at.path}."
        raise Failure(Outcome(Kind.RETRY, "no_version", words))
    return [Release(client.system, version)]
