"""A network of CTC and an attention decoder above the same rows, and the loss that trains both at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ...errors import ConfigError, ModelError
from ..layers import Network
from ..losses import LossSum
from ..options import DecoderConfig
from .attention import AttentionDecoder, cross_entropy, teacher_forcing
from .loss import CtcLoss


class JointNetwork(nn.Module):
    """An encoder, which is a network of CTC as it is, and a decoder of its rows.

    What comes out of it are the encoder's rows, from which `JointLoss` finds the rest: the decoder needs the units,
    which training tells to the loss alone. For whoever trains it, it is a network of the encoder's size.

    Args:
        encoder: a network that has `encode`.
        config: of the decoder.
        seed: of the decoder's initial weights.

    Raises:
        ModelError: for a network of another kind.
    """

    def __init__(self, encoder: Network, config: DecoderConfig, *, seed: int = 0) -> None:
        super().__init__()
        if not isinstance(getattr(encoder, "output", None), nn.Linear) or type(encoder).encode is Network.encode:
            raise ModelError(
                f"{type(encoder).__name__} has no rows that a decoder could look at; it must define encode, and end in "
                "an affine layer, output"
            )
        self.dim, self.n_outputs = encoder.dim, encoder.n_outputs
        self.subsampling, self.context = encoder.subsampling, encoder.context
        self.encoder = encoder
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.decoder = AttentionDecoder(config, encoder.output.in_features, encoder.n_outputs)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """The encoder's rows (batch, ceil(frames / subsampling), width)."""
        return self.encoder.encode(features, lengths)


class JointLoss:
    """ctc_weight * CTC + (1 - ctc_weight) * cross-entropy of the decoder, which is given each unit's predecessor.

    Args:
        network: whose rows come in. Its weights get their gradients from here.
        ctc_weight: above 0 and below 1.
        start: digits that tell which model the network begins as; empty where it begins anew.
        smoothing: part of a unit's probability that is spread evenly over all of them (Szegedy et al., 2016); in
            training only, so that held-out losses tell what was learnt.

    Raises:
        ConfigError: for numbers out of range.

    Ref: Watanabe, Hori, Kim, Hershey and Hayashi, 2017, Hybrid CTC/attention architecture for end-to-end speech
    recognition, section III.
    """

    def __init__(self, network: JointNetwork, ctc_weight: float = 0.3, smoothing: float = 0.1, start: str = "") -> None:
        if not 0 < ctc_weight < 1:
            raise ConfigError(f"ctc_weight={ctc_weight}; need more than 0 and less than 1")
        if not 0 <= smoothing < 1:
            raise ConfigError(f"smoothing={smoothing}; need 0 to less than 1")
        self.network, self.ctc_weight, self.smoothing, self.start = network, ctc_weight, smoothing, start
        self.ctc = CtcLoss(network.n_outputs)

    @property
    def identity(self) -> dict[str, object]:
        """What a training that goes on must have in common with the one before."""
        started = {"start": self.start} if self.start else {}
        return {"kind": "joint", "ctc_weight": self.ctc_weight, "smoothing": self.smoothing, **started}

    def __call__(self, rows: Tensor, out_lengths: Tensor, targets: Sequence[Sequence[int]]) -> LossSum:
        """The loss of a batch.

        Args:
            rows: float (batch, out_frames, width), of the encoder.
            out_lengths: as of `CtcLoss`.
            targets: as of `CtcLoss`.

        Returns:
            the sum over utterances; units and edits are counted as by `CtcLoss`, from the CTC outputs.

        Raises:
            ModelError: as `CtcLoss` does.
        """
        network = self.network
        ctc = self.ctc(network.encoder.output(rows), out_lengths, targets)
        inputs, wanted = teacher_forcing(targets, rows.device)
        scores = network.decoder(network.decoder.remember(rows, out_lengths), inputs)
        attention = cross_entropy(scores, wanted, self.smoothing if network.training else 0.0)
        total = self.ctc_weight * ctc.total + (1 - self.ctc_weight) * attention
        return LossSum(total, ctc.n_frames, ctc.errors)
