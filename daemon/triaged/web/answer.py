"""From a page's name and values to a response: its language, its cookies, and the headers that every answer wears."""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, RedirectResponse, Response

from triaged.adapters.pages import Pages
from triaged.domain import credentials, sign_in
from triaged.web import visit as visits
from triaged.web.limits import Gate
from triaged.web.visit import Visit
from triaged.workflows.portal import Portal

_A_DAY = 86_400
_A_YEAR = 365 * _A_DAY

# Nothing is loaded but our stylesheet, nothing runs, nobody may frame us, and no link tells where it was followed from.
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-robots-tag": "noindex, nofollow, noarchive",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Web:
    """What every page needs."""

    portal: Portal
    pages: Pages
    gate: Gate

    @functools.cached_property
    def secure(self) -> bool:
        return self.portal.settings.service.public_url.startswith("https:")

    @functools.cached_property
    def base(self) -> str:
        """The path of `public_url`, without a slash at its end."""
        return urlsplit(self.portal.settings.service.public_url).path.rstrip("/")

    @functools.cached_property
    def cookies(self) -> visits.Names:
        return visits.names(self.secure)

    @functools.cached_property
    def style_version(self) -> str:
        return hashlib.sha256(self.pages.style.encode()).hexdigest()[:12]

    def locale(self, visit: Visit, invitation: str = "") -> str:
        """The language chosen here before, the invitation's, the browser's, the service's."""
        return self.pages.spoken(*(wish for wish in (visit.chosen, invitation, *visit.languages) if wish))

    def page(
        self,
        visit: Visit,
        name: str,
        status: int = HTTPStatus.OK,
        /,
        *,
        locale: str = "",
        here: str = "",
        **values: Any,
    ) -> Response:
        """`here` is the path under which this page can be asked for again, for the links to other languages; `locale`
        an invitation's."""
        spoken = self.locale(visit, locale)
        frame: Mapping[str, Any] = {
            "base": self.base,
            "brand": self.portal.settings.senders["contracts"].name,
            "contact": self.portal.mailbox.address,
            "style_version": self.style_version,
            "here": here,
            "token_for": functools.partial(self.token_for, visit.browser),
        }
        response = HTMLResponse(self.pages.render(name, spoken, {**frame, **values}), status)
        if visit.fresh:
            self._cookie(response, self.cookies.browser, visit.browser, _A_DAY)
        if visit.choosing or (locale and not visit.chosen):
            self._cookie(response, self.cookies.language, spoken, _A_YEAR)
        return self.dressed(response)

    def message(self, visit: Visit, kind: str, status: int, **values: Any) -> Response:
        """A page that only says something."""
        about = {"again_at": None, "minutes": 0, "timezone": "UTC", "back": ""}
        return self.page(visit, "message", status, kind=kind, **(about | values))

    def to(self, path: str, session: str = "") -> Response:
        """After a form: look there. `session` is the cookie of somebody who has just signed in."""
        response = RedirectResponse(self.base + path, HTTPStatus.SEE_OTHER)
        if session:
            self._cookie(response, self.cookies.session, session, int(sign_in.SIGNED_IN.total_seconds()))
        return self.dressed(response)

    def signed_out(self, path: str) -> Response:
        response = RedirectResponse(self.base + path, HTTPStatus.SEE_OTHER)
        self._cookie(response, self.cookies.session, "", 0)
        return self.dressed(response)

    def token_for(self, browser: str, action: str) -> str:
        """What the form that is sent to `action` carries: worth nothing in another browser or for another form."""
        return credentials.form_token(browser, action, self.portal.post.key)

    def sent_by_us(self, visit: Visit) -> bool:
        """Whether the form came from a page of ours, shown to this very browser."""
        expected = self.token_for(visit.browser, visit.path)
        return not visit.fresh and credentials.same(visit.form.get("form", ""), expected)

    def dressed(self, response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if self.secure:
            response.headers["strict-transport-security"] = f"max-age={_A_YEAR}"
        return response

    def _cookie(self, response: Response, name: str, value: str, seconds: int) -> None:
        """Lax, not Strict: the browser must be known again when somebody comes back by the link in his webmail; forms
        from elsewhere bring it not, and need their token besides."""
        response.set_cookie(name, value, max_age=seconds, path="/", secure=self.secure, httponly=True, samesite="lax")
