"""Language models that are networks: words one after the other, through an LSTM, a GRU or a causal transformer."""

from .config import Kind, WordNetworkConfig
from .model import NeuralModel
from .rescoring import NeuralScorer
from .training import OPTIONS, train_words

__all__ = ["OPTIONS", "Kind", "NeuralModel", "NeuralScorer", "WordNetworkConfig", "train_words"]
