"""Adaptation to a speaker in two passes: fMLLR, for models of speaker-adaptive training.

Pass 1 decodes with the model for features as they are. What it recognised gives each speaker a transform, which brings
his or her features near to the adapted model; pass 2 decodes the transformed features with that one.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from .features.affine import affine
from .gmm.fmllr import Fmllr

if TYPE_CHECKING:
    from .features.table import FeatureTable
    from .gmm.model import DiagGmms
    from .model import Model

logger = logging.getLogger(__name__)


def scores(
    model: "Model", features: "Mapping[str, np.ndarray] | FeatureTable", speakers: Mapping[str, str]
) -> Iterator[tuple[str, np.ndarray]]:
    """Each utterance's id and log-likelihoods, float32 (n_frames, n_pdfs), for the last pass of decoding.

    features: utterance id -> float32 (n_frames, dim), after the pipeline; of a speaker all that are there count.
    speakers: utterance id -> speaker.
    Of a model without adaptation they are simply those of its features.
    """
    aligner = model.aligner
    if aligner is None:
        for u in features:
            yield u, model.acoustic.log_likelihoods(features[u])
        return
    first = {u: model.decoder.decode(aligner.log_likelihoods(features[u])).labels for u in features}
    transforms = estimated(model, features, first, speakers)
    for u in features:
        transform = transforms.get(speakers[u])
        if transform is None or transform.kind == "identity":
            # Nothing was heard to adapt to: the adapted model does not fit, the one of pass 1 does.
            yield u, aligner.log_likelihoods(features[u])
        else:
            yield u, model.acoustic.log_likelihoods(affine(features[u], transform.matrix))


def estimated(
    model: "Model",
    features: "Mapping[str, np.ndarray] | FeatureTable",
    alignments: Mapping[str, np.ndarray],
    speakers: Mapping[str, str],
) -> dict[str, Fmllr]:
    """The transform of each speaker, from a first pass; none where nothing is aligned.

    alignments: utterance id -> int32 (n_frames,) transition ids; silence does not count.
    From 500 frames of speech on a transform is a full matrix, from 200 a scale and an offset of each feature, and an
    offset below; who was not heard to speak at all has the identity, and a warning tells.

    Same as Kaldi's decode_fmllr.sh, its first estimate: posteriors are those of the model for features as they are.
    """
    from .gmm.sat import estimate_transforms

    used = {u: ids for u, ids in alignments.items() if len(ids)}
    if not used or model.aligner is None:
        return {}
    return estimate_transforms(
        cast("DiagGmms", model.acoustic), model.transitions, features, used, {u: speakers[u] for u in used},
        silence=[model.lexicon.silence_id], posterior_gmms=cast("DiagGmms", model.aligner),
    )  # fmt: skip
