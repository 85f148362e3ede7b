"""What the operator decided: TOML, environment and credentials become one frozen `Settings`; every error at once.

`load` reads top to bottom in reading.py; the keys stand in model.py, policy_file.py and catalogue_file.py; what they
must say together in rules.py.
"""

from triaged.settings.fields import endpoint, is_loopback
from triaged.settings.model import (
    Database,
    Directory,
    Limits,
    Log,
    Mailbox,
    SenderIdentity,
    Service,
    Settings,
    Smtp,
    Trust,
    Web,
)
from triaged.settings.problems import ConfigurationError, Problem
from triaged.settings.reading import load
from triaged.settings.secret import Secret
from triaged.settings.sources import shipped

__all__ = [
    "ConfigurationError",
    "Database",
    "Directory",
    "Limits",
    "Log",
    "Mailbox",
    "Problem",
    "Secret",
    "SenderIdentity",
    "Service",
    "Settings",
    "Smtp",
    "Trust",
    "Web",
    "endpoint",
    "is_loopback",
    "load",
    "shipped",
]
