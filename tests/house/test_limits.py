"""Mails made to exhaust us, on a machine that has little: 700 MB of addresses, 32 open files (reliability.md F17, F18).

None kills the process; each is decided or quarantined at the first try, and the mail after them is served.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.house import desk
from tests.servers import imap_dovecot, smtp_sink

ADDRESSES = 700 * 1024 * 1024
FILES = 32
RESIDENT = 200  # MB, at the most
COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"


def shaped(number: int, head: str, body: bytes) -> bytes:
    """A mail of its own head and body below the border server's lines."""
    top, _blank, _text = desk.mail("", number=number).partition(b"MIME-Version")
    return top + head.encode() + b"\r\n" + body


def nested(depth: int) -> bytes:
    return b"".join(b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(depth))


MIXED = "Content-Type: multipart/mixed; boundary=b0\r\n"
HOSTILE = {
    "3,000 deep": (MIXED, nested(3_000)),
    "100,000 parts": (MIXED, b"--b0\r\n\r\nx\r\n" * 100_000),
    "546 KiB of header": ("".join(f"X-{n}: {'y' * 900}\r\n" for n in range(600)), b"x"),
    "8,000 recipients": ("Cc: " + ",\r\n ".join(f"a{n}@b{n}.example" for n in range(8_000)) + "\r\n", b"x"),
    "1,000 nested comments": ("Cc: " + "(" * 1_000 + ")" * 1_000 + " a@b.example\r\n", b"x"),
    "a bomb of encoded words": ("X-Subject: " + "=?utf-8?q?=C3=A9?=\r\n " * 14_000 + "\r\n", b"x"),
    **{f"64 KiB of {sign!r}": ("", sign.encode() * 65_536) for sign in "a>= \n"},
    "24 MB": ("Content-Type: application/zip; name=a.zip\r\n", b"PK" + b"x" * 70 * 340_000),
}


def resident(pid: int) -> int:
    """The most that this process has had in memory so far, in MB; 0 when it has just ended."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) // 1024 if found else 0


@pytest.mark.dovecot
@pytest.mark.parametrize("limit", ["memory", "files"])
def test_hostile_mails_kill_nobody_where_there_is_little(
    tmp_path: Path, dovecot: imap_dovecot.Dovecot, relay: smtp_sink.SmtpSink, limit: str
) -> None:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", dovecot, relay.port) as house:
        mails = [shaped(n, head, body) for n, (head, body) in enumerate(HOSTILE.values(), 10)]
        dovecot.deliver(house.eu, *mails, desk.mail(COMPLETE, number=1))
        bound = f"--as={ADDRESSES}" if limit == "memory" else f"--nofile={FILES}"
        command = ["prlimit", bound, sys.executable, "-m", "triaged", "-c", str(house.config), "run", "--once"]
        daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        peak = 0
        while daemon.poll() is None:
            peak = max(peak, resident(daemon.pid))
            time.sleep(0.02)
        assert daemon.returncode == 0
        assert 50 < peak < RESIDENT
        records = [record.row for record in house.messages()]
        assert len(records) == len(HOSTILE) + 1
        assert {row["attempts"] for row in records} == {1}
        assert {row["state"] for row in records} <= {"decided", "quarantined"}
        assert [row["decision"] for row in records][-1] == "ticket"
        assert records[-1]["reason"] == "large_account"
        assert all(entry.state == "sent" for entry in house.queue())
