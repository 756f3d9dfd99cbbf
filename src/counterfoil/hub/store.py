"""The store: one engine on SQLite or PostgreSQL, transactions, and the few places where the two differ.

SQLite: WAL, synchronous=FULL, one writer at a time behind an in-process lock, one serving process.
PostgreSQL: any number of workers on any number of machines; NOTIFY wakes them, a poll stands behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import sqlite3
import time
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from counterfoil.hub import schema
from counterfoil.hub.waiting import at_most

T = TypeVar("T")

CHANNEL = "counterfoil"
SQLITE_BUSY_SECONDS = 30
CHANGE_TRIES = 20
_LOCKED = ("40P01", "55P03")
"""PostgreSQL's deadlock_detected and lock_not_available."""
HOST_SECONDS = 5.0
"""How long one of several hosts may take to answer before the next is tried."""


class StoreError(Exception):
    """The store cannot be used. The message says where it looked and what to do."""


def as_json(value: Any) -> str:
    """As JSON columns hold it; a Decimal as text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)


def from_json(value: Any) -> Any:
    """What a JSON column holds: SQLite's driver gives it as text, as `Store.run` does on either."""
    return json.loads(value) if isinstance(value, str) else value


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be stored")


_SEVERAL_HOSTS = re.compile(r"^(postgres[^:/]*://(?:[^/?]*@)?)([^@/?]*,[^@/?]*)(/[^?]*)(\??)")


def _as_query(found: re.Match[str]) -> str:
    """Several hosts as SQLAlchemy has them."""
    hosts = "&".join(f"host={name if ':' in name else f'{name}:5432'}" for name in found[2].split(","))
    return f"{found[1]}{found[3]}?{hosts}{'&' if found[4] else ''}"


def engine_url(url: str) -> sa.URL:
    """The SQLAlchemy URL for a blueprint's `store`: sqlite:///file or postgresql://… Raises StoreError."""
    try:
        parsed = sa.make_url(_SEVERAL_HOSTS.sub(_as_query, url, count=1))
    except sa.exc.ArgumentError as error:
        raise StoreError(f"store: {_hide(url)!r} is not an address such as sqlite:///counterfoil.db") from error
    driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    if isinstance(parsed.query.get("host"), tuple) and "target_session_attrs" not in parsed.query:
        # of a primary and its standbys the one that can be written to is meant
        parsed = parsed.update_query_dict({"target_session_attrs": "read-write"})
    backend = parsed.drivername.split("+")[0]
    if backend not in driver:
        raise StoreError(f"store: {backend!r} is not known; use sqlite:///file or postgresql://user@host/database")
    return parsed.set(drivername=driver[backend])


class Store:
    """An open store. Use `read()` and `write()` for transactions; `now` is the database's clock in SQL.

    `run` and `each` carry out the statements that every delivery needs, past what SQLAlchemy does for each statement
    and row, which costs more than the database itself. Such a statement is a function of the store, compiled once;
    its parameters are named; values go to the driver and rows come from it as they are: JSON is text.
    """

    def __init__(self, url: str) -> None:
        self.url = engine_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer = asyncio.Lock()
        self._wake = asyncio.Event()
        self._news = False
        self._listener: Any = None
        self._beside: set[asyncio.Task[Any]] = set()
        self._compiled: dict[Callable[[Store], sa.Executable], tuple[str, Callable[[Any], tuple[Any, ...]]]] = {}
        # what goes wrong is logged, and what it went wrong with may be personal
        options: dict[str, Any] = {"json_serializer": as_json, "hide_parameters": True}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": SQLITE_BUSY_SECONDS, "factory": _LetsGo}
            options["pool_size"], options["max_overflow"] = 8, 16
        else:
            options["pool_size"], options["max_overflow"], options["pool_pre_ping"] = 10, 20, True
            options["connect_args"] = {"async_creator_fn": _postgres_connect}
        self.engine: AsyncEngine = create_async_engine(self.url, **options)
        if self.is_sqlite:
            sa.event.listen(self.engine.sync_engine, "connect", _sqlite_connect)
            sa.event.listen(self.engine.sync_engine, "begin", _sqlite_begin)
            sa.event.listen(self.engine.sync_engine, "handle_error", _sqlite_cancelled)

    @property
    def now(self) -> sa.ColumnElement[float]:
        """Seconds since the epoch by the database's clock (SQLite's unixepoch('subsec') would need 3.42)."""
        if self.is_sqlite:
            return sa.literal_column("((julianday('now') - 2440587.5) * 86400.0)", sa.Double())
        return sa.literal_column("extract(epoch from clock_timestamp())::double precision", sa.Double())

    async def clock(self, connection: AsyncConnection) -> float:
        """Now, in seconds since the epoch, by the database's clock."""
        return float(await connection.scalar(sa.select(self.now)) or 0.0)

    def insert(self, table: sa.Table) -> Any:
        """The dialect's INSERT with ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def listed(self, values: Iterable[Any]) -> Any:
        """The value of a parameter that is a list: one statement, however many there are."""
        return as_json(list(values)) if self.is_sqlite else list(values)

    def any_of(self, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
        """The column is one of the listed parameter's values."""
        if self.is_sqlite:
            return column.in_(sa.select(self.keys(name).c.value))
        return column == sa.func.any(sa.bindparam(name, type_=postgresql.ARRAY(column.type)))

    def keys(self, name: str = "keys") -> sa.TableValuedAlias:
        """The listed parameter's texts as a table of one column, `value`, in their order."""
        if self.is_sqlite:
            return sa.func.json_each(sa.bindparam(name)).table_valued("value")
        texts = sa.bindparam(name, type_=postgresql.ARRAY(sa.Text()))
        return sa.func.unnest(texts).table_valued("value").render_derived(name="k")

    def by_keys(
        self, table: sa.Table, fixed: Sequence[str], columns: Sequence[str], lock: bool = False
    ) -> sa.Select[Any]:
        """Rows whose `key` is one of the listed parameter `keys`, the `fixed` columns being as the parameters of
        their names; with `lock` they are locked in the order of the keys.

        On PostgreSQL each is looked up by itself: a planner whose statistics are of a time when the table was nearly
        empty would read all of a queue's rows for a few of them.
        """
        here = [table.c[name] == sa.bindparam(name) for name in fixed]
        wanted = [table.c[name] for name in columns]
        if self.is_sqlite:
            return sa.select(*wanted).where(*here, self.any_of(table.c.key, "keys"))
        keys = self.keys()
        one = sa.select(*wanted).where(*here, table.c.key == keys.c.value)
        found = (one.with_for_update() if lock else one.offset(sa.literal_column("0"))).lateral("l")
        return sa.select(found).select_from(keys.join(found, sa.true()))

    async def run(
        self, connection: AsyncConnection, build: Callable[[Store], sa.Executable], values: Mapping[str, Any]
    ) -> list[Sequence[Any]]:
        """Carry out a statement once; its rows."""
        sql, pick = self._statement(build)
        if self.is_sqlite:
            return list(await (await _driver(connection)).execute_fetchall(sql, pick(values)))
        result = await connection.exec_driver_sql(sql, pick(values))
        return list(result) if result.returns_rows else []

    async def each(
        self,
        connection: AsyncConnection,
        build: Callable[[Store], sa.Executable],
        rows: Sequence[Mapping[str, Any]],
    ) -> None:
        """Carry out a statement once for each row, in order."""
        if not rows:
            return
        sql, pick = self._statement(build)
        given = [pick(row) for row in rows]
        if self.is_sqlite:
            async with (await _driver(connection)).executemany(sql, given):
                return
        await connection.exec_driver_sql(sql, given)

    async def next_ids(self, connection: AsyncConnection, table: sa.Table, count: int) -> list[int]:
        """Numbers for so many new rows of a table that counts its own, so that all can be written with one statement.

        In a transaction that writes: on SQLite it is its lock that keeps them from being given twice.
        """
        if self.is_sqlite:
            last: sa.Select[Any] = sa.select(sa.literal_column("seq")).select_from(sa.text("sqlite_sequence"))
            first = 1 + (await connection.scalar(last.where(sa.literal_column("name") == table.name)) or 0)
            return list(range(first, first + count))
        sequence = sa.func.nextval(sa.func.pg_get_serial_sequence(table.name, "id"))
        each = sa.func.generate_series(1, count).table_valued("n")
        return sorted((await connection.execute(sa.select(sequence).select_from(each))).scalars())

    def _statement(self, build: Callable[[Store], sa.Executable]) -> tuple[str, Callable[[Any], tuple[Any, ...]]]:
        found = self._compiled.get(build)
        if found is None:
            compiled: Any = build(self).compile(dialect=self.engine.dialect)  # type: ignore[attr-defined]
            names = list(compiled.positiontup)
            fixed = {n: compiled.params[n] for n in names if not compiled.binds[n].required}

            def pick(row: Mapping[str, Any]) -> tuple[Any, ...]:
                given = {**fixed, **row} if fixed else row
                return tuple([given[name] for name in names])

            found = self._compiled[build] = (str(compiled), pick)
        return found

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads."""
        async with self._connected() as connection, connection.begin():
            yield connection

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes; committed at the end, rolled back on an exception."""
        if not self.is_sqlite:
            async with self.engine.begin() as connection:
                yield connection
            return
        async with self._writer, self._connected() as connection:
            await connection.execution_options(write=True)
            self._news = False
            async with connection.begin():
                yield connection
            if self._news:  # not before the commit: who wakes too early finds nothing and sleeps again
                self._wake.set()

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """A connection of the pool.

        One to SQLite that is being made when its user is cancelled is made all the same, and given back: forgotten in
        the middle, it would keep the file open for as long as nobody collects it.
        """
        if not self.is_sqlite:
            async with self.engine.connect() as connection:
                yield connection
            return
        making = asyncio.ensure_future(self.engine.connect().start())
        try:
            connection = await asyncio.shield(making)
        except asyncio.CancelledError:
            await (await making).close()
            raise
        try:
            yield connection
        finally:
            await asyncio.shield(asyncio.ensure_future(connection.close()))

    async def notify(self, connection: AsyncConnection) -> None:
        """Tell all workers that there is new work, once this transaction has committed."""
        if self.is_sqlite:
            self._news = True
        else:
            await connection.execute(sa.text(f"NOTIFY {CHANNEL}"))

    def wake(self) -> None:
        """Wake this process' workers."""
        self._wake.set()

    async def wait(self, seconds: float) -> None:
        """Until someone notifies, at most `seconds`."""
        await at_most(seconds, self._wake)
        self._wake.clear()

    async def listen(self) -> None:
        """PostgreSQL: let NOTIFY wake this process. A lost listener is only slower: the poll stands behind it."""
        if self.is_sqlite or self._listener is not None:
            return
        self._listener = await _postgres_connect(**self.engine.dialect.create_connect_args(self.url)[1])
        await self._listener.add_listener(CHANNEL, lambda *_: self._wake.set())

    async def listening(self) -> bool:
        """Whether the listener is alive; a dead one is dropped so that `listen` makes a new one."""
        if self._listener is not None and self._listener.is_closed():
            self._listener = None
        return self.is_sqlite or self._listener is not None

    def beside(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do it beside whoever asked, until it is done or the store is closed."""
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
        return task

    async def close(self) -> None:
        """End what is done beside, and give back all connections."""
        for task in (beside := list(self._beside)):
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        if self._listener is not None:
            with contextlib.suppress(Exception):
                await self._listener.close(timeout=2)
        await self.engine.dispose()

    async def durability(self) -> dict[str, str]:
        """The settings that decide what a commit is worth, for benchmarks to print."""
        async with self.read() as connection:
            if self.is_sqlite:
                names = {"0": "OFF", "1": "NORMAL", "2": "FULL", "3": "EXTRA"}
                sync = str(await connection.scalar(sa.text("PRAGMA synchronous")))
                mode = str(await connection.scalar(sa.text("PRAGMA journal_mode")))
                return {"sqlite_synchronous": names[sync], "sqlite_journal_mode": mode}
            return {
                name: str(await connection.scalar(sa.text(f"SHOW {name}"))) for name in ("fsync", "synchronous_commit")
            }


async def _driver(connection: AsyncConnection) -> Any:
    """The driver's own connection. Each word with SQLite is a change of threads, and SQLAlchemy takes four of them
    for one statement."""
    return (await connection.get_raw_connection()).driver_connection


async def _postgres_connect(*where: Any, **more: Any) -> Any:
    """A connection of the driver. What it raises itself (starting up, wrong password) becomes a ConnectionError.

    Of several hosts the first that answers as `target_session_attrs` asks; one that is dark must not use up the time.
    """
    import asyncpg

    hosts, ports = more.pop("host", None), more.pop("port", None)
    places: list[dict[str, Any]]
    if isinstance(hosts, list):
        places = [{"host": h, "port": p, "timeout": HOST_SECONDS} for h, p in zip(hosts, ports, strict=True)]
    else:
        places = [{"host": hosts, "port": ports}]
    failed: list[str] = []
    for place in places:
        try:
            connection = await asyncpg.connect(*where, **place, **more)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            failed.append(str(error) or type(error).__name__)
            if place is places[-1]:
                raise ConnectionError("; ".join(failed)) from error
        else:
            _keep_alive(connection)
            return connection
    raise AssertionError("no host")


def _keep_alive(connection: Any) -> None:
    """Notice within half a minute that the server's machine has vanished without a word, or a failover would wait."""
    channel = connection._transport.get_extra_info("socket")  # the driver has no other way
    if channel is None or channel.family not in (socket.AF_INET, socket.AF_INET6):
        return
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}.items():
        if (option := getattr(socket, name, None)) is not None:  # not every system has them all
            channel.setsockopt(socket.IPPROTO_TCP, option, value)


class _LetsGo(sqlite3.Connection):
    """Lets go of its statements before it rolls back, as it did before Python 3.11: one that was cancelled in the
    middle of its rows is still under way for SQLite, which refuses every commit of this connection until it ends."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._cursors: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()

    def cursor(self, *args: Any, **options: Any) -> Any:
        cursor = super().cursor(*args, **options)
        self._cursors.add(cursor)
        return cursor

    def rollback(self) -> None:
        for cursor in list(self._cursors):
            cursor.close()
        super().rollback()


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _sqlite_begin
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_SECONDS * 1000}")
    cursor.close()


def _sqlite_cancelled(context: sa.engine.ExceptionContext) -> None:
    # The statement goes on in its thread and is rolled back after it. SQLAlchemy would take the connection for lost and
    # close it in the middle of its transaction, whose lock then lives as long as any cursor of it.
    if isinstance(context.original_exception, asyncio.CancelledError):
        context.is_disconnect = False


def _sqlite_begin(connection: sa.Connection) -> None:
    # IMMEDIATE: a transaction that will write takes its lock first, or two could never both upgrade
    begin = "BEGIN IMMEDIATE" if connection.get_execution_options().get("write") else "BEGIN"
    connection.connection.dbapi_connection.run_async(lambda driver: driver.execute_fetchall(begin))  # type: ignore[union-attr]


_PASSWORD = re.compile(r"(//[^:/@]*:).*@|((?<=[?&])password=)[^&]*")


def _hide(url: str) -> str:
    return _PASSWORD.sub(lambda found: f"{found[1]}***@" if found[1] else f"{found[2]}***", url)


def _prepare_file(file: str) -> None:
    """The folder, and WAL, which stays in the file. The switch needs the file alone, and SQLite does not wait for
    that, whatever its busy timeout: several that start at once on a new file would find it locked."""
    Path(file).absolute().parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + SQLITE_BUSY_SECONDS
    with contextlib.closing(sqlite3.connect(file, timeout=SQLITE_BUSY_SECONDS)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)


async def open_store(url: str, migrate: bool = True) -> Store:
    """Open the store and bring its tables up to date. Raises StoreError with the place and the remedy."""
    store = Store(url)
    try:
        if store.is_sqlite and store.url.database:
            await asyncio.to_thread(_prepare_file, store.url.database)
        if migrate:
            await upgrade(store)
        else:
            async with store.read() as connection:
                await connection.execute(sa.select(schema.lane.c.n).limit(1))
    except StoreError:
        await store.close()
        raise
    except (OSError, sqlite3.Error, sa.exc.SQLAlchemyError) as error:
        await store.close()
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"store {_hide(url)} cannot be opened: {cause}") from error
    return store


async def change_tables(store: Store, change: Callable[[sa.Connection], None]) -> None:
    """Change the tables in one transaction, beside workers that are using them.

    On PostgreSQL a change wants each table for itself: where it and a worker wait for one another, or it has waited for
    a lock so long that everybody else queues behind it, it starts anew.
    """
    for left in reversed(range(CHANGE_TRIES)):
        try:
            async with store.write() as connection:
                if not store.is_sqlite:
                    await connection.execute(sa.text("SET LOCAL lock_timeout = '5s'"))
                await connection.run_sync(change)
            return
        except sa.exc.DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") not in _LOCKED or not left:
                raise
            await asyncio.sleep(0.2)


async def upgrade(store: Store, to: str = "head") -> None:
    """Run the migrations that this store has not had yet, up to `to`; safe when several processes start at once.

    Raises StoreError where a newer version of Counterfoil has been here.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))

    def run(connection: sa.Connection) -> None:
        if not store.is_sqlite:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(727001)")
        config.attributes["connection"] = connection
        command.upgrade(config, to)

    try:
        await change_tables(store, run)
    except CommandError as error:
        raise StoreError(
            f"store {store.url.render_as_string()} was made by a newer version of Counterfoil than this one ({error}): "
            "install that version, or use another store."
        ) from error


class AlreadyServing(StoreError):
    """Another process serves this SQLite file. Stop it first, or use PostgreSQL for several processes."""


@contextlib.contextmanager
def _flock(path: Path) -> Any:
    import fcntl

    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyServing(
                f"another process serves {path.with_suffix('')}: on SQLite only one can. "
                "Stop it, or set `store: postgresql://…` in the blueprint."
            ) from error
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def serving_alone(store: Store) -> Any:
    """SQLite: hold the right to serve this file, or raise AlreadyServing. PostgreSQL: nothing to hold."""
    if not store.is_sqlite or not store.url.database or store.url.database == ":memory:":
        yield
        return
    with _flock(Path(store.url.database + ".serving")):
        yield


def unstorable(error: Exception) -> bool:
    """Whether the database refused the content it was given, rather than being out of reach or busy."""
    if isinstance(error, sa.exc.DBAPIError):  # class 22 is "data exception"; a ValueError is the driver's own refusal
        refused = error.orig.__cause__ if error.orig is not None else None
        return str(getattr(error.orig, "sqlstate", "")).startswith("22") or isinstance(refused, ValueError)
    return isinstance(error, sa.exc.StatementError | ValueError | TypeError | OverflowError)


async def count(connection: AsyncConnection, store: Store, counts: Mapping[tuple[str, str], int]) -> None:
    """Add to counters, by (system, name)."""
    # in sorted order, or two transactions that count the same things could wait for each other
    for (system, name), n in sorted(counts.items()):
        statement = store.insert(schema.counter).values(system=system, name=name, n=n)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["system", "name"], set_={"n": schema.counter.c.n + n})
        )
