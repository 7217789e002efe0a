"""From recordings to transcripts: what is wrong with one stops no other, and a long one is cut at its pauses."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import audio
from ..corpus import Problem, Utterance
from ..display.brief import many
from ..errors import AsrError, ModelError
from ..features.pieces import MatrixStore, finished, statistics_of
from ..features.silence import is_silent
from .transcript import Transcript, joined, shifted
from .workers import Pending, Task, Workers

if TYPE_CHECKING:
    from ..audio.voice_activity import CutOptions, Piece
    from .model import Model


@dataclass(frozen=True)
class LongOptions:
    """Which recordings are cut at pauses, and how.

    Attributes:
        cut: where; None: the defaults of CutOptions.
    """

    longer_than: float = 60.0  # s; below, all is searched at once, as models are tuned and tested
    cut: "CutOptions | None" = None
    block: float = 5.0  # s decoded at once: the first words come after a piece and a block


class Part(NamedTuple):
    """What was recognised in a recording, or in a piece of a long one.

    Attributes:
        number: of the piece, from 0.
        start: of it, s from where the recording (or its stretch) begins, and so are the times in `result`.
        end: see `start`.
        is_last: whether the recording ends with it.
        result: a Problem, whose `where` is the utterance's id, concerns all of the recording from `start` on.
    """

    recording: Utterance
    number: int
    start: float
    end: float
    is_last: bool
    result: Transcript | Problem


Known = Callable[[Utterance, int, float, float], Transcript | None]
"""What an earlier run recognised in a piece (its number, start and end in s), or None."""

Progress = Callable[[Utterance, float, int], object]
"""Called with a recording, the seconds of it that were gone through, and in which pass: 0 is reading; the passes in
which a model decodes a speaker to adapt to him or her are 1, 2 ... up to `ESTIMATES` of asr.model.adaptation."""


def transcribe_all(
    model: "Model",
    utterances: Sequence[Utterance],
    *,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[Utterance, Transcript | Problem]]:
    """Each utterance with its transcript or the reason why there is none; a bad one does not stop the rest.

    A model with per-speaker normalisation, or one that adapts to speakers, reads all of a speaker's utterances before
    it transcribes the first, so such utterances come grouped by speaker; for other models in the given order.

    Args:
        n_jobs: processes, -1 for one on each core; see `recognise`.
        progress: called with (done, total).
    """
    pieces: list[Transcript] = []
    problem: Problem | None = None
    done = 0
    for part in recognise(model, utterances, n_jobs=n_jobs):
        if isinstance(part.result, Problem):
            problem = problem or part.result
        else:
            pieces.append(part.result)
        if part.is_last:
            done += 1
            if progress is not None:
                progress(done, len(utterances))
            yield part.recording, problem or joined(pieces)
            pieces, problem = [], None


def recognise(
    model: "Model",
    utterances: Sequence[Utterance],
    *,
    options: LongOptions | None = None,
    n_jobs: int = 1,
    known: Known | None = None,
    progress: Progress | None = None,
) -> Iterator[Part]:
    """The same piece by piece, as they are found; memory does not grow with the length of a recording.

    Order and grouping are those of `transcribe_all`. A model that streams goes through a long recording once, with the
    normalisation that it would have in the whole; another one once for the statistics of all of it, or of the speaker,
    and then, with these, through one piece after the other.

    Args:
        n_jobs: processes, -1 for one on each core; they are started after a moment of work. The pieces, their words
            and their order do not depend on it.
        known: what need not be searched again.
        progress: where the work stands.
    """
    with Workers(model, n_jobs) as workers:
        yield from _Job(workers, options or LongOptions(), known, progress).parts(utterances)


def recognise_one(
    model: "Model",
    *,
    samples: np.ndarray | None = None,
    raw: np.ndarray | None = None,
    options: LongOptions | None = None,
) -> Transcript:
    """The words of one recording by itself, as `recognise` finds them, in one piece.

    Args:
        samples: float32 (n_samples,) in [-1, 1] at the model's rate; or instead of them
        raw: float32 (n_frames, raw_dim), features before normalisation.

    Raises:
        AudioError: for fewer samples than a frame needs, and whatever else goes wrong.
    """
    job = _Job(Workers(model), options or LongOptions(), None, None, samples, raw, raises=True)
    return joined([part.result for part in job.parts([_ALONE]) if isinstance(part.result, Transcript)])


def transforms_in_words(kinds: Mapping[str, str]) -> str:
    """A line about how a model adapted to speakers; empty where it did not.

    Args:
        kinds: speaker -> `Transcript.transform` of one of his or her recordings.

    Examples:
        >>> transforms_in_words({"ann": "full", "bob": "full", "eve": "offset"})
        'adapted to 3 speakers: 2 in full, 1 by a shift alone (less than 2 s of speech)'
    """
    names = {
        "full": "in full",
        "diagonal": "roughly (less than 5 s of speech)",
        "offset": "by a shift alone (less than 2 s of speech)",
        "identity": "not, as nothing was heard",
    }
    counts = Counter(kind for kind in kinds.values() if kind)
    text = ", ".join(f"{counts[kind]} {name}" for kind, name in names.items() if counts[kind])
    return f"adapted to {many(counts.total(), 'speaker')}: {text}" if text else ""


def needs_all_of_speaker(model: "Model") -> bool:
    """Whether a recording's transcript depends on what else its speaker says."""
    return model.adaptation.adapts or model.features.needs_speaker


_ALONE = Utterance("recording", "speaker")  # what is given without a file
_TOGETHER = 8  # recordings that a process gets at once
_MANY = 50  # recordings, that take longer than a process to start


@dataclass
class _Job:
    """The utterances of a model, on their way from samples to words.

    Attributes:
        samples: of the only utterance, where they are at hand already; see `recognise_one`.
        raw: see `samples`.
        raises: what is wrong is raised; else it is reported as a Part.
        only_short: long recordings are left to others: _IsLong.
    """

    workers: Workers
    options: LongOptions
    known: Known | None
    progress: Progress | None
    samples: np.ndarray | None = None
    raw: np.ndarray | None = None
    raises: bool = False
    only_short: bool = False

    @property
    def model(self) -> "Model":
        """Whose utterances they are."""
        return self.workers.model

    def parts(self, utterances: Sequence[Utterance]) -> Iterator[Part]:
        """What is found in utterances, piece by piece."""
        for entry, found in self.workers.each(self._planned(utterances)):
            if isinstance(entry, Part):
                yield entry if found is None else self._finished(entry, found)
                continue
            assert found is not None
            for utterance, parts in zip(entry, found.get(), strict=True):
                if parts is None:
                    yield from self.parts_here([utterance])
                else:
                    yield from (part._replace(recording=utterance) for part in parts)

    def parts_here(self, utterances: Sequence[Utterance]) -> Iterator[Part]:
        """The same, read in this process."""
        for part, found in self.workers.each(self._tasks(utterances)):
            yield part if found is None else self._finished(part, found)

    def _finished(self, part: Part, found: Pending) -> Part:
        """The part with what a search finds."""
        try:
            with _naming(part.recording):
                return part._replace(result=found.get())
        except (AsrError, ValueError) as error:
            failed = self.failed(part.recording, error)
            return failed._replace(number=part.number, start=part.start, end=part.end, is_last=part.is_last)

    def _planned(self, utterances: Sequence[Utterance]) -> Iterator[tuple[Part | list[Utterance], Task | None]]:
        """What has to be done for utterances, in order: single ones are read by the processes, once these are there."""
        if len(utterances) >= _MANY:
            self.workers.expect_much()
        alone = not needs_all_of_speaker(self.model) and self.model.features.given is None and self.known is None
        if not alone:
            yield from self._tasks(utterances)
            return
        at = 0
        while at < len(utterances):
            if not self.workers.come():
                yield from self._tasks(utterances[at : at + 1])
                at += 1
                continue
            # A few together, for less sending; single ones where there are few, so that no process gets all the rest.
            n = max(1, min(_TOGETHER, (len(utterances) - at) // (4 * self.workers.n_jobs)))
            some = list(utterances[at : at + n])
            yield some, (_whole, (some, self.options))
            at += n

    def _tasks(self, utterances: Sequence[Utterance]) -> Iterator[tuple[Part, Task | None]]:
        """The pieces of utterances, and what finds their words."""
        for group in _groups(self.model, utterances):
            if len(group) > 1 or not _is_one_pass(self.model):
                yield from _in_two_passes(self, group)
                continue
            (utterance,) = group
            try:
                sound = None if self.takes_matrix(utterance) else self.sound(utterance)
            except (AsrError, ValueError) as error:
                yield self.failed(utterance, error), None
                continue
            if isinstance(sound, np.ndarray) or sound is None:
                yield from _in_two_passes(self, group, sound=sound)
            else:
                yield from _in_one_pass(self, utterance, sound)

    def takes_matrix(self, utterance: Utterance) -> bool:
        """Whether an utterance's features are given."""
        return self.raw is not None or (self.model.features.given is not None and utterance.features is not None)

    def matrix(self, utterance: Utterance) -> np.ndarray:
        """The features that are given, float32 (n_frames, raw_dim)."""
        if self.raw is not None:
            return self.model.features.raw(self.raw)
        assert utterance.features is not None
        from ..features.archive import read_matrix

        return self.model.features.raw(read_matrix(utterance.features), where=utterance.features)

    def sound(self, utterance: Utterance) -> "np.ndarray | Iterator[np.ndarray]":
        """All samples of a recording at the model's rate, or the blocks of a long one."""
        rate, longest = self.model.sample_rate, self.options.longer_than
        if self.samples is not None:
            whole, step = self.samples, round(self.options.block * rate)
            if len(whole) <= longest * rate:
                return whole
            return (whole[i : i + step] for i in range(0, len(whole), step))
        with _naming(utterance):
            if utterance.audio is None:
                raise ModelError(f"holds features, and this model takes audio at {rate} Hz: give it the recording")
            self.model.features.need_audio()
        blocks = audio.blocks(
            utterance.audio,
            rate,
            channel="mix" if utterance.channel is None else utterance.channel,
            seconds=self.options.block,
            start=utterance.start,
            end=utterance.end,
        )
        held: list[np.ndarray] = []
        for block in blocks:
            held.append(block)
            if sum(map(len, held)) > longest * rate:
                if self.only_short:
                    raise _IsLong
                self.workers.expect_much()
                return chain(held, blocks)
        return np.concatenate(held)

    def gone_through(self, utterance: Utterance, seconds: float, number: int = 0) -> None:
        """Report that so much of a recording was read, or decoded in a pass; see `Progress`."""
        if self.progress is not None:
            self.progress(utterance, seconds, number)

    def before(self, utterance: Utterance, number: int, start: float, end: float) -> Transcript | None:
        """What an earlier run recognised in a piece."""
        return None if self.known is None else self.known(utterance, number, start, end)

    def failed(self, utterance: Utterance, error: Exception, number: int = 0, at: float = 0.0) -> Part:
        """The end of an utterance of which nothing more can be recognised.

        Args:
            error: with the file's name.
        """
        if self.raises:
            raise error
        place = utterance.features
        in_archive = place is not None and _is_in_archive(place)
        is_part = utterance.start is not None or utterance.end is not None or in_archive
        message = f"utterance {utterance.id}: {error}" if is_part else str(error)
        return Part(utterance, number, at, at, True, Problem(utterance.id, message))


class _IsLong(Exception):
    """A recording is too long for who reads it."""


def _whole(model: "Model", utterances: Sequence[Utterance], options: LongOptions) -> list[list[Part] | None]:
    """A task: the parts of each of several utterances; None of a long one."""
    job, found = _Job(Workers(model), options, None, None, only_short=True), list[list[Part] | None]()
    for utterance in utterances:
        try:
            found.append(list(job.parts_here([utterance])))
        except _IsLong:
            found.append(None)
    return found


def _is_in_archive(place: str) -> bool:
    """Whether a matrix is one of several in a file."""
    from ..features.archive import place_file

    return str(place_file(place)) != place


@contextlib.contextmanager
def _naming(utterance: Utterance) -> Iterator[None]:
    """What goes wrong in here is said with the file in front, as reading says it itself."""
    try:
        yield
    except (AsrError, ValueError) as error:
        raise _named(utterance, error) from None


def _named(utterance: Utterance, error: Exception) -> Exception:
    """The same error with the file in front, if there is one."""
    place = utterance.audio or utterance.features
    if place is None:
        return error
    kind = type(error) if isinstance(error, AsrError) else ModelError
    return kind(f"{place}: {error}")


def _groups(model: "Model", utterances: Sequence[Utterance]) -> Iterator[list[Utterance]]:
    """The utterances that must be read together."""
    if not needs_all_of_speaker(model):
        yield from ([utterance] for utterance in utterances)
        return
    yield from (list(group) for _, group in groupby(sorted(utterances, key=lambda u: u.speaker), lambda u: u.speaker))


def _is_one_pass(model: "Model") -> bool:
    """Whether what is known of a recording up to a frame is all that the frame needs, but for the network's context."""
    return model.features.streaming and not model.adaptation.adapts


def _in_one_pass(job: _Job, utterance: Utterance, blocks: Iterator[np.ndarray]) -> Iterator[tuple[Part, Task | None]]:
    """A long recording through a streaming model: the features are those of the whole, the search begins anew at cuts.

    A piece waits until the features of its last frames, which look a little ahead, are there.
    """
    model, rate = job.model, job.model.sample_rate
    from ..audio.voice_activity import PauseCutter

    cutter, waiting = PauseCutter(rate, job.options.cut), list["Piece"]()
    frames = np.zeros((0, model.features.dim), np.float32)
    number = first = 0  # of the piece; the first frame of it
    try:
        stream = model.features.stream()
        for block in chain(blocks, [None]):
            with _naming(utterance):
                ready = stream.flush() if block is None else stream.accept(block)
            waiting += cutter.flush() if block is None else cutter.accept(block)
            frames = np.concatenate([frames, ready])
            if block is not None:
                job.gone_through(utterance, len(block) / rate)
            while waiting:
                piece, end = waiting[0], waiting[0].start + len(waiting[0].samples)
                is_last = block is None and len(waiting) == 1
                until = first + len(frames) if is_last else _frame_at(model, end / rate)
                if until > first + len(frames) and not is_last:
                    break  # with the next block
                mine, frames = frames[: until - first], frames[until - first :]
                begin = piece.start / rate
                known = job.before(utterance, number, begin, end / rate)
                later = first * model.frame_shift
                task = None if known or is_silent(piece.samples) else (_words, (mine, later))
                yield Part(utterance, number, begin, end / rate, is_last, known or _SILENCE), task
                del waiting[0]
                number, first = number + 1, until
    except (AsrError, ValueError) as error:
        yield job.failed(utterance, error, number, waiting[0].start / rate if waiting else 0.0), None


def _frame_at(model: "Model", seconds: float) -> int:
    """The frame whose stretch begins nearest to a time."""
    return max(0, round((seconds - model.features.first_boundary) / model.frame_shift))


_SILENCE = Transcript("", is_silent=True)


def _words(model: "Model", features: np.ndarray, later: float) -> Transcript:
    """A task: the words of a piece that begins so many seconds after its recording."""
    return shifted(with_an_end(model, features), later) if len(features) else Transcript("")


def with_an_end(model: "Model", features: np.ndarray) -> Transcript:
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

    recording: Utterance
    number: int
    start: float
    end: float
    is_last: bool
    place: int | None


def _in_two_passes(
    job: _Job, group: list[Utterance], *, sound: np.ndarray | Iterator[np.ndarray] | None = None
) -> Iterator[tuple[Part, Task | None]]:
    """Recordings of which all is read before the first is transcribed.

    Args:
        sound: of the only one, if it has been read, or the blocks of a long one.
    """
    store, entries = MatrixStore(), list[_Entry]()
    for utterance in group:
        try:
            entries += _read(job, utterance, store, sound)
        except (AsrError, ValueError) as error:
            yield job.failed(utterance, error), None
    if all(entry.place is None for entry in entries):
        yield from ((_part(entry, _SILENCE), None) for entry in entries)
        return
    features = _Finished(job.model, store, entries)
    before = _known(job, entries)
    if before is not None:
        yield from ((part, None) for part in before)
    elif job.model.adaptation.adapts:
        yield from ((part, None) for part in _decoded_together(job, entries, features))
    else:
        for i, entry in enumerate(entries):
            task = None if entry.place is None else (_words, (features[str(i)], entry.start))
            yield _part(entry, _SILENCE), task


def _read(
    job: _Job, utterance: Utterance, store: MatrixStore, sound: np.ndarray | Iterator[np.ndarray] | None
) -> list[_Entry]:
    """A recording's pieces, their features before normalisation in the store. Raises AsrError, ValueError."""
    model, rate, entries = job.model, job.model.sample_rate, list[_Entry]()
    if job.takes_matrix(utterance):
        raw = job.matrix(utterance)
        return [_Entry(utterance, 0, 0.0, len(raw) * model.frame_shift, True, store.add(raw))]
    found = job.sound(utterance) if sound is None else sound
    for number, (start, samples) in enumerate(_pieces(found, rate, job.options.cut)):
        with _naming(utterance):
            raw = model.features.front_end(samples)
        place = None if is_silent(samples) else store.add(raw)
        begin, seconds = start / rate, len(samples) / rate
        entries.append(_Entry(utterance, number, begin, begin + seconds, False, place))
        job.gone_through(utterance, seconds)
    return [*entries[:-1], entries[-1]._replace(is_last=True)]


def _pieces(
    sound: np.ndarray | Iterator[np.ndarray], rate: int, cut: "CutOptions | None"
) -> Iterable[tuple[int, np.ndarray]]:
    """The pieces of a long recording, or all of it: the number of the first sample, and samples."""
    if isinstance(sound, np.ndarray):
        return [(0, sound)]
    from ..audio.voice_activity import cut_at_pauses

    return cut_at_pauses(sound, rate, cut)


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


def _known(job: _Job, entries: Sequence[_Entry]) -> list[Part] | None:
    """All of them as an earlier run found them, or None if one is not known: adapting takes all of a speaker's."""
    found = [job.before(e.recording, e.number, e.start, e.end) for e in entries]
    if any(result is None for result in found):
        return None
    return [_part(entry, result) for entry, result in zip(entries, found, strict=True) if result is not None]


def _decoded_together(job: _Job, entries: Sequence[_Entry], features: _Finished) -> Iterator[Part]:
    """The transcripts of pieces, in order, after passes that adapt the model to their speakers."""

    def passed(name: str, number: int) -> None:
        entry = entries[int(name)]
        job.gone_through(entry.recording, entry.end - entry.start, number)

    together = job.model.decode_together(features, features.speakers, passed=passed, workers=job.workers)
    failure: AsrError | None = None  # of adapting, for all that is left
    for entry in entries:
        if entry.place is None:
            yield _part(entry, _SILENCE)
            continue
        try:
            if failure is not None:
                raise failure
            yield _part(entry, shifted(next(together)[1], entry.start))
        except AsrError as error:
            failure = error
            failed = job.failed(entry.recording, _named(entry.recording, error))
            yield failed._replace(number=entry.number, start=entry.start, end=entry.end, is_last=entry.is_last)


def _part(entry: _Entry, result: Transcript) -> Part:
    return Part(*entry[:5], result)
