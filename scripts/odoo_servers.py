"""Databases and servers of an Odoo on this machine: cloned from a template, served, reset, dropped.

What scripts/odoo19 and scripts/odoo14 have in common. Each of them describes how its version is had and started, as
a subclass of `Odoo`, and gives it to `main`. All versions keep their databases in one PostgreSQL cluster.
"""
# ruff: noqa: S606, T201

import contextlib
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pg
from machine import cache_dir, database_name, fail, only_one, step

HERE = Path(__file__).resolve().parent
TEMPLATE_SCRIPT = HERE / "odoo_template.py"
CLUSTER = pg.Cluster(cache_dir() / "odoo19/pg", int(os.environ.get("COUNTERFOIL_ODOO_PGPORT") or 5440))
OLD_KEPT = 30
NOWHERE = "http://127.0.0.1:9"  # port "discard": refused at once, so that nothing leaves the machine
RESERVED = ("template", "new_template", "old_", "odoo14_")


class Odoo:
    """One version of Odoo: where it lives, how it is had, started and asked whether it serves."""

    home: Path
    prefix = ""  # of its databases' names in the cluster
    template_prefix = "template_"
    first_port: int
    most_workers = 64

    def check(self) -> None:
        """Exit 77 before any work is done for something that cannot be had in the end."""
        raise NotImplementedError

    def parts(self) -> Iterable[Callable[[], None]]:
        """What makes it ready beside the cluster; each is quick when it is done."""
        raise NotImplementedError

    def release(self) -> bytes:
        """What tells one build from another: a new one gets a new template."""
        raise NotImplementedError

    def python(self, *arguments: str | Path) -> list[str | Path]:
        """The command that runs its interpreter."""
        raise NotImplementedError

    def program(self, verb: str, conf: Path) -> list[str | Path]:
        """The command that runs `odoo VERB -c CONF`."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """The environment without what would change another Python, another database client or another Odoo."""
        return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PG", "ODOO_"))}

    def options(self, port: int) -> dict[str, Any]:
        """What its configuration has beside what all versions have."""
        raise NotImplementedError

    def serves(self, database: str, port: int) -> bool:
        """Whether it answers a call with the administrator's key. Raises OSError, HTTPException."""
        raise NotImplementedError

    # ---- getting ready -----------------------------------------------------------------------------------

    def up(self) -> str:
        """Bring everything up to a template database; its name. Quick when all is there."""
        self.home.mkdir(exist_ok=True)
        with only_one(self.home / "up.lock"):
            pg.check(CLUSTER)
            self.check()
            with ThreadPoolExecutor() as pool:  # downloads and a start: they hardly get in each other's way
                for task in [pool.submit(make) for make in (make_cluster, *self.parts())]:
                    task.result()
            return self.make_template()

    def make_template(self) -> str:
        """The name of the template database; made when this package and the template's script have none yet."""
        stamp = hashlib.sha256(TEMPLATE_SCRIPT.read_bytes() + self.release()).hexdigest()[:12]
        name = f"{self.template_prefix}{stamp}"
        if pg.exists(CLUSTER, name):
            return name
        new = f"new_{name}"
        self.forget(new)
        conf, log = self.home / "template.conf", self.home / "template.log"
        conf.write_text(self.configuration(port=self.first_port, workers=0))
        with log.open("w") as out:
            command = self.python(TEMPLATE_SCRIPT, conf, new, self.home / "keys" / name)
            ended = subprocess.run(command, env=self.environment(), stdout=out, stderr=out, check=False)
        if ended.returncode:
            fail(f"the template database could not be made, see {log}:\n" + tail(log))
        self.filestore(new).mkdir(parents=True, exist_ok=True)
        self.filestore(new).rename(self.filestore(name))
        # Nobody may change it, or hold a connection that would keep it from being cloned.
        pg.query(CLUSTER, f'alter database "{new}" rename to "{name}"')
        pg.query(CLUSTER, f'alter database "{name}" with is_template true allow_connections false')
        step("template database made")
        return name

    # ---- databases and their servers ---------------------------------------------------------------------

    def serve(self, name: str, port: int = 0, workers: int = 0) -> dict[str, Any]:
        """Clone the database where there is none, serve it where it is not served as asked, describe it."""
        if workers > self.most_workers:
            fail(f"at most {self.most_workers} workers here, not {workers}")
        template = self.up()
        with only_one(self.home / "servers.lock"):
            if not (pg.exists(CLUSTER, self.prefix + name) and self.place(name).exists()):
                self.clone(name, template)
            known = self.server(name)
            if not known or port not in (0, known["port"]) or workers != known["workers"]:
                self.stop(name)
                before = self.last_server(name)  # whoever knows its address finds it there again
                self.start(name, port or self.free_port([before["port"]] if before else []), workers)
        self.wait_until_serving(name)
        return self.describe(name)

    def reset(self, name: str) -> dict[str, Any]:
        """The database as it was when cloned, served on the port it was served on."""
        template = self.up()
        with only_one(self.home / "servers.lock"):
            known = self.server(name)
            self.stop(name, patience=0)  # what it still does is about to be dropped
            self.clone(name, template)
            if known:
                self.start(name, known["port"], known["workers"])
        if known:
            self.wait_until_serving(name)
        return self.describe(name)

    def clone(self, name: str, template: str) -> None:
        """A fresh copy of the template."""
        database = self.prefix + name
        self.forget(database, name)
        # file_copy: copying the template's files beats writing each of its pages to the log.
        pg.query(CLUSTER, f'create database "{database}" template "{template}" owner odoo strategy file_copy')
        # Odoo never changes a stored file, it only adds and removes: links will do.
        shutil.copytree(self.filestore(template), self.filestore(database), copy_function=os.link)
        shutil.copytree(self.home / "keys" / template, self.place(name))  # last: it says that the rest is there
        step(f"{database} cloned")

    def forget(self, database: str, name: str = "") -> None:
        """Out of sight at once; the space is given back later, by `sweep`.

        For minutes after many files were deleted ext4 is slow to make new ones: right after a drop a clone takes 3 s
        instead of 0.3.
        """
        if pg.exists(CLUSTER, database):
            cut = f"select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{database}'"  # noqa: S608
            pg.query(CLUSTER, cut)
            pg.query(CLUSTER, f'alter database "{database}" rename to "old_{time.time_ns()}"')
        shutil.rmtree(self.filestore(database), ignore_errors=True)
        if name:
            shutil.rmtree(self.place(name), ignore_errors=True)
        sweep(keep=OLD_KEPT)

    def start(self, name: str, port: int, workers: int) -> None:
        """Start the server and return at once."""
        here = self.place(name)
        (here / "odoo.conf").write_text(self.configuration(port, workers, self.prefix + name))
        with (here / "odoo.log").open("a") as log:
            process = subprocess.Popen(
                self.program("server", here / "odoo.conf"),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # it outlives this script, and has a process group of its own
            )
        (here / "server.json").write_text(json.dumps({"pid": process.pid, "port": port, "workers": workers}))
        while process.poll() is None and not self.server(name):
            pass  # for an instant after its start a process has no command line to be known by

    def wait_until_serving(self, name: str) -> None:
        """Until the server answers a call with the key."""
        known = self.server(name)
        deadline = time.monotonic() + 90
        while known and time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.serves(name, known["port"]):
                    step(f"{self.prefix}{name} served on 127.0.0.1:{known['port']}")
                    return
            time.sleep(0.05)
            known = self.server(name)
        log = self.place(name) / "odoo.log"
        fail(f"Odoo does not serve {name}, see {log}:\n{tail(log)}")

    def server(self, name: str) -> dict[str, Any] | None:
        """pid, port and workers of the process that serves the database; None where there is none."""
        known = self.last_server(name)
        return known if known and runs_with(self.place(name), Path("/proc", str(known["pid"]))) else None

    def last_server(self, name: str) -> dict[str, Any] | None:
        """What `server` said when there was one last."""
        try:
            return json.loads((self.place(name) / "server.json").read_text())
        except (OSError, ValueError):
            return None

    def stop(self, name: str, patience: float = 10) -> None:
        """Stop the database's server: asked first, ended when `patience` seconds have passed."""
        known = self.server(name)
        deadline = time.monotonic() + patience
        if known and patience:
            os.kill(known["pid"], signal.SIGTERM)
            while self.server(name) and time.monotonic() < deadline:
                time.sleep(0.02)
        # What did not end, and the workers of a server that was killed: they still hold its port.
        while left := processes(self.place(name)):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        if known:
            step(f"server of {self.prefix}{name} stopped")

    def describe(self, name: str) -> dict[str, Any]:
        """What the verbs print of a database."""
        known = self.server(name)
        return {
            "database": self.prefix + name,
            "url": f"http://127.0.0.1:{known['port']}" if known else None,
            "pid": None,
            "port": None,
            "workers": None,
            **(known or {}),
            "api_key": self.key(name),
            "norights_api_key": self.key(name, "norights"),
            "login": "admin",
            "password": "admin",
            "durable": pg.is_durable(CLUSTER) if pg.is_up(CLUSTER) else None,
            "log": str(self.place(name) / "odoo.log"),
        }

    def status(self) -> dict[str, Any]:
        """All databases of this version, and how PostgreSQL is."""
        running = pg.is_up(CLUSTER)
        durable = pg.is_durable(CLUSTER) if running else None
        databases = sorted(path.name for path in (self.home / "databases").glob("*"))
        return {
            "postgres": {"up": running, "port": CLUSTER.port, "durable": durable},
            "databases": [self.describe(name) for name in databases],
        }

    def stop_all(self, even_served: bool) -> None:
        """Stop this version's servers if `even_served`, and PostgreSQL once no version needs it.

        Several people may be using this cache at once.
        """
        served = sorted(path.name for path in (self.home / "databases").glob("*") if self.server(path.name))
        if served and not even_served:
            fail(f"still served: {', '.join(served)}; stop yours by name, or everybody's with: stop --all")
        for name in served:
            self.stop(name)
        others = sorted(str(path) for path in cache_dir().glob("odoo*/databases/*") if processes(path))
        if others:
            fail(f"PostgreSQL stays, another version's servers need it: {', '.join(others)}")
        if pg.is_up(CLUSTER):
            sweep(keep=0)
            pg.stop(CLUSTER)

    # ---- small things ------------------------------------------------------------------------------------

    def place(self, name: str) -> Path:
        """Where a database's keys, configuration and log are."""
        return self.home / "databases" / name

    def filestore(self, database: str) -> Path:
        """Where Odoo keeps a database's files."""
        return self.home / "data/filestore" / database

    def known_database(self, name: str) -> str:
        """The name, if there is such a database; else exit 1."""
        if not self.place(usable(name)).exists():
            fail(f"no database {name} here: make one with {sys.argv[0]} serve {name}")
        return name

    def key(self, name: str, user: str = "admin") -> str:
        """The API key of a user."""
        return (self.place(name) / f"{user}.key").read_text().strip()

    def configuration(self, port: int, workers: int, database: str | None = None) -> str:
        """Odoo's configuration file."""
        options = {
            "db_host": "127.0.0.1",
            "db_port": CLUSTER.port,
            "db_user": "odoo",
            "db_maxconn": 32,
            "data_dir": self.home / "data",
            "http_interface": "127.0.0.1",
            "http_port": port,
            "workers": workers,
            "max_cron_threads": 0,  # nothing happens that a test did not ask for
            "limit_time_cpu": 600,
            "limit_time_real": 1200,
            "limit_memory_soft": 0,
            "limit_memory_hard": 0,
            "list_db": False,
            "smtp_port": 9,
            "publisher_warranty_url": NOWHERE,
            **self.options(port),
        }
        if database:
            options |= {"db_name": database, "dbfilter": f"^{re.escape(database)}$"}
        return "[options]\n" + "".join(f"{name} = {value}\n" for name, value in options.items())

    def free_port(self, preferred: list[int]) -> int:
        """The first port that is free together with the next one (Odoo's second port) and not promised to a server."""
        promised = {known["port"] for path in (self.home / "databases").glob("*") if (known := self.server(path.name))}
        for port in [*preferred, *range(self.first_port, self.first_port + 400, 2)]:
            if port not in promised and not in_use(port) and not in_use(port + 1):
                return port
        fail(f"no free port from {self.first_port} to {self.first_port + 400}")


def make_cluster() -> None:
    """The cluster, running, with the role that all versions use."""
    fresh = not CLUSTER.data.exists()
    wanted = os.environ.get("COUNTERFOIL_ODOO_DURABLE")
    pg.up(CLUSTER, durable=wanted != "0" if wanted else False if fresh else None)
    with only_one(CLUSTER.data.with_suffix(".role.lock")):
        if not pg.query(CLUSTER, "select 1 from pg_roles where rolname = 'odoo'"):
            pg.query(CLUSTER, "create role odoo login createdb")


def sweep(keep: int) -> None:
    """Drop what `forget` left behind, if it is more than `keep` databases (60 MB each)."""
    old = pg.query(CLUSTER, r"select datname from pg_database where datname like 'old\_%'").split()
    if len(old) > keep:
        for name in old:
            pg.query(CLUSTER, f'drop database if exists "{name}"')


def processes(place: Path) -> list[int]:
    """Every process that was started with the database's configuration."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if runs_with(place, path)]


def runs_with(place: Path, process: Path) -> bool:
    """Whether that process serves the database that lives there."""
    try:
        return os.fsencode(place / "odoo.conf") in (process / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it ended
        return False


def ask(port: int, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Any:
    """(status, body) of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


def usable(name: str) -> str:
    """The name, if a database of a test may have it; else exit 1."""
    if name == "postgres" or name.startswith(RESERVED):
        fail(f"{name} is a name kept for these scripts' own databases")
    return database_name(name)


def in_use(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log, indented."""
    return "\n".join("  " + line[:300] for line in log.read_text(errors="replace").splitlines()[-lines:])


def show(described: dict[str, Any]) -> None:
    """On one line: the last one of what a caller reads."""
    print(json.dumps(described))


def main(odoo: Odoo, arguments: list[str], help_text: str) -> None:
    """The verbs of the command line."""
    match arguments:
        case ["up"]:
            odoo.up()
            step("ready")
        case ["serve", name, *numbers] if len(numbers) <= 2 and all(number.isdigit() for number in numbers):
            show(odoo.serve(usable(name), *map(int, numbers)))
        case ["reset", name]:
            show(odoo.reset(odoo.known_database(name)))
        case ["drop", name]:
            pg.up(CLUSTER)
            odoo.home.mkdir(exist_ok=True)
            with only_one(odoo.home / "servers.lock"):
                odoo.stop(usable(name), patience=0)
                odoo.forget(odoo.prefix + name, name)
        case ["stop"]:
            odoo.stop_all(even_served=False)
        case ["stop", "--all"]:
            odoo.stop_all(even_served=True)
        case ["stop", name]:
            odoo.stop(odoo.known_database(name))
        case ["status"]:
            print(json.dumps(odoo.status(), indent=2))
        case ["key", name]:
            print(odoo.key(odoo.known_database(name)))
        case ["url", name]:
            print(odoo.describe(odoo.known_database(name))["url"] or fail(f"{name} is not served"))
        case ["psql", name, *rest]:
            pg.up(CLUSTER)
            command = pg.psql(CLUSTER, odoo.prefix + odoo.known_database(name)) + rest
            os.execv(command[0], command)
        case ["shell", name]:
            pg.up(CLUSTER)
            conf = odoo.place(odoo.known_database(name)) / "odoo.conf"
            command = [*map(str, odoo.program("shell", conf)), "-d", odoo.prefix + name, "--no-http"]
            os.execve(command[0], command, odoo.environment())
        case ["-h" | "--help" | "help"]:
            print(help_text)
        case _:
            print(help_text, file=sys.stderr)
            fail(f"not understood: {' '.join(arguments) or '(nothing)'}")
