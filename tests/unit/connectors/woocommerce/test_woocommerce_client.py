"""The error table: what each answer of a shop, or its silence, means for the hub."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from counterfoil.connectors.woocommerce.client import Client, outcome_of
from counterfoil.hub.contract import WHOLE_SYSTEM, Failure, Kind
from counterfoil_sandbox.woocommerce import RECORDINGS

MAINTENANCE = b"<!DOCTYPE html><title>Maintenance</title><p>Briefly unavailable for scheduled maintenance."
CRASH = "<p>There has been a critical error on this website.</p>"


def error(code: str, message: str = "words") -> bytes:
    return json.dumps({"code": code, "message": message, "data": {"status": 400}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (401, error("woocommerce_rest_cannot_view"), Kind.MISCONFIGURED, "unauthorized"),
        (401, error("woocommerce_rest_authentication_error"), Kind.MISCONFIGURED, "unauthorized"),
        (403, b"<html>Forbidden</html>", Kind.MISCONFIGURED, "unauthorized"),
        (403, error("rest_forbidden"), Kind.MISCONFIGURED, "unauthorized"),
        (403, error("woocommerce_rest_cannot_view"), Kind.MISCONFIGURED, "no_right"),
        (403, error("woocommerce_rest_cannot_edit"), Kind.MISCONFIGURED, "no_right"),
        (401, error("woocommerce_rest_cannot_edit"), Kind.MISCONFIGURED, "unauthorized"),
        (404, error("woocommerce_rest_shop_order_invalid_id"), Kind.REJECTED, "not_in_shop"),
        (400, error("woocommerce_rest_shop_order_invalid_id"), Kind.REJECTED, "not_in_shop"),
        (404, error("rest_no_route"), Kind.MISCONFIGURED, "bad_address"),
        (404, b"<html>Not found</html>", Kind.MISCONFIGURED, "bad_address"),
        (301, b"", Kind.MISCONFIGURED, "bad_address"),
        (400, error("rest_invalid_param"), Kind.BUG, "bad_request"),
        (413, error("woocommerce_rest_request_entity_too_large"), Kind.BUG, "bad_request"),
        (413, b"<html>nginx</html>", Kind.BUG, "bad_request"),
        (400, error("woocommerce_rest_invalid_coupon"), Kind.REJECTED, "refused_by_shop"),
        (500, error("woocommerce_rest_cannot_create_order_refund"), Kind.REJECTED, "refused_by_shop"),
        (500, error("internal_server_error", CRASH), Kind.RETRY, "shop_crashed"),
        (500, b"Error establishing a database connection", Kind.DOWN, "shop_down"),
        (502, b"<html>Bad gateway</html>", Kind.DOWN, "shop_down"),
        (503, MAINTENANCE, Kind.DOWN, "shop_down"),
        (504, b"", Kind.DOWN, "shop_down"),
        (521, b"cloudflare", Kind.DOWN, "shop_down"),
        (408, b"", Kind.RETRY, "busy"),
        (423, b"", Kind.RETRY, "busy"),
        (429, b"", Kind.THROTTLED, "throttled"),
        (418, b"", Kind.REJECTED, "refused_by_shop"),
    ],
)
def test_error_table(status: int, body: bytes, kind: Kind, reason: str) -> None:
    """By content before status; always with words for a person, and the answer for the engineer."""
    outcome = outcome_of(status, {}, body, "GET orders")
    assert outcome is not None
    assert (outcome.kind, outcome.reason) == (kind, reason)
    assert outcome.message
    assert f"GET orders answered {status}" in outcome.technical
    assert "<p>" not in outcome.message


@pytest.mark.parametrize(
    ("name", "method", "reason"),
    [
        ("401_bad_key", "GET", "unauthorized"),
        ("401_bad_secret", "GET", "unauthorized"),
        ("401_bad_secret", "POST", "unauthorized"),
        ("401_no_auth", "GET", "unauthorized"),
        ("401_basic_over_plain_http", "GET", "unauthorized"),
        ("401_read_with_write_key", "GET", "unauthorized"),
        ("401_write_with_read_key", "POST", "no_right"),
    ],
)
def test_only_a_key_that_works_for_nothing_closes_the_shop(name: str, method: str, reason: str) -> None:
    """As the real shop answered; its words are in the language of the site and do not count."""
    answer = json.loads((RECORDINGS / "errors" / f"{name}.json").read_text())["response"]
    body = json.dumps({**answer["body"], "message": "Désolé"}).encode()
    outcome = outcome_of(answer["status"], httpx.Headers(answer["headers"]), body, f"{method} orders")
    assert outcome is not None
    assert (outcome.kind, outcome.reason) == (Kind.MISCONFIGURED, reason)
    assert "Read/Write" in outcome.suggestion
    assert (reason in WHOLE_SYSTEM) == (reason == "unauthorized")


def test_words_of_the_shop_are_handed_on() -> None:
    """In its own language, without markup."""
    body = error("woocommerce_rest_invalid_coupon", "<b>Coupon</b>   expired")
    outcome = outcome_of(400, {}, body, "PUT orders/1")
    assert outcome is not None
    assert outcome.message == "The shop refuses: Coupon expired"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("30", 30), ("", 60), ("soon", 60), ("999999999", 86_400), ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400)],
)
def test_throttling_says_until_when(value: str, seconds: int) -> None:
    """Retry-After in seconds or as a date, at most a day; a minute where the shop does not say."""
    outcome = outcome_of(429, {"retry-after": value}, b"", "GET orders")
    assert outcome is not None
    assert outcome.until is not None
    assert abs(outcome.until - datetime.now(UTC) - timedelta(seconds=seconds)) < timedelta(seconds=5)


async def failure(answer: Any) -> Failure:
    """What a client raises when its transport gives, or raises, `answer`."""

    def handle(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = Client("https://shop.example", "k", "s", 5, httpx.MockTransport(handle))
    with pytest.raises(Failure) as caught:
        await client.get("orders")
    await client.close()
    return caught.value


@pytest.mark.parametrize(
    "silence",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("server disconnected"),
        httpx.ReadError("reset"),
    ],
)
async def test_silence_is_an_outage(silence: Exception) -> None:
    """Nobody's fault and nobody's work: the lanes wait."""
    outcome = (await failure(silence)).outcome
    assert (outcome.kind, outcome.reason) == (Kind.DOWN, "unreachable")
    assert "Nothing is lost" in outcome.suggestion


@pytest.mark.parametrize("body", [MAINTENANCE, b"", b"<br /><b>Warning</b>: x{}", b"[" * 99_999])
async def test_a_page_instead_of_data_is_an_outage(body: bytes) -> None:
    """Status 200 and HTML: a maintenance plugin, or a PHP warning before the JSON."""
    outcome = (await failure(httpx.Response(200, content=body))).outcome
    assert (outcome.kind, outcome.reason) == (Kind.DOWN, "not_json")


async def test_a_redirect_names_the_other_address() -> None:
    """Following it would lose the key or the body; the person gets the address to write down."""
    answer = httpx.Response(301, headers={"Location": "https://www.shop.example/"})
    outcome = (await failure(answer)).outcome
    assert (outcome.kind, outcome.reason) == (Kind.MISCONFIGURED, "bad_address")
    assert "https://www.shop.example/" in outcome.message


async def test_the_shops_time_is_the_innermost_date() -> None:
    """A proxy in front may add a Date of its own."""

    def handle(_request: httpx.Request) -> httpx.Response:
        dates = [("Date", "Thu, 01 Jan 2026 00:00:00 GMT"), ("Date", "Fri, 02 Jan 2026 00:00:00 GMT")]
        return httpx.Response(200, headers=dates, content=b"[]")

    client = Client("https://shop.example", "k", "s", 5, httpx.MockTransport(handle))
    assert (await client.get("orders")).shop_time == datetime(2026, 1, 2, tzinfo=UTC)
    await client.close()


async def test_an_address_that_is_none() -> None:
    """Misconfigured, not down: waiting would not help."""
    client = Client("shop.example", "k", "s", 5)
    with pytest.raises(Failure) as caught:
        await client.get("orders")
    assert (caught.value.outcome.kind, caught.value.outcome.reason) == (Kind.MISCONFIGURED, "bad_address")
    await client.close()
