"""MFCC throughput, one thread, against kaldi-native-fbank and librosa: `python tests/benchmarks/bench_features.py`.

All take a float32 array: 10 minutes at 16 kHz, 25 ms / 10 ms, 512-point FFT, 23 mel bins, 13 coefficients. The
extractors take turns within each round, so that whatever else the machine does hits all alike; medians of CPU time are
printed.
"""

# ruff: noqa: E402  the numbers of threads must be set before numpy is imported
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from asr.features import mfcc

RATE = 16000
TARGETS = {"kaldi-native-fbank": 5.0, "librosa": 1.5}


def speech(seconds: int) -> np.ndarray:
    """Noise that swells and fades four times a second, with an offset: float32 in [-1, 1]."""
    rng = np.random.default_rng(0)
    envelope = 0.1 * (1.05 + np.sin(2 * np.pi * 4 * np.arange(seconds * RATE, dtype=np.float32) / RATE))
    noise = rng.standard_normal(seconds * RATE, dtype=np.float32)
    return (0.2 * envelope * noise + 0.001).astype(np.float32)


def extractors(samples: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """name -> call; what is not installed is left out."""
    found: dict[str, Callable[[], np.ndarray]] = {"asr.features.mfcc": lambda: mfcc(samples, RATE)}
    try:
        import kaldi_native_fbank as knf
    except ImportError:
        print("kaldi-native-fbank is not installed", file=sys.stderr)
    else:
        options = knf.MfccOptions()
        options.frame_opts.dither = 0
        scaled = samples * np.float32(32768)

        def kaldi() -> np.ndarray:
            computer = knf.OnlineMfcc(options)
            computer.accept_waveform(RATE, scaled)
            computer.input_finished()
            return np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])

        found["kaldi-native-fbank"] = kaldi
    try:
        import librosa
    except ImportError:
        print("librosa is not installed", file=sys.stderr)
    else:
        sizes = {"n_mfcc": 13, "n_mels": 23, "n_fft": 512, "win_length": 400, "hop_length": 160}
        found["librosa"] = lambda: librosa.feature.mfcc(y=samples, sr=RATE, **sizes)
    return found


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600, help="length of the signal")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    calls = extractors(speech(given.seconds))
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(given.rounds):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            times[name].append(time.process_time() - begin)
    ours = times["asr.features.mfcc"]
    print(f"MFCC of {given.seconds} s at 16 kHz, CPU time of one thread, medians of {given.rounds} interleaved rounds")
    print(f"{'extractor':<22}{'x real time':>12}{'asr is':>10}{'target':>10}")
    for name, values in times.items():
        ratio = statistics.median(theirs / mine for theirs, mine in zip(values, ours, strict=True))
        target = f"{TARGETS[name]:.1f}x" if name in TARGETS else ""
        print(f"{name:<22}{given.seconds / statistics.median(values):>12,.0f}{ratio:>9.2f}x{target:>10}")


if __name__ == "__main__":
    main()
