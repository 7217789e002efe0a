"""Feature throughput, one thread, against kaldi-native-fbank and librosa: `python tests/benchmarks/bench_features.py`.

All take a float32 array: 10 minutes at 16 kHz, 25 ms / 10 ms, 512-point FFT, 23 mel bins, 13 coefficients, linear
prediction of order 12. The extractors of a row take turns within each round, so that whatever else the machine does
hits all alike; medians of CPU time are printed. librosa.lpc gets the frames as
they are, without pre-emphasis or window.
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

from asr.features import fbank, lpc, lpcc, mfcc

RATE = 16000
Call = Callable[[], np.ndarray]
TARGETS = {("mfcc", "kaldi-native-fbank"): 5.0, ("mfcc", "librosa"): 1.5}


def speech(seconds: int) -> np.ndarray:
    """Noise that swells and fades four times a second, with an offset: float32 in [-1, 1]."""
    rng = np.random.default_rng(0)
    envelope = 0.1 * (1.05 + np.sin(2 * np.pi * 4 * np.arange(seconds * RATE, dtype=np.float32) / RATE))
    noise = rng.standard_normal(seconds * RATE, dtype=np.float32)
    return (0.2 * envelope * noise + 0.001).astype(np.float32)


def extractors(samples: np.ndarray) -> dict[str, dict[str, Call]]:
    """feature -> who computes it -> call; what is not installed is left out."""
    ours = {"mfcc": mfcc, "fbank": fbank, "lpc": lpc, "lpcc": lpcc}
    found: dict[str, dict[str, Call]] = {name: {"asr": lambda f=f: f(samples, RATE)} for name, f in ours.items()}
    for package, calls in (("kaldi-native-fbank", kaldis), ("librosa", librosas)):
        try:
            for name, call in calls(samples).items():
                found[name][package] = call
        except ImportError:
            print(f"{package} is not installed", file=sys.stderr)
    return found


def kaldis(samples: np.ndarray) -> dict[str, Call]:
    """Kaldi's code with all frames in one array at the end, as ours."""
    import kaldi_native_fbank as knf

    scaled = samples * np.float32(32768)

    def call(extractor: type, options: object) -> np.ndarray:
        computer = extractor(options)
        computer.accept_waveform(RATE, scaled)
        computer.input_finished()
        return np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])

    pairs = {"mfcc": (knf.OnlineMfcc, knf.MfccOptions()), "fbank": (knf.OnlineFbank, knf.FbankOptions())}
    for _, options in pairs.values():
        options.frame_opts.dither = 0
    return {name: lambda pair=pair: call(*pair) for name, pair in pairs.items()}


def librosas(samples: np.ndarray) -> dict[str, Call]:
    """librosa's functions for the same sizes."""
    import librosa

    sizes = {"n_mels": 23, "n_fft": 512, "win_length": 400, "hop_length": 160}

    def logs() -> np.ndarray:
        return librosa.power_to_db(librosa.feature.melspectrogram(y=samples, sr=RATE, **sizes))

    def predictors() -> np.ndarray:
        return librosa.lpc(librosa.util.frame(samples, frame_length=400, hop_length=160), order=12, axis=0)

    return {
        "mfcc": lambda: librosa.feature.mfcc(y=samples, sr=RATE, n_mfcc=13, **sizes),
        "fbank": logs,
        "lpc": predictors,
    }


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600, help="length of the signal")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(f"{given.seconds} s at 16 kHz, CPU time of one thread, medians of {given.rounds} interleaved rounds")
    print(f"{'feature':<8}{'computed by':<22}{'x real time':>12}{'asr is':>10}{'target':>10}")
    for feature, calls in extractors(speech(given.seconds)).items():
        times = interleaved(calls, given.rounds)
        for name, values in times.items():
            ratio = statistics.median(theirs / mine for theirs, mine in zip(values, times["asr"], strict=True))
            target = f"{TARGETS[feature, name]:.1f}x" if (feature, name) in TARGETS else ""
            speed = given.seconds / statistics.median(values)
            print(f"{feature:<8}{name:<22}{speed:>12,.0f}{ratio:>9.2f}x{target:>10}")


def interleaved(calls: dict[str, Call], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each call in each round, after one call that does not count."""
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.process_time()
            call()
            times[name].append(time.process_time() - begin)
    return times


if __name__ == "__main__":
    main()
