"""Alert rules and dashboards: as the code has them, understood by Prometheus, of metrics and labels that exist."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from tests.alerting import ALERTS, ROOT, Watch, promtool

from counterfoil.watch.metrics import names
from counterfoil.watch.rules import RULES

HEADINGS = ["What it means for the shop", "How to tell", "What to do", "How to know that it is over"]
EVERYWHERE = {"job", "instance", "le"}


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dashboards", ROOT / "scripts" / "dashboards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dashboards"] = module
    spec.loader.exec_module(module)
    return module


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted((ROOT / "ops" / "grafana").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            yield f"{file.stem}: {panel['title']}", panel


def queries() -> Iterator[tuple[str, str]]:
    """Every expression, by where it stands."""
    yield from ((rule.name, rule.expr) for rule in RULES)
    for place, panel in panels():
        yield from ((place, target["expr"]) for target in panel["targets"])


def test_what_stands_in_ops_is_what_the_code_says() -> None:
    made = script().files()
    assert {name: (ROOT / name).read_text() for name in made} == made, "run make reference"
    there = {str(f.relative_to(ROOT)) for f in (ROOT / "ops").rglob("*") if f.is_file()}
    assert there == set(made)


def test_every_query_is_of_metrics_and_labels_that_exist() -> None:
    known = names()
    wrong = []
    for place, expr in queries():
        used = re.findall(r"\b(counterfoil_\w+)(\{[^}]*\})?", expr)
        allowed = set(EVERYWHERE)
        for name, selected in used:
            base = re.sub(r"_(bucket|count|sum)$", "", name) if name not in known else name
            if base not in known or (name != base) != (known[base][0] == "histogram"):
                wrong.append(f"{place}: there is no metric {name}")
                continue
            labels = set(re.findall(r"(\w+)\s*[=!]~?\s*\"", selected))
            wrong += [f"{place}: {name} has no label {each}" for each in labels - set(known[base][2]) - EVERYWHERE]
            allowed |= set(known[base][2])
        grouped = {each for part in re.findall(r"(?:by|on|without) \(([^)]*)\)", expr) for each in part.split(", ")}
        wrong += [f"{place}: nothing has the label {each}" for each in grouped - allowed]
        assert used or "up{" in expr or "process_" in expr, place
    assert wrong == []


def test_every_metric_is_looked_at_by_somebody() -> None:
    """One that no alert and no panel shows is one that nobody asked for."""
    text = " ".join(expr for _, expr in queries())
    alone = {"counterfoil_role", "counterfoil_storefront_book_ready"}  # for whoever looks for a process
    assert {name for name in names() if name not in text} == alone


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: Any) -> None:
    assert rule.summary
    assert rule.description
    page = (ROOT / rule.runbook).read_text(encoding="utf-8")
    assert rule.name in page
    assert re.findall(r"^## (.+)$", page, re.M) == HEADINGS
    assert all(len(part.strip()) > 20 for part in re.split(r"^## .+$", page, flags=re.M)[1:])


def test_dashboards_are_as_grafana_reads_them() -> None:
    seen = 0
    for file in sorted((ROOT / "ops" / "grafana").glob("*.json")):
        board = json.loads(file.read_text())
        assert board["uid"].startswith("counterfoil-")
        assert len({p["id"] for p in board["panels"]}) == len(board["panels"])
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert place["x"] + place["w"] <= 24
            assert not cells & taken, f"{panel['title']} lies over another"
            taken |= cells
            assert panel["type"] in ("timeseries", "stat")
            assert [t["refId"] for t in panel["targets"]] == ["A", "B", "C"][: len(panel["targets"])]
            assert all(t["datasource"]["uid"] == "${datasource}" and '$job"' in t["expr"] for t in panel["targets"])
            seen += 1
        assert {v["name"] for v in board["templating"]["list"]} == {"datasource", "job"}
    assert seen > 20


def test_promtool_understands_every_rule_and_every_query(tmp_path: Path) -> None:
    records = [{"record": f"query:{i}", "expr": expr.replace("$job", "x")} for i, (_, expr) in enumerate(queries())]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": records}]}))
    promtool("check", "rules", ALERTS)
    promtool("check", "rules", file)


def test_what_an_alert_makes_of_history_and_of_other_jobs(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.given("Away", True, [{"series": 'up{job="counterfoil-eu", instance="hub"}', "values": "0x10"}], 5)
    watch.given("Away", False, [{"series": 'up{job="node"}', "values": "0x10"}], 5)

    placed = 'counterfoil_events_total{job="c", instance="hub", system="web", type="order.placed"}'
    week = 7 * 24 * 6  # in steps of ten minutes
    new = {"series": placed, "values": f"_x{week} 0+0x60"}
    watch.given("OrdersNotArriving", False, [new], 10 * week + 200, step=10)

    free = 'counterfoil_store_free_bytes{job="c", instance="hub"}'
    for values, fires in (("4e9+0x400", False), ("4e9-9e6x400", True), ("4e12-9e6x400", False)):
        watch.given("DiskFull", fires, [{"series": free, "values": values}], 400)
    watch.ask()
