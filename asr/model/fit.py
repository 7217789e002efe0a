"""Does a recording fit a model? The words are the best that the graph allows, and may yet be far from what was said.

A model that knows ten words hears ten words in any speech. Two numbers tell such speech from what the model is for:
how likely its frames are under the likeliest of all outputs (pdfs, or tokens of CTC), and how far the outputs of the
recognised words lie below that. Both are means over the frames in which something is recognised, and both are compared
with what recordings of the model's own kind have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..errors import ModelError

# The likelihood tells other sounds and microphones, the margin other words. All three were chosen on digits, of which
# recordings of unseen speakers made the reference, beside Mboshi and English sentences.
_MARGIN_WEIGHT = 0.4
_DEVIATIONS = 1.75  # below the mean of the reference: one recording in twenty-five, were they normal
# Parts of the variance that stay however long a recording is. Rooms and microphones shift the likelihood of all of it;
# the margin is of the words, and a long recording of right ones hardly strays.
_LIKELIHOOD_STAYS, _MARGIN_STAYS = 0.04, 0.02
_CLEARLY = 1.5  # times the least score: of many pieces, that is what single ones are named for
_FEWEST = 20  # recordings; a reference of fewer tells nothing


class Evidence(NamedTuple):
    """What one recording says: means over the frames in which something is recognised.

    Attributes:
        likelihood: natural log, of the best output of each frame.
        margin: of the path's output less that one, 0 or less.
        n_frames: how many those frames are.
    """

    likelihood: float
    margin: float
    n_frames: int


def evidence(loglikes: np.ndarray, columns: np.ndarray, is_speech: np.ndarray) -> Evidence | None:
    """The evidence of one recording; None where nothing is recognised in it.

    Args:
        loglikes: float32 (n_frames, n_columns).
        columns: int (n_frames,), those of the best path.
        is_speech: bool (n_frames,), where that path says something.
    """
    if not is_speech.any():
        return None
    best = loglikes[is_speech].max(axis=1).astype(np.float64)
    own = loglikes[is_speech, columns[is_speech]]
    return Evidence(float(best.mean()), float((own - best).mean()), len(best))


@dataclass(frozen=True)
class Reference:
    """What recordings of a model's own kind have: means and standard deviations, and the least score that fits.

    Attributes:
        n_frames: of speech in such a recording, their harmonic mean: longer ones differ less from each other.
    """

    likelihood: float
    likelihood_deviation: float
    margin: float
    margin_deviation: float
    n_frames: float
    least: float

    @classmethod
    def of(cls, found: Sequence[Evidence]) -> "Reference | None":
        """The reference from recordings that were not trained on; None where they are fewer than 20."""
        if len(found) < _FEWEST:
            return None
        values = np.array(found, np.float64)
        (likelihood, margin, _), deviations = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-3)
        n_frames = 1 / np.mean(1 / values[:, 2])
        raw = cls(float(likelihood), float(deviations[0]), float(margin), float(deviations[1]), float(n_frames), 0.0)
        scores = np.array([raw.score(e) for e in found])
        return replace(raw, least=float(scores.mean() - _DEVIATIONS * scores.std()))

    def score(self, found: Evidence) -> float:
        """How well a recording fits: about 0 for one like the reference's, below `least` for others."""
        likelihood = (found.likelihood - self.likelihood) / self.likelihood_deviation
        margin = (found.margin - self.margin) / self.margin_deviation
        shorter = self.n_frames / found.n_frames
        return float(
            likelihood / np.sqrt(_LIKELIHOOD_STAYS + (1 - _LIKELIHOOD_STAYS) * shorter)
            + _MARGIN_WEIGHT * margin / np.sqrt(_MARGIN_STAYS + (1 - _MARGIN_STAYS) * shorter)
        )

    def fits(self, found: Evidence | None) -> bool:
        """Whether a recording is of the model's kind, as far as that can be told."""
        return found is None or self.score(found) >= self.least

    def clearly_differs(self, found: Evidence | None) -> bool:
        """Whether a piece of a recording is so unlike the model's kind that it is to be named, were it the only one."""
        return found is not None and self.score(found) < self.least - (_CLEARLY - 1) * abs(self.least)

    def to_json(self) -> dict[str, float]:
        """What model.json holds of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Reference":
        """What `to_json` gave.

        Raises:
            ModelError: for anything else.
        """
        try:
            found = cls(**{name: float(number) for name, number in value.items()})
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"the reference of recordings that fit: {error}") from None
        is_finite = all(np.isfinite(list(asdict(found).values())))
        if not is_finite or min(found.likelihood_deviation, found.margin_deviation, found.n_frames) <= 0:
            raise ModelError(f"the reference of recordings that fit: {value}; need finite numbers, spreads above 0")
        return found
