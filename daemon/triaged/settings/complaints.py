"""What pydantic found, in words for the operator: each complaint with its key, its value and the fix."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from triaged.settings import fields, shape
from triaged.settings.locate import KeyPath
from triaged.settings.problems import Document, Report, dotted, one_of, suggestion
from triaged.settings.secret import Secret

# How a key is written, for those that have no default.
_EXAMPLES = {
    "domain": '"support.example"',
    "url": '"sqlite:////var/lib/triaged/triaged.db"',
    "desk": '"support"',
    "address": '"partner-support@vendor.example"',
    "regions": '["eu", "uk"]',
    "host": '"mail.vendor.example"',
    "username": '"partners-eu"',
    "timezone": '"Europe/Paris"',
    "locale": '"fr"',
    "acknowledge": '{ target = "1h", limit = "3h" }',
    "determine": '{ target = "2h", limit = "8h" }',
    "resolve": '{ target = "24h", limit = "48h" }',
    "target": '"1h"',
    "limit": '"3h"',
    "code": '"eu"',
    "service": '"select"',
    "years": "3",
}
_TYPES = {
    "string_type": ("not text", 'write it in quotes: {key} = "…"'),
    "int_type": ("not a whole number", "write a number without quotes: {key} = 50"),
    "bool_type": ("neither true nor false", "write true or false, without quotes"),
    "tuple_type": ("not a list", "write it in brackets: {key} = […]"),
    "dict_type": ("not a table", "give it its own [{path}] line"),
    "dataclass_type": ("not a table", "give it its own [{path}] line"),
    "too_short": ("an empty list", "write at least one item"),
}


def validated(kind: type, document: Document, report: Report) -> Any | None:
    """The file's tree as a value of `kind`, or None with every complaint reported."""
    try:
        return TypeAdapter(kind).validate_python(document.tree, context={"folder": document.path.parent})
    except ValidationError as error:
        found = error.errors(include_url=False)
    for complaint in found:
        _tell(complaint, kind, document, report)
    return None


def _tell(complaint: Any, kind: type, document: Document, report: Report) -> None:
    path: KeyPath = complaint["loc"]
    match complaint["type"]:
        case "unexpected_keyword_argument":
            what, fix = _unknown(path, shape.at(kind, path[:-1]))
            report.problem(document, path, what, fix)
        case "missing":
            report.problem(document, path, *_missing(path, shape.at(kind, path)))
        case _:
            report.problem(document, path, *_wrong(complaint, path), complaint["input"])


def _unknown(path: KeyPath, table: Any) -> tuple[str, str]:
    key = str(path[-1])
    if key == "oauth2":
        return "not supported yet", "log in with username and password_file until it is"
    known = [name for name in shape.keys(table) if name != key] if shape.is_table(table) else []
    return f"unknown key{suggestion(key, known)}", f"known here: {', '.join(known)}"


def _missing(path: KeyPath, hint: Any) -> tuple[str, str]:
    key = str(path[-1])
    if hint is Secret:
        return "missing", f'add {key}_file = "/path/to/file", or a systemd credential, or {key} = "…"'
    if key in ("key_account", "large_user"):
        return "missing; a region without thresholds refuses to start", f"add {key} = NUMBER OF LICENCES to the region"
    if shape.is_table(shape.inside(hint, 0)):
        return "missing", f"add at least one [[{key}]] table"
    if shape.is_table(hint) and key not in _EXAMPLES:
        return "missing", f"add a [{dotted(path)}] table"
    return "missing", f"add {key} = {_EXAMPLES.get(key, chr(34) + '…' + chr(34))}"


def _wrong(complaint: Any, path: KeyPath) -> tuple[str, str]:
    context = complaint.get("ctx", {})
    key = next((str(part) for part in reversed(path) if isinstance(part, str)), "")
    match complaint["type"]:
        case fields.FIX:
            return context["what"], context["fix"]
        case "literal_error":
            words = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
            return f"not one of them{suggestion(complaint['input'], words)}", f"write {one_of(words)}"
        case "greater_than_equal":
            return "too small", f"write {context['ge']} or more"
        case "less_than_equal":
            return "too large", f"write {context['le']} or less"
        case "tuple_type" if isinstance(complaint["input"], dict):
            return "one table where several may stand", f"write [[{key}]] with two brackets"
        case other:
            what, fix = _TYPES.get(other, (complaint["msg"], "see the commented config/ files"))
            return what, fix.format(key=key, path=dotted(path))
