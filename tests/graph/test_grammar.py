"""Grammars that we make and grammars that users bring."""

import math

import pytest

from asr.errors import GraphError, LexiconError
from asr.graph.grammar import checked_grammar, sequence, word_loop
from asr.lang.lexicon import Lexicon

pynini = pytest.importorskip("pynini", reason="pynini has no wheel here")

LEXICON = Lexicon((("ja", ("J", "A")), ("nein", ("N", "AY", "N")), ("oh", ("O",))))


def test_a_word_loop_costs_the_same_for_each_word_and_the_end(toys):
    graph = checked_grammar(word_loop(LEXICON), LEXICON)
    for words in ((), (1,), (2, 2, 3)):
        found = toys.costs_of_outputs(graph, words)
        assert found == {words: pytest.approx((len(words) + 1) * math.log(4), abs=1e-5)}


def test_a_word_loop_over_some_words(toys):
    graph = checked_grammar(word_loop(LEXICON, ["oh", "ja", "oh"]), LEXICON)
    ja, nein, oh = (LEXICON.words[w] for w in ("ja", "nein", "oh"))
    assert toys.costs_of_outputs(graph, [oh, ja])[oh, ja] == pytest.approx(3 * math.log(3), abs=1e-5)
    assert toys.costs_of_outputs(graph, [nein]) == {}
    with pytest.raises(LexiconError, match=r"'neinn'.*'nein'"):
        word_loop(LEXICON, ["neinn"])
    with pytest.raises(GraphError, match="one word or more"):
        word_loop(LEXICON, [])


def test_a_sequence_is_one_sentence_free_of_cost(toys):
    by_name = checked_grammar(sequence(LEXICON, ["ja", "nein"]), LEXICON)
    by_id = checked_grammar(sequence(LEXICON, [LEXICON.words["ja"], LEXICON.words["nein"]]), LEXICON)
    words = tuple(LEXICON.encode("ja nein"))
    for graph in (by_name, by_id):
        assert toys.costs_of_outputs(graph, words) == {words: 0.0}
        assert graph.n_states == 3 and toys.costs_of_outputs(graph, words[:1]) == {}
    assert checked_grammar(sequence(LEXICON, []), LEXICON).states["final"].tolist() == [0.0]


def test_unlabelled_arcs_of_a_users_grammar_are_removed(toys):
    ja, nein, oh = (pynini.accep(f"[{LEXICON.words[w]}]") for w in ("ja", "nein", "oh"))
    grammar = (pynini.union(ja, nein) + oh.ques).closure(1)
    graph = checked_grammar(grammar, LEXICON)
    assert not graph.states["n_input_epsilons"].any()
    words = tuple(LEXICON.encode("ja nein oh ja"))
    assert toys.costs_of_outputs(graph, words) == {words: 0.0}
    assert toys.costs_of_outputs(graph, LEXICON.encode("oh ja")) == {}


def fst_of(arcs, n_states=2):
    fst = pynini.Fst()
    fst.add_states(n_states)
    fst.set_start(0)
    fst.set_final(n_states - 1)
    for s, i, o, n in arcs:
        fst.add_arc(s, pynini.Arc(i, o, 0, n))
    return fst


def test_back_off_arcs_may_say_0_on_both_sides_or_one():
    back = LEXICON.words["#0"]
    for output in (0, back):
        graph = checked_grammar(fst_of([(0, back, output, 1), (0, 1, 1, 1)]), LEXICON)
        assert sorted(zip(graph.arcs["ilabel"].tolist(), graph.arcs["olabel"].tolist(), strict=True)) == [
            (1, 1),
            (back, 0),
        ]


@pytest.mark.parametrize(
    "arcs, message",
    [
        ([(0, 1, 2, 1)], "different words as input and output"),
        ([(0, 99, 99, 1)], "'id 99' is not a word"),
        (
            [(0, LEXICON.words["<s>"], LEXICON.words["<s>"], 1)],
            "'<s>' is not a word of the lexicon .3 words.*boundaries",
        ),
        ([(0, 1, 1, 0)], "accepts no sentence"),
        ([], "accepts no sentence"),
        ([(0, LEXICON.words["#0"], 1, 1)], "different words"),
    ],
)
def test_a_grammar_that_cannot_be_used_is_refused(arcs, message):
    with pytest.raises(GraphError, match=message):
        checked_grammar(fst_of(arcs), LEXICON)


def test_a_grammar_of_another_semiring_is_refused():
    with pytest.raises(GraphError, match=r"'log'.*'standard'"):
        checked_grammar(pynini.arcmap(word_loop(LEXICON), map_type="to_log"), LEXICON)


def test_back_off_without_label_that_would_multiply_the_arcs_is_refused():
    n = 300
    lexicon = Lexicon(tuple((f"w{i:03d}", ("A",) * (i + 1)) for i in range(n)))
    arcs = [(0, w, w, w) for w in range(1, n)] + [(w, 0, 0, 0) for w in range(1, n)]
    with pytest.raises(GraphError, match="label back-off arcs with #0"):
        checked_grammar(fst_of(arcs, n), lexicon)
