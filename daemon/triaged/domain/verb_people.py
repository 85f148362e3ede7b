"""Whom a mail wants added, and as what: the addresses beside the request, or else those that follow it (row C7).

The writer's own contact lines, our addresses and what is denied ("not lea@…") name nobody to add. Nobody becomes an
administrator unless the mail says so where it names him.
"""

from collections.abc import Iterator, Sequence

from triaged.domain import identifiers
from triaged.domain.invitation import Access
from triaged.domain.verb_sentences import Item, Sentence
from triaged.domain.verb_words import Role

_LIST_WORDS = 8  # words of a line that only names somebody: "- Paul Durand (technician), paul@acme.example"
_ADDING = frozenset({Role.ADD, Role.ADD_NOW, Role.ADD_NOUN, Role.ADD_DONE, Role.INVITE})
_QUALITY = ("as", "als", "en")  # "as administrator of …", "als Administrator …", "en tant qu’administrateur …"
_BEFORE = 3  # tokens between a negation and the address that it denies


def addresses(sentence: Sentence, own: frozenset[str]) -> Iterator[tuple[int, str]]:
    """(token, address) of everybody who may be meant in a sentence."""
    contact = min((item.start for item in sentence.items if Role.CONTACT in item), default=len(sentence.tokens))
    for at, token in enumerate(sentence.tokens):
        if token.kind != "A" or at > contact or _denied(sentence, at):
            continue
        address = identifiers.address(token.text)
        if address and address not in own:
            yield at, address


def _denied(sentence: Sentence, at: int) -> bool:
    return any(
        Role.NEGATION in item and item.end <= at <= item.end + _BEFORE and sentence.clauses[at] == item.clause
        for item in sentence.items
    )


def read(sentences: Sequence[Sentence], adding: Sequence[int], own: frozenset[str]) -> tuple[tuple[str, ...], Access]:
    """The people to add. `adding`: which sentences ask for it; `own`: the sender and we."""
    places = _places(sentences, adding, own)
    people = tuple(dict.fromkeys(address for at in places for _, address in addresses(sentences[at], own)))
    if not people:
        return (), Access.READER
    scope = [sentences[at] for at in sorted({*adding, *places, *_roles(sentences, places)})]
    return people, _access(scope, own)


def _places(sentences: Sequence[Sentence], adding: Sequence[int], own: frozenset[str]) -> list[int]:
    """The sentences that name the people: the request and the list below it, else what follows, else what precedes."""
    last = max(adding, default=-1)
    beside = [at for at in adding if any(addresses(sentences[at], own))]
    behind = [at for at in range(last + 1, len(sentences)) if any(addresses(sentences[at], own))]
    if beside:
        return [*beside, *_list(sentences, behind, sentences[last])]
    if behind:
        return [behind[0], *_list(sentences, behind[1:], sentences[behind[0]])]
    if adding and not any(sentences[at].has(Role.PERSON) for at in adding):  # "please invite him"
        near = [at for at in range(max(0, last - 1), last) if len(list(addresses(sentences[at], own))) == 1]
        if near:
            return near
    return [at for at in range(last) if any(addresses(sentences[at], own)) and _is_list_line(sentences[at])]


def _list(sentences: Sequence[Sentence], behind: Sequence[int], before: Sentence) -> Iterator[int]:
    """The lines that go on naming people: right below, or labelled alike ("E-mail: …")."""
    for at in behind:
        here = sentences[at]
        near = here.line - before.line <= 1
        if not _is_list_line(here) or not (near or (_is_labelled(here) and _is_labelled(before))):
            return
        yield at
        before = here


def _is_labelled(sentence: Sentence) -> bool:
    return any(token.text in (":", "\t") for token in sentence.tokens)


def _is_list_line(sentence: Sentence) -> bool:
    return sum(token.kind == "W" for token in sentence.tokens) <= _LIST_WORDS


def _roles(sentences: Sequence[Sentence], places: Sequence[int]) -> Iterator[int]:
    """Short lines right beside the people's that say as what: "Rôle : administrateur"."""
    for place in places:
        for at in range(max(0, place - 2), min(len(sentences), place + 3)):
            if sentences[at].has(Role.ADMIN, Role.READER) and _is_list_line(sentences[at]):
                yield at


def _access(scope: Sequence[Sentence], own: frozenset[str]) -> Access:
    items = [(sentence, item) for sentence in scope for item in sentence.items]
    if any(Role.READER in item for _, item in items):
        return Access.READER
    admin = any(
        Role.ADMIN in item and not _negated(sentence, item) and not _of_the_writer(sentence, item, own)
        for sentence, item in items
    )
    return Access.ADMIN if admin else Access.READER


def _of_the_writer(sentence: Sentence, item: Item, own: frozenset[str]) -> bool:
    """ "As administrator of our account, I ask you to add …": a clause of its own, before whoever is named."""
    people = [at for at, _ in addresses(sentence, own)]
    first = next((at for at, clause in enumerate(sentence.clauses) if clause == item.clause), 0)
    asked = any(other.roles & _ADDING and other.clause == item.clause for other in sentence.items)
    opens = sentence.tokens[first].text.lower() in _QUALITY
    return bool(people) and item.start < min(people) and opens and not asked


def _negated(sentence: Sentence, item: Item) -> bool:
    return any(Role.NEGATION in other and other.clause == item.clause for other in sentence.items)
