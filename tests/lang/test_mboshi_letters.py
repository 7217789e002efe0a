"""lang/mboshi: the table of its spelling, and the questions over its units."""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from asr.hmm.questions import read_questions
from asr.lang import LetterTable, letter_lexicon
from asr.lang.letters import spelled, word_counts

FOLDER = Path(__file__).parents[2] / "lang" / "mboshi"
CONSONANTS = (*"ptkbdlrmnfswy", "bh", "ny", "mb", "nd", "ndz", "ng", "mbv", "gh", "pf", "bv", "ts", "dz")
VOWELS = (*"aeεioωu",)


@pytest.fixture(scope="module")
def table():
    return LetterTable.load(FOLDER / "letters.tsv")


def test_the_inventory_is_the_published_one(table):
    assert sorted(table.units) == sorted(CONSONANTS + VOWELS) and len(CONSONANTS) == 25


@pytest.mark.parametrize(
    "word, units",
    [
        ("mósωngώsώ", "m ó s ω ng ώ s ώ"),
        ("nzambé", "ndz a mb é"),
        ("mvúá", "mbv ú á"),
        ("ibvundzá", "i bv u ndz á"),
        ("úghútúúghú", "ú gh ú t ú ú gh ú"),
        ("atyeeli", "a t y e e l i"),
        ("tsányii", "ts á ny i i"),
        ("bíidwza", "b í i dz w a"),
        ("nghanyi", "ng a ny i"),
    ],
)
def test_words_of_the_corpus(table, word, units):
    assert table.spell(word) == (tuple(units.split()), "")
    assert table.spell(unicodedata.normalize("NFD", word))[0] == tuple(units.split())
    toneless = [unicodedata.normalize("NFD", unit).replace("\u0301", "") for unit in units.split()]
    assert table.without_marks(units.split()) == toneless == list(table.spell(word, marks="strip")[0])


def test_questions_are_about_units_and_tell_all_apart(table):
    words = [CONSONANTS[i] + "aáeéεέiíoóωώuú" for i in range(25)]
    lexicon = letter_lexicon(words, table)
    assert lexicon.n_phones == 1 + 39
    questions = read_questions(FOLDER / "questions.txt", lexicon.phones)
    assert len(questions) == len(set(questions)) > 40 and all(1 < len(q) < 39 for q in questions)
    # Every unit is in a question, and few pairs of units are in the same ones.
    answers = {phone: tuple(phone in q for q in questions) for phone in range(2, 41)}
    assert all(map(any, answers.values()))
    assert max(Counter(answers.values()).values()) <= 2


def test_every_word_of_the_corpus_can_be_said(real_data, table):
    folder = real_data / "mboshi"
    if not folder.is_dir():
        pytest.skip("no mboshi under ASR_TEST_DATA")
    for part, sizes in {"train": (6196, 27563, 103772), "dev": (1146, 2993, 11335)}.items():
        texts = (path.read_text(encoding="utf-8") for path in (folder / part).glob("*.mb.cleaned"))
        counts = word_counts(word for text in texts for word in text.split())
        entries, unsaid = spelled(counts, table)
        assert not unsaid
        n_units = sum(len(entry.phones) * counts[entry.word] for entry in entries)
        assert (len(entries), sum(counts.values()), n_units) == sizes
        assert len({unit for entry in entries for unit in entry.phones}) == 39
