"""From triaged.toml, its two companions, the environment and the credentials to one frozen Settings: top to bottom."""

import functools
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from triaged.domain import order_words, references, verb_words
from triaged.domain.message import House
from triaged.settings import catalogue_file, complaints, overrides, policy_file, rules, sources
from triaged.settings.catalogue_file import CatalogueFile
from triaged.settings.locate import KeyPath
from triaged.settings.model import Settings, TriagedFile
from triaged.settings.policy_file import PolicyFile
from triaged.settings.problems import ConfigurationError, Document, Report

_Words = TypeVar("_Words")


@dataclass(frozen=True, slots=True)
class _Outside:
    """What stands in no file: the environment, and the folder of systemd's credentials."""

    environment: Mapping[str, str]
    credentials: Path | None


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Everything that the operator decided (INTERFACE §1), checked.

    `path` None = `$TRIAGED_CONFIG`, ./config/triaged.toml, /etc/triaged/triaged.toml. Raises ConfigurationError with
    every problem at once, each with its file, line, key, value and fix; no secret is ever in its text."""
    environment = os.environ if environment is None else environment
    report = Report()
    file = sources.read(sources.search(path, environment), 0, report)
    if file is None:
        raise ConfigurationError(report.problems)
    outside = _outside(environment)
    inline = _complete(file, "", TriagedFile, outside, report)
    sources.fill(file)
    policy = _companion(file, "policy", 1, PolicyFile, outside, report)
    catalogue = _companion(file, "catalogue", 2, CatalogueFile, outside, report)
    values = (
        complaints.validated(TriagedFile, file, report),
        policy and complaints.validated(PolicyFile, policy, report),
        catalogue and complaints.validated(CatalogueFile, catalogue, report),
    )
    labels = _labels(file, report)
    rules.check(file, policy, inline, _locales(file), report)
    if report.problems:
        raise ConfigurationError(report.problems)
    return _settings(file.path, *values, labels, tuple(report.warnings))


def _outside(environment: Mapping[str, str]) -> _Outside:
    folder = environment.get("CREDENTIALS_DIRECTORY")
    return _Outside(environment, Path(folder) if folder else None)


def _complete(document: Document, section: str, kind: type, outside: _Outside, report: Report) -> list[KeyPath]:
    """Put the keys from outside and the secrets into the tree. Returns where the file itself holds a secret."""
    overrides.credentials(document, section, kind, outside.credentials, report)
    overrides.environment(document, section, kind, outside.environment, report)
    return sources.reveal(document, kind, outside.credentials, report)


def _companion(file: Document, key: str, rank: int, kind: type, outside: _Outside, report: Report) -> Document | None:
    """policy.toml or catalogue.toml, by the path in [service], by default beside triaged.toml or as shipped."""
    document = sources.read(_path(file, key, _defaults(file)[key]), rank, report)
    if document is not None:
        _complete(document, key, kind, outside, report)
    return document


def _defaults(file: Document) -> dict[str, Path]:
    config = sources.shipped("config")
    return {
        "policy": file.path.parent / "policy.toml",
        "catalogue": config / "catalogue.toml",
        "labels": config / "labels.toml",
    }


def _path(file: Document, key: str, default: Path) -> Path:
    """The path that [service] gives under `key`, from triaged.toml's folder; one of a wrong type is told elsewhere."""
    service = file.tree.get("service")
    value = service.get(key) if isinstance(service, dict) else None
    return file.path.parent / value if isinstance(value, str) and value else default


@dataclass(frozen=True, slots=True)
class _Labels:
    """What labels.toml became, and the table it was made of."""

    table: dict[str, Any]
    vocabulary: references.Vocabulary
    order_words: order_words.OrderWords
    verb_words: verb_words.VerbWords


def _labels(file: Document, report: Report) -> _Labels | None:
    """The words of references, of orders and of what is asked for by mail."""
    document = sources.read(_path(file, "labels", _defaults(file)["labels"]), 3, report)
    if document is None:
        return None
    orders, verbs = _over_shipped("order", document.tree), _over_shipped("verbs", document.tree)
    vocabulary = _made(references.Vocabulary.from_table, document.tree, document, report)
    words = _made(order_words.OrderWords.from_table, orders, document, report)
    table = document.tree | {"order": orders, "verbs": verbs}
    asked = _made(verb_words.VerbWords.from_table, table, document, report)
    if vocabulary is None or words is None or asked is None:
        return None
    return _Labels(table, vocabulary, words, asked)


def _over_shipped(name: str, tree: Mapping[str, Any]) -> dict[str, Any]:
    """The operator's words of orders or verbs; a list of a language that his file leaves out is the shipped one."""
    own = tree.get(name, {})
    if not isinstance(own, dict):
        return {name: own}
    ours = _shipped("labels.toml")[name]
    both = {language: ours.get(language, {}) | lists for language, lists in own.items() if isinstance(lists, dict)}
    words: dict[str, Any] = ours | own | both
    return words


def _made(
    make: Callable[[Mapping[str, object]], _Words], table: Any, document: Document, report: Report
) -> _Words | None:
    try:
        return make(table)
    except references.VocabularyError as error:
        for fault in error.problems:
            report.problem(document, (), fault, "write it like the shipped config/labels.toml")
    return None


def _locales(file: Document) -> frozenset[str]:
    override = _path(file, "templates", file.path.parent / "templates")
    return rules.locales([sources.shipped("templates"), override])


def _settings(path: Path, file: Any, policy: Any, catalogue: Any, labels: Any, warnings: tuple[str, ...]) -> Settings:
    senders = {"support": file.senders.support, "contracts": file.senders.contracts}
    senders = {desk: sender for desk, sender in senders.items() if sender is not None}
    ours = [mailbox.address for mailbox in file.mailbox] + [sender.address for sender in senders.values()]
    return Settings(
        path=path,
        service=file.service,
        database=file.database,
        mailboxes=file.mailbox,
        smtp=file.smtp,
        senders=senders,
        trust=file.trust,
        bounce_mailbox=file.bounce.mailbox,
        limits=file.limits,
        log=file.log,
        directory=file.directory,
        web=file.web,
        policy=policy_file.built(policy, _shipped("policy.toml"), labels.table),
        vocabulary=labels.vocabulary,
        order_words=labels.order_words,
        verb_words=labels.verb_words,
        catalogue=catalogue_file.built(catalogue),
        house=House(domain=file.service.domain, addresses=frozenset(address.lower() for address in ours)),
        warnings=warnings,
    )


@functools.cache
def _shipped(name: str) -> dict[str, Any]:
    """Our own policy.toml or labels.toml: services' names, the excluded and the words of orders, where the operator is
    silent. Read once: the words are 1,000 lines. Nobody changes the table, it is only read and merged."""
    return tomllib.loads((sources.shipped("config") / name).read_text("utf-8"))
