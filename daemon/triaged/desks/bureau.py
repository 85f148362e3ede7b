"""Where people of the house act by hand, from the command line or a page: one database, one desk, one post."""

from dataclasses import dataclass

from triaged.adapters.db import engine
from triaged.desks import correspondence
from triaged.desks.case import Desk


@dataclass(frozen=True, slots=True)
class Bureau:
    """Where associates and operators work; `actor` is who acts."""

    database: engine.Database
    desk: Desk
    post: correspondence.Post
    actor: str
