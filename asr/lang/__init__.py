"""Words and their pronunciations: lexicons, and where pronunciations come from.

The functions below are loaded when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
