"""Language models from and to files of either kind: ARPA, and the one that opens at once."""

import os
from pathlib import Path

from ..errors import LanguageModelError
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

    try:
        return read_arpa(path)
    except LanguageModelError as error:
        if Path(path).suffix != SUFFIX:
            raise
        # What became of a file of this kind must not be explained as an ARPA file.
        size = Path(path).stat().st_size
        raise LanguageModelError(
            f"{path}: {f'{size:,} bytes that are' if size else 'empty, so'} no file of asr lm ... --out X{SUFFIX}, or "
            f"damaged in its first ones: copy or make it again (read as an ARPA file: {error})"
        ) from None


def write_model(model: NgramModel, path: str | os.PathLike) -> None:
    """Write a model, whole or not at all: as a file that opens at once where its name ends in .ngram, else as ARPA."""
    if Path(path).suffix == SUFFIX:
        model.save(path)
    else:
        from .arpa import write_arpa

        write_arpa(model, path)
