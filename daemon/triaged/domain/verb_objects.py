"""Whether what a mail wants done is about a contract, an invitation or a person of ours: the object of its verb.

A cancellation is judged strictest: in its clause nothing may stand that we do not know, because "cancel the hold on our
order" and "cancel our order of cables" are none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from triaged.domain import verb_people
from triaged.domain.request import Verb
from triaged.domain.verb_sentences import Item, Sentence, Token
from triaged.domain.verb_words import Role

CANCELLATION = (Role.CANCEL_NOUN, Role.CANCEL_DONE)
_ASKING = frozenset({Role.ASK, Role.WILL, Role.WISH, Role.POSSIBLE, Role.ABOUT})
_KNOWN = frozenset({
    Role.MINE, Role.CONTRACT, Role.NUMBER, Role.UNIT, Role.PLEASE, Role.BREAKER, Role.PROCEED, Role.PASSIVE,
    Role.THIRD, Role.MISTAKE, Role.CANCEL_NOUN, Role.CANCEL_DONE, Role.MANY, *_ASKING,
})  # fmt: skip
_SHORT_WORD = 2  # letters
_TO = frozenset(["to", "into", "for", "a", "au", "aux", "sur", "dans", "pour", "zu", "zum", "zur", "fur", "fuer", "in"])
_PLACES = frozenset(
    {Role.TARGET, Role.CONTRACT, Role.INVITATION, Role.A_INVITATION, Role.INVITE, Role.ADMIN, Role.READER}
)
_BELOW = 2  # sentences in which somebody to invite is named


@dataclass(frozen=True, slots=True)
class Around:
    """The sentence under judgement and what the rest of the mail says."""

    sentence: Sentence
    at: int
    before: Sequence[Sentence]
    everything: Sequence[Sentence]
    own: frozenset[str]


def meant(around: Around, index: int, role: Role, verb: Verb | None) -> tuple[Verb | None, bool]:
    """The verb that an action means with its object, and whether that object is ours."""
    sentence, item = around.sentence, around.sentence.items[index]
    match verb:
        case None:
            return None, True
        case Verb.RESEND_INVITATION:
            if role is Role.SEND and _invites(around):
                return Verb.ADD_PERSON, True
            return verb, is_about(around, item, is_invitation)
        case Verb.ADD_PERSON:
            return verb, _names_somebody(around, index, role)
        case Verb.CANCEL_CONTRACT if role is not Role.CANCEL_NOUN and _nearest_is_cancellation(sentence, index):
            return Verb.RESTORE_CONTRACT, True
        case Verb.CANCEL_CONTRACT:
            return verb, _cancellable(around, index)
        case _:
            return verb, _restorable(around, index, role)


def is_invitation(item: Item) -> bool:
    return not item.roles.isdisjoint((Role.INVITATION, Role.A_INVITATION, Role.LINK, Role.INVITE))


def is_contract(item: Item) -> bool:
    return Role.CONTRACT in item


def is_about(around: Around, action: Item, wanted: Callable[[Item], bool]) -> bool:
    """Whether the action's object is a wanted one: in its clause, else in its sentence, else what the mail spoke of
    before. Another object in the same clause is too much."""
    sentence = around.sentence
    clause = [item for item in sentence.items if item.clause == action.clause]
    if any(Role.FOREIGN in item for item in clause):
        return False
    if any(wanted(item) for item in clause):
        return True
    inside = {item.clause for item in sentence.items if wanted(item)}
    if inside:
        return not any(Role.FOREIGN in item and item.clause in inside for item in sentence.items)
    for earlier in reversed(around.before):
        named = wanted is is_contract and bool(earlier.numbers)
        wanted_here, foreign = named or any(map(wanted, earlier.items)), earlier.has(Role.FOREIGN)
        if wanted_here or foreign:
            return wanted_here and not foreign
    subject = around.everything[0]
    return subject.subject and any(map(wanted, subject.items)) and not subject.has(Role.FOREIGN)


def foreign_near(sentence: Sentence, action: Item) -> bool:
    return any(Role.FOREIGN in item and item.clause == action.clause for item in sentence.items)


def _cancellable(around: Around, index: int) -> bool:
    sentence, action = around.sentence, around.sentence.items[index]
    if sentence.has(Role.PARTIAL, Role.KEEP) or _counted(sentence, action):
        return False
    if any(Role.A_CONTRACT in item and item.clause == action.clause for item in sentence.items):
        return False
    if not _is_clear(sentence, action):
        return False
    if sentence.numbers and not foreign_near(sentence, action):
        return True
    return is_about(around, action, is_contract)


def _is_clear(sentence: Sentence, action: Item) -> bool:
    """Whether every word of an action's clause is known, from what asks for it to the number of what is cancelled
    or else to its end: "cancel the hold on our order" is about the unknown word."""
    clause = [at for at, number in enumerate(sentence.clauses) if number == action.clause]
    asking = [item.end for item in sentence.items if item.end <= action.start and item.roles & _ASKING]
    begin = action.start if Role.CANCEL_NOW in action else max(asking, default=0)
    end = next((at + 2 for at in sentence.numbers if at >= action.end), clause[-1] + 1)
    known = {at for item in sentence.items if item.roles & _KNOWN for at in range(item.start, item.end)}
    known |= {*sentence.plain, *range(action.start, action.end)}
    return all(at in known or _says_nothing(sentence.tokens[at]) for at in clause if begin <= at < end)


def _says_nothing(token: Token) -> bool:
    return token.kind in "PN" or (token.kind == "W" and len(token.text) <= _SHORT_WORD)


def _counted(sentence: Sentence, action: Item) -> bool:
    """ "cancel 5 licences": a part of the contract, not the contract."""
    after = sentence.tokens[action.end : action.end + 1]
    return bool(after) and after[0].kind == "N" and action.end not in sentence.numbers


def _nearest_is_cancellation(sentence: Sentence, index: int) -> bool:
    """ "annuler l'annulation", "die Stornierung widerrufen"."""
    action = sentence.items[index]
    inside = [item for item in sentence.items if item.clause == action.clause and item is not action]
    behind = [item for item in inside if item.start >= action.end and (is_contract(item) or Role.CANCEL_NOUN in item)]
    ahead = [item for item in inside if item.start < action.start and (is_contract(item) or Role.CANCEL_NOUN in item)]
    nearest = behind[:1] or ahead[-1:]
    return bool(nearest) and Role.CANCEL_NOUN in nearest[0]


def _restorable(around: Around, index: int, role: Role) -> bool:
    sentence, action = around.sentence, around.sentence.items[index]
    if role in (Role.REVERSE, Role.VOID):
        return sentence.has(Role.CANCEL_NOUN)
    if role is Role.KEEP and not any(one.has(*CANCELLATION) for one in around.everything):
        return False
    if foreign_near(sentence, action) or not (role is Role.KEEP or _is_clear(sentence, action)):
        return False
    if sentence.numbers or sentence.has(*CANCELLATION):
        return True
    return is_about(around, action, is_contract)


def _invites(around: Around) -> bool:
    """ "Send an invitation to paul@…": somebody new, not the customer's own invitation again."""
    sentence = around.sentence
    new = sentence.has(Role.A_INVITATION) and not sentence.has(Role.AGAIN)
    return new and any(True for _ in verb_people.addresses(sentence, around.own))


def _names_somebody(around: Around, index: int, role: Role) -> bool:
    """Whether an adding is about a person: an address, a word for one, a name; before any other object."""
    sentence, action = around.sentence, around.sentence.items[index]
    spoken = [at for at, _ in verb_people.addresses(sentence, around.own)]
    spoken += [item.start for item in sentence.items if Role.PERSON in item]
    spoken += [at for at in range(action.end, len(sentence.tokens) - 1) if _is_name(sentence, at)][:1]
    foreign = [item.start for item in sentence.items if Role.FOREIGN in item or Role.UNIT in item]
    behind, other = [at for at in spoken if at >= action.end], [at for at in foreign if at >= action.end]
    if _elsewhere(sentence, max(spoken, default=len(sentence.tokens))):
        return False
    if behind:
        return not other or min(behind) <= min(other)
    if other or (role is Role.INVITE and not _named_below(around, index)):
        return False
    return bool(spoken) or _listed_somewhere(around)


def _elsewhere(sentence: Sentence, person: int) -> bool:
    """ "Add paul@… to the mailing list": what follows the last person names a place that is none of ours."""
    phrases = {at for item in sentence.items for at in range(item.start, item.end)}
    clause = [at for at in range(person, len(sentence.tokens)) if sentence.clauses[at] == sentence.clauses[person]]
    to = next((at for at in clause[1:] if sentence.tokens[at].word in _TO and at not in phrases), None)
    if to is None:
        return False
    items = [item for item in sentence.items if item.start in clause and item.start > to]
    unknown = [
        at for at in clause if at > to and at not in sentence.plain | phrases and not _says_nothing(sentence.tokens[at])
    ]
    ours = [item.start for item in items if item.roles & _PLACES]
    return any(Role.FOREIGN in item for item in items) or bool(
        unknown and min(unknown) < min(ours, default=unknown[-1] + 1)
    )


def _named_below(around: Around, index: int) -> bool:
    """ "Please invite our consultant. His address is …": the sentences right behind name him."""
    earlier = around.sentence.items[index - 1 : index]
    told = any(Role.ASK in item for item in earlier)
    below = around.everything[around.at + 1 : around.at + 1 + _BELOW]
    return told and any(True for sentence in below for _ in verb_people.addresses(sentence, around.own))


def _is_name(sentence: Sentence, at: int) -> bool:
    """Two capitalised words that no list knows."""
    pair = sentence.tokens[at : at + 2]
    known = any(item.start <= at + 1 and item.end > at for item in sentence.items)
    return not known and all(token.kind == "W" and token.text.istitle() and len(token.text) > 1 for token in pair)


def _listed_somewhere(around: Around) -> bool:
    return any(True for sentence in around.everything for _ in verb_people.addresses(sentence, around.own))
