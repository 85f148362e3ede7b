"""The log line (INTERFACE §5): one event, one line, on stderr, readable by people and by `cut`.

What we log was written by strangers, so every value is escaped: nothing below 0x20, no bidi or invisible character
leaves this module, and no line grows over 2,000 characters. Libraries speak through the same pipe, from WARNING up.
"""

import io
import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import structlog

from triaged.domain import errors

LONGEST = 2000
_VALUE_LENGTHS = (500, 100, 20)  # how much of each value is kept, tried in this order until the line fits
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")  # printable ASCII without space, quote, equals sign, backslash
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # syslog's, as journald reads them
_LIBRARIES = ("imapclient", "apscheduler", "alembic", "sqlalchemy")

_logger = structlog.wrap_logger(
    logging.getLogger("triaged"),
    processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    wrapper_class=structlog.stdlib.BoundLogger,
)


class _Pipe(logging.StreamHandler[TextIO]):
    """Our one handler, so that a second `configure` finds and replaces the first."""


def configure(format: str = "text", stream: TextIO | None = None) -> None:
    """Log from now on as `format` (text | json) to `stream`, by default stderr. May be called again."""
    stream = stream or sys.stderr
    pipe = _Pipe(stream)
    pipe.setFormatter(_formatter(_json_line if format == "json" else _text_line, _is_journal(stream, os.environ)))
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Pipe)]:
        root.removeHandler(handler)
    root.addHandler(pipe)
    logging.getLogger("triaged").setLevel(logging.INFO)
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)


def event(name: str, /, *, log_id: str = "", **values: object) -> None:
    """Log `LOG_ID: name key=value …`. Without `log_id` the line is about a mailbox or the daemon; with an empty
    `name` only the pairs are printed, in the order given. Keys that Python reserves go by `**{"from": address}`."""
    _emit("info", name, log_id, values)


def warning(name: str, /, *, log_id: str = "", **values: object) -> None:
    """As `event`, for what an operator should look at; the line ends with `level=warning`."""
    _emit("warning", name, log_id, values)


def error(name: str, /, *, log_id: str = "", **values: object) -> None:
    """As `event`, for what an operator must mend; the line ends with `level=error`."""
    _emit("error", name, log_id, values)


def _emit(level: str, name: str, log_id: str, values: Mapping[str, object]) -> None:
    getattr(_logger, level)(name, log_id=log_id, level=level, pairs=values)


# --- from a record to a line


def _formatter(render: Callable[[Mapping[str, Any]], str], journal: bool) -> logging.Formatter:
    def line(_logger: Any, _method: str, record: Mapping[str, Any]) -> str:
        prefix = f"<{_PRIORITIES.get(record['level'], 6)}>" if journal else ""
        return prefix + render(record)

    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, line],
        foreign_pre_chain=[_foreign],
    )


def _foreign(_logger: Any, _method: str, record: Any) -> dict[str, Any]:
    """A library's own record in our shape: `library logger=… message=…`."""
    source: logging.LogRecord = record["_record"]
    pairs = {"logger": source.name, "message": record["event"]}
    if source.exc_info and source.exc_info[1]:
        pairs["error"] = source.exc_info[1]
        source.exc_info = source.exc_text = None  # said in one line already
    level = source.levelname.lower()
    return {**record, "event": "library", "log_id": "", "level": level, "pairs": pairs}


def _text_line(record: Mapping[str, Any]) -> str:
    start = f"{escape(record['log_id'])}: " if record["log_id"] else ""
    pairs = dict(record["pairs"])
    if record["level"] != "info":
        pairs["level"] = record["level"]
    for longest in _VALUE_LENGTHS:
        words = [escape(record["event"])] if record["event"] else []
        words += [f"{escape(key)}={quoted(_cut(text_of(value), longest))}" for key, value in pairs.items()]
        line = start + " ".join(words)
        if len(line) <= LONGEST:
            return line
    return line[: LONGEST - 3] + "..."


def _json_line(record: Mapping[str, Any]) -> str:
    head = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record["level"],
        "id": record["log_id"] or None,
        "event": record["event"] or None,
    }
    for longest in _VALUE_LENGTHS:
        pairs = {key: _json_value(value, longest) for key, value in record["pairs"].items()}
        line = _dumped(head | {f"{key}_" if key in head else key: value for key, value in pairs.items()})
        if len(line) <= LONGEST:
            return line
    return _dumped({**head, "event": _cut(record["event"], 100), "cut": True})


def _dumped(document: Mapping[str, Any]) -> str:
    return json.dumps(document).replace("\x7f", "\\u007f")  # DEL is the one control character that JSON lets through


def _json_value(value: object, longest: int) -> object:
    match value:
        case bool() | int() | None:
            return value
        case float():
            return round(value, 2)
        case list() | tuple() | set() | frozenset():
            return [_json_value(item, longest) for item in value]
        case _:
            return _cut(text_of(value), longest)


# --- from a value to text


def text_of(value: object) -> str:
    """The value as one reads it in a log line: None is `-`, True `1`, a time RFC 3339 UTC, a span its seconds."""
    match value:
        case None:
            return "-"
        case bool():
            return str(int(value))
        case float():
            return f"{value:.2f}"
        case timedelta():
            return f"{value.total_seconds():.2f}"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case BaseException():
            return _told(value)
        case list() | tuple() | set() | frozenset():
            return _joined(value)
        case _:
            return str(value)


def _told(error: BaseException) -> str:
    """What went wrong; an error that nobody expected also says where, since no traceback fits into a line."""
    if isinstance(error, (errors.TransientError, errors.PermanentError)):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}" if str(error) else f"{type(error).__name__}{place}"


def _joined(values: Iterable[object]) -> str:
    return ",".join(text_of(value) for value in values) or "-"


def quoted(text: str) -> str:
    """The text as a value: bare where it is one plain word, else in quotes with backslash escapes."""
    if _PLAIN.fullmatch(text) or (text.isprintable() and text.isalnum()):
        return text
    return '"' + escape(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def escape(text: str) -> str:
    """Every character that a terminal might act on or hide (controls, ESC, bidi, zero-width, line separators, lone
    surrogates) as `\\xNN`, `\\uNNNN` or `\\UNNNNNNNN`; the rest as it is."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """True when the stream is systemd's journal: then each line carries its priority as `<N>` (sd-daemon(3))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError, io.UnsupportedOperation):
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
