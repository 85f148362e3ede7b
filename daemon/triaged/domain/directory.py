"""Who our customers and partners are, as values: what the directory files say (INTERFACE §2) and what a look-up finds.

Lists here are sets: they are kept sorted, so that two accounts that say the same are equal however their file wrote it.
"""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Self

from triaged.domain.references import ReferenceKind


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an entry before and after, as the import file would write them."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Change:
    """An entry that the import alters; `key` is `zoid/region` or the partner's name."""

    key: str
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """What a customer pays for. `status` is the vendor's word in lower case, only `active` counts; a missing date
    is an open end."""

    service: str
    licences: int
    status: str
    starts: date | None = None
    ends: date | None = None


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A person of the customer: at least one of the two is there."""

    zuid: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """A customer's organisation; `zoid` and `region` together are its key. `partners` empty = every registered
    partner may be told of it."""

    zoid: str
    region: str
    name: str
    zgid: str | None = None
    super_admin: str | None = None
    domains: tuple[str, ...] = ()
    users: tuple[UserRecord, ...] = ()
    partners: tuple[str, ...] = ()
    subscriptions: tuple[SubscriptionRecord, ...] = ()

    def __post_init__(self) -> None:
        for field in ("domains", "users", "partners"):
            object.__setattr__(self, field, _sorted(set(getattr(self, field))))
        object.__setattr__(self, "subscriptions", _sorted(self.subscriptions))  # two equal purchases are two

    @property
    def key(self) -> str:
        return f"{self.zoid}/{self.region}"

    def document(self) -> dict[str, Any]:
        """The entry of the import file, ready for JSON."""
        return document_of(self)

    def change_to(self, new: Self) -> Change:
        return change_of(self, new)


@dataclass(frozen=True, slots=True)
class PartnerRecord:
    """A registered partner organisation; `name` is its key."""

    name: str
    region: str | None = None
    locale: str | None = None
    domains: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("domains", "contacts"):
            object.__setattr__(self, field, _sorted(set(getattr(self, field))))

    @property
    def key(self) -> str:
        return self.name

    def document(self) -> dict[str, Any]:
        """The entry of the import file, ready for JSON."""
        return document_of(self)

    def change_to(self, new: Self) -> Change:
        return change_of(self, new)


@dataclass(frozen=True, slots=True)
class Match:
    """An account that a reference names, and the way it matched (`kind`: the column, whatever label the mail used)."""

    account_id: int
    zoid: str
    region: str
    name: str
    kind: ReferenceKind


@dataclass(frozen=True, slots=True)
class Diff:
    """What an import does or, with --dry-run, would do; entries by key."""

    added: tuple[str, ...] = ()
    changed: tuple[Change, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: int = 0

    @property
    def before(self) -> int:
        """How many entries there were."""
        return len(self.changed) + len(self.removed) + self.unchanged

    @property
    def removes_most(self) -> bool:
        """True when more than half of what is there would go: rather a broken file than the truth."""
        return 2 * len(self.removed) > self.before

    def document(self) -> dict[str, Any]:
        return asdict(self)


def _sorted(values: Any) -> tuple[Any, ...]:
    return tuple(sorted(values, key=str))


def change_of(old: Any, new: Any) -> Change:
    """What differs between two records of one kind, field by field."""
    differing = (name for name in old.__slots__ if getattr(old, name) != getattr(new, name))
    fields = (FieldChange(name, _plain(getattr(old, name)), _plain(getattr(new, name))) for name in differing)
    return Change(new.key, tuple(fields))


def document_of(record: Any) -> dict[str, Any]:
    """The entry of the import file that says what `record` says, ready for JSON."""
    return {name: _plain(getattr(record, name)) for name in record.__slots__}


def _plain(value: Any) -> Any:
    match value:
        case date():
            return value.isoformat()
        case tuple():
            return [_plain(item) for item in value]
        case UserRecord() | SubscriptionRecord():
            return document_of(value)
        case _:
            return value
