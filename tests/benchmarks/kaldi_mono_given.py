"""Kaldi's monophone recipe and decoder through kaldi-hmm-gmm, on given features and words.

    python kaldi_mono_given.py train TASK OUT --seed 0
    python kaldi_mono_given.py decode TASK MODEL.npz HCLG.npz OUT.json --scale 0.1 --beam 11

TASK is a folder with frames.npy, float32 (n_frames, dim), the utterances' frames one after another, and task.json:
`utterances` (id, number of frames, words) and `lexicon` (word, phones). OUT/model.npz holds the mixtures, the
transition log-probabilities and what their transition ids stand for; OUT/training.json what happened. HCLG.npz has the
graph: start, final (cost of each state), and the arcs' source, ilabel, olabel, weight and next. OUT.json gets the word
ids that Kaldi's FasterDecoder and LatticeFasterDecoder find. bench_mboshi_mono.py runs it; environment: see
kaldi_mono.py.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import kaldi_hmm_gmm as khg  # before kaldifst: its libraries must be found first
import kaldi_mono
import kaldifst
import numpy as np

MAX_ACTIVE = 7000


def read_task(folder):
    """(utterance id -> features, utterance id -> words, lexicon entries)."""
    frames = np.load(folder / "frames.npy")
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    table, transcripts, begin = {}, {}, 0
    for utterance, n_frames, words in task["utterances"]:
        table[utterance] = frames[begin : begin + n_frames]
        transcripts[utterance] = words
        begin += n_frames
    return table, transcripts, [(word, phones) for word, phones in task["lexicon"]]


def train(task, out, seed):
    """Write a trained model and its log."""
    run, told = kaldi_mono.train(*read_task(task), seed, sys.stderr.write)
    np.savez(out / "model.npz", **arrays_of(run))
    (out / "training.json").write_text(json.dumps(told, indent=1) + "\n")


def arrays_of(run):
    """The trained model as arrays; a pdf's Gaussians are rows offsets[pdf] to offsets[pdf + 1]."""
    pdfs = [run.model.get_pdf(i) for i in range(run.model.num_pdfs)]
    # A tuple shows its phone, HMM state, forward and self-loop pdf in its text only.
    tuples = [[int(number) for number in re.findall(r"\d+", str(t))] for t in run.transitions.tuples]
    return {
        "weights": np.concatenate([p.weights for p in pdfs]),
        "means": np.concatenate([p.means for p in pdfs]),
        "variances": np.concatenate([p.vars for p in pdfs]),
        "offsets": np.cumsum([0, *(p.num_gauss for p in pdfs)]),
        "log_probs": np.array(run.transitions.log_probs),
        "tuples": np.array(tuples),
    }


def model_of(arrays):
    """Kaldi's acoustic model of such arrays."""
    model = khg.AmDiagGmm()
    for begin, end in zip(arrays["offsets"][:-1], arrays["offsets"][1:], strict=True):
        gmm = khg.DiagGmm(nmix=end - begin, dim=arrays["means"].shape[1])
        gmm.set_weights(arrays["weights"][begin:end])
        gmm.set_means(arrays["means"][begin:end])
        gmm.set_invvars(1.0 / arrays["variances"][begin:end])
        gmm.compute_gconsts()
        model.add_pdf(gmm)
    return model


def fst_of(graph):
    """The graph for Kaldi's decoders; this version of kaldifst reads no ConstFst."""
    with np.load(graph) as arrays:
        finals = arrays["final"].tolist()
        arcs = [arrays[name].tolist() for name in ("source", "ilabel", "olabel", "weight", "next")]
        start = int(arrays["start"])
    fst = kaldifst.StdVectorFst()
    for _ in finals:
        fst.add_state()
    fst.start = start
    for state, cost in enumerate(finals):
        if np.isfinite(cost):
            fst.set_final(state, cost)
    for source, *arc in zip(*arcs, strict=True):
        fst.add_arc(source, kaldifst.StdArc(*arc))
    return fst


def decode(task, model, graph, out, scale, beam):
    """Write utterance id -> word ids, of both decoders."""
    table, _, entries = read_task(task)
    with np.load(model) as arrays:
        acoustic = model_of(dict(arrays))
    topology = kaldi_mono.Language(entries).topology
    tree = khg.monophone_context_dependency(
        phones=topology.phones, phone2num_pdf_classes=topology.get_phone_to_num_pdf_classes()
    )
    transitions = khg.TransitionModel(ctx_dep=tree, hmm_topo=topology)
    fst = fst_of(graph)
    plain = khg.FasterDecoder(fst, khg.FasterDecoderOptions(beam=beam, max_active=MAX_ACTIVE))
    lattice = khg.LatticeFasterDecoder(fst, khg.LatticeFasterDecoderConfig(beam=beam, max_active=MAX_ACTIVE))
    found = {"FasterDecoder": {}, "LatticeFasterDecoder": {}}
    for u, x in table.items():
        plain.decode(khg.DecodableAmDiagGmmScaled(am=acoustic, tm=transitions, feats=x, scale=scale))
        _, best = plain.get_best_path()
        found["FasterDecoder"][u] = list(kaldifst.get_linear_symbol_sequence(best)[2])
        _, _, words, _ = khg.decode_utterance_lattice_faster(
            decoder=lattice, decodable=khg.DecodableAmDiagGmmScaled(am=acoustic, tm=transitions, feats=x, scale=scale),
            trans_model=transitions, utt=u, allow_partial=True,
        )  # fmt: skip
        found["LatticeFasterDecoder"][u] = list(words)
    out.write_text(json.dumps(found) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("task", type=Path)
    training.add_argument("out", type=Path)
    training.add_argument("--seed", type=int, default=0, help="0 is Kaldi's own")
    decoding = commands.add_parser("decode")
    for name in ("task", "model", "graph", "out"):
        decoding.add_argument(name, type=Path)
    decoding.add_argument("--scale", type=float, default=0.1)
    decoding.add_argument("--beam", type=float, default=13.0)
    arguments = vars(parser.parse_args())
    {"train": train, "decode": decode}[arguments.pop("command")](**arguments)


if __name__ == "__main__":
    main()
