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
_LEAST_SECONDS, _LEAST_PART = 5.0, 0.05  # of the work, before the time left is shown: first passes are unlike others


class Progress:
    """Called with (done, total) while a step is made: shown as a bar on a terminal, else logged every ten seconds."""

    place: Callable[[float], str] | None = None
    """Where that is, in words, such as an epoch, for a part of the work from 0 to 1; a step may set it."""

    def __init__(self, name: str, bar: "Bar") -> None:
        self._name, self._bar, self._logged = name, bar, time.monotonic()
        bar.add_task(name, total=None, left="")

    def __call__(self, done: int, total: int) -> None:
        """Report that so much of all is done. The time left is that of the pace since the first report."""
        name = self._name if self.place is None else f"{self._name}, {self.place(done / max(total, 1))}"
        task, left = self._bar.tasks[0], ""
        self._bar.update(task.id, completed=done, total=total, description=name)
        if (task.elapsed or 0.0) >= _LEAST_SECONDS and done >= _LEAST_PART * total and task.time_remaining is not None:
            left = f"about {seconds_in_words(task.time_remaining)} left"
        self._bar.update(task.id, left=left)
        if self._bar.disable and time.monotonic() - self._logged >= _SAY_EVERY and 0 < done < total:
            self._logged = time.monotonic()
            logger.info("%s", ", ".join(p for p in (f"{name}: {100 * done // total} %", left) if p))


@contextlib.contextmanager
def shown(name: str) -> Iterator[Progress]:
    """The progress of a step while it is made."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    percent, left = TaskProgressColumn(text_format_no_percentage=""), TextColumn("{task.fields[left]}")
    columns = (TextColumn("{task.description}"), BarColumn(), percent, TimeElapsedColumn(), left)
    console, is_log = Console(stderr=True), not sys.stderr.isatty()
    with Bar(*columns, console=console, transient=True, speed_estimate_period=1e9, disable=is_log) as bar:
        yield Progress(name, bar)


def seconds_in_words(seconds: float) -> str:
    """Such as 3.2 s, or 4 min 10 s."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"
