"""The contracts desk: what one mail to it means, top to bottom (MISSION C rows, INTERFACE §4).

An order, a request about a contract, or an ordinary ticket. `consider` reads and decides, it stores nothing;
`carry_out` writes what was decided, in the caller's transaction. The first reason that applies wins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from triaged.adapters.db import contracts, invitations, orders
from triaged.adapters.db.contract_models import order_number
from triaged.adapters.db.contracts import ContractRecord, Standing
from triaged.adapters.db.engine import Session
from triaged.desks import answers, aside, case, letters, ordering, placing, replies, requests, triage
from triaged.desks.case import Case, Desk, Mail
from triaged.desks.ordering import Purchase, Weighed
from triaged.desks.placing import Books
from triaged.desks.requests import Granted, Refused, Request
from triaged.domain import contract as contract_rules
from triaged.domain import order, order_form, verbs
from triaged.domain.decision import Decision, Reason, Step, Verdict
from triaged.domain.notices import ContractFacts, Notice, NoticeName
from triaged.domain.order import Draft, Role
from triaged.domain.request import Asked, Verb
from triaged.domain.trust import Rung
from triaged.mail import language, threads

Work = Weighed | Granted | Refused
_ABOUT_ORDERS = (Verb.CANCEL_CONTRACT, Verb.RESTORE_CONTRACT, Verb.RESEND_INVITATION)


@dataclass(frozen=True, slots=True)
class Considered:
    """A decision, and the work behind it where there is more to write than a ticket."""

    decision: Decision
    work: Work | None = None


@dataclass(frozen=True, slots=True)
class _Reading:
    """A mail with what it says and who says it. `completes` is an incomplete order of this party that it answers."""

    one: Case
    draft: Draft
    asked: Asked
    standings: tuple[Standing, ...]
    completes: int | None

    @property
    def is_order(self) -> bool:
        if self.completes:
            return bool(self.draft)
        return order_form.is_order(self.draft) and not self._asks_about_it

    @property
    def _asks_about_it(self) -> bool:
        """A whole form of an order that stands, under the words "please cancel": a request about it, no new order."""
        number = order.folded(self.draft.po_number)
        booked = {order.folded(standing.contract.po_number) for standing in self.standings}
        return self.asked.verb in _ABOUT_ORDERS and number in booked


def consider(mail: Mail, desk: Desk, session: Session) -> Considered:
    """The decision on one mail; nothing is stored."""
    one = case.look_up(replace(mail, evidence=()), desk, session)
    standings = _standings(one, session)
    considered = _considered(one, standings, session)
    return replace(considered, decision=replace(considered.decision, trust=_rung(one, standings)))


def rung(one: Case, session: Session) -> Rung:
    """Where a mail stands on the ladder at this desk: whose address a contract holds is known here, too."""
    return _rung(one, _standings(one, session))


def _rung(one: Case, standings: tuple[Standing, ...]) -> Rung:
    return case.rung(one.mail, one.partner, any(standing.exact for standing in standings))


def _considered(one: Case, standings: tuple[Standing, ...], session: Session) -> Considered:
    known = one.partner is not None or bool(standings)
    put = aside.set_aside(one, registered=one.trusted and known)
    if put:
        return Considered(put)
    reading = _read(one, standings, session)
    return (
        _unvouched(reading, known, session)
        or _order(reading, session)
        or _request(reading, session)
        or _question(reading, session)
    )


def _standings(one: Case, session: Session) -> tuple[Standing, ...]:
    """What the sender is to which contracts; nothing where nobody vouches for From."""
    sender, partner = one.mail.message.sender, one.partner
    if sender is None or not one.trusted:
        return ()
    public = one.desk.settings.policy.public_mail_domains
    domains = [domain for domain in partner.domains if domain not in public] if partner else []
    return tuple(contracts.of_party(session, sender.address, partner.name if partner else "", domains))


def _read(one: Case, standings: tuple[Standing, ...], session: Session) -> _Reading:
    settings, message = one.desk.settings, one.mail.message
    draft = order_form.read(message, settings.order_words)
    asked = verbs.read(message, settings.verb_words, settings.house.addresses)
    completes = _completed(one, draft if asked.verb is None else Draft(), session)
    if completes is not None and draft:
        draft = draft.over(completes.draft)
    return _Reading(one, draft, asked, standings, completes.id if completes else None)


def _completed(one: Case, draft: Draft, session: Session) -> orders.OrderRecord | None:
    """The incomplete order that this mail answers: proved by our Message-ID, or by its number in the subject, or named
    by its PO number beside something else of it; always of the same party."""
    message, desk = one.mail.message, one.desk
    number = threads.ticket_of(message, desk.settings.service.domain, desk.key)
    row = orders.numbered(session, number or threads.number_in_subject(message.subject) or "")
    if row is None and draft.po_number and draft != Draft(po_number=draft.po_number, where=draft.where):
        row = orders.incomplete(session, _placed_by(one), draft.po_number)
    if row is None or row.state != order.State.INCOMPLETE or not one.trusted:
        return None
    return orders.record(row) if row.placed_by == _placed_by(one) else None


def _placed_by(one: Case) -> str:
    sender = one.mail.message.sender
    return one.partner.name if one.partner else (sender.address if sender else "")


# --- who is not vouched for -------------------------------------------------------------------------------------------


def _unvouched(reading: _Reading, known: bool, session: Session) -> Considered | None:
    """From is a claim, and a stranger is no party: both wait for an operator (DESIGN §5)."""
    one = reading.one
    if not one.trusted:
        return _waiting(reading, Reason.UNAUTHENTICATED_SENDER, one.mail.authentication.reason, session)
    if reading.is_order and one.partner is None:
        why = "no registered partner has this address or its domain"
        return _waiting(reading, Reason.UNKNOWN_SENDER, why, session)
    if not known and one.desk.settings.trust.unknown_sender == "review":
        why = "neither a registered partner nor a party of any contract"
        return _waiting(reading, Reason.UNKNOWN_SENDER, why, session)
    if reading.asked.verb and not reading.is_order and not one.mail.authentication.passed:
        why = f"{one.mail.authentication.reason}; contract verbs always need an authenticated sender"
        return _waiting(reading, Reason.UNAUTHENTICATED_SENDER, why, session)
    return None


def _waiting(reading: _Reading, reason: Reason, why: str, session: Session) -> Considered:
    """An order waits as an order, everything else as a ticket; the sender hears that it came."""
    one = reading.one
    decision = replace(aside.review(one, reason, why), missing=())
    if not reading.is_order:
        return Considered(replace(decision, steps=(*decision.steps, *_steps(reading))))
    weighed = ordering.weigh(_purchase(reading), one.desk, session)
    decision = replace(
        decision,
        verdict=Verdict.ORDER,
        severity="",
        problems=weighed.problems,
        warnings=weighed.checked.warnings,
        steps=(*decision.steps, *_steps(reading)),
    )
    return Considered(decision, weighed)


# --- orders -----------------------------------------------------------------------------------------------------------


def _order(reading: _Reading, session: Session) -> Considered | None:
    """A purchase order of a registered partner; one that also asks for something else is still an order."""
    one = reading.one
    if not reading.is_order:
        return None
    weighed = ordering.weigh(_purchase(reading), one.desk, session)
    number = order_number(weighed.completes or weighed.stands or 0) if weighed.completes or weighed.stands else ""
    notices = ordering.notices(weighed, one.desk, session, number)
    if not one.answerable:
        notices = tuple(notice for notice in notices if not _is_answer(notice))
    read = weighed.checked.order
    decision = replace(
        _frame(reading, Verdict.ORDER, weighed.reason),
        service=read.service.value if read else "",
        licences=sum(position.licences for position in read.positions) if read else None,
        problems=weighed.problems,
        warnings=weighed.checked.warnings,
        order=number,
        notices=notices,
        steps=(*_steps(reading), Step("order", _told(weighed))),
    )
    return Considered(decision, weighed)


def _is_answer(notice: Notice) -> bool:
    """Written to the sender of the mail, not to a party of the order: a machine gets none."""
    return notice.name is NoticeName.ORDER_PROBLEMS or notice.facts.repeated


def _purchase(reading: _Reading) -> Purchase:
    one = reading.one
    message = one.mail.message
    return Purchase(
        draft=replace(reading.draft, date=""),  # a mail's date of purchase is its arrival, whatever it says
        sender=one.requester,
        partner=one.partner,
        locale=one.locale,
        mailbox=one.mail.mailbox,
        arrived=one.mail.arrived,
        completes=reading.completes,
        thread_message_id=message.message_id,
    )


def _told(weighed: Weighed) -> str:
    problems = ", ".join(f"{p.field} {p.code}" for p in weighed.problems)
    told = f"PO {weighed.purchase.draft.po_number or '-'} of {weighed.purchase.placed_by}: {problems or 'complete'}"
    if weighed.matched is None:
        return told
    return f"{told}; customer {weighed.matched.name}" + (f" ({weighed.matched.note})" if weighed.matched.note else "")


# --- requests ---------------------------------------------------------------------------------------------------------


def _request(reading: _Reading, session: Session) -> Considered | None:
    one, asked = reading.one, reading.asked
    if asked.verb is None or _for_somebody_else(reading):
        return None
    known = [number for standing in reading.standings for number in requests.numbers(standing)]
    request = Request(
        asked=asked,
        verb=asked.verb,
        sender=one.requester,
        arrived=one.mail.arrived,
        standings=reading.standings,
        named=_named(one, asked, known),
    )
    work = requests.weigh(request, one.desk.settings, session)
    notices = _answers(work, reading, session)
    about = work.contracts
    decision = replace(
        _frame(reading, Verdict.REQUEST, Reason(asked.verb.value)),
        contracts=tuple(contract.number for contract in about),
        refused=work.refusal.value if isinstance(work, Refused) else "",
        notices=notices,
        steps=(*_steps(reading), Step("request", _outcome(work))),
    )
    return Considered(decision, work)


def _for_somebody_else(reading: _Reading) -> bool:
    """ "Could you send the invitation to my colleague, x@… too?": rather a person to add than one's own link again."""
    people = {person for person, _access in reading.asked.people}
    known = {standing.contract.customer_party.email for standing in reading.standings} | {reading.one.requester}
    return reading.asked.verb is Verb.RESEND_INVITATION and bool(people) and not people & known


def _named(one: Case, asked: Asked, known: Sequence[str]) -> tuple[str, ...]:
    """The numbers of the sender's contracts that the mail means, however they are punctuated. What cannot be undone by
    a mistake keeps to the numbers of the very sentence that asks, where it has any."""
    written = {order.folded(number) for number in asked.numbers}
    meant = tuple(number for number in known if order.folded(number) in written)
    if asked.numbers and asked.verb in (Verb.CANCEL_CONTRACT, Verb.RESTORE_CONTRACT):
        return meant
    return (*meant, *verbs.mentions(one.mail.message, known))


def _outcome(work: Granted | Refused) -> str:
    about = ", ".join(contract.number for contract in work.contracts) or "no contract"
    return f"refused: {work.refusal} ({about})" if isinstance(work, Refused) else f"granted: {work.verb} ({about})"


def _answers(work: Granted | Refused, reading: _Reading, session: Session) -> tuple[Notice, ...]:
    """Every mail of a request, before it is carried out."""
    one = reading.one
    settings = one.desk.settings
    invited = tuple(
        letters.invitation(
            letters.place_of(work.contracts[0], settings),
            settings,
            person,
            placing.language(session, work.contracts[0], person),
        )
        for person, _access in (work.recipients if isinstance(work, Granted) else ())
    )
    cancelled: tuple[Notice, ...] = ()
    if isinstance(work, Granted) and work.verb in (Verb.CANCEL_CONTRACT, Verb.RESTORE_CONTRACT):
        until = one.mail.arrived + contract_rules.UNDO if work.verb is Verb.CANCEL_CONTRACT else None
        cancelled = letters.cancelled(work.contracts, session, one.desk, until, one.requester)
    return (*cancelled, *invited, *_reply(work, reading, session, (*cancelled, *invited)))


def _reply(
    work: Granted | Refused, reading: _Reading, session: Session, others: tuple[Notice, ...]
) -> tuple[Notice, ...]:
    """The transcript to whoever asked; at most one mail to him, so none where another is his already."""
    one, settings = reading.one, reading.one.desk.settings
    if not one.answerable or any(one.requester in notice.to for notice in others):
        return ()
    place = letters.place_of(work.contracts[0], settings) if work.contracts else _here(one)
    party = _party(reading)
    shown = tuple(_shown(contract, party, session) for contract in work.contracts)
    if isinstance(work, Refused):
        said = {"cancellable_until": work.contracts[0].cancellable_until} if work.contracts else {}
        return (
            letters.refused(
                place,
                settings,
                one.requester,
                locale_of(reading, work),
                work.verb,
                work.refusal,
                contracts=shown,
                party=party,
                **said,
            ),
        )
    person = ", ".join(person for person, _access in work.recipients) if work.verb is Verb.ADD_PERSON else ""
    given = {access.value for _person, access in work.recipients}
    access = given.pop() if len(given) == 1 else ""  # of several kinds each invitation says its own
    return (
        letters.done(
            place,
            settings,
            one.requester,
            locale_of(reading, work),
            work.verb,
            contracts=shown,
            party=party,
            person=person,
            access=access,
        ),
    )


def _here(one: Case) -> letters.Place:
    return letters.Place(one.mail.mailbox, one.region.timezone)


def _shown(contract: ContractRecord, party: str, session: Session) -> ContractFacts:
    """A contract for whoever asked, with how its customer's invitation stands: the PO number is not the customer's."""
    latest = invitations.latest(session, contract.id, contract.customer_party.email)
    role = Role.CUSTOMER if party == Role.CUSTOMER else None
    return letters.told(contract, role, latest.state.value if latest else "")


def _party(reading: _Reading) -> str:
    """What the sender is, for the mail's words: customer (or a person it named), reseller, distributor, other."""
    roles = {role for standing in reading.standings for role in standing.roles}
    customer = any(standing.access or standing.only_invited for standing in reading.standings)
    if Role.CUSTOMER in roles or customer:
        return Role.CUSTOMER.value
    return next((role.value for role in (Role.RESELLER, Role.DISTRIBUTOR) if role in roles), "other")


def locale_of(reading: _Reading, work: Work) -> str:
    """The language of whoever asked: a partner's by the directory, a customer's by his mail, else by his contract."""
    one = reading.one
    if one.partner is not None:
        return one.locale
    guessed = language.guess(one.mail.message.text, one.mail.message.content_language)
    booked = work.contracts[0].locale if isinstance(work, Granted | Refused) and work.contracts else None
    return letters.spoken(one.desk, guessed, booked, one.locale)


# --- everything else --------------------------------------------------------------------------------------------------


def _question(reading: _Reading, session: Session) -> Considered:
    """An ordinary ticket of this desk, or one message more on it."""
    one = reading.one
    ticket = replies.named(one, session)
    if ticket is not None and replies.joins(one, ticket):
        return Considered(replace(replies.as_it_stands(one, ticket), reason=Reason.QUESTION))
    decision = replace(triage.plain(one, Reason.QUESTION), missing=(), steps=_steps(reading))
    facts = [replace(n, facts=replace(n.facts, ask=False, missing=())) for n in answers.opened(one, decision)]
    return Considered(replace(decision, notices=tuple(facts), linked=ticket.number if ticket else ""))


# --- what every decision says -----------------------------------------------------------------------------------------


def _frame(reading: _Reading, verdict: Verdict, reason: Reason) -> Decision:
    one = reading.one
    return Decision(
        verdict=verdict,
        reason=reason,
        desk=one.mail.mailbox.desk,
        region=one.region.code,
        locale=one.locale,
        sender=one.sender,
        answerable=one.answerable,
    )


def _steps(reading: _Reading) -> tuple[Step, ...]:
    """What was read, for `explain`."""
    found = ", ".join(f"{field} ({where})" for field, where in reading.draft.where)
    asked = reading.asked
    steps = [Step("order", f"read {found}")] if found else []
    if (asked.verb or asked.because) and not reading.is_order:
        steps.append(Step("verb", f"{asked.verb or 'none'}: {asked.because}"))
    if reading.completes:
        steps.append(Step("order", f"completes {order_number(reading.completes)}"))
    return tuple(steps)


def vouched(considered: Considered, waiting: int) -> Considered:
    """A second copy of an order that waited because nobody vouched for it, and this one is vouched for (DESIGN §5)."""
    work = considered.work
    if not isinstance(work, Weighed) or considered.decision.review:
        return considered
    return Considered(considered.decision, replace(work, completes=waiting))


# --- carrying out -----------------------------------------------------------------------------------------------------


def carry_out(books: Books, considered: Considered) -> Decision:
    """Write what was decided; returns the decision with the numbers that it got and the mails that are still owed
    (invitations were owed on the way)."""
    decision, work = considered.decision, considered.work
    match work:
        case Weighed() if decision.review:
            booked = placing.review(books, work, decision.reason)
            return replace(decision, order=booked.number)
        case Weighed():
            return _booked(decision, placing.order(books, work))
        case Granted():
            return _granted(books, decision, work)
        case _:
            return decision


def _booked(decision: Decision, booked: placing.Booked) -> Decision:
    notices = tuple(notice for notice in booked.notices if decision.answerable or not _is_answer(notice))
    notices += (booked.invitation,) if booked.invitation else ()
    numbers = tuple(one.number for one in booked.contracts)
    return replace(decision, order=booked.number, contracts=numbers, notices=notices)


def _granted(books: Books, decision: Decision, work: Granted) -> Decision:
    sender = decision.sender.address if decision.sender else ""
    match work.verb:
        case Verb.RESEND_INVITATION:
            for person, access in work.recipients:
                placing.resend(books, work.home or work.contracts[0], person, access, work.named_by)
        case Verb.ADD_PERSON:
            for person, access in work.recipients:
                placing.add(books, work.contracts[0], person, access, work.named_by)
        case Verb.CANCEL_CONTRACT:
            return _told_anew(decision, placing.cancel(books, work.contracts, sender))
        case Verb.RESTORE_CONTRACT:
            return _told_anew(decision, placing.restore(books, work.contracts, sender))
        case Verb.CONTRACT_STATUS:
            pass
    return decision


def _told_anew(decision: Decision, fresh: tuple[Notice, ...]) -> Decision:
    """The parties' mails with the contracts as they are now, and the sender's own transcript where he has no other."""
    own = tuple(notice for notice in decision.notices if notice.name is NoticeName.REQUEST_DONE)
    return replace(decision, notices=(*fresh, *own))
