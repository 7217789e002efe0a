"""A network, or several whose log-posteriors are averaged, as the acoustic model of a recogniser."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from ..display.brief import many
from ..errors import ModelError
from ..files import give_usual_mode
from ..nn.layers import Network
from ..nn.networks import build, config_from_json, to_json
from .acoustic import TORCH_FILE, AcousticModel, check_input, likelihoods


class Scores(nn.Module):
    """The scores of networks for whole utterances: (1, n_frames, dim) -> (1, out_frames, n_outputs).

    Args:
        normalised: log-posteriors, averaged over the networks; otherwise the mean of what comes out of them.
    """

    def __init__(self, networks: Sequence[nn.Module], normalised: bool) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.normalised = normalised

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Scores of one utterance, or of several that are equally long."""
        lengths = torch.full((features.shape[0],), features.shape[1], dtype=torch.int64, device=features.device)
        found = [network(features, lengths) for network in self.networks]
        if self.normalised:
            found = [torch.log_softmax(scores, dim=-1) for scores in found]
        return found[0] if len(found) == 1 else torch.stack(found).mean(dim=0)


class NetworkAcoustic:
    """Log-likelihoods of pdfs from one network or several (an ensemble) with the same outputs.

    Args:
        network: a module as asr.nn.networks has them, and what it was built from; or equally many of both.
        config: see `network`.
        log_priors: float32 (n_pdfs,): logarithms of the pdfs' shares of the training frames; None for a network whose
            scores are log-likelihoods already, as after LF-MMI.
        prior_scale: factor on them.

    Raises:
        ModelError: where the networks' inputs or outputs differ, or the priors are not theirs.
    """

    file = TORCH_FILE
    family, runs_on, is_framewise, n_gauss = "dnn", "torch", False, 0

    def __init__(
        self,
        network: Network | Sequence[Network],
        config: Any,
        log_priors: np.ndarray | None = None,
        prior_scale: float = 1.0,
    ) -> None:
        self.networks: tuple[Network, ...] = (network,) if isinstance(network, nn.Module) else tuple(network)
        self.configs: tuple[Any, ...] = tuple(config) if isinstance(config, (list, tuple)) else (config,)
        self.log_priors = None if log_priors is None else np.asarray(log_priors, np.float32)
        self.prior_scale = float(prior_scale)
        sizes = {(n.dim, n.n_outputs, n.subsampling) for n in self.networks}
        if len(sizes) != 1 or len(self.configs) != len(self.networks):
            raise ModelError(
                f"{len(self.configs)} configs; networks of (dim, outputs, subsampling) {sizes}; need equally many, of "
                "one size"
            )
        self.dim, self.n_pdfs, self.subsampling = sizes.pop()
        if self.log_priors is not None and self.log_priors.shape != (self.n_pdfs,):
            raise ModelError(f"log_priors of shape {self.log_priors.shape}; the network has {self.n_pdfs} outputs")
        self.scores = Scores(self.networks, normalised=self.log_priors is not None).eval()

    def __repr__(self) -> str:
        names = " + ".join(type(network).__name__ for network in self.networks)
        weights = sum(p.numel() for network in self.networks for p in network.parameters())
        return f"<{names}: {many(weights, 'parameter')}, {self.dim} values in, {many(self.n_pdfs, 'pdf')} out>"

    def log_likelihoods(self, features: np.ndarray, pdfs: np.ndarray | None = None) -> np.ndarray:
        """float32 (ceil(n_frames / subsampling), n_pdfs) natural-log scores of one utterance, whole.

        Args:
            features: float32 (n_frames, dim).
            pdfs: those that are wanted; all if not given.

        Raises:
            ModelError: where dim is not the model's.
        """
        features = check_input(features, self.dim)
        if not len(features):
            return likelihoods(np.zeros((0, self.n_pdfs), np.float32), self.log_priors, self.prior_scale, pdfs)
        self.scores.eval()
        device = next(self.scores.parameters()).device
        with torch.inference_mode():
            scores = self.scores(torch.from_numpy(features)[None].to(device))[0].float().cpu().numpy()
        return likelihoods(scores, self.log_priors, self.prior_scale, pdfs)

    def arrays(self) -> dict[str, np.ndarray]:
        """The networks' numbers by name, and the priors'."""
        found = {name: tensor.detach().cpu().numpy() for name, tensor in self._tensors().items()}
        return found if self.log_priors is None else {**found, "log_priors": self.log_priors}

    @property
    def n_parameters(self) -> int:
        """The networks' numbers, and the priors."""
        return sum(a.size for a in self.arrays().values() if a.dtype.kind == "f")

    def write(self, path: Path) -> None:
        """The networks' numbers as safetensors."""
        from safetensors.torch import save_file

        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in self._tensors().items()}, str(path))
        give_usual_mode(path)

    def description(self) -> list[dict[str, Any]]:
        """What the networks are, as model.json has it."""
        return [to_json(config) for config in self.configs]

    def _tensors(self) -> dict[str, torch.Tensor]:
        return {f"{i}.{name}": t for i, n in enumerate(self.networks) for name, t in n.state_dict().items()}


def of_torch(acoustic: AcousticModel) -> NetworkAcoustic:
    """An acoustic model that is a network of torch's, as such.

    Raises:
        ModelError: for another.
    """
    if acoustic.runs_on != "torch":
        what = "are Gaussians, not a network" if acoustic.runs_on == "numpy" else "is exported already"
        raise ModelError(f"the model's acoustics {what}; give a model with a network as training left it")
    return cast(NetworkAcoustic, acoustic)


def read_acoustic(
    path: Path,
    networks: Sequence[Mapping[str, Any]],
    dim: int,
    n_pdfs: int,
    log_priors: np.ndarray | None,
    prior_scale: float,
) -> NetworkAcoustic:
    """What `NetworkAcoustic.write` wrote.

    Args:
        networks: from `description`.
        dim: values a frame, and outputs.
        n_pdfs: values a frame, and outputs.

    Raises:
        ModelError: where the file has not the tensors of these networks, or one is not finite.
    """
    from safetensors.torch import load_file

    tensors = load_file(str(path))
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"{path}: {name!r} has values that are not finite")
    found, configs = [], []
    for number, value in enumerate(networks):
        configs.append(config_from_json(dict(value)))
        mine = {name.split(".", 1)[1]: t for name, t in tensors.items() if name.startswith(f"{number}.")}
        found.append(_with_numbers(path, configs[-1], dim, n_pdfs, mine))
    return NetworkAcoustic(found, configs, log_priors, prior_scale)


def _with_numbers(path: Path, config: Any, dim: int, n_pdfs: int, tensors: dict[str, torch.Tensor]) -> Network:
    """A network with the numbers of a file, which are looked at before there is memory for its own."""
    with torch.device("meta"):
        network = build(config, dim, n_pdfs)
    wanted = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    there = {name: tuple(t.shape) for name, t in tensors.items()}
    if wanted != there:
        unlike = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
        name = unlike[0]
        raise ModelError(
            f"{path}: {name!r} has the shape {there.get(name)}, the network of model.json {wanted.get(name)}"
        )
    network.load_state_dict(tensors, assign=True)
    return network.eval()
