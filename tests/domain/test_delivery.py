"""What a relay's answer means, in a word."""

import pytest

from triaged.domain import delivery
from triaged.domain.delivery import Why


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("451 4.7.1 Greylisted", Why.GREYLISTED),
        ("450 4.2.0 Greylisted, see postgrey", Why.GREYLISTED),
        ("450 4.7.1 please try again in 5 minutes", Why.GREYLISTED),
        ("451 4.7.1 policy service unavailable", Why.POLICY),
        ("421 4.7.0 too many mails", Why.CLOSING),
        ("connection lost before DATA: no answer in time", Why.CUT),
        ("450 4.2.1 mailbox busy", Why.MAILBOX),
        ("452 4.3.1 disk full", Why.OTHER),
        ("452 insufficient storage", Why.SIZE),
        ("550 5.1.1 No such user", Why.MAILBOX),
        ("550 No such user", Why.MAILBOX),
        ("552 5.2.3 too big", Why.SIZE),
        ("552 5.3.4 too big", Why.SIZE),
        ("554 5.7.1 spam", Why.POLICY),
        ("554 no", Why.OTHER),
        ("553 5.1.3 not an address: x y", Why.MAILBOX),
        ("-1 Response too long", Why.OTHER),
        ("the bytes of this mail were purged", Why.OTHER),
        ("", Why.OTHER),
    ],
)
def test_an_answer_has_its_own_word(status: str, why: Why) -> None:
    assert delivery.why(status) is why
