"""Prefix search against brute force over all token strings, and what has to hold however narrow the beams are."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asr.ctc.prefix import PrefixOptions, PrefixSearch
from asr.errors import LanguageModelError, ModelError
from asr.lm import train

OPEN = PrefixOptions(beam_size=2000, beam=math.inf, lm_weight=0.7, insertion_bonus=0.3)
NAMES = ("a", "b", "c")
TEXT = ["a b c a", "a a b", "c c c", "b a b a c", "", "c a"]


@pytest.fixture(scope="module")
def lm():
    return train(TEXT, 3, words=NAMES, smoothing="witten-bell")


def forward(log_probs, string):
    """The log probability of a string, summed over its paths: the textbook's forward algorithm, in probabilities."""
    probs = np.exp(log_probs.astype(np.float64))
    labels = [0, *itertools.chain.from_iterable((token, 0) for token in string)]
    alpha = [1.0] + [0.0] * (len(labels) - 1)  # before the first frame
    for t, line in enumerate(probs):
        before = alpha
        alpha = []
        for s, label in enumerate(labels):
            total = before[s] if t > 0 or s == 0 else 0.0
            if s > 0:
                total += before[s - 1]
            if s > 1 and label != 0 and label != labels[s - 2]:
                total += before[s - 2]
            alpha.append(total * line[label])
    total = sum(alpha[-2:])
    return math.log(total) if total > 0 else -math.inf


def path_sum(log_probs, string):
    """The same from the definition: over all paths, of which those count that say the string."""
    total = 0.0
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        if tuple(k for k, _ in itertools.groupby(path) if k) == string:
            total += math.exp(sum(float(line[k]) for line, k in zip(log_probs, path, strict=True)))
    return math.log(total) if total > 0 else -math.inf


def brute_force(log_probs, lm=None, options=OPEN, names=NAMES):
    """All possible strings: {tokens: (score, ctc, lm)}."""
    found = {}
    for length in range(len(log_probs) + 1):
        for string in itertools.product(range(1, log_probs.shape[1]), repeat=length):
            ctc = forward(log_probs, string)
            words = 0.0 if lm is None else lm.score([names[k - 1] for k in string])
            score = ctc + options.lm_weight * words + options.insertion_bonus * length
            if score > -math.inf:
                found[string] = score, ctc, words
    return found


def normalised(scores):
    """Rows of scores as float32 log probabilities; a row without any possible column is all blank."""
    scores = np.array(scores, np.float64)
    scores[np.isneginf(scores).all(axis=1), 0] = 0.0
    with np.errstate(divide="ignore"):
        probs = np.exp(scores - scores.max(axis=1, initial=-1e9, keepdims=True))
        return np.log(probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)


def strings(found):
    return [tuple(prefix.tokens.tolist()) for prefix in found]


def noise(seed, n_frames, n_tokens=3, spread=2.0):
    return normalised(np.random.default_rng(seed).normal(0, spread, (n_frames, n_tokens + 1)))


def matrices(most_frames=4, columns=4):
    value = st.floats(-8.0, 0.0) | st.just(-math.inf) | st.sampled_from([0.0, -1.0])
    row = st.lists(value, min_size=columns, max_size=columns)
    return st.lists(row, max_size=most_frames).map(lambda rows: normalised(np.reshape(rows, (-1, columns))))


def agree(found, expected):
    assert set(strings(found)) == set(expected) and len(found) == len(expected)
    for prefix, string in zip(found, strings(found), strict=True):
        assert (prefix.score, prefix.ctc, prefix.lm) == pytest.approx(expected[string], abs=1e-9, rel=1e-9)
    scores = [prefix.score for prefix in found]
    assert scores == sorted(scores, reverse=True)
    assert not scores or scores[0] == pytest.approx(max(score for score, _, _ in expected.values()))


@settings(max_examples=60, deadline=None)
@given(matrices())
@example(np.zeros((0, 4), np.float32))
@example(np.log(np.array([[0.1, 0.7, 0.1, 0.1]] * 4, np.float32)))  # a, repeated and held
def test_open_beams_equal_brute_force(matrix):
    agree(PrefixSearch(NAMES, options=OPEN).search(matrix, 10**6), brute_force(matrix))


@settings(max_examples=60, deadline=None)
@given(matrices(), st.integers(1, 4), st.sampled_from([0.3, 1.0, 2.5]), st.sampled_from([-1.0, 0.0, 2.0]))
def test_open_beams_equal_brute_force_with_a_language_model(matrix, order, weight, bonus):
    model = train(TEXT, order, words=NAMES, smoothing="witten-bell")
    options = PrefixOptions(beam_size=2000, beam=math.inf, lm_weight=weight, insertion_bonus=bonus)
    agree(PrefixSearch(NAMES, model, options).search(matrix, 10**6), brute_force(matrix, model, options))


@pytest.mark.parametrize("seed", range(6))
def test_open_beams_on_seven_frames_of_two_tokens(seed):
    """Long enough for prefixes with many ways to be reached, through repeats too."""
    model, matrix = train(["a b a", "b b"], 4, words="ab", smoothing="witten-bell"), noise(seed, 7, 2)
    agree(PrefixSearch("ab", model, OPEN).search(matrix, 10**6), brute_force(matrix, model, names="ab"))


@settings(max_examples=20, deadline=None)
@given(matrices(most_frames=3, columns=3), st.lists(st.integers(1, 2), max_size=3).map(tuple))
def test_the_forward_algorithm_of_these_tests_sums_over_paths(matrix, string):
    assert forward(matrix, string) == pytest.approx(path_sum(matrix, string))


def test_by_hand():
    """Graves' example of a path that wins while its string loses: the blank is likeliest in both frames."""
    matrix = np.log(np.array([[0.6, 0.4], [0.6, 0.4]], np.float32))
    first, second = PrefixSearch(["a"]).search(matrix, n_best=2)
    assert first.tokens.tolist() == [1] and math.exp(first.ctc) == pytest.approx(0.64)
    assert second.tokens.tolist() == [] and math.exp(second.ctc) == pytest.approx(0.36)


@settings(max_examples=60, deadline=None)
@given(
    matrices(most_frames=4),
    st.integers(1, 8),
    st.sampled_from([0.5, 3.0, math.inf]),
    st.integers(1, 4),
    st.booleans(),
    st.integers(1, 5),
)
def test_narrow_beams_find_distinct_strings_and_no_score_above_the_exact_one(
    matrix, size, beam, n_tokens, with_model, n_best
):
    model = train(TEXT, 2, words=NAMES, smoothing="witten-bell") if with_model else None
    options = PrefixOptions(size, beam, n_tokens, lm_weight=0.7, insertion_bonus=0.3)
    search, exact = PrefixSearch(NAMES, model, options), brute_force(matrix, model)
    found = search.search(matrix, n_best)
    assert len(found) <= min(size, n_best) and len(set(strings(found))) == len(found)
    scores = [prefix.score for prefix in found]
    assert scores == sorted(scores, reverse=True)
    for prefix in found:
        score, ctc, words = exact[tuple(prefix.tokens.tolist())]
        assert prefix.score <= score + 1e-9 and prefix.ctc <= ctc + 1e-9
        assert prefix.lm == pytest.approx(words)
        assert prefix.score == pytest.approx(prefix.ctc + 0.7 * prefix.lm + 0.3 * len(prefix.tokens))
        assert (np.diff(prefix.frames) > 0).all()
    fewer = search.search(matrix, 1)
    assert strings(fewer) == strings(found[:1])


@pytest.mark.parametrize("with_model", [False, True])
def test_pruned_pairs_could_not_have_entered_the_beam(lm, with_model):
    """The beam against the textbook's loop over dicts, which looks at every pair and then keeps the best."""
    model = lm if with_model else None
    for seed in range(20):
        matrix = noise(seed, 25, spread=3.0)
        options = PrefixOptions(beam_size=6, beam=9.0, lm_weight=0.7, insertion_bonus=-0.5)
        found = PrefixSearch(NAMES, model, options).search(matrix, 6)
        expected = textbook(matrix, model, options)
        assert strings(found) == [string for string, _ in expected]
        assert [prefix.score for prefix in found] == pytest.approx([score for _, score in expected])


def textbook(matrix, model, options):
    """Prefix search as papers print it: [(tokens, score)], best first."""

    def prior(string, ended=False):
        if model is None:
            return options.insertion_bonus * len(string)
        words = ["<s>", *(NAMES[k - 1] for k in string), *(["</s>"] if ended else [])]
        lm = sum(model.log_prob(words[:i], words[i]) for i in range(1, len(words)))
        return options.lm_weight * lm + options.insertion_bonus * len(string)

    beam = {(): (1.0, 0.0)}
    for line in np.exp(matrix.astype(np.float64)):
        new = {}
        for string, (blank, last) in beam.items():
            b, n = new.get(string, (0.0, 0.0))
            new[string] = b + (blank + last) * line[0], n + (last * line[string[-1]] if string else 0.0)
            for k in range(1, len(line)):
                b, n = new.get((*string, k), (0.0, 0.0))
                before = blank if string[-1:] == (k,) else blank + last
                new[(*string, k)] = b, n + before * line[k]
        scored = {s: math.log(b + n) + prior(s) for s, (b, n) in new.items() if b + n > 0}
        kept = sorted(scored, key=scored.get, reverse=True)[: options.beam_size]
        beam = {s: new[s] for s in kept if scored[s] >= scored[kept[0]] - options.beam}
    final = {s: math.log(b + n) + prior(s, ended=True) for s, (b, n) in beam.items()}
    return sorted(final.items(), key=lambda item: -item[1])


def planted(string, gap=3, peak=0.98, n_tokens=3):
    """Log probabilities with a spike for each token, and the frames of the spikes."""
    frames = np.arange(len(string)) * gap + 1
    columns = np.zeros(len(string) * gap + 1, int)
    columns[frames] = string
    probs = np.full((len(columns), n_tokens + 1), (1 - peak) / n_tokens, np.float32)
    probs[np.arange(len(columns)), columns] = peak
    return np.log(probs), frames


@pytest.mark.parametrize("size", [1, 2, 50])
def test_peaky_posteriors_are_read_off_greedily(lm, size):
    string = [1, 2, 2, 3, 1, 1, 3]
    matrix, frames = planted(string)
    greedy = [k for k, _ in itertools.groupby(matrix.argmax(axis=1).tolist()) if k]
    assert greedy == string
    for model in (None, lm):
        found = PrefixSearch(NAMES, model, PrefixOptions(size, lm_weight=0.2)).search(matrix)
        assert found[0].tokens.tolist() == string
        assert found[0].frames.tolist() == frames.tolist()
        assert found[0].tokens.dtype == found[0].frames.dtype == np.int32


def test_frames_are_those_of_the_best_path():
    for seed in range(10):
        matrix = noise(seed, 6)
        for prefix in PrefixSearch(NAMES, options=OPEN).search(matrix, 5):
            best, expected = -math.inf, []
            for path in itertools.product(range(4), repeat=6):
                begins = [t for t, k in enumerate(path) if k and (t == 0 or path[t - 1] != k)]
                score = float(matrix[np.arange(6), path].astype(np.float64).sum())
                if [path[t] for t in begins] == prefix.tokens.tolist() and score > best:
                    best, expected = score, begins
            assert prefix.frames.tolist() == expected


def test_the_language_model_decides_where_the_network_does_not():
    matrix = np.log(np.array([[0.1, 0.45, 0.45], [0.98, 0.01, 0.01]] * 2, np.float32))
    model = train(["a b"] * 5 + ["b a"], 2, words="ab", smoothing="witten-bell")
    assert strings(PrefixSearch("ab", model).search(matrix)) == [(1, 2)]
    off = PrefixOptions(lm_weight=0.0)
    assert PrefixSearch("ab", model, off).search(matrix)[0].lm == 0.0


def test_results_do_not_depend_on_what_was_searched_before(lm, monkeypatch):
    from asr.ctc import prefix as module

    matrices = [noise(seed, n) for seed, n in enumerate([40, 3, 0, 80, 40])]
    options = PrefixOptions(beam_size=20)
    fresh = [PrefixSearch(NAMES, lm, options).search(m, 20) for m in matrices]
    monkeypatch.setattr(module, "_FIRST_ROOM", 1)  # memory has to grow on the way
    search = PrefixSearch(NAMES, lm, options)
    for _ in range(2):
        for matrix, expected in zip(matrices, fresh, strict=True):
            found = search.search(matrix, 20)
            assert strings(found) == strings(expected)
            assert [(p.score, p.ctc, p.lm) for p in found] == [(p.score, p.ctc, p.lm) for p in expected]


def test_the_likeliest_tokens_of_a_frame_are_chosen():
    matrix = np.log(np.array([[0.1, 0.2, 0.25, 0.2, 0.25]], np.float32))
    names = "abcd"
    for n, expected in [(1, {2}), (2, {2, 4}), (3, {1, 2, 4}), (4, {1, 2, 3, 4})]:
        found = PrefixSearch(names, options=PrefixOptions(tokens_per_frame=n)).search(matrix, 10)
        assert {s[0] for s in strings(found) if s} == expected


def test_many_tokens_and_flat_frames():
    rng = np.random.default_rng(3)
    matrix = normalised(rng.normal(0, 0.3, (30, 301)))
    names = [f"t{k}" for k in range(300)]
    narrow = PrefixSearch(names, options=PrefixOptions(beam_size=10, tokens_per_frame=10)).search(matrix, 10)
    every = PrefixSearch(names, options=PrefixOptions(beam_size=10, tokens_per_frame=300)).search(matrix, 10)
    assert strings(narrow) == strings(every)


def test_nothing_is_possible(lm):
    blocked = np.full((2, 4), -np.inf, np.float32)
    assert PrefixSearch(NAMES, lm).search(blocked, 5) == []


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros(4, np.float32), r"shape \(4,\); need \(n_frames, n_columns\)"),
        (np.zeros((2, 3), np.float32), r"shape \(2, 3\); need \(n_frames, 4\), the blank and each token"),
        (np.array([[0, -1, -1, -1], [0, -1, np.nan, -1]], np.float32), "frame 1, column 2: nan is no log-probability"),
        (np.array([[-1, 0.5, -1, -1]], np.float32), "frame 0, column 1: 0.5 is no log-probability.*log-softmax"),
    ],
)
def test_bad_matrices_are_refused(matrix, message):
    with pytest.raises(ModelError, match=message):
        PrefixSearch(NAMES).search(matrix)


def test_tokens_that_the_model_lacks_are_named(lm):
    with pytest.raises(LanguageModelError, match=r"no token 'B', 'e'; did you mean 'b'\?; it must"):
        PrefixSearch(["a", "B", "e"], lm)
    with pytest.raises(LanguageModelError, match="no token '<unk>'"):
        PrefixSearch(["a", "<unk>"], lm)
    with pytest.raises(LanguageModelError, match="no token '</s>'"):
        PrefixSearch(["a", "</s>"], lm)
    PrefixSearch(["a", "<unk>"], train(TEXT, 2))
    with pytest.raises(ModelError, match="'b' is there twice"):
        PrefixSearch(["a", "b", "b"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"beam_size": 0},
        {"beam": 0.0},
        {"beam": math.nan},
        {"tokens_per_frame": 0},
        {"lm_weight": -1.0},
        {"insertion_bonus": math.inf},
    ],
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        PrefixOptions(**wrong)


def test_n_best_is_at_least_one():
    with pytest.raises(ValueError, match="n_best=0"):
        PrefixSearch(NAMES).search(np.zeros((0, 4), np.float32), 0)
