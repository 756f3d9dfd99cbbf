"""Which certificates the connectors trust."""

from __future__ import annotations

import functools
import ssl

import httpx


@functools.cache
def trusted() -> ssl.SSLContext:
    """The usual certificate authorities, read once: that takes longer than a call."""
    return httpx.create_ssl_context()
