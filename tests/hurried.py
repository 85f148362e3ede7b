"""Daemons for campaigns: their rests are seconds instead of minutes, and a warm process forks them, so that a life
costs a fifth of a second of processor time instead of more than one. Nothing else is changed, and the product has no
switch for either."""

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from triaged import app as composition
from triaged import log, schedule
from triaged.adapters import confinement
from triaged.adapters.db import hosts, leases
from triaged.app import App
from triaged.selftest import children
from triaged.workflows import deliver, sharing

ROOT = Path(__file__).parents[1]
QUIET = timedelta(seconds=2)  # production: 15 min


def hurry() -> None:
    deliver.deliver_due = functools.partial(deliver.deliver_due, quiet=QUIET)
    deliver.recover = functools.partial(deliver.recover, quiet=QUIET)
    deliver._DELAYS = (0.02,) * 200  # minutes; production: 1, 5, 15, 60 …
    hosts.SILENCE = timedelta(seconds=4)  # production: 30 s
    leases.HOLD = timedelta(seconds=4)  # production: 60 s
    schedule._BEAT = schedule._RETRY = 1.0  # production: 5 s
    schedule._TAKEOVER = 2.0  # production: 15 s
    sharing.Sharing.__init__.__defaults__ = (1.0,)  # production: 15 s for a host with less than its share


class Life:
    """One daemon. Its log is a file, so that what it said last is there however it ended."""

    def __init__(self, nursery: "Nursery", log: Path) -> None:
        self._nursery, self._log = nursery, log
        self.pid: int = nursery.ask({"do": "live", "log": str(log)})
        self.code: int | None = None

    @property
    def lines(self) -> list[str]:
        return self._log.read_text(errors="replace").splitlines() if self._log.exists() else []

    @property
    def alive(self) -> bool:
        return self._poll() is None

    def await_start(self, seconds: float) -> bool:
        return self._until(lambda: any("started" in line for line in self.lines) or not self.alive, seconds)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM, patience: float = 45) -> int:
        """Its exit code; negative for the signal that ended it."""
        if self.alive:
            os.kill(self.pid, number)
        if not self._until(lambda: not self.alive, patience):
            os.kill(self.pid, signal.SIGKILL)
            self._until(lambda: not self.alive, 10)
        assert self.code is not None
        return self.code

    def _poll(self) -> int | None:
        if self.code is None:
            self.code = self._nursery.ask({"do": "poll", "pid": self.pid})
        return self.code

    def _until(self, wanted: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not wanted():
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True


class Nursery:
    """The warm process; it ends with us, and its daemons with it."""

    def __init__(self, config: Path) -> None:
        self._asking = threading.Lock()
        self._numbers = 0
        self._folder = config.parent
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hurried", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=children.environment(),
        )

    def born(self) -> Life:
        self._numbers += 1
        return Life(self, self._folder / f"life-{self._numbers}.log")

    def ask(self, order: dict[str, object]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._asking:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.communicate(timeout=60)


# --- the warm process


def serve(config: Path) -> None:
    hurry()
    app = composition.load(config)
    born: list[int] = []
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "live":
            answer: int | None = _fork(app, order["log"])
            born.append(answer or 0)
        else:
            ended, status = os.waitpid(order["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
            if ended:
                born.remove(ended)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for pid in born:
        os.kill(pid, signal.SIGKILL)


class _Rehearser:
    """A child for rehearsals, forked like all else here; of subprocess.Popen what a rehearsal asks for."""

    def __init__(self, app: App) -> None:
        (tasks, tell), (hear, answers) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(tell)
            os.close(hear)
            code = 1
            try:
                with os.fdopen(tasks) as lines, os.fdopen(answers, "wb") as out:
                    composition.rehearse(app, lines, out)
                    code = 0
            finally:
                os._exit(code)
        os.close(tasks)
        os.close(answers)
        self.stdin, self.stdout = os.fdopen(tell, "wb", buffering=0), os.fdopen(hear, "rb", buffering=0)

    def wait(self, timeout: float = 10) -> int:
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        raise subprocess.TimeoutExpired("rehearsal", timeout)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def _rehearse_with(forked: _Rehearser) -> None:
    """The first rehearsal of this life is the forked one's; should it end, another is begun as ever."""
    begun = confinement.Rehearsal._started

    def started(rehearsal: Any) -> Any:
        if forked in waiting:
            waiting.remove(forked)
            rehearsal._child = forked
            assert forked.stdout.readline() == b"ready\n"
            return forked
        return begun(rehearsal)

    waiting = [forked]
    confinement.Rehearsal._started = started  # type: ignore[method-assign]  # in this process, which a test forked


def _fork(app: App, path: str) -> int:
    child = os.fork()
    if child:
        return child
    code = 70
    with open(path, "a", buffering=1, encoding="utf-8") as stream:
        try:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
            log.configure(stream=stream)
            _rehearse_with(_Rehearser(app))
            schedule.run(app)
            code = 0
        except BaseException:  # noqa: BLE001  # whatever it is, this process must not become a second warm one
            traceback.print_exc(file=stream)
        finally:
            stream.flush()
            os._exit(code)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
