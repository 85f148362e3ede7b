"""Which lines did the sender write now, and which only quote? One linear pass over lines, steered by word tables.

Libraries for this hang on a hostile mail of 60 kB and read few languages, so the scanner is our own. A *marker* opens
quoted text: an attribution ("Le … a écrit :", over 1-5 lines), a separator ("-----Original Message-----"), a block of
header labels (De/Envoyé/À/Objet). What follows decides how the quote is written: where the next line begins with `>`,
only such lines are quoted (so answers between and below stay new); else all the rest is. Nothing else is removed: a
signature, a greeting or "Sent from my phone" is new text. A mail that only quotes is its own content: a partner who
forwards without a word sends the customer's mail, so its first section counts as new.

Every pattern is anchored or bounded and every line cut at 1,000 characters, so time grows with size, not its square.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from triaged.domain import notices

_LINE_LIMIT = 1_000
_ATTRIBUTION_LINES = 5
_ATTRIBUTION_LENGTH = 600
_BLOCK_LINES = 14
_FORM_LINES = 40
_MARKED_LINES = 20_000  # below these no marker is looked for: a person writes fewer, and a hostile mail costs a second

# --- lines, cleaned --------------------------------------------------------------------------------------------

_BLANKS = dict.fromkeys(map(ord, "\u00a0\u1680\u2007\u202f\u205f\u3000\t"), " ") | dict.fromkeys(
    map(
        ord, "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\u00ad\r"
    ),
    None,
)
# "> ", ">>", "C>" (initials), the full-width sign; not mbox's ">From " nor an arrow.
_PREFIX = re.compile(r"(?!>+From )(?:[A-Z][A-Za-z]{0,2}(?=> ))?[>＞]")
_PREFIXES = re.compile(r"^(?:\s{0,3}(?:[A-Z][A-Za-z]{0,2}(?=> ))?[>＞]){1,40}\s{0,3}")

# --- attributions ----------------------------------------------------------------------------------------------

_VERBS_LAST = (
    r"wrote|writes"  # en
    r"|a écrit|a ecrit|écrit"  # fr; the last is Zoho Mail's
    r"|escribió|escribio"  # es
    r"|ha scritto|scrive"  # it
    r"|escreveu"  # pt
    r"|napisał\(a\)|napisał[ao]?|napisal\(a\)|pisze"  # pl
    r"|さんは書きました|が書きました|書きました|のメール"  # ja
    r"|folgendes geschrieben|volgende geschreven"  # de and nl of Yahoo and Apple, the verb torn apart
    r"|napsal\(a\)|napsal|írta|a scris|yazdı|έγραψε|написал\(а\)|написал|пишет?|写道|寫道|작성"
)
_VERBS_INSIDE = r"schrieb|hat geschrieben|schreibt|schreef|heeft geschreven|skrev|kirjoitti"  # de nl sv da no fi
_VERBS = rf"{_VERBS_LAST}|{_VERBS_INSIDE}"
_ON = r"(?:on|le|am|den|el|il|em|op|w dniu|dnia|no dia)"
_WEEKDAY = r"(?:[^\W\d]{2,12}[.,]{0,2}\s{1,2}){0,2}"
_DATE = re.compile(
    r"\d{1,2}\s?[:.h時]\s?\d{2}(?!\d)|(?<!\d)(?:19|20)\d{2}(?!\d)|(?<!\d)\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?!\d)"
)
_ADDRESS = re.compile(r"[<(\[](?:mailto:)?[^\s@<>()\[\]]{1,120}@[^\s@<>()\[\]]{1,120}[>)\]]")
_SAYS = re.compile(rf"{_VERBS}|wiadomość napisana")
# "On Wed, 14", "Le 14/10", "mer. 14 oct.", "2026年10月": how an attribution's first line begins
_BEGINS = re.compile(rf"\W{{0,12}}(?:{_ON}\b\D{{0,40}}\d|{_WEEKDAY}\d{{1,4}}[./年\- ]\s?[\w月]{{1,12}})")
_BEGINS_WITH_DATE = re.compile(
    rf"\W{{0,4}}{_WEEKDAY}(?:\d{{4}}[-/.年]\s?\d{{1,2}}[-/.月]|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2}})"
)
_SAYS_LAST = re.compile(
    rf"(?<!\w)(?:{_VERBS_LAST})\W{{0,8}}$|(?:さんは書きました|が書きました|のメール|写道|寫道)\W{{0,4}}$"
)
# "schrieb Name:", "schreef Naam <a@b>:", but not "schrieb uns der Kunde, dass …:"
_SAYS_INSIDE = re.compile(
    rf"(?<!\w)(?:{_VERBS_INSIDE})(?!\w)"
    rf"(?:.{{0,120}}{_ADDRESS.pattern}|(?! (?:uns|mir|ihr|der|die|das|ons|mij|het)\b).{{0,60}}$)"
)
# "Name <a@b> wrote:", "Name <a@b> schrieb am 14.10.2026:"
_SAID_BY_ADDRESS = re.compile(
    rf"@[^\s@<>()\[\]]{{1,120}}[>)\]\"']{{0,3}}\s?,?\s?(?:{_VERBS})\s?(?:\W{{0,3}}$|{_ON}\s\D{{0,20}}\d)"
)
# "Name/Firm wrote on 14.10.2026 10:00:00:" (Notes), "Wiadomość napisana przez Name w dniu 14.10.2026:" (Apple)
_SAID_ON = re.compile(
    r"wiadomość napisana przez .{1,160} w dniu \d"
    rf"|\W{{0,6}}(?:[^\s:]{{1,60}}\s){{1,6}}(?:{_VERBS})\s{_ON}\s\D{{0,20}}\d"
)
# "---- On Wed, … wrote ----" (Zoho Mail), "-----Name/Firm schrieb: -----" (Notes)
_SAID_IN_DASHES = re.compile(rf"-{{3,60}}\s?[^\s-].{{1,400}}(?<!\w)(?:{_VERBS})\s?:?\s?-{{3,60}}$")
# The quoted text begins on the attribution's own line.
_SAID_AND_GOES_ON = re.compile(rf"\W{{0,12}}{_ON}\b.{{0,200}}[>)\]]\s?,?\s?(?:{_VERBS})\s?[:：]\s?\S")
# The attribution begins on the new text's own line, behind dashes or a sentence's end.
_GLUED = re.compile(rf"(?:(?<!-)-{{2,60}}|[.!?…])\s{{0,3}}({_ON}\b\D{{0,40}}\d)")

# --- separators ------------------------------------------------------------------------------------------------

_SEPARATORS = (
    r"original message|original appointment|forwarded message|begin forwarded message|forwarded by"  # en
    r"|message d'origine|message original|message initial|message transféré|message transmis|transféré par"  # fr
    r"|début du message (?:transféré|réexpédié)"
    r"|ursprüngliche nachricht|original-?nachricht|ursprünglicher termin|weitergeleitete nachricht"  # de
    r"|anfang der weitergeleiteten (?:nachricht|e-mail)|weitergeleitet von"
    r"|mensaje original|mensaje reenviado|inicio del mensaje reenviado|reenviado por"  # es
    r"|messaggio originale|messaggio inoltrato|inizio(?: del)? messaggio inoltrato|inoltrato da"  # it
    r"|mensagem original|mensagem (?:re)?encaminhada|início da mensagem (?:re)?encaminhada|encaminhado por"  # pt
    r"|oorspronkelijk bericht|origineel bericht|doorgestuurd bericht|begin doorgestuurd bericht|doorgestuurd door"  # nl
    r"|wiadomość oryginalna|oryginalna wiadomość|treść oryginalnej wiadomości|wiadomość przekazana"  # pl
    r"|przekazana wiadomość|początek przekazywanej wiadomości|przekazane przez"
    r"|元のメッセージ|オリジナルメッセージ|転送(?:された|済み)?メッセージ(?:を開始)?"  # ja
)
_DRAWN = r"[-–—_=*~+#]"
_SEPARATOR = re.compile(
    rf"{_DRAWN}{{2,80}}\s{{0,3}}(?:{_SEPARATORS})|\W{{0,3}}(?:{_SEPARATORS})\s{{0,2}}[:：]?\W{{0,3}}$"
    r"|#{2,}\s?-.*-\s?#{2,}$"  # "##- please write above this line -##"
)
_GLUED_SEPARATOR = re.compile(rf"(?<!{_DRAWN}){_DRAWN}{{3,80}}\s{{0,3}}(?:{_SEPARATORS})\s{{0,3}}{_DRAWN}")
_RULE = re.compile(rf"{_DRAWN}{{5,}}$")

# --- header labels ---------------------------------------------------------------------------------------------


class Label(StrEnum):
    """What a line of a quoted mail's header names."""

    FROM = "from"
    SENT = "sent"
    TO = "to"
    COPY = "copy"
    SUBJECT = "subject"
    OTHER = "other"


_LABELS = {
    Label.FROM: r"from|de|von|da|van|od|absender|expéditeur|remitente|remetente|mittente|afzender|nadawca"
    r"|差出人|送信者",
    Label.SENT: r"sent|date|envoyée?(?: le)?|gesendet(?: am)?|datum|enviad[oa](?: el| em)?|fecha|data(?: wysłania)?"
    r"|inviato(?: il)?|verzonden|wysłano|送信日時|日時|日付",
    Label.TO: r"to|à|a|pour|an|para|per|aan|do|destinataires?|empfänger|destinatari[oa]|ontvanger|adresat"
    r"|宛先",
    Label.COPY: r"b?cc|cci|kopie(?: \(cc\))?|copie(?: à)?|copia|kopia|cópia|dw|udw",
    Label.SUBJECT: r"subject|objet|sujet|betreff|asunto|oggetto|assunto|onderwerp|temat|件名",
    Label.OTHER: r"reply-to|répondre à|antwort an|responder a|importance|priorité|wichtigkeit|attachments?|organization"
    r"|pièces? jointes?|anlagen?|gesendet von|sent by|envoyé par|signed by|mailing list|x-mailer|message-id",
}
_LABEL = re.compile(
    r"\W{0,6}?(?:" + "|".join(rf"(?P<{label}>{words})" for label, words in _LABELS.items()) + r")\s?\*{0,2}\s?[:：]"
)
_IN_LINE = {
    label: re.compile(rf"(?<!\w)(?:{_LABELS[label]})\s?\*{{0,2}}\s?[:：]")
    for label in (Label.FROM, Label.SENT, Label.TO, Label.SUBJECT)
}


# Notes writes labels without a colon, each value on the next line.
_BARE_LABELS = {
    Label.TO: frozenset({"to", "an", "à", "pour", "para", "a", "per", "aan", "do", "宛先"}),
    Label.COPY: frozenset({"cc", "kopie", "copie", "copia", "cópia", "kopia", "dw"}),
    Label.SUBJECT: frozenset(
        {"subject", "thema", "objet", "asunto", "oggetto", "assunto", "onderwerp", "temat", "件名"}
    ),
}


@dataclass(frozen=True, slots=True)
class Marker:
    """Lines `start` to `end` (exclusive) open quoted text. `shared`: the first of them begins with new text.
    `block`: a separator or header labels, which are content in a bare forward."""

    start: int
    end: int
    shared: bool = False
    block: bool = False


def quoted(lines: Sequence[str]) -> tuple[bool, ...]:
    """One flag per line: True where the line only quotes. Never all True where there is any text."""
    texts = [_cleaned(line) for line in lines]
    prefixed = [bool(text) and _PREFIX.match(text) is not None for text in texts]
    markers = _markers(texts, prefixed)
    flags = _flags(texts, prefixed, markers)
    if not _says_something(texts, flags):
        flags = _forwarded(texts, prefixed, markers)
    for index in _filled_in(texts):
        flags[index] = False
    return tuple(flags)


def filled(lines: Sequence[str]) -> tuple[bool, ...]:
    """One flag per line: True where the line stands in our fill-in block and somebody wrote a value there.
    For text whose quotes are known otherwise, such as HTML containers: such a line is new in any quote."""
    found = frozenset(_filled_in([_cleaned(line) for line in lines]))
    return tuple(index in found for index in range(len(lines)))


def _cleaned(line: str) -> str:
    """Cut, blanks plain, invisible characters out, escaped angle brackets (`&lt;a@b&gt;`) open, ends stripped."""
    text = line[:_LINE_LIMIT].translate(_BLANKS)
    return (html.unescape(text) if "&" in text else text).strip()


def _says_something(texts: Sequence[str], flags: Sequence[bool]) -> bool:
    return any(text and not flag for text, flag in zip(texts, flags, strict=True))


# --- where quoted text is -----------------------------------------------------------------------------------------


def _flags(texts: Sequence[str], prefixed: Sequence[bool], markers: dict[int, Marker]) -> list[bool]:
    flags = list(prefixed)
    index = 0
    while index < len(texts):
        marker = markers.get(index)
        if marker is None:
            index += 1
            continue
        index = _opened(marker, texts, flags)
        following = _next_text(texts, index)
        if following in markers:
            index = following
        elif following < len(texts) and not prefixed[following]:
            flags[index:] = [True] * (len(texts) - index)
            break
    return flags


def _opened(marker: Marker, texts: Sequence[str], flags: list[bool]) -> int:
    """Flag the marker and the rule drawn above it; the line after it."""
    first = marker.start + marker.shared
    flags[first : marker.end] = [True] * (marker.end - first)
    above = marker.start - 1
    while above >= 0 and not texts[above] and marker.start - above < 4:
        above -= 1
    if marker.block and above >= 0 and _RULE.match(texts[above]):
        flags[above] = True
    return marker.end


def _forwarded(texts: Sequence[str], prefixed: Sequence[bool], markers: dict[int, Marker]) -> list[bool]:
    """A mail without a word of its own: what stands under its first markers, up to the next one, is its content."""
    opening = []
    index = _next_text(texts, 0)
    while index in markers:
        opening.append(markers[index])
        index = _next_text(texts, markers[index].end)
    if not opening or index >= len(texts) or prefixed[index]:
        return [False] * len(texts)
    flags = [False] * index + _flags(texts[index:], prefixed[index:], _shifted(markers, index))
    for marker in opening:
        if not marker.block:
            flags[marker.start : marker.end] = [True] * (marker.end - marker.start)
    return flags


def _shifted(markers: dict[int, Marker], by: int) -> dict[int, Marker]:
    return {
        start - by: Marker(start - by, marker.end - by, marker.shared, marker.block)
        for start, marker in markers.items()
        if start >= by
    }


def _next_text(texts: Sequence[str], index: int) -> int:
    while index < len(texts) and not texts[index]:
        index += 1
    return index


# --- markers ------------------------------------------------------------------------------------------------------


def _markers(texts: Sequence[str], prefixed: Sequence[bool]) -> dict[int, Marker]:
    """All markers by their first line. Lines under `>` are quoted anyway and open nothing."""
    shown = zip(texts[:_MARKED_LINES], prefixed[:_MARKED_LINES], strict=True)
    folded = ["" if under else text.lower() for text, under in shown]
    labels = [_label(text) for text in folded]
    found: dict[int, Marker] = {}
    for index, text in enumerate(folded):
        if not text:
            continue
        marker = (
            _separator(index, text)
            or _block(index, folded, labels)
            or _bare_block(index, folded)
            or _attribution(index, folded)
        )
        if marker is not None:
            found.setdefault(marker.start, marker)
    return found


def _separator(index: int, text: str) -> Marker | None:
    if _SEPARATOR.match(text):
        return Marker(index, index + 1, block=True)
    glued = _GLUED_SEPARATOR.search(text)
    return Marker(index, index + 1, shared=glued.start() > 0, block=True) if glued else None


def _label(text: str) -> Label | None:
    match = _LABEL.match(text) if ":" in text[:60] or "：" in text[:60] else None
    return Label(match.lastgroup) if match and match.lastgroup else None


def _block(index: int, texts: Sequence[str], labels: Sequence[Label | None]) -> Marker | None:
    """Header labels of a quoted mail, at most one blank or wrapped line between two of them."""
    if labels[index] in (None, Label.COPY, Label.OTHER):
        return _block_in_line(index, texts[index])
    seen: dict[Label, str] = {}
    end = index
    for at in range(index, min(index + _BLOCK_LINES, len(texts))):
        label = labels[at]
        if label is not None:
            seen.setdefault(label, texts[at])
            end = at + 1
        elif at - end >= 2:
            break
    return Marker(index, end, block=True) if _is_header(seen) else _block_in_line(index, texts[index])


def _is_header(seen: dict[Label, str]) -> bool:
    """From with an address or a date beside it, or three labels: "From: Monday / To: Friday" is no mail's header.
    One that begins with Subject or To (Thunderbird, Notes) must be whole: forms and tickets begin so, too."""
    if Label.FROM not in seen or len(seen) < 2:
        return False
    if next(iter(seen)) in (Label.SUBJECT, Label.TO):
        return {Label.FROM, Label.SENT, Label.TO, Label.SUBJECT} <= seen.keys()
    dated = any(character.isdigit() for character in seen.get(Label.SENT, ""))
    return len(seen) >= 3 or "@" in seen[Label.FROM] or dated


def _bare_block(index: int, texts: Sequence[str]) -> Marker | None:
    """Notes: a name, a date, then To, cc and Subject alone on their lines in this order."""
    if texts[index] not in _BARE_LABELS[Label.TO]:
        return None
    dated = [at for at in range(max(index - 3, 0), index) if _DATE.search(texts[at])]
    below = texts[index + 1 : index + 8]
    copy = next((at for at, text in enumerate(below) if text in _BARE_LABELS[Label.COPY]), None)
    subject = next((at for at, text in enumerate(below) if text in _BARE_LABELS[Label.SUBJECT]), None)
    if not dated or copy is None or subject is None or subject < copy:
        return None
    named = dated[0] - 1
    start = named if named >= 0 and _ADDRESS.search(texts[named]) else dated[0]
    return Marker(start, min(index + subject + 3, len(texts)), block=True)


def _block_in_line(index: int, text: str) -> Marker | None:
    """All labels on one line: HTML that lost its line breaks."""
    if text.count(":") + text.count("：") < 4:
        return None
    opening = _IN_LINE[Label.FROM].search(text)
    if opening is None:
        return None
    rest = text[opening.end() :]
    if not all(_IN_LINE[label].search(rest) for label in (Label.SENT, Label.TO, Label.SUBJECT)):
        return None
    return Marker(index, index + 1, shared=any(c.isalnum() for c in text[: opening.start()]), block=True)


def _attribution(end: int, texts: Sequence[str]) -> Marker | None:
    """The attribution that ends on line `end`: the shortest run of lines that begins like one, else a named one."""
    if not texts[end].endswith((":", "：", "-", "*", "_")):
        return Marker(end, end + 1) if _SAID_AND_GOES_ON.match(texts[end]) else None
    runs = list(_runs(end, texts))
    if not runs or not _SAYS.search(runs[-1][1]):
        return next((Marker(start, end + 1) for start, joined in runs if _is_named_by_date(joined)), None)
    named = None
    for start, joined in runs:
        if _is_attribution(joined):
            return Marker(start, end + 1)
        glued = _GLUED.search(joined)
        if glued and _is_attribution(joined[glued.start(1) :]):
            return Marker(start, end + 1, shared=True)
        if named is None and (_SAID_BY_ADDRESS.search(joined) or _SAID_ON.match(joined)):
            named = Marker(start, end + 1)
    return named


def _runs(end: int, texts: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The lines up to `end` joined, one more each time: first line and text."""
    joined = ""
    for start in range(end, max(end - _ATTRIBUTION_LINES, -1), -1):
        joined = f"{texts[start]} {joined}".rstrip(" *_")
        if not texts[start] or len(joined) > _ATTRIBUTION_LENGTH:
            return
        yield start, joined


def _is_attribution(text: str) -> bool:
    """It begins like one, holds a date or an address, and somebody wrote it; or a date, a name and an address."""
    if _SAID_IN_DASHES.match(text) or _is_named_by_date(text):
        return True
    return (
        text.endswith((":", "：", "-"))
        and _BEGINS.match(text) is not None
        and (_DATE.search(text) or _ADDRESS.search(text)) is not None
        and (_SAYS_LAST.search(text) or _SAYS_INSIDE.search(text)) is not None
    )


def _is_named_by_date(text: str) -> bool:
    """`2026-10-14 11:28 GMT+03:00 Name <a@b>:`, without a verb."""
    begins = text.endswith((":", "：")) and _BEGINS_WITH_DATE.match(text)
    return bool(begins and _ADDRESS.search(text))


# --- our fill-in block --------------------------------------------------------------------------------------------

_VALUE = re.compile(r"[^:：]{0,200}[:：][\W_]*[^\W_]")


def _filled_in(texts: Sequence[str]) -> Iterator[int]:
    """Indexes of the lines in our fill-in blocks (row P9) that somebody gave a value, under any quote prefix."""
    if not any(notices.FILL_IN_OPEN in text for text in texts):
        return
    bare = [_PREFIXES.sub("", text, count=1) for text in texts]
    index = 0
    while index < len(bare):
        end = _form_end(index, bare)
        yield from _values(index + 1, end, bare)
        index = max(end, index) + 1


def _form_end(start: int, bare: Sequence[str]) -> int:
    """The closing line of the form that opens at `start`; `start` itself where none opens or it never closes."""
    if not bare[start].startswith(notices.FILL_IN_OPEN):
        return start
    paired = bare[start].endswith(notices.FILL_IN_CLOSE)
    for at in range(start + 1, min(start + _FORM_LINES, len(bare))):
        if bare[at].endswith(notices.FILL_IN_CLOSE) and (not paired or bare[at].startswith(notices.FILL_IN_OPEN)):
            return at
    return start


def _values(start: int, end: int, bare: Sequence[str]) -> Iterator[int]:
    """Labels with a value, and what was typed right below a label: its value, or more lines of it."""
    label, told = None, False
    for at in range(start, end + 1):
        text = bare[at].removesuffix(notices.FILL_IN_CLOSE).rstrip()
        if _VALUE.match(text):
            yield at
            label, told = at, True
        elif text.endswith((":", "：")):
            label, told = at, False
        elif label is not None and text and not text.startswith(notices.FILL_IN_OPEN):
            yield from (at,) if told else (label, at)
            told = True
        else:
            label = None
