"""A shop, an Odoo and a hub as processes of their own, once for each store, to be struck at."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from tests.conftest import BOTH

from counterfoil_lab import soak
from counterfoil_lab.site import Site, site
from counterfoil_lab.victims import NoPostgres
from counterfoil_sandbox.woocommerce import make_order


@dataclass
class Ground:
    """The site and what was ordered there. Each test orders for itself; the verdict is about everything so far."""

    site: Site
    totals: dict[int, list[Decimal]] = field(default_factory=lambda: defaultdict(list))

    def place(self, count: int = 1, status: str = "processing") -> list[int]:
        """New orders; their numbers."""
        self.site.webhooks_on()
        made = []
        for _ in range(count):
            order = make_order(len(self.totals), status=status, only=lambda o: o["currency"] == "EUR")
            made.append(int(self.site.shop.shop.place(order)["id"]))
            self.totals[made[-1]].append(Decimal(order["total"]))
        return made

    def cancel(self, number: int) -> None:
        """The customer does not want it any more."""
        self.site.shop.shop.change(number, status="cancelled")

    def in_odoo(self, number: int) -> list[dict[str, Any]]:
        """The orders of that origin, read past all faults."""
        return self.site.erp.api.read("sale.order", [["origin", "=", f"web:order:{number}"]], ["state"])

    def fault(self, kind: str, path: str = "/json/2/", **options: Any) -> None:
        """What the Odoo does wrong from now on; `times` -1: until it is lifted."""
        self.site.erp.set_faults([{"kind": kind, "path": path, **options}])

    def fault_was_met(self) -> bool:
        """Whether a fault that was to come once has come."""
        return all(fault["times"] == 0 for fault in self.site.erp.faults())

    def lift(self) -> None:
        """Nothing is wrong any more."""
        self.site.erp.set_faults([])

    @contextlib.contextmanager
    def shop_cannot_be_asked(self) -> Iterator[None]:
        """Its webhooks come, its API does not answer: no poll stands behind the door meanwhile."""
        self.site.shop.faults.add("down", path="/wp-json/", times=-1)
        try:
            yield
        finally:
            self.site.shop.faults.clear()

    def answers(self, number: int) -> list[int]:
        """What the door answered to the webhooks of an order."""
        return [d["status"] for d in self.site.shop.shop.deliveries if d["resource_id"] == number]

    def nothing_wrong(self) -> None:
        """All comes to rest, and both systems agree on everything."""
        self.lift()
        assert asyncio.run(soak.rest(self.site)), "it does not come to rest"
        verdict = soak.judge(self.site, self.totals)
        assert (verdict["wrong"], verdict["finished_share"]) == ({}, 1.0)
        assert soak.passed(verdict)


def until(condition: Callable[[], object], seconds: float = 90.0) -> None:
    """Wait for it. A condition that cannot be asked now does not hold now."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.05)


def a_ground(folder: Any, store: str) -> Iterator[Ground]:
    try:
        with site(folder, store) as made:
            yield Ground(made)
    except NoPostgres as why:
        pytest.skip(str(why))


@pytest.fixture(scope="package", params=BOTH)
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Once for each store."""
    yield from a_ground(tmp_path_factory.mktemp(request.param), request.param)
