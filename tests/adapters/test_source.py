"""Directory sources: files and addresses, on real files and a real web server; half a source is an error."""

import hashlib
import http.server
import os
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from triaged.adapters import source
from triaged.domain.errors import PermanentError, TransientError

BODY = b'[{"zoid": "1", "region": "eu", "name": "Acme"}]'


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers by path, and remembers which paths were asked for with which Authorization."""

    protocol_version = "HTTP/1.1"
    server: "Web"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        getattr(self, "get_" + self.path.split("?")[0].strip("/").replace("/", "_"), self.get_code)()

    def get_accounts(self) -> None:
        self.answer(200, BODY, {"Content-Length": str(len(BODY))})

    def get_chunked(self) -> None:
        self.answer(200, b"5\r\n[1,2,\r\n2\r\n3]\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"})

    def get_cut(self) -> None:
        self.answer(200, BODY, {"Content-Length": str(len(BODY) + 10)})

    def get_cut_chunked(self) -> None:
        self.answer(200, b"5\r\n[1,2,\r\n", {"Transfer-Encoding": "chunked"})

    def get_endless(self) -> None:
        self.answer(200, b"", {"Content-Length": "100000000"}, close=False)
        for _number in range(1000):
            self.wfile.write(b"x" * 1000)

    def get_slow(self) -> None:
        self.answer(200, b"", {"Content-Length": "1000"}, close=False)
        while not self.server.over.wait(0.02):
            self.wfile.write(b"x")

    def get_silent(self) -> None:
        self.server.over.wait(20)
        self.close_connection = True

    def get_moved(self) -> None:
        self.answer(302, b"", {"Location": "/accounts", "Content-Length": "0"})

    def get_elsewhere(self) -> None:
        self.answer(302, b"", {"Location": self.server.elsewhere, "Content-Length": "0"})

    def get_loop(self) -> None:
        self.answer(302, b"", {"Location": "/loop?" + "x" * len(self.server.asked), "Content-Length": "0"})

    def get_code(self) -> None:
        self.answer(int(self.path.strip("/")), b"no", {"Content-Length": "2"})

    def answer(self, code: int, body: bytes, headers: dict[str, str], close: bool = True) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = close

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


class Web(http.server.ThreadingHTTPServer):
    """A web server on a free port of this machine."""

    def __init__(self, authority: trustme.CA | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[tuple[str, str | None]] = []
        self.over = threading.Event()
        self.elsewhere = ""
        self.scheme = "https" if authority else "http"
        if authority:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1").configure_cert(context)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self.thread.start()

    def url(self, path: str) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}/{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some tests are about."""

    def stop(self) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()
        self.thread.join(5)


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.stop()


# Files


def test_a_file_comes_with_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    path.write_bytes(BODY)
    assert source.read(str(path)) == source.Content(BODY, hashlib.sha256(BODY).hexdigest())


def test_a_missing_file_a_folder_and_a_pipe_are_for_a_person(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, fix in (("none.json", "no such file"), (".", "not a file"), ("pipe", "not a file")):
        with pytest.raises(PermanentError, match=fix):
            source.read(str(tmp_path / path))


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large.json").write_bytes(b"x" * 101)
    with pytest.raises(PermanentError, match="101 bytes, more than the 100"):
        source.read(str(tmp_path / "large.json"), largest=100)


def test_a_file_that_is_being_written_is_read_later(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    path.write_bytes(b"x" * 50_000_000)
    over = threading.Event()

    def write() -> None:
        with path.open("ab", buffering=0) as file:
            while not over.is_set():
                file.write(b"x")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(TransientError, match="being written"):
            source.read(str(path))
    finally:
        over.set()
        writer.join(5)


# Addresses


def test_an_address_is_asked_with_the_token(web: Web) -> None:
    assert source.read(web.url("accounts"), "s3cret").data == BODY
    assert source.read(web.url("accounts")).data == BODY
    assert source.read(web.url("chunked")).data == b"[1,2,3]"
    assert web.asked[:2] == [("/accounts", "Bearer s3cret"), ("/accounts", None)]


def test_https_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    server = Web(authority)
    try:
        with pytest.raises(PermanentError, match="not to be trusted"):
            source.read(server.url("accounts"), "s3cret")
        assert server.asked == []
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert source.read(server.url("accounts"), "s3cret").data == BODY
    finally:
        server.stop()


@pytest.mark.parametrize("path", ["cut", "cut/chunked"])
def test_an_answer_that_was_cut_off_is_no_directory(web: Web, path: str) -> None:
    with pytest.raises(TransientError, match="cut off"):
        source.read(web.url(path))


def test_an_answer_over_the_limit_is_dropped_while_it_comes(web: Web) -> None:
    with pytest.raises(PermanentError, match="more than the 10,000"):
        source.read(web.url("endless"), largest=10_000)


@pytest.mark.parametrize("path", ["slow", "silent"])
def test_a_server_that_trickles_or_says_nothing_ends_in_time(web: Web, path: str) -> None:
    with pytest.raises(TransientError, match=r"too slow|timed out"):
        source.read(web.url(path), patience=0.3)


def test_a_redirect_within_the_host_is_followed(web: Web) -> None:
    assert source.read(web.url("moved"), "s3cret").data == BODY
    assert web.asked[-1] == ("/accounts", "Bearer s3cret")


def test_a_redirect_to_another_host_or_scheme_never_gets_the_token(web: Web) -> None:
    other = Web()
    try:
        for elsewhere in (
            other.url("accounts"),
            f"http://localhost:{web.server_port}/accounts",
            web.url("accounts").replace("http:", "https:"),
        ):
            web.elsewhere = elsewhere
            with pytest.raises(PermanentError, match="redirects to"):
                source.read(web.url("elsewhere"), "s3cret")
        assert other.asked == []
    finally:
        other.stop()


def test_a_redirect_in_circles_ends(web: Web) -> None:
    with pytest.raises(PermanentError, match="302"):
        source.read(web.url("loop"))


@pytest.mark.parametrize(
    ("code", "error", "fix"),
    [
        (401, PermanentError, "token"),
        (403, PermanentError, "token"),
        (404, PermanentError, "is the address right"),
        (408, TransientError, "408"),
        (429, TransientError, "429"),
        (500, TransientError, "500"),
        (503, TransientError, "503"),
    ],
)
def test_what_the_server_refuses_is_told_apart(web: Web, code: int, error: type[Exception], fix: str) -> None:
    with pytest.raises(error, match=fix):
        source.read(web.url(str(code)))


def test_only_200_is_content(web: Web) -> None:
    with pytest.raises(PermanentError, match="204"):
        source.read(web.url("204"))


def test_nobody_listening_may_work_later(web: Web) -> None:
    web.stop()
    with pytest.raises(TransientError, match="refused"):
        source.read(web.url("accounts"))


@pytest.mark.parametrize("url", ["http://directory.example/a", "http://127.0.0.1.evil.example/a", "http://10.0.0.1/a"])
def test_plain_http_beyond_this_machine_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(PermanentError, match="use https"):
        source.read(url, "s3cret")


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(PermanentError) as caught:
        source.read("https://user:hunter2@directory.example/a")
    assert "hunter2" not in str(caught.value)
    assert "[directory] token" in str(caught.value)


def test_a_proxy_never_sees_what_is_meant_for_this_machine(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert source.read(web.url("accounts"), "s3cret").data == BODY
