"""References in NIST's notation: the way with the fewest errors counts, as the errors of all ways tell."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from asr.scoring import compare, score
from asr.scoring.alternatives import best_reading, has_notation, wrong_notation

WORD = st.sampled_from(["a", "b", "ab", "ça"])


def ways_of(item):
    """All ways to say an item: its words, and those that are missing as they may be."""
    kind, value = item
    if kind == "word":
        return [((value,), ())]
    if kind == "optional":
        return [((value,), ()), ((), (value,))]
    return [way for alternative in value for way in ways_of_all(alternative)]


def ways_of_all(items):
    return [
        (tuple(w for said, _ in parts for w in said), tuple(w for _, missing in parts for w in missing))
        for parts in itertools.product(*map(ways_of, items))
    ]


def written(items, slash):
    return " ".join(
        value if kind == "word" else f"({value})" if kind == "optional" else
        "{ " + slash.join(written(way, slash) or "@" for way in value) + " }"
        for kind, value in items
    )  # fmt: skip


ITEMS = st.recursive(
    st.one_of(st.tuples(st.just("word"), WORD), st.tuples(st.just("optional"), WORD)),
    lambda item: st.tuples(st.just("choice"), st.lists(st.lists(item, max_size=2), min_size=2, max_size=3)),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ITEMS, max_size=4), st.lists(WORD, max_size=6), st.sampled_from([" / ", "/"]))
def test_the_fewest_errors_are_those_of_the_best_way(items, heard, slash):
    text, ways = written(items, slash), ways_of_all(items)
    fewest = min(Levenshtein.distance(said, heard) for said, _ in ways)
    found = score({"u": text}, {"u": " ".join(heard)})
    assert found.errors == fewest
    totals = {len(said) + len(m) for said, m in ways if Levenshtein.distance(said, heard) == fewest}
    assert found.total in totals
    by_letter = score({"u": text}, {"u": " ".join(heard)}, unit="char")
    assert by_letter.errors == min(Levenshtein.distance(" ".join(said), " ".join(heard)) for said, _ in ways)


@pytest.mark.parametrize(
    ("reference", "heard", "errors", "total"),
    [
        ("i've { um / uh / @ } as far", "i've as far", 0, 3),
        ("i've { um / uh / @ } as far", "i've uh as far", 0, 4),
        ("i've {um/uh/@} as far", "i've oh as far", 1, 4),
        ("{ and/or / or } go", "and/or go", 0, 2),  # blanks part, so the other slash is in a word
        ("(uh) go (uh) home", "go home", 0, 4),  # what may be missing counts as right
        ("(uh) go", "(uh) go", 0, 2),  # a recogniser may have learnt it as it stands
        ("%HESITATION go", "go", 0, 2),
        ("a {laughs} b", "a {laughs} b", 0, 3),  # without a slash it is a word
        ("x{a/b} and / or", "x{a/b} and / or", 0, 4),
        ("{ a / { b c / d } e }", "b c e", 0, 3),
        ("", "a", 1, 0),
    ],
)
def test_worked_examples(reference, heard, errors, total):
    found = score({"u": reference}, {"u": heard})
    assert (found.errors, found.total) == (errors, total)


def test_half_of_a_group_is_told():
    assert not has_notation("u { a") and "without the other" in wrong_notation("u { a")
    assert wrong_notation("u a } b") and wrong_notation("{ um }") and wrong_notation("{a / b")
    assert wrong_notation("{ a / b } {laughs}") is None


def test_long_references_are_aligned_in_one_pass():
    """2 ** 200 ways."""
    text = " ".join(["one { two / to } (uh)"] * 200)
    heard = " ".join(["one to uh", "one two"] * 100)
    assert score({"u": text}, {"u": heard}).errors == 0
    assert best_reading(text, heard.split(), "word").n_missing == 100


def test_two_systems_are_compared_though_each_has_its_own_way():
    references = {"u": "{ a b / c } d", "v": "e"}
    first, second = score(references, {"u": "a b d", "v": "x"}), score(references, {"u": "c d", "v": "e"})
    assert (first.total, second.total) == (4, 3)
    assert compare(first, second).difference < 0
