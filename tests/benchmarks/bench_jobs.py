"""`asr transcribe --jobs` over many short recordings and one long one: speed, memory, and the same text.

`python tests/benchmarks/bench_jobs.py FOLDER [--model digits] [--hours 1] [--reps 3] [--jobs 1,2]`: FOLDER holds short
recordings, such as the Free Spoken Digit Dataset. All of them are transcribed as they are, and then joined, with pauses
of 0.3 to 1.5 s, into one recording of so many hours. The numbers of processes are taken in turns; the time for a single
recording, which is Python's start, is taken off each.

Wall clock counts where nothing else runs. On a machine with other work "bound" tells what the work itself allows: the
CPU seconds of one process, over those of the busiest of several. "unique" is the largest sum, over the processes, of
memory that is counted once (proportional set size: what two share counts half for each). The quarters are the seconds
in which each quarter of the lines came.

2026-12-01, 2 cores of an Intel Xeon at 2.6 GHz, load 1.3, digits, medians of three runs in turns, the same text:

|              | 1 job  | 2 jobs | ratio  | bound  | unique, 1 job | 2 jobs  | quarters, 2 jobs      |
|--------------|--------|--------|--------|--------|---------------|---------|-----------------------|
| 3,000 digits | 9.8 s  | 5.4 s  | 1.82 x | 1.84 x | 159 MiB       | 184 MiB | 1.4, 1.2, 1.3, 1.2 s  |
| one hour     | 13.3 s | 7.2 s  | 1.86 x | 1.88 x | 165 MiB       | 191 MiB | 1.8, 1.7, 1.8, 1.7 s  |
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import soundfile

OFTEN = 0.05  # s between two looks at the processes; their memory is looked at every tenth time


@dataclass
class Run:
    """One call of the command.

    Attributes:
        came: s from the start, when each line was there.
        cpu: process id -> s, at the last look.
        unique: bytes.
    """

    lines: list[str] = field(default_factory=list)
    came: list[float] = field(default_factory=list)
    cpu: dict[int, float] = field(default_factory=dict)
    unique: int = 0
    wall: float = 0.0

    def look(self, parent: psutil.Process, *, memory: bool) -> None:
        """Note what each process has taken by now."""
        total = 0
        for process in [parent, *parent.children(recursive=True)]:
            try:
                times = process.cpu_times()
                self.cpu[process.pid] = times.user + times.system
                total += process.memory_full_info().pss if memory else 0
            except psutil.Error:  # it has just ended
                continue
        self.unique = max(self.unique, total)

    @property
    def quarters(self) -> list[float]:
        """Seconds in which each quarter of the lines came, from the first line on."""
        at = [self.came[round(part * (len(self.came) - 1) / 4)] for part in range(5)]
        return [b - a for a, b in itertools.pairwise(at)]


def transcribe(model: str, inputs: Sequence[Path], jobs: int) -> Run:
    """The command over recordings, watched."""
    command = [sys.executable, "-m", "asr", "transcribe", model, *map(str, inputs), "--jobs", str(jobs)]
    run, begin = Run(), time.perf_counter()
    with subprocess.Popen([*command, "--format", "lines"], stdout=subprocess.PIPE, text=True) as process:
        parent, ended = psutil.Process(process.pid), threading.Event()

        def watch() -> None:
            looks = 0
            while not ended.wait(OFTEN):
                try:
                    run.look(parent, memory=looks % 10 == 0)
                except psutil.Error:
                    return
                looks += 1

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert process.stdout is not None
        for line in process.stdout:
            run.lines.append(line)
            run.came.append(time.perf_counter() - begin)
        ended.set()
        watcher.join()
    run.wall = time.perf_counter() - begin
    if process.returncode:
        raise SystemExit(f"asr transcribe ended with status {process.returncode}")
    return run


def join(paths: Sequence[Path], hours: float, out: Path) -> Path:
    """One recording of many, in random order, with pauses of faint noise."""
    rng, rate = np.random.default_rng(0), soundfile.info(paths[0]).samplerate
    left = round(hours * 3600 * rate)
    with soundfile.SoundFile(out, "w", rate, 1, "PCM_16") as file:
        while left > 0:
            for i in rng.permutation(len(paths)):
                samples, _ = soundfile.read(paths[i], dtype="float32")
                pause = 1e-4 * rng.standard_normal(round(rate * rng.uniform(0.3, 1.5)))
                piece = np.concatenate([samples, pause])[:left]
                file.write(piece)
                left -= len(piece)
                if left <= 0:
                    break
    return out


def compare(name: str, model: str, inputs: Sequence[Path], single: Path, jobs: Sequence[int], reps: int) -> None:
    """Time both in turns, and print a line for each number of processes."""
    runs: dict[int, list[Run]] = {n: [] for n in jobs}
    starts: dict[int, list[Run]] = {n: [] for n in jobs}
    for _ in range(reps):
        for n in jobs:
            starts[n].append(transcribe(model, [single], n))
            runs[n].append(transcribe(model, inputs, n))
    texts = {"".join(run.lines) for of_n in runs.values() for run in of_n}
    print(f"{name}: {'the same text' if len(texts) == 1 else f'{len(texts)} DIFFERENT TEXTS'}, {reps} runs")
    base = None
    for n in jobs:
        wall = statistics.median(run.wall for run in runs[n]) - statistics.median(run.wall for run in starts[n])
        start = statistics.median(max(run.cpu.values()) for run in starts[n])
        busiest = statistics.median(max(run.cpu.values()) for run in runs[n]) - start
        every = statistics.median(sum(run.cpu.values()) for run in runs[n])
        base = base or (wall, busiest)
        unique = max(run.unique for run in runs[n]) / 2**20
        quarters = " ".join(
            f"{statistics.median(times):.1f}" for times in zip(*(r.quarters for r in runs[n]), strict=True)
        )
        print(
            f"  {n} jobs: {wall:6.2f} s ({base[0] / wall:.2f} x), CPU of all {every:.1f}, of the busiest {busiest:.1f} "
            f"(bound {base[1] / busiest:.2f} x), unique {unique:.0f} MiB, quarters {quarters}"
        )


def main() -> None:
    """Both loads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--jobs", default="1,2")
    options = parser.parse_args()
    jobs = [int(n) for n in options.jobs.split(",")]
    paths = sorted(path for path in options.folder.iterdir() if path.suffix in (".wav", ".flac", ".ogg"))
    transcribe(options.model, paths[:1], 1)  # compiled, if it was not
    print(f"load {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores")
    compare(f"{len(paths)} recordings", options.model, [options.folder], paths[0], jobs, options.reps)
    with tempfile.TemporaryDirectory() as folder:
        long = join(paths, options.hours, Path(folder) / "long.wav")
        compare(f"{options.hours:g} hours", options.model, [long], paths[0], jobs, options.reps)
    print(f"load {psutil.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
