"""VTLN: scores of warps against sums done by hand, and warps that were planted in real speech and must be found."""

from pathlib import Path

import numpy as np
import pytest

from asr import audio, load
from asr.corpus import Utterance
from asr.errors import ModelError
from asr.features.pipeline import FeaturePipeline
from asr.features.table import FeatureTable
from asr.gmm.mono import MonoOptions
from asr.lang.lexicon import Lexicon
from asr.model.graphs import with_graph
from asr.train.data import Data
from asr.train.decoding import decode_all
from asr.train.mono import train_monophone
from asr.train.vtln import adapted, at_warps, decode_vtln, likeliest_warps, train_vtln, warp_scores

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TRIED = (0.8, 0.84, 0.88, 0.92, 0.96, 1.0, 1.06)
PLANTED = 1.12


def test_the_likeliest_warp_is_taken_and_the_mildest_of_equal_ones():
    scores = {"ann": {0.9: -3.0, 1.0: -2.0, 1.1: -1.0}, "bob": {0.8: -1.0, 0.9: -1.0, 1.2: -1.0}}
    assert likeliest_warps(scores) == {"ann": 1.1, "bob": 0.9}


def test_each_speaker_gets_the_features_of_his_warp():
    def data(value: float) -> Data:
        table = FeatureTable.from_dict({u: np.full((2, 1), value) for u in ("a1", "b1", "a2")})
        return Data(table, {"a1": "a", "a2": "a", "b1": "b"}, {})

    chosen = at_warps({0.9: data(0.9), 1.0: data(1.0)}, {"a": 0.9})
    assert [float(chosen.raw[i][0, 0]) for i in chosen.raw] == pytest.approx([0.9, 1.0, 0.9])


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon.load(Path(__file__).parents[2] / "lang" / "digits" / "lexicon.tsv")


PIPELINE = FeaturePipeline(
    8000,
    (
        {"kind": "mfcc", "options": {"use_energy": False}},
        {"kind": "cmvn", "mode": "speaker", "norm_vars": True},
        {"kind": "delta", "order": 2, "window": 2},
    ),
)


@pytest.fixture(scope="module")
def data_of_warp(fsdd) -> dict[float, Data]:
    """Digits of four speakers; those of theo as from a vocal tract that is shorter by the planted warp."""
    files = [p for p in sorted(fsdd.glob("*.wav")) if 5 <= int(p.stem.split("_")[2]) < 13]
    utterances = [Utterance(p.stem, p.stem.split("_")[1], p, WORDS[int(p.stem[0])]) for p in files]
    utterances = [u for u in utterances if u.speaker in ("theo", "yweweler", "jackson", "lucas")]
    samples = {u.id: audio.read(u.audio, 8000).samples for u in utterances}
    speakers, texts = {u.id: u.speaker for u in utterances}, {u.id: u.text or "" for u in utterances}

    def at(warp: float) -> Data:
        warps = {u.id: warp * PLANTED if u.speaker == "theo" else warp for u in utterances}
        raw = ((i, PIPELINE.front_end(x, vtln_warp=warps[i])) for i, x in samples.items())
        return Data(FeatureTable.from_pairs(raw), speakers, texts)

    return {warp: at(warp) for warp in TRIED}


@pytest.mark.slow
def test_a_planted_warp_is_found_in_training_and_in_recognition(data_of_warp, lexicon):
    options = MonoOptions(total_gaussians=200, num_iters=20, max_iter_inc=15)
    _, _, warps = train_vtln(data_of_warp, lexicon, PIPELINE, options)
    others = np.mean([warps[s] for s in ("yweweler", "jackson", "lucas")])
    assert warps["theo"] / others == pytest.approx(1 / PLANTED, abs=0.05), warps

    seen = {w: d.where(lambda i: "theo" not in i) for w, d in data_of_warp.items()}
    unseen = {w: d.where(lambda i: "theo" in i) for w, d in data_of_warp.items()}
    model, result = train_monophone(seen[1.0], lexicon, PIPELINE, options)
    model = with_graph(model).with_decoding(acoustic_scale=0.0833, beam=20.0)
    _, found = adapted(model, unseen)
    assert found["theo"] == pytest.approx(1 / PLANTED, abs=0.05)
    references = unseen[1.0].references
    before, after = decode_all(model, unseen[1.0]), decode_vtln(model, unseen)
    assert after.score(references).errors < before.score(references).errors
    assert after.rtf > 0

    alignments = {i: a for i, a in result.alignments.items() if i.startswith("3_lucas")}
    scores = warp_scores(model, seen, alignments)
    assert list(scores) == ["lucas"]  # nobody else has an alignment
    chosen = seen[0.92].select(alignments)
    table, total, n_frames = chosen.normalised(PIPELINE), 0.0, 0
    for i, path in alignments.items():
        for frame, transition_id in zip(table[i], path, strict=True):
            pdf = int(model.units.pdf_of_label[transition_id])
            total += float(model.acoustic.log_likelihoods(frame[None], np.array([pdf]))[0, 0])
            n_frames += 1
    assert scores["lucas"][0.92] == pytest.approx(total / n_frames, rel=1e-5)


def test_without_any_alignment_the_error_says_so():
    table = FeatureTable.from_dict({"a": np.zeros((3, 2))})
    with pytest.raises(ModelError, match="no utterance has an alignment"):
        warp_scores(load("digits"), {1.0: Data(table, {"a": "ann"}, {"a": "one"})}, {})
