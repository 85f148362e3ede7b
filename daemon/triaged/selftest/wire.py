"""A TCP proxy that records both ways with times, so that tests watch the wire, and cuts or stalls it as told."""

import asyncio
import contextlib
import re
import time
from dataclasses import dataclass

from triaged.selftest import loops


@dataclass(frozen=True)
class Chunk:
    """What passed at once: when (monotonic), which way, which connection."""

    at: float
    sent: bool  # client → server
    connection: int
    data: bytes


class Wire:
    """Point the client at `port`. Knobs: `cut_after` bytes from the server (per connection); `cut_on` a pattern in what
    the client sends, which is let through first where `let_through`; `stall()`, `heal()`, `cut()`."""

    host = "127.0.0.1"

    def __init__(self, port: int, cut_after: int | None = None) -> None:
        self.chunks: list[Chunk] = []
        self.connections = 0
        self.cut_after = cut_after
        self.cut_on: bytes | None = None
        self.let_through = False
        self._target = port
        self._pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        self._loop = loops.Loop()
        self._open = asyncio.Event()
        self._open.set()
        self.port: int = self._loop.run(self._start())

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        server_reader, server_writer = await asyncio.open_connection(self.host, self._target)
        self._pairs.append((writer, server_writer))
        try:
            await asyncio.gather(
                self._pump(reader, server_writer, number, sent=True),
                self._pump(server_reader, writer, number, sent=False),
            )
        finally:
            writer.close()
            server_writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, *, sent: bool
    ) -> None:
        left = None if sent else self.cut_after
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._open.wait()
                data = data if left is None else data[:left]
                self.chunks.append(Chunk(time.monotonic(), sent, number, data))
                fatal = sent and self.cut_on and re.search(self.cut_on, data)
                if not fatal or self.let_through:
                    writer.write(data)
                    await writer.drain()
                if fatal:
                    await self._cut(server=not self.let_through)
                    break
                if left is not None and (left := left - len(data)) <= 0:
                    break
        writer.close()

    def stall(self) -> None:
        """From now on nothing passes, and nothing is closed: a black hole."""
        self._loop.loop.call_soon_threadsafe(self._open.clear)

    def heal(self) -> None:
        self._loop.loop.call_soon_threadsafe(self._open.set)

    def cut(self) -> None:
        """Close every connection now."""
        self._loop.run(self._cut())

    async def _cut(self, server: bool = True) -> None:
        """Towards the client at once; towards the server, too, unless it is to work on."""
        for client, behind in self._pairs:
            client.transport.abort()
            if server:
                behind.transport.abort()

    def said(self, *, sent: bool = True) -> bytes:
        """Everything that passed one way."""
        return b"".join(chunk.data for chunk in self.chunks if chunk.sent is sent)

    def times(self, pattern: bytes, *, sent: bool = True) -> list[float]:
        """When chunks that match the pattern passed."""
        return [chunk.at for chunk in self.chunks if chunk.sent is sent and re.search(pattern, chunk.data)]

    def stop(self) -> None:
        async def close() -> None:
            self._server.close()
            self._open.set()
            await self._cut()

        self._loop.run(close())
        self._loop.stop()
