"""Words and how they are said: lexicons, and where pronunciations come from.

The functions below are loaded when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dictionary import dictionary_lexicon
    from .letters import LetterTable, letter_lexicon
    from .lexicon import Lexicon
    from .sources import BuiltLexicon, build_lexicon

_HOME = {
    "BuiltLexicon": "sources",
    "LetterTable": "letters",
    "Lexicon": "lexicon",
    "build_lexicon": "sources",
    "dictionary_lexicon": "dictionary",
    "letter_lexicon": "letters",
}

__all__ = ["BuiltLexicon", "LetterTable", "Lexicon", "build_lexicon", "dictionary_lexicon", "letter_lexicon"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
