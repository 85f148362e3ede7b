"""What a good configuration becomes: the values that the rest of the house receives."""

import dataclasses
import re
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.settings.configurations import POLICY, TRIAGED, changed, written

from triaged import settings
from triaged.domain import public_mail
from triaged.domain.catalogue import ServiceType, TermStart
from triaged.domain.policy import Span
from triaged.settings import catalogue_file, locate, model, policy_file, shape

CONFIG = settings.shipped("config")


@pytest.fixture
def shipped() -> settings.Settings:
    return settings.load(CONFIG / "triaged.toml", {})


def test_the_shipped_configuration_is_valid_without_a_warning(shipped: settings.Settings) -> None:
    assert shipped.warnings == ()
    assert sorted(shipped.policy.regions) == ["au", "ca", "eu", "in", "jp", "uk", "us", "za"]
    assert [mailbox.regions for mailbox in shipped.mailboxes] == [("us", "in", "au", "jp", "za", "ca"), ("eu", "uk")]
    assert shipped.mailbox("partners-eu").port == 993
    assert shipped.bounce_mailbox == "partners-com"
    with pytest.raises(KeyError):
        shipped.mailbox("partners")


def test_the_shipped_policy_says_what_the_faq_says(shipped: settings.Settings) -> None:
    critical = shipped.policy.severities["S1"]
    assert critical.label_in("fr") == "S1-Critique"
    assert critical.acknowledge == Span(timedelta(hours=1), timedelta(hours=3))
    assert critical.determine == Span(timedelta(hours=2), timedelta(hours=8))
    assert critical.resolve == Span(timedelta(hours=24), timedelta(hours=48))
    assert critical.update_every == timedelta(hours=24)
    assert shipped.policy.excluded_services == (
        "Zoho Campaigns",
        "Zoho DataPrep",
        "Zoho PageSense",
        "Zoho Writer add-ons",
        "Zoho Marketing Automation",
    )
    assert "Modules complémentaires Zoho Writer" in shipped.policy.service_aliases["Zoho Writer add-ons"]


def test_the_shipped_catalogue_says_what_the_faq_says(shipped: settings.Settings) -> None:
    catalogue = shipped.catalogue
    assert {sku.years for sku in catalogue.skus.values() if sku.service is ServiceType.SELECT} == {1, 2, 3, 4, 5}
    assert catalogue.skus["994-000148"].years == 1
    assert {"Rally Bar", "MeetUp", "Tap IP", "Scribe"} <= set(catalogue.products)
    assert (catalogue.rooms_per_spare, catalogue.warranty_max_years) == (50, 5)
    assert (catalogue.invitation_valid, catalogue.cancellation) == (timedelta(days=30), timedelta(days=30))
    assert (catalogue.term_start, catalogue.term_latest) == (TermStart.PURCHASE, None)


def test_what_is_left_out_has_its_documented_default(tmp_path: Path) -> None:
    loaded = settings.load(written(tmp_path), {})
    mailbox = loaded.mailboxes[0]
    assert (mailbox.port, mailbox.security, mailbox.folder, mailbox.poll) == (
        993,
        "tls",
        "INBOX",
        timedelta(seconds=30),
    )
    assert mailbox.idle is True
    assert (loaded.smtp.port, loaded.smtp.connections, loaded.smtp.username) == (25, 4, "")
    assert not loaded.smtp.password
    assert loaded.service.state_dir == tmp_path / "state"
    assert loaded.service.secret_file == tmp_path / "state" / "secret.key"
    assert loaded.service.templates is None
    assert loaded.database.url == f"sqlite:///{tmp_path}/state/triaged.db"
    assert (loaded.trust.profile, loaded.trust.received_above, loaded.trust.require) == ("postfix", 0, True)
    assert loaded.trust.unknown_sender == "review"
    assert (loaded.limits.message, loaded.log.format, loaded.bounce_mailbox) == (25_000_000, "text", "")
    assert (loaded.web.listen, loaded.web.proxies) == ("", 0)
    assert (loaded.directory.accounts, loaded.directory.every) == ("", timedelta(minutes=5))
    assert loaded.policy.default_severity == "S3"
    assert loaded.policy.regions["eu"].retain == timedelta(days=730)
    assert "994-000148" in loaded.catalogue.skus


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("triaged.toml", model.TriagedFile),
        ("policy.toml", policy_file.PolicyFile),
        ("catalogue.toml", catalogue_file.CatalogueFile),
    ],
)
def test_the_commented_files_name_every_key_and_only_those(name: str, kind: type) -> None:
    text = re.sub(r"(?m)^# (?=\[|[a-z_]+ += )", "", _shipped_text(name))  # what is commented out counts
    named = {key for _, table, _ in shape.tables(tomllib.loads(text), kind) for key in table}
    assert _keys(kind) - {"password", "token"} <= named <= _keys(kind)


def _keys(kind: type) -> set[str]:
    own = shape.keys(kind)
    below = [shape.inside(hint, 0) if not shape.is_table(hint) else hint for hint in own.values()]
    return set(own).union(*(_keys(table) for table in below if shape.is_table(table)))


def test_the_brakes_and_limits_of_the_reference_are_the_defaults(shipped: settings.Settings) -> None:
    assert shipped.limits == settings.Limits()


@pytest.mark.parametrize(("security", "imap", "smtp"), [("tls", 993, 465), ("starttls", 143, 587), ("none", 143, 25)])
def test_ports_follow_the_security(tmp_path: Path, security: str, imap: int, smtp: int) -> None:
    text = changed(TRIAGED, "imap.vendor.example", "localhost").replace('security = "none"', f'security = "{security}"')
    text = changed(text, 'desk = "support"', f'desk = "support"\nsecurity = "{security}"')
    loaded = settings.load(written(tmp_path, text), {})
    assert (loaded.mailboxes[0].port, loaded.smtp.port) == (imap, smtp)


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("5m", 300), ("1.5h", 5400), ("2d", 172_800), ("1w", 604_800)]
)
def test_durations(tmp_path: Path, text: str, seconds: float) -> None:
    loaded = settings.load(written(tmp_path), {"TRIAGED_MAILBOX__0__POLL": text})
    assert loaded.mailboxes[0].poll.total_seconds() == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("25MB", 25_000_000), ("512 KiB", 2**19), ("1gb", 10**9), ("1000", 1000), ("7B", 7)]
)
def test_sizes(tmp_path: Path, text: str, size: int) -> None:
    assert settings.load(written(tmp_path), {"TRIAGED_LIMITS__MESSAGE": text}).limits.message == size


def test_the_house_knows_every_address_of_ours(tmp_path: Path) -> None:
    text = changed(TRIAGED, '"partner-support@vendor.example"', '"Partner-Support@München.example"')
    house = settings.load(written(tmp_path, text), {}).house
    assert house.domain == "support.example"
    assert house.addresses == {"partner-support@eu.vendor.example", "partner-support@xn--mnchen-3ya.example"}


def test_values_are_frozen(shipped: settings.Settings) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        shipped.mailboxes[0].host = "elsewhere"  # type: ignore[misc]  # that is what is tried
    with pytest.raises(dataclasses.FrozenInstanceError):
        shipped.bounce_mailbox = "x"  # type: ignore[misc]  # that is what is tried


def test_files_are_found_from_triaged_tomls_folder(tmp_path: Path) -> None:
    text = changed(TRIAGED, "[trust]", '[directory]\naccounts = "a.json"\npartners = "https://crm.example/p"\n[trust]')
    text = changed(text, "[service]", '[service]\npolicy = "sub/p.toml"\ntemplates = "mine"')
    file = written(tmp_path, text)
    (tmp_path / "sub").mkdir()
    (tmp_path / "policy.toml").rename(tmp_path / "sub" / "p.toml")
    (tmp_path / "mine" / "xx").mkdir(parents=True)
    loaded = settings.load(file, {"TRIAGED_SERVICE__LOCALE": "xx"})
    assert loaded.directory.accounts == str(tmp_path / "a.json")
    assert loaded.directory.partners == "https://crm.example/p"
    assert loaded.service.templates == tmp_path / "mine"
    assert loaded.service.locale == "xx"


def test_an_override_folder_that_is_not_there_yet_is_a_warning(tmp_path: Path) -> None:
    text = changed(TRIAGED, "[service]", '[service]\ntemplates = "mine"')
    assert settings.load(written(tmp_path, text), {}).warnings == (
        f"{tmp_path}/triaged.toml:2: service.templates: there is no folder {tmp_path}/mine yet",
    )


# --- the policy


def test_the_policys_version_follows_its_content_and_nothing_else(tmp_path: Path) -> None:
    def version(policy: str, **variables: str) -> str:
        return settings.load(written(tmp_path, policy=policy), variables).policy.version

    plain = version(POLICY)
    assert len(plain) == 12
    assert int(plain, 16) >= 0
    assert version(f"# a comment\n\n{POLICY}") == plain
    assert version(changed(POLICY, "large_user = 200", "large_user = 201")) != plain
    assert version(POLICY, TRIAGED_POLICY__COUNT_LICENCES="max") != plain


def test_the_labels_belong_to_the_policys_version(tmp_path: Path) -> None:
    plain = settings.load(written(tmp_path), {})
    labels = (CONFIG / "labels.toml").read_text("utf-8")
    (tmp_path / "labels.toml").write_text(f"# mine\n{labels}", "utf-8")
    same = settings.load(written(tmp_path), {"TRIAGED_SERVICE__LABELS": "labels.toml"})
    assert same.policy.version == plain.policy.version
    assert type(same.vocabulary).__name__ == "Vocabulary"


def test_shipped_service_names_apply_under_the_operators_own(tmp_path: Path) -> None:
    own = '[services."zoho crm"]\naliases = ["Sales Cloud", "Cliq"]\n[services."In-house"]\naliases = ["Own thing"]\n'
    policy = settings.load(written(tmp_path, policy=own + POLICY), {}).policy
    assert policy.service_aliases["In-house"] == ("Own thing",)
    assert {"Sales Cloud", "Cliq", "CRM", "Zoho CRM"} <= set(policy.service_aliases["zoho crm"])
    assert "Zoho CRM" not in policy.service_aliases
    assert "Cliq" not in policy.service_aliases["Zoho Cliq"]
    assert "PageSense" in policy.service_aliases["Zoho PageSense"]


def test_an_excluded_service_may_be_written_by_any_of_its_names(tmp_path: Path) -> None:
    own = 'excluded_services = ["modules complémentaires  zoho writer", "Own thing"]\n'
    policy = settings.load(written(tmp_path, policy=own + POLICY), {}).policy
    assert policy.excluded_services == ("Zoho Writer add-ons", "Own thing")


def test_no_shipped_alias_stands_for_two_services(shipped: settings.Settings) -> None:
    assert list(policy_file.shared_aliases(shipped.policy.service_aliases)) == []
    assert len(shipped.policy.service_aliases) > 40


def test_public_mail_domains_are_the_built_in_ones_and_the_operators(tmp_path: Path) -> None:
    own = 'public_mail_domains = ["Freemail.Example"]\n'
    domains = settings.load(written(tmp_path, policy=own + POLICY), {}).policy.public_mail_domains
    assert domains - public_mail.DOMAINS == {"freemail.example"}
    known = """
        gmail.com googlemail.com outlook.com outlook.fr hotmail.co.uk live.nl yahoo.co.jp icloud.com me.com gmx.net
        web.de t-online.de orange.fr wanadoo.fr free.fr sfr.fr laposte.net proton.me protonmail.com zohomail.com
        yandex.ru mail.ru qq.com 163.com aol.com
    """
    assert set(known.split()) <= domains


# --- the locator


def _shipped_text(name: str) -> str:
    return (CONFIG / name).read_text("utf-8")


def _leaves(tree: object, path: locate.KeyPath = ()) -> set[locate.KeyPath]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return {path}.union(*(_leaves(value, (*path, key)) for key, value in items))


TRICKY = (
    r'''
a.b = 1 # c = 2
"quoted key" = "x = # not a comment"
'lit.eral'."esc\u0041ped" = [ # comment
  "one", # [two]
  { x = 1, y = [1,
     2] },
]
text = """
[not.a.table]
k = "v" \""" end"""
raw = '''
    + """'''
[[neither]]'''
"""
    + r"""
[table.sub]
when = 2026-11-22T00:00:00Z
[[many]]
name = "first"
[many.inner]
deep.er = true
[[many]]
name = "second"
[[many.more]]
n = 1
[[many.more]]
n = 2
"""
)


@pytest.mark.parametrize(
    "text",
    [TRICKY, TRICKY.replace("\n", "\r\n"), *(_shipped_text(name) for name in ("triaged.toml", "policy.toml"))],
    ids=["tricky", "crlf", "triaged", "policy"],
)
def test_every_key_of_a_file_is_located(text: str) -> None:
    found = locate.lines(text)
    assert set(found) == _leaves(tomllib.loads(text)) - {()}


def test_lines_are_those_of_the_text() -> None:
    found = locate.lines(TRICKY)
    rows = TRICKY.split("\n")
    assert rows[found["many", 1, "more", 1, "n"] - 1] == "n = 2"
    assert rows[found["many", 0, "inner", "deep", "er"] - 1] == "deep.er = true"
    assert rows[found["lit.eral", "escAped", 1, "y", 1] - 1] == "     2] },"
    assert rows[found["table",] - 1] == "[table.sub]"


FRAGMENTS = (
    "a = 1",
    "b.c = [1, 2]",
    "d = {}",
    "e = {f = [[], [{g = 1}]], h.i = '#'}",
    "[t]",
    "[t.u]",
    "[[v]]",
    "[v.w]",
    "[[v.x]]",
    "[[y.z]]",
    r'"k \" # =" = "=\\"',
    "'l.m' = 1979-05-27 07:32:00",
    "# [no]",
    "",
    'n = """"two"""""',
    'o = [ # ]\n"a", # ,\n]',
)


@hypothesis_settings(deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=8))
def test_the_locator_finds_exactly_the_keys_that_tomllib_reads(fragments: list[str]) -> None:
    text = "\n".join(fragments)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(locate.lines(text)) == _leaves(tree) - {()}


def test_an_operators_labels_without_verbs_get_the_shipped_ones_and_may_add_wordings(tmp_path: Path) -> None:
    (tmp_path / "labels.toml").write_text(
        '[verbs.nl]\ncancel = ["annuleren"]\n[verbs.fr]\nperson = ["binôme"]\n', "utf-8"
    )
    words = settings.load(written(tmp_path), {"TRIAGED_SERVICE__LABELS": "labels.toml"}).verb_words
    assert {"annuleren", "renvoyer", "stornieren", "binome"} <= words.words
    assert "collegue*" not in words.stems


def test_pages_behind_https_want_to_know_their_proxies(tmp_path: Path) -> None:
    contracts = (
        TRIAGED.replace('desk = "support"', 'desk = "contracts"')
        .replace("[senders.support]", "[senders.contracts]")
        .replace('locale = "en"', 'locale = "en"\npublic_url = "https://portal.example"')
    )
    assert any("web.proxies" in one for one in settings.load(written(tmp_path, contracts), {}).warnings)
    behind = f"{contracts}\n[web]\nproxies = 1\n"
    assert not any("web.proxies" in one for one in settings.load(written(tmp_path, behind), {}).warnings)
