"""Finished tests: what was recognised in all folds against what was said."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..report.results import ResultRow
from ..scoring import Score, score
from ..scoring.edges import EdgeScore, read_ctm, score_edges, share_within
from ..scoring.reading import read_transcripts
from ..train.tuning import best_point
from .tasks import read_json, read_tuning

if TYPE_CHECKING:
    from .systems import System


@dataclass(frozen=True)
class Tested:
    """A finished test: hypotheses against references, over one fold or several, and the folders of its stages.

    edges: of correct words, where the true times are known.
    """

    tests: list[Path]
    trainings: list[Path]
    tunings: list[list[Path]]
    references: dict[str, str]
    hypotheses: dict[str, str]
    train_cpu_seconds: float
    decode_rtf: float
    edges: EdgeScore | None = None

    def score(self, unit: str = "word") -> Score:
        """Errors over all folds together."""
        return score(self.references, self.hypotheses, unit=unit)  # type: ignore[arg-type]

    def row(self, system: "System", test_name: str, seed: int) -> ResultRow:
        """The row of results.json."""
        result = self.score()
        return ResultRow(
            model=system.model,
            features=system.front_end,
            variant=system.variant,
            adaptation=system.adaptation,
            test=test_name,
            metric="wer",
            seed=seed,
            value=result.rate,
            errors=result.errors,
            total=result.total,
            train_cpu_seconds=self.train_cpu_seconds,
            decode_rtf=self.decode_rtf,
            substitutions=result.substitutions,
            deletions=result.deletions,
            insertions=result.insertions,
            edges_within_50_ms=share_within(self.edges.edges, 50) if self.edges and self.edges.words else None,
        )


@dataclass(frozen=True)
class Result:
    """A system on a test with one seed."""

    system: "System"
    test: str
    seed: int
    tested: Tested

    @property
    def row(self) -> ResultRow:
        """Its row in results.json."""
        return self.tested.row(self.system, self.test, self.seed)


def collect(tests: list[Path], trainings: list[Path], tunings: list[list[Path]], truth: Path | None = None) -> Tested:
    """The test stages of all folds, pooled: training time is their sum, the real-time factor their mean.

    truth: a CTM file; edges are scored if it has words of every reference that has any.
    """
    references: dict[str, str] = {}
    hypotheses: dict[str, str] = {}
    for folder in tests:
        references |= read_transcripts(folder / "references.tsv")
        hypotheses |= read_transcripts(folder / "hypotheses.tsv")
    seconds = [read_json(f / "training.json")["train_cpu_seconds"] for f in trainings]
    rtfs = [read_json(f / "test.json")["decode_rtf"] for f in tests]
    edges = _edges(tests, references, truth) if truth is not None else None
    return Tested(tests, trainings, tunings, references, hypotheses, sum(seconds), sum(rtfs) / len(rtfs), edges)


def _edges(tests: list[Path], references: dict[str, str], truth: Path) -> EdgeScore | None:
    true = read_ctm(truth)
    if any(text and i not in true for i, text in references.items()):
        return None
    files = [f / "hypotheses.ctm" for f in tests]
    heard = {i: words for file in files if file.stat().st_size for i, words in read_ctm(file).items()}
    return score_edges({i: true[i] for i in references if i in true}, heard)


def chosen(candidates: Sequence[Tested], truth: Path | None = None) -> Tested:
    """In each fold, the test of the system that made the fewest errors on that fold's held-out data.

    candidates: the same test by several systems, fold by fold. truth: as in `collect`.
    """
    best = []
    for fold in range(len(candidates[0].tests)):
        best.append(min(candidates, key=lambda t: best_point(read_tuning(*t.tunings[fold])).errors))
    picked = [(t.tests[fold], t.trainings[fold], t.tunings[fold]) for fold, t in enumerate(best)]
    tests, trainings, tunings = (list(column) for column in zip(*picked, strict=True))
    return collect(tests, trainings, tunings, truth)
