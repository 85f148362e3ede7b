"""Whom a mail wants added, and as what: the addresses beside the request, or else those that follow it (row C7).

The writer's own contact lines, our addresses and what is denied ("not lea@…") name nobody to add.
"""

from collections.abc import Iterator, Sequence

from triaged.domain import identifiers, verb_access
from triaged.domain.invitation import Access
from triaged.domain.verb_sentences import LIST_WORDS, Sentence
from triaged.domain.verb_words import Role

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


def read(sentences: Sequence[Sentence], adding: Sequence[int], own: frozenset[str]) -> tuple[tuple[str, Access], ...]:
    """The people to add, each as what. `adding`: which sentences ask for it; `own`: the sender and we."""
    places = _places(sentences, adding, own)
    named = {at: tuple(addresses(sentences[at], own)) for at in sorted(set(places))}
    return tuple(verb_access.read(sentences, adding, named).items()) if named else ()


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
        near = here.line - before.line <= 1 + _is_heading(sentences[at - 1])
        if not _is_list_line(here) or not (near or (_is_labelled(here) and _is_labelled(before))):
            return
        yield at
        before = here


def _is_heading(sentence: Sentence) -> bool:
    """ "Administrators:" between two people."""
    return _is_list_line(sentence) and sentence.has(Role.ADMIN, Role.READER) and _is_labelled(sentence)


def _is_labelled(sentence: Sentence) -> bool:
    return any(token.text in (":", "\t") for token in sentence.tokens)


def _is_list_line(sentence: Sentence) -> bool:
    return sum(token.kind == "W" for token in sentence.tokens) <= LIST_WORDS
