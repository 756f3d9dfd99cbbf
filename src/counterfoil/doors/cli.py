"""The command line: init, check, doctor, run, show, status, and the commands of its other modules.

`--json` wherever it prints.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from counterfoil import __version__
from counterfoil.blueprint import Blueprint, examine
from counterfoil.doors import (
    assembly,
    cli_alerts,
    cli_blueprint,
    cli_drift,
    cli_find,
    cli_flows,
    cli_identity,
    cli_keeping,
    cli_money,
    cli_onboarding,
    cli_promises,
    cli_quality,
    cli_replay,
    cli_report,
    cli_stock,
    fingerprints,
    logs,
    profiles,
    serve,
    setup,
)
from counterfoil.doors.cli_audit import audit_app
from counterfoil.doors.cli_base import (
    DEFAULT,
    AsJson,
    BlueprintPath,
    connectors_of,
    fail,
    finished,
    loaded,
    out,
    print_json,
    with_store,
)
from counterfoil.doors.cli_exceptions import exceptions_app
from counterfoil.doors.cli_prescriptions import prescriptions_app
from counterfoil.doors.cli_prices import prices_app
from counterfoil.doors.cli_tokens import tokens_app
from counterfoil.doors.cli_trials import trials_app
from counterfoil.doors.cli_users import users_app
from counterfoil.doors.words import in_words
from counterfoil.hub import condition, exceptions, lanes, pausing, timeline, versions
from counterfoil.hub.contract import Mark
from counterfoil.hub.store import Store
from counterfoil.hub.views import search
from counterfoil.retail.editable import leaf
from counterfoil.watch import drifting

app = typer.Typer(
    help="Counterfoil: each business event crosses exactly once, and leaves its counterfoil.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    cls=profiles.Profiled,
)
app.add_typer(cli_blueprint.blueprint_app, name="blueprint")
app.add_typer(exceptions_app, name="exceptions")
app.add_typer(prices_app, name="prices")
app.add_typer(prescriptions_app, name="prescriptions")
app.add_typer(tokens_app, name="tokens")
app.add_typer(trials_app, name="trials")
app.add_typer(users_app, name="users")
app.add_typer(audit_app, name="audit")
cli_onboarding.add_to(app)
cli_replay.add_to(app)
cli_find.add_to(app)
cli_flows.add_to(app)
cli_report.add_to(app)
cli_money.add_to(app)
cli_alerts.add_to(app)
cli_keeping.add_to(app)
cli_identity.add_to(app)
cli_drift.add_to(app)
cli_promises.add_to(app)
cli_quality.add_to(app)
cli_stock.add_to(app)


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
    logs.configure(verbose)


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="the blueprint to write")] = DEFAULT,
    shop_url: Annotated[str, typer.Option(prompt="Address of the WooCommerce shop", help="https://shop.example")] = "",
    shop_name: Annotated[str, typer.Option(prompt="Name of the shop here", help="such as web-eu")] = "web",
    consumer_key: Annotated[str, typer.Option(prompt="Consumer key", envvar="WEB_KEY")] = "",
    consumer_secret: Annotated[str, typer.Option(prompt="Consumer secret", hide_input=True, envvar="WEB_SECRET")] = "",
    odoo_url: Annotated[str, typer.Option(prompt="Address of the Odoo", help="https://odoo.example")] = "",
    odoo_database: Annotated[str, typer.Option(prompt="Odoo database (empty: the only one)")] = "",
    odoo_login: Annotated[str, typer.Option(prompt="Odoo login (only for Odoo 14 to 18)")] = "",
    odoo_api_key: Annotated[str, typer.Option(prompt="Odoo API key", hide_input=True, envvar="ODOO_API_KEY")] = "",
    cut_over: Annotated[
        str, typer.Option(prompt="Take over orders placed from (ISO date and time with zone)")
    ] = datetime.now().astimezone().isoformat(timespec="minutes"),
    invoices: Annotated[
        str, typer.Option(prompt=f"When Odoo invoices an order ({', '.join(setup.INVOICES)})", help="on_order …")
    ] = "on_order",
    check: Annotated[bool, typer.Option(help="try the credentials before writing")] = True,
    force: Annotated[bool, typer.Option(help="replace the file if it is there")] = False,
) -> None:
    """Ask for what is needed, try it, and write a blueprint; secrets go to files beside it, never into it."""
    if invoices not in setup.INVOICES:
        fail(f"When shall Odoo invoice? {invoices!r} is none of: {', '.join(setup.INVOICES)}.", 2)
    answers = setup.Answers(
        *(file, shop_name, shop_url, consumer_key, consumer_secret),
        *(odoo_url, odoo_database, odoo_api_key, cut_over, invoices, odoo_login),
    )
    try:
        findings = finished(setup.write(answers, check, force))
    except FileExistsError:
        fail(f"{file} is there already. Use another name, or --force to replace it.")
    _print_findings(findings)
    out.print(f"Wrote {file}. Next: counterfoil doctor -b {file}, then counterfoil run -b {file}")
    if any(f.mark is Mark.FAILED for findings_ in findings.values() for f in findings_):
        raise typer.Exit(1)


@app.command()
def check(blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """Read the blueprint and say every problem and warning with its line; touches no system."""
    result = examine(blueprint, known=assembly.catalogue(), profile=profiles.chosen.get())
    if as_json:
        print_json({"problems": [str(p) for p in result.problems], "warnings": [str(w) for w in result.warnings]})
    else:
        cli_blueprint.say(result.problems, result.warnings)
    if result.problems:
        raise typer.Exit(2)


@app.command()
def doctor(blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """Look at every system: reachability, versions, rights, modules, webhooks, clocks, decimals, what changed."""
    plan = loaded(blueprint)

    async def look() -> dict[str, Any]:
        made = connectors_of(plan)
        try:
            return {
                name: [*await connector.doctor(), *await fingerprints.look(blueprint, name, connector)]
                for name, connector in made.items()
            }
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
            table.add_row(Text(f.mark, style=styles[f.mark]), f.check, f.found, f.remedy)
        out.print(table)


@app.command()
def run(
    blueprint: BlueprintPath = DEFAULT,
    role: Annotated[
        list[str] | None,
        typer.Option(help=f"what this process does: all, or some of {', '.join(serve.ROLES)}; several with commas"),
    ] = None,
) -> None:
    """Serve until stopped (Ctrl-C, SIGTERM): webhooks, workers, and what happens by the clock.

    On PostgreSQL any number of processes of each role may run side by side; on SQLite only one process serves.
    """
    asked = {name.strip() for names in role or ["all"] for name in names.split(",")}
    if unknown := sorted(asked - {"all", *serve.ROLES}):
        fail(f"There is no role {unknown[0]!r}; there are: all, {', '.join(serve.ROLES)}.", 2)
    finished(serve.run(loaded(blueprint), serve.ROLES if "all" in asked else asked))


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
    """How much waits, which systems are closed and how limited, their versions, pressure, open exceptions."""

    async def look(store: Store, plan: Blueprint) -> dict[str, Any]:
        return {
            **await lanes.depth(store),
            "exceptions_open": len(await exceptions.listing(store, limit=100_000)),
            **await condition.of(store, plan, assembly.streams(plan)),
            "paused": {str(p.place): p.why or p.who for p in await pausing.listing(store)},
            "not_spread": await condition.not_spread(store),
            "versions": await versions.in_short(store, plan.systems),
            "drift": drifting.in_short(await drifting.last(store)),
        }

    found = with_store(blueprint, look)
    if as_json:
        print_json(found)
        return
    table = Table("what", "now")
    found["versions"] = "\n".join(f"{system}: {line}" for system, line in found["versions"].items())
    for name, value in found.items():
        table.add_row(
            name.replace("_", " "), json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
        )
    out.print(table)


THINGS = ("order", "product", "stock", "customer")
"""What a counterfoil can be asked for."""


@app.command()
def show(
    what: Annotated[str, typer.Argument(help="order, product, stock or customer")],
    key: Annotated[str, typer.Argument(help="order number, SKU, any system's id, e-mail, payment reference …")],
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show the counterfoil: what happened to an order, a product or a customer, across all systems."""
    if what not in THINGS:
        fail(f"Nothing is kept about {what!r}; ask for: {', '.join(THINGS)}.", 2)
    kind = "variant" if what == "stock" else what

    async def look(store: Store, plan: Blueprint) -> list[dict[str, Any]]:
        return [await timeline.of(store, subject) for subject in await search.exact(store, key, plan.systems, kind)]

    found = with_store(blueprint, look)
    if as_json:
        print_json(found)
    elif len(found) > 5:
        out.print(f"{len(found)} match {key!r}:")
        for one in found:
            out.print(f"  {one['subject']}  {one['entries'][-1]['text'] if one['entries'] else ''}")
    else:
        for one in found:
            _print_timeline(one)
    if not found:
        fail(f"Nothing is known of {key!r}. Has its system sent it? `counterfoil doctor` shows the last poll's health.")


def _print_timeline(one: dict[str, Any]) -> None:
    links = ", ".join(f"{system} {number}" for system, number in one["links"].items())
    out.print(Text.assemble("\n", (one["subject"], "bold"), f"  {links}"))
    table = Table("time (UTC)", "what", "", "")
    for entry in one["entries"]:
        detail = entry.get("detail") or {}
        words = [
            in_words(entry.get("about") or {}),
            entry.get("why", ""),
            entry.get("reason", ""),
            detail.get("message", ""),
        ]
        result = detail.get("result") or {}
        words += [" ".join(f"{k}={v}" for k, v in result.items() if not isinstance(v, dict | list))]
        words += [f"promise {entry['promise']}" if entry.get("promise") else "", entry.get("suggestion", "")]
        words += [f"due {entry['due']}" if entry.get("due") else ""]
        if "becomes" in entry:
            words.insert(0, f"{leaf(entry['was'])!r} becomes {leaf(entry['becomes'])!r}, by {entry['by']}")
        if entry["what"] == "exception":
            words.insert(0, f"exception {entry['exception']} ({entry['status']}), {entry['owner']}")
        text = "; ".join(w for w in words if w)
        table.add_row(entry["at"][:23].replace("T", " "), entry["what"], entry["text"], text)
    for waiting in one["waiting"]:
        tried = f"tried {waiting['attempt']} times"
        tried += f"; not before {waiting['not_before']}" if waiting.get("not_before") else ""
        table.add_row("", "waiting", f"{waiting['system']}.{waiting['operation']}", tried)
    for promised in one["promised"]:
        table.add_row("", "missed" if promised["missed"] else "promised", promised["name"], f"due {promised['due']}")
    out.print(table)


if __name__ == "__main__":
    app()
