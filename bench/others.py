"""The same two-step work with DBOS on PostgreSQL and SQLite, and with Celery on Redis, in a virtualenv of their own.

Each takes so many pieces of work of two steps that do nothing but return; the clock runs from the first piece queued
to the last one finished. Redis comes from Debian's package, with its append-only file synced once a second, as Celery's
users run it: weaker than what Counterfoil and DBOS promise.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PYTHON = HERE.parent / ".bench/bin/python"
PIECES = 1_000
LONGEST = 120
"""Seconds for one of them."""

DBOS = """
import json, sys, time
from dbos import DBOS
DBOS(config={"name": "bench", "system_database_url": sys.argv[1], "run_admin_server": False, "log_level": "ERROR"})

@DBOS.step()
def first(n): return n

@DBOS.step()
def second(n): return n

@DBOS.workflow()
def piece(n): return second(first(n))

DBOS.launch()
queue = DBOS.register_queue("work", polling_interval_sec=0.1)
began = time.perf_counter()
handles = [queue.enqueue(piece, n) for n in range(int(sys.argv[2]))]
for handle in handles:
    handle.get_result()
print(json.dumps({"per_s": len(handles) * 2 / (time.perf_counter() - began)}), flush=True)
DBOS.destroy()
"""

CELERY = """
import json, sys, time
from celery import Celery, chain
app = Celery("celery_work", broker="%(url)s", backend="%(url)s")
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=16, broker_connection_retry_on_startup=True)

@app.task
def first(n): return n

@app.task
def second(n): return n

def main():
    began = time.perf_counter()
    results = [chain(first.s(n), second.s()).apply_async() for n in range(int(sys.argv[1]))]
    for result in results:
        result.get()
    print(json.dumps({"per_s": len(results) * 2 / (time.perf_counter() - began)}))

if __name__ == "__main__":
    main()
"""


def _ready() -> str:
    """The reason why they cannot be measured; empty when they can."""
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", PYTHON.parents[1]], check=True)
        pip = [PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
        if subprocess.run([*pip, "-r", HERE / "requirements-others.lock"], check=False).returncode:
            shutil.rmtree(PYTHON.parents[1])
            return "their packages cannot be installed"
    if shutil.which("redis-server"):
        return ""
    sys.path.insert(0, str(HERE.parent / "scripts"))
    from machine import apt_install

    return "" if apt_install("redis-server") else "there is no redis-server, and only root can install it"


@contextlib.contextmanager
def _redis(folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--dir", str(folder), "--appendonly", "yes", "--save", ""]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(20)


def _run(program: Path, *arguments: str) -> float | str:
    """Steps a second, or why they could not be measured."""
    try:
        ended = subprocess.run(
            [PYTHON, program, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            cwd=program.parent,
            timeout=LONGEST,
        )
        return float(json.loads(ended.stdout.splitlines()[-1])["per_s"])
    except subprocess.SubprocessError as error:
        return f"not measured: {type(error).__name__}"


def measure(postgresql: str) -> dict[str, Any]:
    """Steps a second of each; `postgresql` is the URL of an empty database."""
    if why := _ready():
        return {"not measured": why}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="counterfoil-others-") as name:
        folder = Path(name)
        (folder / "dbos_work.py").write_text(DBOS)
        for kind, url in (("postgresql", postgresql), ("sqlite", f"sqlite:///{folder}/dbos.db")):
            found[f"dbos_{kind}_steps_per_s"] = _run(folder / "dbos_work.py", url, str(PIECES))
        with _redis(folder) as url:
            (folder / "celery_work.py").write_text(CELERY % {"url": url})
            program = [PYTHON, "-m", "celery", "--quiet", "-A", "celery_work", "worker", "--pool", "prefork", "-c", "2"]
            worker = subprocess.Popen([*program, "--loglevel", "ERROR"], cwd=folder)
            try:
                found["celery_redis_steps_per_s"] = _run(folder / "celery_work.py", str(PIECES))
            finally:
                worker.terminate()
                worker.wait(30)
    return found
