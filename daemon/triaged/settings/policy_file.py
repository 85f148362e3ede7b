"""The shape of policy.toml, and what the house makes of it: a `domain.policy.Policy` (INTERFACE §1)."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, field, replace
from datetime import timedelta
from typing import Any, Literal

from pydantic import ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from triaged.domain import policy, public_mail
from triaged.settings import fields
from triaged.settings.model import STRICT

RETAIN = timedelta(days=730)

Aliases = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, config=STRICT)
class SpanEntry:
    target: fields.Duration
    limit: fields.Duration

    @field_validator("limit")
    @classmethod
    def _not_before_the_target(cls, limit: timedelta, info: ValidationInfo) -> timedelta:
        if limit < info.data.get("target", limit):
            raise fields.refusal("shorter than its target", "the limit is what is owed, the target what is aimed for")
        return limit


@dataclass(frozen=True, slots=True, config=STRICT)
class SeverityEntry:
    acknowledge: SpanEntry
    determine: SpanEntry
    resolve: SpanEntry
    label: dict[str, fields.Text] = field(default_factory=dict)
    update_every: fields.Duration | None = None


@dataclass(frozen=True, slots=True, config=STRICT)
class RegionEntry:
    code: fields.RegionCode
    timezone: fields.TimeZone
    locale: fields.Locale
    key_account: fields.Count
    large_user: fields.Count
    name: fields.Text = ""
    associates: fields.Emails = ()
    retain: fields.Duration = RETAIN

    @field_validator("large_user")
    @classmethod
    def _not_below_key_accounts(cls, large_user: int, info: ValidationInfo) -> int:
        key_account = info.data.get("key_account", large_user)
        if large_user < key_account:
            raise fields.refusal(
                f"below key_account = {key_account}", "a large-user account has at least as many licences as a key one"
            )
        return large_user


@dataclass(frozen=True, slots=True, config=STRICT)
class ServiceEntry:
    aliases: fields.Texts = ()


@dataclass(frozen=True, slots=True, config=STRICT)
class PolicyFile:
    """The whole of policy.toml, key by key; `excluded_services` absent = the five of the FAQ (row P5)."""

    severity: dict[str, SeverityEntry]
    region: tuple[RegionEntry, ...]
    default_severity: fields.Text = "S3"
    count_licences: Literal["sum", "max"] = "sum"
    excluded_services: fields.Texts | None = None
    public_mail_domains: fields.Domains = ()
    services: dict[str, ServiceEntry] = field(default_factory=dict)


def built(file: PolicyFile, shipped: Mapping[str, Any], labels: Mapping[str, Any]) -> policy.Policy:
    """The policy in force: the operator's file over the shipped one's services, with the built-in mail domains.

    Its version is the digest of everything that a decision may depend on, so that comments and order do not count."""
    aliases = _merged({name: entry.aliases for name, entry in file.services.items()}, shipped["services"])
    excluded = shipped["excluded_services"] if file.excluded_services is None else file.excluded_services
    unversioned = policy.Policy(
        version="",
        default_severity=file.default_severity,
        count_licences=file.count_licences,
        excluded_services=tuple(_canonical(name, aliases) for name in excluded),
        public_mail_domains=public_mail.DOMAINS | frozenset(file.public_mail_domains),
        service_aliases=aliases,
        severities={code: _severity(code, entry) for code, entry in file.severity.items()},
        regions={entry.code: _region(entry) for entry in file.region},
    )
    content = {"policy": asdict(unversioned), "labels": labels}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=_plain).encode()).hexdigest()
    return replace(unversioned, version=digest[:12])


def folded(name: str) -> str:
    """A service's name for comparing: case and runs of blanks do not count."""
    return " ".join(name.split()).casefold()


def shared_aliases(services: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str, str]]:
    """Every (alias, service, other service) where one alias, or a service's own name, would name two services."""
    owners: dict[str, str] = {folded(name): name for name in services}
    for name, aliases in services.items():
        for alias in aliases:
            owner = owners.setdefault(folded(alias), name)
            if owner != name:
                yield alias, name, owner


def _merged(own: Aliases, shipped: Mapping[str, Mapping[str, Iterable[str]]]) -> Aliases:
    """The operator's aliases and the shipped ones; what the operator gave to another service is taken from ours."""
    owners = {folded(word): name for name, aliases in own.items() for word in (name, *aliases)}
    merged = dict(own)
    for shipped_name, entry in shipped.items():
        name = owners.get(folded(shipped_name), shipped_name)
        words = (shipped_name, *entry["aliases"])
        ours = (word for word in words if owners.get(folded(word), name) == name and word != name)
        merged[name] = tuple(dict.fromkeys((*merged.get(name, ()), *ours)))
    return merged


def _canonical(name: str, aliases: Aliases) -> str:
    names = {folded(word): service for service, words in aliases.items() for word in (service, *words)}
    return names.get(folded(name), name)


def _severity(code: str, entry: SeverityEntry) -> policy.Severity:
    return policy.Severity(
        code=code,
        label=dict(entry.label),
        acknowledge=_span(entry.acknowledge),
        determine=_span(entry.determine),
        resolve=_span(entry.resolve),
        update_every=entry.update_every,
    )


def _span(entry: SpanEntry) -> policy.Span:
    return policy.Span(entry.target, entry.limit)


def _region(entry: RegionEntry) -> policy.Region:
    return policy.Region(
        code=entry.code,
        name=entry.name or entry.code.upper(),
        timezone=entry.timezone,
        locale=entry.locale,
        associates=entry.associates,
        key_account=entry.key_account,
        large_user=entry.large_user,
        retain=entry.retain,
    )


def _plain(value: object) -> object:
    match value:
        case frozenset():
            return sorted(value)
        case timedelta():
            return value.total_seconds()
        case _:
            return str(value)
