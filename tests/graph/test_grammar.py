"""Grammars that we make and grammars that users bring."""

import itertools
import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest

from asr.errors import GraphError, LexiconError
from asr.graph import arpa_grammar, compile_hclg
from asr.graph.const_fst import Graph
from asr.graph.grammar import checked_grammar, finished_words, sequence, word_loop
from asr.graph.openfst import to_pynini
from asr.lang.lexicon import Lexicon
from asr.lm import NgramModel, prune, read_arpa, train

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
        checked_grammar(pynini.arcmap(to_pynini(word_loop(LEXICON)), map_type="to_log"), LEXICON)


def test_back_off_without_label_that_would_multiply_the_arcs_is_refused():
    n = 300
    lexicon = Lexicon(tuple((f"w{i:03d}", ("A",) * (i + 1)) for i in range(n)))
    arcs = [(0, w, w, w) for w in range(1, n)] + [(w, 0, 0, 0) for w in range(1, n)]
    with pytest.raises(GraphError, match="label back-off arcs with #0"):
        checked_grammar(fst_of(arcs, n), lexicon)


REFERENCES = Path(__file__).parents[1] / "lm"


def spelled(words):
    """A lexicon in which each word is said as its letters."""
    return Lexicon(tuple((word, tuple(word)) for word in words))


def random_model(seed, order, threshold=None):
    rng = np.random.default_rng(seed)
    model = train([rng.choice([*"aaabbcd"], rng.integers(0, 7)).tolist() for _ in range(40)], order)
    return prune(model, threshold) if threshold else model


def table_of(model):
    """A model as {n-gram: (log probability, back-off)}."""
    names, table = model.vocabulary.names, {}
    for order in range(1, model.order + 1):
        here = model.trie.nodes(order)
        values = zip(model.log_probs[here].tolist(), model.back_offs[here].tolist(), strict=True)
        grams = model.trie.words_of(order).tolist()
        table.update({tuple(names[i] for i in g): v for g, v in zip(grams, values, strict=True)})
    return table


def cheapest(table, order, history, words):
    """The lowest cost of words after a history where one may back off at any time; straight from the definition."""
    ways = [math.inf]
    if words and (*history, words[0]) in table:
        onward = (*history, words[0])
        while len(onward) >= order or (onward and onward not in table):
            onward = onward[1:]
        rest = cheapest(table, order, onward, words[1:]) if words[0] != "</s>" else 0.0
        ways.append(rest - table[(*history, words[0])][0])
    if history:
        ways.append(cheapest(table, order, history[1:], words) - table.get(history, (0.0, 0.0))[1])
    return min(ways)


def cost_without_needless_back_off(graph, labels, back):
    """The cost of the one path that takes a back-off arc only where no arc has the word."""
    sources, arcs = graph.sources(), graph.arcs
    state, cost = graph.start, 0.0
    for label in [*labels, None]:
        while True:
            leaving = {a["ilabel"]: a for a in arcs[sources == state]}
            if label is None and graph.states["final"][state] < np.inf:
                return cost + float(graph.states["final"][state])
            arc = leaving[label if label in leaving else back]
            state, cost = int(arc["next"]), cost + float(arc["weight"])
            if arc["ilabel"] != back:
                break
    raise AssertionError


@pytest.mark.parametrize("order, threshold", [(1, None), (2, None), (3, None), (4, None), (3, 3e-3), (4, 1e-2)])
def test_scores_in_the_grammar_equal_direct_scores(toys, order, threshold):
    model, lexicon = random_model(order, order, threshold), spelled("abcd")
    graph = checked_grammar(arpa_grammar(model, lexicon), lexicon)
    table, back = table_of(model), lexicon.words["#0"]
    free = Graph.from_arrays(  # for the search over all paths back-off arcs are free to take
        graph.start,
        graph.sources(),
        np.where(graph.arcs["ilabel"] == back, 0, graph.arcs["ilabel"]),
        *(graph.arcs[name] for name in ("olabel", "weight", "next")),
        graph.states["final"],
    )
    rng = np.random.default_rng(order)
    n_cheaper = 0
    for _ in range(60):
        words = rng.choice([*"abcd"], rng.integers(0, 7)).tolist()
        labels = [lexicon.words[w] for w in words]
        direct = -model.score(words)
        assert cost_without_needless_back_off(graph, labels, back) == pytest.approx(direct, abs=1e-4)
        found = toys.costs_of_outputs(free, labels)[tuple(labels)]
        start = ("<s>",) if order > 1 else ()
        assert found == pytest.approx(cheapest(table, order, start, (*words, "</s>")), abs=1e-4)
        assert found <= direct + 1e-4
        n_cheaper += found < direct - 1e-3
    assert order > 2 or n_cheaper == 0  # see the next test


def test_backing_off_without_need_never_pays_for_interpolated_bigrams():
    """An interpolated bigram is never below its back-off, and both lead to the same state: the graph is exact."""
    model = random_model(3, 2)
    table, rng = table_of(model), np.random.default_rng(0)
    for _ in range(100):
        words = rng.choice([*"abcd"], rng.integers(0, 8)).tolist()
        assert cheapest(table, 2, ("<s>",), (*words, "</s>")) == pytest.approx(-model.score(words))


def recorded_grammar(record, lexicon):
    """Kaldi's G without the states that only back off, which Kaldi removes, too, but kaldilm leaves."""
    rows = [[float(x) for x in line.split("\t")] for line in record["grammar"] if line]
    arcs = [(int(r[0]), int(r[2]), int(r[3]), r[4] if len(r) > 4 else 0.0, int(r[1])) for r in rows if len(r) > 3]
    final = {int(r[0]): r[1] if len(r) > 1 else 0.0 for r in rows if len(r) < 3}
    start, back = int(rows[0][0]), lexicon.words["#0"]
    leaving = {}
    for arc in arcs:
        leaving.setdefault(arc[0], []).append(arc)
    alone = {s: a[0] for s, a in leaving.items() if len(a) == 1 and a[0][1] == back and s not in final and s != start}
    merged = []
    for source, ilabel, olabel, weight, target in arcs:
        while target in alone:
            weight, target = weight + alone[target][3], alone[target][4]
        merged.append((source, ilabel, olabel, weight, target))
    n_states = 1 + max(max(a[0], a[4]) for a in arcs)
    costs = [final.get(s, np.inf) for s in range(n_states)]
    return to_pynini(Graph.from_arrays(start, *zip(*merged, strict=True), costs)).connect()


def test_the_grammar_is_the_one_that_kaldi_makes(caplog):
    """arpa2fst of the same model, with a seventh of the words missing in the lexicon."""
    record = json.loads((REFERENCES / "references.json").read_text())
    lexicon = Lexicon(tuple((word, ("A",)) for word in record["lexicon"]))
    model = train((REFERENCES / "commands.txt").read_text().splitlines(), 3)
    with caplog.at_level(logging.WARNING):
        ours = to_pynini(arpa_grammar(model, lexicon)).arcsort("ilabel")
    assert "11 of 76 words of the language model have no pronunciation and were dropped, with 189 of 727 n-grams" in (
        caplog.text
    )
    theirs = recorded_grammar(record, lexicon).arcsort("ilabel")
    assert ours.num_states() == theirs.num_states() > 100
    assert pynini.isomorphic(ours, theirs, delta=1e-3)


def test_hclg_with_a_language_model_costs_what_the_model_says(toys):
    lexicon = Lexicon((("a", ("T",)), ("b", ("T", "UW")), ("c", ("UW",)), ("d", ("T", "UW"))), silence_prob=0.3)
    model = random_model(4, 3)
    table = table_of(model)
    tree, transitions = toys.acoustic_units(lexicon, 3, 1)
    graph = compile_hclg(lexicon, arpa_grammar(model, lexicon), tree, transitions)
    rng = np.random.default_rng(0)

    def word_cost(words):
        return cheapest(table, 3, ("<s>",), (*(lexicon.words.name(w) for w in words), "</s>"))

    for _ in range(12):
        entries = [lexicon.entries[i] for i in rng.integers(0, 4, rng.integers(0, 4))]
        phones = [phone for entry in entries for phone in lexicon.phone_ids(entry)]
        ids = toys.random_alignment(transitions, tree, phones, rng)
        acoustic = toys.hmm_cost(transitions, tree, phones, ids)
        expected = toys.spoken_costs(lexicon, phones, word_cost, max_words=len(phones))
        found = toys.costs_of_outputs(graph, ids)
        assert found.keys() == expected.keys()
        assert all(found[w] == pytest.approx(expected[w] + acoustic, abs=5e-3) for w in expected)


def test_unknown_words_are_those_of_the_lexicon(toys):
    entries = (("a", ("A",)), ("<unk>", ("SPN",)))
    model = train(["a b", "a", "c a"], 2, words=None)
    counted = train([["a", "<unk>"], ["a"], ["<unk>", "a"]], 2)
    assert "<unk>" in counted.vocabulary and not math.isinf(counted.score("b"))
    lexicon = Lexicon(entries, oov="unk")
    graph = checked_grammar(arpa_grammar(counted, lexicon), lexicon)
    back = lexicon.words["#0"]
    assert cost_without_needless_back_off(graph, lexicon.encode("a b"), back) == pytest.approx(
        -counted.score(["a", "<unk>"]), abs=1e-5
    )
    without = Lexicon(entries[:1])
    assert lexicon.words["<unk>"] in arpa_grammar(model, lexicon).arcs["ilabel"]
    assert set(arpa_grammar(model, without).arcs["ilabel"].tolist()) == {1, without.words["#0"]}


def test_models_that_make_no_grammar_are_refused(tmp_path):
    model = train(["a b"], 2)
    with pytest.raises(GraphError, match=r"no word in common; the model has 2 words such as 'a', 'b'.*'nein'|'ja'"):
        arpa_grammar(model, LEXICON)
    path = tmp_path / "lm.arpa"
    path.write_text("\\data\\\nngram 1=2\n\\1-grams:\n-0.3 ja\n-99 </s>\n\\end\\\n")
    with pytest.raises(GraphError, match="no sentence can end"):
        arpa_grammar(read_arpa(path), LEXICON)


def test_what_is_impossible_has_no_arc():
    model = train(["a b", "b"], 2)
    log_probs = np.where(model.trie.word == model.vocabulary.id("a"), -np.inf, model.log_probs)
    impossible = NgramModel(model.vocabulary, model.trie, log_probs, model.back_offs)
    lexicon = spelled("ab")
    arcs = arpa_grammar(impossible, lexicon).arcs
    assert lexicon.words["a"] not in arcs["ilabel"] and np.isfinite(arcs["weight"]).all()


def test_words_that_are_begun_are_finished():
    """Of all sequences of four or fewer, those remain in which a part that goes on is followed by one that may end."""
    parts = Lexicon((("ja", ("J", "A")), ("ne+", ("N",)), ("+ne", ("N",)), ("+oh", ("O",))))
    names = [entry.word for entry in parts.entries]
    ids = [parts.words[name] for name in names]
    # Back-off arcs read #0, which a sentence may have anywhere.
    anywhere = to_pynini(Graph.from_arrays(0, [0] * 5, [*ids, 0], [*ids, parts.words["#0"]], [0.0] * 5, [0] * 5, [0.0]))

    def said(grammar) -> set[tuple[str, ...]]:
        spoken = [words for n in range(5) for words in itertools.product(names, repeat=n)]
        fst = to_pynini(grammar)
        inputs = {w: pynini.compose(to_pynini(sequence(parts, w)), anywhere) for w in spoken}
        return {w for w in spoken if pynini.compose(inputs[w], fst).num_states()}

    def complete(words) -> bool:
        goes_on = [False, *(word.endswith("+") for word in words)]
        joins = [word.startswith("+") or word.endswith("+") for word in words]
        return not any(a and not b for a, b in zip(goes_on, [*joins, False], strict=True))

    grammar = arpa_grammar(train(["ja ne+ +oh ja", "ne+ ne+ +ne", "+oh ja"], 2, words=names), parts)
    whole = said(grammar)
    assert any(not complete(words) for words in whole)
    assert said(finished_words(grammar, parts, "+")) == {words for words in whole if complete(words)}
    with pytest.raises(GraphError, match="no sentence ends with a finished word"):
        finished_words(sequence(parts, ["ja", "ne+"]), parts, "+")
