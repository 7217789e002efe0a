"""Text as people write it: worked examples for each kind of change, and properties that hold of any text."""

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import ConfigError
from asr.lang.normalize import Normalizer, Rules, normalized
from asr.lang.numbers import cardinal, english, speller_of

ENGLISH = Rules("en")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Nyinga, nyinga. WA wa", "nyinga nyinga wa wa"),
        ("“Don’t wait,” said Ann — it's O'Clock!", "don't wait said ann it's o'clock"),
        ("'hello world' he said", "hello world he said"),
        ("'tis ma' 'n' pa", "'tis ma' n pa"),
        ("\u2019tis 'quoted' and 'so is this'", "'tis quoted and so is this"),
        ("mail bob@x.com, see https://a.b/c?x=1.", "mail bob@x.com see https://a.b/c?x=1"),
        ("!SIL one !ENTER ++noise++ Wow!", "one wow"),
        ('צה"ל "שלום"', "צה״ל שלום"),
        ("こんにちは、世界！「はい」カフェ２５", "こんにちは 世界 はい カフェ25"),
        ("Ｈｅｌｌｏ ﬁne ﾊﾞｽ １，０００", "hello fine バス 1,000"),
        ("the dogs' bones", "the dogs' bones"),
        ("well-known, two-fold - three", "well-known two-fold three"),
        ("wait,what?!  this...that", "wait what this that"),
        ("and/or non\u2011breaking two\u2010fold", "and or non-breaking two-fold"),
        ("l\u00b4été don`t `so´", "l'été don't so"),
        ("مـحـمـد ـــ", "محمد"),  # letters that are drawn longer
        ("ស្រុក\u200bខ្មែរ ภาษา\u200bไทย", "ស្រុក ខ្មែរ ภาษา ไทย"),
        ("ինչպե՞ս այո՛", "ինչպես այո"),  # signs on the stressed vowel
        ("U.S.A. (really) e.g.", "usa really eg"),
        ("[noise] <unk> {breath} hello (laughs) *coughs* <s>", "hello"),
        ("a [multi word] b", "a b"),
        ("cafe\u0301 zero\u200bwidth soft\u00adhyphen \ufeffmark", "caf\u00e9 zerowidth softhyphen mark"),
        ("می\u200cروم\u200c", "می\u200cروم"),  # the non-joiner is a part of Persian words
        ("¿Qué? ¡Sí! «L’été»", "qué sí l'été"),
        ("你好，世界。", "你好 世界"),
        ("नमस्ते। दुनिया", "नमस्ते दुनिया"),
        ("Ὀδυσσεὺς ΟΔΟΣ", "ὀδυσσεὺς οδος"),
        ("ᲡᲐᲥᲐᲠᲗᲕᲔᲚᲝ", "საქართველო"),
        ("s:t l·l צ׳ק", "s:t l·l צ׳ק"),
        ("— … ?!", ""),
    ],
)
def test_words_of_many_scripts(written, said):
    assert normalized(written) == said


def test_numbers_in_english():
    assert normalized("25! rooms, 1,250.5 m, 20% in 1984", ENGLISH) == (
        "twenty five rooms one thousand two hundred fifty point five m twenty percent in nineteen eighty four"
    )
    assert normalized("on the 21st, 3rd, 12th and 90th", ENGLISH) == "on the twenty first third twelfth and ninetieth"
    assert normalized("$1.50, €5, £1 and $0.01", ENGLISH) == "one dollar fifty cents five euros one pound and one cent"
    assert normalized("007 at 7:30 in the 1990s or 2005", ENGLISH) == (
        "zero zero seven at seven thirty in the nineteen nineties or two thousand five"
    )
    assert normalized("-5 to +3, #3 or 20°") == "-5 to +3 #3 or 20°"
    assert normalized("-5 to +3, #3 --5", ENGLISH) == "minus five to plus three number three five"
    assert normalized("$1.2 million, $1,000 and 3€ ¥100", ENGLISH) == (
        "one point two million dollars one thousand dollars and three euros one hundred yen"
    )
    assert normalized("½ cup, 2½ cups, 5kg or 1 kg at 10am, 7:30pm, 20°", ENGLISH) == (
        "one half cup two and a half cups five kilograms or one kilogram at ten am seven thirty pm twenty degrees"
    )
    assert normalized("on 9/11 at pages 10-12", ENGLISH) == "on 9/11 at pages 10-12"


def test_signs_by_themselves_are_read_where_it_is_known_how_and_else_left_out():
    assert normalized("salt & pepper + 5 % R&D", ENGLISH) == "salt and pepper plus five percent r&d"
    normalizer = Normalizer(Rules())
    assert normalizer("Salz & Pfeffer = gut % AT&T") == "salz pfeffer gut at&t"
    assert "3 words without their punctuation: &, =, %" in normalizer.report()
    assert Normalizer(Rules("en"), {"&": "&"}.get)("a & b") == "a & b"  # a lexicon's own word
    assert normalized("हिन्दी & ก็", Rules()) == "हिन्दी ก็"
    assert normalized("a ǃ : b", Rules(letters=":")) == "a ǃ : b"
    assert normalized("a & b", Rules(punctuation="keep")) == "a & b"


def test_one_line_and_one_word_are_told_so():
    normalizer = Normalizer()
    normalizer("It’s")
    assert normalizer.report() == [
        "1 line, 1 word",
        "1 word of other case now: It's",
        "1 line with curly apostrophes, now ': ’",
    ]


@pytest.mark.parametrize("token", ["b2b", "1/2", "10-12", "3.14.15", "1,25", "$5%", "x", ""])
def test_what_is_no_number_is_left(token):
    assert english(token) is None


def test_words_with_digits_are_left_and_told_where_no_rule_exists():
    normalizer = Normalizer(Rules())
    assert normalizer("25! is b2b") == "25 is b2b"
    told = [line for line in normalizer.report() if "digits" in line]
    assert told == ["2 words with digits not written out (the language is not known: --language en writes them out): "
                    "25!, b2b"]  # fmt: skip
    assert Normalizer(Rules("en", numbers="keep"))("25!") == "25"


@settings(deadline=None)
@given(st.integers(0, 10**15 - 1))
def test_cardinals_say_the_number(number):
    """Read back: units and tens add up, hundred and the powers of a thousand multiply."""
    values = {cardinal(n): n for n in [*range(20), *range(20, 100, 10)]}
    powers = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
    total = group = 0
    for word in cardinal(number).split():
        if word == "hundred":
            group *= 100
        elif word in powers:
            total, group = total + group * powers[word], 0
        else:
            group += values[word]
    assert total + group == number


def test_other_languages_through_num2words():
    pytest.importorskip("num2words")
    assert normalized("25 ans", Rules("fr")) == "vingt cinq ans"
    assert speller_of("xx") is None


@pytest.mark.parametrize(
    ("language", "written", "said"),
    [
        ("fr", "1 000 euros, 12 500 000 ans", "mille euros douze millions cinq cent mille ans"),
        ("fr", "1\u202f000,5 et 06 12 34", "mille virgule cinq et zéro six douze trente quatre"),
        ("ru", "1 000 рублей", "одна тысяча рублей"),
        ("en", "1 000 or 2\u00a0250 but 7 50", "one thousand or two thousand two hundred fifty but seven fifty"),
        ("de", "am 3. Oktober, der 3. Mai, 2. Platz, Nummer 3.", "am dritten oktober der 3. mai 2. platz nummer drei"),
        ("de", "3,5 und 1.000 um 14:30 3,50", "drei komma fünf und eintausend um 14:30 3,50"),
        ("de", "-5, 007 #3", "minus fünf null null sieben #3"),
        ("es", "3,5", "tres coma cinco"),
        ("vi", "-5", "-5"),  # num2words says fifteen
    ],
)  # fmt: skip
def test_numbers_are_read_as_the_language_writes_them_or_stay(language, written, said):
    pytest.importorskip("num2words")
    assert normalized(written, Rules(language)) == said


def test_what_stays_and_what_is_taken_for_one_is_told():
    pytest.importorskip("num2words")
    normalizer = Normalizer(Rules("de"))
    normalizer("1 250 Leute, der 3. Mai, 14:30")
    told = "\n".join(normalizer.report())
    assert "1 word with digits not written out (no numbers that are read in one way): 14:30" in told
    assert "1 number with a dot not written out, which may be ordinals" in told and ": 3." in told
    assert "1 number with blanks in it, taken for one: 1 250" in told


def test_codes_that_are_no_language_are_refused_and_those_without_rules_are_not_told_to_install():
    with pytest.raises(ConfigError, match=r"'english' is no code of a language.*nearest: en"):
        Rules("english")
    with pytest.raises(ConfigError, match="'xx' is no code"):
        Rules("xx")
    normalizer = Normalizer(Rules("sw"))
    normalizer("25")
    assert "no rule for 'sw', and num2words knows none" in normalizer.report()[1]


def test_small_letters_by_language():
    assert normalized("IŞIK İZMİR", Rules("tr")) == "ışık izmir"
    assert normalized("IŞIK İZMİR") == "işik izmir"
    assert normalized("Straße ÉTÉ") == "straße été"


def test_rules_can_be_left_out():
    assert normalized("Well, [x] 25!", Rules("en", "keep", "keep", "keep", "keep")) == "Well, [x] 25!"
    assert normalized("Well, [x] 25!", Rules(case="upper")) == "WELL 25"
    assert normalized("'ala: 'o:", Rules(letters="':")) == "'ala: 'o:"
    with pytest.raises(ConfigError, match="case='Lower'; need lower or upper or keep"):
        Rules(case="Lower")


def test_a_report_tells_of_each_sign_that_is_made_another():
    normalizer = Normalizer()
    for line in ("don`t", "two\u2010fold", "مـن", "ខ្មែរ\u200bស្រុក", "ո՞վ"):
        normalizer(line)
    assert normalizer.report()[1:6] == [
        "1 line with invisible breaks between words, now blanks: U+200B",
        "1 line with curly apostrophes, now ': `",
        "1 line with hyphens of other kinds, now -: \u2010",
        "1 line with stretched letters, now plain ones: ـ",
        "1 line with punctuation on letters, left out: ՞",
    ]


def test_signs_that_are_letters_are_not_made_others():
    assert Normalizer(Rules(letters="`´‐"))("k`a k´a a‐b don’t") == "k`a k´a a‐b don't"
    assert Normalizer(Rules(punctuation="keep"))("ո՞վ don`t,") == "ո՞վ don't,"


def test_a_lexicon_decides_how_its_words_are_spelled():
    spelled = {"paris": "Paris", "[noise]": "[noise]", "u.s.": "U.S."}
    normalizer = Normalizer(Rules(), lambda word: spelled.get(word.lower()))
    assert normalizer("PARIS, in the U.S. [noise] [x] Rome") == "Paris in the U.S. [noise] rome"


def test_the_report_tells_what_was_found():
    normalizer = Normalizer(Rules("en"))
    for line in ("WA, wa", "Nyinga 25 [noise]", "don’t", "cafe\u0301", "а\u200b", "cаfe"):
        normalizer(line)
    assert normalizer.report() == [
        "6 lines, 9 words",
        "1 word in several spellings by case: WA/wa",
        "2 words of other case now: WA,, Nyinga",
        "1 word without their punctuation: WA,",
        "1 word with digits written out: 25",
        "1 word in brackets, or other marks, left out: [noise]",
        "1 invisible sign left out: U+200B",
        "1 line with curly apostrophes, now ': ’",
        "1 line with accents apart from their letters, now in one piece (NFC)",
        "several scripts: Latin (7 different words), Cyrillic (2 different words)",
        "1 word with letters of two scripts: cаfe",
    ]


TEXT = st.text('abcdeéışжω12 .,;:!?"()-–“”\u200b\u0301', max_size=30)
PLAIN = st.lists(st.text("abcxyzéşж", min_size=1, max_size=6), min_size=1).map(" ".join)


@settings(deadline=None)
@given(TEXT)
def test_any_text_becomes_words_that_stay_as_they_are(text):
    once = normalized(text, ENGLISH)
    assert once == " ".join(once.split()) and normalized(once, ENGLISH) == once


@settings(deadline=None)
@given(PLAIN)
def test_plain_words_are_not_changed(text):
    normalizer = Normalizer(Rules("en"))
    assert normalizer(text) == text and not normalizer.total().keys() - {"mixed"}


@settings(deadline=None)
@given(PLAIN, st.sampled_from(["{}.", "“{}”", "{},", "({})", "¿{}?", "{}…", "'{}'", "- {} -"]))
def test_punctuation_around_words_is_all_that_goes(text, around):
    assert normalized(around.format(text).upper()) == normalized(text.upper())


def test_all_spellings_are_shown_the_most_frequent_first():
    normalizer = Normalizer()
    for line in ("ZERO, zero Zero one", "zero ONE! zero Zero."):
        normalizer(line)
    assert "2 words in several spellings by case: zero/Zero/ZERO, one/ONE" in normalizer.report()


def test_memory_does_not_grow_with_the_text(monkeypatch):
    monkeypatch.setattr("asr.lang.normalize._MOST_TOKENS", 1000)
    monkeypatch.setattr("asr.lang.normalize._MOST_SPELLINGS", 1000)
    normalizer = Normalizer(Rules("en"))
    for k in range(2000):
        normalizer(f"word{k}, Other")
    tracemalloc.start()
    for k in range(2000, 20000):
        normalizer(f"word{k}, Other")
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 2_000_000 and normalizer.n_words == 40000


def test_marks_that_stay_are_not_made_words():
    line = "a [Noise], b </s> {x/y} (laughs) (he said) *cough* <unk>.\ue000"
    kept = Normalizer(Rules(brackets="keep"))
    assert [kept(line), kept("[a] c")] == ["a [Noise] b </s> {x/y} (laughs) he said *cough* <unk>", "[a] c"]
    assert Normalizer(Rules())(line) == "a b he said"
    assert Normalizer(Rules(brackets="keep", punctuation="keep", case="keep"))(line) == line[:-1]
