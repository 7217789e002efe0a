"""Questions of a decision tree: sets of phones. Made by clustering phones that sound alike, or read from a file."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import LexiconError, did_you_mean
from ..files import numbered_lines
from ..lang.entries import POSITIONS
from .tree_statistics import TreeStatistics, grouped_sums, log_likelihood

if TYPE_CHECKING:
    from ..lang.lexicon import Lexicon
    from ..lang.symbols import SymbolTable

Question = tuple[int, ...]
"""Phone ids, ascending."""


def clustered_questions(
    statistics: TreeStatistics,
    phone_sets: Sequence[Sequence[int]],
    rng: np.random.Generator,
    *,
    pdf_classes: Iterable[int] = (1,),
    n_tries: int = 10,
) -> list[Question]:
    """Sets of phones that sound alike: every node of a binary tree over the phones, made from the top by two-means.

    Args:
        phone_sets: phones that stay together, such as one phone's positions in a word. Sets without a frame are left
            out.
        rng: draws the starting points of two-means.
        n_tries: starts, of which the best counts.
        pdf_classes: the HMM states whose frames are compared, the middle one of three by default; all states where no
            phone has these.

    Returns:
        each set once, the largest first.

    Same as Kaldi's cluster-phones; differs in the random starts, and in moving one phone set at a time.
    """
    chosen = np.isin(statistics.pdf_class, list(pdf_classes))
    rows = np.flatnonzero(chosen if chosen.any() else np.ones_like(chosen))
    group_of = np.full(1 + max(statistics.phones.max(), max(max(s) for s in phone_sets)), -1)
    for index, phones in enumerate(phone_sets):
        group_of[list(phones)] = index
    rows = rows[group_of[statistics.phones[rows]] >= 0]
    sums = grouped_sums(statistics.sums, group_of[statistics.phones[rows]], len(phone_sets), rows)
    questions: set[Question] = set()
    waiting = [np.flatnonzero(sums[:, 0] > 0)]
    while waiting:
        members = waiting.pop()
        if len(members) == 0:
            continue
        questions.add(tuple(sorted(phone for index in members.tolist() for phone in phone_sets[index])))
        if len(members) > 1:
            first = two_means(sums[members], rng, n_tries=n_tries)
            waiting += [members[first], members[~first]]
    return sorted(questions, key=lambda phones: (-len(phones), phones))


def two_means(sums: np.ndarray, rng: np.random.Generator, *, n_tries: int = 10) -> np.ndarray:
    """Which points make the first of the two clusters whose Gaussians give the highest likelihood.

    Args:
        sums: float64 (n, 1 + 2 dim), n of 2 or more: each point's frames, sum and sum of squares.

    Returns:
        bool (n,), neither all True nor all False.
    """
    if len(sums) == 2:
        return np.array([True, False])
    best, best_score = np.zeros(len(sums), bool), -np.inf
    for _ in range(n_tries):
        first = rng.permutation(len(sums)) < (len(sums) + 1) // 2
        score = _move_singly(sums, first)
        if score > best_score + 1e-9 * abs(best_score if np.isfinite(best_score) else 0.0):
            best, best_score = first, score
    return best


def _move_singly(sums: np.ndarray, first: np.ndarray) -> float:
    """Move the point that gains most to the other cluster until none gains; changes `first`, returns the likelihood."""
    total = sums.sum(axis=0)
    inside = sums[first].sum(axis=0)
    score = float(log_likelihood(inside) + log_likelihood(total - inside))
    while True:
        moved = inside + np.where(first[:, None], -sums, sums)
        scores = log_likelihood(moved) + log_likelihood(total - moved)
        n_first = first.sum()
        if n_first == 1:
            scores[first] = -np.inf
        if n_first == len(first) - 1:
            scores[~first] = -np.inf
        best = int(np.argmax(scores))
        if not scores[best] > score + 1e-10 * abs(score):
            return score
        first[best] = not first[best]
        inside, score = sums[first].sum(axis=0), float(scores[best])


def position_questions(lexicon: "Lexicon") -> list[Question]:
    """For each place in a word the phones that stand there; none where phones do not depend on their position.

    As Kaldi's prepare_lang.sh adds them to extra_questions.txt.
    """
    if not lexicon.position_dependent:
        return []
    by_place = zip(*(phones for phones in lexicon.phone_sets if lexicon.silence_id not in phones), strict=True)
    return [tuple(sorted(place)) for place in by_place]


def read_questions(path: Path, phones: "SymbolTable") -> list[Question]:
    """The questions of a text file: a set of phones on each line, separated by blanks; `#` begins a comment.

    A name of a position-dependent lexicon without its position, such as AA for AA_B, means the phone in all positions.

    Raises:
        LexiconError: with file:line for a phone that is not in the table.

    As Kaldi's extra_questions.txt.
    """
    names = [name for name in phones if phones[name] > 0]
    in_positions: dict[str, list[int]] = {}
    for name in names:
        base, _, position = name.rpartition("_")
        if base and position in POSITIONS:
            in_positions.setdefault(base, []).append(phones[name])
    questions: list[Question] = []
    for number, line in numbered_lines(path):
        if line is None:
            raise LexiconError(f"{path}:{number}: not valid UTF-8; save the file as UTF-8")
        ids: set[int] = set()
        for name in line.split("#", 1)[0].split():
            ids_of_name = [phones[name]] if name in phones and phones[name] > 0 else in_positions.get(name, [])
            if not ids_of_name:
                near = did_you_mean(name, names)
                raise LexiconError(f"{path}:{number}: phone {name!r} is not among the {len(names)} phones{near}")
            ids.update(ids_of_name)
        if ids:
            questions.append(tuple(sorted(ids)))
    return list(dict.fromkeys(questions))
