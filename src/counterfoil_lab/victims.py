"""What a soak strikes at: processes that come back whenever they are gone, a PostgreSQL, a small disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CANNOT_BE_HAD = 77


class Kept:
    """A process that is started again whenever it has ended, as a service manager does. Start it with `with`."""

    def __init__(self, command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.command, self.log = list(command), log
        self.environment = {**os.environ, **(environment or {})}
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> Kept:
        self._start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ask it to end, and insist after ten seconds."""
        self._over.set()
        self._thread.join()
        if self._process is not None:
            self.go_on()
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def kill(self, down: float = 0.0) -> bool:
        """SIGKILL; it is started again after `down` seconds. False where it is not running."""
        process = self._process
        if process is None or process.poll() is not None:
            return False
        self._not_before = time.monotonic() + down
        process.kill()
        process.wait()
        return True

    def stall(self) -> None:
        """SIGSTOP: it stands still and knows nothing of it."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT, in the middle of whatever it did."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log, env=self.environment)
        self.starts += 1

    def _keep(self) -> None:
        while not self._over.wait(0.05):
            if self._process is not None and self._process.poll() is not None and time.monotonic() > self._not_before:
                self._start()


class Postgres:
    """A cluster of the soak's own, with durability on; other tests' are left alone. Raises NoPostgres."""

    def __init__(self, port: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="counterfoil-soak-pg-"))
        self._folder.chmod(0o755)  # PostgreSQL's own user must reach it
        self.environment = {**os.environ, "COUNTERFOIL_CACHE": str(self._folder), "COUNTERFOIL_PGPORT": str(port)}
        self.environment["COUNTERFOIL_PG_DURABLE"] = "1"
        self._turn = threading.Lock()
        self.url = self._script("createdb", "soak").splitlines()[-1]

    def kill(self, down: float) -> bool:
        """SIGKILL for all of it; up again after `down` seconds."""
        with self._turn:
            kill_postgres(self._folder / "pg")
            time.sleep(down)
            self._script("up")
        return True

    def stop(self) -> None:
        """Shut it down, and remove it."""
        self._script("stop")
        shutil.rmtree(self._folder)

    def _script(self, *arguments: str) -> str:
        command = [REPOSITORY / "scripts" / "postgres", *arguments]
        ended = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if ended.returncode == CANNOT_BE_HAD:
            raise NoPostgres(ended.stderr.strip())
        if ended.returncode:
            raise RuntimeError(f"scripts/postgres {' '.join(arguments)}: {ended.stderr.strip()}")
        return ended.stdout


def kill_postgres(data: Path) -> None:
    """SIGKILL for the postmaster and all its children, as when the machine loses power."""
    lock = data / "postmaster.pid"
    postmaster = int(lock.read_text().split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for process in (postmaster, *map(int, children)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    while any(_lives(process) for process in (postmaster, *map(int, children))):
        time.sleep(0.01)
    # the dead have a number until somebody reaps them, and PostgreSQL would take that for another server
    lock.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill_group(process: int) -> None:
    """SIGKILL for a process and those it has started, where it leads a group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)


class NoPostgres(RuntimeError):
    """This machine has no PostgreSQL and none can be installed."""


class Disk:
    """A small file system in `folder` that can be filled to the last byte. `can_be_full` False: it is the usual one."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        folder.mkdir()
        options = f"size={megabytes}m,mode=700"
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "soak", folder], capture_output=True)
        self.can_be_full = mounted.returncode == 0

    def fill(self) -> None:
        """Not one more byte."""
        with self._ballast.open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:  # a block at a time, then what is left of the last
                ballast.write(bytes(4096))

    def free(self) -> None:
        """There is room again."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it."""
        if self.can_be_full:
            subprocess.run(["umount", self.folder], check=False)
