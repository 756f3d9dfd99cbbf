"""What Odoo 19 really answered when something was wrong (fixtures/odoo/errors_19.json), and what that means."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from counterfoil.connectors.odoo.accept import _blamed
from counterfoil.connectors.odoo.errors import classify, load_failed, lost_race
from counterfoil.connectors.odoo.jobs import Job
from counterfoil.hub.contract import Kind, Outcome

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "fixtures/odoo/errors_19.json").read_text(encoding="utf-8")
)

MEANING = {
    "auth_wrong_key": (Kind.MISCONFIGURED, "bad_credentials"),
    "auth_no_key": (Kind.MISCONFIGURED, "bad_credentials"),
    "private_method": (Kind.MISCONFIGURED, "no_right"),
    "access_error_model": (Kind.MISCONFIGURED, "no_right"),
    "access_error_create": (Kind.MISCONFIGURED, "no_right"),
    "wrong_model": (Kind.MISCONFIGURED, "module_missing"),
    "wrong_db": (Kind.DOWN, "database_gone"),
    "database_stopped": (Kind.DOWN, "database_gone"),
    "serialization_failure": (Kind.RETRY, "lost_race"),
    "fk_violation_create": (Kind.REJECTED, "record_gone"),
    "missing_record_write": (Kind.REJECTED, "record_gone"),
    "missing_required_field": (Kind.REJECTED, "odoo_refused"),
    "validation_error_unique_barcode": (Kind.REJECTED, "odoo_refused"),
    "user_error_confirm_twice": (Kind.REJECTED, "odoo_refused"),
    "user_error_unlink_confirmed": (Kind.REJECTED, "odoo_refused"),
    "user_error_post_posted_move": (Kind.REJECTED, "odoo_refused"),
    "user_error_unlink_posted_move": (Kind.REJECTED, "odoo_refused"),
    "unbalanced_move": (Kind.REJECTED, "odoo_refused"),
    "bad_json": (Kind.BUG, "odoo_failed"),
    "missing_required_argument": (Kind.BUG, "odoo_version_difference"),
    "positional_domain_as_args": (Kind.BUG, "odoo_version_difference"),
    "unknown_kwarg": (Kind.BUG, "odoo_version_difference"),
    "ids_on_api_model_method": (Kind.BUG, "odoo_version_difference"),
    "wrong_method": (Kind.BUG, "odoo_version_difference"),
    "wrong_field_read": (Kind.BUG, "odoo_version_difference"),
    "wrong_field_domain": (Kind.BUG, "odoo_version_difference"),
    "wrong_field_create": (Kind.BUG, "odoo_version_difference"),
    "bad_selection_value": (Kind.BUG, "odoo_version_difference"),
    "wrong_type_create": (Kind.BUG, "odoo_failed"),
}


def answered(name: str) -> Outcome:
    """The outcome of a recorded answer."""
    response = RECORDED[name]["response"]
    body = response["body"]
    raw = body if isinstance(body, str) else json.dumps(body)
    return classify(response["status"], {"content-type": response["content_type"]}, raw.encode())


@pytest.mark.parametrize(("name", "meaning"), MEANING.items(), ids=MEANING)
def test_recorded_answers(name: str, meaning: tuple[Kind, str]) -> None:
    """case: F12 - by content, never by HTTP status: 404 is four different things, 500 is two."""
    outcome = answered(name)
    assert (outcome.kind, outcome.reason) == meaning


def test_every_recorded_failure_has_its_meaning() -> None:
    """A recording that is added must be judged here."""
    failures = {n for n, r in RECORDED.items() if r["response"]["status"] != 200}
    assert failures == set(MEANING)


@pytest.mark.parametrize("name", [n for n, (kind, _) in MEANING.items() if kind is not Kind.RETRY])
def test_there_are_words_for_people_and_words_for_engineers(name: str) -> None:
    """The shop's person reads what to do, the engineer reads the status and Odoo's own message."""
    outcome = answered(name)
    assert outcome.message
    assert outcome.suggestion
    assert f"HTTP {RECORDED[name]['response']['status']}" in outcome.technical
    assert "Traceback" not in outcome.message


@pytest.mark.parametrize("name", ["user_error_confirm_twice", "validation_error_unique_barcode"])
def test_odoos_own_words_are_kept(name: str) -> None:
    """A business error is shown as Odoo says it."""
    assert RECORDED[name]["response"]["body"]["message"] in answered(name).message


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "reason"),
    [
        (502, {}, "<html><h1>502 Bad Gateway</h1><hr>nginx</html>", Kind.DOWN, "unreachable"),
        (503, {}, "", Kind.DOWN, "unreachable"),
        (504, {}, '{"name": "proxy", "message": "timeout"}', Kind.DOWN, "unreachable"),
        (500, {}, "<h1>Internal Server Error</h1>", Kind.DOWN, "unreachable"),
        (500, {}, '{"error": "no name"}', Kind.DOWN, "unreachable"),
        (404, {}, "<title>404 Not Found</title>The requested URL was not found", Kind.MISCONFIGURED, "no_json2"),
        (413, {}, "<h1>Request Entity Too Large</h1>", Kind.BUG, "too_large"),
        (429, {}, "slow down", Kind.THROTTLED, "throttled"),
        (429, {}, '{"name": "RateLimit", "message": "slow down"}', Kind.THROTTLED, "throttled"),
    ],
)
def test_what_stands_in_front_of_odoo(status: int, headers: dict[str, str], body: str, kind: Kind, reason: str) -> None:
    """A proxy answers in its own words."""
    outcome = classify(status, headers, body.encode())
    assert (outcome.kind, outcome.reason) == (kind, reason)


@pytest.mark.parametrize(
    "name", ["psycopg2.OperationalError", "psycopg2.InterfaceError", "psycopg2.errors.AdminShutdown"]
)
def test_a_database_that_breaks_off_is_an_outage(name: str) -> None:
    """Lanes park, nothing is counted as tried."""
    body = json.dumps({"name": name, "message": "server closed the connection unexpectedly"})
    assert classify(500, {}, body.encode()).reason == "database_gone"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("psycopg2.errors.SerializationFailure", ""),
        ("psycopg2.errors.DeadlockDetected", "deadlock detected\nDETAIL: …"),
        ("psycopg2.errors.LockNotAvailable", ""),
        ("odoo.exceptions.UserError", 'could not obtain lock on row in relation "stock_quant"'),
        (
            "psycopg2.errors.UniqueViolation",
            'duplicate key value violates unique constraint "ir_model_data_module_name"',
        ),
    ],
)
def test_two_transactions_that_met_are_tried_again(name: str, message: str) -> None:
    """case: F12 - a lost race is no outage and nobody's work, whatever Odoo wraps it in."""
    outcome = classify(500, {}, json.dumps({"name": name, "message": message}).encode())
    assert (outcome.kind, outcome.reason) == (Kind.RETRY, "lost_race")


def test_another_unique_constraint_is_no_race() -> None:
    """A barcode taken twice stays taken however often it is tried."""
    assert not lost_race('duplicate key value violates unique constraint "product_barcode_uniq"')


@pytest.mark.parametrize(("asked", "seconds"), [("7", 7), ("", 10), ("soon", 10), ("999999", 3600)])
def test_throttled_waits_as_long_as_asked(asked: str, seconds: int) -> None:
    """Retry-After in seconds, ten without it, an hour at most."""
    before = datetime.now(UTC)
    until = classify(429, {"retry-after": asked}, b"").until
    assert until is not None
    assert abs(until - before - timedelta(seconds=seconds)) < timedelta(seconds=5)


# --- load(): 200, and yet it failed ---------------------------------------------------------------------------


def test_a_bad_row_is_for_a_person() -> None:
    """Odoo's own words, without its warnings."""
    messages = RECORDED["load_bad_row"]["response"]["body"]["messages"]
    outcome = load_failed([*messages, {"type": "warning", "message": "Found 2 errors"}])
    assert (outcome.kind, outcome.reason) == (Kind.REJECTED, "odoo_refused")
    assert "No matching record found for database id '999999999'" in outcome.message
    assert "Found 2 errors" not in outcome.message


def test_a_load_that_lost_a_race_is_tried_again() -> None:
    """case: F12 - it says so in a message of an HTTP 200, in each row."""
    row = {"type": "error", "message": "could not serialize access due to concurrent update\n"}
    outcome = load_failed([row, row, {"type": "warning", "message": "Found more than 10 errors"}])
    assert (outcome.kind, outcome.reason) == (Kind.RETRY, "lost_race")


def test_a_load_without_the_right_is_misconfigured() -> None:
    """Every other method answers 403; load() answers 200 and a message for each row."""
    message = RECORDED["access_error_create"]["response"]["body"]["message"]
    outcome = load_failed([{"type": "error", "message": message, "rows": {"from": 0, "to": 0}}])
    assert (outcome.kind, outcome.reason) == (Kind.MISCONFIGURED, "no_right")
    assert "create 'Sales Order'" in outcome.message


def test_a_load_that_gives_no_reason_still_has_words() -> None:
    """Nothing is ever refused in silence."""
    assert load_failed([]).message
    assert "only a warning" in load_failed([{"type": "warning", "message": "only a warning"}]).message


@pytest.mark.parametrize(("at", "blamed"), [(0, "A"), (1, "A"), (2, "B"), (3, "C"), (5, "C"), (6, None)])
def test_a_row_is_blamed_on_its_order(at: int, blamed: str | None) -> None:
    """case: F17 - of three orders with 2, 1 and 3 lines, the one whose row Odoo names."""
    jobs = [_job(name) for name in "ABC"]
    rows = {job.external_id: [["x"]] * n for job, n in zip(jobs, (2, 1, 3), strict=True)}
    warning = {"type": "warning", "rows": {"from": 0, "to": 0}}
    found = _blamed(jobs, rows, [warning, {"type": "error", "rows": {"from": at, "to": at}}])
    assert (found.order.id if found else None) == blamed


def test_a_message_without_rows_blames_nobody() -> None:
    """The worker halves the batch then."""
    job = _job("A")
    assert _blamed([job], {job.external_id: [["x"]]}, [{"type": "error", "message": "no"}]) is None


def _job(id: str) -> Job:
    from tests.conformance.making import item, order

    return Job(item(order(id)), order(id), True)
