"""The directory follows its source, and whatever goes wrong, the old directory stays."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from triaged import settings
from triaged.adapters import directory_file
from triaged.adapters.db import directory, engine, models
from triaged.workflows import directory_refresh
from triaged.workflows.directory_refresh import Result

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
RULES = directory_file.Rules(regions=("eu",), public_domains=frozenset({"gmail.com"}))


class Sources:
    """Two files that the directory follows."""

    def __init__(self, folder: Path, database: engine.Database) -> None:
        self.accounts, self.partners = folder / "accounts.json", folder / "partners.json"
        self.database = database
        self.write(range(4))
        self.partners.write_text('[{"name": "Integra"}]')

    def write(self, zoids: range, name: str = "Acme") -> None:
        entries = [{"zoid": str(n), "region": "eu", "name": f"{name} {n}"} for n in zoids]
        self.accounts.write_text(json.dumps(entries))

    def refresh(self, after: timedelta = timedelta()) -> directory_refresh.Outcome:
        watched = settings.Directory(accounts=str(self.accounts), partners=str(self.partners))
        _partners, accounts = directory_refresh.refresh(self.database, watched, RULES, NOW + after)
        return accounts

    def zoids(self) -> list[str]:
        with self.database.read() as session:
            return [account.zoid for account in directory.everything(session, directory.ACCOUNTS)]

    def row(self) -> models.DirectorySource:
        with self.database.read() as session:
            row = session.get(models.DirectorySource, "accounts")
            assert row is not None
            return row


@pytest.fixture
def sources(database: engine.Database, tmp_path: Path) -> Sources:
    return Sources(tmp_path, database)


def test_both_sources_are_taken_in_and_what_they_lose_goes(sources: Sources) -> None:
    outcome = sources.refresh()
    assert (outcome.name, outcome.result, sources.zoids()) == ("accounts", Result.REFRESHED, ["0", "1", "2", "3"])
    with sources.database.read() as session:
        assert directory.partner(session, "Integra") is not None
    sources.write(range(1, 5))
    outcome = sources.refresh()
    assert outcome.diff is not None
    assert (outcome.diff.added, outcome.diff.removed, outcome.diff.unchanged) == (("4/eu",), ("0/eu",), 3)
    assert sources.zoids() == ["1", "2", "3", "4"]


def test_nothing_configured_is_nothing_done(database: engine.Database) -> None:
    assert directory_refresh.refresh(database, settings.Directory(), RULES, NOW) == ()


def test_an_unchanged_source_is_neither_parsed_nor_compared(sources: Sources) -> None:
    sources.refresh()
    statements: list[str] = []
    event.listen(sources.database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    outcome = sources.refresh(timedelta(hours=1))
    assert (outcome.result, outcome.diff) == (Result.UNCHANGED, None)
    usual = ("BEGIN", "SET LOCAL")
    assert [text for text in statements if "directory_source" not in text and not text.startswith(usual)] == []
    assert sources.row().refreshed_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('[{"zoid": "1", "region": "mars", "name": "A"}]', "entry 1, region"),
        ('[{"zoid": "1", "region": "eu", "name": "A"}', "not JSON"),
        ("", "an empty directory is written as []"),
        (None, "no such file"),
    ],
)
def test_a_broken_source_keeps_the_old_directory_and_says_why(sources: Sources, content: str | None, told: str) -> None:
    sources.refresh()
    if content is None:
        sources.accounts.unlink()
    else:
        sources.accounts.write_text(content)
    outcome = sources.refresh(timedelta(hours=1))
    assert outcome.result is Result.FAILED
    assert told in outcome.error
    assert sources.row().error == outcome.error
    assert sources.row().refreshed_at == NOW
    assert sources.zoids() == ["0", "1", "2", "3"]


def test_a_broken_accounts_source_does_not_hold_up_the_partners(sources: Sources) -> None:
    sources.accounts.write_text("[")
    assert sources.refresh().result is Result.FAILED
    with sources.database.read() as session:
        assert directory.partner(session, "Integra") is not None


def test_a_mended_source_is_taken_and_its_error_forgotten(sources: Sources) -> None:
    sources.refresh()
    before = sources.accounts.read_text()
    sources.accounts.write_text("[")
    sources.refresh()
    sources.accounts.write_text(before)
    assert sources.refresh().result is Result.UNCHANGED
    assert sources.row().error is None
    sources.write(range(4), "Beta")
    assert sources.refresh().result is Result.REFRESHED


def test_a_source_that_lost_more_than_half_waits_for_a_person(sources: Sources) -> None:
    sources.refresh()
    sources.write(range(1))
    for _again in range(2):
        outcome = sources.refresh()
        assert outcome.result is Result.FAILED
        assert "lacks 3 of the 4 accounts" in outcome.error
        assert f"triaged account import --replace --force {sources.accounts}" in outcome.error
        assert sources.zoids() == ["0", "1", "2", "3"]
    sources.write(range(2))  # exactly half is believed
    assert sources.refresh().result is Result.REFRESHED
    assert sources.zoids() == ["0", "1"]
