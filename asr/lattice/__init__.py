"""Lattices: many paths through a search at once, and what can be read from them.

The names in __init__.pyi are loaded when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
