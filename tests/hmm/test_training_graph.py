from itertools import product

import numpy as np
import pytest

from asr.errors import GraphError
from asr.hmm.training_graph import START, phone_graph, training_graphs
from asr.hmm.transitions import TransitionModel
from asr.lang.lexicon import Lexicon


def paths(graph):
    """Every (phones, log probability) of a phone graph."""
    waiting, found = [((), START, 0.0)], []
    while waiting:
        phones, vertex, total = waiting.pop()
        if vertex == len(graph.phones):
            found.append((phones, total))
            continue
        for following, log_prob in graph.successors[vertex]:
            more = (graph.phones[following],) if following < len(graph.phones) else ()
            waiting.append((phones + more, following, total + log_prob))
    return found


def expected_paths(words, silence_prob):
    """The same from the definition: a choice of silence at each boundary, a choice of pronunciation for each word."""
    found = []
    for silences in product([False, True] if silence_prob else [False], repeat=len(words) + 1):
        log_prob = sum(np.log(silence_prob) if s else np.log(1 - silence_prob) for s in silences)
        for variants in product(*words):
            phones, total = (1,) * silences[0], log_prob
            for (variant, of_variant), silent in zip(variants, silences[1:], strict=True):
                phones += (*variant, *((1,) * silent))
                total += of_variant
            if phones:
                found.append((phones, total))
    return found


@pytest.mark.parametrize("silence_prob", [0.0, 0.2, 0.5])
@pytest.mark.parametrize(
    "words",
    [
        [[((2,), 0.0)]],
        [[((2, 3), 0.0), ((2, 4), 0.0)], [((5,), 0.0)]],
        [[((2,), -1.5), ((3, 3), -0.5), ((4,), 0.0)], [((2,), -0.25), ((6,), -2.0)], [((1,), -0.125)]],
    ],
)
def test_phone_graph_holds_every_choice_and_its_probability(words, silence_prob):
    found = sorted(paths(phone_graph(words, silence_phone=1, silence_prob=silence_prob)))
    expected = sorted(expected_paths(words, silence_prob))
    assert [p for p, _ in found] == [p for p, _ in expected]
    np.testing.assert_allclose([x for _, x in found], [x for _, x in expected], atol=1e-12)


class Triphones:
    """Every window of `width` phones has its own pdf ids."""

    def __init__(self, topology, width, position):
        self.context_width, self.central_position = width, position
        phones = topology.phones
        self.windows = [
            w for w in product([0, *phones], repeat=width) if w[position]
        ]  # more than occur; enough to number them
        self.first, self.n_pdfs = {}, 0
        for window in self.windows:
            self.first[window] = self.n_pdfs
            self.n_pdfs += topology.n_pdf_classes(window[position])

    def pdf(self, window, pdf_class):
        return self.first[tuple(window)] + pdf_class

    def pdfs_of_state(self, phone, pdf_class):
        return sorted(self.pdf(w, pdf_class) for w in self.windows if w[self.central_position] == phone)


def pdf_paths(graphs, graph, log_prob_of_arc, log_prob_of_final):
    """Every (entry pdfs, log probability) from the start to the end of a packed graph that visits no node twice."""
    first, last = graphs.node_offsets[graph : graph + 2]
    leaving = {}
    for node in range(first, last):
        for arc in range(graphs.arc_offsets[node], graphs.arc_offsets[node + 1]):
            leaving.setdefault(int(graphs.arc_source[arc]), []).append((node - first, log_prob_of_arc[arc]))
    waiting, found = [((), (0,), 0.0)], []
    while waiting:
        pdfs, nodes, total = waiting.pop()
        if graphs.final_id[first + nodes[-1]]:
            found.append((pdfs, total + log_prob_of_final[first + nodes[-1]]))
        for node, log_prob in leaving.get(nodes[-1], []):
            if node not in nodes:
                waiting.append(((*pdfs, int(graphs.entry_pdf[first + node])), (*nodes, node), total + log_prob))
    return found


@pytest.mark.parametrize(("width", "position"), [(1, 0), (2, 1), (2, 0), (3, 1)])
def test_context_of_any_width_equals_windows_over_each_phone_sequence(small, width, position):
    tree = Triphones(small.topology, width, position)
    transitions = TransitionModel.from_tree(small.topology, tree)
    graphs = training_graphs({"u": [1, 2]}, small.lexicon, tree, transitions)
    expected = []
    for phones, log_prob in expected_paths([[((2, 3), 0.0), ((2, 4), 0.0)], [((5,), 0.0)]], small.lexicon.silence_prob):
        padded = (0,) * position + phones + (0,) * (width - 1 - position)
        # Silence is crossed by 0, then inner states in some order without repetition, then 4; speech by 0, 1, 2.
        inner = [
            (0, *order, 4) for order in ((1,), (2,), (3,), *product((1, 2, 3), repeat=2), *product((1, 2, 3), repeat=3))
        ]
        inner = [order for order in inner if len(set(order)) == len(order)]
        ways = [inner if phone == 1 else [(0, 1, 2)] for phone in phones]
        for choice in product(*ways):
            pdfs = [tree.pdf(padded[i : i + width], c) for i, states in enumerate(choice) for c in states]
            expected.append((tuple(pdfs), log_prob))
    found = sorted(pdf_paths(graphs, 0, graphs.arc_log_prob, graphs.final_log_prob))
    expected.sort()
    assert [p for p, _ in found] == [p for p, _ in expected]
    np.testing.assert_allclose([x for _, x in found], [x for _, x in expected], atol=1e-12)
    assert graphs.min_frames[0] == min(len(p) for p, _ in expected)
    np.testing.assert_array_equal(graphs.pdfs(0), sorted({x for pdfs, _ in expected for x in pdfs}))


def test_equal_transcripts_share_a_graph(small):
    graphs = training_graphs({"a": [1, 2], "b": [3], "c": np.array([1, 2])}, small.lexicon, small.tree, small.untrained)
    assert graphs.graph_of == {"a": 0, "b": 1, "c": 0} and graphs.n_graphs == 2
    alone = training_graphs({"b": [3]}, small.lexicon, small.tree, small.untrained)
    nodes, arcs = slice(*graphs.node_offsets[1:3]), slice(*graphs.arc_offsets[graphs.node_offsets[1:3]])
    np.testing.assert_array_equal(graphs.entry_pdf[nodes], alone.entry_pdf)
    np.testing.assert_array_equal(graphs.arc_source[arcs], alone.arc_source)
    np.testing.assert_array_equal(graphs.arc_id[arcs], alone.arc_id)
    np.testing.assert_array_equal(graphs.min_frames, [9, 9])


def test_scores_follow_the_transition_model(small):
    graphs = training_graphs({"a": [2]}, small.lexicon, small.tree, small.untrained)
    before, after = graphs.scores(small.untrained), graphs.scores(small.transitions)
    changed = small.transitions.scaled_log_probs() != small.untrained.scaled_log_probs()
    np.testing.assert_array_equal(before.arc != after.arc, changed[graphs.arc_id])
    assert changed[graphs.arc_id].any()


def test_empty_transcript_is_silence(small):
    graphs = training_graphs({"a": []}, small.lexicon, small.tree, small.untrained)
    np.testing.assert_array_equal(graphs.pdfs(0), np.arange(5))
    assert graphs.min_frames[0] == 3
    lexicon = Lexicon([("w", ("a",))], silence_prob=0.0)
    with pytest.raises(GraphError, match="'b': an empty transcript needs a silence probability"):
        training_graphs({"b": []}, lexicon, small.tree, small.untrained)
    with pytest.raises(GraphError, match="no transcripts"):
        training_graphs({}, lexicon, small.tree, small.untrained)
