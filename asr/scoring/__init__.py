"""Error rates of transcripts in every layout that people score, and how sure they are."""

from .errors import Comparison, Score, Unit, UtteranceScore, compare, score

__all__ = ["Comparison", "Score", "Unit", "UtteranceScore", "compare", "score"]
