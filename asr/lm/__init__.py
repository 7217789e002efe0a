"""N-gram language models: counts, smoothing, mixing, pruning, perplexity, and ARPA files."""

from .arpa import read_arpa, write_arpa
from .counting import Counts, count
from .formats import read_model, write_model
from .mixing import interpolate, tuned_weight
from .model import NgramModel
from .perplexity import Perplexity
from .pruning import prune
from .smoothing import SMOOTHINGS, estimate, train
from .text import UNITS, read_sentences
from .units import letters, phones
from .vocabulary import Vocabulary

__all__ = [
    "SMOOTHINGS",
    "UNITS",
    "Counts",
    "NgramModel",
    "Perplexity",
    "Vocabulary",
    "count",
    "estimate",
    "interpolate",
    "letters",
    "phones",
    "prune",
    "read_arpa",
    "read_model",
    "read_sentences",
    "train",
    "tuned_weight",
    "write_arpa",
    "write_model",
]
