"""Owing the mails that open the portal: an invitation to one person, a one-time code. Both hold a secret, so their rows
are sealed: subject and recipient now, the bytes when they are claimed (`desks/sealed.py`, DESIGN §4.3).
"""

from collections.abc import Sequence
from datetime import datetime

from triaged.adapters.db import directory, invitations, outbox
from triaged.adapters.db.contract_models import Contract, SignInCode, contract_number
from triaged.adapters.db.contracts import ContractRecord
from triaged.adapters.db.engine import Session
from triaged.desks import correspondence
from triaged.desks.correspondence import Cause, Post
from triaged.domain import invitation, order
from triaged.domain.notices import Facts, Notice, NoticeName
from triaged.mail import addresses, threads
from triaged.settings import Settings

_DESK = "contracts"


def invite(
    session: Session,
    post: Post,
    contract: Contract,
    recipient: str,
    *,
    access: invitation.Access,
    locale: str,
    named_by: str,
    resent: bool,
    now: datetime,
    cause: Cause | None,
    asked_by: str = "",
    rest: correspondence.Rest | None = None,
) -> int:
    """Owe the next invitation of this person and its mail; what was sent before stops working. `cause` is the mail that
    asked for it, None where it came by the pages or `rest` says that the mail before is in doubt. Returns the
    invitation's row."""
    row = invitations.owe(
        session,
        contract,
        recipient,
        access=access,
        locale=locale,
        now=now,
        named_by=named_by,
        resent=resent,
        asked_by=asked_by,
    )
    facts = Facts(
        timezone=contract.timezone,
        desk_name=post.settings.senders[_DESK].name,
        access=access.value,
        named_by=named_by,
        replaces=row.generation > 1,
    )
    notice = Notice(NoticeName.INVITATION, (recipient,), locale, facts, seal=invitations.seal(row.id))
    correspondence.owe(session, post, [notice], "", cause or _asked_for_on_a_page(row.id, contract), now, rest)
    return row.id


def _asked_for_on_a_page(row_id: int, contract: Contract) -> Cause:
    return Cause(
        key=f"invitation{row_id}",
        log_id=f"invitation{row_id}",
        desk=_DESK,
        mailbox=contract.mailbox,
        number=contract_number(contract.id),
        contract_id=contract.id,
    )


def is_person(session: Session, settings: Settings, group: Sequence[ContractRecord], address: str) -> bool:
    """Whether a customer may name this address: one person's, and nobody's who sells to it or who serves it (us)."""
    if order.is_group(address) or addresses.deliverable(address) != address:
        return False
    return not is_sellers(session, settings, group, address)


def is_sellers(session: Session, settings: Settings, group: Sequence[ContractRecord], address: str) -> bool:
    """Whether the address is of the reseller, the distributor, a partner or us: nobody of them is let in (row C4).

    `group` are the customer's contracts. An address at the customer's own domain is never a seller's."""
    domain = address.rpartition("@")[2]
    public = settings.policy.public_mail_domains
    sellers = {party.email for one in group for party in (one.reseller, one.distributor)}
    ours = {one.rpartition("@")[2] for one in settings.house.addresses} | {settings.house.domain}
    if order.within(domain, ours) or address in sellers:
        return True
    if domain in {one.customer_party.email.rpartition("@")[2] for one in group} - set(public):
        return False
    selling = {seller.rpartition("@")[2] for seller in sellers} - set(public)
    return order.within(domain, selling) or bool(directory.claims(session, address, public))


def owe_code(session: Session, post: Post, code: SignInCode, mailbox: str, known: bool, now: datetime) -> None:
    """Owe the mail with this code: at once, and never once the code is too old. `mailbox` is where answers come.

    For an address that nobody `known` has, the same work is done and nothing is owed: time tells nothing either."""
    facts = Facts(
        timezone=code.timezone,
        desk_name=post.settings.senders[_DESK].name,
        expires_at=code.expires_at,
        requested=True,
    )
    letter = correspondence.Letter(
        notice=Notice(NoticeName.SIGN_IN_CODE, (code.address,), code.locale, facts, seal=seal(code.id)),
        desk=_DESK,
        recipient=code.address,
        message_id=threads.message_id("", f"code.{code.id}", post.settings.service.domain, post.key),
        reply_to=mailbox,
        automatic="auto-generated",
    )
    sender = correspondence.envelope_from(post, letter.message_id, mailbox)
    row = _row(letter, correspondence.written(post, letter, now).subject, sender, code, now)
    outbox.put(session, [row] if known else [])


def _row(
    letter: correspondence.Letter, subject: str, envelope_from: str, code: SignInCode, now: datetime
) -> outbox.Owed:
    return outbox.Owed(
        cause=f"code{code.id}",
        log_id=f"code.{code.id}",
        notice=letter.notice.name.value,
        recipient=letter.recipient,
        envelope_from=envelope_from,
        subject=subject,
        message_id=letter.message_id,
        body=None,
        created_at=now,
        due_at=now,
        deadline=now,
        not_after=code.expires_at,
        seal=letter.notice.seal,
    )


def seal(row_id: int) -> str:
    """How an outbox row says which code it carries."""
    return f"code:{row_id}"
