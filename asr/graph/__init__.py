"""Decoding graphs: L, G, C, H and their composition, and the graph file.

Only building a new graph needs pynini; `asr.graph.const_fst` reads graphs with numpy alone.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
