"""Mboshi's monophones beside those of Kaldi's code: phone error rate on dev, everything but the training the same.

    KALDI_PYTHON=.venv-kaldi/bin/python python tests/benchmarks/bench_mboshi_mono.py build/mboshi [--seeds 0 1 2]

The argument is a finished folder of recipes/mboshi/run.py (--tests dev --systems mono is enough); the environment is
that of kaldi_mono.py. Kaldi's code is given our features of the same utterances (after the speaker's mean is taken off,
with derivatives), the same lexicon, optional silence and topologies, and does what steps/train_mono.sh does: 40 passes,
the same realignments, beams, scales and numbers of Gaussians. Both models then get the graph of the recipe's
unit trigram, from our compiler; our decoder searches it, acoustic scale and insertion penalty are tuned on the recipe's
held-out utterances over its grid, and dev is decoded once. On some utterances of dev the peer's model is decoded by
Kaldi's own decoders too, which should find the same. What is done already in the work folder is not done again.

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
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy reads them
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np
from asr.recipe.rungs import fewest_errors, make_rung, test_rung, tune_rung
from asr.recipe.tasks import read_json, usable
from bench_training import kaldi_python

from asr.errors import ModelError
from asr.gmm.model import DiagGmms
from asr.model import load
from asr.recipe import Run, load_config, run_recipe
from asr.recipe.grammars import make_graph
from asr.scoring import Comparison, Score, compare, score
from asr.scoring.reading import read_transcripts
from asr.train.data import Data
from asr.train.tuning import TuningPoint

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEER = HERE / "kaldi_mono_given.py"
LETTERS, QUESTIONS = ROOT / "lang" / "mboshi" / "letters.tsv", ROOT / "lang" / "mboshi" / "questions.txt"


@dataclass(frozen=True)
class Bench:
    """What both systems share.

    recipe: the recipe's finished folder. settings: of mboshi.toml. run: the work folder, peer: that of what Kaldi's
    code makes, which does not depend on ours. train, held_out, dev: utterance ids.
    """

    recipe: Path
    settings: Any
    run: Run
    peer: Run
    train: list[str]
    held_out: list[str]
    dev: list[str]

    @property
    def data(self) -> Path:
        """The folder of features."""
        return self.recipe / "features"


@dataclass(frozen=True)
class Row:
    """A trained and tested system."""

    system: str
    seed: int
    score: Score
    tuned: TuningPoint
    log_likelihood: float
    n_gaussians: int
    cpu_seconds: float
    folder: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipe", type=Path, help="finished folder of recipes/mboshi/run.py")
    parser.add_argument("--work", type=Path, help="work folder (RECIPE/kaldi)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--check", type=int, default=30, help="utterances that Kaldi's decoders decode too")
    arguments = parser.parse_args()
    bench = prepared(arguments.recipe, arguments.work or arguments.recipe / "kaldi")
    for seed in arguments.seeds:
        ours, theirs = our_row(bench, seed), peer_row(bench, seed)
        same = decoders_agree(bench, theirs, arguments.check)
        tell(ours, theirs, compare(theirs.score, ours.score), same)


def prepared(recipe: Path, work: Path) -> Bench:
    """The ids of the recipe's parts, read from what it left: the same as its `all_data` chose."""
    settings = load_config(ROOT / "recipes" / "mboshi" / "mboshi.toml", recipe_module().Settings)
    transcripts = Data.load(recipe / "features").transcripts
    with np.load(recipe / "dev-mono" / "alignments.npz") as stored:
        heard = {*stored["ids"].tolist()} | {*read_json(recipe / "dev-mono" / "training.json")["failures"]}
    dev = list(read_transcripts(recipe / "dev-mono-units-test" / "references.tsv"))
    texts = {transcripts[u] for u in heard}
    others = [u for u in transcripts if u not in heard and u not in set(dev)]
    sources = b"".join((HERE / name).read_bytes() for name in (PEER.name, "kaldi_mono.py"))
    return Bench(
        recipe, settings, Run(work), Run(work / "peer", code=hashlib.sha256(sources).hexdigest()),
        [u for u in transcripts if u in heard], [u for u in others if transcripts[u] not in texts], dev,
    )  # fmt: skip


def recipe_module() -> ModuleType:
    """recipes/mboshi/run.py."""
    spec = importlib.util.spec_from_file_location("mboshi_recipe", ROOT / "recipes" / "mboshi" / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def our_row(bench: Bench, seed: int) -> Row:
    """Our monophones: those of the recipe, or ones of another seed."""
    rung = bench.recipe / "dev-mono"
    record = bench.recipe / ".stages" / "dev-mono.json"
    if seed != bench.settings.seed:
        model = load(rung / "model")
        inputs = {
            "data": bench.data, "ids": bench.train, "lexicon": bench.recipe / "lexicon" / "lexicon.tsv",
            "questions": QUESTIONS, "pipeline": replace(model.features, steps=model.features.steps[:-1]),
            "sizes": bench.settings.sizes, "stage": "mono", "previous": None, "seed": seed,
            "n_jobs": bench.settings.n_jobs,
        }  # fmt: skip
        rung = bench.run.stage(f"ours-{seed}", make_rung, inputs)
        record = bench.run.folder / ".stages" / f"ours-{seed}.json"
    log = read_json(rung / "training.json")["log"]
    return row_of(bench, "asr", seed, rung, log[-1]["log_likelihood"], read_json(record)["cpu_seconds"])


def peer_row(bench: Bench, seed: int) -> Row:
    """Kaldi's monophones."""
    ours = bench.recipe / "dev-mono" / "model"
    task = bench.run.stage("task", make_task, {"data": bench.data, "ids": bench.train, "model": ours})
    trained = bench.peer.stage(f"trained-{seed}", train_peer, {"task": task, "seed": seed})
    rung = bench.run.stage(f"kaldi-{seed}", as_our_model, {"ours": ours, "trained": trained})
    told = read_json(trained / "training.json")
    return row_of(bench, "Kaldi", seed, rung, told["log_likelihood"], told["cpu_seconds"])


def make_task(folder: Path, data: Path, ids: list[str], model: Path, first: int | None = None) -> None:
    """The features, words and lexicon for the peer.

    first: only so many of the utterances; a speaker's mean is that of all.
    """
    ours, part = load(model), usable(data, ids)
    table = part.normalised(ours.features)
    chosen = list(table)[:first]
    np.save(folder / "frames.npy", np.concatenate([table[u] for u in chosen]))
    utterances = [[u, len(table[u]), part.transcripts[u].split()] for u in chosen]
    lexicon = [[entry.word, list(entry.phones)] for entry in ours.lexicon.entries]
    (folder / "task.json").write_text(
        json.dumps({"utterances": utterances, "lexicon": lexicon}, ensure_ascii=False), encoding="utf-8"
    )


def train_peer(folder: Path, task: Path, seed: int) -> None:
    """Kaldi's training, in its own environment."""
    subprocess.run([kaldi_python(), str(PEER), "train", str(task), str(folder), "--seed", str(seed)], check=True)


def as_our_model(folder: Path, ours: Path, trained: Path) -> None:
    """The peer's mixtures and transition probabilities in a model of ours, `folder`/model.

    Raises ModelError where its transition ids are not ours.
    """
    model = load(ours)
    with np.load(trained / "model.npz") as arrays:
        if not np.array_equal(arrays["tuples"], model.transitions.tuples):
            raise ModelError(f"{trained}: the peer's transition ids stand for other states than ours")
        acoustic = DiagGmms.from_arrays(arrays)
        transitions = replace(model.transitions, log_probs=arrays["log_probs"])
    replace(model, acoustic=acoustic, transitions=transitions).save(folder / "model")


def row_of(bench: Bench, system: str, seed: int, rung: Path, log_likelihood: float, seconds: float) -> Row:
    """A model with its graph, tuned and tested as the recipe does it."""
    name, grammar, spoken = f"{system}-{seed}", bench.settings.units, bench.recipe / "dev-units-lm"
    graph = bench.run.stage(
        f"{name}-graph", make_graph, {"rung": rung, "language_model": spoken, "grammar": grammar}
    )  # fmt: skip
    common = {"data": bench.data, "graph": graph, "letters": LETTERS, "grammar": grammar}
    common |= {"search": bench.settings.unit_search, "n_jobs": bench.settings.n_jobs}
    tuning = bench.run.stage(f"{name}-tuning", tune_rung, {**common, "ids": bench.held_out})
    folder = bench.run.stage(f"{name}-test", test_rung, {**common, "ids": bench.dev, "tuned": [tuning]})
    counted = score(read_transcripts(folder / "references.tsv"), read_transcripts(folder / "hypotheses.tsv"))
    points = [TuningPoint(**p) for p in read_json(tuning / "tuning.json")]
    n_gaussians = len(load(folder / "model").acoustic.arrays()["weights"])
    return Row(system, seed, counted, fewest_errors(points), log_likelihood, n_gaussians, seconds, folder)


def decoders_agree(bench: Bench, row: Row, n: int) -> dict[str, tuple[int, int]]:
    """Decoder -> of how many of the first utterances of dev it finds the units that ours does, and of how many.

    Kaldi's decoders have no insertion penalty: it stands in the graph, on every arc with a unit.
    """
    model = load(row.folder / "model")
    trained = bench.peer.folder / f"trained-{row.seed}" / "model.npz"
    inputs = {"data": bench.data, "ids": bench.dev, "model": row.folder / "model", "trained": trained, "first": n}
    folder = bench.run.stage(f"{row.system}-{row.seed}-decoders", decode_peer, inputs)
    ours = read_transcripts(row.folder / "hypotheses.tsv")
    name = model.lexicon.words.name
    found = {
        decoder: {u: " ".join(name(w) for w in words) for u, words in texts.items()}
        for decoder, texts in read_json(folder / "words.json").items()
    }
    return {d: (sum(ours[u] == text for u, text in texts.items()), len(texts)) for d, texts in found.items()}


def decode_peer(folder: Path, data: Path, ids: list[str], model: Path, trained: Path, first: int) -> None:
    """`folder`/words.json: what Kaldi's decoders find, as word ids."""
    ours = load(model)
    make_task(folder, data, ids, model, first)
    assert ours.graph is not None
    graph, arcs = ours.graph, {name: ours.graph.arcs[name] for name in ("ilabel", "olabel", "weight", "next")}
    arcs["weight"] = arcs["weight"] + np.where(arcs["olabel"] > 0, np.float32(ours.decoding.insertion_penalty), 0)
    np.savez(folder / "HCLG.npz", start=graph.start, final=graph.states["final"], source=graph.sources(), **arcs)
    command = [kaldi_python(), str(PEER), "decode", str(folder), str(trained), str(folder / "HCLG.npz")]
    command += [str(folder / "words.json"), "--scale", str(ours.decoding.acoustic_scale)]
    subprocess.run([*command, "--beam", str(ours.decoding.beam)], check=True)


def tell(ours: Row, theirs: Row, difference: Comparison, same: dict[str, tuple[int, int]]) -> None:
    """Print the two rows, the paired bootstrap and whether the decoders agree."""
    print(
        "\n| system | seed | PER % | errors/total | sub | del | ins | scale | penalty | held-out errors |"
        " log-likelihood/frame | Gaussians | train CPU s |\n|---|---:" + "|---:" * 11 + "|"
    )
    for r in (ours, theirs):
        s, t = r.score, r.tuned
        print(
            f"| {r.system} | {r.seed} | {s.rate:.2f} | {s.errors}/{s.total} | {s.substitutions} | {s.deletions}"
            f" | {s.insertions} | {t.acoustic_scale:g} | {t.insertion_penalty:g} | {t.errors}/{t.total}"
            f" | {r.log_likelihood:.4f} | {r.n_gaussians} | {r.cpu_seconds:.0f} |"
        )
    d = difference
    print(
        f"\nKaldi to asr: {d.difference:+.2f} ({d.low:+.2f} to {d.high:+.2f}), asr better in {100 * d.better:.1f} % of"
        " 1,000 paired bootstrap samples of utterances"
    )
    for decoder, (n_same, n) in same.items():
        print(f"Kaldi's {decoder} finds the same units as ours in {n_same} of {n} utterances")


if __name__ == "__main__":
    run_recipe(main)
