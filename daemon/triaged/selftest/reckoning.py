"""Was anything lost or doubled? Reckoned from the mails that went in and those that the relay took, never from our own
tables: of these only what every operator reads (`message list`, `ticket list`, `queue list`, `invite list`).
"""

import collections
import email
import email.message
import email.policy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from triaged.domain.decision import Verdict
from triaged.domain.notices import NoticeName
from triaged.mail import compose
from triaged.selftest import letters as written
from triaged.selftest.letters import Kind, Letter, Owed

_MARK = re.compile(written.MARK, re.IGNORECASE)
_LIVE = ("owed", "sent")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Books:
    """What the commands' `--json` say (INTERFACE §4). `attention`: the sentences of `status`."""

    messages: Sequence[Row]
    tickets: Sequence[Row]
    queue: Sequence[Row]
    invitations: Sequence[Row]
    attention: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail that the relay accepted."""

    recipient: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Reckoning:
    """Each fault as a sentence. `copies`: mails taken more than once with the same bytes; `standing`: owed mails of
    which nobody can know whether they arrived, and which say so; `refused`: failed as the relay wished, and shown."""

    lost: tuple[str, ...] = ()
    double: tuple[str, ...] = ()
    unsent: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    stray: tuple[str, ...] = ()
    standing: int = 0
    copies: int = 0
    renewed: int = 0
    refused: int = 0
    sent: int = 0

    @property
    def faults(self) -> tuple[str, ...]:
        return (*self.lost, *self.double, *self.unsent, *self.wrong, *self.stray)


@dataclass(slots=True)
class _Page:
    """The reckoning while it is made."""

    lost: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    unsent: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)


def reckon(letters: Sequence[Letter], books: Books, taken: Sequence[Taken], *, at_rest: bool = True) -> Reckoning:
    """Compare what went in with what the public lists say and what the relay took. Where nothing is `at_rest` yet, a
    mail that was tried and put off is still to come."""
    page = _Page()
    _records(letters, books.messages, page)
    _tickets(letters, books.tickets, page)
    post = _Post(taken, page)
    standing, refused = _owed(letters, books, post, at_rest, page)
    _strays(letters, post, page)
    _invitations(letters, books.invitations, page)
    return Reckoning(
        lost=tuple(page.lost),
        double=tuple(page.double),
        unsent=tuple(page.unsent),
        wrong=tuple(page.wrong),
        stray=tuple(page.stray),
        standing=standing,
        refused=refused,
        copies=post.copies,
        renewed=post.renewed,
        sent=len(taken),
    )


# --- one record for each mail


def _records(letters: Sequence[Letter], messages: Sequence[Row], page: _Page) -> None:
    """As many rows as mails, by mailbox and bytes; and the decisions that these bytes deserve, in whatever order the
    copies were read."""
    wanted = collections.Counter((letter.mailbox, letter.sha256) for letter in letters)
    found = collections.Counter((row["mailbox"], row["sha256"]) for row in messages)
    for (mailbox, digest), number in (wanted - found).items():
        page.lost.append(f"{number} mail(s) sha256 {digest[:12]} in {mailbox}: no row in `message list`")
    for (mailbox, digest), number in (found - wanted).items():
        page.double.append(f"{number} row(s) too many for sha256 {digest[:12]} in {mailbox}")
    verdicts: dict[str, list[str]] = collections.defaultdict(list)
    for row in messages:
        verdicts[row["sha256"]].append(str(row["decision"] or row["state"]))
    truth: dict[str, list[str]] = collections.defaultdict(list)
    kinds: dict[str, Letter] = {}
    for letter in letters:
        truth[letter.sha256].append(letter.verdict.value)
        kinds.setdefault(letter.sha256, letter)
    for digest, deserved in truth.items():
        given = verdicts.get(digest)
        if given is not None and sorted(given) != sorted(deserved):
            letter = kinds[digest]
            page.wrong.append(f"{letter.kind} {letter.token}: {', '.join(given)} instead of {', '.join(deserved)}")


def _tickets(letters: Iterable[Letter], tickets: Sequence[Row], page: _Page) -> None:
    opened: dict[str, list[Row]] = collections.defaultdict(list)
    for ticket in tickets:
        opened[_token(str(ticket["subject"] or ""))].append(ticket)
    for token, letter in written.tokens(letters).items():
        found = opened.pop(token, [])
        if letter.verdict is not Verdict.TICKET:
            page.double += [f"{letter.kind} {token}: opened ticket {ticket['number']}" for ticket in found]
        elif not found:
            page.lost.append(f"{letter.kind} {token}: no ticket")
        elif len(found) > 1:
            numbers = ", ".join(str(ticket["number"]) for ticket in found)
            page.double.append(f"{letter.kind} {token}: {len(found)} tickets: {numbers}")
        elif letter.severity and found[0]["severity"] != letter.severity:
            page.wrong.append(f"{letter.kind} {token}: {found[0]['severity']} instead of {letter.severity}")
    for unknown in opened.values():
        page.double += [f"ticket {ticket['number']} belongs to no mail: {ticket['subject']}" for ticket in unknown]


# --- every mail that is owed


@dataclass(frozen=True, slots=True)
class Seen:
    """What a mail of ours is: its notice, and the mail that owed it, by its token."""

    notice: str
    recipient: str
    token: str
    message_id: str


class _Post:
    """What the relay took, by the mail that owed it."""

    def __init__(self, taken: Sequence[Taken], page: _Page) -> None:
        self.by_owed: dict[tuple[str, str, str], set[str]] = collections.defaultdict(set)
        self.copies = self.renewed = 0
        first: dict[str, Taken] = {}
        for one in taken:
            found = seen(one)
            if found.message_id in first:
                self.copies += 1
                if first[found.message_id] != one:
                    what = f"{found.notice} to {found.recipient}"
                    page.double.append(f"{what}: a copy with other bytes, {found.message_id}")
            first.setdefault(found.message_id, one)
            self.by_owed[found.token, found.notice, found.recipient].add(found.message_id)
        for (token, notice, recipient), ids in self.by_owed.items():
            if notice == NoticeName.INVITATION:
                self.renewed += len(ids) - 1
            elif len(ids) > 1:
                page.double.append(f"{notice} to {recipient} for {token}: {len(ids)} mails, not copies of one")


def seen(one: Taken) -> Seen:
    """Read a mail of ours that the relay took."""
    mail = email.message_from_bytes(one.content, policy=email.policy.default)
    assert isinstance(mail, email.message.EmailMessage)
    fields = (str(mail["Subject"]), one.recipient, str(mail["In-Reply-To"]))
    token = next(filter(None, map(_token, fields)), "") or _token(_text(mail))
    return Seen(str(mail[compose.MARK]), one.recipient, token, str(mail["Message-ID"]))


def _token(text: str) -> str:
    found = _MARK.search(text)
    return found[0].lower() if found else ""


def _text(mail: email.message.EmailMessage) -> str:
    part = mail.get_body(("plain",))
    return str(part.get_content()) if part else ""


def _owed(letters: Sequence[Letter], books: Books, post: _Post, at_rest: bool, page: _Page) -> tuple[int, int]:
    """Every owed mail was taken, or stands as uncertain and says so, or failed because the relay refused it."""
    uncertain = _rows(books, "uncertain")
    failed = _rows(books, "failed")
    put_off = _Rows() if at_rest else _rows(books, "queued")
    said = any("uncertain" in sentence for sentence in books.attention)
    standing = refused = 0
    for letter in letters:
        for one in letter.owed:
            if (letter.token, one.notice, one.recipient) in post.by_owed:
                if one.refused:
                    page.stray.append(f"{_named(letter, one)}: taken, although the relay refuses this address")
            elif one.refused and _found(failed, letter, one):
                refused += 1
            elif said and _found(uncertain, letter, one):
                standing += 1
            elif not _found(put_off, letter, one):
                page.unsent.append(_named(letter, one))
    return standing, refused


_Rows = collections.Counter[tuple[str, str, str]]


def _rows(books: Books, state: str) -> _Rows:
    """Rows of the queue in this state that were tried, by the mail that owed them as far as their list shows it."""
    rows = (row for row in books.queue if row["state"] == state and row["attempts"])
    return collections.Counter(
        (_token(f"{row['subject']} {row['to']}"), str(row["notice"]), str(row["to"])) for row in rows
    )


def _found(rows: _Rows, letter: Letter, one: Owed) -> bool:
    """Take the row of this owed mail; an order's copies show in the list only to whom they go."""
    for token in (letter.token, ""):
        if rows[token, one.notice, one.recipient] > 0:
            rows[token, one.notice, one.recipient] -= 1
            return True
    return False


def _named(letter: Letter, one: Owed) -> str:
    return f"{one.notice} to {one.recipient} for {letter.kind} {letter.token}"


def _strays(letters: Iterable[Letter], post: _Post, page: _Page) -> None:
    due = {(letter.token, one.notice, one.recipient) for letter in letters for one in letter.owed}
    for token, notice, recipient in post.by_owed:
        if (token, notice, recipient) not in due:
            page.stray.append(f"{notice} to {recipient} for {token or 'no mail of ours'}: nobody was owed that")


def _invitations(letters: Iterable[Letter], invitations: Sequence[Row], page: _Page) -> None:
    """One valid link for each order's customer, however many mails a fault made of it."""
    live = collections.Counter(str(row["recipient"]) for row in invitations if row["state"] in _LIVE)
    for letter in letters:
        if letter.kind is Kind.ORDER:
            customer = next(one.recipient for one in letter.owed if one.notice == NoticeName.INVITATION)
            if live[customer] > 1:
                page.double.append(f"{customer}: {live[customer]} valid invitations")
            elif not live[customer]:
                page.lost.append(f"{customer}: no valid invitation")
