"""The search that fits a graph, whatever kind it is of."""

from typing import TYPE_CHECKING

import numpy as np

from .viterbi import BeamSearch, SearchOptions, ViterbiDecoder

if TYPE_CHECKING:
    from ..graph.const_fst import Graph
    from ..graph.dynamic import DynamicGraph


def decoder_of(
    graph: "Graph | DynamicGraph",
    column_of_label: np.ndarray,
    options: SearchOptions | None = None,
    *,
    n_columns: int | None = None,
) -> BeamSearch:
    """The beam search through a graph; arguments and errors are as of `ViterbiDecoder`."""
    if graph.search == "static":
        return ViterbiDecoder(graph, column_of_label, options, n_columns=n_columns)  # type: ignore[arg-type]
    from .dynamic import DynamicDecoder  # compiled steps that static graphs don't need

    return DynamicDecoder(graph, column_of_label, options, n_columns=n_columns)  # type: ignore[arg-type]
