"""Steps that make sound of the digits' recordings: copies to train on, and strings to test on."""

import logging
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from asr import audio
from asr.audio.augment import change_speed, join, noise_floor
from asr.corpus import Corpus, Utterance
from asr.errors import AsrError
from asr.files import write_text
from asr.train.speeds import speed_prefix

from .strings import String, draw_pauses, write_list

logger = logging.getLogger("asr.recipe")

PADDED = "pad-"  # before the ids of recordings with pauses around them

Change = Callable[[Utterance, np.ndarray], np.ndarray]
Report = Callable[[int, int], None]


def speed_copies(recordings: Corpus, speed: float, rate: int, folder: Path, progress: Report) -> Corpus:
    """The recordings at another speed (see asr.audio.augment.change_speed)."""
    return _copies(recordings, speed_prefix(speed), lambda u, x: change_speed(x, rate, speed), rate, folder, progress)


def padded_copies(
    recordings: Corpus, places: Mapping[str, str], rate: int, seed: int, folder: Path, progress: Report
) -> Corpus:
    """The recordings with a pause before and after: they teach a model what a pause sounds like.

    Pauses are as long as those of strings, and have the noise floor of all recordings of the same place.

    places: utterance id -> a name; those with the same one were recorded in one place, and none of them may be trained
        on where another one is scored.
    """
    members: dict[str, list[Utterance]] = {}
    for utterance in recordings:
        members.setdefault(places[utterance.id], []).append(utterance)
    floors = {place: noise_floor(_readable(found, rate), rate) for place, found in members.items()}

    def pad(utterance: Utterance, samples: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng([seed, zlib.crc32(utterance.id.encode())])
        return join([samples], draw_pauses(2, rng), rate, rng, floor=floors[places[utterance.id]]).samples

    return _copies(recordings, PADDED, pad, rate, folder, progress)


def _copies(recordings: Corpus, prefix: str, change: Change, rate: int, folder: Path, progress: Report) -> Corpus:
    """Copies of recordings after a change as 16-bit files; their ids and speakers begin with the prefix.

    What cannot be read is warned of and left out.
    """
    made = []
    for number, utterance in enumerate(recordings, start=1):
        path = folder / f"{utterance.id}.wav"
        try:
            write_wav(path, change(utterance, read(utterance, rate)), rate)
            made.append(Utterance(prefix + utterance.id, prefix + utterance.speaker, path, utterance.text))
        except AsrError as error:
            logger.warning("no copy of %s: %s", utterance.id, error)
        progress(number, len(recordings))
    return Corpus(made)


def join_strings(
    recordings: Corpus, strings: Sequence[String], rate: int, seed: int, folder: Path, progress: Report
) -> Corpus:
    """The strings as utterances, with strings.tsv and the true times of their words, edges.ctm, beside their sound.

    The word of a recording begins and ends where the recording does, to the sample. A string with a recording that
    cannot be read is warned of and left out.
    """
    made, spoken, edges = [], [], []
    for number, string in enumerate(strings, start=1):
        try:
            parts = [read(recordings[i], rate) for i in string.recordings]
        except AsrError as error:
            logger.warning("%s is left out: %s", string.id, error)
            continue
        joined = join(parts, string.pauses_ms, rate, np.random.default_rng([seed, zlib.crc32(string.id.encode())]))
        write_wav(folder / f"{string.id}.wav", joined.samples, rate)
        made.append(string)
        words = [recordings[i].text or "" for i in string.recordings]
        spoken.append(Utterance(string.id, string.speaker, folder / f"{string.id}.wav", " ".join(words)))
        for (begin, end), word in zip(joined.edges, words, strict=True):
            edges.append(f"{string.id} 1 {begin / rate:.6f} {(end - begin) / rate:.6f} {word}\n")
        progress(number, len(strings))
    write_list(folder / "strings.tsv", made, seed)
    write_text(folder / "edges.ctm", "".join(edges))
    return Corpus(spoken)


def read(utterance: Utterance, rate: int) -> np.ndarray:
    """An utterance's samples."""
    assert utterance.audio is not None  # digits are read from sound
    return audio.read(utterance.audio, rate, start=utterance.start, end=utterance.end).samples


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    """A 16-bit wav file of float samples in [-1, 1]; larger ones are clipped."""
    import soundfile

    integers = np.clip(np.round(samples * 32768.0), -32768, 32767).astype(np.int16)
    soundfile.write(path, integers, rate, subtype="PCM_16")


def _readable(utterances: Iterable[Utterance], rate: int) -> list[np.ndarray]:
    found = []
    for utterance in utterances:
        try:
            found.append(read(utterance, rate))
        except AsrError as error:
            logger.warning("%s: %s", utterance.id, error)
    return found or [np.zeros(1, np.float32)]
