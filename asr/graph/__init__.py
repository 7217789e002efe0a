"""Decoding graphs: L, G, C, H and their composition, and the graph file.

`asr.graph.const_fst` reads graphs with numpy alone; grammars may be made with pynini, which nothing else needs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
