"""The section `console`: what is taken, and what is said of what is not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from counterfoil.blueprint import Blueprint, BlueprintError, Catalogue, ConnectorInfo, dump, parse, render
from counterfoil.blueprint.console import ROLES, Console
from counterfoil.hub.access.roles import Role
from counterfoil.retail.events import EVENT_TYPES

KNOWN = Catalogue.of([ConnectorInfo("fake", needs_url=False)], frozenset(EVENT_TYPES))
GOOD = """\
counterfoil: 1
public_url: https://hub.example
systems: {web: {connector: fake}}
console:
  session: {idle: 20m, at_most: 10h}
  sign_in:
    oidc:
      issuer: https://login.example/realms/shop
      client_id: counterfoil
      client_secret: ${OIDC_SECRET}
      roles: {shop-managers: [operator, approver], accounts: finance}
"""


def parsed(text: str) -> Blueprint:
    return parse(text, known=KNOWN, environ={"OIDC_SECRET": "not to be seen"})


def test_it_is_read_written_and_put_into_words_without_its_secret() -> None:
    plan = parsed(GOOD)
    oidc = plan.console.sign_in.oidc
    assert oidc is not None
    assert oidc.client_secret is not None
    assert oidc.client_secret.reveal() == "not to be seen"
    assert dict(oidc.roles) == {"shop-managers": ("operator", "approver"), "accounts": ("finance",)}
    assert plan.console.session.idle == timedelta(minutes=20)
    assert parsed(dump(plan)) == plan
    page = render(plan, KNOWN)
    assert "https://login.example/realms/shop" in page
    assert "not to be seen" not in page + dump(plan)


def test_nothing_declared_is_the_usual() -> None:
    assert parsed("counterfoil: 1\nsystems: {web: {connector: fake}}\n").console == Console()


def test_its_roles_are_those_there_are() -> None:
    assert set(ROLES) == {role.value for role in Role}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("public_url: https://hub.example\n", ""), "public_url beside it"),
        (("https://login", "http://login"), "an address with https://"),
        (("accounts: finance", "accounts: boss"), "console.sign_in.oidc.roles"),
        (("idle: 20m", "idle: 11h"), "at most 10h"),
        (("issuer: https://login.example/realms/shop", "issuer: https://login.example/?x=1"), "leave off what follows"),
        (("      client_id: counterfoil\n", ""), "client_id"),
        (("roles: {", "scopes: [profile]\n      roles: {"), "openid among them"),
        (("${OIDC_SECRET}", "${NOT_THERE}"), "NOT_THERE"),
        (("${OIDC_SECRET}", "written-out"), "client_secret"),
        (("  sign_in:\n", "  sign_on: {}\n  sign_in:\n"), "the unknown key"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(change: tuple[str, str], said: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        parsed(GOOD.replace(*change))
    assert said in str(caught.value)
    assert "not to be seen" not in str(caught.value)
