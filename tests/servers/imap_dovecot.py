"""Debian's Dovecot without root rights: Maildir, one password for every user, everything below one directory."""

import contextlib
import getpass
import grp
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path

from tests.servers import accounts

_CONFIG = """
protocols = imap
listen = 127.0.0.1
base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{home}/mail/%u
mail_fsync = never
auth_failure_delay = 0
auth_mechanisms = plain login
disable_plaintext_auth = no
{tls}
{capability}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={home}/mail/%u
}}
# Without the penalty that a wrong password lays on whoever logs in next from this address.
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  process_min_avail = 1
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {secure}
    ssl = yes
  }}
}}
"""

# The server goes when our end of its input does: also when the tests are killed.
_WITH_US = '"$@" & read -r _; kill $!; wait $!'

ADVICE = "Dovecot is not installed: apt-get install dovecot-imapd"


def installed() -> bool:
    return _binary() is not None


def _binary() -> str | None:
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Dovecot:
    """Any user exists as soon as it logs in; mails are delivered as an MTA does, into `new/`."""

    name = "dovecot"
    keeps_keywords = True

    def __init__(self, certificate: tuple[str, str] | None = None, capability: str = "") -> None:
        """`certificate` is the paths of chain and key; with it STARTTLS and, on `secure_port`, TLS are there.
        `capability` is what the server says it can instead of everything."""
        self._user = "nobody" if os.getuid() == 0 else getpass.getuser()
        self._home = Path(tempfile.mkdtemp(prefix="dovecot-", dir="/tmp"))
        self.port, self.secure_port = accounts.free_port(), accounts.free_port() if certificate else 0
        tls = "ssl = yes\nssl_cert = <{}\nssl_key = <{}".format(*certificate) if certificate else "ssl = no"
        entry = pwd.getpwnam(self._user)
        config = _CONFIG.format(
            home=self._home,
            user=self._user,
            group=_group(entry.pw_gid),
            plain=self.port,
            secure=self.secure_port,
            tls=tls,
            capability=f"imap_capability = {capability}" if capability else "",
        )
        (self._home / "dovecot.conf").write_text(config)
        (self._home / "mail").mkdir()
        if os.getuid() == 0:
            for path in (self._home, *self._home.iterdir()):
                os.chown(path, entry.pw_uid, entry.pw_gid)
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _WITH_US, "sh", _binary() or "dovecot", "-F", "-c", str(self._home / "dovecot.conf")],
            stdin=subprocess.PIPE,
            user=self._user if os.getuid() == 0 else None,
            group=entry.pw_gid if os.getuid() == 0 else None,
            extra_groups=[] if os.getuid() == 0 else None,
            stderr=subprocess.PIPE,
        )
        self._owner = entry
        self._await_port()

    def _await_port(self) -> None:
        end = time.monotonic() + 10
        while time.monotonic() < end and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self._process.kill()
        _, said = self._process.communicate()
        log = self._home / "log"
        raise RuntimeError(f"Dovecot did not start: {said.decode()} {log.read_text() if log.exists() else ''}")

    def mailbox(self, **changes: object) -> accounts.Mailbox:
        """The settings of a new, empty mailbox."""
        user = accounts.new_name()
        for folder in ("new", "cur", "tmp"):
            self._make(self._maildir(user) / folder)
        known = {"name": user, "port": self.port, "username": user}
        return accounts.Mailbox(**{**known, **changes})  # type: ignore[arg-type]  # a test's own keywords

    def _maildir(self, user: str, folder: str = "INBOX") -> Path:
        home = self._home / "mail" / user
        return home if folder == "INBOX" else home / f".{folder}"

    def _make(self, path: Path) -> None:
        path.mkdir(parents=True)
        if os.getuid() == 0:
            for made in (path, path.parent):
                os.chown(made, self._owner.pw_uid, self._owner.pw_gid)

    def empty(self, mailbox: accounts.Mailbox) -> None:
        """The mailbox as on its first day."""
        shutil.rmtree(self._maildir(mailbox.username))
        for folder in ("new", "cur", "tmp"):
            self._make(self._maildir(mailbox.username) / folder)

    def deliver(self, mailbox: accounts.Mailbox, *mails: bytes, at: datetime | None = None) -> None:
        """Put mails into INBOX; `at` is their INTERNALDATE."""
        maildir = self._maildir(mailbox.username)
        for mail in mails:
            name = f"{time.time():.6f}.{accounts.new_name('m')}.test"
            (maildir / "tmp" / name).write_bytes(mail)
            if os.getuid() == 0:
                os.chown(maildir / "tmp" / name, self._owner.pw_uid, self._owner.pw_gid)
            if at:
                os.utime(maildir / "tmp" / name, (at.timestamp(), at.timestamp()))
            (maildir / "tmp" / name).rename(maildir / "new" / name)

    def mails(self, mailbox: accounts.Mailbox, folder: str = "INBOX") -> list[tuple[int, bytes, set[str]]]:
        """(UID, bytes, flags) of what lies in a folder; none where there is no such folder."""
        maildir = self._maildir(mailbox.username, folder)
        if not maildir.exists():
            return []
        listed = maildir / "dovecot-uidlist"
        lines = listed.read_text().splitlines()[1:] if listed.exists() else []
        numbers = {line.rsplit(":", 1)[1].split(":")[0].split(",")[0]: int(line.split()[0]) for line in lines}
        keywords = maildir / "dovecot-keywords"
        letters = dict(line.split(" ", 1) for line in keywords.read_text().splitlines()) if keywords.exists() else {}
        names = {chr(ord("a") + int(number)): keyword for number, keyword in letters.items()}
        found = []
        for path in sorted([*(maildir / "new").iterdir(), *(maildir / "cur").iterdir()]):
            base, _, flags = path.name.partition(":2,")
            found.append((numbers.get(base.split(",")[0], 0), path.read_bytes(), {names.get(c, c) for c in flags}))
        return sorted(found, key=lambda mail: mail[0])

    def sneak(self, mailbox: accounts.Mailbox, mail: bytes, uid: int) -> None:
        """A mail under a UID that comes late: lower than what the folder has shown."""
        maildir = self._maildir(mailbox.username)
        self.deliver(mailbox, mail)
        (path,) = (maildir / "new").iterdir()
        moved = path.rename(maildir / "cur" / f"{path.name}:2,")
        head, *lines = (maildir / "dovecot-uidlist").read_text().splitlines()
        others = [line for line in lines if line.split()[0] != str(uid)]  # of a mail that is gone
        lines = sorted([*others, f"{uid} :{moved.name}"], key=lambda line: int(line.split()[0]))
        (maildir / "dovecot-uidlist").write_text("\n".join([head, *lines]) + "\n")
        for index in maildir.glob("dovecot.index*"):
            index.unlink()

    def renumber(self, mailbox: accounts.Mailbox, step: int = 1) -> None:
        """The folder as after a restore: another UIDVALIDITY (`step` more), UIDs from 1."""
        maildir = self._maildir(mailbox.username)
        listed = maildir / "dovecot-uidlist"
        version, validity, *_ = listed.read_text().split("\n", 1)[0].split()
        for path in maildir.glob("dovecot*"):
            path.unlink()
        listed.write_text(f"{version} V{int(validity[1:]) + step} N1 G{secrets.token_hex(16)}\n")
        if os.getuid() == 0:
            os.chown(listed, self._owner.pw_uid, self._owner.pw_gid)

    def freeze(self) -> None:
        """Stop every process of it where it stands; `thaw` lets them go on."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        waiting = [self._process.pid]
        while waiting:
            pid = waiting.pop()
            with contextlib.suppress(OSError):
                waiting += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
                if pid != self._process.pid:  # the shell that ends it with us
                    os.kill(pid, number)

    def log(self) -> str:
        return (self._home / "log").read_text()

    def stop(self) -> None:
        self._process.communicate(timeout=10)  # closes its input
        shutil.rmtree(self._home, ignore_errors=True)


def _group(number: int) -> str:

    return grp.getgrgid(number).gr_name
