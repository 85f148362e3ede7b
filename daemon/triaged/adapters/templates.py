"""The mails' words: Jinja2 in its restricted environment, CSS written into the elements, dates by Babel.

A template is found in the operator's directories first, then among those that we ship; a locale is a folder that
does not begin with an underscore, so adding a language is adding a folder. Templates see exactly
`mail` (domain.notices.Facts, every text cleaned), `locale`, `direction`, `timezone`, `city` and, in HTML, `subject`.
Paths that begin with `../` are relative to the template that names them. templates/README.md tells an operator more.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any
from zoneinfo import ZoneInfo

import css_inline
import jinja2
from babel import Locale, UnknownLocaleError, dates, numbers, units
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from triaged.domain.errors import PermanentError
from triaged.domain.notices import (
    ContractFacts,
    CountryNote,
    Due,
    Facts,
    FindingFacts,
    NoticeName,
    SparesFacts,
    Written,
)
from triaged.domain.order import Code, Role
from triaged.domain.request import Refusal, Verb
from triaged.mail import compose

PARTS = ("subject.txt", "body.txt", "body.html")
LAST_LOCALE = "en"
# What a template that an operator changed may end in; anything else is a fault of ours.
_BROKEN = (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
WIDTH = 76  # columns of the text part


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's words. `subject` is final and clean, `html` has its CSS inlined, `locale` is the one really used."""

    subject: str
    text: str
    html: str
    locale: str


class Renderer:
    """Renders every notice. `directories`: where to look, in order: the operator's first, ours last. Templates are
    read once: a changed one counts after a restart. Safe to share between threads."""

    def __init__(self, directories: Sequence[Path], fallback: str = LAST_LOCALE) -> None:
        self._directories = tuple(directories)
        self._fallback = fallback
        self._text = _environment(self._directories, html=False)
        self._html = _environment(self._directories, html=True)
        self._inliner = css_inline.CSSInliner(load_remote_stylesheets=False)
        self._locales: tuple[str, ...] | None = None

    def locales(self) -> tuple[str, ...]:
        """Every language that has a folder, sorted."""
        if self._locales is None:
            found = (folder for directory in self._directories if directory.is_dir() for folder in directory.iterdir())
            self._locales = tuple(sorted({f.name for f in found if f.is_dir() and f.name[0] not in "._"}))
        return self._locales

    def render(self, name: NoticeName, locale: str, facts: Facts) -> Rendered:
        """The notice in `locale`, else in the nearest language that has it: fr-CA, fr, the service's, English.

        Raises PermanentError that names the template and the line when a template is missing or broken.
        """
        spoken = self._spoken(name, locale)
        try:
            values = _values(facts, spoken)
            subject = compose.clean(self._text.get_template(f"{spoken}/{name}/subject.txt").render(values))
            text = self._text.get_template(f"{spoken}/{name}/body.txt").render(values)
            html = self._html.get_template(f"{spoken}/{name}/body.html").render(values, subject=subject)
        except _BROKEN as error:
            raise PermanentError(self._explained(f"{spoken}/{name}", error)) from error
        return Rendered(subject, _tidied(text), self._inliner.inline(html), spoken)

    def problems(self) -> list[str]:
        """Everything that `triaged check` should say: files missing in a locale, templates that do not render."""
        if not self.locales():
            return [f"no templates in {self._places()}: reinstall triaged, or correct [service] templates"]
        return [
            problem for locale in self.locales() for name in NoticeName for problem in self._problems_of(name, locale)
        ]

    def _problems_of(self, name: NoticeName, locale: str) -> Iterator[str]:
        missing = [part for part in PARTS if not self._has(f"{locale}/{name}/{part}")]
        yield from (f"{locale}/{name}/{part} is missing: copy it from another locale" for part in missing)
        for facts in () if missing else _situations(name):
            try:
                self.render(name, locale, facts)
            except PermanentError as error:
                yield str(error)
                return

    def _spoken(self, name: NoticeName, locale: str) -> str:
        for wish in (locale, locale.replace("_", "-").partition("-")[0], self._fallback, LAST_LOCALE, *self.locales()):
            if wish in self.locales() and all(self._has(f"{wish}/{name}/{part}") for part in PARTS):
                return wish
        raise PermanentError(f"no templates for {name} in any language in {self._places()}: see `triaged check`")

    def _has(self, template: str) -> bool:
        try:
            self._text.get_template(template)
        except jinja2.TemplateNotFound as error:
            return error.name != template
        except jinja2.TemplateError:
            return True  # it is there and broken: rendering says where
        return True

    def _places(self) -> str:
        return ", ".join(str(directory) for directory in self._directories)

    def _explained(self, where: str, error: Exception) -> str:
        if isinstance(error, jinja2.TemplateNotFound):
            return f"template {where} asks for {error.name}, which is not in {self._places()}"
        if isinstance(error, jinja2.TemplateSyntaxError):
            return f"template {error.name} line {error.lineno}: {error.message}"
        return f"template {_line_of(error) or where}: {error}"


_BLANKS = re.compile("[ \\n]+")
_VALUES = frozenset({Facts, Due, Written, ContractFacts, FindingFacts, CountryNote, SparesFacts})
_OPEN = _VALUES | {jinja2.environment.TemplateModule}

# --- Jinja --------------------------------------------------------------------------------------------------------


class _Environment(ImmutableSandboxedEnvironment):
    """Restricted, strict, and with paths relative to the naming template, so that a locale can be copied whole."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Our own values and macros hold nothing to protect but what begins with `_`: half the time of a mail."""
        if type(obj) in _OPEN and not attribute.startswith("_"):
            try:
                return getattr(obj, attribute)
            except AttributeError:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def join_path(self, template: str, parent: str) -> str:
        return normpath(join(dirname(parent), template)) if template.startswith("../") else template


def _environment(directories: Sequence[Path], *, html: bool) -> _Environment:
    environment = _Environment(
        loader=jinja2.FileSystemLoader([str(directory) for directory in directories]),
        autoescape=html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.filters.update(_FILTERS)
    environment.filters.update({"strong": _strong, "whole": _whole} if html else {"strong": str, "whole": str})
    return environment


def _line_of(error: BaseException) -> str:
    """`fr/ticket_opened/body.txt line 12`: the innermost template frame of the traceback."""
    place, trace = "", error.__traceback__
    while trace:
        name = trace.tb_frame.f_globals.get("__jinja_template__") or trace.tb_frame.f_code.co_filename
        if isinstance(name, str) and name.endswith((".txt", ".html", ".jinja")):
            place = f"{name} line {trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _values(facts: Facts, locale: str) -> dict[str, Any]:
    place = _place(locale, facts.timezone)
    return {
        "mail": _cleaned(facts),
        "locale": locale,
        "direction": place.babel.text_direction,
        "timezone": facts.timezone,
        "city": place.city,
        "_place": place,
    }


@dataclass(frozen=True, slots=True)
class _Place:
    """How a reader writes and which clock he reads; `city` names the zone in his language."""

    babel: Locale
    zone: ZoneInfo
    city: str


@functools.lru_cache
def _place(locale: str, timezone: str) -> _Place:
    babel, zone = _babel(locale), ZoneInfo(timezone)
    return _Place(babel, zone, dates.get_timezone_location(zone, locale=babel, return_city=True))


def _babel(locale: str) -> Locale:
    try:
        return Locale.parse(locale, sep="-")
    except (ValueError, UnknownLocaleError):
        return Locale.parse(LAST_LOCALE)


def _cleaned(value: Any) -> Any:
    """The facts with every text fit to print, however deep: a partner's subject brings no line end and no hidden
    character."""
    match value:
        case str():
            return compose.clean(value)
        case tuple():
            return tuple(_cleaned(item) for item in value)
        case _ if type(value) in _VALUES:
            changed = {f.name: _cleaned(getattr(value, f.name)) for f in dataclasses.fields(value)}
            return type(value)(**changed)
        case _:
            return value


def _tidied(text: str) -> str:
    """Left-out parts leave no gaps: at most one empty line, none at the ends; the signature's `-- ` keeps its space."""
    lines = (line if line == "-- " else line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


# --- filters ------------------------------------------------------------------------------------------------------


def _strong(value: str) -> Markup:
    return Markup("<strong>{}</strong>").format(value)


def _whole(value: str) -> Markup:
    """Never broken at its hyphen: S1-Critical, EU-000123."""
    return Markup('<span class="whole">{}</span>').format(value) if value else Markup("")


@functools.lru_cache(maxsize=4096)
def _told(form: str, wall: datetime, place: _Place) -> str:
    """A wall clock's time as `full` or `long` date, by skeleton (`MMMEd`) or by pattern (`HH:mm`): text and HTML
    tell the same.

    `wall` is naive: aware times of one instant are equal in every zone, and the cache would mix them up.
    """
    if form in ("full", "long"):
        return dates.format_date(wall, form, locale=place.babel)
    if form == "MMMEd":
        return dates.format_skeleton(form, wall, locale=place.babel)
    return dates.format_time(wall, form, locale=place.babel)


def _local(context: Mapping[str, Any], instant: datetime) -> datetime:
    """The region's wall clock, naive."""
    return instant.astimezone(context["_place"].zone).replace(tzinfo=None)


def _dated(context: Mapping[str, Any], moment: date) -> datetime:
    """The region's wall clock for an instant; a calendar day is the same day in every zone."""
    return _local(context, moment) if isinstance(moment, datetime) else datetime.combine(moment, time.min)


@jinja2.pass_context
def _day(context: Mapping[str, Any], moment: date) -> str:
    """`mercredi 25 novembre 2026`: a calendar day, or an instant's day in the region's zone."""
    return _told("full", _dated(context, moment), context["_place"])


@jinja2.pass_context
def _date(context: Mapping[str, Any], moment: date) -> str:
    """`25 novembre 2026`, for tables."""
    return _told("long", _dated(context, moment), context["_place"])


@jinja2.pass_context
def _shortday(context: Mapping[str, Any], moment: date) -> str:
    """`mer. 25 nov.`: a calendar day, or an instant's day in the region's zone."""
    return _told("MMMEd", _dated(context, moment), context["_place"])


@jinja2.pass_context
def _clock(context: Mapping[str, Any], instant: datetime, pattern: str = "HH:mm") -> str:
    """`10:42` in the region's zone, 24 hours in every language: a deadline must not depend on an AM."""
    return _told(pattern, _local(context, instant), context["_place"])


@jinja2.pass_context
def _utc(context: Mapping[str, Any], instant: datetime) -> str:
    """`09:42 UTC`, with its day where that is another one than in the region."""
    universal = instant.astimezone(UTC).replace(tzinfo=None)
    clock = f"{universal:%H:%M} UTC"
    if universal.date() == _local(context, instant).date():
        return clock
    return f"{_told('MMMEd', universal, context['_place'])} {clock}"


@jinja2.pass_context
def _number(context: Mapping[str, Any], value: int) -> str:
    return _counted(value, context["_place"])


@functools.lru_cache(maxsize=1024)
def _counted(value: int, place: _Place) -> str:
    return numbers.format_decimal(value, locale=place.babel)


@jinja2.pass_context
def _size(context: Mapping[str, Any], value: int) -> str:
    """Bytes as `25 Mo`."""
    return units.format_unit(round(value / 1_000_000, 1), "digital-megabyte", "short", locale=context["_place"].babel)


@jinja2.pass_context
def _country(context: Mapping[str, Any], code: str) -> str:
    """An ISO 3166 code as the language calls the country: `Suisse`."""
    return str(context["_place"].babel.territories.get(code.upper(), code))


def _wrap(value: str, width: int = WIDTH) -> str:
    """One paragraph in lines of `width` columns; addresses stay whole and no-break spaces hold.

    Our own because textwrap takes ten times as long, a tenth of a mail.
    """
    lines = [""]
    for word in _BLANKS.split(value.strip(" \n")):
        if len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return "\n".join(lines)


def _heading(value: str) -> str:
    return value.upper()


def _column(value: str, width: int) -> str:
    return f"{value.strip():<{width}}"


def _lines(value: str) -> list[str]:
    return value.strip().splitlines()


_FILTERS: dict[str, Callable[..., Any]] = {
    "day": _day,
    "date": _date,
    "shortday": _shortday,
    "clock": _clock,
    "utc": _utc,
    "number": _number,
    "size": _size,
    "country": _country,
    "wrap": _wrap,
    "heading": _heading,
    "column": _column,
    "lines": _lines,
    "reply": compose.subject_for,
    "titled": compose.titled,
}

_SAMPLE = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
_FIELDS = ("sku", "licences", "service", *(f"{role}_{part}" for role in Role for part in ("name", "email", "address")))
_CONTRACT = ContractFacts(
    number="SC-000012",
    service="select",
    sku="994-000303",
    years=3,
    licences=1250,
    starts=date(2026, 1, 5),
    ends=date(2029, 1, 4),
    cancellable_until=date(2026, 2, 4),
    po_number="4500012345",
    customer="Acme SA",
    invitation="sent",
)
# Every fact at once, for `problems`: no real situation, but every branch of values.
FULL = Facts(
    ticket="EU-000123",
    subject="CRM",
    reason="large_account",
    region="eu",
    region_name="Europe",
    timezone="Europe/Paris",
    mailbox="desk@vendor.example",
    right_mailbox="desk@eu.vendor.example",
    severity="S1",
    severity_label="S1",
    priority=True,
    tier="large_user",
    service="Zoho CRM",
    licences=640,
    threshold=200,
    excluded_unit="contacts",
    understood=(Written("super_admin", "it@acme.example"),),
    missing=("super_admin",),
    ask=True,
    received_at=_SAMPLE,
    acknowledge=Due(_SAMPLE, _SAMPLE + timedelta(hours=2)),
    determine=Due(_SAMPLE, _SAMPLE + timedelta(hours=6)),
    resolve=Due(_SAMPLE, _SAMPLE + timedelta(hours=24)),
    requester="contact@integra.example",
    partner="Integra",
    account="Acme SA",
    account_zoid="60012345678",
    size_limit=25_000_000,
    desk_name="Support",
    party=Role.CUSTOMER,
    order="ORD-000012",
    po_number="4500012345",
    customer="Acme SA",
    reseller="Integra",
    site="12 quai Gauche, 69002 Lyon",
    contracts=(_CONTRACT, dataclasses.replace(_CONTRACT, starts=None, ends=None, state="cancelled", years=1)),
    repeated=True,
    problems=(
        *(FindingFacts(field, code, "x") for field in _FIELDS for code in (Code.MISSING, Code.INVALID, Code.CONFLICT)),
        FindingFacts("po_number", Code.MISSING),
        FindingFacts("customer_email", Code.NOT_CUSTOMER, "it@integra.example"),
    ),
    warnings=(FindingFacts("customer_email", Code.GROUP_ADDRESS, "it@acme.example"),),
    skus=(("994-000148", "select", 1), ("994-000313", "syncplus", 3), ("994-000323", "warranty", 3)),
    countries=(CountryNote("CH", "RMA within two business days", ("select", "warranty"), "Bern 1"),),
    spares=SparesFacts("Acme Group", 80, 0, 1),
    verb=Verb.CONTRACT_STATUS,
    person="ana@acme.example",
    access="admin",
    link="https://portal.vendor.example/i/12",
    portal="https://portal.vendor.example/",
    code="012345",
    expires_at=_SAMPLE + timedelta(days=30),
    replaces=True,
    undo_until=_SAMPLE + timedelta(hours=24),
    cancellable_until=date(2026, 2, 4),
)


def _situations(name: NoticeName) -> Iterator[Facts]:
    """What `problems` renders of a mail: everything known, nothing known, and what only one of its readers is told."""
    yield from (FULL, Facts())
    for changes in _CHANGES.get(name, ()):
        yield dataclasses.replace(FULL, **changes)


_READERS: tuple[dict[str, Any], ...] = ({"party": Role.RESELLER}, {"party": Role.RESELLER, "site": ""}, {"site": ""})
_CHANGES: dict[NoticeName, tuple[dict[str, Any], ...]] = {
    NoticeName.ORDER_CONFIRMED: (*_READERS, {"repeated": False}),
    NoticeName.INVITATION: ({"requested": True}, {"named_by": "Ana", "access": "reader"}),
    NoticeName.ORDER_PROBLEMS: (
        {"problems": (FindingFacts("po_number", Code.CONFLICT, "4500012345"),)},
        {"problems": (FindingFacts("service", Code.MIXED_SERVICES, "select, warranty"),)},
    ),
    NoticeName.REQUEST_DONE: (
        *({"verb": verb} for verb in Verb),
        {"verb": Verb.ADD_PERSON, "access": "reader"},
        {"verb": Verb.CONTRACT_STATUS, "party": Role.RESELLER},
    ),
    NoticeName.REQUEST_REFUSED: (
        *({"refusal": refusal} for refusal in Refusal),
        {"refusal": Refusal.ALREADY_ACCEPTED, "party": Role.RESELLER},
        {"refusal": Refusal.NOT_ALLOWED, "verb": Verb.ADD_PERSON},
        {"refusal": Refusal.NOT_ALLOWED, "verb": Verb.CANCEL_CONTRACT},
    ),
    NoticeName.CONTRACT_CANCELLED: (*_READERS, {"undone": True}, {"undone": True, "party": Role.RESELLER}),
    NoticeName.CSM_NOTE: ({"spares": SparesFacts("Acme Group", 40, 1, 0)}, {"spares": None}),
}
