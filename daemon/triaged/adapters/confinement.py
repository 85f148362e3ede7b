"""What one mail may cost: processor time, and once it has been tried in vain a process of its own (DESIGN §4.2).

A regular expression that hangs, or a C library, holds the interpreter's lock, so that no thread of ours could stop it:
the kernel counts the processor's time, that of all threads together, and ends the process. So in the daemon the time is
ample; in the child, which has one thread, it is tight. Waiting (a slow disk, SIGSTOP) costs none.
"""

import contextlib
import faulthandler
import resource
import select
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO

from triaged import log

CPU = 90.0  # seconds of processor time, all threads', for one mail; the worst mail that we know takes two
CHILD_CPU = 10.0
CHILD_WALL = 20.0
CHILD_START = 60.0
CHILD_MEMORY = 400 * 1024 * 1024  # of addresses; it needs 120 MB for itself, and four times a mail at most
_STDERR = 2
_READY, _SURVIVED = b"ready\n", b"survived\n"


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """A mail is under work: past its time this process prints where every thread stood and dies by SIGPROF."""
    faulthandler.register(signal.SIGPROF, file=_STDERR, chain=True)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


class Rehearsal:
    """A child process that goes through mails that were tried before, and stores nothing: whatever such a mail kills
    is this child. `command` starts it; it is kept for as long as there are such mails, and begun anew when it died."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None

    def failure(self, task: str) -> str:
        """Empty when the child came through its task (a line of text), else how it ended. A child that cannot start is
        no mail's fault: then the mail goes its way without a rehearsal."""
        child = self._child or self._started()
        if child is None:
            return ""
        with contextlib.suppress(BrokenPipeError):
            _input(child).write(task.encode() + b"\n")
        answer = _answer(child, CHILD_WALL)
        if answer == _SURVIVED:
            return ""
        return _obituary(self._ended(), answer is None)

    def rest(self) -> None:
        """No such mail is left for now."""
        if self._child is not None:
            self._ended()

    def _started(self) -> subprocess.Popen[bytes] | None:
        try:
            child = subprocess.Popen(  # noqa: S603  # this very program
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # Ctrl-C means the daemon
            )
        except OSError as error:
            log.warning("no rehearsal", reason=f"the child cannot be started: {error}")
            return None
        self._child = child
        if _answer(child, CHILD_START) == _READY:
            return child
        log.warning("no rehearsal", reason="the child did not start", status=self._ended())
        return None

    def _ended(self) -> int:
        """The exit status of the child, killed if it does not end by itself."""
        assert self._child is not None  # both callers have one
        child, self._child = self._child, None
        _input(child).close()
        try:
            status = child.wait(2)
        except subprocess.TimeoutExpired:
            child.kill()
            status = child.wait()
        if child.stdout:
            child.stdout.close()
        return status


def _input(child: subprocess.Popen[bytes]) -> IO[bytes]:
    assert child.stdin is not None  # a pipe, as we asked
    return child.stdin


def _answer(child: subprocess.Popen[bytes], patience: float) -> bytes | None:
    """Its next line; empty at its end, None when it took too long."""
    assert child.stdout is not None  # a pipe, as we asked
    if not select.select([child.stdout], [], [], patience)[0]:
        return None
    return child.stdout.readline()


def _obituary(status: int, slow: bool) -> str:
    if slow:
        return f"reading it took more than {CHILD_WALL:.0f} s"
    if status == -signal.SIGPROF:
        return f"reading it took more than {CHILD_CPU:.0f} s of processor time"
    if status == _NO_MEMORY:
        return f"reading it took more than {CHILD_MEMORY >> 20} MB of memory"
    how = f"by {signal.Signals(-status).name}" if status < 0 else f"with exit status {status}"
    return f"reading it ended the process {how}"


# --- in the child -----------------------------------------------------------------------------------------------------

_NO_MEMORY = 71


def perform(tasks: Iterable[str], out: IO[bytes], work: Callable[[str], object]) -> None:
    """Each task of the daemon's, confined, until its pipe ends; which one we came through is told."""
    resource.setrlimit(resource.RLIMIT_AS, (CHILD_MEMORY, CHILD_MEMORY))
    _say(out, _READY)
    for task in tasks:
        try:
            with limited(CHILD_CPU):
                work(task.strip())
        except MemoryError:
            raise SystemExit(_NO_MEMORY) from None
        _say(out, _SURVIVED)


def _say(out: IO[bytes], line: bytes) -> None:
    out.write(line)
    out.flush()
