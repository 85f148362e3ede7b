"""Where a directory comes from: a file, or an HTTPS address with a bearer token (INTERFACE §2).

A directory decides who gets priority, so half of one is worse than none: a file that is being written and an answer
that was cut off are errors, not content. The token goes to the configured host alone, and never over plain HTTP.
"""

import hashlib
import http.client
import ipaddress
import os
import ssl
import stat
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from triaged.domain.errors import PermanentError, TransientError

LARGEST = 200_000_000  # bytes
PATIENCE = 60.0  # seconds for the whole of a download

_CHUNK = 1 << 18
_TRY_AGAIN = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Content:
    """What a source holds now; `digest` is the SHA-256 of `data` in hexadecimal."""

    data: bytes
    digest: str


def read(location: str, token: str = "", largest: int = LARGEST, patience: float = PATIENCE) -> Content:
    """The whole content of a path or an https:// address (http:// only for this machine).

    `largest` in bytes, `patience` in seconds for all of it. Raises TransientError when it may work later,
    PermanentError when somebody has to mend the source or the configuration; both name the source and the fix."""
    remote = location.startswith(("https://", "http://"))
    data = _download(location, token, largest, patience) if remote else _file(Path(location), largest)
    return Content(data, hashlib.sha256(data).hexdigest())


# Files


def _file(path: Path, largest: int) -> bytes:
    try:
        before = path.stat()
        if not stat.S_ISREG(before.st_mode):
            raise PermanentError(f"{path} is not a file: name the directory file itself")
        if before.st_size > largest:
            raise PermanentError(f"{path}: {_too_large(before.st_size, largest)}")
        data = path.read_bytes()
        after = path.stat()
    except FileNotFoundError as error:
        raise PermanentError(f"{path}: there is no such file: check the path (or [directory])") from error
    except PermissionError as error:
        raise PermanentError(f"{path}: may not be read: give this user (uid {os.geteuid()}) the right") from error
    except OSError as error:
        raise TransientError(f"{path}: {error.strerror or error}") from error
    if _stamp(before) != _stamp(after) or len(data) != after.st_size:
        raise TransientError(f"{path} is being written: it is read again later (best: write beside it, then rename)")
    return data


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _too_large(size: int, largest: int) -> str:
    return f"{size:,} bytes, more than the {largest:,} that a directory may have: is it the right source?"


# Addresses


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows redirects only within the configured scheme, host and port: the token goes nowhere else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if _origin(newurl) != _origin(req.full_url):
            raise PermanentError(
                f"{req.full_url}: redirects to {_bare(newurl)}, which would get the token too: configure that address"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(location: str, token: str, largest: int, patience: float) -> bytes:
    _check_address(location)
    request = urllib.request.Request(location, headers={"User-Agent": "triaged", "Accept": "*/*"})  # noqa: S310 - checked
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    direct = [urllib.request.ProxyHandler({})] if _is_loopback(urllib.parse.urlsplit(location).hostname or "") else []
    deadline = time.monotonic() + patience
    try:
        with urllib.request.build_opener(_SameHost, *direct).open(request, timeout=patience) as answer:
            return b"".join(_chunks(answer, location, largest, deadline))
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(location, error.code, error.reason) from error
    except urllib.error.URLError as error:
        raise _unreachable(location, error.reason) from error
    except http.client.IncompleteRead as error:
        raise TransientError(f"{location}: the answer was cut off") from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(location, error) from error


def _check_address(location: str) -> None:
    parts = urllib.parse.urlsplit(location)
    if parts.username or parts.password:
        raise PermanentError(f"{_bare(location)}: take the password out of the address: [directory] token is its place")
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise PermanentError(f"{location}: http:// would show the token and the customers to the network: use https://")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urllib.parse.urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _bare(address: str) -> str:
    """The address without what may be secret: user, query."""
    parts = urllib.parse.urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _chunks(answer: http.client.HTTPResponse, location: str, largest: int, deadline: float) -> Iterator[bytes]:
    """The body piece by piece, measured against what was announced: http.client keeps silent when a body is cut."""
    if answer.status != http.client.OK:
        raise _refused(location, answer.status, answer.reason)
    announced = answer.headers.get("Content-Length")
    size = 0
    while chunk := answer.read1(_CHUNK):
        size += len(chunk)
        if size > largest:
            raise PermanentError(f"{location}: {_too_large(size, largest)}")
        if time.monotonic() > deadline:
            raise TransientError(f"{location}: too slow, {size:,} bytes when the time was up")
        yield chunk
    if announced and announced.isdecimal() and size != int(announced):
        raise TransientError(f"{location}: the answer was cut off after {size:,} of {int(announced):,} bytes")


def _refused(location: str, code: int, reason: str) -> TransientError | PermanentError:
    told = f"{location}: the server answers {code} {reason}"
    if code >= 500 or code in _TRY_AGAIN:
        return TransientError(told)
    if code in (401, 403):
        return PermanentError(f"{told}: is [directory] token the right one, and still valid?")
    return PermanentError(f"{told}: is the address right?")


def _unreachable(location: str, reason: object) -> TransientError | PermanentError:
    if isinstance(reason, ssl.SSLCertVerificationError):
        return PermanentError(f"{location}: its certificate is not to be trusted: {reason.verify_message}")
    return TransientError(f"{location}: {reason}")
