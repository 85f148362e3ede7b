"""An SMTP relay that does what no honest one does, at the place where a test wants it; what it took stays with it.

Without a library: aiosmtpd neither half-closes, nor drops between two bytes, nor says lines of 8 KB."""

import asyncio
import contextlib
from dataclasses import dataclass, field

from triaged.selftest import loops


@dataclass
class Manners:
    """The next sessions, or mails, misbehave so; each entry is used once, then it behaves.

    `greet` instead of 220, with the connection closed behind it; `answer`: (beginning of a command, answer) where None
    drops the connection instead, `b""` answers nothing, and 421 is followed by the end; `dot`: the same at the end of a
    mail, which is kept where the answer is 2xx, None or empty."""

    greet: list[bytes] = field(default_factory=list)
    answer: list[tuple[str, bytes | None]] = field(default_factory=list)
    dot: list[bytes | None] = field(default_factory=list)
    drop_in_mail: list[int] = field(default_factory=list)  # after so many bytes behind 354, nothing is taken
    half_close_at_dot: int = 0  # for so many mails: taken, our end of the connection closed, no answer


class ScriptedRelay:
    """`taken` is every mail that it took, by recipient: bytes as they were meant (dots unstuffed)."""

    def __init__(self) -> None:
        self.manners = Manners()
        self.taken: list[tuple[str, bytes]] = []
        self.sessions = 0
        self._loop = loops.Loop()
        self.port: int = self._loop.run(self._start())

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.sessions += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            if self.manners.greet:
                writer.write(self.manners.greet.pop(0))
            else:
                writer.write(b"220 scripted.test ESMTP\r\n")
                await self._converse(reader, writer)
            await writer.drain()
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipient = ""
        while line := (await reader.readline()).decode().strip():
            command = line.upper()
            told = self._told(command)
            if told is None:
                writer.transport.abort()
                return
            if told.startswith(b"354"):
                writer.write(told)
                if not await self._mail(reader, writer, recipient):
                    return
                continue
            if command.startswith("RCPT"):
                recipient = line.partition("<")[2].partition(">")[0]
            writer.write(told)
            if command.startswith("QUIT") or told.startswith(b"421"):
                return

    def _told(self, command: str) -> bytes | None:
        for index, (start, answer) in enumerate(self.manners.answer):
            if command.startswith(start):
                del self.manners.answer[index]
                return answer
        if command.startswith("EHLO"):
            return b"250-scripted.test\r\n250-SIZE 10000000\r\n250 8BITMIME\r\n"
        return b"354 go on\r\n" if command == "DATA" else b"250 2.0.0 Ok\r\n"

    async def _mail(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, recipient: str) -> bool:
        """Take a mail; whether the session goes on."""
        await writer.drain()
        if self.manners.drop_in_mail:
            await reader.readexactly(self.manners.drop_in_mail.pop(0))
            writer.transport.abort()
            return False
        content = b""
        while (line := await reader.readline()) != b".\r\n":
            if not line.endswith(b"\r\n"):
                return False  # the client went in the middle: nothing is taken
            content += line[1:] if line.startswith(b".") else line
        answer = self.manners.dot.pop(0) if self.manners.dot else b"250 2.0.0 Ok: queued\r\n"
        if answer is None or answer[:1] in (b"2", b""):
            self.taken.append((recipient, content))
        if self.manners.half_close_at_dot:
            self.manners.half_close_at_dot -= 1
            writer.write_eof()
            await reader.read()
            return False
        if answer is None:
            writer.transport.abort()
            return False
        writer.write(answer)
        return not answer.startswith(b"421")

    def stop(self) -> None:
        async def close() -> None:
            self._server.close()

        self._loop.run(close())
        self._loop.stop()
