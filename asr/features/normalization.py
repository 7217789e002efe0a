"""Cepstral mean and variance normalisation: over an utterance or a window in it, with given statistics, or causal."""

from collections.abc import Iterable
from functools import partial

import numpy as np

from .deltas import as_matrix, is_batch, of_each_matrix
from .frames import Arrays

MODES = ("utterance", "speaker", "sliding", "causal")
_CAUSAL_BLOCK = 4096  # frames at once, to bound the memory
SMALLEST_VARIANCE = 1e-20  # as in Kaldi: a constant feature stays finite
_SMALLEST_SLIDING_VARIANCE = 1e-10  # as in Kaldi, too


def cmvn(
    features: Arrays,
    *,
    mode: str = "utterance",
    norm_vars: bool = False,
    statistics: np.ndarray | None = None,
    prior: np.ndarray | None = None,
    window: int = 600,
    global_frames: int = 200,
    speaker_frames: int = 600,
    counted: np.ndarray | None = None,
) -> Arrays:
    """Features whose mean (and variance) is taken away, float32 (n_frames, dim).

    Args:
        features: float32 (n_frames, dim); or a list of such arrays, each of which is normalised as if it were alone.
        mode: "utterance": statistics of these frames; "speaker": the given `statistics`, e.g. of all of a speaker's
            frames; "causal": frame t is normalised with the last `window` frames up to t, with `statistics` and then
            `prior` in their place as long as there are fewer; "sliding": with the `window` frames around it, window //
            2 of them before; near an end the window is moved inside, not shortened. Only "causal" can be used while
            somebody is still speaking.
        norm_vars: divide by the standard deviation too.
        statistics: from `cmvn_statistics`; of the speaker's earlier utterances, and of the training data.
        prior: see `statistics`.
        window: frames.
        global_frames: for how many frames `prior` and `statistics` count at most.
        speaker_frames: for how many frames `prior` and `statistics` count at most.
        counted: bool (n_frames,): frames of which means and variances are taken; the others are normalised all the
            same. None: all. Without any, and nothing in their place, features stay as they are.

    Raises:
        ValueError: for an unknown mode, statistics that are missing or of another dim, a window below 1.

    Same as Kaldi's apply-cmvn --norm-means=true, apply-cmvn-online for "causal", and for "sliding"
    apply-cmvn-sliding --center=true --cmn-window=600; its --min-window is of no meaning with --center.

    Examples:
        >>> cmvn(np.array([[1.0], [3.0]], dtype=np.float32)).ravel()
        array([-1.,  1.], dtype=float32)
    """
    if is_batch(features) and counted is not None:
        raise ValueError("counted is of the frames of one recording; give a list's one after the other")
    alone = partial(_cmvn, mode=mode, norm_vars=norm_vars, statistics=statistics, prior=prior, window=window)
    return of_each_matrix(
        partial(alone, global_frames=global_frames, speaker_frames=speaker_frames, counted=counted), features
    )


def _cmvn(
    features: np.ndarray,
    *,
    mode: str,
    norm_vars: bool,
    statistics: np.ndarray | None,
    prior: np.ndarray | None,
    window: int,
    global_frames: int,
    speaker_frames: int,
    counted: np.ndarray | None,
) -> np.ndarray:
    """The same of one recording."""
    features = as_matrix(features)
    for name, sums in (("statistics", statistics), ("prior", prior)):
        check_statistics(name, sums, features.shape[1])
    if mode == "causal":
        return CausalCmvn(
            features.shape[1],
            norm_vars=norm_vars,
            statistics=statistics,
            prior=prior,
            window=window,
            global_frames=global_frames,
            speaker_frames=speaker_frames,
        ).accept(features, counted)
    if counted is not None and counted.shape != (len(features),):
        raise ValueError(f"counted has shape {counted.shape}; need ({len(features)},)")
    if mode == "sliding":
        return _sliding(features, norm_vars, window, counted)
    if mode == "utterance":
        kept = features if counted is None else features[counted]
        if len(kept) == 0:
            return features
        statistics = cmvn_statistics([kept])
    elif mode != "speaker":
        raise ValueError(f"mode={mode!r}; need one of {', '.join(MODES)}")
    if statistics is None:
        raise ValueError("mode='speaker' needs statistics=cmvn_statistics(all features of the speaker)")
    if len(features) == 0:
        return features
    count = statistics[0, -1]
    return _normalized(features, statistics[0, :-1] / count, statistics[1, :-1] / count if norm_vars else None)


def cmvn_statistics(features: Iterable[np.ndarray]) -> np.ndarray:
    """Sums, sums of squares and the number of frames, float64 (2, dim + 1), laid out as in Kaldi's cmvn files.

    Row 0 holds the sums and, last, the number of frames; row 1 the sums of squares and 0. Statistics can be added up.

    Args:
        features: matrices (n_frames, dim), at least one.

    Raises:
        ValueError: without any frame.
    """
    total: np.ndarray | None = None
    for matrix in features:
        frames = np.asarray(matrix, dtype=np.float64)
        part = np.zeros((2, frames.shape[1] + 1))
        part[0, :-1], part[0, -1], part[1, :-1] = frames.sum(axis=0), len(frames), np.square(frames).sum(axis=0)
        total = part if total is None else total + part
    if total is None or total[0, -1] == 0:
        raise ValueError("no frames to take statistics of")
    return total


def check_statistics(name: str, statistics: np.ndarray | None, dim: int) -> None:
    """Check statistics; None: there are none.

    Raises:
        ValueError: for those of features of another dim, or of no frames.
    """
    if statistics is not None and (statistics.shape != (2, dim + 1) or not statistics[0, -1] > 0):
        raise ValueError(f"{name} have shape {statistics.shape}; need (2, {dim + 1}) with a frame count above 0")


def _normalized(
    features: np.ndarray, mean: np.ndarray, square: np.ndarray | None, smallest: float = SMALLEST_VARIANCE
) -> np.ndarray:
    """(features - mean) / deviation; mean and mean square float64, broadcast over the frames."""
    if square is None:
        return (features - mean).astype(np.float32)
    deviation = np.sqrt(np.maximum(square - mean * mean, smallest))
    return ((features - mean) / deviation).astype(np.float32)


def _sliding(features: np.ndarray, norm_vars: bool, window: int, counted: np.ndarray | None) -> np.ndarray:
    """Features normalised with the window around each of them, from float64 running sums."""
    if window < 1:
        raise ValueError(f"window={window}; need 1 or more")
    n_frames, dim = features.shape
    columns = features.astype(np.float64)
    if norm_vars:
        columns = np.column_stack([columns, np.square(columns)])
    counts = np.arange(n_frames + 1)
    if counted is not None:
        if not counted.any():
            return features
        columns = columns * counted[:, None]
        counts = np.concatenate([[0], np.cumsum(counted)])
    sums = np.concatenate([np.zeros((1, columns.shape[1])), np.add.accumulate(columns)])
    first = np.clip(np.arange(n_frames) - window // 2, 0, max(0, n_frames - window))
    last = np.minimum(first + window, n_frames)
    number = counts[last] - counts[first]
    inside = (sums[last] - sums[first]) / np.maximum(number, 1)[:, None]
    if (nothing := number == 0).any():  # nothing that counts in the window: the mean of the recording
        inside[nothing] = sums[-1] / counts[-1]
    return _normalized(features, inside[:, :dim], inside[:, dim:] if norm_vars else None, _SMALLEST_SLIDING_VARIANCE)


class CausalCmvn:
    """`cmvn` with mode "causal" for features that are still arriving.

    The pieces that `accept` gives, one after the other, are bit for bit what `cmvn` makes of the whole: the sums run on
    in float64, in frame order, so that what comes later changes no bit of what was before.

    Args:
        dim: values per frame; the others: as in `cmvn`.

    Raises:
        ValueError: for statistics of another dim or a window below 1.
    """

    def __init__(
        self,
        dim: int,
        *,
        norm_vars: bool = False,
        statistics: np.ndarray | None = None,
        prior: np.ndarray | None = None,
        window: int = 600,
        global_frames: int = 200,
        speaker_frames: int = 600,
    ) -> None:
        if min(window, global_frames + 1, speaker_frames + 1) < 1:
            given = f"window={window}, global_frames={global_frames}, speaker_frames={speaker_frames}"
            raise ValueError(f"{given}; need a window of 1 or more and the others 0 or more")
        self._dim, self._norm_vars, self._window = dim, norm_vars, window
        self._helpers: list[tuple[np.ndarray, float]] = []  # statistics and for how many frames they count at most
        for name, sums in (("statistics", statistics), ("prior", prior)):
            check_statistics(name, sums, dim)
            if sums is not None:
                self._helpers.append((sums, global_frames if name == "prior" else min(speaker_frames, sums[0, -1])))
        # Running sums up to each of the last frames that count, and up to before the first of them.
        self._history = np.zeros((1, dim * (1 + norm_vars)))

    def accept(self, features: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
        """The features normalised, float32 (n_frames, dim).

        Args:
            features: float32 (n_frames, dim), those after the last ones.
            counted: bool (n_frames,): which of them later frames are normalised with; None: all. The window is of
                frames that count, and ends at the last of them.

        Raises:
            ValueError: for another shape.
        """
        features = as_matrix(features, self._dim)
        counted = np.ones(len(features), bool) if counted is None else np.asarray(counted, bool)
        if counted.shape != (len(features),):
            raise ValueError(f"counted has shape {counted.shape}; need ({len(features)},)")
        result = np.empty_like(features)
        for begin in range(0, len(features), _CAUSAL_BLOCK):
            block = slice(begin, begin + _CAUSAL_BLOCK)
            result[block] = self._normalize(features[block], counted[block])
        return result

    def flush(self) -> np.ndarray:
        """No frames: none is ever late."""
        return np.zeros((0, self._dim), dtype=np.float32)

    def _normalize(self, features: np.ndarray, counted: np.ndarray) -> np.ndarray:
        """Some frames, each with the window that ends at it, topped up from the helpers in order."""
        block, history = features[counted].astype(np.float64), self._history
        columns = np.column_stack([block, np.square(block)]) if self._norm_vars else block
        sums = np.concatenate([history, np.add.accumulate(np.concatenate([history[-1:], columns]))[1:]])
        last = len(history) - 1 + np.cumsum(counted)
        first = np.maximum(last - self._window, 0)
        inside, count = sums[last] - sums[first], (last - first).astype(np.float64)
        for statistics, limit in self._helpers:
            share = np.clip(self._window - count, 0, limit)
            inside += (share / statistics[0, -1])[:, None] * statistics[: 1 + self._norm_vars, :-1].reshape(-1)
            count += share
        inside /= np.maximum(count, 1e-9)[:, None]
        self._history = sums[-(self._window + 1) :]
        return _normalized(features, inside[:, : self._dim], inside[:, self._dim :] if self._norm_vars else None)
