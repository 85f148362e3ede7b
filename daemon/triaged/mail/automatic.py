"""What kind of sender wrote, judged by header fields alone, and whether any answer may go back.

The order of `nature` is its meaning: what must never be lost is asked last.
own mail (a loop) > delivery report > automatic reply > list > machine > person.

* A *hard mark* (RFC 3834, null return path, X-Auto…) forbids an answer but proves no more: Exchange puts
  X-Auto-Response-Suppress on notifications too, broken senders a null return path on real mail. So alone it leaves a
  PERSON who is not answered, and turns into AUTO_REPLY only beside a vacation's subject or a reply's reference.
* `Auto-Submitted: auto-generated`, also with `Precedence: bulk`, is a ticket system's honest work: MACHINE. Exchange's
  out-of-office says auto-generated as well; its localised subject ("Automatic reply: …") tells it from a ticket.
* List fields stand on every mail of an address behind a group: LIST is never answered, but a partner's is a ticket.
"""

import re
import unicodedata

from triaged.domain.message import House, Message, Nature
from triaged.mail import threads

# --- marks of single fields ------------------------------------------------------------------------------------

_AUTO_REPLY_FIELDS = (
    "x-autoreply",
    "x-auto-reply",
    "x-autorespond",
    "x-autoresponse",
    "x-autoresponder",
    "x-autoreply-from",
    "x-mail-autoreply",
)
_AUTO_REPLY_PRECEDENCE = frozenset({"auto_reply", "auto-reply", "autoreply"})
_LIST_PRECEDENCE = frozenset({"bulk", "list", "junk"})
_LIST_FIELDS = frozenset({"mailing-list", "x-mailing-list"})
_REPORT_TYPES = ("multipart/report", "message/delivery-status", "message/disposition-notification")
_NO = frozenset({"", "no", "none", "false"})

# --- senders ---------------------------------------------------------------------------------------------------

_DAEMONS = ("mailer-daemon", "mailerdaemon", "mail-daemon", "postmaster", "microsoftexchange329e71ec88ae")
_DAEMON_NAMES = ("mail delivery s", "mailer-daemon", "mail delivery agent")
_UNATTENDED = (
    "noreply",
    "donotreply",
    "dontreply",
    "nepasrepondre",
    "sansreponse",
    "nichtantworten",
    "keineantwort",
    "noresponder",
    "norespuesta",
    "nonrispondere",
    "naoresponda",
    "naoresponder",
    "nietbeantwoorden",
    "nietantwoorden",
    "geenantwoord",
    "nieodpowiadac",
    "mailerdaemon",
)
_UNATTENDED_EXACTLY = frozenset({"postmaster", "bounce", "bounces", "nobody", "daemon", "listserv", "majordomo"})

# --- subjects (folded: lower case, no accents, plain blanks), one row per language -----------------------------------

_VACATION_WORDS = (
    r"automatic(?:ally generated)? reply|automatic response|auto-?\s?reply|auto-?\s?respon(?:se|der)"
    r"|out of (?:the )?office(?: auto-?\s?reply| message| notification)?|away from (?:the |my )?office"
    r"|(?:i am |i'm )?(?:currently )?(?:on (?:annual )?leave|on vacation|on holidays?)"
    r"|vacation (?:reply|message|notice)",
    r"reponse automatique|(?:message|notification|avis) d'absence|message automatique d'absence|absence(?: du bureau)?"
    r"|(?:je suis )?(?:actuellement )?(?:absente?(?: du bureau)?|en conges?)",
    r"automatische (?:antwort|abwesenheitsnotiz)|abwesenheit(?:snotiz|sassistent|smeldung|snachricht)?"
    r"|(?:ich bin )?(?:abwesend|nicht im buro|im urlaub)",
    r"respuesta automatica|fuera de (?:la )?oficina|ausencia|ausente",
    r"risposta automatica|fuori (?:sede|ufficio)|assenza(?: dall'ufficio)?|assente",
    r"resposta automatica|fora do escritorio|(?:aviso de )?ausencia(?: do escritorio)?",
    r"automatisch antwoord|automatische beantwoording|afwezig(?:heid)?(?:sbericht)?|niet (?:op kantoor|aanwezig)",
    r"odpowiedz automatyczna|automatyczna odpowiedz|autoodpowiedz|poza biurem|nieobecnosc|nieobecn[ya]",
    r"自動応答|自動返信|不在通知|不在のお知らせ|外出中",
)
# At the start, and followed by what makes it a responder's subject: "Out of office feature is broken" is a ticket.
_VACATION = re.compile(
    r"^(?:(?:re|aw|antw|tr|sv|odp)\s*:\s*)?[\[(\"*<]*\s*(?:"
    + "|".join(_VACATION_WORDS)
    + r")\s*(?:[\])\"*>:\-–—]|$|\d|re\b|until\b|till\b|from \d|jusqu|du \d|le \d|au \d|bis\b|vom \d|ab \d|hasta\b"
    r"|del? \d|fino\b|dal? \d|ate\b|tot\b|van \d|do \d|od \d)"
)
_REPLY_SUBJECT = re.compile(r"^(?:re|aw|antw|antwort|sv|vs|odp|ris|res|rv)\s*(?:\[\d+\])?\s*:")
_BOUNCE_WORDS = (
    r"undeliver(?:able|ed)|delivery (?:status|failure|has failed|report|error|problem|notification|incomplete)"
    r"|mail (?:delivery )?(?:failed|failure|system error)|returned mail|mail returned|failure notice"
    r"|non[- ]?deliver(?:y|able)|could not be delivered|message (?:delayed|not delivered)|delayed mail"
    r"|warning: (?:message|could not send)",
    r"non remis|non distribu|echec (?:de (?:la )?)?(?:remise|distribution|livraison)|etat de (?:la )?remise"
    r"|rapport de non[- ]remise",
    r"unzustellbar|nicht zugestellt|zustellung (?:fehlgeschlagen|verzogert)|zustellungsbericht"
    r"|fehler bei der zustellung",
    r"no se (?:puede|pudo|ha podido) entregar|no entregado|error (?:en la|de) entrega|entrega (?:fallida|retrasada)",
    r"non recapitabile|mancata consegna|impossibile recapitare|(?:consegna|recapito) non riuscit[ao]",
    r"nao (?:foi possivel|e possivel) entregar|nao entregue|falha n[ao] entrega|devolvid[ao]",
    r"onbestelbaar|niet (?:bezorgd|afgeleverd)|bezorging mislukt|kan niet worden bezorgd",
    r"niedostarcz|nie dostarczono|nie mozna dostarczyc|zwrot poczty|blad dostarcz",
    r"配信不能|配信できません|未配信|送信できません|配信エラー|配達不能",
)
_BOUNCE = re.compile("|".join(_BOUNCE_WORDS))
_AGGREGATE_REPORT = re.compile(r"^report domain:.*submitter:")  # DMARC (RFC 7489 §7.2.1.1) and TLS-RPT (RFC 8460 §3)


def nature(message: Message, house: House) -> Nature:
    """What kind of sender wrote. Uses fields, subject, report, sender and Message-ID; never the text."""
    if _is_own(message, house):
        return Nature.OWN
    if _is_report(message, house.domain):
        return Nature.DELIVERY_REPORT
    if _is_auto_reply(message, house):
        return Nature.AUTO_REPLY
    if _has_list_field(message):
        return Nature.LIST
    if _auto_submitted(message):
        return Nature.MACHINE
    if _precedence(message) & _LIST_PRECEDENCE:
        return Nature.LIST
    return Nature.PERSON


def answerable(message: Message) -> bool:
    """May any answer ever go to this sender? Never after a hard or list mark, to a daemon or an unattended address,
    to a null return path, or to a mail whose bytes failed preflight (RFC 3834 §2, DESIGN §4.0)."""
    return (
        message.sender is not None
        and not message.dirty
        and not _hard_mark(message)
        and not _has_list_field(message)
        and not _precedence(message) & _LIST_PRECEDENCE
        and not _is_report(message)
        and not _is_unattended(message.sender.address)
    )


def is_reply(message: Message) -> bool:
    """Does it look like an answer to a mail, by its subject alone?"""
    return _REPLY_SUBJECT.search(_folded(message.subject)) is not None


def looks_absent(message: Message) -> bool:
    """Has it a vacation's subject? Without any mark that proves no program."""
    return _VACATION.search(_folded(message.subject)) is not None


# --- own mail ---------------------------------------------------------------------------------------------------


def _is_own(message: Message, house: House) -> bool:
    """Ours came back: from an address of ours, with our loop mark, or under a Message-ID of our form."""
    return (
        (message.sender is not None and message.sender.address in house.addresses)
        or _has(message, "x-triaged")
        or threads.looks_ours(message.message_id, house.domain)
    )


# --- reports ----------------------------------------------------------------------------------------------------


def _is_report(message: Message, domain: str = "") -> bool:
    """A DSN, MDN or other report by its type (RFC 6522), or a bounce without one by the strong hint: a daemon's
    address, or our own return path as addressee, together with a bounce's subject, or a daemon's with a null return
    path. Measured: no customer's mail among 1,774."""
    bounced = _BOUNCE.search(_folded(message.subject)) is not None
    content_type = _first(message, "content-type").lower()
    return (
        message.report is not None
        or content_type.startswith(_REPORT_TYPES)
        or _has(message, "x-failed-recipients")
        or _first(message, "content-class").lower().endswith((":mdn", ":dsn"))
        or _AGGREGATE_REPORT.search(_folded(message.subject)) is not None
        or (_is_daemon(message) and (_null_path(message) or bounced))
        or (bounced and bool(domain) and threads.came_by_return_path(message, domain))
    )


def _is_daemon(message: Message) -> bool:
    """Also without a usable address: `MAILER-DAEMON (Mail Delivery System)`, `"" (Mail Delivery System)`."""
    shown = _folded(_first(message, "from"))
    local = message.sender.address.rpartition("@")[0] if message.sender else shown.strip('<>" ')
    return local.startswith(_DAEMONS) or any(name in shown for name in _DAEMON_NAMES)


# --- automatic replies ------------------------------------------------------------------------------------------


def _is_auto_reply(message: Message, house: House) -> bool:
    return (
        _auto_submitted(message).startswith("auto-replied")
        or any(_first(message, name).lower() not in _NO for name in _AUTO_REPLY_FIELDS)
        or _first(message, "x-autogenerated").lower() == "reply"
        or _first(message, "x-apple-action").lower() == "vacation"
        or "autoresponder" in _first(message, "x-post-messageclass").lower()
        or bool(_precedence(message) & _AUTO_REPLY_PRECEDENCE)
        or (_marked(message, house) and _VACATION.search(_folded(message.subject)) is not None)
        or (_null_path(message) and _is_reply(message))
    )


def _marked(message: Message, house: House) -> bool:
    """A soft sign that a program answered: enough beside a vacation's subject, nothing alone."""
    return (
        _hard_mark(message)
        or bool(_precedence(message) & _LIST_PRECEDENCE)
        or any(threads.looks_ours(answered, house.domain) for answered in message.in_reply_to[:8])
    )


def _is_reply(message: Message) -> bool:
    return bool(message.in_reply_to) or is_reply(message)


# --- fields -----------------------------------------------------------------------------------------------------


def _hard_mark(message: Message) -> bool:
    return (
        bool(_auto_submitted(message))
        or _null_path(message)
        or bool(_precedence(message) & _AUTO_REPLY_PRECEDENCE)
        or any(_first(message, name).lower() not in _NO for name in (*_AUTO_REPLY_FIELDS, "x-auto-response-suppress"))
        or _has(message, "x-apple-action")
        or _has(message, "x-autogenerated")
        or threads.is_keyed(message.message_id)  # this program's, in another house, whose marks somebody stripped
    )


def _auto_submitted(message: Message) -> str:
    """The first keyword that is not `no`, lower case, without comment and parameters (RFC 3834 §5); else empty."""
    for value in message.values("auto-submitted"):
        keyword = re.split(r"[\s;(]", value.strip().lower(), maxsplit=1)[0]
        if keyword not in _NO:
            return keyword
    return ""


def _precedence(message: Message) -> set[str]:
    return {value.strip().lower() for name in ("precedence", "x-precedence") for value in message.values(name)}


def _null_path(message: Message) -> bool:
    """The topmost Return-Path is our own server's word on the envelope; others are decoration."""
    return _first(message, "return-path").replace(" ", "") == "<>"


def _has_list_field(message: Message) -> bool:
    return any(value.strip() and (name.startswith("list-") or name in _LIST_FIELDS) for name, value in message.fields)


def _is_unattended(address: str) -> bool:
    local = address.rpartition("@")[0].lower()
    squashed = re.sub(r"[^a-z0-9]", "", local)
    return (
        any(word in squashed for word in _UNATTENDED)
        or local in _UNATTENDED_EXACTLY
        or local.startswith(("owner-", "bounce-", "bounces-", "bounce+", "bounces+"))
        or local.endswith(("-bounces", "-request", "-owner"))
    )


def _first(message: Message, name: str) -> str:
    return next(message.values(name), "").strip()


def _has(message: Message, name: str) -> bool:
    return any(value.strip() for value in message.values(name))


def _folded(text: str) -> str:
    """Lower case, without Latin accents, blanks and apostrophes plain: one spelling for every table above."""
    decomposed = unicodedata.normalize("NFKD", text[:1000].lower().replace("ł", "l").replace("’", "'"))
    bare = "".join(c for c in decomposed if not "\u0300" <= c <= "\u036f")
    return " ".join(unicodedata.normalize("NFC", bare).split())
