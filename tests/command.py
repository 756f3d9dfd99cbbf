"""`counterfoil` as people call it: each call a process of its own, with its exit code and what it prints.

Half a second of each start would be imports, so the processes are forked from one that has imported everything.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

COMMAND = [sys.executable, "-m", "counterfoil.doors.cli"]
"""For what needs a process from scratch: one that serves, or is killed."""
WIDE = {"COLUMNS": "250"}
"""A wide terminal, so that tables do not cut what is asserted."""
LONGEST = 60.0


def counterfoil(*arguments: str | Path, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it and expect this exit code."""
    done = _run(list(map(str, arguments)), {**os.environ, **WIDE, **environment})
    assert done.returncode == code, done.stdout + done.stderr
    return done


async def also(*arguments: str | Path, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same beside a running loop."""
    return await asyncio.to_thread(counterfoil, *arguments, code=code, **environment)


_idle: list[subprocess.Popen[str]] = []


def _run(arguments: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        ready = _idle.pop()  # whoever comes at the same time gets another
    except IndexError:
        command = [sys.executable, __file__]
        ready = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **WIDE}
        )
        atexit.register(ready.kill)
    assert ready.stdin is not None
    assert ready.stdout is not None
    with tempfile.NamedTemporaryFile("w+") as out, tempfile.NamedTemporaryFile("w+") as err:
        asked = {"arguments": arguments, "environment": environment, "at": str(Path.cwd())}
        asked |= {"out": out.name, "err": err.name}
        late = threading.Timer(LONGEST, ready.kill)
        late.start()
        ready.stdin.write(json.dumps(asked) + "\n")
        ready.stdin.flush()
        answer = ready.stdout.readline()
        late.cancel()
        assert answer, f"counterfoil {' '.join(arguments)} did not end within {LONGEST:.0f} s"
        _idle.append(ready)
        return subprocess.CompletedProcess(arguments, int(answer), _all_of(out), _all_of(err))


def _all_of(file: IO[str]) -> str:
    return Path(file.name).read_text()


def _serve() -> None:
    """Fork for each line that is read, and say with which code it ended."""
    from counterfoil.doors.cli import app

    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            _be(app, asked)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _be(app: Any, asked: dict[str, Any]) -> None:
    code = 70
    try:
        os.environ.clear()
        os.environ.update(asked["environment"])
        os.chdir(asked["at"])
        for number, path in enumerate(("/dev/null", asked["out"], asked["err"])):
            os.dup2(os.open(path, os.O_RDWR), number)
        sys.argv = ["counterfoil", *asked["arguments"]]
        try:
            app()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        except BaseException:
            sys.excepthook(*sys.exc_info())
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
