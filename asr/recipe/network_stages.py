"""The stage that trains a system with a network, above a rung of the ladder.

Its decoding is tuned and tested as that of any other system, by asr.recipe.tasks.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..ladder import Rung
from ..training import with_graph
from .network_job import checkpoints
from .networks import HYBRID, name_epochs
from .stages import cpu_seconds, hash_of
from .tasks import read_json, usable, with_copies, write_json

if TYPE_CHECKING:
    from .systems import NetworkSystem

_HELD_OUT_EVERY = 10  # recordings: enough to see a loss rise, and nine tenths are left


def train_above(
    folder: Path,
    data: Path,
    inputs: Path | None,
    ids: Sequence[str],
    system: "NetworkSystem",
    seed: int,
    n_jobs: int,
    below: Path,
    progress: Callable[[int, int], None],
) -> None:
    """A network above a rung, with its graph in `folder`/model, its alignment, and the curves of its training.

    data: features of the rung's kind. inputs: those of the network's own kind; None where they are the rung's.
    ids: recordings that the rung was trained on, it knows their copies too. Every tenth one, with its copies, is not
        trained on: from these the network with the lowest loss is chosen. They are of the same speakers.
    below: the rung, whose processor time counts too. n_jobs: threads.
    What an interrupted training has reached is kept beside the stages, in OUT/.training.
    """
    from ..nn import require_torch

    require_torch()
    import torch

    name_epochs(progress, system.plan)
    begin = cpu_seconds()
    torch.set_num_threads(n_jobs)
    heard = with_copies(data, ids, system)
    apart = [prefix + i for prefix in system.prefixes for i in ids[::_HELD_OUT_EVERY]]
    told = (hash_of(below), str(system.plan), *heard.raw, str(seed), str(n_jobs), str(system.features.steps))
    key = hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
    how: dict[str, Any] = {"held_out": [i for i in apart if i in heard.raw], "seed": seed, "progress": progress}
    if inputs is not None or system.model != HYBRID:  # of its own kind
        how |= {"inputs": None if inputs is None else usable(inputs, list(heard.raw)), "pipeline": system.features}
    with checkpoints(folder, key) as reached:
        made = system.plan.train(heard, Rung.load(below), folder=reached, **how)
        replace(made, model=with_graph(made.model)).save(folder)
    seconds = cpu_seconds() - begin + read_json(below / "training.json")["train_cpu_seconds"]
    known = read_json(folder / "training.json")
    write_json(folder / "training.json", known | {"train_cpu_seconds": seconds, "warps": {}})
