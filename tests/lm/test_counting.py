"""Vocabulary, trie and counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import LanguageModelError
from asr.lm.counting import count
from asr.lm.trie import Trie
from asr.lm.vocabulary import Vocabulary

SENTENCES = st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.integers(1, 5))
def test_counts_are_those_of_a_dict(slow, sentences, order):
    counts = count(sentences, order)
    names, found = counts.vocabulary.names, {}
    for n in range(1, counts.trie.order + 1):
        numbers = counts.counts[counts.trie.nodes(n)].tolist()
        found.update(
            {tuple(names[i] for i in g): c for g, c in zip(counts.trie.words_of(n).tolist(), numbers, strict=True) if c}
        )
    assert found.pop(("<s>",)) == len(sentences) == counts.n_sentences
    assert found == slow.grams_of(sentences, order)


def test_words_outside_the_vocabulary_count_as_unknown():
    counts = count(["a b c", "c a"], 2, vocabulary=["a", "b", "z"])
    assert counts.vocabulary.names == ("<unk>", "<s>", "</s>", "a", "b", "z")
    assert counts.counts[counts.trie.nodes(1)].tolist() == [2, 2, 2, 2, 1, 0]


def test_text_is_composed_and_lists_of_words_are_text():
    decomposed = "e\u0301te\u0301"
    for sentences in ([decomposed], [[decomposed]], ["\u00e9t\u00e9"]):
        assert count(sentences, 1).vocabulary.names[3:] == ("\u00e9t\u00e9",)


@pytest.mark.parametrize("sentence, number", [("a </s> <s> b", 2), ("<s>", 2), (["x", "</s>"], 2)])
def test_sentences_with_marks_of_their_own_are_refused(sentence, number):
    with pytest.raises(LanguageModelError, match=f"sentence {number}: .*they are added"):
        count(["a b", sentence], 2)


def test_the_order_is_no_longer_than_the_sentences():
    assert count(["a", ""], 7).trie.order == 3
    assert count([""], 7).trie.order == 2


def test_impossible_wishes_are_refused():
    with pytest.raises(LanguageModelError, match="order=0"):
        count(["a"], 0)
    with pytest.raises(LanguageModelError, match="no sentences"):
        count([], 2)
    with pytest.raises(LanguageModelError, match="none of them a blank"):
        count(["a"], 2, vocabulary=["a b"])


def test_a_vocabulary_names_what_is_there_twice():
    with pytest.raises(LanguageModelError, match="'a' is in the vocabulary twice"):
        Vocabulary(("<unk>", "<s>", "</s>", "a", "a"))
    with pytest.raises(LanguageModelError, match="starts with <unk>"):
        Vocabulary(("a", "b"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=5), max_size=25))
def test_a_trie_finds_what_it_was_built_from(wanted):
    order = max(map(len, wanted), default=2)
    grams = [np.array([g for g in wanted if len(g) == n], np.int64).reshape(-1, n) for n in range(2, order + 1)]
    trie, nodes = Trie.build(5, grams)
    expected = {(w,) for w in range(5)} | {tuple(g[:n]) for g in wanted for n in range(1, len(g) + 1)}
    listed = [tuple(g) for n in range(1, trie.order + 1) for g in trie.words_of(n).tolist()]
    assert len(listed) == len(expected) and set(listed) == expected and listed == sorted(listed, key=lambda g: len(g))
    for n, places in enumerate(nodes, 2):
        assert [listed[i - 1] for i in places] == [tuple(g) for g in wanted if len(g) == n]
    for node, gram in enumerate(listed, 1):
        longest = next((gram[i:] for i in range(1, len(gram)) if gram[i:] in expected), ())
        assert ((), *listed)[trie.suffix[node]] == longest
        assert ((), *listed)[trie.parent[node]] == gram[:-1]
        assert trie.has_children[node] == any(g[:-1] == gram for g in listed)


def test_a_subset_keeps_the_words_and_forgets_empty_orders():
    trie, _ = Trie.build(3, [np.array([[0, 1], [2, 0]]), np.array([[0, 1, 2]])])
    kept = np.ones(trie.n_nodes, bool)
    kept[trie.nodes(3)] = False
    smaller = trie.subset(kept)
    assert smaller.order == 2 and smaller.words_of(2).tolist() == [[0, 1], [2, 0]]
    kept[trie.nodes(2)] = [True, False]
    assert trie.subset(kept).words_of(2).tolist() == [[0, 1]]
    kept[trie.nodes(2)] = False
    assert trie.subset(kept).order == 1
