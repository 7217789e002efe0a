"""The probabilities of prefixes against sums over all paths, and a language model's of all next words."""

import itertools
import math

import numpy as np
import pytest

from asr.ctc.kernels import occupancies
from asr.ctc.prefix_scores import NO_UNIT, PrefixScores
from asr.errors import ModelError
from asr.lm import train
from asr.lm.next_words import NextWords
from asr.lm.vocabulary import END_ID


def random_log_probs(n_frames, n_columns, seed, impossible=0.0):
    """Rows that sum to 1; a part of the columns, but no blank, is impossible."""
    rng = np.random.default_rng(seed)
    scores = 2 * rng.normal(size=(n_frames, n_columns))
    scores[:, 1:][rng.random((n_frames, n_columns - 1)) < impossible] = -np.inf
    return (scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)).astype(np.float32)


def by_enumeration(log_probs):
    """The log probabilities that the output is a string, and that it begins with one: two dictionaries."""
    whole, begun = {}, {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        said = tuple(k for k, _ in itertools.groupby(path) if k)
        prob = math.exp(sum(float(row[k]) for row, k in zip(log_probs, path, strict=True)))
        whole[said] = whole.get(said, 0.0) + prob
        for n in range(len(said) + 1):
            begun[said[:n]] = begun.get(said[:n], 0.0) + prob
    return tuple({s: math.log(p) if p > 0 else -math.inf for s, p in found.items()} for found in (whole, begun))


@pytest.mark.parametrize(("n_frames", "n_columns"), [(1, 3), (2, 2), (4, 3), (5, 3), (4, 4)])
@pytest.mark.parametrize("impossible", [0.0, 0.3])
def test_prefixes_and_strings_are_sums_over_paths(n_frames, n_columns, impossible):
    log_probs = random_log_probs(n_frames, n_columns, n_frames + n_columns, impossible)
    whole, begun = by_enumeration(log_probs)
    scores = PrefixScores(log_probs)
    strings, ends, last = [()], scores.start(), [NO_UNIT]
    for _ in range(n_frames + 2):  # longer ones than there can be, too
        found = scores.of_next(ends, last)
        assert found.shape == (len(strings), n_columns)
        nothing = -math.inf
        expected = [
            [whole.get(s, nothing), *(begun.get((*s, unit), nothing) for unit in range(1, n_columns))] for s in strings
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
        pairs = [(i, unit) for i in range(len(strings)) for unit in range(1, n_columns)]
        parents, units = zip(*pairs, strict=True)
        ends = scores.extended(ends, last, parents, units)
        strings, last = [(*strings[i], unit) for i, unit in pairs], units


def test_long_strings_of_long_utterances_are_those_of_the_forward_algorithm():
    """Products of hundreds of probabilities, of which each is small: none becomes 0."""
    log_probs = random_log_probs(300, 20, 0)
    target = np.random.default_rng(1).integers(1, 20, 80).astype(np.int32)
    scores = PrefixScores(log_probs)
    ends, last, before = scores.start(), [NO_UNIT], 0.0
    for unit in target.tolist():
        begun = scores.of_next(ends, last)[0, unit]
        assert begun <= before  # no string is likelier than what it begins with
        ends, last, before = scores.extended(ends, last, [0], [unit]), [unit], begun
    expected = occupancies(log_probs, target, np.empty((300, 20)))
    assert scores.of_next(ends, last)[0, 0] == pytest.approx(expected, rel=1e-9)
    assert expected < -800  # exp of which a double cannot hold


def test_each_string_is_followed_by_one_unit_or_the_end():
    log_probs = random_log_probs(12, 5, 7)
    scores = PrefixScores(log_probs)
    ends = scores.extended(scores.start(), [NO_UNIT], [0, 0], [2, 4])
    begun = scores.of_next(scores.start(), [NO_UNIT])[0, [2, 4]]
    np.testing.assert_allclose(np.logaddexp.reduce(scores.of_next(ends, [2, 4]), axis=1), begun, atol=1e-6)


def test_what_are_no_log_probs_is_told():
    with pytest.raises(ModelError, match="frame 0, column 0: 1 is no log-probability"):
        PrefixScores(np.ones((2, 3), np.float32))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_next_words_are_those_of_the_model(order):
    lm = train(["a b c a", "a a b", "c c c", "b a b a c", "", "c a"], order, smoothing="witten-bell")
    names = ["a", "b", "c"]
    following = NextWords(lm, [END_ID, *(lm.vocabulary.id(name) for name in names)])
    strings, states, so_far = [()], np.array([following.start]), np.zeros(1)
    for _ in range(4):
        log_probs, after = following.follow(states)
        ended = so_far + log_probs[:, 0]
        np.testing.assert_allclose(ended, [lm.score([names[k] for k in s]) for s in strings], rtol=1e-6)
        strings = [(*s, k) for s in strings for k in range(3)]
        so_far = (so_far[:, None] + log_probs[:, 1:]).reshape(-1)
        states = after[:, 1:].reshape(-1)
