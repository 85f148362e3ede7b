"""The short form of `python -m tests.campaign`: random kills and cuts, reckoned from inputs and sink; and the reckoning
itself, which must see what it is there for."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from tests import campaign
from tests.house import desk
from tests.servers import imap_dovecot, imap_pymap, postgres, smtp_sink

from triaged.adapters.db import directory_import
from triaged.selftest import reckoning
from triaged.selftest.letters import Letter, Writer
from triaged.selftest.reckoning import Taken

KILLS, MAILS = 20, 200


def _proved(plan: campaign.Plan) -> None:
    outcome = campaign.run(plan, say=lambda _line: None)
    assert outcome.faults == (), "\n".join(campaign.table(outcome))
    assert (outcome.tally.kills, outcome.mails) == (plan.kills, plan.mails)
    wanted = {"lost": 0, "double": 0, "unsent": 0, "audit": "clean"}
    assert {name: json.loads(json.dumps(outcome.document))[name] for name in wanted} == wanted


@pytest.mark.dovecot
def test_twenty_kills_on_sqlite_lose_and_double_nothing(dovecot: imap_dovecot.Dovecot) -> None:
    _proved(campaign.Plan(KILLS, MAILS, "sqlite", seed=3, seconds=300, patience=1.5))


@pytest.mark.dovecot
@pytest.mark.postgres
def test_twenty_kills_of_two_hosts_on_postgresql_lose_and_double_nothing(
    dovecot: imap_dovecot.Dovecot, postgresql: postgres.Postgres
) -> None:
    _proved(campaign.Plan(KILLS, MAILS, postgresql.fresh_database(), seed=4, seconds=300, patience=1.5))


# --- the reckoning sees what it is there for


class Played:
    """A quiet day of every kind of mail, with what came of it."""

    def __init__(self, house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> None:
        writer = Writer(house.app.settings)
        with house.app.database.write() as session:
            directory_import.import_partners(session, writer.partners)
            directory_import.import_accounts(session, writer.accounts)
        large = writer.large_user("partners-eu")
        support = (writer.standard, writer.nameless, writer.unvouched, writer.vacation, writer.report, writer.dirty)
        self.letters: list[Letter] = [large, writer.again(large, "partners-com"), writer.namesake(large, "partners-eu")]
        self.letters += [write("partners-eu") for write in (*support, writer.nested, writer.oversized)]
        self.letters.append(writer.order("select"))
        boxes = {"partners-eu": house.eu, "partners-com": house.com, "select": house.select}
        for letter in self.letters:
            pymap.deliver(boxes[letter.mailbox], letter.raw)
        assert house.once() == ()
        self.books = campaign.books(house.config)
        self.taken = [Taken(one.recipients[0], one.content) for one in relay.deliveries]

    def reckon(self, taken: Sequence[Taken] = (), **changed: object) -> reckoning.Reckoning:
        books = replace(self.books, **changed)  # type: ignore[arg-type]  # lists of rows
        return reckoning.reckon(self.letters, books, taken or self.taken)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, pymap: imap_pymap.Pymap) -> Iterator[Played]:
    folder, relay = tmp_path_factory.mktemp("played"), smtp_sink.SmtpSink()
    url = f"sqlite:///{folder}/t.db"
    with desk.installed(folder, url, pymap, relay.port, contracts=True, limit="60KB") as house:
        yield Played(house, pymap, relay)
    relay.stop()


def test_every_kind_of_mail_becomes_what_its_writer_says(played: Played) -> None:
    found = played.reckon()
    assert found.faults == ()
    assert (found.copies, found.standing, found.sent) == (0, 0, len(played.taken))


def test_the_reckoning_sees_a_lost_mail_a_second_ticket_and_a_wrong_decision(played: Played) -> None:
    messages, tickets = played.books.messages, played.books.tickets
    assert len(played.reckon(messages=messages[1:]).lost) == 1
    assert len(played.reckon(messages=[*messages, messages[0]]).double) == 1
    assert len(played.reckon(tickets=tickets[1:]).lost) == 1
    assert len(played.reckon(tickets=[*tickets, tickets[0]]).double) == 1
    assert len(played.reckon(tickets=[{**tickets[0], "severity": "S4"}, *tickets[1:]]).wrong) == 1
    ignored = [{**one, "decision": "ignore"} if one["decision"] == "ticket" else one for one in messages]
    assert len(played.reckon(messages=ignored).wrong) == 5


def test_the_reckoning_sees_a_mail_that_never_went_and_one_that_nobody_was_owed(played: Played) -> None:
    gone, *others = played.taken
    found = played.reckon([*others, replace(gone, recipient="stranger@example.com")])
    assert (len(found.unsent), len(found.stray)) == (1, 1)
    assert gone.recipient in found.unsent[0]
    standing = [{**row, "state": "uncertain"} for row in played.books.queue]
    assert len(played.reckon(others, queue=standing).unsent) == 1  # nobody was told
    told = played.reckon(others, queue=standing, attention=["1 mail uncertain: …"])
    assert (told.unsent, told.standing) == ((), 1)


def test_the_reckoning_tells_a_copy_from_a_second_mail(played: Played) -> None:
    first = played.taken[0]
    copied = played.reckon([*played.taken, first])
    assert (copied.copies, copied.faults) == (1, ())
    for change in ((b"Date: ", b"Date:  "), (b"Message-ID: <", b"Message-ID: <x")):
        assert (
            len(played.reckon([*played.taken, replace(first, content=first.content.replace(*change, 1))]).double) == 1
        )
