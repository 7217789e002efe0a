"""Utterances ready for training or testing."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..display.brief import many
from ..errors import CorpusError
from ..features.pipeline import FeaturePipeline
from ..features.table import FeatureTable
from ..files import write_text


@dataclass(frozen=True, eq=False)
class Data:
    """Utterances ready for training or testing.

    raw: their front-end features, before normalisation.
    speakers, transcripts: by utterance id; more ids than in `raw` do no harm.
    """

    raw: FeatureTable
    speakers: Mapping[str, str]
    transcripts: Mapping[str, str]

    def __repr__(self) -> str:
        speakers = {self.speakers.get(key) for key in self.raw}
        return f"<Data: {many(len(speakers), 'speaker')}, {repr(self.raw)[1:-1]}>"

    def select(self, ids: Iterable[str]) -> "Data":
        """The part with these utterances, in this order. Raises CorpusError if nothing is left."""
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
        """Transcripts of exactly these utterances. Raises CorpusError for one that has none."""
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
