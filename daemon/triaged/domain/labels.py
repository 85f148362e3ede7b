"""Which value of a line belongs to which label: a small grammar over the line's shape (see wording.py for the letters).

Loose in wording, never guessing: between a label and its value only known words, marks, names and brackets may stand;
an unknown word, a negation or another label ends the reach of a label.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from triaged.domain import identifiers, products
from triaged.domain.vocabulary import Role
from triaged.domain.wording import Item, Line

_REACH = 48  # items between label and value at most
_ADDRESSES = (Role.SUPER_ADMIN, Role.CUSTOMER_EMAIL)
_IDS = (Role.ZUID, Role.ZOID, Role.ZGID)

_HINT = "o[^oc]{0,30}c"
_FORWARD = """
  (?: c? (?: [lqa] | HINT )*                                       # ZOID 60012345678
    | c? (?: [lqna] | HINT )* i (?: [lqinas,] | k(?!s) | HINT )*   # the super admin of Acme is Jean Martin, it@…
    | c? (?: [lqnapWORD] | HINT )* s (?: [lqisdna,] | k(?!s) | HINT )*  # super admin of Acme: Jean Martin, it@…
    | c? (?: [lqa] | HINT )* d (?: [lqnad,] | HINT )*              # ZOID – 60012345678
    | [lqna]* (?= [oa] )                                           # our super admin Jean Martin (it@…)
    | [lqn]* (?= N )                                               # ZOID Acme SA 60012345678
    | [lq]* s [lq]* w{1,4} (?= aA )                                # super admin: jean martin <it@…>
    | LISTED
  )
  (?: [oa] [lqinas]* )?
  (?P<value> VALUE ) (?! x )
"""
_LIST = "(?: [qac] | HINT )* [,;pj] [,;jqa]* (?: n+ a )? (?P<value> VALUE ) (?! [wnlibtx] )"
_BACK = re.compile(r"(?P<value>A|D|N+)[qca]*(?:,l[lq]*|[lqia]*[oisdl][lqiaos]*)$")
_OPEN_END = """
    c? (?: [lqnaWORD] | HINT )* s (?: [lqisda] | HINT )* (?: n [lqnd.]* )? $
  | (?: [lqna] | HINT )* i (?: [lqis]* | [lqis]* i [.] ) $
  | c? (?: [lqa] | HINT )* d $
"""
_BARE_END = "c? (?: [lqa] | HINT )* $"
_NAME_FIELD = re.compile("[lq]+s[nlq,]+$")  # "Name: Jean Martin" below a label
_SERVICE = "c? (?: [lqnaWORD] | HINT )* (?P<mark> [sid] )"

_MAKER = re.compile(r"[\w' -]*?[ \"'«“‹「](?P<name>zoho)\b", re.IGNORECASE)
_GROUP = re.compile(r"[Kk](?:[lqpj,oca]{0,8}[Kk])*")
_BLOCKED_BEFORE = re.compile(r"b[lniwqa]{0,3}$")
_BLOCKED_ASIDE = re.compile(r"b[lniwqad]{0,4}$")  # "Zoho partner – Org ID 60099999999" in a signature
_STARTS = re.compile(r"(?:^|[s,;.dpoc])[lqaNj]*$")
_ALONE_BEFORE = re.compile(r"^[lqdaNo]*$")
_ASIDE_BEFORE = re.compile(r"t,?(?:[^.,;]*|[lqnkKoac]*,[qo]*)$")  # in one clause, or of a name before a comma
_ASIDE_BEHIND = re.compile(r"[^.ADN]{0,12}(?:A|D|N+)[lq]{0,3}t")  # "ZOID 60012345678 had this"
_ASIDE_REACH = 40
_BLOCKED_FURTHER = re.compile(r"(?:[bt][lniwqa]{0,3}|x)$")
_ADDRESS_NEXT = re.compile("l?[qao]{0,3}A")
_COUNTED = re.compile(r"k[lqis]{0,4}$")  # "licences : 250000"
_SUREST_ID = 9  # digits of a number that counts nothing
_FIELD = re.compile(r"[lqdaNo]*[Kk][lqnakKpjoc]*s")
_SEPARATED = re.compile(r"c?(?:[lqnaw]|o[^oc]{0,30}c){0,12}(?P<mark>[sd])")
_DENIED = re.compile(r"[lqca]*(?:i?[lqj]*b[lqibjk]*(?=[.,;c]|$)|o[lqi]*[bt][lqi]*c)")  # "… is not ours.", "… (wrong)"
_VALUES = {Role.SUPER_ADMIN: "A", Role.CUSTOMER_EMAIL: "A", Role.DOMAIN: "[DAU]", Role.SERVICE: "(?!)"}
_ANY_VALUE = "A|N+|D|U"
_ENDS_IN_VALUE = re.compile("(?:A|N+)[qca,;.]*$")
_BARE_VALUE = re.compile("[qoad]*(?:A|N+)[qca,;.]*")


class Group(NamedTuple):
    """Labels that share what follows: "organisation id [ZOID or ZGID]". `start` and `end` count items; `free` when it
    stands at the start of a line, cell or clause, where more words may follow before the separator."""

    start: int
    end: int
    roles: tuple[Role, ...]
    acronyms: tuple[str, ...]
    free: bool


class Claim(NamedTuple):
    """A label's value, by the item where it begins."""

    at: int
    role: Role
    value: str


class Pending(NamedTuple):
    """A label at the end of its line: its value may stand on the next. `bare` without any separator; `named` when the
    line already gives a name, so that only the very next line can belong to it."""

    group: Group
    bare: bool
    named: bool = False


class Reading(NamedTuple):
    """What one line says, in order. `run` is the label whose value ends the line: lines of nothing but a value may
    follow, and are as much its values."""

    claims: tuple[Claim, ...]
    pending: Pending | None
    run: Pending | None = None


class Judge(NamedTuple):
    """What decides whether a well-shaped value is one: the known services, and words that only fill in forms."""

    catalogue: products.Catalogue
    placeholders: frozenset[str]

    def address(self, text: str) -> str | None:
        found = identifiers.address(text)
        return found if found and self._is_real(found.partition("@")) else None

    def host(self, text: str) -> str | None:
        found = identifiers.host(text)
        return found if found and found not in self.placeholders else None

    def _is_real(self, parts: tuple[str, str, str]) -> bool:
        local, _, host = parts
        return not (self.placeholders & {local, host} or re.fullmatch(r"x{2,}|\.+|_+", local))


def read(line: Line, judge: Judge) -> Reading:
    """Every labelled value of a line, and the label that waits for the next line."""
    found, taken, pending = [], set[int](), None
    groups = _groups(line)
    forward = [_forward(line, group, _limit(line, groups, place), judge) for place, group in enumerate(groups)]
    for claims in forward:
        taken.update(claim.at for claim in claims)
        found += claims
    for place, group in enumerate(groups):
        if forward[place]:
            continue
        found += _backward(line, group, judge, taken)
        if place == len(groups) - 1:
            pending = _pending(line, group)
    for place, group in enumerate(groups):
        if "K" in line.shape[group.start : group.end] or _SEPARATED.match(line.shape, group.end):
            further = _further(line, group, forward[place], _limit(line, groups, place), judge)
            found += (claim for claim in further if claim.at not in taken)
    if not groups and (above := heading(line)) and set(above.roles) == {Role.SERVICE}:
        pending = Pending(above, bare=True)
    known = [claim for claim in found if claim.role is not Role.OTHER and claim.value]
    known.sort(key=lambda claim: claim.at)  # services of one label share a place, and keep their order
    ends_in_value = bool(groups) and forward[-1] and _ENDS_IN_VALUE.search(line.shape, groups[-1].end)
    return Reading(tuple(known), pending, Pending(groups[-1], bare=False) if ends_in_value else None)


def is_value(line: Line) -> bool:
    """Nothing but one address or number: one more value of the label above."""
    return bool(_BARE_VALUE.fullmatch(line.shape))


def next_line(line: Line, pending: Pending, near: bool, judge: Judge) -> tuple[Claim, ...]:
    """The value of a label that ended the line before. `near`: no empty line lies between."""
    if pending.named and not near:
        return ()
    if set(pending.group.roles) == {Role.SERVICE} and pending.bare:
        return tuple(Claim(0, Role.SERVICE, name) for name in (judge.catalogue.alone(line.text),) if name)
    if Role.SERVICE in pending.group.roles and not re.search("[Kk]", line.shape):
        return tuple(Claim(0, Role.SERVICE, name) for name in judge.catalogue.known(line.text))[:1]
    found = _opening(_wanted(pending.group.roles), near, pending.bare).match(line.shape)
    return _alone(line, pending.group, found, judge)


def goes_on(line: Line) -> bool:
    """Does a label go on waiting after this line? "Name: Jean Martin" may stand before the address."""
    return bool(_NAME_FIELD.match(line.shape))


def cell(line: Line, group: Group, judge: Judge) -> tuple[Claim, ...]:
    """The value of a table cell that stands in the column of `group`."""
    if Role.SERVICE in group.roles:
        return tuple(Claim(0, Role.SERVICE, name) for name in judge.catalogue.labelled(line.text))
    found = re.match(rf"[lqna]*(?P<value>{_wanted(group.roles)})(?!x)", line.shape)
    return tuple(claim for claim in _alone(line, group, found, judge) if claim.role is not Role.OTHER)


def _alone(line: Line, group: Group, found: re.Match[str] | None, judge: Judge) -> tuple[Claim, ...]:
    """The values of a line or cell whose label stands above it."""
    claims = list(_claim(line, group, found.start("value"), judge)) if found else []
    return (*claims, *_further(line, group, claims, len(line.items), judge))


def heading(line: Line) -> Group | None:
    """The group of a table heading: a cell that is a label and nothing else."""
    if not re.fullmatch(r"[lqa]*[Kk][lqaocKkpjn]*", line.shape):
        return None
    return next(iter(_groups(line._replace(shape=line.shape.replace("k", "K")))), None)


def _groups(line: Line) -> list[Group]:
    found = []
    for match in _GROUP.finditer(line.shape):
        before = line.shape[max(0, match.start() - 12) : match.start()]
        free = bool(_STARTS.search(before if match.start() <= 12 else "w" + before))
        separated = _SEPARATED.match(line.shape, match.end())
        terms = [item.term for item in line.items[match.start() : match.end()] if item.term and item.term.is_label]
        terms = [term for term in terms if not term.line_start] or terms
        roles = tuple(term.role for term in terms)
        if "K" not in match[0] and not (
            _telling(line, match, free, separated)
            or _before_service(line, match, roles)
            or _before_address(line, match)
        ):
            continue
        if (_BLOCKED_BEFORE if separated else _BLOCKED_ASIDE).search(before) or _aside(line, match, separated):
            roles = (Role.OTHER,)
        acronyms = tuple(dict.fromkeys(term.acronym for term in terms if term.acronym))
        found.append(Group(match.start(), match.end(), roles, acronyms, free))
    return found


def _telling(line: Line, match: re.Match[str], free: bool, separated: re.Match[str] | None) -> bool:
    """Is an everyday word a label here: at a start, and before a separator?"""
    return free and separated is not None and (separated["mark"] == "s" or _first(line, match.start()))


def _aside(line: Line, match: re.Match[str], separated: re.Match[str] | None) -> bool:
    """Does prose speak of an example or another matter here: "as with our customer ZOID …", "ZOID … had this"? A
    labelled line (label, separator, value) always speaks of its own."""
    if "t" not in line.shape or (separated and separated["mark"] == "s" and _first(line, match.start())):
        return False
    last = line.shape.rfind("t", max(0, match.start() - _ASIDE_REACH), match.start())
    before = last >= 0 and _ASIDE_BEFORE.match(line.shape[: match.start()], last)
    return bool(before or _ASIDE_BEHIND.match(line.shape, match.end()))


def unfinished_aside(line: Line) -> str:
    """The end of a line from the words on that say that its sentence is about another matter; the sentence may go on
    in the next line."""
    last = line.shape.rfind("t")
    return line.text[line.items[last].start :] if last >= 0 and "." not in line.shape[last:] else ""


def is_field(line: Line) -> bool:
    """A line that begins with a label and a separator."""
    return bool(_FIELD.match(line.shape))


def _before_service(line: Line, match: re.Match[str], roles: Sequence[Role]) -> bool:
    """ "the service Zoho CRM": no separator is needed before the maker's name."""
    return set(roles) == {Role.SERVICE} and bool(_made(line, match.end()))


def _before_address(line: Line, match: re.Match[str]) -> bool:
    """ "our customer it@acme.example cannot log in": an article or pronoun, the customer, and the address at once."""
    item = line.items[match.start()]
    spoken = line.text[item.start : item.end]
    defined = " " in spoken or line.shape[: match.start()][-1:] == "l" or not spoken.isascii()
    named = match[0] == "k" and item.term is not None and item.term.customer
    return named and defined and bool(_ADDRESS_NEXT.match(line.shape, match.end()))


def _made(line: Line, end: int) -> str:
    """The text from the maker's name on, if that name ends the label or follows it directly."""
    found = _MAKER.search(line.text, line.items[end - 1].start, line.items[end - 1].end + 8)
    return line.text[found.start("name") :] if found else ""


def _first(line: Line, start: int) -> bool:
    return bool(_ALONE_BEFORE.match(line.shape[:start]))


def _limit(line: Line, groups: Sequence[Group], place: int) -> int:
    return groups[place + 1].start if place + 1 < len(groups) else len(line.items)


def _wanted(roles: Sequence[Role]) -> str:
    if roles[-1] is Role.OTHER:
        return _ANY_VALUE
    return "|".join(dict.fromkeys(_VALUES.get(role, "N+") for role in roles if role is not Role.OTHER))


@functools.lru_cache(maxsize=512)
def _pattern(text: str, value: str = "(?!)", words: str = "", listed: str = "(?!)") -> re.Pattern[str]:
    text = text.replace("HINT", _HINT).replace("WORD", words).replace("LISTED", listed)
    return re.compile(text.replace("VALUE", value), re.VERBOSE)


@functools.lru_cache(maxsize=512)
def _opening(value: str, near: bool, bare: bool) -> re.Pattern[str]:
    """How a line begins that holds nothing but the value of the label above it."""
    before = "(?:[lqsdna,o]{0,8})" if near else "[qdao]*"
    number = value.replace("N+", "(?<![n,])N+(?![wnlibxA])")
    return re.compile(rf"^{before}(?P<value>{number})(?!x){'(?=[qc,.;adjoA]|$)' if bare else ''}")


def _forward(line: Line, group: Group, limit: int, judge: Judge) -> list[Claim]:
    claims: list[Claim] = []
    wanted = _wanted(group.roles)
    words = "w" if group.free else ""
    end = min(limit, group.end + _REACH)
    found = _pattern(_FORWARD, wanted, words, _listed(line, group)).match(line.shape, group.end, end)
    while found:
        new = list(_claim(line, group, found.start("value"), judge))
        claims += _unless_denied(line, found.end("value"), new)
        at = _after(line, found.start("value"), found.end("value"), new)
        found = _pattern(_LIST, wanted).match(line.shape, at, min(limit, at + _REACH))
    if group.roles[0] is Role.SERVICE and not claims:
        claims += _service(line, group, limit, judge)
    return _paired(group, claims)


def _further(line: Line, group: Group, claims: Sequence[Claim], limit: int, judge: Judge) -> Iterator[Claim]:
    """More values behind a label's own, with words or nothing between: "it@acme.example (replaced by it@b.example)".
    Which one is meant cannot be told from here, so each is evidence, and a contradiction where they disagree."""
    values = [claim for claim in claims if claim.role is not Role.SERVICE]
    if not values or group.roles[-1] is Role.OTHER:
        return
    at = _after(line, values[-1].at, values[-1].at + 1, values)
    while at < limit:
        size = _number(line, at)[1] if line.shape[at] == "N" else 1
        if _is_further(line, group, at, at + size):
            yield from _unless_denied(line, at + size, list(_claim(line, group, at, judge)))
        at += size


def _is_further(line: Line, group: Group, start: int, end: int) -> bool:
    """Is the value at items `start` to `end` one more of the group's? A number before a word may count something."""
    sort, before, after = line.shape[start], line.shape[max(0, start - 12) : start], line.shape[end : end + 1]
    if _BLOCKED_FURTHER.search(before) or after == "x":
        return False
    if sort == "A":
        return any(role in _ADDRESSES for role in group.roles)
    if sort != "N" or not any(role in _IDS for role in group.roles):
        return False
    digits = sum(len(item.text) for item in line.items[start:end])
    return not _COUNTED.search(before) and (digits >= _SUREST_ID or after not in tuple("wnlkK"))


def _unless_denied(line: Line, end: int, claims: list[Claim]) -> list[Claim]:
    """The claims; as nothing's value when the clause goes on "is wrong", "n'est pas le nôtre", "ではありません"."""
    if not _DENIED.match(line.shape, end):
        return claims
    return [claim._replace(role=Role.OTHER, value="") for claim in claims]


def _listed(line: Line, group: Group) -> str:
    """The comma or slash that may stand for a separator: in a list of fields ("zoid;60012345678"), and in a sentence
    ("our super admin, it@…, cannot"). In a signature ("Jean, Super Admin, jean@…") it may not."""
    in_sentence = group.end - group.start > 1 or line.shape[group.start - 1 : group.start] in ("l", "q")
    return "|".join([*([",(?=A)"] if in_sentence else []), *(["[;p]q*"] if _first(line, group.start) else []), "(?!)"])


def _paired(group: Group, claims: list[Claim]) -> list[Claim]:
    """As many ids as id labels: "ZOID / ZUID : 60012345678 / 650456410"."""
    roles = list(dict.fromkeys(role for role in group.roles if role in _IDS))
    ids = [claim for claim in claims if claim.role in _IDS]
    if len(roles) < 2 or len(roles) != len(ids):
        return claims
    return [
        *(claim for claim in claims if claim not in ids),
        *(c._replace(role=r) for c, r in zip(ids, roles, strict=True)),
    ]


def _after(line: Line, start: int, end: int, claims: Sequence[Claim]) -> int:
    """Where a list may go on: behind the value, of a run of numbers behind those that it took."""
    if line.shape[start] != "N" or not claims:
        return end
    return start + _number(line, start)[1]


def _claim(line: Line, group: Group, at: int, judge: Judge) -> Iterator[Claim]:
    """The value at item `at` for the label of the group that wants its kind."""
    item = line.items[at]
    role = _role(group, item.sort)
    if role is Role.OTHER:
        yield from (Claim(place, role, "") for place in range(at, at + len(_run(line, at))))
        return
    value: str | None
    if role is Role.DOMAIN:
        value = judge.host(item.text)
    elif item.sort == "A":
        value = judge.address(item.text)
    else:
        value = _number(line, at)[0]
    if value:
        yield Claim(at, role, value)


def _role(group: Group, sort: str) -> Role:
    if group.roles[-1] is Role.OTHER:
        return Role.OTHER
    if sort == "N":
        if group.acronyms:
            return Role(group.acronyms[0])
        return next((role for role in group.roles if role in _IDS), Role.OTHER)
    if sort == "A":
        known = [role for role in _ADDRESSES if role in group.roles]
        return known[0] if known else Role.DOMAIN
    return Role.DOMAIN


def _run(line: Line, at: int) -> Sequence[Item]:
    found = re.compile("N+").match(line.shape, at)
    return line.items[at : found.end()] if found else line.items[at : at + 1]


def _number(line: Line, at: int) -> tuple[str | None, int]:
    run = _run(line, at)
    after = line.shape[at + len(run) : at + len(run) + 1]
    return identifiers.number([item.text for item in run], last=after not in tuple("wnliKkbt"))


def _backward(line: Line, group: Group, judge: Judge, taken: set[int]) -> Iterator[Claim]:
    """`it@acme.example (super admin)`, `60012345678 is the ZOID`: the value stands before a label that has none
    behind it."""
    if re.compile(r"[lq]*s").match(line.shape, group.end):
        return
    found = _BACK.search(line.shape, max(0, group.start - 16), group.start)
    if not found or found["value"][0] not in _wanted(group.roles):
        return
    at = found.start("value")
    while at and line.shape[at] == line.shape[at - 1] == "N":
        at -= 1
    if at in taken:
        return
    claims = _unless_denied(line, group.end, list(_claim(line, group, at, judge)))
    taken.update(claim.at for claim in claims)
    yield from claims


def _pending(line: Line, group: Group) -> Pending | None:
    if group.roles[-1] is Role.OTHER:
        return None
    words = "w" if group.free else ""
    if _pattern(_OPEN_END, words=words).match(line.shape, group.end):
        return Pending(group, bare=False, named="n" in line.shape[group.end :].partition("s")[2])
    alone = _ALONE_BEFORE.match(line.shape[: group.start])
    return Pending(group, bare=True) if alone and _pattern(_BARE_END).match(line.shape, group.end) else None


def _service(line: Line, group: Group, limit: int, judge: Judge) -> Iterator[Claim]:
    """The text behind a service label: known services; after a colon also words of its own; without any separator only
    a service with the maker's name ("the service Zoho CRM")."""
    found = _pattern(_SERVICE, words="w").match(line.shape, group.end, min(limit, group.end + _REACH))
    telling = found and (group.free or found["mark"] != "d")
    if not found or not telling:
        if name := judge.catalogue.leading(_made(line, group.end)):
            yield Claim(group.end, Role.SERVICE, name)
        return
    begin = found.end()
    end = next((at for at in range(begin, limit) if line.items[at].text in ("\t", "|")), limit)
    if begin >= end or re.match("[qao]*(?:[bt]|$)", line.shape[begin:end]):
        return
    text = line.text[line.items[begin].start : line.items[end - 1].end]
    plain = found["mark"] == "s" and set(group.roles) == {Role.SERVICE} and not re.search("[nw]", found[0])
    own_words = plain and not re.search("[AU]", line.shape[begin:end])
    for name in judge.catalogue.labelled(text) if own_words else judge.catalogue.known(text):
        yield Claim(begin, Role.SERVICE, name)
