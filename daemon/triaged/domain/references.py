"""Stand-in header; the finder is written beside `mail/` (labels are data in config/labels.toml)."""

from dataclasses import dataclass
from enum import StrEnum


class ReferenceKind(StrEnum):
    """What a reference names (INTERFACE §4 `evidence.kind`), strongest first."""

    SUPER_ADMIN = "super_admin"
    CUSTOMER_EMAIL = "customer_email"
    ZUID = "zuid"
    ZOID = "zoid"
    ZGID = "zgid"
    DOMAIN = "domain"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Reference:
    """One thing that a mail says of its customer, and where it says so. `value` is folded: addresses and domains
    lower case, ids digits only, services by their canonical name."""

    kind: ReferenceKind
    value: str
    where: str
