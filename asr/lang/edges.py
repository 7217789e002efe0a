"""Signs around words and in them: which are punctuation, which belong to the word, and which scripts letters are of."""

import re
import unicodedata
from functools import lru_cache

_JOINING = (
    "'-:\u00b7\u2010\u2011\u05f3\u05f4\u0f0b"  # inside words: Swedish s:t, Catalan l·l, Hebrew geresh, Tibetan tsheg
)
_INNER = re.compile(r"(?:--+|[\u2012-\u2015\u2026/\\_|]|\.\.+)")  # between words, not in them
_LETTER_DOTS = re.compile(r"(?:[^\W\d_]\.){2,}[^\W\d_]?")  # U.S.A.
EVENTS = {  # what (...) and *...* name that is heard, but not said
    *("laughs", "laughter", "laughing", "laugh", "coughs", "cough", "coughing", "noise", "inaudible", "unintelligible"),
    *("unclear", "music", "applause", "silence", "pause", "breath", "breathes", "breathing", "sigh", "sighs", "unk"),
    *("crosstalk", "indistinct", "sneeze", "sneezes", "sniffs", "clears", "throat", "background", "speech", "foreign"),
}
BRACKETS = re.compile(
    r"\[[^\[\]]*\]|<[^<>\s]*>|\{[^{}]*\}|\(([^()]*)\)|\*(\w+(?: \w+)?)\*"
    r"|(?<!\S)(?:!(?:SIL|ENTER|EXIT|NULL|UNK|NOISE)|\+\+\w+\+\+)(?!\S)"  # HTK's marks, and Sphinx's
)
WIDE = re.compile(  # full-width letters, digits and signs of money, half-width kana, ligatures, Arabic as it is drawn
    "[\uff04-\uff06\uff0b\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff65-\uff9f\uffe0-\uffe6\ufb00-\ufb17\ufb50-\ufbb1\ufbd3-\ufdc7"
    "\ufe70-\ufefc]+|(?<=[\uff10-\uff19])[\uff0c\uff0e\uff1a](?=[\uff10-\uff19])"
)
EAST_ASIAN = re.compile(  # punctuation that stands between words without blanks, of Chinese, Japanese, Korean
    "[\u3001-\u3003\u3008-\u3011\u3014-\u301f\u30fb\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff03\uff08-\uff0a\uff0c-\uff0f\uff1a\uff1b\uff1f"
    "\uff20\uff3b-\uff3d\uff3f\uff5b-\uff65]+"
)
_VARIANTS = {  # kind of change -> signs that are another way to write one, or nothing
    "apostrophes": dict.fromkeys("\u2018\u2019\u201b\u02bb\uff07\u2032\u055a", "'"),
    "hyphens": {"\u2010": "-", "\u2011": "-"},
    "stretched": {"\u0640": ""},  # the line by which Arabic letters are drawn longer
    "accents": dict.fromkeys("\u055b\u055c\u055e\u055f", ""),  # Armenian punctuation, on the vowel that it stresses
}
ACUTE = re.compile(r"(?<=[^\W\d_])[`\u00b4\u2035](?=[^\W\d_])")  # typed for an apostrophe: don`t, l\u00b4eau
_WITHOUT_BLANKS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
BREAK = re.compile(f"(?<=[{_WITHOUT_BLANKS}])\u200b+(?=[{_WITHOUT_BLANKS}])")  # there it parts words
ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?:https?://|ftp://|www\.)[^\s\"'<>]*[\w/]", re.IGNORECASE)


@lru_cache(maxsize=1 << 16)
def _script(letter: str) -> str:
    """The script of a letter, by the first word of its name in Unicode; "" for what belongs to all."""
    if not letter.isalpha():
        return ""
    name = unicodedata.name(letter, "").partition(" ")[0]
    return {"": "", "MODIFIER": "", "FULLWIDTH": "LATIN", "HALFWIDTH": "KATAKANA"}.get(name, name).capitalize()


def scripts_of(word: str) -> set[str]:
    """The scripts of a word's letters; those that Japanese writes together count as one.

    Examples:
        >>> sorted(scripts_of("café")), sorted(scripts_of("cаfe")), scripts_of("25")
        (['Latin'], ['Cyrillic', 'Latin'], set())
    """
    if word.isascii():
        return {"Latin"} if any(map(str.isalpha, word)) else set()
    found = {script for script in map(_script, word) if script}
    return {"Japanese" if script in ("Cjk", "Hiragana", "Katakana") else script for script in found}


def variants(letters: str, *, with_accents: bool) -> dict[str, dict[str, str]]:
    """The signs that are another way to write one, or nothing, by kind of change, but for those that are letters.

    Args:
        with_accents: whether punctuation on letters is among them.
    """
    kept = {kind: signs for kind, signs in _VARIANTS.items() if with_accents or kind != "accents"}
    return {kind: {a: b for a, b in signs.items() if a not in letters} for kind, signs in kept.items()}


def pieces(token: str) -> list[str]:
    """The words of a token, parted at dashes and slashes; `U.S.A.` is one, without its dots."""
    if token.count(".") > 1:
        token = _LETTER_DOTS.sub(lambda m: m[0].replace(".", ""), token)
    return _INNER.sub(" ", token).split()


def stripped(piece: str, letters: str = "", *, inside: bool = True) -> str:
    """A word without the signs at its edges; one apostrophe may stay, as it may belong to the word.

    Args:
        letters: signs that are no signs.
        inside: whether those amid the word part it, but for those that join (`it's`).
    """
    start, end = 0, len(piece)
    while start < end and _is_sign(piece[start]) and piece[start] not in letters:
        start += 1
    while end > start and _is_sign(piece[end - 1]) and piece[end - 1] not in letters:
        end -= 1
    before = "'" if start and piece[start - 1] == "'" and piece[:start].count("'") == 1 else ""
    after = "'" if end < len(piece) and piece[end] == "'" and piece[end:].count("'") == 1 else ""
    core = piece[start:end]
    if inside and not core.isalnum():
        core = re.sub('(?<=[\u05d0-\u05ea])"(?=[\u05d0-\u05ea])', "\u05f4", core)  # as typed for gershayim
        core = "".join(c if c in _JOINING or c in letters or not _is_punctuation(c) else " " for c in core)
        if " " in core:
            core = " ".join(stripped(part, letters) for part in core.split())
    return f"{before}{core}{after}" if core else ""


def with_its_signs(token: str, letters: str = "") -> str:
    """A token with digits without the punctuation around it, but with what belongs to the number: -5, #3, +3, 20°."""
    start, end = 0, len(token)
    while end > start and _is_punctuation(token[end - 1]) and token[end - 1] not in letters:
        end -= 1
    while start < end and _is_punctuation(token[start]) and token[start] not in letters:
        is_one = token[start] != token[start - 1 : start]
        if token[start] in "-#" and is_one and re.match(r"[$€£¥]?\d", token[start + 1 : end]):
            break
        start += 1
    return token[start:end]


def goes_on(tokens: list[str], i: int) -> bool:
    """Whether there are words after a token."""
    return any(any(map(str.isalnum, token)) for token in tokens[i + 1 :])


@lru_cache(maxsize=1 << 14)
def _is_sign(sign: str) -> bool:
    """Whether a character at the edge of a word is no part of it: punctuation; symbols that are read aloud stay."""
    return _is_punctuation(sign) or unicodedata.category(sign) in ("Sk", "So")


@lru_cache(maxsize=1 << 14)
def _is_punctuation(sign: str) -> bool:
    return unicodedata.category(sign)[0] == "P" and sign not in "%&@\u2030"
