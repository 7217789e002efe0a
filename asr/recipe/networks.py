"""The stages of a recipe that trains networks: a hybrid above the best model of the ladder.

Its decoding is tuned and tested as that of the ladder's models, by asr.recipe.rungs.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..features.pipeline import FeaturePipeline
from ..hybrid import HybridOptions, train_hybrid
from ..ladder import Rung
from ..nn.networks import NetworkConfig, config_from_json
from ..nn.options import TrainingOptions
from .stages import hash_of
from .tasks import read_json, usable

logger = logging.getLogger("asr.recipe")

HYBRID, LFMMI = "dnn-hmm", "tdnn-lfmmi"
"""The names of the systems in results."""


@dataclass(frozen=True)
class NetworkPlan:
    """A table of a recipe's TOML file that says what network is trained, and how.

    network: see asr.nn.networks: "kind", and the settings of that kind. training: see asr.nn.options.
    n_networks, realignments, prior_scale: see asr.hybrid.HybridOptions.
    """

    network: dict = field(default_factory=lambda: {"kind": "dnn"})
    training: TrainingOptions = field(default_factory=TrainingOptions)
    n_networks: int = 1
    realignments: int = 0
    prior_scale: float = 1.0

    def __post_init__(self) -> None:
        self.config  # noqa: B018 - a wrong setting is told before anything is trained
        self.options  # noqa: B018

    @property
    def config(self) -> NetworkConfig:
        """The network's settings."""
        return config_from_json(self.network)

    @property
    def options(self) -> HybridOptions:
        """The training's settings."""
        return HybridOptions(
            self.training, n_networks=self.n_networks, realignments=self.realignments, prior_scale=self.prior_scale
        )


def make_hybrid(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    held_out: Sequence[str],
    rung: Path,
    plan: NetworkPlan,
    seed: int,
    n_jobs: int,
    progress: Callable[[int, int], None],
    inputs: Path | None = None,
    pipeline: FeaturePipeline | None = None,
) -> None:
    """A hybrid trained from the alignments of a rung of the ladder; model, alignments and curves in `folder`.

    ids: utterances that the rung was trained on. held_out: others, for the network's early stopping.
    inputs, pipeline: a folder of `extract_features` and what is done to them, for features of another kind than the
        rung's. n_jobs: threads.
    What an interrupted training has reached is kept beside the stages, in OUT/.training.
    """
    from ..nn import require_torch

    require_torch()
    import torch

    told = (hash_of(rung), str(plan), *ids, *held_out, str(seed), str(n_jobs), str(pipeline and pipeline.steps))
    key = hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
    reached = folder.parent.parent / ".training" / f"{folder.name}-{key}"
    torch.set_num_threads(n_jobs)
    wanted = [*ids, *held_out]
    made = train_hybrid(
        usable(data, wanted), Rung.load(rung), plan.config, plan.options, held_out=held_out, folder=reached,
        inputs=None if inputs is None else usable(inputs, wanted), pipeline=pipeline, seed=seed, progress=progress,
    )  # fmt: skip
    made.save(folder)
    for curves in sorted(reached.glob("*/curves.json")):
        shutil.copyfile(curves, folder / f"curves-{curves.parent.name}.json")
    shutil.rmtree(reached)


def read_training(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The curves that `make_hybrid` left, by network: see asr.nn.curves.Point."""
    return {file.stem.removeprefix("curves-"): read_json(file) for file in sorted(folder.glob("curves-*.json"))}
