"""The ladder as functions: sizes, stages, the shortest utterances, and stages that are saved and loaded."""

import itertools

import numpy as np
import pytest

from asr.errors import ConfigError, CorpusError
from asr.features.pipeline import FeaturePipeline
from asr.features.table import FeatureTable
from asr.gmm.mono import MonoOptions
from asr.lang.lexicon import Lexicon
from asr.train.data import Data
from asr.train.ladder import STAGES, aligned, check_stages, monophones, shortest, train_ladder
from asr.train.stage import Sizes, TrainedStage

LEXICON = Lexicon([("ab", ("A", "B")), ("bca", ("B", "C", "A")), ("cab", ("C", "A", "B")), ("ba", ("B", "A"))])
PIPELINE = FeaturePipeline(0, ({"kind": "given", "dim": 3}, {"kind": "cmvn", "mode": "speaker"}))
SMALL = Sizes(mono_gaussians=20, mono_hours=0.008, leaves=20, gaussians=40)


@pytest.fixture(scope="module")
def data():
    """80 utterances of two speakers; phones are bumps in a plane, and the second speaker's plane is turned."""
    rng = np.random.default_rng(0)
    means = {"A": (5.0, 0.0, 2.0), "B": (0.0, 5.0, -2.0), "C": (-5.0, -5.0, 0.0)}
    turned = np.array([[0.9, 0.3, 0.0], [-0.3, 0.9, 0.0], [0.0, 0.0, 1.0]])
    raw, speakers, transcripts = {}, {}, {}
    for i in range(80):
        said = [LEXICON.entries[k] for k in rng.integers(0, 4, rng.integers(1, 5))]
        frames = [np.zeros((8, 3)), *(np.tile(means[p], (rng.integers(4, 9), 1)) for e in said for p in e.phones)]
        path = np.concatenate([*frames, np.zeros((8, 3))])
        raw[f"u{i:02}"] = (path + rng.normal(size=path.shape)) @ (turned if i % 2 else np.eye(3))
        speakers[f"u{i:02}"], transcripts[f"u{i:02}"] = f"s{i % 2}", " ".join(e.word for e in said)
    return Data(FeatureTable.from_dict(raw), speakers, transcripts)


@pytest.fixture(scope="module")
def stages(data):
    told = []
    found = train_ladder(data, LEXICON, pipeline=PIPELINE, sizes=SMALL, progress=lambda *x: told.append(x))
    assert list(dict.fromkeys(stage for stage, _, _ in told)) == list(STAGES)
    assert all(told[k][1] <= told[k][2] for k in range(len(told)))
    return found


def test_every_stage_learns_and_aligns_all(stages, data):
    for name, stage in stages.items():
        assert set(stage.alignments) == set(data.raw) and not stage.failures, name
        table = data.normalised(stage.model.features)
        assert stage.model.acoustic.dim == table.dim
        assert all(len(ids) == len(table[u]) for u, ids in stage.alignments.items())
    mono, tri, lda, sat = stages.values()
    assert tri.log[-1].log_likelihood > mono.log[-1].log_likelihood
    assert lda.log[-1].log_likelihood > lda.log[0].log_likelihood + 1
    assert sat.log[-1].log_likelihood > sat.log[0].log_likelihood + 0.1
    assert mono.tree.context_width == 1 and tri.tree.context_width == 3
    assert mono.log[-1].n_frames < 0.9 * len(data.raw.frames)  # the shortest utterances; the others are aligned after
    assert sat.model.adaptation.adapts and not lda.model.adaptation.adapts
    assert lda.model.features.steps[-1].kind == "affine" and lda.model.features.dim == 27


def test_a_stage_is_saved_and_loaded(stages, tmp_path):
    for kind, stage in stages.items():
        stage.save(tmp_path / kind)
        again = TrainedStage.load(tmp_path / kind)
        assert again.log == stage.log and again.failures == stage.failures
        assert list(again.alignments) == list(stage.alignments)
        assert all(np.array_equal(again.alignments[u], ids) for u, ids in stage.alignments.items())
        for name, array in stage.gmms.arrays().items():
            assert np.array_equal(again.gmms.arrays()[name], array), name
        assert again.model.adaptation.adapts == (kind == "sat")


def test_utterances_of_others_are_aligned_as_those_of_training(stages, data):
    """A model's training utterances, aligned anew, lie where its last realignment has them, but for a few frames."""
    stage = stages["tri"]
    table = data.normalised(stage.model.features)
    words = LEXICON.encode_all(data.references)
    found, failures = aligned(stage, table, words, MonoOptions())
    assert not failures and found.keys() == stage.alignments.keys()
    same = np.mean([np.mean(found[u] == stage.alignments[u]) for u in found])
    assert same > 0.97, same


def test_the_shortest_utterances():
    table = FeatureTable.from_dict({name: np.zeros((n, 1)) for name, n in (("a", 5), ("b", 2), ("c", 9), ("d", 2))})
    assert shortest(table, 4) == ["b", "d"] and shortest(table, 8.9) == ["b", "d"]
    assert shortest(table, 9) == ["a", "b", "d"] and shortest(table, 1) == ["b"]
    assert shortest(table, np.inf) == ["a", "b", "c", "d"]


def test_sizes_grow_with_the_hours_and_meet_the_usual_ones():
    sizes = [Sizes.of_hours(hours) for hours in (0.0, 0.05, 1 / 3, 1.0, 4.5, 10.0)]
    for small, large in itertools.pairwise(sizes):
        assert small.leaves <= large.leaves and small.gaussians <= large.gaussians
        assert small.mono_gaussians <= large.mono_gaussians <= 1000 and small.gaussians >= small.leaves
    assert sizes[4].leaves == pytest.approx(2000, rel=0.02) and sizes[4].gaussians == pytest.approx(10_000, rel=0.05)
    assert sizes[2].leaves == pytest.approx(367, abs=2) and sizes[2].gaussians == pytest.approx(1622, abs=5)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (("mono", "try"), "no stage 'try'; did you mean 'tri'"),
        (("tri",), "begin with mono"),
        (("mono", "sat", "tri"), "keep to mono, tri, lda-mllt, sat"),
        (("mono", "mono"), "begin with mono"),
        ((), r"\(none\)"),
    ],
)
def test_wrong_stages(stages, message):
    with pytest.raises(ConfigError, match=message):
        check_stages(stages)


def test_words_that_nobody_can_say(data):
    lexicon = Lexicon([("other", ("A",))], oov="skip")
    with pytest.raises(CorpusError, match="each has a word that the lexicon lacks"):
        monophones(data, lexicon, PIPELINE)
