"""Which language a mail is written in, by a vote of its commonest words: enough to choose a template, no more."""

import re
import unicodedata
from collections import Counter

_LONGEST = 4_000  # characters: the first paragraphs decide
_FEWEST = 3  # votes without which we are unsure
_MARGIN = 1.25  # how much better than the second language the first must be

_KANA = re.compile(r"[\u3041-\u30fe\uff66-\uff9d]")
_WORD = re.compile(r"[^\W\d_]+")
_TAG = re.compile(r"\s*([a-zA-Z]{2,3})\b")

_WORDS = {
    "fr": """le la les un une des du de et est sont dans pour par sur avec que qui ne pas nous vous notre votre nos
        vos je il elle ce cette ces au aux en ou mais plus bonjour merci cordialement client compte d
        l j c qu n s a ont être leur leurs son sa depuis lors très bien veuillez pouvez avons avez""",
    "en": """the a an of and is are in for to on with that this it we you our your i he she they not be been has
        have was were as at by from or but hello hi thanks thank regards please customer account dear
        can could would when which there their his her since""",
    "de": """der die das den dem des ein eine einen einem einer und ist sind im in für zu zum zur auf mit dass wir
        sie ihr unser unsere unserem unseren ihre ich er es nicht kein keine werden wird wurde haben
        hat als an bei von oder aber hallo danke bitte grüße grüßen sehr geehrte geehrter freundlichen
        kunde kunden konto seit auch kann können guten tag""",
    "es": """el la los las un una unos de del y es son en para por con que no nos nosotros nuestro nuestra su sus
        yo él ella este esta al o pero más hola gracias saludos buenos días cliente cuenta se lo le ha
        han hay está están muy desde cuando también como usted ustedes puede""",
    "it": """il lo la i gli le un una uno di del della dei delle e è sono in per con che non noi voi nostro nostra
        vostro suo io lui lei questo questa al alla o ma più ciao buongiorno grazie saluti cliente
        conto si ha hanno da dal nel nella anche come quando molto gentile cordiali può""",
    "pt": """o a os as um uma de do da dos das e é são em no na nos nas para por com que não nós nosso nossa seu
        sua eu ele ela este esta ao ou mas mais olá obrigado obrigada cumprimentos bom dia cliente
        conta se tem têm está estão muito desde quando também como você pode""",
    "nl": """de het een van en is zijn in voor op met dat die niet geen wij we u jullie onze ons uw ik hij zij dit
        deze aan of maar meer hallo bedankt groet groeten vriendelijke klant account te er naar bij
        ook als kan kunnen hebben heeft wordt worden sinds graag beste goedendag""",
}
_VOTES = {
    word: tuple(language for language, words in _WORDS.items() if word in words.split())
    for words in _WORDS.values()
    for word in words.split()
}


def guess(text: str, content_language: str = "") -> str | None:
    """fr, en, de, es, it, pt, nl or ja, or None when the words do not tell. `content_language` is the mail's own
    Content-Language field: it is believed only where the words are unsure, because programs write it, not people."""
    start = unicodedata.normalize("NFC", text[:_LONGEST])
    kana = len(_KANA.findall(start))
    if kana >= _FEWEST and kana * 6 > len(_WORD.findall(start)):
        return "ja"
    return _by_votes(start) or _named(content_language)


def _by_votes(text: str) -> str | None:
    """A word that several languages share is divided between them."""
    votes: Counter[str] = Counter()
    for word in _WORD.findall(text.lower()):
        languages = _VOTES.get(word, ())
        for language in languages:
            votes[language] += 12 // len(languages)
    ranked = votes.most_common(2)
    if not ranked or ranked[0][1] < _FEWEST * 12 // 2:
        return None
    if len(ranked) > 1 and ranked[0][1] < _MARGIN * ranked[1][1]:
        return None
    return ranked[0][0]


def _named(content_language: str) -> str | None:
    found = _TAG.match(content_language)
    tag = found[1].lower() if found else ""
    return tag if tag in _WORDS or tag == "ja" else None
