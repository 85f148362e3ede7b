"""What leaves the house besides mails: no text of a mail in an IMAP command, no secret in what anybody can look at."""

import ast
import base64
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.house import desk
from tests.servers import imap_dovecot, imap_pymap, smtp_sink
from tests.threats.threatened import LARGE, letter

from triaged.adapters import imap
from triaged.selftest import wire

SPOKEN = {
    "search": {"['UID', f\"{first}:{last or '*'}\", *(['SINCE', since] if since else [])]"},
    "fetch": {"uids", "['RFC822.SIZE', 'INTERNALDATE']", "[item]"},
    "move": {"uids", "archive"},
    "copy": {"uids", "archive"},
    "add_flags": {"uids", "['\\\\Deleted']", "[KEYWORD]", "[b'\\\\Deleted']"},
    "uid_expunge": {"uids"},
    "remove_flags": set(),
    "append": set(),
    "delete_messages": set(),
    "expunge": set(),
    "sort": set(),
    "thread": set(),
    "gmail_search": set(),
}


def test_imap_commands_are_made_of_uids_and_configuration_alone() -> None:
    """A new argument in adapters/imap.py must be looked at, and written down here."""
    calls = [node for node in ast.walk(ast.parse(Path(imap.__file__).read_text())) if isinstance(node, ast.Call)]
    said = {
        (call.func.attr, ast.unparse(argument))
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in SPOKEN
        and ast.unparse(call.func.value).endswith("_client")
        for argument in call.args
    }
    assert [pair for pair in said if pair[1] not in SPOKEN[pair[0]]] == []
    assert ("fetch", "uids") in said


def test_no_word_of_a_mail_is_in_any_command(
    tmp_path: Path, imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot, relay: smtp_sink.SmtpSink
) -> None:
    """The library lets CR LF through in SEARCH: so nothing that a stranger wrote gets near it."""
    evil = 'x@y\r\n ZZ9 DELETE Archive\r\n ZZ8 SEARCH HEADER Message-ID "xyzzy'
    raw = letter(LARGE + evil, message_id=f"<xyzzy{evil}@evil.example>", subject=evil, head=f"References: <{evil}>\r\n")
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", imap_server, relay.port) as house:
        watched = wire.Wire(house.eu.port)
        house.config.write_text(house.config.read_text().replace(f"port = {house.eu.port}", f"port = {watched.port}"))
        imap_server.deliver(house.eu, raw, raw, letter(LARGE))
        assert "Traceback" not in run(house, "run", "--once").stderr
        rows = house.messages()
        sent = b"".join(chunk.data for chunk in watched.chunks if chunk.sent)
        watched.stop()
    assert len(rows) == 3
    assert b"UID FETCH" in sent
    assert not re.search(rb"(?i)xyzzy|ZZ9|DELETE|HEADER|x@y|integra", sent)


def run(house: desk.Installation, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "triaged", "-c", str(house.config), *command],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )


# --- secrets

PASSWORD = "Hunter2-Xyzzy-9"


def forms(secret: bytes) -> list[bytes]:
    """As it might be written: plain, encoded, escaped."""
    return [secret, base64.b64encode(secret).rstrip(b"="), secret.hex().encode(), repr(secret)[2:-1].encode()]


@pytest.fixture
def watched_house(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> desk.Installation:
    """Its password is a wrong one, so that everybody has a reason to speak of it."""
    house = desk.install(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port)
    (tmp_path / "imap.secret").write_text(PASSWORD)
    (tmp_path / "imap.secret").chmod(0o600)
    text = house.config.read_text().replace('password = "secret"', f'password_file = "{tmp_path}/imap.secret"')
    house.config.write_text(text.replace('poll = "1s"', 'poll = "200ms"'))
    house.app.database.dispose()
    return house


def test_no_secret_is_in_environment_command_line_log_or_traceback(watched_house: desk.Installation) -> None:
    """The log at DEBUG of every library, with a log-in that is refused over and over."""
    house, secrets = watched_house, [*forms(PASSWORD.encode()), *forms(watched_house.app.key)]
    speaking = (
        "import logging, runpy, sys; logging.basicConfig(level=logging.DEBUG)\n"
        "from triaged import log; log._LIBRARIES = ()\n"
        f"sys.argv = ['triaged', '-c', {str(house.config)!r}, 'run']\n"
        "runpy.run_module('triaged', run_name='__main__')\n"
    )
    log = house.config.parent / "log"
    with log.open("wb") as out:
        daemon = subprocess.Popen([sys.executable, "-X", "faulthandler", "-c", speaking], stdout=out, stderr=out)
    try:
        end = time.monotonic() + 30
        while b"refused the log-in" not in log.read_bytes() and time.monotonic() < end and daemon.poll() is None:
            time.sleep(0.05)
        of_it = Path(f"/proc/{daemon.pid}")
        shown = (of_it / "environ").read_bytes() + (of_it / "cmdline").read_bytes()
    finally:
        daemon.terminate()
        daemon.wait(45)
    said = log.read_bytes()
    assert b"refused the log-in" in said
    assert [secret for secret in secrets if secret in shown + said] == []


def test_no_secret_is_in_a_check_a_status_or_a_crash(watched_house: desk.Installation) -> None:
    house, secrets = watched_house, [*forms(PASSWORD.encode()), *forms(watched_house.app.key)]
    said = ""
    for command in (["check"], ["status"]):
        done = run(house, *command)
        said += done.stdout + done.stderr
    crash = run_code(house, "app = app.load(config); print(app, vars, app.settings); raise RuntimeError(repr(app))")
    said += crash.stdout + crash.stderr
    assert "RuntimeError" in said
    assert [secret for secret in secrets if secret in said.encode()] == []


def run_code(house: desk.Installation, code: str) -> subprocess.CompletedProcess[str]:
    start = f"from pathlib import Path; from triaged import app; config = Path({str(house.config)!r})\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, timeout=60)
