"""Recordings in a page: small enough to be sent by mail, played by every browser, with a limit for the page."""

import base64
import io
import logging
from dataclasses import dataclass

import numpy as np

from .. import audio
from ..corpus import Utterance
from ..errors import AudioError
from .page import rendered

logger = logging.getLogger(__name__)

RATES = (8000, 11025, 12000, 16000)  # Hz, that MP3 has; of more than the last nobody is the wiser in a page
LONGEST = 20.0  # seconds of one recording; the rest is cut off
PAGE_BYTES = 3_000_000  # of all sound in a page, as it is written there


@dataclass
class Player:
    """Makes <audio> elements of utterances until the page's limit is reached.

    Attributes:
        limit: bytes of text that are left for sound. Recordings that cannot be read, and features that came without
            recordings, make none.
    """

    limit: int = PAGE_BYTES

    def play(self, utterance: Utterance | None) -> str:
        """An <audio> element of an utterance, or nothing."""
        if utterance is None or utterance.audio is None:
            return ""
        try:
            samples, rate = read_utterance(utterance)
        except (AudioError, OSError) as error:
            logger.info("not in the report: %s", error)
            return ""
        found = audio_element(samples, rate, utterance.id)
        if len(found) > self.limit:
            return ""
        self.limit -= len(found)
        return found


def read_utterance(utterance: Utterance, rate: int | None = None) -> tuple[np.ndarray, int]:
    """An utterance's samples and their rate; at another rate than its own if asked for.

    Raises:
        AudioError: where it cannot be read.
    """
    assert utterance.audio is not None  # others have only features
    channel = "mix" if utterance.channel is None else utterance.channel
    found = audio.read(utterance.audio, rate, channel=channel, start=utterance.start, end=utterance.end)
    return found.samples, found.rate


def audio_element(samples: np.ndarray, rate: int, name: str) -> str:
    """An <audio> element that holds its sound, of which it takes 20 s at most.

    Args:
        samples: float32 (n_samples,) in [-1, 1] at `rate` Hz.
        name: of what is heard, plain text.
    """
    samples = samples[: round(LONGEST * rate)]
    if rate not in RATES:
        samples, rate = audio.resample(samples, rate, RATES[-1]), RATES[-1]
    kind, data = _encoded(samples, rate)
    return rendered("audio", name=name, kind=kind, data=base64.b64encode(data).decode("ascii"))


def _encoded(samples: np.ndarray, rate: int) -> tuple[str, bytes]:
    """MP3, which all browsers play, or WAV where this libsndfile writes none."""
    import soundfile

    samples = np.clip(samples, -1.0, 1.0)
    if "MP3" in soundfile.available_formats():
        stream = io.BytesIO()
        try:
            soundfile.write(
                stream, samples, rate, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.7,
                bitrate_mode="VARIABLE",
            )  # fmt: skip
            return "mpeg", stream.getvalue()
        except (RuntimeError, TypeError, ValueError):  # an older libsndfile or soundfile: as if there were no MP3
            pass
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="WAV", subtype="PCM_16")
    return "wav", stream.getvalue()
