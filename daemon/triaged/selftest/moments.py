"""The steps of the protocol as the wire shows them, and a trap that springs at one: so a fault comes at the very moment
for which it was meant, not when a clock happens to run out (DESIGN §4, reliability: C1 to C15)."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

from triaged.selftest.wire import Chunk


@dataclass(frozen=True, slots=True)
class Moment:
    """A step: whose words (`sent`: ours) begin it. `imap` or `smtp`."""

    name: str
    protocol: str
    sent: bool
    pattern: bytes

    def is_now(self, chunk: Chunk) -> bool:
        return chunk.sent is self.sent and re.search(self.pattern, chunk.data) is not None


FETCH = Moment("at FETCH", "imap", True, rb"BODY\.PEEK\[\]")
LITERAL = Moment("in a FETCH", "imap", False, rb"BODY\[\]")
MOVE = Moment("at MOVE", "imap", True, rb"UID MOVE ")
MOVED = Moment("after MOVE", "imap", False, rb"COPYUID")
MAIL = Moment("at MAIL FROM", "smtp", True, rb"(?i)^MAIL FROM:")
DATA = Moment("at DATA", "smtp", True, rb"(?i)^DATA\r\n")
BODY = Moment("in DATA", "smtp", True, rb"(?m)^Message-ID: ")
TAKEN = Moment("after DATA", "smtp", False, rb"^250 2\.0\.0 ")

ALL = (FETCH, LITERAL, MOVE, MOVED, MAIL, DATA, BODY, TAKEN)


class Trap:
    """Put it on a wire as `watch`: at the `nth` such moment it does `act`, once; where that says True, the wire is cut
    instead of letting the chunk pass."""

    def __init__(self, moment: Moment, act: Callable[[], bool], nth: int = 1) -> None:
        self.moment = moment
        self.sprung = threading.Event()
        self._act = act
        self._left = nth

    def __call__(self, chunk: Chunk) -> bool:
        if self.sprung.is_set() or not self.moment.is_now(chunk):
            return False
        self._left -= 1
        if self._left > 0:
            return False
        try:
            return self._act()
        finally:
            self.sprung.set()
