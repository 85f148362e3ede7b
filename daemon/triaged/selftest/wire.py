"""A TCP proxy that records both ways with times, so that tests watch the wire, and cuts, stalls, slows, half-closes,
corrupts or refuses it as told."""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable
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
    """Point the client at `port`. Knobs, which may be changed at any time; positions count from 0 in each connection:

    `cut_after` bytes from the server, `cut_after_sent` bytes from the client: so many pass, then both ends are closed;
    `cut_on` a pattern in what the client sends, which is let through first where `let_through`;
    `corrupt_at`, `corrupt_sent_at`: that byte from the server, from the client, arrives with all its bits turned;
    `delay` seconds before anything passes; `dribble` (bytes at once, seconds between), both ways;
    `watch` is asked of every chunk before it passes: True cuts every connection instead; nothing passes meanwhile;
    `recording` keeps chunks; `stall()`, `refuse()` and `heal()`, `half_close()`, `cut()`."""

    host = "127.0.0.1"

    def __init__(self, port: int, cut_after: int | None = None, cut_after_sent: int | None = None) -> None:
        self.chunks: list[Chunk] = []
        self.connections = 0
        self.cut_after = cut_after
        self.cut_after_sent = cut_after_sent
        self.cut_on: bytes | None = None
        self.let_through = False
        self.corrupt_at: int | None = None
        self.corrupt_sent_at: int | None = None
        self.delay = 0.0
        self.dribble: tuple[int, float] | None = None
        self.watch: Callable[[Chunk], bool] | None = None
        self.recording = True
        self._target = port
        self._pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        self._loop = loops.Loop()
        self._open = asyncio.Event()
        self._open.set()
        self.port = 0
        self.port = self._loop.run(self._start())

    async def _start(self) -> int:
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            server_reader, server_writer = await asyncio.open_connection(self.host, self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, server_writer)
        self._pairs.append(pair)
        try:
            await asyncio.gather(
                self._pump(reader, server_writer, number, pair, sent=True),
                self._pump(server_reader, writer, number, pair, sent=False),
            )
        finally:
            self._pairs.remove(pair)
            writer.close()
            server_writer.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        number: int,
        pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        *,
        sent: bool,
    ) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await asyncio.sleep(self.delay)
                await self._open.wait()
                last = self.cut_after_sent if sent else self.cut_after
                data = self._corrupted(data, passed, sent)[: None if last is None else max(0, last - passed)]
                passed += len(data)
                chunk = Chunk(time.monotonic(), sent, number, data)
                if self.recording:
                    self.chunks.append(chunk)
                if self.watch and self.watch(chunk):
                    await self._cut()
                    return
                fatal = sent and self.cut_on and re.search(self.cut_on, data)
                if not fatal or self.let_through:
                    await self._write(writer, data)
                if fatal:
                    await self._cut(server=not self.let_through)
                    return
                if last is not None and passed >= last:
                    for end in pair:  # what has passed arrives, then the end
                        end.close()
                    return
            await self._open.wait()
            writer.write_eof()

    def _corrupted(self, data: bytes, passed: int, sent: bool) -> bytes:
        at = self.corrupt_sent_at if sent else self.corrupt_at
        if at is None or not passed <= at < passed + len(data):
            return data
        changed = bytearray(data)
        changed[at - passed] ^= 0xFF
        return bytes(changed)

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        while data:
            size, pause = self.dribble or (len(data), 0.0)
            writer.write(data[:size])
            await writer.drain()
            data = data[size:]
            if data:
                await asyncio.sleep(pause)
                await self._open.wait()

    def stall(self) -> None:
        """From now on nothing passes, and nothing is closed: a black hole."""
        self._loop.loop.call_soon_threadsafe(self._open.clear)

    def heal(self) -> None:
        """Everything passes again, and connections are taken."""
        self._loop.run(self._heal())

    async def _heal(self) -> None:
        self._open.set()
        if not self._server.is_serving():
            await self._start()

    def refuse(self) -> None:
        """From now on nobody listens here; what is open stays."""

        async def close() -> None:
            self._server.close()

        self._loop.run(close())

    def half_close(self, *, sent: bool) -> None:
        """End one way of every connection: the client's to the server (`sent`), or the server's to the client."""

        async def end() -> None:
            for client, behind in self._pairs:
                with contextlib.suppress(OSError, RuntimeError):
                    (behind if sent else client).write_eof()

        self._loop.run(end())

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
        return b"".join(chunk.data for chunk in list(self.chunks) if chunk.sent is sent)

    def times(self, pattern: bytes, *, sent: bool = True) -> list[float]:
        """When chunks that match the pattern passed."""
        return [chunk.at for chunk in list(self.chunks) if chunk.sent is sent and re.search(pattern, chunk.data)]

    def stop(self) -> None:
        async def close() -> None:
            self._server.close()
            self._open.set()
            await self._cut()
            end = time.monotonic() + 1
            while self._pairs and time.monotonic() < end:  # so that no reader is left for the loop to cancel
                await asyncio.sleep(0.005)

        self._loop.run(close())
        self._loop.stop()
