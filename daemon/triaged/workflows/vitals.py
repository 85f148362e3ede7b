"""Vitals: each loop says before it begins something how long that may take; one that is not back in time hangs.

So a poll of a big mailbox or a slow FETCH inside its deadline is life, and a thread that waits for ever is none: its
leases are not renewed, and systemd gets no sign of life.
"""

import threading
import time

SLACK = 60.0  # seconds that every loop gets on top of what it asked for: its commits, a machine that is busy


class Vitals:
    """Until when, by the monotonic clock, each loop of this process is known to live."""

    def __init__(self, slack: float | None = None) -> None:
        self._slack = SLACK if slack is None else slack
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def pulse(self, name: str, seconds: float = 0.0) -> None:
        """I live, and shall say so again within these seconds."""
        with self._lock:
            self._until[name] = time.monotonic() + seconds + self._slack

    def overdue(self) -> tuple[str, ...]:
        """Loops that should have been back."""
        now = time.monotonic()
        with self._lock:
            return tuple(name for name, until in self._until.items() if until < now)
