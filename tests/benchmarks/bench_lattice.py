"""Raw lattices against Kaldi's LatticeFasterDecoder on the 5,000-word graph: speed at equal beams.

`python tests/benchmarks/bench_lattice.py [--reps 5] [--peer PYTHON]`: CPU seconds from log-likelihoods to the raw
lattice, medians, the two sides one after the other in each round. PYTHON has kaldi-hmm-gmm 1.1.4 with kaldifst 1.7.17
(pip install kaldi-hmm-gmm==1.1.4; pip install --no-deps --target DIR kaldifst==1.7.17; PYTHONPATH=DIR), which the
kaldifst of the other benchmarks doesn't fit; without it only ours is measured. Both get the same scaled float32
matrix, max_active 7000 and min_active 200. Kaldi's figure holds its pruning every 25 frames and the best path, as its
Python has no other way; neither side determinises. The time of our word lattice is a column of its own.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import decoder_graph
import numpy as np

from asr.decoding import SearchOptions, ViterbiDecoder
from asr.graph.const_fst import Graph
from asr.lattice import WordLattice, lattice_of

LOADS = ((0.2, 10.0), (0.2, 13.0), (0.2, 15.0), (0.3, 13.0))  # acoustic scale, beam
MAX_ACTIVE, MIN_ACTIVE = 7000, 200

PEER = """
import json, sys, time
import numpy as np, kaldifst, kaldi_hmm_gmm as khg
folder = sys.argv[1]
graph = kaldifst.StdVectorFst.read(folder + "/HCLG.vector.fst")
loglikes = np.load(folder + "/loglikes.npy")
decoder_class = khg.LatticeFasterDecoderStdVectorFst
topology = khg.HmmTopology()  # asked for, and never looked at
topology.read('''<Topology> <TopologyEntry> <ForPhones> 1 </ForPhones> <State> 0 <PdfClass> 0 <Transition> 0 0.5
    <Transition> 1 0.5 </State> <State> 1 </State> </TopologyEntry> </Topology>''')
tree = khg.monophone_context_dependency(phones=topology.phones,
    phone2num_pdf_classes=topology.get_phone_to_num_pdf_classes())
transitions = khg.TransitionModel(tree, topology)
for line in sys.stdin:
    scale, beam, lattice_beam = json.loads(line)
    matrix = np.ascontiguousarray(loglikes * np.float32(scale))
    config = khg.LatticeFasterDecoderConfig(beam=beam, max_active=MAX, min_active=MIN, lattice_beam=lattice_beam)
    decoder = decoder_class(graph, config)
    decodable = khg.DecodableCtc(matrix)
    begin = time.process_time()
    ok, _, words, likelihood = khg.decode_utterance_lattice_faster(decoder, decodable, transitions, "u", True)
    print(json.dumps([time.process_time() - begin, -likelihood]), flush=True)
"""


def ours(decoder, matrix, lattice_beam):
    """CPU seconds of the best path alone, of the raw lattice, and of the word lattice behind it; its best cost."""
    begin = time.process_time()
    decoder.decode(matrix)
    searched = time.process_time()
    lattice = lattice_of(decoder, matrix, lattice_beam)
    made = time.process_time()
    WordLattice.of(lattice)
    return searched - begin, made - searched, time.process_time() - made, lattice.best_cost, lattice.n_arcs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--peer", default="")
    parser.add_argument("--lattice-beams", default="6,8")
    given = parser.parse_args()
    folder = decoder_graph.build()
    graph, loglikes = Graph.read(folder / "HCLG.fst"), np.load(folder / "loglikes.npy")
    peer = None
    if given.peer:
        import pynini  # kaldifst 1.7.17 reads no ConstFst of ours, and pynini makes VectorFsts of all

        pynini.Fst.read(str(folder / "HCLG.fst")).write(str(folder / "HCLG.vector.fst"))
        command = [given.peer, "-c", f"MAX, MIN = {MAX_ACTIVE}, {MIN_ACTIVE}\n{PEER}", str(folder)]
        peer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    columns = np.arange(-1, loglikes.shape[1], dtype=np.int32)
    print("scale/beam  lattice beam  ours: best path, lattice frames/s   words  arcs/frame   Kaldi  ratio (spread)")
    for scale, beam in LOADS:
        matrix = np.ascontiguousarray(loglikes * np.float32(scale))
        options = SearchOptions(beam=beam, max_active=MAX_ACTIVE, min_active=MIN_ACTIVE, acoustic_scale=1.0)
        decoder = ViterbiDecoder(graph, columns, options)
        ours(decoder, matrix[:100], 6.0)
        for lattice_beam in map(float, given.lattice_beams.split(",")):
            runs, theirs = [], []
            for _ in range(given.reps):
                runs.append(ours(decoder, matrix, lattice_beam))
                if peer is not None:
                    peer.stdin.write(json.dumps([scale, beam, lattice_beam]) + "\n")
                    peer.stdin.flush()
                    theirs.append(json.loads(peer.stdout.readline()))
            best, made, words = (statistics.median(run[i] for run in runs) for i in range(3))
            n = len(matrix)
            line = f"{scale:.1f}/{beam:4.1f}  {lattice_beam:12g}  {n / best:18,.0f} {n / made:10,.0f} "
            line += f"{n / words:14,.0f} {runs[0][4] / n:8.1f}"
            if theirs:
                ratios = [t[0] / r[1] for t, r in zip(theirs, runs, strict=True)]
                kaldi = statistics.median(t[0] for t in theirs)
                line += f"  {n / kaldi:14,.0f}  {kaldi / made:6.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
                line += f"  best costs {runs[0][3]:.3f} {theirs[0][1]:.3f}"
            print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
