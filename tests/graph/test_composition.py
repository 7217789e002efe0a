"""L o G in numpy against OpenFst's compose, and the budget of states at every step to HCLG."""

import numpy as np
import pytest

from asr.errors import GraphError
from asr.graph import compile_hclg, word_loop
from asr.graph.budget import BYTES_PER_STATE, Budget, free_memory
from asr.graph.composition import compose
from asr.graph.const_fst import Graph
from asr.graph.grammar import checked_grammar
from asr.graph.lexicon_fst import lexicon_graph
from asr.graph.openfst import from_pynini, to_pynini
from asr.lang.lexicon import Lexicon

pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")


def random_grammar(lexicon, seed, n_states=5):
    """Words and back-offs between any states, some twice with other ends; dead ends too."""
    rng, back = np.random.default_rng(seed), lexicon.words["#0"]
    n_arcs = 4 * n_states
    label = rng.integers(1, back + 1, n_arcs)
    output = np.where(label == back, 0, label)
    final = np.where(rng.random(n_states) < 0.5, rng.random(n_states), np.inf)
    final[-1] = 0.0
    ends = rng.integers(0, n_states, (2, n_arcs))
    return Graph.from_arrays(0, ends[0], label, output, rng.random(n_arcs), ends[1], final)


@pytest.mark.parametrize("silence_prob", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(8))
def test_composition_is_openfsts(toys, seed, silence_prob):
    lexicon = toys.random_lexicon(np.random.default_rng(seed), n_entries=6, silence_prob=silence_prob)
    words = lexicon_graph(lexicon)
    loop = word_loop(lexicon)
    for grammar in (checked_grammar(loop, lexicon), random_grammar(lexicon, seed)):
        theirs = from_pynini(pynini.compose(to_pynini(words).arcsort("olabel"), to_pynini(grammar)))
        ours = compose(words, grammar, budget=Budget(1000))
        assert (ours.n_states, ours.n_arcs) == (theirs.n_states, theirs.n_arcs)
        assert pynini.isomorphic(to_pynini(ours), to_pynini(theirs), delta=1e-5)


def test_a_grammar_of_no_said_word_is_refused(toys):
    lexicon = Lexicon((("a", ("A",)), ("b", ("B",))))
    grammar = Graph.from_arrays(0, [0], [99], [99], [0.0], [1], [np.inf, 0.0])
    with pytest.raises(GraphError, match="L o G is empty"):
        compose(lexicon_graph(lexicon), grammar, budget=Budget(1000))


def test_every_step_has_the_budget(toys):
    """One state less than a step makes stops it, in its name, unless an earlier step makes as many."""
    lexicon = toys.random_lexicon(np.random.default_rng(3), n_entries=12)
    tree, transitions = toys.acoustic_units(lexicon, 3, 1)
    steps = []
    whole = compile_hclg(lexicon, word_loop(lexicon), tree, transitions, progress=steps.append)
    assert steps[-1][1:3] == (whole.n_states, whole.n_arcs) and len(steps) == 11
    most = max(s.n_states for s in steps)
    assert compile_hclg(lexicon, word_loop(lexicon), tree, transitions, max_states=most).n_states == whole.n_states
    stopped = []
    for i, step in enumerate(steps):
        if step.n_states > max((s.n_states for s in steps[:i]), default=1):
            with pytest.raises(GraphError, match=f"budget is {step.n_states - 1:,} states.*asr lm prune") as error:
                compile_hclg(lexicon, word_loop(lexicon), tree, transitions, max_states=step.n_states - 1)
            stopped.append(str(error.value).partition(":")[0])
            assert stopped[-1] == step.name
    assert {"L", "C o LG", "H o CLG"} <= set(stopped)
    with pytest.raises(GraphError, match="max_states=0; need 1 or more"):
        compile_hclg(lexicon, word_loop(lexicon), tree, transitions, max_states=0)


def test_a_composition_is_stopped_on_its_way(toys):
    """Far before its end: of more than 100,000 states not many more than the budget's 1,000 are made."""
    lexicon = toys.random_lexicon(np.random.default_rng(0), n_entries=30)
    n = 1000
    source, label = np.repeat(np.arange(n), 30), np.tile(np.arange(30) % lexicon.n_words + 1, n)
    grammar = Graph.from_arrays(0, source, label, label, 0 * label, np.minimum(source + 1, n - 1), np.zeros(n))
    with pytest.raises(GraphError, match=r"L o G: ([\d,]+) states, and more to come") as error:
        compose(lexicon_graph(lexicon), grammar, budget=Budget(1000))
    assert int(str(error.value).split()[3].replace(",", "")) < 1500


def test_arcs_are_limited_too():
    with pytest.raises(GraphError, match="X: 81 arcs, and at most 80 are allowed"):
        Budget(10).check("X", 10, 81)
    Budget(10).check("X", 10, 80)
    assert Budget().max_states == pytest.approx(free_memory() / BYTES_PER_STATE, rel=0.3) and free_memory() > 1 << 28
