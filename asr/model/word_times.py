"""From a phone segmentation to words with times.

In a compiled graph a word's output label lies somewhere along its phones, not at its first one, so the words' times are
read from the phones: the recognised words are laid over the phone segments, each word over one of its pronunciations.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import GraphError
from ..lang.lexicon import Lexicon

if TYPE_CHECKING:
    from ..hmm.transitions import PhoneSegment, TransitionModel

_TIE = 1e-9  # nats; two parses of the same probability may differ by rounding


class WordSegment(NamedTuple):
    """A word from the start of its first phone to the end of its last; frames, the end not included.

    Attributes:
        pronunciation: which one, an index into Lexicon.pronunciations(word_id); None for a word that has only begun.
    """

    word_id: int
    start: int
    end: int
    pronunciation: int | None = None


class _Step(NamedTuple):
    """How a cell was reached: `segment` is where its last word began, or None if a silence was passed over.

    Attributes:
        pronunciation: of that word.
        score: the log probability of the pronunciations so far.
    """

    previous: tuple[int, int]
    segment: int | None
    pronunciation: int | None
    score: float


def word_segments(
    segments: Sequence["PhoneSegment"], word_ids: Sequence[int], lexicon: Lexicon, *, unfinished: bool = True
) -> list[WordSegment]:
    """One segment per recognised word.

    A linear dynamic programme over (phone segments, words): each word takes the phones of one of its pronunciations,
    silence between words may be passed over. Where several parses exist (one word may end where the next begins
    differently), the one with the most probable pronunciations is taken, as the search did that found the phones;
    among equals the later word takes the longer pronunciation. Phones with positions allow one parse alone.

    Args:
        segments: phones with their frames, in time order, as from `TransitionModel.phone_segments`.
        word_ids: the output labels of the same path, in order.
        unfinished: also accept the path of a partial result: the last word's phones have only begun (it ends with the
            last phone) or not yet (it is empty, at the end), or the last phones begin a word whose label is not out yet
            (they belong to no word). False demands that everything fits.

    Returns:
        the segments in the order of word_ids; silence belongs to no word unless it is a word's pronunciation.

    Raises:
        GraphError: where words and phones do not fit together, with the place where they part.
    """
    phones = [int(segment.phone) for segment in segments]
    words = [int(word) for word in word_ids]
    cells = _reachable(phones, words, lexicon)
    n, k = len(phones), len(words)
    if (n, k) in cells:
        return _trace(cells, (n, k), segments, words)
    if unfinished:
        begun = _begun(cells, phones, words, lexicon)
        if begun is not None:
            done = _trace(cells, (begun, k - 1), segments, words)
            return [*done, WordSegment(words[-1], segments[begun].start, segments[-1].end)]
        if k and (n, k - 1) in cells:
            end = segments[-1].end if n else 0
            return [*_trace(cells, (n, k - 1), segments, words), WordSegment(words[-1], end, end)]
        unnamed = _unnamed(cells, phones, k, lexicon)
        if unnamed is not None:
            return _trace(cells, (unnamed, k), segments, words)
    raise GraphError(_misfit(cells, segments, words, lexicon))


def count_pronunciations(
    alignments: Mapping[str, Sequence[int]],
    transcripts: Mapping[str, Sequence[int]],
    lexicon: Lexicon,
    transitions: "TransitionModel",
) -> Counter[tuple[str, tuple[str, ...]]]:
    """How often each pronunciation was said: (word, phones) of an entry -> count; what nobody said is left out.

    With `Lexicon.estimate_probabilities` the training data teach the probabilities of pronunciations.

    Args:
        alignments: utterance id -> transition ids, of forced alignment, e.g. `MonoResult.alignments`.
        transcripts: utterance id -> word ids; those without alignment are not counted.

    Raises:
        GraphError: with the utterance's id where words and alignment do not fit together.

    Same as Kaldi's steps/get_prons.sh on alignments (pron_counts_nowb.txt).
    """
    counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for utterance, alignment in alignments.items():
        phones = transitions.phone_segments(alignment)
        try:
            found = word_segments(phones, transcripts[utterance], lexicon, unfinished=False)
        except KeyError:
            raise GraphError(f"utterance {utterance!r} has an alignment, but no transcript") from None
        except GraphError as error:
            raise GraphError(f"utterance {utterance!r}: {error}") from None
        for segment in found:
            entry = lexicon.entries_of(segment.word_id)[segment.pronunciation or 0]
            counts[entry.word, entry.phones] += 1
    return counts


def _reachable(phones: list[int], words: list[int], lexicon: Lexicon) -> dict[tuple[int, int], _Step | None]:
    """The cells (phone segments taken, words taken) that a parse from (0, 0) reaches, each with its best step back."""
    variants = [list(zip(lexicon.pronunciations(w), lexicon.log_probs(w), strict=True)) for w in words]
    cells: dict[tuple[int, int], _Step | None] = {(0, 0): None}
    waiting: list[list[int]] = [[] for _ in range(len(phones) + 1)]
    waiting[0].append(0)
    for i, counts in enumerate(waiting):
        for k in counts:
            step = cells[i, k]
            score = step.score if step is not None else 0.0
            targets: list[tuple[int, int, _Step]] = []
            if k < len(variants):
                for n, (p, log_prob) in enumerate(variants[k]):
                    if tuple(phones[i : i + len(p)]) == p:
                        targets.append((i + len(p), k + 1, _Step((i, k), i, n, score + log_prob)))
            if i < len(phones) and phones[i] == lexicon.silence_id:
                targets.append((i + 1, k, _Step((i, k), None, None, score)))
            for j, m, new in targets:
                if (j, m) not in cells:
                    waiting[j].append(m)
                    cells[j, m] = new
                elif (old := cells[j, m]) is not None and new.score > old.score + _TIE:
                    cells[j, m] = new
    return cells


def _trace(
    cells: dict[tuple[int, int], _Step | None],
    cell: tuple[int, int],
    segments: Sequence["PhoneSegment"],
    words: list[int],
) -> list[WordSegment]:
    """The words on the way to a cell."""
    found = []
    while (step := cells[cell]) is not None:
        if step.segment is not None:
            start, end = segments[step.segment].start, segments[cell[0] - 1].end
            found.append(WordSegment(words[cell[1] - 1], start, end, step.pronunciation))
        cell = step.previous
    return found[::-1]


def _begun(
    cells: dict[tuple[int, int], _Step | None], phones: list[int], words: list[int], lexicon: Lexicon
) -> int | None:
    """Where the last word begins if the last phones are only a first part of it; the longest such part."""
    n, k = len(phones), len(words)
    variants = lexicon.pronunciations(words[-1]) if words else []
    lengths = {m for p in variants for m in range(1, len(p)) if m <= n and tuple(phones[n - m :]) == p[:m]}
    return next((n - m for m in sorted(lengths, reverse=True) if (n - m, k - 1) in cells), None)


def _unnamed(cells: dict[tuple[int, int], _Step | None], phones: list[int], k: int, lexicon: Lexicon) -> int | None:
    """Where a word without label begins if all k words are complete before it; the shortest such rest."""
    end = len(phones)
    while end and phones[end - 1] == lexicon.silence_id:
        end -= 1
    for begin in range(end - 1, -1, -1):
        if (begin, k) in cells and tuple(phones[begin:end]) in lexicon.beginnings:
            return begin
    return None


def _misfit(
    cells: dict[tuple[int, int], _Step | None], segments: Sequence["PhoneSegment"], words: list[int], lexicon: Lexicon
) -> str:
    """Where the furthest parse ended."""
    i, k = max(cells)
    at = "after the last phone"
    if i < len(segments):
        at = f"at phone {lexicon.phones.name(segments[i].phone)!r}, frame {segments[i].start}"
    awaited = (
        f"word {k + 1} of {len(words)} is {lexicon.words.name(words[k])!r}" if k < len(words) else "no word is left"
    )
    return (
        f"recognised words and phones do not fit together: {k} words fit, then {at}, {awaited}; "
        "was the graph built from another lexicon?"
    )
