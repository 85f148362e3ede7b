"""What a test server tells of itself: the `[[mailbox]]` that reaches it, and mails to put there."""

import itertools
import socket
from dataclasses import dataclass, field
from datetime import timedelta

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Secret:
    text: str = field(repr=False)

    def reveal(self) -> str:
        return self.text


@dataclass(frozen=True)
class Mailbox:
    """The same names as settings.Mailbox, as far as intake reads them."""

    name: str = "partners-eu"
    host: str = "127.0.0.1"
    port: int = 143
    security: str = "none"
    username: str = "partners-eu"
    password: Secret = Secret("secret")
    folder: str = "INBOX"
    archive: str | None = None
    poll: timedelta = timedelta(seconds=30)
    idle: bool = True


def new_name(prefix: str = "partners-eu") -> str:
    """A user that no other test has."""
    return f"{prefix}-{next(_numbers)}"


def mail(number: int = 1, size: int = 0, subject: str = "Question") -> bytes:
    """A small well-formed mail, different for each number; `size` bytes of body more."""
    filler = b"\r\n".join([b"x" * 70] * (size // 72))
    return (
        (
            f"From: contact@integra.example\r\nTo: partner-support@vendor.example\r\nSubject: {subject} {number}\r\n"
            f"Message-ID: <{number}@integra.example>\r\n\r\nZOID: 600{number:08d}\r\n"
        ).encode()
        + filler
        + (b"\r\n" if filler else b"")
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
