"""How sure a model is of its words: posteriors of lattices, and what held-out recordings say they are worth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError
from .transcript import TimedWord, Transcript

if TYPE_CHECKING:
    from ..decoding import BeamSearch, BestPath
    from ..lattice import WordLattice

_LEAST = 1e-6  # posteriors nearer to 0 or 1 count as this
_FEWEST = 100  # words that a calibrator is learnt from; and of these so many right and so many wrong ones:
_FEWEST_OF_EACH = 20


@dataclass(frozen=True)
class LatticeOptions:
    """What is looked for besides the best words.

    Attributes:
        n_best: word sequences, the best one among them.
        beam: nats that a path may be worse than the best one, at the model's acoustic scale; Kaldi's lattice-beam.
        least: words that are less sure than this are left out, or marked.
        marks: whether they stay, in parentheses.
        lattice: whether transcripts have it, as text.

    Raises:
        ValueError: for numbers out of range.
    """

    n_best: int = 1
    beam: float = 6.0
    least: float = 0.0
    marks: bool = False
    lattice: bool = False

    def __post_init__(self) -> None:
        if self.n_best < 1:
            raise ValueError(f"n_best={self.n_best}; need 1 or more")
        if not 0 < self.beam < math.inf:
            raise ValueError(f"beam={self.beam}; need more than 0 nats")
        if not 0 <= self.least <= 1:
            raise ValueError(f"least={self.least}; a confidence is 0 to 1")


def searched(
    search: "BeamSearch", loglikes: np.ndarray, options: LatticeOptions
) -> tuple[list[tuple["BestPath", np.ndarray]], "WordLattice"]:
    """The best word sequences, each with the posteriors of its words, the best first; one at least. And the lattice."""
    from ..lattice import WordLattice, lattice_of, word_posteriors

    words = WordLattice.of(lattice_of(search, loglikes, options.beam))
    return [(path, word_posteriors(words, path.words.tolist())) for path in words.nbest(options.n_best)], words


@dataclass(frozen=True)
class Calibrator:
    """The probability that a word is right, from its posterior and its length: logistic regression.

    A posterior is how sure the model is of itself, which is mostly too sure: words that it does not have are in no
    path of a lattice. What it is worth is learnt from recordings that the model was not trained on.

    Attributes:
        weights: of `evidence_of`'s columns, and a constant.
        n_words: that it was learnt from.
    """

    weights: tuple[float, ...]
    n_words: int

    @classmethod
    def of(cls, evidence: np.ndarray, right: np.ndarray) -> "Calibrator | None":
        """The calibrator that makes what was observed likeliest; None where there was too little to observe.

        Args:
            evidence: float64 (n_words, n_columns), see `evidence_of`.
            right: bool (n_words,).

        Ref: the same model as Kaldi's steps/conf, with other evidence.
        """
        if len(right) < _FEWEST or min(right.sum(), (~right).sum()) < _FEWEST_OF_EACH:
            return None
        from scipy.optimize import minimize

        inputs = np.column_stack([evidence, np.ones(len(evidence))])
        signs = np.where(right, 1.0, -1.0)
        ridge = np.full(inputs.shape[1], 1e-3 * len(right))
        ridge[-1] = 0.0

        def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
            margins = signs * (inputs @ weights)
            value = np.logaddexp(0.0, -margins).sum() + 0.5 * (ridge * weights * weights).sum()
            slope = -signs / (1.0 + np.exp(np.clip(margins, -700, 700)))
            return float(value), inputs.T @ slope + ridge * weights

        found = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B").x
        return cls(tuple(float(w) for w in found), len(right))

    def probabilities(self, evidence: np.ndarray) -> np.ndarray:
        """float64 (n_words,): how probable it is that each word is right.

        Raises:
            ModelError: where the evidence is of another kind.
        """
        if evidence.shape[1] + 1 != len(self.weights):
            raise ModelError(f"a calibrator of {len(self.weights) - 1} columns, evidence of {evidence.shape[1]}")
        scores = evidence @ np.array(self.weights[:-1]) + self.weights[-1]
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(scores, -700, 700))))

    def to_json(self) -> dict[str, Any]:
        """As confidence.json has it."""
        return {"weights": list(self.weights), "n_words": self.n_words}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Calibrator":
        """What `to_json` gave. Raises ModelError for another thing."""
        weights, n_words = value.get("weights"), value.get("n_words")
        fits = isinstance(weights, list) and len(weights) == N_COLUMNS + 1 and isinstance(n_words, int)
        if not fits or not all(isinstance(w, (int, float)) and math.isfinite(w) for w in weights):  # type: ignore[union-attr]
            raise ModelError(f"need {N_COLUMNS + 1} numbers as weights, and n_words")
        return cls(tuple(map(float, weights)), n_words)  # type: ignore[arg-type]


N_COLUMNS = 6
_BENDS = 2.0, 5.0  # log-odds: posteriors of 88 and 99.3 %, above which they tell less


def evidence_of(words: Sequence[TimedWord]) -> np.ndarray:
    """What tells right words from wrong ones, float64 (n_words, 6), of words with posteriors in `confidence`.

    The log-odds of the posterior, twice more as far as they are below a bound, so that their worth may change there;
    those of the less probable neighbour; the logarithm of the duration in s, and of the number of letters.
    """
    raw = np.clip([1.0 if w.confidence is None else w.confidence for w in words], _LEAST, 1.0 - _LEAST)
    odds = np.log(raw) - np.log1p(-raw)
    most = -math.log(_LEAST)
    sides = np.minimum(np.concatenate([[most], odds[:-1]]), np.concatenate([odds[1:], [most]]))
    seconds = [math.log(max(w.end - w.start, 0.01)) for w in words]
    letters = [math.log(len(w.word)) for w in words]
    if not len(words):
        return np.zeros((0, N_COLUMNS))
    return np.column_stack([odds, *(np.minimum(odds, bend) for bend in _BENDS), sides, seconds, letters])


def calibrate(references: Mapping[str, str], transcripts: Mapping[str, Transcript]) -> Calibrator | None:
    """The calibrator of a model, from what it recognised in recordings that it was not trained on.

    Args:
        references: id -> words.
        transcripts: id -> a transcript with posteriors (`Model.with_alternatives` of a model without calibrator).

    Returns:
        None where there are fewer than 100 words, or 20 right or wrong ones.
    """
    return Calibrator.of(*observed(references, transcripts))


def observed(references: Mapping[str, str], transcripts: Mapping[str, Transcript]) -> tuple[np.ndarray, np.ndarray]:
    """What `Calibrator.of` learns from; arguments as of `calibrate`."""
    from ..scoring.confidence import right_words

    evidence, right = [np.zeros((0, N_COLUMNS))], [np.zeros(0, bool)]
    for name, transcript in transcripts.items():
        evidence.append(evidence_of(transcript.words))
        right.append(right_words(references[name].split(), [word.word for word in transcript.words]))
    return np.concatenate(evidence), np.concatenate(right)


def calibrated(transcript: Transcript, calibrator: Calibrator) -> Transcript:
    """The transcript with probabilities in place of posteriors."""
    found = calibrator.probabilities(evidence_of(transcript.words))
    words = tuple(replace(w, confidence=round(float(p), 4)) for w, p in zip(transcript.words, found, strict=True))
    return replace(transcript, words=words, is_calibrated=True)


def without_unsure(transcript: Transcript, least: float, *, marks: bool = False) -> Transcript:
    """The transcript without the words that are less sure than that, or with these in parentheses."""
    kept = [w for w in transcript.words if marks or w.confidence is None or w.confidence >= least]
    text = " ".join(f"({w.word})" if w.confidence is not None and w.confidence < least else w.word for w in kept)
    return replace(transcript, words=tuple(kept), text=text)
