"""Small graphs whose paths can all be listed."""

import numpy as np
import pytest

from asr.decoding import SearchOptions, ViterbiDecoder
from asr.errors import GraphError
from asr.graph.const_fst import Graph
from asr.lattice import lattice_of

N_LABELS = 6
COLUMNS = np.arange(-1, N_LABELS, dtype=np.int32)
WIDE = SearchOptions(beam=1e6, max_active=10**6, acoustic_scale=1.0, insertion_penalty=0.3)


def random_case(rng, n_states=7):
    """A graph without cycles of epsilon arcs, and log-likelihoods."""
    counts = rng.integers(1, 5, n_states)
    source = np.repeat(np.arange(n_states), counts)
    n = len(source)
    target = rng.integers(0, n_states, n)
    ilabel = np.where((rng.random(n) < 0.25) & (target > source), 0, rng.integers(1, N_LABELS + 1, n))
    olabel = np.where(rng.random(n) < 0.5, 0, rng.integers(1, 6, n))
    final = np.where(rng.random(n_states) < 0.4, rng.exponential(1.0, n_states), np.inf)
    graph = Graph.from_arrays(0, source, ilabel, olabel, rng.exponential(1.0, n), target, final)
    return graph, rng.normal(0, 1.5, (int(rng.integers(0, 6)), N_LABELS)).astype(np.float32)


def all_paths(graph, loglikes, reached_final):
    """(words, labels, graph cost, acoustic cost) of each path through all frames."""
    arcs, found = graph.arcs.tolist(), []
    waiting = [(graph.start, 0, (), (), 0.0, 0.0)]
    while waiting:
        state, frame, words, labels, g, a = waiting.pop()
        final, first, count, _, _ = graph.states[state].tolist()
        if frame == len(loglikes) and (not reached_final or np.isfinite(final)):
            found.append((words, labels, g + (final if reached_final else 0.0), a))
        for ilabel, olabel, weight, target in arcs[first : first + count]:
            after = (*words, olabel) if olabel else words
            cost = g + weight + (WIDE.insertion_penalty if olabel else 0.0)
            if ilabel == 0:
                waiting.append((target, frame, after, labels, cost, a))
            elif frame < len(loglikes):
                heard = a - float(loglikes[frame, ilabel - 1])
                waiting.append((target, frame + 1, after, (*labels, ilabel), cost, heard))
    return found


def random_lattices(n, beam, seed=0):
    """n random cases: graph, log-likelihoods, lattice, and all paths within its beam."""
    rng, made = np.random.default_rng(seed), 0
    while made < n:
        graph, loglikes = random_case(rng)
        try:
            lattice = lattice_of(ViterbiDecoder(graph, COLUMNS, WIDE), loglikes, beam)
        except GraphError as error:
            assert "no path goes on" in str(error)
            continue
        paths = all_paths(graph, loglikes, lattice.reached_final)
        best = min(g + a for _, _, g, a in paths)
        made += 1
        yield graph, loglikes, lattice, [p for p in paths if p[2] + p[3] <= best + beam - 1e-6]


@pytest.fixture(scope="session")
def lattices():
    """200 random cases with a beam of 4."""
    return list(random_lattices(200, 4.0))
