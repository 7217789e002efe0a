"""Records torchaudio's answers to Kaldi's vocal-tract-length warping, for tests/features/test_vtln.py.

Needs `pip install torch==2.13.0 torchaudio==2.11.0`; where torch is a build for the CPU, delete the installed folder
torchaudio/lib, for torchaudio imports its Python parts without its compiled ones:

    python tests/references/record_vtln.py tests/references/vtln.npz

All is computed in float64: a signal at each rate, then filters, log filterbanks and cepstra for each warp.
"""

import sys

import numpy as np

WARPS = (0.8, 0.88, 0.95, 1.0, 1.05, 1.12, 1.2, 1.25)
# rate -> options by the names that torchaudio and this project have in common
OPTIONS = {
    8000: {"num_mel_bins": 23, "low_freq": 20.0, "high_freq": 0.0, "vtln_low": 100.0, "vtln_high": -500.0},
    16000: {"num_mel_bins": 40, "low_freq": 60.0, "high_freq": -400.0, "vtln_low": 200.0, "vtln_high": 7000.0},
}


def speech_like(rate: int, seconds: float = 0.35) -> np.ndarray:
    """Gliding harmonics through moving formants, then noise, then near silence: int16 (n_samples,)."""
    rng = np.random.default_rng(rate)
    time = np.arange(int(rate * seconds)) / rate
    phase = 2 * np.pi * 120 * (time + 0.3 * time**2)
    frequency = 120 * (1 + 0.6 * time)
    voice = np.zeros(len(time))
    for k in range(1, int(rate / 2 / 150)):
        hz = k * frequency
        gain = sum(1 / (1 + ((hz - at) / 120) ** 2) for at in (500 + 600 * time, 1500 - 900 * time, 2600, 3500))
        voice += gain * np.sin(k * phase)
    part = np.interp(time, [0, 0.2, 0.22, 0.3, 0.32], [1, 1, 0, 0, 0])
    noise = np.interp(time, [0.2, 0.22, 0.3, 0.31], [0.01, 0.5, 0.5, 0.002])
    signal = 3000 * part * voice + 2000 * noise * rng.standard_normal(len(time)) + 20
    return np.clip(np.round(signal), -32768, 32767).astype(np.int16)


def main() -> None:
    """Write the archive named on the command line."""
    import torch
    from torchaudio.compliance import kaldi

    arrays = {}
    for rate, options in OPTIONS.items():
        samples = speech_like(rate)
        arrays[f"{rate}.samples"] = samples
        wave = torch.from_numpy(samples.astype(np.float64))[None]
        common = {**options, "sample_frequency": float(rate), "dither": 0.0, "energy_floor": 0.0}
        for warp in WARPS:
            banks, _ = kaldi.get_mel_banks(
                options["num_mel_bins"], 256 * rate // 8000, float(rate), options["low_freq"], options["high_freq"],
                options["vtln_low"], options["vtln_high"], warp,
            )  # fmt: skip
            arrays[f"{rate}.{warp}.filters"] = banks.numpy().T
            arrays[f"{rate}.{warp}.fbank"] = kaldi.fbank(wave, vtln_warp=warp, **common).numpy().astype(np.float32)
            cepstra = kaldi.mfcc(wave, vtln_warp=warp, num_ceps=13, use_energy=True, **common)
            arrays[f"{rate}.{warp}.mfcc"] = cepstra.numpy().astype(np.float32)
    np.savez_compressed(sys.argv[1], **arrays)


if __name__ == "__main__":
    main()
