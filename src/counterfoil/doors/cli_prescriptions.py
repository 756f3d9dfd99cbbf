"""`counterfoil prescriptions`: looked at, released or rejected by who may, and sealed anew with another key."""

from __future__ import annotations

import getpass
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.prescriptions import with_keys
from counterfoil.blueprint.secrets import Lookup, NotGiven
from counterfoil.doors import assembly
from counterfoil.doors.cli_base import DEFAULT, AsJson, BlueprintPath, fail, moment, out, print_json, with_store
from counterfoil.hub.store import Store
from counterfoil.hub.storefront import prescriptions
from counterfoil.hub.storefront.prescriptions import Record
from counterfoil.hub.storefront.vault import BadKey, NotOpened, new_key
from counterfoil.processes.prescribing import (
    WHY_REJECTED,
    MayNot,
    NoKey,
    NoSuchPrescription,
    NotToDecide,
    Unfit,
)

prescriptions_app = typer.Typer(
    help="What is sold on a prescription: list, show, release, reject, and the key.", no_args_is_help=True
)

Id = Annotated[str, typer.Argument(help="the prescription's id")]
Role = Annotated[str, typer.Option(help="the role, of those the blueprint names, in which you act")]
Why = Annotated[str, typer.Option(help="why; kept in the audit, so without anything the prescription says")]
Who = Annotated[str, typer.Option(help="who you are; by default the user of this shell")]


@prescriptions_app.command("list")
def prescriptions_list(
    blueprint: BlueprintPath = DEFAULT,
    state: Annotated[str, typer.Option(help="to_release, released, rejected, replaced or all")] = "to_release",
    as_json: AsJson = False,
) -> None:
    """List prescriptions, oldest first; nothing of what they say."""
    wanted = "" if state == "all" else state
    rows = with_store(blueprint, lambda store, _: prescriptions.listing(store, wanted))
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    if not rows:
        out.print("No prescriptions.")
        return
    table = Table(Column("id", no_wrap=True), "order", "lines", "state", "attached", "decided", "by")
    for row in rows:
        lines, decided = ", ".join(row.lines), moment(row.decided_at)
        table.add_row(row.id, row.number, lines, row.state, moment(row.made_at), decided, row.decided_by or "")
    out.print(table)


def _with_desk(blueprint: Path, act: Any) -> Any:
    async def run(store: Store, whole: Blueprint) -> Any:
        try:
            rules = with_keys(whole.prescriptions, Lookup(os.environ, blueprint.parent))
            return await act(assembly.prescribing(store, whole.model_copy(update={"prescriptions": rules})))
        except NotGiven as missing:
            fail(f"prescriptions.key or old_keys: expected {missing.expected} ({missing.hint})")
        except Unfit as unfit:
            wrong = "\n".join(f"  {each.at}: expected {each.expected}" for each in unfit.wrong)
            fail(f"It does not fit what the blueprint declares today; nothing was changed.\n{wrong}")
        except (NoSuchPrescription, MayNot, NotToDecide, NoKey, BadKey, NotOpened) as error:
            fail(str(error.args[0]) if error.args else str(error))

    return with_store(blueprint, run)


@prescriptions_app.command("show")
def prescriptions_show(
    id_: Id,
    role: Role,
    why: Why,
    blueprint: BlueprintPath = DEFAULT,
    who: Who = "",
    file: Annotated[Path | None, typer.Option(help="write its document to this new file")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a prescription says; that you saw it, and why, is in the audit."""
    record, said = _with_desk(blueprint, lambda desk: desk.show(id_, role, who or getpass.getuser(), why))
    if file is not None:
        if not said.content:
            fail("It has no document.")
        with file.open("xb") as target:
            file.chmod(0o600)
            target.write(said.content)
    document = {"media": said.media, "bytes": len(said.content)} if said.content else None
    if as_json:
        print_json({**asdict(record), "fields": dict(said.values), "document": document})
        return
    for label, value in {"order": record.number, "lines": ", ".join(record.lines), "state": record.state}.items():
        out.print(f"{label:>20}  {value}", highlight=False)
    for label, value in said.values.items():
        out.print(f"{label:>20}  {value}", highlight=False)
    if document:
        out.print(f"{'document':>20}  {said.media}, {len(said.content)} bytes{f', in {file}' if file else ''}")


@prescriptions_app.command("release")
def prescriptions_release(
    id_: Id, role: Role, why: Why, blueprint: BlueprintPath = DEFAULT, who: Who = "", as_json: AsJson = False
) -> None:
    """It is right: what it is for may be sold, and its order goes on."""
    _decided(blueprint, as_json, id_, role, who, why, "")


@prescriptions_app.command("reject")
def prescriptions_reject(
    id_: Id,
    role: Role,
    why: Why,
    reason: Annotated[str, typer.Option(help=f"what the customer is told: {', '.join(WHY_REJECTED)}")],
    blueprint: BlueprintPath = DEFAULT,
    who: Who = "",
    as_json: AsJson = False,
) -> None:
    """It is not right: its order goes on waiting for another one."""
    if reason not in WHY_REJECTED:
        fail(f"{reason!r} is no reason; use one of {', '.join(WHY_REJECTED)}.", 2)
    _decided(blueprint, as_json, id_, role, who, why, reason)


def _decided(blueprint: Path, as_json: bool, id_: str, role: str, who: str, why: str, reason: str) -> None:
    record: Record = _with_desk(blueprint, lambda desk: desk.decide(id_, role, who or getpass.getuser(), why, reason))
    if as_json:
        print_json(asdict(record))
    else:
        out.print(f"{record.id}: {record.state} (order {record.number})")


@prescriptions_app.command("new-key")
def prescriptions_new_key() -> None:
    """Print a new key, for the secret that prescriptions.key refers to. Keep a copy: without it nothing opens."""
    typer.echo(new_key())


@prescriptions_app.command("rekey")
def prescriptions_rekey(
    blueprint: BlueprintPath = DEFAULT,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only count")] = False,
    as_json: AsJson = False,
) -> None:
    """Seal with prescriptions.key what is sealed with one of old_keys; the old one can go then."""
    done, seen = _with_desk(blueprint, lambda desk: desk.rekey(getpass.getuser(), dry_run))
    if as_json:
        print_json({"sealed_anew": 0 if dry_run else done, "with_an_old_key": done, "all": seen})
        return
    out.print(f"{done} of {seen} {'are sealed with an old key' if dry_run else 'were sealed anew'}.")
