"""pymap in a thread: a real IMAP server from the package registry alone (IDLE, MOVE, UIDPLUS; no own keywords)."""

import argparse
import asyncio
import ssl
from datetime import datetime

from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import Config, Identity, Login
from pymap.backend.dict.filter import FilterSet
from pymap.backend.dict.mailbox import MailboxData, MailboxSet
from pymap.concurrent import Subsystem
from pymap.imap import IMAPServer
from pymap.parsing.message import AppendMessage
from pymap.user import UserMetadata
from pysasl.hashing import Cleartext
from tests.servers import accounts

from triaged.selftest import loops


class Pymap:
    """Users are made by `mailbox()`; mails go straight into memory by `deliver`."""

    name = "pymap"
    keeps_keywords = False

    def __init__(self, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None) -> None:
        self._loop = loops.Loop()
        self._security = "tls" if tls else "starttls" if starttls else "none"
        args = argparse.Namespace(passlib_cfg=None, proxy_protocol=None)
        self._config = Config(
            args,
            host="127.0.0.1",
            port=0,
            demo_data=False,
            demo_user="",
            demo_password="",
            hash_context=Cleartext(),
            cpu_subsystem=Subsystem.for_asyncio(),
            invalid_user_sleep=0.0,
            reject_dnsbl=False,
            tls_enabled=starttls is not None,
            ssl_context=starttls or ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        )
        self._login = Login(self._config)
        self.connections = 0
        self.port: int = self._loop.run(self._start(tls))

    async def _start(self, tls: ssl.SSLContext | None) -> int:
        self._config.apply_context()
        serve = ProxyProtocolReader(self._config.proxy_protocol).get_callback(IMAPServer(self._login, self._config))

        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            await serve(reader, writer)

        self._server = await asyncio.start_server(count, "127.0.0.1", 0, ssl=tls)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def mailbox(self, **changes: object) -> accounts.Mailbox:
        """The settings of a new, empty mailbox."""
        user = accounts.new_name()
        self._loop.run(self._add(user))
        known = {"name": user, "port": self.port, "username": user, "security": self._security}
        return accounts.Mailbox(**{**known, **changes})  # type: ignore[arg-type]  # a test's own keywords

    async def _add(self, user: str) -> None:
        identity = Identity(user, self._login, None, frozenset())
        await identity.set(UserMetadata(self._config, user, password="secret"))
        self._config.set_cache[user] = (MailboxSet(), FilterSet())

    def empty(self, mailbox: accounts.Mailbox) -> None:
        """The mailbox as on its first day."""

        async def forget() -> None:
            self._config.set_cache[mailbox.username] = (MailboxSet(), FilterSet())

        self._loop.run(forget())

    def deliver(self, mailbox: accounts.Mailbox, *mails: bytes, at: datetime | None = None) -> None:
        """Put mails into INBOX; `at` is their INTERNALDATE."""
        self._loop.run(self._deliver(mailbox.username, mails, at))

    async def _deliver(self, user: str, mails: tuple[bytes, ...], at: datetime | None) -> None:
        inbox = await self._folder(user, "INBOX")
        for mail in mails:
            await inbox.append(AppendMessage(mail, at, frozenset()))

    async def _folder(self, user: str, folder: str) -> MailboxData:
        return await self._config.set_cache[user][0].get_mailbox(folder)

    def mails(self, mailbox: accounts.Mailbox, folder: str = "INBOX") -> list[tuple[int, bytes, set[str]]]:
        """(UID, bytes, flags) of what lies in a folder; none where there is no such folder."""
        return self._loop.run(self._mails(mailbox.username, folder))

    async def _mails(self, user: str, folder: str) -> list[tuple[int, bytes, set[str]]]:
        try:
            found = await self._folder(user, folder)
        except KeyError:
            return []
        return [
            (mail.uid, bytes(mail._content), {str(flag) for flag in mail.permanent_flags})
            async for mail in found.messages()
        ]

    def sneak(self, mailbox: accounts.Mailbox, mail: bytes, uid: int) -> None:
        """A mail under a UID that comes late: lower than what the folder has shown."""
        self._loop.run(self._sneak(mailbox.username, mail, uid))

    async def _sneak(self, user: str, mail: bytes, uid: int) -> None:
        inbox = await self._folder(user, "INBOX")
        highest, inbox._max_uid = inbox._max_uid, uid - 1
        await self._deliver(user, (mail,), None)
        inbox._max_uid = highest

    def renumber(self, mailbox: accounts.Mailbox, step: int = 1) -> None:
        """The folder as after a restore: another UIDVALIDITY (`step` more), UIDs from 1."""
        self._loop.run(self._renumber(mailbox.username, step))

    async def _renumber(self, user: str, step: int) -> None:
        inbox = await self._folder(user, "INBOX")
        contents = [bytes(mail._content) async for mail in inbox.messages()]
        fresh = MailboxSet()
        fresh._inbox._max_uid, fresh._inbox._uid_validity = 0, inbox.uid_validity + step
        self._config.set_cache[user] = (fresh, FilterSet())
        await self._deliver(user, tuple(contents), None)

    def stop(self) -> None:
        async def close() -> None:
            self._server.close()

        self._loop.run(close())
        self._loop.stop()
