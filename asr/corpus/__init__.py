"""Corpora: recordings with speakers and transcripts, read from folders and Kaldi data directories, checked at once."""

from .core import Corpus, Problem, Utterance

__all__ = ["Corpus", "Problem", "Utterance"]
