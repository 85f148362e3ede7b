"""Every labelled mail of tests/mails is decided as its label says (see tests/accuracy.py)."""

from collections.abc import Iterator

import pytest
from tests import accuracy


@pytest.fixture(scope="module", autouse=True)
def _closed_at_the_end() -> Iterator[None]:
    yield
    accuracy.house().database.dispose()


@pytest.mark.parametrize("story", [pytest.param(story, id=story.name) for story in accuracy.stories()])
def test_a_labelled_mail_is_decided_as_its_label_says(story: accuracy.Story) -> None:
    outcome = accuracy.decide_on(story)
    assert outcome.wrong == ()
    assert outcome.seconds < accuracy.SLOW
