"""Laboratories, one per module: each fault puts them back to their beginning."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.faults import laboratory
from tests.servers import imap_dovecot, imap_pymap, postgres, smtp_sink, strace


@pytest.fixture(scope="session")
def ptrace() -> None:
    """strace can attach here; a failure in CI, a loud skip on a laptop."""
    if trouble := strace.trouble():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(trouble)


@pytest.fixture(scope="module")
def sink() -> Iterator[smtp_sink.SmtpSink]:
    sink = smtp_sink.SmtpSink()
    yield sink
    sink.stop()


@pytest.fixture(scope="module")
def lab(
    tmp_path_factory: pytest.TempPathFactory, pymap: imap_pymap.Pymap, sink: smtp_sink.SmtpSink
) -> Iterator[laboratory.Laboratory]:
    """On SQLite."""
    folder = tmp_path_factory.mktemp("laboratory")
    yield from _opened(folder, f"sqlite:///{folder}/triaged.db", pymap, sink)


@pytest.fixture(scope="module")
def shared_lab(
    tmp_path_factory: pytest.TempPathFactory,
    pymap: imap_pymap.Pymap,
    postgresql: postgres.Postgres,
    sink: smtp_sink.SmtpSink,
) -> Iterator[laboratory.Laboratory]:
    """On PostgreSQL."""
    yield from _opened(tmp_path_factory.mktemp("laboratory"), postgresql.fresh_database(), pymap, sink)


@pytest.fixture(scope="module")
def flagging_lab(
    tmp_path_factory: pytest.TempPathFactory, dovecot: imap_dovecot.Dovecot, sink: smtp_sink.SmtpSink
) -> Iterator[laboratory.Laboratory]:
    """On SQLite and a server that keeps keywords, without an archive: handled mail is flagged where it lies."""
    folder = tmp_path_factory.mktemp("laboratory")
    yield from _opened(folder, f"sqlite:///{folder}/triaged.db", dovecot, sink, archive=False)


def _opened(
    folder: Path,
    url: str,
    server: imap_pymap.Pymap | imap_dovecot.Dovecot,
    sink: smtp_sink.SmtpSink,
    *,
    archive: bool = True,
) -> Iterator[laboratory.Laboratory]:
    opened = laboratory.Laboratory(folder, url, server, sink, archive=archive)
    yield opened
    opened.stop()


@pytest.fixture(scope="session")
def today() -> int:
    """Which points of a sweep are met today: in as many days as its stride, all of them."""
    return datetime.now(UTC).toordinal()
