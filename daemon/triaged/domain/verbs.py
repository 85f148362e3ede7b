"""What a mail to the contracts desk asks for (rows C7, C8): one verb, or none where anything is unclear.

Words are data (verb_words.py), sentences come from verb_sentences.py. Here every action is judged: is it asked for,
asked about, denied, imagined; and is its object a contract or an invitation. Never a guess: a question about a verb,
two verbs, another object, and the mail is an ordinary ticket that a person reads.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from triaged.domain import verb_numbers, verb_objects, verb_people, verb_sentences
from triaged.domain.invitation import Access
from triaged.domain.message import Message
from triaged.domain.request import Asked, Verb
from triaged.domain.verb_numbers import mentions
from triaged.domain.verb_objects import CANCELLATION, Around
from triaged.domain.verb_sentences import Item, Sentence
from triaged.domain.verb_words import Role, VerbWords

__all__ = ["VerbWords", "mentions", "read"]

_REACH = 40  # tokens between "please" and what is asked for
_AFTER = 12  # tokens in which a negation may follow its verb: "stornieren Sie die Bestellung nicht"
_OPENING_WORDS = 2  # "Bonjour", "Dear all"
_SHORT_WORD = 4
_GREETING = 4  # words of a body that says nothing
_SHORT_LINE = 9  # tokens: a title


class _Mood(StrEnum):
    REQUEST = "request"
    TITLE = "title"  # a heading or a complaint: counts where nothing clearer is said
    ABOUT = "about"
    DENIED = "denied"


class _Form(StrEnum):
    BASE = "base"
    NOW = "now"
    NOUN = "noun"


@dataclass(frozen=True, slots=True)
class _Claim:
    """What one phrase says about a verb; None: something that we do not do by mail."""

    verb: Verb | None
    mood: _Mood
    at: int  # sentence
    because: str


_ACTIONS = {  # of several roles the first counts: "we are terminating" does it, and only then names it
    Role.RESEND_NOW: (Verb.RESEND_INVITATION, _Form.NOW),
    Role.ADD_NOW: (Verb.ADD_PERSON, _Form.NOW),
    Role.CANCEL_NOW: (Verb.CANCEL_CONTRACT, _Form.NOW),
    Role.RESTORE_NOW: (Verb.RESTORE_CONTRACT, _Form.NOW),
    Role.REVERSE: (Verb.RESTORE_CONTRACT, _Form.NOW),
    Role.VOID: (Verb.RESTORE_CONTRACT, _Form.NOW),
    Role.RESEND: (Verb.RESEND_INVITATION, _Form.BASE),
    Role.SEND: (Verb.RESEND_INVITATION, _Form.BASE),
    Role.RECEIVE: (Verb.RESEND_INVITATION, _Form.BASE),
    Role.ADD: (Verb.ADD_PERSON, _Form.BASE),
    Role.INVITE: (Verb.ADD_PERSON, _Form.BASE),
    Role.CANCEL: (Verb.CANCEL_CONTRACT, _Form.BASE),
    Role.RESTORE: (Verb.RESTORE_CONTRACT, _Form.BASE),
    Role.KEEP: (Verb.RESTORE_CONTRACT, _Form.BASE),
    Role.OTHER: (None, _Form.BASE),
    Role.RESEND_NOUN: (Verb.RESEND_INVITATION, _Form.NOUN),
    Role.ADD_NOUN: (Verb.ADD_PERSON, _Form.NOUN),
    Role.CANCEL_NOUN: (Verb.CANCEL_CONTRACT, _Form.NOUN),
    Role.RESTORE_NOUN: (Verb.RESTORE_CONTRACT, _Form.NOUN),
}
_I = frozenset(["i", "we", "je", "nous", "ich", "wir", "ai", "avons"])
_STRICT = (Verb.CANCEL_CONTRACT, Verb.ADD_PERSON)  # a condition anywhere in the sentence makes it none
_HARMLESS = (None, Verb.RESEND_INVITATION, Verb.CONTRACT_STATUS)  # may stand in somebody else's words, forwarded
_DONE = {
    Role.RESEND_DONE: Role.RESEND,
    Role.ADD_DONE: Role.ADD,
    Role.CANCEL_DONE: Role.CANCEL,
    Role.RESTORE_DONE: Role.RESTORE,
}
_MARKERS = (Role.THANKS, Role.ABOUT, Role.CONFIRM, Role.ASK, Role.WILL, Role.POSSIBLE, Role.WISH)
_GOVERNING = (Role.PROCEED, Role.MINE, Role.CONTRACT, Role.BREAKER, Role.PLEASE)
_DOING = (Role.CANCEL, Role.CANCEL_NOW, Role.RESTORE, Role.RESTORE_NOW)
_RESTORING = (Role.REVERSE, Role.VOID, Role.RESTORE, Role.RESTORE_NOW, Role.RESTORE_NOUN, Role.KEEP, Role.CANCEL)
_LEADING = frozenset({
    Role.CONTRACT, Role.NUMBER, Role.PLEASE, Role.INVITATION, Role.LINK, Role.AGAIN, Role.MINE, Role.FOREIGN,
    Role.PERSON, Role.CANCEL_NOUN, Role.CANCEL_DONE, Role.BREAKER,
})  # fmt: skip


def read(message: Message, words: VerbWords, own: frozenset[str] = frozenset()) -> Asked:
    """What the sender asks for in the new text and subject. `own`: every address of ours, lower case. For a
    cancellation and its undoing the numbers are those of the sentence that asks, where it has any. Never raises."""
    sentences = [verb_numbers.numbered(sentence) for sentence in verb_sentences.read(message, words)]
    ours = own | ({message.sender.address} if message.sender else frozenset())
    claims = [claim for at in range(len(sentences)) for claim in _claims(_around(sentences, at, ours))]
    numbers = verb_numbers.read(sentences)
    verb, because = _settled(claims, sentences)
    if verb not in _HARMLESS and verb_sentences.is_forwarded(message):
        return Asked(None, numbers)
    asking = sorted({claim.at for claim in claims if claim.verb is verb and claim.mood in (_Mood.REQUEST, _Mood.TITLE)})
    if verb in (Verb.CANCEL_CONTRACT, Verb.RESTORE_CONTRACT):  # "cancel PO-1; PO-2 must stay"
        numbers = verb_numbers.read(sentences[at] for at in asking) or numbers
    if verb is Verb.RESEND_INVITATION:  # whom it names beside the request: one's own link, or somebody else's?
        beside = [address for at in asking for _, address in verb_people.addresses(sentences[at], ours)]
        return Asked(verb, numbers, tuple((address, Access.READER) for address in dict.fromkeys(beside)), because)
    people = verb_people.read(sentences, asking, ours) if verb is Verb.ADD_PERSON else ()
    return Asked(verb, numbers, people, because)


def _around(sentences: Sequence[Sentence], at: int, own: frozenset[str]) -> Around:
    return Around(sentences[at], at, sentences[max(0, at - 4) : at], sentences, own)


# --- the whole mail ---------------------------------------------------------------------------------------------


def _settled(claims: Sequence[_Claim], sentences: Sequence[Sentence]) -> tuple[Verb | None, str]:
    """The one verb that the mail asks for, and the words that say so."""
    if any(sentence.has(Role.SETTLED) for sentence in sentences):
        return None, ""
    asked = _verbs(claims, _Mood.REQUEST)
    titled = _verbs(claims, _Mood.TITLE)
    about = _verbs(claims, _Mood.ABOUT)
    denied = _verbs(claims, _Mood.DENIED)
    if Verb.RESTORE_CONTRACT in asked | titled:  # "ignore our cancellation" also names the cancellation
        titled, about = titled - {Verb.CANCEL_CONTRACT}, about - {Verb.CANCEL_CONTRACT}
    if Verb.CANCEL_CONTRACT in titled - asked and _told_to(sentences) and Verb.CANCEL_CONTRACT not in about:
        asked = asked | {Verb.CANCEL_CONTRACT}
    named = asked | (titled - {Verb.CANCEL_CONTRACT})
    if len(named) != 1 or None in named:
        return None, ""
    verb = next(iter(named))
    others = (about | denied) - asked - ({Verb.RESEND_INVITATION} if verb is Verb.RESEND_INVITATION else set())
    if verb is None or verb in denied or about & others or (verb in about and verb not in asked | titled):
        return None, ""
    if Verb.CANCEL_CONTRACT in titled and verb is not Verb.CANCEL_CONTRACT:
        return None, ""
    return verb, next(one.because for one in claims if one.verb is verb and one.mood in (_Mood.REQUEST, _Mood.TITLE))


def _verbs(claims: Iterable[_Claim], mood: _Mood) -> frozenset[Verb | None]:
    return frozenset(claim.verb for claim in claims if claim.mood is mood)


def _told_to(sentences: Sequence[Sentence]) -> bool:
    """ "See subject", "please proceed", or nothing but "cancellation of our order": the heading is the request."""
    body = sum(token.kind != "P" for sentence in sentences if not sentence.subject for token in sentence.tokens)
    alone = body <= _GREETING and any(sentence.subject and sentence.has(Role.MINE) for sentence in sentences)
    return alone or any(sentence.has(Role.PROCEED) for sentence in sentences)


# --- one sentence -----------------------------------------------------------------------------------------------


def _claims(around: Around) -> Iterator[_Claim]:
    sentence = around.sentence
    if sentence.reply:
        return
    found = [claim for index in range(len(sentence.items)) for claim in _action(around, index)]
    yield from found
    asked = {claim.verb for claim in found if claim.mood in (_Mood.REQUEST, _Mood.ABOUT)}
    if not asked - {Verb.RESEND_INVITATION}:
        yield from _complaint(around)
    if not asked & {Verb.CANCEL_CONTRACT, Verb.RESTORE_CONTRACT}:
        yield from _mistake(around)
    yield from _status(around)


def _action(around: Around, index: int) -> Iterator[_Claim]:
    """What one phrase asks for, if it is an action on an object of ours."""
    sentence, item = around.sentence, around.sentence.items[index]
    role = next((role for role in _ACTIONS if role in item), None) or _participle(sentence, index)
    if role is None or (role is Role.CANCEL_NOUN and sentence.has(*_RESTORING)):
        return
    verb, form = _ACTIONS[role]
    verb, fits = verb_objects.meant(around, index, role, verb)
    mood, marker = _mood(around, index, verb, form)
    if mood is None or (role is Role.RECEIVE and marker is None):
        return
    if not fits:
        other = verb is Verb.CANCEL_CONTRACT or verb_objects.foreign_near(sentence, item)
        if mood is _Mood.REQUEST and role not in (Role.SEND, Role.RECEIVE) and other:
            yield _Claim(None, mood, around.at, "")
        return
    because = " … ".join(sentence.text(one) for one in (marker, item) if one)
    yield _Claim(verb, mood, around.at, f"{sentence.where}: {because}")


def _participle(sentence: Sentence, index: int) -> Role | None:
    """The verb of "pouvez-vous renvoyé" (a slip), "should be cancelled", "soll storniert werden"."""
    items, item = sentence.items, sentence.items[index]
    done = next((verb for role, verb in _DONE.items() if role in item), None)
    before, after = items[:index][-1:], items[index + 1 : index + 2]
    wanted = any(one.end + 1 >= item.start and (Role.ASK in one or Role.PASSIVE in one) for one in before)
    return done if wanted or any(item.end + 1 >= one.start and Role.PASSIVE in one for one in after) else None


# --- is it asked for? ---------------------------------------------------------------------------------------------


def _mood(around: Around, index: int, verb: Verb | None, form: _Form) -> tuple[_Mood | None, Item | None]:
    """How the writer stands to an action, and the phrase that shows it."""
    sentence, item = around.sentence, around.sentence.items[index]
    marker = _marker(sentence, index)
    if sentence.tokens[item.start].said or _reported(sentence, item, marker, verb):
        return _Mood.ABOUT, None
    if _hypothetical(sentence, item, verb):
        return _Mood.ABOUT, None
    if _denied(sentence, item, marker):
        return _Mood.DENIED, None
    if sentence.question and sentence.has(Role.GENERAL):
        return _Mood.ABOUT, None
    if marker is None:
        return _unmarked(sentence, item, form), None
    if form is _Form.NOUN and verb is Verb.CANCEL_CONTRACT and not _governed(sentence, item, marker):
        return None, None
    return _marked(sentence, marker, verb), marker


def _marker(sentence: Sentence, index: int) -> Item | None:
    """The last phrase before an action that says who wants it, or that it is only asked about."""
    action = sentence.items[index]
    for item in reversed(sentence.items[:index]):
        if action.start - item.end > _REACH:
            return None
        if not item.roles.isdisjoint(_MARKERS):
            return item
    return None


def _reported(sentence: Sentence, action: Item, marker: Item | None, verb: Verb | None) -> bool:
    """ "Paul wrote: please add …", "did my colleague ask you to cancel?": somebody else asks, or may have."""
    if verb not in _STRICT:
        return False
    says = [item.start for item in sentence.items if Role.SAYS in item and item.start < action.start]
    if any(at == 0 or sentence.tokens[at - 1].word not in _I for at in says):
        return True
    others = [item for item in sentence.items if Role.THIRD in item and marker and item.clause == marker.clause]
    return sentence.question and bool(others)


def _hypothetical(sentence: Sentence, action: Item, verb: Verb | None) -> bool:
    found = [item for item in sentence.items if Role.HYPOTHETICAL in item]
    return any(item.start < action.start or verb in _STRICT for item in found)


def _denied(sentence: Sentence, action: Item, marker: Item | None) -> bool:
    begin = marker.end if marker else 0
    if marker and not marker.roles.isdisjoint((Role.WILL, Role.WISH)):
        begin = marker.start - 3
    for item in sentence.items:
        if Role.NEGATION not in item or item is action:
            continue
        before = begin <= item.start < action.start and (marker is not None or item.clause == action.clause)
        after = action.end <= item.start <= action.end + _AFTER and item.clause == action.clause
        if before or after:
            return True
    return False


def _unmarked(sentence: Sentence, action: Item, form: _Form) -> _Mood | None:
    if form is _Form.NOW:
        return _Mood.REQUEST
    opening = _opens(sentence, action)
    if form is _Form.NOUN:
        short = len(sentence.tokens) <= _SHORT_LINE
        if opening and short and sentence.has(Role.PLEASE) and not sentence.question:
            return _Mood.REQUEST
        return _Mood.TITLE if sentence.subject or (opening and short and not sentence.question) else None
    if opening and not sentence.question and action.roles.isdisjoint(_DONE):
        return _Mood.REQUEST
    return _Mood.REQUEST if sentence.has(Role.PLEASE) and not sentence.has(Role.THIRD) else None


def _opens(sentence: Sentence, action: Item) -> bool:
    """Whether nothing but a greeting, a number or the object stands before an action."""
    known = {at for item in sentence.items if not item.roles.isdisjoint(_LEADING) for at in range(item.start, item.end)}
    words = [at for at in range(action.start) if sentence.tokens[at].kind == "W" and at not in known]
    return len(words) <= _OPENING_WORDS


def _marked(sentence: Sentence, marker: Item, verb: Verb | None) -> _Mood | None:
    strict = verb is Verb.CANCEL_CONTRACT
    match next(role for role in _MARKERS if role in marker):
        case Role.THANKS:
            return None
        case Role.ABOUT | Role.CONFIRM:
            return _Mood.ABOUT
        case Role.WILL if sentence.question and verb is not Verb.RESEND_INVITATION:
            return _Mood.ABOUT if strict or marker.clause == sentence.clauses[-1] else _Mood.REQUEST
        case Role.WISH if verb is not Verb.RESEND_INVITATION:
            return _Mood.REQUEST if _own_wish(sentence, marker, strict) else None
        case Role.POSSIBLE:
            return _Mood.ABOUT if strict else _Mood.REQUEST
        case _:
            return _Mood.REQUEST


def _governed(sentence: Sentence, noun: Item, marker: Item) -> bool:
    """Whether a noun is what is asked for, "nous demandons l'annulation", and not only spoken of: "please find attached
    the cancellation". Words of up to four letters and "proceed with" may stand between."""
    if marker.roles.isdisjoint((Role.ASK, Role.WILL)):
        return True
    free = {
        at for item in sentence.items if not item.roles.isdisjoint(_GOVERNING) for at in range(item.start, item.end)
    }
    free |= {at for at, token in enumerate(sentence.tokens) if len(token.text) <= _SHORT_WORD}
    other = {at for item in sentence.items if item.roles.isdisjoint(_GOVERNING) for at in range(item.start, item.end)}
    return all(at in free and at not in other for at in range(marker.end, noun.start))


def _own_wish(sentence: Sentence, marker: Item, strict: bool) -> bool:
    """Whether "would like" has nobody else for a subject; strictly: "we changed our mind and would like"."""
    before = [item for item in sentence.items if item.end <= marker.start]
    goes_on = bool(before) and Role.BREAKER in before[-1] and before[-1].end == marker.start
    return not any(Role.THIRD in item for item in before) and (goes_on or not strict)


# --- what is no action -------------------------------------------------------------------------------------------


def _complaint(around: Around) -> Iterator[_Claim]:
    """ "The link has expired", "we never received the invitation", "bitte neue Einladung"."""
    sentence = around.sentence
    if sentence.has(Role.HYPOTHETICAL) or (sentence.question and sentence.has(Role.GENERAL)):
        return
    lost = next((item for item in sentence.items if Role.LOST in item), None)
    if lost and verb_objects.is_about(around, lost, verb_objects.is_invitation):
        yield _Claim(Verb.RESEND_INVITATION, _Mood.TITLE, around.at, f"{sentence.where}: {sentence.text(lost)}")
    wanted = sentence.has(Role.ASK, Role.WILL, Role.WISH, Role.POSSIBLE, Role.PLEASE)
    if wanted and not sentence.has(Role.NEGATION, Role.ABOUT, Role.THANKS):
        for item in sentence.items:
            if (
                Role.AGAIN in item
                and sentence.has(Role.INVITATION, Role.LINK)
                and not verb_objects.foreign_near(sentence, item)
            ):
                yield _Claim(
                    Verb.RESEND_INVITATION, _Mood.REQUEST, around.at, f"{sentence.where}: {sentence.text(item)}"
                )
                return


def _mistake(around: Around) -> Iterator[_Claim]:
    """ "We cancelled by mistake"."""
    sentence = around.sentence
    for item in sentence.items:
        near = (one for one in sentence.items if one.clause == item.clause)
        if Role.MISTAKE in item and any(not one.roles.isdisjoint(CANCELLATION) for one in near):
            because = f"{sentence.where}: {sentence.text(item)}"
            yield _Claim(Verb.RESTORE_CONTRACT, _Mood.TITLE, around.at, because)


def _status(around: Around) -> Iterator[_Claim]:
    """A question for the writer's own contracts: their state, their end, their licences."""
    sentence = around.sentence
    if sentence.has(Role.ABOUT, Role.HYPOTHETICAL, Role.FOREIGN, Role.NEGATION, *_DOING, Role.INVITATION):
        return
    item = next((one for one in sentence.items if Role.STATUS in one or Role.COUNT in one), None)
    if item is None:
        return
    numbered = any(verb_numbers.numbered(one) for one in around.everything)
    own = numbered or sentence.has(Role.MINE) or len(sentence.tokens) <= 4
    asked = sentence.question or sentence.subject or sentence.has(Role.ASK, Role.WILL, Role.WISH, Role.PLEASE)
    if Role.COUNT in item:
        fits = sentence.has(Role.HAVE) or (
            own and any(verb_objects.is_contract(one) for one in sentence.items if one is not item)
        )
    else:
        fits = own and (numbered or verb_objects.is_contract(item) or sentence.has(Role.CONTRACT))
    if fits and (asked or len(sentence.tokens) <= _SHORT_LINE):
        yield _Claim(Verb.CONTRACT_STATUS, _Mood.REQUEST, around.at, f"{sentence.where}: {sentence.text(item)}")
