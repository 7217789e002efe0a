"""What a model of speaker-adaptive training has besides its acoustic model, to bring features near to it: fMLLR."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from ..features.affine import affine
from .acoustic import AcousticModel
from .parts import COPY_AGAIN, load_arrays, reading, save_arrays

if TYPE_CHECKING:
    from ..features.table import FeatureTable
    from ..gmm.fmllr import Fmllr
    from ..gmm.model import DiagGmms
    from ..hmm.transitions import TransitionModel

SUFFIX = "-fmllr"
"""Behind the kind of a model that adapts, which older versions cannot."""

_FIRST_PASS, _GMMS = "aligner.npz", "adapter.npz"


@dataclass(frozen=True, eq=False)
class SpeakerAdaptation:
    """GMMs that find each speaker's transform of features; see asr.model.passes.

    Attributes:
        first_pass: for features as they are.
        gmms: for transformed ones, with the same Gaussians: the model's acoustic model itself, unless that is a
            network.
    """

    first_pass: "DiagGmms"
    gmms: "DiagGmms"

    def estimate(
        self,
        transitions: "TransitionModel",
        silence: int,
        features: "Mapping[str, np.ndarray] | FeatureTable",
        alignments: Mapping[str, np.ndarray],
        speakers: Mapping[str, str],
        *,
        earlier: "Mapping[str, Fmllr] | None" = None,
    ) -> "dict[str, Fmllr]":
        """The transform of each speaker of whom something is aligned; see `asr.model.passes.estimated`."""
        from ..gmm.sat import estimate_transforms

        used = {u: ids for u, ids in alignments.items() if len(ids)}
        if not used:
            return {}
        return estimate_transforms(
            self.gmms, transitions, features, used, {u: speakers[u] for u in used}, silence=[silence],
            earlier=earlier or None, posterior_gmms=None if earlier else self.first_pass,
        )  # fmt: skip

    def suited(
        self, acoustic: AcousticModel, features: np.ndarray, transform: "Fmllr | None"
    ) -> tuple[AcousticModel, np.ndarray]:
        """The acoustic model to use for an utterance, and its features as that takes them.

        Where nothing was recognised to adapt to, the adapted model does not fit: the one of the first pass does.

        Args:
            acoustic: for transformed features.
            features: float32 (n_frames, dim), as they are.
        """
        if transform is None or transform.kind == "identity":
            return self.first_pass, features
        return acoustic, affine(features, transform.matrix)

    @staticmethod
    def files(*, own_gmms: bool) -> tuple[str, ...]:
        """What `write` writes.

        Args:
            own_gmms: whether `gmms` are not the acoustic model.
        """
        return (_FIRST_PASS, _GMMS) if own_gmms else (_FIRST_PASS,)

    def write(self, directory: Path, *, own_gmms: bool) -> None:
        """Write the files."""
        save_arrays(directory / _FIRST_PASS, self.first_pass.arrays())
        if own_gmms:
            save_arrays(directory / _GMMS, self.gmms.arrays())

    @classmethod
    def read(cls, directory: Path, dim: int, n_pdfs: int, gmms: "DiagGmms | None") -> "SpeakerAdaptation":
        """What `write` wrote.

        Args:
            gmms: the acoustic model, if these are not the adaptation's own.

        Raises:
            ModelError: where files do not belong together.
        """
        if gmms is None:
            gmms = read_gmms(directory / _GMMS, dim, n_pdfs)
        first = read_gmms(directory / _FIRST_PASS, dim, n_pdfs)
        if not np.array_equal(first.offsets, gmms.offsets):
            raise ModelError(
                f"{directory / _FIRST_PASS}: its Gaussians do not belong to those for adapted features; {COPY_AGAIN}"
            )
        return cls(first, gmms)


def read_gmms(path: Path, dim: int, n_pdfs: int) -> "DiagGmms":
    """The Gaussians of a file, of a dimension and for some pdfs.

    Raises:
        ModelError: where the file is damaged, or has others.
    """
    from ..gmm.model import DiagGmms

    with reading(path), np.errstate(all="ignore"):
        gmms = DiagGmms.from_arrays(load_arrays(path))
        if (gmms.n_pdfs, gmms.dim) != (n_pdfs, dim):
            raise ModelError(
                f"has {gmms.n_pdfs} pdfs of {gmms.dim} dimensions; tree.json has {n_pdfs}, the features {dim}"
            )
        if not np.isfinite(gmms.coefficients).all():
            raise ModelError("its means and variances overflow")
    return gmms
