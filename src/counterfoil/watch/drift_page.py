"""An audit for people and programs: both sides' totals side by side, what explains their difference, and the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from counterfoil.watch.auditing import Report
from counterfoil.watch.drift import ZERO, Verdict

KEPT = 200
"""Rows of drift kept with the last result."""

Told = Mapping[str, Any]


def as_dict(report: Report, most: int | None = None) -> dict[str, Any]:
    """The report for JSON, with at most so many rows of drift; amounts as text, times in ISO 8601 UTC."""
    tally = report.tally
    return {
        "what": report.what,
        "shop": report.shop,
        "erp": report.erp,
        "since": report.since.isoformat() if report.since else None,
        "began": report.began.isoformat(),
        "ended": report.ended.isoformat() if report.ended else None,
        "even": report.is_even,
        "unread": report.unread,
        "hub_served": report.served,
        "rows": tally.rows,
        "groups": [
            {
                **{"measure": measure, "part": part, "shop": _text(cell.shop), "erp": _text(cell.erp)},
                **{"difference": _text(cell.difference)},
                "explained": {str(v): _text(n) for v, n in cell.by.items() if v is not Verdict.DRIFT},
                "drift": _text(cell.by.get(Verdict.DRIFT, ZERO)),
            }
            for (measure, part), cell in sorted(tally.cells.items())
        ],
        "verdicts": {str(verdict): n for verdict, n in tally.verdicts.items() if n},
        "whys": [{"verdict": str(v), "why": why, "rows": n} for (v, why), n in tally.whys.most_common()],
        "drift": [finding.as_dict() for finding in tally.drift[:most]],
        "examples": [finding.as_dict() for finding in tally.samples],
        "repaired": sum(1 for finding in tally.drift if finding.repaired),
        "exceptions_opened": report.exceptions,
    }


def _text(amount: Decimal) -> str:
    return f"{amount.normalize():f}" if amount else "0"


def markdown(told: Sequence[Told], most: int = 50) -> str:
    """The page."""
    lines = ["# Drift", ""]
    if not told:
        lines.append("Nothing is compared: no flow of the blueprint joins two systems that list the same things.")
    for one in told:
        lines += _part(one, most)
    return "\n".join(lines).rstrip() + "\n"


def _part(one: Told, most: int) -> list[str]:
    verdict = "even" if one["even"] else "not read whole" if one["unread"] else "drift"
    lines = [f"## {one['what'].capitalize()} of {one['shop']} and {one['erp']}: {verdict}", ""]
    since = f", placed since {one['since'][:16].replace('T', ' ')}" if one["since"] else ""
    lines += [f"{one['rows']} compared{since}; begun {one['began'][:19].replace('T', ' ')} UTC. {_sentence(one)}", ""]
    if one["unread"]:
        lines += [f"It broke off, and what follows is only a part: {one['unread']}", ""]
    if not one["hub_served"]:
        lines += ["Nobody polls the systems at present: what changed lately may not have been heard of.", ""]
    head = ("", one["shop"], one["erp"], "difference", "explained by", "drift")
    lines += [*_table(head, (_group(group) for group in summed(one["groups"]))), ""]
    if one["whys"]:
        whys = ((entry["verdict"], entry["why"], str(entry["rows"])) for entry in one["whys"])
        lines += [*_table(("explained as", "why", "rows"), whys), ""]
    if one["drift"]:
        rows = (
            (row["label"], row["shop"], row["erp"], row["why"], row["repaired"] or "not repaired")
            for row in one["drift"][:most]
        )
        lines += [*_table(("drift", one["shop"], one["erp"], "why", "done about it"), rows), ""]
        left = one["verdicts"].get(str(Verdict.DRIFT), 0) - min(most, len(one["drift"]))
        lines += [f"and {left} more.", ""] if left > 0 else []
    return lines


def summed(groups: Iterable[Told]) -> list[dict[str, Any]]:
    """Groups by the day first added up over the days, then the days that differ."""
    totals: dict[tuple[str, str], dict[str, Any]] = {}
    days: list[dict[str, Any]] = []
    for group in groups:
        day, _, rest = group["part"].partition(" ")
        is_day = len(day) == 10 and day[4:5] == "-"
        if not is_day:
            totals[(group["measure"], group["part"])] = dict(group)
            continue
        total = totals.setdefault((group["measure"], rest), {"measure": group["measure"], "part": rest or "all days"})
        for name in ("shop", "erp", "difference", "drift"):
            total[name] = _text(Decimal(total.get(name, "0")) + Decimal(group[name]))
        explained = Counter({v: Decimal(n) for v, n in total.get("explained", {}).items()})
        for verdict, amount in group["explained"].items():
            explained[verdict] += Decimal(amount)  # type: ignore[assignment]
        total["explained"] = {v: _text(Decimal(n)) for v, n in explained.items()}
        if Decimal(group["difference"]) or Decimal(group["drift"]):
            days.append(dict(group))
    return [*totals.values(), *days]


def _group(group: Told) -> tuple[str, ...]:
    explained = ", ".join(f"{verdict} {amount}" for verdict, amount in group["explained"].items())
    cells = (group["shop"], group["erp"], group["difference"], explained, group["drift"])
    return (f"{group['measure']}, {group['part']}" if group["part"] else group["measure"], *map(_blank, cells))


def _blank(amount: str) -> str:
    return amount or "–"


def _sentence(one: Told) -> str:
    drift = one["verdicts"].get(str(Verdict.DRIFT), 0)
    explained = sum(one["verdicts"].values()) - drift
    if not drift:
        return f"They agree; {explained} differ for a reason." if explained else "They agree."
    repaired, asked = one["repaired"], one["exceptions_opened"]
    done = [f"{repaired} are told or read again"] if repaired else []
    done += [f"{asked} are put before a person"] if asked else []
    return f"{drift} drift, {explained} differ for a reason" + (f"; {', '.join(done)}." if done else ".")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    body = [_row(row) for row in rows]
    return [_row(head), _row(["---"] * len(head)), *body] if body else []


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(str(cell).replace("|", "\\|").split()) for cell in cells) + " |"
