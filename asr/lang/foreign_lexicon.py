"""Lexicon files of other tools: the syntax that they have beside words and phones is read as what it means, or refused.

CMU dictionaries and Sphinx: `;;;` comments, `# comment` after the phones, `word(2)` for a second pronunciation.
HTK and Julius: `word [output] probability phones`, where the output is what a recogniser writes, and `sp` or `sil` ends
words. MFA and Kaldi: numbers after the word, of which the first is the pronunciation's probability, and three more, if
there are any, tell of silence around the word. What is none of these, such as XML, is refused with its line.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from ..display.brief import many
from ..errors import LexiconError
from .entries import PLAIN, Line, Understood, is_decimal, is_reserved, nfc, shortened
from .lexicon_signs import Said, doubt, refuse_other_syntax

CMU, HTK, JULIUS = "CMU dictionary (as Sphinx)", "HTK dictionary", "Julius dictionary"

_VARIANT = re.compile(r"(.+)(?:\(\d+\)|\[\d+\])")
_OUTPUT = re.compile(r"\[((?:\\.|[^\]\\])*)\]")
_NO_PHONE = re.compile(r"[-+]?\d*\.\d+%?|\d+%|[-+]\d+|.+,")  # logarithms, percent, lists
_NAMES = (("word", "words"), ("pronunciation", "pronunciations", "phones", "phonemes", "transcription"))
_ESCAPED = re.compile(r"((?:\\[0-7]{3})+)|\\(.)")
_COMMENTS = ("#", ";", "//")  # a line that begins so is a comment, unless phones of other lines follow
_PAUSES = frozenset(("sil", "sp", "SIL", "SP", "silB", "silE", "pau"))
_LAST_PAUSES = frozenset(("sil", "sp"))  # phones that HTK's tools put after each word, where pauses are optional here
_SUSPECT = frozenset("[+-.0123456789")
_MOST_NUMBERS = 4  # before the phones
_SENTENCE = ("<s>", "</s>")  # Sphinx and Julius list pauses at both ends of sentences as words


def understood(lines: Sequence[Line], *, has_comments: bool) -> Understood:
    """The content of a lexicon file's lines, whichever tool wrote them.

    Args:
        has_comments: whether the file has lines that begin with `;;;`.

    Raises:
        LexiconError: listing the lines that are of a layout that is not read.
    """
    _refuse_other_layouts(lines)
    kept, notes = _without_comments(lines)
    if kept and is_header([kept[0].word, *kept[0].fields]):
        del kept[0]
    kept, is_voca = _without_categories(kept, notes)
    refuse_other_syntax([Said(line.place, line.word, line.fields) for line in kept], has_comments=has_comments)
    is_cmu = has_comments or bool(notes)
    kept, n_variants = _named_alike(kept)
    format, settings = (JULIUS, {}) if is_voca else (CMU, {}) if is_cmu or n_variants else (PLAIN, {})
    if n_variants:
        notes.append(f"{many(n_variants, 'further pronunciation')} written as word(2)")
    if any(_has_output(line) for line in kept):
        is_julius = any("+" in line.word or line.fields[0].startswith("@") or "silB" in line.fields for line in kept)
        kept, format = _with_outputs(kept, notes), JULIUS if is_julius else HTK
    kept = _without_last_pauses(kept, notes, surely=format in (HTK, JULIUS))
    if format in (HTK, JULIUS) and any(line.fields == ["sil"] for line in kept):
        settings["silence_phone"] = "sil"
    kept = _without_sentence_ends(kept, notes)
    _refuse_what_is_no_phone(kept)
    once = _once(kept)
    if len(once) < len(kept) and format == PLAIN:
        notes.append(f"{many(len(kept) - len(once), 'line')} with the word and phones of another left out")
    if doubtful := doubt([Said(line.place, line.word, line.fields) for line in once]):
        notes.append(doubtful)
    return Understood(once, settings, format, notes)


def is_header(fields: Sequence[str]) -> bool:
    """Whether a first line names the columns: word and phones, or other such names."""
    names = [field.lower() for field in fields]
    return len(names) == 2 and names[0] in _NAMES[0] and names[1] in _NAMES[1]


def silence_numbers(lines: Sequence[Line]) -> bool:
    """Whether three numbers that tell of silence follow the probability in each line.

    Raises:
        LexiconError: listing the lines that differ from the others.
    """
    rests = [line.fields[1:] for line in lines]
    if not any(rest and is_decimal(rest[0]) for rest in rests):
        return False
    has_three = [len(rest) > 3 and all(map(_is_number, rest[:3])) and not is_decimal(rest[3]) for rest in rests]
    wrong = [
        f"{line.place}: word {line.word!r} has other numbers after it than one or four; a lexicon has one probability "
        "in every line, or four numbers as MFA and Kaldi's lexiconp_silprob.txt, or none"
        for line, three in zip(lines, has_three, strict=True)
        if not three
    ]
    if wrong:
        raise LexiconError(shortened(wrong, len(wrong)))
    return True


def _is_number(text: str) -> bool:
    return is_decimal(text) or text.isdecimal()


def _refuse_other_layouts(lines: Sequence[Line]) -> None:
    """Raise LexiconError for a file, or lines, of a layout that would give wrong words or phones."""
    first = lines[0].text.lstrip() if lines else ""
    for begin, what in (
        ("<?xml", "XML"),
        ("<lexicon", "XML"),
        ("<!--", "XML"),
        ("<!DOCTYPE", "XML"),
        ('{"', "JSON"),
        ('["', "JSON"),
        ('("', "Festival's"),
        ("(lex.", "Festival's"),
    ):
        if first.startswith(begin):
            raise LexiconError(f"{lines[0].place}: {what}, not a lexicon; need a word and its phones in each line")
    whole: list[tuple[Callable[[Line], bool], str]] = [
        (lambda line: "," in line.word.rstrip(","), "cells between commas; need a word and its phones"),
        (lambda line: bool(_OUTPUT.fullmatch(" ".join(line.fields))), "a transcription in brackets; need phones"),
        (lambda line: line.fields[:1] == ["|"], "cells between bars; need a word and its phones"),
        (
            lambda line: bool(re.match(r"[^:]+:[^:]*:[^:]*:", line.text)),
            "cells between colons, as Unisyn has them; need a word and its phones",
        ),
    ]
    for is_so, what in whole:
        if lines and all(map(is_so, lines)):
            raise LexiconError(f"{lines[0].place}: {lines[0].text.strip()!r}: {what}, separated by blanks")
    has_cells = all("\t" in line.text for line in lines)
    problems = [f"{line.place}: {wrong}" for line in lines if (wrong := _other_layout(line, has_cells))]
    if problems:
        raise LexiconError(shortened(problems, len(problems)))


def _other_layout(line: Line, has_cells: bool) -> str | None:
    """What is wrong with a line of another layout, or None.

    Args:
        has_cells: whether each line has a tab.
    """
    said = " ".join(line.fields)
    if len(said) > 2 and said[0] == said[-1] == "/":
        return f"word {line.word!r}: {said!r} is a transcription in slashes; write its phones, separated by blanks"
    if line.word[0] == "{" and line.word[-1] == "}" and said[:1] == "{" and said[-1:] == "}":
        return f"{line.text.strip()!r}: braces, as in GlobalPhone's dictionaries; write the word and its phones alone"
    if line.word[0] == "(" and said[-1:] == ")":
        return f"{line.text.strip()!r}: in parentheses, as in Festival's lexica; write the word and its phones alone"
    cell = line.text.partition("\t")[0].split()
    if has_cells and len(cell) > 1:
        return f"{' '.join(cell)!r}: a word with a blank, before the tab; join its parts, or give each a line"
    return None


def _refuse_what_is_no_phone(lines: Sequence[Line]) -> None:
    """Raise LexiconError listing lines with other things amid the phones: `[name]` where no line says that it is a
    phone, logarithms, percent, and commas."""
    alone = {line.fields[0] for line in lines if len(line.fields) == 1}
    problems = []
    for line in lines:
        phones = line.fields if len(line.fields) > 1 else []
        for k, phone in enumerate(phones):
            if phone[0] not in _SUSPECT and phone[-1] != ",":  # most; so much for the time that it takes
                continue
            if phone[0] == "[" and _OUTPUT.fullmatch(phone) and phone not in alone:
                what = f"{phone} amid the phones; what is written comes before them, as HTK has it"
            elif phone[-1] == "," or (_NO_PHONE.fullmatch(phone) and not (k < _MOST_NUMBERS and is_decimal(phone))):
                what = f"{phone} amid the phones; need one probability up to 1, or none, and phones between blanks"
            else:
                continue
            problems.append(f"{line.place}: word {line.word!r}: {what}")
            break
    if problems:
        raise LexiconError(shortened(problems, len(problems)))


def _without_comments(lines: Sequence[Line]) -> tuple[list[Line], list[str]]:
    """The lines without comments, and a note if there are any."""
    said = [_before_comment(line.fields) for line in lines if not line.word.startswith(_COMMENTS)]
    known = {phone for phones in said for phone in phones}
    is_phone = any(line.fields == ["#"] for line in lines)
    kept: list[Line] = []
    problems: list[str] = []
    for line in lines:
        is_sign = line.word.startswith(_COMMENTS) and not is_reserved(line.word)
        if is_sign and not (line.fields and known.issuperset(line.fields)):
            continue
        phones = line.fields if is_phone else _before_comment(line.fields)
        kept.append(line._replace(fields=phones))
        if len(phones) == len(line.fields):
            continue
        comment = " ".join(line.fields[len(phones) :])[1:].split()
        if phones and known.issuperset(comment):  # of phones, or empty
            problems.append(
                f"{line.place}: word {line.word!r}: does '#' begin a comment, or is it a phone? Rename the phone, or "
                "remove the comment"
            )
    if problems:
        raise LexiconError(shortened(problems, len(problems)))
    n_comments = sum(len(line.fields) for line in lines) - sum(len(line.fields) for line in kept)
    return kept, ["comments that begin with # were left out"] if n_comments else []


def _without_categories(lines: list[Line], notes: list[str]) -> tuple[list[Line], bool]:
    """The lines without `% NAME`, which begin the categories of words in Julius' .voca, and whether there are any."""
    kept = [line for line in lines if line.word != "%" or len(line.fields) != 1]
    n_categories = len(lines) - len(kept)
    if n_categories < 2:  # one can be the word itself
        return lines, False
    notes.append(f"{many(n_categories, 'category', 'categories')} of words (% NAME, as in Julius' .voca) left out")
    return kept, True


def _before_comment(fields: list[str]) -> list[str]:
    return fields[: next((i for i, f in enumerate(fields) if f[0] == "#" and not is_reserved(f)), len(fields))]


def _named_alike(lines: Sequence[Line]) -> tuple[list[Line], int]:
    """The lines with `word` for `word(2)`, and how many there were."""
    matches = [_VARIANT.fullmatch(line.word) for line in lines]
    named = [line._replace(word=match[1]) if match else line for line, match in zip(lines, matches, strict=True)]
    return named, sum(match is not None for match in matches)


def _has_output(line: Line) -> bool:
    # Julius: @log10(probability) comes first; a probability should follow, but other tools write it first as well
    at = bool(line.fields) and (line.fields[0].startswith("@") or _is_probability(line.fields[0]))
    return len(line.fields) > 1 + at and _OUTPUT.fullmatch(line.fields[at]) is not None


def _is_probability(text: str) -> bool:
    return is_decimal(text) or text == "1"


def _with_outputs(lines: Iterable[Line], notes: list[str]) -> list[Line]:
    """The lines of an HTK or Julius dictionary; words are what a recogniser writes, as transcripts have them."""
    kept, n_named, n_pauses = [], 0, 0
    for line in lines:
        word, output, probability, phones = _htk_line(line)
        if output == "" and _PAUSES.issuperset(phones):
            n_pauses += 1
        elif output == "":
            raise LexiconError(
                f"{line.place}: word {line.word!r} is written as nothing ([]), though it has phones of speech; name "
                "what is written between the brackets"
            )
        else:
            n_named += output is not None and output != word
            kept.append(line._replace(word=output or word, fields=phones, probability=probability))
    if n_named:
        notes.append(
            f"{many(n_named, 'word is', 'words are')} named by the output in brackets, not by the first column"
        )
    if n_pauses:
        what = many(n_pauses, "line of a pause", "lines of pauses")
        notes.append(f"{what}, written as nothing, left out: pauses are between words")
    return kept


def _htk_line(line: Line) -> tuple[str, str | None, float, list[str]]:
    """Word, output (None: the word), probability and phones of a line."""
    fields, probability, output = list(line.fields), 1.0, None
    if fields and fields[0].startswith("@"):
        try:
            probability = 10.0 ** float(fields.pop(0)[1:])
        except (ValueError, OverflowError):
            raise LexiconError(f"{line.place}: word {line.word!r}: need @ and a logarithm of base 10") from None
    if _has_output(line) and len(fields) > 2 and _is_probability(fields[0]):
        fields[:2] = fields[1::-1]
    if fields and (match := _OUTPUT.fullmatch(fields[0])):
        output = _unescaped(match[1], line.place)
        del fields[0]
    if len(fields) > 1 and _is_probability(fields[0]):
        probability = float(fields.pop(0))
    return _unescaped(line.word, line.place), output, probability, fields


def _unescaped(name: str, place: str) -> str:
    r"""A name of HTK without quotes and backslashes: `\303\251` is an é, `\'em` is 'em.

    Examples:
        >>> _unescaped(r"caf\303\251", ""), _unescaped(r"\'em", ""), _unescaped('"it"', "")
        ('café', "'em", 'it')
    """
    if len(name) > 2 and name[0] in "\"'" and name[-1] == name[0]:
        name = name[1:-1]
    try:
        return nfc(_ESCAPED.sub(lambda m: _octal(m[1]) if m[1] else m[2], name))
    except ValueError:
        raise LexiconError(f"{place}: name {name!r}: its octal codes are no UTF-8 text") from None


def _octal(codes: str) -> str:
    return bytes(int(code, 8) for code in codes.split("\\")[1:]).decode("utf-8")


def _without_last_pauses(lines: list[Line], notes: list[str], *, surely: bool) -> list[Line]:
    """The lines without `sp` or `sil` at the end, if all longer ones end so: these are optional pauses.

    Args:
        surely: whether the format is one that has them, so that a part of the lines may be without.
    """
    ending = [len(line.fields) > 1 and line.fields[-1] in _LAST_PAUSES for line in lines]
    longer = [len(line.fields) > 1 for line in lines]
    if not any(ending) or not (surely or (sum(ending) > 1 and ending == longer)):
        return lines
    n = many(sum(ending), "pronunciation")
    notes.append(
        f"sp or sil at the end of {n} {'was' if sum(ending) == 1 else 'were'} left out: pauses are between words"
    )
    return [line._replace(fields=line.fields[:-1]) if ends else line for line, ends in zip(lines, ending, strict=True)]


def _without_sentence_ends(lines: list[Line], notes: list[str]) -> list[Line]:
    """The lines without `<s> SIL` and `</s> SIL`, the pauses that Sphinx lists as words."""
    kept = [line for line in lines if not (line.word in _SENTENCE and _PAUSES.issuperset(line.fields))]
    if len(kept) < len(lines):
        notes.append("<s> and </s> with a pause were left out: every sentence has both")
    return kept


def _once(lines: Iterable[Line]) -> list[Line]:
    """The lines, of those with the same word and phones the first: other tools' files may have a word twice."""
    first: dict[tuple[str, tuple[str, ...]], Line] = {}
    for line in lines:
        first.setdefault((line.word, tuple(line.fields)), line)
    return list(first.values())
