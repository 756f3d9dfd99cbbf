"""A journey as a picture: a lane for each system, time going down, each step with its moment. SVG, no script.

Colours follow the page it stands in: text and lines are its own colour, what went wrong is also marked by its shape.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from html import escape

from counterfoil.hub.views.journey import Journey, Step

MOST = 40
"""Steps drawn; of more the newest, as a picture is looked at and not read."""
WIDTH = 980
_TIME, _HEAD, _ROW, _TEXT = 150, 34, 30, 380
_LANES = WIDTH - _TIME - _TEXT
_QUIET = ("receipt", "promise")
"""Steps that stand in the list and would only crowd the picture."""


def svg(journey: Journey, zone: tzinfo = UTC) -> str:
    """The picture, its times in `zone`; empty where there is nothing to draw. Text is escaped."""
    all_steps = [s for s in journey.steps if s.what not in _QUIET and not s.text.partition(": ")[0].endswith(".decode")]
    steps = all_steps[-MOST:]
    if not steps:
        return ""
    lanes = list(dict.fromkeys(name for s in steps for name in (s.system or "hub", s.to) if name))
    x = {name: _TIME + _LANES * (2 * number + 1) / (2 * len(lanes)) for number, name in enumerate(lanes)}
    height = _HEAD + _ROW * len(steps) + 10
    parts = [_lane(name, at, height) for name, at in x.items()]
    before: datetime | None = None
    for number, step in enumerate(steps):
        at = step.at.astimezone(zone)
        parts.append(_drawn(step, at, _HEAD + _ROW * (number + 0.5), x, before))
        before = at
    left = f" The newest {MOST} of {len(all_steps)} steps." if len(all_steps) > len(steps) else ""
    title = f"The journey of {journey.line.thing} {journey.line.title}"
    words = f"Systems side by side, time going down.{left} The list of steps says the same."
    return (
        f'<svg role="img" aria-labelledby="journey-title journey-desc" viewBox="0 0 {WIDTH} {height}" '
        'fill="currentColor" font-family="system-ui,sans-serif" font-size="12">'
        f'<title id="journey-title">{escape(title)}</title><desc id="journey-desc">{escape(words)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def _lane(name: str, at: float, height: int) -> str:
    line = f'<path d="M{at:g} {_HEAD - 8}V{height}" stroke="currentColor" stroke-opacity=".25" stroke-dasharray="3 4"/>'
    return f'<text x="{at:g}" y="16" text-anchor="middle" font-weight="600">{escape(_short(name, 16))}</text>{line}'


def _drawn(step: Step, at: datetime, y: float, x: dict[str, float], before: datetime | None) -> str:
    start = x[step.system or "hub"]
    end = x.get(step.to, start)
    wrong = _is_wrong(step)
    same_day = before is not None and before.date() == at.date()
    moment = _since(at, before) if before and same_day else f"{at:%Y-%m-%d %H:%M:%S}"
    parts = [f'<text x="{_TIME - 12}" y="{y + 4:g}" text-anchor="end" fill-opacity=".75">{moment}</text>']
    if end != start:
        tip = end - 7 if end > start else end + 7
        parts.append(f'<path d="M{start:g} {y:g}H{tip:g}" stroke="currentColor" stroke-width="1.5"/>')
    # a square is what went wrong, a disc what went well: the colour alone must not say it
    if wrong:
        parts.append(f'<rect class="wrong" x="{end - 5:g}" y="{y - 5:g}" width="10" height="10" fill="#c62f2f"/>')
    else:
        parts.append(f'<circle cx="{end:g}" cy="{y:g}" r="5"/>')
    text = escape(_short(step.text, 58))
    weight = 600 if wrong else 400
    parts.append(f'<text x="{WIDTH - _TEXT + 8}" y="{y + 4:g}" font-weight="{weight}">{text}</text>')
    return f"<g>{''.join(parts)}</g>"


def _is_wrong(step: Step) -> bool:
    failed = step.what == "delivery" and not step.text.endswith((": done", ": resolved", ": skipped"))
    return failed or step.what == "exception" or step.promise.startswith("missed")


def _since(at: datetime, before: datetime) -> str:
    return f"{at:%H:%M:%S} (+{_words(at - before)})"


def _words(passed: timedelta) -> str:
    seconds = passed.total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.1f} s"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
