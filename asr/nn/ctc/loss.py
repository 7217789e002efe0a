"""Connectionist temporal classification as a loss: the log probability of a transcript, summed over all its paths."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor
from torch.nn import functional

from ...ctc.check import check_units, least_frames
from ...ctc.greedy import greedy
from ...ctc.kernels import occupancies
from ...errors import ModelError
from ..losses import LossSum


class CtcLoss:
    """The negated log probability of each utterance's units, whatever frames they are in.

    The softmax of each row says how probable the blank (column 0) and each unit is there, independently of other rows.
    A path takes one column a row; it says the units that are left when repetitions are taken together and blanks taken
    out, so that `a _ a a b` says `aab`. The probability of a transcript is the sum over all paths that say it. As in an
    HMM it is found with states: blank, first unit, blank, second unit, ..., blank. Forward, alpha(t, s) is the
    probability of all beginnings that are in state s at row t:

        alpha(t, s) = (alpha(t-1, s) + alpha(t-1, s-1) + alpha(t-1, s-2)) y(t, s),

    where y(t, s) is the probability of the state's column, and the last term is there only where s is a unit that
    differs from the one before: between two equal ones the blank must be passed. Backward, beta(t, s) is that of all
    endings after row t. Then alpha(t, s) beta(t, s) / p(transcript) is how probable it is that row t is in state s,
    given the transcript; summed over the states of a column it is the column's posterior, and the gradient of the loss
    with respect to the scores is softmax - posterior, as with a frame's target that is not certain.

    The recursions run on the CPU in double precision, also of scores on a GPU: a batch takes some 30 ms there. torch's
    own ctc_loss is the tests' oracle. On a CPU it takes as long: 12 ms a batch of 16 utterances of 130 rows, 40 columns
    and 45 units, and here the errors are counted in that time. In float32 its gradients are off by 3e-3 in utterances
    of 500 rows and 1e-2 in those of 1,500, here by 3e-7; in double precision it takes half as long again.

    Ref: Graves, Fernández, Gomez and Schmidhuber, Connectionist temporal classification, 2006.

    Args:
        n_columns: units and the blank.
    """

    def __init__(self, n_columns: int) -> None:
        self.n_outputs = n_columns

    def __call__(self, scores: Tensor, out_lengths: Tensor, targets: Sequence[Sequence[int]]) -> LossSum:
        """The loss of a batch.

        Args:
            scores: float (batch, out_frames, n_columns), unnormalised.
            out_lengths: int64 (batch,), rows that count.
            targets: each utterance's units, columns from 1.

        Returns:
            the sum over utterances; as `n_frames` how many units there are, so that the mean is one of a unit; and as
            `errors` the edit distance between the units and those of the best path.

        Raises:
            ModelError: where the network has other outputs, a unit is none of its columns, or an utterance has too few
                rows for its units.
        """
        if scores.shape[2] != self.n_outputs:
            raise ModelError(f"the network has {scores.shape[2]} outputs; this loss needs {self.n_outputs}")
        log_probs = functional.log_softmax(scores.to(torch.promote_types(scores.dtype, torch.float32)), dim=2)
        lengths = out_lengths.tolist()
        units = [check_units(target, self.n_outputs) for target in targets]
        for length, target in zip(lengths, units, strict=True):
            if length < max(1, least_frames(target)):
                raise ModelError(f"{len(target)} units need {max(1, least_frames(target))} rows; there are {length}")
        total = -_LogProb.apply(log_probs, lengths, units)
        n_units = float(sum(len(target) for target in units))
        if not torch.isfinite(total):  # the training says where and what to do about it
            return LossSum(total, n_units, n_units)
        values = log_probs.detach().float().cpu().numpy()
        errors = sum(
            Levenshtein.distance(greedy(rows[:length])[0].tolist(), target.tolist())
            for rows, length, target in zip(values, lengths, units, strict=True)
        )
        return LossSum(total, n_units, float(errors))


class _LogProb(torch.autograd.Function):
    """The sum of the utterances' log probabilities; its gradient with respect to log_probs are the posteriors."""

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, lengths: list[int], units: Sequence[np.ndarray]) -> Tensor:
        """A scalar.

        Args:
            log_probs: (batch, out_frames, n_columns).
        """
        rows = np.ascontiguousarray(log_probs.detach().float().cpu().numpy())
        posteriors, total = np.zeros(rows.shape, np.float32), 0.0
        for i, (length, target) in enumerate(zip(lengths, units, strict=True)):
            occupancy = np.empty((length, rows.shape[2]))
            total += occupancies(np.ascontiguousarray(rows[i, :length]), target, occupancy)
            posteriors[i, :length] = occupancy
        ctx.save_for_backward(torch.from_numpy(posteriors).to(log_probs.device, log_probs.dtype))
        return log_probs.new_tensor(total)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """The posteriors, times the gradient of the sum."""
        (posteriors,) = ctx.saved_tensors
        return posteriors * gradients[0], None, None
