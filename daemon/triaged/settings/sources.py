"""Where configuration comes from: TOML files, the files of secrets, and what ships with triaged."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import triaged
from triaged.domain.errors import PermanentError
from triaged.settings import secret, shape
from triaged.settings.locate import KeyPath
from triaged.settings.problems import ConfigurationError, Document, Problem, Report
from triaged.settings.secret import Secret

DEFAULT_PLACES = (Path("config/triaged.toml"), Path("/etc/triaged/triaged.toml"))
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_PORTS = {"mailbox": {"tls": 993}, "smtp": {"tls": 465, "starttls": 587}}
_OTHER_PORTS = {"mailbox": 143, "smtp": 25}


def shipped(kind: Literal["templates", "migrations", "config", "systemd"]) -> Path:
    """The folder of what comes with triaged: inside an installed package, else beside the code in a checkout.

    Raises PermanentError where neither is there."""
    package = Path(triaged.__file__).parent
    for folder in (package / "_shipped" / kind, package.parents[1] / kind):
        if folder.is_dir():
            return folder
    raise PermanentError(f"the folder {kind}/ of triaged is missing from {package}; install triaged again")


def search(path: Path | None, environment: Mapping[str, str]) -> Path:
    """The triaged.toml to read. Raises ConfigurationError where there is none."""
    named = path or (Path(environment["TRIAGED_CONFIG"]) if environment.get("TRIAGED_CONFIG") else None)
    found = named or next((place for place in DEFAULT_PLACES if place.is_file()), None)
    if found is not None:
        return found
    places = " or ".join(map(str, DEFAULT_PLACES))
    fix = "name one with -c FILE or $TRIAGED_CONFIG; `triaged demo` needs none"
    raise ConfigurationError([Problem(f"no configuration: there is no {places}", "", "", fix)])


def read(path: Path, rank: int, report: Report) -> Document | None:
    """The TOML file at `path`, or None with the reason reported. `rank` orders the files in the report."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        tree = tomllib.loads(text)
    except OSError as error:
        _unreadable(path, f" cannot be read: {error.strerror}", "check the path and its permissions", rank, report)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        _unreadable(path, " not UTF-8 text", "save the file as UTF-8", rank, report, line)
    except tomllib.TOMLDecodeError as error:
        what, line = _syntax(str(error), text.count("\n") + 1)
        fix = "text needs quotes, a list [ ], a table its own [name] line"
        _unreadable(path, what, fix, rank, report, line)
    else:
        return Document(path, text, tree, rank)
    return None


def _syntax(message: str, last_line: int) -> tuple[str, int]:
    """What tomllib says, and the line that it says only in words."""
    match = _AT_LINE.search(message)
    return f" not TOML: {_AT_LINE.sub('', message)}", int(match[1]) if match and match[1] else last_line


def _unreadable(path: Path, what: str, fix: str, rank: int, report: Report, line: int | None = None) -> None:
    place = f"{path}:{line}" if line else str(path)
    report.problems.append(Problem(place, "", what, fix, (rank, line or 0)))


def fill(document: Document) -> None:
    """The defaults that depend on other keys: ports by security, files by state_dir."""
    for section, port in _OTHER_PORTS.items():
        tables = document.tree.get(section)
        for table in tables if isinstance(tables, list) else [tables]:
            if isinstance(table, dict):
                security = table.get("security", "tls" if section == "mailbox" else "starttls")
                table.setdefault("port", _PORTS[section].get(security, port) if isinstance(security, str) else port)
    service = document.tree.get("service")
    if isinstance(service, dict):
        state = service.get("state_dir", "/var/lib/triaged")
        service.setdefault("secret_file", f"{state}/secret.key")
        document.tree.setdefault("database", {"url": f"sqlite:///{state}/triaged.db"})


def reveal(document: Document, hint: type, credentials: Path | None, report: Report) -> list[KeyPath]:
    """Turn every password and token of the tree into a Secret, reading those that are named by a file. Returns the
    paths of those that the file itself holds."""
    inline = []
    for path, table, kind in list(shape.tables(document.tree, hint)):
        for name in shape.secrets(kind):
            if f"{name}_file" in table:
                _from_file(document, path, table, name, credentials, report)
            elif isinstance(table.get(name), str):
                table[name] = Secret(table[name])
                if (*path, name) not in document.origins:
                    inline.append((*path, name))
    return inline


def _from_file(
    document: Document, path: KeyPath, table: dict[str, Any], name: str, credentials: Path | None, report: Report
) -> None:
    file_key = (*path, f"{name}_file")
    value = table.pop(f"{name}_file")
    if name in table:
        report.problem(
            document, file_key, f"beside {name}: two sources of one secret", f"keep {name}_file alone", value
        )
    table[name] = Secret("unread")
    if not isinstance(value, str) or not value or "\0" in value:
        report.problem(document, file_key, "not a path", "write the path of the file in quotes", value)
        return
    file = _secret_file(value, document.path.parent, credentials)
    try:
        table[name] = secret.read(file)
    except OSError as error:
        report.problem(document, file_key, f"cannot be read: {error.strerror}", _advice(file, value), value)
    except ValueError as error:
        report.problem(document, file_key, f"the file {error}", f"put the {name} alone into {file}", value)


def _secret_file(value: str, folder: Path, credentials: Path | None) -> Path:
    """A bare name is a systemd credential where there is one; else paths start at triaged.toml's folder."""
    if credentials and "/" not in value and (credentials / value).is_file():
        return credentials / value
    return folder / value


def _advice(file: Path, value: str) -> str:
    advice = f"create {file}, readable by the user that runs triaged"
    if "/" in value:
        return advice
    return f"{advice}, or the systemd credential: LoadCredential={value}:/path/to/secret"
