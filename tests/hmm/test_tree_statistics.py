from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import ModelError
from asr.hmm.contexts import contexts_of, pdf_class_of_id
from asr.hmm.tree_statistics import TreeStatistics, log_likelihood, tree_statistics


@pytest.fixture(scope="module")
def alignments(kaldi):
    """Kaldi's alignments of the recorded cases, one of them cut in the middle of a phone."""
    found = {str(case): kaldi[f"{case}.alignment"] for case in range(int(kaldi["n_cases"]))}
    return {u: ids[:-3] if u == "5" else ids for u, ids in found.items() if len(ids)}


def frame_by_frame(alignment, transitions, width, central, context_free):
    """The window of each frame, found with a loop."""
    segments = transitions.phone_segments(alignment)
    windows = []
    for i, segment in enumerate(segments):
        window = [0] * width
        for position in range(width):
            j = i + position - central
            if 0 <= j < len(segments) and (position == central or segment.phone not in context_free):
                window[position] = segments[j].phone
        windows += [window] * (segment.end - segment.start)
    return windows


@pytest.mark.parametrize(("width", "central"), [(1, 0), (3, 1), (2, 1), (2, 0), (5, 2)])
@pytest.mark.parametrize("context_free", [(), (1,)])
def test_windows_equal_a_loop_over_the_segments(small, alignments, width, central, context_free):
    found = contexts_of(alignments, small.transitions, width=width, central=central, context_free=context_free)
    windows = found.windows[found.window_of_frame]
    for u, a, b in zip(found.ids, found.offsets[:-1], found.offsets[1:], strict=True):
        expected = frame_by_frame(alignments[u], small.transitions, width, central, context_free)
        np.testing.assert_array_equal(windows[a:b], expected)
    assert len(np.unique(found.windows, axis=0)) == len(found.windows)


def test_pdf_classes(small):
    classes = pdf_class_of_id(small.transitions)
    np.testing.assert_array_equal(classes[1:], small.transitions.hmm_state_of_id[1:])  # one class a state here


def test_statistics_equal_sums_in_a_dictionary(small, alignments):
    rng = np.random.default_rng(0)
    table = {u: rng.normal(size=(len(ids), 4)).astype(np.float32) for u, ids in alignments.items()}
    statistics = tree_statistics(table, alignments, small.transitions, context_free=[1])
    expected = {}
    for u, ids in alignments.items():
        windows = frame_by_frame(ids, small.transitions, 3, 1, (1,))
        for window, pdf_class, x in zip(windows, small.transitions.hmm_state_of_id[ids], table[u], strict=True):
            x = x.astype(np.float64)
            key = (*window, int(pdf_class))
            expected[key] = expected.get(key, 0) + np.concatenate([[1.0], x, x * x])
    keys = [tuple(row) for row in np.c_[statistics.windows, statistics.pdf_class].tolist()]
    assert sorted(keys) == sorted(expected) and len(set(keys)) == len(keys)
    np.testing.assert_allclose(statistics.sums, [expected[k] for k in keys], rtol=1e-12)
    assert statistics.n_frames == sum(map(len, alignments.values()))


def test_statistics_of_parts_add_up(small, alignments):
    rng = np.random.default_rng(1)
    table = {u: rng.normal(size=(len(ids), 3)).astype(np.float32) for u, ids in alignments.items()}
    parts = [{u: a for i, (u, a) in enumerate(alignments.items()) if i % 2 == k} for k in (0, 1)]
    whole = tree_statistics(table, alignments, small.transitions)
    a, b = (tree_statistics(table, part, small.transitions) for part in parts)
    added = a + b
    np.testing.assert_array_equal(np.c_[added.windows, added.pdf_class], np.c_[whole.windows, whole.pdf_class])
    np.testing.assert_allclose(added.sums, whole.sums, rtol=1e-12)
    with pytest.raises(ModelError, match="cannot be added"):
        a + tree_statistics(table, alignments, small.transitions, width=1, central=0)


def test_likelihoods_equal_kaldi():
    with np.load(Path(__file__).parents[1] / "references" / "tree.npz") as arrays:
        kaldi = dict(arrays)
    sums = kaldi["sums"]
    alone = log_likelihood(sums)
    np.testing.assert_allclose(alone, kaldi["objf"], rtol=1e-6)
    joined = log_likelihood(sums[:, None] + sums[None])
    np.testing.assert_allclose(alone[:, None] + alone - joined, kaldi["distance"], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(log_likelihood(sums.sum(axis=0)), kaldi["objf_of_all"], rtol=1e-6)
    np.testing.assert_allclose(log_likelihood(sums.sum(axis=0) - sums), kaldi["objf_minus"], rtol=1e-6)


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 30), st.sampled_from([0.0, 0.01, 1.0]))
def test_taking_apart_never_costs_likelihood(seed, n, m, spread):
    rng = np.random.default_rng(seed)
    frames = [rng.normal(size=(k, 3)) * spread + rng.normal(size=3) * 0.1 for k in (n, m)]
    parts = [np.concatenate([[len(x)], x.sum(axis=0), (x * x).sum(axis=0)]) for x in frames]
    gain = log_likelihood(parts[0]) + log_likelihood(parts[1]) - log_likelihood(parts[0] + parts[1])
    assert gain > -1e-9 * (n + m)


def test_what_does_not_fit_is_refused(small, alignments):
    table = {u: np.zeros((len(ids) + 1, 2), np.float32) for u, ids in alignments.items()}
    with pytest.raises(ModelError, match="utterance '0': features of shape"):
        tree_statistics(table, alignments, small.transitions)
    with pytest.raises(ModelError, match="no alignments"):
        tree_statistics(table, {}, small.transitions)
    with pytest.raises(ModelError, match="transition ids 1 to 999"):
        contexts_of({"a": np.array([1, 999])}, small.transitions)
    with pytest.raises(ModelError, match="outside a window"):
        contexts_of(alignments, small.transitions, width=3, central=3)
    with pytest.raises(ModelError, match="do not fit"):
        TreeStatistics(np.zeros((2, 3), np.int32), np.zeros(1, np.int32), np.zeros((2, 5)), 1)
