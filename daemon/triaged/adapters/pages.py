"""The words of our web pages: Jinja2 restricted and strict as for the mails, but by itself: a page has no text part, no
CSS written into elements, and its markup (`_pages/*.html`) is one for all languages, its words `<locale>/_pages.jinja`.

Found in the operator's directories first, then among those that we ship. Dates by Babel, in the reader's language.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
from babel import Locale, UnknownLocaleError, dates, numbers
from jinja2.sandbox import ImmutableSandboxedEnvironment

from triaged.domain.errors import PermanentError

LAST_LOCALE = "en"
STYLE = "_pages/page.css"
_BROKEN = (jinja2.TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Pages:
    """Renders every page. `directories`: the operator's first, ours last; read once. Safe to share between threads."""

    def __init__(self, directories: Sequence[Path], fallback: str = LAST_LOCALE) -> None:
        self.directories = tuple(directories)
        self._fallback = fallback
        self._environment = _environment(self.directories)

    @functools.cached_property
    def locales(self) -> tuple[str, ...]:
        """Every language that pages are written in, sorted."""
        found = (place for directory in self.directories for place in directory.glob("*/_pages.jinja"))
        return tuple(sorted({place.parent.name for place in found}))

    @functools.cached_property
    def style(self) -> str:
        """The one stylesheet."""
        return self._source(STYLE)

    def spoken(self, *wishes: str) -> str:
        """The first of the wishes, as it is or without its country, that pages are written in; else the service's."""
        known = {locale.lower(): locale for locale in self.locales}
        for wish in (*wishes, self._fallback, LAST_LOCALE):
            plain = wish.replace("_", "-").lower()
            for tag in (plain, plain.partition("-")[0]):
                if tag in known:
                    return known[tag]
        return self.locales[0] if self.locales else LAST_LOCALE

    def render(self, page: str, locale: str, values: Mapping[str, Any]) -> str:
        """The page `_pages/<page>.html` in `locale`. Raises PermanentError that names a broken template."""
        babel = _babel(locale)
        frame = {"locale": locale, "direction": babel.text_direction, "languages": self._languages(), "_babel": babel}
        try:
            return self._environment.get_template(f"_pages/{page}.html").render({**values, **frame})
        except _BROKEN as error:
            raise PermanentError(f"page _pages/{page}.html in {locale}: {type(error).__name__}: {error}") from error

    def problems(self) -> list[str]:
        """Everything that `triaged check` should say: sentences that a language lacks, templates that do not parse."""
        wanted = {name for locale in self.locales for name in self._sentences(locale)}
        found = []
        for locale in self.locales:
            found += [
                f"{locale}/_pages.jinja lacks the macro {name}: copy it from another language and translate it"
                for name in sorted(wanted - self._sentences(locale))
            ]
        for path in sorted({file.name for place in self.directories for file in place.glob("_pages/*.html")}):
            try:
                self._environment.get_template(f"_pages/{path}")
            except jinja2.TemplateError as error:
                found.append(f"_pages/{path}: {error}")
        return found

    def _sentences(self, locale: str) -> frozenset[str]:
        try:
            module = self._environment.get_template(f"{locale}/_pages.jinja").make_module()
        except jinja2.TemplateError:
            return frozenset()  # every sentence is then named as missing
        return frozenset(name for name, value in vars(module).items() if callable(value))

    def _languages(self) -> tuple[tuple[str, str], ...]:
        """(code, what its own speakers call it)."""
        return tuple((locale, _own_name(locale)) for locale in self.locales)

    def _source(self, name: str) -> str:
        assert self._environment.loader is not None  # we gave it one
        try:
            return self._environment.loader.get_source(self._environment, name)[0]
        except jinja2.TemplateNotFound as error:
            places = ", ".join(map(str, self.directories))
            raise PermanentError(f"{name} is not in {places}: reinstall triaged") from error


class _Environment(ImmutableSandboxedEnvironment):
    """Restricted and strict; names are whole paths from the top."""


def _environment(directories: Sequence[Path]) -> _Environment:
    environment = _Environment(
        loader=jinja2.FileSystemLoader([str(directory) for directory in directories]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.filters.update(_FILTERS)
    return environment


def _babel(locale: str) -> Locale:
    try:
        return Locale.parse(locale, sep="-")
    except (ValueError, UnknownLocaleError):
        return Locale.parse(LAST_LOCALE)


@functools.cache
def _own_name(locale: str) -> str:
    name = _babel(locale).get_display_name() or locale
    return name[:1].upper() + name[1:]


# --- filters ----------------------------------------------------------------------------------------------------------


@jinja2.pass_context
def _day(context: Mapping[str, Any], day: date) -> str:
    """`25 novembre 2026`: a calendar day, in no zone."""
    return dates.format_date(day, "long", locale=context["_babel"])


@jinja2.pass_context
def _shortday(context: Mapping[str, Any], day: date) -> str:
    """`25 nov. 2026`: for a table."""
    return dates.format_date(day, "medium", locale=context["_babel"]).replace(" ", "\u00a0")


@jinja2.pass_context
def _instant(context: Mapping[str, Any], time: datetime, timezone: str) -> str:
    """`mercredi 25 novembre 2026, 10:42 (Paris)`: 24 hours in every language, and whose clock it is."""
    babel, zone = context["_babel"], ZoneInfo(timezone)
    local = time.astimezone(zone).replace(tzinfo=None)
    told = f"{dates.format_date(local, 'full', locale=babel)}, {local:%H:%M}"
    city = dates.get_timezone_location(zone, locale=babel, return_city=True)
    return f"{told} ({'UTC' if timezone in ('UTC', 'Etc/UTC') else city})"


@jinja2.pass_context
def _number(context: Mapping[str, Any], value: int) -> str:
    return numbers.format_decimal(value, locale=context["_babel"])


_FILTERS: dict[str, Callable[..., Any]] = {"day": _day, "shortday": _shortday, "instant": _instant, "number": _number}
