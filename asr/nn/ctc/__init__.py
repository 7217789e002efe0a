"""Training networks with CTC: the loss, and everything from features and transcripts to a model."""

from .loss import CtcLoss

__all__ = ["CtcLoss"]
