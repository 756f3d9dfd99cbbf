"""The log is a help, never a hindrance: what is done goes on when nobody reads it any more."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator

import pytest
import structlog

from counterfoil.doors import logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = structlog.get_config()
    logs.configure()
    yield
    structlog.configure(**before)


def test_it_goes_to_the_standard_error_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    log, streams = structlog.get_logger(), [io.StringIO(), io.StringIO()]
    for number, stream in enumerate(streams):
        monkeypatch.setattr(sys, "stderr", stream)
        log.warning("told", number=number)
    told = [json.loads(stream.getvalue()) for stream in streams]
    assert [(line["event"], line["level"], line["number"]) for line in told] == [("told", "warning", n) for n in (0, 1)]


def test_a_closed_stream_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    structlog.get_logger().error("nobody hears")


def test_a_reader_that_is_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """`counterfoil run 2>&1 | head`."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", buffering=1) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        structlog.get_logger().error("nobody hears")
        monkeypatch.undo()
        with pytest.raises(BrokenPipeError):
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)
