"""A small valid configuration that the tests break in one place at a time."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from triaged import settings

TRIAGED = """\
[service]
domain = "support.example"
state_dir = "state"
locale = "en"

[[mailbox]]
name = "partners-eu"
desk = "support"
address = "partner-support@eu.vendor.example"
regions = ["eu"]
host = "imap.vendor.example"
username = "partners-eu"
password_file = "imap-password"
archive = "Processed"

[smtp]
host = "127.0.0.1"
security = "none"

[senders.support]
name = "Partner Support"
address = "partner-support@vendor.example"

[trust]
authserv_ids = ["mx.vendor.example"]
"""

SPANS = """\
acknowledge = { target = "1h", limit = "3h" }
determine = { target = "2h", limit = "8h" }
resolve = { target = "24h", limit = "48h" }
"""

POLICY = f"""\
[severity.S1]
{SPANS}
[severity.S3]
{SPANS}
[[region]]
code = "eu"
timezone = "Europe/Paris"
locale = "fr"
associates = ["support-eu@vendor.example"]
key_account = 50
large_user = 200
"""


def written(folder: Path, triaged: str = TRIAGED, policy: str = POLICY) -> Path:
    (folder / "imap-password").write_text("swordfish\n")
    (folder / "policy.toml").write_text(policy)
    file = folder / "triaged.toml"
    file.write_text(triaged)
    return file


def refused(file: Path, environment: Mapping[str, str] | None = None) -> settings.ConfigurationError:
    with pytest.raises(settings.ConfigurationError) as caught:
        settings.load(file, environment or {})
    return caught.value


def changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)
