"""Power loss without pulling plugs (research §5.3): from one record of a clean life's system calls, every command that
cannot be taken back, with whether all that was written to the database before it had been synced."""

import re
from dataclasses import dataclass

from tests.faults.laboratory import Laboratory
from tests.servers import strace
from tests.servers.crashes import Order

_IRREVERSIBLE = re.compile(r'"(?:\w+ UID (MOVE|STORE|COPY|EXPUNGE) |(DATA)\\r\\n)')
_CALLS = "sendto,write,writev,sendmsg,pwrite64,pwritev,fdatasync,fsync"


@dataclass(frozen=True)
class Command:
    """MOVE, STORE, DATA …; `unsynced` are the writes to the log of the database that no sync had followed yet."""

    name: str
    unsynced: int


def commands(laboratory: Laboratory, change: str = "") -> list[Command]:
    """Of one clean life, in order. One connection to the relay at a time, so that a command belongs to one commit."""
    laboratory.reset()
    output = laboratory.nursery.diary.with_name("ordered")
    life = laboratory.born(Order(change=change))
    with strace.attached(life.main, *strace.recording(_CALLS, output, all_threads=True)):
        life.go()
        life.end()
    found, unsynced = [], 0
    for call in strace.calls(output):
        about = call.text.partition(">")[0]
        if call.name.startswith("pwrite") and about.endswith("-wal"):
            unsynced += 1
        elif call.name in ("fdatasync", "fsync") and "-wal" in about:
            unsynced = 0
        elif call.on_network and (match := _IRREVERSIBLE.search(call.text)):
            found.append(Command(match[1] or match[2], unsynced))
    return found
