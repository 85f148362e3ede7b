"""An SMTP relay that keeps what it is given, and misbehaves as told."""

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from triaged.selftest import loops


@dataclass(frozen=True)
class Delivery:
    """A mail that the relay accepted (or took and never answered): the envelope, the bytes, how it came."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    at: float  # monotonic
    peer: tuple[str, int]
    tls: bool
    user: str | None


@dataclass
class Manners:
    """How the relay behaves; may be changed while it runs."""

    refuse_recipient: dict[str, str] = field(default_factory=dict)  # address -> "550 5.1.1 no such user"
    refuse_sender: str = ""  # answer to every MAIL FROM
    at_dot: list[str] = field(default_factory=list)  # answers to the next dots, then 250; a 2xx keeps the mail
    drop_after_dot: int = 0  # for so many mails: keep it, then cut the connection without an answer
    stall_after_dot: threading.Event | None = None  # keep it, answer only when the event is set
    # for each mail: seconds until its answer, and the answer, where it is not the usual one
    mood: Callable[[bytes], tuple[float, str]] | None = None


class SmtpSink:
    """`deliveries` is what arrived; `await_deliveries(n)` waits for it."""

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        starttls: ssl.SSLContext | None = None,
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        smtputf8: bool = True,
    ) -> None:
        self.manners = Manners()
        self.deliveries: list[Delivery] = []
        self.commands: list[tuple[float, str]] = []  # (monotonic, what was said at MAIL, RCPT, dot and log-in)
        self.connections = 0
        self._arrived = threading.Condition()
        self._login = login
        self._loop = loops.Loop()
        options: dict[str, Any] = {
            "enable_SMTPUTF8": smtputf8,
            "data_size_limit": 64 << 20,
            "hostname": "sink.test",
            "ident": "sink",
            "tls_context": starttls,
            "loop": self._loop.loop,
        }
        if login:
            options |= {"authenticator": self._authenticate, "auth_require_tls": bool(starttls)}
        self.port: int = self._loop.run(self._start(lambda: self._session(options), tls))

    def _session(self, options: dict[str, Any]) -> SMTP:
        self.connections += 1
        return SMTP(_Handler(self), **options)

    async def _start(self, factory: Callable[[], SMTP], tls: ssl.SSLContext | None) -> int:
        self._server = await asyncio.get_running_loop().create_server(factory, self.host, 0, ssl=tls)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        self.note(f"AUTH {mechanism}")
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == self._login, handled=False, auth_data=data.login.decode() if given else None)

    def note(self, what: str) -> None:
        self.commands.append((time.monotonic(), what))

    def keep(self, delivery: Delivery) -> None:
        with self._arrived:
            self.deliveries.append(delivery)
            self._arrived.notify_all()

    def await_deliveries(self, count: int, timeout: float = 10) -> list[Delivery]:
        """What arrived, as soon as it is at least `count` mails. Raises AssertionError where it stays less."""
        with self._arrived:
            enough = self._arrived.wait_for(lambda: len(self.deliveries) >= count, timeout)
            assert enough, f"{len(self.deliveries)} of {count} mails arrived at the relay within {timeout} s"
            return list(self.deliveries)

    @property
    def needs_login(self) -> bool:
        return self._login is not None

    def stop(self) -> None:
        async def close() -> None:
            self._server.close()

        if self.manners.stall_after_dot:
            self.manners.stall_after_dot.set()
        self._loop.run(close())
        self._loop.stop()


class _Handler:
    """aiosmtpd's hooks; they have its names."""

    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink

    async def handle_MAIL(
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self._sink.note(f"MAIL {address}")
        if self._sink.needs_login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        if self._sink.manners.refuse_sender:
            return self._sink.manners.refuse_sender
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self._sink.note(f"RCPT {address}")
        if answer := self._sink.manners.refuse_recipient.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self._sink.note("DOT")
        manners = self._sink.manners
        pause, mood = manners.mood(envelope.original_content or b"") if manners.mood else (0.0, "")
        await asyncio.sleep(pause)
        answer = manners.at_dot.pop(0) if manners.at_dot else mood or "250 2.0.0 Ok: queued"
        if answer.startswith("2"):
            self._sink.keep(_delivery(session, envelope))
        if manners.drop_after_dot:
            manners.drop_after_dot -= 1
            server.transport.abort()
        while manners.stall_after_dot and not manners.stall_after_dot.is_set():
            await asyncio.sleep(0.01)
        return answer

    async def handle_exception(self, error: Exception) -> str:
        with contextlib.suppress(ConnectionError):
            raise error
        return "421 4.3.0 closing"


def _delivery(session: Session, envelope: Envelope) -> Delivery:
    assert isinstance(envelope.original_content, bytes)
    return Delivery(
        sender=envelope.mail_from or "",
        recipients=tuple(envelope.rcpt_tos),
        content=envelope.original_content,
        at=time.monotonic(),
        peer=session.peer[:2] if isinstance(session.peer, tuple) else ("", 0),
        tls=session.ssl is not None,
        user=session.auth_data if isinstance(session.auth_data, str) else None,
    )
