"""Letters, phones, and the lexicon of a phone loop."""

import pytest

from asr.errors import LexiconError
from asr.lang.lexicon import Lexicon
from asr.lang.units import unit_lexicon
from asr.lm import letters, phones, train


def test_letters_keep_their_accents_and_words_their_boundaries():
    # An open o with acute has no composed form; e with acute has.
    found = letters("b\u0254\u0301 e\u0301  mba")
    assert found == ["b", "\u0254\u0301", "|", "\u00e9", "|", *"mba"]
    assert letters("ab c", boundary=None) == ["a", "b", "c"] and letters(" ") == []
    assert letters("\u0301a \u0301b") == ["\u0301", "a", "|", "\u0301", "b"]


def test_phones_are_those_of_the_first_pronunciation():
    lexicon = Lexicon([("a", ("AH",)), ("a", ("EY",)), ("tea", ("T", "IY"))])
    assert phones("tea a", lexicon) == ["T", "IY", "AH"]
    with pytest.raises(LexiconError, match="'tee' has no pronunciation"):
        phones("tee", lexicon)


def test_a_phone_loop_has_each_phone_as_a_word():
    loop = unit_lexicon(["T", "SIL", "IY", "T"], silence_prob=0.2)
    assert [(e.word, tuple(e.phones)) for e in loop.entries] == [("IY", ("IY",)), ("T", ("T",))]
    assert loop.silence_prob == 0.2
    model = train([["T", "IY"], ["IY"]], 2, words=[entry.word for entry in loop.entries])
    assert model.is_closed and model.score(["T", "IY"]) > model.score(["T", "T"])
