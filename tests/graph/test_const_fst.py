"""The graph file against OpenFst itself (pynini, kaldifst), and what is refused."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import GraphError
from asr.graph.const_fst import Graph

pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")
pywrapfst = pytest.importorskip("pywrapfst")


def random_graph(seed, n_states=30, n_arcs=200, n_labels=9):
    rng = np.random.default_rng(seed)
    source, target = rng.integers(0, n_states, (2, n_arcs))
    ilabel, olabel = rng.integers(0, n_labels, (2, n_arcs))
    final = np.where(rng.random(n_states) < 0.3, rng.random(n_states), np.inf)
    return Graph.from_arrays(int(rng.integers(n_states)), source, ilabel, olabel, rng.random(n_arcs), target, final)


def same(a, b):
    return a.start == b.start and (a.states == b.states).all() and (a.arcs == b.arcs).all()


def test_from_arrays_sorts_by_state_then_label_and_keeps_the_order_of_ties():
    graph = Graph.from_arrays(
        0, [1, 0, 1, 1], [2, 5, 1, 2], [7, 0, 0, 6], [0.1, 0.2, 0.3, 0.4], [0, 1, 1, 1], [np.inf, 0]
    )
    assert graph.arcs["ilabel"].tolist() == [5, 1, 2, 2]
    assert graph.arcs["olabel"].tolist() == [0, 0, 7, 6]
    assert graph.states["n_arcs"].tolist() == [1, 3] and graph.states["first"].tolist() == [0, 1]
    assert graph.states["n_output_epsilons"].tolist() == [1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_openfst_reads_what_we_write_and_back(seed, tmp_path):
    graph = random_graph(seed)
    graph.write(tmp_path / "g.fst")
    fst = pynini.Fst.read(str(tmp_path / "g.fst"))
    assert fst.verify() and fst.num_states() == graph.n_states and fst.start() == graph.start
    arcs = [
        (s, a.ilabel, a.olabel, np.float32(float(a.weight)), a.nextstate) for s in fst.states() for a in fst.arcs(s)
    ]
    ours = [(s, *arc) for s, arc in zip(graph.sources().tolist(), graph.arcs.tolist(), strict=True)]
    assert arcs == [(s, i, o, np.float32(w), n) for s, i, o, w, n in ours]
    unaligned = pywrapfst.convert(fst, "const").write_to_string()
    assert same(Graph.from_bytes(unaligned), graph)
    assert same(Graph.read(tmp_path / "g.fst"), graph)
    assert (tmp_path / "g.fst").read_bytes() == graph.to_bytes()


def test_kaldi_reads_what_we_write(tmp_path):
    kaldifst = pytest.importorskip("kaldifst")
    graph = random_graph(1)
    graph.write(tmp_path / "g.fst")
    fst = kaldifst.StdConstFst.read(str(tmp_path / "g.fst"))
    assert fst.start == graph.start
    assert sum(fst.num_arcs(s) for s in range(graph.n_states)) == graph.n_arcs


def test_the_stated_properties_are_those_that_openfst_computes():
    masks = [pynini.ACCEPTOR, pynini.I_DETERMINISTIC, pynini.EPSILONS, pynini.I_EPSILONS, pynini.O_EPSILONS]
    masks += [pynini.I_LABEL_SORTED, pynini.WEIGHTED, pynini.NO_EPSILONS, pynini.UNWEIGHTED, pynini.NON_I_DETERMINISTIC]
    acceptor = Graph.from_arrays(0, [0, 0], [1, 2], [1, 2], [0, 0], [1, 1], [np.inf, 0])
    for graph in [acceptor, *(random_graph(s, 6, n, 30) for s, n in enumerate((0, 1, 4, 12)))]:
        stated = pywrapfst.Fst.read_from_string(graph.to_bytes())
        computed = pynini.Fst.read_from_string(graph.to_bytes())
        for s in computed.states():  # touching a state makes OpenFst forget what the file said
            computed.set_final(s, computed.final(s))
        for mask in masks:
            assert stated.properties(mask, False) == computed.properties(mask, True), hex(int(mask))


def test_a_file_is_mapped_not_read(tmp_path):
    graph = random_graph(2)
    graph.write(tmp_path / "g.fst")
    read = Graph.read(tmp_path / "g.fst")
    for array in (read.states, read.arcs):
        base = array
        while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
            base = base.base
        assert isinstance(base, np.memmap) and array.flags.aligned and array.ctypes.data % 4 == 0


def test_unsorted_arcs_of_other_writers_are_sorted():
    fst = pynini.Fst()
    fst.add_states(2)
    fst.set_start(0)
    fst.set_final(1)
    for label in (5, 3, 0):
        fst.add_arc(0, pynini.Arc(label, label, 0, 1))
    graph = Graph.from_bytes(pywrapfst.convert(fst, "const").write_to_string())
    assert graph.arcs["ilabel"].tolist() == [0, 3, 5]


def test_symbol_tables_in_a_file_are_passed_over():
    table = pynini.SymbolTable("words")
    for name in ("<eps>", "äöü", "c"):
        table.add_symbol(name)
    fst = pynini.accep("[1][2]")
    fst.set_input_symbols(table)
    fst.set_output_symbols(table)
    assert Graph.from_bytes(pywrapfst.convert(fst, "const").write_to_string()).arcs["ilabel"].tolist() == [1, 2]


def test_an_empty_graph_goes_round():
    empty = pynini.Fst()
    graph = Graph.from_bytes(pywrapfst.convert(empty, "const").write_to_string())
    assert graph.start == -1 and graph.n_states == 0
    assert same(Graph.from_bytes(graph.to_bytes()), graph)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_truncated_file_is_refused_at_any_length(data):
    whole = random_graph(3, 5, 8).to_bytes()
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(GraphError, match=r"g\.fst"):
        Graph.from_bytes(whole[:length], where="g.fst")


def test_foreign_files_are_refused_with_what_they_are(tmp_path):
    fst = pynini.accep("abc")
    to_log = pynini.arcmap(fst, map_type="to_log")
    cases = [
        (b"RIFF1234WAVEfmt", "not an OpenFst file"),
        (fst.write_to_string(), "type 'vector'"),
        (pywrapfst.convert(to_log, "const").write_to_string(), "'log' arcs"),
        (b"", "truncated"),
    ]
    for content, message in cases:
        with pytest.raises(GraphError, match=message):
            Graph.from_bytes(content)
    (tmp_path / "empty.fst").write_bytes(b"")
    with pytest.raises(GraphError, match=r"empty\.fst: the file is empty"):
        Graph.read(tmp_path / "empty.fst")


def damaged(field, index, value):
    graph = random_graph(4)
    kind, name = field.split(".")
    good = getattr(graph, kind)
    bad = good.copy()
    bad[name][index] = value
    assert graph.to_bytes().count(good.tobytes()) == 1
    return graph.to_bytes().replace(good.tobytes(), bad.tobytes())


@pytest.mark.parametrize(
    "field, index, value, message",
    [
        ("arcs.next", 7, 30, "arc 7 goes to state 30; the graph has 30 states"),
        ("arcs.next", 7, -1, "arc 7 goes to state -1"),
        ("arcs.weight", 3, np.nan, "NaN"),
        ("arcs.olabel", 3, -1, "arc 3 has a negative label"),
        ("arcs.ilabel", 0, 99, "not"),
        ("states.first", 4, 0, "state 4"),
        ("states.n_arcs", 29, 2**31, "arcs; the graph has 200"),
        ("states.n_input_epsilons", 2, 77, "epsilons of state 2"),
    ],
)
def test_an_inconsistent_file_is_refused(field, index, value, message):
    with pytest.raises(GraphError, match=message):
        Graph.from_bytes(damaged(field, index, value))


def test_a_large_file_is_opened_without_being_read_through(tmp_path):
    """check=False is what files of 64 MiB and more get: the ends alone are looked at."""
    path = tmp_path / "g.fst"
    path.write_bytes(damaged("arcs.next", 7, 30))
    assert Graph.read(path, check=False).arcs["next"][7] == 30
    with pytest.raises(GraphError, match=r"g\.fst: arc 7 goes to state 30"):
        Graph.read(path)
    path.write_bytes(damaged("states.n_arcs", 29, 2**31))
    with pytest.raises(GraphError, match="the graph has 200"):
        Graph.read(path, check=False)


def test_sizes_that_do_not_fit_the_file_are_refused():
    whole = bytearray(random_graph(5).to_bytes())
    position = whole.index(b"standard") + 8 + 8 + 8  # after version, flags and properties: start, states, arcs
    for offset, value in ((0, 30), (8, -1), (8, 10**15), (16, 10**15)):
        changed = bytearray(whole)
        struct.pack_into("<q", changed, position + offset, value)
        with pytest.raises(GraphError):
            Graph.from_bytes(bytes(changed))


def test_from_arrays_refuses_states_that_do_not_exist():
    with pytest.raises(GraphError, match="leaves state"):
        Graph.from_arrays(0, [3], [1], [1], [0], [0], [0.0])
    with pytest.raises(GraphError, match="goes to state 9"):
        Graph.from_arrays(0, [0], [1], [1], [0], [9], [0.0])
    with pytest.raises(GraphError, match="start state is 4"):
        Graph.from_arrays(4, [0], [1], [1], [0], [0], [0.0])


def test_reading_a_graph_imports_no_pynini():
    code = (
        "import sys, asr.graph, asr.graph.const_fst; print(sorted({'pynini', 'pywrapfst', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
