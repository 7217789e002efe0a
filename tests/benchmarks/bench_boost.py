"""What boosting does on recordings that were not trained on: recall of rare words, and harm to all others.

`python tests/benchmarks/bench_boost.py MODEL LM COUNTS TABLE.tsv IDS [--bonuses 0,1,...]`: MODEL is a dynamic one (asr
graph --dynamic) whose lexicon has the words; LM the language model to use, which must not be made of the table's texts;
COUNTS the text that the LM was made of, a sentence a line; TABLE has id, audio, speaker and text; IDS a file whose
lines begin with the ids of the recordings to take.

The list to boost is the words of the recordings that the LM's text has at most --rare times, and --distractors times as
many that are as rare in it and are said nowhere. Of the recordings every second one is for choosing the bonus, the
others are decoded with 0 and with the chosen one: the smallest of those with which the fewest words are wrong.
"""

import argparse
import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np

import asr
from asr.corpus import Utterance
from asr.graph import arpa_grammar
from asr.lm import read_model
from asr.model.dynamic import boosted, with_dynamic_graph, words_of
from asr.model.transcription import transcribe_all
from asr.scoring import score


def plain(text):
    return " ".join(re.sub("[^a-z' ]", " ", text.lower()).split())


def recordings(table, ids):
    """The utterances, and their texts."""
    wanted = {line.split("\t")[0] for line in Path(ids).read_text(encoding="utf-8").splitlines()}
    with Path(table).open(encoding="utf-8", newline="") as stream:
        rows = [r for r in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE) if r["id"] in wanted]
    found = [Utterance(r["id"], r["speaker"], str(Path(table).parent / r["audio"])) for r in rows]
    return found, {r["id"]: plain(r["text"]) for r in rows}


def word_counts(path, words):
    """How often a text has each of some words."""
    found = Counter()
    with Path(path).open(encoding="utf-8") as lines:
        for line in lines:
            found.update(word for word in line.split() if word in words)
    return found


def rare_words(counts, texts, model, most, distractors):
    """The words of the texts that are rare, and as rare ones that are said nowhere."""
    said = {word for text in texts.values() for word in text.split()}
    names = sorted(word for word in said if word in model.lexicon and counts[word] <= most)
    others = [
        w
        for w in (entry.word for entry in model.lexicon.entries)
        if w not in said and w.isalpha() and len(w) > 2 and counts[w] <= most
    ]
    chosen = np.random.default_rng(0).choice(sorted(set(others)), distractors * len(names), replace=False)
    return names, [str(word) for word in chosen]


def measured(model, utterances, texts, listed, names, bonus):
    """Of each utterance: names said, found; other words, wrong ones; listed words found that were not said."""
    recogniser = boosted(model, [(word, bonus) for word in listed])[0] if bonus else model
    found = {u.id: result.text for u, result in transcribe_all(recogniser, utterances)}
    numbers, everything = [], set(listed)
    scored = score({u.id: texts[u.id] for u in utterances}, found)
    for utterance in scored.utterances:
        words = texts[utterance.id].split()
        said = sum(word in names for word in words)
        missed = sum(word in names for word, _ in utterance.edits)
        false = sum(other in everything for _, other in utterance.edits)
        numbers.append((said, said - missed, len(words) - said, len(utterance.edits) - missed, false))
    return np.array(numbers)


def told(name, numbers, before=None):
    said, right, others, wrong, false = numbers.sum(axis=0)
    line = f"{name:12} recall {right:3} of {said} ({100 * right / said:5.1f} %)"
    line += f", other words {100 * wrong / others:5.1f} % wrong, listed words that were not said {false}"
    if before is not None:
        rng, n = np.random.default_rng(0), len(numbers)
        draws = rng.integers(0, n, (10_000, n))
        a, b = before[draws].sum(axis=1), numbers[draws].sum(axis=1)
        recall = np.quantile(100 * (b[:, 1] - a[:, 1]) / a[:, 0], (0.025, 0.975))
        harm = np.quantile(100 * (b[:, 3] - a[:, 3]) / a[:, 2], (0.025, 0.975))
        line += (
            f"; recall {recall[0]:+.1f} to {recall[1]:+.1f} %, wrong others {harm[0]:+.2f} to {harm[1]:+.2f} % (95 %)"
        )
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "lm", "counts", "table", "ids"):
        parser.add_argument(name)
    parser.add_argument("--rare", type=int, default=100)
    parser.add_argument("--distractors", type=int, default=4)
    parser.add_argument("--bonuses", default="0,1,2,3,4,6,8,12")
    given = parser.parse_args()
    model = asr.load(given.model)
    model = with_dynamic_graph(
        model, arpa_grammar(read_model(given.lm), model.lexicon), words=words_of(model, model.lexicon)
    )
    utterances, texts = recordings(given.table, given.ids)
    counts = word_counts(given.counts, {entry.word for entry in model.lexicon.entries})
    names, others = rare_words(counts, texts, model, given.rare, given.distractors)
    n_tokens = sum(word in names for text in texts.values() for word in text.split())
    print(
        f"{len(utterances)} recordings; {len(names)} rare words ({n_tokens} times said) among {len(others)} that are "
        "not said"
    )
    print("rare:", " ".join(names))
    halves = utterances[::2], utterances[1::2]
    tuned = {}
    for bonus in map(float, given.bonuses.split(",")):
        tuned[bonus] = measured(model, halves[0], texts, [*names, *others], set(names), bonus)
        told(f"bonus {bonus:g}", tuned[bonus], tuned[0.0])

    def errors(numbers):
        said, right, _, wrong, _ = numbers.sum(axis=0)
        return said - right + wrong

    best = min(tuned, key=lambda bonus: (errors(tuned[bonus]), bonus))
    print(f"chosen: {best:g}; the other half")
    without = measured(model, halves[1], texts, [*names, *others], set(names), 0.0)
    told("without", without)
    told(f"bonus {best:g}", measured(model, halves[1], texts, [*names, *others], set(names), best), without)


if __name__ == "__main__":
    main()
