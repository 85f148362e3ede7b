"""How much one client, and all together, may ask of the pages. In memory and bounded: the limits that count for safety
(tries of a code, codes an hour) are rows in the database; these only keep a flood away from it.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and then so many a second."""

    burst: int
    a_second: float


@dataclass(frozen=True, slots=True)
class Limits:
    """Wide enough for an office behind one address whose mail scanner presses every button; `codes` are those really
    asked for, `misses` links that do not exist."""

    posts: Rate = Rate(240, 1.0)
    posts_in_all: Rate = Rate(1200, 20.0)
    codes: Rate = Rate(40, 1 / 30)
    misses: Rate = Rate(40, 1 / 15)


class Buckets:
    """One bucket of tokens per client; of more than `most` clients the ones least lately seen are forgotten."""

    def __init__(self, rate: Rate, most: int = 10_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._most, self._clock = rate, most, clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> bool:
        """Use one up; False when there is none."""
        with self._lock:
            left = self._now(client)
            self._left[client] = (left - 1 if left >= 1 else left, self._clock())
            self._left.move_to_end(client)
            if len(self._left) > self._most:
                self._left.popitem(last=False)
            return left >= 1

    def empty(self, client: str) -> bool:
        """Whether `take` would be refused."""
        with self._lock:
            return self._now(client) < 1

    def _now(self, client: str) -> float:
        left, since = self._left.get(client, (float(self._rate.burst), self._clock()))
        return min(self._rate.burst, left + (self._clock() - since) * self._rate.a_second)


class Gate:
    """The buckets of all limits."""

    def __init__(self, limits: Limits) -> None:
        self._posts, self._all = Buckets(limits.posts), Buckets(limits.posts_in_all)
        self.codes, self.misses = Buckets(limits.codes), Buckets(limits.misses)

    def post(self, client: str) -> bool:
        """Whether this client may send one more form; one that may not costs the others nothing."""
        return self._posts.take(client) and self._all.take("")
