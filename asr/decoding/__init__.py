"""Search through a graph for the best path: the Viterbi beam decoder and its slow, exact reference.

Knows neither phones nor acoustic models: a graph, a matrix of log-likelihoods and a table from the graph's input labels
to the matrix' columns are all it sees.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
