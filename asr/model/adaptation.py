"""Adaptation to a speaker in several passes: fMLLR, for models of speaker-adaptive training.

The first pass decodes with the model for features as they are. What it recognised gives each speaker a transform, which
brings his or her features near to the adapted model. The second pass decodes the transformed features with that one,
which gives a better transform, and the last pass decodes what that one makes of the features; where there is a network
for such features, the last pass is the network's.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..errors import ModelError
from .acoustic import AcousticModel
from .parts import COPY_AGAIN, load_arrays, reading, save_arrays
from .workers import Workers

if TYPE_CHECKING:
    from ..features.table import FeatureTable
    from ..gmm.fmllr import Fmllr
    from ..gmm.model import DiagGmms
    from .model import Model

SUFFIX = "-fmllr"
"""Behind the kind of a model that adapts, which older versions cannot."""

ESTIMATES = 2
"""How often each speaker's transform is estimated, as in Kaldi's decode_fmllr.sh."""

_FIRST_PASS, _GMMS = "aligner.npz", "adapter.npz"


@dataclass(frozen=True)
class NoAdaptation:
    """What most models have in its place: all speakers are taken as they are.

    Attributes:
        adapts: whether what is recognised of a speaker changes the features of his or her other recordings.
    """

    adapts: ClassVar[bool] = False

    def transforms(
        self,
        model: "Model",
        features: "Mapping[str, np.ndarray] | FeatureTable",
        speakers: Mapping[str, str],
        estimates: int,
        passed: Callable[[str, int], object] | None,
        workers: Workers,
    ) -> "dict[str, Fmllr]":
        """None, without a pass of decoding."""
        return {}

    def estimate(
        self,
        model: "Model",
        features: "Mapping[str, np.ndarray] | FeatureTable",
        alignments: Mapping[str, np.ndarray],
        speakers: Mapping[str, str],
        earlier: "Mapping[str, Fmllr] | None" = None,
    ) -> "dict[str, Fmllr]":
        """None."""
        return {}

    def suited(
        self, acoustic: AcousticModel, features: np.ndarray, transform: "Fmllr | None"
    ) -> tuple[AcousticModel, np.ndarray]:
        """Both as they are."""
        return acoustic, features

    def first(self, acoustic: AcousticModel) -> AcousticModel:
        """The acoustic model itself."""
        return acoustic

    def write(self, directory: Path, acoustic: AcousticModel) -> None:
        """Nothing."""


@dataclass(frozen=True, eq=False)
class SpeakerAdaptation:
    """GMMs that find each speaker's transform of features; see `adapt`.

    Attributes:
        first_pass: for features as they are.
        gmms: for transformed ones, with the same Gaussians: the model's acoustic model itself, unless that is a
            network.
    """

    adapts: ClassVar[bool] = True

    first_pass: "DiagGmms"
    gmms: "DiagGmms"

    def transforms(
        self,
        model: "Model",
        features: "Mapping[str, np.ndarray] | FeatureTable",
        speakers: Mapping[str, str],
        estimates: int,
        passed: Callable[[str, int], object] | None,
        workers: Workers,
    ) -> "dict[str, Fmllr]":
        """See `adapt`."""
        found: dict[str, Fmllr] = {}
        for number in range(1, estimates + 1):
            tasks = ((u, (_labels, (features[u], found.get(speakers[u])))) for u in features)
            labels: dict[str, np.ndarray] = {}
            for u, path in workers.each(tasks):
                assert path is not None
                labels[u] = path.get()
                if passed is not None:
                    passed(u, number)
            found = self.estimate(model, features, labels, speakers, found)
        return {u: found[speakers[u]] for u in features if speakers[u] in found}

    def estimate(
        self,
        model: "Model",
        features: "Mapping[str, np.ndarray] | FeatureTable",
        alignments: Mapping[str, np.ndarray],
        speakers: Mapping[str, str],
        earlier: "Mapping[str, Fmllr] | None" = None,
    ) -> "dict[str, Fmllr]":
        """The transform of each speaker of whom something is aligned; see `estimated`."""
        from ..gmm.sat import estimate_transforms

        used = {u: ids for u, ids in alignments.items() if len(ids)}
        if not used:
            return {}
        return estimate_transforms(
            self.gmms, model.hmms.transitions, features, used, {u: speakers[u] for u in used},
            silence=[model.lexicon.silence_id], earlier=earlier or None,
            posterior_gmms=None if earlier else self.first_pass,
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
        from ..features.affine import affine

        return acoustic, affine(features, transform.matrix)

    def first(self, acoustic: AcousticModel) -> AcousticModel:
        """The acoustic model for features as they are, before any transform.

        Args:
            acoustic: for transformed features.
        """
        return self.first_pass

    @staticmethod
    def files(*, own_gmms: bool) -> tuple[str, ...]:
        """What `write` writes.

        Args:
            own_gmms: whether `gmms` are not the acoustic model.
        """
        return (_FIRST_PASS, _GMMS) if own_gmms else (_FIRST_PASS,)

    def write(self, directory: Path, acoustic: AcousticModel) -> None:
        """Write the files.

        Args:
            acoustic: the model's, which may be `gmms`.
        """
        save_arrays(directory / _FIRST_PASS, self.first_pass.arrays())
        if self.gmms is not acoustic:
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


Adaptation = NoAdaptation | SpeakerAdaptation

UNADAPTED = NoAdaptation()


def adapt(
    model: "Model",
    features: "Mapping[str, np.ndarray] | FeatureTable",
    speakers: Mapping[str, str],
    *,
    estimates: int = ESTIMATES,
    passed: Callable[[str, int], object] | None = None,
    workers: Workers | None = None,
) -> dict[str, "Fmllr"]:
    """The transform of each utterance, that of its speaker; none of a model without adaptation.

    Utterances of a speaker of whom nothing at all was recognised have none.

    Args:
        features: utterance id -> float32 (n_frames, dim), after the pipeline; of a speaker all that are there count.
        speakers: utterance id -> speaker.
        estimates: of each speaker's transform, 1 or more; a pass of decoding goes before each.
        passed: called with an utterance and the number of the pass, from 1, when it was decoded in one.
        workers: the model's, who decode; None: all is done here.
    """
    workers = Workers(model) if workers is None else workers
    return model.adaptation.transforms(model, features, speakers, estimates, passed, workers)


def _labels(model: "Model", features: np.ndarray, transform: "Fmllr | None") -> np.ndarray:
    """A task: the best path's labels, int32 (n_frames,), in a pass that adapts."""
    adaptation = model.adaptation
    assert isinstance(adaptation, SpeakerAdaptation)
    acoustic, suited = adaptation.suited(adaptation.gmms, features, transform)
    return model.decoder.decode(acoustic.log_likelihoods(suited)).labels


def scores(
    model: "Model",
    features: "Mapping[str, np.ndarray] | FeatureTable",
    transforms: Mapping[str, "Fmllr"] | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Each utterance's id and log-likelihoods, float32 (n_frames, n_pdfs), for the last pass of decoding.

    Args:
        features: utterance id -> float32 (n_frames, dim), after the pipeline.
        transforms: of the utterances, from `adapt`.
    """
    for u in features:
        suited, matrix = model.adaptation.suited(model.acoustic, features[u], (transforms or {}).get(u))
        yield u, suited.log_likelihoods(matrix)


def estimated(
    model: "Model",
    features: "Mapping[str, np.ndarray] | FeatureTable",
    alignments: Mapping[str, np.ndarray],
    speakers: Mapping[str, str],
    *,
    earlier: "Mapping[str, Fmllr] | None" = None,
) -> dict[str, "Fmllr"]:
    """The transform of each speaker, from what a pass recognised; none where nothing is aligned.

    From 500 frames of speech on a transform is a full matrix, from 200 a scale and an offset of each feature, and an
    offset below; a speaker without any speech has the identity, and a warning says so.

    Args:
        alignments: utterance id -> int32 (n_frames,) transition ids; silence does not count.
        earlier: the transforms that the pass had, if any.

    Same as Kaldi's decode_fmllr.sh: posteriors are those of the model for features as they are in the first estimate,
    and of the adapted model, for features after the earlier transform, in those that follow.
    """
    return model.adaptation.estimate(model, features, alignments, speakers, earlier)


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
