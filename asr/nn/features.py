"""MFCC and filterbanks as modules of torch: of a batch at once, on any device, with gradients down to the samples.

They are those of `asr.features.mfcc` and `fbank` within 1e-4, with the same options. Those give the same bits whatever
surrounds a frame, which models and streams rest on; these are for networks that are trained from the samples on.

>>> front_end = Fbank(16000, num_mel_bins=40)
>>> front_end(torch.zeros(2, 16000)).shape
torch.Size([2, 98, 40])
>>> features, n_frames = front_end(torch.zeros(2, 16000), torch.tensor([16000, 8000]))
>>> n_frames
tensor([98, 48])
"""

import abc
import math
from collections.abc import Sequence
from dataclasses import fields
from typing import overload

import torch
from torch import Tensor, nn

from ..audio import as_rate
from ..errors import AudioError
from ..features.cepstra import cosine_transform
from ..features.options import FbankOptions, FrontEndOptions, MfccOptions
from ..features.spectrum import SMALLEST, mel_plan
from ..options import takes_options

_FULL_SCALE = {torch.int8: 2.0**7, torch.uint8: 2.0**7, torch.int16: 2.0**15, torch.int32: 2.0**31}
_INT16_SCALE = 32768.0


class MelFrontEnd(nn.Module, abc.ABC):
    """What `Mfcc` and `Fbank` have in common: from samples to mel energies.

    Args:
        dim: values per frame.
        rate: Hz.
        options: all settings.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, rate: float, options: FrontEndOptions, vtln_warp: float, dim: int) -> None:
        super().__init__()
        self.rate, self.options, self.vtln_warp, self.dim = as_rate(rate), options, float(vtln_warp), dim
        plan = mel_plan(options, self.rate, self.vtln_warp)
        self.framing = plan.framing
        # They follow from the options, so checkpoints need not have them.
        self.register_buffer("window", torch.tensor(plan.window).float(), persistent=False)
        self.register_buffer("filters", torch.tensor(plan.filters), persistent=False)

    def extra_repr(self) -> str:
        """What `print` shows: the rate, and the options that are not the defaults."""
        defaults = type(self.options)()
        names = [f.name for f in fields(defaults) if getattr(defaults, f.name) != getattr(self.options, f.name)]
        changed = "".join(f", {name}={getattr(self.options, name)!r}" for name in names)
        return f"{self.rate:g} Hz, dim={self.dim}{changed}"

    @overload
    def forward(self, samples: Tensor, lengths: None = None) -> Tensor: ...
    @overload
    def forward(self, samples: Tensor, lengths: Tensor | Sequence[int]) -> tuple[Tensor, Tensor]: ...
    @overload
    def forward(self, samples: Sequence[Tensor], lengths: None = None) -> tuple[Tensor, Tensor]: ...

    def forward(
        self, samples: Tensor | Sequence[Tensor], lengths: Tensor | Sequence[int] | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Features (n_frames, dim) of one recording, (batch, n_frames, dim) of several; float32, of float64 float64.

        Args:
            samples: (n_samples,) or (batch, n_samples) on the device of the module, or a list of (n_samples,), which
                are padded to the longest, with their lengths; floats in [-1, 1], or integers of 8, 16 or 32 bits, which
                are divided by their full scale. Their values are not looked at: what is not finite gives features that
                are not.
            lengths: (batch,), how many samples of each row are the recording's. Then the features come with their
                numbers of frames, int64 (batch,), 0 where a recording is too short, and zeros behind them.

        Raises:
            TypeError: for what is no tensor.
            AudioError: for another type of numbers or shape, and for samples shorter than a frame.
            ValueError: for lengths that do not fit.
        """
        if isinstance(samples, (list, tuple)) and lengths is None:
            return self.forward(*self._padded(samples))
        batch = self._checked(samples)
        assert isinstance(samples, Tensor)
        counts = None
        if lengths is not None:
            lengths = self._checked_lengths(lengths, samples)
            counts = self.n_frames(lengths)
        with torch.autocast(batch.device.type, enabled=False):  # logarithms of half precision are of no use
            found = self._features(self._frames(batch, lengths)).to(batch.dtype)
        if counts is None:
            return found if samples.ndim == 2 else found[0]
        behind = torch.arange(found.shape[1], device=found.device) >= counts[:, None]
        return found.masked_fill(behind[:, :, None], 0.0), counts

    def n_frames(self, lengths: Tensor) -> Tensor:
        """How many frames recordings of these numbers of samples have, int64 of the same shape."""
        size, shift = self.framing.size, self.framing.shift
        first = shift - size if self.framing.snip_edges else shift // 2
        return torch.div(lengths + first, shift, rounding_mode="floor").clamp(min=0)

    @abc.abstractmethod
    def _features(self, frames: Tensor) -> Tensor:
        """The front-end's own part: features (batch, n_frames, dim) of frames (batch, n_frames, size), int16 scale."""

    def _padded(self, recordings: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Several recordings as one batch with zeros behind, and their lengths."""
        if not recordings or not all(isinstance(one, Tensor) and one.ndim == 1 for one in recordings):
            raise TypeError("a list must hold one recording or more, each a tensor (n_samples,)")
        lengths = torch.tensor([len(one) for one in recordings])
        return torch.nn.utils.rnn.pad_sequence(list(recordings), batch_first=True), lengths

    def _checked(self, samples: Tensor | Sequence[Tensor]) -> Tensor:
        """The samples as floats in [-1, 1], (batch, n_samples)."""
        if not isinstance(samples, Tensor):
            raise TypeError(
                f"samples are of type {type(samples).__name__}; need a tensor, (n_samples,) or (batch, n_samples): "
                "torch.as_tensor(samples); for arrays there is asr.features"
            )
        if samples.ndim not in (1, 2):
            raise AudioError(f"samples have shape {tuple(samples.shape)}; need (n_samples,) or (batch, n_samples)")
        if samples.is_floating_point():
            floats = samples if samples.dtype == torch.float64 else samples.float()
        elif samples.dtype in _FULL_SCALE:
            half = _FULL_SCALE[samples.dtype]
            floats = ((samples.double() - (half if samples.dtype == torch.uint8 else 0.0)) / half).float()
        else:
            raise AudioError(
                f"samples are of type {samples.dtype}, which has no known full scale; need floats in [-1, 1] or 8-, "
                "16- or 32-bit integers"
            )
        if self.framing.n_frames(samples.shape[-1]) < 1:
            size = self.framing.size
            raise AudioError(f"too short: {samples.shape[-1]} samples at {self.rate:g} Hz; a frame has {size}")
        return floats if samples.ndim == 2 else floats[None]

    def _checked_lengths(self, lengths: Tensor | Sequence[int], samples: Tensor) -> Tensor:
        numbers = torch.as_tensor(lengths)
        if samples.ndim != 2 or numbers.shape != samples.shape[:1] or numbers.is_floating_point():
            raise ValueError(
                f"lengths of shape {tuple(numbers.shape)} and type {numbers.dtype} for samples of shape "
                f"{tuple(samples.shape)}; need whole numbers, (batch,) for (batch, n_samples)"
            )
        # Looking at those on a GPU would make it wait.
        if numbers.device.type == "cpu" and not torch.compiler.is_compiling() and len(numbers):
            least, most = int(numbers.min()), int(numbers.max())
            if least < 0 or most > samples.shape[1]:
                raise ValueError(f"lengths are {least} to {most}; need 0 to {samples.shape[1]}, the samples of a row")
        return numbers.to(samples.device, torch.int64)

    def _frames(self, batch: Tensor, lengths: Tensor | None) -> Tensor:
        """Overlapping frames on the int16 scale, (batch, n_frames, size)."""
        signal = batch * _INT16_SCALE
        if self.options.dither:
            signal = signal + self.options.dither * torch.randn_like(signal)
        size, shift, n_samples = self.framing.size, self.framing.shift, batch.shape[1]
        n_frames = self.framing.n_frames(n_samples)
        if not self.framing.snip_edges:
            begin = self.framing.first_sample(0)
            positions = torch.arange(begin, begin + (n_frames - 1) * shift + size, device=batch.device)
            ends = torch.full_like(batch[:, 0], n_samples, dtype=torch.int64) if lengths is None else lengths
            ends = ends.clamp(min=1)[:, None]
            folded = positions % (2 * ends)  # the signal, the signal backwards, and so on
            signal = signal.gather(1, torch.where(folded < ends, folded, 2 * ends - 1 - folded))
        if torch.onnx.is_in_onnx_export():  # which knows gathering at any length
            starts = torch.arange(n_frames, device=batch.device)[:, None] * shift
            return signal[:, starts + torch.arange(size, device=batch.device)]
        return signal.unfold(1, size, shift)

    def _mel_energies(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mel filter outputs (batch, n_frames, num_mel_bins), and log energies (batch, n_frames, 1) if asked for.

        In float64, where the device has it: see asr.features.spectrum.
        """
        options = self.options
        frames = frames if frames.device.type == "mps" else frames.double()
        if options.remove_dc_offset:
            frames = frames - frames.mean(dim=2, keepdim=True)
        log_energy = None
        if options.use_energy and options.raw_energy:
            log_energy = _log(frames.square().sum(dim=2, keepdim=True))
        if options.preemphasis_coefficient:
            before = torch.cat([frames[:, :, :1], frames[:, :, :-1]], dim=2)
            frames = frames - options.preemphasis_coefficient * before
        frames = frames * self.window.to(frames.dtype)
        if options.use_energy and not options.raw_energy:
            log_energy = _log(frames.square().sum(dim=2, keepdim=True))
        if log_energy is not None and options.energy_floor > 0:
            log_energy = log_energy.clamp(min=math.log(options.energy_floor))
        return self._spectrum(frames) @ self.filters.to(frames.dtype), log_energy

    def _spectrum(self, frames: Tensor) -> Tensor:
        """Power or magnitude spectrum without the bin at half the rate, (batch, n_frames, fft_size // 2)."""
        fft_size = self.framing.fft_size
        if torch.onnx.is_in_onnx_export():  # the tracing exporter knows no Fourier transform
            angle = torch.outer(torch.arange(self.framing.size), torch.arange(fft_size // 2)).double()
            angle = (2 * math.pi / fft_size * (angle % fft_size)).to(frames.device)
            power = (frames @ angle.cos().to(frames)).square() + (frames @ angle.sin().to(frames)).square()
        else:
            spectrum = torch.fft.rfft(frames, n=fft_size, dim=2)[:, :, :-1]
            power = spectrum.real.square() + spectrum.imag.square()
        if isinstance(self.options, FbankOptions) and not self.options.use_power:
            return power.clamp(min=torch.finfo(power.dtype).tiny).sqrt()  # at 0 its slope is infinite
        return power


class Mfcc(MelFrontEnd):
    """`asr.features.mfcc` as a module; its options are explained there.

    Dither, where asked for, is of torch's random numbers. Weights: none; buffers: window, filters and cosine transform,
    which follow `.to(device)` and are not in checkpoints.

    Args:
        rate: Hz.
        options: all settings at once; those given by name replace single ones.
        vtln_warp: as of `mfcc`.

    Raises:
        TypeError: for an unknown name.
        ValueError: for an impossible value.

    Examples:
        >>> Mfcc(8000, num_ceps=20)
        Mfcc(8000 Hz, dim=20, num_ceps=20)
    """

    transform: Tensor
    options: MfccOptions

    @takes_options(MfccOptions)
    def __init__(
        self,
        rate: float,
        *,
        options: MfccOptions | None = None,
        vtln_warp: float = 1.0,
        frame_length: float = 25.0,
        frame_shift: float = 10.0,
        snip_edges: bool = True,
        dither: float = 0.0,
        preemphasis_coefficient: float = 0.97,
        remove_dc_offset: bool = True,
        window_type: str = "povey",
        blackman_coeff: float = 0.42,
        round_to_power_of_two: bool = True,
        num_mel_bins: int = 23,
        low_freq: float = 20.0,
        high_freq: float = 0.0,
        vtln_low: float = 100.0,
        vtln_high: float = -500.0,
        use_energy: bool = True,
        energy_floor: float = 0.0,
        raw_energy: bool = True,
        htk_compat: bool = False,
        num_ceps: int = 13,
        cepstral_lifter: float = 22.0,
    ) -> None:
        options = options or MfccOptions()
        super().__init__(rate, options, vtln_warp, options.num_ceps)
        transform = cosine_transform(options.num_mel_bins, options.num_ceps, options.cepstral_lifter)
        self.register_buffer("transform", torch.tensor(transform), persistent=False)

    def _features(self, frames: Tensor) -> Tensor:
        energies, log_energy = self._mel_energies(frames)
        cepstra = _log(energies) @ self.transform.to(energies.dtype)
        first, others = cepstra[:, :, :1] if log_energy is None else log_energy, cepstra[:, :, 1:]
        if not self.options.htk_compat:
            return torch.cat([first, others], dim=2)
        return torch.cat([others, first * math.sqrt(2) if log_energy is None else first], dim=2)


class Fbank(MelFrontEnd):
    """`asr.features.fbank` as a module; its options are explained there and at `mfcc`.

    Arguments, buffers and errors are those of `Mfcc`.

    Examples:
        >>> Fbank(16000, num_mel_bins=80)
        Fbank(16000 Hz, dim=80, num_mel_bins=80)
    """

    options: FbankOptions

    @takes_options(FbankOptions)
    def __init__(
        self,
        rate: float,
        *,
        options: FbankOptions | None = None,
        vtln_warp: float = 1.0,
        frame_length: float = 25.0,
        frame_shift: float = 10.0,
        snip_edges: bool = True,
        dither: float = 0.0,
        preemphasis_coefficient: float = 0.97,
        remove_dc_offset: bool = True,
        window_type: str = "povey",
        blackman_coeff: float = 0.42,
        round_to_power_of_two: bool = True,
        num_mel_bins: int = 23,
        low_freq: float = 20.0,
        high_freq: float = 0.0,
        vtln_low: float = 100.0,
        vtln_high: float = -500.0,
        use_energy: bool = False,
        energy_floor: float = 0.0,
        raw_energy: bool = True,
        htk_compat: bool = False,
        use_log_fbank: bool = True,
        use_power: bool = True,
    ) -> None:
        options = options or FbankOptions()
        super().__init__(rate, options, vtln_warp, options.num_mel_bins + options.use_energy)

    def _features(self, frames: Tensor) -> Tensor:
        energies, log_energy = self._mel_energies(frames)
        outputs = _log(energies) if self.options.use_log_fbank else energies
        if log_energy is None:
            return outputs
        return torch.cat([outputs, log_energy] if self.options.htk_compat else [log_energy, outputs], dim=2)


def _log(values: Tensor) -> Tensor:
    """Natural logarithm of no less than float32's epsilon, as the numpy functions have it."""
    return values.clamp(min=float(SMALLEST)).log()
