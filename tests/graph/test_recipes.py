"""Determinisation and minimisation of the recipes' graphs, at both places where they are needed, beside Kaldi's."""

from pathlib import Path

import numpy as np
import pytest

from asr.graph.arpa import arpa_grammar
from asr.graph.budget import Budget
from asr.graph.composition import compose
from asr.graph.context import compose_context
from asr.graph.determinise import DELTA, determinise
from asr.graph.epsilons import remove_epsilons_locally
from asr.graph.grammar import checked_grammar, word_loop
from asr.graph.hclg import without_symbols
from asr.graph.hmm_fst import expand_hmms
from asr.graph.lexicon_fst import lexicon_graph
from asr.graph.minimise import GRAIN, minimise
from asr.graph.openfst import from_pynini, to_pynini
from asr.lang.lexicon import Lexicon
from asr.lm import count, estimate

pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")
kaldifst = pytest.importorskip("kaldifst", reason="kaldifst has no wheel here")

LANG = Path(__file__).parents[2] / "lang"


def digits():
    lexicon = Lexicon.load(LANG / "digits" / "lexicon.tsv")
    return lexicon, word_loop(lexicon)


def yesno():
    lexicon = Lexicon.load(LANG / "yesno" / "lexicon.tsv")
    return lexicon, word_loop(lexicon)


def spelled(n_words=120, n_sentences=400):
    """Words of a few syllables, spelled by their letters, and a trigram of random sentences."""
    rng = np.random.default_rng(0)
    syllables = [c + v for c in "bdgklmnpst" for v in "aeou"]
    words = sorted({"".join(rng.choice(syllables, rng.integers(1, 4))) for _ in range(n_words)})
    frequent = np.minimum((rng.pareto(0.8, (n_sentences, 6)) * 3).astype(int), len(words) - 1)
    model = estimate(count([" ".join(words[i] for i in row[: rng.integers(1, 7)]) for row in frequent], 3))
    lexicon = Lexicon(tuple((word, tuple(word)) for word in words), silence_prob=0.2)
    return lexicon, arpa_grammar(model, lexicon)


def by_kaldi(graph, folder, step):
    path = str(folder / "graph.fst")
    to_pynini(graph).write(path)
    fst = kaldifst.StdVectorFst.read(path)
    step(fst)
    fst.write(path)
    return from_pynini(pynini.Fst.read(path))


def best_paths(graph, n=300):
    """The cheapest paths: {(input labels, output labels): cost}, and the cost of the last of them."""
    found, last = {}, 0.0
    paths = pynini.shortestpath(to_pynini(graph), nshortest=n).paths()
    while not paths.done():
        labels = tuple(tuple(x for x in side() if x) for side in (paths.ilabels, paths.olabels))
        found[labels] = min(found.get(labels, np.inf), float(paths.weight()))
        last = max(last, float(paths.weight()))
        paths.next()
    return found, last


def check_best_paths(graph, other, tolerance):
    (a, last), (b, other_last) = best_paths(graph), best_paths(other)
    bound = min(last, other_last) - 2 * tolerance  # of those that cost more, the one may list others
    a, b = ({path: cost for path, cost in side.items() if cost < bound} for side in (a, b))
    assert a.keys() == b.keys() and len(a) > 5
    assert all(abs(a[path] - b[path]) < tolerance for path in a)


@pytest.mark.parametrize("make", [digits, yesno, spelled])
@pytest.mark.parametrize("width, central", [(1, 0), (3, 1)])
def test_graphs_of_recipes_are_as_kaldis(toys, tmp_path, make, width, central):
    lexicon, grammar = make()
    tree, transitions = toys.acoustic_units(lexicon, width, central)
    spoken = compose(lexicon_graph(lexicon), checked_grammar(grammar, lexicon), budget=Budget())
    check_steps(spoken, tmp_path)
    small = minimise(determinise(spoken))
    context = compose_context(small, lexicon.n_phones, width=width, central=central)
    hmms = expand_hmms(context, tree, transitions)
    check_steps(hmms, tmp_path, transitions.n_transition_ids)


def check_steps(graph, folder, n_labels=None):
    theirs = by_kaldi(graph, folder, lambda fst: kaldifst.determinize_star(fst, delta=DELTA, use_log=True))
    ours = determinise(graph)
    assert (ours.n_states, ours.n_arcs) == (theirs.n_states, theirs.n_arcs)
    check_best_paths(ours, graph, 1e-3)
    check_best_paths(ours, theirs, 1e-3)
    if n_labels is not None:
        ours = remove_epsilons_locally(without_symbols(ours, n_labels))
    theirs = by_kaldi(ours, folder, lambda fst: kaldifst.minimize_encoded(fst, delta=GRAIN))
    smallest = minimise(ours)
    assert (smallest.n_states, smallest.n_arcs) == (theirs.n_states, theirs.n_arcs)
    check_best_paths(smallest, ours, 5e-3)
