"""The pages on a port: uvicorn, which this is the only door to. TLS is the work of a proxy in front."""

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType
from urllib.parse import urlsplit

import uvicorn

from triaged import app as composition
from triaged import log, settings
from triaged.app import App
from triaged.domain.errors import PermanentError
from triaged.settings import Settings
from triaged.web import application

_DEFAULT = ("127.0.0.1", 8080)
_BACKLOG = 256
_AT_ONCE = 200  # connections; more are told to come again
_PATIENCE = 15  # seconds that answers under way get when we are to stop


class PortTaken(PermanentError):
    """There is nothing to listen on."""


def place(values: Settings) -> tuple[str, int]:
    """Where to listen: `[web] listen`, else where `public_url` is if that is on this machine, else 127.0.0.1:8080."""
    if values.web.listen:
        return settings.endpoint(values.web.listen)
    public = urlsplit(values.service.public_url)
    if public.scheme == "http" and public.port and public.hostname and settings.is_loopback(public.hostname):
        return public.hostname, public.port
    return _DEFAULT


def serve(app: App, host: str, port: int) -> None:
    """Answer until SIGTERM or SIGINT. Raises PortTaken, and PermanentError for a schema or configuration of others."""
    running = server(application.build(composition.ready(app)))
    with _listening(host, port) as listener, _stopped_by_signals(running):
        log.event("listening", host=host, port=listener.getsockname()[1], pages=app.settings.service.public_url)
        running.run(sockets=[listener])
    log.event("stopped")


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours: uvicorn's own way ends the process by the signal instead of with 0."""
        yield


def server(pages: object) -> uvicorn.Server:
    """uvicorn for these pages; `should_exit` ends it."""
    return _Server(
        uvicorn.Config(
            pages,  # type: ignore[arg-type]  # Starlette is an ASGI application; uvicorn spells the protocol otherwise
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_AT_ONCE,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=_PATIENCE,
            h11_max_incomplete_event_size=16 * 1024,
        )
    )


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise PortTaken(
            f"cannot listen on {host} port {port}: {error.strerror or error}. Is another `triaged web` running? "
            "Stop it, or name another place with --listen HOST:PORT or [web] listen"
        ) from error
    with contextlib.closing(listener):
        yield listener


@contextlib.contextmanager
def _stopped_by_signals(running: uvicorn.Server) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        running.force_exit = running.should_exit  # the second time at once
        running.should_exit = True

    numbers = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
