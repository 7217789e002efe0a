"""Many problems of a corpus in a few lines."""

from collections.abc import Iterable, Iterator

from ..errors import kind_of_message
from .utterance import Problem

EACH = 3  # problems of a kind that are listed one by one; of more, the first and their number


def in_lines(problems: Iterable[Problem]) -> Iterator[str]:
    """A line for each problem, but of many of the same kind one line, with their number and the first as an example.

    Examples:
        >>> list(in_lines(Problem(f"{i}.mp3", f"truncated at {i} s") for i in range(6388)))
        ['0.mp3: truncated at 0 s (and 6387 more of this kind, the last: 6387.mp3)']
    """
    kinds: dict[str, list[Problem]] = {}
    for problem in problems:
        kinds.setdefault(kind_of_message(problem.message, problem.where), []).append(problem)
    for same in kinds.values():
        if len(same) <= EACH:
            yield from map(str, same)
        else:
            yield f"{same[0]} (and {len(same) - 1} more of this kind, the last: {same[-1].where})"
