"""Notices go to a real mail server: encrypted, signed in, refused in part or whole, and one that says nothing."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import ipaddress
import re
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from counterfoil.blueprint.notify import Mail
from counterfoil.blueprint.values import Secret
from counterfoil.watch import receivers
from counterfoil.watch.notices import Trouble, Words
from counterfoil.watch.receivers import ByMail, NotTold, Refused

PASSWORD = "the hub's own"
TROUBLE = Trouble("shop", "closed:erp.accept", "system_closed", "down", "erp", "accept", 3, 7, 0.0)
WORDS = Words("3 × no journal at erp\r\nBcc: else@example.com", "3 × no journal — “Kasse”.\n" + 1100 * "x", "")
ATOMS = re.compile(r"<[\w-]+(\.[\w-]+)*@example\.com>", re.ASCII)


def certificate(folder: Path) -> Path:
    """A key and a certificate of this machine, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a mail server")])
    here, now = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(here, False).add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "server.pem"
    pem = key.private_bytes(serialization.Encoding.PEM, *plain)
    file.write_bytes(pem + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return file


@dataclass
class Server:
    """What it took, who signed in, and what it refuses."""

    port: int = 0
    taken: list[tuple[Envelope, EmailMessage]] = field(default_factory=list)
    signed_in: list[tuple[bytes, bytes]] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    answers: str = "250 taken"

    def authenticate(self, _server: Any, session: Session, _envelope: Any, _how: str, given: Any) -> AuthResult:
        assert session.ssl is not None
        self.signed_in.append((given.login, given.password))
        return AuthResult(success=given.password.decode() == PASSWORD, handled=False)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, to: str, options: list[str]) -> str:
        if to in self.unknown:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(to)
        return "250 ok"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, EmailMessage, policy=email.policy.default)  # type: ignore[call-overload]
        if self.answers.startswith("2"):
            self.taken.append((envelope, message))
        return self.answers


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The server's side of TLS; this machine trusts it."""
    file = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context


@contextlib.asynccontextmanager
async def serving(protocol: Callable[[], asyncio.Protocol], **more: Any) -> AsyncIterator[int]:
    """At a free port, which it is."""
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, **more)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.asynccontextmanager
async def mail_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """With TLS it takes nothing before STARTTLS and AUTH."""
    server = Server()
    strict = {"tls_context": tls, "require_starttls": True, "auth_required": True, "authenticator": server.authenticate}
    async with serving(lambda: SMTP(server, hostname="mail", **(strict if tls else {}))) as server.port:
        yield server


def by_mail(port: int, tls: str = "starttls", password: str = PASSWORD, *to: str) -> ByMail:
    """To the server at this port."""
    signed = {"user": "hub", "password": Secret(password)} if tls != "none" else {}
    sent_by = {"from": "hub@example.com", "host": "127.0.0.1", "port": port, "tls": tls}
    return ByMail(Mail.model_validate({**sent_by, **signed}), to or ("shop@example.com",), "shop")


async def test_a_server_that_asks_for_encryption_and_a_password_gets_both_and_a_message_that_it_can_read(
    tls: ssl.SSLContext,
) -> None:
    async with mail_server(tls) as server:
        await by_mail(server.port).tell(TROUBLE, WORDS, critical=True)
    assert server.signed_in == [(b"hub", PASSWORD.encode())]
    [(envelope, message)] = server.taken
    assert (envelope.mail_from, envelope.rcpt_tos) == ("hub@example.com", ["shop@example.com"])
    assert message["Subject"] == "[Counterfoil: critical] 3 × no journal at erp Bcc: else@example.com"
    assert message["Bcc"] is None
    assert message.get_content().split() == WORDS.text.split()
    assert ATOMS.fullmatch(message["Message-ID"])
    assert isinstance(envelope.content, bytes)
    assert envelope.content.isascii()
    assert max(map(len, envelope.content.splitlines())) < 998


@pytest.mark.parametrize(
    ("password", "said"), [("a wrong one", "SMTPAuthenticationError"), ("wröng", "one signs in with ASCII")]
)
async def test_a_password_that_does_not_do_is_said_without_it(tls: ssl.SSLContext, password: str, said: str) -> None:
    async with mail_server(tls) as server:
        with pytest.raises(NotTold, match=said) as told:
            await by_mail(server.port, "starttls", password).tell(TROUBLE, WORDS, critical=False)
    assert password not in str(told.value)
    assert server.taken == []


async def test_a_server_that_nobody_vouches_for_never_hears_the_password(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with mail_server(tls) as server:
        with pytest.raises(NotTold, match="SSLCertVerificationError"):
            await by_mail(server.port).tell(TROUBLE, WORDS, critical=False)
    assert (server.signed_in, server.taken) == ([], [])


async def test_a_server_that_encrypts_from_the_first_byte(tls: ssl.SSLContext) -> None:
    server = Server()
    async with serving(lambda: SMTP(server, hostname="mail", authenticator=server.authenticate), ssl=tls) as port:
        receiver = by_mail(port, "tls")
        await ByMail(receiver.mail.model_copy(update={"user": ""}), receiver.to, "shop").tell(TROUBLE, WORDS, False)
    assert len(server.taken) == 1


async def test_who_is_refused_keeps_nobody_else_from_being_told_and_is_not_named_in_the_log() -> None:
    async with mail_server() as server:
        server.unknown = {"gone@example.com"}
        receiver = by_mail(server.port, "none", "", "gone@example.com", "shop@example.com")
        with capture_logs() as logs:
            await receiver.tell(TROUBLE, WORDS, critical=False)
        assert [envelope.rcpt_tos for envelope, _ in server.taken] == [["shop@example.com"]]
        assert [(entry["refused"], entry["codes"]) for entry in logs] == [(1, [550])]
        assert "gone@" not in str(logs)
        server.unknown |= {"shop@example.com"}
        with pytest.raises(NotTold, match="SMTPRecipientsRefused"):
            await receiver.tell(TROUBLE, WORDS, critical=False)


@pytest.mark.parametrize(("answers", "refused"), [("451 later", False), ("554 looks like spam", True)])
async def test_a_message_that_is_refused_is_told_from_a_server_that_is_busy(answers: str, refused: bool) -> None:
    async with mail_server() as server:
        server.answers = answers
        with pytest.raises(NotTold) as told:
            await by_mail(server.port, "none").tell(TROUBLE, WORDS, critical=False)
    assert isinstance(told.value, Refused) is refused


class Drips(asyncio.Protocol):
    """Always about to greet: no single wait is long."""

    def connection_made(self, transport: Any) -> None:
        self.drip(transport)

    def drip(self, transport: asyncio.WriteTransport) -> None:
        if not transport.is_closing():
            transport.write(b"220-a moment\r\n")
            asyncio.get_running_loop().call_later(0.01, self.drip, transport)


@pytest.mark.parametrize("kind", [asyncio.Protocol, Drips])
async def test_a_server_that_says_nothing_or_does_not_come_to_an_end_is_given_up_and_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, kind: type[asyncio.Protocol]
) -> None:
    threads: list[threading.Thread] = []
    start = threading.Thread.start

    def started(thread: threading.Thread) -> None:
        threads.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", started)
    monkeypatch.setattr(receivers, "MAIL_PATIENCE", 0.2)
    async with serving(kind) as port:
        with pytest.raises(NotTold):
            await by_mail(port, "none").tell(TROUBLE, WORDS, critical=False)
    assert [thread.daemon for thread in threads] == [True]  # it may still be at it
