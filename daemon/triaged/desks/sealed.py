"""Mails that hold a secret: an invitation's link, a one-time code. Their bytes are made when they are claimed for
sending, and never kept (DESIGN §4.3).

A mail of which nobody knows whether it arrived is not sent again: its link is replaced by a new mail's.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from triaged.adapters.db import contracts, invitations, outbox
from triaged.adapters.db.contract_models import SignInCode
from triaged.adapters.db.engine import Session
from triaged.adapters.db.outbox import Claimed
from triaged.desks import correspondence, inviting, letters
from triaged.desks.case import Desk
from triaged.domain import contract, credentials
from triaged.domain.errors import PermanentError
from triaged.domain.invitation import State
from triaged.domain.notices import Facts, Notice, NoticeName
from triaged.mail import compose


@dataclass(frozen=True, slots=True)
class Renewal:
    """What becomes of a sealed mail in doubt, for the operator; `alarm`: nothing more happens by itself."""

    fix: str
    alarm: bool = False


class Seals:
    """What deliver asks of sealed rows, each time in its own transaction."""

    def __init__(self, desk: Desk, post: correspondence.Post) -> None:
        self._desk = desk
        self._post = post

    def opened(self, session: Session, row: Claimed, now: datetime) -> bytes | str:
        """The finished mail of a row just claimed, or why it must not go any more.

        Raises PermanentError where it cannot be made."""
        self._able()
        kind, number = _parts(row)
        notice = self._invitation(session, number, now) if kind == "invitation" else self._code(session, number, now)
        if isinstance(notice, str):
            return notice
        letter = correspondence.Letter(
            notice=notice,
            desk="contracts",
            recipient=row.recipient,
            message_id=row.message_id,
            reply_to=notice.facts.mailbox,
            automatic="auto-generated",
        )
        return compose.build(correspondence.written(self._post, letter, now))

    def sent(self, session: Session, row: Claimed, now: datetime) -> None:
        """The relay took it."""
        kind, number = _parts(row)
        if kind == "invitation":
            invitations.sent(session, number, now)

    def doubted(self, session: Session, row: Claimed, now: datetime, quiet: timedelta) -> Renewal:
        """Nobody knows whether it arrived. A code is simply asked for again; an invitation gets its next generation,
        which rests for `quiet` first; after MOST_DOUBTS mails in a row only a person decides. Raises PermanentError
        where it cannot be made."""
        self._able()
        kind, number = _parts(row)
        if kind != "invitation":
            return Renewal("none needed: whoever waits for the code asks again")
        before = invitations.record(session, number)
        about = contracts.one(session, before.contract_id) if before else None
        if before is None or about is None or before.state is not State.OWED:
            return Renewal("none needed: the invitation is no longer owed")
        if about.state is not contract.State.ACTIVE:
            return Renewal(f"none needed: contract {about.number} is {about.state}")
        if row.doubts >= outbox.MOST_DOUBTS:
            return Renewal(f"ask whether it arrived; if not: triaged invite resend {number}", alarm=True)
        self._renewed(session, before, correspondence.Rest(now + quiet, row.doubts), now)
        return Renewal("none needed: a new mail replaces it after a rest")

    def _renewed(
        self, session: Session, before: invitations.InvitationRecord, rest: correspondence.Rest, now: datetime
    ) -> None:
        inviting.invite(
            session,
            self._post,
            contracts.locked(session, before.contract_id),
            before.recipient,
            access=before.access,
            locale=before.locale,
            named_by=before.named_by,
            resent=False,
            now=now,
            cause=None,
            rest=rest,
        )

    def _invitation(self, session: Session, number: int, now: datetime) -> Notice | str:
        settings = self._desk.settings
        row = invitations.claimed(session, number, now, settings.catalogue.invitation_valid)
        about = contracts.one(session, row.contract_id) if row else None
        if row is None or about is None:
            return "the invitation is no longer owed: it was revoked, replaced or accepted, or is over"
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
            mailbox=self._mailbox(session, row),
            desk_name=self._desk.settings.senders["contracts"].name,
            portal=letters.portal(self._desk.settings),
            code=credentials.code(row.id, row.nonce, self._desk.key),
            expires_at=row.expires_at,
        )
        return Notice(NoticeName.SIGN_IN_CODE, (row.address,), row.locale, facts)

    def _mailbox(self, session: Session, code: SignInCode) -> str:
        """Where answers to a code come: the mailbox of the contract that it opens, else the desk's first."""
        settings = self._desk.settings
        invited = invitations.record(session, code.invitation_id) if code.invitation_id else None
        about = contracts.one(session, invited.contract_id) if invited else None
        if about is not None:
            return letters.place_of(about, settings).mailbox.address
        return correspondence.mailbox_of(settings, "contracts", "", "")

    def _able(self) -> None:
        if "contracts" not in self._desk.settings.senders:
            raise PermanentError("[senders.contracts] is configured no more: write it again, then retry this mail")


def _parts(row: Claimed) -> tuple[str, int]:
    kind, _colon, number = (row.seal or "").partition(":")
    return kind, int(number)
