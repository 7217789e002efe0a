"""Joint decoding: strings of units made by an attention decoder and CTC together, the likeliest first."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from ..ctc.prefix import words_of_tokens
from ..ctc.prefix_scores import NO_UNIT, PrefixScores
from ..display.brief import brief_repr
from ..errors import ModelError
from ..lm import NgramModel
from ..lm.next_words import NextWords
from ..lm.vocabulary import END_ID
from ..nn.ctc.attention import END, AttentionDecoder, Memory
from .acoustic import check_input
from .decoder_file import encoder_of
from .model import Model


@dataclass(frozen=True)
class JointSearchOptions:
    """How wide to search, and how to weigh what is known of a string.

    Its score is attention_weight times the decoder's log probability, plus (1 - attention_weight) times CTC's, plus
    lm_weight times that of a language model, plus insertion_bonus for each unit.

    Raises:
        ValueError: out of range.
    """

    attention_weight: float = 0.5  # 0 to 1; with 0 or 1 only one of the two is asked
    beam_size: int = 20  # strings kept of each length; time grows with it
    beam: float = 20.0  # nats below the best string of a length at which others are dropped; math.inf: no limit
    lm_weight: float = 0.0  # factor on the language model's log probabilities; 0: it is not used
    insertion_bonus: float = 0.0  # nats added for each unit; more means longer strings

    def __post_init__(self) -> None:
        if not 0 <= self.attention_weight <= 1:
            raise ValueError(f"attention_weight={self.attention_weight}; must be 0 to 1")
        if not self.beam_size >= 1:
            raise ValueError(f"beam_size={self.beam_size}; must be 1 or more")
        if not self.beam > 0:
            raise ValueError(f"beam={self.beam}; must be above 0")
        if not (self.lm_weight >= 0 and math.isfinite(self.lm_weight)):
            raise ValueError(f"lm_weight={self.lm_weight}; must be 0 or more, and finite")
        if not math.isfinite(self.insertion_bonus):
            raise ValueError(f"insertion_bonus={self.insertion_bonus}; must be finite")


@dataclass(frozen=True, eq=False)
class JointString:
    """A string of units that a search found. Scores are natural logarithms, higher is better.

    Attributes:
        units: int32 (n_units,): columns, 1 or more: ids of the lexicon's phones.
        score: as `JointSearchOptions` says.
        attention: log probabilities of the whole string, its end included; 0 for those that were not asked.
        ctc: see `attention`.
        lm: see `attention`.
    """

    units: np.ndarray
    score: float
    attention: float = 0.0
    ctc: float = 0.0
    lm: float = 0.0

    def __repr__(self) -> str:
        return brief_repr(self)


class JointSearch:
    """A beam search over strings of equal length, for one utterance after the other.

    All strings of a length, each with all units that may follow, are scored at once; the best go on, and each can end.
    CTC tells how probable it is that what it says begins with the string, so that the decoder can neither leave out nor
    repeat a part. No score but the bonus grows with length: the search ends when no string can become better than those
    that have ended, or has as many units as there are rows. With the beam wide open the result is exact.

    Args:
        model: from `train_joint`.
        decoder: its decoder.
        lm: over the names of the lexicon's phones, without its silence.

    Raises:
        ModelError: where model and decoder do not fit.
        LanguageModelError: for units that the language model lacks.

    Ref: Watanabe, Hori, Kim, Hershey and Hayashi, 2017, Hybrid CTC/attention architecture for end-to-end speech
    recognition, section III-C; its decoding ends otherwise, by a threshold on what is won.
    """

    def __init__(
        self,
        model: Model,
        decoder: AttentionDecoder,
        lm: NgramModel | None = None,
        options: JointSearchOptions | None = None,
    ) -> None:
        self.options = options or JointSearchOptions()
        self.encoder, self.decoder = encoder_of(model).eval(), decoder.eval()
        wanted = self.encoder.output.in_features, self.encoder.n_outputs
        if (decoder.dim, decoder.n_columns) != wanted:
            raise ModelError(
                f"the decoder is for rows of {decoder.dim} values and {decoder.n_columns} columns; "
                f"the model's network has {wanted[0]} and {wanted[1]}"
            )
        phones, silence = model.lexicon.phones, model.lexicon.silence_id
        # Silence is never said; the end of a string and the blank share the first column.
        self._columns = np.array([0, *(p for p in range(1, wanted[1]) if p != silence)], np.int32)
        self._words: NextWords | None = None
        if lm is not None and self.options.lm_weight > 0:
            words = words_of_tokens(tuple(phones.name(int(p)) for p in self._columns[1:]), lm)
            words[0] = END_ID
            self._words = NextWords(lm, words)

    def search(self, features: np.ndarray, n_best: int = 1) -> list[JointString]:
        """The likeliest strings of an utterance, best first, no two the same; none where no string is possible.

        Args:
            features: float32 (n_frames, dim), after the model's whole pipeline; without frames nothing is said.
            n_best: 1 or more; fewer come back where fewer have ended.

        Raises:
            ModelError: for features of another shape.
        """
        if n_best < 1:
            raise ValueError(f"n_best={n_best}; must be 1 or more")
        features = check_input(features, self.encoder.dim)
        if not len(features):
            return [JointString(np.zeros(0, np.int32), 0.0)]
        with torch.inference_mode():
            memory, log_probs = self._heard(features)
            return self._best_strings(self._scorers(memory, log_probs), len(log_probs), n_best)

    def _heard(self, features: np.ndarray) -> tuple[Memory, np.ndarray]:
        """What the decoder looks at, and CTC's log probabilities, float32 (n_rows, n_columns)."""
        device = next(self.encoder.parameters()).device
        lengths = torch.tensor([len(features)], device=device)
        rows = self.encoder.encode(torch.from_numpy(features)[None].to(device), lengths)
        log_probs = self.encoder.output(rows)[0].float().log_softmax(dim=1).cpu().numpy()
        memory = self.decoder.remember(rows, torch.tensor([rows.shape[1]], device=device))
        return memory, log_probs[:, self._columns]

    def _scorers(self, memory: Memory, log_probs: np.ndarray) -> "dict[str, tuple[float, _Scorer]]":
        """By field of `JointString`: the weight, and who is asked."""
        weight, found = self.options.attention_weight, dict[str, tuple[float, _Scorer]]()
        if weight > 0:
            found["attention"] = weight, _Attention(self.decoder, memory, self._columns)
        if weight < 1:
            found["ctc"] = 1 - weight, _Ctc(log_probs)
        if self._words is not None:
            found["lm"] = self.options.lm_weight, _Words(self._words)
        return found

    def _best_strings(
        self, scorers: "dict[str, tuple[float, _Scorer]]", longest: int, n_best: int
    ) -> list[JointString]:
        weights, bonus = np.array([[[weight]] for weight, _ in scorers.values()]), self.options.insertion_bonus
        strings, ended = np.zeros((1, 0), np.int32), list[JointString]()
        for length in range(longest + 1):
            parts = np.stack([scorer.next() for _, scorer in scorers.values()])
            totals = (weights * parts).sum(axis=0) + bonus * length
            totals[:, 1:] += bonus
            for i in np.flatnonzero(totals[:, 0] > -np.inf):
                mine = dict(zip(scorers, parts[:, i, 0].tolist(), strict=True))
                ended.append(JointString(self._columns[strings[i]], float(totals[i, 0]), **mine))
            ended = sorted(ended, key=lambda string: -string.score)[:n_best]
            parents, columns = self._chosen(totals)
            if length == longest or not len(parents):
                break
            hope = totals[parents[0], columns[0]] + max(0.0, bonus) * (longest - length - 1)
            if len(ended) == n_best and ended[-1].score >= hope:
                break
            strings = np.concatenate([strings[parents], columns[:, None]], axis=1)
            for _, scorer in scorers.values():
                scorer.keep(parents, columns)
        return ended

    def _chosen(self, totals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best strings to go on with, best first: of each the string before and its new column, int32 (n,) each."""
        totals = totals[:, 1:]
        best = np.argsort(-totals, axis=None, kind="stable")[: self.options.beam_size]
        scores = totals.reshape(-1)[best]
        best = best[(scores > -np.inf) & (scores >= scores[:1] - self.options.beam)]
        parents, columns = np.divmod(best, totals.shape[1])
        return parents.astype(np.int32), (columns + 1).astype(np.int32)


class _Scorer(Protocol):
    """The log probabilities of the strings of a search, made longer together."""

    def next(self) -> np.ndarray:
        """float64 (n_strings, n_columns): of each string with each column more; column 0: of the string, ended."""

    def keep(self, parents: np.ndarray, columns: np.ndarray) -> None:
        """Go on with other strings, each one of the strings with a column more; after `next`."""


class _Attention:
    """By the decoder.

    Args:
        columns: those of the search, among the decoder's.
    """

    def __init__(self, decoder: AttentionDecoder, memory: Memory, columns: np.ndarray) -> None:
        self._decoder, self._memory, self._columns = decoder, memory, torch.from_numpy(columns.astype(np.int64))
        self._state, self._before = decoder.start(memory), np.zeros(1)
        self._units = torch.full((1,), END, device=memory.rows.device)

    def next(self) -> np.ndarray:
        scores, self._after = self._decoder.step(self._units, self._state, self._memory)
        log_probs = scores.double().log_softmax(dim=1).cpu()[:, self._columns].numpy()
        self._found = self._before[:, None] + log_probs
        return self._found

    def keep(self, parents: np.ndarray, columns: np.ndarray) -> None:
        device = self._units.device
        self._state = self._after.select(torch.from_numpy(parents.astype(np.int64)).to(device))
        self._units = self._columns[torch.from_numpy(columns.astype(np.int64))].to(device)
        self._before = self._found[parents, columns]


class _Ctc:
    """By CTC, as prefixes.

    Args:
        log_probs: float32 (n_rows, n_columns).
    """

    def __init__(self, log_probs: np.ndarray) -> None:
        self._scores = PrefixScores(log_probs)
        self._ends, self._last = self._scores.start(), np.full(1, NO_UNIT, np.int32)

    def next(self) -> np.ndarray:
        return self._scores.of_next(self._ends, self._last)

    def keep(self, parents: np.ndarray, columns: np.ndarray) -> None:
        self._ends, self._last = self._scores.extended(self._ends, self._last, parents, columns), columns


class _Words:
    """By a language model.

    Args:
        words: of the columns, the end of the sentence first.
    """

    def __init__(self, words: NextWords) -> None:
        self._words, self._states, self._before = words, np.array([words.start]), np.zeros(1)

    def next(self) -> np.ndarray:
        log_probs, self._after = self._words.follow(self._states)
        self._found = self._before[:, None] + log_probs
        return self._found

    def keep(self, parents: np.ndarray, columns: np.ndarray) -> None:
        self._states, self._before = self._after[parents, columns], self._found[parents, columns]
