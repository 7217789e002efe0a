"""From recordings to transcripts: what is wrong with one stops no other, and a long one is cut at its pauses."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import audio
from ..audio.voice_activity import CutOptions, PauseCutter, Piece, cut_at_pauses
from ..corpus.recordings import Failure, Recording
from ..display.brief import many
from ..errors import AsrError, ModelError
from ..features.archive import place_file, read_matrix
from ..features.pieces import MatrixStore, finished, statistics_of
from ..features.silence import is_silent
from .transcript import Transcript, joined, shifted

if TYPE_CHECKING:
    from .model import Model


@dataclass(frozen=True)
class LongOptions:
    """Which recordings are cut at pauses, and how."""

    longer_than: float = 60.0  # s; below, all is searched at once, as models are tuned and tested
    cut: CutOptions = field(default_factory=CutOptions)
    block: float = 5.0  # s decoded at once: the first words come after a piece and a block


class Part(NamedTuple):
    """What was heard in a recording, or in a piece of a long one.

    number: of the piece, from 0. start, end: of it, s from where the recording (or its stretch) begins, and so are the
    times in `result`. is_last: whether the recording ends with it.
    result: a Failure that is the last concerns all of the recording from `start` on.
    """

    recording: Recording
    number: int
    start: float
    end: float
    is_last: bool
    result: Transcript | Failure


Known = Callable[[Recording, int, float, float], Transcript | None]
"""What an earlier run heard in a piece (its number, start and end in s), or None."""

Told = Callable[[Recording, float, int], object]
"""Called with a recording, the seconds of it that were gone through, and in which pass: 0 is reading; the passes in
which a model hears a speaker to adapt to him or her are 1, 2 ... up to `ESTIMATES` of asr.model.passes."""


def transcribe_all(
    model: "Model", recordings: Sequence[Recording], *, progress: Callable[[int, int], None] | None = None
) -> Iterator[tuple[Recording, Transcript | Failure]]:
    """Each recording with its transcript or the reason why there is none; a bad one does not stop the rest.

    A model with per-speaker normalisation, or one that adapts to speakers, hears all of a speaker's recordings before
    it transcribes the first, so such recordings come grouped by speaker; for other models in the given order.
    progress: called with (done, total).
    """
    pieces: list[Transcript] = []
    failure: Failure | None = None
    done = 0
    for part in transcribe_parts(model, recordings):
        if isinstance(part.result, Failure):
            failure = failure or part.result
        else:
            pieces.append(part.result)
        if part.is_last:
            done += 1
            if progress is not None:
                progress(done, len(recordings))
            yield part.recording, failure or joined(pieces)
            pieces, failure = [], None


def transcribe_parts(
    model: "Model",
    recordings: Sequence[Recording],
    *,
    options: LongOptions | None = None,
    known: Known | None = None,
    told: Told | None = None,
) -> Iterator[Part]:
    """The same piece by piece, as they are found; memory does not grow with the length of a recording.

    Order and grouping are those of `transcribe_all`. A model that streams goes through a long recording once, with the
    normalisation that it would have in the whole; another one once for the statistics of all of it, or of the speaker,
    and then, with these, through one piece after the other.

    known: what need not be searched again; told: where the work stands, for a progress bar.
    """
    options = options or LongOptions()
    for group in _groups(model, recordings):
        if len(group) > 1 or not _is_one_pass(model):
            yield from _in_two_passes(model, group, options, known, told)
            continue
        (recording,) = group
        try:
            sound = None if _takes_matrix(model, recording) else _opened(model, recording, options)
        except (AsrError, ValueError) as error:
            yield Part(recording, 0, 0.0, 0.0, True, Failure(recording.id, _named(recording, error)))
            continue
        if isinstance(sound, np.ndarray) or sound is None:
            yield from _in_two_passes(model, group, options, known, told, sound=sound)
        else:
            yield from _in_one_pass(model, recording, sound, options, known, told)


def transcribe_samples(model: "Model", samples: np.ndarray, *, options: LongOptions | None = None) -> Transcript:
    """The words of one recording by itself, as `transcribe_parts` finds them, in one piece.

    samples: float32 (n_samples,) in [-1, 1] at the model's rate.
    Raises AudioError for fewer than a frame needs.
    """
    options, rate = options or LongOptions(), model.sample_rate
    if len(samples) <= options.longer_than * rate:
        raw = model.features.front_end(samples)
        if is_silent(samples):
            return Transcript("", is_silent=True)
        features = model.features.finish([raw], ["speaker"])[0]
        if model.aligner is None:
            return _with_an_end(model, features)
        return next(model.decode_together({"recording": features}, {"recording": "speaker"}))[1]
    recording, step = Recording("recording", None, "speaker"), round(options.block * rate)
    blocks = (samples[i : i + step] for i in range(0, len(samples), step))
    if _is_one_pass(model):
        parts = _in_one_pass(model, recording, blocks, options, None, None)
    else:
        parts = _in_two_passes(model, [recording], options, None, None, sound=blocks)
    pieces = []
    for part in parts:
        if isinstance(part.result, Failure):
            raise ModelError(part.result.message)
        pieces.append(part.result)
    return joined(pieces)


def told_transforms(kinds: Mapping[str, str]) -> str:
    """A line about how a model adapted to speakers; empty where it did not.

    kinds: speaker -> `Transcript.transform` of one of his or her recordings.

    >>> told_transforms({"ann": "full", "bob": "full", "eve": "offset"})
    'adapted to 3 speakers: 2 in full, 1 by a shift alone (less than 2 s of speech)'
    """
    names = {
        "full": "in full",
        "diagonal": "roughly (less than 5 s of speech)",
        "offset": "by a shift alone (less than 2 s of speech)",
        "identity": "not, as nothing was heard",
    }
    counts = Counter(kind for kind in kinds.values() if kind)
    told = ", ".join(f"{counts[kind]} {name}" for kind, name in names.items() if counts[kind])
    return f"adapted to {many(counts.total(), 'speaker')}: {told}" if told else ""


def needs_all_of_speaker(model: "Model") -> bool:
    """Whether a recording's transcript depends on what else its speaker says."""
    return model.aligner is not None or model.features.needs_speaker


def _groups(model: "Model", recordings: Sequence[Recording]) -> Iterator[list[Recording]]:
    """The recordings that must be heard together."""
    if not needs_all_of_speaker(model):
        yield from ([recording] for recording in recordings)
        return
    yield from (list(group) for _, group in groupby(sorted(recordings, key=lambda r: r.speaker), lambda r: r.speaker))


def _is_one_pass(model: "Model") -> bool:
    """Whether what is known of a recording up to a frame is all that the frame needs, but for the network's context."""
    return model.features.streaming and model.aligner is None


def _takes_matrix(model: "Model", recording: Recording) -> bool:
    return model.features.given is not None and recording.features is not None


def _opened(model: "Model", recording: Recording, options: LongOptions) -> "np.ndarray | Iterator[np.ndarray]":
    """All samples of a recording at the model's rate, or the blocks of a long one."""
    if recording.audio is None:
        raise ModelError(f"holds features, and this model takes audio at {model.sample_rate} Hz: give it the recording")
    model.features.need_audio()
    blocks = audio.blocks(
        recording.audio,
        model.sample_rate,
        channel="mix" if recording.channel is None else recording.channel,
        seconds=options.block,
        start=recording.start,
        end=recording.end,
    )
    held: list[np.ndarray] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) > options.longer_than * model.sample_rate:
            return chain(held, blocks)
    return np.concatenate(held)


def _in_one_pass(
    model: "Model",
    recording: Recording,
    blocks: Iterator[np.ndarray],
    options: LongOptions,
    known: Known | None,
    told: Told | None,
) -> Iterator[Part]:
    """A long recording through a streaming model: the features are those of the whole, the search begins anew at cuts.

    A piece waits until the features of its last frames, which look a little ahead, are there.
    """
    rate, cutter = model.sample_rate, PauseCutter(model.sample_rate, options.cut)
    waiting: list[Piece] = []
    frames = np.zeros((0, model.features.dim), np.float32)
    number = first = 0  # of the piece; the first frame of it
    try:
        stream = model.features.stream()
        for block in chain(blocks, [None]):
            ready = stream.flush() if block is None else stream.accept(block)
            waiting += cutter.flush() if block is None else cutter.accept(block)
            frames = np.concatenate([frames, ready])
            if told is not None and block is not None:
                told(recording, len(block) / rate, 0)
            while waiting:
                piece, end = waiting[0], waiting[0].start + len(waiting[0].samples)
                is_last = block is None and len(waiting) == 1
                until = first + len(frames) if is_last else _frame_at(model, end / rate)
                if until > first + len(frames) and not is_last:
                    break  # with the next block
                mine, frames = frames[: until - first], frames[until - first :]
                begin = piece.start / rate
                heard = known(recording, number, begin, end / rate) if known is not None else None
                result = heard or shifted(_heard(model, piece.samples, mine), first * model.frame_shift)
                yield Part(recording, number, begin, end / rate, is_last, result)
                del waiting[0]
                number, first = number + 1, until
    except (AsrError, ValueError) as error:
        at = waiting[0].start / rate if waiting else 0.0
        yield Part(recording, number, at, at, True, Failure(recording.id, _named(recording, error)))


def _frame_at(model: "Model", seconds: float) -> int:
    """The frame whose stretch begins nearest to a time."""
    return max(0, round((seconds - model.features.first_boundary) / model.frame_shift))


def _heard(model: "Model", samples: np.ndarray, features: np.ndarray) -> Transcript:
    """The words of a piece; none in silence."""
    if not len(features) or is_silent(samples):
        return Transcript("", is_silent=is_silent(samples))
    return _with_an_end(model, features)


def _with_an_end(model: "Model", features: np.ndarray) -> Transcript:
    """The words of a piece; where the grammar allows no end there, those that a wider search finds, if it finds one.

    The last word of a command that is cut off, or swallowed, leaves what the grammar demands outside of the beam: of 40
    phrases whose last 0.35 s were missing, 12 had no end with beam 13, and with four times the beam all had, and the
    words were right.
    """
    found = model.decode(features)
    if found.reached_final:
        return found
    again = model.wider.decode(features)
    return again if again.reached_final else found


class _Entry(NamedTuple):
    """A recording or a piece of one on its way: a Part without result, and where its features are (None: silence)."""

    recording: Recording
    number: int
    start: float
    end: float
    is_last: bool
    place: int | None


def _in_two_passes(
    model: "Model",
    group: list[Recording],
    options: LongOptions,
    known: Known | None,
    told: Told | None,
    *,
    sound: np.ndarray | Iterator[np.ndarray] | None = None,
) -> Iterator[Part]:
    """Recordings of which all is read before the first is transcribed.

    sound: of the only one, if it has been read, or the blocks of a long one.
    """
    store, entries = MatrixStore(), list[_Entry]()
    for recording in group:
        try:
            entries += _read(model, recording, store, options, told, sound)
        except (AsrError, ValueError) as error:
            yield Part(recording, 0, 0.0, 0.0, True, Failure(recording.id, _named(recording, error)))
    silent = [entry for entry in entries if entry.place is None]
    if len(silent) == len(entries):
        yield from (_part(entry, Transcript("", is_silent=True)) for entry in entries)
        return
    features = _Finished(model, store, entries)
    before = _known(entries, known)
    yield from _decoded(model, entries, features, told) if before is None else before


def _read(
    model: "Model",
    recording: Recording,
    store: MatrixStore,
    options: LongOptions,
    told: Told | None,
    sound: np.ndarray | Iterator[np.ndarray] | None,
) -> list[_Entry]:
    """A recording's pieces, their features before normalisation in the store. Raises AsrError, ValueError."""
    if _takes_matrix(model, recording):
        assert recording.features is not None
        raw = model.features.raw(read_matrix(recording.features), where=recording.features)
        return [_Entry(recording, 0, 0.0, len(raw) * model.frame_shift, True, store.add(raw))]
    found = _opened(model, recording, options) if sound is None else sound
    rate, entries = model.sample_rate, list[_Entry]()
    pieces: Iterable[Piece]
    if isinstance(found, np.ndarray):
        pieces = [Piece(0, found)]
    else:
        pieces = cut_at_pauses(found, rate, options.cut)
    for number, piece in enumerate(pieces):
        raw = model.features.front_end(piece.samples)
        place = None if is_silent(piece.samples) else store.add(raw)
        begin, seconds = piece.start / rate, len(piece.samples) / rate
        entries.append(_Entry(recording, number, begin, begin + seconds, False, place))
        if told is not None:
            told(recording, seconds, 0)
    return [*entries[:-1], entries[-1]._replace(is_last=True)]


class _Finished(Mapping[str, np.ndarray]):
    """The features of pieces, by their place in the list of entries, made when they are asked for.

    Where all recordings are whole they are made together, as for a corpus that is tested.
    """

    def __init__(self, model: "Model", store: MatrixStore, entries: Sequence[_Entry]) -> None:
        self._pipeline, self._store = model.features, store
        self._entries = {str(i): entry for i, entry in enumerate(entries) if entry.place is not None}
        self.speakers = {name: entry.recording.speaker for name, entry in self._entries.items()}
        self._whole: dict[str, np.ndarray] = {}
        self._statistics: dict[int, np.ndarray] = {}
        places = [entry.place for entry in self._entries.values() if entry.place is not None]
        if all(entry.number == 0 and entry.is_last for entry in entries):
            together = self._pipeline.finish([store[place] for place in places], list(self.speakers.values()))
            self._whole = dict(zip(self._entries, together, strict=True))
        else:
            self._statistics = statistics_of(self._pipeline, lambda: (store[place] for place in places))

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __getitem__(self, name: str) -> np.ndarray:
        if name in self._whole:
            return self._whole[name]
        place = self._entries[name].place
        assert place is not None
        return finished(self._pipeline, self._store[place], self._statistics)


def _known(entries: Sequence[_Entry], known: Known | None) -> list[Part] | None:
    """All of them as an earlier run heard them, or None if one is not known: adapting takes all of a speaker's."""
    if known is None:
        return None
    found = [known(e.recording, e.number, e.start, e.end) for e in entries]
    if any(result is None for result in found):
        return None
    return [_part(entry, result) for entry, result in zip(entries, found, strict=True) if result is not None]


def _decoded(
    model: "Model", entries: Sequence[_Entry], features: _Finished, told: Told | None = None
) -> Iterator[Part]:
    """The transcripts of pieces, in order."""

    def passed(name: str, number: int) -> None:
        if told is not None:
            told(entries[int(name)].recording, entries[int(name)].end - entries[int(name)].start, number)

    together: Iterator[tuple[str, Transcript]] | None = None
    if model.aligner is not None:
        together = model.decode_together(features, features.speakers, passed=passed)
    failure: AsrError | None = None  # of adapting, for all that is left
    for i, entry in enumerate(entries):
        if entry.place is None:
            yield _part(entry, Transcript("", is_silent=True))
            continue
        try:
            if failure is not None:
                raise failure
            heard = _with_an_end(model, features[str(i)]) if together is None else next(together)[1]
        except AsrError as error:
            failure = error if together is not None else None
            yield _part(entry, Failure(entry.recording.id, _named(entry.recording, error)))
            continue
        yield _part(entry, shifted(heard, entry.start))


def _part(entry: _Entry, result: Transcript | Failure) -> Part:
    return Part(*entry[:5], result)


def _named(recording: Recording, error: Exception) -> str:
    """The error's message, with the file in front where it lacks it, and the utterance where that is a part of it."""
    message = str(error)
    if recording.audio is None and recording.features is None:  # samples without a file
        return message
    if str(recording.path) not in message:
        message = f"{recording.audio or recording.features}: {message}"
    in_archive = recording.features is not None and str(place_file(recording.features)) != recording.features
    is_part = recording.start is not None or recording.end is not None or in_archive
    return f"utterance {recording.id}: {message}" if is_part else message
