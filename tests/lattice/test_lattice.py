"""Lattices against lists of all paths of small graphs: which are there, their costs, the best, and probabilities."""

import math
from collections import defaultdict

import numpy as np
import pytest

from asr.decoding import SearchOptions, ViterbiDecoder
from asr.errors import GraphError
from asr.graph.const_fst import Graph
from asr.lattice import WordLattice, lattice_of, least_risk, word_posteriors

from .conftest import COLUMNS, WIDE

BEAM = 4.0


def paths_of(lattice):
    """(words, labels, graph cost, acoustic cost) of all paths of a lattice."""
    found, waiting = [], [(0, (), (), 0.0, 0.0)]
    first = np.searchsorted(lattice.arcs["source"], np.arange(lattice.n_states + 1))
    while waiting:
        state, words, labels, g, a = waiting.pop()
        if np.isfinite(lattice.finals[state]):
            found.append((words, labels, g + lattice.finals[state], a))
        for _, target, ilabel, olabel, graph, acoustic in lattice.arcs[first[state] : first[state + 1]].tolist():
            waiting.append(
                (
                    target,
                    (*words, olabel) if olabel else words,
                    (*labels, ilabel) if ilabel else labels,
                    g + graph,
                    a + acoustic,
                )
            )
    return found


def ordered(paths):
    return sorted((words, labels, round(g, 3), round(a, 3)) for words, labels, g, a in paths)


def best_of_words(paths):
    """Word sequence -> cost and labels of its best path."""
    found = {}
    for words, labels, g, a in paths:
        if words not in found or g + a < found[words][0]:
            found[words] = (g + a, labels)
    return found


def test_all_paths_within_the_beam_are_there(lattices):
    n_paths = 0
    for _, loglikes, lattice, paths in lattices:
        mine = paths_of(lattice)
        assert all(len(labels) == len(loglikes) for _, labels, _, _ in mine)
        best = min(g + a for _, _, g, a in mine)
        within = [p for p in mine if p[2] + p[3] <= best + BEAM - 1e-6]
        assert len(within) == len(paths)
        for (words, labels, g, a), (w, heard, graph, acoustic) in zip(ordered(within), ordered(paths), strict=True):
            assert (words, labels) == (w, heard)
            assert (g, a) == (pytest.approx(graph, abs=2e-3), pytest.approx(acoustic, abs=2e-3))
        n_paths += len(within)
    assert n_paths > 1500 and sum(not case[2].reached_final for case in lattices) > 10


def test_arcs_that_no_path_within_the_beam_takes_are_not_there(lattices):
    for _, _, lattice, _ in lattices:
        arcs = lattice.arcs
        through = lattice.forward[arcs["source"]] + arcs["graph"] + arcs["acoustic"] + lattice.backward[arcs["next"]]
        assert (through <= lattice.best_cost + BEAM + 1e-4).all()
        assert (arcs["source"] < arcs["next"]).all() and (np.diff(arcs["source"]) >= 0).all()
        assert (lattice.frames[arcs["next"]] - lattice.frames[arcs["source"]] == (arcs["ilabel"] != 0)).all()


def test_the_best_path_is_the_decoders(lattices):
    for graph, loglikes, lattice, _ in lattices:
        path = ViterbiDecoder(graph, COLUMNS, WIDE).decode(loglikes)
        assert lattice.best_cost == pytest.approx(-path.score, abs=1e-4)
        (best,) = WordLattice.of(lattice).nbest(1)
        assert best.score == pytest.approx(path.score, abs=1e-4) and best.reached_final == path.reached_final


def test_pruning_leaves_the_paths_of_a_smaller_beam(lattices):
    for _, _, lattice, paths in lattices[:60]:
        smaller = paths_of(lattice.prune(1.5))
        best = min(g + a for _, _, g, a in paths)
        wanted = [p for p in paths if p[2] + p[3] <= best + 1.5 - 1e-6]
        found = [p for p in smaller if p[2] + p[3] <= best + 1.5 - 1e-6]
        assert [p[:2] for p in ordered(found)] == [p[:2] for p in ordered(wanted)]


@pytest.mark.parametrize("beam", [BEAM, 1.0, None])
def test_words_are_there_once_with_their_best_cost(lattices, beam):
    n_sequences = 0
    for _, _, lattice, paths in lattices:
        words = WordLattice.of(lattice, beam)
        found = list(words.sequences())
        expected = best_of_words(paths_of(lattice) if beam is None else paths)
        if beam is not None:
            limit = lattice.best_cost + beam - 1e-5
            expected = {w: e for w, e in expected.items() if e[0] <= limit}
            found = [(w, cost) for w, cost in found if cost <= limit]
        assert [tuple(w) for w, _ in found] != [] and len({tuple(w) for w, _ in found}) == len(found) == len(expected)
        costs = [cost for _, cost in found]
        assert costs == sorted(costs)
        for sequence, cost in found:
            assert cost == pytest.approx(expected[tuple(sequence)][0], abs=1e-4)
        n_sequences += len(found)
    assert n_sequences > 300


def test_nbest_has_labels_and_scores_apart(lattices):
    for _, loglikes, lattice, paths in lattices:
        expected = sorted(best_of_words(paths).items(), key=lambda item: item[1][0])
        for path, (words, (cost, _)) in zip(WordLattice.of(lattice).nbest(5), expected, strict=False):
            assert -path.score == pytest.approx(cost, abs=1e-4)
            if sum(abs(c - cost) < 1e-3 for _, (c, _) in expected) == 1:
                assert tuple(path.words.tolist()) == words
                assert len(path.labels) == len(loglikes)
                heard = sum(float(loglikes[t, label - 1]) for t, label in enumerate(path.labels.tolist()))
                assert path.acoustic_score == pytest.approx(heard, abs=1e-3)
                assert path.graph_score == pytest.approx(path.score - heard, abs=1e-3)


def test_posteriors_are_those_of_all_sequences(lattices):
    for _, _, lattice, _ in lattices:
        words = WordLattice.of(lattice)
        sequences = list(words.sequences())
        total = sum(math.exp(-cost) for _, cost in sequences)
        found = words.posteriors()
        first = defaultdict(float)
        for sequence, cost in sequences:
            if sequence:
                first[sequence[0]] += math.exp(-cost) / total
        at_start = words.arcs["source"] == 0
        assert dict(zip(words.arcs["word"][at_start].tolist(), found[at_start].tolist(), strict=True)) == (
            pytest.approx(dict(first), abs=1e-6)
        )


def edits(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j - 1] + (x != y), before[j] + 1, row[j - 1] + 1))
    return row[-1]


def test_least_risk_is_that_of_all_sequences(lattices):
    changed = 0
    for _, _, lattice, _ in lattices:
        words = WordLattice.of(lattice)
        sequences = [(tuple(w), math.exp(-cost)) for w, cost in words.sequences()]
        if len(sequences) > 100:
            continue

        def risk(chosen, sequences=sequences):
            return sum(p * edits(chosen, other) for other, p in sequences) / sum(p for _, p in sequences)

        found = tuple(least_risk(words).words.tolist())
        assert risk(found) == pytest.approx(min(risk(w) for w, _ in sequences), abs=1e-9)
        changed += found != sequences[0][0]
    assert changed > 5


def test_posteriors_of_words_where_all_sequences_align_in_one_way():
    # Two places: "1 2" or "1 3", and nothing else.
    cost = [0.2, 0.4, 0.9]
    graph = Graph.from_arrays(0, [0, 1, 1], [1, 2, 3], [1, 2, 3], cost, [1, 2, 2], [np.inf, np.inf, 0.0])
    decoder = ViterbiDecoder(graph, COLUMNS, SearchOptions(beam=100.0, acoustic_scale=1.0))
    words = WordLattice.of(lattice_of(decoder, np.zeros((2, 6), np.float32), 20.0))
    share = math.exp(-0.4) / (math.exp(-0.4) + math.exp(-0.9))
    assert word_posteriors(words, [1, 2]) == pytest.approx([1.0, share], abs=1e-6)
    assert word_posteriors(words, [1, 3]) == pytest.approx([1.0, 1.0 - share], abs=1e-6)
    assert word_posteriors(words, []).shape == (0,)


def test_posteriors_of_words_are_near_those_of_aligned_sequences(lattices):
    """An alignment of each path alone, not on average, gives nearly the same."""
    gaps = []
    for _, _, lattice, _ in lattices:
        words = WordLattice.of(lattice)
        sequences = [(w, math.exp(-cost)) for w, cost in words.sequences()]
        best = sequences[0][0]
        found = word_posteriors(words, best)
        assert ((found >= -1e-9) & (found <= 1 + 1e-9)).all()
        total = sum(p for _, p in sequences)
        agreeing = [0.0] * len(best)
        for w, p in sequences:
            for i in matched(best, w):
                agreeing[i] += p / total
        gaps += np.abs(found - agreeing).tolist()
    assert np.mean(gaps) < 0.05


def matched(reference, words):
    """Places of the reference that an alignment with the fewest edits gives the same word."""
    n, m = len(reference), len(words)
    cost = [[max(i, j) if not (i and j) else 0 for j in range(m + 1)] for i in range(n + 1)]
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            same = cost[i - 1][j - 1] + (reference[i - 1] != words[j - 1])
            cost[i][j] = min(same, cost[i - 1][j] + 1, cost[i][j - 1] + 1)
    places, i, j = [], n, m
    while i and j:
        if cost[i][j] == cost[i - 1][j - 1] + (reference[i - 1] != words[j - 1]):
            if reference[i - 1] == words[j - 1]:
                places.append(i - 1)
            i, j = i - 1, j - 1
        elif cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return places


def test_too_many_states_make_the_beam_smaller(lattices):
    lattice = max((case[2] for case in lattices), key=lambda x: len(WordLattice.of(x).frames))
    whole, small = WordLattice.of(lattice), WordLattice.of(lattice, max_states=len(WordLattice.of(lattice).frames) // 2)
    assert len(small.frames) < len(whole.frames) and next(small.sequences())[0] == next(whole.sequences())[0]


def test_cycles_of_epsilon_arcs_and_wrong_beams_are_refused():
    graph = Graph.from_arrays(0, [0, 1, 1], [1, 0, 2], [1, 2, 0], [0.1, 0.1, 0.1], [1, 1, 1], [np.inf, 0.0])
    decoder = ViterbiDecoder(graph, COLUMNS, WIDE)
    with pytest.raises(GraphError, match="cycle of epsilon arcs"):
        lattice_of(decoder, np.zeros((3, 6), np.float32), 4.0)
    with pytest.raises(ValueError, match="beam"):
        lattice_of(decoder, np.zeros((3, 6), np.float32), 0.0)
    assert len(decoder.decode(np.zeros((3, 6), np.float32)).labels) == 3


def test_a_search_goes_on_as_before_after_a_lattice(lattices):
    graph, loglikes, lattice, _ = lattices[0]
    decoder = ViterbiDecoder(graph, COLUMNS, WIDE)
    before = decoder.decode(loglikes)
    again = lattice_of(decoder, loglikes, BEAM)
    after = decoder.decode(loglikes)
    assert before.score == after.score and (again.arcs == lattice.arcs).all()


def test_a_long_utterance_outgrows_the_first_arena(lattices, monkeypatch):
    graph = lattices[0][0]
    rng = np.random.default_rng(5)
    loglikes = rng.normal(0, 1, (300, 6)).astype(np.float32)
    whole = lattice_of(ViterbiDecoder(graph, COLUMNS, WIDE), loglikes, BEAM)
    monkeypatch.setattr("asr.decoding.viterbi._FIRST_ARENA", 64)
    small = lattice_of(ViterbiDecoder(graph, COLUMNS, WIDE), loglikes, BEAM)
    assert (small.arcs == whole.arcs).all() and (small.frames == whole.frames).all()


def test_what_a_lattice_takes_is_given_back(monkeypatch, lattices):
    """Room for all tokens of a long recording is not kept for the searches after it, which are as before."""
    monkeypatch.setattr("asr.decoding.viterbi._FIRST_ARENA", 64)
    graph, *_ = lattices[0]
    columns = np.array(COLUMNS)
    decoder = ViterbiDecoder(graph, columns, WIDE)
    loglikes = np.log(np.random.default_rng(0).dirichlet(np.ones(decoder.n_columns), 500)).astype(np.float32)
    before, room = decoder.decode(loglikes), decoder._arena.shape
    lattice = lattice_of(decoder, loglikes, BEAM)
    assert decoder._arena.shape == room and len(lattice.arcs)
    with pytest.raises(GraphError, match="given away"):
        decoder.finish()
    after = decoder.decode(loglikes)
    assert after.labels.tolist() == before.labels.tolist() and after.score == before.score


def test_a_lattice_of_few_states_has_the_best_sequences(lattices):
    """Where there would be too many, the rest is left out, and nothing before it."""
    n_less = 0
    for _, _, lattice, _ in lattices[:100]:
        whole = {tuple(w): cost for w, cost in WordLattice.of(lattice).sequences()}
        for most in (1, 3, 6):
            few = WordLattice.of(lattice, max_states=most)
            less = {tuple(w): cost for w, cost in few.sequences()}
            n_less += len(less) < len(whole)
            assert all(cost == pytest.approx(whole[w]) for w, cost in less.items())
            best = min(whole.values())
            assert all(w in less for w, cost in whole.items() if cost <= best + few.beam)
            assert few.beam >= 0 and (len(less) == len(whole) or few.beam < np.inf)
    assert n_less > 50
