"""The Viterbi decoder on hand-made graphs and at its limits: errors, dead ends, no frames, cycles, long audio."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from asr.decoding import SearchOptions, ViterbiDecoder
from asr.errors import GraphError
from asr.graph.const_fst import Graph

INF = np.inf
COLUMNS = np.array([-1, 0, 1], np.int32)
EXACT = SearchOptions(acoustic_scale=1.0)


def graph_of(arcs, final):
    """arcs: (source, ilabel, olabel, weight, next) each; final: cost per state."""
    return Graph.from_arrays(0, *(np.array(column) for column in zip(*arcs, strict=True)), final)


def two_words(**changes):
    """State 0 -1:5-> 1 (looping on 1), 1 -2:6-> 2 (final, looping on 2)."""
    arcs = [(0, 1, 5, 0.0, 1), (1, 1, 0, 0.5, 1), (1, 2, 6, 0.25, 2), (2, 2, 0, 0.5, 2)]
    return graph_of(arcs, [INF, INF, 1.0])


LOGLIKES = np.array([[-1, -9], [-1, -9], [-9, -2], [-9, -2]], np.float32)


def test_worked_example():
    path = ViterbiDecoder(two_words(), COLUMNS, EXACT).decode(LOGLIKES)
    assert path.words.tolist() == [5, 6]
    assert path.labels.tolist() == [1, 1, 2, 2]
    assert path.graph_score == pytest.approx(-(0.5 + 0.25 + 0.5 + 1.0))
    assert path.acoustic_score == pytest.approx(-6.0)
    assert path.score == pytest.approx(-8.25)
    assert path.reached_final
    assert path.words.dtype == path.labels.dtype == np.int32


def test_scale_and_insertion_penalty():
    options = SearchOptions(acoustic_scale=0.5, insertion_penalty=2.0)
    path = ViterbiDecoder(two_words(), COLUMNS, options).decode(LOGLIKES)
    assert path.acoustic_score == pytest.approx(-3.0)
    assert path.graph_score == pytest.approx(-2.25 - 2 * 2.0)


def test_insertion_penalty_also_counts_on_epsilon_arcs():
    graph = graph_of([(0, 1, 0, 0.0, 1), (1, 0, 7, 0.0, 2)], [INF, 1.0, 0.0])
    loglikes = np.zeros((1, 2), np.float32)
    free = ViterbiDecoder(graph, COLUMNS, EXACT).decode(loglikes)
    dear = ViterbiDecoder(graph, COLUMNS, dataclasses.replace(EXACT, insertion_penalty=3.0)).decode(loglikes)
    assert (free.words.tolist(), free.score) == ([7], pytest.approx(0.0))
    assert (dear.words.tolist(), dear.score) == ([], pytest.approx(-1.0))


def test_not_final_is_said_and_the_final_weight_is_not_counted():
    path = ViterbiDecoder(two_words(), COLUMNS, EXACT).decode(LOGLIKES[:1])
    assert not path.reached_final
    assert path.words.tolist() == [5]
    assert path.score == pytest.approx(-1.0)


def test_a_final_state_wins_over_a_better_token_that_is_not_final():
    graph = graph_of([(0, 1, 1, 0.0, 1), (0, 1, 2, 5.0, 2)], [INF, INF, 0.0])
    path = ViterbiDecoder(graph, COLUMNS, EXACT).decode(LOGLIKES[:1])
    assert (path.words.tolist(), path.reached_final) == ([2], True)


def test_no_frames():
    path = ViterbiDecoder(two_words(), COLUMNS, EXACT).decode(np.empty((0, 2), np.float32))
    assert (path.words.tolist(), path.labels.tolist(), path.score, path.reached_final) == ([], [], 0.0, False)


def test_no_frames_but_epsilon_arcs_to_a_final_state():
    graph = graph_of([(0, 0, 9, 0.5, 1), (1, 1, 0, 0.0, 1)], [INF, 0.25])
    path = ViterbiDecoder(graph, COLUMNS, EXACT).decode(np.empty((0, 2), np.float32))
    assert (path.words.tolist(), path.labels.tolist(), path.reached_final) == ([9], [], True)
    assert path.score == pytest.approx(-0.75)


def test_dead_end_names_the_frame_and_keeps_what_there_is():
    graph = graph_of([(0, 1, 5, 0.0, 1), (1, 2, 6, 0.0, 2)], [INF, INF, 0.0])
    decoder = ViterbiDecoder(graph, COLUMNS, EXACT)
    decoder.start()
    decoder.advance(LOGLIKES[1:2])
    with pytest.raises(GraphError, match="frame 2: no path goes on"):
        decoder.advance(LOGLIKES[1:])
    assert decoder.partial().words.tolist() == [5, 6]
    for call in (decoder.finish, lambda: decoder.advance(LOGLIKES)):
        with pytest.raises(GraphError, match="frame 2"):
            call()
    assert decoder.decode(LOGLIKES[1:3]).reached_final  # the next utterance is not affected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 1])
def test_a_value_that_is_not_finite_names_its_frame(value, column):
    loglikes = LOGLIKES.copy()
    loglikes[3, column] = value
    decoder = ViterbiDecoder(two_words(), COLUMNS, EXACT)
    decoder.start()
    decoder.advance(loglikes[:2])
    with pytest.raises(GraphError, match="frame 3: a log-likelihood is NaN or infinite"):
        decoder.advance(loglikes[2:])
    assert len(decoder.partial().labels) == 3


@pytest.mark.parametrize("shape", [(4, 1), (4, 3), (4,), (1, 4, 2)])
def test_wrong_shape(shape):
    with pytest.raises(ValueError, match=r"expected \(n_frames, 2\)"):
        ViterbiDecoder(two_words(), COLUMNS, EXACT).decode(np.zeros(shape, np.float32))


def test_more_columns_than_the_table_uses():
    wide = np.hstack([LOGLIKES, np.full((4, 3), 99, np.float32)])
    plain = ViterbiDecoder(two_words(), COLUMNS, EXACT).decode(LOGLIKES)
    assert ViterbiDecoder(two_words(), COLUMNS, EXACT, n_columns=5).decode(wide).score == plain.score


def test_other_dtypes_and_layouts_of_the_matrix():
    plain = ViterbiDecoder(two_words(), COLUMNS, EXACT).decode(LOGLIKES)
    for matrix in (LOGLIKES.astype(np.float64), np.asfortranarray(LOGLIKES), LOGLIKES.tolist()):
        assert ViterbiDecoder(two_words(), COLUMNS, EXACT).decode(matrix).score == plain.score


def test_labels_that_the_table_lacks():
    with pytest.raises(GraphError, match="input label 2; column_of_label covers 1 to 1"):
        ViterbiDecoder(two_words(), COLUMNS[:2], EXACT)
    with pytest.raises(GraphError, match="input label 2, for which column_of_label has no column"):
        ViterbiDecoder(two_words(), np.array([-1, 0, -1]), EXACT)
    with pytest.raises(ValueError, match="names column 1"):
        ViterbiDecoder(two_words(), COLUMNS, EXACT, n_columns=1)


def test_damaged_graphs():
    good = two_words()
    for field, value, message in (
        ("next", 3, "beyond its 3"),
        ("next", -1, "beyond its 3"),
        ("weight", np.nan, "NaN"),
        ("ilabel", 0, "epsilon"),
        ("ilabel", -1, "input label -1"),
    ):
        arcs = good.arcs.copy()
        arcs[field][2] = value
        with pytest.raises(GraphError, match=message):
            ViterbiDecoder(Graph(good.start, good.states, arcs), COLUMNS, EXACT)
    states = good.states.copy()
    states["n_arcs"][2] = 9
    with pytest.raises(GraphError, match="arcs that it does not have"):
        ViterbiDecoder(Graph(good.start, states, good.arcs), COLUMNS, EXACT)
    with pytest.raises(GraphError, match="no start state"):
        ViterbiDecoder(Graph(-1, good.states[:0], good.arcs[:0]), COLUMNS, EXACT)


@pytest.mark.parametrize("gain", [0.5, 1e-3])
def test_negative_epsilon_cycle_is_an_error_that_names_it(gain):
    arcs = [(0, 1, 0, 0.0, 1), (1, 0, 0, 1.0, 2), (2, 0, 0, 1.0, 3), (3, 0, 3, -2.0 - gain, 1), (3, 1, 0, 0.0, 3)]
    decoder = ViterbiDecoder(graph_of(arcs, [INF, 0.0, 0.0, 0.0]), COLUMNS, EXACT)
    decoder.start()
    with pytest.raises(GraphError, match=r"frame 1: a cycle of epsilon arcs through state [123] has a negative cost"):
        decoder.advance(LOGLIKES)
    assert decoder.partial().labels.tolist() == []


def test_negative_epsilon_cycle_at_the_start():
    decoder = ViterbiDecoder(graph_of([(0, 0, 0, -1.0, 0), (0, 1, 0, 0.0, 0)], [0.0]), COLUMNS, EXACT)
    with pytest.raises(GraphError, match="frame 0: a cycle"):
        decoder.decode(LOGLIKES)


@pytest.mark.parametrize("there", [0.0, 0.1, 1e-4])
def test_epsilon_cycles_of_no_cost_end(there):
    """0.1 - 0.1 may gain a rounding error at every turn; it must be neither a hang nor an error."""
    arcs = [(0, 1, 0, 0.3, 1), (1, 0, 4, there, 2), (2, 0, 0, -there, 1), (2, 1, 0, 0.7, 0)]
    path = ViterbiDecoder(graph_of(arcs, [INF, 1.0, 0.5]), COLUMNS, EXACT).decode(np.tile(LOGLIKES[:1], (999, 1)))
    assert len(path.labels) == 999
    assert path.reached_final


def test_negative_epsilon_arcs_without_a_cycle():
    arcs = [(0, 1, 1, 0.0, 1), (0, 1, 2, 1.0, 2), (2, 0, 0, -3.0, 3)]
    path = ViterbiDecoder(graph_of(arcs, [INF, 0.0, INF, 0.0]), COLUMNS, EXACT).decode(LOGLIKES[:1])
    assert (path.words.tolist(), path.score) == ([2], pytest.approx(-1.0 - 1.0 + 3.0))


def test_a_token_improved_on_the_stack_improves_what_follows_it():
    """Three epsilon ways to state 3, the dearest found first; what lies behind it must get the cheapest."""
    arcs = [(0, 1, 0, 0.0, 1), (1, 0, 1, 5.0, 3), (1, 0, 0, 1.0, 2), (2, 0, 2, 1.0, 3), (3, 0, 3, 0.5, 4)]
    path = ViterbiDecoder(graph_of(arcs, [INF] * 4 + [0.0]), COLUMNS, EXACT).decode(LOGLIKES[:1])
    assert (path.words.tolist(), path.score) == ([2, 3], pytest.approx(-3.5))


def test_not_started_and_reused():
    decoder = ViterbiDecoder(two_words(), COLUMNS, EXACT)
    for call in (decoder.finish, lambda: decoder.advance(LOGLIKES)):
        with pytest.raises(GraphError, match="start"):
            call()
    assert decoder.partial().words.tolist() == []
    first, second, third = (decoder.decode(LOGLIKES[:n]) for n in (4, 3, 4))
    assert (first.score, second.score) == (pytest.approx(-8.25), pytest.approx(-5.75))
    assert third.score == first.score
    assert first.labels.tolist() == third.labels.tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"beam": 0.0},
        {"beam": np.nan},
        {"max_active": 1, "min_active": 0},
        {"min_active": 7000},
        {"min_active": -1},
        {"acoustic_scale": -0.1},
        {"acoustic_scale": np.nan},
        {"insertion_penalty": np.inf},
        {"beam_delta": -1.0},
    ],
)
def test_impossible_options(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SearchOptions(**wrong)


def test_read_only_and_unaligned_graphs(tmp_path):
    two_words().write(tmp_path / "graph.fst")
    mapped = Graph.read(tmp_path / "graph.fst")
    assert not mapped.arcs.flags.writeable
    shifted = np.zeros(mapped.arcs.nbytes + 1, np.uint8)
    shifted[1:] = mapped.arcs.view(np.uint8)
    odd = Graph(mapped.start, mapped.states, shifted[1:].view(mapped.arcs.dtype))
    for graph in (mapped, odd):
        assert ViterbiDecoder(graph, COLUMNS, EXACT).decode(LOGLIKES).score == pytest.approx(-8.25)


def ring(n_states, rng):
    """A graph whose paths stay apart for long: rings of states joined at random."""
    states = np.arange(n_states)
    source = np.concatenate([states, states, states])
    target = np.concatenate([(states + 1) % n_states, states, rng.integers(0, n_states, n_states)])
    n = len(source)
    olabel = np.where(rng.random(n) < 0.2, rng.integers(1, 9, n), 0)
    return Graph.from_arrays(
        0, source, rng.integers(1, 3, n), olabel, rng.exponential(1, n), target, np.zeros(n_states)
    )


def test_clean_up_of_the_arena_changes_nothing(monkeypatch):
    from asr.decoding import viterbi

    rng = np.random.default_rng(1)
    graph, loglikes = ring(200, rng), rng.normal(0, 1, (3000, 2)).astype(np.float32)
    whole = ViterbiDecoder(graph, COLUMNS, EXACT).decode(loglikes)
    monkeypatch.setattr(viterbi, "_FIRST_ARENA", 500)  # far below what one frame's paths need: cleaned up and grown
    often = ViterbiDecoder(graph, COLUMNS, EXACT)
    assert often._settings[6] == 500
    path = often.decode(loglikes)
    assert often._settings[6] > 500
    assert path.words.tolist() == whole.words.tolist()
    assert path.labels.tolist() == whole.labels.tolist()
    assert path[2:] == whole[2:]


def test_an_hour_of_audio_in_bounded_memory():
    """360,000 frames with about 200 tokens each: 70 million back-pointers are made, and about one a frame is kept."""
    rng = np.random.default_rng(2)
    decoder = ViterbiDecoder(ring(200, rng), COLUMNS, EXACT)
    chunk = rng.normal(0, 1, (10_000, 2)).astype(np.float32)
    decoder.start()
    for _ in range(36):
        decoder.advance(chunk)
    assert decoder.n_frames == 360_000
    assert decoder._arena.nbytes <= 32 * 2**20
    path = decoder.finish()
    assert len(path.labels) == 360_000
    heard = np.tile(chunk, (36, 1))[np.arange(360_000), path.labels - 1].sum(dtype=np.float64)
    assert path.acoustic_score == pytest.approx(heard, rel=1e-9)


def test_importing_needs_neither_pynini_nor_numba():
    code = """
import sys
for name in ("pynini", "torch"):
    sys.modules[name] = None
import asr.decoding
assert "numba" not in sys.modules
from asr.decoding import ViterbiDecoder
assert "numba" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
