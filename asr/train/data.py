"""Utterances ready for training or testing."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..corpus.core import Corpus
from ..corpus.extract import SILENT, extract
from ..corpus.utterance import Problem, Utterance
from ..display.brief import many
from ..errors import CorpusError, kind_of_message
from ..features.pipeline import FeaturePipeline
from ..features.table import FeatureTable
from ..files import write_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Data:
    """Utterances ready for training or testing. Made of a corpus by `Data.of`.

    Attributes:
        raw: their front-end features, before normalisation.
        speakers: by utterance id; more ids than in `raw` do no harm.
        transcripts: by utterance id; more ids than in `raw` do no harm.
        problems: of the utterances without features; where: the id. They are not saved.
    """

    raw: FeatureTable
    speakers: Mapping[str, str]
    transcripts: Mapping[str, str]
    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(
        cls,
        corpus: Corpus | Iterable[Utterance],
        pipeline: FeaturePipeline,
        *,
        n_jobs: int = 1,
        vtln_warp: float = 1.0,
        speed: float = 1.0,
        allow_silence: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> "Data":
        """The utterances of a corpus with their features, speakers and transcripts.

        Recordings that cannot be used are left out, warned of in a line for each kind of reason, and kept in
        `problems`.

        Args:
            n_jobs: processes; the result does not depend on it.
            vtln_warp: of all recordings; see `extract`.
            speed: of all recordings; see `extract`.
            allow_silence: False leaves out recordings in which nothing can be heard from end to end.
            progress: called with the utterances done so far and their total.

        Raises:
            CorpusError: if not one recording can be used.
        """
        corpus = corpus if isinstance(corpus, Corpus) else Corpus(corpus)
        table, problems = extract(
            corpus, pipeline, n_jobs=n_jobs, vtln_warp=vtln_warp, speed=speed, allow_silence=allow_silence,
            progress=progress,
        )  # fmt: skip
        _warn_of_unusable(corpus, problems)
        if not len(table):
            name, why = problems[0]
            why = why if why != SILENT else f"{corpus[name].audio}: {SILENT}"
            raise CorpusError(f"not one of {len(corpus)} recordings can be used, such as {name}: {why}")
        return cls(table, corpus.speaker_of, corpus.transcripts(), tuple(problems))

    def __repr__(self) -> str:
        speakers = {self.speakers.get(key) for key in self.raw}
        return f"<Data: {many(len(speakers), 'speaker')}, {repr(self.raw)[1:-1]}>"

    def select(self, ids: Iterable[str]) -> "Data":
        """The part with these utterances, in this order.

        Raises:
            CorpusError: if nothing is left.
        """
        ids = list(ids)
        if not ids:
            raise CorpusError("no utterances are left after selecting; check the split's condition")
        return replace(self, raw=self.raw.select(ids))

    def where(self, wanted: Callable[[str], bool]) -> "Data":
        """The part whose ids fulfil a condition."""
        return self.select(i for i in self.raw if wanted(i))

    def save(self, folder: Path) -> None:
        """Write features.npz and utterances.tsv (id, speaker, transcript) into a folder."""
        self.raw.save(folder / "features.npz")
        rows = (f"{i}\t{self.speakers[i]}\t{text}\n" for i, text in self.transcripts.items())
        write_text(folder / "utterances.tsv", "".join(rows))

    @classmethod
    def load(cls, folder: Path) -> "Data":
        """What `save` wrote."""
        rows = [
            line.split("\t", 2) for line in (folder / "utterances.tsv").read_text(encoding="utf-8").split("\n") if line
        ]
        speakers, transcripts = {r[0]: r[1] for r in rows}, {r[0]: r[2] for r in rows}
        return cls(FeatureTable.load(folder / "features.npz"), speakers, transcripts)

    @property
    def references(self) -> dict[str, str]:
        """Transcripts of exactly these utterances.

        Raises:
            CorpusError: for one that has none.
        """
        missing = [i for i in self.raw if i not in self.transcripts]
        if missing:
            raise CorpusError(
                f"utterance {missing[0]!r} has features but no transcript ({len(missing)} of {len(self.raw)}); "
                "select the utterances that have one"
            )
        return {i: self.transcripts[i] for i in self.raw}

    def normalised(self, pipeline: FeaturePipeline) -> FeatureTable:
        """The features after the whole pipeline; per-speaker statistics are taken over these utterances alone."""
        ids = list(self.raw)
        finished = pipeline.finish([self.raw[i] for i in ids], [self.speakers[i] for i in ids])
        return FeatureTable.from_dict(dict(zip(ids, finished, strict=True)))


def _warn_of_unusable(corpus: Corpus, problems: Sequence[Problem]) -> None:
    """Warn of utterances without features: a line for those without sound, and for each other kind of reason."""
    silent = [name for name, why in problems if why == SILENT]
    if silent:
        logger.warning(
            "%d of %d recordings are silent all through and are left out, such as %s (%s): %s",
            len(silent), len(corpus), silent[0], corpus[silent[0]].audio, SILENT,
        )  # fmt: skip
    by_kind: dict[str, list[Problem]] = {}
    for problem in problems:
        logger.info("no features of %s", problem)
        if problem.message != SILENT:
            place = str(corpus[problem.where].audio or corpus[problem.where].features)
            by_kind.setdefault(kind_of_message(problem.message, place), []).append(problem)
    for alike in by_kind.values():
        logger.warning("no features of %d of %d recordings, such as %s", len(alike), len(corpus), alike[0])
