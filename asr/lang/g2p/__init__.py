"""Grapheme-to-phoneme conversion: pronunciations from spelling, learnt from a lexicon."""

from .graphones import Graphone, cut_lexicon
from .model import G2p, is_g2p, train
from .search import Pronunciation

__all__ = ["G2p", "Graphone", "Pronunciation", "cut_lexicon", "is_g2p", "train"]
