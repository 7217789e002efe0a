"""Vocabulary, trie and counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import LanguageModelError
from asr.lm import estimate
from asr.lm.counting import Means, count, count_ids
from asr.lm.reading import count_text
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


def ids_of(sentences):
    """The sentences as one array a sentence, with their vocabulary."""
    words = Vocabulary.of(word for sentence in sentences for word in sentence)
    return [words.encode([sentence]).astype(np.int32) for sentence in sentences], words


def same(one, other):
    """Whether all numbers of two counts are equal."""
    arrays = ("counts", "adjusted", "left_out", "classes")
    return (one.trie.keys == other.trie.keys).all() and all(
        (getattr(one, name) == getattr(other, name)).all() for name in arrays
    )


@pytest.mark.parametrize("memory", [1, 2_000, 20_000, 1 << 30])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_memory_and_threads_do_not_change_the_counts(slow, tmp_path, memory, n_threads):
    sentences = slow.random_text(np.random.default_rng(7), 300, n_words=9, longest=12)
    ids, words = ids_of(sentences)
    expected = count(sentences, 4, cutoffs=(0, 0, 1))
    told = []
    means = Means(memory=memory, folder=tmp_path, n_threads=n_threads, progress=told.append)
    assert same(count_ids(ids, words, 4, cutoffs=(0, 0, 1), means=means), expected)
    assert told == sorted(told) and told[0] < 1 and told[-1] > 0.9
    assert not list(tmp_path.iterdir())  # files without names


@pytest.mark.parametrize("order", [6, 7, 9])
def test_windows_that_one_number_does_not_hold_are_counted_too(slow, order):
    rng = np.random.default_rng(order)
    names = [f"w{i}" for i in range(3000)]  # 12 bits each
    sentences = [[names[i] for i in (rng.pareto(0.5, rng.integers(0, 14)) * 5 % 3000).astype(int)] for _ in range(400)]
    ids, words = ids_of([*sentences, *sentences[:50], names])
    counts = count_ids(ids, words, order, means=Means(memory=100_000))
    found = {}
    for n in range(1, order + 1):
        here = counts.trie.nodes(n)
        rows = zip(counts.trie.words_of(n).tolist(), counts.counts[here].tolist(), strict=True)
        found.update({tuple(counts.vocabulary.names[i] for i in gram): number for gram, number in rows if number})
    del found["<s>",]
    assert found == slow.grams_of([*sentences, *sentences[:50], names], order)


@settings(max_examples=40, deadline=None)
@given(SENTENCES, st.integers(1, 4), st.lists(st.integers(0, 3), max_size=4))
def test_what_cutoffs_leave_out(slow, sentences, order, more):
    cutoffs = (0, *sorted(more))
    whole, cut = count(sentences, order), count(sentences, order, cutoffs=cutoffs)
    names = cut.vocabulary.names

    def table(counts, numbers):
        found = {}
        for n in range(1, counts.trie.order + 1):
            rows = zip(counts.trie.words_of(n).tolist(), numbers[counts.trie.nodes(n)].tolist(), strict=True)
            found.update({tuple(names[i] for i in gram): number for gram, number in rows})
        return found

    raw, adjusted = table(whole, whole.counts), table(whole, whole.adjusted)
    limits = {n: (*cutoffs, *[cutoffs[-1]] * 5)[n - 1] for n in range(1, 5)}
    kept = {gram for gram, number in raw.items() if len(gram) == 1 or number > limits[len(gram)]}
    assert table(cut, cut.counts) == {gram: raw[gram] for gram in kept}
    assert table(cut, cut.adjusted) == {gram: adjusted[gram] for gram in kept}
    assert (cut.classes == whole.classes).all()
    left_out = table(cut, cut.left_out)
    for gram, number in left_out.items():
        if len(gram) < cut.trie.order:
            children = [g for g in raw if len(g) == len(gram) + 1 and g[:-1] == gram and g not in kept]
            assert number == sum(adjusted[g] for g in children)


def test_adjusted_counts_are_those_of_different_words_before():
    counts = count(["a b a b", "b a b", "a"], 3)
    names = counts.vocabulary.names
    here = counts.trie.nodes(2)
    rows = zip(counts.trie.words_of(2).tolist(), counts.adjusted[here].tolist(), strict=True)
    found = {" ".join(names[i] for i in gram): number for gram, number in rows}
    # a b: after <s> and b, twice after b; <s> a: as often as it comes.
    assert found == {"<s> a": 2, "<s> b": 1, "a b": 2, "b a": 2, "a </s>": 1, "b </s>": 1}
    assert counts.classes[2].tolist() == [0, 3, 3, 0, 0]


def test_a_text_file_is_counted_as_its_sentences(tmp_path):
    import bz2
    import gzip
    import lzma

    lines = ["a b\u00a0c", "", "  ", "<s> a e\u0301 </s>", "\u00e9\x1cb\ta", "b </s>", "\u3000"]
    expected = count(["a b c", "a \u00e9", "\u00e9 b a", "b"], 3)
    raw = "\r\n".join(lines).encode()
    packed = {"t.gz": gzip.compress(raw), "t.xz": lzma.compress(raw), "t.bz2": bz2.compress(raw), "t": raw}
    packed["t16"] = "\n".join(lines).encode("utf-16")
    for name, content in packed.items():
        (tmp_path / name).write_bytes(content)
        found = count_text([tmp_path / name], 3)
        assert found.vocabulary == expected.vocabulary and same(found, expected), name
    both = count_text([tmp_path / "t", tmp_path / "t.gz"], 2, vocabulary=["a", "b"])
    assert same(both, count(["a b c", "a \u00e9", "\u00e9 b a", "b"] * 2, 2, vocabulary=["a", "b"]))
    (tmp_path / "ids").write_text("u1 a b c\nu2 a \u00e9\nu3 \u00e9 b a\nu4 b\n")
    assert same(count_text([tmp_path / "ids"], 3, has_ids=True), expected)


def test_many_words_and_long_lines_let_the_tables_grow(tmp_path):
    words = [f"{'x' * (i % 40)}{i}" for i in range(30_000)]
    (tmp_path / "text").write_text("\n".join([" ".join(words), *words[:5000], "y" * 100_000]))
    counts = count_text([tmp_path / "text"], 2, means=Means(memory=50_000, folder=tmp_path))
    assert counts.vocabulary.names[3:] == tuple(sorted([*words, "y" * 100_000]))
    assert same(counts, count([" ".join(words), *words[:5000], "y" * 100_000], 2))
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


@pytest.mark.parametrize(
    "raw, message",
    [
        (b"a\n\nb <s> c\n", r"text:3: holds <s> or </s> inside"),
        (b"a\n</s> b\n", r"text:2: holds <s> or </s> inside"),
        (b"a\n\xff\n", r"text:2: not UTF-8 text"),
        (b" \n\n", r"text: holds no text"),
        (b"\xfd7zXZ\0\0\0", r"text: damaged xz file"),
        (b"BZh91AY&SY" + b"\0" * 40, r"text: damaged bzip2 file"),
    ],
)
def test_what_is_wrong_with_a_text_is_told(tmp_path, raw, message):
    (tmp_path / "text").write_bytes(raw)
    with pytest.raises(LanguageModelError, match=message):
        count_text([tmp_path / "text"], 2)


def test_impossible_cutoffs_are_refused():
    for cutoffs in ((1,), (0, 2, 1), (0, -1)):
        with pytest.raises(LanguageModelError, match=r"cutoffs=.*; need 0 for single words"):
            count(["a"], 2, cutoffs=cutoffs)
    with pytest.raises(LanguageModelError, match="cutoffs go with modified-kneser-ney"):
        estimate(count(["a b"], 2, cutoffs=(0, 1)), "witten-bell")
