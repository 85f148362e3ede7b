"""The two servers of the demo, for real and on loopback: pymap speaks IMAP, aiosmtpd takes what we send.

What is sent is filed into the IMAP mailbox `people`, so that `--stay` can be looked at with any mail program.
"""

import argparse
import asyncio
import ssl
import threading
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, Envelope, Session
from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import Config, Identity, Login
from pymap.backend.dict.filter import FilterSet
from pymap.backend.dict.mailbox import MailboxSet
from pymap.concurrent import Subsystem
from pymap.imap import IMAPServer
from pymap.parsing.message import AppendMessage
from pymap.user import UserMetadata
from pysasl.hashing import Cleartext

_T = TypeVar("_T")
PEOPLE = "people"
PASSWORD = "demo"  # noqa: S105  # on loopback, for as long as the demo runs; it is printed for whoever wants to look


class Servers:
    """Both servers in one thread; `sent` is what the relay took, oldest first."""

    def __init__(self, users: tuple[str, ...]) -> None:
        self.sent: list[bytes] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._loop.set_task_factory(self._held)
        self._thread = threading.Thread(target=self._loop.run_forever, name="demo-servers", daemon=True)
        self._thread.start()
        self._config = _imap_config()
        self._login = Login(self._config)
        self.imap_port, self.smtp_port = self._run(self._start((*users, PEOPLE)))

    def _held(self, loop: asyncio.AbstractEventLoop, step: Any, **options: Any) -> asyncio.Task[Any]:
        """A task that is kept until it is done: pymap's library starts sessions that nobody holds, and Python 3.13
        collects them in the middle of an IDLE."""
        task = asyncio.Task(step, loop=loop, **options)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _start(self, users: tuple[str, ...]) -> tuple[int, int]:
        self._config.apply_context()
        for user in users:
            identity = Identity(user, self._login, None, frozenset())
            await identity.set(UserMetadata(self._config, user, password=PASSWORD))
            self._config.set_cache[user] = (MailboxSet(), FilterSet())
        serve = ProxyProtocolReader(self._config.proxy_protocol).get_callback(IMAPServer(self._login, self._config))
        self._imap = await asyncio.start_server(serve, "127.0.0.1", 0)
        self._smtp = await self._loop.create_server(self._session, "127.0.0.1", 0)
        return self._imap.sockets[0].getsockname()[1], self._smtp.sockets[0].getsockname()[1]

    def _session(self) -> SMTP:
        return SMTP(self, hostname="relay.demo", ident="demo", loop=self._loop)

    def deliver(self, user: str, mail: bytes, at: datetime) -> None:
        """A mail arrives in the user's INBOX."""
        self._run(self._append(user, mail, at))

    async def _append(self, user: str, mail: bytes, at: datetime | None) -> None:
        inbox = await self._config.set_cache[user][0].get_mailbox("INBOX")
        await inbox.append(AppendMessage(mail, at, frozenset()))

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """aiosmtpd's hook: keep the mail, and file it where a person can look at it."""
        mail = envelope.original_content
        if not isinstance(mail, bytes):
            return "554 5.6.0 no mail"
        self.sent.append(mail)
        await self._append(PEOPLE, mail, None)
        return "250 2.0.0 Ok: filed"

    def stop(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _close(self) -> None:
        self._imap.close()
        self._smtp.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, step: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(10)


def _imap_config() -> Config:
    return Config(
        argparse.Namespace(passlib_cfg=None, proxy_protocol=None),
        host="127.0.0.1",
        port=0,
        demo_data=False,
        demo_user="",
        demo_password="",
        hash_context=Cleartext(),
        cpu_subsystem=Subsystem.for_asyncio(),
        invalid_user_sleep=0.0,
        reject_dnsbl=False,
        tls_enabled=False,
        ssl_context=ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
    )
