"""What a training reached, epoch by epoch: curves.json, lines in the log, and TensorBoard for those who ask."""

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import AsrError, ModelError
from ..files import write_text
from ..files.json_files import read_json, taking_apart

_logger = logging.getLogger(__name__)

CURVES_FILE = "curves.json"
_LOG_SECONDS = 60.0


@dataclass(frozen=True)
class Point:
    """One epoch.

    Attributes:
        epoch: from 1.
        step: batches done since the start.
        learning_rate: of the last batch.
        train_loss: per frame, of CTC per unit; mean over the epoch as the weights changed, with dropout and masks; nats
            for cross-entropy.
        train_accuracy: part of its frames whose best score was the target; of CTC 1 less the unit error rate of best
            paths.
        held_out_loss: of the weights at the end of the epoch.
        held_out_accuracy: of the weights at the end of the epoch.
        gradient_norm: mean over the batches, before clipping.
        seconds: of training since the start, without what was done between the last checkpoint and an interruption.
    """

    epoch: int
    step: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    held_out_loss: float
    held_out_accuracy: float
    gradient_norm: float
    seconds: float


def write_curves(folder: Path, points: Sequence[Point]) -> None:
    """Write curves.json: a list of objects with the fields of `Point`."""
    write_text(folder / CURVES_FILE, json.dumps([asdict(p) for p in points], indent=1) + "\n")


def read_curves(path: Path) -> list[Point]:
    """What `write_curves` wrote.

    Raises:
        ModelError: for another file.
    """
    points = read_json(path, kind=list, error=ModelError)
    with taking_apart(path, what="the curves of a training", error=ModelError):
        if not all(isinstance(value, (int, float)) for point in points for value in point.values()):
            raise ModelError("a value is no number")
        return [Point(**p) for p in points]


def spoken_time(seconds: float) -> str:
    """A duration for people.

    Examples:
        >>> spoken_time(42), spoken_time(200), spoken_time(9000)
        ('42 s', '3 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class Log:
    """Lines in the log with the time left, and points for TensorBoard.

    Args:
        folder: TensorBoard's; None for none.

    Raises:
        AsrError: where it is not installed.
    """

    def __init__(self, folder: Path | None) -> None:
        self._writer: Any = None
        self._begin = self._last = time.monotonic()
        self._first_part: float | None = None
        if folder is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise AsrError(
                    "tensorboard = true, but TensorBoard is not installed; pip install tensorboard, or leave it out "
                    f"({CURVES_FILE} has the same curves)"
                ) from None
            self._writer = SummaryWriter(str(folder))

    def batch(self, epoch: int, batch: int, n_batches: int, loss: float, part: float) -> None:
        """Maybe a line in the middle of an epoch: one a minute.

        Args:
            part: of all the epochs that is done, 0 to 1.
        """
        now = time.monotonic()
        if self._first_part is None:
            self._first_part = part
        if now - self._last >= _LOG_SECONDS:
            self._last = now
            _logger.info("epoch %d, batch %d of %d: loss %.4f%s", epoch, batch, n_batches, loss, self._left(part))

    def epoch(self, point: Point, part: float, is_best: bool) -> None:
        """The line and the points of an epoch."""
        self._last = time.monotonic()
        _logger.info(
            "epoch %d: loss %.4f, held-out %.4f%s, held-out targets right %.1f %%, learning rate %.2g, gradient %.2g%s",
            point.epoch,
            point.train_loss,
            point.held_out_loss,
            " (best)" if is_best else "",
            100 * point.held_out_accuracy,
            point.learning_rate,
            point.gradient_norm,
            self._left(part),
        )
        if self._writer is not None:
            for name, value in asdict(point).items():
                if name not in ("epoch", "step"):
                    self._writer.add_scalar(name, value, point.step)
            self._writer.flush()

    def _left(self, part: float) -> str:
        done = part - (self._first_part or 0.0)
        if done <= 0 or part >= 1:
            return ""
        return f", at most {spoken_time((time.monotonic() - self._begin) * (1 - part) / done)} left"

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._writer is not None:
            self._writer.close()
