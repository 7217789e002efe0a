"""The denominator's recursions in torch, for scores that are on a GPU.

The same sums as in `kernels`, with all sequences of a batch side by side and the arcs as a sparse matrix, so that a
frame is a dozen operations on the device, whatever the number of arcs. On a CPU the kernels are faster.
"""

import warnings
import weakref
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .denominator import Denominator


class _Graph(NamedTuple):
    """A denominator on a device; sparse matrices have a row for each state or pdf that is summed into.

    Attributes:
        into: (n_states, n_states), probabilities of arcs by target, and by source.
        out_of: see `into`.
        entries: (n_pdfs, n_states), ones where a state's first frame, or its later ones, have the pdf.
        loops: see `entries`.
        entry_pdf: int64 (n_states,).
        loop_pdf: int64 (n_states,).
        stay: (n_states, 1).
        leak: (n_states, 1).
        initial: (n_states, 1).
    """

    into: Tensor
    out_of: Tensor
    entries: Tensor
    loops: Tensor
    entry_pdf: Tensor
    loop_pdf: Tensor
    stay: Tensor
    leak: Tensor
    initial: Tensor


_on_devices: "weakref.WeakKeyDictionary[Denominator, dict[tuple, _Graph]]" = weakref.WeakKeyDictionary()


def denominator_on_device(graph: Denominator, scores: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The log probability of sequences under the denominator graph, and their pdfs' posterior probabilities.

    Args:
        scores: float (batch, out_frames, n_pdfs), unnormalised natural-log scores, on any device.
        lengths: int64 (batch,), on the same device: frames of each sequence, 1 or more; later ones may hold any number.

    Returns:
        float64 (batch,) and (batch, out_frames, n_pdfs) of the scores' type, 0 beyond the lengths.

    Same as `forward_backward.denominator_recursions`.
    """
    with torch.no_grad():
        parts = _on_device(graph, scores)
        largest = scores.amax(dim=2, keepdim=True)
        x = (scores - largest).exp_().permute(1, 2, 0).contiguous()
        alpha, norm = _forward(parts, x)
        posteriors = _backward(parts, x, alpha, norm, lengths).permute(2, 0, 1)
        frames = torch.arange(len(norm), device=lengths.device)[:, None]
        log_norm = torch.where(frames <= lengths, norm.double().log(), 0.0).sum(dim=0)
        shift = torch.where(frames[:-1] < lengths, largest[..., 0].T.double(), 0.0).sum(dim=0)
        return log_norm + shift + float(np.log1p(graph.leaky)), posteriors


def _forward(parts: _Graph, x: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities of the states before each frame, and the sums they were divided by; see kernels._forward.

    Args:
        x: (n_frames, n_pdfs, batch).

    Returns:
        (n_frames + 1, n_states, batch) and (n_frames + 1, batch).
    """
    n_frames, _, n_sequences = x.shape
    alpha = x.new_empty(n_frames + 1, len(parts.stay), n_sequences)
    norm = x.new_empty(n_frames + 1, n_sequences)
    ahead = parts.initial.expand(-1, n_sequences)
    for t in range(n_frames + 1):
        norm[t] = ahead.sum(dim=0)
        now = torch.add(parts.leak, ahead / norm[t], out=alpha[t])
        if t < n_frames:
            entered = (parts.into @ now) * x[t].index_select(0, parts.entry_pdf)
            ahead = entered.addcmul_(now * parts.stay, x[t].index_select(0, parts.loop_pdf))
    return alpha, norm


def _backward(parts: _Graph, x: Tensor, alpha: Tensor, norm: Tensor, lengths: Tensor) -> Tensor:
    """Posterior probabilities (n_frames, n_pdfs, batch); see kernels._backward."""
    posteriors = torch.zeros_like(x)
    beta = torch.zeros_like(alpha[0])
    for t in range(len(x), -1, -1):
        now = alpha[t]
        if t < len(x):
            staying = beta * parts.stay * x[t].index_select(0, parts.loop_pdf)
            here = now * staying
            # All that came into a state at t + 1 has alpha * beta; what did not stay has just entered.
            before = (alpha[t + 1] - parts.leak) * norm[t + 1] * beta
            torch.add(parts.loops @ here, parts.entries @ (before - here).clamp_(min=0), out=posteriors[t])
            entered = beta * x[t].index_select(0, parts.entry_pdf)
            beta = staying + parts.out_of @ entered
        beta = torch.where(lengths == t, 1 / now.sum(dim=0), beta)
        beta = (beta + (parts.leak * beta).sum(dim=0)) / norm[t]
    return posteriors


def _on_device(graph: Denominator, like: Tensor) -> _Graph:
    """The graph on the device of some scores and of their precision; made once."""
    made = _on_devices.setdefault(graph, {})
    key = (like.device, like.dtype)
    if key not in made:
        made[key] = _moved(graph, like)
    return made[key]


def _moved(graph: Denominator, like: Tensor) -> _Graph:
    n_states, arcs = graph.n_states, graph.arcs

    def column(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(like)[:, None]

    def sparse(offsets: np.ndarray, columns: np.ndarray, values: np.ndarray, width: int) -> Tensor:
        begins, places = (torch.from_numpy(a.astype(np.int64)).to(like.device) for a in (offsets, columns))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that torch's sparse matrices are new
            size = (len(offsets) - 1, width)
            return torch.sparse_csr_tensor(
                begins, places, torch.from_numpy(values).to(like), size, check_invariants=True
            )

    def members(pdfs: np.ndarray, ones: np.ndarray) -> Tensor:
        order = np.argsort(pdfs, kind="stable")
        offsets = np.searchsorted(pdfs[order], np.arange(graph.n_pdfs + 1))
        return sparse(offsets, order, ones[order], n_states)

    has_phone = (np.arange(n_states) > 0).astype(np.float64)  # state 0 is in no phone: nothing enters it or stays
    return _Graph(
        sparse(arcs.into, arcs.source, arcs.into_prob, n_states),
        sparse(arcs.out_of, arcs.target, arcs.out_prob, n_states),
        members(graph.entry_pdf, has_phone),
        members(graph.loop_pdf, has_phone),
        torch.from_numpy(graph.entry_pdf).to(like.device, torch.int64),
        torch.from_numpy(graph.loop_pdf).to(like.device, torch.int64),
        column(graph.stay),
        column(graph.leaky * graph.initial),
        column(graph.initial),
    )
