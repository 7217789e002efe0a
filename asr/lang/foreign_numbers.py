"""Numbers of languages other than English in words, through num2words: what is read in one way, and nothing else.

How decimals and thousands are written, and which answers of num2words are right, is kept here language by language.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any


def _codes(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


KNOWN = _codes(  # what num2words 0.5.14 has, so that it is known where it is not installed
    "am ar az be bn ca ce cs cy da de en eo es fa fi fr he hu id is it ja kn ko kz lt lv nl no pl pt ro ru sk sl sr sv "
    "te tet tg th tr uk vi"
)
_SAME = {"nb": "no", "nn": "no", "kk": "kz", "iw": "he"}  # the name that num2words has for them
# 3,5 is a decimal, and blanks part thousands
_COMMA = _codes("be ca cs da de es fi fr hu id is it lt lv nl no pl pt ro ru sk sl sr sv uk")
_DOTS_GROUP = _codes("ca da de es id is it nl pt ro sl sr")  # 1.000 is a thousand
_POINT = _codes("he ja ko th")  # 3.5 is a decimal, 1,000 a thousand
_DECIMALS = _POINT | _codes("be ca da de es fi fr hu id is it nl no pl pt ro ru sv uk")  # said well
_NEGATIVES = _codes("be ca da de es fi fr hu id is it lt lv nl no pt ro ru sl sr sv uk he")  # said well
_COMMA_SAID = {"es": (" punto ", " coma "), "ca": (" punt ", " coma ")}
DOTTED_ORDINALS = _codes("cs da de et fi hr hu is lv nb nn no sk sl sr tr")  # 3. may be "third"
_MOST_DIGITS = 15

_BLANK = "[ \u00a0\u2009\u202f]"
_GROUPED = re.compile(
    rf"(?<![\w.,:/])(?<!\d[ \u00a0\u2009\u202f-])[1-9]\d{{0,2}}(?:{_BLANK}\d{{3}})+(?![\w/:-]|{_BLANK}\d)"
)
_HARD_GROUPED = re.compile(r"(?<![\w.,:/])[1-9]\d{0,2}(?:[\u00a0\u2009\u202f]\d{3}| 000)+(?![\w/:-]| \d)")  # anywhere
_GERMAN_DAY = re.compile(r"\b(am|vom|zum|beim|im|dem|den|des) ([1-9]\d{0,2})\.(?=\s|$)", re.IGNORECASE)


def base(language: str) -> str:
    """The code of a language without its region.

    Examples:
        >>> base("pt-BR"), base("DE_at")
        ('pt', 'de')
    """
    return re.split("[-_]", language)[0].lower()


def foreign_speller(language: str) -> Callable[[str], str | None] | None:
    """The function from a token with digits to words, None where num2words is missing or has not got the language.

    The function gives None for what it cannot read in one way: clock times, dates, money, and
    what num2words says wrong.
    """
    code = base(language)
    if _SAME.get(code, code) not in KNOWN:
        return None
    try:
        import num2words
    except ImportError:
        return None
    spoken: Any = num2words.num2words
    full = re.sub("[-_]", "_", language) if code not in _SAME else _SAME[code]
    group, point = (r"\." if code in _DOTS_GROUP else "(?!)", ",") if code in _COMMA else (",", r"\.")
    if code not in _COMMA | _POINT:
        group = point = "(?!)"
    pattern = re.compile(
        rf"(?P<sign>[-\u2212]?)(?P<whole>[1-9]\d{{0,2}}(?:{group}\d{{3}})+|\d+)(?:{point}(?P<part>\d+))?"
    )

    def said(number: int | Decimal) -> str:
        return str(spoken(number, lang=full)).replace("-", " ")

    def spelled(token: str) -> str | None:
        match = pattern.fullmatch(token)
        if match is None or (match["sign"] and code not in _NEGATIVES):
            return None
        whole, part = re.sub(r"\D", "", match["whole"]), match["part"]
        try:
            if part is None and (len(whole) > _MOST_DIGITS or (len(whole) > 1 and whole[0] == "0")):
                return None if match["sign"] else " ".join(said(int(digit)) for digit in whole)
            if part is not None and (code not in _DECIMALS or part[-1] == "0" or len(whole + part) > _MOST_DIGITS):
                return None  # the zero at the end would be lost
            sign = "-" if match["sign"] else ""
            words = said(int(sign + whole) if part is None else Decimal(f"{sign}{whole}.{part}"))
        except (NotImplementedError, OverflowError, TypeError, ValueError, KeyError, IndexError):
            return None  # what num2words cannot say
        return words.replace(*_COMMA_SAID.get(code, (" ", " "))) if part is not None else words

    return spelled


def joined(line: str, language: str, tell: Callable[[str], None]) -> str:
    """A line in which blanks within numbers are gone: 12 500 is one number in French; 12 000, and one with
    hard blanks, is one anywhere.

    Args:
        tell: is called with each number that was written so.

    Examples:
        >>> joined("1 250 euros", "fr", print), joined("1 250 euros", "en", print)
        1 250
        ('1250 euros', '1 250 euros')
    """

    def together(match: re.Match[str]) -> str:
        tell(" ".join(match[0].split()))
        return re.sub(_BLANK, "", match[0])

    return (_GROUPED if base(language) in _COMMA else _HARD_GROUPED).sub(together, line)


def german_ordinals(line: str, tell: Callable[[str], None]) -> str:
    """A German line with the ordinals whose ending is sure, as in "am 3. Oktober", in words; others stay.

    Needs num2words.
    """
    import num2words

    def said(match: re.Match[str]) -> str:
        tell(f"{match[2]}.")
        return f"{match[1]} {num2words.num2words(int(match[2]), lang='de', to='ordinal')}n"

    return _GERMAN_DAY.sub(said, line)
