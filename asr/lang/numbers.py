"""Numbers in words, as they are read aloud: English by rules of our own, other languages through num2words."""

import re
from collections.abc import Callable

from .foreign_numbers import foreign_speller

_UNITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_UNITS += ["thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_POWERS = ["", "thousand", "million", "billion", "trillion"]
_MOST_DIGITS = 15  # longer ones are told digit by digit, as are those that begin with a zero
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
_ORDINALS |= {"twelve": "twelfth"}
_MONEY = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"), "¥": ("yen", "sen")}
_UNITS_SAID = {"kg": "kilogram", "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "°": "degree"}
_UNITS_SAID |= {"lb": "pound", "lbs": "pound", "ml": "milliliter"}
_HALVES = {"½": ("one half", "a half"), "¼": ("one quarter", "a quarter"), "¾": ("three quarters", "three quarters")}
_MILLIONS = re.compile(r"([$€£¥])(\d[\d,]*(?:\.\d+)?)\s(hundred|thousand|million|billion|trillion)\b", re.IGNORECASE)
_UNIT_APART = re.compile(r"(?<=\d)\s(?=(?:kg|km|cm|mm|ml|lbs?)\b)")

_SIGNS = {"&": "and", "%": "percent", "@": "at", "+": "plus", "=": "equals"}

_NUMBER = re.compile(
    r"(?P<sign>[-\u2212+#]?)(?P<money>[$€£¥]?)(?P<whole>\d{1,3}(?:,\d{3})+|\d+)(?:\.(?P<part>\d+))?"
    r"(?P<end>%|st|nd|rd|th|s|am|pm|kg|km|cm|mm|ml|lbs?|°|[$€£¥])?"
)
_CLOCK = re.compile(r"(\d{1,2}):([0-5]\d)(am|pm)?")
_HALF = re.compile("(\\d{0,3})([½¼¾])")
_BEFORE = {"": "", "-": "minus ", "\u2212": "minus ", "+": "plus ", "#": "number "}

Speller = Callable[[str], str | None]


def speller_of(language: str) -> Speller | None:
    """The function from a token with digits to words in a language (`en`, `fr` ...), None where there is no rule.

    The function gives None for tokens that it does not understand. Languages other than English need num2words.
    """
    if language.partition("-")[0].lower() == "en":
        return english
    return foreign_speller(language) if language else None


def signs_of(language: str) -> dict[str, str]:
    """How signs that stand by themselves are read in a language; nothing where there is no rule.

    Examples:
        >>> signs_of("en-GB")["&"], signs_of("fr")
        ('and', {})
    """
    return _SIGNS if language.partition("-")[0].lower() == "en" else {}


def english(token: str) -> str | None:
    """A token in English words, without hyphens or "and"; None for one that is no number.

    Numbers of four digits from 1100 to 1999 and from 2010 to 2099 are read as years.

    Examples:
        >>> english("25"), english("1,250.5"), english("3rd"), english("$1.50"), english("1984"), english("7:30")
        ('twenty five', 'one thousand two hundred fifty point five', 'third', 'one dollar fifty cents', \
        'nineteen eighty four', 'seven thirty')
    """
    if clock := _CLOCK.fullmatch(token):
        return f"{_clock(int(clock[1]), int(clock[2]))} {clock[3] or ''}".strip()
    if half := _HALF.fullmatch(token):
        alone, after = _HALVES[half[2]]
        return f"{cardinal(int(half[1]))} and {after}" if half[1] else alone
    match = _NUMBER.fullmatch(token)
    if match is None:
        return None
    whole, part, end, money = match["whole"], match["part"], match["end"], match["money"]
    if end in ("st", "nd", "rd", "th", "s", "am", "pm") and (part or money or match["sign"]):
        return None
    sign = _BEFORE[match["sign"]]
    if money or end in _MONEY:
        said = None if money and end else _money(money or end, whole.replace(",", ""), part)
        return None if said is None else sign + said
    if end in _UNITS_SAID:
        return f"{sign}{_amount(whole, part)} {_UNITS_SAID[end]}{'' if whole == '1' and not part else 's'}"
    if end == "s":
        return _plural(_whole(whole))
    if end in ("st", "nd", "rd", "th"):
        return _ordinal(cardinal(int(whole.replace(",", ""))))
    after = {"%": " percent", "am": " am", "pm": " pm"}.get(end or "", "")
    return f"{sign}{_amount(whole, part)}{after}"


def plain_english(line: str) -> str:
    """A line in which sums and units stand in the order of reading aloud, for `english` to read the numbers.

    Examples:
        >>> plain_english("$1.2 million and 5 kg")
        '1.2 million dollars and 5kg'
    """
    if not _MONEY.keys().isdisjoint(line):
        line = _MILLIONS.sub(lambda m: f"{m[2]} {m[3]} {_MONEY[m[1]][0]}{'' if m[1] == '¥' else 's'}", line)
    return _UNIT_APART.sub("", line)


def _amount(whole: str, part: str | None) -> str:
    return f"{_whole(whole)}{f' point {_digits(part)}' if part else ''}"


def cardinal(number: int) -> str:
    """A whole number from 0 to below 10^15 in English words.

    Examples:
        >>> cardinal(0), cardinal(1_000_012)
        ('zero', 'one million twelve')
    """
    if number == 0:
        return _UNITS[0]
    words: list[str] = []
    for power in range(len(_POWERS) - 1, -1, -1):
        group = number // 1000**power % 1000
        if group:
            words += [*_below_thousand(group), *([_POWERS[power]] if power else [])]
    return " ".join(words)


def _below_thousand(number: int) -> list[str]:
    words = [_UNITS[number // 100], "hundred"] if number >= 100 else []
    rest = number % 100
    if rest >= 20:
        words += [_TENS[rest // 10], *([_UNITS[rest % 10]] if rest % 10 else [])]
    elif rest:
        words.append(_UNITS[rest])
    return words


def _whole(text: str) -> str:
    """The digits before a point."""
    digits = text.replace(",", "")
    if len(digits) > _MOST_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return _digits(digits)
    number = int(digits)
    is_year = len(digits) == 4 == len(text) and (1100 <= number < 2000 or 2010 <= number < 2100)
    return _year(number) if is_year else cardinal(number)


def _year(number: int) -> str:
    century, year = divmod(number, 100)
    rest = "hundred" if year == 0 else f"oh {_UNITS[year]}" if year < 10 else cardinal(year)
    return f"{cardinal(century)} {rest}"


def _digits(text: str) -> str:
    return " ".join(_UNITS[int(digit)] for digit in text)


def _ordinal(cardinal_words: str) -> str:
    before, _, last = cardinal_words.rpartition(" ")
    word = _ORDINALS.get(last) or (last[:-1] + "ieth" if last.endswith("y") else last.removesuffix("t") + "th")
    return f"{before} {word}".strip()


def _plural(word: str) -> str:
    """`nineteen nineties` for `nineteen ninety`."""
    return word[:-1] + "ies" if word.endswith("y") else word + ("es" if word.endswith("x") else "s")


def _clock(hour: int, minute: int) -> str:
    rest = "o'clock" if minute == 0 else f"oh {_UNITS[minute]}" if minute < 10 else cardinal(minute)
    return f"{cardinal(hour)} {rest}"


def _money(sign: str, whole: str, part: str | None) -> str | None:
    """Dollars and cents; other parts than two digits are told digit by digit."""
    if len(whole) > _MOST_DIGITS:
        return None
    unit, small = _MONEY[sign]
    units = unit if unit == "yen" else f"{unit}s"
    if part is not None and len(part) != 2:
        return f"{cardinal(int(whole))} point {_digits(part)} {units}"
    smalls = "pence" if small == "penny" else f"{small}s"
    words = [f"{cardinal(int(whole))} {unit if int(whole) == 1 else units}"] if int(whole) or not int(part or 0) else []
    if int(part or 0):
        words.append(f"{cardinal(int(part or 0))} {small if int(part or 0) == 1 else smalls}")
    return " ".join(words)
