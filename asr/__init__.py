"""A speech-recognition toolkit: features, GMM-HMM training, HCLG graphs, Viterbi decoding.

The names below are loaded when they are first used, so that `import asr` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .corpus import Corpus, Utterance
    from .errors import AsrError
    from .features import cmvn, delta, fbank, mfcc
    from .lang.lexicon import Lexicon
    from .model import Model, load
    from .scoring import score

_HOME = {
    "AsrError": "errors",
    "Corpus": "corpus",
    "Lexicon": "lang.lexicon",
    "Model": "model",
    "Utterance": "corpus",
    "cmvn": "features",
    "delta": "features",
    "fbank": "features",
    "load": "model",
    "mfcc": "features",
    "score": "scoring",
}

__all__ = [
    "AsrError",
    "Corpus",
    "Lexicon",
    "Model",
    "Utterance",
    "__version__",
    "cmvn",
    "delta",
    "fbank",
    "load",
    "mfcc",
    "score",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'asr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
