"""A throw-away PostgreSQL cluster of the project's own: found or installed, made, started, switched, stopped."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from machine import IS_ROOT, apt_install, cannot_be_had, fail, only_one, step

# All three off is only for data that may be lost with the machine; all on is how a production server runs.
DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")
NO_SERVER = "no PostgreSQL server on this machine: install the package postgresql, or run as root on Debian"
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
"""


@dataclass(frozen=True)
class Cluster:
    """One cluster: `data` is its directory, `port` the TCP port on 127.0.0.1 it must listen on."""

    data: Path
    port: int

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"


def up(cluster: Cluster, durable: bool | None = None) -> None:
    """Bring the cluster up, making it first where there is none. Quick when it is up already.

    `durable` True or False switches fsync and its companions on or off; None leaves them as they are.
    """
    cluster.data.parent.mkdir(parents=True, exist_ok=True)
    with only_one(cluster.data.with_suffix(".lock")):
        running = _running_port(cluster)
        if running is None:
            if not (cluster.data / "PG_VERSION").exists():
                _make(cluster)
            _start(cluster)
        elif running != cluster.port:
            fail(f"the cluster in {cluster.data} runs on port {running}, not {cluster.port}: stop it first")
        if durable is not None:
            _switch_durability(cluster, durable)


def check(cluster: Cluster) -> None:
    """Exit 77 where there is no PostgreSQL server and none can be installed."""
    if _find_binaries(cluster) is None and not (IS_ROOT and shutil.which("apt-get")):
        cannot_be_had(NO_SERVER)


def stop(cluster: Cluster) -> None:
    """Stop the cluster if it runs; open connections are cut."""
    if _running_port(cluster) is not None:
        _as_owner(cluster, "pg_ctl", "-D", cluster.data, "-m", "fast", "-w", "stop")


def stand_by(cluster: Cluster, standby: Cluster) -> None:
    """Make `standby` a streaming replica of the cluster, which from then on acknowledges no commit before it."""
    name = "standby"
    with only_one(standby.data.with_suffix(".lock")):
        if _running_port(standby) is None:
            if not (standby.data / "PG_VERSION").exists():
                _folder(standby)
                source = f"host=127.0.0.1 port={cluster.port} user=postgres application_name={name}"
                _as_owner(standby, "pg_basebackup", "-D", standby.data, "-d", source, "-R", "-c", "fast", "--no-sync")
                step(f"PostgreSQL copied to {standby.data}")
            _start(standby)
        query(cluster, f"alter system set synchronous_standby_names = '{name}'")
        query(cluster, "select pg_reload_conf()")
        while query(cluster, "select sync_state from pg_stat_replication") != "sync":
            time.sleep(0.05)
        step("replication is synchronous")


def promote(standby: Cluster) -> None:
    """Let the standby take over. The old primary must be gone for good: two that can be written to part ways."""
    _as_owner(standby, "pg_ctl", "-D", standby.data, "-w", "-t", "60", "promote")
    step(f"PostgreSQL on 127.0.0.1:{standby.port} is the primary now")


def kill(cluster: Cluster) -> None:
    """End the server as a crash of its machine would: SIGKILL to all its processes, nothing is written any more."""
    pid = int((cluster.data / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGSTOP)  # or it would start others in the place of those that die
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in (*map(int, children), pid):
        os.kill(each, signal.SIGKILL)
    step(f"PostgreSQL on 127.0.0.1:{cluster.port} killed")


def is_up(cluster: Cluster) -> bool:
    """Whether the cluster runs on its port and takes connections."""
    return _running_port(cluster) == cluster.port


def is_durable(cluster: Cluster) -> bool:
    """Whether a commit that was acknowledged survives a crash of the machine."""
    names = ", ".join(f"'{name}'" for name in DURABILITY)
    sql = f"select bool_and(setting = 'on') from pg_settings where name in ({names})"  # noqa: S608
    return query(cluster, sql) == "t"


def query(cluster: Cluster, sql: str, database: str = "postgres") -> str:
    """Run the statement as superuser, each in a transaction of its own; rows as lines. Exit 1 with its message."""
    command = [*psql(cluster, database), "-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql]
    ended = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    if ended.returncode:
        fail(ended.stderr.strip())
    return ended.stdout.strip()


def psql(cluster: Cluster, database: str) -> list[str]:
    """The command that opens psql, without the user's own settings."""
    program = str(_binaries(cluster) / "psql")
    return [program, "-X", "-h", "127.0.0.1", "-p", str(cluster.port), "-U", "postgres", "-d", database]


def exists(cluster: Cluster, database: str) -> bool:
    """Whether the cluster has a database of that name."""
    return query(cluster, f"select 1 from pg_database where datname = '{database}'") == "1"  # noqa: S608


def _running_port(cluster: Cluster) -> int | None:
    # PostgreSQL keeps its pid, port and state in this file; reading it costs no process.
    try:
        lines = (cluster.data / "postmaster.pid").read_text().splitlines()
        pid, port, state = int(lines[0]), int(lines[3]), lines[7].strip()
        os.kill(pid, 0)
        # After a crash of the machine the file stays and its pid may be anybody's.
        ours = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(b"postgres")
    except (OSError, ValueError, IndexError):
        return None
    return port if ours and state == "ready" else None


def _folder(cluster: Cluster) -> None:
    cluster.data.mkdir(mode=0o700, exist_ok=True)
    if IS_ROOT:
        shutil.chown(cluster.data, "postgres", "postgres")
        reach = subprocess.run(["runuser", "-u", "postgres", "--", "test", "-x", cluster.data], check=False)
        if reach.returncode:
            cluster.data.rmdir()
            fail(f"the user postgres cannot reach {cluster.data.parent}: set COUNTERFOIL_CACHE to a place it can")


def _make(cluster: Cluster) -> None:
    _binaries(cluster)
    _folder(cluster)
    # --no-sync: the cluster can always be made again; trust: it only listens on this machine's loopback.
    flags = ["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"]
    _as_owner(cluster, "initdb", "-D", cluster.data, *flags)
    with (cluster.data / "postgresql.conf").open("a") as conf:
        conf.write(SETTINGS)
    step(f"PostgreSQL cluster made in {cluster.data}")


def _start(cluster: Cluster) -> None:
    log = cluster.data / "server.log"
    flags = ["-D", cluster.data, "-l", log, "-o", f"-p {cluster.port}", "-w", "-t", "60"]
    _as_owner(cluster, "pg_ctl", *flags, "start", log=log)
    step(f"PostgreSQL up on 127.0.0.1:{cluster.port}")


def _switch_durability(cluster: Cluster, durable: bool) -> None:
    if is_durable(cluster) == durable:
        return
    word = "on" if durable else "off"
    for name in DURABILITY:
        query(cluster, f"alter system set {name} = {word}")
    query(cluster, "select pg_reload_conf()")
    # The postmaster re-reads its file on a signal: wait until a new connection sees it.
    while is_durable(cluster) != durable:
        pass
    step(f"durability {word}: " + ", ".join(DURABILITY))


def _as_owner(cluster: Cluster, program: str, *arguments: str | Path, log: Path | None = None) -> None:
    # PostgreSQL refuses to run as root.
    command = [str(_binaries(cluster) / program), *map(str, arguments)]
    if IS_ROOT:
        command = ["runuser", "-u", "postgres", "--", *command]
    # Not through a pipe: a server started by pg_ctl would keep it open.
    said = cluster.data.with_suffix(".out")
    with said.open("w+") as out:
        ended = subprocess.run(
            command, cwd="/", env=_environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        )
    if ended.returncode:
        text = (log if log and log.exists() else said).read_text().strip().splitlines()[-5:]
        fail(f"{program} failed for {cluster.data} (port {cluster.port}):\n  " + "\n  ".join(text))


def _environment() -> dict[str, str]:
    # PGHOST, PGDATABASE and the like are about another server.
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _binaries(cluster: Cluster) -> Path:
    """The directory of initdb, pg_ctl and psql; installs Debian's package as root; exit 77 where that cannot be."""
    found = _find_binaries(cluster)
    if found is None and apt_install("postgresql"):
        step("Debian's postgresql installed")
        found = _find_binaries(cluster)
    if found is None:
        cannot_be_had(NO_SERVER)
    return found


def _find_binaries(cluster: Cluster) -> Path | None:
    version = cluster.data / "PG_VERSION"
    if version.exists():  # after an upgrade the cluster still needs the version it was made with
        made_with = Path("/usr/lib/postgresql", version.read_text().strip(), "bin")
        if (made_with / "postgres").exists():
            return made_with
    debian = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if debian:
        return max(debian, key=lambda path: int(path.parent.name))
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).resolve().parent if elsewhere else None
