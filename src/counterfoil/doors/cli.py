"""The command line: init, check, doctor, run, show, exceptions, status. `--json` wherever it prints."""

from __future__ import annotations

import asyncio
import getpass
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import structlog
import typer
from rich.console import Console
from rich.table import Table

from counterfoil import __version__
from counterfoil.blueprint import Blueprint, BlueprintError, examine, render
from counterfoil.doors import assembly, serve, setup
from counterfoil.hub import exceptions, lanes, systems, timeline
from counterfoil.hub.contract import Mark
from counterfoil.hub.store import Store, StoreError, open_store
from counterfoil.retail.events import at_utc

app = typer.Typer(
    help="Counterfoil: each business event crosses exactly once, and leaves its counterfoil.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
exceptions_app = typer.Typer(help="What needs a person: list, show, retry, resolve, skip.", no_args_is_help=True)
app.add_typer(exceptions_app, name="exceptions")

T = TypeVar("T")

out = Console()
err = Console(stderr=True)

BlueprintPath = Annotated[
    Path, typer.Option("--blueprint", "-b", envvar="COUNTERFOIL_BLUEPRINT", help="the blueprint's file")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
DEFAULT = Path("counterfoil.yaml")


def fail(message: str, code: int = 1) -> NoReturn:
    """Say why on stderr and end."""
    err.print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def loaded(path: Path, require_secrets: bool = True) -> Blueprint:
    """The blueprint, or its problems on stderr and exit 2."""
    try:
        return assembly.load(path, require_secrets)
    except BlueprintError as error:
        fail(f"{error}\nThe blueprint has {len(error.problems)} problem(s); nothing was started.", 2)


def with_store(path: Path, act: Callable[[Store, Blueprint], Awaitable[T]]) -> T:
    """Run `act` on the blueprint's store."""
    blueprint = loaded(path, require_secrets=False)

    async def run() -> T:
        store = await open_store(blueprint.store.reveal())
        try:
            return await act(store, blueprint)
        finally:
            await store.close()

    return finished(run())


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run it; what can go wrong in known ways becomes one clear line."""
    try:
        return asyncio.run(work)
    except (
        StoreError,
        serve.CannotListen,
        exceptions.NoSuchException,
        exceptions.NotOpen,
        setup.SetupError,
    ) as error:
        fail(str(error))


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def moment(seconds: float | None) -> str:
    """A time for people: local, to the second."""
    return "" if seconds is None else at_utc(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _version(wanted: bool) -> None:
    if wanted:
        out.print(__version__)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print it")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="log more")] = False,
) -> None:
    """The retail operations hub for Odoo."""
    level = logging.DEBUG if verbose else logging.INFO
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="the blueprint to write")] = DEFAULT,
    shop_url: Annotated[str, typer.Option(prompt="Address of the WooCommerce shop", help="https://shop.example")] = "",
    shop_name: Annotated[str, typer.Option(prompt="Name of the shop here", help="such as web-eu")] = "web",
    consumer_key: Annotated[str, typer.Option(prompt="Consumer key", envvar="WEB_KEY")] = "",
    consumer_secret: Annotated[str, typer.Option(prompt="Consumer secret", hide_input=True, envvar="WEB_SECRET")] = "",
    odoo_url: Annotated[str, typer.Option(prompt="Address of the Odoo", help="https://odoo.example")] = "",
    odoo_database: Annotated[str, typer.Option(prompt="Odoo database (empty: the only one)")] = "",
    odoo_api_key: Annotated[str, typer.Option(prompt="Odoo API key", hide_input=True, envvar="ODOO_API_KEY")] = "",
    cut_over: Annotated[
        str, typer.Option(prompt="Take over orders placed from (ISO date and time with zone)")
    ] = datetime.now().astimezone().isoformat(timespec="minutes"),
    check: Annotated[bool, typer.Option(help="try the credentials before writing")] = True,
    force: Annotated[bool, typer.Option(help="replace the file if it is there")] = False,
) -> None:
    """Ask for what is needed, try it, and write a blueprint; secrets go to files beside it, never into it."""
    answers = setup.Answers(
        file, shop_name, shop_url, consumer_key, consumer_secret, odoo_url, odoo_database, odoo_api_key, cut_over
    )
    try:
        findings = finished(setup.write(answers, check, force))
    except FileExistsError:
        fail(f"{file} is there already. Use another name, or --force to replace it.")
    _print_findings(findings)
    out.print(f"Wrote {file}. Next: counterfoil doctor -b {file}, then counterfoil run -b {file}", markup=False)
    if any(f.mark is Mark.FAILED for findings_ in findings.values() for f in findings_):
        raise typer.Exit(1)


@app.command()
def check(blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """Read the blueprint and say every problem and warning with its line; touches no system."""
    result = examine(blueprint, known=assembly.catalogue())
    if as_json:
        print_json({"problems": [str(p) for p in result.problems], "warnings": [str(w) for w in result.warnings]})
    else:
        for problem in result.problems:
            out.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
        for warning in result.warnings:
            out.print(f"warning: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        if not result.problems:
            out.print("The blueprint is sound.")
    if result.problems:
        raise typer.Exit(2)


@app.command("render")
def render_(blueprint: BlueprintPath = DEFAULT) -> None:
    """Print the blueprint as a page for people (Markdown)."""
    sys.stdout.write(render(loaded(blueprint, require_secrets=False)))


@app.command()
def doctor(blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """Look at every system: reachability, versions, rights, modules, webhooks, clocks, decimals."""
    plan = loaded(blueprint)

    async def look() -> dict[str, Any]:
        made = assembly.connectors(plan)
        try:
            return {name: await connector.doctor() for name, connector in made.items()}
        finally:
            for connector in made.values():
                await connector.close()

    findings = finished(look())
    if as_json:
        print_json(
            {
                n: [{"check": f.check, "mark": f.mark, "found": f.found, "remedy": f.remedy} for f in fs]
                for n, fs in findings.items()
            }
        )
    else:
        _print_findings(findings)
    if any(f.mark is Mark.FAILED for found in findings.values() for f in found):
        raise typer.Exit(1)


def _print_findings(findings: dict[str, Any]) -> None:
    styles = {Mark.OK: "green", Mark.WARNING: "yellow", Mark.FAILED: "red"}
    for system, found in findings.items():
        table = Table("", "check", "found", "remedy", title=system, title_justify="left")
        for f in found:
            table.add_row(f"[{styles[f.mark]}]{f.mark}[/]", f.check, f.found, f.remedy)
        out.print(table)


@app.command()
def run(blueprint: BlueprintPath = DEFAULT) -> None:
    """Serve: webhooks, polls and workers, until stopped (Ctrl-C, SIGTERM)."""
    finished(serve.run(loaded(blueprint)))


@app.command()
def webhooks(
    system: Annotated[str, typer.Argument(help="the shop's name in the blueprint")],
    blueprint: BlueprintPath = DEFAULT,
    renew: Annotated[bool, typer.Option(help="delete and make anew even those that look healthy")] = False,
) -> None:
    """Create or repair the shop's webhooks towards `public_url`."""
    plan = loaded(blueprint)
    if plan.public_url is None:
        fail("The blueprint has no public_url: write the address under which the shop reaches this hub.")
    finished(setup.ensure_webhooks(plan, system, renew, out))


@app.command()
def status(blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """How much waits, which systems are closed, how many exceptions are open."""

    async def look(store: Store, _: Blueprint) -> dict[str, Any]:
        closed = await systems.closed(store)
        return {
            **await lanes.depth(store),
            "exceptions_open": len(await exceptions.listing(store, limit=100_000)),
            "systems_closed": {
                n: {"outcome": c.outcome, "reason": c.reason, "message": c.message} for n, c in closed.items()
            },
        }

    found = with_store(blueprint, look)
    if as_json:
        print_json(found)
        return
    table = Table("what", "now")
    for name, value in found.items():
        table.add_row(
            name.replace("_", " "), json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
        )
    out.print(table)


@app.command()
def show(
    what: Annotated[str, typer.Argument(help="'order'")],
    key: Annotated[str, typer.Argument(help="order number, any system's id, e-mail, payment reference")],
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show the counterfoil: what happened to an order, across all systems."""
    if what != "order":
        fail(f"Nothing is kept about {what!r}; ask for: order.", 2)

    async def look(store: Store, _: Blueprint) -> list[dict[str, Any]]:
        return [await timeline.of(store, subject) for subject in await timeline.find(store, key)]

    found = with_store(blueprint, look)
    if as_json:
        print_json(found)
    elif len(found) > 5:
        out.print(f"{len(found)} orders match {key!r}:", markup=False)
        for one in found:
            out.print(f"  {one['subject']}  {one['entries'][-1]['text'] if one['entries'] else ''}", markup=False)
    else:
        for one in found:
            _print_timeline(one)
    if not found:
        fail(f"Nothing is known of {key!r}. Has its shop sent it? `counterfoil doctor` shows the last poll's health.")


def _print_timeline(one: dict[str, Any]) -> None:
    links = ", ".join(f"{system} {number}" for system, number in one["links"].items())
    out.print(f"\n[bold]{one['subject']}[/]  {links}")
    table = Table("time (UTC)", "what", "", "")
    for entry in one["entries"]:
        detail = entry.get("detail") or {}
        words = [entry.get("why", ""), entry.get("reason", ""), detail.get("message", "")]
        result = detail.get("result") or {}
        words += [" ".join(f"{k}={v}" for k, v in result.items() if not isinstance(v, dict | list))]
        words += [f"promise {entry['promise']}" if entry.get("promise") else "", entry.get("suggestion", "")]
        if entry["what"] == "exception":
            words.insert(0, f"exception {entry['exception']} ({entry['status']}), {entry['owner']}")
        text = "; ".join(w for w in words if w)
        table.add_row(entry["at"][:23].replace("T", " "), entry["what"], entry["text"], text)
    for waiting in one["waiting"]:
        table.add_row("", "waiting", f"{waiting['system']}.{waiting['operation']}", f"tried {waiting['attempt']} times")
    out.print(table)


@exceptions_app.command("list")
def exceptions_list(
    blueprint: BlueprintPath = DEFAULT,
    status: Annotated[str, typer.Option(help="open, retried, resolved, skipped or all")] = "open",
    as_json: AsJson = False,
) -> None:
    """List exceptions, oldest first."""
    rows = with_store(blueprint, lambda store, _: exceptions.listing(store, status))
    if as_json:
        print_json(rows)
        return
    if not rows:
        out.print("No exceptions.")
        return
    table = Table("no", "opened", "owner", "about", "reason", "what")
    for row in rows:
        table.add_row(
            str(row["id"]), moment(row["opened_at"]), row["owner"], row["subject"], row["reason"], row["message"]
        )
    out.print(table)


@exceptions_app.command("show")
def exceptions_show(number: int, blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """Show one exception with its suggested fix and its technical part."""
    row = with_store(blueprint, lambda store, _: exceptions.get(store, number))
    if as_json:
        print_json(row)
        return
    out.print(
        f"[bold]Exception {row['id']}[/] ({row['status']}), for {row['owner']}, opened {moment(row['opened_at'])}"
    )
    closed = f"{moment(row['closed_at'])} by {row['closed_by']} {row['note'] or ''}" if row["closed_at"] else ""
    for label, value in (
        ("about", row["subject"]),
        ("during", f"{row['system']}.{row['operation']}"),
        ("reason", row["reason"]),
        ("what", row["message"]),
        ("do", row["suggestion"]),
        ("closed", closed),
        ("technical", row["technical"]),
    ):
        if value:
            out.print(f"{label:>10}  {value}", markup=False, highlight=False)


def _act(blueprint: Path, numbers: list[int], status: str, note: str, done: str) -> None:
    who = getpass.getuser()

    async def act(store: Store, _: Blueprint) -> None:
        for number in numbers:
            row = await exceptions.act(store, number, status, who, note)
            out.print(f"{number}: {done} ({row['subject']})", markup=False)

    with_store(blueprint, act)


Numbers = Annotated[list[int], typer.Argument(help="the exceptions' numbers")]
Note = Annotated[str, typer.Option(help="why; kept in the audit log")]


@exceptions_app.command()
def retry(
    numbers: Annotated[list[int] | None, typer.Argument(help="the exceptions' numbers")] = None,
    blueprint: BlueprintPath = DEFAULT,
    reason: Annotated[str, typer.Option(help="instead of numbers: all open ones with this reason")] = "",
    note: Note = "",
) -> None:
    """Try again, now that the cause is put right."""
    wanted = list(numbers or [])
    if reason:
        rows = with_store(blueprint, lambda store, _: exceptions.listing(store, limit=100_000))
        wanted += [row["id"] for row in rows if row["reason"] == reason]
    if not wanted:
        fail("Nothing to retry: give numbers, or --reason.")
    _act(blueprint, wanted, "retried", note, "will be tried again")


@exceptions_app.command()
def resolve(numbers: Numbers, blueprint: BlueprintPath = DEFAULT, note: Note = "") -> None:
    """It was put right by hand in the systems; go on with what follows."""
    _act(blueprint, numbers, "resolved", note, "resolved")


@exceptions_app.command()
def skip(numbers: Numbers, blueprint: BlueprintPath = DEFAULT, note: Note = "") -> None:
    """It is not wanted; go on with what follows."""
    _act(blueprint, numbers, "skipped", note, "skipped")


if __name__ == "__main__":
    app()
