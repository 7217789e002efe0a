"""The search that fits a graph, whatever kind it is of."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .dynamic import DynamicDecoder
from .viterbi import BeamSearch, SearchOptions, ViterbiDecoder

if TYPE_CHECKING:
    from ..graph.const_fst import Graph
    from ..graph.dynamic import DynamicGraph

_DECODERS: dict[str, Callable[..., BeamSearch]] = {"static": ViterbiDecoder, "dynamic": DynamicDecoder}


def decoder_of(
    graph: "Graph | DynamicGraph",
    column_of_label: np.ndarray,
    options: SearchOptions | None = None,
    *,
    n_columns: int | None = None,
) -> BeamSearch:
    """The beam search through a graph; arguments and errors are as of `ViterbiDecoder`."""
    return _DECODERS[graph.search](graph, column_of_label, options, n_columns=n_columns)
