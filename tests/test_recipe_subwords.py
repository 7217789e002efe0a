"""Words in parts: taken apart and put together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.recipe.subwords import frequent_words, in_parts, joined, syllables, with_parts

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
