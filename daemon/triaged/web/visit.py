"""What one request says: who asks (cookies, address), in which language, and the form that it carries.

Everything is bounded before it is read: a form has at most 16 KiB and twenty fields, and ten seconds to arrive.
"""

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

LARGEST_FORM = 16 * 1024
_FIELDS = 20
_PATIENCE = 10.0  # seconds for a form to arrive
_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")
_LANGUAGE = re.compile(r"([A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,3})\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?")
_LANGUAGES = 10


@dataclass(frozen=True, slots=True)
class Names:
    """What our cookies are called: over https with the prefix that ties them to this host alone."""

    browser: str
    session: str
    language: str


def names(secure: bool) -> Names:
    prefix = "__Host-triaged" if secure else "triaged"
    return Names(f"{prefix}-browser", f"{prefix}-session", f"{prefix}-language")


@dataclass(frozen=True, slots=True)
class Visit:
    """One request. `browser` is the browser's own random name, `fresh` when it got it only now; `session` its sign-in;
    `chosen` the language it asked for before or now (`choosing`), `languages` what it prefers."""

    path: str
    client: str
    browser: str
    fresh: bool
    session: str
    chosen: str
    choosing: bool
    languages: tuple[str, ...]
    now: datetime
    form: Mapping[str, str] = field(default_factory=dict)


async def read(request: Request, names: Names, proxies: int, now: datetime) -> Visit:
    """The request with its form. Raises HTTPException for a form that is too large, too slow or none."""
    form = await _form(request) if request.method == "POST" else {}
    return replace(look(request, names, proxies, now), form=form)


def look(request: Request, names: Names, proxies: int, now: datetime) -> Visit:
    """The request without what it carries."""
    browser = request.cookies.get(names.browser, "")
    known = _COOKIE.fullmatch(browser) is not None
    session = request.cookies.get(names.session, "")
    wanted = request.query_params.get("lang", "")
    return Visit(
        path=request.url.path,
        client=client(request, proxies),
        browser=browser if known else secrets.token_urlsafe(32),
        fresh=not known,
        session=session if _COOKIE.fullmatch(session) else "",
        chosen=(wanted or request.cookies.get(names.language, ""))[:16],
        choosing=bool(wanted),
        languages=languages(request.headers.get("accept-language", "")),
        now=now,
    )


async def _form(request: Request) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    try:
        async with asyncio.timeout(_PATIENCE):
            body = await _body(request)
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict")
    except (TimeoutError, ClientDisconnect) as error:
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from error
    except ValueError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST) from error
    return dict(reversed(pairs))  # of a field named twice the first counts


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return bytes(body)


def client(request: Request, proxies: int) -> str:
    """Whom limits count: the address that the outermost of our own proxies saw; what stands before it in
    X-Forwarded-For may be anybody's invention. IPv6 by the network that one customer is given (/64)."""
    peer = request.client.host if request.client else ""
    if proxies:
        seen = [part.strip() for part in ",".join(request.headers.getlist("x-forwarded-for")).split(",")]
        peer = seen[-min(proxies, len(seen))] or peer
    return ":".join(peer.split(":")[:4]) if peer.count(":") > 1 else peer[:64]


def languages(header: str) -> tuple[str, ...]:
    """Accept-Language, the dearest first."""
    found = [_LANGUAGE.fullmatch(part.strip()) for part in header.split(",", _LANGUAGES)[:_LANGUAGES]]
    weighed = [(float(match[2] or 1), match[1]) for match in found if match]
    return tuple(tag for weight, tag in sorted(weighed, key=lambda one: -one[0]) if weight > 0)
