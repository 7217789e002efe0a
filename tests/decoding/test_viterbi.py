"""The Viterbi decoder against Kaldi's decoders and against the slow reference decoder, on random graphs."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr.decoding import BestPath, SearchOptions, ViterbiDecoder, reference_decode
from asr.errors import GraphError
from asr.graph.const_fst import Graph

N_LABELS = 6
COLUMNS = np.arange(-1, N_LABELS, dtype=np.int32)  # label 1 is column 0, as kaldi-decoder's DecodableCtc has it
WIDE = SearchOptions(beam=1e6, max_active=10**6, acoustic_scale=1.0)


def random_graph(rng, *, n_states=None, grid=None, epsilons=0.25, min_arcs=0):
    """A graph with epsilon arcs (and cycles of them), dead ends, unreachable states and several final states.

    grid: weights are multiples of it, so that many paths tie; None: they are continuous.
    """
    n_states = n_states or int(rng.integers(2, 30))
    counts = rng.integers(min_arcs, 5, n_states)
    counts[0] = max(counts[0], 1)
    source = np.repeat(np.arange(n_states), counts)
    n = len(source)
    ilabel = np.where(rng.random(n) < epsilons, 0, rng.integers(1, N_LABELS + 1, n))
    olabel = np.where(rng.random(n) < 0.5, 0, rng.integers(1, 9, n))
    weight = rng.exponential(1.0, n)
    final = np.where(rng.random(n_states) < 0.3, rng.exponential(1.0, n_states), np.inf)
    if grid:
        weight, final = np.round(weight / grid) * grid, np.round(final / grid) * grid
    return Graph.from_arrays(0, source, ilabel, olabel, weight, rng.integers(0, n_states, n), final)


def random_loglikes(rng, n_frames, grid=None):
    x = rng.normal(0, 2, (n_frames, N_LABELS))
    return (np.round(x / grid) * grid if grid else x).astype(np.float32)


def same_path(a: BestPath, b: BestPath) -> bool:
    """Equal to the last bit."""
    return a.words.tolist() == b.words.tolist() and a.labels.tolist() == b.labels.tolist() and a[2:] == b[2:]


def decode_or_none(decoder, loglikes):
    try:
        return decoder.decode(loglikes)
    except GraphError as error:
        assert "no path goes on" in str(error)
        return None


def kaldi_best(name, graph, loglikes, tmp_path):
    """(cost, words, labels, reached_final) of a kaldi-decoder, or None if it has no path. Options: beam wide open."""
    kaldifst = pytest.importorskip("kaldifst")
    kaldi_decoder = pytest.importorskip("kaldi_decoder")
    graph.write(tmp_path / "graph.fst")
    fst = kaldifst.StdConstFst.read(str(tmp_path / "graph.fst"))
    if name == "FasterDecoder":
        decoder = kaldi_decoder.FasterDecoder(fst, kaldi_decoder.FasterDecoderOptions(beam=1e6))
    else:
        decoder = kaldi_decoder.SimpleDecoder(fst, 1e6)
    decoder.decode(kaldi_decoder.DecodableCtc(loglikes))
    found, lattice = decoder.get_best_path()
    if not found:
        return None
    found, labels, words, weight = kaldifst.get_linear_symbol_sequence(lattice)
    assert found
    return weight.value1 + weight.value2, words, labels, decoder.reached_final()


@pytest.mark.parametrize("name", ["FasterDecoder", "SimpleDecoder"])
def test_equals_kaldi_on_random_graphs(name, tmp_path):
    rng = np.random.default_rng(20)
    outcomes = {"final": 0, "not final": 0, "none": 0}
    for _ in range(200):
        graph, loglikes = random_graph(rng), random_loglikes(rng, int(rng.integers(1, 25)))
        theirs = kaldi_best(name, graph, loglikes, tmp_path)
        ours = decode_or_none(ViterbiDecoder(graph, COLUMNS, WIDE), loglikes)
        assert (ours is None) == (theirs is None)
        if ours is None or theirs is None:
            outcomes["none"] += 1
            continue
        outcomes["final" if ours.reached_final else "not final"] += 1
        assert -ours.score == pytest.approx(theirs[0], rel=1e-5, abs=1e-4)
        assert (ours.words.tolist(), ours.labels.tolist(), ours.reached_final) == theirs[1:]
    assert min(outcomes.values()) >= 10, outcomes


def test_equals_kaldi_cost_where_paths_tie(tmp_path):
    rng = np.random.default_rng(21)
    for _ in range(50):
        graph = random_graph(rng, grid=0.5, min_arcs=1)
        loglikes = random_loglikes(rng, int(rng.integers(1, 25)), grid=0.5)
        theirs = kaldi_best("FasterDecoder", graph, loglikes, tmp_path)
        ours = decode_or_none(ViterbiDecoder(graph, COLUMNS, WIDE), loglikes)
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            assert -ours.score == pytest.approx(theirs[0], abs=1e-4)
            assert ours.reached_final == theirs[3]


def test_equals_the_reference_with_scale_and_penalty():
    rng = np.random.default_rng(22)
    n_paths = ties = 0
    for _ in range(150):
        graph, loglikes = random_graph(rng), random_loglikes(rng, int(rng.integers(0, 15)))
        scale, penalty = float(rng.uniform(0, 2)), float(rng.uniform(0, 2))
        columns = np.concatenate([[-1], rng.integers(0, 3, N_LABELS)]).astype(np.int32)
        options = SearchOptions(beam=np.inf, max_active=10**6, acoustic_scale=scale, insertion_penalty=penalty)
        ours = decode_or_none(ViterbiDecoder(graph, columns, options, n_columns=N_LABELS), loglikes)
        try:
            exact = reference_decode(graph, columns, loglikes, acoustic_scale=scale, insertion_penalty=penalty)
        except GraphError:
            assert ours is None
            continue
        assert ours is not None
        n_paths += 1
        assert ours.score == pytest.approx(exact.score, abs=1e-7)
        assert ours.reached_final == exact.reached_final
        if ours.labels.tolist() != exact.labels.tolist():
            ties += 1  # labels that share a column, in another order
        else:
            assert ours.words.tolist() == exact.words.tolist()
            assert ours[3:5] == pytest.approx(exact[3:5], abs=1e-7)
        assert ours.score == pytest.approx(ours.graph_score + ours.acoustic_score, abs=1e-12)
        heard = scale * loglikes[np.arange(len(loglikes)), columns[ours.labels]].sum(dtype=np.float64)
        assert ours.acoustic_score == pytest.approx(heard, abs=1e-6)
    assert n_paths > 80
    assert ties <= 3


def brute_force(graph, loglikes):
    """The cost of the best path to a final state, by trying every path (no epsilon cycles in the graph)."""
    arcs, best = graph.arcs.tolist(), np.inf
    todo = [(0, 0, 0.0)]
    while todo:
        state, frame, cost = todo.pop()
        if frame == len(loglikes):
            best = min(best, cost + float(graph.states["final"][state]))
        first, count = int(graph.states["first"][state]), int(graph.states["n_arcs"][state])
        for ilabel, _, weight, target in arcs[first : first + count]:
            if ilabel == 0:
                todo.append((target, frame, cost + weight))
            elif frame < len(loglikes):
                todo.append((target, frame + 1, cost + weight - float(loglikes[frame, ilabel - 1])))
    return best


def test_reference_equals_trying_every_path():
    rng = np.random.default_rng(23)
    n_paths = 0
    for _ in range(60):
        graph = random_graph(rng, n_states=6)
        graph.arcs["next"] = np.where(graph.arcs["ilabel"] == 0, graph.sources() + 1, graph.arcs["next"]) % 6
        if (graph.arcs["next"][graph.arcs["ilabel"] == 0] == 0).any():
            continue  # an epsilon arc back to the start could close a cycle
        loglikes = random_loglikes(rng, 5)
        best = brute_force(graph, loglikes)
        if best < np.inf:
            n_paths += 1
            exact = reference_decode(graph, COLUMNS, loglikes, acoustic_scale=1.0)
            assert exact.reached_final
            assert -exact.score == pytest.approx(best, abs=1e-9)
    assert n_paths >= 20


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 40), max_size=8), st.sampled_from([2.0, 6.0, 1e6]))
def test_chunked_equals_whole(seed, cuts, beam):
    rng = np.random.default_rng(seed)
    graph, loglikes = random_graph(rng, n_states=25, min_arcs=1), random_loglikes(rng, 40)
    decoder = ViterbiDecoder(graph, COLUMNS, SearchOptions(beam=beam, max_active=10, min_active=2, acoustic_scale=0.7))
    whole = decode_or_none(decoder, loglikes)
    if whole is None:
        return
    decoder.start()
    for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), 40], strict=True):
        decoder.advance(loglikes[first:last])
        assert decoder.n_frames == last
        assert len(decoder.partial().labels) == last
    assert same_path(decoder.finish(), whole)


def test_pruning_never_finds_a_better_path_than_there_is():
    rng = np.random.default_rng(24)
    worse = 0
    for _ in range(100):
        graph, loglikes = random_graph(rng, n_states=60, min_arcs=1), random_loglikes(rng, 30)
        exact = decode_or_none(ViterbiDecoder(graph, COLUMNS, WIDE), loglikes)
        assert exact is not None
        for beam, max_active, min_active in ((2.0, 1000, 0), (4.0, 5, 2), (1e6, 8, 0), (0.5, 100, 10)):
            options = SearchOptions(beam=beam, max_active=max_active, min_active=min_active, acoustic_scale=1.0)
            pruned = decode_or_none(ViterbiDecoder(graph, COLUMNS, options), loglikes)
            if pruned is None or pruned.reached_final < exact.reached_final:
                worse += 1
                continue
            assert pruned.score <= exact.score + 1e-6
            worse += pruned.score < exact.score - 1e-6
    assert worse > 20  # else nothing was pruned


def pruned_costs(search, tmp_path):
    """Pairs (our cost, Kaldi's) of pruned searches through 60 random graphs; inf if no final state was reached."""
    kaldifst, kaldi_decoder = pytest.importorskip("kaldifst"), pytest.importorskip("kaldi_decoder")
    rng = np.random.default_rng(25)
    pairs = []
    for _ in range(60):
        graph, loglikes = random_graph(rng, n_states=300, min_arcs=1), random_loglikes(rng, 40)
        graph.write(tmp_path / "graph.fst")
        fst = kaldifst.StdConstFst.read(str(tmp_path / "graph.fst"))
        options = SearchOptions(acoustic_scale=1.0, **search)
        theirs = kaldi_decoder.FasterDecoder(fst, kaldi_decoder.FasterDecoderOptions(**search))
        theirs.decode(kaldi_decoder.DecodableCtc(loglikes))
        found, lattice = theirs.get_best_path()
        ours = decode_or_none(ViterbiDecoder(graph, COLUMNS, options), loglikes)
        assert (ours is not None) == found
        if ours is not None:
            weight = kaldifst.get_linear_symbol_sequence(lattice)[3]
            our_cost = -ours.score if ours.reached_final else np.inf
            pairs.append((our_cost, weight.value1 + weight.value2 if theirs.reached_final() else np.inf))
    return np.array(pairs)


@pytest.mark.parametrize("beam", [2.0, 5.0, 9.0])
def test_the_beam_prunes_exactly_as_kaldi_does(beam, tmp_path):
    ours, theirs = pruned_costs({"beam": beam, "max_active": 10**5, "min_active": 0}, tmp_path).T
    assert len(ours) >= 40
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize(
    "search",
    [
        {"beam": 3.0, "max_active": 1000, "min_active": 20},
        {"beam": 1.0, "max_active": 1000, "min_active": 30},
        {"beam": 8.0, "max_active": 40, "min_active": 5},
    ],
)
def test_bounds_on_the_number_of_tokens_are_no_worse_than_kaldis(search, tmp_path):
    """What Kaldi counts here depends on the order of its hash table, so the two searches may differ, either way."""
    ours, theirs = pruned_costs(search, tmp_path).T
    assert np.mean(ours <= theirs + 1e-3) >= 0.95
    assert np.mean(ours) <= np.mean(theirs)
