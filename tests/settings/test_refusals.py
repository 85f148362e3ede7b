"""Every refusal of INTERFACE §1: its file, line, key, value and fix, all of them at once, and never a secret."""

import contextlib
from pathlib import Path

import pytest
from tests.settings.configurations import POLICY, TRIAGED, changed, refused, written

from triaged import settings
from triaged.settings.problems import suggestion


def test_the_plain_configuration_of_these_tests_is_accepted(tmp_path: Path) -> None:
    assert settings.load(written(tmp_path), {}).warnings == ()


IN_TRIAGED = {
    "unknown key": (
        'archive = "Processed"',
        'archve = "Processed"',
        'triaged.toml:14: mailbox[0].archve: unknown key; did you mean "archive"?',
        "known here: name, desk, address,",
    ),
    "unknown table": ("[trust]", "[trusted]", "triaged.toml:24: trusted: unknown key", "trust"),
    "oauth2 is for later": (
        "[smtp]",
        '[mailbox.oauth2]\nscope = "x"\n[smtp]',
        "triaged.toml:16: mailbox[0].oauth2: not supported yet",
        "username and password_file",
    ),
    "wrong type": (
        "[smtp]",
        '[smtp]\nport = "587"',
        'triaged.toml:17: smtp.port = "587": not a whole number',
        "without quotes: port = 50",
    ),
    "flag as number": (
        'archive = "Processed"',
        "idle = 1",
        "triaged.toml:14: mailbox[0].idle = 1: neither true nor false",
        "without quotes",
    ),
    "number as text": (
        'username = "partners-eu"',
        "username = 5",
        "triaged.toml:12: mailbox[0].username = 5: not text",
        'write it in quotes: username = "…"',
    ),
    "text as list": (
        'regions = ["eu"]',
        'regions = "eu"',
        'triaged.toml:10: mailbox[0].regions = "eu": one text where a list belongs',
        '["eu"]',
    ),
    "no regions": (
        'regions = ["eu"]',
        "regions = []",
        "triaged.toml:10: mailbox[0].regions = []: an empty list",
        "write at least one item",
    ),
    "one mailbox as a table": (
        "[[mailbox]]",
        "[mailbox]",
        "triaged.toml:6: mailbox = {…}: one table where several may stand",
        "[[mailbox]] with two brackets",
    ),
    "missing key": ('username = "partners-eu"\n', "", "triaged.toml:6: mailbox[0].username: missing", "username ="),
    "missing table": (
        '[smtp]\nhost = "127.0.0.1"\nsecurity = "none"\n',
        "",
        "triaged.toml:23: smtp: missing",
        "add a [smtp] table",
    ),
    "bad duration": (
        'archive = "Processed"',
        'poll = "30 sekunden"',
        'triaged.toml:14: mailbox[0].poll = "30 sekunden": not a duration',
        '"30s", "5m", "1h" or "2d"',
    ),
    "duration as number": (
        'archive = "Processed"',
        "poll = 30",
        "triaged.toml:14: mailbox[0].poll = 30: not a duration",
        "its unit in quotes",
    ),
    "duration of nothing": (
        'archive = "Processed"',
        'poll = "0s"',
        'triaged.toml:14: mailbox[0].poll = "0s": a duration of nothing',
        "30s",
    ),
    "bad size": (
        "[trust]",
        '[limits]\nmessage = "25 megs"\n[trust]',
        'triaged.toml:25: limits.message = "25 megs": not a size',
        '"25MB"',
    ),
    "a brake of zero": (
        "[trust]",
        "[limits]\nanswers_per_hour = 0\n[trust]",
        "triaged.toml:25: limits.answers_per_hour = 0: too small",
        "write 1 or more",
    ),
    "a place to listen without its port": (
        "[trust]",
        '[web]\nlisten = "127.0.0.1"\n[trust]',
        'triaged.toml:25: web.listen = "127.0.0.1": not a place to listen',
        '"127.0.0.1:8080" or "[::1]:8080"',
    ),
    "a crowd of proxies": ("[trust]", "[web]\nproxies = 10\n[trust]", "web.proxies = 10: too large", "9 or less"),
    "impossible port": ("[smtp]", "[smtp]\nport = 99999", "smtp.port = 99999: too large", "65535 or less"),
    "unknown region": (
        'regions = ["eu"]',
        'regions = ["eu", "ue"]',
        'triaged.toml:10: mailbox[0].regions[1] = "ue": no such region; did you mean "eu"?',
        "write one of eu or add the region to",
    ),
    "unknown desk": (
        'desk = "support"',
        'desk = "suport"',
        'triaged.toml:8: mailbox[0].desk = "suport": not one of them; did you mean "support"?',
        'write "support" or "contracts"',
    ),
    "bad locale": (
        'locale = "en"',
        'locale = "english"',
        'triaged.toml:4: service.locale = "english": not a locale',
        "a language code",
    ),
    "locale without templates": (
        'locale = "en"',
        'locale = "xx"',
        'triaged.toml:4: service.locale = "xx": no templates for it',
        "write one of those that have templates: de, en, fr",
    ),
    "bad address": (
        'address = "partner-support@eu.vendor.example"',
        'address = "partner-support at vendor"',
        'triaged.toml:9: mailbox[0].address = "partner-support at vendor": not an e-mail address (',
        "write a bare address",
    ),
    "bad domain": (
        '"support.example"',
        '"support example"',
        'triaged.toml:2: service.domain = "support example": not a domain',
        'write a bare domain, like "vendor.example"',
    ),
    "host with port": (
        'host = "imap.vendor.example"',
        'host = "imap.vendor.example:993"',
        'triaged.toml:11: mailbox[0].host = "imap.vendor.example:993": not a host',
        "the port has its own key",
    ),
    "mailbox in clear": (
        'host = "imap.vendor.example"',
        'host = "imap.vendor.example"\nsecurity = "none"',
        'triaged.toml:12: mailbox[0].security = "none": mail and password in clear to imap.vendor.example',
        'write "tls" or "starttls"; "none" is only for loopback hosts',
    ),
    "relay in clear": (
        'host = "127.0.0.1"',
        'host = "10.0.0.25"',
        'triaged.toml:18: smtp.security = "none": mail and password in clear to 10.0.0.25',
        "loopback",
    ),
    "relay login by half": (
        '[senders.support]',
        'username = "triaged"\n[senders.support]',
        "triaged.toml:16: smtp.password: missing beside its other half",
        "give both username and password_file, or neither",
    ),
    "nobody could be authenticated": (
        'authserv_ids = ["mx.vendor.example"]',
        "require = true",
        "triaged.toml:24: trust.authserv_ids: missing, so nobody could ever be authenticated (require = true)",
        "or require = false to believe From",
    ),
    "no trust at all": (
        '[trust]\nauthserv_ids = ["mx.vendor.example"]\n',
        "",
        "triaged.toml:24: trust.authserv_ids: missing",
        "Authentication-Results",
    ),
    "unknown sender policy": (
        "[trust]",
        '[trust]\nunknown_sender = "reviews"',
        'trust.unknown_sender = "reviews": not one of them; did you mean "review"?',
        'write "review" or "accept"',
    ),
    "bounce mailbox": (
        "[trust]",
        '[bounce]\nmailbox = "partner-eu"\n[trust]',
        'triaged.toml:25: bounce.mailbox = "partner-eu": no such mailbox; did you mean "partners-eu"?',
        'write the name of a [[mailbox]]: "partners-eu"',
    ),
    "no sender for the desk": (
        'desk = "support"',
        'desk = "contracts"',
        "triaged.toml:20: senders.contracts: missing, and a mailbox has this desk",
        "add a [senders.contracts] table",
    ),
    "archive is the folder": (
        'archive = "Processed"',
        'archive = "inbox"',
        'triaged.toml:14: mailbox[0].archive = "inbox": the folder that is polled',
        "name another folder",
    ),
    "two sources of a password": (
        'password_file = "imap-password"',
        'password_file = "imap-password"\npassword = "swordfish"',
        "triaged.toml:13: mailbox[0].password_file = \"imap-password\": beside password: two sources of one secret",
        "keep password_file alone",
    ),
    "no password": (
        'password_file = "imap-password"\n',
        "",
        "triaged.toml:6: mailbox[0].password: missing",
        'add password_file = "/path/to/file", or a systemd credential, or password = "…"',
    ),
    "password file that is not there": (
        "imap-password",
        "imap-pasword",
        'triaged.toml:13: mailbox[0].password_file = "imap-pasword": cannot be read: No such file or directory',
        "or the systemd credential: LoadCredential=imap-pasword:/path/to/secret",
    ),
    "database of an unknown kind": (
        "[trust]",
        '[database]\nurl = "mysql://u:swordfish@h/d"\n[trust]',
        'triaged.toml:25: database.url = "mysql://u:***@h/d": not a database that triaged knows',
        "postgresql+psycopg://user@host/db",
    ),
    "invitations in clear": (
        "[service]",
        '[service]\npublic_url = "http://portal.example"',
        'triaged.toml:2: service.public_url = "http://portal.example": not a safe web address',
        "http:// only for loopback hosts",
    ),
    "directory in clear": (
        "[trust]",
        '[directory]\naccounts = "http://crm.vendor.example/accounts"\n[trust]',
        "triaged.toml:25: directory.accounts = ",
        "a path or an https:// URL",
    ),
    "mailbox name with blanks": (
        '[[mailbox]]\nname = "partners-eu"',
        '[[mailbox]]\nname = "partners eu"',
        'triaged.toml:7: mailbox[0].name = "partners eu": not a name',
        "it goes into logs",
    ),
    "text over two lines": (
        'name = "Partner Support"',
        'name = "Partner\\r\\nBcc: x@y.example"',
        r'senders.support.name = "Partner\r\nBcc: x@y.example": text with a line break',
        "one line",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "what", "fix"), IN_TRIAGED.values(), ids=IN_TRIAGED)
def test_triaged_toml_is_refused_with_its_line_and_fix(tmp_path: Path, old: str, new: str, what: str, fix: str) -> None:
    error = refused(written(tmp_path, changed(TRIAGED, old, new)))
    assert [problem for problem in map(str, error.problems) if what in problem and fix in problem], str(error)
    assert "swordfish" not in str(error)


IN_POLICY = {
    "no thresholds": (
        "large_user = 200\n",
        "",
        "policy.toml:11: region[0].large_user: missing; a region without thresholds refuses to start",
        "add large_user = NUMBER OF LICENCES to the region",
    ),
    "key above large": (
        "key_account = 50",
        "key_account = 201",
        "policy.toml:17: region[0].large_user = 200: below key_account = 201",
        "at least as many licences",
    ),
    "no region": (POLICY[POLICY.index("[[region]]") :], "", "policy.toml:11: region: missing", "[[region]] table"),
    "bad time zone": (
        "Europe/Paris",
        "Europe/Pari",
        'policy.toml:13: region[0].timezone = "Europe/Pari": not a time zone; did you mean "Europe/Paris"?',
        "IANA name",
    ),
    "hostile time zone": ("Europe/Paris", "../../etc/passwd", '"../../etc/passwd": not a time zone', "IANA name"),
    "bad associate": (
        "support-eu@vendor.example",
        "support-eu",
        'policy.toml:15: region[0].associates[0] = "support-eu": not an e-mail address',
        "bare address",
    ),
    "unknown default severity": (
        "[severity.S1]",
        'default_severity = "S2"\n[severity.S1]',
        'policy.toml:1: default_severity = "S2": not defined',
        'write "S1" or "S3", or add [severity.S2]',
    ),
    "no S1": ("[severity.S1]", "[severity.S2]", "policy.toml:1: severity.S1: missing", "large-user accounts get it"),
    "severity without a commitment": (
        'determine = { target = "2h", limit = "8h" }\nresolve = { target = "24h", limit = "48h" }\n\n[severity.S3]',
        "[severity.S3]",
        "policy.toml:1: severity.S1.determine: missing",
        'add determine = { target = "2h", limit = "8h" }',
    ),
    "limit before target": (
        "[[region]]",
        '[severity.S4]\nacknowledge = { target = "3h", limit = "1h" }\n[[region]]',
        'policy.toml:12: severity.S4.acknowledge.limit = "1h": shorter than its target',
        "the limit is what is owed",
    ),
    "bad count": (
        "[severity.S1]",
        'count_licences = "som"\n[severity.S1]',
        'policy.toml:1: count_licences = "som": not one of them; did you mean "sum"?',
        'write "sum" or "max"',
    ),
    "alias of two services": (
        "[severity.S1]",
        '[services."Zoho CRM"]\naliases = ["Zia"]\n[services."Zoho Desk"]\naliases = ["x", "ZIA"]\n[severity.S1]',
        'policy.toml:4: services."Zoho Desk".aliases[1] = "ZIA": names "Zoho CRM" too',
        "let each alias stand for one service",
    ),
    "bad public domain": (
        "[severity.S1]",
        'public_mail_domains = ["mail.example", "a b"]\n[severity.S1]',
        'policy.toml:1: public_mail_domains[1] = "a b": not a domain',
        "bare domain",
    ),
    "a region twice": (
        "[[region]]",
        '[[region]]\ncode = "eu"\n[[region]]',
        'policy.toml:14: region[1].code = "eu": the code of region[0] already',
        "its own code",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "what", "fix"), IN_POLICY.values(), ids=IN_POLICY)
def test_policy_toml_is_refused_with_its_line_and_fix(tmp_path: Path, old: str, new: str, what: str, fix: str) -> None:
    error = refused(written(tmp_path, policy=changed(POLICY, old, new)))
    assert [problem for problem in map(str, error.problems) if what in problem and fix in problem], str(error)


def test_the_nearest_word_is_suggested_swapped_letters_first() -> None:
    assert suggestion("ue", ["us", "in", "uk", "eu"]) == '; did you mean "eu"?'
    assert suggestion("Domian", ["DOMAIN", "locale"]) == '; did you mean "DOMAIN"?'
    assert suggestion("xyz", ["domain", "locale"]) == ""


def test_two_mailboxes_may_not_share_a_name(tmp_path: Path) -> None:
    mailbox = TRIAGED[TRIAGED.index("[[mailbox]]") : TRIAGED.index("[smtp]")]
    error = refused(written(tmp_path, changed(TRIAGED, "[smtp]", mailbox + "[smtp]")))
    assert 'triaged.toml:17: mailbox[1].name = "partners-eu": the name of mailbox[0] already' in str(error)


def test_two_mailboxes_of_one_account_had_better_not_share_an_archive(tmp_path: Path) -> None:
    mailbox = TRIAGED[TRIAGED.index("[[mailbox]]") : TRIAGED.index("[smtp]")]
    second = mailbox.replace('name = "partners-eu"', 'name = "second"\nfolder = "Second"\nport = 993', 1)
    both = written(tmp_path, changed(TRIAGED, "[smtp]", second.replace("imap.v", "IMAP.v") + "[smtp]"))
    (warned,) = [text for text in settings.load(both, {}).warnings if "archive" in text]
    assert "triaged.toml:26: mailbox[1].archive" in warned
    assert "'second': 'Processed' is the archive of 'partners-eu' (mailbox[0]), too" in warned
    for old, new in (('"Processed"', '"Second done"'), ('username = "partners-eu"', 'username = "second"')):
        apart = written(tmp_path, changed(TRIAGED, "[smtp]", changed(second, old, new) + "[smtp]"))
        assert not [text for text in settings.load(apart, {}).warnings if "archive" in text]


def test_all_files_tell_all_their_problems_at_once_and_in_order(tmp_path: Path) -> None:
    text = changed(TRIAGED, 'desk = "support"', 'desk = "x"').replace("archive", "archve")
    text = changed(text, 'regions = ["eu"]', 'regions = ["fr"]').replace('security = "none"', "security = 5")
    text = changed(text, "[service]", '[service]\ncatalogue = "catalogue.toml"')
    (tmp_path / "catalogue.toml").write_text('[[sku]]\ncode = "1"\nservice = "selekt"\nyears = 6\n')
    policy = changed(POLICY, "large_user = 200\n", "").replace("Europe/Paris", "Paris")
    error = refused(written(tmp_path, text, policy), {"TRIAGED_SMTP__HSOT": "x"})
    assert [(problem.place.removeprefix(f"{tmp_path}/"), problem.key) for problem in error.problems] == [
        ("environment TRIAGED_SMTP__HSOT", ""),
        ("triaged.toml:9", "mailbox[0].desk"),
        ("triaged.toml:11", "mailbox[0].regions[0]"),
        ("triaged.toml:15", "mailbox[0].archve"),
        ("triaged.toml:19", "smtp.security"),
        ("policy.toml:11", "region[0].large_user"),
        ("policy.toml:13", "region[0].timezone"),
        ("catalogue.toml:3", "sku[0].service"),
        ("catalogue.toml:4", "sku[0].years"),
    ]
    assert str(error).startswith("9 problems in the configuration; nothing was started\n")
    assert all(problem.fix and f"\n    fix: {problem.fix}" in str(error) for problem in error.problems)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('[service]\ndomain = "a"\nlocale = fr\n', 3, "not TOML: Invalid value"),
        ("[service\n", 1, "not TOML: Expected ']'"),
        ("[a]\nx = 1\nx = 2\n", 3, "not TOML: Cannot overwrite a value"),
        ('a = """open', 1, "not TOML: Unterminated string"),
    ],
)
def test_a_syntax_error_names_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    file = tmp_path / "triaged.toml"
    file.write_text(text)
    assert f"{file}:{line}: {what}" in str(refused(file))


def test_a_file_in_another_encoding_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "triaged.toml"
    file.write_bytes('[service]\ndomain = "x"\n# réseau\n'.encode("latin-1"))
    assert f"{file}:3: not UTF-8 text\n    fix: save the file as UTF-8" in str(refused(file))


def test_a_companion_file_that_is_missing_is_named(tmp_path: Path) -> None:
    file = written(tmp_path)
    (tmp_path / "policy.toml").unlink()
    assert f"{tmp_path}/policy.toml: cannot be read: No such file or directory" in str(refused(file))


def test_no_configuration_at_all_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(settings.ConfigurationError, match=r"there is no config/triaged\.toml or /etc/triaged"):
        settings.load(None, {})
    with pytest.raises(settings.ConfigurationError, match=r"/nowhere/t\.toml: cannot be read"):
        settings.load(None, {"TRIAGED_CONFIG": "/nowhere/t.toml"})


def test_the_configuration_is_found_where_the_reference_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()
    file = written(tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    assert settings.load(None, {}).path == Path("config/triaged.toml")
    assert settings.load(None, {"TRIAGED_CONFIG": str(file)}).path == file


def test_an_unserved_region_and_a_believed_from_are_only_warnings(tmp_path: Path) -> None:
    text = changed(TRIAGED, "[trust]", "[trust]\nrequire = false")
    region = POLICY[POLICY.index("[[region]]") :].replace('"eu"', '"uk"').replace('"fr"', '"xx"')
    loaded = settings.load(written(tmp_path, text, POLICY + region.replace('["support-eu@vendor.example"]', "[]")), {})
    assert loaded.warnings == (
        f"{tmp_path}/triaged.toml:25: trust.require: false: From is believed, so anybody can write in a partner's name",
        f"{tmp_path}/policy.toml:22: region[1].associates: nobody is told of a new S1 in this region",
        f'{tmp_path}/policy.toml:21: region[1].locale: no templates for "xx": the last fallback is used',
        f"{tmp_path}/policy.toml:18: region[1]: uk: no mailbox serves this region",
    )


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "::1"])
def test_plain_text_is_allowed_to_ourselves(tmp_path: Path, host: str) -> None:
    text = changed(TRIAGED, 'host = "imap.vendor.example"', f'host = "{host}"\nsecurity = "none"')
    assert settings.load(written(tmp_path, text), {}).mailboxes[0].port == 143


def test_labels_that_cannot_be_used_are_told_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "labels.toml").write_text('[en]\nzoid = ["org id"]\nzuid = ["org id"]\nsuper_admn = ["x"]\n')
    error = refused(written(tmp_path, changed(TRIAGED, "[service]", '[service]\nlabels = "labels.toml"')))
    assert len(error.problems) == 2
    assert all(problem.place == f"{tmp_path}/labels.toml" and "en" in problem.what for problem in error.problems)
    assert "super_admn" in str(error)


@pytest.mark.parametrize("wrong", ["5", "true", "[]", "{}", '""', "[[1]]", "2026-11-22", '"\\u0000"', "[{}]"])
def test_whatever_stands_behind_a_key_the_answer_is_a_report(tmp_path: Path, wrong: str) -> None:
    for name, text in (("triaged.toml", TRIAGED), ("policy.toml", POLICY)):
        for line in text.splitlines():
            key, equals, _ = line.partition(" = ")
            if equals:
                file = written(tmp_path)
                (tmp_path / name).write_text(text.replace(line, f"{key} = {wrong}", 1))
                with contextlib.suppress(settings.ConfigurationError):
                    settings.load(file, {})
