"""Mails that hold a secret: an invitation's link, a one-time code. Their bytes are made when they are claimed for
sending, and never kept (DESIGN §4.3).

A mail of which nobody knows whether it arrived is not sent again: its link is replaced by a new mail's.
"""

from datetime import datetime

from triaged.adapters.db import contracts, invitations
from triaged.adapters.db.contract_models import SignInCode
from triaged.adapters.db.engine import Session
from triaged.adapters.db.outbox import Claimed
from triaged.desks import correspondence, inviting, letters
from triaged.desks.case import Desk
from triaged.domain import contract, credentials
from triaged.domain.invitation import State
from triaged.domain.notices import Facts, Notice, NoticeName
from triaged.mail import compose


class Seals:
    """What deliver asks of sealed rows, each time in its own transaction."""

    def __init__(self, desk: Desk, post: correspondence.Post) -> None:
        self._desk = desk
        self._post = post

    def opened(self, session: Session, row: Claimed, now: datetime) -> bytes | str:
        """The finished mail of a row just claimed, or why it must not go any more."""
        kind, number = _parts(row)
        notice = self._invitation(session, number, now) if kind == "invitation" else self._code(session, number, now)
        if isinstance(notice, str):
            return notice
        letter = correspondence.Letter(
            notice=notice,
            desk="contracts",
            recipient=row.recipient,
            message_id=row.message_id,
            reply_to=row.envelope_from,
            automatic="auto-generated",
        )
        return compose.build(correspondence.written(self._post, letter, now))

    def sent(self, session: Session, row: Claimed, now: datetime) -> None:
        """The relay took it."""
        kind, number = _parts(row)
        if kind == "invitation":
            invitations.sent(session, number, now)

    def doubted(self, session: Session, row: Claimed, now: datetime) -> None:
        """Nobody knows whether it arrived: an invitation gets its next generation, a code is simply asked for again."""
        kind, number = _parts(row)
        before = invitations.record(session, number) if kind == "invitation" else None
        if before is None or before.state is not State.OWED:
            return
        about = contracts.one(session, before.contract_id)
        assert about is not None  # an invitation refers to it
        if about.state is contract.State.ACTIVE:
            inviting.invite(
                session,
                self._post,
                contracts.locked(session, about.id),
                before.recipient,
                access=before.access,
                locale=before.locale,
                named_by=before.named_by,
                resent=False,
                now=now,
                cause=None,
            )

    def _invitation(self, session: Session, number: int, now: datetime) -> Notice | str:
        settings = self._desk.settings
        row = invitations.claimed(session, number, now, settings.catalogue.invitation_valid)
        about = contracts.one(session, row.contract_id) if row else None
        if row is None or about is None:
            return "the invitation is no longer owed: it was revoked, replaced or accepted"
        if about.state is not contract.State.ACTIVE:
            return f"contract {about.number} is {about.state}"
        return letters.invitation(
            letters.place_of(about, settings),
            settings,
            row.recipient,
            row.locale,
            customer=about.customer,
            link=letters.link(settings, row.id, row.generation, self._desk.key),
            expires_at=row.expires_at,
            replaces=row.generation > 1,
            named_by=row.named_by or "",
            access=row.access,
            requested=row.asked_by == row.recipient,
        )

    def _code(self, session: Session, number: int, now: datetime) -> Notice | str:
        row = session.get(SignInCode, number)
        if row is None or row.used_at is not None or row.expires_at <= now:
            return "the code is over: whoever asked for it asks again"
        facts = Facts(
            timezone=row.timezone,
            desk_name=self._desk.settings.senders["contracts"].name,
            portal=letters.portal(self._desk.settings),
            code=credentials.code(row.id, row.nonce, self._desk.key),
            expires_at=row.expires_at,
        )
        return Notice(NoticeName.SIGN_IN_CODE, (row.address,), row.locale, facts)


def _parts(row: Claimed) -> tuple[str, int]:
    kind, _colon, number = (row.seal or "").partition(":")
    return kind, int(number)
