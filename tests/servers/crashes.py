"""Lives of the daemon that end where a test wants them to: a warm process forks one child per life, so that a life
costs a fifth of a second instead of one and a half.

A child may be held until somebody has attached to it (strace), may have a function of ours replaced (a seeded bug),
and may kill itself before or after the n-th call of a named step. Nothing of this is in the program itself."""

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from triaged import app as composition
from triaged import log, schedule
from triaged.app import App

ROOT = Path(__file__).parents[2]
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_PTRACER, _ANYBODY = 1, 15, 0x59616D61, ctypes.c_ulong(-1)
_LONGEST = 40.0  # seconds of a life


@dataclass(frozen=True)
class Crash:
    """The process sends itself `signal` when `step` ("module:Class.function") is called for the `nth` time: `before`
    it does anything, or `after` it has returned. `about`: only calls with this text among their arguments count."""

    step: str
    when: str = "before"
    nth: int = 1
    signal: int = signal.SIGKILL
    about: str = ""


@dataclass(frozen=True)
class Order:
    """What a life is to be: `run --once`, or `run` where not `once`; its clock so many seconds ahead; `change` names a
    function ("module:function") that replaces something of ours first."""

    once: bool = True
    later: float = 0.0
    crash: Crash | None = None
    change: str = ""


class Life:
    """One child. `main` and `smtp` are the ids of its threads; it waits for `go`."""

    def __init__(self, nursery: "Nursery", pid: int, smtp: int) -> None:
        self.pid = self.main = pid
        self.smtp = smtp
        self._nursery = nursery

    def go(self) -> None:
        self._nursery.ask("go")

    def thread(self, name: str, timeout: float = 10) -> int:
        """The id of the thread that is called so, as soon as it is there."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for task in Path(f"/proc/{self.pid}/task").iterdir():
                with contextlib.suppress(FileNotFoundError):  # it has just ended
                    if (task / "comm").read_text().strip() == name[-15:]:
                        return int(task.name)
            time.sleep(0.01)
        raise AssertionError(f"no thread is called {name}:\n{self._nursery.told()}")

    def end(self, timeout: float = _LONGEST) -> int:
        """Its exit code, negative for a signal. A life that outlasts its time is killed: AssertionError."""
        return self._nursery.wait(self.pid, timeout)


class Nursery:
    """The warm process. `live` is a whole life; `born` one that is still held."""

    def __init__(self, config: Path) -> None:
        self.diary = config.with_name("lives.log")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.crashes", str(config), str(self.diary)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{ROOT}"},
        )
        assert self._answer(40) == {"warm": True}, self.told()

    def born(self, order: Order) -> Life:
        told = self.ask(json.dumps(asdict(order)), 20)
        return Life(self, told["pid"], told["smtp"])

    def live(self, order: Order) -> int:
        life = self.born(order)
        life.go()
        return life.end()

    def ask(self, line: str, timeout: float = 10) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        return self._answer(timeout)

    def wait(self, pid: int, timeout: float) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(b"wait\n")
        self._process.stdin.flush()
        answer = self._answer(timeout)
        if answer is None:
            os.kill(pid, signal.SIGKILL)
            self._answer(10)
            raise AssertionError(f"this life did not end within {timeout:.0f} s:\n{self.told()}")
        return int(answer["code"])

    def _answer(self, timeout: float) -> Any:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            return None
        line = self._process.stdout.readline()
        assert line, f"the warm process ended:\n{self.told()}"
        return json.loads(line)

    def told(self, lines: int = 40) -> str:
        """The end of what the lives logged."""
        return "\n".join(self.diary.read_text().splitlines()[-lines:]) if self.diary.exists() else ""

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


# --- the warm process


def serve(config: Path, diary: Path) -> None:
    """Answer orders on standard input, one line each, until it ends."""
    app = composition.load(config)
    with diary.open("a", buffering=1) as stream:
        log.configure(stream=stream)
        schedule.run_once(app)  # statements compiled, templates read: what every life would do anew
    app.database.dispose()
    while threading.active_count() > 1:  # a child has only the thread that forks
        time.sleep(0.01)
    _say(warm=True)
    child, release = 0, -1
    for line in sys.stdin:
        if line == "go\n":
            os.write(release, b"g")
            os.close(release)
            _say(going=True)
        elif line == "wait\n":
            _, status = os.waitpid(child, 0)
            _say(code=os.waitstatus_to_exitcode(status))
        else:
            child, release = _fork(app, json.loads(line), diary)


def _fork(app: App, order: dict[str, Any], diary: Path) -> tuple[int, int]:
    (ready, tell), (held, release) = os.pipe(), os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.close(release)
        _live(app, order, diary, tell, held)
    os.close(tell)
    os.close(held)
    with os.fdopen(ready) as stream:
        told = stream.readline()
    _say(pid=child, smtp=int(told or 0))
    return child, release


def _say(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


# --- a child


def _live(app: App, order: dict[str, Any], diary: Path, tell: int, held: int) -> None:
    """One life, from the fork to its end; never returns."""
    code = 70
    with diary.open("a", buffering=1) as stream:
        try:
            code = _lived(app, order, stream, tell, held)
        except BaseException:  # noqa: BLE001  # whatever it is, this process must not become a second warm one
            traceback.print_exc(file=stream)
        finally:
            stream.flush()
            os._exit(code)


def _lived(app: App, order: dict[str, Any], stream: Any, tell: int, held: int) -> int:
    log.configure(stream=stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(stream.fileno(), 1)
    os.dup2(stream.fileno(), 2)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # no life outlasts its test
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)  # Yama lets only a parent attach otherwise
    _name_threads()
    if order["change"]:
        _found(order["change"])()
    if order["later"]:
        schedule._now = lambda: datetime.now(UTC) + timedelta(seconds=order["later"])
    if order["crash"]:
        plant(Crash(**order["crash"]))
    relay = composition.relay(app)
    relay.waits()
    relay._submit(_nothing()).result()  # its thread is there from the start, so that somebody can attach to it
    composition.relay = lambda _app: relay
    assert relay._thread is not None
    os.write(tell, f"{relay._thread.native_id}\n".encode())
    os.read(held, 1)
    if not order["once"]:
        schedule.run(app)
        return 0
    return 4 if schedule.run_once(app) else 0


def _name_threads() -> None:
    """Let the kernel know the ends of our threads' names, for `Life.thread` (Python does it from 3.14 on)."""
    run, prctl = threading.Thread.run, ctypes.CDLL(None).prctl

    def named(self: threading.Thread) -> None:
        prctl(_PR_SET_NAME, self.name[-15:].encode(), 0, 0, 0)
        run(self)

    threading.Thread.run = named  # type: ignore[method-assign]  # in this child only


async def _nothing() -> None:
    pass


def plant(crash: Crash) -> None:
    """Replace the named step by itself with an end before or after it."""
    owner, name = _place(crash.step)
    original: Callable[..., Any] = getattr(owner, name)
    calls, lock = [0], threading.Lock()

    def deadly(*arguments: Any, **options: Any) -> Any:
        with lock:
            calls[0] += crash.about in repr(arguments[1:]) if crash.about else 1
            fatal = calls[0] == crash.nth and crash.about in repr(arguments[1:])
        if fatal and crash.when == "before":
            _die(crash.signal)
        result = original(*arguments, **options)
        if fatal and crash.when == "after":
            _die(crash.signal)
        return result

    setattr(owner, name, deadly)


def _die(number: int) -> None:
    os.kill(os.getpid(), number)
    if number == signal.SIGKILL:
        time.sleep(10)  # another thread dies first, at times


def _place(path: str) -> tuple[Any, str]:
    """("module:Class.function") → the object that holds the function, and its name."""
    module, _, name = path.partition(":")
    owner = importlib.import_module(module)
    *outer, last = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    return owner, last


def _found(path: str) -> Any:
    owner, name = _place(path)
    return getattr(owner, name)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
