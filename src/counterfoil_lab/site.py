"""Where a soak takes place: a shop, an Odoo and a hub, each part a process that can be struck at."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import httpx

from counterfoil.doors.assembly import load
from counterfoil_lab import stage
from counterfoil_lab.odoo_api import Odoo
from counterfoil_lab.prepare import variants
from counterfoil_lab.victims import Disk, Kept, Postgres, kill_group, kill_postgres
from counterfoil_lab.week import SHOP
from counterfoil_sandbox import proxy
from counterfoil_sandbox.faults import Fault
from counterfoil_sandbox.serving import free_port, serving
from counterfoil_sandbox.woocommerce import RECORDINGS, ShopApp
from counterfoil_sandbox.woocommerce import make_app as make_shop

LEASE = 15.0
"""Seconds. Usually it is longer; here dead processes are many and the time is short."""
ROLES = {"sqlite": ("all",), "postgresql": ("doors", "workers,schedule", "workers,schedule")}
"""The hub's processes, each with what it does."""
FLOWS = """\
  - {{on: stock.changed, from: odoo, do: {shop}.publish_stock, when_down: latest_only, on_exception: pass}}
stock: {{hold: 1s}}
"""
"""Beside the orders' own."""
CACHE_OF_ITS_OWN = "/var/tmp/counterfoil-soak-cache"  # noqa: S108 - scripts/machine.py checks whose it is


class Erp(Protocol):
    """An Odoo that can be struck at. `place` is where the hub finds it, `api` the way past all faults."""

    place: stage.OdooPlace
    api: Odoo

    def kill(self, down: float) -> bool:
        """SIGKILL, and up again after `down` seconds. False where it was not running."""

    def set_faults(self, faults: list[dict[str, Any]]) -> None:
        """These faults from now on, and no others."""

    def faults(self) -> list[dict[str, Any]]:
        """The faults set, with how often each is still to come."""

    def history(self) -> list[list[Any]]:
        """What became of orders, commit by commit: origin, state, total. Empty where that cannot be known."""


class StandIn:
    """The stand-in behind a relay. The relay is what dies; what was committed is in another process, as in a database.

    A call that was on its way when the relay died may be carried out all the same, unseen.
    """

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        faulty, calm, front = free_port(), free_port(), free_port()
        self._faults_url = f"http://127.0.0.1:{faulty}/_sandbox/faults"
        command = [sys.executable, "-m", "counterfoil_sandbox.odoo", "--products", "0"]
        stack.enter_context(Kept([*command, "--port", str(faulty), "--calm-port", str(calm)], folder / "odoo.log"))
        relay = [sys.executable, "-m", "counterfoil_lab.relay", str(front), str(faulty)]
        self._relay = stack.enter_context(Kept(relay, folder / "relay.log"))
        calm_place = stage.OdooPlace(f"http://127.0.0.1:{calm}", "sandbox", "sandbox-key")
        self.place = replace(calm_place, url=f"http://127.0.0.1:{front}")
        wait_for(f"{calm_place.url}/web/health")
        self.api = calm_place.api
        variants(self.api, RECORDINGS)
        stage.prepared(calm_place, RECORDINGS, {"EUR"})

    def kill(self, down: float) -> bool:
        """The relay is killed, and what passes through it is cut."""
        return self._relay.kill(down)

    def set_faults(self, faults: list[dict[str, Any]]) -> None:
        """Over HTTP."""
        httpx.post(self._faults_url, json=faults, timeout=60).raise_for_status()

    def faults(self) -> list[dict[str, Any]]:
        """With how often each is still to come."""
        return list(httpx.get(self._faults_url, timeout=60).json()["waiting"])

    def history(self) -> list[list[Any]]:
        """As the stand-in has noted it."""
        got = self.api.http.get("/_sandbox/history")
        got.raise_for_status()
        return list(got.json())


class RealOdoo:
    """A real Odoo 19 with two workers and a PostgreSQL of its own, durability on. Faults by a proxy in front of it."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        os.environ.setdefault("COUNTERFOIL_CACHE", CACHE_OF_ITS_OWN)
        os.environ.setdefault("COUNTERFOIL_ODOO_PGPORT", "5460")
        os.environ["COUNTERFOIL_ODOO_DURABLE"] = "1"
        self._database = "cf_soak"
        place = stage.real_odoo(self._database, workers=2)
        stack.callback(self._script, "stop")
        stack.callback(self._script, "drop", self._database)
        self._port = place.url.rpartition(":")[2]
        app = proxy.make_app(place.url)
        self._faults = app.faults
        self.place = replace(place, url=stack.enter_context(serving(app)))
        self.api = place.api
        variants(self.api, RECORDINGS)
        stage.prepared(place, RECORDINGS, {"EUR"})

    def kill(self, down: float) -> bool:
        """All of Odoo's processes at once."""
        kill_group(json.loads(self._script("status"))["databases"][0]["pid"])
        return self._up_again(down)

    def kill_postgres(self, down: float) -> bool:
        """Its database server; Odoo stays, and finds its connections dead."""
        kill_postgres(Path(os.environ["COUNTERFOIL_CACHE"]) / "odoo19" / "pg")
        return self._up_again(down)

    def _up_again(self, down: float) -> bool:
        time.sleep(down)
        self._script("serve", self._database, self._port, "2")
        return True

    def _script(self, *arguments: str) -> str:
        script = stage.REPOSITORY / "scripts" / "odoo19"
        return subprocess.run([script, *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout

    def set_faults(self, faults: list[dict[str, Any]]) -> None:
        """In this process."""
        self._faults.waiting = [Fault(**fault) for fault in faults]

    def faults(self) -> list[dict[str, Any]]:
        """In this process too."""
        return [asdict(fault) for fault in self._faults.waiting]

    def history(self) -> list[list[Any]]:
        """Odoo keeps none."""
        return []


@dataclass(slots=True)
class Site:
    """Everything that runs. `hubs` are the hub's processes, in the order of `ROLES`."""

    folder: Path
    shop: ShopApp
    shop_url: str
    erp: Erp
    hubs: list[Kept]
    file: Path
    disk: Disk
    postgres: Postgres | None
    seen_until: float = 0.0
    """The latest time of day that the hubs have seen."""

    @property
    def door(self) -> str:
        """The hub's address."""
        return f"http://{load(self.file).listen}"

    def webhooks_on(self) -> None:
        """The shop switches one off after some failures; its people mend it."""
        for hook in self.shop.shop.courier.hooks.values():
            hook["status"] = "active"

    def jump(self, seconds: float) -> None:
        """The hub's clocks go so far ahead of the real one from now on."""
        clock = self.folder / "clock"
        ahead = float(clock.read_text()) if clock.exists() else 0.0
        self.seen_until = max(self.seen_until, time.time() + ahead)
        clock.write_text(f"{seconds}")


@contextlib.contextmanager
def site(folder: Path, store: str, odoo: str = "sandbox", seed: int = 1) -> Iterator[Site]:
    """Everything up, webhooks registered. `store` is a key of `ROLES`. Raises NoPostgres, NoOdoo."""
    with contextlib.ExitStack() as stack:
        shop = make_shop(options={"woocommerce_prices_include_tax": "no"}, seed=seed)
        shop_url = stack.enter_context(serving(shop))
        erp: Erp = RealOdoo(stack) if odoo == "real" else StandIn(folder, stack)
        disk = Disk(folder / "disk", 256)
        stack.callback(disk.close)
        postgres = None
        if store == "postgresql":
            postgres = Postgres(free_port())
            stack.callback(postgres.stop)
        file = _blueprint(
            folder, erp.place, shop_url, postgres.url if postgres else f"sqlite:///{disk.folder / 'hub.db'}"
        )
        hub = [sys.executable, "-m", "counterfoil_lab.jumping", folder / "clock", "run", "-b", file]
        lease = {"COUNTERFOIL_LEASE": str(LEASE)}
        hubs = [
            stack.enter_context(Kept([*hub, "--role", role], folder / f"hub{number}.log", lease))
            for number, role in enumerate(ROLES[store])
        ]
        made = Site(folder, shop, shop_url, erp, hubs, file, disk, postgres)
        wait_for(f"{made.door}/health")
        program = Path(sys.executable).with_name("counterfoil")
        subprocess.run([program, "webhooks", SHOP, "-b", file], check=True, stdout=2)
        yield made
        shop.shop.hold_webhooks()


def wait_for(url: str, seconds: float = 120.0) -> None:
    """Until it answers with 200. Raises RuntimeError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url).status_code == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing answers at {url}")


def _blueprint(folder: Path, odoo: stage.OdooPlace, shop_url: str, store: str) -> Path:
    """Orders in, stock out, nothing else."""
    file = stage.blueprint(folder, odoo, shop_url, SHOP, "3s", note_orders=False, store=store, catalogue=RECORDINGS)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("payments:\n", FLOWS.format(shop=SHOP) + "payments:\n", 1), encoding="utf-8")
    return file
