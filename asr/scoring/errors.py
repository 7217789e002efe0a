"""Scoring: errors of hypotheses against references, by words or characters, with intervals and confusions.

Word edges (`score_edges`, `read_ctm`) are in asr.scoring.edges, files of transcripts (`read_transcripts`) in
asr.scoring.reading; both can be had from here too.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..display.brief import brief_repr, many
from ..errors import CorpusError, listed

if TYPE_CHECKING:
    import numpy as np

    from .alternatives import Reading

Unit = Literal["word", "char"]
_BLOCK = 1 << 19  # drawn utterances held in memory at a time


@dataclass(frozen=True)
class UtteranceScore:
    """The errors of one utterance.

    Attributes:
        total: reference tokens (words, or characters).
        edits: the errors in order as (reference token, hypothesis token); None for the missing side of an insertion or
            a deletion.
        is_fixed: whether the reference can be said in one way alone: of alternatives the total depends on what was
            chosen.
    """

    id: str
    total: int
    edits: tuple[tuple[str | None, str | None], ...]
    is_fixed: bool = True

    def __repr__(self) -> str:
        return brief_repr(self)

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return len(self.edits)

    @cached_property
    def substitutions(self) -> int:
        """Tokens recognised as another."""
        return sum(r is not None and h is not None for r, h in self.edits)

    @cached_property
    def deletions(self) -> int:
        """Reference tokens without a recognised one."""
        return sum(h is None for _, h in self.edits)

    @cached_property
    def insertions(self) -> int:
        """Recognised tokens without a reference."""
        return sum(r is None for r, _ in self.edits)


@dataclass(frozen=True)
class Score:
    """Errors over a set of utterances.

    Attributes:
        utterances: in the order of the references.
        unit: what was counted, "word" or "char".
        missing: ids without hypothesis; their tokens are counted as deletions.
    """

    utterances: tuple[UtteranceScore, ...]
    unit: Unit = "word"
    missing: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Score: {self}, {many(len(self.utterances), 'utterance')}>"

    @cached_property
    def total(self) -> int:
        """Reference tokens."""
        return sum(u.total for u in self.utterances)

    @cached_property
    def substitutions(self) -> int:
        """Tokens recognised as another."""
        return sum(u.substitutions for u in self.utterances)

    @cached_property
    def deletions(self) -> int:
        """Reference tokens without a recognised one."""
        return sum(u.deletions for u in self.utterances)

    @cached_property
    def insertions(self) -> int:
        """Recognised tokens without a reference."""
        return sum(u.insertions for u in self.utterances)

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors in percent of the reference tokens; without any such token 0.0, or inf if something was inserted."""
        return _percent(self.errors, self.total)

    @property
    def wrong_utterances(self) -> int:
        """Utterances with at least one error."""
        return sum(u.errors > 0 for u in self.utterances)

    @cached_property
    def confusions(self) -> Counter[tuple[str | None, str | None]]:
        """How often each (reference token, hypothesis token) error happened; None as in `UtteranceScore.edits`."""
        return Counter(edit for u in self.utterances for edit in u.edits)

    def interval(self, *, confidence: float = 0.95, n_samples: int = 1000, seed: int = 0) -> tuple[float, float]:
        """The bootstrap percentile interval of the rate, in percent: utterances drawn with replacement.

        Utterances are taken as independent; with few speakers the true uncertainty is larger. Where no error was seen
        it is 0 to 0, and says nothing.
        Ref: Bisani & Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", 2004.
        """
        rates = _bootstrap(self._counts()[None], n_samples, seed)[0]
        return _quantiles(rates, confidence) if rates.size else (self.rate, self.rate)

    def by_speaker(self, speaker_of: Mapping[str, str]) -> dict[str, "Score"]:
        """Speaker -> the score of that speaker's utterances, sorted by speaker.

        Args:
            speaker_of: utterance id -> speaker.

        Raises:
            CorpusError: for an utterance without speaker.
        """
        unknown = [u.id for u in self.utterances if u.id not in speaker_of]
        if unknown:
            raise CorpusError(f"{len(unknown)} scored utterances have no speaker: {listed(unknown)}")
        missing = set(self.missing)
        groups: dict[str, list[UtteranceScore]] = {}
        for utterance in self.utterances:
            groups.setdefault(speaker_of[utterance.id], []).append(utterance)
        return {
            speaker: Score(tuple(group), self.unit, tuple(u.id for u in group if u.id in missing))
            for speaker, group in sorted(groups.items())
        }

    def __str__(self) -> str:
        """One line as Kaldi's compute-wer writes it."""
        name = "WER" if self.unit == "word" else "CER"
        return (
            f"%{name} {self.rate:.2f} [ {self.errors} / {self.total}, {self.insertions} ins, "
            f"{self.deletions} del, {self.substitutions} sub ]"
        )

    def report(self, *, confusions: int = 10, speaker_of: Mapping[str, str] | None = None) -> str:
        """The score as text for people: rates, interval, the most frequent errors, and a line per speaker if known.

        Args:
            confusions: how many errors to list.
        """
        from .tables import confusion_lines, speaker_lines

        n, wrong = len(self.utterances), self.wrong_utterances
        lines = [str(self), f"%SER {_percent(wrong, n):.2f} [ {wrong} / {n} ]", self._interval_line()]
        if self.missing:
            lines.append(
                f"{many(len(self.missing), 'utterance has', 'utterances have')} no hypothesis, counted as deletions: "
                f"{listed(self.missing)}"
            )
        if speaker_of is not None:
            lines += ["", *speaker_lines(self.by_speaker(speaker_of))]
        if confusions and self.confusions:
            lines += ["", *confusion_lines(self.confusions, confusions)]
        return "\n".join(lines)

    def _interval_line(self) -> str:
        """The interval for people, where there is something to draw from."""
        if not self.total or len(self.utterances) < 2:
            return "95 % interval not known: it needs two utterances with words in the reference"
        if not self.errors:  # the bootstrap only draws what it has seen; 0.95 = 1 - (1 - p) ** n gives p = 3 / n
            return f"95 % interval 0.00 to {min(100.0, 300.0 / self.total):.2f} % (no error seen: rule of three)"
        low, high = self.interval()
        return f"95 % interval {low:.2f} to {high:.2f} % (bootstrap over utterances)"

    def _counts(self) -> "np.ndarray":
        """int64 (2, n_utterances): errors and reference tokens."""
        import numpy as np

        return np.array([[u.errors for u in self.utterances], [u.total for u in self.utterances]], np.int64)


def score(
    references: Mapping[str, str] | Sequence[str],
    hypotheses: Mapping[str, str] | Sequence[str],
    *,
    unit: Unit = "word",
    unknown_ids: Literal["error", "ignore"] = "error",
) -> Score:
    """The errors of hypotheses, aligned to the references with the fewest edits (Levenshtein).

    Where several alignments have the fewest edits, one of them is taken: the kinds of errors may depend on the choice,
    the rate does not.

    Words are what white space separates; characters are those of the text with single blanks, blanks included. Both
    sides are compared in Unicode's composed form (NFC). Nothing else is made equal: case and punctuation count.

    References may be in NIST's notation: of `{ um / uh / @ }` the one with the fewest errors counts, `@` being nothing,
    and words in parentheses, `(uh)`, and `%hesitation` count as right where they are missing; see
    asr.scoring.alternatives.

    Args:
        references: utterance id -> text. An id without hypothesis counts as one that is empty. An empty reference adds
            no tokens, and what was recognised in it counts as insertions. Or both are lists of texts in the same order,
            or one text each; ids are then their numbers from 1.
        hypotheses: see `references`.
        unit: "word" for WER, "char" for CER.
        unknown_ids: "ignore" passes over hypotheses whose id has no reference, else they are an error.

    Raises:
        CorpusError: for such ids, for lists of different lengths, or if there are no references.
        TypeError: for what is no text.

    Examples:
        >>> print(score({"u1": "one two three"}, {"u1": "one too three four"}))
        %WER 66.67 [ 2 / 3, 1 ins, 0 del, 1 sub ]
        >>> print(score({"u1": "{ going to / gonna } go (uh) home"}, {"u1": "gonna go rome"}))
        %WER 25.00 [ 1 / 4, 0 ins, 0 del, 1 sub ]
    """
    if unit not in ("word", "char"):
        raise ValueError(f"unit={unit!r}; need 'word' or 'char'")
    if unknown_ids not in ("error", "ignore"):
        raise ValueError(f"unknown_ids={unknown_ids!r}; need 'error' or 'ignore'")
    is_listed = not isinstance(references, Mapping)
    if is_listed == isinstance(hypotheses, Mapping):
        raise TypeError(
            "references have ids and hypotheses none, or the other way round; need dicts, or lists, of both"
        )
    references, hypotheses = _by_id(references, "reference"), _by_id(hypotheses, "hypothesis")
    if is_listed and len(references) != len(hypotheses):
        raise CorpusError(f"{len(references)} references and {len(hypotheses)} hypotheses; lists need one for one")
    check_ids(references, hypotheses, may_be_unknown=unknown_ids == "ignore")
    utterances = tuple(_scored(name, text, hypotheses.get(name, ""), unit) for name, text in references.items())
    return Score(utterances, unit, tuple(name for name in references if name not in hypotheses))


def _by_id(texts: Mapping[str, str] | Sequence[str], what: str) -> Mapping[str, str]:
    """Id -> text, of a dict, a list or one text. Raises TypeError for others."""
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, (Mapping, Sequence)):
        raise TypeError(f"a {what} is of type {type(texts).__name__}; need a dict of id to text, a list, or a text")
    by_id = texts if isinstance(texts, Mapping) else {str(number): text for number, text in enumerate(texts, 1)}
    for name, text in by_id.items():
        if not isinstance(text, str):
            raise TypeError(
                f"the {what} of {name!r} is {text!r:.60}, of type {type(text).__name__}; need a text, its words "
                "separated by blanks: ' '.join(words)"
            )
    return by_id


def _scored(name: str, text: str, recognised: str, unit: Unit) -> UtteranceScore:
    """The errors of one utterance."""
    hypothesis = _tokens(recognised, unit)
    if reading := _reading(text, hypothesis, unit):
        edits = _edits(reading.tokens, hypothesis)
        return UtteranceScore(name, len(reading.tokens) + reading.n_missing, edits, is_fixed=False)
    reference = _tokens(text, unit)
    return UtteranceScore(name, len(reference), _edits(reference, hypothesis))


def check_ids(
    references: Mapping[str, object], hypotheses: Mapping[str, object], *, may_be_unknown: bool = False
) -> None:
    """Raise CorpusError for no references, and unless they may be there, for hypotheses of ids without reference."""
    if not references:
        raise CorpusError("there are no references to score against")
    unknown = [name for name in hypotheses if name not in references]
    if unknown and not may_be_unknown:
        raise CorpusError(
            f"{len(unknown)} of {len(hypotheses)} hypotheses have an id without reference: {listed(unknown)}; "
            f"references have ids like {next(iter(references))!r}: remove them, add their references, or score "
            "what both have: asr score --common, unknown_ids='ignore'"
        )


def _reading(text: str, hypothesis: Sequence[str], unit: Unit) -> "Reading | None":
    """What a reference with alternatives is best taken for; None for plain words."""
    if not any(sign in text for sign in "{}(%"):
        return None
    from .alternatives import best_reading, has_notation

    return best_reading(unicodedata.normalize("NFC", text), hypothesis, unit) if has_notation(text) else None


class Comparison(NamedTuple):
    """Two systems on the same utterances.

    Attributes:
        difference: rate of the second minus rate of the first, percent; negative if the second is better.
        low: its bootstrap interval.
        high: its bootstrap interval.
        better: fraction of the bootstrap samples in which the second has the lower rate (ties count half).
    """

    difference: float
    low: float
    high: float
    better: float


def compare(
    first: Score, second: Score, *, confidence: float = 0.95, n_samples: int = 1000, seed: int = 0
) -> Comparison:
    """Whether the second system is better than the first: a paired bootstrap over the utterances they share.

    Both were scored against the same references. Raises CorpusError if ids or reference lengths differ.
    Ref: Bisani & Ney 2004, section 3 ("probability of improvement").
    """
    import numpy as np

    sides = ([(u.id, u.is_fixed, u.total if u.is_fixed else None) for u in s.utterances] for s in (first, second))
    if next(sides) != next(sides):
        raise CorpusError("the two scores are not of the same references; score both against one set")
    drawn = _bootstrap(np.stack([first._counts(), second._counts()]), n_samples, seed)
    differences = drawn[1] - drawn[0]
    if not differences.size:
        return Comparison(second.rate - first.rate, 0.0, 0.0, 0.5)
    better = float(np.mean((differences < 0) + 0.5 * (differences == 0)))
    return Comparison(second.rate - first.rate, *_quantiles(differences, confidence), better)


def _tokens(text: str, unit: Unit) -> Sequence[str]:
    words = unicodedata.normalize("NFC", text).split()
    return words if unit == "word" else " ".join(words)


def _edits(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[tuple[str | None, str | None], ...]:
    """The errors of a best alignment, in order."""
    from rapidfuzz.distance import Levenshtein

    number: dict[str, int] = {}
    left, right = ([number.setdefault(token, len(number)) for token in side] for side in (reference, hypothesis))
    return tuple(
        (
            None if edit.tag == "insert" else reference[edit.src_pos],
            None if edit.tag == "delete" else hypothesis[edit.dest_pos],
        )
        for edit in Levenshtein.editops(left, right)
    )


def _percent(count: int, total: int) -> float:
    if total == 0:
        return float("inf") if count else 0.0
    return 100.0 * count / total


def _bootstrap(counts: "np.ndarray", n_samples: int, seed: int) -> "np.ndarray":
    """Rates of bootstrap samples, the same utterances drawn for each system.

    Args:
        counts: int64 (n_systems, 2, n_utterances): errors and tokens.

    Returns:
        float64 (n_systems, <= n_samples), percent; samples without any reference token are left out.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    n_utterances = counts.shape[-1]
    step = max(1, _BLOCK // max(1, n_utterances))
    parts = []
    for begin in range(0, n_samples, step):
        drawn = generator.integers(0, n_utterances, (min(step, n_samples - begin), n_utterances))
        parts.append(counts[:, :, drawn].sum(axis=-1))
    sums = np.concatenate(parts, axis=-1)
    sums = sums[..., (sums[:, 1] > 0).all(axis=0)]
    return 100.0 * sums[:, 0] / sums[:, 1]


def _quantiles(values: "np.ndarray", confidence: float) -> tuple[float, float]:
    import numpy as np

    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence={confidence}; need 0 < confidence < 1")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
