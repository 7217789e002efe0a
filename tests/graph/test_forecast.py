"""What a graph is expected to take, against what it takes."""

import numpy as np
import pytest

from asr.graph import arpa_grammar, compile_hclg, word_loop
from asr.graph.arpa import words_after
from asr.graph.budget import Budget, Step
from asr.graph.forecast import _tree, _trees, forecast
from asr.lang.lexicon import Lexicon
from asr.lm import train


def beginnings(said):
    """How many beginnings two or more have, the empty one included, and how many only one; from the definition."""
    counts = {}
    for phones in said:
        for n in range(len(phones) + 1):
            counts[phones[:n]] = counts.get(phones[:n], 0) + 1
    return sum(count > 1 for count in counts.values()), sum(count == 1 for count in counts.values())


@pytest.mark.parametrize("seed", range(5))
def test_shared_beginnings_are_counted(seed):
    rng = np.random.default_rng(seed)
    said = [tuple(rng.integers(1, 4, rng.integers(1, 6)).tolist()) for _ in range(60)]
    rows = np.zeros((60, 5), np.int32)
    for row, phones in zip(rows, sorted(said), strict=True):
        row[: len(phones)] = phones
    shared, single = beginnings(said)
    assert _tree(rows) == (shared, pytest.approx(single / sum(map(len, said))))
    assert _tree(rows[:1]) == (0, 1.0)
    sizes, some, alone = _trees(said, np.ones(60))
    assert (sizes[[0, 1, -1]] == [0, 1, 60]).all() and (some[-1], alone[-1]) == _tree(rows)


def words_of(rng, n):
    """Words over few phones, and as many sentences of them, in which some are frequent."""
    lexicon = Lexicon([(f"w{i}", tuple(rng.choice([*"ABCDEFGH"], rng.integers(2, 7)).tolist())) for i in range(n)])
    frequent = 1 / np.arange(1, n + 1)
    names = rng.choice([e.word for e in lexicon.entries], (n, 6), p=frequent / frequent.sum())
    return lexicon, names.tolist()


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("order", [0, 2, 3])
def test_the_forecast_is_near_to_what_comes(toys, order, width):
    lexicon, sentences = words_of(np.random.default_rng(order), 400)
    said = [lexicon.phone_ids(entry) for entry in lexicon.entries]
    tree, transitions = toys.acoustic_units(lexicon, width, width // 2)
    lengths = {entry.word: len(entry.phones) for entry in lexicon.entries}
    if order:
        model = train(sentences, order)
        grammar, n_phones = arpa_grammar(model, lexicon), np.array([lengths.get(w, 0) for w in model.vocabulary.names])
        after, n_arcs, n_ends = words_after(model, n_phones)
        # What the grammar has: its states, and the words that may follow in each (all arcs but those of back-off).
        backs = np.bincount(grammar.sources()[grammar.arcs["ilabel"] == lexicon.words["#0"]], minlength=len(after))
        assert sorted(after.tolist()) == sorted((grammar.states["n_arcs"] - backs).tolist())
        phones_of = {entry.word: lexicon.phone_ids(entry) for entry in lexicon.entries}
        said = [phones_of[word] for word in model.vocabulary.names if word in phones_of]
        n_tails, often = float(n_ends @ n_phones), n_arcs[n_phones > 0]
        arcs = grammar.arcs["ilabel"]
        counts = np.bincount(arcs[arcs != lexicon.words["#0"]])
        assert sorted(often[often > 0].tolist()) == sorted(counts[counts > 0].tolist())
    else:
        grammar, after, n_tails = word_loop(lexicon), np.array([len(said)]), float(sum(lengths.values()))
        often = np.ones(len(said))
    steps = []
    graph = compile_hclg(lexicon, grammar, tree, transitions, progress=steps.append)
    found = forecast(said, often, after, n_tails, width, 2.0)
    # Toys have few phones and pdfs: their graphs are smaller than those of speech, of which the proportions are.
    for expected, made in (
        (found.n_states, graph.n_states),
        (found.n_arcs, graph.n_arcs),
        (found.most_states, max(step.n_states for step in steps)),
    ):
        assert 0.5 < expected / made < 3


def test_it_is_told_in_few_digits_and_weighed_against_the_budget():
    found = forecast([(1, 2), (1, 3)], np.ones(2), np.array([2]), 4.0, 3, 3.0)
    assert (
        found.in_words().startswith(f"expected: {found.n_states} states")
        and "MiB of memory, 3 seconds" in found.in_words()
    )
    steps = [Step("L", 90, 95, 0.0), Step("L o G", 7, 9, 0.0), Step("HCLG", 5, 6, 0.0)]
    counted = found.counted(steps)
    assert (counted.most_states, counted.n_states, counted.n_arcs) == (7, 5, 6)
    assert (
        counted.in_words().startswith("expected: 5 states, 6 arcs")
        and "built to see" in counted.in_words()
        and "less or more" not in counted.in_words()
    )
    assert Budget(1000).against(1000, 1) == ""
    assert Budget(1000).against(1001, 1).startswith("about 1,001 states are expected, and the budget is 1,000 states.")
    assert "1024 GiB of memory are expected" in Budget(1000).against(1, 1 << 40)
