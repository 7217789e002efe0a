"""A static graph against the same words and language model composed while decoding: time, words, scores, errors.

`python tests/benchmarks/bench_dynamic.py MODEL LM TABLE.tsv [--n 20] [--beams 10,13,16] [--dynamic-only]`: MODEL is a
model of HMMs whose lexicon has the words, LM a language model (ARPA or .ngram), TABLE has id, audio, speaker and text.
Both searches get the same log-likelihoods, of the first pass where the model adapts to speakers. CPU seconds; one run,
the two one after the other for each utterance.
"""

import argparse
import csv
import re
import time
from pathlib import Path

import numpy as np

import asr
from asr.decoding import DynamicDecoder, SearchOptions, ViterbiDecoder
from asr.graph import arpa_grammar
from asr.lm import read_model
from asr.model.dynamic import with_dynamic_graph
from asr.model.graphs import with_graph
from asr.scoring import score


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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("lm")
    parser.add_argument("table")
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--beams", default="10,13,16")
    parser.add_argument("--dynamic-only", action="store_true")
    arguments = parser.parse_args()
    model = asr.load(arguments.model)
    grammar = arpa_grammar(read_model(arguments.lm), model.lexicon)
    graphs = {"dynamic": with_dynamic_graph(model, grammar).graph}
    if not arguments.dynamic_only:
        graphs["static"] = with_graph(model, grammar).graph
    makers = {"static": ViterbiDecoder, "dynamic": DynamicDecoder}
    print(*graphs.values(), sep="\n")
    heard = list(utterances(model, arguments.table, arguments.n))
    reference = {name: text for name, text, _ in heard}
    n_frames = sum(len(loglikes) for _, _, loglikes in heard)
    for beam in map(float, arguments.beams.split(",")):
        options = SearchOptions(beam=beam, acoustic_scale=model.decoding.acoustic_scale)
        found = {}
        for kind, graph in graphs.items():
            decoder = makers[kind](graph, model.units.pdf_of_label, options, n_columns=model.units.n_pdfs)
            found[kind] = [measured(decoder, loglikes) for _, _, loglikes in heard]
        for kind, paths in found.items():
            words = {
                name: " ".join(model.lexicon.words.name(int(w)) for w in path.words)
                for name, (_, path) in zip(reference, paths, strict=True)
            }
            seconds = sum(took for took, _ in paths)
            print(
                f"beam {beam:4.1f}  {kind:8}  {n_frames / seconds:8,.0f} frames/s  "
                f"score {sum(path.score for _, path in paths):12.2f}  WER {score(reference, words).rate:5.1f} %",
                flush=True,
            )
        if len(found) == 2:
            pairs = [(a, b) for (_, a), (_, b) in zip(found["static"], found["dynamic"], strict=True)]
            same = sum(a.words.tolist() == b.words.tolist() for a, b in pairs)
            most = np.max([abs(a.score - b.score) for a, b in pairs])
            print(f"beam {beam:4.1f}  same words {same} of {len(pairs)}, scores differ by {most:.4f} at most")


if __name__ == "__main__":
    main()
