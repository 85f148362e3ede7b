"""The words by which mails ask something about a contract: data from `[verbs.*]` of labels.toml, made fast to match.

A phrase is written with its words apart; a mail may drop accents, write umlauts out ("ue") or mistype one letter of a
long word. All languages lie in one tree, because people mix them. verb_sentences.py finds them, verbs.py judges.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from triaged.domain import vocabulary
from triaged.domain.vocabulary import Role as LabelRole
from triaged.domain.vocabulary import VocabularyError

GAP = "…"
_WORD = re.compile(rf"[^\W\d_]+|\d+|{GAP}")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "ae", "Ö": "oe", "Ü": "ue"})
_LONG = 6  # letters from which a word may be mistyped


class Role(StrEnum):
    """What a phrase does in a sentence; config/labels.toml explains each. A phrase may have several."""

    RESEND = "resend"
    RESEND_NOW = "resend_now"
    RESEND_NOUN = "resend_noun"
    RESEND_DONE = "resend_done"
    SEND = "send"
    RECEIVE = "receive"
    AGAIN = "again"
    ADD = "add"
    ADD_NOW = "add_now"
    ADD_NOUN = "add_noun"
    ADD_DONE = "add_done"
    CANCEL = "cancel"
    CANCEL_NOW = "cancel_now"
    CANCEL_NOUN = "cancel_noun"
    CANCEL_DONE = "cancel_done"
    RESTORE = "restore"
    RESTORE_NOW = "restore_now"
    RESTORE_NOUN = "restore_noun"
    RESTORE_DONE = "restore_done"
    KEEP = "keep"
    REVERSE = "reverse"
    VOID = "void"
    MISTAKE = "mistake"
    OTHER = "other"
    INVITE = "invite"
    INVITATION = "invitation"
    A_INVITATION = "a_invitation"
    LINK = "link"
    LOST = "lost"
    PERSON = "person"
    ADMIN = "admin"
    READER = "reader"
    MANY = "many"
    CONTRACT = "contract"
    A_CONTRACT = "a_contract"
    STATUS = "status"
    COUNT = "count"
    HAVE = "have"
    MINE = "mine"
    THIRD = "third"
    SAYS = "says"
    FOREIGN = "foreign"
    NEUTRAL = "neutral"
    PLAIN = "plain"
    TARGET = "target"
    PARTIAL = "partial"
    ASK = "ask"
    WILL = "will"
    WISH = "wish"
    PLEASE = "please"
    POSSIBLE = "possible"
    PROCEED = "proceed"
    ABOUT = "about"
    CONFIRM = "confirm"
    PASSIVE = "passive"
    HYPOTHETICAL = "hypothetical"
    GENERAL = "general"
    NEGATION = "negation"
    THANKS = "thanks"
    SETTLED = "settled"
    DISCLAIMER = "disclaimer"
    BREAKER = "breaker"
    CONTACT = "contact"
    NUMBER = "number"
    UNIT = "unit"


# What a longer phrase keeps of the words that it is made of: "la commande" is still an order.
_KEPT = frozenset({Role.CONTRACT, Role.NUMBER, Role.INVITATION, Role.LINK, Role.AGAIN, Role.CANCEL_NOUN, Role.ADMIN})
_SWALLOWS = frozenset({Role.NEUTRAL, Role.CONTACT, Role.FOREIGN, Role.THANKS, Role.SETTLED})
_MAY_BE_MISTYPED = frozenset(
    role
    for role in Role
    if role.value.partition("_")[0] in ("resend", "add", "cancel", "restore", "invitation") and "done" not in role
)


@dataclass(slots=True)
class Node:
    """A place in the tree of phrases. `roles`: a phrase ends here; `gaps`: the second parts of phrases whose first part
    ends here, each with its roles."""

    after: dict[str, "Node"] = field(default_factory=dict)
    roles: frozenset[Role] = frozenset()
    gaps: list[tuple[tuple[str, ...], Role]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class VerbWords:
    """All phrases as one tree over folded words; `stems` are words that any ending may follow (kept as "word*"),
    `slips` one-letter slips of long words -> the word, `closings` how a signature begins."""

    root: Node = field(default_factory=Node)
    words: frozenset[str] = frozenset()
    stems: frozenset[str] = frozenset()
    slips: Mapping[str, str] = field(default_factory=dict)
    closings: frozenset[tuple[str, ...]] = frozenset()

    @classmethod
    def from_table(cls, table: Mapping[str, object]) -> "VerbWords":
        """From the parsed labels.toml: `[verbs.<language>]` with a list of phrases per Role, and each language's own
        `closing` list. Raises VocabularyError naming every fault."""
        problems: list[str] = []
        tree = _Tree()
        for role, phrase in _phrases(table.get("verbs", {}), problems):
            tree.add(phrase, role, problems)
        if problems:
            raise VocabularyError(problems)
        tree.inherit()
        stems = frozenset(word for word in tree.known if word.endswith("*"))
        return cls(tree.root, frozenset(tree.known) - stems, stems, _slips(tree), _closings(table))

    def symbols(self, word: str) -> Sequence[str]:
        """Under which names the tree may know a folded word: itself, its stem, the word that it mistypes."""
        known = [word] if word in self.words else []
        known += [stem for size in range(3, len(word) + 1) if (stem := word[:size] + "*") in self.stems]
        if not known and len(word) >= _LONG:
            meant = next((self.slips[one] for one in (word, *_shorter(word)) if one in self.slips), "")
            known = [meant] if meant[:1] == word[0] else []
        return known


class _Tree:
    """The tree while it grows. `known`: word -> the roles of the phrases that it stands in."""

    def __init__(self) -> None:
        self.root = Node()
        self.known: dict[str, set[Role]] = {}
        self._ends: dict[tuple[str, ...], Node] = {}

    def add(self, phrase: str, role: Role, problems: list[str]) -> None:
        for spelled in {phrase, phrase.translate(_UMLAUTS)}:
            words = _split(spelled)
            parts = " ".join(words).split(f" {GAP} ")
            if not words or GAP in parts[0] or len(parts) > 2:
                problems.append(
                    f"labels: verbs: {phrase!r}: one word at least, and one {GAP} between two parts at most"
                )
                return
            for word in words:
                self.known.setdefault(word, set()).add(role)
            node = self._node(parts[0].split())
            if len(parts) == 2:
                node.gaps.append((tuple(parts[1].split()), role))
            else:
                node.roles |= {role}
                self._ends[tuple(words)] = node

    def inherit(self) -> None:
        """Give every phrase what it keeps of the phrases inside it."""
        own = {words: node.roles for words, node in self._ends.items()}
        for words, node in self._ends.items():
            if not node.roles & _SWALLOWS:
                spans = (words[at:end] for at in range(len(words)) for end in range(at + 1, len(words) + 1))
                node.roles |= {role for span in spans for role in own.get(span, ()) if role in _KEPT}

    def _node(self, words: Iterable[str]) -> Node:
        node = self.root
        for word in words:
            node = node.after.setdefault(word, Node())
        return node


def fold(word: str) -> str:
    """A word as it is compared; here a single letter loses its accent too ("envoyer a nouveau")."""
    return vocabulary.fold(f"{word}-")[:-1] if len(word) == 1 else vocabulary.fold(word)


def _split(phrase: str) -> list[str]:
    """Folded words; a final `*` stays with its word."""
    found = []
    for match in _WORD.finditer(phrase):
        star = "*" if phrase[match.end() : match.end() + 1] == "*" else ""
        found.append(GAP if match[0] == GAP else fold(match[0]) + star)
    return found


def _phrases(languages: object, problems: list[str]) -> Iterator[tuple[Role, str]]:
    if not isinstance(languages, Mapping):
        problems.append("labels: verbs must be tables of lists, like [verbs.fr]")
        return
    for language, lists in languages.items():
        if not isinstance(lists, Mapping):
            problems.append(f"labels: verbs.{language} must be a table of lists, like [verbs.fr]")
            continue
        for name, phrases in lists.items():
            if name not in list(Role):
                near = difflib.get_close_matches(str(name), list(Role), 1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(Role)}"
                problems.append(f"labels: verbs.{language}.{name} is not a kind of phrase: {hint}")
            elif not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
                problems.append(f'labels: verbs.{language}.{name} must be a list of texts, like ["please"]')
            else:
                yield from ((Role(name), phrase) for phrase in phrases)


def _slips(tree: _Tree) -> Mapping[str, str]:
    """Every way to leave out one letter of a long word that matters -> the word; with a letter of the mail's word left
    out too, this finds added, missing, wrong and exchanged letters."""
    slips: dict[str, str] = {}
    for word, roles in tree.known.items():
        if len(word) >= _LONG and not word.endswith("*") and roles & _MAY_BE_MISTYPED:
            for short in (word, *_shorter(word)):
                slips.setdefault(short, word)
    return slips


def _shorter(word: str) -> list[str]:
    return [word[:at] + word[at + 1 :] for at in range(1, min(len(word), 24))]


def _closings(table: Mapping[str, object]) -> frozenset[tuple[str, ...]]:
    lists = [language.get(LabelRole.CLOSING) for language in table.values() if isinstance(language, Mapping)]
    phrases = (phrase for found in lists if isinstance(found, list) for phrase in found)
    return frozenset(tuple(_split(spelled)) for phrase in phrases for spelled in {phrase, phrase.translate(_UMLAUTS)})
