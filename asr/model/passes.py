"""Adaptation to a speaker in several passes: fMLLR, for models of speaker-adaptive training.

The first pass decodes with the model for features as they are. What it recognised gives each speaker a transform, which
brings his or her features near to the adapted model. The second pass decodes the transformed features with that one,
which gives a better transform, and the last pass decodes what that one makes of the features; where there is a network
for such features, the last pass is the network's.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from .acoustic import AcousticModel

if TYPE_CHECKING:
    from ..features.table import FeatureTable
    from ..gmm.fmllr import Fmllr
    from .model import Model

ESTIMATES = 2
"""How often each speaker's transform is estimated, as in Kaldi's decode_fmllr.sh."""


def adapt(
    model: "Model",
    features: "Mapping[str, np.ndarray] | FeatureTable",
    speakers: Mapping[str, str],
    *,
    estimates: int = ESTIMATES,
    passed: Callable[[str, int], object] | None = None,
) -> dict[str, "Fmllr"]:
    """The transform of each utterance, that of its speaker; none of a model without adaptation.

    Utterances of a speaker of whom nothing at all was recognised have none.

    Args:
        features: utterance id -> float32 (n_frames, dim), after the pipeline; of a speaker all that are there count.
        speakers: utterance id -> speaker.
        estimates: of each speaker's transform, 1 or more; a pass of decoding goes before each.
        passed: called with an utterance and the number of the pass, from 1, when it was decoded in one.
    """
    found: dict[str, Fmllr] = {}
    if model.adaptation is None:
        return found
    for number in range(1, estimates + 1):
        transforms = {u: found[speakers[u]] for u in features if speakers[u] in found}
        labels: dict[str, np.ndarray] = {}
        for u, loglikes in _scores(model, model.adaptation.gmms, features, transforms):
            labels[u] = model.decoder.decode(loglikes).labels
            if passed is not None:
                passed(u, number)
        found = estimated(model, features, labels, speakers, earlier=found)
    return {u: found[speakers[u]] for u in features if speakers[u] in found}


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
    return _scores(model, model.acoustic, features, transforms or {})


def _scores(
    model: "Model",
    acoustic: AcousticModel,
    features: "Mapping[str, np.ndarray] | FeatureTable",
    transforms: Mapping[str, "Fmllr"],
) -> Iterator[tuple[str, np.ndarray]]:
    """The same with another acoustic model for transformed features."""
    for u in features:
        suited, matrix = acoustic, features[u]
        if model.adaptation is not None:
            suited, matrix = model.adaptation.suited(acoustic, matrix, transforms.get(u))
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
    offset below; who was not heard to speak at all has the identity, and a warning tells.

    Args:
        alignments: utterance id -> int32 (n_frames,) transition ids; silence does not count.
        earlier: the transforms that the pass had, if any.

    Same as Kaldi's decode_fmllr.sh: posteriors are those of the model for features as they are in the first estimate,
    and of the adapted model, for features after the earlier transform, in those that follow.
    """
    if model.adaptation is None:
        return {}
    return model.adaptation.estimate(
        model.hmms.transitions, model.lexicon.silence_id, features, alignments, speakers, earlier=earlier
    )
