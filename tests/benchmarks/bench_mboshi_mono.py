"""Mboshi's monophones beside those of Kaldi's code: phone error rate on dev, everything but the training the same.

    KALDI_PYTHON=.venv-kaldi/bin/python python tests/benchmarks/bench_mboshi_mono.py build/mboshi --corpus DIR

The argument is a folder of recipes/mboshi/run.py, whose finished steps are taken; --corpus is the recipe's, --seeds may
follow; the environment is that of kaldi_mono.py. Kaldi's code is given our features of the same utterances (after the
speaker's mean is taken off, with derivatives), the same lexicon, optional silence and topologies, and does what
steps/train_mono.sh does: 40 passes, the same realignments, beams, scales and numbers of Gaussians. Both models then get
the graph of the recipe's n-gram of units, from our compiler; our decoder searches it, acoustic scale and insertion
penalty are tuned on the recipe's held-out utterances over its grid, and dev is decoded once. On some utterances of dev
the peer's model is decoded by Kaldi's own decoders too, which should find the same. What is done is not done again.

What is left of differences in training:
- pass 0 spreads the frames equally over a random path through the transcript. Kaldi draws among the arcs of its graph,
  of which three lead into silence: it is there at three of four word boundaries, ours at one of two. Kaldi's random
  numbers are seeded by the utterance's id; a seed here is added to that, so seeds of the two have nothing in common;
- the first Gaussians have the mean and variance of ten utterances, ours of all. Pass 0 replaces them;
- an utterance is given up in pass 0 where ten random paths are too long for it, ours then takes the shortest;
- aligning, Kaldi keeps the best 20 states whatever the beam; ours keeps those within the beam.

Of these only the random paths matter, but they do: trained from Kaldi's pass 0 (of seed 0), ours has its log-likelihood
a frame to 0.02 in passes 1 to 4, and makes 42.44 % errors on dev where Kaldi's makes 42.67 and ours from its own pass 0
43.58. The log-likelihoods at the end differ by up to 0.3, mostly of silence, and do not tell which model is better.

Time: that of one process of the peer, without reading; for each frame it is called from Python, which costs it some
microseconds. Ours is that of the recipe's stage, all processes, lexicon and features read and alignments written.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy reads them
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np
from bench_training import kaldi_python

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # recipes are a package there

from asr.corpus import Corpus  # noqa: E402
from asr.errors import ModelError  # noqa: E402
from asr.gmm.model import DiagGmms  # noqa: E402
from asr.gmm.schedule import PassRecord  # noqa: E402
from asr.model import Model, load  # noqa: E402
from asr.options import load_config  # noqa: E402
from asr.recipe.bench import Bench, Result, System  # noqa: E402
from asr.recipe.grammars import spelled_lexicon  # noqa: E402
from asr.recipe.run import Run, run_recipe  # noqa: E402
from asr.recipe.systems import Part, usable  # noqa: E402
from asr.scoring import compare  # noqa: E402
from asr.train.data import Data  # noqa: E402
from asr.train.stage import TrainedStage  # noqa: E402
from asr.train.tuning import best_point  # noqa: E402
from recipes.mboshi.parts import HERE, Settings, all_data, read_corpus  # noqa: E402
from recipes.mboshi.run import LETTERS, mfcc, stages  # noqa: E402

PEER = Path(__file__).resolve().parent / "kaldi_mono_given.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of recipes/mboshi/run.py")
    parser.add_argument("--corpus", type=Path, required=True, help="folder with train/ and dev/")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--check", type=int, default=30, help="utterances that Kaldi's decoders decode too")
    arguments = parser.parse_args()
    settings, run = load_config(HERE / "mboshi.toml", Settings), Run(arguments.out)
    train, dev = read_corpus(arguments.corpus, "train"), read_corpus(arguments.corpus, "dev")
    corpus, pipeline = Corpus([*train, *dev]), mfcc(settings)
    data = run.step("features", Data.of, corpus, pipeline, n_jobs=settings.n_jobs)
    lexicon = run.step("lexicon", spelled_lexicon, list(train.transcripts().values()), LETTERS)
    bench = Bench(run, corpus, settings.n_jobs, letters=LETTERS, lexicon=lexicon)
    mono, fold = (
        stages(data, {"pipeline": pipeline, "lexicon": lexicon, "sizes": settings.sizes}, settings)[0],
        all_data(train, dev, settings),
    )
    for seed in arguments.seeds:
        mono = replace(mono, grammar=settings.units)
        ours = replace(bench, tuning_seed=seed).test(mono, "dev", [fold], seed)
        options = {"ours": bench.trained(mono, fold.part, seed), "peer": PEER}
        peer = System("kaldi", "mfcc", train_peer, options, data, adaptation="session", search=mono.search)
        peer = replace(peer, grammar=settings.units)
        theirs = replace(bench, tuning_seed=seed).test(peer, "dev", [fold], seed)
        tell(ours, theirs, decoders_agree(bench, theirs, data, fold.test[: arguments.check]))


def train_peer(
    data: Data, part: Part, below: None, prefixes: Sequence[str], *, ours: TrainedStage, peer: Path, seed: int,
    folder: Path, n_jobs: int = 1,
) -> TrainedStage:  # fmt: skip
    """A step: Kaldi's monophones, trained in its own environment, in a model of ours.

    Raises ModelError where its transition ids are not ours.
    """
    model = ours.model
    write_task(folder, model, usable(data, part.train))
    subprocess.run([kaldi_python(), str(peer), "train", str(folder), str(folder), "--seed", str(seed)], check=True)
    with np.load(folder / "model.npz") as arrays:
        if not np.array_equal(arrays["tuples"], model.hmms.transitions.tuples):
            raise ModelError("the peer's transition ids stand for other states than ours")
        acoustic = DiagGmms.from_arrays(arrays)
        transitions = replace(model.hmms.transitions, log_probs=arrays["log_probs"])
    told = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    last = replace(ours.log[-1], log_likelihood=told["log_likelihood"], n_gaussians=acoustic.n_gauss)
    assert isinstance(last, PassRecord)
    return TrainedStage(
        replace(model, acoustic=acoustic, units=replace(model.hmms, transitions=transitions)), {}, {}, [last]
    )


def write_task(folder: Path, model: Model, part: Data, first: Sequence[str] | None = None) -> None:
    """The features, words and lexicon for the peer. first: only these; a speaker's mean is that of all."""
    table = part.normalised(model.features)
    chosen = list(table if first is None else first)
    np.save(folder / "frames.npy", np.concatenate([table[u] for u in chosen]))
    utterances = [[u, len(table[u]), part.transcripts[u].split()] for u in chosen]
    lexicon = [[entry.word, list(entry.phones)] for entry in model.lexicon.entries]
    task = json.dumps({"utterances": utterances, "lexicon": lexicon}, ensure_ascii=False)
    (folder / "task.json").write_text(task, encoding="utf-8")


def decoders_agree(bench: Bench, theirs: Result, data: Data, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Decoder -> of how many utterances it finds the units that ours does with the same model, and of how many.

    Kaldi's decoders have no insertion penalty: it stands in the graph, on every arc with a unit.
    """
    tested, trained = theirs.folds[0].recognised, theirs.folds[0].trained.folder / "model.npz"
    found = bench.run.step(
        f"{tested.name}-decoders", decode_peer, data, list(ids), tested.folder / "model", trained, PEER
    )
    name = load(tested.folder / "model").lexicon.words.name
    texts = {d: {u: " ".join(map(name, words)) for u, words in of.items()} for d, of in found.items()}
    ours = theirs.hypotheses
    return {d: (sum(ours[u] == text for u, text in of.items()), len(of)) for d, of in texts.items()}


def decode_peer(
    data: Data, ids: list[str], model: Path, trained: Path, peer: Path, folder: Path
) -> dict[str, dict[str, list[int]]]:
    """A step: decoder -> utterance id -> the word ids that Kaldi's decoder finds."""
    ours = load(model)
    write_task(folder, ours, data, [u for u in ids if u in data.raw])
    assert ours.graph is not None
    graph, arcs = ours.graph, {name: ours.graph.arcs[name] for name in ("ilabel", "olabel", "weight", "next")}
    arcs["weight"] = arcs["weight"] + np.where(arcs["olabel"] > 0, np.float32(ours.decoding.insertion_penalty), 0)
    np.savez(folder / "HCLG.npz", start=graph.start, final=graph.states["final"], source=graph.sources(), **arcs)
    command = [kaldi_python(), str(peer), "decode", str(folder), str(trained), str(folder / "HCLG.npz")]
    command += [str(folder / "words.json"), "--scale", str(ours.decoding.acoustic_scale)]
    subprocess.run([*command, "--beam", str(ours.decoding.beam)], check=True)
    return json.loads((folder / "words.json").read_text(encoding="utf-8"))


def tell(ours: Result, theirs: Result, same: dict[str, tuple[int, int]]) -> None:
    """Print the two rows, the paired bootstrap and whether the decoders agree."""
    print(
        "\n| system | seed | PER % | errors/total | sub | del | ins | scale | penalty | held-out errors |"
        " log-likelihood/frame | Gaussians | train CPU s |\n|---|---:" + "|---:" * 11 + "|"
    )
    for r in (ours, theirs):
        s, t, last = r.score, best_point(r.folds[0].tuning), r.folds[0].trained.value.log[-1]
        print(
            f"| {r.system.model} | {r.seed} | {s.rate:.2f} | {s.errors}/{s.total} | {s.substitutions} | {s.deletions}"
            f" | {s.insertions} | {t.setting['acoustic_scale']:g} | {t.setting['insertion_penalty']:g}"
            f" | {t.errors}/{t.total} | {last.log_likelihood:.4f} | {last.n_gaussians} | {r.train_cpu_seconds:.0f} |"
        )
    d = compare(theirs.score, ours.score)
    print(
        f"\nKaldi to asr: {d.difference:+.2f} ({d.low:+.2f} to {d.high:+.2f}), asr better in {100 * d.better:.1f} % of"
        " 1,000 paired bootstrap samples of utterances"
    )
    for decoder, (n_same, n) in same.items():
        print(f"Kaldi's {decoder} finds the same units as ours in {n_same} of {n} utterances")


if __name__ == "__main__":
    run_recipe(main)
