"""Words in parts: taken apart and put together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.lang import LetterTable
from asr.lang.lexicon import Lexicon
from asr.lang.subwords import (
    frequent_words,
    in_parts,
    joined,
    rewritten,
    syllables,
    take_apart,
    vowels_of,
    whole_words,
    with_parts,
)

WORDS = st.lists(st.text("abkngáεέ", min_size=1, max_size=8), max_size=6)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("okándá", ["o", "ká", "ndá"]),
        ("mbvέέ", ["mbvέ", "έ"]),
        ("l", ["l"]),
        ("wεl", ["wε", "l"]),
        ("dza\u0301", ["dzá"]),  # an accent of its own is part of its vowel
    ],
)
def test_syllables_end_in_vowels(word, expected):
    assert syllables(word, "aeiouεω") == expected


@given(WORDS, st.sets(st.integers(0, 5)))
def test_parts_join_to_the_words_they_were(words, kept):
    whole = {word for i, word in enumerate(words) if i in kept}
    text = " ".join(words)
    assert joined(with_parts(text, whole, "aε")) == text


@given(st.text("abkngáεέ", min_size=1))
def test_only_the_last_part_ends_the_word(word):
    *first, last = in_parts(word, "aε")
    assert all(part.endswith("+") for part in first)
    assert last.startswith("+") and not last.endswith("+")


def test_what_is_not_well_formed_joins_too():
    assert joined("+a a+ b+ wa k+") == "a ab wa k"
    assert joined("") == ""


def test_frequent_words_in_composed_form():
    assert frequent_words(["wá wá i", "wa\u0301 i"], 3) == {"wá"}


def test_words_know_their_tokens():
    assert whole_words(["k+", "+a", "wa", "a+", "b+"]) == [("ka", 0, 2), ("wa", 2, 3), ("ab", 3, 5)]
    assert whole_words(["k+", "wa"]) == [("k", 0, 1), ("wa", 1, 2)]
    assert whole_words(["k+", "+a"], "") == [("k+", 0, 1), ("+a", 1, 2)] and whole_words([]) == []


@given(st.lists(st.sampled_from(["ka+", "b@@", "+a", "wa", "@@i"]), max_size=8), st.sampled_from(["+", "@@", ""]))
def test_every_token_is_in_one_word(tokens, joiner):
    found = whole_words(tokens, joiner)
    assert [i for _, a, b in found for i in range(a, b)] == list(range(len(tokens)))
    assert "".join(w for w, _, _ in found) == "".join(t.replace(joiner, "") if joiner else t for t in tokens)


def test_vowels_are_found_in_spanish():
    """Half a page by Cervantes (1605), whose vowels are no question."""
    text = (
        "en un lugar de la mancha de cuyo nombre no quiero acordarme no ha mucho tiempo que vivía un hidalgo de los de "
        "lanza en astillero adarga antigua rocín flaco y galgo corredor una olla de algo más vaca que carnero salpicón "
        "las más noches duelos y quebrantos los sábados lentejas los viernes algún palomino de añadidura los domingos "
        "consumían las tres partes de su hacienda"
    )
    assert vowels_of(text.split()) == "aefiou"  # the one word with an f is flaco
    assert vowels_of([]) == ""


def test_words_whose_parts_are_said_otherwise_stay_whole():
    """`aa` is one unit, which syllables would cut; the apostrophe alone says nothing."""
    table = LetterTable({"a": ("a",), "aa": ("aː",), "k": ("k",), "n": ("n",)}, {})
    lexicon = Lexicon([("kana", tuple("kana")), ("kaan", ("k", "aː", "n")), ("ka'", ("k", "a")), ("<unk>", ("k",))])
    found = take_apart(lexicon, table, "a")
    assert found.words == {"kana": "ka+ +na"} and found.vowels == "a"
    assert [(e.word, e.phones) for e in found.entries] == [("+na", ("n", "a")), ("ka+", ("k", "a"))]
    assert found.can_make("kakana") and not found.can_make("naka")
    assert rewritten(["kaan", "kana"], found.words) == ["kaan", "ka+", "+na"]
