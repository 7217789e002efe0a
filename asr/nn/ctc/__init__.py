"""Training networks with CTC: the loss, and everything from features and transcripts to a model.

loss            CTC alone
training        a model of CTC from data and a lexicon: train_ctc
attention       a decoder that says units one by one, looking at a network's rows
joint           a network of CTC with such a decoder, and the loss of both
joint_training  both from data and a lexicon: train_joint
decoder_file    the decoder beside its model's directory
joint_search    what both together say
"""

from .loss import CtcLoss

__all__ = ["CtcLoss"]
