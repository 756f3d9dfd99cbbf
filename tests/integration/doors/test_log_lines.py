"""What a hub at work logs: which order it is about, and nothing of who bought it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import structlog
from tests.conftest import ON_SQLITE
from tests.fakes import ERP, SHOP, House, at, failing, payload, raw, until

from counterfoil.doors import logs
from counterfoil.doors.webhooks import application
from counterfoil.hub import poller
from counterfoil.hub.at_work import at_work
from counterfoil.hub.contract import Kind
from counterfoil.hub.receipts import GroupCommit
from counterfoil.hub.schema import link
from counterfoil.hub.store import Store

PERSONAL = ("ann@example.org", "12 rue des Secrets", "please ring twice")


@pytest.fixture(autouse=True)
def as_in_a_process() -> Iterator[None]:
    before = structlog.get_config()
    logs.configure()
    yield
    structlog.configure(**before)


def order(number: int, **changes: Any) -> bytes:
    email, street, note = PERSONAL
    return payload(number, email=email, street=street, note=note, **changes)


@ON_SQLITE
async def test_the_log_says_which_order_and_never_whose(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """All that can go wrong: refused, retried, out of reach, ours, unreadable, a lost lease, a store that is away."""
    house = House(store)
    app = application({SHOP: house.shop}, GroupCommit(store))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub") as shop:
        await shop.post("/webhooks/shop", content=order(1), headers={"x-secret": "wrong"})
    await house.receive(*(order(n) for n in range(1, 6)), order(6).replace(b'"total"', b'"totals"'))
    house.erp.always = {
        "shop:order:1": failing(Kind.REJECTED, "refused", message=f"No delivery to {PERSONAL[1]}."),
        "shop:order:2": ValueError(f"cannot write to {PERSONAL[0]}"),
        "shop:order:3": failing(Kind.DOWN, "unreachable", technical=PERSONAL[2]),
    }
    worker = house.worker()
    real = worker.carrier._keep_outcomes

    async def broken(pairs: Any, *more: Any) -> None:
        if pairs[0][0].subject == "shop:order:4":
            raise RuntimeError("the disk is on fire\nwith " + PERSONAL[0])
        await real(pairs, *more)

    worker.carrier._keep_outcomes = broken  # type: ignore[method-assign]
    await worker.dispatch()
    async with house.working(worker):

        async def said() -> bool:
            text.append(capsys.readouterr().err)
            return "closed" in "".join(text) and "cannot be kept" in "".join(text)

        text: list[str] = []
        await until(said)
    house.shop.changes = [raw(order(7, modified=at(9)))]
    house.shop.breaks_at = {0: failing(Kind.MISCONFIGURED, "no_right", technical=PERSONAL[2])}
    [feed] = house.shop.feeds
    await poller.poll_once(store, SHOP, feed)
    text.append(capsys.readouterr().err)

    lines = [json.loads(line) for line in "".join(text).splitlines()]
    assert {"webhook refused", "closed", "poll failed", "result cannot be kept"} <= {each["event"] for each in lines}
    for personal in PERSONAL:
        assert personal not in "".join(text)
    about = {each["event"]: each.get("correlation") for each in lines}
    assert "shop:order:3" in about["closed"]
    assert about["result cannot be kept"] is not None
    assert ERP in str(lines)


@ON_SQLITE
async def test_what_a_database_repeats_of_what_it_was_given_is_not_logged(store: Store) -> None:
    row = {"canonical_id": PERSONAL[0], "system": SHOP, "object_id": PERSONAL[0], "since": 0.0}
    with pytest.raises(sa.exc.IntegrityError) as refused:
        async with store.write() as connection:
            await connection.execute(sa.insert(link), [row, row])
    assert PERSONAL[0] not in str(refused.value)
    told = logs.discreet(None, "", {"detail": f"duplicate key\nDETAIL: Key (email)=({PERSONAL[0]})"})
    assert told == {"detail": "duplicate key"}


def test_a_single_order_is_named_and_of_a_batch_the_first() -> None:
    with at_work(["web:order:1", "web:order:1"]):
        assert structlog.contextvars.get_contextvars() == {"correlation": "web:order:1"}
    with at_work(f"web:order:{n}" for n in range(200)):
        assert len(structlog.contextvars.get_contextvars()["correlation"]) == 5
    assert structlog.contextvars.get_contextvars() == {}
