"""Debian packages unpacked into a directory of our own: found on the mirror that this machine's apt uses."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from machine import cannot_be_had, fail, step


def mirror(wanted: str) -> tuple[str, str]:
    """The mirror this machine's own release comes from, and its keyring as an apt source option ('' if none).

    Exit 77 where there is none, saying that `wanted` comes from one.
    """
    if not shutil.which("apt-get"):
        cannot_be_had(f"{wanted} comes from a Debian package, and there is no apt-get on this machine")
    named = os.environ.get("COUNTERFOIL_DEBIAN_MIRROR")
    keyring = next(Path("/usr/share/keyrings").glob("debian-archive-keyring.[gp][pg][gp]"), None)
    option = f"[signed-by={keyring}]" if keyring else ""
    if named:
        return named, option
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)', Path("/etc/os-release").read_text(), re.M))
    if release.get("ID") == "debian":
        suites = {release.get("VERSION_CODENAME"), "stable", "testing", "unstable", "sid"}
        for uri, suite in apt_sources(Path("/etc/apt")):
            if suite in suites:
                return uri, option
    cannot_be_had(f"{wanted} comes from a Debian mirror, and apt here has none: set COUNTERFOIL_DEBIAN_MIRROR")


def apt_sources(etc: Path) -> Iterator[tuple[str, str]]:
    """(URI, suite) of each source apt knows, from both of its formats."""
    for path in sorted(etc.glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            field = {name.lower(): value.split() for name, value in re.findall(r"^([\w-]+):(.*)$", stanza, re.M)}
            if field.get("enabled") != ["no"]:
                yield from ((uri, suite) for uri in field.get("uris", []) for suite in field.get("suites", []))
    for path in [etc / "sources.list", *sorted(etc.glob("sources.list.d/*.list"))]:
        if path.exists():
            yield from re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", path.read_text(), re.M)


def unpack(
    into: Path, suite: str, packages: Iterable[str], leave_out: Iterable[str], wanted: str, closure: Iterable[str] = ()
) -> None:
    """Unpack `packages` of the suite, and `closure` with all they depend on, into the directory; then it is complete.

    `leave_out` are patterns of files. Exit 77 where they cannot be had, naming `wanted`.
    """
    if into.exists():
        return
    downloads, unpacked = into.with_name("apt"), into.with_name(f"{into.name}.new")
    for scratch in (downloads, unpacked):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
    _download(downloads, suite, list(packages), list(closure), wanted)
    for deb in downloads.rglob("*.deb"):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as archive:
            excluded = [f"--exclude=*/{path}" for path in leave_out]
            subprocess.run(["tar", "x", "-C", unpacked, *excluded], stdin=archive.stdout, check=False)
        if archive.returncode:
            fail(f"{deb} could not be unpacked")
    unpacked.rename(into)
    shutil.rmtree(downloads)
    step("packages unpacked")


def _download(own: Path, suite: str, packages: list[str], closure: list[str], wanted: str) -> None:
    """With an apt set-up that is all our own: nothing is installed in it, so that a closure is whole."""
    uri, keyring = mirror(wanted)
    (own / "lists/partial").mkdir(parents=True)
    (own / "cache/archives/partial").mkdir(parents=True)
    (own / "status").touch()
    (own / "sources.list").write_text(f"deb {keyring} {uri} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": own / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": own / "lists",
        "Dir::State::status": own / "status",
        "Dir::Cache": own / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": 3,
        "APT::Update::Error-Mode": "any",  # else a mirror that cannot be reached is only a warning
        "APT::Sandbox::User": "root",  # the user _apt may not reach the cache
    }
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    commands = [["update"], ["download", *packages]]
    if closure:
        commands.append(["install", "--yes", "--download-only", "--no-install-recommends", *closure])
    for command in commands:
        ended = subprocess.run([*apt, *command], cwd=own, capture_output=True, text=True, check=False)
        if ended.returncode:
            reason = (ended.stderr.strip().splitlines() or ["no reason given"])[0]
            cannot_be_had(f"Debian's {packages[0]} cannot be had from {uri} (suite {suite}): {reason}")
    step("packages downloaded")
