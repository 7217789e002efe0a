"""Lattice-free MMI as a loss: the log probability of the right phones against that of all phones."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...errors import ModelError
from ..layers import Network
from ..losses import LossSum
from ..networks import build
from ..options import LfmmiOptions
from .denominator import Denominator
from .device import denominator_on_device
from .forward_backward import denominator_recursions, numerator_log_probs
from .numerator import Numerator


class LfmmiLoss:
    """The negated LF-MMI objective of whole utterances, with its regularisations.

    The network's first n_pdfs outputs are log-likelihoods but for a constant: decode with them as they are, without
    priors. With cross-entropy regularisation the network has twice as many outputs: the others are the second set,
    which nobody needs after training.

    The recursions run in single precision for float32 scores. Of scores on a GPU those of the denominator run there;
    the numerators are small, and the few scores that they need are brought to the CPU and back.

    Ref: Povey et al., 2016, Purely sequence-trained neural networks for ASR based on lattice-free MMI.
    """

    def __init__(self, denominator: Denominator, options: LfmmiOptions | None = None) -> None:
        self.denominator, self.options = denominator, options or LfmmiOptions()

    @property
    def n_outputs(self) -> int:
        """Outputs that the network must have."""
        return self.denominator.n_pdfs * (2 if self.options.xent_regularize else 1)

    def __call__(self, scores: Tensor, out_lengths: Tensor, targets: Sequence[Numerator]) -> LossSum:
        """The loss of a batch.

        Args:
            scores: float (batch, out_frames, n_outputs), unnormalised.
            out_lengths: int64 (batch,), rows that count; those of the numerators.
            targets: the numerator of each utterance.

        Returns:
            the sum over the frames, and as `errors` how many have their best output elsewhere than at the pdf that the
            alignment gave them; of the second set, where there is one.

        Raises:
            ModelError: where the network has other outputs, or other frames than the numerators.
        """
        if scores.shape[2] != self.n_outputs:
            raise ModelError(
                f"the network has {scores.shape[2]} outputs; this loss needs {self.n_outputs}"
                f" ({self.denominator.n_pdfs} pdfs{', twice' if self.options.xent_regularize else ''})"
            )
        n_pdfs = self.denominator.n_pdfs
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        lengths = out_lengths.tolist()
        chain, second = scores[..., :n_pdfs], scores[..., n_pdfs:]
        objective, posteriors = _Objective.apply(chain, lengths, targets, self.denominator)
        counted = torch.arange(scores.shape[1], device=scores.device) < out_lengths.to(scores.device)[:, None]
        total = -objective
        if self.options.l2_regularize:
            total = total + 0.5 * self.options.l2_regularize * chain[counted].square().sum()
        if self.options.xent_regularize:
            log_probs = functional.log_softmax(second[counted], dim=1)
            total = total - self.options.xent_regularize * (posteriors[counted] * log_probs).sum()
        best = (second if self.options.xent_regularize else chain).detach()[counted].argmax(dim=1).cpu()
        wanted = torch.from_numpy(np.concatenate([t.alignment for t in targets]))
        return LossSum(total, float(sum(lengths)), float((best != wanted).sum()))


def without_second_outputs(network: Network, config: Any, n_pdfs: int) -> Network:
    """The network for decoding: with the first n_pdfs outputs alone.

    Args:
        network: trained with cross-entropy regularisation, built from `config` with 2 * n_pdfs outputs. One that has
            only n_pdfs is returned as it is.

    Raises:
        ModelError: where it has another number of outputs.
    """
    if network.n_outputs == n_pdfs:
        return network
    if network.n_outputs != 2 * n_pdfs:
        raise ModelError(f"the network has {network.n_outputs} outputs; need {n_pdfs}, once or twice")
    smaller = build(config, network.dim, n_pdfs)
    wanted = smaller.state_dict()
    # Only the output layer's rows differ.
    smaller.load_state_dict(
        {k: v if v.shape == wanted[k].shape else v[:n_pdfs] for k, v in network.state_dict().items()}
    )
    return smaller.eval()


class _Objective(torch.autograd.Function):
    """Log probability under the numerators less that under the denominator, and the numerators' posteriors."""

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, lengths: list[int], graphs: Sequence[Numerator], denominator: Denominator
    ) -> tuple[Tensor, Tensor]:
        """A scalar and, not differentiable, (batch, out_frames, n_pdfs), which is also the shape of the scores."""
        right, posteriors = _numerators(graphs, scores, lengths)
        everything, gradient = _denominator(denominator, scores, lengths)
        torch.sub(posteriors, gradient, out=gradient)
        ctx.save_for_backward(gradient)
        ctx.mark_non_differentiable(posteriors)
        return scores.new_tensor(right - everything), posteriors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The difference of the posteriors, times the gradient of the objective."""
        (gradient,) = ctx.saved_tensors
        return gradients[0] * gradient, None, None, None


def _numerators(graphs: Sequence[Numerator], scores: Tensor, lengths: list[int]) -> tuple[float, Tensor]:
    """The summed log probability of the utterances, and their pdfs' posteriors in the shape of the scores.

    Only the scores of the pdfs that an utterance has are taken from the scores' device.
    """
    width = max(len(graph.pdfs) for graph in graphs)
    columns = np.zeros((len(graphs), 1, width), np.int64)
    for row, graph in zip(columns, graphs, strict=True):
        row[0, : len(graph.pdfs)] = graph.pdfs
    wanted = torch.from_numpy(columns).to(scores.device).expand(-1, scores.shape[1], -1)
    chosen = scores.detach().gather(2, wanted).to("cpu", torch.float64).numpy()
    posteriors_of_graph = np.zeros(chosen.shape)
    total = 0.0
    for graph, n, x, posteriors in zip(graphs, lengths, chosen, posteriors_of_graph, strict=True):
        log_prob, posteriors[:n, : len(graph.pdfs)] = numerator_log_probs(graph, x[:n, : len(graph.pdfs)])
        total += log_prob
    everywhere = torch.zeros_like(scores, memory_format=torch.contiguous_format)
    return total, everywhere.scatter_add_(2, wanted, torch.from_numpy(posteriors_of_graph).to(scores))


def _denominator(graph: Denominator, scores: Tensor, lengths: list[int]) -> tuple[float, Tensor]:
    """The summed log probability of the utterances, and the posteriors of all pdfs in the shape of the scores."""
    if scores.device.type != "cpu":
        on_device = torch.tensor(lengths, device=scores.device)
        log_probs, posteriors = denominator_on_device(graph, scores.detach(), on_device)
        return float(log_probs.sum()), posteriors.contiguous()
    precision = "float64" if scores.dtype == torch.float64 else "float32"
    arrays = scores.detach().to(getattr(torch, precision)).numpy()
    result = denominator_recursions(
        graph, [x[:n] for x, n in zip(arrays, lengths, strict=True)],
        n_threads=torch.get_num_threads(), precision=precision,
    )  # fmt: skip
    posteriors = torch.zeros_like(scores, memory_format=torch.contiguous_format)
    for row, n, mine in zip(posteriors, lengths, result.posteriors, strict=True):
        row[:n] = torch.from_numpy(mine)
    return float(result.log_probs.sum()), posteriors
