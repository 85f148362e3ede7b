"""As what each person of a mail is to be added: the role words on his line, in his clause, or said of everybody.

Nobody becomes an administrator unless the mail says so of him; where it is unclear, or says both, he reads only.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from triaged.domain.invitation import Access
from triaged.domain.verb_sentences import LIST_WORDS, Item, Sentence
from triaged.domain.verb_words import Role

_ADDING = frozenset({Role.ADD, Role.ADD_NOW, Role.ADD_NOUN, Role.ADD_DONE, Role.INVITE})
_QUALITY = ("as", "als", "en")  # "as administrator of …", "als Administrator …", "en tant qu’administrateur …"
_I = frozenset(["i", "we", "je", "nous", "ich", "wir"])
_NEAR = 2  # sentences between a person and a line that says as what

_Named: TypeAlias = Mapping[int, Sequence[tuple[int, str]]]  # sentence -> (token, address) of its people


def read(sentences: Sequence[Sentence], adding: Sequence[int], named: _Named) -> dict[str, Access]:
    """Each address's access, in the mail's order. `adding`: the sentences that ask for it."""
    places = list(named)
    said = {address: set[Access]() for at in places for _, address in named[at]}
    for at in places:
        for address, kind in _beside(sentences[at], named[at]):
            said[address].add(kind)
    lines = [at for at in range(len(sentences)) if at not in named and _counts(sentences, at, adding, places)]
    for at in lines:
        for address in _meant(at, sentences[at], places, named, lines):
            said[address].update(_kinds(sentences[at]))
    return {address: Access.ADMIN if kinds == {Access.ADMIN} else Access.READER for address, kinds in said.items()}


# --- in the sentence that names people --------------------------------------------------------------------------------


def _beside(sentence: Sentence, people: Sequence[tuple[int, str]]) -> Iterator[tuple[str, Access]]:
    """What one sentence says of its people."""
    roles = list(_roles(sentence, people[0][0]))
    places = [at for at, _ in people]
    ahead = [kind for item, kind in roles if item.start < places[0]]
    behind = [[kind for item, kind in roles if _last(places, item.start) == at] for at in range(len(people))]
    if not any(behind) or len(people) == 1:  # "the administrators paul@… and lea@…"
        yield from ((address, kind) for _, address in people for kind in (*ahead, *behind[0]))
    elif not any(behind[:-1]) and not ahead and any(_of_all(sentence, item) for item, _ in roles):
        yield from ((address, kind) for _, address in people for kind in behind[-1])
    elif ahead and not behind[-1] and all(behind[:-1]) and not _bracketed(sentence, places[0], behind):
        for (_, address), kinds in zip(people, [ahead, *behind], strict=False):  # "as admin paul@…, as reader lea@…"
            yield from ((address, kind) for kind in kinds)
    elif any(behind[:-1]) or _bracketed(sentence, places[-1], behind[-1:]):  # "paul@… as admin, lea@… as reader"
        for (_, address), kinds in zip(people, behind, strict=True):
            yield from ((address, kind) for kind in kinds)


def _roles(sentence: Sentence, first: int) -> Iterator[tuple[Item, Access]]:
    """The role words of a sentence; `first`: where its first person stands."""
    for item in sentence.items:
        if Role.READER in item or (Role.ADMIN in item and _negated(sentence, item)):
            yield item, Access.READER
        elif Role.ADMIN in item and not _of_the_writer(sentence, item, first):
            yield item, Access.ADMIN


def _last(places: Sequence[int], at: int) -> int:
    """Which person stands last before a token; -1 for none."""
    return sum(place < at for place in places) - 1


def _of_all(sentence: Sentence, item: Item) -> bool:
    return Role.MANY in item or sentence.has(Role.MANY)


def _bracketed(sentence: Sentence, place: int, behind: Sequence[Sequence[Access]]) -> bool:
    """Whether what follows a person is in brackets or behind a colon, so that it is said of him alone."""
    marks = sentence.tokens[place + 1 : place + 3]
    return any(behind) and any(token.text in "([{:–—-|\t" for token in marks if token.kind == "P")


def _of_the_writer(sentence: Sentence, item: Item, first: int) -> bool:
    """ "As administrator of our account, I ask you to add …": said before whoever is named, of who asks."""
    if item.start >= first or not _opens(sentence, item.clause):
        return False
    adding = [other.clause == item.clause for other in sentence.items if other.roles & _ADDING]
    return (any(adding) and not all(adding)) or any(token.word in _I for token in sentence.tokens[item.end : first])


def _opens(sentence: Sentence, clause: int) -> bool:
    """Whether a clause begins with "as"."""
    begins = next((at for at, number in enumerate(sentence.clauses) if number == clause), 0)
    return sentence.tokens[begins].text.lower() in _QUALITY


def _negated(sentence: Sentence, item: Item) -> bool:
    return any(Role.NEGATION in other and other.clause == item.clause for other in sentence.items)


# --- in a sentence of its own -----------------------------------------------------------------------------------------


def _counts(sentences: Sequence[Sentence], at: int, adding: Sequence[int], places: Sequence[int]) -> bool:
    """Whether a sentence without people says as what they come: the request itself, or a short line right beside them.
    A title below a name, "System administrator", is no such line."""
    sentence = sentences[at]
    if at in adding or not _kinds(sentence):
        return at in adding and bool(_kinds(sentence))
    near = any(abs(at - place) <= _NEAR for place in places)
    marked = any(token.text in (":", "\t") for token in sentence.tokens)
    spoken = sentence.has(Role.READER, Role.THIRD, Role.MANY, Role.PLEASE) or _opens(sentence, 0)
    return near and sum(token.kind == "W" for token in sentence.tokens) <= LIST_WORDS and (marked or spoken)


def _meant(at: int, sentence: Sentence, places: Sequence[int], named: _Named, lines: Sequence[int]) -> Iterator[str]:
    """Whom a sentence of its own means: a heading those below it, another line those above it; each up to the next such
    line, and more than one only where it says so."""
    if lines[0] < places[0]:
        reach = [place for place in places if at < place and not any(at < line < place for line in lines)]
    else:
        reach = [place for place in places if place < at and not any(place < line < at for line in lines)]
    people = [address for place in reach for _, address in named[place]]
    if at < places[0] or len(people) <= 1 or sentence.has(Role.MANY, Role.READER):
        yield from people


def _kinds(sentence: Sentence) -> set[Access]:
    return {kind for _, kind in _roles(sentence, len(sentence.tokens))}
