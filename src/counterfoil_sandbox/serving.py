"""Run a stand-in on a real socket: in a thread beside a test, or in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from counterfoil_sandbox.faults import DroppedConnection


class _QuietDrops(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], DroppedConnection))


class _DroppingProtocol(H11Protocol):
    """Closes the socket without a word where a fault says so, instead of answering 500."""

    def handle_events(self) -> None:
        super().handle_events()
        cycle = self.cycle
        if cycle is not None and not getattr(cycle, "drops", False):
            cycle.drops = True  # type: ignore[attr-defined]
            transport = self.transport

            async def send_500_response() -> None:
                transport.abort()

            cycle.send_500_response = send_500_response


def free_port() -> int:
    """A TCP port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server(app: Any, port: int) -> uvicorn.Server:
    logging.getLogger("uvicorn.error").addFilter(_QuietDrops())
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level="error",
        http=_DroppingProtocol,
        lifespan="off",
        access_log=False,
    )
    return uvicorn.Server(config)


@contextlib.contextmanager
def serving(app: Any, port: int = 0) -> Iterator[str]:
    """`app` on 127.0.0.1 in a thread of its own; yields its base URL, stops it at the end."""
    port = port or free_port()
    server = _server(app, port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError(f"stand-in did not start on port {port}")
        threading.Event().wait(0.005)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)


def serve_forever(app: Any, port: int) -> None:
    """`app` in the foreground until it is told to stop."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_server(app, port).serve())
