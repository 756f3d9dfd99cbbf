"""Stand-ins of where people are told: a server that takes JSON as Slack and PagerDuty do, and one that takes mail."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any


@dataclass
class Posted:
    """A server of JSON: what it was sent, by path. `answers` is the status that it answers with, but for bodies with
    what it `hates`, which are bad requests."""

    url: str = ""
    answers: int = 202
    hates: str = ""
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refused: int = 0

    def at(self, path: str) -> list[dict[str, Any]]:
        """What was taken at this path."""
        return [body for where, body in self.taken if where == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:])}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        answers = 400 if self.hates and self.hates in json.dumps(body) else self.answers
        if answers < 300:
            self.taken.append((head[0].split()[1], body))
        else:
            self.refused += 1
        writer.write(f"HTTP/1.1 {answers} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".encode())
        await writer.drain()
        writer.close()


@dataclass
class Mailbox:
    """A mail server without TLS, and what was handed to it."""

    port: int = 0
    taken: list[EmailMessage] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As RFC 5321 has it, as far as smtplib asks."""
        writer.write(b"220 here\r\n")
        while (verb := (await reader.readline())[:4].upper()) not in (b"", b"QUIT"):  # some hang up without a word
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                text = await reader.readuntil(b"\r\n.\r\n")
                self.taken.append(email.message_from_bytes(text[:-3], policy=email.policy.default))  # type: ignore[arg-type]
            writer.write(b"502 no\r\n" if verb == b"STAR" else b"250 ok\r\n")
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def receivers() -> AsyncIterator[tuple[Posted, Mailbox]]:
    """Both, at free ports."""
    posted, mailbox = Posted(), Mailbox()
    web = await asyncio.start_server(posted.serve, "127.0.0.1", 0)
    mail = await asyncio.start_server(mailbox.serve, "127.0.0.1", 0)
    posted.url = f"http://127.0.0.1:{web.sockets[0].getsockname()[1]}"
    mailbox.port = mail.sockets[0].getsockname()[1]
    async with web, mail:
        yield posted, mailbox
