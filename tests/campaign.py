"""Kills and cuts at random against a whole house, and the reckoning from what went in and what came out.

    python -m tests.campaign --kills 200 --mails 10000 --database sqlite

Dovecot, an SMTP sink with slow answers and some 451s, one daemon on SQLite or two on PostgreSQL. Every kill is -9; half
of them come at a step that the proxy sees on the wire, the others whenever the clock says. Before each the sink and the
mails are all that will be believed; of the database only the number of rows in `sending` is read at each fault, because
that bounds how many copies the fault may cost.
"""

import argparse
import collections
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import sqlalchemy
from tests import hurried
from tests.correspondent import Correspondent
from tests.house import desk
from tests.servers import imap_dovecot, postgres, smtp_sink

from triaged import app as composition
from triaged.adapters.db import directory_import, engine, models
from triaged.selftest import children, moments, reckoning
from triaged.selftest.letters import Letter, Writer
from triaged.selftest.moments import Moment, Trap
from triaged.selftest.wire import Wire

_DRAIN = 0.35  # of the time, at most, is kept for what stands at the end
_LIMITS = "answers_per_sender = 100000\nanswers_per_hour = 1000000\n"
_REFUSED_NOW, _SLOW = 0.02, 0.03  # of the mails that the sink takes


@dataclass(frozen=True)
class Plan:
    """What to do. `seconds` bounds everything; after `patience` seconds a fault comes without its moment."""

    kills: int
    mails: int
    database: str
    seed: int = 1
    seconds: float = 600.0
    patience: float = 4.0

    @property
    def is_postgres(self) -> bool:
        return self.database.startswith("postgresql")


@dataclass
class Tally:
    """What was done, and what each fault may cost: `allowed` counts the rows in `sending` at each of them."""

    faults: collections.Counter[str] = field(default_factory=collections.Counter)
    kills: int = 0
    allowed: int = 0
    released: int = 0
    crashes: list[str] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def note(self, fault: str, sending: int) -> None:
        self.faults[fault] += 1
        self.allowed += sending

    def ended_by_itself(self, daemon: hurried.Life) -> None:
        """Nobody killed it: that is a fault of ours."""
        self.crashes.append(f"a daemon ended by itself with {daemon.code}: {' | '.join(daemon.lines[-2:])}")


class House:
    """Servers, wires and daemons of one campaign."""

    def __init__(self, folder: Path, url: str, daemons: int, rng: random.Random) -> None:
        self._rng = rng
        self._refused: set[bytes] = set()
        self._moods = threading.Lock()
        self.dovecot = imap_dovecot.Dovecot()
        self.sink = smtp_sink.SmtpSink()
        self.sink.manners.mood = self._mood
        self.imap, self.smtp = Wire(self.dovecot.port), Wire(self.sink.port)
        self.imap.recording = self.smtp.recording = False
        self.desk = desk.install(folder, url, self.dovecot, self.smtp.port, contracts=True, limit="60KB")
        text = self.desk.config.read_text().replace(f"port = {self.dovecot.port}\n", f"port = {self.imap.port}\n")
        self.desk.config.write_text(text + _LIMITS)
        self.boxes = {"partners-com": self.desk.com, "partners-eu": self.desk.eu, "select": self.desk.select}
        self.writer = Writer(composition.load(self.desk.config).settings)
        with self.desk.app.database.write() as session:
            directory_import.import_partners(session, self.writer.partners)
            directory_import.import_accounts(session, self.writer.accounts)
        self.log: list[str] = []
        self._nursery = hurried.Nursery(self.desk.config)
        self.daemons = [self._nursery.born() for _ in range(daemons)]

    def _mood(self, content: bytes) -> tuple[float, str]:
        """Some answers are slow, and some mails are refused for now: the first time, never the second."""
        name = content.partition(b"Message-ID: ")[2].partition(b"\r\n")[0]
        with self._moods:
            dice = self._rng.random()
            if dice < _REFUSED_NOW and name not in self._refused:
                self._refused.add(name)
                return 0.0, "451 4.7.1 Greylisted, try again later"
            return (self._rng.uniform(0.1, 0.8) if dice > 1 - _SLOW else 0.0), ""

    @property
    def refused(self) -> int:
        return len(self._refused)

    def deliver(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            self.dovecot.deliver(self.boxes[letter.mailbox], letter.raw)

    def wire(self, moment: Moment) -> Wire:
        return self.imap if moment.protocol == "imap" else self.smtp

    def sending(self, child: hurried.Life | None = None) -> int:
        """Rows between DATA and its answer; of one daemon, where it has said who it is."""
        query = sqlalchemy.select(sqlalchemy.func.count()).where(models.Outbox.state == "sending")
        with self.desk.app.database.read() as session:
            if child is not None:
                owners = list(session.scalars(sqlalchemy.select(models.Host.id).where(models.Host.pid == child.pid)))
                query = query.where(models.Outbox.lease_owner.in_(owners)) if owners else query
            return session.scalar(query) or 0

    def replace(self, child: hurried.Life) -> hurried.Life:
        """A new daemon in the place of a dead one."""
        self.log += child.lines
        fresh = self._nursery.born()
        self.daemons[self.daemons.index(child)] = fresh
        return fresh

    def unsettled(self, mails: int) -> str:
        """What is still to come, or nothing."""
        owing = sqlalchemy.or_(
            models.Outbox.state.in_(("queued", "sending")),
            sqlalchemy.and_(models.Outbox.state == "uncertain", models.Outbox.doubts < 2, models.Outbox.seal.is_(None)),
        )
        count = sqlalchemy.func.count()
        with self.desk.app.database.read() as session:
            rows = session.scalar(sqlalchemy.select(count).select_from(models.MessageRow)) or 0
            waiting = models.MessageRow.state == "received"
            undecided = session.scalar(sqlalchemy.select(count).where(waiting)) or 0
            owed = session.scalar(sqlalchemy.select(count).where(owing)) or 0
        found = {"not fetched": mails - rows, "not decided": undecided, "not delivered": owed}
        return ", ".join(f"{number} {what}" for what, number in found.items() if number > 0)

    def close(self) -> None:
        for child in self.daemons:
            child.kill()
        self._nursery.stop()
        for wire in (self.imap, self.smtp):
            wire.stop()
        self.sink.stop()
        self.dovecot.stop()
        self.desk.app.database.dispose()


# --- faults


class Trouble:
    """What goes wrong, chosen by dice."""

    def __init__(self, house: House, tally: Tally, rng: random.Random, patience: float) -> None:
        self._house, self._tally, self._rng, self._patience = house, tally, rng, patience

    def cut(self) -> None:
        """One of the wires: at a step, or after so many chunks as dice say."""
        moment = self._some_moment()
        self._at(moment, lambda: self._counted(f"cut: {moment.name}"))

    def kill(self) -> None:
        """kill -9 of one daemon, now and then while it starts; then a new one."""
        daemon = self._rng.choice(self._house.daemons)
        if self._rng.random() < 0.85:
            daemon.await_start(20)
        moment = self._some_moment()
        if daemon.alive:
            self._at(moment, partial(self._dead, daemon, f"kill: {moment.name}"))
            self._dead(daemon, "kill: no such moment")
        else:
            self._tally.ended_by_itself(daemon)
        self._tally.kills += 1
        self._house.replace(daemon)

    def _some_moment(self) -> Moment:
        """A step of the protocol, or any chunk at all."""
        if self._rng.random() < 0.5:
            return self._rng.choice(moments.ALL)
        return Moment("any time", self._rng.choice(("imap", "smtp")), self._rng.random() < 0.5, b"")

    def _at(self, moment: Moment, act: Callable[[], bool]) -> None:
        """At the n-th such moment; measured by what passes, not by the clock, so that a slow machine works as long."""
        most = 60 if moment.name == "any time" else 6 if moment.protocol == "smtp" else 2  # batches move at once
        trap = Trap(moment, act, self._rng.randint(1, most))
        wire = self._house.wire(moment)
        wire.watch = trap
        trap.sprung.wait(self._patience)
        wire.watch = None

    def _dead(self, child: hurried.Life, name: str) -> bool:
        if child.alive:
            child.kill()
            self._tally.note(name, self._house.sending(child))
        return False

    def _counted(self, name: str) -> bool:
        self._tally.note(name, self._house.sending())
        return True


# --- the whole


@dataclass(frozen=True)
class Outcome:
    """What the campaign found; `document` is its last line."""

    tally: Tally
    mails: int
    tickets: int
    reckoning: reckoning.Reckoning
    audit: str
    left: str
    ended: tuple[int, ...]
    seconds: float
    alarms: int

    @property
    def document(self) -> dict[str, object]:
        found = self.reckoning
        return {
            "kills": self.tally.kills,
            "mails": self.mails,
            "lost": len(found.lost),
            "double": len(found.double),
            "unsent": len(found.unsent),
            "uncertain": found.standing,
            "copies": found.copies + found.renewed,
            "audit": self.audit,
            "wrong": len(found.wrong),
            "stray": len(found.stray),
            "allowed": self.tally.allowed,
            "released": self.tally.released,
            "seconds": round(self.seconds),
        }

    @property
    def faults(self) -> tuple[str, ...]:
        found = [*self.reckoning.faults]
        if self.reckoning.copies + self.reckoning.renewed > self.tally.allowed:
            found.append(f"{self.reckoning.copies + self.reckoning.renewed} copies, {self.tally.allowed} allowed")
        if self.audit != "clean":
            found.append(f"audit: {self.audit}")
        found += self.tally.crashes
        if self.left:
            found.append(f"not settled in time: {self.left}")
        found += [f"a daemon ended with {code} on SIGTERM" for code in self.ended if code]
        return tuple(found)


def run(plan: Plan, say: Callable[[str], None] = print) -> Outcome:
    with _place(plan) as (folder, url), contextlib.ExitStack() as stack:
        rng = random.Random(plan.seed)
        house = House(folder, url, 2 if plan.is_postgres else 1, rng)
        stack.callback(house.close)
        tally, world = Tally(), Correspondent(house.writer, house.sink, rng)
        _trouble(plan, house, tally, world, rng, say)
        left = _drained(plan, house, tally, world, say)
        if _released(house, tally):
            left = _drained(plan, house, tally, world, say)
        audit = _audited(house)
        ended = tuple(child.end() for child in house.daemons)
        return _reckoned(house, tally, world, audit, left, ended)


def _trouble(
    plan: Plan, house: House, tally: Tally, world: Correspondent, rng: random.Random, say: Callable[[str], None]
) -> None:
    trouble = Trouble(house, tally, rng, plan.patience)
    until = tally.begun + plan.seconds * (1 - _DRAIN)
    told = time.monotonic()
    while tally.kills < plan.kills and time.monotonic() < until:
        left = plan.mails - len(world.letters)
        house.deliver(world.write(min(left, max(1, round(left / (plan.kills - tally.kills))))))
        if rng.random() < 0.5:
            trouble.cut()
        trouble.kill()
        if time.monotonic() - told > 30:
            told = time.monotonic()
            say(f"  {tally.kills} kills, {len(world.letters)} mails, {len(house.sink.deliveries)} sent")
    house.deliver(world.write(plan.mails - len(world.letters)) if tally.kills == plan.kills else [])


def _drained(plan: Plan, house: House, tally: Tally, world: Correspondent, say: Callable[[str], None]) -> str:
    """Let everything come to rest; returns what did not in time (a little more, where nothing of it is left)."""
    until, told = max(tally.begun + plan.seconds, time.monotonic() + 15), time.monotonic()
    while (left := house.unsettled(len(world.letters))) and time.monotonic() < until:
        time.sleep(0.5)
        for child in house.daemons:
            if not child.alive:
                tally.ended_by_itself(child)
                house.replace(child)
        if time.monotonic() - told > 30:
            told = time.monotonic()
            say(f"  draining: {left}")
    return left


def _released(house: House, tally: Tally) -> int:
    """What an operator does with a mail that we killed the daemon over three times: it lies in quarantine, where
    `status` shows it, and one command has it decided again."""
    rows = json.loads(_asked(house.desk.config, "quarantine", "list").stdout)
    ours = [str(row["id"]) for row in rows if "the process died" in str(row["error"])]
    if ours:
        command = [sys.executable, "-m", "triaged", "-c", str(house.desk.config), "quarantine", "release", *ours]
        subprocess.run(command, check=True, capture_output=True, env=children.environment(), timeout=120)
    tally.released = len(ours)
    return len(ours)


def _asked(config: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "triaged", "-c", str(config), *arguments, "--json"]
    return subprocess.run(command, capture_output=True, text=True, env=children.environment(), timeout=120)


def _audited(house: House) -> str:
    """`triaged audit` while the servers are up: clean, or what it says."""
    done = _asked(house.desk.config, "audit")
    if done.returncode == 0:
        return "clean"
    return (done.stdout or done.stderr).strip()[-500:]


def books(config: Path) -> reckoning.Books:
    """What the commands say, as every operator reads it."""
    messages, tickets, queue, invitations = (
        json.loads(_asked(config, noun, "list").stdout) for noun in ("message", "ticket", "queue", "invite")
    )
    attention = json.loads(_asked(config, "status").stdout)["attention"]
    return reckoning.Books(messages, tickets, queue, invitations, attention)


def _reckoned(
    house: House, tally: Tally, world: Correspondent, audit: str, left: str, ended: tuple[int, ...]
) -> Outcome:
    taken = [reckoning.Taken(one.recipients[0], one.content) for one in house.sink.deliveries]
    for child in house.daemons:
        house.log += child.lines
    return Outcome(
        tally=tally,
        mails=len(world.letters),
        tickets=len(house.desk.tickets()),
        reckoning=reckoning.reckon(world.letters, books(house.desk.config), taken),
        audit=audit,
        left=left,
        ended=ended,
        seconds=time.monotonic() - tally.begun,
        alarms=sum("uncertain" in line and "level=error" in line for line in house.log),
    )


@contextlib.contextmanager
def _place(plan: Plan) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL of an empty database: of a cluster of our own where only its kind is named."""
    with tempfile.TemporaryDirectory(prefix="campaign-") as name:
        folder = Path(name)
        if plan.database in ("sqlite", ""):
            yield folder, f"sqlite:///{folder}/triaged.db"
        elif plan.database == "postgresql":
            cluster = postgres.Postgres()
            try:
                yield folder, cluster.fresh_database()
            finally:
                cluster.stop()
        else:
            _empty(plan.database)
            yield folder, plan.database


def _empty(url: str) -> None:
    """Refuse to work in a database that holds anything."""
    database = engine.Database(url)
    try:
        if sqlalchemy.inspect(database.engine).get_table_names():
            raise SystemExit(f"{url} is not empty: name a new database, or `sqlite`, or `postgresql`")
    finally:
        database.dispose()


def table(outcome: Outcome) -> Iterator[str]:
    """What was done and found, for people."""
    found, tally = outcome.reckoning, outcome.tally
    yield "fault                                   times"
    for fault, times in sorted(tally.faults.items()):
        yield f"{fault:<40}{times:>5}"
    yield ""
    rows = {
        "mails in": outcome.mails,
        "tickets": outcome.tickets,
        "mails out": found.sent,
        "copies, byte for byte": found.copies,
        "invitations replaced": found.renewed,
        "copies allowed (rows in `sending` at faults)": tally.allowed,
        "killed over three times, released by hand": tally.released,
        "uncertain at the end": found.standing,
        "alarms for those in the log": outcome.alarms,
        "seconds": round(outcome.seconds),
        "mails in a second": round(outcome.mails / outcome.seconds, 1),
    }
    for name, value in rows.items():
        yield f"{name:<46}{value:>8}"
    for fault in outcome.faults[:40]:
        yield f"!! {fault}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--mails", type=int, default=10_000)
    parser.add_argument("--database", default="sqlite", help="sqlite, postgresql, or the URL of an empty database")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1800, help="everything ends within this time")
    given = parser.parse_args()
    plan = Plan(given.kills, given.mails, given.database, given.seed, given.seconds)
    outcome = run(plan)
    print("\n".join(table(outcome)))
    short = outcome.tally.kills < plan.kills or outcome.mails < plan.mails
    if short:
        print(f"!! {plan.seconds:.0f} s were not enough for {plan.kills} kills and {plan.mails} mails")
    print(json.dumps(outcome.document))
    return 1 if outcome.faults or short else 0


if __name__ == "__main__":
    sys.exit(main())
