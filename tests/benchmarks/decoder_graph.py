"""A 5,000-word decoding graph and synthetic log-likelihoods, to measure decoders on; nothing here is real speech.

Words of CMUdict (as packed in pocketsphinx), word-internal triphones of three states, 3 x 17 tied pdfs a phone (by a
hash), optional silence, a Zipf unigram with 20 random bigrams a word and back-off. L o G is determinised, minimised,
expanded to pdfs, determinised and minimised again; self-loops are added last, the Kaldi way.

`python tests/benchmarks/decoder_graph.py [FOLDER]` writes HCLG.fst (ConstFst; input label = pdf + 1), loglikes.npy
(n_frames, n_pdfs), words.txt and truth.txt. Needs pynini and pocketsphinx; takes 20 s.
"""

import math
import random
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from asr.graph.const_fst import Graph

FOLDER = Path(__file__).parents[2] / "build" / "benchmarks" / "decoder"
N_WORDS, N_FRAMES = 5000, 3000
PDFS_PER_STATE = 17
HALF = math.log(2)  # cost of staying in a state, and of leaving it
SILENCE = ("", "SIL", "")


def pronunciations():
    """(words, phones of each): a fixed sample of CMUdict's words of two or more phones."""
    import pocketsphinx

    path = Path(pocketsphinx.__file__).parent / "model" / "en-us" / "cmudict-en-us.dict"
    entries = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    known = {w: phones for w, *phones in entries if w.isalpha() and len(phones) >= 2}
    words = sorted(random.Random(1).sample(sorted(known), N_WORDS))
    return words, [known[w] for w in words]


class Triphones:
    """Word-internal triphones: ids from 1 in order of appearance, three pdfs each."""

    def __init__(self, prons):
        self.phones = ["SIL", *sorted({p for pron in prons for p in pron})]
        self.ids: dict[tuple[str, str, str], int] = {}
        self.sequences = []
        for pron in prons:
            padded = ["#", *pron, "#"]
            self.sequences.append([self.id(tuple(padded[i - 1 : i + 2])) for i in range(1, len(padded) - 1)])
        self.silence = self.id(SILENCE)
        self.pdfs = {i: self._pdfs(*t) for t, i in self.ids.items()}
        self.n_pdfs = len(self.phones) * 3 * PDFS_PER_STATE

    def id(self, triphone):
        return self.ids.setdefault(triphone, len(self.ids) + 1)

    def _pdfs(self, left, phone, right):
        hashes = [0, 0, 0]
        if phone != "SIL":
            first, last = f"{left}-{phone}+{right}", f"{right}/{phone}/{left}"
            hashes = [zlib.crc32(text.encode()) % PDFS_PER_STATE for text in (first, first, last)]
        base = self.phones.index(phone) * 3 * PDFS_PER_STATE
        return [base + s * PDFS_PER_STATE + h for s, h in enumerate(hashes)]


def disambiguation(sequences):
    """0, or a number from 1 that tells a word from others of the same phones, or from those that it begins."""
    prefixes = {tuple(s[:i]) for s in sequences for i in range(1, len(s))}
    count = Counter(map(tuple, sequences))
    seen: Counter = Counter()
    numbers = []
    for key in map(tuple, sequences):
        ambiguous = count[key] > 1 or key in prefixes
        seen[key] += ambiguous
        numbers.append(seen[key] if ambiguous else 0)
    return numbers


def new_fst(n_states):
    import pynini

    fst = pynini.Fst()
    fst.add_states(n_states)
    return fst


def add_arc(fst, source, ilabel, olabel, cost, target):
    import pynini

    fst.add_arc(
        source, pynini.Arc(int(ilabel), int(olabel), pynini.Weight(fst.weight_type(), float(cost)), int(target))
    )


def set_final(fst, state, cost):
    import pynini

    fst.set_final(state, pynini.Weight(fst.weight_type(), float(cost)))


def lexicon_fst(triphones, first_symbol):
    """L over triphones, with #0 = first_symbol for back-off, the next symbol after silence, then those of the words."""
    start, loop, silent, after = range(4)
    fst = new_fst(4)
    fst.set_start(start)
    set_final(fst, loop, 0)
    add_arc(fst, start, 0, 0, HALF, loop)
    add_arc(fst, start, 0, 0, HALF, silent)
    add_arc(fst, silent, triphones.silence, 0, 0, after)
    add_arc(fst, after, first_symbol + 1, 0, 0, loop)
    for word, (sequence, number) in enumerate(
        zip(triphones.sequences, disambiguation(triphones.sequences), strict=True)
    ):
        labels = [*sequence, *([first_symbol + 1 + number] if number else [])]
        state, olabel = loop, word + 1
        for label in labels[:-1]:
            target = fst.add_state()
            add_arc(fst, state, label, olabel, 0, target)
            state, olabel = target, 0
        for target in (loop, silent):
            add_arc(fst, state, labels[-1], olabel, HALF, target)
    add_arc(fst, loop, first_symbol, N_WORDS + 1, 0, loop)
    fst.arcsort("olabel")
    return fst


def grammar():
    """(unigram, per history the pair (successors, probabilities)); the last history is the sentence start."""
    order = list(range(N_WORDS))
    random.Random(2).shuffle(order)
    unigram = np.zeros(N_WORDS)
    unigram[order] = 1.0 / (np.arange(N_WORDS) + 10)
    unigram /= unigram.sum()
    rng, cumulative = np.random.default_rng(3), np.cumsum(unigram)
    cumulative[-1] = 1
    bigrams = []
    for _ in range(N_WORDS + 1):
        successors = np.unique(np.searchsorted(cumulative, rng.random(20)))
        bigrams.append((successors, rng.dirichlet(np.ones(len(successors))) * 0.8))
    return unigram, bigrams


def grammar_fst(unigram, bigrams):
    back_off, start = 0, N_WORDS + 1
    fst = new_fst(N_WORDS + 2)
    fst.set_start(start)
    for word, (successors, probabilities) in enumerate(bigrams):
        history = 1 + word
        for v, p in zip(successors, probabilities, strict=True):
            add_arc(fst, history, v + 1, v + 1, -math.log(max(p, 1e-6)), 1 + v)
        add_arc(fst, history, N_WORDS + 1, 0, -math.log(0.2), back_off)
        set_final(fst, history, 3.0)
    for v in range(N_WORDS):
        add_arc(fst, back_off, v + 1, v + 1, -math.log(unigram[v]), 1 + v)
    fst.arcsort("ilabel")
    return fst


def encoded(fst, labels_only, minimise):
    """Apply `minimise` to the FST as an acceptor of its labels, or of labels and weights."""
    import pynini

    mapper = pynini.EncodeMapper("standard", encode_labels=True, encode_weights=not labels_only)
    fst.encode(mapper)
    minimise(fst)
    fst.decode(mapper)
    return fst


def expand(fst, triphones, n_symbols_from):
    """Triphones become three pdf labels (pdf + 1); symbols come after them until they are taken out."""
    first_symbol = triphones.n_pdfs + 1
    result = new_fst(fst.num_states())
    result.set_start(fst.start())
    for s in fst.states():
        set_final(result, s, fst.final(s))
        for arc in fst.arcs(s):
            if arc.ilabel == 0 or arc.ilabel >= n_symbols_from:
                label = 0 if arc.ilabel == 0 else first_symbol + arc.ilabel - n_symbols_from
                add_arc(result, s, label, arc.olabel, arc.weight, arc.nextstate)
                continue
            pdfs, middle, last = triphones.pdfs[arc.ilabel], result.add_state(), result.add_state()
            add_arc(result, s, pdfs[0] + 1, arc.olabel, arc.weight, middle)
            add_arc(result, middle, pdfs[1] + 1, 0, HALF, last)
            add_arc(result, last, pdfs[2] + 1, 0, HALF, arc.nextstate)
    return result, first_symbol


def compile_graph(triphones, unigram, bigrams):
    """H o L o G without self-loops or symbols, as a pynini FST."""
    import pynini

    n_triphones = len(triphones.ids) + 1
    lg = pynini.compose(lexicon_fst(triphones, n_triphones), grammar_fst(unigram, bigrams))
    lg.rmepsilon()
    lg = pynini.push(pynini.determinize(lg), push_weights=True)
    lg = encoded(lg, True, lambda f: f.minimize())
    hlg, first_symbol = expand(lg, triphones, n_triphones)
    hlg = pynini.determinize(hlg)
    for s in hlg.states():
        arcs = hlg.mutable_arcs(s)
        while not arcs.done():
            arc = arcs.value()
            if arc.ilabel >= first_symbol:
                arc.ilabel = 0
                arcs.set_value(arc)
            arcs.next()
    return encoded(hlg, False, lambda f: f.minimize(allow_nondet=True)).connect()


def with_self_loops(fst):
    """Every emitting label gets a self-loop where it arrives; a state entered by several labels is split, with epsilon
    arcs back to it."""
    arcs = [(s, a.ilabel, a.olabel, float(a.weight), a.nextstate) for s in fst.states() for a in fst.arcs(s)]
    source, ilabel, olabel, weight, target = (np.array(column) for column in zip(*arcs, strict=True))
    final = np.array([float(fst.final(s)) for s in fst.states()], np.float32)
    n = len(final)
    pairs, entry = np.unique(np.stack([target, ilabel]), axis=1, return_inverse=True)
    state, label = pairs
    alone = (np.bincount(state, minlength=n)[state] == 1) & (state != fst.start())
    split = (label > 0) & ~alone
    home = state.copy()
    home[split] = n + np.arange(split.sum())
    looping = label > 0
    n_loops, n_split = int(looping.sum()), int(split.sum())
    zeros = np.zeros(n_loops + n_split, int)
    return Graph.from_arrays(
        fst.start(),
        np.concatenate([source, home[looping], home[split]]),
        np.concatenate([ilabel, label[looping], zeros[:n_split]]),
        np.concatenate([olabel, zeros]),
        np.concatenate([weight, np.full(n_loops + n_split, HALF)]),
        np.concatenate([home[entry.ravel()], home[looping], state[split]]),
        np.concatenate([final, np.full(n_split, np.inf, np.float32)]),
    )


def utterance(triphones, unigram, bigrams):
    """(word numbers, log-likelihoods): a random sentence; normal noise plus 5 at the true pdf, 3 at those of its phone
    and state, and 2 at those of four other phones that it is easily taken for."""
    rng, pdfs, words, history = np.random.default_rng(7), [], [], N_WORDS
    while len(pdfs) < N_FRAMES:
        successors, p = bigrams[history]
        near = rng.random() < 0.8
        history = int(rng.choice(successors, p=p / p.sum())) if near else int(rng.choice(N_WORDS, p=unigram))
        words.append(history)
        for t in triphones.sequences[history] + ([triphones.silence] if rng.random() < 0.15 else []):
            for pdf in triphones.pdfs[t]:
                pdfs += [pdf] * int(1 + rng.geometric(0.45))
    loglikes = rng.normal(0, 1, (N_FRAMES, triphones.n_pdfs)).astype(np.float32)
    n_phones, width = len(triphones.phones), PDFS_PER_STATE
    confused = [rng.choice(n_phones, 4, replace=False) for _ in range(n_phones)]
    for row, pdf in zip(loglikes, pdfs[:N_FRAMES], strict=True):
        phone, state = pdf // (3 * width), pdf % (3 * width) // width
        for other, gain in [*((c, 2.0) for c in confused[phone]), (phone, 3.0)]:
            first = other * 3 * width + state * width
            row[first : first + width] += gain
        row[pdf] += 2.0
    return words, loglikes


def build(folder=FOLDER):
    """Write the files, unless they are there; returns the folder."""
    folder = Path(folder)
    if (folder / "truth.txt").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    words, prons = pronunciations()
    triphones = Triphones(prons)
    unigram, bigrams = grammar()
    graph = with_self_loops(compile_graph(triphones, unigram, bigrams))
    graph.write(folder / "HCLG.fst")
    spoken, loglikes = utterance(triphones, unigram, bigrams)
    np.save(folder / "loglikes.npy", loglikes)
    names = "".join(f"{word}\t{i}\n" for i, word in enumerate(["<eps>", *words]))
    (folder / "words.txt").write_text(names, encoding="utf-8")
    (folder / "truth.txt").write_text(" ".join(words[w] for w in spoken) + "\n", encoding="utf-8")
    return folder


if __name__ == "__main__":
    graph = Graph.read(build(*sys.argv[1:]) / "HCLG.fst")
    epsilons = int((graph.arcs["ilabel"] == 0).sum())
    print(f"{graph.n_states} states, {graph.n_arcs} arcs, {epsilons} of them epsilons")
