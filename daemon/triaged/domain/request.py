"""What a party of a contract asks for by mail (rows C7, C8, INTERFACE §4 "Contract verbs"), as values.

`verbs` reads it from a mail's words; `desks/requests` decides whether it may be done.
"""

from dataclasses import dataclass
from enum import StrEnum

from triaged.domain.invitation import Access


class Verb(StrEnum):
    """The reason codes of the contracts desk that are requests."""

    RESEND_INVITATION = "resend_invitation"
    ADD_PERSON = "add_person"
    CANCEL_CONTRACT = "cancel_contract"
    RESTORE_CONTRACT = "restore_contract"
    CONTRACT_STATUS = "contract_status"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a mail asks for. `verb` is None where it asks for nothing that we do, or for several things at once.

    `numbers` are order and contract numbers as written (without label), `people` the addresses to add, lower case, each
    as what, or those that a resend names beside its request; `because` names the words that decided, for `explain`."""

    verb: Verb | None = None
    numbers: tuple[str, ...] = ()
    people: tuple[tuple[str, Access], ...] = ()
    because: str = ""


class Refusal(StrEnum):
    """Why a request is refused: the template has a sentence for each."""

    UNKNOWN_CONTRACT = "unknown_contract"
    NO_CONTRACT = "no_contract"  # none named, and the sender is a party of none
    WHICH_CONTRACT = "which_contract"
    NOT_ALLOWED = "not_allowed"
    TOO_LATE = "too_late"
    ALREADY_CANCELLED = "already_cancelled"
    NOT_CANCELLED = "not_cancelled"
    UNDO_OVER = "undo_over"
    ALREADY_ACCEPTED = "already_accepted"
    TOO_OFTEN = "too_often"
    NO_PERSON = "no_person"
    NOT_A_PERSON = "not_a_person"
    ALREADY_THERE = "already_there"
    NOT_IN_FORCE = "not_in_force"
