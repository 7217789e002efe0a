"""Corpora: recordings, speakers and transcripts, read from folders, Kaldi data directories, tables or manifests."""

from .core import Corpus
from .utterance import Problem, Utterance

__all__ = ["Corpus", "Problem", "Utterance"]
