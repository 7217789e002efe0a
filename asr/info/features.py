"""What is in files of features."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import CorpusError
from .facts import Facts

_SHOWN = 10  # problems that are listed


def feature_facts(path: Path) -> Facts:
    """Facts of a feature matrix or of an archive of them.

    Raises:
        AsrError: for what is neither.
    """
    from ..features.archive import read_matrix

    head: Facts = {"what": "features", "where": str(path)}
    if path.suffix.lower() == ".npy":
        matrix = read_matrix(str(path))
        return {**head, "frames": len(matrix), "dim": matrix.shape[1], "bytes": path.stat().st_size, **_values(matrix)}
    if path.suffix.lower() == ".npz":
        from ..features.table import FeatureTable

        table = FeatureTable.load(path)
        return {**head, **_archive({name: len(table[name]) for name in table}, table.dim), **_values(table.frames)}
    if path.suffix.lower() == ".ark":
        path = path.with_suffix(".scp")
        if not path.is_file():
            raise CorpusError(f"{head['where']}: an archive is read by its list, and there is no {path}")
    lengths: dict[str, int] = {}
    problems: list[str] = []
    dims: Counter[int] = Counter()
    for name, result in _entries(path):
        if isinstance(result, str):
            problems.append(result)
        else:
            lengths[name] = len(result)
            dims[result.shape[1]] += 1
    if not lengths:
        raise CorpusError("; ".join(problems[:1]) or f"{path}: lists nothing")
    facts = {**head, **_archive(lengths, max(dims, key=lambda dim: dims[dim]))}
    if len(dims) > 1:
        problems.append("dimensions differ: " + ", ".join(f"{n} of {dim}" for dim, n in sorted(dims.items())))
    return {**facts, "problems": len(problems), "first_problems": problems[:_SHOWN]}


def _entries(path: Path) -> Iterator[tuple[str, np.ndarray | str]]:
    """Each id of a list with its matrix, or with what is wrong."""
    from ..features.archive import read_matrix, scp_entries

    for where, name, place in scp_entries(path):
        if isinstance(place, CorpusError):
            yield name, str(place)
            continue
        try:
            yield name, read_matrix(place)
        except CorpusError as error:
            yield name, f"{where}: {error}"


def _archive(lengths: dict[str, int], dim: int) -> Facts:
    frames = sorted(lengths.values())
    return {
        "utterances": len(lengths),
        "frames": sum(frames),
        "dim": dim,
        "hours_at_10_ms": round(sum(frames) / 360000, 3),
        "frames_min_median_max": f"{frames[0]} {frames[len(frames) // 2]} {frames[-1]}" if frames else "none",
        "first_ids": " ".join(list(lengths)[:3]),
    }


def _values(matrix: np.ndarray) -> Facts:
    if matrix.size == 0:
        return {}
    return {
        "least": round(float(matrix.min()), 4),
        "greatest": round(float(matrix.max()), 4),
        "mean_of_each_value": " ".join(f"{v:.3g}" for v in matrix.mean(axis=0, dtype=np.float64)[:40]),
    }
