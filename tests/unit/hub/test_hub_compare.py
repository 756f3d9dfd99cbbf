"""What a payload is, beside what is known: news, stale, duplicate or echo."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes import decode_order, payload

from counterfoil.blueprint import OrderChoices
from counterfoil.hub.contract import Observed
from counterfoil.hub.decode import compare
from counterfoil.hub.records import Known, state_digest
from counterfoil.processes.orders import IGNORED, orders

EARLY, LATE = "2026-11-02T10:00:00+00:00", "2026-11-02T10:00:01+00:00"


@pytest.mark.parametrize(
    ("version", "digest", "verdict"),
    [
        pytest.param(LATE, "other", "news", id="newer, other content"),
        pytest.param(LATE, "same", "echo", id="newer, the same content: only a touch, such as our own write"),
        pytest.param(EARLY, "same", "duplicate", id="the same again"),
        pytest.param(EARLY, "other", "news", id="the same second, other content"),
    ],
)
def test_against_what_is_known_at_the_early_version(version: str, digest: str, verdict: str) -> None:
    assert compare(Known(EARLY, "same", {}, "placed"), version, digest) == verdict


@pytest.mark.parametrize("digest", ["same", "other"])
def test_older_than_known_is_stale_whatever_it_says(digest: str) -> None:
    assert compare(Known(LATE, "same", {}, "placed"), EARLY, digest) == "stale"


def test_what_was_never_seen_is_news() -> None:
    assert compare(None, EARLY, "any") == "news"


@given(st.sampled_from(["", EARLY, LATE]), st.sampled_from("ab"))
def test_the_same_twice_is_never_news_the_second_time(version: str, digest: str) -> None:
    assert compare(Known(version, digest, {}, ""), version, digest) == "duplicate"


def test_our_own_mark_and_the_time_of_touching_are_no_news() -> None:
    """The shop's order with the ERP's number in it, touched a minute later, has the same fingerprint. case: F37"""
    process = orders(OrderChoices())
    before, after = (
        Observed("order", "1", "", decode_order("shop", payload(**changes)))
        for changes in ({}, {"erp_number": "S00042", "modified": "2026-11-02T10:01:00+00:00"})
    )
    assert process.digest(before) == process.digest(after)


@pytest.mark.parametrize(
    "changed", [{"status": "completed"}, {"total": "12.01"}, {"note": "ring twice"}, {"sku": "CUP"}]
)
def test_everything_else_is_news(changed: dict[str, str]) -> None:
    plain, other = (state_digest(decode_order("shop", payload(**c)), IGNORED) for c in ({}, changed))
    assert plain != other
