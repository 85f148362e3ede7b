"""Did our own border server vouch for the From? Reads Authentication-Results (RFC 8601) with suspicion.

From is a claim (DESIGN §5). It is believed when the topmost Authentication-Results that names our server, *standing
where that server writes it*, says DMARC pass for the From domain (INTERFACE §4 "Authenticated"). A sender can write
such a field too, but only below what our server puts on top; so the place is the proof. Where it is, by profile:

* `postfix` (milters: OpenDKIM, OpenDMARC, rspamd): above our border's own Received; below it only what our delivery
  adds on top (`received_above`, Dovecot LMTP: 1). Older OpenDKIM and OpenDMARC write *below* that Received
  (index 1 instead of 0): then one more, and the milter must remove forged fields of our name.
* `gmail`: below Gmail's Received lines (`by 2002:…`, `by 10.…`, at last `from … by mx.google.com`), above the next one.
* `m365`: below the hops inside Microsoft, above the Received that the border wrote for the foreign host. The field has
  no authserv-id. An inner hop has Microsoft names on both sides and no public IPv4 address: a HELO can lie, the address
  not. [trust] authserv_ids must name something all the same, so that nobody trusts by leaving out.

A signature travels with its mail: who has got one mail of a partner can send it again, later, to us, and where it has
`l=`, with text of his own below. So a mail that only its signature vouches for must be fresh and signed as a whole.

rspamd writes as `header.from` the domain whose DMARC record applied, which for a subdomain without an own record is
the organisational domain: that is accepted. ARC is ignored. Anything unclear is no pass.
"""

import email.utils
import functools
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import publicsuffixlist

from triaged.domain.errors import PermanentError
from triaged.domain.message import Authentication, Message

_FIELD = "authentication-results"
FRESH = timedelta(days=7)  # relays give up after five

_SHARED_DOMAINS = frozenset({"onmicrosoft.com"})  # many tenants under one name that the public suffix list lacks


@dataclass(frozen=True, slots=True)
class Trust:
    """[trust]: whose field counts, and where it must stand. Raises PermanentError for an unknown profile."""

    authserv_ids: tuple[str, ...]
    profile: str = "postfix"
    received_above: int = 0

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise PermanentError(f"[trust] profile {self.profile!r} is unknown: write one of {', '.join(PROFILES)}")


@dataclass(frozen=True, slots=True)
class Result:
    """One `method=result` with its properties (`header.from` …), all lower case."""

    method: str
    result: str
    properties: dict[str, str]


@dataclass(frozen=True, slots=True)
class Results:
    """One Authentication-Results field. `authserv_id` is empty where the field has none (Microsoft 365)."""

    authserv_id: str
    results: tuple[Result, ...]
    malformed: bool = False

    def of(self, method: str) -> list[Result]:
        return [result for result in self.results if result.method == method]


def authenticate(message: Message, trust: Trust, arrived: datetime | None = None) -> Authentication:
    """pass, fail (our field says so) or none (no field of ours); the reason is a sentence for the operator. `arrived`
    is the server's time, None for a file, of which nobody knows when it came."""
    unfit = _unfit(message, trust)
    if unfit or message.sender is None:
        return Authentication("none", unfit)
    ours = _ours(message, trust)
    if not ours:
        return Authentication("none", _absence(message, trust))
    domain = message.sender.domain.rstrip(".").lower()
    verdict = _judge(ours[0], domain)
    against = _contradiction(ours) or _borrowed(message, ours, domain, arrived)
    return Authentication("fail", against) if verdict.passed and against else verdict


def _unfit(message: Message, trust: Trust) -> str:
    """Why this mail cannot be authenticated whatever its fields say."""
    if not trust.authserv_ids:
        return "[trust] authserv_ids is empty: no Authentication-Results can count"
    if message.dirty:
        return f"the mail's bytes failed preflight: {message.unreadable or 'stray control characters'}"
    if message.repaired:
        return "the header had to be mended: readable, never authenticated"
    if message.sender is None or not message.sender.domain:
        return "the mail has no usable From address"
    if sum(1 for _ in message.values("from")) > 1:
        return "the mail has several From fields"
    return ""


def _absence(message: Message, trust: Trust) -> str:
    """No field in our place; a field of our name elsewhere is forged, or the place is configured wrongly."""
    received = 0
    for name, value in message.fields:
        received += name == "received"
        authserv_id = parse(value).authserv_id if name == _FIELD else ""
        if _is_named(authserv_id, trust):
            return (
                f"Authentication-Results of {authserv_id} stands below {received} Received fields, not where [trust] "
                f"profile {trust.profile} (received_above = {trust.received_above}) has it: forged, or mend [trust]"
            )
    return f"no Authentication-Results of {', '.join(trust.authserv_ids)}"


# --- the place ----------------------------------------------------------------------------------------------------


def _ours(message: Message, trust: Trust) -> list[Results]:
    """Fields of our server in the place where it writes them, topmost first."""
    place = _PLACES[trust.profile]([value for name, value in message.fields if name == "received"], trust)
    nameless = trust.profile == "m365"
    received = 0
    found = []
    for name, value in message.fields:
        received += name == "received"
        if name == _FIELD and received in place:
            results = parse(value)
            if _is_named(results.authserv_id, trust) or (nameless and not results.authserv_id):
                found.append(results)
    return found


def _is_named(authserv_id: str, trust: Trust) -> bool:
    """The whole name and nothing else: `mx.ours.evil.example` is not ours."""
    return authserv_id != "" and authserv_id in {name.lower() for name in trust.authserv_ids}


def _above_border(_received: list[str], trust: Trust) -> range:
    return range(trust.received_above + 1)


def _below_google(received: list[str], _trust: Trust) -> range:
    """Google's run of Received ends with the one that names the foreign host (`from … by mx.google.com`)."""
    for index, value in enumerate(received):
        if not _GOOGLE.search(value):
            return range(1, index + 1)
        if _FROM_HOST.match(value):
            return range(1, index + 2)
    return range(1, len(received) + 1)


def _above_microsoft_border(received: list[str], _trust: Trust) -> range:
    inner = 0
    while inner < len(received) and _is_inside_microsoft(received[inner]):
        inner += 1
    return range(inner + 1)


_PLACES: dict[str, Callable[[list[str], Trust], range]] = {
    "postfix": _above_border,
    "gmail": _below_google,
    "m365": _above_microsoft_border,
}
PROFILES = tuple(_PLACES)

_FROM_HOST = re.compile(r"\s{0,9}from\s{1,9}([^\s;()]{1,255})", re.IGNORECASE)
_GOOGLE = re.compile(
    r"(?:^|\s)by\s{1,9}(?:(?:[a-z0-9-]{1,63}\.){0,4}google\.com|10(?:\.\d{1,3}){3}|2002:[0-9a-f:]{2,39})(?=[\s;])", re.I
)
_BY_HOST = re.compile(r"\sby\s{1,9}([^\s;()]{1,255})", re.IGNORECASE)
_IP = re.compile(r"\(\[?([0-9a-f.:]{3,45})\]?\)", re.IGNORECASE)
_MICROSOFT = (".outlook.com", ".office365.com", ".exchangelabs.com")
_MICROSOFT_IPV6 = ("2603:10", "2a01:111:")


def _is_inside_microsoft(received: str) -> bool:
    """`from X.prod.outlook.com (2603:…) by Y.outlook.office365.com …`: both ends theirs, no public IPv4 address."""
    source, target, address = _FROM_HOST.match(received), _BY_HOST.search(received), _IP.search(received)
    return (
        source is not None
        and target is not None
        and source[1].lower().endswith(_MICROSOFT)
        and target[1].lower().endswith(_MICROSOFT)
        and (address is None or not _is_foreign(address[1]))
    )


def _is_foreign(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global and not address.lower().startswith(_MICROSOFT_IPV6)
    except ValueError:
        return True


# --- the judgement ------------------------------------------------------------------------------------------------


def _judge(ours: Results, domain: str) -> Authentication:
    name = ours.authserv_id or "Microsoft 365"
    if ours.malformed:
        return Authentication("fail", f"{name} wrote a field with an open comment or quoted string: not believed")
    dmarc = ours.of("dmarc")
    if len(dmarc) > 1:
        return Authentication("fail", f"{name} gives {len(dmarc)} dmarc results: not believed")
    return _by_dmarc(name, dmarc[0], domain) if dmarc else _by_dkim(name, ours, domain)


def _by_dmarc(name: str, dmarc: Result, domain: str) -> Authentication:
    """A dmarc result other than pass is final, whatever DKIM says."""
    judged = dmarc.properties.get("header.from", "").rstrip(".")
    if dmarc.result != "pass":
        return Authentication("fail", f"{name} says dmarc={dmarc.result} for {judged or domain}")
    if judged != domain and (not judged or judged != _organisation(domain)):
        return Authentication(
            "fail", f"{name} says dmarc=pass for {judged or 'no domain'}, but the From is at {domain}"
        )
    return Authentication("pass", f"{name} says dmarc=pass for {judged}")


def _by_dkim(name: str, ours: Results, domain: str) -> Authentication:
    for signature in ours.of("dkim"):
        signer = _signer(signature)
        if signature.result == "pass" and _speaks_for(signer, domain):
            return Authentication("pass", f"{name} gives no dmarc result, but dkim=pass by {signer}")
    return Authentication("fail", f"{name} gives neither a dmarc result nor a signature by {domain}")


def _signer(signature: Result) -> str:
    """header.d, or where the server writes only header.i (Gmail), the domain of that."""
    identity = signature.properties.get("header.i", "").rpartition("@")[2]
    return (signature.properties.get("header.d") or identity).rstrip(".")


def _speaks_for(signer: str, domain: str) -> bool:
    """The From domain itself or a parent within its organisation; never a suffix under which strangers register."""
    if signer != domain and not domain.endswith(f".{signer}"):
        return False
    return _organisation(signer) is not None


def _contradiction(ours: list[Results]) -> str:
    """Only the topmost counts; but a second field of ours that denies dmarc means that something is wrong."""
    for results in ours[1:]:
        for dmarc in results.of("dmarc"):
            if dmarc.result != "pass":
                return f"two fields of our border server contradict each other: one says dmarc={dmarc.result}"
    return ""


# --- what a signature cannot vouch for ----------------------------------------------------------------------------

_TAG = re.compile(r"(?:^|;)\s*([a-z]{1,9})\s*=\s*([^\s;]{0,253})", re.IGNORECASE)


def _borrowed(message: Message, ours: list[Results], domain: str, arrived: datetime | None) -> str:
    """Why the signature may be an old mail's, or leave text unsigned; empty where there is none, or where the mail came
    from the domain's own servers."""
    signatures = [dict(_TAG.findall(value)) for value in message.values("dkim-signature")]
    if not signatures or any(_came_from(results, domain) for results in ours):
        return ""
    if any("l" in tags and _speaks_for(tags.get("d", "").lower(), domain) for tags in signatures):
        return f"the signature of {domain} covers only the beginning of the text (l=): anybody may have added the rest"
    dates = [date for value in message.values("date") if (date := _date(value))]
    if arrived is not None and any(abs(arrived - date) > FRESH for date in dates):
        return f"signed mail whose Date is {FRESH.days} days and more from its arrival: an old one sent again?"
    return ""


def _came_from(results: Results, domain: str) -> bool:
    """SPF passed for an envelope sender of the same organisation."""
    for spf in results.of("spf"):
        host = spf.properties.get("smtp.mailfrom", "").rpartition("@")[2].rstrip(".")
        if spf.result == "pass" and host and _organisation(host) == _organisation(domain) is not None:
            return True
    return False


def _date(value: str) -> datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(value[:200])
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, LookupError, OverflowError):
        return None


def is_suffix(domain: str) -> bool:
    """Do strangers register under this name (`co.uk`, `onmicrosoft.com`)? Then it names nobody."""
    return _organisation(domain) is None


def _organisation(domain: str) -> str | None:
    """The organisational domain (`b.co.uk` of `a.b.co.uk`); None for a public or shared suffix."""
    if not domain or domain in _SHARED_DOMAINS:
        return None
    found: str | None = _suffixes().privatesuffix(domain)
    return domain if found in _SHARED_DOMAINS else found


@functools.cache
def _suffixes() -> publicsuffixlist.PublicSuffixList:
    """Read on first use: 300 kB that `--help` does not need."""
    return publicsuffixlist.PublicSuffixList()


# --- the field's text ---------------------------------------------------------------------------------------------

_PIECE = re.compile(r'[^()"\\]+|\\.|.', re.DOTALL)
_METHOD = re.compile(r"([a-z0-9][a-z0-9_-]{0,63})(?:\s*/\s*\d{1,9})?\s*=\s*([a-z]{1,63})(?![^\s;])")
_PROPERTY = re.compile(r"\s([a-z]{1,63}\.[a-z0-9_-]{1,63})\s?=\s?([^\s;\"]{1,320})")


def parse(value: str) -> Results:
    """One raw field value. Comments and quoted strings never count: what a sender wrote is echoed in them."""
    bare, closed = _bare(value)
    pieces = [piece.strip() for piece in _lower(bare).split(";")]
    first = pieces[0].split()[:1]
    authserv_id = (
        first[0] if first and "=" not in pieces[0].split(maxsplit=1)[0] and not _METHOD.match(pieces[0]) else ""
    )
    results = tuple(found for piece in (pieces[1:] if authserv_id else pieces) if (found := _result(piece)))
    return Results(authserv_id, results, malformed=not closed)


def _result(piece: str) -> Result | None:
    method = _METHOD.match(piece)
    if method is None:
        return None
    properties: dict[str, str] = {}
    for name, value in _PROPERTY.findall(piece[method.end() :]):
        properties[name] = value if properties.get(name, value) == value else ""  # given twice: says nothing
    return Result(method[1], method[2], properties)


def _lower(text: str) -> str:
    """ASCII letters only: str.lower makes a `k` of the Kelvin sign, and so one name of another."""
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def _bare(value: str) -> tuple[str, bool]:
    """The text without comments (nested; a quoted string inside one hides its parentheses), with `"` for each quoted
    string; and whether all of them were closed."""
    kept: list[str] = []
    depth, in_quotes = 0, False
    for piece in _PIECE.findall(value):
        if in_quotes:
            in_quotes = piece != '"'
        elif piece == '"':
            in_quotes = True
            kept += ['"'] if not depth else []
        elif piece == "(":
            depth += 1
        elif piece == ")":
            depth = max(depth - 1, 0)
            kept.append(" ")
        elif not depth:
            kept.append(piece)
    return "".join(kept), not depth and not in_quotes
