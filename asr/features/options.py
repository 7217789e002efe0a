"""The settings of the front-ends: Kaldi's names and, where Kaldi has the feature, its defaults; dither off."""

import dataclasses
import math
from dataclasses import dataclass

from ..display.brief import changed_repr
from ..errors import did_you_mean

# What lies beyond these is a slip, or a model made to take all memory and time.
_MOST_OVERLAP = 3000  # frames that share a sample
_MOST_BINS, _MOST_ORDER, _MOST_CEPS = 1000, 500, 1000

WINDOW_TYPES = ("hamming", "hanning", "povey", "rectangular", "sine", "blackman")


@dataclass(frozen=True, kw_only=True, repr=False)
class FramePositions:
    """Where frames lie in a signal.

    Raises:
        ValueError: for a value that is impossible at any sampling rate; what depends on the rate (a high_freq above
            half the sampling rate, a prediction order longer than a frame) is found when features are computed.
    """

    frame_length: float = 25.0  # ms, up to 10,000
    frame_shift: float = 10.0  # ms
    snip_edges: bool = True  # True: only whole frames; False: n_samples / shift frames, the signal mirrored at its ends

    __repr__ = changed_repr

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, of_type(field.name, getattr(self, field.name), field.default))
        self._check("frame_length", above=0, most=10_000)  # more is a slip, and takes all memory
        self._check("frame_shift", above=0)
        if self.frame_length > _MOST_OVERLAP * self.frame_shift:
            raise ValueError(f"frame_shift={self.frame_shift!r}; need a 3000th of the frame length or more")

    def _check(self, name: str, *, least: float = -math.inf, above: float = -math.inf, most: float = math.inf) -> None:
        """Raise ValueError unless the field lies in least..most and above `above`."""
        value = getattr(self, name)
        if value < least or value <= above or value > most:
            low = f"more than {above:g}" if above > -math.inf else f"{least:g} or more"
            high = f"{most:g} or less"
            wanted = low if most == math.inf else f"{least:g} to {most:g}" if above == -math.inf else f"{low}, {high}"
            raise ValueError(f"{name}={value!r}; need {wanted}")


@dataclass(frozen=True, kw_only=True, repr=False)
class FrameOptions(FramePositions):
    """What all front-ends of spectra have in common: framing, pre-emphasis, window."""

    dither: float = 0.0  # standard deviation of added noise, int16 scale; Kaldi's default is 1, which is not repeatable
    preemphasis_coefficient: float = 0.97  # 0 to 1; 0 is off
    remove_dc_offset: bool = True  # subtract each frame's mean
    window_type: str = "povey"  # one of WINDOW_TYPES; "povey" is a raised Hann that is zero at its ends
    blackman_coeff: float = 0.42  # 0 to 1, of the Blackman window

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window_type not in WINDOW_TYPES:
            hint = did_you_mean(self.window_type, WINDOW_TYPES)
            raise ValueError(f"window_type={self.window_type!r}; need one of {', '.join(WINDOW_TYPES)}{hint}")
        self._check("dither", least=0, most=32_768)  # full scale
        for name in ("preemphasis_coefficient", "blackman_coeff"):
            self._check(name, least=0, most=1)


@dataclass(frozen=True, kw_only=True, repr=False)
class FrontEndOptions(FrameOptions):
    """What MFCC and filterbank features have in common: framing, window, mel filters, energy."""

    round_to_power_of_two: bool = True  # zero-pad each frame to the next power of two before the FFT
    num_mel_bins: int = 23  # 3 to 1000
    low_freq: float = 20.0  # Hz, lower edge of the first filter
    high_freq: float = 0.0  # Hz, upper edge of the last filter; 0 or less is counted from half the sampling rate
    vtln_low: float = 100.0  # Hz, below it a warp (see `vtln_warp`) fades out
    vtln_high: float = -500.0  # Hz, above it a warp fades out; negative is counted from half the sampling rate
    use_energy: bool = False  # log energy: instead of C0 in MFCC, as one more column in filterbanks
    energy_floor: float = 0.0  # smallest energy before its logarithm, int16 scale squared; 0 is off
    raw_energy: bool = True  # energy before pre-emphasis and window, not after
    htk_compat: bool = False  # energy (or C0 times the square root of 2) comes last

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("num_mel_bins", least=3, most=_MOST_BINS)
        for name in ("low_freq", "energy_floor"):
            self._check(name, least=0)


@dataclass(frozen=True, kw_only=True, repr=False)
class MfccOptions(FrontEndOptions):
    """Settings of `mfcc`; names and defaults are those of Kaldi's compute-mfcc-feats, but for dither 0."""

    use_energy: bool = True
    num_ceps: int = 13  # 1 to num_mel_bins; counts C0
    cepstral_lifter: float = 22.0  # scales cepstrum k by 1 + lifter/2 sin(pi k / lifter); 0 is off

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("cepstral_lifter", least=0)
        if not 1 <= self.num_ceps <= self.num_mel_bins:
            raise ValueError(f"num_ceps={self.num_ceps}; need 1 to num_mel_bins={self.num_mel_bins}")


@dataclass(frozen=True, kw_only=True, repr=False)
class FbankOptions(FrontEndOptions):
    """Settings of `fbank`; names and defaults are those of Kaldi's compute-fbank-feats, but for dither 0."""

    use_log_fbank: bool = True  # natural logarithm of the filter outputs
    use_power: bool = True  # filter the power spectrum, not the magnitude spectrum


@dataclass(frozen=True, kw_only=True, repr=False)
class LpcOptions(FrameOptions):
    """Settings of `lpc`, `lpcc` and `reflection_coefficients`; names and defaults of the cepstra are those of `mfcc`.

    The order does not follow the sampling rate, so that the number of values per frame is the same at each. 12 is HTK's
    default too; to see all formants, take the rate in kHz plus 2 to 4: 10 to 12 at 8 kHz, 18 to 20 at 16 kHz.
    """

    window_type: str = "hamming"
    order: int = 12  # of the predictor, 1 to the samples of a frame less 1, and to 500
    num_ceps: int = 13  # of lpcc, 1 to 1000; counts c0; may exceed the order
    cepstral_lifter: float = 22.0  # of lpcc, scales cepstrum k by 1 + lifter/2 sin(pi k / lifter); 0 is off

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("order", least=1, most=_MOST_ORDER)
        self._check("num_ceps", least=1, most=_MOST_CEPS)
        self._check("cepstral_lifter", least=0)


@dataclass(frozen=True, kw_only=True, repr=False)
class PitchOptions(FramePositions):
    """Settings of `pitch` and `track_pitch`; names and defaults are those of Kaldi, where `window` is frame-length."""

    window: float = 25.0  # ms, of each of the two stretches that are compared
    min_f0: float = 50.0  # Hz, 10 or more
    max_f0: float = 400.0  # Hz, above min_f0 and at most a quarter of resample_freq
    soft_min_f0: float = 10.0  # Hz, how much the search leans to high pitch: each of its periods costs a part of this
    penalty_factor: float = 0.1  # cost of a change of the logarithm of the pitch, squared, from frame to frame
    delta_pitch: float = 0.005  # ratio of neighbouring pitches in the search, less 1; 0.001 to 0.1
    nccf_ballast: float = 7000.0  # how much the search trusts loud frames more than others
    lowpass_cutoff: float = 1000.0  # Hz, 100 or more, above which the signal is not looked at
    resample_freq: float = 4000.0  # Hz, more than twice lowpass_cutoff, up to 16,000

    def __post_init__(self) -> None:
        super().__post_init__()
        # What lies beyond these is a slip, and takes all memory.
        self._check("window", least=2, most=1000)
        self._check("min_f0", least=10)
        self._check("lowpass_cutoff", least=100)
        self._check("resample_freq", above=0, most=16_000)
        self._check("penalty_factor", above=0)
        for name in ("soft_min_f0", "nccf_ballast"):
            self._check(name, least=0)
        self._check("delta_pitch", least=0.001, most=0.1)
        self._check("resample_freq", above=2 * self.lowpass_cutoff)
        self._check("max_f0", above=self.min_f0, most=self.resample_freq / 4)


def of_type(name: str, value: object, default: object) -> object:
    """`value` as the type of the field's default: a number from TOML, JSON or numpy may be of a related type.

    Raises:
        ValueError: where that would change it, or for a number that is not finite.
    """
    wanted = type(default)
    if wanted is not str and hasattr(value, "item"):
        value = value.item()
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if wanted is float and is_number:
        return float(value)  # type: ignore[arg-type]
    if wanted is int and is_number and value == int(value):  # type: ignore[call-overload]
        return int(value)  # type: ignore[call-overload]
    if wanted in (bool, str) and isinstance(value, wanted):
        return value
    kind = {float: "a finite number", int: "a whole number", bool: "True or False", str: "a name"}[wanted]
    raise ValueError(f"{name}={value!r}; need {kind}")
