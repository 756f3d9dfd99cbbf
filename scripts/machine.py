"""What the project's scripts share: where they keep things, how they report, lock, skip, and ask apt for a package.

Only the standard library: these run before any virtualenv exists.
"""
# ruff: noqa: T201

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

STARTED = time.monotonic()
IS_ROOT = os.geteuid() == 0
# The exit code that test runners read as "skipped": what was asked for cannot be had on this machine.
CANNOT_BE_HAD = 77
DATABASE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,50}")


def step(text: str) -> None:
    """One line on stderr with the seconds since the script began."""
    print(f"{time.monotonic() - STARTED:6.1f}s  {text}", file=sys.stderr, flush=True)


def fail(text: str) -> NoReturn:
    """One line on stderr, exit 1."""
    print(f"{Path(sys.argv[0]).name}: {text}", file=sys.stderr)
    raise SystemExit(1)


def cannot_be_had(text: str) -> NoReturn:
    """One line on stderr, exit 77."""
    print(f"{Path(sys.argv[0]).name}: {text}", file=sys.stderr)
    raise SystemExit(CANNOT_BE_HAD)


def cache_dir() -> Path:
    """Where everything that can be thrown away lives: COUNTERFOIL_CACHE, else a place that fits the user.

    For root it is outside /root, because PostgreSQL refuses to run as root and its own user must reach it.
    """
    named = os.environ.get("COUNTERFOIL_CACHE")
    if named:
        path = Path(named).absolute()
    elif IS_ROOT:
        path = Path("/var/tmp/counterfoil-cache")  # noqa: S108 - its owner is checked below
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "counterfoil"
    path.mkdir(mode=0o755, parents=True, exist_ok=True)
    if path.stat().st_uid != os.geteuid():
        fail(f"{path} belongs to another user; set COUNTERFOIL_CACHE to a directory of your own")
    return path


@contextlib.contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file: two scripts started at once take turns."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def database_name(name: str) -> str:
    """The name, if it can stand in SQL, in a path and in a URL without quoting; else exit 1."""
    if not DATABASE_NAME.fullmatch(name):
        fail(f"not a database name: {name!r} (letters, digits, _ and -, at most 51)")
    return name


def apt_install(*packages: str) -> bool:
    """Install Debian packages. False where there is no apt-get, no root, or no mirror that has them."""
    apt = shutil.which("apt-get")
    if not (apt and IS_ROOT):
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = [apt, "install", "-y", "-qq", "--no-install-recommends", *packages]
    # A new machine has no package lists at all, an old one may have lists that no longer match the mirror.
    for command in (install, [apt, "update", "-qq"], install):
        ended = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if command is install and ended.returncode == 0:
            return True
    return False
