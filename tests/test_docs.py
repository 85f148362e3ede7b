"""The pages tell the truth: tables in docs/ are compared with the code."""

import re
from collections.abc import Mapping, Set
from enum import StrEnum
from pathlib import Path

import pytest

from triaged import cli
from triaged.domain import contract, invitation, order, ticket
from triaged.domain.decision import Reason
from triaged.domain.trust import Rung

DOCS = Path(__file__).parents[1] / "docs"
README = Path(__file__).parents[1] / "README.md"


def test_every_reason_is_explained_to_operators_in_its_order() -> None:
    table = (DOCS / "operator.md").read_text().split("## Reasons")[1].split("## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.M) == [reason.value for reason in Reason]


@pytest.mark.parametrize(
    ("thing", "transitions"),
    [
        ("Ticket:", ticket.TRANSITIONS),
        ("Order:", order.TRANSITIONS),
        ("Contract (", contract.TRANSITIONS),
        ("Invitation:", invitation.TRANSITIONS),
    ],
)
def test_the_table_of_states_is_the_codes(thing: str, transitions: Mapping[StrEnum, Set[StrEnum]]) -> None:
    table = (DOCS / "architecture.md").read_text().split(f"\n{thing}")[1].split("|\n\n")[0] + "|"
    rows = re.findall(r"^\| (\w+) \| ([\w, –]+) \|$", table, re.M)
    written = {
        state: set() if allowed == "–" else set(allowed.split(", ")) for state, allowed in rows if state != "from"
    }
    assert written == {state.value: {one.value for one in allowed} for state, allowed in transitions.items()}


def test_every_command_is_named_in_the_readme_or_the_operators_page() -> None:
    text = README.read_text() + (DOCS / "operator.md").read_text()
    missing = [name for name in cli.main.list_commands(None) if f"{name}" not in text]  # type: ignore[arg-type]  # no context needed
    assert missing == []


def test_files_that_the_readme_links_to_are_there() -> None:
    links = re.findall(r"\]\(([\w./]+)\)", README.read_text())
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []


def test_every_test_that_the_page_on_security_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (DOCS / "security.md").read_text())
    assert len(named) > 50
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in _code(file)]
    assert missing == []


def test_the_ladder_in_the_page_on_security_is_the_codes() -> None:
    table = (DOCS / "security.md").read_text().split("## The ladder of trust")[1].split("## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.M) == [rung.value for rung in Rung]


def _code(file: str) -> str:
    path = README.parent / file
    return path.read_text() if path.exists() else ""
