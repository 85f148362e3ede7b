"""The table of pages, and what stands before all of them: the host's name, limits, form tokens, errors.

Pages are plain functions; a few threads run them, so that a slow database never stops the others from being refused.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from triaged import log, settings
from triaged.app import App
from triaged.domain.errors import PermanentError, TransientError
from triaged.web import account, invitation, visit
from triaged.web.answer import Web
from triaged.web.limits import Gate, Limits
from triaged.web.visit import Visit
from triaged.workflows import portal as stories

_THREADS = 8
_RETRY = "30"  # seconds, while the database is away
Page = Callable[..., Response]
T = TypeVar("T")
Clock = Callable[[], datetime]


class NotConfigured(PermanentError):
    """The configuration lacks what pages need."""


def _now() -> datetime:
    return datetime.now(UTC)


def build(app: App, *, clock: Clock = _now, limits: Limits | None = None) -> Starlette:
    """The pages of this installation. Raises NotConfigured where it has no portal."""
    web = _web(app, limits or Limits())
    door = _Door(web, clock, ThreadPoolExecutor(_THREADS, "page"))
    get, post = functools.partial(_route, door, "GET"), functools.partial(_route, door, "POST")
    return Starlette(
        routes=[
            Route("/healthz", door.health, methods=["GET"]),
            Route(f"{web.base}/page.css", door.style, methods=["GET"]),
            get("/i/{token}", invitation.show),
            post("/i/{token}/code", invitation.ask),
            get("/i/{token}/accept", invitation.code),
            post("/i/{token}/accept", invitation.accept),
            get("/", account.home),
            get("/sign-in", account.sign_in, "then"),
            post("/sign-in", account.ask),
            get("/sign-in/code", account.code),
            post("/sign-in/code", account.enter),
            post("/sign-out", account.sign_out),
            get("/contracts", account.contracts),
            get("/people", account.people, "then"),
            post("/people/name", account.name),
            post("/people/remove", account.remove),
        ],
        middleware=[Middleware(_OwnName, public_url=app.settings.service.public_url)],
        exception_handlers={
            HTTPException: door.refused,
            TransientError: door.away,
            Exception: door.broken,
        },
    )


def _web(app: App, limits: Limits) -> Web:
    values = app.settings
    if not values.service.public_url:
        raise NotConfigured('[service] public_url is missing: write where the pages are, like "https://portal.example"')
    if "contracts" not in values.senders or not any(mailbox.desk == "contracts" for mailbox in values.mailboxes):
        raise NotConfigured('no [[mailbox]] has desk = "contracts": the pages belong to that desk')
    return Web(app.portal, app.pages, Gate(limits))


def _route(door: "_Door", method: str, path: str, page: Page, query: str = "") -> Route:
    """`query` names a parameter that the page takes besides those in its path."""
    return Route(door.web.base + path, door.opened(page, query), methods=[method])


class _Door:
    """Every request comes in here and goes to a page in a thread of its own."""

    def __init__(self, web: Web, clock: Clock, threads: ThreadPoolExecutor) -> None:
        self.web, self._clock, self._threads = web, clock, threads

    def opened(self, page: Page, query: str) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            seen = await self._visit(request)
            if request.method == "POST":
                if not self.web.gate.post(seen.client):
                    return await self._in_thread(self.web.message, seen, "busy", HTTPStatus.TOO_MANY_REQUESTS)
                if not self.web.sent_by_us(seen):
                    return await self._in_thread(self.web.message, seen, "form", HTTPStatus.FORBIDDEN)
            asked = [request.query_params.get(query, "")] if query else []
            return await self._in_thread(page, self.web, seen, *request.path_params.values(), *asked)

        return endpoint

    async def health(self, request: Request) -> Response:
        """Whether the pages could be shown now; nothing about what is in them."""
        try:
            await self._in_thread(stories.who, self.web.portal, "x", self._clock())
        except TransientError:
            return self.web.dressed(JSONResponse({"healthy": False}, HTTPStatus.SERVICE_UNAVAILABLE))
        return self.web.dressed(JSONResponse({"healthy": True}))

    async def style(self, request: Request) -> Response:
        """Asked for by a name that changes with it, so that it may be kept."""
        headers = {"cache-control": "public, max-age=86400"}
        return self.web.dressed(Response(self.web.pages.style, media_type="text/css", headers=headers))

    async def refused(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.BAD_REQUEST
        kind = {HTTPStatus.NOT_FOUND: "not_found", HTTPStatus.METHOD_NOT_ALLOWED: "method"}.get(
            HTTPStatus(status), "form"
        )
        response = await self._in_thread(self.web.message, self._seen(request), kind, status)
        if isinstance(error, HTTPException) and error.headers:
            response.headers.update(error.headers)
        return response

    async def away(self, request: Request, error: Exception) -> Response:
        log.error("waiting", job="web", reason=str(error))
        status = HTTPStatus.SERVICE_UNAVAILABLE
        response = await self._in_thread(self.web.message, self._seen(request), "away", status)
        response.headers["retry-after"] = _RETRY
        return response

    async def broken(self, request: Request, error: Exception) -> Response:
        log.error("failed", job="web", reason=error)
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return await self._in_thread(self.web.message, self._seen(request), "broken", status)

    async def _visit(self, request: Request) -> Visit:
        web = self.web
        return await visit.read(request, web.cookies, web.portal.settings.web.proxies, self._clock())

    def _seen(self, request: Request) -> Visit:
        return visit.look(request, self.web.cookies, self.web.portal.settings.web.proxies, self._clock())

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


class _OwnName:
    """Only requests for our own name, or for this machine's loopback, are answered."""

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self._app = app
        self._own = urlsplit(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._ours(Request(scope).headers.get("host", "")):
            refused = PlainTextResponse("There is no page of this name here.\n", HTTPStatus.MISDIRECTED_REQUEST)
            await refused(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _ours(self, host: str) -> bool:
        try:
            asked = urlsplit(f"//{host}")
            port = asked.port
        except ValueError:
            return False
        if not asked.hostname or asked.netloc != host or asked.username is not None:
            return False
        default = 443 if self._own.scheme == "https" else 80
        own = asked.hostname == self._own.hostname and (port or default) == (self._own.port or default)
        return own or settings.is_loopback(asked.hostname)
