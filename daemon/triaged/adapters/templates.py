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
from datetime import UTC, datetime, timedelta
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
        for facts in () if missing else (FULL, Facts()):
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
def _told(form: str, time: datetime, place: _Place) -> str:
    """A wall clock's time as `full` date, by skeleton (`MMMEd`) or by pattern (`HH:mm`); text and HTML tell the same.

    `time` is naive: aware times of one instant are equal in every zone, and the cache would mix them up.
    """
    if form == "full":
        return dates.format_date(time, "full", locale=place.babel)
    if form == "MMMEd":
        return dates.format_skeleton(form, time, locale=place.babel)
    return dates.format_time(time, form, locale=place.babel)


def _local(context: Mapping[str, Any], time: datetime) -> datetime:
    """The region's wall clock, naive."""
    return time.astimezone(context["_place"].zone).replace(tzinfo=None)


@jinja2.pass_context
def _day(context: Mapping[str, Any], time: datetime) -> str:
    """`mercredi 25 novembre 2026`, in the region's zone."""
    return _told("full", _local(context, time), context["_place"])


@jinja2.pass_context
def _shortday(context: Mapping[str, Any], time: datetime) -> str:
    """`mer. 25 nov.`, in the region's zone."""
    return _told("MMMEd", _local(context, time), context["_place"])


@jinja2.pass_context
def _clock(context: Mapping[str, Any], time: datetime, pattern: str = "HH:mm") -> str:
    """`10:42` in the region's zone, 24 hours in every language: a deadline must not depend on an AM."""
    return _told(pattern, _local(context, time), context["_place"])


@jinja2.pass_context
def _utc(context: Mapping[str, Any], time: datetime) -> str:
    """`09:42 UTC`, with its day where that is another one than in the region."""
    universal = time.astimezone(UTC).replace(tzinfo=None)
    clock = f"{universal:%H:%M} UTC"
    if universal.date() == _local(context, time).date():
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
    "shortday": _shortday,
    "clock": _clock,
    "utc": _utc,
    "number": _number,
    "size": _size,
    "wrap": _wrap,
    "heading": _heading,
    "column": _column,
    "lines": _lines,
    "reply": compose.subject_for,
    "titled": compose.titled,
}

_SAMPLE = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
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
)
