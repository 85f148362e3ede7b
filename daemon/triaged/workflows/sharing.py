"""Sharing: which host polls which mailbox, so that each has one poller, and the hosts about as many each.

Every few seconds a host looks at the leases. It takes mailboxes that are free up to its fair share (mailboxes by living
hosts, rounded up), and beyond it only those that stay free, because nobody else wants them. Who holds more than his
share gives up one, and a while later the next, when its poll is over: a host that comes later gets its part without
anything being torn away, and a mailbox that came back because nobody took it is not given up again.
"""

import threading
import time
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from triaged import log
from triaged.adapters.db import engine, hosts, leases
from triaged.adapters.db.engine import Session
from triaged.adapters.db.leases import Held, Standing
from triaged.domain.errors import TransientError

GRACE = 15.0  # seconds that a free mailbox waits for a host with less than its share, and between two givings up


@dataclass(frozen=True, slots=True)
class _Seen:
    """The leases as they stand, and the hosts that poll."""

    standing: Mapping[str, Standing]
    company: frozenset[str]


class Sharing:
    """The mailboxes of one host. One thread calls `turn`; each mailbox's thread has its `tenure`."""

    def __init__(
        self, database: engine.Database, owner: str, mailboxes: Sequence[str], grace: float | None = None
    ) -> None:
        self._database, self._owner = database, owner
        self._grace = GRACE if grace is None else grace
        names = [leases.mailbox(name) for name in mailboxes]
        self._names = sorted(names, key=lambda name: zlib.crc32(f"{owner} {name}".encode()))  # each host its own order
        self._busy = threading.Lock()  # one change at a time, with its commit
        self._changed = threading.Condition()
        self._held: dict[str, Held] = {}
        self._asked: set[str] = set()  # to be given up by their threads
        self._given: set[str] = set()
        self._kept: set[str] = set()  # given up, and nobody took them
        self._free_since: dict[str, float] = {}
        self._company: frozenset[str] = frozenset()
        self._made, self._renewed, self._gave = False, 0.0, time.monotonic()
        self._takes_all = False  # for once: nothing is given up before the end

    def tenure(self, mailbox: str) -> "Tenure":
        return Tenure(self, leases.mailbox(mailbox))

    def held(self) -> tuple[str, ...]:
        """The leases that are ours, by name."""
        return tuple(sorted(self._held))

    def turn(self, hung: Collection[str] = (), also: Collection[Held] = (), *, all_free: bool = False) -> None:
        """Take what is ours to take, renew what we hold, see what we lost. Nothing is renewed or taken for a thread
        that is `hung`; `also` are other leases to renew. `all_free` takes whatever is free, without waiting.

        Raises TransientError when the database is away: then what we hold runs out by time."""
        with self._busy:
            seen = self._look()
            self._lose([h for name, h in list(self._held.items()) if not _is_ours(h, seen.standing.get(name))])
            wanted = self._wanted(seen, hung, all_free)
            renewing = time.monotonic() >= self._renewed + leases.HOLD.total_seconds() / 3
            if wanted or renewing:
                self._write(wanted, [h for name, h in list(self._held.items()) if name not in hung] + [*also])
            self._takes_all = self._takes_all or all_free
            if not self._takes_all:
                self._give_up(seen)

    def _look(self) -> _Seen:
        if not self._made:
            with self._database.write() as session:
                leases.make(session, self._names)
            self._made = True
        with self._database.read() as session:
            seen = _Seen(leases.standing(session, self._names), hosts.pollers(session) | {self._owner})
        if seen.company != self._company:
            self._company = seen.company
            self._kept.clear()
            self._given.clear()
        return seen

    def _wanted(self, seen: _Seen, hung: Collection[str], all_free: bool) -> list[str]:
        """Free mailboxes to take now."""
        now, room = time.monotonic(), self._share() - len(self._held)
        free = [name for name in self._names if name not in self._held and self._is_free(seen.standing.get(name))]
        self._free_since = {name: self._free_since.get(name, now) for name in free}
        left_over = [name for name in free if all_free or now - self._free_since[name] >= self._grace]
        fair = [name for name in free if name not in self._given][: max(0, room)]
        return [name for name in free if name in {*fair, *left_over} and name not in hung]

    def _share(self) -> int:
        return -(-len(self._names) // max(1, len(self._company)))

    def _is_free(self, row: Standing | None) -> bool:
        return row is not None and (row.free or row.owner == self._owner)

    def _write(self, wanted: Sequence[str], renewed: Sequence[Held]) -> None:
        with self._database.write() as session:
            leases.renew(session, renewed)
            taken = [held for name in wanted if (held := leases.take(session, name, self._owner))]
        self._renewed = time.monotonic()
        with self._changed:
            self._held.update({held.name: held for held in taken})
            self._kept.update(held.name for held in taken if held.name in self._given)
            self._changed.notify_all()

    def _give_up(self, seen: _Seen) -> None:
        """Ask for one mailbox back where we have more than our share, and others live who might take it."""
        if len(self._held) - len(self._asked) <= self._share() or len(seen.company) == 1:
            return
        if time.monotonic() < self._gave + self._grace:
            return
        spare = [
            name for name in reversed(self._names) if name in self._held and name not in {*self._kept, *self._asked}
        ]
        if spare:
            self._gave = time.monotonic()
            self._given.add(spare[0])
            self._asked.add(spare[0])

    def _lose(self, held: Sequence[Held]) -> None:
        for one in held:
            log.warning("", mailbox=one.name.partition(":")[2], state="lost", reason=_LOST)
            self.forget(one)

    def wake(self) -> None:
        """Whoever waits is to look whether it should stop."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, name: str, seconds: float) -> Held | None:
        """Until this lease is ours; None when it is not after these seconds, or somebody woke us."""
        with self._changed:
            if name not in self._held:
                self._changed.wait(seconds)
            return self._held.get(name)

    def is_ours(self, held: Held) -> bool:
        """As far as we know: what surely holds is `leases.check` in a transaction."""
        return self._held.get(held.name) == held and held.name not in self._asked

    def release(self, held: Held) -> None:
        """Let go of it at once; where the database is away, by time."""
        with self._busy:
            try:
                with self._database.write() as session:
                    leases.release(session, [held])
            except TransientError as error:
                log.warning("not released", lease=held.name, reason=str(error))
            self.forget(held)

    def forget(self, held: Held) -> None:
        """It is no longer ours."""
        with self._changed:
            if self._held.get(held.name) == held:
                del self._held[held.name]
                self._asked.discard(held.name)


_LOST = "another host polls it: this one was silent for too long; what it had begun is dropped"


def _is_ours(held: Held, row: Standing | None) -> bool:
    return row is not None and (row.owner, row.fence) == (held.owner, held.fence)


class Tenure:
    """One mailbox's right to be polled by us, as its thread sees it."""

    def __init__(self, sharing: Sharing, name: str) -> None:
        self._sharing, self._name = sharing, name
        self._held: Held | None = None

    def wait(self, seconds: float) -> bool:
        """Whether it is ours now, waiting up to these seconds for it."""
        self._held = self._sharing.wait(self._name, seconds)
        return self._held is not None

    def mine(self) -> bool:
        """Whether to go on: it is ours as far as we know, and nobody asked for it back."""
        return self._held is not None and self._sharing.is_ours(self._held)

    def check(self, session: Session) -> None:
        """In every transaction: keep it ours until the commit. Raises leases.Lost."""
        if self._held is None:
            raise leases.Lost(f"{self._name}: not ours")
        try:
            leases.check(session, self._held)
        except leases.Lost:
            self._sharing.forget(self._held)
            raise

    def leave(self) -> None:
        """Others may take it."""
        if self._held is not None:
            self._sharing.release(self._held)
            self._held = None
