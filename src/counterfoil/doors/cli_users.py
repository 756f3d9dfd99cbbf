"""`counterfoil users`: who may sign in to the console and the admin API, what they are, and their tokens."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from counterfoil.blueprint import Blueprint
from counterfoil.blueprint.values import parse_duration
from counterfoil.doors.cli_base import (
    DEFAULT,
    AsJson,
    BlueprintPath,
    confirmed,
    fail,
    moment,
    out,
    print_json,
    with_store,
)
from counterfoil.hub.access import passwords, tokens, users
from counterfoil.hub.access.roles import RIGHTS, Right, Role
from counterfoil.hub.store import Store

T = TypeVar("T")

users_app = typer.Typer(help="Who may sign in, and what they may do.", no_args_is_help=True)
tokens_app = typer.Typer(help="Personal tokens, for programs that act in somebody's name.", no_args_is_help=True)
users_app.add_typer(tokens_app, name="tokens")

Login = Annotated[str, typer.Argument(metavar="LOGIN", help="the name they sign in with")]
Roles = Annotated[list[Role], typer.Option("--role", help="what they are; as often as needed")]


@users_app.command()
def add(
    login: Login,
    role: Roles,
    name: Annotated[str, typer.Option(help="their name, for people")] = "",
    email: Annotated[str, typer.Option(help="their address")] = "",
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Let somebody sign in. Their password is asked for, or read from standard input."""
    password = _password()
    id_ = _done(blueprint, lambda store: users.add(store, login, name, email, password, role, getpass.getuser()))
    if as_json:
        print_json({"id": id_, "login": login.strip().casefold(), "roles": sorted(set(role))})
    else:
        out.print(f"{login} can sign in as {', '.join(sorted(set(role)))}.")


@users_app.command("list")
def list_(blueprint: BlueprintPath = DEFAULT, as_json: AsJson = False) -> None:
    """Everybody who can sign in, or could."""
    rows = _done(blueprint, users.all_of)
    if as_json:
        print_json(rows)
        return
    table = Table("login", "name", "e-mail", "roles", "password", "last seen", "disabled")
    for row in rows:
        how = "here" if row["local"] else "elsewhere"
        seen, disabled = moment(row["seen_at"]), moment(row["disabled_at"])
        table.add_row(row["login"], row["name"], row["email"], ", ".join(row["roles"]), how, seen, disabled)
    out.print(table)


@users_app.command()
def roles(login: Login, role: Roles, blueprint: BlueprintPath = DEFAULT) -> None:
    """Say what somebody is from now on; they are signed out everywhere."""
    _done(blueprint, lambda store: users.set_roles(store, login, role, getpass.getuser()))
    out.print(f"{login} is {', '.join(sorted(set(role)))}.")


@users_app.command()
def password(login: Login, blueprint: BlueprintPath = DEFAULT) -> None:
    """Give somebody a new password; they are signed out everywhere, and their tokens end."""
    new = _password()
    _done(blueprint, lambda store: users.set_password(store, login, new, getpass.getuser()))
    out.print(f"{login} has a new password.")


@users_app.command()
def disable(login: Login, blueprint: BlueprintPath = DEFAULT) -> None:
    """They cannot sign in any more, are signed out everywhere, and their tokens do not work."""
    _done(blueprint, lambda store: users.disable(store, login, getpass.getuser()))
    out.print(f"{login} is disabled.")


@users_app.command()
def enable(login: Login, blueprint: BlueprintPath = DEFAULT) -> None:
    """They can sign in again."""
    _done(blueprint, lambda store: users.enable(store, login, getpass.getuser()))
    out.print(f"{login} can sign in again.")


@tokens_app.command("add")
def add_token(
    login: Login,
    name: Annotated[str, typer.Argument(help="what will use it, such as 'nightly report'")],
    right: Annotated[list[Right], typer.Option(help="what it may; as often as needed")],
    lasts: Annotated[str, typer.Option(help="such as 30d; 366d at most")] = "90d",
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Make a token. It is shown this once, and never may more than its person may at the time."""
    try:
        seconds = parse_duration(lasts).total_seconds()
    except ValueError as error:
        fail(f"--lasts: {error}.", 2)
    made = _done(blueprint, lambda store: tokens.add(store, login, name, right, seconds, getpass.getuser()))
    id_, token = made
    if as_json:
        print_json({"id": id_, "token": token, "login": login, "rights": sorted(set(right)), "lasts": seconds})
        return
    out.print(token, soft_wrap=True)
    out.print(f"This is token {id_} of {login}. Keep it now: it is not shown again.", soft_wrap=True)


@tokens_app.command("list")
def list_tokens(
    login: Annotated[str, typer.Argument(metavar="[LOGIN]", help="only theirs")] = "",
    blueprint: BlueprintPath = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """The personal tokens there are or were."""
    rows = _done(blueprint, lambda store: tokens.all_of(store, login))
    if as_json:
        print_json(rows)
        return
    table = Table("id", "of", "name", "may", "made", "ends", "revoked")
    for row in rows:
        may, ends = ", ".join(row["rights"]), moment(row["ends_at"])
        table.add_row(
            row["id"], row["login"], row["name"], may, moment(row["made_at"]), ends, moment(row["revoked_at"])
        )
    out.print(table)


@tokens_app.command("revoke")
def revoke_token(
    id_: Annotated[str, typer.Argument(metavar="ID", help="as `users tokens list` has it")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="without asking")] = False,
    blueprint: BlueprintPath = DEFAULT,
) -> None:
    """End a token at once; this cannot be undone."""
    if not confirmed(f"Whatever uses token {id_} is refused from now on. Revoke it?", yes):
        fail("Nothing was changed. Say --yes to revoke it without being asked.")
    if not _done(blueprint, lambda store: tokens.revoke(store, id_, getpass.getuser())):
        fail(f"There is no token {id_} that still works; `counterfoil users tokens list` names them.")
    out.print(f"Token {id_} is revoked.")


@users_app.command("rights")
def rights(as_json: AsJson = False) -> None:
    """What each role may."""
    if as_json:
        print_json({role: sorted(RIGHTS[role]) for role in Role})
        return
    table = Table("right", *Role)
    for right in Right:
        table.add_row(right, *("yes" if right in RIGHTS[role] else "" for role in Role))
    out.print(table)


def _password() -> str:
    """Asked for twice; or a line of standard input, where that is no terminal. Arguments can be read by others."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    said: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return said


def _done(blueprint: Path, act: Callable[[Store], Awaitable[T]]) -> T:
    """Run it; what is wrong with what was asked ends in one line."""

    async def run(store: Store, _plan: Blueprint) -> T:
        return await act(store)

    try:
        return with_store(blueprint, run)
    except (users.NoSuchUser, users.CannotAdd, passwords.Unsuitable, ValueError) as error:
        fail(str(error))
