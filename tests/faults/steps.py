"""The named crash points C0-C17 of research §3.2, as calls of our functions that end the process."""

import signal

from tests.servers.crashes import Crash

_IMAP, _INTAKE = "triaged.adapters.imap:Connection", "triaged.workflows.intake"
_LEDGER, _CASEBOOK = "triaged.adapters.db.ledger", "triaged.adapters.db.casebook"
_OUTBOX, _RELAY = "triaged.adapters.db.outbox", "triaged.adapters.smtp:Relay"
_DECIDE = "triaged.workflows.decide"

# Life's name → where it ends. Only those that END in "doubt" may send a mail once more.
STEPS = {
    "C0 before the first heartbeat": Crash("triaged.adapters.db.hosts:beat"),
    "C0 after the start": Crash("triaged.schedule:_start", "after"),
    "C1 before SEARCH": Crash(f"{_IMAP}.uids"),
    "C1 after SEARCH": Crash(f"{_IMAP}.uids", "after"),
    "C2 before FETCH": Crash(f"{_IMAP}.bodies"),
    "C2 after FETCH": Crash(f"{_IMAP}.bodies", "after"),
    "C2 after the second mailbox's FETCH": Crash(f"{_IMAP}.bodies", "after", 2),
    "C3 in TX1, before its rows": Crash(f"{_LEDGER}:admit"),
    "C3 in TX1, after rows and cursor": Crash(f"{_LEDGER}:admit", "after"),
    "C5 after TX1, before MOVE": Crash(f"{_IMAP}.tidy"),
    "C6 MOVE sent, its answer not read": Crash("imaplib:IMAP4._command", "after", about="'MOVE'"),
    "C7 after MOVE, before it is noted": Crash(f"{_IMAP}.tidy", "after"),
    "C7 after MOVE, in the transaction that notes it": Crash(f"{_LEDGER}:tidied", "after"),
    "C8 in TX2, mails claimed": Crash(f"{_CASEBOOK}:claim", "after"),
    "C8 after TX2, before reading": Crash(f"{_DECIDE}:_read"),
    "C8 while reading the second mail": Crash(f"{_DECIDE}:_read", "before", 2),
    "C8 after reading": Crash(f"{_DECIDE}:_read", "after", 3),
    "C9 in TX3, first mail settled": Crash(f"{_DECIDE}:_settle", "after"),
    "C9 in TX3, all settled": Crash(f"{_DECIDE}:_settle", "after", 3),
    "C10 after TX3, before its lines": Crash(f"{_DECIDE}:_report"),
    "C10 decided, nothing sent": Crash("triaged.workflows.deliver:deliver_due"),
    "C11 in TX4, mails claimed": Crash(f"{_OUTBOX}:claim", "after"),
    "C11 after TX4, before MAIL": Crash(f"{_RELAY}.prepare"),
    "C11 before the second MAIL": Crash(f"{_RELAY}.prepare", "before", 2),
    "C11 after RCPT": Crash(f"{_OUTBOX}:mark_sending"),
    "C12 in TX5": Crash(f"{_OUTBOX}:mark_sending", "after", 2),
    "C12 after TX5, before DATA": Crash(f"{_RELAY}.transmit"),
    "C12 before the second DATA": Crash(f"{_RELAY}.transmit", "before", 2),
    "C13 in doubt: answered, not settled": Crash(f"{_OUTBOX}:settle"),
    "C13 in doubt: the second answered, not settled": Crash(f"{_OUTBOX}:settle", "before", 2),
    "C14 in doubt: in TX6": Crash(f"{_OUTBOX}:settle", "after"),
    "C15 all sent, before QUIT": Crash(f"{_RELAY}.close"),
    "C17 SIGTERM before DATA": Crash(f"{_RELAY}.transmit", "before", 1, signal.SIGTERM),
    "C17 SIGTERM between mails": Crash(f"{_OUTBOX}:settle", "after", 1, signal.SIGTERM),
    "C17 SIGTERM in FETCH": Crash(f"{_IMAP}.bodies", "before", 1, signal.SIGTERM),
    "C17 SIGTERM while deciding": Crash(f"{_DECIDE}:_settle", "before", 1, signal.SIGTERM),
}

# Where the few go that also run on PostgreSQL: one in each transaction, and the two in doubt.
BOTH = (
    "C3 in TX1, after rows and cursor",
    "C7 after MOVE, before it is noted",
    "C9 in TX3, all settled",
    "C12 after TX5, before DATA",
    "C13 in doubt: answered, not settled",
    "C14 in doubt: in TX6",
)
