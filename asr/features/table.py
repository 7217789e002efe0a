"""Many utterances' features in one array."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..display.brief import many
from ..errors import CorpusError, did_you_mean
from ..files import replacing
from ..files.arrays import read_npz


class FeatureTable:
    """Feature matrices by utterance id, their frames one after the other in one array.

    Args:
        ids: utterance ids, each once, in order.
        frames: float32 (total, dim), C-contiguous.
        offsets: int64 (n + 1,); utterance i has the frames offsets[i] to offsets[i + 1].

    Raises:
        CorpusError: if the three do not fit together.

    Examples:
        >>> table = FeatureTable.from_dict({"a": np.zeros((3, 2)), "b": np.ones((1, 2))})
        >>> len(table), table["b"].shape
        (2, (1, 2))
    """

    def __init__(self, ids: list[str], frames: np.ndarray, offsets: np.ndarray) -> None:
        self.ids = list(ids)
        self.frames = np.ascontiguousarray(frames, dtype=np.float32)
        self.offsets = np.ascontiguousarray(offsets, dtype=np.int64)
        self._index = {key: i for i, key in enumerate(self.ids)}
        n, total = len(self.ids), len(self.frames)
        if self.frames.ndim != 2 or self.offsets.shape != (n + 1,):
            raise CorpusError(
                f"{n} ids, frames of shape {self.frames.shape}, offsets of shape {self.offsets.shape}; need "
                f"(total, dim) and ({n + 1},)"
            )
        if self.offsets[0] != 0 or self.offsets[-1] != total or (np.diff(self.offsets) < 0).any():
            raise CorpusError(f"offsets do not rise from 0 to the number of frames, {total}")
        if len(self._index) != n:
            twice = next(key for i, key in enumerate(self.ids) if self._index[key] != i)
            raise CorpusError(f"utterance id {twice!r} is there twice; need each id once")

    def __repr__(self) -> str:
        frames = f"{many(len(self.frames), 'frame')} of {many(self.dim, 'value')}"
        return f"<FeatureTable: {many(len(self), 'utterance')}, {frames}>"

    def _repr_html_(self) -> str:
        from .html import table_of_features_html

        return table_of_features_html(self)

    @classmethod
    def from_dict(cls, features: Mapping[str, np.ndarray]) -> "FeatureTable":
        """The table of id -> (n_frames, dim).

        Raises:
            CorpusError: where the dims differ.
        """
        return cls.from_pairs(features.items())

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, np.ndarray]]) -> "FeatureTable":
        """The table of (id, (n_frames, dim)) pairs.

        Raises:
            CorpusError: where the dims differ.
        """
        ids: list[str] = []
        matrices: list[np.ndarray] = []
        for key, value in pairs:
            matrix = np.asarray(value, dtype=np.float32)
            if matrix.ndim != 2 or (matrices and matrix.shape[1] != matrices[0].shape[1]):
                wanted = f"(n_frames, {matrices[0].shape[1]})" if matrices else "(n_frames, dim)"
                raise CorpusError(f"features of {key!r} have shape {matrix.shape}; need {wanted}")
            ids.append(key)
            matrices.append(matrix)
        offsets = np.cumsum([0, *(len(matrix) for matrix in matrices)], dtype=np.int64)
        frames = np.concatenate(matrices) if matrices else np.zeros((0, 0), dtype=np.float32)
        return cls(ids, frames, offsets)

    @property
    def dim(self) -> int:
        """Values per frame."""
        return self.frames.shape[1]

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, key: object) -> bool:
        return key in self._index

    def __getitem__(self, key: str) -> np.ndarray:
        """The frames of one utterance, a view (n_frames, dim).

        Raises:
            KeyError: for an unknown id.
        """
        try:
            i = self._index[key]
        except KeyError:
            raise KeyError(f"no features of utterance {key!r}{did_you_mean(key, self._index)}") from None
        return self.frames[self.offsets[i] : self.offsets[i + 1]]

    def select(self, ids: Iterable[str]) -> "FeatureTable":
        """The table of some utterances, in the order given.

        Raises:
            KeyError: for an unknown id.
        """
        chosen = list(ids)
        if not chosen:
            return FeatureTable([], np.zeros((0, self.dim), dtype=np.float32), np.zeros(1, dtype=np.int64))
        return FeatureTable.from_pairs((key, self[key]) for key in chosen)

    def save(self, path: str | os.PathLike) -> None:
        """Write the table as an .npz file, whole or not at all."""
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, ids=np.array(self.ids, dtype=np.str_), frames=self.frames, offsets=self.offsets)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "FeatureTable":
        """Read what `save` wrote.

        Raises:
            CorpusError: for another or a damaged file.
        """
        if not Path(path).is_file():
            raise CorpusError(f"{path}: no such file")
        arrays = read_npz(path, error=CorpusError)
        if set(arrays) != {"ids", "frames", "offsets"} or arrays["ids"].dtype.kind != "U" or arrays["ids"].ndim != 1:
            raise CorpusError(f"{path}: not a feature table; it has the arrays {', '.join(sorted(arrays))[:80]}")
        try:
            return cls(arrays["ids"].tolist(), arrays["frames"], arrays["offsets"])
        except (CorpusError, ValueError, TypeError, OverflowError) as error:
            raise CorpusError(f"{path}: not a feature table, or damaged ({error}); compute it again") from None


def joined_tables(tables: Sequence[FeatureTable]) -> FeatureTable:
    """One table of all utterances of several, in order.

    Raises:
        CorpusError: where the dims differ or an id is twice.
    """
    if len(tables) == 1:
        return tables[0]
    dims = {table.dim for table in tables}
    if len(dims) != 1:
        raise CorpusError(f"tables of features with {sorted(dims)} values per frame cannot be joined")
    lengths = np.concatenate([np.diff(table.offsets) for table in tables])
    ids = [key for table in tables for key in table]
    return FeatureTable(ids, np.concatenate([t.frames for t in tables]), np.concatenate([[0], np.cumsum(lengths)]))
