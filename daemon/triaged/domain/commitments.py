"""When answers are due (row P10): counted from the arrival of the first mail, whenever the severity was decided."""

from dataclasses import dataclass
from datetime import datetime

from triaged.domain.notices import Due
from triaged.domain.policy import Severity, Span


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The three deadlines of a ticket."""

    acknowledge: Due
    determine: Due
    resolve: Due


def deadlines(severity: Severity, arrived: datetime) -> Deadlines:
    return Deadlines(
        acknowledge=_due(severity.acknowledge, arrived),
        determine=_due(severity.determine, arrived),
        resolve=_due(severity.resolve, arrived),
    )


def _due(span: Span, arrived: datetime) -> Due:
    return Due(target=arrived + span.target, limit=arrived + span.limit)
