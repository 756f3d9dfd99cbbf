"""Making drift even: read again at its source what the hub knows otherwise, tell again what it knows, else ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from counterfoil.hub import mending
from counterfoil.hub.contract import Failure
from counterfoil.hub.facts import Fetches
from counterfoil.watch.drift import Finding
from counterfoil.watch.drift_house import CHUNK, House, Source, again, quiet
from counterfoil.watch.drift_rows import Pair


async def repaired(house: House, source: Source, drift: Sequence[Finding], run: str, who: str) -> list[Finding]:
    """Take in what the hub knows otherwise, tell the rest again; what has no clear owner is left as it is."""
    done: list[Finding] = []
    for start in range(0, len(drift), CHUNK):
        chunk = drift[start : start + CHUNK]
        news = await _news(house, chunk)
        gone = await mending.links_at(house.store, source.pair.erp, [f.row.key for f in chunk if not f.row.erp])
        for finding in chunk:
            done.append(await _repair(house, source.what, finding, news, gone, run))
    if done:
        counts = {"what": source.what, "tried": sum(1 for f in done if f.repaired), "of": len(done)}
        await mending.note(house.store, who, run, counts)
    return done


async def helped(house: House, source: Source, done: Sequence[Finding]) -> list[Finding]:
    """Those that still differ though their lanes are quiet by now are not repaired after all."""
    tried = [finding.row for finding in done if finding.repaired]
    if not tried:
        return list(done)
    busy = await quiet(house, source, tried)
    try:
        now = {row.key: row for row in await again(source, tried)}
    except Failure:  # it was done; the next audit will see
        return list(done)
    found = []
    for finding in done:
        row = now.get(finding.row.key)
        stays = row is not None and row.differs and not row.declared and not busy & set(row.subjects)
        why = f"{finding.repaired}, and it did not help"
        found.append(Finding(finding.row, finding.verdict, why) if stays and finding.repaired else finding)
    return found


async def _news(house: House, findings: Sequence[Finding]) -> set[tuple[str, str]]:
    """(system, object) of what the hub did not know so, and has taken in now."""
    wanted: dict[tuple[str, str], list[str]] = defaultdict(list)
    for finding in findings:
        for system, kind, id_ in finding.row.remedy.fetch:
            wanted[(system, kind)].append(id_)
    found: set[tuple[str, str]] = set()
    for (system, kind), ids in wanted.items():
        connector = house.made[system]
        if isinstance(connector, Fetches):
            try:
                async with house.turn(system):
                    raws = await connector.fetch(kind, sorted(set(ids)))
            except Failure:  # then what the hub knows is all there is to tell
                continue
            taken = await mending.take_news(house.store, system, connector, house.processes[system], raws)
            found |= {(system, id_) for id_ in taken}
    return found


async def _repair(
    house: House, what: str, finding: Finding, news: set[tuple[str, str]], gone: Mapping[str, str], run: str
) -> Finding:
    row = finding.row
    remedy = row.remedy
    # an ERP's receipts about an order go by the shop's id of it
    objects = {(system, row.key if kind == "fulfilment" else id_) for system, kind, id_ in remedy.fetch}
    if objects & news:
        return Finding(row, finding.verdict, "the hub had not heard of it", "read again")
    if what == "orders" and row.key in gone:
        why = f"the ERP had it as {gone[row.key]}, and has it no more: it is not made again"
        return Finding(row, finding.verdict, why)
    if remedy.tell:
        told = await mending.tell_again(
            house.store, house.blueprint, house.streams, remedy.about, remedy.tell, remedy.to, run
        )
        if told:
            return Finding(row, finding.verdict, finding.why, f"told {remedy.to} again")
    return finding


_FIX = {
    "orders": "Look at the order on both sides and put right the one that is wrong; then run the audit again.",
    "stock": "Publish it again (counterfoil drift stock --repair), or say why the shop's number stands.",
    "prices": "Publish it again (counterfoil drift prices --repair), or correct the price in the ERP.",
    "customers": "Link the account by hand or let its next order bring it in; then run the audit again.",
}


def words(pair: Pair, finding: Finding) -> tuple[str, str]:
    """Message and suggestion of an exception."""
    row = finding.row
    message = f"{row.label}: {pair.shop} says {row.shop_says}, {pair.erp} says {row.erp_says}; {finding.why}."
    return message, _FIX[row.what]
