"""The two errors of the house: one to try again, one to show a person.

Expected failures are values (`Sent | Deferred | Refused`); these two are for what stops a story.
The message is read by a tired operator: it names the place and the fix.
"""


class TransientError(Exception):
    """It may work later: the network, a full disk, a locked database."""


class PermanentError(Exception):
    """It will not work until somebody changes something: the message says what."""
