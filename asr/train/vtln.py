"""Adaptation to a speaker in two passes: vocal tract length normalisation.

A short vocal tract moves all formants up. VTLN undoes it by a warp of the mel filters, one for each speaker: the one
under which the speaker's features are likeliest, given what was said (in training) or what a first pass recognised.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from ..errors import ModelError
from ..features.pipeline import FeaturePipeline
from ..features.table import FeatureTable
from ..gmm.mono import MonoOptions, MonoResult
from ..lang.lexicon import Lexicon
from ..model.model import Model
from .data import Data
from .decoding import DecodingResult, decode_all
from .mono import train_monophone

WARPS = tuple(round(0.80 + 0.02 * k, 2) for k in range(21))
"""The warps that are tried: 0.80 to 1.20."""

logger = logging.getLogger(__name__)


def warp_scores(
    model: Model, data_of_warp: Mapping[float, Data], alignments: Mapping[str, np.ndarray]
) -> dict[str, dict[float, float]]:
    """Speaker -> warp -> natural-log likelihood per frame of the speaker's features at that warp.

    Args:
        data_of_warp: warp -> the same utterances' raw features, extracted with that `vtln_warp` (see `mfcc`).
        alignments: utterance id -> int32 (n_frames,) transition ids, from a transcript or a first pass; the same for
            all warps. Utterances without one do not count.

    Raises:
        ModelError: where no utterance has an alignment.

    The warp's Jacobian is left out, as is usual: mean and variance normalisation take away most of what it is for.
    Ref: Lee and Rose, A frequency warping approach to speaker normalization, IEEE Trans. SAP, 1998.
    """
    totals: dict[str, dict[float, float]] = {}
    frames: dict[str, int] = {}
    for warp, data in data_of_warp.items():
        decoded = [i for i in data.raw if i in alignments]
        if not decoded:
            raise ModelError("no utterance has an alignment, so no warp can be chosen; check transcripts and beams")
        table = data.select(decoded).normalised(model.features)
        for i in decoded:
            pdfs = model.units.pdf_of_label[alignments[i]]
            likelihoods = model.acoustic.log_likelihoods(table[i])[np.arange(len(pdfs)), pdfs]
            of_speaker = totals.setdefault(data.speakers[i], {})
            of_speaker[warp] = of_speaker.get(warp, 0.0) + float(likelihoods.sum(dtype=np.float64))
        for i in decoded if not frames else []:
            frames[data.speakers[i]] = frames.get(data.speakers[i], 0) + len(alignments[i])
    return {s: {w: total / frames[s] for w, total in by_warp.items()} for s, by_warp in totals.items()}


def likeliest_warps(scores: Mapping[str, Mapping[float, float]]) -> dict[str, float]:
    """Speaker -> the warp with the highest likelihood; of equal ones that nearest to 1."""
    return {s: max(by_warp, key=lambda w: (by_warp[w], -abs(w - 1.0))) for s, by_warp in scores.items()}


def at_warps(data_of_warp: Mapping[float, Data], warps: Mapping[str, float]) -> Data:
    """Every utterance's features at its speaker's warp; at 1 for speakers that have none."""
    plain = data_of_warp[1.0]
    chosen = ((i, data_of_warp[warps.get(plain.speakers[i], 1.0)].raw[i]) for i in plain.raw)
    return replace(plain, raw=FeatureTable.from_pairs(chosen))


def train_vtln(
    data_of_warp: Mapping[float, Data],
    lexicon: Lexicon,
    pipeline: FeaturePipeline,
    options: MonoOptions | None = None,
    *,
    rounds: int = 2,
    seed: int = 0,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Model, MonoResult, dict[str, float]]:
    """A monophone model of normalised speakers, the log of its training, and the speakers' warps.

    In each round a model with one Gaussian a pdf (a larger one remembers each speaker as he is, and finds no warp
    better than none) is trained at the warps so far and chooses new ones.

    Args:
        data_of_warp: as in `warp_scores`; must have the warp 1.
        progress: called with the done and all parts of the work, one a training.
    """
    options = options or MonoOptions()
    n_pdfs = options.n_states * (len(lexicon.phone_sets) - 1) + options.n_silence_states
    warps: dict[str, float] = {}
    for number in range(rounds):
        small, result = train_monophone(
            at_warps(data_of_warp, warps),
            lexicon,
            pipeline,
            replace(options, total_gaussians=n_pdfs),
            seed=seed,
            n_jobs=n_jobs,
        )
        warps = likeliest_warps(warp_scores(small, data_of_warp, result.alignments))
        logger.info("VTLN, round %d: %s", number + 1, described(warps.values()))
        if progress:
            progress(number + 1, rounds + 1)
    model, result = train_monophone(at_warps(data_of_warp, warps), lexicon, pipeline, options, seed=seed, n_jobs=n_jobs)
    return model, result, warps


def adapted(model: Model, data_of_warp: Mapping[float, Data]) -> tuple[Data, dict[str, float]]:
    """Utterances at the warps under which a first pass's own words are likeliest, and the speakers' warps.

    Args:
        data_of_warp: as in `warp_scores`; of a speaker all utterances that are there count.
    """
    first = decode_all(model, data_of_warp[1.0])
    aligned = {i: t.alignment for i, t in first.transcripts.items() if len(t.alignment)}
    warps = likeliest_warps(warp_scores(model, data_of_warp, aligned))
    logger.info("VTLN, of the speakers that are recognised: %s", described(warps.values()))
    return at_warps(data_of_warp, warps), warps


def decode_vtln(model: Model, data_of_warp: Mapping[float, Data]) -> DecodingResult:
    """What is recognised in a second pass, at the warps that the first pass suggests; its time is that of both."""
    begin = time.process_time()
    data, _ = adapted(model, data_of_warp)
    extra = time.process_time() - begin
    result = decode_all(model, data)
    seconds = len(data.raw.frames) * model.frame_shift
    return replace(result, rtf=result.rtf + extra / max(seconds, 1e-9))


def described(warps: Iterable[float]) -> str:
    """How many speakers have which warp, in words."""
    values = sorted(warps)
    counts = {w: values.count(w) for w in dict.fromkeys(values)}
    return ", ".join(f"{n} at {w:g}" for w, n in counts.items())
