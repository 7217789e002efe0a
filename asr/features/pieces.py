"""Features of a long recording piece by piece, without a whole one in memory, normalised with statistics of it all."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from .normalization import cmvn_statistics
from .pipeline import FeaturePipeline

Statistics = Mapping[int, np.ndarray]
"""Step number of the pipeline -> what its normalisation takes away, see `cmvn_statistics`."""


class MatrixStore:
    """Feature matrices in a temporary file, which is gone with the object: float32 (n_frames, dim), by number."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the object
        self._places: list[tuple[int, int, int]] = []

    def __len__(self) -> int:
        return len(self._places)

    def add(self, matrix: np.ndarray) -> int:
        """The number of a matrix that is now in the store."""
        matrix = np.ascontiguousarray(matrix, np.float32)
        self._places.append((self._file.seek(0, 2), *matrix.shape))
        self._file.write(matrix.tobytes())
        return len(self) - 1

    def __getitem__(self, number: int) -> np.ndarray:
        at, n_frames, dim = self._places[number]
        self._file.seek(at)
        return np.frombuffer(self._file.read(4 * n_frames * dim), np.float32).reshape(n_frames, dim).copy()


def statistics_of(pipeline: FeaturePipeline, raw: Callable[[], Iterator[np.ndarray]]) -> dict[int, np.ndarray]:
    """The statistics that normalising a recording or a speaker takes: what `finish` would find in all of it at once.

    Of steps that look at the frames around ("sliding", "causal") there are none.

    Args:
        raw: gives the front-end's matrices, again each time that it is called.
    """
    statistics: dict[int, np.ndarray] = {}
    for number, step in enumerate(pipeline.later, start=1):
        if step.needs_statistics:
            with contextlib.suppress(ValueError):  # not one frame counts: pieces stay as they are
                statistics[number] = cmvn_statistics(_counted(pipeline, matrix, statistics, number) for matrix in raw())
    return statistics


def _counted(pipeline: FeaturePipeline, raw: np.ndarray, statistics: Statistics, number: int) -> np.ndarray:
    """The frames of one matrix that count in a step's mean, as they stand before that step."""
    matrix = pipeline.finish([raw], [""], statistics=statistics, until=number)[0]
    return matrix[~pipeline.silent(raw)] if number == 1 else matrix


def finished(pipeline: FeaturePipeline, raw: np.ndarray, statistics: Statistics) -> np.ndarray:
    """`FeaturePipeline.finish` of one piece, float32 (n_frames, dim), with the statistics of a whole."""
    return pipeline.finish([raw], [""], statistics=statistics)[0]
