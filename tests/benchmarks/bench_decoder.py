"""ViterbiDecoder against kaldi-decoder's FasterDecoder on the 5,000-word graph: speed, and the cost at equal beam.

`python tests/benchmarks/bench_decoder.py [--reps 5] [--cuts 100]`: CPU seconds (neither uses a second thread), the two
interleaved, medians. Both get the same scaled float32 matrix, the same ConstFst file, max_active 7000, min_active 20.
"""

import argparse
import statistics
import time

import decoder_graph
import numpy as np

from asr.decoding import SearchOptions, ViterbiDecoder
from asr.graph.const_fst import Graph
from asr.scoring import score

LOADS = ((0.2, 10.0), (0.2, 13.0), (0.2, 15.0), (0.3, 13.0))  # acoustic scale, beam
MAX_ACTIVE, MIN_ACTIVE = 7000, 20


def kaldi_decode(fst, matrix, beam):
    """(CPU seconds of decode, cost, words, labels, reached_final); the cost is the sum over the path in float64."""
    import kaldi_decoder
    import kaldifst

    options = kaldi_decoder.FasterDecoderOptions(beam=beam, max_active=MAX_ACTIVE, min_active=MIN_ACTIVE)
    decoder, decodable = kaldi_decoder.FasterDecoder(fst, options), kaldi_decoder.DecodableCtc(matrix)
    begin = time.process_time()
    decoder.decode(decodable)
    seconds = time.process_time() - begin
    _, lattice = decoder.get_best_path()
    _, labels, words, _ = kaldifst.get_linear_symbol_sequence(lattice)
    return seconds, path_cost(lattice), words, labels, decoder.reached_final()


def path_cost(lattice):
    """The cost of a linear lattice, summed in float64: kaldifst's own float32 sum is off by 0.02 after 3,000 frames."""
    from kaldifst.lib._kaldifst import _ArcIteratorLattice

    state, cost = lattice.start, 0.0
    while True:
        arcs = _ArcIteratorLattice(lattice, state)
        if arcs.done:
            weight = lattice.final(state)
            return cost + weight.value1 + weight.value2
        cost += arcs.value.weight.value1 + arcs.value.weight.value2
        state = arcs.value.nextstate


def our_decode(decoder, matrix):
    begin = time.process_time()
    path = decoder.decode(matrix)
    seconds = time.process_time() - begin
    return seconds, -path.score, path.words.tolist(), path.labels.tolist(), path.reached_final


def throughput(graph, fst, loglikes, names, truth, reps):
    print("scale/beam   ours frames/s   Kaldi frames/s   ratio (spread)        WER ours, Kaldi   same path")
    for scale, beam in LOADS:
        matrix = np.ascontiguousarray(loglikes * np.float32(scale))
        decoder = our_decoder(graph, matrix, beam)
        runs = []
        for rep in range(reps):
            if rep % 2:
                ours, theirs = our_decode(decoder, matrix), kaldi_decode(fst, matrix, beam)
            else:
                theirs, ours = kaldi_decode(fst, matrix, beam), our_decode(decoder, matrix)
            runs.append((ours, theirs))
        seconds = [statistics.median(run[side][0] for run in runs) for side in (0, 1)]
        ratios = [run[1][0] / run[0][0] for run in runs]
        wer = [score({"": truth}, {"": " ".join(names[w] for w in runs[0][side][2])}).rate for side in (0, 1)]
        print(
            f"{scale:.1f}/{beam:4.1f}  {len(matrix) / seconds[0]:14,.0f}  {len(matrix) / seconds[1]:15,.0f}"
            f"  {seconds[1] / seconds[0]:6.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
            f"  {wer[0]:9.1f} % {wer[1]:.1f} %   {runs[0][0][2:] == runs[0][1][2:]}",
            flush=True,
        )


def our_decoder(graph, matrix, beam):
    columns = np.arange(-1, matrix.shape[1], dtype=np.int32)
    options = SearchOptions(beam=beam, max_active=MAX_ACTIVE, min_active=MIN_ACTIVE, acoustic_scale=1.0)
    return ViterbiDecoder(graph, columns, options)


def costs_at_equal_beam(graph, fst, loglikes, n_cuts, scale=0.2, beam=13.0):
    matrix = np.ascontiguousarray(loglikes * np.float32(scale))
    decoder, rng = our_decoder(graph, matrix, beam), np.random.default_rng(5)
    differences = []
    for _ in range(n_cuts):
        length = int(rng.integers(30, 301))
        first = int(rng.integers(0, len(matrix) - length))
        part = matrix[first : first + length]
        ours, theirs = our_decode(decoder, part), kaldi_decode(fst, part, beam)
        differences.append(ours[1] - theirs[1] if ours[4] == theirs[4] else np.inf if theirs[4] else -np.inf)
    worse, equal = np.array(differences) > 1e-3, np.abs(differences) <= 1e-3
    print(
        f"{n_cuts} stretches of 30-300 frames at scale {scale}, beam {beam:g}: cost not above Kaldi's + 1e-3 on "
        f"{100 * np.mean(~worse):.0f} %, equal on {100 * np.mean(equal):.0f} %, "
        f"differences {min(differences):.1e} to {max(differences):.1e}"
    )


def main():
    import kaldifst

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--cuts", type=int, default=100)
    arguments = parser.parse_args()
    folder = decoder_graph.build()
    graph, fst = Graph.read(folder / "HCLG.fst"), kaldifst.StdConstFst.read(str(folder / "HCLG.fst"))
    loglikes = np.load(folder / "loglikes.npy")
    names = [line.split("\t")[0] for line in (folder / "words.txt").read_text(encoding="utf-8").splitlines()]
    truth = (folder / "truth.txt").read_text(encoding="utf-8").strip()
    throughput(graph, fst, loglikes, names, truth, arguments.reps)
    costs_at_equal_beam(graph, fst, loglikes, arguments.cuts)


if __name__ == "__main__":
    main()
