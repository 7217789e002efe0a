"""Features of recordings, computed in parallel and written into files: one .npy each, or one Kaldi archive."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np

from .. import audio
from ..display.brief import brief_repr
from ..errors import AudioError, ConfigError
from ..features.archive import write_matrix
from ..features.pipeline import FeaturePipeline
from ..files import as_system, kind_of
from .extract import _BATCH, _in_order
from .utterance import Problem, Utterance

FORMS = ("npy", "ark")


@dataclass
class Written:
    """What `write_features` did.

    Attributes:
        n_files: recordings whose features were written.
        n_frames: frames of all together.
        dim: values per frame.
        place: the archive's scp file, or the folder of .npy files.
        renamed: id -> name of the file, where the id itself cannot be one.
    """

    place: Path
    n_files: int = 0
    n_frames: int = 0
    dim: int = 0
    problems: list[Problem] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return brief_repr(self)


def common_rate(paths: Iterable[str | os.PathLike]) -> int | None:
    """The sampling rate of all files in Hz, from their headers; None where none can be read.

    Raises:
        ConfigError: for different rates: their features would not be comparable.
    """
    first: dict[int, str] = {}
    for path in dict.fromkeys(os.fspath(path) for path in paths):
        if kind_of(path) != "file":
            continue  # a pipe would be waited for
        try:
            first.setdefault(audio.describe(path).rate, path)
        except AudioError:
            continue  # said when the file is read
    if len(first) > 1:
        found = ", ".join(f"{rate} Hz ({path})" for rate, path in first.items())
        raise ConfigError(f"the recordings have different sampling rates, {found}; choose one rate to resample all to")
    return next(iter(first), None)


def features_of(
    sources: Sequence[Utterance],
    pipeline: FeaturePipeline,
    *,
    n_jobs: int = 1,
    progress: Callable[[], None] | None = None,
) -> Iterator[tuple[str, np.ndarray | Problem]]:
    """Each recording's id with its features, float32 (n_frames, dim), or why it has none.

    Sorted by id, as Kaldi wants its archives; with per-speaker normalisation by speaker first. What is in memory at a
    time are a few dozen recordings, or those of one speaker.

    Args:
        n_jobs: processes; the result does not depend on it.
        progress: called after each recording.
    """
    per_speaker = pipeline.needs_speaker
    speaker = {source.id: source.speaker if per_speaker else source.id for source in sources}
    ordered = sorted(sources, key=lambda s: (s.speaker if per_speaker else "", s.id.encode("utf-8", "replace")))
    batches: list = [ordered[i : i + _BATCH] for i in range(0, len(ordered), _BATCH)]
    raw = (pair for batch in _in_order(batches, pipeline, n_jobs) for pair in batch)
    for _, group in groupby(raw, key=lambda pair: speaker[pair[0]]):
        good: list[tuple[str, np.ndarray]] = []
        for name, result in group:
            if progress:
                progress()
            if isinstance(result, np.ndarray):
                good.append((name, result))
            else:
                yield name, Problem(name, result)
        finished = pipeline.finish([matrix for _, matrix in good], [speaker[name] for name, _ in good])
        yield from zip((name for name, _ in good), finished, strict=True)


def write_features(
    sources: Sequence[Utterance],
    pipeline: FeaturePipeline,
    folder: str | os.PathLike,
    *,
    form: str = "npy",
    n_jobs: int = 1,
    progress: Callable[[], None] | None = None,
) -> Written:
    """Write the features of recordings; one that cannot be used does not stop the rest.

    Args:
        form: "npy": one file `ID.npy` for each, every file whole or not at all; what cannot stand in a file name
            becomes `_`, and of two ids that would make the same file neither is written. "ark": Kaldi's `feats.ark`
            with `feats.scp`, both whole or not at all.
        n_jobs: as in `features_of`.
        progress: as in `features_of`.

    Raises:
        ConfigError: for an impossible form.
        OSError: for a folder that cannot be written to.
    """
    if form not in FORMS:
        raise ConfigError(f"form={form!r}; need one of {', '.join(FORMS)}")
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = Written(target / "feats.scp" if form == "ark" else target)
    if form == "npy":
        _write_npy(sources, pipeline, target, written, n_jobs, progress)
    else:
        _write_archive(sources, pipeline, target / "feats.ark", written, n_jobs, progress)
    return written


def _write_npy(
    sources: Sequence[Utterance],
    pipeline: FeaturePipeline,
    folder: Path,
    written: Written,
    n_jobs: int,
    progress: Callable[[], None] | None,
) -> None:
    owners: dict[str, list[str]] = {}
    for source in sources:
        owners.setdefault(file_name(source.id).casefold(), []).append(source.id)
    clashing = {name for names in owners.values() if len(names) > 1 for name in names}
    for name in sorted(clashing):
        others = ", ".join(repr(other) for other in owners[file_name(name).casefold()] if other != name)
        message = f"{name}: would be written to {file_name(name)}.npy as {others} would; give them apart or use an ark"
        written.problems.append(Problem(name, message))
    wanted = [source for source in sources if source.id not in clashing]
    for name, result in features_of(wanted, pipeline, n_jobs=n_jobs, progress=progress):
        if isinstance(result, Problem):
            written.problems.append(result)
            continue
        file = folder / as_system(f"{file_name(name)}.npy")
        if kind_of(file) == "folder":
            written.problems.append(Problem(name, f"{file}: is a folder; remove it or choose another folder"))
            continue
        write_matrix(file, result)
        if file.stem != name:
            written.renamed[name] = file.name
        _count(written, result)


def _write_archive(
    sources: Sequence[Utterance],
    pipeline: FeaturePipeline,
    path: Path,
    written: Written,
    n_jobs: int,
    progress: Callable[[], None] | None,
) -> None:
    from ..features.archive import write_archive

    good = []
    for source in sources:
        if source.id.split() == [source.id]:
            good.append(source)
        else:
            message = f"{source.id!r}: an archive's ids have no white space; rename the file, or write npy"
            written.problems.append(Problem(source.id, message))

    def pairs() -> Iterator[tuple[str, np.ndarray]]:
        for name, result in features_of(good, pipeline, n_jobs=n_jobs, progress=progress):
            if isinstance(result, Problem):
                written.problems.append(result)
            else:
                _count(written, result)
                yield name, result

    found = pairs()
    first = next(found, None)
    if first is not None:  # an archive of nothing would only hide that all failed
        write_archive(path, _chained(first, found))


def _chained(first: tuple[str, np.ndarray], rest: Iterator[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
    yield first
    yield from rest


def _count(written: Written, matrix: np.ndarray) -> None:
    written.n_files += 1
    written.n_frames += len(matrix)
    written.dim = matrix.shape[1]


def file_name(name: str) -> str:
    """An id as the name of a file in one folder, on any system: no separators, no hidden files, at most 200 bytes.

    Examples:
        >>> file_name("../x"), file_name("one two")
        ('_._x', 'one two')
    """
    safe = re.sub(r'[/\\:*?"<>|\x00-\x1f\x7f]', "_", name)
    safe = re.sub(r"^\.", "_", safe) or "_"
    return safe.encode("utf-8", "replace")[:200].decode("utf-8", "ignore")
