"""C against Kaldi's compose_context (kaldifst), which expands the same windows on demand."""

import numpy as np
import pytest

from asr.errors import GraphError
from asr.graph.const_fst import Graph
from asr.graph.context import compose_context
from asr.graph.openfst import to_pynini

pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")
kaldifst = pytest.importorskip("kaldifst")

N_PHONES, N_SYMBOLS = 4, 2


def phone_graph(seed, n_states=6, n_arcs=14):
    """A trimmed random graph over phones 1-4, symbols 5-6 and epsilon."""
    rng = np.random.default_rng(seed)
    source, target = rng.integers(0, n_states, (2, n_arcs))
    ilabel = rng.integers(0, N_PHONES + N_SYMBOLS + 1, n_arcs)
    ilabel[rng.random(n_arcs) < 0.5] = 2
    weight = rng.integers(0, 8, n_arcs) / 4
    final = np.where(rng.random(n_states) < 0.4, rng.integers(0, 4, n_states) / 4, np.inf)
    graph = Graph.from_arrays(0, source, ilabel, rng.integers(0, 3, n_arcs), weight, target, final)
    fst = to_pynini(graph).connect()
    return fst if fst.num_states() > 2 else phone_graph(seed + 1000)


def kaldi_context(fst, width, central, folder):
    fst.write(str(folder / "in.fst"))
    result, info = kaldifst.compose_context(
        disambig_syms=[N_PHONES + 1 + k for k in range(N_SYMBOLS)],
        context_width=width,
        central_position=central,
        ifst=kaldifst.StdVectorFst.read(str(folder / "in.fst")),
    )
    result.write(str(folder / "out.fst"))
    return pynini.Fst.read(str(folder / "out.fst")), info


def canonical(fst, names, known):
    """An acceptor of (name of input, output, cost) triples, without epsilons, deterministic."""
    result = pynini.Fst()
    result.add_states(fst.num_states())
    result.set_start(fst.start())
    for s in fst.states():
        result.set_final(s, fst.final(s))
        for arc in fst.arcs(s):
            key = (names[arc.ilabel], arc.olabel)
            label = 0 if key == ("", 0) else known.setdefault(key, len(known) + 1)
            result.add_arc(s, pynini.Arc(label, label, arc.weight, arc.nextstate))
    return pynini.determinize(result.rmepsilon(), nstate=20_000)


@pytest.mark.parametrize("width, central", [(1, 0), (2, 0), (2, 1), (3, 1), (3, 0), (3, 2), (4, 1), (5, 2)])
@pytest.mark.parametrize("seed", range(6))
def test_same_transducer_as_kaldis(width, central, seed, tmp_path):
    fst = pynini.arcmap(phone_graph(seed), map_type="rmweight")
    # An unweighted graph: determinisation below always ends. Costs are compared in the next test.
    ours = compose_context(from_fst(fst), N_PHONES, width=width, central=central)
    theirs, info = kaldi_context(fst, width, central, tmp_path)
    names = {0: ""}
    names.update({i + 1: tuple(w) for i, w in enumerate(ours.windows.tolist())})
    names.update({len(ours.windows) + 1 + k: f"#{k}" for k in range(ours.n_symbols)})
    names[len(ours.windows) + 1 + ours.n_symbols] = "not yet"
    kaldi_names = {}
    for i, window in enumerate(info):
        if window == []:
            kaldi_names[i] = ""
        elif window == [0]:  # no window is complete yet
            kaldi_names[i] = "not yet"
        elif len(window) == 1 and window[0] < 0:
            kaldi_names[i] = f"#{-window[0] - N_PHONES - 1}"
        else:
            kaldi_names[i] = tuple(window)
    assert {n for n in kaldi_names.values() if isinstance(n, tuple)} == {
        n for n in names.values() if isinstance(n, tuple)
    }
    known = {}
    first, second = canonical(to_pynini(ours.graph), names, known), canonical(theirs, kaldi_names, known)
    assert first.num_states() > 1
    # Sentences without any phone aside: Kaldi reads their end as if a phone were to come, we do not.
    first, second = (pynini.optimize(pynini.intersect(f, with_a_window(known))) for f in (first, second))
    assert first.num_states() > 1
    assert pynini.equivalent(pynini.determinize(first), pynini.determinize(second))


def with_a_window(known):
    """All strings of the labels that hold at least one window."""
    result = pynini.Fst()
    result.add_states(2)
    result.set_start(0)
    result.set_final(1)
    for (name, _), label in known.items():
        for state in (0, 1):
            target = 1 if state == 1 or isinstance(name, tuple) else 0
            result.add_arc(state, pynini.Arc(label, label, 0, target))
    return result.arcsort()


def from_fst(fst):
    from asr.graph.openfst import from_pynini

    return from_pynini(fst)


@pytest.mark.parametrize("width, central", [(1, 0), (2, 0), (2, 1), (3, 1), (3, 0)])
def test_best_costs_are_those_before(toys, width, central):
    """Each path of the graph keeps outputs and cost, and its windows are those of its phones."""
    rng = np.random.default_rng(0)
    n_states, label = 8, 0
    arcs = []
    for s in range(n_states - 1):  # deterministic and without cycles: one path for each label string
        for label in rng.permutation(N_PHONES + N_SYMBOLS)[:2] + 1:
            arcs.append((s, label, rng.integers(0, 3), rng.random(), rng.integers(s + 1, n_states)))
    final = np.where(np.arange(n_states) % 2, 0.5, np.inf)
    graph = Graph.from_arrays(0, *zip(*arcs, strict=True), final)
    ours = compose_context(graph, N_PHONES, width=width, central=central)
    window_id = {tuple(w): i + 1 for i, w in enumerate(ours.windows.tolist())}
    paths = pynini.randgen(pynini.project(to_pynini(graph).connect(), "input"), npath=60, seed=1).paths()
    checked = 0
    for labels in {tuple(p) for p in labels_of(paths)}:
        phones = [p for p in labels if p <= N_PHONES]
        padded = [0] * central + phones + [0] * (width - 1 - central)
        windows = [window_id[tuple(padded[i : i + width])] for i in range(len(phones))]
        merged = toys.costs_of_outputs(only_windows(ours), windows)
        before = toys.costs_of_outputs(graph, labels)
        for outputs, cost in before.items():
            assert merged[outputs] <= cost + 1e-5
        checked += len(before)
    assert checked > 5


def labels_of(paths):
    while not paths.done():
        yield paths.ilabels()
        paths.next()


def only_windows(context):
    columns = {n: context.graph.arcs[n].copy() for n in ("ilabel", "olabel", "weight", "next")}
    columns["ilabel"][columns["ilabel"] > len(context.windows)] = 0
    return Graph.from_arrays(
        context.graph.start,
        context.graph.sources(),
        columns["ilabel"],
        columns["olabel"],
        columns["weight"],
        columns["next"],
        context.graph.states["final"],
    )


def test_only_reached_windows_exist():
    fst = pynini.accep("[1][2][3]") | pynini.accep("[4][2]")
    context = compose_context(from_fst(fst.rmepsilon()), 40, width=3, central=1)
    assert sorted(map(tuple, context.windows.tolist())) == [(0, 1, 2), (0, 4, 2), (1, 2, 3), (2, 3, 0), (4, 2, 0)]


def test_impossible_windows_are_refused():
    graph = from_fst(pynini.accep("[1]"))
    with pytest.raises(GraphError, match="outside a window of 2"):
        compose_context(graph, 3, width=2, central=2)
    with pytest.raises(GraphError, match="too many"):
        compose_context(graph, 2000, width=6, central=3)
