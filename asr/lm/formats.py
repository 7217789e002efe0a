"""Language models from and to files of either kind: ARPA, and the one that opens at once."""

import os
from pathlib import Path

from .binary import is_binary
from .model import NgramModel

SUFFIX = ".ngram"
"""How the names of files end that open at once."""


def read_model(path: str | os.PathLike) -> NgramModel:
    """The language model of a file of either kind, whatever its name.

    Raises:
        LanguageModelError: for a file that is neither, or damaged; see `read_arpa` and `NgramModel.load`.
    """
    if is_binary(path):
        return NgramModel.load(path)
    from .arpa import read_arpa

    return read_arpa(path)


def write_model(model: NgramModel, path: str | os.PathLike) -> None:
    """Write a model, whole or not at all: as a file that opens at once where its name ends in .ngram, else as ARPA."""
    if Path(path).suffix == SUFFIX:
        model.save(path)
    else:
        from .arpa import write_arpa

        write_arpa(model, path)
