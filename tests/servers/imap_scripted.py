"""A minimal IMAP server that answers as a test tells it: for what no honest server does."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tests.servers import accounts

from triaged.selftest import loops

Speak = Callable[[asyncio.StreamWriter, str], Coroutine[Any, Any, None]]

_CAPABILITIES = "IMAP4rev1 IDLE MOVE UIDPLUS"
_HONEST: dict[str, str] = {
    "CAPABILITY": "* CAPABILITY {capabilities}\r\n{tag} OK done\r\n",
    "LOGIN": "{tag} OK [CAPABILITY {capabilities}] in\r\n",
    "SELECT": "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 6] ok\r\n"
    "* OK [PERMANENTFLAGS (\\Deleted \\Seen)] ok\r\n{tag} OK [READ-WRITE] open\r\n",
    "LIST": '* LIST () "/" "Processed"\r\n{tag} OK done\r\n',
    "LOGOUT": "* BYE\r\n{tag} OK bye\r\n",
    "": "{tag} OK done\r\n",
}


def saying(text: str) -> Speak:
    """Says this, then closes the connection; without text the connection just ends."""

    async def speak(writer: asyncio.StreamWriter, tag: str) -> None:
        writer.write(text.replace("{tag}", tag).encode())
        await writer.drain()
        writer.close()

    return speak


class Scripted:
    """`answers`: the longest matching beginning of a command (without tag) -> text with {tag}, or a coroutine function
    (writer, tag). What is not told is answered honestly and emptily. `once` comes first and each is used up: a server
    that misbehaves a single time. `commands` is what was said."""

    def __init__(self, answers: dict[str, str | Speak] | None = None, capabilities: str = _CAPABILITIES) -> None:
        self.answers: dict[str, str | Speak] = {**_HONEST, **(answers or {})}
        self.once: dict[str, str | Speak] = {}
        self.commands: list[str] = []
        self.connections = 0
        self._capabilities = capabilities
        self._loop = loops.Loop()
        self.port: int = self._loop.run(self._start())

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def mailbox(self, **changes: object) -> accounts.Mailbox:
        return accounts.Mailbox(**{"port": self.port, **changes})  # type: ignore[arg-type]  # a test's own keywords

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._speak(writer, "GREETING", "", self.answers.get("GREETING", "* OK ready\r\n"))
            tag = ""
            while line := (await reader.readline()).decode():
                if line != "DONE\r\n":  # it ends IDLE, and is answered with the tag of that
                    tag = line.partition(" ")[0].rstrip()
                command = line.rstrip("\r\n").partition(" ")[2]
                self.commands.append(command or line.rstrip())
                await self._speak(writer, command, tag, self._answer(command))
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _answer(self, command: str) -> str | Speak:
        for start in self.once:
            if command.upper().startswith(start):
                return self.once.pop(start)
        return self.answers[max((start for start in self.answers if command.upper().startswith(start)), key=len)]

    async def _speak(self, writer: asyncio.StreamWriter, command: str, tag: str, answer: str | Speak) -> None:
        if callable(answer):
            await answer(writer, tag)
        else:
            writer.write(answer.replace("{tag}", tag).replace("{capabilities}", self._capabilities).encode())
        await writer.drain()

    def stop(self) -> None:
        async def close() -> None:
            self._server.close()

        self._loop.run(close())
        self._loop.stop()
