"""Backup and restore of a SQLite store. On PostgreSQL its own tools do it, see docs/how-to/backup-and-restore.md."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from counterfoil.hub.store import Store, StoreError, serving_alone

ENDING = 2.0
"""Seconds that another command may still take to let go of the store."""

_TABLES = ("receipt", "object", "event", "delivery", "exception")


class Unusable(StoreError):
    """The backup cannot be made or used. The message says why and what to do."""


def backup(url: str, file: Path, force: bool = False) -> dict[str, int]:
    """Copy the store as it is at this moment into `file`, also while it is being served; the rows it holds.

    The copy is checked, and only then takes its name. Raises StoreError.
    """
    source = _file_of(url)
    if not source.exists():
        raise Unusable(f"there is no store at {source}: nothing to back up.")
    if file.exists() and not force:
        raise Unusable(f"{file} is there already: use another name, or --force to replace it.")
    partial = file.with_name(file.name + ".partial")
    with _told(file):
        _copy(source, partial)
        held = _examined(partial)
        os.replace(partial, file)
        _sync_folder(file)
    return held


def examine(file: Path) -> dict[str, int]:
    """The rows a backup holds. Raises Unusable for what is no sound backup."""
    if not file.is_file():
        raise Unusable(f"there is no backup at {file}.")
    with _told(file):
        return _examined(file)


def restore(url: str, file: Path, force: bool = False) -> Path | None:
    """Put the backup in the store's place; where the store that was there is kept now.

    Raises AlreadyServing while it is served, Unusable for anything else in the way.
    """
    target = _file_of(url)
    examine(file)
    if target.exists() and not force:
        raise Unusable(f"{target} is there already: --force puts the backup in its place; it is kept beside it.")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + ".restoring")
    with serving_alone(Store(url)), _told(target):
        _copy(file, fresh)
        kept = _put_aside(target) if target.exists() else None
        os.replace(fresh, target)
        _sync_folder(target)
    return kept


def _file_of(url: str) -> Path:
    where = Store(url).url
    if where.get_backend_name() != "sqlite":
        raise Unusable(
            "the store is on PostgreSQL: use pg_dump and pg_restore, or your PITR, then `counterfoil restore --after "
            "MOMENT`; see docs/how-to/backup-and-restore.md."
        )
    if not where.database or where.database == ":memory:":
        raise Unusable("the store is in memory only: there is nothing to back up or restore.")
    return Path(where.database)


@contextlib.contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise Unusable(f"{file}: {error}. Nothing was replaced.") from error


def _copy(source: Path, to: Path) -> None:
    """A compact copy of one moment. It does not hold up who writes, and is not begun anew when somebody does."""
    to.unlink(missing_ok=True)
    os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # it holds personal data
    with contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("VACUUM INTO ?", (str(to),))
    handle = os.open(to, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _examined(file: Path) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
            if found != ["ok"]:
                raise Unusable(f"{file} is damaged: {'; '.join(found)}.")
            connection.execute("SELECT version_num FROM alembic_version")
            return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _TABLES}  # noqa: S608
        except sqlite3.DatabaseError as error:
            raise Unusable(f"{file} is no backup of a Counterfoil store: {error}.") from error


def _put_aside(target: Path) -> Path:
    """Take the old store out of the way, with all that belongs to it: a new file beside an old log would be damaged."""
    deadline = time.monotonic() + ENDING
    while True:
        try:
            with contextlib.closing(sqlite3.connect(target)) as connection:
                connection.execute("PRAGMA journal_mode=DELETE")  # needs the file alone; takes in the log
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                if time.monotonic() < deadline:  # for this switch SQLite itself does not wait
                    time.sleep(0.02)
                    continue
                raise Unusable(f"{target} is in use by another command: wait for its end, then try again.") from error
        except sqlite3.DatabaseError:
            pass  # damaged: that may be why it is replaced
        break
    kept = target.with_name(f"{target.name}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    for end in ("-wal", "-shm", ""):
        if (old := target.with_name(target.name + end)).exists():
            os.replace(old, kept.with_name(kept.name + end))
    return kept


def _sync_folder(file: Path) -> None:
    handle = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
