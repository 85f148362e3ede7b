"""Debian's strace attached to one thread of a process: what it asks of the kernel, and an end or an error at its k-th
call. Counts are per thread (measured: with `-f` each thread has its own), so a sweep names the thread."""

import contextlib
import functools
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ADVICE = (
    "strace cannot attach to a process here ({}). As root: apt install strace; in a container: --cap-add=SYS_PTRACE; "
    "on a laptop: sysctl kernel.yama.ptrace_scope=0"
)
_SYNCS = ("fdatasync", "fsync")
_CALL = re.compile(r"^(?:(?P<tid>\d+) +)?(?P<name>\w+)\((?P<text>.*)$")
_RESUMED = re.compile(r"^(?:(?P<tid>\d+) +)?<\.\.\. (?P<name>\w+) resumed>(?P<text>.*)$")


@functools.cache
def trouble() -> str:
    """Empty where strace works, else what to do about it."""
    if not shutil.which("strace"):
        return ADVICE.format("it is not installed")
    with subprocess.Popen(["sleep", "20"]) as sleeper:
        try:
            with attached(sleeper.pid, "-e", "trace=none"):
                return ""
        except AssertionError as error:
            return ADVICE.format(str(error).strip())
        finally:
            sleeper.kill()


@contextlib.contextmanager
def attached(thread: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """strace on this thread (with `-f` in the options: on all of them) while the `with` lasts, or until it ends."""
    process = subprocess.Popen(
        ["strace", *options, "-p", str(thread)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        _await_attached(process)
        yield process
    finally:
        process.terminate()
        process.stderr.close()
        process.wait(10)


def _await_attached(process: subprocess.Popen[bytes], timeout: float = 10) -> None:
    assert process.stderr is not None
    said, end = b"", time.monotonic() + timeout
    while b" attached" not in said:
        ready, _, _ = select.select([process.stderr], [], [], max(0.0, end - time.monotonic()))
        piece = os.read(process.stderr.fileno(), 4096) if ready else b""
        said += piece
        assert piece, said.decode() or "strace said nothing"


def killing(call: str, number: int) -> tuple[str, ...]:
    """Options: SIGKILL on entering the n-th such call of the thread, which is then not carried out."""
    return ("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}", "-o", "/dev/null")


def failing(call: str, error: str, number: int) -> tuple[str, ...]:
    """Options: the n-th such call of the thread is not carried out and gives this error."""
    return ("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}", "-o", "/dev/null")


def recording(calls: str, output: Path, *, all_threads: bool = False) -> tuple[str, ...]:
    """Options: write these calls down, with the files and connections that they are about."""
    return (
        *(("-f",) if all_threads else ()),
        "-yy",
        "-s",
        "200",
        "-e",
        f"trace={calls}",
        "-e",
        "signal=none",
        "-o",
        str(output),
    )


@dataclass(frozen=True)
class Call:
    """One call as it was written down: the thread (0: the only one), its name, everything behind the bracket."""

    thread: int
    name: str
    text: str

    @property
    def on_network(self) -> bool:
        return self.text.partition(">")[0].partition("<")[2].startswith("TCP")

    def __str__(self) -> str:
        """In a few words, for a table."""
        said = re.search(r'"((?:[^"\\]|\\.)*)"', self.text)
        about = "self-pipe" if "UNIX" in self.text[:20] else ""
        wal = " -wal" if "-wal>" in self.text[:200] else ""
        return f"{self.name}{wal} {about or (said[1][:40] if said and not wal else '')}".strip()


def calls(output: Path) -> list[Call]:
    """What was written down, in the order of beginning; calls that were interrupted by another thread's are joined
    where they ended (a sync counts from when it is done, a command from when it is begun)."""
    found: list[Call] = []
    begun: dict[str | None, str] = {}
    for line in output.read_text(errors="replace").splitlines():
        if match := _CALL.match(line):
            if match["text"].endswith("<unfinished ...>") and match["name"] in _SYNCS:
                begun[match["tid"]] = match["text"]
            else:
                found.append(Call(int(match["tid"] or 0), match["name"], match["text"]))
        elif (match := _RESUMED.match(line)) and match["name"] in _SYNCS:
            found.append(Call(int(match["tid"] or 0), match["name"], begun.pop(match["tid"], "")))
    return found
