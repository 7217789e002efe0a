"""Monophone training against Kaldi's code: CPU seconds and log-likelihood a frame, same features and schedule.

    KALDI_PYTHON=.venv-kaldi/bin/python python tests/benchmarks/bench_training.py RECORDINGS [--seeds 0 1 2] [--jobs 1]

RECORDINGS is the Free Spoken Digit Dataset's folder of wav files (default: fsdd/recordings under $ASR_TEST_DATA);
training uses its official split. kaldi_mono.py beside this file is the peer; it needs an environment of its own, whose
python is named by KALDI_PYTHON. One BLAS thread each; the time covers graphs, alignment, statistics and updates of all
passes, of this process and its children, without imports, compilation and features.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy reads them
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np

from asr.features.table import FeatureTable
from asr.gmm.mono import MonoOptions, train_mono
from asr.hmm import kernels
from asr.jit import prepare
from asr.lang.lexicon import Lexicon

PEER = Path(__file__).with_name("kaldi_mono.py")
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
LEXICON = Lexicon(
    tuple(
        (word, tuple(phones.split()))
        for word, phones in [
            ("zero", "Z IH R OW"), ("zero", "Z IY R OW"), ("one", "W AH N"), ("two", "T UW"), ("three", "TH R IY"),
            ("four", "F AO R"), ("five", "F AY V"), ("six", "S IH K S"), ("seven", "S EH V AH N"), ("eight", "EY T"),
            ("nine", "N AY N"),
        ]
    )
)  # fmt: skip


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usages)


def kaldi_python() -> str:
    """The python that has kaldi-hmm-gmm."""
    python = os.environ.get("KALDI_PYTHON", ".venv-kaldi/bin/python")
    if not Path(python).exists():
        sys.exit(f"{python} does not exist; KALDI_PYTHON names the python with kaldi-hmm-gmm==1.1.4 kaldifst==1.7.17")
    return python


def peer(recordings: Path, *arguments: object) -> dict:
    """What kaldi_mono.py prints."""
    command = [kaldi_python(), str(PEER), str(recordings), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout) if done.stdout else {}


def ours(table: FeatureTable, seed: int, n_jobs: int) -> dict:
    """The same figures of our training."""
    transcripts = {u: LEXICON.encode(DIGITS[int(u.split("_")[0])]) or [] for u in table}
    prepare(kernels)
    wall, started = time.perf_counter(), cpu_seconds()
    result = train_mono(table, transcripts, LEXICON, MonoOptions(), seed=seed, n_jobs=n_jobs)
    return {
        "log_likelihood": result.log[-1].log_likelihood,
        "cpu_seconds": cpu_seconds() - started,
        "wall_seconds": time.perf_counter() - wall,
        "n_frames": result.log[-1].n_frames,
        "n_gaussians": result.gmms.n_gauss,
        "n_failed": len(result.failures),
    }


def compare(recordings: Path, seeds: list[int], n_jobs: int) -> list[dict]:
    """One row a seed; ours and the peer take turns, so that a busy machine slows both."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        features = Path(folder) / "features.npz"
        peer(recordings, "--dump", features)
        with np.load(features) as stored:
            table = FeatureTable.from_dict({u: stored[u] for u in stored.files})
        print(f"{len(table)} utterances, {len(table.frames)} frames, {n_jobs} processes of ours, 1 of Kaldi's")
        print(
            "seed  CPU s ours  Kaldi  ratio  wall s ours  Kaldi  log-likelihood/frame ours  Kaldi  difference  failed"
        )
        for seed in seeds:
            a, b = ours(table, seed, n_jobs), peer(recordings, "--features", features, "--seed", seed)
            row = {
                "seed": seed,
                "ours": a,
                "kaldi": b,
                "ratio": a["cpu_seconds"] / b["cpu_seconds"],
                "difference": a["log_likelihood"] - b["log_likelihood"],
            }
            rows.append(row)
            print(
                f"{seed:4d}  {a['cpu_seconds']:10.2f} {b['cpu_seconds']:6.2f} {row['ratio']:6.3f}"
                f"  {a['wall_seconds']:11.2f} {b['wall_seconds']:6.2f}"
                f"  {a['log_likelihood']:25.4f} {b['log_likelihood']:6.4f} {row['difference']:+11.4f}"
                f"  {a['n_failed']} {b['n_failed']}",
                flush=True,
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    data = os.environ.get("ASR_TEST_DATA")
    default = Path(data) / "fsdd" / "recordings" if data else None
    parser.add_argument("recordings", nargs="?", type=Path, default=default, help="the folder of wav files")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="processes of ours")
    parser.add_argument("--json", type=Path, help="write the rows here")
    arguments = parser.parse_args()
    if arguments.recordings is None:
        parser.error("give the folder of recordings, or set ASR_TEST_DATA")
    rows = compare(arguments.recordings, arguments.seeds, arguments.jobs)
    ratio, difference = (statistics.median(r[k] for r in rows) for k in ("ratio", "difference"))
    print(f"median: CPU ratio {ratio:.3f} (wanted: 0.5 or less), log-likelihood {difference:+.4f} nats a frame")
    print("        (wanted: -0.05 or more)")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
