"""The probability of scores under denominator and numerator graphs, and the posterior probabilities of the pdfs."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from ...display.brief import brief_repr
from ...errors import ModelError
from .denominator import Denominator
from .numerator import Numerator


class Recursions(NamedTuple):
    """What forward-backward found for several sequences.

    Attributes:
        log_probs: float64 (n_sequences,): natural logarithm of the summed probability of all paths.
        posteriors: for each sequence (n_frames, n_pdfs), of the scores' type: the probability that a frame has a pdf.
            They are the derivatives of log_probs with respect to the scores; a frame's sum to 1.
    """

    log_probs: np.ndarray
    posteriors: list[np.ndarray]

    def __repr__(self) -> str:
        return brief_repr(self)


def denominator_recursions(
    graph: Denominator, scores: Sequence[np.ndarray], *, n_threads: int = 1, precision: str = "float32"
) -> Recursions:
    """The log probability of sequences under the denominator graph, and their pdfs' posterior probabilities.

    Args:
        scores: for each sequence (n_frames, n_pdfs), unnormalised natural-log scores; of one frame or more.
        n_threads: sequences go through the graph in groups of similar length, that many groups at a time.
        precision: float32 or float64, of the sums.

    Same as Kaldi's DenominatorComputation.
    """
    from .kernels import LANES, denominator

    kernels = denominator(precision)
    order = np.argsort([-len(x) for x in scores], kind="stable").tolist()
    groups = [order[i : i + LANES] for i in range(0, len(order), LANES)]
    log_probs = np.zeros(len(scores))
    posteriors: list[np.ndarray] = [np.zeros(0)] * len(scores)

    def run(group: list[int]) -> None:
        results = _side_by_side(graph, [scores[i] for i in group], kernels, precision)
        for i, log_prob, posterior in zip(group, *results, strict=True):
            log_probs[i], posteriors[i] = log_prob, posterior

    if n_threads > 1 and len(groups) > 1:
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(run, groups))
    else:
        for group in groups:
            run(group)
    return Recursions(log_probs, posteriors)


def numerator_recursions(graphs: Sequence[Numerator], scores: Sequence[np.ndarray]) -> Recursions:
    """The log probability of each sequence under its own numerator graph, and its pdfs' posterior probabilities.

    Args:
        scores: for each sequence (n_frames, n_pdfs), unnormalised natural-log scores.

    Raises:
        ModelError: where graph and scores differ in frames.
    """
    log_probs, posteriors = [], []
    for graph, x in zip(graphs, scores, strict=True):
        log_prob, posterior = numerator_log_probs(graph, x[:, graph.pdfs])
        log_probs.append(log_prob)
        posteriors.append(np.zeros(x.shape))
        posteriors[-1][:, graph.pdfs] = posterior
    return Recursions(np.array(log_probs), posteriors)


def numerator_log_probs(graph: Numerator, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """The log probability of a sequence under its numerator graph, and the posteriors of its pdfs.

    Args:
        scores: (n_frames, len(graph.pdfs)), of the graph's own pdfs alone.

    Returns:
        the posteriors in that shape.

    Raises:
        ModelError: where graph and scores differ in frames.
    """
    from .kernels import numerator

    n = graph
    if len(scores) != n.n_frames:
        raise ModelError(f"a numerator graph of {n.n_frames} frames cannot score {len(scores)}")
    alpha, beta = (np.full((n.n_frames, n.n_nodes), -np.inf) for _ in range(2))
    posterior = np.zeros(scores.shape)
    log_prob = numerator(
        n.first, n.end, n.entry_column, n.loop_column, n.stay, n.begin, n.into, n.source, n.log_prob, n.n_last,
        np.ascontiguousarray(scores, np.float64), alpha, beta, posterior,
    )  # fmt: skip
    return log_prob, posterior


def _side_by_side(
    graph: Denominator, scores: Sequence[np.ndarray], kernels: tuple[Callable, Callable], precision: str
) -> Recursions:
    """The recursions of one group of sequences, one in each lane; lanes that are left over and padding hold zeros."""
    from .kernels import LANES

    lengths = np.zeros(LANES, np.int64)
    lengths[: len(scores)] = [len(x) for x in scores]
    x = np.zeros((lengths.max(), LANES, scores[0].shape[1]), precision)
    largest = [s.max(axis=1) for s in scores]
    for lane, (s, highest) in enumerate(zip(scores, largest, strict=True)):
        x[: len(s), lane] = s - highest[:, None]
    x = np.ascontiguousarray(np.exp(x, out=x).transpose(0, 2, 1))
    leak = (graph.leaky * graph.initial).astype(precision)
    into, source, into_prob, out_of, target, out_prob = (
        a.astype(precision) if a.dtype == np.float64 else a for a in graph.arcs
    )
    states = graph.stay.astype(precision), graph.entry_pdf, graph.loop_pdf, leak
    alpha = np.empty((len(x) + 1, graph.n_states, LANES), precision)
    alpha[0] = graph.initial[:, None]
    norm = np.zeros((len(x) + 1, LANES), precision)
    kernels[0](into, source, into_prob, *states, x, alpha, norm)
    posterior = np.zeros_like(x)
    kernels[1](out_of, target, out_prob, *states, x, alpha, norm, lengths, posterior)
    log_norm = np.log(norm.astype(np.float64))
    log_probs = [
        float(log_norm[: n + 1, lane].sum() + np.log1p(graph.leaky) + highest.sum(dtype=np.float64))
        for lane, (n, highest) in enumerate(zip(lengths.tolist(), largest, strict=False))
    ]
    return Recursions(np.array(log_probs), [posterior[:n, :, b] for b, n in enumerate(lengths[: len(scores)].tolist())])
