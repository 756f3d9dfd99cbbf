"""A real Odoo: had by scripts/odoo19 or odoo14; and a 19 that is disturbed as the conformance suite wants it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.conformance.odoo_place import Erp

from counterfoil.retail.order import Order
from counterfoil_sandbox.serving import free_port

PGPORT = int(os.environ.get("COUNTERFOIL_ODOO_PGPORT") or 5440)

SCRIPTS = Path(__file__).parents[2] / "scripts"
CANNOT_BE_HAD = 77
COUNTER = itertools.count(1)


def script(version: int, *arguments: str) -> dict[str, Any]:
    """scripts/odoo19 or odoo14; what it says of the database, {} where it says nothing."""
    program = SCRIPTS / f"odoo{version}"
    ended = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if ended.returncode == CANNOT_BE_HAD:
        said = [line for line in ended.stderr.splitlines() if line.startswith(program.name)]
        pytest.skip(said[-1] if said else f"a real Odoo {version} cannot be had on this machine")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    return dict(json.loads(lines[-1])) if lines else {}


odoo19 = partial(script, 19)


@contextlib.contextmanager
def an_odoo(version: int = 19, workers: int = 0) -> Iterator[dict[str, Any]]:
    """A server on a copy of the template, both gone afterwards; what its script says of it."""
    name = f"cf_e2e_{os.getpid()}_{next(COUNTER)}"
    try:
        # a port of its own choice: one that is given back for a moment must not be taken by another server
        yield script(version, "serve", name, str(free_port()), str(workers))
    finally:
        script(version, "drop", name)


class RealErp(Erp):
    """Odoo 19 with its own PostgreSQL."""

    norights = ""

    @contextlib.contextmanager
    def discounts_on(self) -> Iterator[None]:
        """Discounts on order lines are switched on in the settings meanwhile."""
        employees, discounts = self._group("base.group_user"), self._group("sale.group_discount_per_so_line")
        self.api.call("res.groups", "write", ids=[employees], vals={"implied_ids": [[4, discounts]]})
        try:
            yield
        finally:
            self.api.call("res.groups", "write", ids=[employees], vals={"implied_ids": [[3, discounts]]})

    def _group(self, name: str) -> int:
        module, _, name = name.partition(".")
        [row] = self.api.read("ir.model.data", [["module", "=", module], ["name", "=", name]], ["res_id"])
        return int(row["res_id"])

    def give_rights(self, *groups: str) -> None:
        """The user without rights gets these groups (external ids), and no others."""
        numbers = [self._group(group) for group in groups]
        [user] = self.api.read("res.users", [["login", "=", "counterfoil-norights"]], ["id"])
        self.api.call("res.users", "write", ids=[user["id"]], vals={"group_ids": [[6, 0, numbers]]})

    def key_without_rights(self) -> str:
        """Of a user who is an employee and nothing more."""
        return self.norights

    @contextlib.contextmanager
    def without_database(self) -> Iterator[dict[str, str]]:
        """The answer is the same for a database that is stopped and for one of another name."""
        yield {"database": "no_such_database"}

    @contextlib.asynccontextmanager
    async def losing_race(self, order: Order) -> AsyncIterator[None]:
        """Another transaction takes the order's external id and commits while the load waits for it."""
        connection = await self.postgres()
        transaction = connection.transaction()
        await transaction.start()
        name = f"{order.system}_order_{order.id}"
        await connection.execute(
            "insert into ir_model_data (module, name, model, res_id, noupdate) "
            "values ('counterfoil', $1, 'sale.order', 1, true)",
            name,
        )
        committing = asyncio.create_task(self._commit_once_waited_for(connection, transaction))
        try:
            yield
        finally:
            await committing
            await connection.execute("delete from ir_model_data where module = 'counterfoil' and name = $1", name)
            await connection.close()

    async def _commit_once_waited_for(self, connection: asyncpg.Connection, transaction: Any) -> None:
        watching = await self.postgres()
        waiting = "select count(*) from pg_stat_activity where $1 = any(pg_blocking_pids(pid))"
        for _ in range(500):
            if await watching.fetchval(waiting, connection.get_server_pid()):
                break
            await asyncio.sleep(0.01)
        await transaction.commit()
        await watching.close()

    async def postgres(self) -> asyncpg.Connection:
        """A connection of a superuser to Odoo's database."""
        return await asyncpg.connect(
            host="127.0.0.1", port=PGPORT, user="postgres", database=self.place.database, ssl=False
        )
