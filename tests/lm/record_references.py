"""Records what other programs make of commands.txt and held_out.txt (texts of our own), in references.json.

KenLM's lmplz (commit 4cb443e60b7bf2c0ddf3c745378f76cb59e254e5) estimates, its Python module 0.3.0 queries, nltk 3.10.4
estimates with Witten-Bell smoothing, and kaldilm 1.15 (Kaldi's arpa2fst) makes the grammar. Imports nothing of this
project:

    python tests/lm/record_references.py LMPLZ
"""

import gzip
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import kaldilm
import kenlm
from nltk.lm import WittenBellInterpolated
from nltk.lm.smoothing import WittenBell
from nltk.util import everygrams

HERE = Path(__file__).parent
ORDERS = (2, 3, 4)  # KenLM reads no unigram model


class AboveUniform(WittenBell):
    """nltk's smoothing with the single words above the uniform distribution, too; nltk takes their frequencies."""

    def unigram_score(self, word):
        counts = self.counts.unigrams
        new = len(counts)
        return (counts[word] + new / N_POSSIBLE) / (counts.N() + new)


def sentences(name):
    """The sentences of a text, as lists of words."""
    return [line.split() for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


def lmplz(program, order):
    """The ARPA file that KenLM makes."""
    command = [program, "-o", str(order), "-S", "100M", "--discount_fallback"]
    text = (HERE / "commands.txt").read_bytes()
    return subprocess.run(command, input=text, capture_output=True, check=True).stdout.decode()


def perplexities(arpa, held_out):
    """KenLM's perplexities, natural-log scores and numbers of unknown words of the held-out sentences."""
    with tempfile.NamedTemporaryFile(suffix=".arpa") as file:
        file.write(arpa.encode())
        file.flush()
        model = kenlm.Model(file.name)
    found = [list(model.full_scores(" ".join(words))) for words in held_out]
    known = [p for scores in found for p, _, unknown in scores if not unknown]
    every = [p for scores in found for p, _, _ in scores]
    return {
        "excluding_oov": 10 ** (-sum(known) / len(known)),
        "including_oov": 10 ** (-sum(every) / len(every)),
        "scores": [math.log(10) * sum(p for p, _, _ in scores) for scores in found],
    }


def witten_bell(order, train, held_out):
    """nltk's perplexity over the tokens that it knows, histories cut at the start of the sentence and after others."""
    model = WittenBellInterpolated(order)
    model.estimator = AboveUniform(model.vocab, model.counts)
    padded = [["<s>", *words, "</s>"] for words in train]
    grams = ([g for g in everygrams(words, max_len=order) if g != ("<s>",)] for words in padded)
    model.fit(grams, vocabulary_text=[word for words in padded for word in words])
    model.estimator.counts = model.counts
    log_probs = []
    for words in held_out:
        history = ["<s>"]
        for word in [*words, "</s>"]:
            if word in model.vocab:
                context = tuple(history[-(order - 1) :]) if order > 1 else ()
                log_probs.append(math.log(model.unmasked_score(word, context)))
                history.append(word)
            else:
                history = []
    return math.exp(-sum(log_probs) / len(log_probs))


def grammar(arpa, words):
    """Kaldi's arpa2fst --disambig-symbol=#0, as text; words are those of the lexicon."""
    with tempfile.TemporaryDirectory() as folder:
        table, file = Path(folder) / "words.txt", Path(folder) / "lm.arpa"
        names = ["<eps>", *sorted(words), "#0", "<s>", "</s>"]
        table.write_text("".join(f"{name} {i}\n" for i, name in enumerate(names)), encoding="utf-8")
        file.write_text(arpa, encoding="utf-8")
        return kaldilm.arpa2fst(str(file), disambig_symbol="#0", read_symbol_table=str(table), max_order=-1)


train, held_out = sentences("commands.txt"), sentences("held_out.txt")
vocabulary = sorted({word for words in train for word in words})
N_POSSIBLE = len(vocabulary) + 2  # the words, </s> and <unk>
spoken = [word for i, word in enumerate(vocabulary) if i % 7]
arpas = {order: lmplz(sys.argv[1], order) for order in ORDERS}
record = {
    "kenlm": {order: perplexities(arpa, held_out) for order, arpa in arpas.items()},
    "witten_bell": {order: witten_bell(order, train, held_out) for order in ORDERS},
    "lexicon": spoken,
    "grammar": grammar(arpas[3], spoken).splitlines(),
}
(HERE / "references.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
with gzip.GzipFile(HERE / "kenlm.arpa.gz", "wb", mtime=0) as stream:
    stream.write(arpas[4].encode())
