"""The shape of triaged.toml: one frozen value per table, one attribute per key (INTERFACE §1).

These are the values that the rest of the house receives, so the names here are the names in the file.
"""

import dataclasses
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from triaged.domain.catalogue import Catalogue
from triaged.domain.message import House
from triaged.domain.order_words import OrderWords
from triaged.domain.policy import Policy
from triaged.domain.references import Vocabulary
from triaged.domain.verb_words import VerbWords
from triaged.settings import fields
from triaged.settings.secret import Secret

STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

Desk = Literal["support", "contracts"]
Security = Literal["tls", "starttls", "none"]


@dataclass(frozen=True, slots=True, config=STRICT)
class Service:
    """`templates` is the operator's override directory, looked up before ours; the key of our Message-IDs and log ids
    lies in `secret_file`, by default in `state_dir`."""

    domain: fields.Domain
    state_dir: fields.FilePath = Path("/var/lib/triaged")
    locale: fields.Locale = "fr"
    templates: fields.FilePath | None = None
    policy: fields.FilePath = Path("policy.toml")
    catalogue: fields.FilePath | None = None
    labels: fields.FilePath | None = None
    public_url: fields.WebAddress = ""
    secret_file: fields.FilePath = Path("/var/lib/triaged/secret.key")


@dataclass(frozen=True, slots=True, config=STRICT)
class Database:
    """`url` may carry a password, so it is kept out of the repr."""

    url: fields.DatabaseUrl = field(repr=False)


@dataclass(frozen=True, slots=True, config=STRICT)
class Mailbox:
    """One polled IMAP folder. `regions[0]` is the default; no `archive` = handled mail stays where it is."""

    name: fields.Name
    desk: Desk
    address: fields.Email
    regions: fields.RegionCodes
    host: fields.Host
    port: fields.Port
    username: fields.Text
    password: fields.SecretText
    security: Security = "tls"
    folder: fields.Text = "INBOX"
    poll: fields.Duration = timedelta(seconds=30)
    idle: fields.Flag = True
    archive: fields.Text | None = None


@dataclass(frozen=True, slots=True, config=STRICT)
class Smtp:
    """The relay. An empty `username` = no log-in (a loopback relay needs none)."""

    host: fields.Host
    port: fields.Port
    security: Security = "starttls"
    username: str = ""
    password: fields.SecretText = field(default_factory=Secret)
    connections: fields.Count = 4


@dataclass(frozen=True, slots=True, config=STRICT)
class SenderIdentity:
    """From of a desk."""

    name: fields.Text
    address: fields.Email


@dataclass(frozen=True, slots=True, config=STRICT)
class Senders:
    support: SenderIdentity | None = None
    contracts: SenderIdentity | None = None


@dataclass(frozen=True, slots=True, config=STRICT)
class Trust:
    """Whose Authentication-Results count, and what they are worth (DESIGN §5)."""

    authserv_ids: fields.Texts = ()
    profile: Literal["postfix", "gmail", "m365"] = "postfix"
    received_above: fields.Whole = 0
    require: fields.Flag = True
    unknown_sender: Literal["review", "accept"] = "review"


@dataclass(frozen=True, slots=True, config=STRICT)
class Bounce:
    """`mailbox` receives our return paths; empty = no VERP."""

    mailbox: str = ""


@dataclass(frozen=True, slots=True, config=STRICT)
class Limits:
    """`message` in bytes. The brakes count only answers to automatic, unauthenticated or repeated mail (DESIGN §4.6):
    `answers_per_sender` in 24 hours to one address, `answers_per_hour` to all together."""

    message: fields.Size = 25_000_000
    answers_per_sender: fields.Count = 1
    answers_per_hour: fields.Count = 200


@dataclass(frozen=True, slots=True, config=STRICT)
class Log:
    format: Literal["text", "json"] = "text"


@dataclass(frozen=True, slots=True, config=STRICT)
class Directory:
    """Where accounts and partners are refreshed from: a path or an https URL; empty = only by `import`."""

    accounts: fields.Location = ""
    partners: fields.Location = ""
    token: fields.SecretText = field(default_factory=Secret)
    every: fields.Duration = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, config=STRICT)
class Web:
    """Where `triaged web` listens; empty = where `public_url` is, if that is on this machine, else 127.0.0.1:8080.
    `proxies`: how many of our own stand in front, each of which adds one address to X-Forwarded-For."""

    listen: fields.Endpoint = ""
    proxies: fields.Hops = 0


@dataclass(frozen=True, slots=True, config=STRICT)
class TriagedFile:
    """The whole of triaged.toml, key by key."""

    service: Service
    database: Database
    mailbox: tuple[Mailbox, ...]
    smtp: Smtp
    senders: Senders
    trust: Trust = field(default_factory=Trust)
    bounce: Bounce = field(default_factory=Bounce)
    limits: Limits = field(default_factory=Limits)
    log: Log = field(default_factory=Log)
    directory: Directory = field(default_factory=Directory)
    web: Web = field(default_factory=Web)


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the operator decided, checked. `warnings` is for `triaged check`: FILE:LINE: key: what."""

    path: Path
    service: Service
    database: Database
    mailboxes: tuple[Mailbox, ...]
    smtp: Smtp
    senders: dict[str, SenderIdentity]
    trust: Trust
    bounce_mailbox: str
    limits: Limits
    log: Log
    directory: Directory
    web: Web
    policy: Policy
    vocabulary: Vocabulary
    order_words: OrderWords
    verb_words: VerbWords
    catalogue: Catalogue
    house: House
    warnings: tuple[str, ...] = ()

    def mailbox(self, name: str) -> Mailbox:
        """The mailbox called `name`. Raises KeyError where there is none."""
        for mailbox in self.mailboxes:
            if mailbox.name == name:
                return mailbox
        raise KeyError(name)
