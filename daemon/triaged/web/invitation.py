"""The pages of an invitation's link (rows C5, N7). GET and HEAD change nothing and mail nothing, however often; what a
form does needs the browser that was shown it, and the code needs the recipient's mailbox.
"""

from http import HTTPStatus

from starlette.responses import Response

from triaged.domain.sign_in import Tried
from triaged.web.answer import Web
from triaged.web.visit import Visit
from triaged.workflows import portal as stories
from triaged.workflows.portal import Asked, Link, LinkState, SignedIn

_AROUND_A_LINK = ".,;:!?()<>[]{}'\"*"  # what mail programs and people leave at the ends of a copied link


def show(web: Web, visit: Visit, token: str) -> Response:
    """GET /i/{token}"""
    if web.gate.misses.empty(visit.client):
        return _busy(web, visit)
    link = stories.open_link(web.portal, _bare(token), visit.now)
    if link.state is LinkState.OPEN:
        return _form(web, visit, token, link)
    return _ended(web, visit, token, link)


def ask(web: Web, visit: Visit, token: str) -> Response:
    """POST /i/{token}/code"""
    if not web.gate.codes.take(visit.client):
        return _busy(web, visit)
    typed, locale = visit.form.get("address", ""), web.locale(visit)
    asked = stories.ask_to_accept(web.portal, _bare(token), typed, visit.browser, locale, visit.now)
    if isinstance(asked, Link):
        return _ended(web, visit, token, asked)
    if isinstance(asked, Asked) and asked.again_at is None:
        return web.to(f"/i/{_bare(token)}/accept")
    link = stories.open_link(web.portal, _bare(token), visit.now)
    if isinstance(asked, Asked):
        return too_often(web, visit, asked, link.timezone, f"{web.base}/i/{_bare(token)}/accept")
    return _form(web, visit, token, link, typed, asked.value)


def code(web: Web, visit: Visit, token: str) -> Response:
    """GET /i/{token}/accept"""
    address = stories.asked_here(web.portal, _bare(token), visit.browser, visit.now)
    return _code(web, visit, token, address, "") if address else web.to(f"/i/{_bare(token)}")


def accept(web: Web, visit: Visit, token: str) -> Response:
    """POST /i/{token}/accept"""
    typed = visit.form.get("code", "")
    done = stories.accept(web.portal, _bare(token), typed, visit.browser, visit.now)
    if isinstance(done, SignedIn):
        return web.to("/contracts", done.cookie)
    if isinstance(done, Link):
        return _ended(web, visit, token, done)
    address = stories.asked_here(web.portal, _bare(token), visit.browser, visit.now)
    return _code(web, visit, token, address, done)


def too_often(web: Web, visit: Visit, asked: Asked, timezone: str, back: str) -> Response:
    """One code too many, and when the next may be asked for."""
    assert asked.again_at is not None  # that is what makes it one too many
    minutes = max(1, -int((visit.now - asked.again_at).total_seconds() // 60))
    response = web.message(
        visit,
        "too_often",
        HTTPStatus.TOO_MANY_REQUESTS,
        again_at=asked.again_at,
        minutes=minutes,
        timezone=timezone or "UTC",
        back=back,
    )
    response.headers["retry-after"] = str(minutes * 60)
    return response


def _form(web: Web, visit: Visit, token: str, link: Link, typed: str = "", problem: str = "") -> Response:
    here = f"{web.base}/i/{_bare(token)}"
    status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
    values = {"link": link, "action": f"{here}/code", "typed": typed, "problem": problem}
    return web.page(visit, "invitation", status, locale=link.locale, here=here, **values)


def _code(web: Web, visit: Visit, token: str, address: str, problem: Tried | str) -> Response:
    here = f"{web.base}/i/{_bare(token)}"
    return web.page(
        visit,
        "code",
        HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        here=f"{here}/accept",
        action=f"{here}/accept",
        again=here,
        invitation=True,
        address=address,
        typing=problem in ("", Tried.WRONG),
        problem=str(problem),
    )


def _ended(web: Web, visit: Visit, token: str, link: Link) -> Response:
    if link.state is LinkState.UNKNOWN:
        web.gate.misses.take(visit.client)
        return web.page(visit, "ended", HTTPStatus.NOT_FOUND, link=link)
    if link.state is LinkState.USED and stories.who(web.portal, visit.session, visit.now):
        return web.to("/contracts")
    here = f"{web.base}/i/{_bare(token)}"
    return web.page(visit, "ended", HTTPStatus.GONE, locale=link.locale, here=here, link=link)


def _busy(web: Web, visit: Visit) -> Response:
    return web.message(visit, "busy", HTTPStatus.TOO_MANY_REQUESTS)


def _bare(token: str) -> str:
    return token.strip(_AROUND_A_LINK)
