"""What a party of a contract asks for by mail, and whether it may be done (rows C7, C8; INTERFACE §4 "Contract verbs").

`weigh` decides and stores nothing. Every refusal says why; nothing is ever done to a contract that the mail does not
mean beyond doubt.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from triaged.adapters import territories
from triaged.adapters.db import contracts, invitations
from triaged.adapters.db.contract_models import order_number
from triaged.adapters.db.contracts import ContractRecord, Standing
from triaged.adapters.db.engine import Session
from triaged.adapters.db.invitations import InvitationRecord
from triaged.desks import inviting
from triaged.domain import contract as rules
from triaged.domain import invitation as invitation_rules
from triaged.domain import order
from triaged.domain.contract import State
from triaged.domain.invitation import Access
from triaged.domain.request import Asked, Refusal, Verb
from triaged.settings import Settings

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Granted:
    """What will be done. `recipients`: who is invited, with his access; `home`: the contract of the account that a
    resent invitation belongs to, where it is not the one that the mail means."""

    verb: Verb
    contracts: tuple[ContractRecord, ...]
    recipients: tuple[tuple[str, Access], ...] = ()
    named_by: str = ""
    home: ContractRecord | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nothing is done; `contracts` are those that the answer may speak of to this sender."""

    verb: Verb
    refusal: Refusal
    contracts: tuple[ContractRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A request on the desk: who asks, when, for what, and what he is to which contracts. `named` are the numbers of
    the mail that belong to contracts of his."""

    asked: Asked
    verb: Verb
    sender: str
    arrived: datetime
    standings: tuple[Standing, ...]
    named: tuple[str, ...]


def weigh(request: Request, settings: Settings, session: Session) -> Granted | Refused:
    """Which contracts the mail means, and whether this may be done to them."""
    meant = _meant(request)
    if isinstance(meant, Refused):
        return meant
    judge: dict[Verb, Callable[[Request, Sequence[Standing], Settings, Session], Granted | Refused]] = {
        Verb.RESEND_INVITATION: _resend,
        Verb.ADD_PERSON: _add,
        Verb.CANCEL_CONTRACT: _cancel,
        Verb.RESTORE_CONTRACT: _restore,
        Verb.CONTRACT_STATUS: lambda r, m, *_: Granted(r.verb, _records(m)),
    }
    return judge[request.verb](request, meant, settings, session)


def numbers(standing: Standing) -> tuple[str, ...]:
    """By which numbers a mail may name this contract."""
    one = standing.contract
    return (one.po_number, one.number, order_number(one.order_id))


# --- which contracts --------------------------------------------------------------------------------------------------


def _meant(request: Request) -> list[Standing] | Refused:
    """Those that the mail names, else the only one that it can mean."""
    mine = [one for one in request.standings if not one.only_invited or request.verb is Verb.RESEND_INVITATION]
    if request.named:
        wanted = {order.folded(number) for number in request.named}
        named = [one for one in mine if wanted & {order.folded(number) for number in numbers(one)}]
        return named or Refused(request.verb, Refusal.UNKNOWN_CONTRACT)
    if request.asked.numbers:
        return Refused(request.verb, Refusal.UNKNOWN_CONTRACT)
    if not mine:
        return Refused(request.verb, Refusal.NO_CONTRACT)
    if request.verb is Verb.CONTRACT_STATUS:
        return mine
    candidates = [one for one in mine if _fits(one, request)] or mine
    if len({_unit(one, request) for one in candidates}) > 1:
        return Refused(request.verb, Refusal.WHICH_CONTRACT, _records(candidates))
    return candidates


def _unit(standing: Standing, request: Request) -> tuple[object, ...]:
    """What a mail without a number means as one thing: an order, or for people the customer's group."""
    one = standing.contract
    if request.verb in (Verb.RESEND_INVITATION, Verb.ADD_PERSON):
        return (one.customer_id, one.site, one.customer_party.email)
    return (one.order_id,)


def _fits(standing: Standing, request: Request) -> bool:
    state = standing.contract.state
    return state is State.CANCELLED if request.verb is Verb.RESTORE_CONTRACT else state is State.ACTIVE


def _records(standings: Sequence[Standing]) -> tuple[ContractRecord, ...]:
    return tuple(one.contract for one in standings)


# --- whether it may be done -------------------------------------------------------------------------------------------


def _resend(request: Request, meant: Sequence[Standing], _settings: Settings, session: Session) -> Granted | Refused:
    """To the same address as before, never after acceptance, at most three times a day (rows C5, C7)."""
    active = [one for one in meant if one.contract.state is State.ACTIVE]
    if not active:
        return Refused(request.verb, Refusal.NOT_IN_FORCE, _records(meant))
    standing = active[-1]
    recipient, access = _invited(standing, request)
    if not recipient:
        return Refused(request.verb, Refusal.NOT_ALLOWED)
    known = _known(session, standing.contract, recipient)
    latest = known[-1] if known else None
    about = standing.contract
    if any(one.state is invitation_rules.State.ACCEPTED for one in known):
        return Refused(request.verb, Refusal.ALREADY_ACCEPTED, (about,))
    if latest is not None and latest.state is invitation_rules.State.REVOKED:
        return Refused(request.verb, Refusal.NOT_ALLOWED)
    resent = [one for one in known if one.resent and one.created_at > request.arrived - _DAY]
    if len(resent) >= invitation_rules.RESENDS_A_DAY:
        return Refused(request.verb, Refusal.TOO_OFTEN, (about,))
    if latest is None:
        return Granted(request.verb, (about,), ((recipient, access),))
    home = contracts.one(session, latest.contract_id)
    return Granted(request.verb, (about,), ((recipient, latest.access),), latest.named_by, home)


def _known(session: Session, about: ContractRecord, person: str) -> list[InvitationRecord]:
    """What this person was sent for any contract in force of the customer's group, oldest first: one of them lets him
    into all."""
    group = contracts.of_group(session, about.customer_id, about.site)
    ids = {one.id for one in group if one.state is State.ACTIVE}
    return [one for one in invitations.listed(session, recipient=person) if one.contract_id in ids]


def _invited(standing: Standing, request: Request) -> tuple[str, Access]:
    """Whose invitation it is: the customer's, or the one that a person named by the customer asks for himself."""
    if standing.invited and not standing.accepted:
        return request.sender, Access.READER
    if standing.roles or standing.placed or standing.access is Access.ADMIN:
        return standing.contract.customer_party.email, Access.ADMIN
    return (request.sender, Access.READER) if standing.invited else ("", Access.READER)


def _add(request: Request, meant: Sequence[Standing], settings: Settings, session: Session) -> Granted | Refused:
    """By the customer, or an administrator whom it named; read-only unless the mail says more."""
    if not any(one.may_add for one in meant):
        return Refused(request.verb, Refusal.NOT_ALLOWED)
    active = [one for one in meant if one.contract.state is State.ACTIVE and one.may_add]
    if not active:
        return Refused(request.verb, Refusal.NOT_IN_FORCE, _records(meant))
    about = active[-1].contract
    people = [(person, access) for person, access in request.asked.people if person != about.customer_party.email]
    if not request.asked.people:
        return Refused(request.verb, Refusal.NO_PERSON, (about,))
    group = contracts.of_group(session, about.customer_id, about.site)
    if any(not inviting.is_person(session, settings, group, person) for person, _access in people):
        return Refused(request.verb, Refusal.NOT_A_PERSON, (about,))
    new = tuple((person, access) for person, access in people if not _has(session, about, person))
    if not new:
        return Refused(request.verb, Refusal.ALREADY_THERE, (about,))
    return Granted(request.verb, (about,), new, request.sender)


def _has(session: Session, about: ContractRecord, person: str) -> bool:
    wanted = (*invitation_rules.LIVE, invitation_rules.State.ACCEPTED)
    return any(one.state in wanted for one in _known(session, about, person))


def _cancel(request: Request, meant: Sequence[Standing], _settings: Settings, _session: Session) -> Granted | Refused:
    """By the customer or who placed the order, within 30 days of the purchase by the customer's calendar (row C8)."""
    if not all(one.may_cancel for one in meant):
        return Refused(request.verb, Refusal.NOT_ALLOWED)
    active = [one for one in meant if one.contract.state is State.ACTIVE]
    if not active:
        cancelled = any(one.contract.state is State.CANCELLED for one in meant)
        refusal = Refusal.ALREADY_CANCELLED if cancelled else Refusal.NOT_IN_FORCE
        return Refused(request.verb, refusal, _records(meant))
    late = [one for one in active if today(one.contract, request.arrived) > one.contract.cancellable_until]
    if late:
        return Refused(request.verb, Refusal.TOO_LATE, _records(late))
    return Granted(request.verb, _records(active))


def today(one: ContractRecord, moment: datetime) -> date:
    """The day of an instant in the customer's country; of several zones in the one where it ends last."""
    return rules.day_of(moment, ZoneInfo(territories.last_zone_of(one.country) or one.timezone))


def _restore(request: Request, meant: Sequence[Standing], _settings: Settings, _session: Session) -> Granted | Refused:
    """Within 24 h of the cancellation, by whoever may cancel."""
    if not all(one.may_cancel for one in meant):
        return Refused(request.verb, Refusal.NOT_ALLOWED)
    cancelled = [one for one in meant if one.contract.state is State.CANCELLED]
    if not cancelled:
        return Refused(request.verb, Refusal.NOT_CANCELLED, _records(meant))
    if any(not undoable(one.contract, request.arrived) for one in cancelled):
        return Refused(request.verb, Refusal.UNDO_OVER, _records(cancelled))
    return Granted(request.verb, _records(cancelled))


def undoable(one: ContractRecord, moment: datetime) -> bool:
    """Whether its cancellation can be taken back at this instant."""
    return one.cancelled_at is not None and moment <= one.cancelled_at + rules.UNDO
