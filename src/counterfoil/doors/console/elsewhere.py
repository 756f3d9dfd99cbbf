"""What stands at an address that is no page. Loaded last: its address takes what the others leave."""

from __future__ import annotations

from counterfoil.doors.console import words
from counterfoil.doors.console.frame import Gone, Page, page


@page("/{rest:path}")
async def show(_page: Page) -> None:
    """There is nothing."""
    raise Gone(words.NO_SUCH_PAGE)
