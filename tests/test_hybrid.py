"""A hybrid trained above a small GMM-HMM whose features are planted: one frame tells its phone's state."""

from dataclasses import replace

import numpy as np
import pytest

from asr.errors import ConfigError, CorpusError
from asr.features.pipeline import FeaturePipeline
from asr.features.table import FeatureTable
from asr.hybrid import HybridOptions, labelled, log_priors, prepare, realigned, train_hybrid
from asr.ladder import Sizes, train_ladder
from asr.lang.lexicon import Lexicon
from asr.nn import DnnConfig
from asr.nn.options import TrainingOptions
from asr.recipe.config import from_table
from asr.recipe.networks import NetworkPlan
from asr.training import Data

pytest.importorskip("torch")

DIM = 4
WORDS = {"papa": ("P", "A"), "tata": ("T", "A"), "ki": ("K", "I")}
CONFIG = DnnConfig(context=1, hidden=(24,), dropout=0.0)
OPTIONS = HybridOptions(TrainingOptions(max_epochs=6, batch_frames=512, learning_rate=0.02))


@pytest.fixture(scope="module")
def planted():
    """Utterances of two words, between pauses, whose phones' states have a mean each; two speakers with an offset."""
    rng = np.random.default_rng(3)
    means = {phone: 3 * rng.normal(size=(3, DIM)) for phone in ("SIL", "P", "T", "K", "A", "I")}
    raw, speakers, texts = {}, {}, {}
    for i in range(60):
        said = [str(word) for word in rng.choice(list(WORDS), 2)]
        phones = ["SIL", *(p for word in said for p in WORDS[word]), "SIL"]
        states = [m for p in phones for m in means[p] for _ in range(rng.integers(3, 6))]
        u = f"u{i:02}"
        speakers[u], texts[u] = "ann" if i % 2 else "bob", " ".join(said)
        raw[u] = (np.array(states) + 0.5 * rng.normal(size=(len(states), DIM)) + (i % 2)).astype(np.float32)
    return Data(FeatureTable.from_dict(raw), speakers, texts)


@pytest.fixture(scope="module")
def rung(planted):
    """Monophones of the first fifty utterances."""
    lexicon = Lexicon(tuple((word, phones) for word, phones in WORDS.items()))
    pipeline = FeaturePipeline(0, ({"kind": "given", "dim": DIM, "frame_shift": 10.0},))
    train = planted.where(lambda u: u < "u50")
    return train_ladder(train, lexicon, ["mono"], pipeline=pipeline, sizes=Sizes(mono_gaussians=40))["mono"]


@pytest.fixture(scope="module")
def held_out(planted):
    return [u for u in planted.raw if u >= "u50"]


def test_the_network_learns_the_frames_and_is_a_model(planted, rung, held_out, tmp_path):
    told = []
    made = train_hybrid(
        planted, rung, CONFIG, OPTIONS, held_out=held_out, folder=tmp_path / "work",
        progress=lambda done, total: told.append(done / total),
    )  # fmt: skip
    assert told == sorted(told) and told[-1] == 1.0
    assert (tmp_path / "work" / "round0-network0" / "curves.json").exists()
    table = planted.normalised(made.model.features)
    right = total = 0
    for u in held_out:
        loglikes = made.model.acoustic.log_likelihoods(table[u])
        assert loglikes.shape == (len(table[u]), rung.model.tree.n_pdfs)
        labels = rung.transitions.pdf_of_id[made.alignments[u]]
        right, total = right + int((loglikes.argmax(axis=1) == labels).sum()), total + len(labels)
    assert right / total > 0.85
    assert set(made.alignments) == set(planted.raw)  # those held out are aligned too
    made.save(tmp_path / "rung")
    again = type(made).load(tmp_path / "rung")
    u = held_out[0]
    np.testing.assert_array_equal(
        again.model.acoustic.log_likelihoods(table[u]), made.model.acoustic.log_likelihoods(table[u])
    )
    assert (again.model.aligner, again.model.adapter) == (None, None)
    aligned = again.model.align_finished(table[u], planted.transcripts[u])
    assert np.mean(aligned.alignment == made.alignments[u]) > 0.85


def test_all_may_be_aligned_already(planted, rung):
    known = planted.select(rung.alignments)
    assert prepare(known, rung).alignments.keys() == rung.alignments.keys()


def test_priors_are_shares_of_frames_with_a_floor():
    found = np.exp(log_priors([np.array([0, 0, 1]), np.array([0])], 3, HybridOptions(prior_floor=0.01)))
    np.testing.assert_allclose(found, [0.75, 0.25, 0.01], rtol=1e-6)


def test_above_an_adapting_rung_the_network_hears_transformed_features(planted, rung, held_out, tmp_path):
    adapting = replace(rung, model=replace(rung.model, aligner=rung.model.acoustic))
    plain = planted.normalised(rung.model.features)
    found = prepare(planted, adapting)

    def apart(table):
        means = [np.mean([table[u].mean(axis=0) for u in table if planted.speakers[u] == s], 0) for s in ("ann", "bob")]
        return np.abs(means[0] - means[1]).mean()

    assert apart(found.table) < 0.3 * apart(plain)
    options = replace(OPTIONS, training=replace(OPTIONS.training, max_epochs=1))
    model = train_hybrid(planted, adapting, CONFIG, options, held_out=held_out, folder=tmp_path).model
    assert model.adapter is rung.model.acoustic and model.aligner is rung.model.acoustic
    model.save(tmp_path / "model")
    import asr

    again = asr.load(tmp_path / "model")
    np.testing.assert_array_equal(again.adapter.means, rung.gmms.means)
    text = again.align_finished(plain["u55"], planted.transcripts["u55"]).text
    assert text == planted.transcripts["u55"]


def test_realignment_and_ensembles(planted, rung, held_out, tmp_path):
    options = replace(OPTIONS, n_networks=2, realignments=1)
    made = train_hybrid(planted, rung, CONFIG, options, held_out=held_out, folder=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"round{r}-network{n}" for r in (0, 1) for n in (0, 1)]
    assert len(made.model.acoustic.networks) == 2
    known = [u for u in planted.raw if u in rung.alignments]
    changed = np.mean([np.mean(made.alignments[u] != rung.alignments[u]) for u in known])
    assert 0 < changed < 0.5
    found = prepare(planted, rung)
    hopeless = type("Deaf", (), {"log_likelihoods": lambda self, x: np.full((len(x), 99), -np.inf, np.float32)})()
    kept = realigned(found, rung.model, hopeless)
    assert all(np.array_equal(kept.alignments[u], found.alignments[u]) for u in found.alignments)


def test_features_of_another_kind(planted, rung, held_out):
    wider = replace(planted, raw=FeatureTable.from_pairs((u, np.repeat(planted.raw[u], 2, 1)) for u in planted.raw))
    pipeline = FeaturePipeline(0, ({"kind": "given", "dim": 2 * DIM, "frame_shift": 10.0}, {"kind": "delta"}))
    found = prepare(planted, rung, inputs=wider, pipeline=pipeline)
    assert found.table.dim == 6 * DIM and found.pipeline.dim == 6 * DIM
    train, apart = labelled(found, rung.model, held_out, planted.speakers)
    assert set(apart.features) == set(held_out) and not set(train.features) & set(held_out)
    shifted = replace(wider, raw=FeatureTable.from_pairs((u, wider.raw[u][1:]) for u in wider.raw))
    with pytest.raises(CorpusError, match=r"utterance 'u00' has \d+ aligned frames, but \d+"):
        prepare(planted, rung, inputs=shifted, pipeline=pipeline)


def test_what_cannot_be_trained(planted, rung, tmp_path):
    with pytest.raises(CorpusError, match="no utterance that is held out"):
        train_hybrid(planted, rung, CONFIG, OPTIONS, held_out=[], folder=tmp_path)
    with pytest.raises(ConfigError, match="subsampling=3"):
        train_hybrid(planted, rung, DnnConfig(subsampling=3), OPTIONS, held_out=["u50"], folder=tmp_path)
    with pytest.raises(ConfigError, match="n_networks=0"):
        HybridOptions(n_networks=0)


def test_a_plan_of_a_recipe_is_checked_when_it_is_read():
    plan = from_table(NetworkPlan, {"network": {"kind": "dnn", "hidden": [8]}, "training": {"max_epochs": 3}})
    assert plan.config == DnnConfig(hidden=(8,)) and plan.options.training.max_epochs == 3
    with pytest.raises(ConfigError, match="did you mean 'hidden'"):
        from_table(NetworkPlan, {"network": {"kind": "dnn", "hiden": [8]}})
    with pytest.raises(ConfigError, match="max_epoch"):
        from_table(NetworkPlan, {"training": {"max_epoch": 3}})
