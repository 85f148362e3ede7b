"""triaged: partners' mails become tickets with the right severity, and answers in the reader's language.

The map: `cli` and `demo` are the faces, `app` builds everything, `schedule` says what runs when, `workflows` are
the stories (intake, decide, deliver, upkeep), `desks` say what one mail means, `adapters` are the doors to the
outside (IMAP, SMTP, templates, database), `mail` turns bytes into values and back, `domain` is what we know.
docs/architecture.md shows one mail's way through them.
"""

__version__ = "0.1.0"
