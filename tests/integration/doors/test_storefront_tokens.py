"""Who may ask the storefront: tokens per channel, what they may and how often, and from which pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.conftest import ON_SQLITE
from tests.fakes import rows_of
from tests.storefront_stage import BLUEPRINT, ROOT, product, storefront
from typer.testing import CliRunner

from counterfoil.doors.cli import app
from counterfoil.doors.storefront import tokens
from counterfoil.doors.storefront.problems import Refusal
from counterfoil.hub.schema import api_token, audit
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import apitokens

PROBLEM = "/storefront/v1/problems/"


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def refused(gate: tokens.Gate, authorization: str, scope: str = "orders") -> Refusal:
    with pytest.raises(Refusal) as caught:
        await gate.check(authorization, scope)
    return caught.value


async def test_a_token_is_kept_as_a_digest_and_lets_in_for_what_it_may(store: Store) -> None:
    id_, token = await apitokens.add(store, "checkout", "web", ["orders", "reserve"], None, "someone")
    [row] = await rows_of(store, api_token)
    assert token not in json.dumps(row)
    gate = tokens.Gate(store)
    caller = await gate.check(f"bearer {token}", "orders")
    assert (caller.id, caller.channel, caller.scopes) == (id_, "web", {"orders", "reserve"})
    assert (await refused(gate, f"Bearer {token}", "catalogue")).kind.code == "forbidden"
    for wrong in ("", "Bearer", f"Basic {token}", f"Bearer {token}x", f"Bearer {token[:-1]}"):
        assert (await refused(gate, wrong)).kind.code == "unauthorized"


async def test_a_revoked_token_is_refused_within_seconds(store: Store) -> None:
    id_, token = await apitokens.add(store, "checkout", "web", ["orders"], None, "someone")
    clock = Clock()
    gate = tokens.Gate(store, clock=clock)
    await gate.check(f"Bearer {token}", "orders")
    assert await apitokens.revoke(store, id_, "someone")
    assert not await apitokens.revoke(store, id_, "someone")
    clock.now += tokens.LOOKED_UP_EVERY + 0.1
    assert (await refused(gate, f"Bearer {token}")).kind.code == "unauthorized"
    assert [row["act"] for row in await rows_of(store, audit)] == ["token.added", "token.revoked"]


@ON_SQLITE
async def test_a_token_may_ask_as_often_as_it_was_given(store: Store) -> None:
    _, token = await apitokens.add(store, "slow", "web", ["orders"], 5.0, "someone")
    _, other = await apitokens.add(store, "other", "web", ["orders"], None, "someone")
    clock = Clock()
    gate = tokens.Gate(store, 1000.0, clock)
    for _ in range(int(5 * tokens.BURST_SECONDS)):
        await gate.check(f"Bearer {token}", "orders")
    wait = await refused(gate, f"Bearer {token}")
    assert (wait.kind.status, (wait.headers or {})["Retry-After"]) == (429, "1")
    await gate.check(f"Bearer {other}", "orders")
    clock.now += 1.0  # five more, and not one above
    for _ in range(5):
        await gate.check(f"Bearer {token}", "orders")
    assert (await refused(gate, f"Bearer {token}")).kind.code == "too_many"


@ON_SQLITE
async def test_who_guesses_tokens_does_not_keep_the_store_busy(store: Store) -> None:
    gate = tokens.Gate(store, clock=Clock())
    codes = [(await refused(gate, f"Bearer cfs_{n}")).kind.code for n in range(int(tokens.MOST_UNKNOWN) + 5)]
    assert codes == ["unauthorized"] * int(tokens.MOST_UNKNOWN) + ["too_many"] * 5


@ON_SQLITE
async def test_pages_of_declared_origins_may_read_the_answers_and_no_others(store: Store) -> None:
    async with storefront(store, "storefront: {origins: {web: https://shop.example}}\n") as stage:
        await stage.sells(product("MUG"))
        await stage.counts(MUG={"WH": 1})
        for path in ("/availability/MUG", "/products/MUG", "/products/NONE"):
            theirs = await stage.client.get(ROOT + path, headers={"Origin": "https://shop.example"})
            assert theirs.headers["access-control-allow-origin"] == "https://shop.example"
            assert "Origin" in theirs.headers["vary"]
            other = await stage.client.get(ROOT + path, headers={"Origin": "https://evil.example"})
            assert "access-control-allow-origin" not in other.headers
        ask = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST", "Authorization": ""}
        before = await stage.client.options(f"{ROOT}/products/list", headers=ask)
        assert (before.status_code, before.headers["access-control-allow-headers"][:13]) == (204, "Authorization")


@ON_SQLITE
async def test_a_body_that_is_too_long_is_refused_before_it_is_read_whole(store: Store) -> None:
    async with storefront(store) as stage:

        async def endless():  # type: ignore[no-untyped-def]
            while True:
                yield b"x" * 65536

        for body in (b"x" * 300_000, endless()):
            answer = await stage.client.post(f"{ROOT}/products/list", content=body)
            assert (answer.status_code, answer.json()["type"]) == (413, PROBLEM + "too_large")


@ON_SQLITE
async def test_while_the_store_is_out_of_reach_the_answer_says_to_come_again(store: Store) -> None:
    async with storefront(store) as stage:
        async with store.write() as connection:
            await connection.execute(sa.text("DROP TABLE api_token"))
        answer = await stage.client.get(f"{ROOT}/products/MUG")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert "api_token" not in answer.text


@ON_SQLITE
async def test_an_error_of_our_own_is_a_problem_too_and_its_words_are_not_logged(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with storefront(store) as stage:
        await stage.counts(MUG={"WH": 1})

        def broken(_sku: str) -> None:
            raise ValueError("kim@example.com")

        monkeypatch.setattr(stage.context.book, "product", broken)
        answer = await stage.client.get(f"{ROOT}/products/MUG")
        assert (answer.status_code, answer.json()["type"]) == (500, PROBLEM + "failed")
        logged = capsys.readouterr()
        assert "storefront failed" in logged.out + logged.err
        assert "kim@" not in answer.text + logged.out + logged.err


def test_the_command_shows_a_token_once_and_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "x")
    file = tmp_path / "shop.yaml"
    file.write_text(f"{BLUEPRINT}store: sqlite:///{tmp_path / 'hub.db'}\n", encoding="utf-8")

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["tokens", *arguments, "-b", str(file)])
        return done.exit_code, done.stdout + done.stderr

    code, text = run("add", "shop front", "--channel", "web", "--scope", "orders", "--rate", "20/s", "--json")
    made = json.loads(text)
    assert (code, made["scopes"], made["rate"]) == (0, ["orders"], 20.0)
    assert made["token"].startswith(apitokens.PREFIX)
    assert run("add", "x", "--channel", "nowhere", "--scope", "orders")[0] == 2
    assert "'everything' is none of catalogue" in run("add", "x", "--channel", "web", "--scope", "everything")[1]
    code, listed = run("list", "--json")
    assert made["token"] not in listed
    assert json.loads(listed)[0]["revoked_at"] is None
    assert run("revoke", made["id"])[0] == 1  # nobody there to be asked
    assert run("revoke", made["id"], "--yes")[0] == 0
    assert run("revoke", made["id"], "--yes")[0] == 1
    assert json.loads(run("list", "--json")[1])[0]["revoked_at"] > 0
