"""Words of a signal that is still arriving. Make a stream with `Model.stream`."""

from typing import TYPE_CHECKING

import numpy as np

from .. import audio
from ..errors import AudioError, ModelError
from ..features.silence import is_silent
from .transcript import Transcript

if TYPE_CHECKING:
    import soxr

    from .model import Model


class RecognitionStream:
    """A model that is fed with pieces of a signal, and says after each what it has recognised so far.

    What `finish` gives is bit for bit what `Model.transcribe` gives for the whole signal, however it was cut; how well
    the sound suits the model (`fits`) alone is not reported, as that takes all log-likelihoods at once. Pieces of
    0.1 s or more cost the least. Several streams of one model run side by side; each keeps some ten bytes a frame.

    Args:
        model: a streaming one (`Model.streaming`).
        rate: Hz of the samples; None for a model that takes features.

    Raises:
        ModelError: for a model that needs a recording's end.
        AudioError: for an impossible rate or none.
    """

    def __init__(self, model: "Model", rate: int | None = None) -> None:
        if not model.streaming:
            raise ModelError(
                "this model needs a recording's end (its normalisation, network or adaptation to the speaker does), so "
                "it cannot stream; transcribe whole recordings, or train a model with causal normalisation"
            )
        if not model.features.given:
            audio.need_rate(rate, model.sample_rate)
        self._model, self._decoder = model, model.new_decoder()
        self._features = model.features.stream()
        self._resampler = None if model.features.given else _resampler(rate, model.sample_rate)
        self._n_samples, self._range = 0, (np.inf, -np.inf)  # or frames, where those are given
        self._finished = False
        self._decoder.start()

    def accept(self, samples: np.ndarray) -> str:
        """Take the next samples, and give the words so far; the last ones may still change.

        Args:
            samples: (n_samples,) or (n_samples, n_channels), floats in [-1, 1] or 8-, 16- or 32-bit integers; none at
                all are fine. For a model that takes features: float32 (n_frames, raw_dim).

        Raises:
            AudioError: for samples that cannot be used.
            ModelError: after `finish`.
        """
        if self._finished:
            raise ModelError("this stream is finished; start another one: model.stream(rate)")
        if self._model.features.given:
            self._n_samples += len(samples)
            self._search(self._features.accept(self._model.features.raw(samples)))
        elif np.shape(samples)[:1] != (0,):
            mono = audio.check_samples(samples)
            self._hear(mono if self._resampler is None else self._resampler.resample_chunk(mono))
        return self.text

    @property
    def text(self) -> str:
        """The words so far."""
        return self._model.text(self._decoder.partial().words)

    @property
    def seconds(self) -> float:
        """How much audio was taken."""
        if self._model.features.given:
            return self._n_samples * self._model.frame_shift
        return self._n_samples / self._model.sample_rate

    def finish(self) -> Transcript:
        """The transcript of the whole signal, now that it has ended.

        Without any samples it is empty, as for silence.

        Raises:
            AudioError: for a signal shorter than a frame.
            ModelError: the second time.
        """
        if self._finished:
            raise ModelError("this stream is finished already; start another one: model.stream(rate)")
        self._finished = True
        if self._resampler is not None:
            self._hear(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        if not self._n_samples:
            return Transcript("", is_silent=True)
        self._search(self._features.flush())
        if not self._decoder.n_frames:
            raise AudioError(f"samples: {self._n_samples} are less than a frame; need more")

        if not self._model.features.given and is_silent(np.array(self._range, np.float32)):
            return Transcript("", is_silent=True)
        return self._model.transcript(self._decoder.finish())

    def _hear(self, samples: np.ndarray) -> None:
        """Samples at the model's rate."""
        if len(samples):
            self._n_samples += len(samples)
            low, high = self._range
            self._range = min(low, float(samples.min())), max(high, float(samples.max()))
            self._search(self._features.accept(samples))

    def _search(self, frames: np.ndarray) -> None:
        if len(frames):
            self._decoder.advance(self._model.acoustic.log_likelihoods(frames))


def _resampler(rate: int | None, wanted: int) -> "soxr.ResampleStream | None":
    """What brings pieces to the model's rate, to the bit as `asr.audio.resample` does; None where nothing is to do."""
    if rate is None or rate == wanted:
        return None
    audio.check_rate(rate)
    import soxr

    return soxr.ResampleStream(rate, wanted, 1, dtype="float32", quality="HQ")
