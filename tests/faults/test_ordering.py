"""No MOVE, STORE or DATA leaves before the commit that allows it is on the disk."""

from collections import Counter

import pytest
from tests.faults import ordering
from tests.faults.laboratory import Laboratory


@pytest.fixture(autouse=True)
def _traced(ptrace: None) -> None:
    pass


def test_no_move_or_data_leaves_before_its_commit_is_synced(lab: Laboratory) -> None:
    commands = ordering.commands(lab)
    assert Counter(command.name for command in commands) == {"MOVE": 2, "DATA": 5}
    assert [command for command in commands if command.unsynced] == []


@pytest.mark.dovecot
def test_no_flag_is_stored_before_its_commit_is_synced(flagging_lab: Laboratory) -> None:
    commands = ordering.commands(flagging_lab)
    assert Counter(command.name for command in commands) == {"STORE": 2, "DATA": 5}
    assert [command for command in commands if command.unsynced] == []


def test_the_check_turns_red_where_sqlite_does_not_wait_for_the_disk(lab: Laboratory) -> None:
    commands = ordering.commands(lab, "tests.faults.seeded:synchronous_normal")
    assert len(commands) == 7
    assert all(command.unsynced for command in commands)
