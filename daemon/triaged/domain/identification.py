"""Which customer is this about? Evidence either agrees on one account, or nobody is chosen (row N4).

Every reference names a set of accounts; the account that all of them share is the customer. Two references that
share none contradict each other, and a contradiction is never settled by a guess, nor by the region.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from triaged.domain.directory import Match
from triaged.domain.references import Reference, ReferenceKind

UNKNOWN = "not in the directory"  # the note of a reference that names nobody we have

_STRENGTH = {kind: place for place, kind in enumerate(ReferenceKind)}


class Outcome(StrEnum):
    """What the evidence came to."""

    IDENTIFIED = "identified"
    NOTHING = "nothing"  # the mail names no customer
    UNKNOWN = "unknown"  # it names one that we do not have
    CONFLICTING = "conflicting"  # more than one account is left, or none that all agree on


@dataclass(frozen=True, slots=True)
class Barred:
    """Domains that never identify a customer: free-mail providers, our own, the partner's own."""

    public: frozenset[str]
    ours: frozenset[str]
    partners: frozenset[str]

    def reason(self, domain: str) -> str:
        """Why this domain does not count, or empty."""
        if domain in self.public:
            return "a public mail domain"
        if domain in self.ours:
            return "our own domain"
        if domain in self.partners:
            return "the partner's own domain"
        return ""

    def ways(self, domain: str) -> frozenset[ReferenceKind]:
        """The ways of matching that do not count for an address of this domain. A free-mail address may still be
        somebody's exact address; a partner's consultant is a user of many customers, so that proves nothing."""
        if domain in self.ours or domain in self.partners:
            return frozenset({ReferenceKind.DOMAIN, ReferenceKind.CUSTOMER_EMAIL})
        return frozenset({ReferenceKind.DOMAIN}) if domain in self.public else frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """One reference and the accounts it names; `note` says why it names none."""

    reference: Reference
    matches: tuple[Match, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Identification:
    """The outcome with its evidence. `account_id` and `via` only where identified."""

    outcome: Outcome
    findings: tuple[Finding, ...]
    account_id: int | None = None
    via: str = ""


def identify(
    references: Iterable[Reference], matches: Mapping[Reference, tuple[Match, ...]], barred: Barred
) -> Identification:
    """The customer that the references agree on (rows P4, P7). `matches` is what the directory says of each.

    The order of the references does not matter; one more that agrees never changes the account, one more that
    contradicts never yields another."""
    findings = tuple(
        _finding(reference, matches.get(reference, ()), barred)
        for reference in references
        if reference.kind is not ReferenceKind.SERVICE
    )
    named = [finding for finding in findings if finding.matches]
    if not named:
        told = any(not _only_a_barred_domain(finding) for finding in findings)
        return Identification(Outcome.UNKNOWN if told else Outcome.NOTHING, findings)
    shared = set.intersection(*({match.account_id for match in finding.matches} for finding in named))
    if len(shared) != 1:
        return Identification(Outcome.CONFLICTING, findings)
    account_id = shared.pop()
    ways = (match.kind for finding in named for match in finding.matches if match.account_id == account_id)
    return Identification(Outcome.IDENTIFIED, findings, account_id, min(ways, key=_STRENGTH.__getitem__).value)


def _finding(reference: Reference, matches: tuple[Match, ...], barred: Barred) -> Finding:
    domain = reference.value.rpartition("@")[2] if _names_a_domain(reference) else ""
    why = barred.reason(domain)
    counted = tuple(match for match in matches if match.kind not in barred.ways(domain))
    if reference.kind is ReferenceKind.SUPER_ADMIN:
        counted = tuple(m for m in counted if m.kind is ReferenceKind.SUPER_ADMIN) or counted
    if counted:
        return Finding(reference, counted)
    return Finding(reference, (), f"{domain} is {why}" if why else UNKNOWN)


def _names_a_domain(reference: Reference) -> bool:
    return reference.kind in (ReferenceKind.SUPER_ADMIN, ReferenceKind.CUSTOMER_EMAIL, ReferenceKind.DOMAIN)


def _only_a_barred_domain(finding: Finding) -> bool:
    return finding.reference.kind is ReferenceKind.DOMAIN and finding.note != UNKNOWN
