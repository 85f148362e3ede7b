"""What the operator decided: severities, regions, thresholds, excluded services. Made by settings, read by all."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Span:
    """A commitment's two ends: what we aim for and what we owe (FAQ: "1 à 3 heures")."""

    target: timedelta
    limit: timedelta


@dataclass(frozen=True, slots=True)
class Severity:
    """One level and its commitments (row P10). `label` by locale."""

    code: str
    label: dict[str, str]
    acknowledge: Span
    determine: Span
    resolve: Span
    update_every: timedelta | None

    def label_in(self, locale: str) -> str:
        return self.label.get(locale) or self.label.get("en") or self.code


@dataclass(frozen=True, slots=True)
class Region:
    """A data-centre region with its thresholds (row P3): licences from which an account is key or large."""

    code: str
    name: str
    timezone: str
    locale: str
    associates: tuple[str, ...]
    key_account: int
    large_user: int
    retain: timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole of policy.toml. `version` is a digest of its bytes, stored with every decision (row N2)."""

    version: str
    default_severity: str
    count_licences: str  # sum | max
    excluded_services: tuple[str, ...]
    public_mail_domains: frozenset[str]  # the built-in list and the operator's
    service_aliases: dict[str, tuple[str, ...]]  # canonical service name -> names in mails, any language
    severities: dict[str, Severity]
    regions: dict[str, Region]
