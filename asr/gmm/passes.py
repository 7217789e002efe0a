"""One training pass over a corpus in parts: align, accumulate, in this process or in several."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..display.brief import brief_repr
from ..errors import ModelError
from ..hmm.align import AlignOptions, align, equal_alignment, too_short_message
from ..hmm.training_graph import TrainingGraphs, training_graphs
from ..hmm.transitions import TransitionModel
from ..hmm.tree import ContextDependency
from ..processes import explained_workers, one_blas_thread, worker_pool
from .em import GmmStatistics, accumulate
from .model import DiagGmms

if TYPE_CHECKING:
    from ..features.table import FeatureTable
    from ..lang.lexicon import Lexicon

Result = TypeVar("Result")

PART_FRAMES = 50_000  # about; enough to make the cost of dividing small, few enough to keep many processes busy


@dataclass(frozen=True, eq=False)
class Part:
    """Some utterances of a corpus, the unit of parallel work. Sums over parts do not depend on who did which.

    Attributes:
        ids: the utterances, those with the same transcript side by side.
        frames: float32 (n_frames, dim): their features one after another.
        offsets: int64 (n_utterances + 1,).
        graphs: their training graphs.
    """

    ids: tuple[str, ...]
    frames: np.ndarray
    offsets: np.ndarray
    graphs: TrainingGraphs

    def __repr__(self) -> str:
        return brief_repr(self)

    def features(self) -> dict[str, np.ndarray]:
        """Utterance id -> float32 (n_frames, dim) view."""
        return {u: self.frames[a:b] for u, a, b in zip(self.ids, self.offsets[:-1], self.offsets[1:], strict=True)}

    def by_utterance(self, transition_ids: np.ndarray) -> dict[str, np.ndarray]:
        """Utterance id -> its piece of an int32 (n_frames,) array; utterances that are not aligned (0) left out."""
        pieces = zip(self.ids, self.offsets[:-1], self.offsets[1:], strict=True)
        return {u: transition_ids[a:b] for u, a, b in pieces if transition_ids[a] != 0}

    def together(self, alignments: Mapping[str, np.ndarray]) -> np.ndarray:
        """int32 (n_frames,): the alignments one after another; 0 where an utterance has none."""
        ids = np.zeros(len(self.frames), np.int32)
        for u, a, b in zip(self.ids, self.offsets[:-1], self.offsets[1:], strict=True):
            if u in alignments:
                ids[a:b] = alignments[u]
        return ids


@dataclass(frozen=True, eq=False)
class PassResult:
    """What a pass over one part gives.

    Attributes:
        transition_ids: int32 (n_frames,), 0 where an utterance is not aligned.
        transition_counts: float64 (n_transition_ids + 1,).
        failures: utterance id -> reason, retried: utterance ids, of this pass's alignment.
    """

    transition_ids: np.ndarray
    statistics: GmmStatistics
    transition_counts: np.ndarray
    failures: dict[str, str]
    retried: list[str]

    def __repr__(self) -> str:
        return brief_repr(self)


def make_parts(
    table: "FeatureTable",
    transcripts: Mapping[str, Sequence[int]],
    lexicon: "Lexicon",
    tree: ContextDependency,
    transitions: TransitionModel,
    *,
    part_frames: int = PART_FRAMES,
) -> list[Part]:
    """The corpus in parts of about part_frames frames, the same whatever the number of processes."""
    first_seen: dict[tuple[int, ...], int] = {}
    for words in transcripts.values():
        first_seen.setdefault(tuple(words), len(first_seen))
    ids = sorted(transcripts, key=lambda u: first_seen[tuple(transcripts[u])])
    ends = np.cumsum([len(table[u]) for u in ids])
    n_parts = max(1, round(float(ends[-1]) / part_frames))
    bounds = np.searchsorted(ends, ends[-1] / n_parts * np.arange(1, n_parts)) + 1
    parts = []
    for a, b in zip([0, *bounds], [*bounds, len(ids)], strict=True):
        if b > a:
            chosen = tuple(ids[a:b])
            offsets = np.concatenate([[0], np.cumsum([len(table[u]) for u in chosen])]).astype(np.int64)
            frames = np.ascontiguousarray(np.concatenate([table[u] for u in chosen]), np.float32)
            graphs = training_graphs({u: transcripts[u] for u in chosen}, lexicon, tree, transitions)
            parts.append(Part(chosen, frames, offsets, graphs))
    return parts


def equal_alignments(parts: Sequence[Part], rng: np.random.Generator) -> tuple[list[np.ndarray], dict[str, str]]:
    """The flat start's alignment of every part, and why some utterances have none."""
    all_ids, failures = [], {}
    for part in parts:
        aligned = {}
        for utterance, n_frames in zip(part.ids, np.diff(part.offsets), strict=True):
            graph = part.graphs.graph_of[utterance]
            ids = equal_alignment(part.graphs, graph, int(n_frames), rng)
            if ids is None:
                failures[utterance] = too_short_message(int(n_frames), int(part.graphs.min_frames[graph]))
            else:
                aligned[utterance] = ids
        all_ids.append(part.together(aligned))
    return all_ids, failures


def pass_over(
    part: Part,
    transition_ids: np.ndarray,
    gmms: DiagGmms,
    transitions: TransitionModel,
    options: AlignOptions | None,
    boosts: np.ndarray | None,
) -> PassResult:
    """Align one part anew, or take the alignment given, and accumulate the statistics of its frames.

    Args:
        transition_ids: int32 (n_frames,): the alignment to use where `options` is None.
        boosts: float32 (n_pdfs,): added to the log-likelihoods in alignment only.
    """
    failures: dict[str, str] = {}
    retried: list[str] = []
    if options is not None:

        def scores(features: np.ndarray, pdfs: np.ndarray) -> np.ndarray:
            values = gmms.log_likelihoods(features, pdfs)
            return values if boosts is None else values + boosts[pdfs]

        alignment = align(part.graphs, part.features(), transitions, scores, options)
        failures, retried = alignment.failures, alignment.retried
        transition_ids = part.together(alignment.transition_ids)
    frames = part.frames
    if not transition_ids.all():
        aligned = transition_ids > 0
        frames, used = frames[aligned], transition_ids[aligned]
    else:
        used = transition_ids
    statistics = accumulate(gmms, frames, transitions.pdf_of_id[used])
    counts = np.bincount(used, minlength=transitions.n_transition_ids + 1).astype(np.float64)
    return PassResult(transition_ids, statistics, counts, failures, retried)


class Workers:
    """Processes that do passes over parts; a context manager. With n_jobs=1 there are none, and no joblib.

    The parts' arrays are shared as memory-mapped files, written once. Each process uses one BLAS thread, this one too.
    Starting a process takes a second or two: worth it from some hundred thousand frames on.
    """

    def __init__(self, parts: Sequence[Part], n_jobs: int):
        if n_jobs == 0:
            raise ModelError("n_jobs=0; give the number of processes, or -1 for one on each core")
        self.parts = list(parts)
        self.n_jobs = n_jobs
        self._pool: Any = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Workers":
        self._stack.enter_context(one_blas_thread())
        if self.n_jobs != 1 and len(self.parts) > 1:
            from ..hmm import kernels  # noqa: F401  numba's cache is filled before the processes start

            self._pool = self._stack.enter_context(worker_pool(self.n_jobs))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()
        if self._pool is not None:
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor(reuse=True).shutdown(wait=True)  # their CPU time is then counted as our children's
            self._pool = None

    def run(
        self,
        transition_ids: Sequence[np.ndarray],
        gmms: DiagGmms,
        transitions: TransitionModel,
        options: AlignOptions | None,
        boosts: np.ndarray | None,
    ) -> list[PassResult]:
        """One pass over every part, in order; see pass_over."""
        return self.each(pass_over, [(ids, gmms, transitions, options, boosts) for ids in transition_ids])

    def each(self, function: Callable[..., Result], arguments: Sequence[tuple]) -> list[Result]:
        """function(part, *arguments of that part) of every part, in order. The function is one of a module's."""
        tasks = list(zip(self.parts, arguments, strict=True))
        if self._pool is None:
            return [function(part, *rest) for part, rest in tasks]
        import joblib

        with explained_workers(self.n_jobs):
            return self._pool(joblib.delayed(function)(part, *rest) for part, rest in tasks)
