"""A speech-recognition toolkit: features, GMM-HMM training, HCLG graphs, Viterbi decoding.

The names in __init__.pyi are loaded when they are first used, so that `import asr` costs next to nothing.
"""

import lazy_loader

from ._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
