"""The composition root: the only place that builds anything from the configuration."""

import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from triaged import log, settings
from triaged.adapters import templates
from triaged.adapters.db import engine, migrations
from triaged.domain.errors import PermanentError
from triaged.settings import Settings


@dataclass(frozen=True, slots=True)
class App:
    """Everything a command or the daemon needs, built once."""

    settings: Settings
    database: engine.Database
    renderer: templates.Renderer
    key: bytes  # signs our Message-IDs and log ids
    host: str


def load(config: Path | None) -> App:
    """Read the configuration and open what it names. Raises ConfigurationError with every problem at once."""
    return build(settings.load(config))


def build(values: Settings) -> App:
    log.configure(values.log.format)
    values.service.state_dir.mkdir(parents=True, exist_ok=True)
    shipped = settings.shipped("templates")
    override = values.service.templates
    return App(
        settings=values,
        database=engine.Database(values.database.url),
        renderer=templates.Renderer([override, shipped] if override else [shipped]),
        key=_key(values.service.secret_file),
        host=socket.gethostname(),
    )
