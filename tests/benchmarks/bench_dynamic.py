"""A static graph against the same words and language model composed while decoding: time, words, scores, errors.

`python tests/benchmarks/bench_dynamic.py TABLE.tsv DYNAMIC [STATIC] [--n 20] [--beams 10,13,16] [--rounds 2]`: DYNAMIC
and STATIC are models that `asr graph MODEL --lm A.arpa --lexicon L --out ...` made, with `--dynamic` and without, TABLE
has id, audio, speaker and text. Both searches get the same log-likelihoods, of the first pass where the model adapts to
speakers. CPU seconds of all utterances, one search after the other; in the first round the dynamic one knows nothing
yet, later it knows what it met before.
"""

import argparse
import csv
import re
import time
from pathlib import Path

import numpy as np

import asr
from asr.decoding import DynamicDecoder, SearchOptions, ViterbiDecoder
from asr.scoring import score

MAKERS = {"static": ViterbiDecoder, "dynamic": DynamicDecoder}


def utterances(model, table, n):
    """Of each the text in small letters, and the log-likelihoods."""
    with Path(table).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))[:n]
    for row in rows:
        samples = model.read(str(Path(table).parent / row["audio"]))
        features = model.features.finish([model.features.front_end(samples)], [row["speaker"]])[0]
        text = " ".join(re.sub("[^a-z' ]", " ", row["text"].lower()).split())
        yield row["id"], text, model.first_pass.log_likelihoods(features)


def measured(decoder, loglikes):
    """CPU seconds, and the best path."""
    begin = time.process_time()
    path = decoder.decode(loglikes)
    return time.process_time() - begin, path


def compared(models, heard, beam, rounds):
    """Print a line for each kind of graph and round; the paths of each kind."""
    found, n_frames = {}, sum(len(loglikes) for _, _, loglikes in heard)
    for kind, model in models.items():
        options = SearchOptions(beam=beam, acoustic_scale=model.decoding.acoustic_scale)
        decoder = MAKERS[kind](model.graph, model.units.pdf_of_label, options, n_columns=model.units.n_pdfs)
        for _ in range(rounds):
            taken = [measured(decoder, loglikes) for _, _, loglikes in heard]
            found[kind] = paths = [path for _, path in taken]
            said = {
                name: " ".join(model.lexicon.words.name(int(w)) for w in path.words).lower()
                for (name, _, _), path in zip(heard, paths, strict=True)
            }
            print(
                f"beam {beam:4.1f}  {kind:8}  {n_frames / sum(seconds for seconds, _ in taken):8,.0f} frames/s  "
                f"score {sum(path.score for path in paths):12.2f}  "
                f"WER {score({name: text for name, text, _ in heard}, said).rate:5.1f} %  {getattr(decoder,'n_states','')} {getattr(decoder,'n_arcs','')}",
                flush=True,
            )
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    parser.add_argument("dynamic")
    parser.add_argument("static", nargs="?")
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--beams", default="10,13,16")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    models = {kind: asr.load(path) for kind in MAKERS if (path := getattr(arguments, kind))}
    heard = list(utterances(models["dynamic"], arguments.table, arguments.n))
    for beam in map(float, arguments.beams.split(",")):
        found = compared(models, heard, beam, arguments.rounds)
        if len(found) == 2:
            pairs = list(zip(found["static"], found["dynamic"], strict=True))
            same = sum(a.words.tolist() == b.words.tolist() for a, b in pairs)
            most = np.max([abs(a.score - b.score) for a, b in pairs])
            print(f"beam {beam:4.1f}  same words {same} of {len(pairs)}, scores differ by {most:.4f} at most")


if __name__ == "__main__":
    main()
