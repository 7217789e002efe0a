"""How far a step is: a bar with the time left on a terminal, lines of a log elsewhere."""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

logger = logging.getLogger("asr.recipe")

_SAY_EVERY = 10.0  # s between lines on progress
_LEAST_SECONDS, _LEAST_PART = 5.0, 0.05  # of the work, that an estimate is made from


class Progress:
    """Called with (done, total) while a step is made: shown as a bar on a terminal, else logged every ten seconds."""

    place: Callable[[float], str] | None = None
    """Where that is, in words, such as an epoch, for a part of the work from 0 to 1; a step may set it."""

    def __init__(self, name: str, bar: "Bar | None" = None) -> None:
        self._name, self._bar, self._seconds_left = name, bar, TimeLeft()
        if bar is not None:
            bar.add_task(name, total=None, left="")
        self._logged = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Report that so much of all is done."""
        now, name = time.monotonic(), self._name
        seconds = self._seconds_left(done, total, now)
        left = "" if seconds is None else f"about {seconds_in_words(seconds)} left"
        if self.place is not None:
            name += f", {self.place(done / max(total, 1))}"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total, description=name, left=left)
        elif now - self._logged >= _SAY_EVERY and 0 < done < total:
            self._logged = now
            logger.info("%s", ", ".join(p for p in (f"{name}: {100 * done // total} %", left) if p))


class TimeLeft:
    """An estimate from the pace since the first report.

    What comes before that, such as loading and compiling, or what an earlier run has reached, does not count. Nothing
    is estimated before some seconds are over, and a twentieth of the rest is done: the first epochs, passes and files
    are seldom like the others. After a minute a hundredth is enough, as a person wants to know then.

    Examples:
        >>> left = TimeLeft()
        >>> left(600, 1000, 50.0), left(605, 1000, 53.0), left(610, 1000, 60.0), left(700, 1000, 70.0)
        (None, None, None, 60.0)
    """

    _first: tuple[int, float] | None = None

    def __call__(self, done: int, total: int, now: float) -> float | None:
        """Seconds left at a time in seconds, or None."""
        self._first = self._first or (done, now)
        seconds, part = now - self._first[1], (done - self._first[0]) / max(total - self._first[0], 1)
        if seconds < _LEAST_SECONDS or part < (_LEAST_PART if seconds < 60 else _LEAST_PART / 5):
            return None
        return seconds * (total - done) / (done - self._first[0])


@contextlib.contextmanager
def shown(name: str) -> Iterator[Progress]:
    """The progress of a step while it is made."""
    if not sys.stderr.isatty():
        yield Progress(name)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    percent = TaskProgressColumn(text_format_no_percentage="")
    columns = (TextColumn("{task.description}"), BarColumn(), percent, TimeElapsedColumn())
    with Bar(*columns, TextColumn("{task.fields[left]}"), console=Console(stderr=True), transient=True) as bar:
        yield Progress(name, bar)


def seconds_in_words(seconds: float) -> str:
    """Such as 3.2 s, or 4 min 10 s."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"
