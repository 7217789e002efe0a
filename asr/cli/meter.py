"""How far a command is, on the last line of a terminal: seconds of audio, speed, and time left."""

import shutil
import sys
import time
from collections import defaultdict
from types import TracebackType
from typing import TextIO

_ALL = 0.9  # of the audio counts as all: headers tell lengths that are about right
_OFTEN = 0.2  # s between two drawings: faster nobody reads
_LEAST_SECONDS, _LEAST_PART = 5.0, 0.01  # of the work, that the time left is guessed from


class Meter:
    """A line on stderr, where a person watches it; it makes room for what else is printed (`hide`).

    Args:
        what: what is being done.
        total: seconds of audio in all, None where that is not known.
        n: recordings in all.

    12:30 of 30:00 is the audio; 0.05 x real time how long a second of it took. Where all was read, and heard in earlier
    passes, before the first word was found, the time left is that of the last pass, and the speed is not told before
    the end: what was done so far took the time of all of it. An earlier pass is told by its number while it lasts.
    """

    def __init__(self, what: str, n: int, total: float | None = None, *, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self.is_shown = self._stream is not None and self._stream.isatty() and n > 0
        self._what, self._n, self._total = what, n, total
        self._read = self._done = self._skipped = 0.0
        self._n_done = 0
        self._pass = 0  # which one goes on, 0: none
        self._passed: defaultdict[int, float] = defaultdict(float)  # s of audio in each pass
        self._last_pass: tuple[float, float] | None = None  # s of work and of audio when its first words were there
        self._begin, self._drawn_at, self._is_drawn = time.monotonic(), -1.0, False
        self.is_mid_line = False  # whether stdout, on the same terminal, stands within a line

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.hide()

    def gone(self, seconds: float, number: int) -> None:
        """So much audio more was read (number 0), or heard in a pass before the last (1, 2 ...)."""
        if number == 0:
            self._read += seconds
        self._pass = number
        self._passed[number] += seconds
        self._draw()

    def done(self, seconds: float, *, is_last: bool, known: bool = False) -> None:
        """So much audio more was transcribed, which may end a recording.

        Args:
            known: an earlier run had done it.
        """
        self._done += seconds
        self._pass = 0
        self._skipped += seconds if known else 0.0
        is_first = self._done == seconds and not known
        if is_first and self._total and self._read >= _ALL * self._total and self._done < (1 - _ALL) * self._total:
            self._last_pass = time.monotonic() - self._begin, self._done
        self._n_done += is_last
        self._draw()

    def hide(self) -> None:
        """Clear the line, before something else is printed."""
        if self._is_drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._is_drawn = False

    def text(self, elapsed: float) -> str:
        """What the line says after so many seconds of work."""
        of_all = f" of {clock(self._total)}" if self._total else ""
        parts = [f"{self._what} {clock(self._done)}{of_all}"]
        if self._n > 1:
            parts.append(f"{self._n_done} of {self._n} recordings")
        fresh = self._done - self._skipped
        if self._last_pass is not None and self._total and self._done < self._total:
            parts.append("last pass")
            began, before = self._last_pass
            if self._done - before >= _LEAST_PART * self._total:
                parts.append(f"{clock((elapsed - began) * (self._total - self._done) / (self._done - before))} left")
        elif fresh > 0 and elapsed > 0:
            parts.append(f"{elapsed / fresh:.2g} x real time")
            share = (self._done / self._total) if self._total else self._n_done / self._n
            before = self._skipped / self._total if self._total else 0.0
            if elapsed >= _LEAST_SECONDS and before + _LEAST_PART <= share <= 1:
                parts.append(f"{clock(elapsed * (1 - share) / (share - before))} left")
        elif self._read > self._done and not self._pass:
            is_all = self._total is not None and self._read >= _ALL * self._total
            parts.append("all of it read, words come with the last pass" if is_all else f"{clock(self._read)} read")
        if self._pass:
            parts.append(f"pass {self._pass} at {clock(self._passed[self._pass])}")
        return ", ".join(parts)

    def _draw(self) -> None:
        now = time.monotonic()
        if not self.is_shown or now - self._drawn_at < _OFTEN:
            return
        if not self._is_drawn and self.is_mid_line:
            self._stream.write("\n")
        self._drawn_at, self._is_drawn = now, True
        room = shutil.get_terminal_size().columns - 1  # a longer line would break, and stay
        self._stream.write(f"\r\x1b[K{self.text(now - self._begin)[:room]}")
        self._stream.flush()


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours too.

    Examples:
        >>> clock(75), clock(3675.4)
        ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
