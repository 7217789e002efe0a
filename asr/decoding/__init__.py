"""Search through a graph for the best path: the Viterbi beam decoder and its slow, exact reference.

Knows neither phones nor acoustic models: a graph, a matrix of log-likelihoods and a table from the graph's input labels
to the matrix' columns are all it sees.
"""

import importlib
from typing import Any

_HOME = {
    "BestPath": "viterbi",
    "SearchOptions": "viterbi",
    "ViterbiDecoder": "viterbi",
    "reference_decode": "reference",
}

__all__ = ["BestPath", "SearchOptions", "ViterbiDecoder", "reference_decode"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'asr.decoding' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
