"""LDA+MLLT and speaker-adaptive training on planted speech: what was hidden is found, and promises are kept."""

from dataclasses import replace

import numpy as np
import pytest

from asr.errors import ModelError
from asr.features.affine import affine
from asr.features.deltas import splice
from asr.features.table import FeatureTable
from asr.gmm import triphone
from asr.gmm.em import accumulate
from asr.gmm.lda_mllt import LdaMlltOptions, train_lda_mllt
from asr.gmm.mono import MonoOptions, train_mono
from asr.gmm.sat import SatOptions, adapted, estimate_transforms, train_sat
from asr.gmm.triphone import TriphoneOptions, train_deltas
from asr.hmm.align import align
from asr.hmm.training_graph import training_graphs
from asr.hmm.tree_building import TreeOptions
from asr.lang.lexicon import Lexicon

LEXICON = Lexicon((("ab", ("A", "B")), ("bca", ("B", "C", "A")), ("cab", ("C", "A", "B")), ("acb", ("A", "C", "B"))))
MEANS = {"SIL": (0.0, 0.0, 0.0), "A": (6.0, 0.0, 2.0), "B": (0.0, 6.0, -2.0), "C": (-6.0, -6.0, 0.0)}
SCHEDULE = {
    "num_iters": 12, "realign_iters": (5, 9), "total_gaussians": 40, "max_iter_inc": 8,
    "tree": TreeOptions(max_leaves=20, min_gain=50.0),
}  # fmt: skip
LDA = LdaMlltOptions(dim=4, splice_left=1, splice_right=1, mllt_iters=(2, 4, 7), **SCHEDULE)


def distortion(speaker):
    """What a speaker does to the features; speaker 0 nothing."""
    rng = np.random.default_rng(100 + speaker)
    strength = 0.0 if speaker == 0 else 1.0
    return np.hstack([
        np.eye(3) + 0.12 * strength * rng.normal(size=(3, 3)), 1.5 * strength * rng.normal(size=(3, 1)),
    ])  # fmt: skip


def planted(n_utterances, seed, n_speakers=4):
    """Features, transcripts and speakers; within a phone features 0 and 1 move together: work for MLLT."""
    rng = np.random.default_rng(seed)
    mixing = np.array([[1.0, 0.8, 0.0], [0.0, 0.6, 0.0], [0.0, 0.0, 1.0]])
    words = [e.word for e in LEXICON.entries]
    phones_of = {e.word: e.phones for e in LEXICON.entries}
    features, transcripts, speakers = {}, {}, {}
    for i in range(n_utterances):
        said = [words[k] for k in rng.integers(0, len(words), rng.integers(1, 4))]
        frames = [
            np.array(MEANS[p]) + rng.standard_normal((int(rng.integers(5, 9)), 3)) @ mixing.T
            for p in ["SIL", *(p for word in said for p in phones_of[word]), "SIL"]
        ]
        speaker = i % n_speakers
        features[f"u{i:03}"] = affine(np.concatenate(frames).astype(np.float32), distortion(speaker))
        transcripts[f"u{i:03}"] = LEXICON.encode(" ".join(said))
        speakers[f"u{i:03}"] = f"s{speaker}"
    return FeatureTable.from_dict(features), transcripts, speakers


@pytest.fixture(scope="module")
def data():
    return planted(120, 0)


@pytest.fixture(scope="module")
def tri(data):
    mono = train_mono(data[0], data[1], LEXICON, MonoOptions(num_iters=12, total_gaussians=20, max_iter_inc=8))
    return train_deltas(data[0], data[1], LEXICON, mono, TriphoneOptions(**SCHEDULE))


@pytest.fixture(scope="module")
def lda(data, tri):
    return train_lda_mllt(data[0], data[1], LEXICON, tri, LDA)


@pytest.fixture(scope="module")
def sat(data, tri):
    return train_sat(*data[:2], LEXICON, tri, data[2], SatOptions(fmllr_iters=(2, 4, 7), **SCHEDULE))


def held_out(result, table, transcripts, gmms=None):
    """Nats a frame of other utterances, and their alignment."""
    graphs = training_graphs(transcripts, LEXICON, result.tree, result.transitions)
    found = align(graphs, table, result.transitions, (gmms or result.gmms).log_likelihoods)
    assert not found.failures
    return found.acoustic / found.n_frames, found.transition_ids


def spliced_and_transformed(table, transform):
    return FeatureTable.from_pairs((u, affine(splice(table[u], left=1, right=1), transform)) for u in table)


def test_lda_mllt_models_what_its_transform_gives(data, tri, lda):
    assert lda.transform.shape == (4, 9) and lda.gmms.dim == 4
    assert not any(r.fell for r in lda.log) and lda.log[-1].log_likelihood > lda.log[0].log_likelihood + 0.2
    table, transcripts, _ = data
    without = train_lda_mllt(table, transcripts, LEXICON, tri, replace(LDA, mllt_iters=()))
    x = spliced_and_transformed(table, lda.transform)
    frames = np.concatenate([x[u] for u in lda.alignments])
    pdfs = np.concatenate([lda.transitions.pdf_of_id[ids] for ids in lda.alignments.values()])
    mllt = lda.transform @ np.linalg.pinv(without.transform)  # both begin with the same LDA
    np.testing.assert_allclose(mllt @ without.transform, lda.transform, atol=1e-9)
    log_det = np.linalg.slogdet(mllt)[1]
    per_frame = accumulate(lda.gmms, frames, pdfs).log_likelihood / len(frames)
    assert per_frame + log_det >= lda.log[-1].log_likelihood - 1e-3  # the log counts the determinants
    assert per_frame + log_det < lda.log[-1].log_likelihood + 0.1
    others, said, _ = planted(24, 7)
    with_mllt, _ = held_out(lda, spliced_and_transformed(others, lda.transform), said)
    assert with_mllt + log_det > held_out(without, spliced_and_transformed(others, without.transform), said)[0]


def test_lda_needs_an_alignment_and_enough_features(data, tri):
    with pytest.raises(ModelError, match="LDA to 40 dimensions; need 1 to 9"):
        train_lda_mllt(*data[:2], LEXICON, tri, LdaMlltOptions(splice_left=1, splice_right=1))

    class Nothing:
        transitions, alignments = tri.transitions, {}

    with pytest.raises(ModelError, match="alignment of a model before"):
        train_lda_mllt(*data[:2], LEXICON, Nothing, LDA)


def test_speakers_differences_are_taken_out(sat, tri):
    assert set(sat.transforms) == {"s0", "s1", "s2", "s3"} and {t.kind for t in sat.transforms.values()} == {"full"}
    # Between two speakers, the transforms differ as the speakers do: T1 D1 = T0 D0 as linear maps.
    products = [sat.transforms[f"s{k}"].matrix[:, :3] @ distortion(k)[:, :3] for k in range(4)]
    for k in range(1, 4):
        np.testing.assert_allclose(products[k], products[0], atol=0.15)
    assert sat.log[-1].log_likelihood > tri.log[-1].log_likelihood + 0.3
    assert not any(r.fell for r in sat.log)


def test_two_processes_give_the_same_models(data, tri, monkeypatch):
    monkeypatch.setattr(triphone, "PART_FRAMES", 1500)
    few = {**SCHEDULE, "num_iters": 4, "realign_iters": (3,)}
    one, two = (
        (
            train_sat(*data[:2], LEXICON, tri, data[2], SatOptions(fmllr_iters=(2,), **few), n_jobs=n_jobs),
            train_lda_mllt(*data[:2], LEXICON, tri, replace(LDA, mllt_iters=(2,), **few), n_jobs=n_jobs),
        )
        for n_jobs in (1, 2)
    )
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.gmms.means, b.gmms.means)
    np.testing.assert_array_equal(one[0].alignment_gmms.means, two[0].alignment_gmms.means)
    np.testing.assert_array_equal(one[1].transform, two[1].transform)


def test_two_passes_on_new_speech(sat, tri):
    """Pass 1 with the alignment model, transforms from its posteriors, pass 2 with the adapted features."""
    table, transcripts, speakers = planted(24, 7)
    first, alignments = held_out(sat, table, transcripts, sat.alignment_gmms)
    transforms = estimate_transforms(
        sat.gmms, sat.transitions, table, alignments, speakers, silence=[LEXICON.silence_id],
        posterior_gmms=sat.alignment_gmms,
    )  # fmt: skip
    for earlier in (transforms, None):
        moved = adapted(table, speakers, transforms)
        log_det = np.mean([np.linalg.slogdet(transforms[speakers[u]].matrix[:, :3])[1] for u in table])
        second, alignments = held_out(sat, moved, transcripts)
        assert second + log_det > first + 0.3 and second + log_det > held_out(tri, table, transcripts)[0] + 0.3
        if earlier is not None:
            transforms = estimate_transforms(
                sat.gmms, sat.transitions, table, alignments, speakers, silence=[LEXICON.silence_id], earlier=earlier
            )
    assert sat.alignment_gmms.n_gauss == sat.gmms.n_gauss


def test_little_speech_and_none(sat, caplog):
    table, transcripts, speakers = planted(3, 8)
    _, alignments = held_out(sat, table, transcripts, sat.alignment_gmms)
    everybody = {**speakers, "x": "silent"}
    found = estimate_transforms(
        sat.gmms, sat.transitions, table, alignments, everybody, silence=[LEXICON.silence_id],
        posterior_gmms=sat.alignment_gmms,
    )  # fmt: skip
    assert {s: t.kind for s, t in found.items()} == {
        "s0": "offset", "s1": "offset", "s2": "offset", "silent": "identity",
    }  # fmt: skip
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [
        "no frame of speech from 1 speaker, so without a transform: silent"
    ]
    with pytest.raises(ModelError, match="no utterance is aligned"):
        estimate_transforms(sat.gmms, sat.transitions, table, {}, speakers, silence=[1])


def test_unusable_utterances_keep_their_reason(data, tri):
    table, transcripts, speakers = data
    broken = FeatureTable.from_pairs((u, table[u] * np.nan if u == "u002" else table[u]) for u in table)
    said = {**transcripts, "u999": [1]}
    few = {**SCHEDULE, "num_iters": 2}
    reasons = [
        train_lda_mllt(broken, said, LEXICON, tri, replace(LDA, **few)).failures,
        train_sat(broken, said, LEXICON, tri, {**speakers, "u999": "s0"}, SatOptions(**few)).failures,
    ]
    for failures in reasons:
        assert list(failures) == ["u002", "u999"]
        assert "not all finite" in failures["u002"] and "no features" in failures["u999"]


def test_an_utterance_without_speaker_is_named(data, tri):
    speakers = {u: s for u, s in data[2].items() if u != "u005"}
    with pytest.raises(ModelError, match="utterance 'u005' has no speaker; 1 of 120"):
        train_sat(*data[:2], LEXICON, tri, speakers, SatOptions(**SCHEDULE))
