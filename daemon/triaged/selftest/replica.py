"""A copy of the operator's configuration in which every host is this machine and nothing that he owns is written to.

Only what is named here is copied, so a key of tomorrow that names a host does not slip through; no secret is read. What
the copy says is then read back and proved before anything starts.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from triaged import app as composition
from triaged import settings
from triaged.adapters.db import directory_import
from triaged.app import App
from triaged.domain.errors import PermanentError
from triaged.selftest.letters import Writer
from triaged.settings import ConfigurationError, Settings, catalogue_file, model, overrides, policy_file, sources
from triaged.settings.problems import Document, Report

HOST = "127.0.0.1"
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SERVICE = ("domain", "locale", "public_url")
_MAILBOX = ("name", "desk", "address", "regions", "idle", "archive")
_WHOLE = ("senders", "trust", "bounce", "limits")
_COMPANIONS = {"policy": policy_file.PolicyFile, "catalogue": catalogue_file.CatalogueFile}

Port = Callable[[str], int]


def write(config: Path | None, folder: Path, imap: Port, smtp: int, password: str) -> Path:
    """The copy in `folder`; `imap` gives each mailbox's port. Raises ConfigurationError where there is nothing to copy.

    What the environment overrides is written into the copy, because no child will hear of it."""
    original = _read(sources.search(config, os.environ), "", model.TriagedFile)
    (folder / "state").mkdir()
    tree = {
        "service": _service(original, folder),
        "database": {"url": f"sqlite:///{folder}/state/triaged.db"},
        "mailbox": [_mailbox(one, imap, password) for one in _tables(original.tree.get("mailbox"))],
        "smtp": _smtp(original.tree.get("smtp"), smtp, password),
        **{name: original.tree[name] for name in _WHOLE if name in original.tree},
        "log": {"format": "text"},
    }
    copy = folder / "triaged.toml"
    copy.touch(mode=0o600)
    copy.write_text(toml(tree), encoding="utf-8")
    return copy


def _read(path: Path, section: str, kind: type) -> Document:
    """A file with what the environment says of its keys; problems are left to whoever loads the copy."""
    report = Report()
    document = sources.read(path, 0, report)
    if document is None:
        raise ConfigurationError(report.problems)
    overrides.environment(document, section, kind, os.environ, Report())
    return document


def _service(original: Document, folder: Path) -> dict[str, Any]:
    """The operator's own policy, catalogue, labels and templates, by their whole path."""
    own = _table(original.tree.get("service"))
    here = original.path.resolve().parent
    service: dict[str, Any] = {name: own[name] for name in _SERVICE if name in own}
    service |= {"state_dir": str(folder / "state"), "secret_file": str(folder / "state" / "secret.key")}
    for name in ("policy", "catalogue", "labels", "templates"):
        if isinstance(own.get(name), str):
            service[name] = str(here / own[name])
    service.setdefault("policy", str(here / "policy.toml"))
    for name, kind in _COMPANIONS.items():
        if name in service and (changed := _overridden(Path(service[name]), name, kind)) is not None:
            (folder / f"{name}.toml").write_text(toml(changed), encoding="utf-8")
            service[name] = str(folder / f"{name}.toml")
    return service


def _overridden(path: Path, name: str, kind: type) -> dict[str, Any] | None:
    """The tree of a companion file that the environment changes; None where the file says it all."""
    if not any(variable.startswith(f"{overrides.PREFIX}{name.upper()}__") for variable in os.environ):
        return None
    return _read(path, name, kind).tree


def _mailbox(own: Mapping[str, Any], imap: Port, password: str) -> dict[str, Any]:
    kept = {name: own[name] for name in _MAILBOX if name in own}
    name = str(own.get("name"))
    return kept | {
        "host": HOST,
        "port": imap(name),
        "security": "none",
        "username": name,
        "password": password,
        "poll": "1s",
    }


def _smtp(own: Any, port: int, password: str) -> dict[str, Any]:
    connections = {name: value for name, value in _table(own).items() if name == "connections"}
    return {"host": HOST, "port": port, "security": "none", "username": "selftest", "password": password} | connections


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def names(config: Path | None) -> tuple[str, ...]:
    """The mailboxes of the configuration, before any server stands in for theirs."""
    tree = _read(sources.search(config, os.environ), "", model.TriagedFile).tree
    return tuple(str(one.get("name")) for one in _tables(tree.get("mailbox")))


# --- the copy, read back


def installed(copy: Path) -> tuple[App, Writer]:
    """The copy's database with schema and a directory of its own, once it is proved that it names nobody else."""
    values = settings.load(copy, environment={})
    prove(values, copy.parent)
    app = composition.build(values)
    composition.upgrade(app)
    writer = Writer(values)
    with app.database.write() as session:
        directory_import.import_partners(session, writer.partners)
        directory_import.import_accounts(session, writer.accounts)
    return app, writer


def prove(values: Settings, folder: Path) -> None:
    """Nothing but this machine, nothing but this folder. Raises PermanentError naming the key."""
    hosts = {f"mailbox {one.name}: host": one.host for one in values.mailboxes} | {"smtp: host": values.smtp.host}
    for key, host in hosts.items():
        if host != HOST:
            raise PermanentError(f"{key} is {host} in the copy: nothing was started. This is a fault of selftest")
    places = {
        "database: url": values.database.url.removeprefix("sqlite:///"),
        "service: state_dir": str(values.service.state_dir),
        "service: secret_file": str(values.service.secret_file),
    }
    for key, place in places.items():
        if not Path(place).is_relative_to(folder):
            raise PermanentError(f"{key} is not in {folder} in the copy: nothing was started. A fault of selftest")
    if values.directory.accounts or values.directory.partners:
        raise PermanentError("directory: is in the copy: nothing was started. This is a fault of selftest")


# --- TOML


def toml(tree: Mapping[str, Any]) -> str:
    """The tree as TOML, one key a line; tables within are written inline."""
    lines = []
    for name, value in tree.items():
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            for one in value:
                lines += [f"[[{_key(name)}]]", *_pairs(one)]
        elif isinstance(value, dict):
            lines += [f"[{_key(name)}]", *_pairs(value)]
        else:
            lines.insert(0, f"{_key(name)} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(name)} = {_value(value)}" for name, value in table.items()]


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case dict():
            return "{" + ", ".join(_pairs(value)) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case _:
            return _quoted(str(value))


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    """JSON's escapes are TOML's; DEL alone is not escaped by JSON and must be."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
