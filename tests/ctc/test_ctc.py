"""CTC's recursions, alignment and graph against the enumeration of all paths, and against torch."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.ctc import CtcTokens, ctc_align, greedy
from asr.ctc.kernels import occupancies
from asr.errors import ModelError
from asr.lang.lexicon import Lexicon


def said(path) -> tuple[int, ...]:
    """What a path of columns says."""
    return tuple(column for column, _ in itertools.groupby(path) if column)


def random_log_probs(n_frames: int, n_columns: int, seed: int, sharpness: float = 1.0) -> np.ndarray:
    x = sharpness * np.random.default_rng(seed).normal(size=(n_frames, n_columns))
    return (x - np.log(np.exp(x).sum(axis=1, keepdims=True))).astype(np.float32)


cases = given(
    n_frames=st.integers(0, 6),
    units=st.lists(st.integers(1, 2), max_size=4),
    seed=st.integers(0, 10_000),
    impossible=st.booleans(),
)


def some_log_probs(n_frames, seed, impossible):
    log_probs = random_log_probs(n_frames, 3, seed)
    if impossible and n_frames:
        rng = np.random.default_rng(seed)
        log_probs[rng.integers(n_frames), rng.integers(3)] = -np.inf
    return log_probs


@cases
@settings(deadline=None, max_examples=150)
def test_probability_and_posteriors_are_those_of_all_paths(n_frames, units, seed, impossible):
    log_probs = some_log_probs(n_frames, seed, impossible)
    expected, posteriors = 0.0, np.zeros((n_frames, 3))
    for path in itertools.product(range(3), repeat=n_frames):
        if said(path) == tuple(units):
            probability = float(np.exp(log_probs[np.arange(n_frames), list(path)].astype(np.float64).sum()))
            expected += probability
            posteriors[np.arange(n_frames), list(path)] += probability
    found = np.full((n_frames, 3), np.nan)
    log_prob = occupancies(log_probs, np.array(units, np.int32), found)
    assert np.exp(log_prob) == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(found, posteriors / (expected or 1.0), rtol=1e-7, atol=1e-12)


@cases
@settings(deadline=None, max_examples=150)
def test_the_alignment_is_the_best_of_all_paths(n_frames, units, seed, impossible):
    log_probs = some_log_probs(n_frames, seed, impossible)
    paths = [p for p in itertools.product(range(3), repeat=n_frames) if said(p) == tuple(units)]
    scores = [log_probs[np.arange(n_frames), list(p)].astype(np.float64).sum() for p in paths] if n_frames else []
    if not len(scores) or max(scores) == -np.inf:
        with pytest.raises(ModelError):
            ctc_align(log_probs, units)
        return
    found = ctc_align(log_probs, units)
    assert found.score == pytest.approx(max(scores), rel=1e-9)
    assert said(found.columns) == tuple(units)
    assert log_probs[np.arange(n_frames), found.columns].astype(np.float64).sum() == pytest.approx(found.score)
    for unit, start, end, score in zip(units, found.starts, found.ends, found.scores, strict=True):
        assert (found.columns[start:end] == unit).all()
        assert score == pytest.approx(log_probs[start:end, unit].mean(), abs=1e-5)


def test_greedy_says_what_the_best_path_says():
    log_probs = random_log_probs(40, 4, 3, sharpness=3.0)
    units, frames = greedy(log_probs)
    best = log_probs.argmax(axis=1)
    assert tuple(units) == said(best.tolist())
    assert all(best[f] == u and (f == 0 or best[f - 1] != u) for u, f in zip(units, frames, strict=True))
    assert [len(x) for x in greedy(np.zeros((0, 4), np.float32))] == [0, 0]


@pytest.mark.parametrize(
    ("log_probs", "message"),
    [
        (np.zeros(3), "need \\(n_frames, n_columns\\)"),
        (np.zeros((3, 1)), "the blank and a unit at least"),
        (np.full((3, 2), np.nan), "frame 0, column 0: nan is no log-probability"),
        (np.array([[-1.0, -1.0], [0.5, -1.0]]), "frame 1, column 0: 0.5 is no log-probability"),
    ],
)
def test_what_are_no_log_probs_is_told(log_probs, message):
    with pytest.raises(ModelError, match=message):
        greedy(log_probs)


def test_what_cannot_be_aligned_is_told():
    log_probs = random_log_probs(3, 3, 0)
    with pytest.raises(ModelError, match="3 units need 4 rows of log_probs; there are 3"):
        ctc_align(log_probs, [1, 1, 2])
    with pytest.raises(ModelError, match="units from 0 to 2; need columns 1 to 2"):
        ctc_align(log_probs, [0, 2])
    log_probs[:, 2] = -np.inf
    with pytest.raises(ModelError, match="no path says these units"):
        ctc_align(log_probs, [1, 2])


def test_units_widen_into_the_blanks_around_them_but_not_into_silence():
    tokens = CtcTokens(3)
    labels = [1, 1, 1, 1, 1, 2, 1, 1, 1, 3, 3, 3, *[1] * 20, 4, 1, 1]
    segments = tokens.phone_segments(labels)
    assert [(s.phone, s.start, s.end) for s in segments] == [(1, 4, 7), (2, 8, 13), (3, 31, 34)]
    wider = tokens.phone_segments(labels, reach=3)
    assert [(s.phone, s.start, s.end) for s in wider] == [(1, 2, 8), (2, 8, 15), (3, 29, 35)]
    assert tokens.phone_segments([1, 1]) == tokens.phone_segments([]) == []
    assert [tuple(s) for s in tokens.phone_segments([2, 1, 2])] == [(1, 0, 2), (1, 2, 3)]


WORDS = (("ab", ("A", "B")), ("a", ("A",)), ("ba", ("B", "A")), ("bb", ("B", "B")))


@pytest.fixture(scope="module")
def lexicon():
    return Lexicon(WORDS, silence_prob=0.0)


def test_the_graph_finds_the_best_words_of_all_paths(lexicon):
    """Every path of labels is scored as T says; so are the words of every segmentation of what it says."""
    from asr.decoding import SearchOptions, ViterbiDecoder
    from asr.graph.grammar import word_loop
    from asr.graph.tlg import compile_tlg

    tokens = CtcTokens(lexicon.n_phones)
    graph = compile_tlg(lexicon, word_loop(lexicon), tokens)
    units = {word: tuple(lexicon.phones[p] for p in phones) for word, phones in WORDS}
    cost = np.log(len(WORDS) + 1)  # of each word in a loop, and of its end
    sentences: dict[tuple[int, ...], float] = {}
    for length in range(5):
        for words in itertools.product(units, repeat=length):
            spelled = sum((units[w] for w in words), ())
            if len(spelled) <= 5:
                sentences[spelled] = min(sentences.get(spelled, np.inf), (length + 1) * cost)
    decoder = ViterbiDecoder(graph, tokens.pdf_of_id, SearchOptions(beam=1000.0, acoustic_scale=1.0))
    silence = lexicon.phones["SIL"]
    for seed in range(20):
        log_probs = random_log_probs(5, tokens.n_pdfs, seed, sharpness=2.0)
        log_probs[:, silence] = -50.0
        columns = [c for c in range(tokens.n_pdfs) if c != silence]
        best = max(
            float(log_probs[np.arange(5), list(path)].sum()) - sentences[said(path)]
            for path in itertools.product(columns, repeat=5)
            if said(path) in sentences
        )
        path = decoder.decode(log_probs)
        assert path.acoustic_score == pytest.approx(log_probs[np.arange(5), path.labels - 1].sum(), abs=1e-4)
        spelled = sum((units[lexicon.words.name(int(w))] for w in path.words), ())
        assert said(path.labels - 1) == spelled
        assert path.score == pytest.approx(best, abs=1e-3)


def test_the_graph_needs_a_blank_between_equal_units(lexicon):
    from asr.decoding import SearchOptions, ViterbiDecoder
    from asr.graph.grammar import word_loop
    from asr.graph.tlg import compile_tlg

    tokens = CtcTokens(lexicon.n_phones)
    decoder = ViterbiDecoder(
        compile_tlg(replace(lexicon, silence_prob=0.5), word_loop(lexicon), tokens), tokens.pdf_of_id,
        SearchOptions(beam=1000.0, acoustic_scale=1.0),
    )  # fmt: skip
    a = lexicon.phones["A"]
    log_probs = np.full((3, tokens.n_pdfs), -9.0, np.float32)
    log_probs[:, a] = -0.01
    assert [lexicon.words.name(int(w)) for w in decoder.decode(log_probs).words] == ["a"]
    log_probs[1, [0, a]] = -0.01, -9.0
    assert [lexicon.words.name(int(w)) for w in decoder.decode(log_probs).words] == ["a", "a"]


def test_rows_of_blanks_are_not_searched_and_nothing_changes(lexicon):
    from asr.decoding import SearchOptions, ViterbiDecoder
    from asr.decoding.skipping import decode_spoken_rows, rows_to_search
    from asr.graph.grammar import word_loop
    from asr.graph.tlg import compile_tlg

    tokens = CtcTokens(lexicon.n_phones)
    decoder = ViterbiDecoder(
        compile_tlg(lexicon, word_loop(lexicon), tokens), tokens.pdf_of_id, SearchOptions(beam=50.0, acoustic_scale=1.0)
    )
    n_kept = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(60, tokens.n_pdfs)).astype(np.float32)
        x[:, 0] += np.where(rng.random(60) < 0.7, 12.0, 0.0)  # most rows are blanks beyond doubt
        x[:, lexicon.phones["SIL"]] = -50.0
        log_probs = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
        kept = rows_to_search(log_probs, 0.99)
        n_kept += len(kept)
        whole, short = decoder.decode(log_probs), decode_spoken_rows(decoder, log_probs, log_probs, 0.99)
        np.testing.assert_array_equal(short.words, whole.words)
        assert len(short.labels) == 60 and said(short.labels - 1) == said(whole.labels - 1)
        np.testing.assert_array_equal(rows_to_search(log_probs, 1.0), np.arange(60))
    assert n_kept < 0.6 * 600
    with pytest.raises(ModelError, match="need 0"):
        rows_to_search(np.zeros((1, 2), np.float32), 0.2)
    with pytest.raises(ModelError, match="need the same"):
        decode_spoken_rows(decoder, log_probs[:-1], log_probs)


def test_one_blank_stays_between_equal_units():
    from asr.decoding.skipping import rows_to_search

    blank, unit = [-0.001, -9.0], [-9.0, -0.001]
    rows = np.array([unit, blank, blank, blank, unit, unit, blank, blank], np.float32)
    assert rows_to_search(rows).tolist() == [0, 1, 4, 5, 6]
    assert len(rows_to_search(np.zeros((0, 2), np.float32))) == 0
