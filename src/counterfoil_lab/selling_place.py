"""Where shoppers want more than there is: two shops, an Odoo, and two processes of the hub on one PostgreSQL."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from counterfoil.doors.setup import write_secret
from counterfoil_lab import stage
from counterfoil_lab.odoo_api import Odoo
from counterfoil_lab.prepare import prepare
from counterfoil_lab.site import wait_for
from counterfoil_lab.stage import REPOSITORY, SHOP_KEYS
from counterfoil_lab.victims import CANNOT_BE_HAD, Kept, NoPostgres
from counterfoil_sandbox import proxy
from counterfoil_sandbox.faults import Fault
from counterfoil_sandbox.serving import free_port, serving
from counterfoil_sandbox.woocommerce import RECORDINGS, ShopApp
from counterfoil_sandbox.woocommerce import make_app as make_shop

ARTICLES, UNITS, BUNDLES, FENCED = 50, 1000, 5, 10
WEB, MARKET = "web", "market"
PATIENCE = {"sandbox": 150.0, "real": 1200.0}
"""Seconds after which a seed is judged as it stands."""
FENCE = 2
"""Units that the web shop leaves of some articles for the second shop, which sells so many without asking."""

BLUEPRINT = """\
counterfoil: 1
store: {store}
listen: 127.0.0.1:{port}
systems:
  web: {{connector: woocommerce, url: {web}, consumer_key: {{file: secrets/key}},
    consumer_secret: {{file: secrets/secret}}, poll: 1s, overlap: 3s}}
  market: {{connector: woocommerce, url: {market}, consumer_key: {{file: secrets/key}},
    consumer_secret: {{file: secrets/secret}}, poll: 1s, overlap: 3s}}
  odoo: {{connector: odoo, url: {odoo}, database: {database}, api_key: {{file: secrets/odoo}}, poll: 1s}}
owners: {{product: odoo, stock: odoo}}
flows:
  - {{on: [order.placed, order.paid], from: web, do: odoo.accept_order}}
  - {{on: [order.placed, order.paid], from: market, do: odoo.accept_order}}
  - {{on: order.cancelled, from: web, do: odoo.cancel_order}}
payments:
  - {{method: bacs, journal: WBANK}}
stock:
  bundles: {bundles}
  ring_fences: {fences}
"""


@dataclass(frozen=True, slots=True)
class World:
    """What a seed begins with: units by SKU, bundles, and the articles with a ring fence."""

    seed: int
    units: Mapping[str, int]
    bundles: Mapping[str, Mapping[str, int]]
    fenced: tuple[str, ...]


def world(seed: int) -> World:
    """Drawn by the seed: the same seed is the same world."""
    dice = random.Random(f"oversell/{seed}")
    skus = [f"S{seed}-{n:02d}" for n in range(ARTICLES)]
    units = Counter(dict.fromkeys(skus, 4))
    units.update(dice.choices(skus, k=UNITS - 4 * ARTICLES))
    bundles = {
        f"S{seed}-SET{n}": {sku: dice.randint(1, 2) for sku in dice.sample(skus, dice.randint(2, 3))}
        for n in range(BUNDLES)
    }
    return World(seed, dict(units), bundles, tuple(dice.sample(skus, FENCED)))


@dataclass(slots=True)
class Place:
    """Where it happens: two shops, an Odoo, and the two processes of the hub. `tokens` are by shop."""

    folder: Path
    shops: Mapping[str, ShopApp]
    urls: Mapping[str, str]
    odoo: Odoo
    faults: Any
    hubs: Sequence[Kept]
    doors: Sequence[str]
    tokens: Mapping[str, str]
    numbers: Iterator[int]
    patience: float


def postgres(*arguments: str) -> str:
    """scripts/postgres; its last line. Raises NoPostgres."""
    done = subprocess.run(
        [REPOSITORY / "scripts" / "postgres", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode == CANNOT_BE_HAD:
        raise NoPostgres(done.stderr.strip())
    if done.returncode:
        raise RuntimeError(f"scripts/postgres {' '.join(arguments)}: {done.stderr.strip()}")
    return (done.stdout.splitlines() or [""])[-1]


def an_odoo(kind: str, folder: Path, stack: contextlib.ExitStack) -> tuple[stage.OdooPlace, Odoo, Any]:
    """Where the hub finds it, the way past all faults, and what sets them; until `stack` ends. Raises NoOdoo."""
    if kind == "real":
        behind = stack.enter_context(stage.an_odoo("real", "cf_oversell", 2))
        app = proxy.make_app(behind.url)

        def set_faults(faults: list[dict[str, Any]]) -> None:
            app.faults.waiting = [Fault(**fault) for fault in faults]

        front = stack.enter_context(serving(app))
        return stage.OdooPlace(front, behind.database, behind.api_key), behind.api, set_faults
    faulty, calm = free_port(), free_port()
    command = [sys.executable, "-m", "counterfoil_sandbox.odoo", "--products", "0"]
    stack.enter_context(Kept([*command, "--port", str(faulty), "--calm-port", str(calm)], folder / "odoo.log"))
    wait_for(f"http://127.0.0.1:{calm}/web/health")

    def post_faults(faults: list[dict[str, Any]]) -> None:
        httpx.post(f"http://127.0.0.1:{faulty}/_sandbox/faults", json=faults, timeout=60).raise_for_status()

    past = stage.OdooPlace(f"http://127.0.0.1:{calm}", "sandbox", "sandbox-key")
    return stage.OdooPlace(f"http://127.0.0.1:{faulty}", "sandbox", "sandbox-key"), past.api, post_faults


@contextlib.contextmanager
def a_place(folder: Path, worlds: Sequence[World], odoo: str = "sandbox") -> Iterator[Place]:
    """Everything up, for these worlds. Raises NoPostgres, NoOdoo."""
    with contextlib.ExitStack() as stack:
        shops = {name: make_shop(None) for name in (WEB, MARKET)}
        urls = {name: stack.enter_context(serving(shop)) for name, shop in shops.items()}
        erp, api, set_faults = an_odoo(odoo, folder, stack)
        prepare(api, RECORDINGS, {"EUR"})
        name = f"cf_oversell_{os.getpid()}_{worlds[0].seed}"
        store = postgres("createdb", name)
        stack.callback(postgres, "dropdb", name)
        files, doors = [], []
        (folder / "secrets").mkdir(mode=0o700)
        secrets = dict(zip(("key", "secret"), SHOP_KEYS, strict=True)) | {"odoo": erp.api_key}
        for secret, value in secrets.items():
            write_secret(folder / "secrets" / secret, value)
        for number in (1, 2):
            port = free_port()
            file = folder / f"hub{number}.yaml"
            bundles = {sku: dict(parts) for each in worlds for sku, parts in each.bundles.items()}
            fences = [{"channel": MARKET, "sku": sku, "units": FENCE} for each in worlds for sku in each.fenced]
            text = BLUEPRINT.format(
                **{"store": store, "port": port, "odoo": erp.url, "database": erp.database, **urls},
                bundles=json.dumps(bundles),
                fences=json.dumps(fences),
            )
            file.write_text(text, encoding="utf-8")
            files.append(file)
            doors.append(f"http://127.0.0.1:{port}")
        program = [sys.executable, "-m", "counterfoil.doors.cli"]
        tokens = {shop: token(program, files[0], shop) for shop in shops}
        lease = {"COUNTERFOIL_LEASE": "3"}
        hubs = [stack.enter_context(Kept([*program, "run", "-b", f], f.with_suffix(".log"), lease)) for f in files]
        for door in doors:
            wait_for(f"{door}/health")
        numbers = iter(range(worlds[0].seed * 100_000, 2**31))
        yield Place(folder, shops, urls, api, set_faults, hubs, doors, tokens, numbers, PATIENCE[odoo])


def token(program: Sequence[str], file: Path, shop: str) -> str:
    """A new one for the shop."""
    scopes = [word for scope in ("availability", "reserve", "orders") for word in ("--scope", scope)]
    asked = ["tokens", "add", "lab", "--channel", shop, *scopes, "--rate", "10000/s"]
    command = [*program, *asked, "-b", str(file), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return str(json.loads(done.stdout)["token"])
