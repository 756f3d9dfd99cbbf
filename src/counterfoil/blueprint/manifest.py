"""What a connector's manifest says of its limits, in words for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_LIMITS = {
    "batch": "at most {} things in one call",
    "parallel": "{} calls at once",
    "per_page": "read {} at a time",
    "measured_reads_per_second": "measured: {} reads a second",
    "measured_writes_per_second": "measured: {} writes a second",
    "version_granularity_seconds": "two changes within {} s of each other cannot be told apart by their time",
}
_KEPT = "done"


def limits_in_words(manifest: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(about, in words) for all the manifest says of versions, access, speed, and what is not done or not tried."""
    return tuple((about.replace("_", " "), words) for about, words in _limits(manifest))


def _limits(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    versions = manifest.get("versions", ())
    yield "versions", versions if isinstance(versions, str) else ", ".join(map(str, versions))
    for about in ("api", "auth"):
        if about in manifest:
            yield about, str(manifest[about])
    speed = [_LIMITS[name].format(value) for name, value in manifest.get("limits", {}).items() if name in _LIMITS]
    if speed:
        yield "speed", "; ".join(speed)
    for about, words in manifest.get("quality", {}).items():
        if isinstance(words, str) and not words.startswith(_KEPT):
            todo = words.removeprefix("todo: ")
            yield about, f"not yet: {todo}" if todo != words else words
