"""The relay: the only door to aiosmtplib, and the only place of the delivering side that is asynchronous.

A delivery has two phases, so that the workflow can commit `sending` between them (DESIGN §4.3): `prepare` goes up to
RCPT, where every failure is definite; `transmit` is DATA, after which only the relay's own answer is. Connections stay
open between mails. STARTTLS is never downgraded, and whatever goes wrong on a connection closes it.
"""

import asyncio
import re
import ssl
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import aiosmtplib

from triaged import log
from triaged.domain import delivery
from triaged.domain.delivery import Deferred, Refused, RelayDown, RelayRefusedUs, Sent, Uncertain
from triaged.settings import model

_T = TypeVar("_T")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LEADING_DOT = re.compile(rb"(?m)^\.")
_AUTHENTICATE_FIRST = (530, 534, 535, 538)  # RFC 4954 §6: about us, not about the mail
_MAILS_PER_CONNECTION = 100
_FAREWELL = 2.0  # seconds that a QUIT may take


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds for a whole phase, not per byte: connecting with TLS and log-in, up to RCPT, DATA up to its answer
    (RFC 5321 §4.5.3.2.6: 10 minutes); `idle` is how long an unused connection is kept."""

    connect: float = 30.0
    prepare: float = 120.0
    transmit: float = 600.0
    idle: float = 60.0


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds that a relay which is down is left alone: `first`, doubled each time up to `longest`; at once `longest`
    where it does not want us, because only a person can change that (and log-in attempts lock accounts)."""

    first: float = 1.0
    longest: float = 300.0


@dataclass(frozen=True, slots=True)
class Envelope:
    """One recipient's envelope; addresses are ASCII (IDN domains as punycode), `sender` may be empty (`<>`)."""

    sender: str
    recipient: str
    size: int = 0
    eight_bit: bool = False


class _Client(aiosmtplib.SMTP):
    """Closing drops what is unsent: it must never leave later, and TLS would wait 30 s for a silent peer."""

    def close(self) -> None:
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
        super().close()


class _Connection:
    """One SMTP session and its age."""

    def __init__(self, client: _Client) -> None:
        self.client = client
        self.mails = 0
        self.idle_since = 0.0


@dataclass(frozen=True, slots=True)
class Ready:
    """The relay took MAIL and RCPT on this connection and waits for DATA."""

    connection: _Connection


Prepared = Ready | Deferred | Refused | RelayDown | RelayRefusedUs


class Relay:
    """The configured relay. Calls return futures, may come from any thread, and never raise for what a server does.

    At most `connections` mails may be between `prepare` and the end of `transmit` or `forget`."""

    def __init__(
        self,
        smtp: model.Smtp,
        hostname: str,
        tls: ssl.SSLContext | None = None,
        deadlines: Deadlines = Deadlines(),
        pauses: Pauses = Pauses(),
    ) -> None:
        self.name = f"{smtp.host}:{smtp.port}"
        self._smtp = smtp
        self._hostname = hostname
        self._tls = tls or ssl.create_default_context()
        self._deadlines = deadlines
        self._pauses = pauses
        self._outage: delivery.Outage | None = None
        self._pause = 0.0
        self._closed_until = 0.0
        self._open: set[_Connection] = set()
        self._idle: list[_Connection] = []
        self._farewells: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    # Called from any thread

    @property
    def connections(self) -> int:
        """How many mails may be under way: one to try with while the relay is down, or is not known to be up again."""
        return 1 if self._outage else self._smtp.connections

    def waits(self) -> float:
        """Seconds until the relay may be tried again; 0 when it may be now."""
        return max(0.0, self._closed_until - time.monotonic())

    def prepare(self, envelope: Envelope) -> "Future[Prepared]":
        """Connect or re-use, MAIL, RCPT. Nothing of the mail itself is sent."""
        return self._submit(self._prepare(envelope))

    def transmit(self, ready: Ready, body: bytes) -> "Future[delivery.Answer]":
        """DATA, the mail, and the relay's answer. Only after `sending` is committed."""
        return self._submit(self._transmit(ready.connection, body))

    def forget(self, ready: Ready) -> "Future[None]":
        """Take MAIL and RCPT back: the mail is not ours to send any more."""
        return self._submit(self._reset(ready.connection))

    def check(self) -> delivery.Outage | None:
        """Connect, TLS, log in, and hang up; for `triaged check`. None when the relay would take mail from us."""
        return self._submit(self._check()).result()

    def abort(self) -> None:
        """Drop every connection: what is under way ends at once, in DATA as Uncertain."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._abort_all)

    def close(self) -> None:
        """Say QUIT where that is possible, drop the rest, end the thread. The relay may be used again after."""
        with self._starting:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop and thread:
            asyncio.run_coroutine_threadsafe(self._shut(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _submit(self, work: Coroutine[Any, Any, _T]) -> "Future[_T]":
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="smtp", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    # Inside the loop: up to RCPT

    async def _prepare(self, envelope: Envelope) -> Prepared:
        for address in (envelope.sender, envelope.recipient):
            if flaw := _flaw(address):
                return Refused(f"553 5.1.3 {flaw}: {_printable(address)}; correct the address and owe the mail again")
        connection = self._take_idle()
        if connection:
            prepared = await self._address(connection, envelope)
            if connection in self._open or not isinstance(prepared, Deferred):
                return prepared  # else it had died while it was idle, which is no fault of the mail
        fresh = await self._connect()
        return await self._address(fresh, envelope) if isinstance(fresh, _Connection) else fresh

    async def _address(self, connection: _Connection, envelope: Envelope) -> Prepared:
        """MAIL and RCPT. A connection that may be used again is given back; one that failed is closed."""
        client = connection.client
        try:
            async with asyncio.timeout(self._deadlines.prepare):
                await client.mail(envelope.sender, options=_options(client, envelope))
                await client.rcpt(envelope.recipient)
        except aiosmtplib.SMTPResponseException as error:
            return await self._unwelcome(connection, error)
        except (aiosmtplib.SMTPException, OSError) as error:
            self._abort(connection)
            return Deferred(f"connection lost before DATA: {_told(error)}")
        self._up()
        return Ready(connection)

    async def _unwelcome(self, connection: _Connection, error: aiosmtplib.SMTPResponseException) -> Prepared:
        status = _status(error.code, error.message)
        if isinstance(error, aiosmtplib.SMTPSenderRefused) and error.code in _AUTHENTICATE_FIRST:
            self._abort(connection)
            return self._down(RelayRefusedUs(f"{status}: set [smtp] username and password, and security"))
        if error.code == 421 or not 400 <= error.code < 600:
            self._abort(connection)
            return Deferred(status)
        self._up()
        await self._reset(connection)
        return Refused(status) if error.code >= 500 else Deferred(status)

    async def _reset(self, connection: _Connection) -> None:
        try:
            async with asyncio.timeout(self._deadlines.connect):
                await connection.client.rset()
        except (aiosmtplib.SMTPException, OSError):
            self._abort(connection)
        else:
            self._give_back(connection)

    # Inside the loop: DATA

    async def _transmit(self, connection: _Connection, body: bytes) -> delivery.Answer:
        connection.mails += 1
        answer, usable = await self._data(connection.client, _on_the_wire(body))
        if usable:
            self._give_back(connection)
        else:
            self._abort(connection)
        return answer

    async def _data(self, client: aiosmtplib.SMTP, wire: bytes) -> tuple[delivery.Answer, bool]:
        """The answer, and whether the connection may be used again.

        In two steps, not aiosmtplib's one: an end before 354 means surely not taken, one after it means doubt."""
        given = False
        try:
            async with asyncio.timeout(self._deadlines.transmit):
                code, text = await client.execute_command(b"DATA", timeout=None)
                if code == 354 and (protocol := client.protocol):
                    protocol.write(wire)
                    given = True
                    code, text = await protocol.read_response()
        except (aiosmtplib.SMTPException, OSError) as error:
            if given:
                return Uncertain(f"no answer after the mail was given: {_told(error)}"), False
            return Deferred(f"connection lost before the mail was given: {_told(error)}"), False
        return _answer(code, text, given), code != 421 and 200 <= code < 600 and code != 354

    # Inside the loop: connections

    async def _connect(self) -> _Connection | delivery.Outage:
        if self._outage and self.waits():
            return self._outage
        connection = _Connection(self._client())
        self._open.add(connection)
        try:
            async with asyncio.timeout(self._deadlines.connect):
                outage = await self._greet(connection.client)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            outage = RelayDown(_told(error))
        if outage:
            self._abort(connection)
            return self._down(outage)
        return connection

    def _client(self) -> _Client:
        return _Client(
            hostname=self._smtp.host,
            port=self._smtp.port,
            local_hostname=self._hostname,
            timeout=self._deadlines.prepare,
            use_tls=self._smtp.security == "tls",
            start_tls=False,  # said by us below: aiosmtplib's default is opportunistic
            tls_context=self._tls,
        )

    async def _greet(self, client: aiosmtplib.SMTP) -> delivery.Outage | None:
        await client.connect()
        await client.ehlo()
        if self._smtp.security == "starttls":
            if not client.supports_extension("starttls"):
                return RelayDown(
                    'offers no STARTTLS, and [smtp] security = "starttls": nothing was sent. Turn TLS on at the relay '
                    "(is somebody between us and it removing it?)"
                )
            await client.starttls()
            await client.ehlo()
        return await self._log_in(client) if self._smtp.username else None

    async def _log_in(self, client: aiosmtplib.SMTP) -> delivery.Outage | None:
        if not client.supported_auth_methods:
            return RelayRefusedUs("offers no log-in that we know; remove [smtp] username, or use the submission port")
        password = self._smtp.password.reveal() if self._smtp.password else ""
        try:
            await client.login(self._smtp.username or "", password)
        except aiosmtplib.SMTPAuthenticationError as error:
            status = _status(error.code, error.message)
            if error.code >= 500:
                return RelayRefusedUs(f"{status}: check [smtp] username and password")
            return RelayDown(status)
        return None

    def _take_idle(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.client.is_connected:
                return connection
            self._abort(connection)
        return None

    def _give_back(self, connection: _Connection) -> None:
        if connection not in self._open or not connection.client.is_connected:
            self._abort(connection)
        elif connection.mails >= _MAILS_PER_CONNECTION:
            self._bid_farewell(connection)
        else:
            loop = asyncio.get_running_loop()
            connection.idle_since = loop.time()
            self._idle.append(connection)
            loop.call_later(self._deadlines.idle, self._retire, connection)

    def _retire(self, connection: _Connection) -> None:
        rested = asyncio.get_running_loop().time() - connection.idle_since
        if connection in self._idle and rested >= self._deadlines.idle:
            self._idle.remove(connection)
            self._bid_farewell(connection)

    def _bid_farewell(self, connection: _Connection) -> None:
        task = asyncio.get_running_loop().create_task(self._quit(connection))
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)

    async def _quit(self, connection: _Connection) -> None:
        """QUIT; the mail is safe already, so whatever it answers is nothing to us."""
        try:
            async with asyncio.timeout(_FAREWELL):
                await connection.client.quit()
        except (aiosmtplib.SMTPException, OSError):
            pass
        finally:
            self._abort(connection)

    def _abort(self, connection: _Connection) -> None:
        self._open.discard(connection)
        connection.client.close()

    def _abort_all(self) -> None:
        self._idle.clear()
        for connection in tuple(self._open):
            self._abort(connection)

    async def _shut(self) -> None:
        idle, self._idle = self._idle, []
        await asyncio.gather(*(self._quit(connection) for connection in idle))
        self._abort_all()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0)  # for the sockets to be closed

    async def _check(self) -> delivery.Outage | None:
        self._closed_until = 0.0
        connection = await self._connect()
        if not isinstance(connection, _Connection):
            return connection
        self._up()
        await self._quit(connection)
        return None

    # The relay's own state, said once per change

    def _down(self, outage: delivery.Outage) -> delivery.Outage:
        if not self.waits():  # connections that failed together are one failure
            doubled = min(max(self._pause * 2, self._pauses.first), self._pauses.longest)
            self._pause = self._pauses.longest if isinstance(outage, RelayRefusedUs) else doubled
            self._closed_until = time.monotonic() + self._pause
        if self._outage is None or type(self._outage) is not type(outage):
            tell = log.error if isinstance(outage, RelayRefusedUs) else log.warning
            tell("relay_down", relay=self.name, reason=outage.reason, retry_in=f"{self._pause:g}s")
        self._outage = outage
        return outage

    def _up(self) -> None:
        if self._outage:
            log.event("relay_up", relay=self.name)
        self._outage, self._pause, self._closed_until = None, 0.0, 0.0


def _options(client: aiosmtplib.SMTP, envelope: Envelope) -> list[str]:
    options = [f"SIZE={envelope.size}"] if envelope.size and client.supports_extension("size") else []
    return [*options, "BODY=8BITMIME"] if envelope.eight_bit and client.supports_extension("8bitmime") else options


def _flaw(address: str) -> str:
    if not address.isascii():
        return "an address with non-ASCII characters cannot be written to"
    return "" if address.isprintable() and not re.search(r'[\s<>"]', address) else "not an address"


def _on_the_wire(body: bytes) -> bytes:
    """The mail as DATA wants it (RFC 5321 §4.5.2): every line ends CR LF, leading dots doubled, a dot at the end."""
    lines = _LINE_END.sub(b"\r\n", body)
    if not lines.endswith(b"\r\n"):
        lines += b"\r\n"
    return _LEADING_DOT.sub(b"..", lines) + b".\r\n"


def _answer(code: int, text: str, given: bool) -> delivery.Answer:
    status = _status(code, text)
    if 400 <= code < 500:
        return Deferred(status)
    if 500 <= code < 600:
        return Refused(status)
    if not given:
        return Deferred(f"the relay answered DATA with {status}")
    return Sent(status) if 200 <= code < 300 else Uncertain(f"the relay answered the mail with {status}")


def _status(code: int, text: str) -> str:
    return f"{code} {_printable(text)}".strip()


def _told(error: Exception) -> str:
    """An error in one line, with the fix where it is known."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _status(error.code, error.message)
    text = _printable(str(error)) or "no answer in time"
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return f"{text}: the relay's certificate must be valid for [smtp] host; a private CA is named by SSL_CERT_FILE"
    return text


def _printable(text: str) -> str:
    """A server's words fit for a log line and for any database: one line, nothing invisible, at most 300 characters."""
    return "".join(character if character.isprintable() else " " for character in text)[:300].strip()
