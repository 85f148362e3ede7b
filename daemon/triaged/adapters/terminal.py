"""What people read in a terminal: the only door to rich. Plain text where stdout is no terminal or NO_COLOR is set.

Everything that a stranger may have written is escaped before it gets here: rich's markup is never parsed.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from triaged import log
from triaged.domain.message import Line, Message, Passage, Place
from triaged.domain.references import Reference

_VERDICT_STYLE = {"ticket": "bold green", "update": "bold cyan", "quarantine": "bold red", "bounce": "yellow"}
_LEVEL_STYLE = {"ok": "green", "warn": "yellow", "FAIL": "bold red"}
_BAR = 24
_PIPED = 1000  # columns of a table that goes into a pipe
_WHOLE = 40  # lines of a passage that are shown in full
_SPACES = {0xA0: " ", 0x202F: " "}  # French writes them before a colon; a terminal shows them as they are or not at all


def console(stderr: bool = False) -> Console:
    """A console as wide as the terminal; 100 columns where there is none, so that logs and pipes wrap alike."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, markup=False, width=None if stream.isatty() else 100)


def _wide() -> Console:
    """For what is one line each: nothing is folded where stdout is no terminal, so that it can be searched."""
    out = console()
    return out if out.is_terminal else Console(file=sys.stdout, highlight=False, markup=False, width=_PIPED)


def say(text: str = "", style: str = "") -> None:
    console().print(Text(log.escape(text), style=style))


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], empty: str = "nothing here") -> None:
    """Aligned columns with a header; `empty` where there are no rows."""
    kept = [[_plain(value) for value in row] for row in rows]
    if not kept:
        say(empty, "dim")
        return
    view = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for header in headers:
        view.add_column(header, overflow="fold")
    for row in kept:
        view.add_row(*(Text(value) for value in row))
    _wide().print(view)


def facts(pairs: Iterable[tuple[str, object]], title: str = "") -> None:
    """Name and value a line, values aligned; with `title` in a frame."""
    grid = _grid((name, Text(_plain(value))) for name, value in pairs)
    console().print(Panel(grid, title=Text(log.escape(title)), title_align="left") if title else grid)


def rule(title: str) -> None:
    console().print(Rule(Text(log.escape(title)), align="left", style="dim"))


def checked(level: str, name: str, text: str, fix: str = "") -> None:
    """One line of `check`: ok | warn | FAIL, what, and the fix."""
    line = Text.assemble((f"{level:<4} ", _LEVEL_STYLE[level]), (f"{name:<22} ", "bold"), log.escape(text))
    if fix:
        line.append(f"\n     → {log.escape(fix)}", style="italic")
    _wide().print(line, soft_wrap=True)


def mail(subject: str, pairs: Iterable[tuple[str, object]], body: str) -> None:
    """A mail as its reader sees it: some header fields, then the text."""
    head = _grid((name, Text(_plain(value))) for name, value in pairs)
    text = Text("\n".join(_plain(line.translate(_SPACES)) if line else "" for line in body.splitlines()))
    console().print(
        Panel(Group(head, Rule(style="dim"), text), title=Text(log.escape(subject), style="bold"), title_align="left")
    )


def marked(message: Message, evidence: Sequence[Reference]) -> None:
    """The mail with what was found in it: every line that holds evidence, its neighbours, and the value marked."""
    found: dict[str, list[str]] = {}
    for reference in evidence:
        found.setdefault(reference.where, []).append(reference.value)
    view = Table.grid(padding=(0, 1))
    for passage in (message.subject_passage, *message.new, *message.attached, *message.quoted):
        for line in _near(passage, found):
            where = passage.where(line.number)
            view.add_row(Text(where, style="dim"), Text("│", style="dim"), _with_marks(line.text, found.get(where, ())))
    sender = message.sender.address if message.sender else "nobody that could be read"
    console().print(Panel(view, title=Text(log.escape(f"from {sender}")), title_align="left"))


def _near(passage: Passage, found: Mapping[str, Sequence[str]]) -> list[Line]:
    """Short passages whole; of long ones, and of all quoted text, the lines around what was found."""
    if len(passage.lines) <= _WHOLE and passage.place is not Place.QUOTED:
        return [line for line in passage.lines if line.text.strip()]
    hits = [line.number for line in passage.lines if passage.where(line.number) in found]
    return [line for line in passage.lines if any(abs(line.number - hit) <= 1 for hit in hits)]


def _with_marks(text: str, values: Iterable[str]) -> Text:
    """The line with its values reversed; a value that is written otherwise than it reads marks the whole line."""
    shown = Text(log.escape(text.translate(_SPACES)))
    for value in values:
        if not shown.highlight_words([value], "reverse bold", case_sensitive=False):
            shown.stylize("reverse bold")
    return shown


def decision(receipt: Mapping[str, Any], heading: str) -> None:
    """The way of one mail: sender → evidence → account → licences against the threshold → severity → mails."""
    rows: list[tuple[str, RenderableType]] = [
        ("sender", _sender(receipt["sender"])),
        ("trust", Text(_plain(receipt.get("trust")))),
        ("evidence", _evidence(receipt["evidence"])),
        ("account", _account(receipt["account"])),
        ("licences", _licences(receipt)),
        ("service", Text(_plain(receipt["service"]))),
        ("severity", _severity(receipt)),
        ("missing", Text(", ".join(receipt["missing"]) or "-")),
        ("mails", _mails(receipt["notices"])),
        ("decision", _verdict(receipt)),
    ]
    opened = receipt["decision"] in ("ticket", "update")
    because = Text("\n".join(log.escape(step["finding"]) for step in receipt["steps"]))
    kept = rows if opened else [*rows[:2], ("because", because), *rows[-2:]]
    console().print(Panel(_grid(kept), title=Text(log.escape(heading), style="bold"), title_align="left"))


def steps(receipt: Mapping[str, Any]) -> None:
    """Each rule with its inputs, then what was seen and not counted, and why."""
    console().print(_grid((step["rule"], Text(log.escape(step["finding"]))) for step in receipt["steps"]))
    if receipt["excluded"]:
        say("not counted", "bold")
        console().print(
            _grid((step["rule"], Text(log.escape(step["finding"]), style="dim")) for step in receipt["excluded"])
        )


def _grid(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(name), value)
    return grid


def _plain(value: object) -> str:
    match value:
        case None | "" | [] | ():
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        case list() | tuple():
            return ", ".join(_plain(one) for one in value)
        case _:
            return log.escape(str(value))


def _sender(sender: Mapping[str, Any] | None) -> Text:
    if sender is None:
        return Text("nobody that could be read", style="yellow")
    who = sender["partner"] or "no registered partner"
    vouched = ("authenticated", "green") if sender["authenticated"] else ("not authenticated", "yellow")
    return Text.assemble(log.escape(sender["address"]), " · ", log.escape(who), " · ", vouched)


def _evidence(evidence: Sequence[Mapping[str, str]]) -> RenderableType:
    if not evidence:
        return Text("none", style="yellow")
    grid = Table.grid(padding=(0, 2))
    for found in evidence:
        grid.add_row(
            Text(found["kind"], style="cyan"),
            Text(log.escape(found["value"]), style="bold"),
            Text(log.escape(found["where"]), style="dim"),
        )
    return grid


def _account(account: Mapping[str, str] | None) -> Text:
    if account is None:
        return Text("none", style="yellow")
    return Text.assemble((log.escape(account["name"]), "bold"), f" · ZOID {account['zoid']} · via {account['via']}")


def _licences(receipt: Mapping[str, Any]) -> Text:
    """The number against its thresholds: the scale ends at twice the large one."""
    count, limits = receipt["licences"], receipt["thresholds"]
    if count is None or not limits:
        return Text("-")
    large = limits["large_user"]
    filled = min(_BAR, round(_BAR * count / (2 * large))) if large else _BAR
    bar = "".join("█" if place < filled else "░" for place in range(_BAR))
    style = "red" if count >= large else "cyan"
    scale = f"  key from {limits['key_account']}, large from {large} → {receipt['tier']}"
    return Text.assemble((f"{count} ", "bold"), (bar, style), scale)


def _severity(receipt: Mapping[str, Any]) -> Text:
    flag = ("  ⚑ priority customer – large-user account", "bold red") if receipt["priority_large_user"] else ""
    return Text.assemble((_plain(receipt["severity"]), "bold red" if receipt["priority_large_user"] else "bold"), flag)


def _mails(notices: Sequence[Mapping[str, Any]]) -> Text:
    if not notices:
        return Text("none", style="dim")
    return Text("\n".join(f"{n['name']} → {', '.join(n['to'])} ({n['locale']})" for n in notices))


def _verdict(receipt: Mapping[str, Any]) -> Text:
    words = [receipt["decision"], *([receipt["ticket"]] if receipt["ticket"] else [])]
    tail = " · in review" if receipt["review"] else ""
    linked = f" · linked to {receipt['linked']}" if receipt["linked"] else ""
    return Text.assemble(
        (" ".join(words), _VERDICT_STYLE.get(receipt["decision"], "bold")), f" · {receipt['reason']}{tail}{linked}"
    )
