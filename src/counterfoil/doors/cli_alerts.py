"""`counterfoil alerts`: what Prometheus watches a hub by."""

from __future__ import annotations

import sys

import typer

from counterfoil.doors.cli_base import DEFAULT, BlueprintPath, loaded
from counterfoil.hub.exceptions.runbooks import published
from counterfoil.watch.rules import as_prometheus


def alerts(blueprint: BlueprintPath = DEFAULT) -> None:
    """Print the alert rules for Prometheus, each with the address of its runbook.

    That is below `notify.runbooks`, else in the console below `public_url`; without either it is a path.
    """
    plan = loaded(blueprint, require_secrets=False)
    sys.stdout.write(as_prometheus(published(plan.notify.runbooks, plan.public_url)))


def add_to(app: typer.Typer) -> None:
    """Offer the command."""
    app.command()(alerts)
