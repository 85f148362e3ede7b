"""Keys and secrets from outside the files: environment, systemd credentials, files of secrets; none is ever shown."""

import copy
import os
import pickle
import stat
from pathlib import Path

import pytest
from tests.settings.configurations import POLICY, TRIAGED, changed, refused, written

from triaged import settings
from triaged.settings.secret import open_to_others


def test_any_key_can_be_set_from_the_environment(tmp_path: Path) -> None:
    loaded = settings.load(
        written(tmp_path),
        {
            "TRIAGED_DATABASE__URL": "postgresql+psycopg://triaged@db/triaged",
            "TRIAGED_MAILBOX__0__HOST": "127.0.0.1",
            "TRIAGED_MAILBOX__0__PORT": "1143",
            "TRIAGED_MAILBOX__PARTNERS_EU__POLL": "1s",
            "TRIAGED_MAILBOX__PARTNERS_EU__IDLE": "false",
            "TRIAGED_MAILBOX__0__REGIONS": "eu",
            "TRIAGED_TRUST__AUTHSERV_IDS": "a.example, b.example",
            "TRIAGED_TRUST__AUTHSERV_IDS__1": "c.example",
            "TRIAGED_LIMITS__MESSAGE": "1MiB",
            "TRIAGED_SENDERS__CONTRACTS__NAME": "Services",
            "TRIAGED_SENDERS__CONTRACTS__ADDRESS": "select@vendor.example",
            "TRIAGED_POLICY__DEFAULT_SEVERITY": "S1",
            "TRIAGED_POLICY__REGION__EU__LARGE_USER": "777",
            "TRIAGED_POLICY__SEVERITY__S3__UPDATE_EVERY": "1d",
            "TRIAGED_CATALOGUE__SPARES__ROOMS_PER_UNIT": "25",
            "TRIAGED_CONFIG": "ignored, a path was given",
            "TRIAGED_CORPUS": "not ours",
            "TRIAGED_TEST_POSTGRES": "not ours",
        },
    )
    mailbox = loaded.mailbox("partners-eu")
    assert loaded.database.url == "postgresql+psycopg://triaged@db/triaged"
    assert (mailbox.host, mailbox.port, mailbox.poll.total_seconds(), mailbox.idle) == ("127.0.0.1", 1143, 1.0, False)
    assert mailbox.regions == ("eu",)
    assert loaded.trust.authserv_ids == ("a.example", "c.example")
    assert loaded.limits.message == 2**20
    assert loaded.senders["contracts"].address == "select@vendor.example"
    assert loaded.policy.default_severity == "S1"
    assert loaded.policy.regions["eu"].large_user == 777
    assert loaded.policy.severities["S3"].update_every is not None
    assert loaded.catalogue.rooms_per_spare == 25


def test_the_environment_can_add_a_whole_mailbox(tmp_path: Path) -> None:
    new = {
        "NAME": "new",
        "DESK": "support",
        "ADDRESS": "new@vendor.example",
        "REGIONS": '["eu"]',
        "HOST": "h.example",
        "USERNAME": "u",
        "PASSWORD": "p",
    }
    variables = {f"TRIAGED_MAILBOX__1__{key}": value for key, value in new.items()}
    loaded = settings.load(written(tmp_path), variables)
    assert [mailbox.name for mailbox in loaded.mailboxes] == ["partners-eu", "new"]
    assert loaded.mailbox("new").password.reveal() == "p"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("TRIAGED_SMTP__HSOT", 'names no key: there is no smtp.hsot; did you mean "host"?'),
        ("TRIAGED_MAILBOX__7__HOST", "names no key: there is no mailbox.7"),
        ("TRIAGED_MAILBOX__OTHER__HOST", "names no key: there is no mailbox.other"),
        ("TRIAGED_SMTP__HOST__X", "names no key: there is no smtp.host.x"),
        ("TRIAGED_POLICY__REGION__EU__LARGE_USR", 'region.eu.large_usr; did you mean "large_user"?'),
    ],
)
def test_an_override_that_names_nothing_is_refused(tmp_path: Path, name: str, told: str) -> None:
    error = refused(written(tmp_path), {name: "swordfish"})
    assert f"environment {name}: " in str(error)
    assert told in str(error)
    assert "fix: unset it" in str(error)
    assert "swordfish" not in str(error)


def test_a_wrong_override_names_the_variable_not_the_file(tmp_path: Path) -> None:
    error = refused(written(tmp_path), {"TRIAGED_SMTP__PORT": "many", "TRIAGED_MAILBOX__0__IDLE": "perhaps"})
    assert 'environment TRIAGED_SMTP__PORT: smtp.port = "many": not a whole number' in str(error)
    assert 'environment TRIAGED_MAILBOX__0__IDLE: mailbox[0].idle = "perhaps": neither true nor false' in str(error)


def test_a_password_from_outside_replaces_the_files_own(tmp_path: Path) -> None:
    file = written(tmp_path)
    loaded = settings.load(file, {"TRIAGED_MAILBOX__0__PASSWORD": "from outside"})
    assert loaded.mailboxes[0].password.reveal() == "from outside"
    (tmp_path / "other").write_text("from a file\n")
    loaded = settings.load(file, {"TRIAGED_MAILBOX__0__PASSWORD_FILE": "other"})
    assert loaded.mailboxes[0].password.reveal() == "from a file"


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"swordfish\n", "swordfish"),
        (b"swordfish\r\n", "swordfish"),
        (b"two words ", "two words "),
        ("é".encode(), "é"),
    ],
)
def test_one_newline_is_taken_from_a_secrets_file(tmp_path: Path, content: bytes, secret: str) -> None:
    file = written(tmp_path)
    (tmp_path / "imap-password").write_bytes(content)
    assert settings.load(file, {}).mailboxes[0].password.reveal() == secret


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\n", "the file is empty"),
        (b"swordfish\n\n", "the file holds more than one line or a control character"),
        (b"sword\x00fish", "the file holds more than one line or a control character"),
        (b"swordfish\xff", "the file is not UTF-8 text"),
        (b"swordfish" * 10_000, "the file is far too long for a secret"),
    ],
)
def test_a_secrets_file_that_holds_no_secret_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    file = written(tmp_path)
    (tmp_path / "imap-password").write_bytes(content)
    error = refused(file)
    assert f'{file}:13: mailbox[0].password_file = "imap-password": {told}' in str(error)
    assert f"fix: put the password alone into {tmp_path}/imap-password" in str(error)
    assert "swordfish" not in str(error)


def test_a_bare_name_is_looked_up_among_the_credentials_first(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    file = written(tmp_path)
    variables = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert settings.load(file, variables).mailboxes[0].password.reveal() == "swordfish"
    (credentials / "imap-password").write_text("from systemd")
    assert settings.load(file, variables).mailboxes[0].password.reveal() == "from systemd"


def test_credentials_named_like_keys_are_taken_and_the_environment_wins(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "mailbox__partners_eu__password").write_text("from systemd\n")
    (credentials / "database__url").write_text("postgresql+psycopg://u:swordfish@h/d\n")
    (credentials / "tls.pem").write_text("not for us")
    variables = {"CREDENTIALS_DIRECTORY": str(credentials)}
    loaded = settings.load(written(tmp_path), variables)
    assert loaded.mailboxes[0].password.reveal() == "from systemd"
    assert loaded.database.url == "postgresql+psycopg://u:swordfish@h/d"
    loaded = settings.load(written(tmp_path), variables | {"TRIAGED_MAILBOX__0__PASSWORD": "mine"})
    assert loaded.mailboxes[0].password.reveal() == "mine"
    (credentials / "smtp__pasword").write_text("x")
    error = refused(written(tmp_path), variables)
    assert 'credential smtp__pasword: names no key: there is no smtp.pasword; did you mean "password"?' in str(error)


def test_no_secret_is_in_a_repr_an_error_or_a_pickle(tmp_path: Path) -> None:
    text = changed(TRIAGED, "[trust]", '[directory]\ntoken = "swordfish"\n[trust]')
    variables = {
        "TRIAGED_SMTP__USERNAME": "u",
        "TRIAGED_SMTP__PASSWORD": "swordfish",
        "TRIAGED_DATABASE__URL": "postgresql+psycopg://u:swordfish@h/d",
    }
    loaded = settings.load(written(tmp_path, text), variables)
    assert loaded.directory.token.reveal() == loaded.smtp.password.reveal() == "swordfish"
    assert "swordfish" not in repr(loaded)
    assert f"{loaded.smtp.password} {loaded.smtp.password!s:>5} {[loaded.smtp.password]}" == "***   *** [***]"
    with pytest.raises(TypeError):
        pickle.dumps(loaded.smtp.password)
    with pytest.raises(TypeError):
        copy.copy(loaded.smtp.password)
    assert (bool(settings.Secret("")), bool(settings.Secret("x"))) == (False, True)
    assert settings.Secret("x") == settings.Secret("x") != settings.Secret("y")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('password_file = "imap-password"', "password = 12345678"),
        ('password_file = "imap-password"', 'pasword = "12345678"'),
        ('password_file = "imap-password"', 'password = ["12345678"]'),
        ("[smtp]", '[smtp.oauth2]\nclient_secret = "12345678"\n[smtp]'),
        ("[smtp]", "[smtp]\npassword = 12345678"),
        ("[smtp]", '[database]\nurl = "mysql://u:p@12345678@h/d"\n[smtp]'),
        ("[smtp]", '[database]\nurl = "mysql://h/d?password=12345678&x=y"\n[smtp]'),
        ("[smtp]", '[directory]\naccounts = "https://u:12345678@h.example/"\n[smtp]'),
    ],
)
def test_a_misplaced_secret_is_not_shown(tmp_path: Path, old: str, new: str) -> None:
    assert "12345678" not in str(refused(written(tmp_path, changed(TRIAGED, old, new))))


def test_a_secret_in_a_file_that_everybody_can_read_is_warned_of_with_the_chmod(tmp_path: Path) -> None:
    text = changed(TRIAGED, 'password_file = "imap-password"', 'password = "swordfish"')
    file = written(tmp_path, text)
    assert _opened(tmp_path)
    file.chmod(0o644)
    (warning,) = settings.load(file, {}).warnings
    assert warning.startswith(f"{file}:13: mailbox[0].password: a secret in a file that every user of this machine")
    assert f"chmod 640 {file}" in warning
    file.chmod(0o640)
    assert settings.load(file, {}).warnings == ()


def test_a_database_url_with_a_password_is_a_secret_too(tmp_path: Path) -> None:
    file = written(tmp_path, changed(TRIAGED, "[trust]", '[database]\nurl = "postgresql://u:swordfish@h/d"\n[trust]'))
    file.chmod(0o644)
    assert _opened(tmp_path)
    (warning,) = settings.load(file, {}).warnings
    assert warning.startswith(f"{file}:25: database.url: a secret in a file that every user")
    assert "swordfish" not in warning


def test_a_readable_file_without_secrets_is_fine(tmp_path: Path) -> None:
    file = written(tmp_path, policy=POLICY)
    file.chmod(0o644)
    _opened(tmp_path)
    assert settings.load(file, {}).warnings == ()


def _opened(folder: Path) -> bool:
    """Let everybody reach the folder, as far as it is ours to say. pytest keeps its folders to the user."""
    probe = folder / "probe"
    probe.touch(0o644)
    for place in (folder, *folder.parents):
        if place.stat().st_uid == os.getuid() and str(place).startswith("/tmp/"):
            place.chmod(stat.S_IMODE(place.stat().st_mode) | stat.S_IXOTH)
    return open_to_others(probe)
