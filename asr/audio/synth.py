"""Connected digits spoken by espeak-ng: a corpus for the demo that anyone can make again, byte for byte, in seconds.

`synthesise_digits` writes a training and a test part as folders of wav + txt files (PART/SPEAKER/ID.wav). Voices
(timbres), speeds, noise levels and noise colours of the test part do not occur in the training part.
`speak` is the plain synthesiser, `write_sample` the recipe of the shipped sample.
"""

import ctypes
import dataclasses
import hashlib
import json
import logging
import os
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import AsrError, did_you_mean
from ..extras import install
from ..files import replacing, write_text
from ..options import takes_options

logger = logging.getLogger(__name__)

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ESPEAK_RATE = 22050  # Hz, the synthesiser's own
SAMPLE_TEXT = "two seven one eight two eight"
SAMPLE_VOICE = "gmw/en+benjamin"

# Accents by the path of their voice file; the short names go into speaker names.
ACCENTS = {
    "us": "gmw/en-US",
    "nyc": "gmw/en-US-nyc",
    "gb": "gmw/en",
    "rp": "gmw/en-GB-x-rp",
    "scots": "gmw/en-GB-scotland",
    "lancs": "gmw/en-GB-x-gbclan",
    "wmids": "gmw/en-GB-x-gbcwmd",
    "carib": "gmw/en-029",
}
# Timbres. Left out: robots, whispers and monsters, and those with "breath", whose noise differs from run to run.
# fmt: off
VARIANTS = (
    "Alex", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Gene2", "Henrique", "Hugo", "Lee", "Marco",
    "Mario", "Michael", "Mike", "Nguyen", "RicishayMax", "RicishayMax2", "anika", "antonio", "aunty",
    "belinda", "benjamin", "boris", "david", "edward", "f1", "f4", "grandma", "grandpa", "gustave", "ian", "iven2",
    "iven3", "iven4", "john", "kaukovalta", "klatt", "klatt2", "klatt3", "linda", "m1", "m2", "m3", "m4", "m5",
    "m6", "m7", "m8", "marcelo", "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob",
    "robert", "shelby", "steph", "steph2", "steph3", "travis", "zac",
)
# fmt: on


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What one part of the corpus sounds like; each value belongs to one part only."""

    speeds: tuple[int, ...]  # words a minute
    snrs_db: tuple[int, ...]  # speech energy over noise energy, whole utterance
    noise_slopes: tuple[float, ...]  # the noise's power falls as 1 / f ** slope: 0 is white, 1 pink, 2 brown


TRAIN = Conditions(speeds=(125, 140, 155, 170, 185, 200), snrs_db=(35, 25, 20, 15, 10), noise_slopes=(0.0, 1.0))
TEST = Conditions(speeds=(132, 148, 163, 178, 193), snrs_db=(30, 17, 12), noise_slopes=(0.5, 1.5))


@dataclasses.dataclass(frozen=True)
class SynthOptions:
    """Size of a synthesised corpus. The default is about 26 minutes of training speech, made in well under a minute."""

    seed: int = 0
    n_train_voices: int = 44
    n_test_voices: int = 15
    train_utterances: int = 20  # of each training voice
    test_utterances: int = 10  # of each test voice
    max_digits: int = 7  # strings have 1 to this many digits
    rate_hz: int = 8000


@dataclasses.dataclass(frozen=True)
class SpokenUtterance:
    """A row of manifest.tsv: what was said, by which voice, and how."""

    id: str
    part: str  # "train" or "test"
    speaker: str  # ACCENT-VARIANT
    speed: int  # words a minute
    pitch: int  # espeak's scale, 0-99
    snr_db: int
    noise_slope: float
    text: str


def speak(
    text: str, *, voice: str = "gmw/en-US", speed: int = 160, pitch: int = 50, rate_hz: int = ESPEAK_RATE
) -> np.ndarray:
    """Samples of espeak-ng reading a text, the same bytes whatever was spoken before.

    Args:
        voice: a voice file of espeak-ng, perhaps with a variant, e.g. "gmw/en-US+f3".
        speed: words a minute, 80-450.
        pitch: 0-99, 50 is the voice's own.
        rate_hz: sample rate of the result.

    Returns:
        float32 (n_samples,) in [-1, 1].

    Raises:
        AsrError: if espeakng-loader is not installed or the voice is unknown.

    The library keeps oscillator phases and noise positions between texts, in places that no call resets; so it is
    loaded anew for each text, which takes a few milliseconds.
    """
    integers = _espeak(text, voice=voice, speed=speed, pitch=pitch)
    samples = integers.astype(np.float32) / 32768.0
    if rate_hz == ESPEAK_RATE:
        return samples
    import soxr

    return soxr.resample(samples, ESPEAK_RATE, rate_hz).astype(np.float32)


@takes_options(SynthOptions)
def synthesise_digits(
    out_dir: str | os.PathLike,
    *,
    options: SynthOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
    seed: int = 0,
    n_train_voices: int = 44,
    n_test_voices: int = 15,
    train_utterances: int = 20,
    test_utterances: int = 10,
    max_digits: int = 7,
    rate_hz: int = 8000,
) -> Path:
    """The folder of a corpus of digit strings, made now unless it is there already.

    Args:
        out_dir: gets train/SPEAKER/ID.wav and .txt, test/SPEAKER/ID.wav and .txt, manifest.tsv and synth.json; it
            appears whole or not at all. A folder made with other options is replaced, a folder of something else is
            refused.
        options: all settings at once; those given by name replace single ones.
        progress: called with (utterances done, utterances in all).

    Raises:
        AsrError: if espeakng-loader is not installed, or if more voices are asked for than there are.
    """
    options = options or SynthOptions()
    out = Path(out_dir)
    plan = plan_digits(options)
    description = _description(options, plan)
    if _is_complete(out, description):
        logger.info("%s is already there", out)
        return out
    _library()  # a missing package is found before anything is written
    with replacing(out, mark="synth.json") as folder:
        for done, item in enumerate(plan, start=1):
            _write_utterance(folder / item.part / item.speaker / item.id, item, options)
            if progress is not None:
                progress(done, len(plan))
        write_text(folder / "manifest.tsv", _manifest(plan))
        write_text(folder / "synth.json", description)
    return out


def plan_digits(options: SynthOptions) -> list[SpokenUtterance]:
    """Every utterance of a corpus, drawn from the seed: the training part, then the test part.

    Raises:
        AsrError: if the options ask for more voices than there are, or for an impossible size.
    """
    wanted = options.n_train_voices + options.n_test_voices
    if options.n_train_voices < 1 or options.n_test_voices < 1 or wanted > len(VARIANTS):
        raise AsrError(
            f"n_train_voices={options.n_train_voices} and n_test_voices={options.n_test_voices}: need 1 or more of "
            f"each and {len(VARIANTS)} or fewer together"
        )
    if options.max_digits < 1 or options.rate_hz < 8000:
        raise AsrError(f"max_digits={options.max_digits}, rate_hz={options.rate_hz}: need >= 1 and >= 8000")
    rng = np.random.default_rng([options.seed, 1])
    variants = [VARIANTS[i] for i in rng.permutation(len(VARIANTS))[:wanted]]
    train, test = variants[: options.n_train_voices], variants[options.n_train_voices :]
    return [
        *_plan_part("train", train, options.train_utterances, TRAIN, options, rng),
        *_plan_part("test", test, options.test_utterances, TEST, options, rng),
    ]


def write_sample(path: str | os.PathLike) -> None:
    """Write the sample that is shipped with the package: `path` (a wav file, 8 kHz) and its transcript beside it.

    The voice was chosen among those that the shipped model, which is trained on people saying digits, understands
    well; most of espeak-ng's voices are harder for it. It shows that the installation works, not how good the model is.
    """
    rng = np.random.default_rng(0)
    speech = speak(SAMPLE_TEXT, voice=SAMPLE_VOICE, speed=120, rate_hz=8000)
    padded = np.pad(speech, (2000, 2000))
    target = Path(path)
    _write_wav(target, _with_noise(padded, snr_db=35, slope=1.0, rng=rng), 8000)
    write_text(target.with_suffix(".txt"), SAMPLE_TEXT + "\n")


def _plan_part(
    part: str,
    variants: list[str],
    count: int,
    conditions: Conditions,
    options: SynthOptions,
    rng: np.random.Generator,
) -> Iterator[SpokenUtterance]:
    accents = list(ACCENTS)
    for i, variant in enumerate(variants):
        speaker = f"{accents[i % len(accents)]}-{variant}"
        pitch = int(rng.integers(35, 66))
        for k in range(count):
            digits = [DIGITS[d] for d in rng.integers(0, 10, size=1 + k % options.max_digits)]
            yield SpokenUtterance(
                id=f"{speaker}-{k:03d}",
                part=part,
                speaker=speaker,
                speed=int(rng.choice(conditions.speeds)),
                pitch=pitch,
                snr_db=int(rng.choice(conditions.snrs_db)),
                noise_slope=float(rng.choice(conditions.noise_slopes)),
                text=" ".join(digits),
            )


def _write_utterance(stem: Path, item: SpokenUtterance, options: SynthOptions) -> None:
    """Speak one utterance, with pauses and silence around it, add its noise, write wav and txt."""
    rng = np.random.default_rng([options.seed, 2, zlib.crc32(item.id.encode())])
    accent, variant = item.speaker.split("-", 1)
    words = item.text.split()
    commas = ["," if pause else "" for pause in rng.random(len(words)) < 0.2]  # a comma is a pause
    spoken = " ".join(word + comma for word, comma in zip(words, commas, strict=True))
    voice = f"{ACCENTS[accent]}+{variant}"
    speech = speak(spoken, voice=voice, speed=item.speed, pitch=item.pitch, rate_hz=options.rate_hz)
    before, after = (rng.uniform(0.1, 0.35, size=2) * options.rate_hz).astype(int)
    samples = _with_noise(np.pad(speech, (before, after)), snr_db=item.snr_db, slope=item.noise_slope, rng=rng)
    stem.parent.mkdir(parents=True, exist_ok=True)
    _write_wav(stem.with_suffix(".wav"), samples * rng.uniform(0.3, 0.9), options.rate_hz)
    stem.with_suffix(".txt").write_text(item.text + "\n", encoding="utf-8", newline="\n")


def _with_noise(speech: np.ndarray, *, snr_db: float, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Speech plus Gaussian noise whose power falls as 1 / f ** slope, scaled so that its largest value is 1.

    Args:
        speech: float32 (n_samples,), not silent.

    Returns:
        float64 (n_samples,).
    """
    n_samples = len(speech)
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    bins = np.maximum(np.arange(len(spectrum)), n_samples // 200)  # flat below 0.5 % of the rate: no rumble
    noise = np.fft.irfft(spectrum * (bins / len(spectrum)) ** (-slope / 2), n=n_samples)
    energy = np.sum(np.square(speech, dtype=np.float64))
    noise *= np.sqrt(energy / np.sum(noise**2) * 10 ** (-snr_db / 10))
    mixed = speech + noise
    return mixed / np.abs(mixed).max()


def _write_wav(path: Path, samples: np.ndarray, rate_hz: int) -> None:
    import soundfile

    soundfile.write(path, np.round(samples * 32000).astype(np.int16), rate_hz, subtype="PCM_16")


def _manifest(plan: Iterable[SpokenUtterance]) -> str:
    columns = [f.name for f in dataclasses.fields(SpokenUtterance)]
    rows = ["\t".join(str(getattr(item, c)) for c in columns) for item in plan]
    return "\n".join(["\t".join(columns), *rows]) + "\n"


def _description(options: SynthOptions, plan: list[SpokenUtterance]) -> str:
    """What tells one corpus from another, as the text of synth.json; the format number is for how sound is made."""
    plan_hash = hashlib.sha256(_manifest(plan).encode()).hexdigest()
    return json.dumps({"format": 1, "options": dataclasses.asdict(options), "plan": plan_hash}, indent=1) + "\n"


def _is_complete(out: Path, description: str) -> bool:
    """Whether the folder holds the corpus of this description. Raises AsrError if it holds something else."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    mark = out / "synth.json"
    if not mark.is_file():
        raise AsrError(f"{out} exists and is not a synthesised corpus (it has no synth.json); give another folder")
    return mark.read_text(encoding="utf-8") == description


_ESPEAK_LOCK = threading.Lock()  # one text at a time: the library is all global state
_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: samples go to the callback, the call returns when all are made
_DO_NOT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT
_UTF8 = 1  # espeakCHARS_UTF8
_RATE, _VOLUME, _PITCH = 1, 2, 3  # espeak_PARAMETER
_QUIET = 55  # of 100: some voices clip at full volume


def _library() -> tuple[str, str]:
    """Paths of the shared library and of its data. Raises AsrError if the package that holds them is missing."""
    try:
        import espeakng_loader
    except ImportError:
        raise AsrError(
            f"speech synthesis needs the package espeakng-loader; install it with: {install('demo')}"
        ) from None
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()


def _espeak(text: str, *, voice: str, speed: int, pitch: int) -> np.ndarray:
    """int16 (n_samples,) at 22,050 Hz from a freshly loaded library."""
    library_path, data_path = _library()
    chunks: list[np.ndarray] = []
    callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

    def collect(samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    callback = callback_type(collect)
    with _ESPEAK_LOCK:
        library = ctypes.CDLL(library_path)
        try:
            if library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(data_path), _DO_NOT_EXIT) != ESPEAK_RATE:
                raise AsrError(f"espeak-ng cannot read its data in {data_path}; reinstall espeakng-loader")
            library.espeak_SetSynthCallback(callback)
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                known = [*ACCENTS.values(), *(f"{ACCENTS['us']}+{v}" for v in VARIANTS)]
                raise AsrError(f"espeak-ng has no voice {voice!r}{did_you_mean(voice, known)}")
            for parameter, value in ((_RATE, speed), (_VOLUME, _QUIET), (_PITCH, pitch)):
                library.espeak_SetParameter(parameter, value, 0)
            data = text.encode() + b"\0"
            library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, 0, 0, _UTF8, None, None)
            library.espeak_Synchronize()
            library.espeak_Terminate()
        finally:
            _unload(library)
    if not chunks:
        raise AsrError(f"espeak-ng spoke nothing for the text {text!r}; give it words")
    return np.concatenate(chunks)


def _unload(library: ctypes.CDLL) -> None:
    """Give a shared library back to the system, so that the next load starts from its initial state."""
    import _ctypes

    getattr(_ctypes, "FreeLibrary" if os.name == "nt" else "dlclose")(library._handle)
