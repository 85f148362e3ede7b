"""systemd's side of the daemon: ready, stopping, a status line, and the sign of life that its watchdog waits for.

The protocol is one datagram (sd_notify(3)); without systemd nothing is sent. Nothing here may fail the daemon.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator, Mapping


def tell(environment: Mapping[str, str] = os.environ, /, **fields: object) -> bool:
    """Send these fields (READY=1, STOPPING=1, WATCHDOG=1, STATUS="…"). Returns whether there was somebody to tell."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    place = "\0" + address[1:] if address.startswith("@") else address  # an abstract socket
    text = "\n".join(f"{name}={str(value).replace(chr(10), ' ')}" for name, value in fields.items())
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as wire:
        wire.settimeout(1)
        wire.sendto(text.encode(), place)
        return True
    return False


@contextlib.contextmanager
def patience() -> Iterator[None]:
    """What may take long before we are ready (a large file is looked at) is no hang: systemd waits on, a minute at a
    time, for as long as this process lives."""
    done = threading.Event()

    def ask() -> None:
        while tell(EXTEND_TIMEOUT_USEC=60_000_000) and not done.wait(20):
            pass

    thread = threading.Thread(target=ask, name="patience", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
