"""What the exercises play on: the copied configuration, two servers behind wires, a daemon as a process of its own."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from triaged import app as composition
from triaged import log
from triaged.adapters import smtp
from triaged.adapters.db import casebook, invitations, outbox, tickets
from triaged.app import App
from triaged.demo import servers
from triaged.domain.delivery import State
from triaged.selftest import children, reckoning, relay, replica
from triaged.selftest.letters import Letter, Writer
from triaged.selftest.moments import Moment
from triaged.selftest.reckoning import Books, Reckoning
from triaged.selftest.wire import Wire
from triaged.workflows import overview

_LOOK = 0.1  # seconds between two looks


class Stage:
    """Use it in a `with`. `left` is the time that remains; `allowed` how many copies the faults so far may cost."""

    def __init__(self, config: Path | None, folder: Path, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._closing = ExitStack()
        self.letters: list[Letter] = []
        self.allowed = 0
        self.daemon: children.Child | None = None
        names = replica.names(config)
        self.servers = relay.Servers(names)
        self._closing.callback(self.servers.stop)
        self.imap = {name: self._wire(self.servers.imap_port) for name in names}
        self.smtp = self._wire(self.servers.smtp_port)
        self.config = replica.write(config, folder, lambda name: self.imap[name].port, self.smtp.port, servers.PASSWORD)
        self.app, self.writer = self._installed(folder)

    def _wire(self, port: int) -> Wire:
        wire = Wire(port)
        self._closing.callback(wire.stop)
        return wire

    def _installed(self, folder: Path) -> tuple[App, Writer]:
        stream = self._closing.enter_context((folder / "selftest.log").open("w", encoding="utf-8"))
        app, writer = replica.installed(self.config)
        log.configure("text", stream)  # what we deliver ourselves at the end is no news for the operator's terminal
        self._closing.callback(app.database.dispose)
        return app, writer

    def __enter__(self) -> "Stage":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.daemon and self.daemon.alive:
            self.daemon.kill()
        self._closing.close()

    # --- the daemon

    def start(self) -> children.Child:
        """A new `triaged run`; what the last one said stays in daemon.log. Raises TransientError where it won't."""
        self._put_down()
        self.daemon = children.Child([sys.executable, "-m", "triaged", "-c", str(self.config), "run"])
        self.daemon.await_line(children.started, self.patience, "that it started")
        return self.daemon

    def kill(self) -> bool:
        """kill -9; never cuts the wire that asks."""
        if self.daemon:
            self.daemon.kill()
        self.allowed += self._sending()
        return False

    def cut(self) -> bool:
        """Cuts the wire that asks."""
        self.allowed += self._sending()
        return True

    def _sending(self) -> int:
        with self.app.database.read() as session:
            return outbox.counts(session)[State.SENDING]

    def end(self) -> int:
        """SIGTERM; the exit code."""
        code = self.daemon.end() if self.daemon else 0
        self._put_down()
        return code

    def _put_down(self) -> None:
        if self.daemon:
            with self.config.with_name("daemon.log").open("a", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in self.daemon.lines)
            self.daemon = None

    # --- mails

    def send(self, letters: Iterable[Letter]) -> None:
        """They arrive in their mailboxes."""
        for letter in letters:
            self.letters.append(letter)
            self.servers.deliver(letter.mailbox, letter.raw, datetime.now(UTC))

    def wire(self, moment: Moment, mailbox: str) -> Wire:
        return self.imap[mailbox] if moment.protocol == "imap" else self.smtp

    def reckon(self, *, at_rest: bool = False) -> Reckoning:
        """As things stand; `at_rest`: nothing may be put off any more."""
        return reckoning.reckon(self.letters, self.books(), self.servers.accepted(), at_rest=at_rest)

    def books(self) -> Books:
        """What the commands' lists say, read where they read it."""
        with self.app.database.read() as session:
            return Books(
                messages=[record.row for record in casebook.listed(session)],
                tickets=[record.document() for record in tickets.listed(session)],
                queue=[entry.document() for entry in outbox.entries(session)],
                invitations=[record.document() for record in invitations.listed(session)],
                attention=overview.overview(self.app.database, self.app.settings).attention,
            )

    # --- waiting

    @property
    def left(self) -> float:
        return self._until - time.monotonic()

    @property
    def patience(self) -> float:
        """Seconds for one thing to come about: whatever goes well, goes much faster."""
        return max(1.0, min(15.0, self.left))

    def comes(self, wanted: Callable[[], bool]) -> bool:
        """Whether it is so within the patience; a daemon that ended is not waited for."""
        end = time.monotonic() + self.patience
        while not wanted():
            if time.monotonic() > end or (self.daemon is not None and not self.daemon.alive):
                return wanted()
            time.sleep(_LOOK)
        return True

    def faults(self) -> Sequence[str]:
        """What is lost, doubled, unsent or wrong once everything had time to come to rest."""
        self.comes(lambda: not self.reckon().faults)
        return self.reckon().faults

    def relay(self) -> smtp.Relay:
        return composition.relay(self.app)
