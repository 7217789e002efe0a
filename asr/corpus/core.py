"""Utterances and the corpus that holds them."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from ..display.brief import many
from ..errors import CorpusError, did_you_mean
from .utterance import Problem, Utterance, listed

logger = logging.getLogger(__name__)
_SHOWN = 20  # problems listed in the message of a corpus of which nothing is left


class Corpus:
    """Utterances in a fixed order, found by id.

    Args:
        utterances: with different ids, at least one.
        problems: what a reader left out or found inconsistent; the utterances are the good rest.

    Raises:
        CorpusError: for no utterances, or an id that is there twice.

    Examples:
        >>> corpus = Corpus([Utterance("u1", "ann", text="one two")])
        >>> corpus["u1"].speaker, len(corpus), corpus.transcripts()
        ('ann', 1, {'u1': 'one two'})
    """

    def __init__(self, utterances: Iterable[Utterance], problems: Iterable[Problem] = ()):
        self.utterances = tuple(utterances)
        self.problems = tuple(problems)
        self._by_id: dict[str, Utterance] = {}
        for utterance in map(listed, self.utterances):
            if utterance.id in self._by_id:
                raise CorpusError(f"utterance id {utterance.id!r} is given twice; ids must differ")
            self._by_id[utterance.id] = utterance
        if not self.utterances:
            from .problems import in_lines

            lines = [f"  {line}" for line in in_lines(self.problems)]
            shown, more = lines[:_SHOWN], [f"  ... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
            error = CorpusError("\n".join(["the corpus has no usable utterance", *shown, *more]))
            error.problems = self.problems
            raise error

    def __len__(self) -> int:
        return len(self.utterances)

    def __iter__(self) -> Iterator[Utterance]:
        """The utterances, in order."""
        return iter(self.utterances)

    def __contains__(self, utterance_id: object) -> bool:
        return utterance_id in self._by_id

    def __getitem__(self, utterance_id: str) -> Utterance:
        try:
            return self._by_id[utterance_id]
        except KeyError:
            raise CorpusError(
                f"utterance {utterance_id!r} is not in the corpus{did_you_mean(utterance_id, self._by_id)}"
            ) from None

    def __eq__(self, other: object) -> bool:
        """Whether the utterances are the same, in the same order; problems do not count."""
        return isinstance(other, Corpus) and self.utterances == other.utterances

    def __hash__(self) -> int:
        return hash(self.utterances)

    def __repr__(self) -> str:
        parts = (len(self), "utterance"), (len(self.speakers), "speaker"), (len(self.problems), "problem")
        return f"Corpus({', '.join(many(n, noun) for n, noun in parts)})"

    @property
    def ids(self) -> list[str]:
        """The utterance ids, in order."""
        return list(self._by_id)

    @property
    def speakers(self) -> list[str]:
        """The different speakers, sorted."""
        return sorted({u.speaker for u in self.utterances})

    @property
    def speaker_of(self) -> dict[str, str]:
        """Utterance id -> speaker."""
        return {u.id: u.speaker for u in self.utterances}

    def transcripts(self) -> dict[str, str]:
        """Utterance id -> text, of the utterances whose text is known."""
        return {u.id: u.text for u in self.utterances if u.text is not None}

    def select(self, ids: Iterable[str]) -> "Corpus":
        """The utterances of the given ids, in their order.

        Raises:
            CorpusError: for an unknown id.
        """
        return Corpus([self[i] for i in ids], self.problems)

    def where(self, predicate: Callable[[Utterance], bool]) -> "Corpus":
        """The utterances for which the predicate holds.

        Raises:
            CorpusError: if there is none.
        """
        return Corpus([u for u in self.utterances if predicate(u)], self.problems)

    @classmethod
    def read(
        cls,
        path: str | os.PathLike,
        *,
        need_text: bool = True,
        strict: bool = False,
        channel: "int | Literal['each'] | None" = None,
        allow_commands: str | os.PathLike | None = None,
    ) -> "Corpus":
        """The corpus at a path, of whatever kind it is.

        path                                            read by
        a folder with a wav.scp or feats.scp            from_kaldi
        a folder with recordings*, supervisions* or     from_lhotse
          cuts*.jsonl[.gz], or such a file
        a file .tsv or .csv                             from_tsv
        another folder                                  from_folder

        What is damaged or does not fit is left out, and named with its file and line in `problems`; the rest is used.
        Lists are UTF-8, or UTF-16 with a byte-order mark, with any system's line ends; nothing needs to be sorted.
        Reading a corpus runs no program, whatever its lists say, unless `allow_commands` permits it.

        Args:
            need_text: False for recordings that are only to be transcribed; transcripts are then not read.
            strict: raise instead of leaving out what has a problem.
            channel: of recordings with several: the one to take, from 0, or "each" as an utterance and a speaker of its
                own, call-1, call-2 ...; None is the mean of all. Where the corpus says an utterance's channel, that
                counts.
            allow_commands: see from_kaldi.

        Raises:
            CorpusError: if there is no corpus or nothing usable in it, or listing all problems if strict.

        Examples:
            >>> Corpus.read("no-such-corpus")  # doctest: +ELLIPSIS
            Traceback (most recent call last):
            asr.errors.CorpusError: no-such-corpus: no such file or folder; need a folder of recordings ...
        """
        from .kinds import corpus_kind

        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"path is of type {type(path).__name__}; need the corpus' folder or list")
        kind = corpus_kind(Path(path))
        if kind == "kaldi":
            return cls.from_kaldi(
                path, need_text=need_text, strict=strict, channel=channel, allow_commands=allow_commands
            )
        if kind in ("tsv", "csv"):
            return cls.from_tsv(path, need_text=need_text, strict=strict, channel=channel)
        if kind == "lhotse":
            return cls.from_lhotse(path, need_text=need_text, strict=strict, channel=channel)
        return cls.from_folder(path, need_text=need_text, strict=strict, channel=channel)

    @classmethod
    def from_folder(
        cls,
        directory: str | os.PathLike,
        *,
        speaker: str | Callable[[Path], str] | None = None,
        text_suffix: str = ".txt",
        tier: str | None = None,
        need_text: bool = True,
        strict: bool = False,
        channel: "int | Literal['each'] | None" = None,
    ) -> "Corpus":
        """The recordings of a folder and the folders in it (wav, flac, ogg, opus, mp3 ...), each with its transcript.

        `ann/hello.wav` and `ann/hello.txt` make utterance `hello` of speaker `ann`. Where files in different folders
        share a stem, these files' ids are their paths with `-` for `/` (`ann-hello`, `bob-hello`). Blanks in ids
        become `_`. Names that begin with a dot are passed over. Utterances come sorted by path.
        A matrix `hello.npy`, float (n_frames, dim), beside the recording is its features; in a folder without
        recordings each matrix with its transcript is an utterance.

        Args:
            speaker: a regular expression searched in the path within the folder without its suffix (`ann/hello`), whose
                first group, or whole match, is the speaker; or a function of that path. Without it the speaker is the
                name of the file's own folder (blanks become `_`), and a file directly in `directory` is a speaker of
                its own.
            text_suffix: what a transcript's name has in place of the recording's suffix; its content is the text, or
                tiers of intervals with text: Praat's TextGrids, ELAN's .eaf, subtitles, labels (see
                asr.corpus.annotations). Then an utterance is what an interval says, with its times; all words of a tier
                of words are one, up to 30 s.
            tier: which of them; the only one with text, or one named as utterances or words are, if not given.
            need_text: False leaves transcripts unread.
            strict: raise instead of leaving out what has a problem.
            channel: see `read`; with "each", `call-1.txt` and `call-2.txt` are the transcripts of a `call.wav` with
                two.

        Raises:
            CorpusError: if nothing usable is there, or listing all problems if strict.
        """
        from .folder import read_folder

        utterances, problems = read_folder(Path(directory), speaker, text_suffix, need_text, tier, channel)
        return _checked(cls, utterances, problems, Path(directory), strict)

    @classmethod
    def from_kaldi(
        cls,
        directory: str | os.PathLike,
        *,
        need_text: bool = True,
        strict: bool = False,
        channel: "int | Literal['each'] | None" = None,
        allow_commands: str | os.PathLike | None = None,
    ) -> "Corpus":
        """A Kaldi data directory: wav.scp or feats.scp or both, text, utt2spk, and where they exist segments, spk2utt.

        Paths in the lists are taken from the current folder, as Kaldi does, or else from the data directory. A
        segment's end of -1, or up to half a second past the recording, is the recording's end, as in Kaldi. Segments of
        one recording and speaker that overlap are problems, but used. An utterance whose audio or features cannot be
        used is used with the other.

        Args:
            need_text: False for recordings that are only to be transcribed: text is not read, and without utt2spk each
                utterance is a speaker of its own.
            strict: raise instead of leaving out what has a problem.
            channel: see `read`. The fifth column of segments says an utterance's channel, from 0, as for Kaldi's
                extract-segments; and reco2file_and_channel (A or 1 for the first) that of a recording with several.
            allow_commands: a folder. Commands in wav.scp and feats.scp (`sph2pipe a.sph |`) then run in the shell, with
                all your rights, and what they write is kept in that folder, where the next reading finds it. None
                refuses them: each is a problem.

        Raises:
            CorpusError: if nothing usable is there, or listing all problems if strict.
        """
        from .channels import in_channels
        from .kaldi import read_kaldi

        commands = None if allow_commands is None else Path(allow_commands)
        found, problems = read_kaldi(Path(directory), need_text, commands)
        utterances, more = in_channels(found, channel, need_text=need_text)
        problems += more
        return _checked(cls, utterances, problems, Path(directory), strict)

    @classmethod
    def from_tsv(
        cls,
        path: str | os.PathLike,
        *,
        need_text: bool = True,
        strict: bool = False,
        channel: "int | Literal['each'] | None" = None,
    ) -> "Corpus":
        """A table with a line for each utterance, cells separated by tabs; the first line names the columns:

        audio, features   one of them is needed: paths from the table's folder; see Utterance
        text              needed unless need_text is False
        id                otherwise the audio's name without suffix, blanks as `_`; of several parts of one recording
                          with channel and times in ms: `a-1-0001500-0002000`
        speaker           otherwise the name of the audio (blanks become `_`)
        start, end        s; empty for the recording's own
        channel           of a recording with several, from 1; empty for the mean of all

        Columns may come in any order; others are not used. Common Voice's tables are read as they are: path, sentence
        and client_id stand for audio, text and speaker, and the recordings may lie in `clips` beside the table.
        Quotes are letters like others: a cell holds neither tabs nor line ends.
        A file .csv may have any tool's names of columns, and commas, semicolons or bars between its cells, of which
        quotes may hold some; LJSpeech's metadata.csv is read as it is.

        Args:
            need_text: False leaves transcripts unread.
            strict: raise instead of leaving out what has a problem.
            channel: see `read`.

        Raises:
            CorpusError: for an unusable header or if nothing usable is there, or listing all problems if strict.
        """
        from .channels import in_channels
        from .tsv import read_csv, read_tsv

        read = read_csv if Path(path).suffix.lower() == ".csv" else read_tsv
        found, problems = read(Path(path), need_text)
        utterances, more = in_channels(found, channel, need_text=need_text)
        problems += more
        return _checked(cls, utterances, problems, Path(path), strict)

    @classmethod
    def from_lhotse(
        cls,
        manifest: str | os.PathLike,
        supervisions: str | os.PathLike | None = None,
        *,
        need_text: bool = True,
        strict: bool = False,
        channel: "int | Literal['each'] | None" = None,
    ) -> "Corpus":
        """Lhotse's manifests in JSON lines (.jsonl, .jsonl.gz): each supervision is an utterance. Lhotse is not needed.

        Paths are taken from the current folder, as Lhotse does, or else from the manifest's. Of cuts, MonoCuts with
        a recording are read. Blanks in ids and speakers become `_`; without a speaker a recording is one of its own.
        Sources of types other than `file` are problems (nothing is run or fetched), and so are recordings with
        transforms, and several channels that lie with others in one file.

        Args:
            manifest: recordings*, cuts*, or a folder that holds either once.
            supervisions: of the recordings; otherwise the file of that name beside `recordings`.
            need_text: False also takes recordings and cuts without supervision, whole.
            strict: raise instead of leaving out what has a problem.
            channel: see `read`; supervisions and cuts say theirs, so this is for recordings without.

        Raises:
            CorpusError: if nothing usable is there, or listing all problems if strict.
        """
        from .channels import in_channels
        from .lhotse import read_lhotse

        given = None if supervisions is None else Path(supervisions)
        found, problems = read_lhotse(Path(manifest), given, need_text)
        utterances, more = in_channels(found, channel, need_text=need_text)
        problems += more
        return _checked(cls, utterances, problems, Path(manifest), strict)

    def to_kaldi(self, directory: str | os.PathLike) -> None:
        """Write a Kaldi data directory: wav.scp, text, utt2spk, spk2utt, and segments if parts of recordings are used.

        Where every utterance has features in a Kaldi archive feats.scp is written; without audio it stands alone.
        Whole or not at all, sorted as Kaldi sorts (LC_ALL=C); paths become absolute. An older data directory is
        replaced.

        Raises:
            CorpusError: for a directory that holds other files, or utterances of which some have no audio.
        """
        from .kaldi_writing import write_kaldi

        write_kaldi(self.utterances, Path(directory))

    def to_tsv(self, path: str | os.PathLike) -> None:
        """Write a table that from_tsv reads, whole or not at all; columns that would be empty are left out.

        Files below the table's folder are given from there, so that all can be moved together; others by their
        absolute paths.

        Raises:
            CorpusError: for a path that a table cannot hold.
        """
        from .tsv import write_tsv

        write_tsv(self.utterances, Path(path))


def _checked(
    kind: type[Corpus], utterances: list[Utterance], problems: list[Problem], source: Path, strict: bool
) -> Corpus:
    """The corpus of what a reader found, or CorpusError."""
    if strict and problems:
        raise CorpusError("\n".join([f"{many(len(problems), 'problem')} in {source}:", *(f"  {p}" for p in problems)]))
    if problems:
        logger.warning("%s: %d problems, %d usable utterances", source, len(problems), len(utterances))
    elif not utterances:
        raise CorpusError(f"{source}: no utterance is listed in it")
    try:
        return kind(utterances, problems)
    except CorpusError as error:
        error.args = (f"{source}: {error}",)
        raise
