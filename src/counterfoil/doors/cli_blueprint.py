"""`counterfoil blueprint`: its page, its problems, what differs, and who agreed to a change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from counterfoil.blueprint import Blueprint, Problem, as_data, examine, profiles, render_page
from counterfoil.blueprint.difference import Change, differences, operating_model
from counterfoil.blueprint.explaining import Measured, Taken
from counterfoil.doors import assembly
from counterfoil.doors.cli_base import DEFAULT, AsJson, BlueprintPath, fail, loaded, moment, out, print_json, with_store
from counterfoil.doors.profiles import chosen
from counterfoil.hub import inforce
from counterfoil.hub.measuring import measured
from counterfoil.hub.store import Store
from counterfoil.watch import promises

blueprint_app = typer.Typer(
    help="The operating model: its page, its problems, what differs, and who agreed to a change.", no_args_is_help=True
)
IN_FORCE = "in-force"
Who = Annotated[str, typer.Option(help="your name", show_default=False)]


@blueprint_app.command("render")
def render_(
    blueprint: BlueprintPath = DEFAULT,
    html: Annotated[bool, typer.Option("--html", help="one HTML file that needs nothing else")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Markdown, the diagram as Mermaid")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="where to; .html or .md says the form")] = None,
    with_measured: Annotated[bool, typer.Option("--measured", help="with what the store says was kept")] = False,
    days: Annotated[int, typer.Option(min=1, max=3650, help="of the last so many days")] = 30,
) -> None:
    """The blueprint as a page for product, operations and finance people."""
    if html and markdown:
        fail("Say --html or --markdown, not both.", 2)
    if output is not None and output.suffix.lower() in (".yaml", ".yml"):
        fail(f"{output} looks like a blueprint itself; name an .html or .md file.", 2)
    as_html = html or (not markdown and output is not None and output.suffix.lower() in (".html", ".htm"))
    plan = loaded(blueprint, require_secrets=False)
    found = with_store(blueprint, lambda store, plan: _measured(store, plan, days)) if with_measured else None
    title = f"Blueprint {blueprint.stem}" + (f", {chosen.get()}" if chosen.get() else "")
    text = render_page(plan, title, "html" if as_html else "markdown", assembly.catalogue(), found)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}.")
    out.print(f"Wrote {output}.")


async def _measured(store: Store, plan: Blueprint, days: int) -> Measured:
    found = await promises.measured(store, list(plan.promises), days * 86400.0)
    kept = {
        name: Taken(
            one.kept + one.late, one.p50, one.p95, one.p99, one.kept + one.late + one.missed, one.late + one.missed
        )
        for name, one in found.items()
    }
    return replace(await measured(store, days), promises=kept)


@blueprint_app.command("check")
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="blueprints; by default the one of -b")] = None,
    blueprint: BlueprintPath = DEFAULT,
    strict: Annotated[bool, typer.Option("--strict", help="fail for warnings too")] = False,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="as annotations of a pull request, for GitHub's and Gitea's runners")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Every problem and warning of blueprints, with all their profiles, for CI; touches no system and no store.

    Exit 0 if all are sound, 1 for warnings with --strict, 2 for problems.
    """
    found = [_examined(file, profile) for file in files or [blueprint] for profile in _profiles(file)]
    problems = list(dict.fromkeys(problem for one in found for problem in one["problems"]))
    warnings = list(dict.fromkeys(warning for one in found for warning in one["warnings"]))
    if as_json:
        said = {"problems": [asdict(p) for p in problems], "warnings": [asdict(w) for w in warnings]}
        print_json({"checked": [{"file": f["file"], "profile": f["profile"]} for f in found], **said})
    elif annotate:
        for kind, several in (("error", problems), ("warning", warnings)):
            for one in several:
                typer.echo(_annotation(kind, one))
    else:
        say(problems, warnings)
    raise typer.Exit(2 if problems else 1 if warnings and strict else 0)


def say(problems: Sequence[Problem], warnings: Sequence[Problem]) -> None:
    """A line for each, or that all is well."""
    for problem in problems:
        out.print(str(problem), style="red", highlight=False, soft_wrap=True)
    for warning in warnings:
        out.print(f"warning: {warning}", style="yellow", highlight=False, soft_wrap=True)
    if not problems:
        out.print("The blueprint is sound.")


def _profiles(file: Path) -> list[str]:
    """The one that was chosen, else none and all that the file and those beside it declare."""
    return [chosen.get()] if chosen.get() else ["", *profiles.declared(file)]


def _examined(file: Path, profile: str) -> dict[str, Any]:
    result = examine(file, known=assembly.catalogue(), profile=profile)
    return {"file": str(file), "profile": profile, "problems": result.problems, "warnings": result.warnings}


def _annotation(kind: str, problem: Problem) -> str:
    words = str(problem).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    file = problem.file.replace("%", "%25").replace(",", "%2C").replace(":", "%3A")
    return f"::{kind} file={file},line={problem.line or 1},col={problem.column or 1}::{words}"


@blueprint_app.command("diff")
def diff(
    a: Annotated[str, typer.Argument(help=f"a file, FILE@PROFILE, {IN_FORCE}, or change:N of the history")],
    b: Annotated[str, typer.Argument(help="the same")],
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """What differs from A to B, by meaning: systems, flows, owners … added, removed, changed.

    What is in force is read from the store of the blueprint of -b. Exit 0 if nothing differs, 1 if something does, 2 on
    an error.
    """
    (old, old_kept), (new, new_kept) = (_side(each, blueprint) for each in (a, b))
    if old_kept or new_kept:  # then where it ran is no difference
        old, new = operating_model(old), operating_model(new)
    changes = differences(old, new)
    if as_json:
        print_json([_change(change) for change in changes])
    else:
        _print_changes(changes)
    raise typer.Exit(1 if changes else 0)


def _side(named: str, blueprint: Path) -> tuple[dict[str, Any], bool]:
    """Its data, and whether it was kept by the store."""
    number = named.removeprefix("change:")
    if named == IN_FORCE or (named != number and number.isdigit()):
        wanted = None if named == IN_FORCE else int(number)
        text = with_store(blueprint, lambda store, _: inforce.text_of(store, wanted), failing=2)
        return inforce.read_back(text, assembly.catalogue()), True
    file, at, profile = named.rpartition("@")
    if not at or Path(named).exists():
        file, profile = named, chosen.get()
    return as_data(loaded(Path(file), require_secrets=False, profile=profile)), False


def _change(change: Change) -> dict[str, Any]:
    return {"section": change.section, "what": change.what, "how": change.how, "old": change.old, "new": change.new}


def _print_changes(changes: Iterable[Change], otherwise: str = "Nothing differs.") -> None:
    styles = {"added": "green", "removed": "red", "changed": "yellow"}
    lines = [(change, styles[change.how]) for change in changes]
    for change, style in lines:
        out.print(str(change), style=style, highlight=False, soft_wrap=True)
    if not lines:
        out.print(otherwise)


@blueprint_app.command("propose")
def propose(
    who: Who,
    why: Annotated[str, typer.Option(help="the reason; kept with it", show_default=False)],
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Keep the blueprint as a proposal, for a second person to approve; nothing that runs changes."""
    if not who.strip() or not why.strip():
        fail("Say who proposes it and why: --who NAME --why REASON.", 2)
    known = assembly.catalogue()

    async def act(store: Store, plan: Blueprint) -> inforce.Proposal:
        return await inforce.propose(store, plan, known, who.strip(), why.strip())

    done = with_store(blueprint, act)
    if as_json:
        print_json({"change": done.number, "needs": done.needing, "changes": [_change(c) for c in done.changes]})
        return
    _print_changes(done.changes, "This is the blueprint in force: there is nothing to propose.")
    if done.number:
        needs = f"A second person approves it: counterfoil blueprint approve {done.number} -b {blueprint} --who NAME"
        out.print(f"Change {done.number} is proposed.")
        out.print(needs if done.needing else "It needs nobody's approval: start the hub with it.", soft_wrap=True)


@blueprint_app.command("approve")
def approve(number: int, who: Who, blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """Agree to a proposed change as a second person; the hub takes it when it starts with that blueprint."""
    known = assembly.catalogue()

    async def act(store: Store, _: Blueprint) -> tuple[Change, ...]:
        await inforce.approve(store, number, who.strip(), known)
        return await inforce.against_in_force(store, number, known)

    changes = with_store(blueprint, act)
    if as_json:
        print_json({"change": number, "approved_by": who.strip(), "changes": [_change(c) for c in changes]})
        return
    _print_changes(changes)
    out.print(f"Change {number} is approved. Start the hub with that blueprint to put it in force.")


def _replace(file: Path, text: str) -> None:
    """All of it or nothing: the file may be the blueprint that the store was found by."""
    beside = file.with_name(f"{file.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}.")
    out.print(f"Wrote {file}.")


@blueprint_app.command("history")
def history(
    number: Annotated[int | None, typer.Argument(help="print the blueprint of this change, as YAML")] = None,
    blueprint: BlueprintPath = DEFAULT,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="with a number: the file to write, be it the blueprint's own")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Which blueprints were proposed, approved and in force: who, when, why; newest first."""
    if output is not None and number is None:
        fail(f"Say which change to write to {output}: counterfoil blueprint history NUMBER -o {output}", 2)
    if number is not None:
        text = with_store(blueprint, lambda store, _: inforce.text_of(store, number))
        if output is None:
            typer.echo(text, nl=False)
        else:
            _replace(output, text)
        return
    rows = with_store(blueprint, lambda store, _: inforce.history(store))
    if as_json:
        print_json(rows)
        return
    table = Table("no", "changed", "proposed", "why", "approved", "in force from")
    for row in rows:
        proposed, approved = (
            " ".join(filter(None, (moment(row[f"{step}_at"]), row[f"{step}_by"]))) for step in ("proposed", "approved")
        )
        cells = (", ".join(row["sections"]), proposed, row["why"], approved, moment(row["in_force_at"]))
        table.add_row(str(row["id"]), *cells)
    out.print(table if rows else "No blueprint was in force yet: it is kept when the hub starts with it.")
