"""Whole mails that ask the contracts desk for something: `tests/mails_contracts/requests/<story>.eml` with its TOML.

A story's TOML: `verb` ("" for none), `numbers`, `people`, and where people are named the `access` of each.
Read as the daemon does.
"""

import tomllib
from pathlib import Path

import pytest

from triaged.domain import verbs
from triaged.domain.message import House
from triaged.mail import reader

MAILS = Path(__file__).parents[1] / "mails_contracts" / "requests"
STORIES = sorted(path.stem for path in MAILS.glob("*.eml"))
HOUSE = House("support.example", frozenset({"select@vendor.example"}))
WORDS = verbs.VerbWords.from_table(
    tomllib.loads((MAILS.parents[2] / "config" / "labels.toml").read_text(encoding="utf-8"))
)


@pytest.mark.parametrize("story", STORIES)
def test_a_whole_mail_asks_for_what_its_label_says(story: str) -> None:
    expected = tomllib.loads((MAILS / f"{story}.toml").read_text(encoding="utf-8"))
    message = reader.read((MAILS / f"{story}.eml").read_bytes(), HOUSE)
    asked = verbs.read(message, WORDS, HOUSE.addresses)
    assert not message.unreadable
    assert (asked.verb or "") == expected["verb"]
    assert list(asked.numbers) == expected["numbers"]
    assert [person for person, _ in asked.people] == expected["people"]
    assert [access.value for _, access in asked.people] == expected.get("access", [])


def test_there_are_sixty_of_them() -> None:
    assert len(STORIES) >= 60
