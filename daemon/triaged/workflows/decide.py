"""Decide: claim mails, read them, and carry out what each means in one transaction (DESIGN §4.2).

A mail that raises is rolled back to its own savepoint, retried alone, and after three attempts lies in quarantine
with its error, its bytes intact. Attempts are counted before the work: a mail that kills the process counts too.
From the second on it is rehearsed in a child process first, so that the daemon dies of a mail at most once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from triaged import log
from triaged.adapters import confinement
from triaged.adapters.db import alarms, brakes, casebook, customers, echoes, engine, guesses, ledger, orders, tickets
from triaged.adapters.db.casebook import Work
from triaged.adapters.db.engine import Session
from triaged.desks import contracts, correspondence, placing, reception, returned
from triaged.desks.case import Desk, Mail
from triaged.domain import commitments, erasure, trust
from triaged.domain import ticket as ticket_rules
from triaged.domain.decision import Decision, Reason, Sender, Step, Verdict
from triaged.domain.errors import TransientError
from triaged.domain.message import Authentication, Message
from triaged.mail import automatic, compose, identity, threads

Result = TypeVar("Result")

BATCH = 20
_WOKEN = (ticket_rules.State.WAITING, ticket_rules.State.RESOLVED)  # by any reply
_WITHHELD = "the server lists this mail and hands out no bytes of it: look at it there"
ATTEMPTS = 3
ACQUITTED = 10  # attempts of a mail that its rehearsals acquit: who kills us from outside charges whatever is at work


@dataclass(frozen=True, slots=True)
class Office:
    """Where mails are decided: the desk, the post, the database, and who we are among the processes."""

    database: engine.Database
    desk: Desk
    post: correspondence.Post
    owner: str
    rehearsal: confinement.Rehearsal | None = None  # None: a mail that was tried is tried again as it is
    refunds: list[Work] = field(default_factory=list)  # claims that a lost database has not taken back yet


@dataclass(frozen=True, slots=True)
class Read:
    """A claimed mail with what the reader made of it; `failure` when it raised, or killed us before."""

    work: Work
    mail: Mail
    content: str
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What was decided on one mail, for the log; None decision: it will be tried again."""

    read: Read
    decision: Decision | None
    failure: str = ""


def decide_waiting(office: Office, now: Callable[[], datetime], stopping: Callable[[], bool]) -> int:
    """Decide until nothing waits or we are stopping. Returns how many mails were decided."""
    decided = 0
    printed: Sequence[int] = ()
    while not stopping():
        done = _batch(office, now(), printed, stopping)
        if not done:
            break
        printed = [one.read.work.id for one in done if one.decision]
        decided += len(printed)
    if office.rehearsal:
        office.rehearsal.rest()
    if printed:
        with office.database.write() as session:
            casebook.announced(session, printed)
    return decided


def _batch(office: Office, now: datetime, printed: Sequence[int], stopping: Callable[[], bool]) -> list[Done]:
    """What another process took over while we read, because we were silent for too long, is left to it; what a stop
    finds unread is given back, its attempt refunded."""
    with office.database.write() as session:
        casebook.announced(session, printed)
        casebook.release(session, office.owner, office.refunds)
        claimed = casebook.claim(session, office.owner, now, BATCH)
    office.refunds.clear()
    if not claimed:
        return []
    try:
        read = [_read(office, work) for work in claimed if not stopping()]
        with office.database.write() as session:
            ours = casebook.ours(session, office.owner, claimed)
            casebook.release(session, office.owner, claimed[len(read) :])
            casebook.one_copy_at_a_time(session, [one.content for one in read])
            if any(one.mail.mailbox.desk == "contracts" for one in read):
                customers.one_after_the_other(session)
            done = [_settle(session, office, one, now) for one in read if one.work.id in ours]
            rung = alarms.since(session, now)
    except TransientError:  # the database's trouble, not the mails': they are claimed again without a mark
        office.refunds.extend(claimed)
        raise
    for work in claimed:
        if work.id not in ours:
            log.warning("overtaken", log_id=threads.log_id(work.id, office.desk.key), attempt=work.attempts)
    for one in done:
        _report(one, now, office)
    for text in rung:
        log.warning("alarm", reason=text)
    return done


def _read(office: Office, work: Work) -> Read:
    mailboxes = office.desk.settings.mailboxes
    own = next((one for one in mailboxes if one.name == work.mailbox), None)
    mailbox = own or mailboxes[0]
    nothing = Mail(Message(unreadable="not read"), Authentication(), work.received_at, mailbox)
    if own is None:
        gone = f"no [[mailbox]] is called {work.mailbox} any more: add one, then `triaged quarantine release {work.id}`"
        return Read(work, nothing, "", gone)
    most = ACQUITTED if office.rehearsal else ATTEMPTS
    if work.attempts > most:
        return Read(work, nothing, "", f"the process died {most} times while deciding this mail")
    with office.database.read() as session:
        raw = tried(partial(ledger.raw, session, work.id))
    if isinstance(raw, Failure):
        return Read(work, nothing, "", raw.text)
    if not raw:
        return Read(work, replace(nothing, message=Message(unreadable=_WITHHELD, dirty=True)), "")
    if work.attempts > 1 and office.rehearsal and (killed := _rehearsed(office, office.rehearsal, work)):
        return Read(work, _heading(office, work, raw, nothing), "", killed)
    with confinement.limited(confinement.CPU):
        read = tried(partial(reception.read_mail, raw, mailbox, office.desk, work.received_at, work.truncated))
    if isinstance(read, Failure):
        return Read(work, _heading(office, work, raw, nothing), "", read.text)
    return Read(work, read, identity.content_hash(raw))


def _rehearsed(office: Office, rehearsal: confinement.Rehearsal, work: Work) -> str:
    """How the mail ended its rehearsal; empty where it came through. The attempt counts again only when that is over:
    a daemon that is killed meanwhile, by a reboot or by a memory that others filled, is no fault of this mail."""
    with office.database.write() as session:
        casebook.charge(session, office.owner, work, work.attempts - 1)
    ended = rehearsal.failure(str(work.id))
    with office.database.write() as session:
        casebook.charge(session, office.owner, work, work.attempts)
    return ended


def _heading(office: Office, work: Work, raw: bytes, nothing: Mail) -> Mail:
    """Of a mail that goes to quarantine: who wrote it, if so much can be read without harm."""
    if work.attempts < ATTEMPTS or (office.rehearsal and office.rehearsal.failure(f"{work.id} heading")):
        return nothing
    with confinement.limited(confinement.CPU):
        heading = tried(partial(reception.read_heading, raw, nothing.mailbox, office.desk, work.received_at))
    return nothing if isinstance(heading, Failure) else heading


@dataclass(frozen=True, slots=True)
class Failure:
    """What a mail did to us, in one line."""

    text: str
    memory: bool = False  # it wanted more than there was


def tried(step: Callable[[], Result]) -> Result | Failure:
    """The one broad except per mail: whatever it raises is its failure, not the daemon's. Trouble of the database
    is not the mail's fault and passes."""
    try:
        return step()
    except (TransientError, engine.Broken):
        raise
    except Exception as error:  # noqa: BLE001  # one of the two broad excepts of the house: per mail
        return Failure(f"{type(error).__name__}: {error}"[:500], isinstance(error, MemoryError))


# --- carrying out -------------------------------------------------------------------------------------------------


def _settle(session: Session, office: Office, read: Read, now: datetime) -> Done:
    if read.failure:
        return _failed(session, office, read, read.failure, now)
    with confinement.limited(confinement.CPU):
        result = tried(partial(engine.in_savepoint, session, partial(_carry_out, session, office, read, now)))
    if isinstance(result, Failure):
        return _failed(session, office, read, result.text, now)
    return Done(read, result)


def _failed(session: Session, office: Office, read: Read, failure: str, now: datetime) -> Done:
    """Try again alone; the third time quarantine, with a neutral word to a partner of ours if that much works."""
    if read.work.attempts < ATTEMPTS:
        casebook.failed(session, read.work.id, failure)
        return Done(read, None, failure)
    excused = replace(read, mail=replace(read.mail, message=replace(read.mail.message, unreadable=failure)))
    told = tried(partial(engine.in_savepoint, session, partial(_carry_out, session, office, excused, now)))
    return Done(read, _blindly(session, office, read, failure, now) if isinstance(told, Failure) else told, failure)


def _blindly(session: Session, office: Office, read: Read, failure: str, now: datetime) -> Decision:
    """Quarantine without looking at the mail again."""
    mailbox = read.mail.mailbox
    decision = Decision(
        Verdict.QUARANTINE,
        Reason.UNREADABLE,
        mailbox.desk,
        mailbox.regions[0],
        "",
        trust=trust.rung(dirty=read.mail.message.dirty, authenticated=read.mail.authentication.passed),
        steps=(Step("read", failure),),
    )
    version = office.desk.settings.policy.version
    casebook.decided(session, read.work.id, decision, now=now, policy_version=version, error=failure)
    return decision


def _carry_out(session: Session, office: Office, read: Read, now: datetime) -> Decision:
    """Decide one mail and write everything that follows from it."""
    work, message = read.work, read.mail.message
    twin = casebook.twin(session, work, _known_as(office, message.message_id), read.content, _elsewhere(office, read))
    considered = _again(session, office, read, twin) if twin else reception.consider(read.mail, office.desk, session)
    decision, ticket_id = considered.decision, None
    if decision.verdict is Verdict.TICKET:
        decision, ticket_id = _open(session, office, read, decision, now)
    elif decision.verdict is Verdict.UPDATE:
        ticket_id = _add(session, office, read, decision, now)
    elif considered.work is not None:
        ticket_id = _answered(session, office, read, decision, now) if decision.linked else None
        decision = reception.carry_out(_books(session, office, read, decision, ticket_id, now), considered)
    decision = returned.carry_out(session, decision, read.mail, office.desk, work.id, now)
    if considered.work is None:
        cause = _cause(session, office, read, ticket_id, now)
        if decision.verdict is Verdict.TICKET:
            cause = replace(cause, echo=_answers_an_answer(session, read.mail.message, now))
        correspondence.owe(session, office.post, decision.notices, decision.ticket, cause, now)
    casebook.decided(
        session,
        work.id,
        decision,
        now=now,
        policy_version=office.desk.settings.policy.version,
        message_id=message.message_id,
        content=read.content,
        ticket_id=ticket_id,
        duplicate_of=twin.id if twin else None,
        error=message.unreadable or None,
    )
    if decision.unknown and decision.sender and decision.sender.authenticated:
        guesses.watch(session, decision.sender.address, now)
    return decision


def _known_as(office: Office, message_id: str) -> tuple[str, ...]:
    """A Message-ID, and what is left of it once its mail was erased."""
    return (message_id, erasure.pseudonym(message_id, office.desk.key)) if message_id else ()


def _elsewhere(office: Office, read: Read) -> tuple[str, ...]:
    """The mailboxes of other desks."""
    mailboxes = office.desk.settings.mailboxes
    return tuple(mailbox.name for mailbox in mailboxes if mailbox.desk != read.mail.mailbox.desk)


def _books(
    session: Session, office: Office, read: Read, decision: Decision, ticket_id: int | None, now: datetime
) -> placing.Books:
    """Where the contracts desk writes what this mail decided."""
    actor = decision.sender.address if decision.sender else "triaged"
    cause = _cause(session, office, read, ticket_id, now)
    return placing.Books(session, office.desk, office.post, actor, now, cause, read.work.id)


def _again(session: Session, office: Office, read: Read, twin: casebook.Twin) -> contracts.Considered:
    """The same mail as an earlier one: nothing, unless the first copy waits because nobody vouched for it."""
    ordered = orders.waiting(session, twin.id)
    if ordered is not None and read.mail.authentication.passed:
        return contracts.vouched(reception.consider(read.mail, office.desk, session), ordered)
    waiting = tickets.by_number(session, twin.ticket) if twin.ticket else None
    if (
        waiting is not None
        and waiting.state is ticket_rules.State.REVIEW
        and waiting.reason == Reason.UNAUTHENTICATED_SENDER  # no associate has set its customer since
        and read.mail.authentication.passed
    ):
        return reception.vouched(read.mail, waiting, office.desk, session)
    return contracts.Considered(_duplicate(read, twin, reception.rung(read.mail, office.desk, session)))


def _answered(session: Session, office: Office, read: Read, decision: Decision, now: datetime) -> int:
    """A ticket that waited for somebody to vouch for what is an order or a request: the desk's answer resolves it."""
    row = tickets.row_of(session, decision.linked)
    _note(session, office, read, row.id, "vouched", decision, now)
    row.authenticated = True
    tickets.move(row, ticket_rules.State.OPEN, now)
    tickets.move(row, ticket_rules.State.RESOLVED, now)
    return row.id


def _duplicate(read: Read, twin: casebook.Twin, rung: trust.Rung) -> Decision:
    mailbox, sender = read.mail.mailbox, read.mail.message.sender
    return Decision(
        Verdict.DUPLICATE,
        Reason.DUPLICATE,
        mailbox.desk,
        mailbox.regions[0],
        "",
        sender=Sender(sender.address, authenticated=read.mail.authentication.passed) if sender else None,
        linked=twin.ticket,
        trust=rung,
        steps=(Step("duplicate", f"the same mail as message {twin.id}"),),
    )


def _open(session: Session, office: Office, read: Read, decision: Decision, now: datetime) -> tuple[Decision, int]:
    message, arrived = read.mail.message, read.mail.arrived
    due = _due(office, decision, arrived)
    ticket = tickets.open_ticket(session, decision, message, read.mail.mailbox.name, arrived, due)
    decision = replace(decision, ticket=ticket.number)
    _note(session, office, read, ticket.id, "opened", decision, now)
    return decision, ticket.id


def _add(session: Session, office: Office, read: Read, decision: Decision, now: datetime) -> int:
    """A reply: it may raise the ticket, send it to review, or wake it; always one entry in its history."""
    row = tickets.row_of(session, decision.ticket)
    state = ticket_rules.State(row.state)
    _note(session, office, read, row.id, "reply", decision, now)
    if decision.review and state is not ticket_rules.State.REVIEW:
        tickets.move(row, ticket_rules.State.REVIEW, now)
    elif not decision.review and (decision.reclassifies or state in _WOKEN):
        tickets.move(row, ticket_rules.State.OPEN, now)
    if decision.reclassifies:
        tickets.classify(row, decision, _due(office, decision, row.opened_at))
        row.authenticated = row.authenticated or bool(decision.sender and decision.sender.authenticated)
        _note(session, office, read, row.id, "classified", decision, now)
    elif decision.enriches:
        tickets.enrich(row, decision)
    return row.id


def _due(office: Office, decision: Decision, arrived: datetime) -> commitments.Deadlines:
    return commitments.deadlines(office.desk.settings.policy.severities[decision.severity], arrived)


def _note(
    session: Session, office: Office, read: Read, ticket_id: int, kind: str, decision: Decision, now: datetime
) -> None:
    tickets.record(
        session,
        ticket_id,
        at=now,
        actor=decision.sender.address if decision.sender else "triaged",
        kind=kind,
        detail={
            "reason": decision.why.value,
            "severity": decision.severity,
            "priority_large_user": decision.priority,
            "account": decision.account.zoid if decision.account else None,
            "primary_customer_email": decision.primary_customer_email or None,
            "linked": decision.linked or None,
        },
        policy_version=office.desk.settings.policy.version,
        message=read.work.id,
    )


def _cause(session: Session, office: Office, read: Read, ticket_id: int | None, now: datetime) -> correspondence.Cause:
    message, vouched = read.mail.message, read.mail.authentication.passed
    return correspondence.Cause(
        key=f"m{read.work.id}",
        log_id=threads.log_id(read.work.id, office.desk.key),
        desk=read.mail.mailbox.desk,
        mailbox=read.mail.mailbox.name,
        replies_to=message.message_id,
        thread=message.references,
        ticket_id=ticket_id,
        message_id=read.work.id,
        vouched=vouched,
        braked=not vouched or _repeated(session, read, now),
    )


def _repeated(session: Session, read: Read, now: datetime) -> bool:
    return bool(read.content) and brakes.says_the_same(session, read.work.id, identity.said(read.content), now)


def _answers_an_answer(session: Session, message: Message, now: datetime) -> bool:
    """A new ticket by "Re: " and a subject under which we wrote to its sender, or by a vacation's subject."""
    if message.sender is None or not (automatic.is_reply(message) or automatic.looks_absent(message)):
        return False
    told = {compose.subject_for(one, "") for one in echoes.subjects_told(session, message.sender.address, now)}
    return automatic.looks_absent(message) or compose.subject_for(message.subject, "") in told


# --- telling the operator -----------------------------------------------------------------------------------------


def _report(done: Done, now: datetime, office: Office) -> None:
    """The `received` and the `decision=` line of one mail (INTERFACE §5), after the commit."""
    work, mail = done.read.work, done.read.mail
    log_id = threads.log_id(work.id, office.desk.key)
    region = done.decision.region if done.decision else mail.mailbox.regions[0]
    if work.attempts == 1:
        log.event(
            "received",
            log_id=log_id,
            mailbox=work.mailbox,
            region=region,
            uid=f"{work.uidvalidity}/{work.uid}",
            **{"from": mail.message.sender.address if mail.message.sender else None},
            size=work.size,
            auth=mail.authentication.verdict,
        )
    if done.failure:
        log.error("failed", log_id=log_id, attempt=work.attempts, error=done.failure)
    if done.decision:
        _announce(log_id, done.decision.document(), (now - work.received_at).total_seconds())


def _announce(log_id: str, receipt: dict[str, Any], delay: float, **more: object) -> None:
    """One line per committed decision, from its stored receipt."""
    account = receipt["account"] or {}
    log.event(
        "",
        log_id=log_id,
        decision=receipt["decision"],
        reason=receipt["reason"],
        ticket=receipt["ticket"],
        severity=receipt["severity"],
        account=account.get("zoid"),
        licences=receipt["licences"],
        via=account.get("via"),
        missing=",".join(receipt["missing"]) or None,
        **_of_contracts(receipt),
        delay=max(0.0, delay),
        **more,
    )
    if receipt.get("returned"):
        _tell_returned(log_id, receipt["returned"], more)


def _tell_returned(report: str, told: dict[str, str], more: dict[str, object]) -> None:
    """What a delivery report did, as a line about the mail that it speaks of."""
    tell = {"bounced": log.error, "delayed": log.warning}.get(told["outcome"], log.event)
    values: dict[str, object] = {"to": told["to"], "notice": told["notice"], "status": told["status"], "report": report}
    if told["fix"]:
        values["fix"] = told["fix"]
    tell(told["outcome"], log_id=told["log_id"], **values, **more)


def _of_contracts(receipt: dict[str, Any]) -> dict[str, str]:
    """What only decisions of the contracts desk have."""
    said = {
        "order": receipt.get("order"),
        "contracts": ",".join(receipt.get("contracts") or ()),
        "problems": ",".join(f"{p['field']}:{p['code']}" for p in receipt.get("problems") or ()),
        "refused": receipt.get("refused"),
    }
    return {name: value for name, value in said.items() if value}


def announce_again(office: Office) -> int:
    """At the start: print the decisions whose line the last process may not have printed, marked `again=1`."""
    with office.database.write() as session:
        rows = casebook.unannounced(session, 10_000)
        for row in rows:
            delay = (row.decided_at - row.received_at).total_seconds() if row.decided_at else 0.0
            _announce(threads.log_id(row.id, office.desk.key), row.receipt or {}, delay, again=1)
        casebook.announced(session, [row.id for row in rows])
    return len(rows)
