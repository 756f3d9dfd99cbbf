"""Where the log goes: to standard error, as JSON, or in colours where a person looks on."""

from __future__ import annotations

import contextlib
import logging
import sys

import structlog


class Lines:
    """Writes lines to the standard error of the moment. Where nobody reads it any more, the work goes on."""

    def msg(self, line: str) -> None:
        """One line."""
        with contextlib.suppress(OSError, ValueError):  # a closed pipe, a closed file
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    log = debug = info = warn = warning = error = critical = fatal = failure = exception = msg


def configure(verbose: bool = False) -> None:
    """For this process; `verbose` logs more."""
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=lambda *_: Lines(),
    )
