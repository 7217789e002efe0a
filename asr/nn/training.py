"""Training a network: epochs of batches, a held-out loss after each, until that does not fall any more."""

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..display.brief import brief_repr
from ..errors import ModelError
from .augmentation import draw_masks, mask
from .batches import Batch, Cut, Examples
from .checkpoints import load_checkpoint, read_state, save_checkpoint
from .curves import Log, Point, write_curves
from .losses import Loss, LossSum
from .optimization import Schedule, add_l1, make_optimizer
from .options import SpecAugmentOptions, TrainingOptions
from .parallel import Group, current_group

__all__ = ["SpecAugmentOptions", "TrainingOptions", "TrainingResult", "evaluate", "train_network"]

_logger = logging.getLogger(__name__)

_STEM = "last"  # of the checkpoint's files
_SKIPPED = 20  # batches in a row whose half-precision gradients overflow before that is taken for an explosion
_CONTEXT = 10  # frames either side of a chunk where neither options nor network say how many
# What may change between an interruption and going on; with anything else changed, a training is another one.
_MAY_CHANGE = frozenset(
    {"learning_rate", "l1", "l2", "gradient_clip", "max_epochs", "patience", "checkpoint_every_seconds", "explosion"}
    | {"max_gradient_norm", "tensorboard", "plateau_factor", "plateau_patience", "plateau_threshold", "warmup_steps"}
)


@dataclass(frozen=True)
class TrainingResult:
    """What a training reached.

    Attributes:
        curves: one point for each epoch.
        best_epoch: the one whose weights the network has now, from 1.
        best_loss: its held-out loss per frame.
    """

    curves: list[Point]
    best_epoch: int
    best_loss: float

    def __repr__(self) -> str:
        return brief_repr(self)


@dataclass
class _Position:
    """Where a training is: what a checkpoint keeps besides weights, optimiser, schedule and random states.

    Attributes:
        epoch: those that come next, from 0.
        batch: those that come next, from 0.
        sums: of this epoch: loss, frames, errors, gradient norms, batches.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0] * 5)
    points: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float | None = None
    first_loss: float | None = None
    skipped: int = 0
    seconds: float = 0.0


def train_network(
    network: nn.Module,
    loss: Loss,
    train: Examples,
    held_out: Examples,
    options: TrainingOptions | None = None,
    *,
    folder: Path,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> TrainingResult:
    """Train a network in place; it ends with the weights of the epoch with the lowest held-out loss.

    Where `folder` has the checkpoint of an interrupted run of the same training, that goes on: on a CPU with the same
    number of threads to the same bits as without the interruption. Under torchrun (see asr.nn.parallel) each batch is
    shared by the processes.

    Args:
        network: see asr.nn.networks; its normalisation has its statistics already.
        held_out: utterances that are not in `train`, in whole utterances without masks.
        folder: for last.json with last-NUMBER.safetensors, the checkpoint, and curves.json.
        progress: called with (done, total), utterances over all epochs, rounded; total comes early if it ends early.

    Raises:
        CorpusError: for features or targets that cannot be used.
        ModelError: where the loss or gradients become infinite or explode (the last checkpoint stays), or where the
            folder holds another training.
    """
    options = options or TrainingOptions()
    unit = getattr(network, "subsampling", 1)
    for examples, name in ((train, "training"), (held_out, "held-out")):
        if not examples.n_frames:
            raise ModelError(f"there are no {name} frames; give at least one utterance")
        examples.check(network.n_outputs, unit)  # type: ignore[arg-type]
    where = torch.device(device)
    if where.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f"device {device!r}: torch finds no GPU on this machine; use device 'cpu'")
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if where.type == "cuda" else []):
        run = _Run(network.to(where), loss, train, held_out, options, folder, where, progress)
        try:
            return run.train()
        finally:
            run.log.close()


def evaluate(
    network: nn.Module, loss: Loss, examples: Examples, *, batch_frames: int = 8192, device: str = "cpu"
) -> tuple[float, float]:
    """The loss per frame and the part of the frames whose best score is the target, without dropout or masks."""
    group, where, was_training = current_group(), torch.device(device), network.training
    cut = Cut(batch_frames, subsampling=getattr(network, "subsampling", 1))
    sums = torch.zeros(3, dtype=torch.float64, device=where)
    network.eval()
    with torch.no_grad():
        for rows in cut.plan(examples):
            mine, weight = group.share(rows)
            found = _forward(network, loss, cut.read(examples, mine).to(where), cut.subsampling)
            sums += weight * _numbers(found)
    network.train(was_training)
    total, n_frames, errors = group.sum(sums).tolist()
    return total / max(n_frames, 1.0), 1.0 - errors / max(n_frames, 1.0)


def _narrow_type(device: torch.device) -> torch.dtype | None:
    """The type that mixed precision multiplies in: float16 on a GPU, bfloat16 on a CPU that can; None elsewhere."""
    if device.type == "cuda":
        return torch.float16
    # Without these instructions bfloat16 is slower than float32.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return torch.bfloat16 if any(getattr(torch.cpu, name, bool)() for name in checks) else None


def _forward(network: nn.Module, loss: Loss, batch: Batch, subsampling: int) -> LossSum:
    out_lengths = torch.div(batch.lengths + subsampling - 1, subsampling, rounding_mode="floor")
    return loss(network(batch.features, batch.lengths), out_lengths, batch.targets)


def _numbers(loss_sum: LossSum) -> Tensor:
    """Loss, frames and errors, float64 (3,)."""
    counts = torch.tensor([loss_sum.n_frames, loss_sum.errors], dtype=torch.float64, device=loss_sum.total.device)
    return torch.cat([loss_sum.total.detach().double().reshape(1), counts])


class _Run:
    """One training: network, data and options that stay, and the position that moves."""

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        train: Examples,
        held_out: Examples,
        options: TrainingOptions,
        folder: Path,
        device: torch.device,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.network, self.loss, self.train_set, self.held_out = network, loss, train, held_out
        self.options, self.folder, self.device, self.progress = options, Path(folder), device, progress
        self.group: Group = current_group()
        context = options.chunk_context
        context = getattr(network, "context", _CONTEXT) if context is None else context
        self.cut = Cut(options.batch_frames, options.chunk_frames, context, getattr(network, "subsampling", 1))
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(network, options)
        self.schedule = Schedule(options)
        self.narrow = _narrow_type(device) if options.mixed_precision else None
        if options.mixed_precision and self.narrow is None:
            _logger.info("mixed_precision has no effect: this processor has no instructions for bfloat16")
        self.half = self.narrow == torch.float16  # whose small gradients would be lost if they were not scaled
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half)
        self.fill = train.features.frames.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.position, self.best = _Position(), self._weights()
        self.log = Log(self.folder / "tensorboard" if options.tensorboard and self.group.writes else None)
        self.saved = time.monotonic()
        self.lap = time.monotonic()

    @property
    def stem(self) -> Path:
        return self.folder / _STEM

    def train(self) -> TrainingResult:
        """Go through the epochs that are left."""
        torch.manual_seed(self.options.seed)
        self._resume()
        if self.group.rank:  # dropout differs between processes
            mixed = np.random.default_rng([self.options.seed, self.group.rank, self.position.step])
            torch.manual_seed(int(mixed.integers(2**63)))
        self.group.same_start(self.network)
        while not self._is_over():
            self._epoch()
        self.network.load_state_dict(self.best)
        self.network.eval()
        self._tell(1.0)
        points = [Point(**p) for p in self.position.points]
        return TrainingResult(points, self.position.best_epoch, self.position.best_loss or 0.0)

    def _is_over(self) -> bool:
        at = self.position
        waits = 0 < self.options.patience <= at.epoch - at.best_epoch
        return at.epoch >= self.options.max_epochs or waits

    def _epoch(self) -> None:
        at, options = self.position, self.options
        plan = self.cut.plan(self.train_set, np.random.default_rng([options.seed, at.epoch]))
        part, all_parts = sum(len(rows) for rows in plan[: at.batch]), sum(map(len, plan))
        self.network.train()
        for rows in plan[at.batch :]:
            rate = self.schedule.rate(at.step, (at.epoch + part / all_parts) / options.max_epochs)
            self._step(rows, rate, len(plan))
            part += len(rows)
            done = (at.epoch + part / all_parts) / options.max_epochs
            self._tell(done)
            if at.batch < len(plan):  # the end of an epoch is saved with its held-out loss
                self._save_sometimes()
                if self.group.writes:
                    self.log.batch(at.epoch + 1, at.batch, len(plan), at.sums[0] / max(at.sums[1], 1), done)
        self._end_epoch(rate)

    def _step(self, rows: np.ndarray, rate: float, n_batches: int) -> None:
        """One batch: gradients of the summed loss, over the frames of all processes; then a step of the optimiser."""
        at, options = self.position, self.options
        batch, weight = self._read(rows)
        self.optimizer.zero_grad(set_to_none=True)
        with self._precision():
            found = _forward(self.network, self.loss, batch, self.cut.subsampling)
        total, n_frames, errors = self.group.sum(weight * _numbers(found)).tolist()
        self._check(total / max(n_frames, 1.0), "loss per frame", self._loss_limit(), rows, n_batches)
        self.scaler.scale(found.total * (weight / max(n_frames, 1.0))).backward()
        self.group.sum_gradients(self.parameters)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.parameters, options.gradient_clip or float("inf")).item()
        at.skipped = at.skipped + 1 if self.half and not np.isfinite(norm) else 0
        if not 0 < at.skipped < _SKIPPED:
            self._check(norm, "gradient norm", options.max_gradient_norm, rows, n_batches)
        if options.l1:
            add_l1(self.parameters, options.l1)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if at.first_loss is None:
            at.first_loss = total / max(n_frames, 1.0)
        for i, value in enumerate((total, n_frames, errors, 0.0 if at.skipped else norm, 1.0)):
            at.sums[i] += value
        at.batch, at.step = at.batch + 1, at.step + 1

    def _read(self, rows: np.ndarray) -> tuple[Batch, float]:
        """This process' part of a batch, masked, and its weight."""
        numbers, weight = self.group.share(np.arange(len(rows)))
        batch = self.cut.read(self.train_set, rows[numbers])
        masks = self.options.spec_augment
        if masks.is_on:
            rng = np.random.default_rng([self.options.seed, self.position.epoch, self.position.batch])
            draws = draw_masks(masks, len(rows), rng)[numbers]
            mask(batch.features.numpy(), batch.lengths.numpy(), draws, masks, self.fill)
        return batch.to(self.device), weight

    def _precision(self) -> contextlib.AbstractContextManager:
        return torch.autocast(self.device.type, self.narrow) if self.narrow else contextlib.nullcontext()

    def _loss_limit(self) -> float:
        first = self.position.first_loss
        return float("inf") if first is None else self.options.explosion * max(abs(first), 1.0)

    def _check(self, value: float, what: str, limit: float, rows: np.ndarray, n_batches: int) -> None:
        """Raise ModelError for a value that is not finite or too large; the weights are those before the batch."""
        if np.isfinite(value) and value <= limit:
            return
        at = self.position
        ids = [self.train_set.features.ids[i] for i in rows[:, 0]]
        listed = ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
        kept = f"the state before is in {self.stem}.json" if read_state(self.stem) is not None else "nothing was saved"
        problem = f"above {limit:.3g}" if np.isfinite(value) else "not a finite number"
        raise ModelError(
            f"epoch {at.epoch + 1}, batch {at.batch + 1} of {n_batches} (utterances {listed}): the {what} is "
            f"{value:.4g}, {problem}; training stopped. Lower learning_rate (it is {self.options.learning_rate:g}), "
            f"or set warmup_steps or a smaller gradient_clip; {kept}, from where training goes on with such changes"
        )

    def _end_epoch(self, rate: float) -> None:
        at = self.position
        held_out_loss, held_out_accuracy = evaluate(
            self.network, self.loss, self.held_out, batch_frames=self.options.batch_frames, device=str(self.device)
        )
        if not np.isfinite(held_out_loss):
            raise ModelError(
                f"epoch {at.epoch + 1}: the held-out loss is {held_out_loss}, although that of every batch was finite; "
                "look at the held-out features, or lower learning_rate"
            )
        total, n_frames, errors, norms, n_batches = at.sums
        is_best = at.best_loss is None or held_out_loss < at.best_loss
        at.epoch, at.batch, at.sums = at.epoch + 1, 0, [0.0] * 5
        if is_best:
            at.best_epoch, at.best_loss, self.best = at.epoch, held_out_loss, self._weights()
        self.schedule.report(held_out_loss)
        self._count_seconds()
        point = Point(
            epoch=at.epoch,
            step=at.step,
            learning_rate=rate,
            train_loss=total / max(n_frames, 1.0),
            train_accuracy=1.0 - errors / max(n_frames, 1.0),
            held_out_loss=held_out_loss,
            held_out_accuracy=held_out_accuracy,
            gradient_norm=norms / max(n_batches, 1.0),
            seconds=at.seconds,
        )
        at.points.append(asdict(point))
        if self.group.writes:
            self._save()
            write_curves(self.folder, [Point(**p) for p in at.points])
            self.log.epoch(point, at.epoch / self.options.max_epochs, is_best)

    def _weights(self) -> dict[str, Tensor]:
        return {k: v.detach().cpu().clone() for k, v in self.network.state_dict().items()}

    def _tell(self, part: float) -> None:
        """Tell the progress.

        Args:
            part: of all epochs that is done, 0 to 1.
        """
        if self.progress:
            total = len(self.train_set.features.ids) * self.options.max_epochs
            self.progress(round(part * total), total)

    def _count_seconds(self) -> None:
        now = time.monotonic()
        self.position.seconds += now - self.lap
        self.lap = now

    @cached_property
    def _identity(self) -> dict[str, Any]:
        """What an interrupted training must have in common with this one to go on as this one."""
        named = getattr(self.loss, "identity", None)  # of a loss that can be set in several ways
        return {
            **({"loss options": named} if named else {}),
            "training": self.train_set.fingerprint(),
            "held-out": self.held_out.fingerprint(),
            "options": {k: v for k, v in asdict(self.options).items() if k not in _MAY_CHANGE},
            "row options": {"subsampling": self.cut.subsampling, "context": self.cut.context},
        }

    def _save_sometimes(self) -> None:
        if self.group.writes and time.monotonic() - self.saved >= self.options.checkpoint_every_seconds:
            self._count_seconds()
            self._save()

    def _save(self) -> None:
        state = {
            "position": asdict(self.position),
            "identity": self._identity,
            "threads": torch.get_num_threads(),
            "scaler": self.scaler.state_dict(),
        }
        best = {f"best.{k}": v for k, v in self.best.items()} if self.position.best_epoch else {}
        save_checkpoint(self.stem, self.network, self.optimizer, self.schedule, state, best)
        self.saved = time.monotonic()

    def _resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one."""
        state = read_state(self.stem)
        if state is None:
            return
        identity = self._identity
        stored = state["identity"]
        wrong = [name for name in {**stored, **identity} if stored.get(name) != identity.get(name)]
        if wrong:
            what = wrong[0] if wrong[0].endswith("options") else f"{wrong[0]} utterances"
            raise ModelError(
                f"{self.stem}.json: the checkpoint of a training with other {what}; remove it, or use another folder"
            )
        _, tensors = load_checkpoint(self.stem, self.network, self.optimizer, self.schedule)
        self.position = _Position(**state["position"])
        if tensors:
            self.best = {k.removeprefix("best."): v for k, v in tensors.items()}
        self.scaler.load_state_dict(state["scaler"]) if self.half else None
        if state["threads"] != torch.get_num_threads():
            _logger.warning(
                "the checkpoint is of %d threads, this process has %d: the weights will differ by rounding",
                state["threads"],
                torch.get_num_threads(),
            )
        at = self.position
        _logger.info("going on at epoch %d, batch %d (%s.json)", at.epoch + 1, at.batch + 1, self.stem)
