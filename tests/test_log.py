"""The log line: exact shape, one line whatever a stranger wrote, one pipe for all (INTERFACE §5)."""

import io
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triaged import log
from triaged.domain.errors import PermanentError


@pytest.fixture(autouse=True)
def _afterwards_nothing_is_left() -> Iterator[None]:
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    root.handlers[:] = before


def lines_of(format: str = "text") -> io.StringIO:
    stream = io.StringIO()
    log.configure(format, stream)
    return stream


def test_a_line_about_a_mail_is_exactly_the_interfaces() -> None:
    stream = lines_of()
    log.event(
        "received",
        log_id="7Q3KX2M8",
        mailbox="partners-eu",
        region="eu",
        uid="1795295461/4711",
        **{"from": "contact@integra.example"},
        size=48213,
        auth="pass",
    )
    assert stream.getvalue() == (
        "7Q3KX2M8: received mailbox=partners-eu region=eu uid=1795295461/4711 "
        "from=contact@integra.example size=48213 auth=pass\n"
    )


def test_without_a_name_the_pairs_follow_the_id_at_once() -> None:
    stream = lines_of()
    log.event("", log_id="7Q3KX2M8", decision="ticket", reason="large_account", missing=(), delay=0.8349)
    assert stream.getvalue() == "7Q3KX2M8: decision=ticket reason=large_account missing=- delay=0.83\n"


def test_a_delivery_line_quotes_only_what_needs_quotes() -> None:
    stream = lines_of()
    log.event("sent", log_id="7Q3KX2M8.1", relay="smtp.example:587", attempt=1, status="250 2.0.0 Ok")
    assert stream.getvalue() == '7Q3KX2M8.1: sent relay=smtp.example:587 attempt=1 status="250 2.0.0 Ok"\n'


def test_a_line_without_id_starts_with_its_event() -> None:
    stream = lines_of()
    log.event("started", mailboxes=2)
    assert stream.getvalue() == "started mailboxes=2\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"),
        (True, "1"),
        (2.0, "2.00"),
        ("", '""'),
        ("a=b", '"a=b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("C:\\x", r'"C:\\x"'),
        ("été", "été"),
        (("a", None), "a,-"),
        (timedelta(seconds=90), "90.00"),
        (datetime(2026, 11, 22, tzinfo=UTC), "2026-11-22T00:00:00Z"),
        (PermanentError("disk full"), '"disk full"'),
        (ValueError("no"), '"ValueError: no"'),
        (
            "a\x1b[2J\r\nFAKE: line\u202e\u2028\u200b\x00\udc80",
            r'"a\x1b[2J\x0d\x0aFAKE: line\u202e\u2028\u200b\x00\udc80"',
        ),
        ("\U000e0041", r'"\U000e0041"'),
    ],
)
def test_values_read_as_the_reference_says(value: object, expected: str) -> None:
    assert log.quoted(log.text_of(value)) == expected


def test_an_unexpected_error_says_where() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 // 0
    assert log.text_of(caught.value).startswith("ZeroDivisionError: integer division or modulo by zero (test_log.py:")


@given(st.dictionaries(st.sampled_from(["from", "subject", "event", "level", "id"]), st.text()), st.text(), st.text())
@settings(deadline=None)  # the machine is shared; how long a line takes is not what is shown here
def test_no_mail_can_write_a_second_line_or_a_control_character(values: dict[str, str], name: str, log_id: str) -> None:
    for format in ("text", "json"):
        stream = lines_of(format)
        log.warning(name, log_id=log_id, **values)
        line = stream.getvalue()
        assert line.endswith("\n")
        assert all(character.isprintable() for character in line[:-1])
        assert len(line) <= log.LONGEST + 1


@pytest.mark.parametrize("pairs", [1, 5, 20, 200])
@pytest.mark.parametrize("value", ["v" * 3000, "\x1b" * 3000, "\U000e0041" * 3000])
def test_no_line_grows_over_its_limit(value: str, pairs: int) -> None:
    for format in ("text", "json"):
        stream = lines_of(format)
        log.event("x", **{f"key{number}": value for number in range(pairs)})
        assert 20 < len(stream.getvalue()) <= log.LONGEST + 1


def test_json_is_one_document_a_line_with_the_same_values() -> None:
    stream = lines_of("json")
    log.warning("backoff", log_id="7Q3KX2M8", mailbox="eu\x7f", next=40.129, missing=("a",), account=None, id="mine")
    assert stream.getvalue()[:-1].isprintable()
    document = json.loads(stream.getvalue())
    assert document.pop("at").endswith("Z")
    assert document == {
        "level": "warning",
        "id": "7Q3KX2M8",
        "event": "backoff",
        "mailbox": "eu\x7f",
        "next": 40.13,
        "missing": ["a"],
        "account": None,
        "id_": "mine",
    }


def test_warnings_and_errors_say_so_at_the_end() -> None:
    stream = lines_of()
    log.warning("backoff", mailbox="eu")
    log.error("stopped")
    assert stream.getvalue() == "backoff mailbox=eu level=warning\nstopped level=error\n"


def test_libraries_speak_through_the_same_pipe_from_warning_up() -> None:
    stream = lines_of()
    logging.getLogger("imapclient.imaplib").info("LOGIN partners secret")
    logging.getLogger("sqlalchemy.engine").info("SELECT 1")
    logging.getLogger("apscheduler.executors").error("job\nfailed", exc_info=ValueError("why\nnot"))
    assert stream.getvalue() == (
        r'library logger=apscheduler.executors message="job\x0afailed" error="ValueError: why\x0anot" level=error'
        "\n"
    )


def test_configuring_again_replaces_the_pipe() -> None:
    first, second = lines_of(), lines_of()
    log.event("once")
    assert (first.getvalue(), second.getvalue()) == ("", "once\n")


def test_by_default_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text")
    log.event("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_the_journal_gets_priorities_and_only_the_journal(tmp_path, monkeypatch) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        log.configure("text", stream)
        log.event("a")
        log.warning("b")
        log.error("c")
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino + 1}")
        log.configure("text", stream)
        log.event("d")
        stream.seek(0)
        assert stream.read() == "<6>a\n<4>b level=warning\n<3>c level=error\nd\n"


def test_threads_never_mix_their_lines() -> None:
    stream = lines_of()
    word = "x" * 300

    def speak(number: int) -> None:
        for _ in range(200):
            log.event("line", thread=number, word=word)

    threads = [threading.Thread(target=speak, args=(number,)) for number in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    lines = stream.getvalue().splitlines()
    assert sorted(lines) == sorted(f"line thread={number} word={word}" for number in range(4) for _ in range(200))
