"""The kinds of value that our TOML files hold, each refusing with what is wrong and how to write it instead.

Strict where a file can be wrong in a way that hurts later (`port = "993"`, `idle = 1`); readers are functions that take
what tomllib gives and return what the house uses.
"""

import ipaddress
import re
import zoneinfo
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import email_validator
from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, StrictBool, StrictInt, ValidationInfo
from pydantic_core import PydanticCustomError

from triaged.settings.problems import suggestion
from triaged.settings.secret import Secret

FIX = "fix"  # the type of our own refusals, among pydantic's
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,3})?) ?(ms|s|m|h|d|w)")
_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_SIZE = re.compile(r"(\d{1,12}) ?([KMG]?I?B?)", re.IGNORECASE)
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REGION = re.compile(r"[a-z][a-z0-9]{1,7}")
_NO_BREAK_SPACES = {0xA0: " ", 0x202F: " "}  # French typography, no control characters
_COUNTRY = re.compile(r"(?!UK)[A-Z]{2}")
_LOCALE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})?")


def refusal(what: str, fix: str) -> PydanticCustomError:
    """What a validator raises: `what` is wrong, and the `fix`."""
    return PydanticCustomError(FIX, "{what}", {"what": what, "fix": fix})


def is_loopback(host: object) -> bool:
    """127.0.0.0/8, ::1 and localhost: the only hosts where mail and passwords may travel in clear."""
    try:
        return str(host).lower() == "localhost" or ipaddress.ip_address(str(host).strip("[]")).is_loopback
    except ValueError:
        return False


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise refusal("not a duration", 'write a number and its unit in quotes, like "30s", "5m", "1h" or "2d"')
    span = timedelta(seconds=float(match[1]) * _UNITS[match[2]])
    if not span:
        raise refusal("a duration of nothing", 'write how long, like "30s"')
    return span


def _size(value: object) -> int:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    factor = _SIZES.get(match[2].upper()) if match else None
    if match is None or factor is None:
        raise refusal("not a size", 'write a number and its unit in quotes, like "25MB" or "512KiB"')
    if int(match[1]) == 0:
        raise refusal("a size of nothing", 'write the largest size, like "25MB"')
    return int(match[1]) * factor


def _email(value: str) -> str:
    try:
        checked = email_validator.validate_email(
            value, check_deliverability=False, globally_deliverable=False, test_environment=True
        )
    except email_validator.EmailNotValidError as error:
        raise refusal(
            f"not an e-mail address ({error})", 'write a bare address, like "partner-support@vendor.example"'
        ) from None
    if not checked.ascii_email:
        raise refusal("an address whose part before the @ is not ASCII", "use an address that every server accepts")
    return checked.ascii_email


def _domain(value: str) -> str:
    try:
        return _email(f"x@{value.strip()}").partition("@")[2].lower()
    except PydanticCustomError:
        raise refusal("not a domain", 'write a bare domain, like "vendor.example"') from None


def _host(value: str) -> str:
    if _HOST.fullmatch(value):
        return value
    try:
        return str(ipaddress.ip_address(value.strip("[]")))
    except ValueError:
        raise refusal(
            "not a host", 'write only a name or an IP address, like "imap.vendor.example"; the port has its own key'
        ) from None


def _zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = suggestion(value, zoneinfo.available_timezones())
        raise refusal(f"not a time zone{near}", 'write an IANA name, like "Europe/Paris"') from None
    return value


def _matching(pattern: re.Pattern[str], what: str, fix: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise refusal(what, fix)
        return value

    return AfterValidator(check)


def _web_address(value: str) -> str:
    if not value or _is_web(value):
        return value.rstrip("/")
    raise refusal("not a safe web address", 'write it like "https://portal.example"; http:// only for loopback hosts')


def _is_web(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    if "@" in parts.netloc:  # a password in a URL would be shown with it
        return False
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
    return secure and bool(parts.hostname) and not any(character.isspace() for character in value)


def endpoint(value: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8080` or `[::1]:8080`. Raises ValueError."""
    host, colon, port = value.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or (":" in bare) != (bare != host) or not re.fullmatch(r"\d{1,5}", port):
        raise ValueError(value)
    if not 0 < int(port) <= 65_535:
        raise ValueError(value)
    return bare, int(port)


def _endpoint(value: str) -> str:
    try:
        host, _port = endpoint(value) if value else ("localhost", 0)
        _host(host)
    except (ValueError, PydanticCustomError):
        raise refusal("not a place to listen", 'write host and port, like "127.0.0.1:8080" or "[::1]:8080"') from None
    return value


def _path(value: object, info: ValidationInfo) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value or "\0" in value:
        raise refusal("not a path", "write a path in quotes; relative paths start at triaged.toml's folder")
    return _from_here(value, info)


def _location(value: str, info: ValidationInfo) -> str:
    if "://" not in value:
        return str(_from_here(value, info)) if value else ""
    if _is_web(value):
        return value
    raise refusal("not a safe address", "write a path or an https:// URL; http:// only for loopback hosts")


def _from_here(value: str, info: ValidationInfo) -> Path:
    return Path((info.context or {}).get("folder", "."), value)


def _database(value: str, info: ValidationInfo) -> str:
    if value.startswith(("postgresql+psycopg://", "postgresql://")):
        return value
    if value.startswith("sqlite:///"):
        name = value.removeprefix("sqlite:///")
        return value if not name or name.startswith(":") else f"sqlite:///{_from_here(name, info)}"
    raise refusal(
        "not a database that triaged knows",
        'write "sqlite:////var/lib/triaged/triaged.db" or "postgresql+psycopg://user@host/db"',
    )


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    raise refusal("not text", "write it in quotes, or name its file")


def _words(value: object) -> object:
    if isinstance(value, str):
        raise refusal("one text where a list belongs", f'write a list in brackets: ["{value}"]')
    return value


def _text(value: str) -> str:
    if not value.translate(_NO_BREAK_SPACES).isprintable():
        raise refusal("text with a line break or control character", "write it on one line")
    if not value.strip():
        raise refusal("empty", "write something between the quotes, or remove the key")
    return value


Text = Annotated[str, AfterValidator(_text)]
Whole = StrictInt
Count = Annotated[StrictInt, Field(ge=1)]
Hops = Annotated[StrictInt, Field(ge=0, le=9)]
Port = Annotated[StrictInt, Field(ge=1, le=65535)]
Flag = StrictBool
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Size = Annotated[int, BeforeValidator(_size)]
Email = Annotated[str, AfterValidator(_email)]
Domain = Annotated[str, AfterValidator(_domain)]
Host = Annotated[str, AfterValidator(_host)]
TimeZone = Annotated[str, AfterValidator(_zone)]
Locale = Annotated[
    str, _matching(_LOCALE, "not a locale", 'write a language code, like "fr", "en" or "pt-BR": a folder of templates/')
]
Name = Annotated[
    str, _matching(_NAME, "not a name", "use letters, digits, dot, dash and underscore, at most 64: it goes into logs")
]
RegionCode = Annotated[
    str, _matching(_REGION, "not a region code", 'write two to eight small letters or digits, like "eu"')
]
CountryCode = Annotated[
    str,
    _matching(_COUNTRY, "not a country code", 'write its two letters of ISO 3166 in capitals, like "CH" (GB, not UK)'),
]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
FilePath = Annotated[Path, BeforeValidator(_path)]
Location = Annotated[str, AfterValidator(_location)]
DatabaseUrl = Annotated[str, AfterValidator(_database)]
SecretText = Annotated[Secret, PlainValidator(_secret)]
Emails = Annotated[tuple[Email, ...], BeforeValidator(_words)]
Domains = Annotated[tuple[Domain, ...], BeforeValidator(_words)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_words)]
RegionCodes = Annotated[tuple[RegionCode, ...], BeforeValidator(_words), Field(min_length=1)]
