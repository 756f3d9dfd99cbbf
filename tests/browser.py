"""A real browser for tests of pages: what it shows, and what it finds on the page."""

from __future__ import annotations

import functools
import html
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "chromium"
CANNOT_BE_HAD = 77


@functools.cache
def chromium() -> str:
    """Its path; skips the test where there is none and none can be had."""
    ended = subprocess.run([SCRIPT, "path"], capture_output=True, text=True, check=False)
    if ended.returncode == CANNOT_BE_HAD:
        pytest.skip(f"no browser: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def opened(page: Path, *options: str, width: int = 1200, height: int = 1000) -> str:
    """What the browser prints for the page. It looks up no address and has a profile of its own."""
    with tempfile.TemporaryDirectory() as profile:
        fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        fixed += [
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--virtual-time-budget=5000",
            f"--window-size={width},{height}",
        ]
        command = [chromium(), *fixed, *options, page.as_uri()]
        ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return ended.stdout


def asked(page: Path, question: str, width: int = 1200) -> str:
    """The answer to a question in JavaScript about the page `p`, in a frame so wide: the page itself runs no script."""
    shown = html.escape(page.read_text(encoding="utf-8"))
    outer = page.with_suffix(".asked.html")
    outer.write_text(
        f'<!doctype html><iframe width="{width}" height="800" srcdoc="{shown}"></iframe><pre id="a"></pre><script>'
        "const f = document.querySelector('iframe');"
        f"f.onload = () => {{ const p = f.contentDocument;"
        f"document.getElementById('a').textContent = String({question}) }}</script>",
        encoding="utf-8",
    )
    found = re.search(r'<pre id="a">(.*?)</pre>', opened(outer, "--dump-dom", width=width + 100), re.DOTALL)
    assert found is not None
    assert found[1], "no answer"
    return html.unescape(found[1])


def picture(page: Path, into: Path, width: int, height: int, dark: bool = False) -> bytes:
    """A screenshot (PNG), also kept in the file."""
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    opened(page, f"--screenshot={into}", *scheme, width=width, height=height)
    return into.read_bytes()
