"""Who is told where, who must act how soon, and what of it cannot be."""

from __future__ import annotations

from datetime import timedelta

import pytest

from counterfoil.blueprint import Blueprint, BlueprintError, Catalogue, ConnectorInfo, dump, parse, render
from counterfoil.retail.events import EVENT_TYPES

KNOWN = Catalogue.of([ConnectorInfo("fake", needs_url=False)], frozenset(EVENT_TYPES))
ENVIRON = {"SMTP": "smtp-word", "HOOK": "https://hooks.example/T1/secret", "PD": "pd-integration-key"}
GOOD = """\
counterfoil: 1
systems: {web: {connector: fake}}
calendars: {office: {zone: Europe/Paris, open: {mon-fri: "09:00-17:00"}}}
exceptions:
  default: shop-manager
  unknown_sku: buyer
  respond_within: {default: 8h, misconfigured: 30m, buyer: 4h}
  escalate: [buyer, shop-manager, head]
  calendar: office
notify:
  mail: {host: smtp.example.com, user: counterfoil, password: "${SMTP}", from: hub@example.com}
  owners:
    shop-manager: {email: [shop@example.com], quiet: "20:00-07:00"}
    head: {slack: "${HOOK}", pagerduty: "${PD}", only: critical}
  gather: 5m
  at_most: 6
  zone: Europe/Paris
"""


def parsed(text: str = GOOD) -> Blueprint:
    return parse(text, known=KNOWN, environ=ENVIRON)


def test_it_is_read_written_and_put_into_words_without_its_secrets() -> None:
    plan = parsed()
    assert plan.notify.mail is not None
    assert (plan.notify.mail.from_, plan.notify.gather) == ("hub@example.com", timedelta(minutes=5))
    hook = plan.notify.owners["head"].slack
    assert hook is not None
    assert hook.reveal() == ENVIRON["HOOK"]
    text = dump(plan)
    assert parsed(text) == plan
    words = render(plan)
    assert not [secret for secret in ENVIRON.values() if secret in text + words]
    assert "What nobody has acted on by then goes on to the next of buyer, shop-manager, head." in words
    assert "| head | Slack, PagerDuty | what is critical |" in words


def test_how_soon_goes_by_reason_then_outcome_then_owner_then_the_default() -> None:
    owners = parsed().exceptions
    assert owners.seconds_for("no_right", "misconfigured", "buyer") == 1800
    assert owners.seconds_for("unknown_sku", "rejected", "buyer") == 4 * 3600
    assert owners.seconds_for("no_lines", "rejected", "shop-manager") == 8 * 3600
    assert parsed("counterfoil: 1\nsystems: {web: {connector: fake}}\n").exceptions.seconds_for("a", "b", "c") is None


def test_who_is_next() -> None:
    owners = parsed().exceptions
    assert [owners.after(name) for name in ("buyer", "shop-manager", "head", "integration-engineer")] == [
        *("shop-manager", "head", None, "buyer")
    ]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("calendar: office", "calendar: offices", "exceptions.calendar"),
        ("  escalate: [buyer, shop-manager, head]\n", "", "escalate beside it"),
        ("default: 8h", "default: soon", "exceptions.respond_within"),
        ("[shop@example.com]", "[shop]", "notify.owners.shop-manager.email"),
        ('quiet: "20:00-07:00"', "quiet: night", "notify.owners.shop-manager.quiet"),
        ('slack: "${HOOK}"', "slack: https://hooks.example/T1/x", "a secret must not stand in the blueprint"),
        ('slack: "${HOOK}", pagerduty: "${PD}", ', "", "at least one of email, slack, pagerduty"),
        ("gather: 5m", "pagerduty_url: http://events.example/v2", "https://"),
        ('password: "${SMTP}", from', 'password: "${SMTP}", tls: none, from', "the password would go in the clear"),
        ("  gather: 5m", "  gathers: 5m", "gather"),
    ],
)
def test_what_cannot_be_is_told_with_its_place(old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(BlueprintError) as refused:
        parsed(GOOD.replace(old, new))
    assert says in str(refused.value)


def test_an_owner_by_mail_needs_a_server() -> None:
    without = "\n".join(line for line in GOOD.split("\n") if "mail: {" not in line)
    with pytest.raises(BlueprintError, match=r"notify\.mail beside it"):
        parsed(without)
