"""Where the log goes: to standard error, as JSON, or in colours where a person looks on."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog


class Lines:
    """Writes lines to the standard error of the moment. Where nobody reads it any more, the work goes on."""

    def msg(self, line: str) -> None:
        """One line."""
        with contextlib.suppress(OSError, ValueError):  # a closed pipe, a closed file
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    log = debug = info = warn = warning = error = critical = fatal = failure = exception = msg


def discreet(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Of an error's words the first line: in the next ones databases repeat what they were given."""
    if isinstance(detail := event.get("detail"), str):
        event["detail"] = detail.partition("\n")[0]
    return event


def configure(verbose: bool = False) -> None:
    """For this process; `verbose` logs more."""
    # a trace without the values of its variables: a customer may stand in them
    colours = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer = colours if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,  # what is at work: see hub/at_work.py
            discreet,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=lambda *_: Lines(),
    )
