"""systemd's side: what it is told, and that its absence is no trouble."""

import socket
from pathlib import Path

import pytest

from triaged.adapters import notify


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_one_datagram_with_a_line_for_each_field(tmp_path: Path, abstract: bool) -> None:
    name = f"@triaged-{tmp_path.name}-{id(tmp_path)}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.bind("\0" + name[1:] if abstract else name)
        wire.settimeout(5)
        assert notify.tell({"NOTIFY_SOCKET": name}, READY=1, STATUS="two\nlines")
        assert wire.recv(4096) == b"READY=1\nSTATUS=two lines"


def test_without_systemd_or_with_one_that_went_nothing_happens(tmp_path: Path) -> None:
    assert not notify.tell({}, READY=1)
    assert not notify.tell({"NOTIFY_SOCKET": str(tmp_path / "gone")}, READY=1)


def test_a_start_that_takes_long_asks_systemd_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.bind(str(tmp_path / "notify"))
        wire.settimeout(5)
        with notify.patience():
            assert wire.recv(4096) == b"EXTEND_TIMEOUT_USEC=60000000"
