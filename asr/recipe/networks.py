"""The stages of a recipe that trains networks: a hybrid above the best model of the ladder.

Its decoding is tuned and tested as that of the ladder's models, by asr.recipe.rungs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..features.pipeline import FeaturePipeline
from ..hybrid import HybridOptions, train_hybrid
from ..ladder import Rung
from ..nn.networks import NetworkConfig, config_from_json
from ..nn.options import TrainingOptions
from ..training import Data
from .network_job import NetworkJob, run_job
from .tasks import read_json

HYBRID = "dnn-hmm"
"""The name of the system in results."""


@dataclass(frozen=True)
class NetworkPlan:
    """A table of a recipe's TOML file that says what network is trained, and how.

    network: see asr.nn.networks: "kind", and the settings of that kind. training: see asr.nn.options.
    n_networks, realignments: see asr.hybrid.HybridOptions.
    """

    network: dict = field(default_factory=lambda: {"kind": "dnn"})
    training: TrainingOptions = field(default_factory=TrainingOptions)
    n_networks: int = 1
    realignments: int = 0

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
        return HybridOptions(self.training, n_networks=self.n_networks, realignments=self.realignments)

    def train(self, data: Data, rung: Rung, **how: Any) -> Rung:
        """The hybrid above a rung. how: as of `train_hybrid`."""
        return train_hybrid(data, rung, self.config, self.options, **how)


def present_gpus(gpus: str) -> str:
    """A recipe's --gpus, as it is, before anything is done with it.

    Raises ConfigError unless it is "all" or numbers of GPUs that are there, AsrError without torch.
    """
    from ..nn import require_torch

    require_torch()
    import torch

    from ..nn.parallel import parse_gpus

    parse_gpus(gpus, torch.cuda.device_count())
    return gpus


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
    gpus: str | None = None,
) -> None:
    """A hybrid trained from the alignments of a rung of the ladder; model, alignments and curves in `folder`.

    ids: utterances that the rung was trained on. held_out: others, for the network's early stopping.
    inputs, pipeline: a folder of `extract_features` and what is done to them, for features of another kind than the
        rung's. n_jobs: threads. gpus: "all" or numbers such as 0,2, to train on those.
    What an interrupted training has reached is kept beside the stages, in OUT/.training.
    """
    job = NetworkJob(data, ids, held_out, rung, plan, seed, n_jobs, inputs, pipeline)
    run_job(folder, job, gpus, progress)


def read_training(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The curves that `make_hybrid` left, by network: see asr.nn.curves.Point."""
    return {file.stem.removeprefix("curves-"): read_json(file) for file in sorted(folder.glob("curves-*.json"))}
