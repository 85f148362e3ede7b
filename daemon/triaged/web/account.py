"""The pages of somebody who was here before: sign-in by a mailed code, service orders, people (rows C10, C15)."""

from http import HTTPStatus

from starlette.responses import Response

from triaged.domain.invitation import Access
from triaged.domain.sign_in import Tried
from triaged.web import invitation
from triaged.web.answer import Web
from triaged.web.visit import Visit
from triaged.workflows import portal as stories
from triaged.workflows.portal import Asked, Change, SignedIn

_NOTICES = ("signed_out", "first")


def home(web: Web, visit: Visit) -> Response:
    """GET /"""
    return web.to("/contracts" if stories.who(web.portal, visit.session, visit.now) else "/sign-in")


def sign_in(web: Web, visit: Visit, notice: str = "") -> Response:
    """GET /sign-in"""
    if stories.who(web.portal, visit.session, visit.now):
        return web.to("/contracts")
    return _address(web, visit, notice=notice if notice in _NOTICES else "")


def ask(web: Web, visit: Visit) -> Response:
    """POST /sign-in"""
    if not web.gate.codes.take(visit.client):
        return web.message(visit, "busy", HTTPStatus.TOO_MANY_REQUESTS)
    typed = visit.form.get("address", "")
    asked = stories.ask_to_sign_in(web.portal, typed, visit.browser, web.locale(visit), visit.now)
    if not isinstance(asked, Asked):
        return _address(web, visit, typed, asked.value)
    if asked.again_at is not None:
        return invitation.too_often(web, visit, asked, "UTC", f"{web.base}/sign-in/code")
    return web.to("/sign-in/code")


def code(web: Web, visit: Visit) -> Response:
    """GET /sign-in/code"""
    address = stories.asked_here(web.portal, "", visit.browser, visit.now)
    return _code(web, visit, address, "") if address else web.to("/sign-in")


def enter(web: Web, visit: Visit) -> Response:
    """POST /sign-in/code"""
    done = stories.sign_in_with(web.portal, visit.form.get("code", ""), visit.browser, visit.now)
    if isinstance(done, SignedIn):
        return web.to("/contracts", done.cookie)
    return _code(web, visit, stories.asked_here(web.portal, "", visit.browser, visit.now), done)


def sign_out(web: Web, visit: Visit) -> Response:
    """POST /sign-out"""
    stories.sign_out(web.portal, visit.session)
    return web.signed_out("/sign-in?then=signed_out")


def contracts(web: Web, visit: Visit) -> Response:
    """GET /contracts"""
    account = stories.account(web.portal, visit.session, visit.now)
    if account is None:
        return web.to("/sign-in?then=first")
    here = f"{web.base}/contracts"
    return web.page(visit, "contracts", here=here, account=account, current="contracts")


def people(web: Web, visit: Visit, then: str = "") -> Response:
    """GET /people"""
    done = next((change for change in stories.DONE if change == then), None)
    return _people(web, visit, done)


def name(web: Web, visit: Visit) -> Response:
    """POST /people/name"""
    access = Access.ADMIN if visit.form.get("access") == Access.ADMIN else Access.READER
    group, typed = _number(visit.form.get("group", "")), visit.form.get("address", "")
    change = stories.name(web.portal, visit.session, group, typed, access, web.locale(visit), visit.now)
    return _changed(web, visit, change)


def remove(web: Web, visit: Visit) -> Response:
    """POST /people/remove"""
    group, typed = _number(visit.form.get("group", "")), visit.form.get("address", "")
    return _changed(web, visit, stories.remove(web.portal, visit.session, group, typed, visit.now))


def _changed(web: Web, visit: Visit, change: Change) -> Response:
    """What was done is told on a page that can be loaded again without doing it again."""
    return web.to(f"/people?then={change}") if change in stories.DONE else _people(web, visit, change)


def _people(web: Web, visit: Visit, change: Change | None) -> Response:
    account = stories.teams(web.portal, visit.session, visit.now)
    if account is None:  # signed out meanwhile, or took himself out
        return web.to("/sign-in?then=first")
    done = change in stories.DONE
    return web.page(
        visit,
        "people",
        HTTPStatus.OK if change is None or done else HTTPStatus.UNPROCESSABLE_ENTITY,
        here=f"{web.base}/people",
        account=account,
        current="people",
        change=change,
        done=done,
        person="" if done else visit.form.get("address", "").strip(),
        group=_number(visit.form.get("group", "")),
    )


def _address(web: Web, visit: Visit, typed: str = "", problem: str = "", notice: str = "") -> Response:
    here = f"{web.base}/sign-in"
    status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
    values = {"action": here, "typed": typed, "problem": problem, "notice": notice}
    return web.page(visit, "sign_in", status, here=here, **values)


def _code(web: Web, visit: Visit, address: str, problem: Tried | str) -> Response:
    here = f"{web.base}/sign-in/code"
    return web.page(
        visit,
        "code",
        HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        here=here,
        action=here,
        again=f"{web.base}/sign-in",
        invitation=False,
        address=address,
        typing=problem in ("", Tried.WRONG),
        problem=str(problem),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
