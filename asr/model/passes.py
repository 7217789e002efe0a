"""Adaptation to a speaker in several passes: fMLLR, for models of speaker-adaptive training.

The first pass decodes with the model for features as they are. What it recognised gives each speaker a transform, which
brings his or her features near to the adapted model. The second pass decodes the transformed features with that one,
which gives a better transform, and the last pass decodes what that one makes of the features; where there is a network
for such features, the last pass is the network's.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from ..features.affine import affine
from ..gmm.fmllr import Fmllr

if TYPE_CHECKING:
    from ..features.table import FeatureTable
    from ..gmm.model import DiagGmms
    from .acoustic import AcousticModel
    from .model import Model

logger = logging.getLogger(__name__)

ESTIMATES = 2
"""How often each speaker's transform is estimated, as in Kaldi's decode_fmllr.sh."""


def scores(
    model: "Model",
    features: "Mapping[str, np.ndarray] | FeatureTable",
    speakers: Mapping[str, str],
    *,
    estimates: int = ESTIMATES,
    told: Callable[[dict[str, str]], object] | None = None,
    passed: Callable[[str, int], object] | None = None,
) -> Iterator[tuple[str, np.ndarray]]:
    """Each utterance's id and log-likelihoods, float32 (n_frames, n_pdfs), for the last pass of decoding.

    features: utterance id -> float32 (n_frames, dim), after the pipeline; of a speaker all that are there count.
    speakers: utterance id -> speaker.
    estimates: of each speaker's transform, 1 or more; a pass of decoding goes before each.
    told: called with the kind of each speaker's last transform: "full", "diagonal", "offset" or "identity".
    passed: called with an utterance and the number of the pass, from 1, when it was decoded in one before the last.
    Of a model without adaptation they are simply those of its features.
    """
    if model.aligner is None:
        for u in features:
            yield u, model.acoustic.log_likelihoods(features[u])
        return
    transforms: dict[str, Fmllr] = {}
    adapter = model.acoustic if model.adapter is None else model.adapter
    for number in range(1, estimates + 1):
        heard: dict[str, np.ndarray] = {}
        for u in features:
            found = _adapted(model, u, features, speakers, transforms, adapter)
            heard[u] = model.decoder.decode(found).labels
            if passed is not None:
                passed(u, number)
        transforms = estimated(model, features, heard, speakers, earlier=transforms)
    if told is not None:
        told({speaker: transform.kind for speaker, transform in transforms.items()})
    for u in features:
        yield u, _adapted(model, u, features, speakers, transforms, model.acoustic)


def _adapted(
    model: "Model",
    utterance: str,
    features: "Mapping[str, np.ndarray] | FeatureTable",
    speakers: Mapping[str, str],
    transforms: Mapping[str, Fmllr],
    acoustic: "AcousticModel",
) -> np.ndarray:
    """An utterance's log-likelihoods of a model for transformed features; without a transform, those of the aligner."""
    transform = transforms.get(speakers[utterance])
    if transform is None or transform.kind == "identity":
        # Nothing was heard to adapt to: the adapted model does not fit, the one of the first pass does.
        assert model.aligner is not None
        return model.aligner.log_likelihoods(features[utterance])
    return acoustic.log_likelihoods(affine(features[utterance], transform.matrix))


def estimated(
    model: "Model",
    features: "Mapping[str, np.ndarray] | FeatureTable",
    alignments: Mapping[str, np.ndarray],
    speakers: Mapping[str, str],
    *,
    earlier: Mapping[str, Fmllr] | None = None,
) -> dict[str, Fmllr]:
    """The transform of each speaker, from what a pass recognised; none where nothing is aligned.

    alignments: utterance id -> int32 (n_frames,) transition ids; silence does not count.
    earlier: the transforms that the pass had, if any.
    From 500 frames of speech on a transform is a full matrix, from 200 a scale and an offset of each feature, and an
    offset below; who was not heard to speak at all has the identity, and a warning tells.

    Same as Kaldi's decode_fmllr.sh: posteriors are those of the model for features as they are in the first estimate,
    and of the adapted model, for features after the earlier transform, in those that follow.
    """
    from ..gmm.sat import estimate_transforms

    used = {u: ids for u, ids in alignments.items() if len(ids)}
    if not used or model.aligner is None:
        return {}
    adapter = model.acoustic if model.adapter is None else model.adapter
    return estimate_transforms(
        cast("DiagGmms", adapter), model.hmms[0], features, used, {u: speakers[u] for u in used},
        silence=[model.lexicon.silence_id], earlier=earlier or None,
        posterior_gmms=None if earlier else cast("DiagGmms", model.aligner),
    )  # fmt: skip
