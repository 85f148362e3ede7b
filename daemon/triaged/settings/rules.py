"""What the keys must say together: references between tables and files, and what is unsafe however well it is written.

Reads the raw trees, so that these mistakes are told in one go with those inside a table.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from triaged.settings import fields, policy_file, secret
from triaged.settings.locate import KeyPath
from triaged.settings.problems import Document, Report, one_of, suggestion

_URL_SECRET = re.compile(r"://[^/@:]*:.+@|[?&]password=")


def check(
    file: Document, policy: Document | None, inline: Iterable[KeyPath], locales: frozenset[str], report: Report
) -> None:
    """Every rule, every time: none depends on another's being kept."""
    _mailbox_names(file, report)
    _folders(file, report)
    _archives(file, report)
    _transport(file, report)
    _relay_login(file, report)
    _desks_have_senders(file, report)
    _links_have_a_base(file, report)
    _pages_know_their_proxy(file, report)
    _trust(file, report)
    _bounces(file, report)
    _kept_private(file, inline, report)
    _templates(file, locales, report)
    if policy is not None:
        _severities(policy, report)
        _region_codes(policy, report)
        _region_advice(policy, locales, report)
        _services(policy, report)
        _regions_served(file, policy, report)


def _mailbox_names(file: Document, report: Report) -> None:
    seen: dict[str, int] = {}
    for index, mailbox in _tables(file.tree, "mailbox"):
        name = _text(mailbox, "name")
        if name and name.casefold() in seen:
            what = f"the name of mailbox[{seen[name.casefold()]}] already"
            report.problem(file, ("mailbox", index, "name"), what, "give each mailbox its own name", name)
        seen.setdefault(name.casefold(), index)


def _folders(file: Document, report: Report) -> None:
    seen: dict[tuple[object, ...], int] = {}
    for index, mailbox in _tables(file.tree, "mailbox"):
        folder = _text(mailbox, "folder") or "INBOX"
        if _text(mailbox, "archive").casefold() == folder.casefold():
            report.problem(
                file,
                ("mailbox", index, "archive"),
                "the folder that is polled",
                "name another folder, or remove archive to leave handled mail in place",
                mailbox["archive"],
            )
        same = (*(mailbox.get(key) for key in ("host", "port", "username")), folder)
        if all(isinstance(part, str | int) for part in same) and seen.setdefault(same, index) != index:
            report.warning(file, ("mailbox", index), f"polls the same folder as mailbox[{seen[same]}]")


def _archives(file: Document, report: Report) -> None:
    """After a restore mail comes back from an archive into the folder of the mailbox: another's would be its, too."""
    seen: dict[tuple[object, ...], tuple[int, str]] = {}
    for index, mailbox in _tables(file.tree, "mailbox"):
        archive, name = _text(mailbox, "archive"), _text(mailbox, "name")
        place = _text(mailbox, "host").casefold(), mailbox.get("port"), _text(mailbox, "username")
        if not archive or not isinstance(place[1], int):
            continue
        first, other = seen.setdefault((*place, archive.casefold()), (index, name))
        if first != index:
            shared = f"{archive!r} is the archive of {other!r} (mailbox[{first}]), too"
            fix = "give each an archive of its own, because after a restore its mail comes back from there"
            report.warning(file, ("mailbox", index, "archive"), f"{name!r}: {shared}: {fix}")


def _transport(file: Document, report: Report) -> None:
    places = [(("mailbox", index), table) for index, table in _tables(file.tree, "mailbox")]
    for path, table in [*places, *((("smtp",), table) for table in _table(file.tree, "smtp"))]:
        if (
            table.get("security") == "none"
            and isinstance(table.get("host"), str)
            and not fields.is_loopback(table["host"])
        ):
            report.problem(
                file,
                (*path, "security"),
                f"mail and password in clear to {table['host']}",
                'write "tls" or "starttls"; "none" is only for loopback hosts (127.0.0.0/8, ::1, localhost)',
                "none",
            )


def _relay_login(file: Document, report: Report) -> None:
    for smtp in _table(file.tree, "smtp"):
        if bool(smtp.get("username")) != bool(smtp.get("password")):
            lacking = "username" if smtp.get("password") else "password"
            fix = "give both username and password_file, or neither where the relay needs no log-in"
            report.problem(file, ("smtp", lacking), "missing beside its other half", fix)


def _desks_have_senders(file: Document, report: Report) -> None:
    senders = file.tree.get("senders", {})
    needed = {_text(mailbox, "desk") for _, mailbox in _tables(file.tree, "mailbox")} & {"support", "contracts"}
    for desk in sorted(needed - set(senders) if isinstance(senders, dict) and "senders" in file.tree else ()):
        fix = f"add a [senders.{desk}] table with name and address: the From of that desk's mails"
        report.problem(file, ("senders", desk), "missing, and a mailbox has this desk", fix)


def _links_have_a_base(file: Document, report: Report) -> None:
    """A contracts desk invites people to pages: without their address it could invite nobody (row C4)."""
    desks = {_text(mailbox, "desk") for _, mailbox in _tables(file.tree, "mailbox")}
    for service in _table(file.tree, "service"):
        if "contracts" in desks and not service.get("public_url"):
            fix = (
                'add public_url = "https://portal.example": where people reach `triaged web`; invitation links begin so'
            )
            report.problem(file, ("service", "public_url"), "missing, and a mailbox has desk = contracts", fix)


def _pages_know_their_proxy(file: Document, report: Report) -> None:
    """TLS is a proxy's work; without its number every visitor has the proxy's address, and one can lock out all."""
    proxies = next((table.get("proxies", 0) for table in _table(file.tree, "web")), 0)
    desks = {_text(mailbox, "desk") for _, mailbox in _tables(file.tree, "mailbox")}
    for service in _table(file.tree, "service"):
        if "contracts" in desks and str(service.get("public_url", "")).startswith("https://") and proxies == 0:
            report.warning(
                file, ("web", "proxies"), "0 and public_url is https: write how many proxies do TLS in front"
            )


def _trust(file: Document, report: Report) -> None:
    trust = file.tree.get("trust", {})
    if not isinstance(trust, dict):
        return
    require = trust.get("require", True)
    if require is True and not trust.get("authserv_ids"):
        report.problem(
            file,
            ("trust", "authserv_ids"),
            "missing, so nobody could ever be authenticated (require = true)",
            'add authserv_ids = ["mx.vendor.example"]: the name that your border server writes into '
            "Authentication-Results; or require = false to believe From",
        )
    if require is False:
        report.warning(file, ("trust", "require"), "false: From is believed, so anybody can write in a partner's name")


def _bounces(file: Document, report: Report) -> None:
    names = [_text(mailbox, "name") for _, mailbox in _tables(file.tree, "mailbox")]
    for bounce in _table(file.tree, "bounce"):
        name = _text(bounce, "mailbox")
        if name and name not in names:
            fix = f"write the name of a [[mailbox]]: {one_of(names)}; or remove it for no return paths of our own"
            report.problem(file, ("bounce", "mailbox"), f"no such mailbox{suggestion(name, names)}", fix, name)


def _kept_private(file: Document, inline: Iterable[KeyPath], report: Report) -> None:
    """A secret inside a file that every user of the machine can read is no secret."""
    held = list(inline)
    for database in _table(file.tree, "database"):
        if _URL_SECRET.search(_text(database, "url")) and ("database", "url") not in file.origins:
            held.append(("database", "url"))
    if held and secret.open_to_others(file.path):
        report.warning(
            file,
            held[0],
            "a secret in a file that every user of this machine can read: "
            f"chmod 640 {file.path} (owned by the group that runs triaged), or move the secret into its own file",
        )


def _templates(file: Document, locales: frozenset[str], report: Report) -> None:
    for service in _table(file.tree, "service"):
        locale, override = _text(service, "locale"), _text(service, "templates")
        if locale and locales and not _has_templates(locale, locales):
            fix = f"write one of those that have templates: {', '.join(sorted(locales))}"
            report.problem(
                file, ("service", "locale"), f"no templates for it{suggestion(locale, locales)}", fix, locale
            )
        if override and not (file.path.parent / override).is_dir():
            report.warning(file, ("service", "templates"), f"there is no folder {file.path.parent / override} yet")


def _severities(policy: Document, report: Report) -> None:
    severities = policy.tree.get("severity")
    if not isinstance(severities, dict):
        return
    if "S1" not in severities:
        fix = "add [severity.S1]: large-user accounts get it"
        report.problem(policy, ("severity", "S1"), f"missing{suggestion('S1', severities)}", fix)
    default = policy.tree.get("default_severity", "S3")
    if isinstance(default, str) and default not in severities:
        what = f"not defined{suggestion(default, severities)}"
        fix = f"write {one_of(sorted(severities))}, or add [severity.{default or 'S3'}]"
        report.problem(policy, ("default_severity",), what, fix, default)


def _region_codes(policy: Document, report: Report) -> None:
    seen: dict[str, int] = {}
    for index, region in _tables(policy.tree, "region"):
        code = _text(region, "code")
        if code and seen.setdefault(code, index) != index:
            what = f"the code of region[{seen[code]}] already"
            report.problem(policy, ("region", index, "code"), what, "give each region its own code", code)


def _region_advice(policy: Document, locales: frozenset[str], report: Report) -> None:
    for index, region in _tables(policy.tree, "region"):
        if not region.get("associates"):
            report.warning(policy, ("region", index, "associates"), "nobody is told of a new S1 in this region")
        locale = _text(region, "locale")
        if locale and locales and not _has_templates(locale, locales):
            report.warning(
                policy, ("region", index, "locale"), f'no templates for "{locale}": the last fallback is used'
            )


def _services(policy: Document, report: Report) -> None:
    services = policy.tree.get("services")
    if not isinstance(services, dict):
        return
    aliases = {name: _texts(table.get("aliases")) for name, table in services.items() if isinstance(table, dict)}
    for alias, name, owner in policy_file.shared_aliases(aliases):
        path = ("services", name, "aliases", aliases[name].index(alias))
        report.problem(policy, path, f'names "{owner}" too', "let each alias stand for one service", alias)


def _regions_served(file: Document, policy: Document, report: Report) -> None:
    codes = [_text(region, "code") for _, region in _tables(policy.tree, "region")]
    served: set[str] = set()
    for index, mailbox in _tables(file.tree, "mailbox"):
        for position, code in enumerate(_texts(mailbox.get("regions"))):
            served.add(code)
            if code not in codes:
                what = f"no such region{suggestion(code, codes)}"
                fix = f"write one of {', '.join(codes) or 'the regions'} or add the region to {policy.path}"
                report.problem(file, ("mailbox", index, "regions", position), what, fix, code)
    for index, region in _tables(policy.tree, "region"):
        if _text(region, "code") not in served:
            report.warning(policy, ("region", index), f"{_text(region, 'code')}: no mailbox serves this region")


def _has_templates(locale: str, locales: frozenset[str]) -> bool:
    return locale in locales or re.split("[-_]", locale)[0] in locales


# --- the raw trees, where anything may be of any type


def _tables(tree: Mapping[str, Any], key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    value = tree.get(key)
    items = value if isinstance(value, list) else []
    return ((index, item) for index, item in enumerate(items) if isinstance(item, dict))


def _table(tree: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    value = tree.get(key)
    return iter([value] if isinstance(value, dict) else [])


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def locales(folders: Iterable[Path | None]) -> frozenset[str]:
    """The locales that have templates: the folders' own folders, without `_layout` and the like."""
    existing = (folder for folder in folders if folder is not None and folder.is_dir())
    return frozenset(
        entry.name for folder in existing for entry in folder.iterdir() if entry.is_dir() and entry.name[0] not in "_."
    )
