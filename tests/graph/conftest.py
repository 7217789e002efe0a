"""What the graph tests share: toy lexicons and trees, and slow, obviously right ways to score a path."""

import itertools
import math
import zlib

import numpy as np
import pytest

from asr.graph.budget import Budget
from asr.graph.composition import compose
from asr.graph.grammar import checked_grammar, word_loop
from asr.graph.lexicon_fst import lexicon_graph
from asr.hmm.topology import Topology
from asr.hmm.transitions import TransitionModel
from asr.lang.lexicon import Lexicon


class TableTree:
    """A pdf for each (window, pdf class), drawn by hashing; each phone's classes have `shared` pdfs to draw from.

    sets: phones that have the same pdfs to draw from.
    """

    def __init__(self, topology, width, central, sets, shared=2):
        self.context_width, self.central_position, self.shared = width, central, shared
        self.phones = topology.phones
        self.first_of_set = {phone: phones[0] for phones in sets for phone in phones}

    @property
    def n_pdfs(self):
        return (max(self.phones) + 1) * 5 * self.shared

    def pdf(self, window, pdf_class):
        phone = window[self.central_position]
        assert phone in self.phones and len(window) == self.context_width
        drawn = zlib.crc32(repr((list(map(int, window)), int(pdf_class))).encode()) % self.shared
        return (self.first_of_set[phone] * 5 + pdf_class) * self.shared + drawn

    def pdfs_of_state(self, phone, pdf_class):
        return [(self.first_of_set[phone] * 5 + pdf_class) * self.shared + i for i in range(self.shared)]

    def to_json(self):
        return {"kind": "table"}


def acoustic_units(lexicon, width, central, seed=0):
    """Topology (2 states for speech, 3 for silence), tree and a transition model with random probabilities."""
    speech = range(2, lexicon.n_phones + 1)
    topology = Topology.kaldi(speech, [1], n_states=2, n_silence_states=3)
    tree = TableTree(topology, width, central, lexicon.phone_sets)
    transitions = TransitionModel.from_tree(topology, tree)
    counts = np.random.default_rng(seed).uniform(10, 100, transitions.n_transition_ids + 1)
    return tree, transitions.updated(counts)


def costs_of_outputs(graph, inputs):
    """{output labels: lowest cost} of all paths that read `inputs`, by relaxing (position, state, outputs)."""
    source = graph.sources()
    leaving = [[] for _ in range(graph.n_states)]
    for s, arc in zip(source.tolist(), graph.arcs.tolist(), strict=True):
        leaving[s].append(arc)
    inputs, found = tuple(int(i) for i in inputs), {}
    best = {(0, graph.start, ()): 0.0}
    queue = list(best)
    for item in queue:  # grows while it is read
        position, state, outputs = item
        cost, final = best[item], float(graph.states["final"][state])
        if position == len(inputs) and final < math.inf:
            found[outputs] = min(found.get(outputs, math.inf), cost + final)
        for ilabel, olabel, weight, target in leaving[state]:
            if ilabel == 0 or (position < len(inputs) and ilabel == inputs[position]):
                following = (position + (ilabel != 0), target, (*outputs, olabel) if olabel else outputs)
                if cost + weight < best.get(following, math.inf) - 1e-9:
                    best[following] = cost + weight
                    queue.append(following)
    return found


def spoken_costs(lexicon, phones, word_cost, max_words=6):
    """{word ids: lowest cost} of all ways to read phones as words with optional silence, grammar included.

    A pronunciation costs the negated logarithm of its probability.

    word_cost: a tuple of word ids -> its cost in the grammar (inf: not accepted).
    """
    p = lexicon.silence_prob
    pause, no_pause = (-math.log(p), -math.log(1 - p)) if p else (math.inf, 0.0)
    phones = tuple(phones)
    entries = [(lexicon.words[e.word], lexicon.phone_ids(e), -math.log(e.probability)) for e in lexicon.entries]
    # After each word, and at the start, a choice: pause or not.
    states = {(0, ()): no_pause}
    if phones[:1] == (lexicon.silence_id,):
        states[1, ()] = pause
    found = {}
    for _ in range(max_words + 1):
        following = {}
        for (position, words), cost in states.items():
            if position == len(phones):
                total = cost + word_cost(words)
                if total < math.inf:
                    found[words] = min(found.get(words, math.inf), total)
            for word, said, variant in entries:
                end = position + len(said)
                if phones[position:end] == said:
                    for after, extra in ((end, no_pause), (end + 1, pause)):
                        if after == end or phones[end:after] == (lexicon.silence_id,):
                            key = (after, (*words, word))
                            following[key] = min(following.get(key, math.inf), cost + variant + extra)
        states = following
    return found


def hmm_cost(transitions, tree, phones, ids, transition_scale=1.0, self_loop_scale=0.1):
    """The cost of the HMM transitions in `ids`, checked one by one against topology and tree; None if not legal."""
    left, right = tree.central_position, tree.context_width - 1 - tree.central_position
    padded = [0] * left + list(phones) + [0] * right
    windows = [tuple(padded[i : i + tree.context_width]) for i in range(len(phones))]
    cost, at, state, previous = 0.0, 0, 0, None
    for i in map(int, ids):
        row = int(transitions.state_of_id[i])
        stay = int(transitions.self_loop_of_state[row])
        log_stay = transitions.log_probs[stay] if stay else -math.inf
        if transitions.is_self_loop[i]:
            if previous != row:
                return None
            cost -= self_loop_scale * log_stay
            continue
        if at >= len(phones):
            return None
        hmm_state = transitions.topology.states(phones[at])[state]
        expected = (phones[at], state, tree.pdf(windows[at], hmm_state.pdf_class))
        if tuple(transitions.tuples[row][:3].tolist()) != expected:
            return None
        log_leave = math.log(1 - math.exp(log_stay))
        cost -= transition_scale * (transitions.log_probs[i] - log_leave) + self_loop_scale * log_leave
        state, previous = int(transitions.destination_of_id[i]), row
        if transitions.is_final[i]:
            at, state = at + 1, 0
    return cost if at == len(phones) and state == 0 else None


def random_alignment(transitions, tree, phones, rng, loops=0.3):
    """Transition ids of a random walk through the phones' HMMs, with self-loops after each transition."""
    left, right = tree.central_position, tree.context_width - 1 - tree.central_position
    padded = [0] * left + list(phones) + [0] * right
    ids = []
    for at, phone in enumerate(phones):
        window, state = padded[at : at + tree.context_width], 0
        states = transitions.topology.states(phone)
        while state < len(states):
            pdf = tree.pdf(window, states[state].pdf_class)
            row = transitions.transition_state(phone, state, pdf, pdf)
            choices = range(int(transitions.first_id[row]), int(transitions.first_id[row + 1]))
            taken = int(rng.choice([i for i in choices if not transitions.is_self_loop[i]]))
            ids.append(taken)
            while transitions.self_loop_of_state[row] and rng.random() < loops:
                ids.append(int(transitions.self_loop_of_state[row]))
            state = int(transitions.destination_of_id[taken])
    return ids


def random_lexicon(rng, n_phones=4, n_entries=6, longest=4, silence_prob=0.4, probabilities=False, positions=False):
    """Entries over few short phone strings, so that homophones, prefixes and variants are frequent."""
    phones = [chr(ord("A") + i) for i in range(n_phones)]
    names = [f"w{i}" for i in range(max(2, n_entries - 1))]
    wanted = [(n, tuple(rng.choice(phones, rng.integers(1, longest + 1)).tolist())) for n in names]
    wanted += [(names[int(rng.integers(len(names)))], tuple(rng.choice(phones, 2).tolist()))]
    entries = [(*entry, float(rng.uniform(0.05, 1)) if probabilities else 1.0) for entry in dict.fromkeys(wanted)]
    return Lexicon(tuple(entries), silence_prob=silence_prob, position_dependent=positions)


def spoken_loop(rng, n_entries=8):
    """L o G of a random lexicon and a loop over its words."""
    lexicon = random_lexicon(rng, n_entries=n_entries)
    grammar = checked_grammar(word_loop(lexicon), lexicon)
    return compose(lexicon_graph(lexicon), grammar, budget=Budget(100_000))


def inputs_of(graph, n_paths, seed):
    """The input labels of random paths of up to 30 arcs."""
    import pynini

    from asr.graph.openfst import to_pynini

    paths = pynini.randgen(to_pynini(graph).connect(), npath=n_paths, seed=seed + 1, max_length=30).paths()
    while not paths.done():
        yield [label for label in paths.ilabels() if label]
        paths.next()


class Toys:
    """The functions above, for tests (they cannot import this file)."""

    table_tree = TableTree
    acoustic_units = staticmethod(acoustic_units)
    costs_of_outputs = staticmethod(costs_of_outputs)
    spoken_costs = staticmethod(spoken_costs)
    hmm_cost = staticmethod(hmm_cost)
    random_alignment = staticmethod(random_alignment)
    random_lexicon = staticmethod(random_lexicon)
    spoken_loop = staticmethod(spoken_loop)
    inputs_of = staticmethod(inputs_of)

    @staticmethod
    def word_strings(words, longest):
        """Every tuple of words up to a length."""
        return itertools.chain.from_iterable(itertools.product(words, repeat=n) for n in range(longest + 1))


@pytest.fixture(scope="session")
def toys():
    """Toy lexicons, trees and brute-force scores."""
    return Toys
