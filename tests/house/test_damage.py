"""The disk, the file and the database server fail under a running daemon: it says so, leaves mail on the server, and
goes on by itself; or it ends, where only another process can know what the disk has kept."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy.exc
from tests.house import desk
from tests.servers import accounts, imap_pymap, postgres, smtp_sink, strace

from triaged.adapters.db import engine, soundness
from triaged.domain.errors import PermanentError, TransientError
from triaged.selftest import children, wire
from triaged.workflows import backup, integrity

COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"


@contextlib.contextmanager
def running(house: desk.Installation) -> Iterator[children.Child]:
    house.app.database.dispose()
    child = children.Child([sys.executable, "-m", "triaged", "-c", str(house.config), "run"])
    try:
        child.await_line(lambda lines: any("started owner=" in line for line in lines), 20, "started")
        yield child
    finally:
        child.end(signal.SIGKILL)


def command(house: desk.Installation, *words: str) -> tuple[int, str]:
    """The command itself: exit code, and what it said."""
    program = [sys.executable, "-m", "triaged", "-c", str(house.config), *words]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def until(wanted: Callable[[], bool], seconds: float = 25) -> None:
    end = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def question(number: int, size: int = 0) -> bytes:
    return desk.mail(f"Demande {number}\n{'x' * size}\n{COMPLETE}", number=number)


def sent_to_sender(relay: smtp_sink.SmtpSink) -> int:
    return len(desk.to(relay, "contact@integra.example"))


@pytest.fixture
def house(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[desk.Installation]:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port) as house:
        yield house


# --- a damaged file (F16)


def _header(file: Path) -> None:
    _write(file, 0, b"\0" * 100)


def _truncated(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _emptied(file: Path) -> None:
    os.truncate(file, 0)


def _pages(file: Path) -> None:
    for page in range(2, file.stat().st_size // 4096):
        _write(file, 4096 * page, b"\xa7" * 64)


def _write(file: Path, at: int, content: bytes) -> None:
    with open(file, "r+b") as opened:
        opened.seek(at)
        opened.write(content)


@pytest.mark.parametrize("spoil", [_header, _truncated, _emptied, _pages])
def test_a_damaged_database_stops_everything_and_is_left_as_it_is(
    house: desk.Installation, pymap: imap_pymap.Pymap, spoil: Callable[[Path], None]
) -> None:
    house.once()
    house.app.database.dispose()
    file = house.app.database.path
    assert file is not None
    soundness.checkpoint(house.app.database)
    house.app.database.dispose()
    spoil(file)
    spoiled = file.read_bytes()
    pymap.deliver(house.eu, desk.mail(COMPLETE))
    with pytest.raises(PermanentError, match="db restore BACKUP"):
        house.once()
    house.app.database.dispose()
    if spoil is _header:
        code, said = command(house, "run")
        assert (code, "db restore BACKUP" in said) == (1, True), said
    assert file.read_bytes() == spoiled
    assert len(pymap.mails(house.eu)) == 1


def test_a_damaged_page_that_nobody_reads_is_found_at_the_start_and_never_backed_up(
    house: desk.Installation, pymap: imap_pymap.Pymap, tmp_path: Path
) -> None:
    file = house.app.database.path
    assert file is not None
    with house.app.database.read() as session:
        found = session.connection().exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name = 'extension'")
        page = found.scalar_one()
    soundness.checkpoint(house.app.database)
    house.app.database.dispose()
    _write(file, 4096 * (page - 1), b"\xa7" * 64)
    pymap.deliver(house.eu, desk.mail(COMPLETE))
    with pytest.raises(engine.Broken, match="nothing is made anew"):
        house.once()
    assert len(pymap.mails(house.eu)) == 1
    with pytest.raises(engine.Broken):
        backup.backup(house.app.database, tmp_path / "copy")
    assert list(tmp_path.glob("*copy*")) == []


@pytest.mark.parametrize("loss", ["-wal", "-shm"])
def test_side_files_lost_or_spoiled_after_a_kill_leave_a_sound_database(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, loss: str
) -> None:
    with running(house) as child:
        pymap.deliver(house.eu, desk.mail(COMPLETE))
        until(lambda: sent_to_sender(relay) == 1)
        child.kill()
    side = Path(f"{house.app.database.path}{loss}")
    assert side.exists()
    if loss == "-wal":
        side.unlink()
    else:
        _write(side, 0, os.urandom(side.stat().st_size))
    before = sent_to_sender(relay)
    house.once()
    assert soundness.whole(house.app.database) == []
    assert len(house.messages()) == 1
    assert len(house.tickets()) == 1
    if loss == "-shm":
        assert sent_to_sender(relay) == before


def test_a_damaged_page_found_at_work_ends_the_process(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    file = house.app.database.path
    assert file is not None
    house.once()
    soundness.checkpoint(house.app.database)
    house.app.database.dispose()
    with running(house) as child:
        _pages(file)
        pymap.deliver(house.eu, desk.mail(COMPLETE))
        until(lambda: not child.alive, 30)
        assert child.end() == 1
    assert child.has_said("nothing is made anew")
    assert len(pymap.mails(house.eu)) + len(pymap.mails(house.eu, "Processed")) == 1
    assert not any("Traceback" in line for line in child.lines)


def test_what_the_nightly_look_finds_stands_in_status(house: desk.Installation) -> None:
    file = house.app.database.path
    assert file is not None
    assert integrity.inspect(house.app.database, datetime.now(UTC)) == []
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("INSERT INTO account_domain (account_id, domain) VALUES (4711, 'x.example')")
    connection.commit()
    connection.close()
    found = integrity.inspect(house.app.database, datetime.now(UTC))
    assert [" of account_domain refers to a row of account that is not there" in one for one in found] == [True]
    assert "the database is damaged" in command(house, "status")[1]


# --- a full disk, a disk that fails (F9, F10)


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[Path]:
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no right to mount a small disk here: {mounted.stderr.strip()}; as root, or --cap-add=SYS_ADMIN")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_leaves_mail_on_the_server_and_goes_on_when_there_is_room(
    tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        house = desk.install(tmp_path, f"sqlite:///{disk}/t.db", pymap, relay.port)
        with running(house) as child:
            filler = disk / "filler"
            with contextlib.suppress(OSError), open(filler, "wb") as opened:
                while True:
                    opened.write(b"x" * 4096)
                    opened.flush()
            pymap.deliver(house.eu, *(question(n, 60_000) for n in range(5)))
            child.await_line(lambda lines: any("disk is full" in line for line in lines), 20, "that the disk is full")
            assert command(house, "status")[0] == 0
            assert pymap.mails(house.eu, "Processed") == []
            assert len(pymap.mails(house.eu)) == 5
            filler.unlink()
            until(lambda: sent_to_sender(relay) == 5, 90)
            assert child.end() == 0
        assert len(house.tickets()) == 5
        assert pymap.mails(house.eu) == []
        house.app.database.dispose()


def _require_strace() -> None:
    if trouble := strace.trouble():
        pytest.skip(trouble)


@pytest.mark.parametrize("error", ["ENOSPC", "EROFS", "EIO"])
def test_a_disk_that_does_not_take_a_write_is_waited_for(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink, error: str
) -> None:
    _require_strace()
    with running(house) as child:
        failing = ("-f", "-e", "trace=pwrite64", "-e", f"inject=pwrite64:error={error}", "-o", "/dev/null")
        with strace.attached(child.process.pid, *failing):
            pymap.deliver(house.eu, desk.mail(COMPLETE))
            child.await_line(lambda lines: any("database: " in line for line in lines), 20, "what the disk did")
            assert len(pymap.mails(house.eu)) == 1
        until(lambda: sent_to_sender(relay) == 1, 60)
        assert child.end() == 0
    assert len(house.tickets()) == 1
    assert len(relay.deliveries) == 2


def test_after_a_failed_fsync_the_process_ends_and_the_next_one_goes_on(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    _require_strace()
    with running(house) as child:
        pymap.deliver(house.eu, question(1))
        until(lambda: sent_to_sender(relay) == 1)
        failing = ("-f", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO", "-o", "/dev/null")
        with strace.attached(child.process.pid, *failing):
            pymap.deliver(house.eu, question(2))
            until(lambda: not child.alive, 40)
        assert child.end() == 1
    assert child.has_said("would not write down a commit")
    assert not any("Traceback" in line for line in child.lines)
    with running(house) as child:
        until(lambda: sent_to_sender(relay) == 2, 60)
        assert child.end() == 0
    assert len(house.tickets()) == 2
    assert soundness.whole(house.app.database) == []
    assert len(relay.deliveries) == 4


def test_a_read_only_database_is_said_and_the_mail_stays(
    house: desk.Installation, pymap: imap_pymap.Pymap, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        house.once()
        house.app.database.dispose()
        shutil.copy(str(house.app.database.path), disk / "t.db")
        house.config.write_text(house.config.read_text().replace(f"{tmp_path}/t.db", f"{disk}/t.db"))
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        pymap.deliver(house.eu, desk.mail(COMPLETE))
        code, said = command(house, "run", "--once")
        assert code in (1, 75), said
        assert "look at the rights and the mount" in said
        assert len(pymap.mails(house.eu)) == 1


# --- the log of changes (-wal)


def test_the_log_of_changes_is_emptied_once_nobody_reads(house: desk.Installation) -> None:
    database = house.app.database
    with database.read() as reader:
        reader.connection().exec_driver_sql("SELECT count(*) FROM message").fetchall()
        for _turn in range(20):
            with database.write() as session:
                session.connection().exec_driver_sql("INSERT INTO ticket_counter VALUES (hex(randomblob(99)), 1)")
        assert soundness.checkpoint(database) > 0
    assert soundness.checkpoint(database) == 0


# --- PostgreSQL (F11, C4)


@pytest.fixture(scope="module")
def cluster() -> Iterator[postgres.Postgres]:
    if not postgres.installed():
        pytest.skip(postgres.ADVICE)
    server = postgres.Postgres(port=accounts.free_port())
    yield server
    server.stop()


@pytest.mark.postgres
def test_a_postgresql_that_crashes_and_comes_back_loses_and_doubles_nothing(
    cluster: postgres.Postgres, tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    house = desk.install(tmp_path, cluster.fresh_database(), pymap, relay.port)
    with running(house) as child:
        pymap.deliver(house.eu, *(question(n) for n in range(10)))
        until(lambda: sent_to_sender(relay) > 0)
        cluster.die()
        pymap.deliver(house.eu, question(11))
        child.await_line(lambda lines: any("database: " in line for line in lines), 20, "that the database is away")
        assert len(pymap.mails(house.eu)) >= 1
        cluster.revive()
        until(lambda: len(house.tickets()) == 11, 40)
        name = house.app.database.engine.url.database
        killed = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        pymap.deliver(house.eu, *(question(n) for n in range(12, 16)))
        until(lambda: len(house.tickets()) > 11, 40)
        assert cluster.ask(killed)
        until(lambda: len(tickets_of(house)) == 15, 40)
        assert child.end() == 0
    house.app.database.dispose()
    house.once()
    states = [entry.state for entry in house.queue()]
    assert len(states) == 30
    assert set(states) <= {"sent", "uncertain"}
    assert len({one.content for one in relay.deliveries}) + states.count("uncertain") >= 30
    house.app.database.dispose()


def tickets_of(house: desk.Installation) -> list[object]:
    """Also while our own connections were cut with all others."""
    try:
        return list(house.tickets())
    except Exception:  # noqa: BLE001  # the next look has a new connection
        return []


@pytest.mark.postgres
def test_a_commit_whose_answer_was_lost_is_repeated_without_harm(
    cluster: postgres.Postgres, tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    url = cluster.fresh_database()
    house = desk.install(tmp_path, cluster.by_network(url), pymap, relay.port)
    house.app.database.dispose()
    proxy = wire.Wire(cluster.port or 0)
    proxy.let_through = True
    house.config.write_text(house.config.read_text().replace(str(cluster.port), str(proxy.port)))
    try:
        with running(house) as child:
            for number in range(3):
                proxy.cut_on = b"COMMIT"
                pymap.deliver(house.eu, question(number))
                cuts = proxy.connections
                until(lambda cuts=cuts: proxy.connections > cuts, 20)  # type: ignore[misc]  # bound now
                proxy.cut_on = None
                until(lambda number=number: len(house.tickets()) == number + 1, 40)  # type: ignore[misc]  # bound now
            until(lambda: {entry.state for entry in house.queue()} <= {"sent", "uncertain"}, 40)
            assert child.end() == 0
    finally:
        proxy.stop()
    assert len(house.messages()) == len(house.tickets()) == 3
    assert len(house.queue()) == 6
    copies = len(relay.deliveries) - len({one.content for one in relay.deliveries})
    assert copies == 0
    house.app.database.dispose()


def test_a_standby_is_the_databases_trouble_not_ours() -> None:
    class ReadOnly(Exception):
        sqlstate = "25006"

    with pytest.raises(TransientError), engine.translated():
        raise sqlalchemy.exc.InternalError("INSERT", {}, ReadOnly("cannot execute INSERT in a read-only transaction"))
