"""Decoding graphs: L, G, C, H and their composition, and the graph file.

Only building a new graph needs pynini; `asr.graph.const_fst` reads graphs with numpy alone.
"""

import importlib
from typing import Any

_HOME = {
    "Graph": "const_fst",
    "arpa_grammar": "grammar",
    "compile_hclg": "hclg",
    "sequence": "grammar",
    "word_loop": "grammar",
}

__all__ = ["Graph", "arpa_grammar", "compile_hclg", "sequence", "word_loop"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module 'asr.graph' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
