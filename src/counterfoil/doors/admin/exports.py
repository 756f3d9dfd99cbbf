"""A table as a file to keep: the answer of every route that offers one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from counterfoil.doors.admin.problems import NOT_FOUND
from counterfoil.hub.views.exporting import FORMATS, written


async def answer(name: str, rows: Sequence[Any], kind: type[Any], format_: str) -> Response:
    """Rows of the dataclass `kind` as the file `name.format_`. Raises Refusal for a format that there is not."""
    if format_ not in FORMATS:
        raise NOT_FOUND.problem(f"There is no format {format_!r}; there are: {', '.join(FORMATS)}.")
    made = await asyncio.to_thread(written, rows, kind, format_)
    kept = {"Content-Disposition": f'attachment; filename="{name}.{format_}"'}
    return Response(made, media_type=FORMATS[format_], headers=kept)
