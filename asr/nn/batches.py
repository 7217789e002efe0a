"""Utterances with targets, and their batches: of similar lengths, whole or in chunks, the same for the same seed.

A batch is planned first, as rows (utterance, first frame, one past the last frame), and read when its turn comes. The
plan of an epoch depends on the seed and the epoch alone, so that training can go on in the middle of an epoch, and
several processes can share each batch.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..display.brief import brief_repr
from ..errors import CorpusError, ModelError
from ..features.table import FeatureTable
from .losses import IGNORED

_BUCKET = 1.1  # longest over shortest row of a bucket, so padding is at most a tenth


@dataclass(frozen=True, eq=False)
class Examples:
    """Utterances to learn from.

    Attributes:
        features: what the network sees.
        targets: by utterance id, one for each utterance in `features`; more ids do no harm. Arrays of whole numbers
            (out_frames,), such as pdf ids with -1 for frames that do not count; or whatever the loss wants, one object
            for an utterance, which then cannot be cut into chunks.
        speakers: by utterance id, for those who select by speaker.
        every_frame: targets are one for each input frame, also where the network has a row of output for several. An
            epoch then learns from one of these, counted from a random one of an utterance's first frames.

    Raises:
        CorpusError: for an utterance without target.
    """

    features: FeatureTable
    targets: Mapping[str, Any]
    speakers: Mapping[str, str] = field(default_factory=dict)
    every_frame: bool = False

    def __repr__(self) -> str:
        return brief_repr(self)

    def __post_init__(self) -> None:
        missing = [i for i in self.features if i not in self.targets]
        if missing:
            raise CorpusError(
                f"utterance {missing[0]!r} has features but no target ({len(missing)} of {len(self.features)}); "
                "select the utterances that have one"
            )

    def __len__(self) -> int:
        return len(self.features)

    @property
    def n_frames(self) -> int:
        """Input frames of all utterances."""
        return len(self.features.frames)

    def select(self, ids: Iterable[str]) -> "Examples":
        """The part with these utterances, in this order.

        Raises:
            KeyError: for an unknown id.
        """
        return replace(self, features=self.features.select(ids))

    def fingerprint(self) -> str:
        """Hexadecimal digits that change with the ids, their order, their lengths, and targets that are numbers."""
        text = "\n".join(self.features.ids) + "\n" + " ".join(map(str, self.features.offsets))
        digest = hashlib.sha256(f"{text}\n{self.every_frame}".encode())
        for target in (self.targets[i] for i in self.features):
            if isinstance(target, (np.ndarray, tuple)):
                digest.update(np.asarray(target, np.int64).tobytes())
        return digest.hexdigest()[:16]

    def check(self, n_outputs: int, subsampling: int = 1) -> None:
        """Raise CorpusError for features that are not finite, and for targets that do not fit features or network."""
        finite = np.isfinite(self.features.frames).all(axis=1)
        if not finite.all():
            frame = int(np.argmin(finite))
            i = int(np.searchsorted(self.features.offsets, frame, side="right")) - 1
            where = f"utterance {self.features.ids[i]!r}, frame {frame - self.features.offsets[i]}"
            raise CorpusError(f"{where}: a feature is not finite; look at the recording, or leave it out")
        for key in self.features:
            target = self.targets[key]
            if isinstance(target, np.ndarray):
                self._check_target(key, target, n_outputs, subsampling)

    def _check_target(self, key: str, target: np.ndarray, n_outputs: int, subsampling: int) -> None:
        subsampling = 1 if self.every_frame else subsampling
        n_rows = -(-len(self.features[key]) // subsampling)
        if target.shape != (n_rows,) or target.dtype.kind not in "iu":
            raise CorpusError(
                f"utterance {key!r}: targets are {target.dtype} {target.shape}; need whole numbers ({n_rows},), "
                f"one for {'each frame' if subsampling == 1 else f'every {subsampling} frames'}"
            )
        if n_rows and not (target.min() >= IGNORED and target.max() < n_outputs):
            raise CorpusError(
                f"utterance {key!r}: targets from {target.min()} to {target.max()}; the network has {n_outputs} "
                "outputs, counted from 0"
            )


class Batch(NamedTuple):
    """Rows to learn from, each an utterance or a part of one.

    Attributes:
        ids: the utterance of each row.
        features: float32 (batch, frames, dim), zeros beyond a row's length.
        lengths: int64 (batch,), frames of each row.
        targets: int64 (batch, out_frames), -1 in padding and context; or the objects of the rows' utterances.
    """

    ids: list[str]
    features: Tensor
    lengths: Tensor
    targets: Any

    def __repr__(self) -> str:
        return brief_repr(self)

    def to(self, device: torch.device) -> "Batch":
        """The batch on another device."""
        targets = self.targets.to(device) if isinstance(self.targets, Tensor) else self.targets
        return Batch(self.ids, self.features.to(device), self.lengths.to(device), targets)


@dataclass(frozen=True)
class Cut:
    """How utterances become rows, and rows batches.

    Attributes:
        batch_frames: frames of a batch at most, with padding and context; a longer row is a batch of its own.
        chunk_frames: frames of a row at most, without context; 0 for whole utterances.
        context: frames either side of a chunk that the network sees, without targets; fewer at the utterance's ends.
            With as many as the network looks around, and more chunks than one, the loss is that of the whole utterance.
        subsampling: frames per target. Chunks begin at its multiples.
    """

    batch_frames: int
    chunk_frames: int = 0
    context: int = 0
    subsampling: int = 1

    @property
    def _context(self) -> int:
        return -(-self.context // self.subsampling) * self.subsampling if self.chunk_frames else 0

    def rows(self, examples: Examples, rng: np.random.Generator | None = None) -> np.ndarray:
        """int64 (n_rows, 3): utterance, first frame, one past the last frame; utterances without frames have none.

        Args:
            rng: draws the frame that an utterance begins at, where there are targets for every frame.
        """
        whole = np.diff(examples.features.offsets)
        unit = self.subsampling
        first = np.zeros(len(whole), np.int64)
        if examples.every_frame and rng is not None:
            first = rng.integers(0, np.clip(whole, 1, unit))
        lengths = whole - first
        n_units = -(-lengths // unit)
        chunk = max(1, self.chunk_frames // unit) if self.chunk_frames else max(1, int(n_units.max(initial=1)))
        n_chunks = -(-n_units // chunk)
        utterance = np.repeat(np.arange(len(lengths)), n_chunks)
        number = np.arange(len(utterance)) - np.repeat(np.cumsum(n_chunks) - n_chunks, n_chunks)
        of, units = n_chunks[utterance], n_units[utterance]
        begin, end = number * units // of * unit, (number + 1) * units // of * unit
        rows = np.stack([utterance, begin, np.minimum(end, lengths[utterance])], axis=1)
        rows[:, 1:] += first[utterance][:, None]
        return rows

    def seen(self, rows: np.ndarray, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
        """First frame and one past the last frame of each row with its context, int64 (n_rows,) each."""
        lengths = np.diff(examples.features.offsets)[rows[:, 0]]
        at_least = rows[:, 1] % self.subsampling  # where the utterance begins
        return np.maximum(rows[:, 1] - self._context, at_least), np.minimum(rows[:, 2] + self._context, lengths)

    def plan(self, examples: Examples, rng: np.random.Generator | None = None) -> list[np.ndarray]:
        """The batches, each int64 (batch, 3) as in `rows`: rows of similar lengths together.

        Args:
            rng: shuffles the rows among those of similar length, and then the batches; without, they rise in length.

        Raises:
            ModelError: where targets that cannot be cut would have to be.
        """
        whole_only = next((i for i in examples.features if not isinstance(examples.targets[i], np.ndarray)), None)
        if self.chunk_frames and whole_only is not None:
            raise ModelError(
                f"chunk_frames = {self.chunk_frames}, but the target of {whole_only!r} is for a whole utterance; "
                "set chunk_frames = 0"
            )
        rows = self.rows(examples, rng)
        if rng is not None:
            rows = rows[rng.permutation(len(rows))]
        first, end = self.seen(rows, examples)
        lengths = end - first
        keys = np.floor(np.log(np.maximum(lengths, 1)) / np.log(_BUCKET)) if rng is not None else lengths
        order = np.argsort(keys, kind="stable")
        batches = [rows[order[a:b]] for a, b in _spans(lengths[order], self.batch_frames)]
        if rng is not None:
            batches = [batches[i] for i in rng.permutation(len(batches))]
        return batches

    def read(self, examples: Examples, rows: np.ndarray) -> Batch:
        """The batch of some rows."""
        first, end = self.seen(rows, examples)
        lengths = end - first
        ids = [examples.features.ids[i] for i in rows[:, 0]]
        # Memory from torch is aligned, which numpy's need not be: the same batch gives the same bits.
        features = torch.zeros(len(rows), int(lengths.max(initial=0)), examples.features.dim)
        filled, frames = features.numpy(), examples.features.frames
        begin = examples.features.offsets[rows[:, 0]] + first
        for i, (start, length) in enumerate(zip(begin.tolist(), lengths.tolist(), strict=True)):
            filled[i, :length] = frames[start : start + length]
        targets: Any = [examples.targets[i] for i in ids]
        if all(isinstance(t, np.ndarray) for t in targets):
            targets = self._padded(targets, rows, first, features.shape[1], examples.every_frame)
        return Batch(ids, features, torch.from_numpy(lengths), targets)

    def _padded(
        self, targets: Sequence[np.ndarray], rows: np.ndarray, first: np.ndarray, n_frames: int, every_frame: bool
    ) -> Tensor:
        unit = self.subsampling
        padded = np.full((len(rows), -(-n_frames // unit)), IGNORED, np.int64)
        for i, (target, (_, begin, end), zero) in enumerate(zip(targets, rows.tolist(), first.tolist(), strict=True)):
            mine = target[begin:end:unit] if every_frame else target[begin // unit : -(-end // unit)]
            at = (begin - zero) // unit
            padded[i, at : at + len(mine)] = mine
        return torch.from_numpy(padded)


def _spans(lengths: np.ndarray, batch_frames: int) -> list[tuple[int, int]]:
    """Consecutive parts whose count times their longest length is at most batch_frames, or that have one row."""
    spans, begin, longest = [], 0, 0
    for i, length in enumerate(lengths.tolist()):
        longest = max(longest, length)
        if i > begin and longest * (i + 1 - begin) > batch_frames:
            spans.append((begin, i))
            begin, longest = i, length
    return [*spans, (begin, len(lengths))] if len(lengths) else []
