"""Lattice-free MMI: networks trained on whole utterances against every phone sequence, as Kaldi's chain models.

    lfmmi_setup(model, features, lexicon)  tree, denominator graph, and the numerator graph of each utterance
    LfmmiLoss(denominator)                 the loss; its targets are numerator graphs

asr.train.lfmmi.train_lfmmi does both and trains the network, from the alignments of a GMM-HMM.

A phone has one HMM state that one frame passes, at a third of the frame rate; its pdfs depend on the phone before. The
network's outputs are used as log-likelihoods: without priors, with an acoustic scale of 1, in a graph compiled with
both scales of transition probabilities 1.

Left out of what Kaldi's chain training has: training on chunks of 1.5 s cut from utterances, with the phones at their
edges open (utterances are whole here); numerators from lattices of several alignments or from transcripts alone; the
natural gradient; averaging of models; boosting; sequence-discriminative training after this (sMBR).
"""

from .denominator import Denominator, denominator_graph
from .loss import LfmmiLoss, LfmmiOptions, without_second_outputs
from .numerator import Numerator, numerator_graph
from .phone_lm import PhoneLm, estimate_phone_lm
from .supervision import Supervision, SupervisionOptions, lfmmi_setup, numerators_of

__all__ = [
    "Denominator",
    "LfmmiLoss",
    "LfmmiOptions",
    "Numerator",
    "PhoneLm",
    "Supervision",
    "SupervisionOptions",
    "denominator_graph",
    "estimate_phone_lm",
    "lfmmi_setup",
    "numerator_graph",
    "numerators_of",
    "without_second_outputs",
]
