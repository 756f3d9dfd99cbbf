"""A door in front of a server, as a process of its own: what passes through it is cut when it is killed.

    python -m counterfoil_lab.relay PORT TARGET_PORT

Behind it a stand-in keeps its records, as a database keeps an ERP's when the ERP's own process dies: a call may have
been carried out whose answer nobody will ever see.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        if writer.can_write_eof():
            writer.write_eof()


async def serve(port: int, target: int) -> None:
    """Pass on every connection to `port` of 127.0.0.1, until the process is ended."""

    async def connected(*here: *Ends) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            here[1].transport.abort()
            return
        await asyncio.gather(_pass_on(here[0], there[1]), _pass_on(there[0], here[1]))
        for _, writer in (here, there):
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
