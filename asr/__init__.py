"""A speech-recognition toolkit: features, GMM-HMM training, HCLG graphs, Viterbi decoding.

The names below are loaded when they are first used, so that `import asr` costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .corpus import Corpus, Utterance
    from .errors import AsrError
    from .features import (
        FbankOptions,
        FeatureTable,
        LpcOptions,
        MfccOptions,
        StreamingFrontEnd,
        cmvn,
        delta,
        fbank,
        lpc,
        lpcc,
        mfcc,
        reflection_coefficients,
        splice,
    )
    from .lang.lexicon import Lexicon
    from .model import Model, load
    from .notebook import heat_map
    from .scoring import score

_HOME = {
    "AsrError": "errors",
    "Corpus": "corpus",
    "FbankOptions": "features",
    "FeatureTable": "features",
    "Lexicon": "lang.lexicon",
    "LpcOptions": "features",
    "MfccOptions": "features",
    "Model": "model",
    "StreamingFrontEnd": "features",
    "Utterance": "corpus",
    "cmvn": "features",
    "delta": "features",
    "fbank": "features",
    "heat_map": "notebook",
    "load": "model",
    "lpc": "features",
    "lpcc": "features",
    "mfcc": "features",
    "reflection_coefficients": "features",
    "score": "scoring",
    "splice": "features",
}

__all__ = [
    "AsrError",
    "Corpus",
    "FbankOptions",
    "FeatureTable",
    "Lexicon",
    "LpcOptions",
    "MfccOptions",
    "Model",
    "StreamingFrontEnd",
    "Utterance",
    "__version__",
    "cmvn",
    "delta",
    "fbank",
    "heat_map",
    "load",
    "lpc",
    "lpcc",
    "mfcc",
    "reflection_coefficients",
    "score",
    "splice",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'asr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
