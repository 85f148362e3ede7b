"""`triaged run` as a process of its own, with what it says; it hears nothing of the operator's environment."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from triaged.domain.errors import TransientError

_FOREIGN = ("TRIAGED_", "CREDENTIALS_", "NOTIFY_", "WATCHDOG_")  # keys, secrets and systemd: not for a child of ours
_PATIENCE = 45.0  # a stop gives mails under way 30 s


def environment(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Ours without whatever could change the configuration of a child."""
    return {name: value for name, value in variables.items() if not name.startswith(_FOREIGN)}


class Child:
    """One process; `lines` is what it wrote on stderr, also what stood in the pipe when it was killed."""

    def __init__(self, command: Sequence[str]) -> None:
        self.born = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603  # our own program, by the interpreter that runs us
            command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment(), text=True, errors="replace"
        )
        self.lines: list[str] = []
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="child", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                with self._came:
                    self.lines.append(line.rstrip())
                    self._came.notify_all()
        with self._came:
            self._came.notify_all()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def has_said(self, word: str) -> bool:
        with self._came:
            return any(word in line for line in self.lines)

    def await_line(self, wanted: Callable[[Sequence[str]], bool], seconds: float, what: str) -> None:
        """Until its lines are as `wanted`. Raises TransientError with its last words where it ends or stays silent."""
        with self._came:
            self._came.wait_for(lambda: wanted(self.lines) or not self._reader.is_alive(), seconds)
            if not wanted(self.lines):
                last = " | ".join(self.lines[-3:]) or "nothing"
                raise TransientError(f"the daemon did not say {what} within {seconds:.0f} s; its last words: {last}")

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def end(self, number: int = signal.SIGTERM, patience: float = _PATIENCE) -> int:
        """Ask it to end; returns its exit code, -9 where it had to be killed."""
        if self.alive:
            self.process.send_signal(number)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join(5)
        return self.process.returncode


def started(lines: Sequence[str]) -> bool:
    return any(line.startswith("started ") for line in lines)
