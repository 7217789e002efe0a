"""The compiled inner loops of the forward and backward recursions.

The denominator: several sequences go through the graph side by side, as lanes. They are the last axis, so that one arc
serves all of them with vector instructions. Probabilities are multiplied as they are; each frame is divided by its sum.
The numerator, which is small: one sequence at a time, in logarithms.
"""

import functools
from collections.abc import Callable

import numpy as np

from ...jit import kernel, subkernel

LANES = 8
"""Sequences side by side: one vector register of float32."""


def _forward(into, source, prob, stay, entry_pdf, loop_pdf, leak, x, alpha, norm):
    """The forward probabilities of LANES sequences.

    Args:
        into: of a Denominator.
        source: of a Denominator.
        prob: of a Denominator.
        stay: of a Denominator.
        entry_pdf: of a Denominator.
        loop_pdf: of a Denominator.
        leak: (n_states,), leaky * initial.
        x: (n_frames, n_pdfs, LANES): exponentials of scores.
        alpha: (n_frames + 1, n_states, LANES): row 0 holds the initial probabilities; written: row t, the probability
            of each state before frame t, divided by norm[0] to norm[t], with what leaks into it.
        norm: (n_frames + 1, LANES), written: the sums before leaking, by which each row is divided.
    """
    n_states = len(stay)
    for t in range(len(alpha)):
        now = alpha[t]
        norm[t] = 0
        for i in range(n_states):
            for b in range(LANES):
                norm[t, b] += now[i, b]
        for i in range(n_states):
            for b in range(LANES):
                now[i, b] = now[i, b] / norm[t, b] + leak[i]
        if t == len(x):
            break
        ahead = alpha[t + 1]
        for j in range(n_states):
            for b in range(LANES):
                ahead[j, b] = 0
            for a in range(into[j], into[j + 1]):
                p, i = prob[a], source[a]
                for b in range(LANES):
                    ahead[j, b] += p * now[i, b]
            entry, loop, q = entry_pdf[j], loop_pdf[j], stay[j]
            for b in range(LANES):
                ahead[j, b] = ahead[j, b] * x[t, entry, b] + now[j, b] * (q * x[t, loop, b])


def _backward(out_of, target, prob, stay, entry_pdf, loop_pdf, leak, x, alpha, norm, n_frames, posterior):
    """The posterior probability of each pdf in each frame, of LANES sequences.

    Args:
        out_of: arcs by source.
        target: arcs by source.
        prob: arcs by source.
        x: as `_forward` left them; x is spent.
        alpha: as `_forward` left them; x is spent.
        norm: as `_forward` left them; x is spent.
        n_frames: int64 (LANES,): of each sequence; what comes later in its lane is padding.
        posterior: (n_frames, n_pdfs, LANES), zeros; written.
    """
    n_states = len(stay)
    beta = np.zeros((n_states, LANES), x.dtype)
    entered = np.zeros((n_states, LANES), x.dtype)
    leaked = np.zeros(LANES, x.dtype)
    for t in range(len(x), -1, -1):
        now = alpha[t]
        # beta[i]: what follows being in state i at time t, leaking first; `entered`: what follows beginning phone i.
        if t < len(x):
            for j in range(n_states):
                entry = entry_pdf[j]
                for b in range(LANES):
                    entered[j, b] = beta[j, b] * x[t, entry, b]
            for i in range(n_states):
                loop, entry, q = loop_pdf[i], entry_pdf[i], stay[i]
                for b in range(LANES):
                    stayed = beta[i, b] * (q * x[t, loop, b])
                    here = now[i, b] * stayed
                    posterior[t, loop, b] += here
                    # All that came into state i at t + 1 has alpha * beta; what did not stay has just entered.
                    before = (alpha[t + 1, i, b] - leak[i]) * norm[t + 1, b] * beta[i, b]
                    if before > here:
                        posterior[t, entry, b] += before - here
                    beta[i, b] = stayed
                for a in range(out_of[i], out_of[i + 1]):
                    p, j = prob[a], target[a]
                    for b in range(LANES):
                        beta[i, b] += p * entered[j, b]
        for b in range(LANES):
            if t == n_frames[b]:
                leaked[b] = 0
                for i in range(n_states):
                    leaked[b] += now[i, b]
                for i in range(n_states):
                    beta[i, b] = 1 / leaked[b]
            leaked[b] = 0
        for i in range(n_states):
            for b in range(LANES):
                leaked[b] += leak[i] * beta[i, b]
        for i in range(n_states):
            for b in range(LANES):
                beta[i, b] = (beta[i, b] + leaked[b]) / norm[t, b]


_GRAPH = "int32[::1], int32[::1], {0}[::1], {0}[::1], int32[::1], int32[::1], {0}[::1]"
_FORWARD = f"void({_GRAPH}, {{0}}[:, :, ::1], {{0}}[:, :, ::1], {{0}}[:, ::1])"
_BACKWARD = f"void({_GRAPH}, {{0}}[:, :, ::1], {{0}}[:, :, ::1], {{0}}[:, ::1], int64[::1], {{0}}[:, :, ::1])"


@functools.cache
def denominator(precision: str) -> tuple[Callable, Callable]:
    """`_forward` and `_backward`, compiled when first asked for.

    Args:
        precision: float32, which trains; or float64, which the recursions are checked with.
    """
    return kernel(_FORWARD.format(precision))(_forward), kernel(_BACKWARD.format(precision))(_backward)


@subkernel
def _log_add(a, b):
    """log(exp(a) + exp(b)), also where one of them is -inf."""
    if a < b:
        a, b = b, a
    return a if b == -np.inf else a + np.log1p(np.exp(b - a))


@kernel(
    "float64(int32[::1], int32[::1], int32[::1], int32[::1], float64[::1], float64[::1], int32[::1], int32[::1],"
    " float64[::1], int64, Array(float64, 2, 'C', readonly=True), float64[:, ::1], float64[:, ::1], float64[:, ::1])"
)
def numerator(
    first, end, entry_pdf, loop_pdf, stay, begin, into, source, log_prob, n_last, scores, alpha, beta, posterior
):
    """The log probability of scores under a numerator graph, and the posterior probability of each pdf in each frame.

    Args:
        first: of a Numerator, as all to `n_last`; pdfs are columns of the scores.
        scores: (n_frames, n_columns).
        alpha: (n_frames, n_nodes), holding -inf; written: what leads to a node with frame t, what follows it.
        beta: see `alpha`.
        posterior: as the scores, zeros; written.
    """
    n_frames, n_nodes = alpha.shape
    low = high = 0
    for t in range(n_frames):
        while end[low] <= t:
            low += 1
        while high < n_nodes and first[high] <= t:
            high += 1
        for i in range(low, high):
            entry, loop = scores[t, entry_pdf[i]], scores[t, loop_pdf[i]]
            if t == 0:
                alpha[t, i] = begin[i] + entry
            else:
                total = alpha[t - 1, i] + stay[i] + loop
                for a in range(into[i], into[i + 1]):
                    total = _log_add(total, alpha[t - 1, source[a]] + log_prob[a] + entry)
                alpha[t, i] = total
    whole = -np.inf
    for i in range(n_nodes - n_last, n_nodes):
        whole = _log_add(whole, alpha[n_frames - 1, i])
        beta[n_frames - 1, i] = 0.0
    if not np.isfinite(whole):
        return whole
    for t in range(n_frames - 1, -1, -1):
        while low > 0 and end[low - 1] > t:
            low -= 1
        while first[high - 1] > t:
            high -= 1
        for i in range(low, high):
            entry, loop, after = scores[t, entry_pdf[i]], scores[t, loop_pdf[i]], beta[t, i] - whole
            if t == 0:
                posterior[t, entry_pdf[i]] += np.exp(alpha[t, i] + after)
                continue
            posterior[t, loop_pdf[i]] += np.exp(alpha[t - 1, i] + stay[i] + loop + after)
            beta[t - 1, i] = _log_add(beta[t - 1, i], beta[t, i] + stay[i] + loop)
            for a in range(into[i], into[i + 1]):
                j, way = source[a], log_prob[a] + entry
                posterior[t, entry_pdf[i]] += np.exp(alpha[t - 1, j] + way + after)
                beta[t - 1, j] = _log_add(beta[t - 1, j], beta[t, i] + way)
    return whole
