"""A schema step that is killed is done or not done, never half; programs and schemas that do not fit say what to do."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house import desk
from tests.servers import imap_pymap, smtp_sink, strace

from triaged import app as composition
from triaged import settings
from triaged.adapters.db import engine, migrations
from triaged.domain.errors import PermanentError

SCRIPTS = settings.shipped("migrations")
UPGRADE = "import sys\nfrom pathlib import Path\nfrom triaged.adapters.db import engine, migrations\n" + (
    "migrations.upgrade(engine.Database(sys.argv[1]), Path(sys.argv[2]))\n"
)
POINTS = ("pwrite64:7", "pwrite64:60", "pwrite64:160", "fdatasync:1", "fdatasync:2", "fdatasync:3")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of 0002 with a thousand mails and their tickets."""
    file = tmp_path_factory.mktemp("old") / "old.db"
    database = engine.Database(f"sqlite:///{file}")
    migrations.upgrade(database, SCRIPTS, "0002")
    database.dispose()
    with sqlite3.connect(file) as connection:
        connection.executemany(
            "INSERT INTO message (id, mailbox, uidvalidity, uid, size, sha256, message_id, received_at, fetched_at, "
            "truncated, state, attempts, announced) VALUES (?, 'eu', 1, ?, 1, 'x', '', '2026-01-01', '2026-01-01', 0, "
            "'decided', 0, 1)",
            [(number, number) for number in range(1, 1001)],
        )
    connection.close()
    return file


def _counted(file: Path) -> int:
    with sqlite3.connect(file) as connection:
        found: int = connection.execute("SELECT count(*) FROM message").fetchone()[0]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    return found


@pytest.mark.parametrize("point", POINTS)
def test_an_upgrade_killed_anywhere_is_old_or_new_and_runs_again(old: Path, tmp_path: Path, point: str) -> None:
    if trouble := strace.trouble():
        pytest.skip(trouble)
    file = tmp_path / "t.db"
    shutil.copy(old, file)
    call, _, number = point.partition(":")
    killing = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}"]
    killing += ["-e", f"inject={call}:signal=SIGKILL:when={number}"]
    program = [sys.executable, "-c", UPGRADE, f"sqlite:///{file}", str(SCRIPTS)]
    done = subprocess.run([*killing, *program], capture_output=True)
    assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), done.stderr[-500:]
    database = engine.Database(f"sqlite:///{file}")
    assert migrations.current(database) in ("0002", migrations.head(SCRIPTS))
    assert migrations.upgrade(database, SCRIPTS) == migrations.head(SCRIPTS)
    assert migrations.differences(database) == []
    database.dispose()
    assert _counted(file) == 1000


def test_a_program_and_a_schema_that_do_not_fit_say_what_to_do(
    tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port) as house:
        migrations.downgrade(house.app.database, SCRIPTS, "0002")
        with pytest.raises(PermanentError, match=r"0002.*triaged db upgrade"):
            house.once()
        composition.upgrade(house.app)
        with house.app.database.write() as session:
            session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(PermanentError, match=r"9999.*newer"):
            house.once()
        with pytest.raises(PermanentError, match=r"9999.*newer"):
            composition.upgrade(house.app)
