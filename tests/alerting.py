"""Would an alert fire? Samples that were scraped are given to Prometheus' own promtool, with the rules as they are."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from counterfoil.watch.rules import RULES

ROOT = Path(__file__).resolve().parents[1]
ALERTS = ROOT / "ops" / "prometheus" / "alerts.yml"
CANNOT_BE_HAD = 77
MINUTE = 60


def promtool(*arguments: Any) -> str:
    """What it says; skips the test where there is none and none can be had."""
    found = subprocess.run([ROOT / "scripts" / "promtool", "path"], capture_output=True, text=True, check=False)
    if found.returncode == CANNOT_BE_HAD:
        pytest.skip("promtool cannot be had on this machine")
    assert found.returncode == 0, found.stderr
    done = subprocess.run([found.stdout.strip(), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass
class Watch:
    """Collects what is expected of alerts, and asks promtool for all of it at once."""

    folder: Path
    cases: dict[tuple[str, int], list[dict[str, Any]]] = field(default_factory=dict)

    def expect(
        self, alert: str, fires: bool, scrapes: Sequence[tuple[float, str]], minutes: int, goes_on: bool
    ) -> None:
        """Scraped a minute apart, each at its time (seconds since the epoch), and it stays so for so many minutes: what
        is counted goes on as from the last scrape but one to the last.

        `goes_on`: moments move on with the clock, as with a hub that works; else they stay, and what they tell ages.
        """
        rule = next(rule for rule in RULES if rule.name == f"Counterfoil{alert}")
        wanted = set(re.findall(r"counterfoil_\w+", rule.expr))
        told = [_samples(text, at, wanted) for at, text in scrapes]
        series = []
        for name in sorted({name for each in told for name in each}):
            moment = "_timestamp_seconds" in name
            values = [each.get(name) for each in told]
            parts = [_at(value, i, moment) for i, value in enumerate(values[:-1])]
            last = _at(values[-1], len(values) - 1, moment)
            step = MINUTE * goes_on if moment else _rise(name, values)
            parts.append(f"_x{minutes}" if last == "_" else f"{last}+{step}x{minutes}")
            series.append({"series": name, "values": " ".join(parts)})
        self.given(alert, fires, series, minutes)

    def given(self, alert: str, fires: bool, series: Sequence[dict[str, str]], minutes: int, step: int = 1) -> None:
        """Of these series, whose values are so many minutes apart."""
        firing = f'count(ALERTS{{alertname="Counterfoil{alert}", alertstate="firing"}}) > bool 0 or vector(0)'
        test = {
            "expr": firing,
            "eval_time": f"{minutes}m",
            "exp_samples": [{"labels": "{}", "value": int(fires)}],
        }
        name = f"{alert} {'fires' if fires else 'is quiet'}"
        case = {"name": name, "interval": f"{step}m", "input_series": [*series], "promql_expr_test": [test]}
        self.cases.setdefault((alert, step), []).append(case)

    def a_week_later(self, alert: str, fires: bool, scrapes: Sequence[tuple[float, str]], stops: bool) -> None:
        """What is counted has gone on for a week as from the last scrape but one to the last, each ten minutes; then it
        stops, or goes on, for ten hours."""
        rule = next(rule for rule in RULES if rule.name == f"Counterfoil{alert}")
        before, last = (_samples(text, at, set(re.findall(r"counterfoil_\w+", rule.expr))) for at, text in scrapes[-2:])
        week, series = 7 * 24 * 6, []
        for name, value in last.items():
            rise = value - before[name]
            then = value + rise * week
            values = f"{value}+{rise}x{week} {then}+{0 if stops else rise}x60"
            series.append({"series": name, "values": values})
        self.given(alert, fires, series, 10 * week + 200, step=10)

    def ask(self) -> None:
        """Fail where one does not fire that should, or fires that should not."""
        rules = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
        tests = []
        for (alert, step), cases in self.cases.items():  # each beside its own rule alone: the others would take time
            rule = self.folder / f"{alert}.yml"
            own = [each for each in rules if each["alert"] == f"Counterfoil{alert}"]
            rule.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": own}]}))
            tests.append(self.folder / f"{alert}_{step}_test.yml")
            whole = {"rule_files": [str(rule)], "evaluation_interval": f"{step}m", "tests": cases}
            tests[-1].write_text(yaml.safe_dump(whole, sort_keys=False))
        promtool("test", "rules", *tests)


def _samples(text: str, at: float, wanted: set[str]) -> dict[str, float]:
    """By series, those of the wanted metrics; moments as seconds from the scrape."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name not in wanted:
                continue
            labels = {"job": "counterfoil", "instance": "hub", **sample.labels}
            told = ", ".join(f'{label}="{value}"' for label, value in labels.items())
            name = f"{sample.name}{{{told}}}"
            found[name] = sample.value - at * ("_timestamp_seconds" in sample.name)
    return found


def _rise(name: str, values: Sequence[float | None]) -> float:
    counts = re.search(r"_(total|count|bucket|sum)\{", name)
    before, last = (None, *values)[-2:]
    return last - before if counts and last is not None and before is not None else 0


def _at(value: float | None, place: int, moment: bool) -> str:
    return "_" if value is None else f"{value + place * MINUTE * moment:.3f}"
