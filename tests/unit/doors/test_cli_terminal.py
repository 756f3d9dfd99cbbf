"""What systems told is shown on a terminal, never obeyed by it."""

from __future__ import annotations

import pytest
from rich.table import Table

from counterfoil.doors import cli_base

TOLD = {
    "\x1b]0;owned\x07Ada": "\ufffd]0;owned\ufffdAda",  # sets the window's title
    "\x1b]52;c;cm0gLXJm\x07": "\ufffd]52;c;cm0gLXJm\ufffd",  # sets the clipboard
    "\x9b31mred": "\ufffd31mred",  # a sequence begun in one character
    "12.00 EUR\r 1.00 EUR": "12.00 EUR\ufffd 1.00 EUR",  # writes over what stood there
    "Zoë Ångström 株式会社": "Zoë Ångström 株式会社",
    "[/b] :tea:": "[/b] :tea:",
}


@pytest.mark.parametrize(("told", "shown"), TOLD.items())
def test_control_characters_are_shown_not_obeyed(told: str, shown: str) -> None:
    """Alone, in a cell and in a column's head, on a terminal with colours."""
    table = Table(told)
    table.add_row(told)
    terminal = cli_base._Terminal(force_terminal=True, width=120, color_system=None)
    with terminal.capture() as captured:
        terminal.print(told, table)
    assert captured.get().count(shown) == 3
