"""What `asr train` makes of transcripts as people write them, and what it leaves."""

import pytest

from asr.corpus.core import Corpus
from asr.corpus.utterance import Utterance
from asr.errors import CorpusError
from asr.lang.lexicon import Lexicon
from asr.recipe.own_text import readable


def corpus(*texts):
    return Corpus([Utterance(f"u{i}", "ann", text=text) for i, text in enumerate(texts)])


def texts(found):
    return list(found.corpus.transcripts().values())


def test_transcripts_that_are_words_already_stay_the_very_same():
    plain = corpus("one two", "it's well-known", "Ann said Paris", "nω sωndω")
    found = readable(plain, ["letters"])
    assert found.corpus is plain and found.words_of("Ann") == "Ann"
    assert [note.partition(":")[2].partition(":")[0] for note in found.notes] == [
        " several scripts",
        " 2 words with letters of two scripts",
    ]


def test_words_that_differ_by_case_or_punctuation_become_one_and_it_is_told_in_a_line():
    found = readable(corpus("WA nyinga,", "wa nyinga", "[noise] Wa!"), ["letters"])
    assert texts(found) == ["wa nyinga", "wa nyinga", "wa"] and found.words_of("WA?") == "wa"
    (note,) = found.notes
    assert note.startswith(
        "2 transcripts were made into words (--text as-is keeps them as they are): 1 word in several spel"
    )
    assert "WA/wa" in note and "2 words without their punctuation: nyinga,, Wa!" in note and "[noise]" in note


def test_capitals_that_are_the_only_spelling_stay():
    assert texts(readable(corpus("Ann met Bob.", "ONE TWO"), ["letters"])) == ["Ann met Bob", "ONE TWO"]


def test_what_is_nothing_but_noise_is_left_out():
    found = readable(corpus("[noise]", "one"), ["letters"])
    assert found.corpus.ids == ["u1"] and found.corpus.problems[0].where == "u0"
    assert found.notes[1] == "1 utterance is left out, as no words are left of them: u0"
    with pytest.raises(CorpusError, match=r"u0: no words are left of its transcript '\[noise\]'; .*--text as-is"):
        readable(corpus("[noise]"), ["letters"])


def test_numbers_need_a_language():
    found = readable(corpus("25! rooms"), ["letters"])
    assert texts(found) == ["25 rooms"]
    assert found.notes[-1] == (
        "transcripts: 1 word with digits not written out (25!): 7 and seven are two different words until --language "
        "tells how numbers are read (--language en, de, fr ...)"
    )
    assert texts(readable(corpus("25! rooms"), ["letters"], language="en")) == ["twenty five rooms"]


def test_a_lexicon_decides_the_case_and_keeps_what_it_has(tmp_path):
    path = tmp_path / "lexicon.tsv"
    Lexicon([("ONE", ("W",)), ("[noise]", ("NSN",)), ("O'CLOCK", ("K",)), ("TWO,", ("T",))]).save(path)
    found = readable(corpus("one [noise] o’clock", "two, three Three"), [str(path), "letters"])
    assert texts(found) == ["ONE [noise] O'CLOCK", "TWO, THREE THREE"]


def test_signs_of_a_letter_table_are_letters(tmp_path):
    (tmp_path / "letters.tsv").write_text("a\ta\n:\tlong\n'\tq\n")
    assert texts(readable(corpus("a: 'a' a.", "a"), [f"letters:{tmp_path / 'letters.tsv'}"])) == ["a: 'a' a", "a"]
