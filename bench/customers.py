"""100,000 customers on both sides linked over HTTP: seconds by phase, memory, and going on after a kill -9.

An Odoo and a shop are stand-ins in processes of their own, without a disk, so the seconds are the hub's and theirs.
One customer in ten is known by the telephone only, one in ten by the VAT number; one in twenty has another e-mail
address on each side and the same name and address, which is for a person. `counterfoil link customers web` runs as
people run it, in a process of its own: dry run, with --write and killed once a third of the links is committed, again
to its end, and once more. What was written is judged by the hub's table of links. Last line: one JSON object.

    python bench/customers.py [--customers 100000] [--store sqlite:///FILE or postgresql://…]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from counterfoil.blueprint import Blueprint, parse
from counterfoil.doors import assembly, onboarding
from counterfoil.hub.schema import link
from counterfoil.hub.store import Store, open_store
from counterfoil_sandbox.odoo import make_app as make_odoo
from counterfoil_sandbox.serving import free_port, serve_forever
from counterfoil_sandbox.woocommerce import make_app as make_shop

CHUNK = 1000
FIRST = ("Anna", "Ben", "Chloé", "David", "Emma", "Farid", "Greta", "Hugo", "Inès", "Jan", "Karim", "Lea", "Marc")
LAST = ("Martin", "Schmidt", "Dubois", "Rossi", "García", "Nowak", "Jansen", "Moreau", "Keller", "Lopez", "Ivanov")
STREETS = ("rue de la Paix", "avenue Foch", "rue Victor Hugo", "Hauptstraße", "chemin Vert", "rue du Moulin")
BLUEPRINT = """\
counterfoil: 1
store: {store}
systems:
  web: {{connector: woocommerce, url: "{shop}", consumer_key: "${{K}}", consumer_secret: "${{S}}", timeout: 60s}}
  odoo: {{connector: odoo, url: "{odoo}", database: sandbox, api_key: "${{A}}"}}
owners: {{product: odoo, stock: odoo, customer: web}}
customers: {{match: [email, vat, phone], candidates: {{name: 0.92, address: 0.9}}}}
"""
SECRETS = {"K": "ck_sandbox", "S": "cs_sandbox", "A": "sandbox-key"}


# --- the customers, made up and always the same -------------------------------------------------------------------


def person(n: int, side: str) -> dict[str, str]:
    """Customer `n` as one side has it; `known_by` says by which key it can be found, `` for none."""
    known_by = {3: "phone", 7: "vat", 5: "" if n % 20 == 5 else "email"}.get(n % 10, "email")
    return {
        "first_name": FIRST[n % len(FIRST)],
        "last_name": f"{LAST[n % len(LAST)]}-{n * 7919 % 99991:05d}",
        "street": f"{n % 190 + 1} {STREETS[n % len(STREETS)]}",
        "postcode": f"{n * 31 % 95000 + 1000:05d}",
        "email": _email(n, side, known_by),
        "phone": _phone(n, side) if known_by == "phone" else "",
        "vat": _french_vat(n, side) if known_by == "vat" else "",
        "known_by": known_by,
    }


def _email(n: int, side: str, known_by: str) -> str:
    """The same on both sides, in the shop alone, or another on each."""
    whose = {"email": f"c{n}", "": f"{side}-{n}"}.get(known_by, f"shop-{n}" if side == "web" else "")
    return whose and f"{whose}@mail{n % 50}.example"


def _phone(n: int, side: str) -> str:
    """A French number, national in the shop and international in Odoo."""
    digits = f"6{n:08d}"
    return f"0{digits}" if side == "web" else f"+33 {digits[0]} {digits[1:]}"


def _french_vat(n: int, side: str) -> str:
    siren = f"{n + 10_000_000:08d}"
    doubled = "".join(str(int(d) * (2 if place % 2 else 1)) for place, d in enumerate(siren))
    siren += str(-sum(map(int, doubled)) % 10)
    number = f"{(12 + 3 * (int(siren) % 97)) % 97:02d}{siren}"
    return number if side == "web" else f"FR{number}"


# --- the stand-ins, each a process --------------------------------------------------------------------------------


def odoo(port: int, count: int) -> None:
    """An Odoo with `count` customers, until it is ended."""
    app = make_odoo(currency="EUR", country="FR")
    call = app.inner.state.odoo.call
    (country,) = call("res.country", "search", domain=[["code", "=", "FR"]])
    for start in range(0, count, CHUNK):
        rows = []
        for n in range(start, min(start + CHUNK, count)):
            who = person(n, "odoo")
            row = {"name": f"{who['first_name']} {who['last_name']}", "zip": who["postcode"], "country_id": country}
            row |= {"city": "Ville", "street": who["street"]}
            rows.append(row | {name: who[name] or False for name in ("email", "phone", "vat")})
        call("res.partner", "create", vals_list=rows)
    serve_forever(app, port)


def shop(port: int, count: int) -> None:
    """A shop with `count` accounts, until it is ended."""
    app = make_shop()
    customers = app.shop.customers
    customers.entries.clear()
    model = customers.add("model@mail.example")
    customers.entries.clear()
    for n in range(count):
        who, number = person(n, "web"), n + 10
        names = {name: who[name] for name in ("first_name", "last_name")}
        place = {"address_1": who["street"], "postcode": who["postcode"], "city": "Ville", "country": "FR"}
        billing = {**model["billing"], **names, **place, "phone": who["phone"], "email": who["email"]}
        metas = [{"id": number, "key": "vat_number", "value": who["vat"]}] if who["vat"] else []
        own = {"id": number, "email": who["email"], "username": f"c{n}", "meta_data": metas, "billing": billing}
        customers.entries[number] = {**model, **names, **own}
    serve_forever(app, port)


# --- the measure --------------------------------------------------------------------------------------------------


def command(file: Path, *more: str) -> tuple[list[str], dict[str, str]]:
    """`counterfoil link customers web` and its environment."""
    words = [sys.executable, "-m", "counterfoil.doors.cli", "link", "customers", "web", "-b", str(file), *more]
    return [*words, "--json", "--review", str(file.with_name("review.csv"))], {**os.environ, **SECRETS}


def run(file: Path, *more: str) -> dict[str, Any]:
    """The command to its end: what it told, seconds, the most memory it held."""
    words, environ = command(file, *more)
    started = time.perf_counter()
    process = subprocess.Popen(words, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"link ended with {process.returncode}: {told}")
    seconds = round(time.perf_counter() - started, 1)
    own = {"seconds": seconds, "cpu_seconds": round(used.ru_utime + used.ru_stime, 1)}
    return {**own, "peak_memory_mb": used.ru_maxrss // 1024, **json.loads(told)}


def killed(file: Path, plan: Blueprint, enough: int) -> dict[str, Any]:
    """The command with --write, killed (SIGKILL) once `enough` links are committed; how many there are then."""
    words, environ = command(file, "--write")
    process = subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL)
    asyncio.run(_until(plan, enough, process))
    process.kill()
    return {"ended": process.wait(), **asyncio.run(written(plan))}


async def _until(plan: Blueprint, enough: int, process: subprocess.Popen[bytes]) -> None:
    """So many links are there, or the process is over."""
    store = await open_store(plan.store.reveal())
    try:
        while process.poll() is None and len(await _links(store)) < enough:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    finally:
        await store.close()


async def written(plan: Blueprint) -> dict[str, Any]:
    """How many links there are, and whether each of them is right: the shop's number to Odoo's of the same person."""
    store = await open_store(plan.store.reveal())
    try:
        rows = await _links(store)
    finally:
        await store.close()
    distance = Counter(int(ours) - int(canonical.rpartition(":")[2]) for canonical, ours in rows)
    twice = len(rows) - len({ours for _, ours in rows})
    return {"links": len(rows), "wrong": len(rows) - max(distance.values(), default=0), "twice": twice}


async def _links(store: Store) -> list[tuple[str, str]]:
    async with store.read() as connection:
        return [(r.canonical_id, r.object_id) for r in await connection.execute(sa.select(link))]


async def phases(plan: Blueprint) -> dict[str, float]:
    """Seconds of a dry run in this process, by what was under way."""
    began: dict[str, float] = {}
    ended: dict[str, float] = {}

    def tick(label: str, _by: int, _total: int | None) -> None:
        ended[label] = time.perf_counter()
        began.setdefault(label, ended[label])

    store, made = await open_store(plan.store.reveal()), assembly.connectors(plan)
    started = time.perf_counter()
    try:
        await onboarding.link(store, plan, made, "web", "customers", False, tick)
    finally:
        for connector in made.values():
            await connector.close()
        await store.close()
    over = time.perf_counter()
    found = {label: ended[label] - began[label] for label in ended}
    return {name: round(s, 1) for name, s in (found | {"all": over - started}).items()}


def measure(folder: Path, urls: dict[str, str], store: str, count: int) -> dict[str, Any]:
    """All steps, and whether the links are what they should be."""
    file = folder / "counterfoil.yaml"
    file.write_text(BLUEPRINT.format(store=store or f"sqlite:///{folder}/counterfoil.db", **urls))
    plan = parse(file.read_text(), known=assembly.catalogue(), environ=SECRETS)
    expected = Counter(person(n, "web")["known_by"] for n in range(count))
    alike = expected.pop("")
    report: dict[str, Any] = {"customers": count, "phases_of_a_dry_run": asyncio.run(phases(plan))}
    report["dry_run"] = run(file)
    report["killed"] = killed(file, plan, count // 3)
    report["went_on"] = run(file, "--write")
    report["again"] = run(file, "--write")
    report["in_the_end"] = asyncio.run(written(plan))
    there, rest = report["killed"]["links"], expected.total() - report["killed"]["links"]
    report["ok"] = (
        report["in_the_end"] == {"links": expected.total(), "wrong": 0, "twice": 0}
        and report["dry_run"]["matched_by"] == dict(expected)
        and report["dry_run"]["review"].get("candidate", 0) >= alike
        and report["killed"]["ended"] < 0 < there < expected.total()
        and (report["went_on"]["written"], report["again"]["written"]) == (rest, 0)
    )
    return report


def main() -> int:
    """Run it; 1 if a link is missing, wrong or double."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--store", default="", help="an empty database; by default a new file")
    options = parser.parse_args()
    ports = {"odoo": free_port(), "shop": free_port()}
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=target, args=(port, options.customers), daemon=True)
        for target, port in ((odoo, ports["odoo"]), (shop, ports["shop"]))
    ]
    for process in processes:
        process.start()
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    try:
        for url in urls.values():
            _wait_for(url)
        with tempfile.TemporaryDirectory(prefix="counterfoil-customers-") as folder:
            report = measure(Path(folder), urls, options.store, options.customers)
    finally:
        for process in processes:
            process.terminate()
            process.join()
    print(json.dumps(report))
    return 0 if report["ok"] else 1


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        try:
            httpx.get(url, timeout=60)
            return
        except httpx.TransportError:
            time.sleep(0.2)
    raise RuntimeError("a stand-in did not start")


if __name__ == "__main__":
    sys.exit(main())
