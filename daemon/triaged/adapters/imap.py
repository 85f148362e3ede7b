"""One mailbox on one IMAP server, as typed values: the only door to imapclient.

A connection belongs to one thread and is thrown away after any error: imaplib cannot be trusted past one. Every
command has a deadline for the whole of it, kept by a timer that cuts the TCP connection from outside, because a
socket's own timeout starts anew with every byte. Commands carry UIDs and configured folder names, never text of a mail.
"""

import contextlib
import imaplib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Protocol

import imapclient
from imapclient import exceptions

from triaged.domain.errors import PermanentError, TransientError

HEADER_CAP = 256 * 1024 + 1  # of an oversized mail; one more than what preflight accepts, so that it sees the excess
KEYWORD = b"$Triaged"

_SILENCE = imapclient.SocketTimeout(connect=15, read=60)
_SLICE = 1.0  # how soon a stop is seen while idling, seconds

# What imaplib and the lexer of imapclient raise when a network breaks or a server lies.
_BROKEN = (OSError, exceptions.IMAPClientError, ValueError, LookupError, TypeError, EOFError, MemoryError)

Pulse = Callable[[float], None]

_BUSY = ("[UNAVAILABLE]", "[INUSE]", "[SERVERBUG]", "[LIMIT]")


class Secret(Protocol):
    def reveal(self) -> str: ...


class Mailbox(Protocol):
    """What of `[[mailbox]]` (INTERFACE §1) a connection needs."""

    @property
    def name(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def security(self) -> str: ...  # tls | starttls | none
    @property
    def username(self) -> str: ...
    @property
    def password(self) -> Secret: ...
    @property
    def folder(self) -> str: ...
    @property
    def archive(self) -> str | None: ...


class LoginRefused(PermanentError):
    """The server answered, and does not let us in: tried again, but slowly."""


class Tidying(StrEnum):
    """How a stored mail is marked on this server; courtesy, never what we rely on."""

    MOVE = "move"  # RFC 6851
    COPY = "copy"  # COPY, \Deleted, UID EXPUNGE (RFC 4315)
    MARK = "mark"  # COPY, \Deleted; never EXPUNGE without UIDs: it would take other people's mail along
    KEYWORD = "keyword"  # no archive configured: left in place, with our keyword
    NONE = "none"  # no archive, and the server keeps no keywords


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds for a whole command, however busy the line looks; a FETCH gets a second more for each `rate` bytes."""

    connect: float = 20.0  # and each step of logging in
    short: float = 30.0  # SELECT, NOOP, IDLE's beginning and end
    long: float = 60.0  # SEARCH, FETCH, MOVE
    rate: float = 20_000.0


@dataclass(frozen=True, slots=True)
class Selected:
    """The folder as SELECT shows it; `uidnext` is None on the rare servers that don't say it."""

    uidvalidity: int
    uidnext: int | None
    keywords: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A mail on the server: RFC822.SIZE in bytes, INTERNALDATE in UTC (None where it was unreadable)."""

    uid: int
    size: int
    received_at: datetime | None


class _Lever:
    """Cuts a TCP connection from outside the thread that waits on it.

    It holds a duplicate of the socket: TLS takes the original away, and the duplicate ends both."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.pulled = False

    def hold(self, wire: socket.socket) -> None:
        with self._lock:
            self._socket = wire.dup()

    def pull(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self.pulled = True
            if self._socket:
                self._socket.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        with self._lock:
            if self._socket:
                self._socket.close()
                self._socket = None

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self.pull)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


class _Wire(imaplib.IMAP4):
    """imaplib with our socket: TLS from the first byte where asked, a lever, and no literal larger than expected."""

    def __init__(self, mailbox: Mailbox, context: ssl.SSLContext | None, lever: _Lever, longest: int) -> None:
        self._context, self._lever, self._longest = context, lever, longest
        super().__init__(mailbox.host, mailbox.port, timeout=_SILENCE.connect)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        wire = socket.create_connection((self.host, self.port), timeout)
        self._lever.hold(wire)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a command in two packets waits 40 ms without
        return self._context.wrap_socket(wire, server_hostname=self.host) if self._context else wire

    def read(self, size: int) -> bytes:
        if size > self._longest:
            raise self.abort(f"the server announced {size} bytes where at most {self._longest} were asked for")
        return super().read(size)

    def heard(self) -> bool:
        """Has the server said more than what was read? (It may come in one packet with the last answer.)"""
        if hasattr(self, "_readbuf"):  # Python 3.14 keeps its own buffer
            return bool(self._readbuf)
        timeout = self.sock.gettimeout()
        self.sock.setblocking(False)
        try:
            reader: Any = self.file  # a BufferedReader, typed as IO
            return bool(reader.peek(1))
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            self.sock.settimeout(timeout)


class _Client(imapclient.IMAPClient):  # type: ignore[misc]  # untyped
    """IMAPClient over a `_Wire`."""

    def __init__(self, mailbox: Mailbox, context: ssl.SSLContext | None, lever: _Lever, longest: int) -> None:
        self._new_wire: Callable[[], _Wire] = lambda: _Wire(mailbox, context, lever, longest)
        super().__init__(mailbox.host, mailbox.port, ssl=False, timeout=_SILENCE)
        self.ssl = context is not None
        self.normalise_times = False  # INTERNALDATE with its zone
        self.wire.debug = 0  # formats every line for a log that must not hold mails

    def _create_IMAP4(self) -> _Wire:
        return self._new_wire()

    @property
    def wire(self) -> _Wire:
        wire: _Wire = self._imap
        return wire


class Connection:
    """A logged-in connection. Every method raises TransientError when the network or the server breaks, and
    PermanentError when somebody has to change something; after either the connection is good for `close` only."""

    def __init__(self, mailbox: Mailbox, client: _Client, lever: _Lever, deadlines: Deadlines, pulse: Pulse) -> None:
        self._mailbox, self._client, self._lever, self._deadlines = mailbox, client, lever, deadlines
        self._pulse = pulse
        self._alive = True
        self._capabilities: frozenset[bytes] = frozenset()
        self._keywords = False

    def select(self) -> Selected:
        """SELECT the folder (again): sees new mail and a changed UIDVALIDITY alike."""
        with self._command("SELECT", self._deadlines.short):
            try:
                answer = self._client.select_folder(self._mailbox.folder)
            except exceptions.IMAPClientReadOnlyError as error:
                raise PermanentError(
                    f"{self._place()}: folder {self._mailbox.folder!r} is read-only for "
                    f"{self._mailbox.username!r}. Give that user the right to flag and move mail"
                ) from error
            except exceptions.IMAPClientError as error:
                raise PermanentError(
                    f"{self._place()}: folder {self._mailbox.folder!r} cannot be opened ({_refusal(error)}). "
                    f"Correct folder of [[mailbox]] {self._mailbox.name}"
                ) from error
            self._client.wire.untagged_responses.pop("EXISTS", None)  # what comes later is news
            self._keywords = _keeps_keywords(answer.get(b"PERMANENTFLAGS", ()))
            return Selected(int(answer[b"UIDVALIDITY"]), answer.get(b"UIDNEXT"), self._keywords)

    def examine(self, folder: str) -> Selected | None:
        """EXAMINE a configured folder: whatever follows changes nothing in it. None where there is no such folder."""
        with self._command("EXAMINE", self._deadlines.short):
            if not self._client.folder_exists(folder):
                return None
            try:
                answer = self._client.select_folder(folder, readonly=True)
            except exceptions.IMAPClientError as error:
                raise PermanentError(
                    f"{self._place()}: folder {folder!r} cannot be opened ({_refusal(error)})"
                ) from error
            return Selected(int(answer[b"UIDVALIDITY"]), answer.get(b"UIDNEXT"), False)

    def uids(self, first: int, last: int | None, since: date | None = None) -> tuple[int, ...]:
        """UIDs that exist from `first` to `last` (None: the end), ascending; `since`: of mails that arrived on that day
        or later, by the server's calendar.

        `n:*` answers with the last mail even where its UID is lower, so everything is filtered."""
        with self._command("SEARCH", self._deadlines.long):
            found = self._client.search(["UID", f"{first}:{last or '*'}", *(["SINCE", since] if since else [])])
        return tuple(sorted(uid for uid in set(found) if first <= uid <= (last or uid)))

    def listing(self, uids: Sequence[int]) -> tuple[Listed, ...]:
        """Size and arrival of every mail asked for, in the order of `uids`; size 0 where the server tells none, be it
        that the mail vanished: whether it exists is not decided here."""
        with self._command("FETCH sizes", self._deadlines.long):
            answer = self._client.fetch(uids, ["RFC822.SIZE", "INTERNALDATE"])
            told = [(uid, answer.get(uid, {})) for uid in uids]
            return tuple(
                Listed(uid, int(items.get(b"RFC822.SIZE") or 0), _utc(items.get(b"INTERNALDATE")))
                for uid, items in told
            )

    def bodies(self, uids: Sequence[int], size: int) -> dict[int, bytes]:
        """Whole mails by UID, without setting \\Seen; `size` is the sum that `listing` gave.

        A UID that the server answers without bytes is not in the result: ask `uids` whether it still exists."""
        return self._fetch(uids, "BODY.PEEK[]", b"BODY[]", size)

    def header(self, uid: int) -> bytes | None:
        """The header block of one mail, at most HEADER_CAP bytes."""
        item = f"BODY.PEEK[HEADER]<0.{HEADER_CAP}>"
        return self._fetch([uid], item, b"BODY[HEADER]<0>", HEADER_CAP).get(uid)

    def _fetch(self, uids: Sequence[int], item: str, key: bytes, size: int) -> dict[int, bytes]:
        with self._command("FETCH", self._deadlines.long + size / self._deadlines.rate):
            answer = self._client.fetch(uids, [item])
        found = {uid: answer[uid].get(key) for uid in uids if uid in answer}
        return {uid: body for uid, body in found.items() if isinstance(body, bytes)}

    @property
    def tidying(self) -> Tidying:
        if not self._mailbox.archive:
            return Tidying.KEYWORD if self._keywords else Tidying.NONE
        if b"MOVE" in self._capabilities:
            return Tidying.MOVE
        return Tidying.COPY if b"UIDPLUS" in self._capabilities else Tidying.MARK

    def tidy(self, uids: Sequence[int]) -> str:
        """Archive or flag mails whose rows are committed; vanished UIDs are no error, doing it twice no harm.

        Returns "" or why the server refused; the connection stays good then."""
        with self._command("MOVE", self._deadlines.long):
            try:
                self._tidy(uids, self._mailbox.archive or "")
            except exceptions.IMAPClientError as error:
                return f"{self._place()}: handled mail stays in the folder ({_refusal(error)})"
        return ""

    def _tidy(self, uids: Sequence[int], archive: str) -> None:
        match self.tidying:
            case Tidying.MOVE:
                self._client.move(uids, archive)
            case Tidying.COPY | Tidying.MARK:
                self._client.copy(uids, archive)
                self._client.add_flags(uids, [rb"\Deleted"], silent=True)
                if self.tidying is Tidying.COPY:
                    self._client.uid_expunge(uids)
            case Tidying.KEYWORD:
                self._client.add_flags(uids, [KEYWORD], silent=True)

    def bring_back(self, uids: Sequence[int]) -> None:
        """Move mails from the archive into the folder again."""
        with self._command("MOVE", self._deadlines.long):
            try:
                self._client.select_folder(self._mailbox.archive)
                self._tidy(uids, self._mailbox.folder)
            except exceptions.IMAPClientError as error:
                raise PermanentError(
                    f"{self._place()}: mail stays in {self._mailbox.archive!r} ({_refusal(error)})"
                ) from error

    def make_archive(self) -> str:
        """Create the archive folder where it is not there. Returns "" or why the server refused."""
        archive = self._mailbox.archive
        if not archive:
            return ""
        with self._command("CREATE", self._deadlines.short):
            if self._client.folder_exists(archive):
                return ""
            try:
                self._client.create_folder(archive)
            except exceptions.IMAPClientError as error:
                return (
                    f"{self._place()}: folder {archive!r} cannot be created ({_refusal(error)}). Create it, or give "
                    f"its full name, often INBOX.{archive}, as archive of [[mailbox]] {self._mailbox.name}"
                )
        return ""

    @property
    def can_idle(self) -> bool:
        return b"IDLE" in self._capabilities

    def idle(self, seconds: float, stop: threading.Event) -> bool:
        """Wait in IDLE (RFC 2177) until the server says anything, `stop` is set or the time is over.

        True = look at the folder now. A closed connection raises TransientError; a half-open one looks quiet
        until the next command meets its deadline, so keep `seconds` short."""
        if self._news():
            return True
        end, poller = time.monotonic() + seconds, select.poll()
        with self._command("IDLE", self._deadlines.short):
            self._client.idle()
            heard = self._client.wire.heard()
            poller.register(self._client.socket().fileno(), select.POLLIN)
        self._pulse(seconds)
        while not heard and not stop.is_set() and (left := end - time.monotonic()) > 0:
            heard = bool(poller.poll(min(left, _SLICE) * 1000))
        with self._command("DONE", self._deadlines.short):
            _, said = self._client.idle_done()
        return bool(said)

    def _news(self) -> bool:
        """Did mail come since SELECT? It is told once, in the answer to whatever we say next, not again in IDLE."""
        with self._command("NOOP", self._deadlines.short):
            self._client.noop()
            return "EXISTS" in self._client.wire.untagged_responses

    def close(self) -> None:
        """Log out where possible, let go of the sockets in any case."""
        try:
            with self._command("LOGOUT", 5):
                self._client.logout()
        except TransientError:
            with contextlib.suppress(*_BROKEN):
                self._client.shutdown()
        finally:
            self._lever.release()

    def _log_in(self) -> None:
        """AUTHENTICATE PLAIN where offered (imaplib's LOGIN neither quotes the user nor speaks UTF-8)."""
        user, password = self._mailbox.username, self._mailbox.password.reveal()
        with self._command("log-in", self._deadlines.connect):
            try:
                if "AUTH=PLAIN" in self._client.wire.capabilities:
                    self._client.plain_login(user, password)
                else:
                    self._client.login(_quoted(user), password)
            except exceptions.LoginError as error:
                raise LoginRefused(
                    f"{self._place()} refused the log-in of {self._mailbox.username!r} ({_refusal(error)}). "
                    f"Check username and password (or password_file) of [[mailbox]] {self._mailbox.name}"
                ) from None
            self._capabilities = frozenset(self._client.capabilities())

    def _start_tls(self, context: ssl.SSLContext) -> None:
        """STARTTLS (RFC 3501 §6.2.1), or nothing: we never go on in clear."""
        with self._command("STARTTLS", self._deadlines.connect):
            try:
                self._client.starttls(context)
                self._client.capabilities()  # forgets what was said in clear
            except exceptions.IMAPClientError as error:
                raise PermanentError(
                    f"{self._place()} does not do STARTTLS ({_refusal(error)}), and nothing is sent in clear. "
                    f'Use security = "tls" with port 993 in [[mailbox]] {self._mailbox.name}, or switch STARTTLS on '
                    "at the server"
                ) from error

    def _place(self) -> str:
        return _place(self._mailbox)

    @contextlib.contextmanager
    def _command(self, name: str, seconds: float) -> Iterator[None]:
        """Run one command within its deadline; whatever breaks ends the connection, a refusal does not."""
        if not self._alive:
            raise TransientError(f"{self._place()}: the connection was given up")
        self._alive = False
        self._pulse(seconds)
        with _explained(self._mailbox, name, self._lever, seconds):
            try:
                yield
            except PermanentError:  # the server's word, in good order
                self._alive = True
                raise
        self._alive = True


DEADLINES = Deadlines()


def connect(
    mailbox: Mailbox, longest: int, deadlines: Deadlines = DEADLINES, pulse: Pulse = lambda _seconds: None
) -> Connection:
    """Connect and log in; `longest` is the size in bytes of the largest literal that we will ask for; `pulse` is told
    before each command and each IDLE how long it may take.

    Raises TransientError (network), LoginRefused, and PermanentError (certificate, STARTTLS, configuration)."""
    _refuse_control_characters(mailbox)
    context = None if mailbox.security == "none" else ssl.create_default_context()
    lever = _Lever()
    pulse(deadlines.connect)
    try:
        with _explained(mailbox, "connect", lever, deadlines.connect):
            client = _Client(mailbox, context if mailbox.security == "tls" else None, lever, longest)
    except (TransientError, PermanentError):
        lever.release()
        raise
    connection = Connection(mailbox, client, lever, deadlines, pulse)
    try:
        if context and mailbox.security == "starttls":
            connection._start_tls(context)
        connection._log_in()
    except (TransientError, PermanentError):
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _explained(mailbox: Mailbox, command: str, lever: _Lever, seconds: float) -> Iterator[None]:
    """Errors of the libraries as ours: which mailbox, which server, which command, what to do."""
    try:
        with lever.within(seconds):
            yield
    except ssl.SSLCertVerificationError as error:
        raise PermanentError(
            f"{_place(mailbox)}: certificate not trusted ({error.verify_message}). Correct host of [[mailbox]] "
            f"{mailbox.name}, or install the server's authority on this machine"
        ) from error
    except _BROKEN as error:
        late = f"no complete answer within {seconds:.0f} s" if lever.pulled else _said(error)
        raise TransientError(f"{_place(mailbox)}: {command}: {late}") from error


def _place(mailbox: Mailbox) -> str:
    return f"{mailbox.name}: {mailbox.host}:{mailbox.port}"


def _refusal(error: Exception) -> str:
    """What the server said when it answered NO or BAD, the connection being in order. A broken connection is raised
    again (imapclient hides it in LoginError), and so is a server that is only busy (RFC 5530)."""
    cause = error.__context__ if isinstance(error, exceptions.LoginError) else error
    if isinstance(cause, exceptions.IMAPClientAbortError | exceptions.ProtocolError):
        raise cause
    if any(code in str(error).upper() for code in _BUSY):
        raise exceptions.IMAPClientAbortError(str(error))
    return _said(error)


def _said(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return "".join(c if c.isprintable() else " " for c in text)[:200]


def _keeps_keywords(permanent: Collection[bytes]) -> bool:
    return rb"\*" in permanent or KEYWORD in permanent


def _utc(internal: Any) -> datetime | None:
    try:
        return internal.astimezone(UTC) if isinstance(internal, datetime) else None
    except (ValueError, OverflowError):
        return None


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _refuse_control_characters(mailbox: Mailbox) -> None:
    """A line end would start a command of its own; `%` and `*` are wildcards of LIST."""
    texts = {"username": mailbox.username, "password": mailbox.password.reveal(), "folder": mailbox.folder}
    for key, text in {**texts, "archive": mailbox.archive or ""}.items():
        if any(ord(c) < 32 or ord(c) == 127 for c in text):
            raise PermanentError(f"[[mailbox]] {mailbox.name}: {key} holds a control character. Remove it")
    if set("%*") & set(mailbox.archive or ""):
        raise PermanentError(f"[[mailbox]] {mailbox.name}: archive holds % or *, wildcards in IMAP. Rename the folder")
