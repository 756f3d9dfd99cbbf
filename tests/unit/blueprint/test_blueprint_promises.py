"""Promises, calendars and timing classes as a blueprint declares them: read, checked, warned of, written again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.blueprint.conftest import ENVIRON, KNOWN, WHOLE
from tests.unit.blueprint.examining import good, only

from counterfoil.blueprint import Catalogue, Examined, Problem, dump, examine_text, parse, render

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
ODOO = replace(KNOWN.connectors["odoo"], events=frozenset({"shipment.dispatched"}), poll=timedelta(seconds=2))
EVERY = replace(
    Catalogue.of([KNOWN.connectors["woocommerce"], ODOO], KNOWN.events),
    events=KNOWN.events | {"shipment.dispatched", "order.invoiced"},
)
CALENDARS = """\
calendars:
  warehouse:
    zone: Europe/Paris
    open: {mon-fri: "08:00-17:00", sat: ["09:00-12:00"]}
    closed: [2026-12-25, 01-01]
"""
PROMISES = """\
promises:
  accepted: {after: order.placed, expect: order.accepted, within: 60s, from: web-eu, owner: shop-manager}
  dispatched:
    after: order.accepted
    expect: [shipment.dispatched]
    within: 48h
    calendar: warehouse
    unless: [order.cancelled, order.closed]
"""
BATCH = '{on: order.cancelled, do: odoo.cancel_order, timing: batch, schedule: "0 22 * * mon-fri", zone: UTC}'
CANCEL = "{on: order.cancelled, do: odoo.cancel_order}"


def look(text: str, known: Catalogue = EVERY) -> Examined:
    return examine_text(text, known=known, environ=ENVIRON, file="shop.yaml", now=NOW)


def with_promises(old: str = "", new: str = "") -> Examined:
    text = CALENDARS + PROMISES
    assert text.count(old) >= 1
    return look(WHOLE + text.replace(old, new, 1) if old else WHOLE + text)


def with_flow(row: str, more: str = CALENDARS) -> Examined:
    return look(WHOLE.replace(CANCEL, row) + more)


def told(problem: Problem) -> tuple[str, str]:
    return problem.path, f"{problem.found}; {problem.expected}; {problem.hint}"


# --- promises -----------------------------------------------------------------------------------------------------


def test_they_are_read_shown_and_written_again() -> None:
    plan = good(with_promises())
    accepted, dispatched = plan.promises["accepted"], plan.promises["dispatched"]
    assert (accepted.expect, accepted.within, accepted.from_) == (("order.accepted",), timedelta(seconds=60), "web-eu")
    assert dispatched.unless == ("order.cancelled", "order.closed")
    assert dict(plan.calendars["warehouse"].open) == {"mon-fri": ("08:00-17:00",), "sat": ("09:00-12:00",)}
    again = parse(dump(plan), known=EVERY, environ=ENVIRON)
    assert (again.promises, again.calendars) == (plan.promises, plan.calendars)
    page = render(plan, EVERY)
    assert "| accepted | order.placed at web-eu | order.accepted | 1m |" in page
    assert "| warehouse | Europe/Paris | mon-fri 08:00-17:00, sat 09:00-12:00 | 2026-12-25, 01-01 |" in page


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        ("after: order.placed", "after: order.placd", "promises.accepted.after", 'did you mean "order.placed"'),
        ("expect: order.accepted", "expect: order.acepted", "promises.accepted.expect", "order.accepted"),
        ("[shipment.dispatched]", "[shipment.sent]", "promises.dispatched.expect[0]", '"shipment.sent"'),
        ("order.closed]", "order.close]", "promises.dispatched.unless[1]", 'did you mean "order.closed"'),
        ("from: web-eu", "from: web-us", "promises.accepted.from", 'did you mean "web-eu"'),
        ("calendar: warehouse", "calendar: warehaus", "promises.dispatched.calendar", 'did you mean "warehouse"'),
        ("within: 60s", "within: 60", "promises.accepted.within", "give a unit: 60s"),
        ("within: 60s, ", "", "promises.accepted.within", "a duration"),
        ("within: 48h", "within: 3650d", "promises.dispatched.within", "not open for so long"),
        ("expect: order.accepted", "expect: order.placed", "promises.accepted.expect", "other events"),
        ("[order.cancelled", "[shipment.dispatched", "promises.dispatched.unless", "cannot both keep"),
        ("expect: order.accepted", "expect: order.invoiced", "promises.accepted.expect", "add the flow"),
        ("after: order.accepted", "after: order.invoiced", "promises.dispatched.after", "never be made"),
        ("accepted:", "Accepted:", "promises.Accepted", "small letters"),
        ("mon-fri", "monday", "calendars.warehouse.open", "'monday' is no day"),
        ("Europe/Paris", "Europe/Pari", "calendars.warehouse.zone", "IANA"),
        ("01-01]", "1 January]", "calendars.warehouse.closed[1]", "12-25 for every year"),
        ("owner: shop-manager", "owners: shop-manager", "promises.accepted.owners", '"owner"'),
    ],
)
def test_what_cannot_be_promised_is_told_with_place_and_remedy(old: str, new: str, path: str, words: str) -> None:
    problem = only(with_promises(old, new))
    assert problem.path == path
    assert words in told(problem)[1]
    assert problem.line > WHOLE.count("\n")


def test_nobody_is_blamed_while_it_is_unknown_what_the_systems_report() -> None:
    text = WHOLE.replace("  - {on: order.accepted, do: web-eu.note_order}\n", "")
    text += "promises: {noted: {after: order.placed, expect: order.noted, within: 1h}}\n"
    assert only(look(text)).path == "promises.noted.expect"
    good(look(text, KNOWN))


# --- timing classes -----------------------------------------------------------------------------------------------


def test_the_timing_of_a_flow_is_read_shown_and_written_again() -> None:
    row = BATCH.replace("zone: UTC", 'calendar: warehouse, window: "18:00-23:00", cut_off: 17:00')
    plan = good(with_flow(row))
    (timing,) = [t for t in plan.timings if t]
    assert (timing.schedule, timing.window, timing.cut_off) == ("0 22 * * mon-fri", (18 * 60, 23 * 60), 17 * 60)
    assert parse(dump(plan), known=EVERY, environ=ENVIRON).flows == plan.flows
    shown = "| order.cancelled | odoo.cancel_order | batch | 0 22 * * mon-fri | 18:00-23:00 | 17:00 | warehouse |"
    assert shown in render(plan, EVERY).replace("\\*", "*")


@pytest.mark.parametrize(
    ("timing", "key", "words"),
    [
        ("timing: nightly", "timing", "one of real-time, near-real-time, batch"),
        ("timing: batch", "timing", "a schedule such as"),
        ('timing: real-time, window: "22:00-04:00", zone: UTC', "timing", "near-real-time or batch"),
        ('schedule: "0 22 * * *", zone: UTC', "schedule", "timing: batch"),
        ('timing: batch, schedule: "0 25 * * *", zone: UTC', "schedule", "Bad hour"),
        ('window: "22-4", zone: UTC', "window", "from and to such as"),
        ("cut_off: 17:00, zone: UTC", "cut_off", "a schedule or a window beside it"),
        ('window: "22:00-04:00"', "window", "zone: Europe/Paris"),
        ('window: "22:00-04:00", zone: UTC, calendar: warehouse', "window", "both"),
        ("zone: UTC", "zone", "a schedule or a window beside it"),
        ('window: "22:00-04:00", calendar: office', "calendar", "warehouse"),
        ('timing: batch, schedule: "0 12 * * *", window: "22:00-04:00", zone: UTC', "schedule", "none of its runs"),
        ('window: "22:00-04:00", cut_off: 5pm, zone: UTC', "cut_off", "a time of day such as 17:00"),
    ],
)
def test_a_timing_that_cannot_be_is_told_with_place_and_remedy(timing: str, key: str, words: str) -> None:
    problem = only(with_flow(CANCEL.replace("}", f", {timing}}}")))
    assert problem.path == f"flows[1].{key}"
    assert words in told(problem)[1]


# --- what can hardly be met ---------------------------------------------------------------------------------------


def warned(examined: Examined) -> list[tuple[str, str]]:
    good(examined)
    return [told(w) for w in examined.warnings]


def test_what_is_sound_is_not_warned_of() -> None:
    assert warned(with_promises()) == []
    assert warned(with_flow(BATCH.replace("cancel_order,", "cancel_order, within: 4d,"), "")) == [
        *warned(with_flow(BATCH, ""))
    ]


@pytest.mark.parametrize(("timing", "poll"), [("real-time", "5s"), ("near-real-time", "5m")])
def test_a_class_that_a_polled_system_cannot_keep_is_warned_of(timing: str, poll: str) -> None:
    row = CANCEL.replace("}", f", timing: {timing}}}")
    polled = WHOLE.replace(CANCEL, row).replace("    webhook_secret: ${WEB_HOOK}\n", "")
    ((path, words),) = warned(look(polled.replace("poll: 60s", "poll: 10m").replace("within: 60s", "within: 1h")))
    assert path == "flows[1].timing"
    assert f"at most {poll}, not 10m" in words
    assert "web-eu is only polled" in words
    assert warned(with_flow(row)) == [], "it sends webhooks"
    assert warned(look(polled.replace("poll: 60s", "poll: 5s"))) == []


def test_a_promise_shorter_than_the_longest_wait_for_a_run_is_warned_of() -> None:
    late = [w for w in warned(with_flow(BATCH.replace("zone:", "within: 71h, zone:"))) if "within" in w[0]]
    assert [path for path, _ in late] == ["flows[1].within"]
    assert "at least 3d" in late[0][1], "from Friday to Monday"
    assert not [w for w in warned(with_flow(BATCH.replace("zone:", "within: 73h, zone:"))) if "within" in w[0]]


def test_what_is_done_at_once_behind_what_waits_is_warned_of() -> None:
    ((path, words),) = warned(with_flow(BATCH))
    assert path == "flows[0].do"
    assert "it waits behind order.cancelled → odoo.cancel_order" in words


def test_a_promise_is_held_against_the_feeds_it_depends_on() -> None:
    silent = (WHOLE + CALENDARS + PROMISES).replace("    webhook_secret: ${WEB_HOOK}\n", "")
    assert [w for w in warned(look(silent)) if w[0].startswith("promises")] == []
    tight = silent.replace("order.accepted, within: 60s", "order.accepted, within: 30s")
    (found,) = [w for w in warned(look(tight)) if w[0].startswith("promises")]
    assert found[0] == "promises.accepted.within"
    assert "at least 1m; web-eu is only polled" in found[1]


def test_of_several_ways_to_keep_it_the_quickest_counts_and_of_several_beginnings_the_slowest() -> None:
    silent = WHOLE.replace("    webhook_secret: ${WEB_HOOK}\n", "").replace("within: 60s", "within: 1h")
    either = "{after: order.accepted, expect: [order.changed, shipment.dispatched], within: 30s}"
    assert warned(look(f"{silent}promises: {{sent: {either}}}\n")) == []
    another = "  web-us:\n    connector: woocommerce\n    url: https://shop.example.us\n    poll: 10m\n"
    another += "    consumer_key: ${WEB_KEY}\n    consumer_secret: ${WEB_SECRET}\n"
    both = WHOLE.replace("  odoo:\n", another + "  odoo:\n", 1)
    promise = "promises: {accepted: {after: order.placed, expect: order.accepted, within: 1m}}\n"
    assert ("promises.accepted.within", '"1m"; at least 10m; web-us is only polled: shorten its poll') in [
        (path, words.partition(",")[0]) for path, words in warned(look(both + promise))
    ]
    alone = warned(look(both + promise.replace("within", "from: web-eu, within")))
    assert not [path for path, _ in alone if path.startswith("promises")], "the other is not meant"


def test_a_promise_is_held_against_the_runs_that_keep_it() -> None:
    promise = "promises: {closed: {after: order.placed, expect: order.closed, within: 24h}}\n"
    (found,) = [w for w in warned(with_flow(BATCH, promise)) if w[0].startswith("promises")]
    assert found[0] == "promises.closed.within"
    assert "at least 3d; order.cancelled → odoo.cancel_order waits so long for its time" in found[1]


def test_a_calendar_whose_closed_days_are_all_over_is_warned_of() -> None:
    old = CALENDARS.replace("2026-12-25, 01-01", "2025-12-25")
    ((path, words),) = warned(look(WHOLE + old))
    assert path == "calendars.warehouse.closed"
    assert "write 12-25 for every year" in words
    for sound in ("12-25", "2025-12-25, 2026-12-25"):
        assert warned(look(WHOLE + CALENDARS.replace("2026-12-25, 01-01", sound))) == []


# --- whatever is written ------------------------------------------------------------------------------------------

words = st.sampled_from(
    [
        *(
            "",
            "mon-fri",
            "08:00-17:00",
            "24:00-24:00",
            "02-30",
            "2026-12-25",
            "9999-12-31",
            "0 0 29 2 *",
            "*/5 * * * *",
        ),
        *("UTC", "Europe/Paris", "order.placed", "warehouse", "60s", "3650d", "17:00", "batch", "web-eu", "odoo"),
    ]
)
values = st.recursive(
    st.one_of(words, st.integers(-1, 10**15), st.none(), st.booleans(), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=4,
)


def some(*keys: str) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from(keys), values)


@given(
    st.dictionaries(words, st.one_of(values, some("zone", "open", "closed"))),
    st.dictionaries(words, st.one_of(values, some("after", "expect", "unless", "within", "calendar", "from", "owner"))),
    some("timing", "schedule", "window", "cut_off", "zone", "calendar", "within"),
)
def test_whatever_stands_there_the_check_answers(
    calendars: object, promises: object, timing: dict[str, object]
) -> None:
    plan = yaml.safe_load(WHOLE.replace("on:", '"on":'))
    plan["flows"][1] |= timing
    found = look(yaml.safe_dump({**plan, "calendars": calendars, "promises": promises}))
    assert all(problem.line for problem in found.problems)
    assert (found.blueprint is None) == bool(found.problems)
