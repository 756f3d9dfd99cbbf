"""Times that stand in texts are said in the shop's zone, the exact one on hover; nothing else of the text changes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from counterfoil.doors.console import journey_html
from counterfoil.doors.console.markup import readable
from counterfoil.hub.views import picture
from counterfoil.hub.views.journey import Journey, Step
from counterfoil.hub.views.things import Line

KOLKATA = ZoneInfo("Asia/Kolkata")
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-9.5)), ZoneInfo("Europe/Paris")])
MOMENTS = st.builds(lambda us, zone: datetime.fromtimestamp(us / 1000, zone), st.integers(0, 7 * 10**12), ZONES)
RAW = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
TIME = re.compile(r'<time datetime="([^"]*)" title="([^"]*)">([^<]*)</time>')


@given(before=st.text(st.sampled_from("due <&\"' ,.\n")), at=MOMENTS, utc=st.sampled_from(["Z", " UTC", "+00:00"]))
def test_a_time_in_a_text_is_said_in_the_zone_and_the_rest_stays(before: str, at: datetime, utc: str) -> None:
    written = at.isoformat().replace("+00:00", utc)
    html = readable(f"{before} {written}, then", KOLKATA)
    ((exact, title, shown),) = TIME.findall(html)
    here = at.astimezone(KOLKATA)
    assert datetime.fromisoformat(exact) == at
    assert shown == f"{here:%Y-%m-%d %H:%M:%S}"
    assert title.startswith(shown)
    assert title.endswith(" Asia/Kolkata")
    assert unescape(TIME.sub(written, html).replace("<wbr>", "")) == f"{before} {written}, then"


@pytest.mark.parametrize(
    "text",
    ["2026-13-45T12:00:00Z", "2026-07-14T12:00:00", "x2026-07-14T12:00:00Z", "2026-07-14 12:00", "٢026-07-14T12:00Z"],
)
def test_what_only_looks_like_a_time_or_says_no_zone_stays(text: str) -> None:
    assert unescape(readable(text, KOLKATA)) == text


@given(st.text())
@example("0001-01-01T00:00:00+14:00")
@example("9999-12-31T23:59:59Z")
@example("2026-07-14T12:00:00+99:99")
def test_no_text_is_lost_and_none_becomes_markup(text: str) -> None:
    html = readable(text, KOLKATA).replace("<wbr>", "")
    assert "<" not in TIME.sub("", html)
    assert TIME.search(html) or unescape(html) == text


def test_no_raw_time_is_left_in_facts_timeline_and_picture() -> None:
    at, due = datetime(2026, 7, 14, 20, 0, tzinfo=UTC), "2026-07-14T20:30:00+00:00"
    line = Line("shop:order:1", "order", "N1", "placed", {"placed": "2026-07-14T20:00:00Z"})
    detail = {"due": due, "attempt": 1, "detail": {"retry_after": due}, "about": {"shipment": f"left {due}"}}
    step = Step(at, "event", f"promised by {due}", "shop", detail=detail)
    waits = {"id": 1, "system": "erp", "operation": "accept_order", "attempt": 0, "not_before": due}
    promised = {"name": "accepted", "due": due, "missed": False, "late": None}
    found = Journey(line, {}, (), (step,), None, (waits,), (promised,), (), ())
    html = journey_html.overview(found, KOLKATA) + journey_html.timeline(found, KOLKATA, "", "")
    assert RAW.findall(re.sub(r"<[^>]*>", "", html)) == []
    assert html.count("2026-07-15 02:00:00</time>") == 6
    assert html.count("2026-07-15 01:30:00</time>") == 2
    assert ">2026-07-15 01:30:00<" in picture.svg(found, KOLKATA)
    assert ">2026-07-14 20:00:00<" in picture.svg(found)
