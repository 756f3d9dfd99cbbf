"""Files that are made from the code: written, or held against it. For the scripts that make them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str], script: str, folder: str, files: Mapping[str, str]) -> int:
    """Write the files (by their path below the project) that differ, or with --check say which do; the exit code."""
    if list(arguments) not in ([], ["--check"]):
        sys.stderr.write(f"usage: scripts/{script} [--check]\n")
        return 2
    stale = []
    for name, text in files.items():
        file = ROOT / name
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not arguments:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {name}\n")
    if arguments and stale:
        sys.stderr.write(f"{folder} is out of date: {', '.join(stale)}. Run make reference.\n")
        return 1
    return 0
