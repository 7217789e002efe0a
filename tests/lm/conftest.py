"""What the language model tests share: texts, recorded results of other programs, and slow, obviously right models."""

import itertools
import json
import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent


def grams_of(sentences, order):
    """Counter of all n-grams up to an order, each sentence between one <s> and one </s>; none is (<s>,) alone."""
    found = Counter()
    for words in sentences:
        padded = ("<s>", *words, "</s>")
        for n in range(1, order + 1):
            found.update(padded[i : i + n] for i in range(len(padded) - n + 1))
    del found["<s>",]
    return found


def fixed_discounts(numbers):
    """Chen and Goodman's three discounts, or 0.5, 1 and 1.5."""
    n = Counter(numbers)
    if not all(n[k] for k in (1, 2, 3)):
        return 0.5, 1.0, 1.5
    y = n[1] / (n[1] + 2 * n[2])
    found = tuple(k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))
    return found if all(0 < d <= k for k, d in enumerate(found, 1)) else (0.5, 1.0, 1.5)


class Textbook:
    """Interpolated smoothing from dicts, one probability at a time, from Chen and Goodman's formulas."""

    def __init__(self, sentences, order, smoothing, possible):
        self.possible, self.smoothing = possible, smoothing
        self.tables = [None] * (order + 1)
        raw = grams_of(sentences, order)
        for n in range(1, order + 1):
            table = {g: c for g, c in raw.items() if len(g) == n}
            if smoothing == "modified-kneser-ney" and n < order:
                before = defaultdict(set)
                for g in raw:
                    if len(g) == n + 1:
                        before[g[1:]].add(g[0])
                table = {g: c if g[0] == "<s>" else len(before[g]) for g, c in table.items()}
            self.tables[n] = table
        self.discounts = [fixed_discounts(t.values()) if t else None for t in self.tables]

    def prob(self, history, word):
        """P(word | history)."""
        n = len(history) + 1
        if n == 1:
            lower = 1 / len(self.possible) if word in self.possible else 0.0
        else:
            lower = self.prob(history[1:], word)
        followers = {g[-1]: c for g, c in self.tables[n].items() if g[:-1] == history}
        if not followers:
            return lower
        count, total = followers.get(word, 0), sum(followers.values())
        if self.smoothing == "witten-bell":
            return (count + len(followers) * lower) / (total + len(followers))
        taken = (0.0, *self.discounts[n])
        given = sum(taken[min(c, 3)] for c in followers.values())
        return (count - taken[min(count, 3)] + given * lower) / total


def back_off_log_prob(table, history, word):
    """A model as {n-gram: (log probability, back-off)}: the definition of back-off, read aloud."""
    if (*history, word) in table:
        return table[(*history, word)][0]
    if not history:
        return -math.inf
    return table.get(history, (0.0, 0.0))[1] + back_off_log_prob(table, history[1:], word)


def table_of(model):
    """A model as {n-gram: (log probability, back-off)}."""
    names, table = model.vocabulary.names, {}
    for order in range(1, model.order + 1):
        here = model.trie.nodes(order)
        rows = zip(
            model.trie.words_of(order).tolist(),
            model.log_probs[here].tolist(),
            model.back_offs[here].tolist(),
            strict=True,
        )
        table.update({tuple(names[i] for i in gram): (p, b) for gram, p, b in rows})
    return table


def sums_over_vocabulary(model):
    """The sum of the probabilities of all words after each history that the model has, and some that it has not."""
    names = [name for name in model.vocabulary.names if name != "<s>"]
    histories = {gram for gram in table_of(model) if len(gram) < model.order and gram[-1] != "</s>"} | {()}
    histories |= {(*h[:-1], w) for h, w in itertools.product(sorted(histories)[::7], names[::5]) if h and w != "</s>"}
    return {h: sum(math.exp(model.log_prob(h, name)) for name in names) for h in sorted(histories)}


class Slow:
    """The functions above, for tests (they cannot import this file)."""

    textbook = Textbook
    grams_of = staticmethod(grams_of)
    fixed_discounts = staticmethod(fixed_discounts)
    back_off_log_prob = staticmethod(back_off_log_prob)
    table_of = staticmethod(table_of)
    sums_over_vocabulary = staticmethod(sums_over_vocabulary)

    @staticmethod
    def random_text(rng, n_sentences, n_words=5, longest=6):
        """Sentences of few words, some more frequent than others; empty ones, too."""
        names = np.array([chr(ord("a") + i) for i in range(n_words)])
        chances = 1.0 / np.arange(1, n_words + 1)
        chances /= chances.sum()
        return [rng.choice(names, rng.integers(0, longest + 1), p=chances).tolist() for _ in range(n_sentences)]


@pytest.fixture(scope="session")
def slow():
    """Texts, textbook models and brute force."""
    return Slow


@pytest.fixture(scope="session")
def commands():
    """300 sentences of household commands."""
    return (HERE / "commands.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="session")
def held_out():
    """62 more, with 5 words that the others lack."""
    return (HERE / "held_out.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="session")
def references():
    """What other programs made of the two texts: see record_references.py."""
    return json.loads((HERE / "references.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def kenlm_arpa():
    """The ARPA file of order 4 that KenLM's lmplz made of commands.txt."""
    return HERE / "kenlm.arpa.gz"
