"""PostgreSQL on several hosts: the one that can be written to is found, and one that is dark holds nobody up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from counterfoil.hub import store as store_module
from counterfoil.hub.store import Store, StoreError, open_store


def where(url: str) -> dict[str, object]:
    """What the driver is told."""
    store = Store(url)
    return dict(store.engine.dialect.create_connect_args(store.url)[1])


def test_several_hosts_are_read_as_postgresql_itself_writes_them() -> None:
    told = where("postgresql://hub:p%40ss,word@db1:5433,db2/shop?ssl=require")
    assert told == {
        "user": "hub",
        "password": "p@ss,word",
        "host": ["db1", "db2"],
        "port": [5433, 5432],
        "database": "shop",
        "ssl": "require",
        "target_session_attrs": "read-write",
    }


def test_who_says_which_of_them_is_meant_is_heard() -> None:
    assert where("postgresql://db1,db2/shop?target_session_attrs=any")["target_session_attrs"] == "any"


def test_one_host_is_told_nothing_of_the_kind() -> None:
    assert where("postgresql://hub@db1:5433/shop") == {"user": "hub", "host": "db1", "port": 5433, "database": "shop"}


@contextlib.asynccontextmanager
async def dark() -> AsyncIterator[int]:
    """A port that takes connections and never says anything."""

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(300)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def beside(postgres_url: str, port: int) -> str:
    """The test's store, with another host named before it."""
    url = sa.make_url(postgres_url)
    return f"postgresql://{url.username}@127.0.0.1:{port},127.0.0.1:{url.port}/{url.database}"


@pytest.mark.postgres
async def test_a_host_that_is_dark_or_gone_is_passed_over(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "HOST_SECONDS", 1.0)
    async with dark() as port:
        store = await open_store(beside(postgres_url, port))
        await store.listen()
        assert await store.listening()
        await store.close()
    store = await open_store(beside(postgres_url, port))  # nothing is there any more
    await store.close()


@pytest.mark.postgres
async def test_where_none_can_be_written_to_it_says_so(postgres_url: str) -> None:
    """As while a standby is not promoted yet: the hub waits, it does not end."""
    url = beside(postgres_url, 1) + "?target_session_attrs=standby"
    with pytest.raises(StoreError, match="standby"):
        await open_store(url)


@pytest.mark.postgres
async def test_a_server_whose_machine_vanishes_is_noticed(postgres_url: str) -> None:
    """The kernel asks after ten seconds of silence, instead of hoping for a quarter of an hour."""
    store = await open_store(postgres_url)
    async with store.read() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        channel = driver._transport.get_extra_info("socket")
        assert channel.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert channel.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
    await store.close()
