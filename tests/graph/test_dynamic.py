"""Words and grammar composed while decoding, against the static graph of both, and against scoring with the model."""

import itertools

import numpy as np
import pytest

from asr.decoding import SearchOptions, ViterbiDecoder
from asr.decoding.dynamic import DynamicDecoder
from asr.errors import GraphError
from asr.graph import arpa_grammar, compile_hclg, word_loop
from asr.graph.const_fst import Graph
from asr.graph.dynamic import DynamicGraph, compile_token_words, compile_words, numbered_grammar
from asr.graph.grammar import checked_grammar
from asr.graph.phrases import NO_PHRASES, Phrases
from asr.graph.reach import Reach, word_labels
from asr.graph.trimming import trimmed
from asr.lang.lexicon import Lexicon
from asr.lm.model import NgramModel
from asr.lm.states import StateTable
from asr.lm.trie import Trie
from asr.lm.vocabulary import END_ID, START_ID, Vocabulary

N_CASES = 200
CONTEXTS = [(1, 0), (3, 1), (2, 1)]


def random_lm(rng, words, order, scale=0.5):
    """An n-gram model of random costs, which needs not be a good one: some weights of back-off are above 1."""
    vocabulary = Vocabulary.of(words)
    grams = []
    for k in range(2, order + 1):
        n = int(rng.integers(2, 12))
        gram = rng.integers(3, len(vocabulary), (n, k))
        gram[rng.random(n) < 0.3, 0] = START_ID
        gram[rng.random(n) < 0.2, -1] = END_ID
        grams.append(gram)
    trie, _ = Trie.build(len(vocabulary), grams)
    log_probs = scale * np.log(rng.dirichlet(np.ones(trie.n_nodes)))
    log_probs[:3] = -np.inf  # of nothing, unknown words and <s>
    back_offs = np.where(trie.has_children, 0.3 - rng.exponential(1.0, trie.n_nodes), 0.0)
    return NgramModel(vocabulary, trie, log_probs, back_offs)


class Case:
    """A random lexicon with homophones and shared beginnings, units, and an n-gram model."""

    def __init__(self, toys, seed, n_entries=None, scale=0.5):
        self.rng = rng = np.random.default_rng(seed)
        silence, few = float(rng.choice([0, 0.3])), int(rng.integers(3, 9))
        kinds = {"probabilities": bool(seed % 2), "silence_prob": silence}
        self.lexicon = toys.random_lexicon(rng, n_phones=3, n_entries=n_entries or few, **kinds)
        self.tree, self.transitions = toys.acoustic_units(self.lexicon, *CONTEXTS[seed % 3], seed)
        self.words = list(self.lexicon.words)[1 : self.lexicon.n_words + 1]
        self.lm = random_lm(rng, self.words, 1 + seed % 4, scale)
        self.columns = self.transitions.pdf_of_id
        self.n_columns = int(self.columns.max()) + 1

    def options(self, **changes):
        wide = {"beam": 1e6, "max_active": 10**6, "acoustic_scale": 1.0}
        return SearchOptions(**{**wide, **changes})

    def static(self, grammar, options):
        graph = compile_hclg(self.lexicon, grammar, self.tree, self.transitions)
        return ViterbiDecoder(graph, self.columns, options, n_columns=self.n_columns)

    def dynamic_graph(self, grammar, **more):
        words = compile_words(self.lexicon, self.tree, self.transitions)
        checked = checked_grammar(grammar, self.lexicon)
        return DynamicGraph(words, numbered_grammar(checked, words.labels, self.lexicon.words["#0"]), **more)

    def dynamic(self, graph, options, **more):
        return DynamicDecoder(graph, self.columns, options, n_columns=self.n_columns, **more)

    def loglikes(self, n_frames):
        return self.rng.normal(0, 1.5, (n_frames, self.n_columns)).astype(np.float32)


def exact_grammar(lm, lexicon):
    """The model without back-off: an arc for each word after each history, at what the model says of it."""
    table = StateTable.of(lm)
    states = np.unique(table.state_of)
    number = {int(s): i for i, s in enumerate(states)}
    words = [(lm.vocabulary.id(name), lexicon.words[name]) for name in lm.vocabulary.names[3:]]
    arcs = []
    final = np.full(len(states), np.inf)
    for s in states:
        here = np.array([s])
        final[number[int(s)]] = -lm.step(here, np.array([END_ID]))[0][0]
        for word, label in words:
            cost, node = lm.step(here, np.array([word]))
            if np.isfinite(cost[0]):
                arcs.append((number[int(s)], label, label, -cost[0], number[int(table.state_of[node[0]])]))
    return trimmed(Graph.from_arrays(number[table.start], *zip(*arcs, strict=True), final))


def same(found, expected, tolerance=1e-3):
    assert found.words.tolist() == expected.words.tolist()
    assert found.reached_final == expected.reached_final
    assert found.score == pytest.approx(expected.score, abs=tolerance)
    assert found.graph_score == pytest.approx(expected.graph_score, abs=2 * tolerance)
    return True


def test_equals_the_static_graph_where_nothing_is_pruned(toys):
    n_words = compared = 0
    for seed in range(N_CASES):
        case = Case(toys, seed)
        grammar, options = arpa_grammar(case.lm, case.lexicon), case.options(insertion_penalty=seed % 5 / 2 - 1.0)
        static, graph = case.static(grammar, options), case.dynamic_graph(grammar)
        dynamic = case.dynamic(graph, options, looks_ahead=seed % 4 != 3)
        for n_frames in (6, 20):
            loglikes = case.loglikes(n_frames)
            expected = static.decode(loglikes)
            if expected.reached_final:
                compared += same(dynamic.decode(loglikes), expected)
                n_words += len(expected.words)
    assert compared > 1.9 * N_CASES
    assert n_words > compared


def test_exact_back_off_scores_as_the_model_does(toys):
    differs = 0
    for seed in range(30):
        case = Case(toys, seed)
        exact, options = exact_grammar(case.lm, case.lexicon), case.options()
        static = case.static(exact, options)
        grammar = arpa_grammar(case.lm, case.lexicon)
        dynamic = case.dynamic(case.dynamic_graph(grammar, exact=True), options)
        cheapest = case.dynamic(case.dynamic_graph(grammar), options)
        loglikes = case.loglikes(20)
        expected = static.decode(loglikes)
        if not expected.reached_final:
            continue
        same(dynamic.decode(loglikes), expected)
        differs += cheapest.decode(loglikes).score > expected.score + 1e-2
    assert differs > 2  # else the two ways of backing off were not told apart


def test_bigger_searches_chunks_and_room(toys, monkeypatch):
    """However the frames are cut, and wherever the arrays of tokens and back-pointers become too small."""
    from asr.decoding import dynamic as module

    case = Case(toys, 7)
    graph, options = case.dynamic_graph(arpa_grammar(case.lm, case.lexicon)), case.options()
    loglikes = case.loglikes(120)
    whole = case.dynamic(graph, options).decode(loglikes)
    for name in ("_STATES", "_FIRST_ARENA", "_CACHED"):
        monkeypatch.setattr(module, name, 4)
    decoder = case.dynamic(graph, options)
    for _ in range(2):
        decoder.start()
        for first, last in itertools.pairwise([0, 1, 1, 30, 31, 120]):
            decoder.advance(loglikes[first:last])
            assert decoder.n_frames == last
            assert len(decoder.partial().labels) == last
        found = decoder.finish()
        assert found.labels.tolist() == whole.labels.tolist() and found[2:] == whole[2:]
    assert decoder._capacity > 4


@pytest.mark.parametrize("budget", [2, 40, 80, 160])
def test_what_was_composed_can_be_forgotten_at_any_time(toys, monkeypatch, budget):
    """Words and scores are the same to the last bit, in one long utterance and in one after the other."""
    from asr.decoding import dynamic as module

    case = Case(toys, 19, n_entries=200, scale=1.5)
    graph, options = case.dynamic_graph(arpa_grammar(case.lm, case.lexicon)), case.options(beam=5.0, min_active=1)
    whole = case.dynamic(graph, options)
    monkeypatch.setattr(module, "_STATES", budget)
    small, times = case.dynamic(graph, options), []
    monkeypatch.setattr(small, "_make_room", lambda make=small._make_room: (times.append(small.n_frames), make()))
    for n_frames in (200, 30, 30, 30, 30):
        loglikes = case.loglikes(n_frames)
        expected = whole.decode(loglikes)
        small.start()
        for piece in np.array_split(loglikes, 3):
            small.advance(piece)
            assert len(small.partial().labels) == small.n_frames
        found = small.finish()
        assert found.labels.tolist() == expected.labels.tolist() and found.words.tolist() == expected.words.tolist()
        assert found[2:] == expected[2:]
    assert len(times) > 2 and max(times) > 0
    assert small.n_states <= small._capacity
    assert small.n_arcs < whole.n_arcs
    # Nothing is composed anew where there is room for all of it.
    before = whole.n_states, whole.n_arcs
    whole.decode(loglikes)
    assert (whole.n_states, whole.n_arcs) == before


def test_with_a_narrow_beam_nothing_is_found_that_is_better_than_the_best(toys):
    """Look-ahead is taken off again to the last bit; some best paths are lost, or nothing was pruned."""
    n_lost = n_found = 0
    for seed in range(3):
        case = Case(toys, seed, n_entries=80, scale=1.5)
        graph = case.dynamic_graph(arpa_grammar(case.lm, case.lexicon))
        wide = case.dynamic(graph, case.options())
        narrow = [case.dynamic(graph, case.options(beam=4.0, min_active=1), looks_ahead=on) for on in (True, False)]
        for _ in range(10):
            loglikes = case.loglikes(40)
            best = wide.decode(loglikes)
            for decoder in narrow:
                found = decoder.decode(loglikes)
                if found.reached_final and best.reached_final:
                    assert found.score <= best.score + 1e-6
                    n_lost += found.score < best.score - 1e-3
                    n_found += 1
    assert 0 < n_lost < n_found


def test_loops_over_words_and_ctc(toys):
    """Other grammars than n-grams, and labels without HMMs."""
    from asr.ctc.tokens import CtcTokens
    from asr.graph.tlg import compile_tlg

    for seed in range(10):
        case = Case(toys, seed)
        options, tokens = case.options(), CtcTokens(case.lexicon.n_phones)
        loop = word_loop(case.lexicon, case.words[:-1])
        static, dynamic = case.static(loop, options), case.dynamic(case.dynamic_graph(loop), options)
        loglikes = case.loglikes(20)
        same(dynamic.decode(loglikes), static.decode(loglikes))
        grammar = arpa_grammar(case.lm, case.lexicon)
        words = compile_token_words(case.lexicon, tokens)
        numbered = numbered_grammar(checked_grammar(grammar, case.lexicon), words.labels, case.lexicon.words["#0"])
        static = ViterbiDecoder(compile_tlg(case.lexicon, grammar, tokens), tokens.pdf_of_id, options)
        dynamic = DynamicDecoder(DynamicGraph(words, numbered), tokens.pdf_of_id, options, n_columns=static.n_columns)
        loglikes = case.rng.normal(0, 1.5, (15, static.n_columns)).astype(np.float32)
        expected = static.decode(loglikes)
        if expected.reached_final:
            same(dynamic.decode(loglikes), expected)


def gain_of(words, phrases):
    """What a sentence gains: each phrase's bonus, as often as it is said."""
    total = 0.0
    for phrase, bonus in phrases:
        total += bonus * sum(words[i : i + len(phrase)] == list(phrase) for i in range(len(words)))
    return total


def test_phrases_gain_what_is_said_of_them_and_no_more():
    rng = np.random.default_rng(5)
    for _ in range(200):
        phrases = {tuple(rng.integers(1, 4, rng.integers(1, 5)).tolist()): float(rng.uniform(1, 5)) for _ in range(5)}
        made = Phrases.of(list(phrases.items()))
        from asr.decoding.dynamic_kernels import boosted

        words, node, total = rng.integers(1, 5, 12).tolist(), 0, 0.0
        for word in words:
            gain, node = boosted(*made, node, word)
            total += gain
        total -= made.bonus[2 * node]  # given back at the end
        assert total == pytest.approx(gain_of(words, phrases.items()), abs=1e-4)


def test_boosted_decoding_finds_the_best_of_all_sentences(toys):
    """By brute force: a static search through one sentence at a time, and its gain."""
    boosted_paths = 0
    for seed in range(8):
        case = Case(toys, 3 * seed)  # without contexts, so that there are few sentences in few frames
        options, labels = case.options(), word_labels(case.lexicon)
        ids = [case.lexicon.words[word] for word in case.words]
        phrases = [((ids[0], ids[1]), 7.0), ((ids[1],), 1.0), ((ids[1], ids[0], ids[0]), 9.0)]
        grammar = arpa_grammar(case.lm, case.lexicon)
        made = Phrases.of([([int(labels[w]) for w in phrase], bonus) for phrase, bonus in phrases])
        plain, loglikes = case.dynamic_graph(grammar), case.loglikes(9)
        boosted = DynamicGraph(plain.words, plain.grammar, phrases=made)
        found = case.dynamic(boosted, options).decode(loglikes)
        before = case.dynamic(plain, options).decode(loglikes)
        best = -np.inf
        for n in range(4):
            for words in itertools.product(range(1, case.lexicon.n_words + 1), repeat=n):
                one = numbered_sentence(plain, list(words))
                path = said(case, plain, one, options, loglikes)
                best = max(best, path + gain_of(list(words), phrases))
        if found.reached_final and len(found.words) <= 3:
            assert found.score == pytest.approx(best, abs=2e-3)
            boosted_paths += found.words.tolist() != before.words.tolist()
    assert boosted_paths >= 2


def numbered_sentence(graph, words):
    """The grammar's costs of one sentence, as a grammar that allows it alone: histories are kept beside places."""
    n = graph.grammar.n_states
    source, target = np.repeat(np.arange(n), graph.grammar.states["n_arcs"]), graph.grammar.arcs["next"]
    label, weight = graph.grammar.arcs["ilabel"], graph.grammar.arcs["weight"]
    columns = []
    for place in range(len(words) + 1):
        back = label == 0
        columns.append((place * n + source[back], label[back], weight[back], place * n + target[back]))
        if place < len(words):
            own = label == graph.words.labels[words[place]]
            columns.append((place * n + source[own], label[own], weight[own], (place + 1) * n + target[own]))
    source, label, weight, target = (np.concatenate(column) for column in zip(*columns, strict=True))
    final = np.full(n * (len(words) + 1), np.inf)
    final[n * len(words) :] = graph.grammar.states["final"]
    return Graph.from_arrays(graph.grammar.start, source, label, label, weight, target, final)


def said(case, graph, grammar, options, loglikes):
    try:
        path = case.dynamic(DynamicGraph(graph.words, grammar), options).decode(loglikes)
    except GraphError:
        return -np.inf
    return path.score if path.reached_final else -np.inf


def slow_reach(graph, labels, state):
    seen, todo, found = {state}, [state], set()
    while todo:
        s = todo.pop()
        if np.isfinite(graph.states["final"][s]):
            found.add(len(labels))
        first, count = int(graph.states["first"][s]), int(graph.states["n_arcs"][s])
        for _, olabel, _, target in graph.arcs[first : first + count].tolist():
            if olabel:
                found.add(int(labels[olabel]))
            elif target not in seen:
                seen.add(target)
                todo.append(target)
    return sorted(found)


def test_reach_equals_a_walk_from_each_state():
    rng = np.random.default_rng(1)
    for _ in range(100):
        n = int(rng.integers(2, 40))
        count = rng.integers(0, 4, n)
        source = np.repeat(np.arange(n), count)
        m = len(source)
        olabel = np.where(rng.random(m) < 0.6, 0, rng.integers(1, 9, m))
        final = np.where(rng.random(n) < 0.2, 0.0, np.inf)
        graph = Graph.from_arrays(0, source, rng.integers(0, 4, m), olabel, rng.random(m), rng.integers(0, n, m), final)
        labels = np.append(0, rng.permutation(8) + 1).astype(np.int32)
        reach = Reach.of(graph, labels)
        assert all(reach.labels(s) == slow_reach(graph, labels, s) for s in range(n))


def test_words_of_one_beginning_are_one_interval():
    lexicon = Lexicon([("a", ("T", "O")), ("b", ("I",)), ("c", ("T", "I", "N")), ("d", ("T", "I"))], silence_prob=0)
    labels = word_labels(lexicon)
    assert sorted(labels[[lexicon.words["c"], lexicon.words["d"]]].tolist()) == [2, 3]
    assert labels[lexicon.words["a"]] == 4


def test_grammars_that_are_no_histories_are_refused():
    twice = Graph.from_arrays(0, [0, 0], [1, 1], [1, 1], [0.0, 1.0], [0, 0], [0.0])
    with pytest.raises(GraphError, match="two arcs for the same word"):
        numbered_grammar(twice, np.array([0, 1], np.int32), 2)
    round_and_round = Graph.from_arrays(0, [0, 1], [2, 2], [2, 2], [0.0, 0.0], [1, 0], [0.0, 0.0])
    with pytest.raises(GraphError, match="cycle"):
        numbered_grammar(round_and_round, np.array([0, 1], np.int32), 2)


def test_no_phrases_gain_nothing():
    from asr.decoding.dynamic_kernels import boosted

    assert boosted(*NO_PHRASES, 0, 5) == (0.0, 0)


def test_gains_that_no_search_can_add_up_are_told():
    """Those of a word: a long phrase may gain any number of nats in all."""
    for bonus in (float("nan"), float("inf"), -1.0):
        with pytest.raises(GraphError, match="has a bonus of"):
            Phrases.of([([1, 2], bonus)])
    with pytest.raises(GraphError, match="a word gains 600 nats"):
        Phrases.of([([1, 2], 600.0), ([2], 300.0)])
    with pytest.raises(GraphError, match="a word gains 7996 nats"):  # its end is nearly all of it once more
        Phrases.of([([1, 2] * 1000, 8000.0)])
    assert Phrases.of([(list(range(1, 2001)), 8000.0)]).bonus.max() == 8000.0
