"""Forced alignment: the best transition-id sequence of each utterance's training graph, one id per frame."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..display.brief import brief_repr
from ..errors import ModelError
from .training_graph import GraphScores, TrainingGraphs
from .transitions import TransitionModel

if TYPE_CHECKING:
    from ..features.table import FeatureTable

ALIGNED, RETRIED, NO_PATH, TOO_SHORT = 0, 1, -1, -2
"""The status of an utterance: found within the beam, within the retry beam, not found, fewer frames than needed."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AlignOptions:
    """Settings of the search; Kaldi's defaults in training, after its first pass."""

    beam: float = 10.0  # nats, of scaled scores; Kaldi's first monophone pass takes 6
    retry_beam: float = 40.0  # for utterances whose end the beam does not reach; 0 = do not try again
    acoustic_scale: float = 0.1
    transition_scale: float = 1.0
    self_loop_scale: float = 0.1

    def __post_init__(self) -> None:
        if not self.beam > 0:
            raise ModelError(f"beam={self.beam}; an alignment beam is above 0")


class BatchAlignment(NamedTuple):
    """The result of `align_batch`. Frames of utterances that could not be aligned hold 0.

    Attributes:
        transition_ids: int32 (n_frames in all,).
        status: int8 (n_utterances,): ALIGNED, RETRIED, NO_PATH, TOO_SHORT.
        acoustic: float64 (n_utterances,): log-likelihood of the path, not scaled.
        graph: float64: its transitions and silences. acoustic_scale * acoustic + graph is what the search maximised.
    """

    transition_ids: np.ndarray
    status: np.ndarray
    acoustic: np.ndarray
    graph: np.ndarray

    def __repr__(self) -> str:
        return brief_repr(self)


@dataclass
class Alignments:
    """The alignments of a corpus.

    Attributes:
        transition_ids: utterance id -> int32 (n_frames,).
        failures: utterance id -> what is wrong and what to do.
        retried: the utterances that needed the retry beam.
        acoustic: summed over the aligned utterances, as in BatchAlignment.
        graph: summed over the aligned utterances, as in BatchAlignment.
        n_frames: of the aligned utterances.
    """

    transition_ids: dict[str, np.ndarray] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    retried: list[str] = field(default_factory=list)
    acoustic: float = 0.0
    graph: float = 0.0
    n_frames: int = 0

    def __repr__(self) -> str:
        return brief_repr(self)


def align_batch(
    graphs: TrainingGraphs,
    scores: GraphScores,
    graph_index: np.ndarray,
    log_likelihoods: np.ndarray,
    frame_offsets: np.ndarray,
    column_of_pdf: np.ndarray,
    options: AlignOptions | None = None,
) -> BatchAlignment:
    """The best path of each utterance of a batch through its graph.

    Args:
        scores: graphs.scores(transitions), made once per pass.
        graph_index: int (n_utterances,): the graph of each utterance.
        log_likelihoods: float32 (n_frames in all, n_columns), not scaled: the utterances' frames one after another.
        frame_offsets: int (n_utterances + 1,): where each utterance begins; the last is n_frames in all.
        column_of_pdf: int (n_pdfs,): the column of each pdf, -1 for pdfs that are in none of the batch's graphs.

    Raises:
        ModelError: where the batch's shapes disagree or a needed pdf has no column.
    """
    from .kernels import align_utterances

    options = options or AlignOptions()
    graph_index = np.ascontiguousarray(graph_index, np.int32)
    frame_offsets = np.ascontiguousarray(frame_offsets, np.int64)
    column_of_pdf = np.ascontiguousarray(column_of_pdf, np.int32)
    log_likelihoods = np.ascontiguousarray(log_likelihoods, np.float32)
    _check_batch(graphs, graph_index, log_likelihoods, frame_offsets, column_of_pdf)
    beams = [options.beam, options.retry_beam] if options.retry_beam > options.beam else [options.beam]
    n = len(graph_index)
    alignment = BatchAlignment(
        np.zeros(len(log_likelihoods), np.int32), np.zeros(n, np.int8), np.zeros(n, np.float64), np.zeros(n, np.float64)
    )
    g = graphs
    align_utterances(
        g.node_offsets, g.arc_offsets, g.arc_source, g.arc_id, scores.arc, scores.loop, scores.final,
        g.entry_pdf, g.loop_pdf, g.loop_id, g.final_id, g.lowest_target, g.highest_target,
        frame_offsets, graph_index, log_likelihoods, g.min_frames, column_of_pdf,
        np.array(beams, np.float64), float(options.acoustic_scale), *alignment,
    )  # fmt: skip
    return alignment


def _check_batch(graphs, graph_index, log_likelihoods, frame_offsets, column_of_pdf) -> None:
    """The kernel checks no index: whatever could make it read outside its arrays is refused here."""
    ends = [int(frame_offsets[0]), int(frame_offsets[-1])] if len(frame_offsets) else []
    if (
        len(frame_offsets) != len(graph_index) + 1
        or ends != [0, len(log_likelihoods)]
        or (np.diff(frame_offsets) < 0).any()
    ):
        raise ModelError(
            f"{len(graph_index)} utterances and {len(log_likelihoods)} frames need ascending frame offsets from 0 to"
            f" {len(log_likelihoods)}, one more than utterances; got {len(frame_offsets)} offsets with ends {ends}"
        )
    for graph in np.unique(graph_index):
        if not 0 <= graph < graphs.n_graphs:
            raise ModelError(f"graph {graph} is not among the {graphs.n_graphs} training graphs")
        pdfs = graphs.pdfs(graph)
        columns = column_of_pdf[pdfs] if pdfs[-1] < len(column_of_pdf) else np.array([-1])
        if columns.min() < 0 or columns.max() >= log_likelihoods.shape[1]:
            raise ModelError(
                f"graph {graph} uses the pdfs {pdfs.tolist()}; not each has one of the"
                f" {log_likelihoods.shape[1]} columns of log-likelihoods"
            )


def align(
    graphs: TrainingGraphs,
    table: "FeatureTable | Mapping[str, np.ndarray]",
    transitions: TransitionModel,
    log_likelihoods: Callable[[np.ndarray, np.ndarray], np.ndarray],
    options: AlignOptions | None = None,
    *,
    ids: Iterable[str] | None = None,
    max_frames: int = 20_000,
) -> Alignments:
    """The forced alignment of many utterances, each with the graph of its transcript.

    Utterances with the same transcript are scored together, and only for the pdfs in their graph.

    Args:
        table: utterance id -> float32 (n_frames, dim) features.
        log_likelihoods: (features (n, dim), pdfs int32 (k,) ascending) -> float32 (n, k); e.g.
            DiagGmms.log_likelihoods.
        ids: the utterances to align; all in the graphs that the table has by default.
        max_frames: frames scored at once, to bound memory; a longer utterance is scored alone.
    """
    options = options or AlignOptions()
    scores = graphs.scores(
        transitions, transition_scale=options.transition_scale, self_loop_scale=options.self_loop_scale
    )
    by_graph: dict[int, list[str]] = {}
    for utterance in (u for u in graphs.graph_of if u in table) if ids is None else ids:
        if utterance not in graphs.graph_of:
            raise ModelError(f"utterance {utterance!r} has no training graph; it was not among their transcripts")
        by_graph.setdefault(graphs.graph_of[utterance], []).append(utterance)
    result = Alignments()
    column_of_pdf = np.empty(transitions.n_pdfs, np.int32)
    for graph, utterances in by_graph.items():
        pdfs = graphs.pdfs(graph)
        column_of_pdf[:] = -1
        column_of_pdf[pdfs] = np.arange(len(pdfs))
        for batch in _batches(utterances, table, max_frames):
            features = [table[u] for u in batch]
            offsets = np.concatenate([[0], np.cumsum([len(f) for f in features])])
            likes = log_likelihoods(np.concatenate(features) if len(features) > 1 else features[0], pdfs)
            index = np.full(len(batch), graph, np.int32)
            alignment = align_batch(graphs, scores, index, likes, offsets, column_of_pdf, options)
            _collect(result, batch, alignment, offsets, likes, int(graphs.min_frames[graph]), options)
    for utterance, reason in result.failures.items():
        _logger.debug("%s", f"{utterance}: {reason}")
    return result


def align_scored(
    graphs: TrainingGraphs,
    log_likelihoods: Mapping[str, np.ndarray],
    transitions: TransitionModel,
    options: AlignOptions | None = None,
) -> Alignments:
    """The forced alignment of utterances whose frames are scored already, e.g. by a network, which needs them whole.

    Args:
        log_likelihoods: utterance id -> float32 (n_frames, n_pdfs).
    """
    return align(graphs, log_likelihoods, transitions, lambda scores, pdfs: scores[:, pdfs], options)


def _batches(utterances: list[str], table, max_frames: int) -> list[list[str]]:
    batches: list[list[str]] = []
    n_frames = max_frames + 1
    for utterance in utterances:
        n_frames += len(table[utterance])
        if n_frames > max_frames:
            batches.append([])
            n_frames = len(table[utterance])
        batches[-1].append(utterance)
    return batches


def _collect(
    result: Alignments,
    batch: list[str],
    alignment: BatchAlignment,
    offsets: np.ndarray,
    log_likelihoods: np.ndarray,
    min_frames: int,
    options: AlignOptions,
) -> None:
    """Add one batch to the result."""
    for i, utterance in enumerate(batch):
        start, end, status = int(offsets[i]), int(offsets[i + 1]), alignment.status[i]
        if status == TOO_SHORT:
            result.failures[utterance] = too_short_message(end - start, min_frames)
        elif status == NO_PATH and not np.isfinite(log_likelihoods[start:end]).all():
            result.failures[utterance] = "its features give log-likelihoods that are not finite; look at its audio"
        elif status == NO_PATH:
            result.failures[utterance] = (
                f"no path through its transcript survives a beam of {max(options.beam, options.retry_beam):g};"
                " check the transcript, or raise retry_beam"
            )
        else:
            result.transition_ids[utterance] = alignment.transition_ids[start:end]
            result.acoustic += float(alignment.acoustic[i])
            result.graph += float(alignment.graph[i])
            result.n_frames += end - start
            if status == RETRIED:
                result.retried.append(utterance)


def too_short_message(n_frames: int, min_frames: int) -> str:
    """Why an utterance cannot be aligned that has fewer frames than its transcript has HMM states."""
    return (
        f"{n_frames} frames, but its transcript needs {min_frames} or more; check the transcript and the audio's length"
    )


def equal_alignment(
    graphs: TrainingGraphs, graph: int, n_frames: int, rng: np.random.Generator, *, n_tries: int = 10
) -> np.ndarray | None:
    """A flat start: a random path through the graph, with the frames spread evenly over its states.

    Args:
        n_tries: random paths longer than n_frames are drawn again so often; then the shortest path is taken.

    Returns:
        int32 (n_frames,) transition ids, or None where n_frames is below graphs.min_frames[graph].

    As Kaldi's align-equal-compiled, which gives an utterance up after the tries.
    """
    if n_frames < graphs.min_frames[graph]:
        return None
    first, last = int(graphs.node_offsets[graph]), int(graphs.node_offsets[graph + 1])
    finals = np.flatnonzero(np.isfinite(graphs.final_log_prob[first:last]))
    for _ in range(n_tries):
        path = _random_path(graphs, first, finals, n_frames, rng)
        if path is not None:
            break
    else:
        path = _shortest_path(graphs, first, finals)
    nodes, leaving = np.array(path).T
    loops = graphs.loop_id[first + nodes]
    may_stay = np.flatnonzero(loops > 0)
    extra = n_frames - len(nodes)
    if extra and len(may_stay) == 0:
        return None
    times = np.ones(len(nodes), np.int64)
    if extra:
        times[may_stay] += extra // len(may_stay)
        times[may_stay[: extra % len(may_stay)]] += 1
    ids = np.repeat(loops, times)
    ids[np.cumsum(times) - times] = leaving
    return ids.astype(np.int32)


def _random_path(
    graphs: TrainingGraphs, first: int, finals: np.ndarray, longest: int, rng: np.random.Generator
) -> list[tuple[int, int]] | None:
    """(node, transition id on leaving it) pairs, walked from a random end to the start; None if over `longest`."""
    draws = iter(rng.random(longest + 2).tolist())
    node = int(finals[int(next(draws) * len(finals))])
    leaving = int(graphs.final_id[first + node])
    path: list[tuple[int, int]] = []
    while node != 0:
        if len(path) == longest:
            return None
        path.append((node, leaving))
        begin, end = int(graphs.arc_offsets[first + node]), int(graphs.arc_offsets[first + node + 1])
        arc = begin + int(next(draws) * (end - begin))
        node, leaving = int(graphs.arc_source[arc]), int(graphs.arc_id[arc])
    return path[::-1]


def _shortest_path(graphs: TrainingGraphs, first: int, finals: np.ndarray) -> list[tuple[int, int]]:
    """The path with the fewest nodes: breadth first from the ends to the start."""
    path_from = {int(node): [(int(node), int(graphs.final_id[first + node]))] for node in finals}
    waiting = list(path_from)
    for node in waiting:  # grows while it is walked through
        for arc in range(int(graphs.arc_offsets[first + node]), int(graphs.arc_offsets[first + node + 1])):
            source = int(graphs.arc_source[arc])
            if source == 0:
                return path_from[node]
            if source not in path_from:
                path_from[source] = [(source, int(graphs.arc_id[arc])), *path_from[node]]
                waiting.append(source)
    raise ModelError("a training graph has no path from its start to its end")
