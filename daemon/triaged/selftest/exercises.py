"""`triaged selftest`: what happens to an operator's mail when wires are cut and processes die, on his configuration.

Each exercise does one harm, says in plain words what it did and saw, and leaves the house running for the next. The end
is a reckoning over everything: lost 0, doubled 0, unsent 0."""

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from triaged.adapters import smtp
from triaged.domain.errors import PermanentError, TransientError
from triaged.selftest import moments
from triaged.selftest.letters import Kind, Letter
from triaged.selftest.moments import Moment, Trap
from triaged.selftest.reckoning import Reckoning
from triaged.selftest.stage import Stage
from triaged.workflows import deliver

SECONDS = 60.0
_SHOWN = 4  # faults of one exercise that are named


@dataclass(frozen=True, slots=True)
class Result:
    """One exercise: what was done, and what came of it."""

    name: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All of it. `folder` is where everything lies, where it was to be kept."""

    results: tuple[Result, ...]
    reckoning: Reckoning | None
    seconds: float
    folder: Path | None = None

    @property
    def ok(self) -> bool:
        return all(result.ok for result in self.results)

    @property
    def sentence(self) -> str:
        """The last line, for the operator."""
        found, failed = self.reckoning, [result.name for result in self.results if not result.ok]
        kept = f" Everything lies in {self.folder}." if self.folder else ""
        if failed or found is None:
            where = "" if self.folder else " Run it again with --keep and read daemon.log in the folder that it names."
            return f"Not fit yet: {', '.join(failed)}. No real server was touched.{where}{kept}"
        return (
            f"Your configuration stood {len(self.results)} exercises in {self.seconds:.0f} s: lost 0, doubled 0, "
            f"unsent 0; {found.sent} mails sent, {found.copies} of them a second time with the same bytes because a "
            f"fault left no other way. No real server was touched.{kept}"
        )


Exercise = Callable[[Stage], str]


class Fault(Exception):
    """An exercise failed; the text says what was seen."""


def run(config: Path | None, seconds: float, keep: bool, tell: Callable[[Result], None]) -> Verdict:
    """All exercises on a copy of `config`; `tell` hears of each as it ends. Raises ConfigurationError where there is
    nothing to copy, PermanentError where the copy cannot be used."""
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="triaged-selftest-"))
    try:
        with Stage(config, folder, seconds) as stage:
            results = tuple(_told(_exercised(stage), tell))
            reckoning = stage.reckon(at_rest=True)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    return Verdict(results, reckoning, time.monotonic() - begun, folder if keep else None)


def _told(results: Iterator[Result], tell: Callable[[Result], None]) -> Iterator[Result]:
    for result in results:
        tell(result)
        yield result


def _exercised(stage: Stage) -> Iterator[Result]:
    """One after the other. Where not even a quiet day works there is nothing to learn from faults; where time runs out,
    the rest has failed."""
    for name, exercise, essential in _all(stage):
        if stage.left <= 0:
            yield Result(name, False, "not reached: the time was up. Give it more with --seconds")
            continue
        result = _one(stage, name, exercise)
        yield result
        if essential and not result.ok:
            return


def _one(stage: Stage, name: str, exercise: Exercise) -> Result:
    try:
        return Result(name, True, exercise(stage))
    except Fault as fault:
        return Result(name, False, str(fault))
    except (TransientError, PermanentError) as error:
        return Result(name, False, str(error))
    finally:
        _calm(stage)


def _calm(stage: Stage) -> None:
    """No trap stays behind an exercise, and every wire is open."""
    for wire in (*stage.imap.values(), stage.smtp):
        wire.watch = None
        wire.heal()
    stage.servers.refused.clear()
    stage.servers.later, stage.servers.welcome = 0, True


def _all(stage: Stage) -> Iterator[tuple[str, Exercise, bool]]:
    """Name, exercise, and whether the others make sense without it."""
    yield "copy", _copied, True
    yield "start", _started, True
    for mailbox in stage.app.settings.mailboxes:
        quiet = _orders if mailbox.desk == "contracts" else _tickets
        yield f"quiet {mailbox.name}", partial(quiet, mailbox=mailbox.name), True
    first = stage.app.settings.mailboxes[0]
    yield "strange mail", partial(_strange, mailbox=first.name), False
    yield "IMAP cut in a mail", partial(_imap_cut, mailbox=first.name), False
    yield "IMAP silent", partial(_imap_silent, mailbox=first.name), False
    for moment in (moments.FETCH, *((moments.MOVED,) if first.archive else ()), moments.MAIL):
        yield f"kill -9 {moment.name}", partial(_killed, mailbox=first.name, moment=moment), False
    for moment in (moments.BODY, moments.TAKEN):
        yield f"kill -9 {moment.name}", partial(_killed, mailbox=first.name, moment=moment), False
        yield f"SMTP cut {moment.name}", partial(_smtp_cut, mailbox=first.name, moment=moment), False
    yield "relay says 451", partial(_later, mailbox=first.name), False
    yield "relay says 550", partial(_refused, mailbox=first.name), False
    yield "relay's log-in", partial(_unwelcome, mailbox=first.name), False
    yield "stop", _stopped, False
    yield "15 minutes later", _quarter_later, False
    yield "reckoning", _reckoned, False


# --- without faults


def _copied(stage: Stage) -> str:
    places = [mailbox.name for mailbox in stage.app.settings.mailboxes]
    return (
        f"your configuration with mailboxes {', '.join(places)}, its policy, catalogue, words and templates; every "
        "host is 127.0.0.1, the database a new SQLite file, and no secret was read"
    )


def _started(stage: Stage) -> str:
    child = stage.start()
    return f"`triaged run` on the copy was ready after {time.monotonic() - child.born:.1f} s"


def _tickets(stage: Stage, mailbox: str) -> str:
    writer, settings = stage.writer, stage.app.settings
    large, standard = writer.large_user(mailbox), writer.standard(mailbox)
    begun = time.monotonic()
    stage.send([large, standard, writer.again(large, mailbox)])
    _settled(stage, "the mails of a quiet day")
    region = writer.places[mailbox].region
    told = ", ".join(one.recipient for one in large.owed if one.recipient != large.sender)
    return (
        f"{region.large_user} licences in {region.code} became S1, one less {settings.policy.default_severity}, a "
        f"second copy a duplicate; the partner was answered{f', {told} alarmed' if told else ''}, all in "
        f"{time.monotonic() - begun:.1f} s"
    )


def _orders(stage: Stage, mailbox: str) -> str:
    if not stage.writer.orderable:
        return "your catalogue has no SKU whose customers are invited: no order was tried"
    order = stage.writer.order(mailbox)
    stage.send([order, stage.writer.again(order, mailbox)])
    _settled(stage, "an order")
    return f"an order of {stage.writer.orderable} was confirmed to its three parties, its customer invited, once"


def _strange(stage: Stage, mailbox: str) -> str:
    writer = stage.writer
    letters = [writer.dirty(mailbox), writer.nested(mailbox), writer.vacation(mailbox), writer.report(mailbox)]
    if stage.app.settings.trust.require and _is_support(stage, mailbox):
        letters.append(writer.unvouched(mailbox))
    stage.send(letters)
    _settled(stage, "strange mail")
    stranger = "; a stranger's waits in review" if len(letters) > 4 else ""
    return f"a forged header and {_nested()} lie in quarantine, a vacation reply got no answer{stranger}"


def _nested() -> str:
    return "60 parts within each other"


def _is_support(stage: Stage, mailbox: str) -> bool:
    return stage.app.settings.mailbox(mailbox).desk == "support"


# --- faults


def _plain(stage: Stage, mailbox: str) -> Letter:
    """A mail that owes something."""
    if _is_support(stage, mailbox) or not stage.writer.orderable:
        return stage.writer.large_user(mailbox)
    return stage.writer.order(mailbox)


def _sprung(stage: Stage, mailbox: str, moment: Moment, act: Callable[[], bool]) -> Letter:
    """One mail on its way, and the fault at that moment."""
    trap = Trap(moment, act)
    stage.wire(moment, mailbox).watch = trap
    letter = _plain(stage, mailbox)
    stage.send([letter])
    if not trap.sprung.wait(stage.patience):
        raise Fault(f"the wire never showed the moment for it: {moment.name}")
    return letter


def _imap_cut(stage: Stage, mailbox: str) -> str:
    _sprung(stage, mailbox, moments.LITERAL, stage.cut)
    begun = time.monotonic()
    _settled(stage, "the mail that was cut")
    return f"cut in the middle of a mail: fetched again by itself, {time.monotonic() - begun:.1f} s later"


def _imap_silent(stage: Stage, mailbox: str) -> str:
    """A black hole for one mailbox; the others go on."""
    stage.imap[mailbox].stall()
    others = [one.name for one in stage.app.settings.mailboxes if one.name != mailbox]
    elsewhere = [_plain(stage, name) for name in others]
    stage.send(elsewhere)
    _settled(stage, "mail of the other mailboxes")
    stage.send([_plain(stage, mailbox)])
    time.sleep(1.0)
    stage.imap[mailbox].heal()
    _settled(stage, "the mail of the silent mailbox")
    went_on = f"; meanwhile {', '.join(others)} went on" if others else ""
    return f"{mailbox}'s server said nothing for a while: its mail was read when it spoke again{went_on}"


def _killed(stage: Stage, mailbox: str, moment: Moment) -> str:
    _sprung(stage, mailbox, moment, stage.kill)
    child = stage.start()
    _settled(stage, "the mail that was under way")
    return f"killed; a new daemon went on {_doubt(stage)} {time.monotonic() - child.born:.1f} s after its start"


def _doubt(stage: Stage) -> str:
    standing = stage.reckon().standing
    return f"({standing} in doubt so far, to be sent again)" if standing else "by itself"


def _smtp_cut(stage: Stage, mailbox: str, moment: Moment) -> str:
    _sprung(stage, mailbox, moment, stage.cut)
    _settled(stage, "the mail that was cut")
    return f"nobody can know whether it arrived, so it is uncertain and says so {_doubt(stage)}"


def _later(stage: Stage, mailbox: str) -> str:
    stage.servers.later = 1
    stage.send([_plain(stage, mailbox)])
    if not stage.comes(lambda: _said(stage, ": deferred ")):
        raise Fault("a mail that was refused for now was not put off: no `deferred` line in the log")
    return "one mail was refused for now: put off, and sent below"


def _refused(stage: Stage, mailbox: str) -> str:
    letter = stage.writer.colleague(mailbox) if _is_support(stage, mailbox) else _plain(stage, mailbox)
    address = letter.owed[0].recipient  # of an order its customer: nobody whom other mails go to
    stage.servers.refused.add(address)
    stage.send([letter.but_refused(address)])
    if not stage.comes(lambda: _said(stage, ": refused ")):
        raise Fault("an address that the relay refuses was not reported: no `refused` line in the log")
    if not any("failed" in sentence for sentence in stage.books().attention):
        raise Fault("`triaged status` does not say that a mail failed")
    return f"{address} was refused: the mail is failed, the log and `triaged status` name it"


def _unwelcome(stage: Stage, mailbox: str) -> str:
    stage.end()
    stage.servers.welcome = False
    stage.start()
    stage.send([_plain(stage, mailbox)])
    if not stage.comes(lambda: _said(stage, "relay_down")):
        raise Fault("a relay that refuses our password was not reported: no `relay_down` line in the log")
    failed = [row for row in stage.books().queue if row["state"] == "failed"]
    stage.end()
    stage.servers.welcome = True
    stage.start()
    if len(failed) > stage.reckon().refused:
        raise Fault("mails failed because the relay refused us: that is no fault of theirs")
    return "our password was refused: the mails waited, none failed; once it was mended they went out"


def _said(stage: Stage, words: str) -> bool:
    return stage.daemon is not None and stage.daemon.has_said(words)


def _stopped(stage: Stage) -> str:
    begun = time.monotonic()
    code = stage.end()
    if code:
        raise Fault(f"SIGTERM ended the daemon with {code} instead of 0")
    return f"SIGTERM: it ended with 0 after {time.monotonic() - begun:.1f} s"


def _quarter_later(stage: Stage) -> str:
    """What rests 15 minutes after a doubt, and one after a 451: deliver, with a clock that is so far ahead."""
    before = len(stage.servers.accepted())
    relay = stage.relay()
    with contextlib.closing(relay):
        for step in range(1, 5):
            ahead = step * (deliver.QUIET + timedelta(minutes=1))
            _deliver(stage, relay, ahead)
    return f"{len(stage.servers.accepted()) - before} mails that were in doubt or put off have been sent"


def _deliver(stage: Stage, relay: smtp.Relay, ahead: timedelta) -> None:
    clock = partial(_ahead, ahead)
    app = stage.app
    deliver.deliver_due(app.database, relay, "selftest", clock, threading.Event(), seals=app.seals)


def _ahead(by: timedelta) -> datetime:
    return datetime.now(UTC) + by


def _reckoned(stage: Stage) -> str:
    """Everything that went in against everything that is there, and that the relay took."""
    found = stage.reckon(at_rest=True)
    if found.faults:
        raise Fault(_listed(found.faults))
    if found.copies + found.renewed > stage.allowed:
        raise Fault(f"{found.copies + found.renewed} copies, but the faults account for {stage.allowed}")
    kinds = len({letter.kind for letter in stage.letters} - {Kind.DUPLICATE})
    return (
        f"{len(stage.letters)} mails of {kinds} kinds in, {found.sent} out: lost 0, doubled 0, unsent 0; "
        f"{found.copies + found.renewed} sent twice where {stage.allowed} were in doubt"
    )


# --- telling


def _settled(stage: Stage, what: str) -> None:
    if faults := stage.faults():
        last = stage.daemon.lines[-1:] if stage.daemon else []
        words = f" The daemon's last words: {last[0]}" if last else ""
        raise Fault(f"{what}: {_listed(faults)}.{words}")


def _listed(faults: Sequence[str]) -> str:
    more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return "; ".join(faults[:_SHOWN]) + more
