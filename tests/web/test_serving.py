"""`triaged web` on a port: where it listens, how it ends, what it says when it cannot."""

import contextlib
import dataclasses
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from tests.web.portal_house import House

from triaged.web import serving


@contextlib.contextmanager
def running(house: House, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The command as an operator runs it, and the port that it listens on."""
    command = [sys.executable, "-m", "triaged", "-c", str(house.config), "web", *options]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as web:
        assert web.stderr is not None
        try:
            yield web, _port(web)
        finally:
            web.kill()


def _port(web: subprocess.Popen[str]) -> int:
    assert web.stderr is not None
    until = time.monotonic() + 30
    while time.monotonic() < until and select.select([web.stderr], [], [], 1)[0] is not None:
        line = web.stderr.readline()
        if match := re.match(r"listening host=\S+ port=(\d+)", line):
            return int(match[1])
        assert web.poll() is None, line
    raise AssertionError("it does not listen")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_it_answers_until_sigterm_and_then_exits_with_0(house: House) -> None:
    with running(house, "--listen", f"127.0.0.1:{free_port()}") as (web, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            assert answer.read() == b'{"healthy":true}'
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/i/1-x", timeout=10)
        with refused.value as page:
            assert page.code == 404
            assert "Server" not in page.headers
        web.send_signal(signal.SIGTERM)
        assert web.wait(20) == 0
        assert web.stderr is not None
        assert web.stderr.read().splitlines() == ["stopped"]


def test_a_port_that_is_taken_is_said_with_the_fix_and_exit_4(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "triaged", "-c", str(house.config), "web", "--listen", place]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert "Address already in use" in done.stderr
    assert "--listen HOST:PORT" in done.stderr


@pytest.mark.parametrize("place", ["8080", "127.0.0.1:", "127.0.0.1:99999", "::1:80", ":80", "127.0.0.1:0"])
def test_a_place_that_is_none_is_said_with_exit_2(house: House, place: str) -> None:
    command = [sys.executable, "-m", "triaged", "-c", str(house.config), "web", "--listen", place]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "write host and port" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("public_url", "listen", "place"),
    [
        ("http://127.0.0.1:8099", "", ("127.0.0.1", 8099)),
        ("http://[::1]:8099/x", "", ("::1", 8099)),
        ("http://localhost", "", ("127.0.0.1", 8080)),
        ("https://portal.example", "", ("127.0.0.1", 8080)),
        ("https://localhost:8443", "", ("127.0.0.1", 8080)),
        ("http://127.0.0.1:8099", "[::]:81", ("::", 81)),
    ],
)
def test_where_it_listens_unless_it_is_told(house: House, public_url: str, listen: str, place: tuple[str, int]) -> None:
    values = house.app.settings
    service = dataclasses.replace(values.service, public_url=public_url)
    web = dataclasses.replace(values.web, listen=listen)
    assert serving.place(dataclasses.replace(values, service=service, web=web)) == place
