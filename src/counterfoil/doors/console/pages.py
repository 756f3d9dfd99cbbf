"""Loads NiceGUI and every page of the console; imported when the first person is let in."""

from counterfoil.doors.console import (
    blueprint,
    counterfoil,
    exceptions,
    flows,
    money,
    reports,
    runbooks,
    stage,
    systems,
    today,
)

# the last one: its address takes what the others leave
from counterfoil.doors.console import elsewhere  # isort: skip

__all__ = [
    "blueprint",
    "counterfoil",
    "elsewhere",
    "exceptions",
    "flows",
    "money",
    "reports",
    "runbooks",
    "stage",
    "systems",
    "today",
]
