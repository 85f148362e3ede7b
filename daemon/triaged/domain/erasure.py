"""What is left of a person in our records when their time is over: enough to count by, nothing to know him by.

A pseudonym is keyed by the installation, the same wherever the same value stood: rows that belonged together still do.
"""

import hmac
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

GONE = "erased"
PREFIX = "erased:"
BODIES_KEPT = timedelta(days=30)  # of mails that we sent: bounces and questions about them come within that time

# Of a receipt: what reports count, and what names no person.
_COUNTED = frozenset(
    {
        "decision", "reason", "desk", "region", "locale", "account", "service", "licences", "tier", "severity",
        "missing", "priority_large_user", "ticket", "linked", "thresholds", "review", "order", "contracts", "refused",
        "trust",
    }
)  # fmt: skip
# Of an event: the same; and names of persons that stay joined by their pseudonym.
_OF_EVENT = frozenset(
    {
        "reason", "severity", "priority_large_user", "account", "linked", "before", "decision", "refused", "notice",
        "mail", "order", "contracts",
    }
)  # fmt: skip
_PERSONS = frozenset({"requester", "primary_customer_email", "recipient", "address", "to", "unknown"})


def pseudonym(value: str, key: bytes) -> str:
    """`erased:` and 24 hexadecimal digits; a pseudonym is its own."""
    if value.startswith(PREFIX):
        return value
    return PREFIX + hmac.digest(key, b"erased " + value.strip().lower().encode(), "sha256").hex()[:24]


def receipt(document: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """A receipt with every key that it had (INTERFACE §4)."""
    return {name: value if name in _COUNTED else _emptied(name, value, key) for name, value in document.items()}


def event(detail: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """What an entry of a ticket's history says beyond who and when."""
    return {name: value if name in _OF_EVENT else _emptied(name, value, key) for name, value in detail.items()}


def evidence(found: list[dict[str, str]], key: bytes) -> list[dict[str, str]]:
    """Which kinds of references stood where; a file's name is gone as well."""
    return [
        {"kind": one["kind"], "value": pseudonym(one["value"], key), "where": one["where"].partition(":")[0]}
        for one in found
    ]


def actor(name: str, key: bytes) -> str:
    """Who wrote by mail; our own people and the daemon keep their names."""
    return pseudonym(name, key) if "@" in name else name


def _emptied(name: str, value: Any, key: bytes) -> Any:
    """Texts are gone, persons have pseudonyms, shape and numbers stay."""
    if name == "evidence":
        return evidence(value, key)
    match value:
        case str():
            return pseudonym(value, key) if name in _PERSONS else GONE
        case list() | tuple():
            return [_emptied(name, one, key) for one in value]
        case dict():
            return {inner: one if inner in _SHAPE else _emptied(inner, one, key) for inner, one in value.items()}
        case _:
            return value


_SHAPE = frozenset({"name", "locale", "rule", "field", "code", "partner", "authenticated", "action"})


# One address and nothing around it. Such a value is this person's or another's; only texts are searched.
_BARE = re.compile(r"[^\s@<>()\[\],;:\"\\]+@[\w.-]*\w")


def without(value: Any, address: str, key: bytes) -> Any:
    """The same text, list or mapping with its pseudonym wherever the whole address stood."""
    match value:
        case str() if _BARE.fullmatch(value):
            return pseudonym(address, key) if value.lower() == address.lower() else value
        case str():
            return _whole(address).sub(pseudonym(address, key), value)
        case list():
            return [without(one, address, key) for one in value]
        case dict():
            return {without(name, address, key): without(one, address, key) for name, one in value.items()}
        case _:
            return value


def says(value: Any, address: str) -> bool:
    """Whether the whole address stands there."""
    return bool(without(value, address, b"") != value)


def _whole(address: str) -> re.Pattern[str]:
    """Not `susanna@` for `anna@`, nor `acme.example.org` for `acme.example`. Quotes and what else may stand around an
    address in a text are not taken for a part of it: rather too much is erased there than too little."""
    before = r"(?<![^\W_])(?<![^\W_][.+_-])"
    return re.compile(rf"{before}{re.escape(address)}(?![.-]?[^\W_])", re.IGNORECASE)
