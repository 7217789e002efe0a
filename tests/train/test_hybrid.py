"""A hybrid trained above a small GMM-HMM whose features are planted: one frame tells its phone's state."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
from asr.recipe.network_job import NetworkJob

from asr.errors import ConfigError, CorpusError, ModelError
from asr.features.pipeline import FeaturePipeline
from asr.features.table import FeatureTable
from asr.lang.lexicon import Lexicon
from asr.nn import DnnConfig, RecurrentConfig, TdnnConfig, register
from asr.nn.options import TrainingOptions
from asr.options import from_table
from asr.recipe import Run
from asr.recipe.networks import HybridPlan, LfmmiPlan, make_network, present_gpus, read_training
from asr.train.data import Data
from asr.train.hybrid import HybridOptions, labelled, log_priors, prepare, realigned, train_hybrid
from asr.train.ladder import Rung, Sizes, train_ladder
from asr.train.speeds import frames_at_speed

torch = pytest.importorskip("torch")

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


@pytest.mark.parametrize("system", ["hybrid", "LF-MMI", "CTC", "CTC and attention"])
def test_what_is_left_out_is_told_before_anything_is_trained(
    planted, rung, held_out, tmp_path, monkeypatch, caplog, system
):
    from asr.nn.lfmmi import SupervisionOptions
    from asr.train import ctc as ctc_training
    from asr.train import joint as joint_training
    from asr.train import lfmmi as lfmmi_training

    class Begun(Exception):
        pass

    def begun(*arguments, **options):
        raise Begun

    for module in ("nn.training", "train.ctc", "train.joint", "train.lfmmi"):
        monkeypatch.setattr(f"asr.{module}.train_network", begun)
    texts = {**planted.transcripts, "u07": " ".join(["papa"] * 40), "u08": "ki nobody"}
    data = replace(planted, transcripts=texts)
    lexicon = replace(rung.model.lexicon, oov="skip")
    known = {u: ids for u, ids in rung.alignments.items() if u not in ("u07", "u08")}
    below = replace(rung, model=replace(rung.model, lexicon=lexicon), alignments=known)
    how = {"held_out": held_out, "folder": tmp_path}
    without = {**how, "pipeline": rung.model.features}
    options = lfmmi_training.LfmmiTrainingOptions(SupervisionOptions(context_width=1, lm_order=3))
    network = TdnnConfig(width=8, offsets=((-1, 0, 1),), subsampling=3)
    train = {
        "hybrid": lambda: train_hybrid(data, below, CONFIG, OPTIONS, **how),
        "LF-MMI": lambda: lfmmi_training.train_lfmmi(data, below, network, options, **how),
        "CTC": lambda: ctc_training.train_ctc(data, lexicon, network, **without),
        "CTC and attention": lambda: joint_training.train_joint(data, lexicon, network, **without),
    }[system]
    with pytest.raises(Begun):
        train()
    (line,) = [r.getMessage() for r in caplog.records if "left out" in r.getMessage()]
    assert line.startswith(f"{system}: 2 of 60 utterances are left out, such as u0")


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


@pytest.mark.parametrize("config", [CONFIG, TdnnConfig(width=24, offsets=((-1, 0, 1), (-3, 0, 3)), dropout=0.0)])
def test_an_epoch_may_learn_from_one_frame_of_three(planted, rung, held_out, tmp_path, config):
    options = replace(OPTIONS, learn_every=3, training=replace(OPTIONS.training, max_epochs=12))
    made = train_hybrid(planted, rung, config, options, held_out=held_out, folder=tmp_path)
    acoustic = made.model.acoustic
    assert acoustic.subsampling == 1
    table = planted.normalised(made.model.features)
    found = [acoustic.log_likelihoods(table[u]).argmax(axis=1) for u in held_out]
    labels = [rung.transitions.pdf_of_id[made.alignments[u]] for u in held_out]
    assert np.mean(np.concatenate(found) == np.concatenate(labels)) > 0.85  # of every frame, not of a third


def test_a_training_does_not_go_on_from_other_frames(planted, rung, held_out, tmp_path):
    options = replace(OPTIONS, training=replace(OPTIONS.training, max_epochs=1))
    how = {"held_out": held_out, "folder": tmp_path}
    train_hybrid(planted, rung, CONFIG, options, **how)
    with pytest.raises(ModelError, match="checkpoint of a training with other row options"):
        train_hybrid(planted, rung, CONFIG, replace(options, learn_every=3), **how)


def test_a_recurrent_network_learns_from_every_frame(planted, rung, held_out, tmp_path):
    options = replace(OPTIONS, learn_every=2)
    with pytest.raises(ConfigError, match="learn_every=2; a recurrent network would see fewer frames too"):
        train_hybrid(planted, rung, RecurrentConfig(), options, held_out=held_out, folder=tmp_path)
    with pytest.raises(ConfigError, match="learn_every=0; need 1 or more"):
        HybridOptions(learn_every=0)


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


def test_copies_at_another_speed_are_trained_on_too(planted, rung, held_out, tmp_path):
    """Frames of a copy that lasts 1 / 0.9 of the time have the pdfs of the frames they were."""
    slow = FeatureTable.from_dict({u: frames_at_speed(x, round(len(x) / 0.9), 0.9) for u, x in items(planted.raw)})
    copies, pipeline = {0.9: replace(planted, raw=slow)}, rung.model.features
    found = prepare(planted, rung, pipeline=pipeline, copies=copies)
    assert [u for u in found.table if u in found.copy_of] == [f"sp0.9-{u}" for u in planted.raw]
    train, rest = labelled(found, rung.model, held_out, planted.speakers)
    assert list(rest.features) == held_out
    assert list(train.features) == [p + u for p in ("", "sp0.9-") for u in planted.raw if u not in held_out]
    pdfs = train.targets["sp0.9-u00"]
    np.testing.assert_array_equal(pdfs, frames_at_speed(train.targets["u00"], len(slow["u00"]), 0.9))
    assert pdfs[0] == train.targets["u00"][0] and pdfs[-1] == train.targets["u00"][-1]
    # Each frame of the copy is a frame of the recording, so its features must be those of a frame with that pdf.
    for value, pdf in zip(slow["u00"], pdfs, strict=True):
        assert pdf in train.targets["u00"][(planted.raw["u00"] == value).all(axis=1)]
    made = train_hybrid(
        planted, rung, CONFIG, OPTIONS, held_out=held_out, folder=tmp_path, pipeline=pipeline, copies=copies
    )
    assert set(made.alignments) == set(planted.raw)


def items(table):
    return [(u, table[u]) for u in table]


def test_copies_need_a_pipeline_where_the_rung_adapts(planted, rung):
    adapting = replace(rung, model=replace(rung.model, aligner=rung.model.acoustic))
    with pytest.raises(ConfigError, match="no fMLLR transforms"):
        prepare(planted, adapting, copies={0.9: planted})
    with pytest.raises(ConfigError, match=r"speeds = \(0.9,\) need a front_end"):
        HybridPlan(speeds=(0.9,))


def test_segments_of_a_copy_have_all_phones():
    from asr.hmm.transitions import PhoneSegment
    from asr.train.speeds import segments_at_speed

    segments = [PhoneSegment(3, 0, 1), PhoneSegment(4, 1, 2), PhoneSegment(5, 2, 9)]
    fast = segments_at_speed(segments, 4, 2.0)
    assert [s.phone for s in fast] == [3, 4, 5]
    assert fast[0].start == 0 and fast[-1].end == 4 and all(a.end == b.start for a, b in pairwise(fast))
    assert segments_at_speed(segments, 9, 1.0) == segments


def test_lfmmi_is_a_stage_of_a_recipe_too(job, tmp_path):
    """Its settings come from a table; copies at other speeds are heard."""
    table = {
        "network": {"kind": "tdnn", "width": 16, "offsets": [[-1, 0, 1]], "dropout": 0.0},
        "training": {"max_epochs": 2, "batch_frames": 512},
        "supervision": {"tree": {"min_gain": 20.0}, "lm_extra_states": 5},
    }
    plan = from_table(LfmmiPlan, table)
    pipeline = FeaturePipeline(0, ({"kind": "given", "dim": DIM, "frame_shift": 10.0},))
    inputs = {**job, "plan": plan, "pipeline": pipeline, "copies": {1.1: job["data"]}}
    made = Run(tmp_path).stage("net", make_network, inputs)
    model = Rung.load(made).model
    assert model.acoustic.subsampling == 3 and model.acoustic.log_priors is None
    assert list(read_training(made)) == ["network"]
    with pytest.raises(ConfigError, match="did you mean 'leaky'"):
        from_table(LfmmiPlan, {"supervision": {"leakyy": 1}}).options()


def test_a_plan_of_a_recipe_is_checked_when_it_is_read():
    plan = from_table(HybridPlan, {"network": {"kind": "dnn", "hidden": [8]}, "training": {"max_epochs": 3}})
    assert plan.config == DnnConfig(hidden=(8,)) and plan.options.training.max_epochs == 3
    with pytest.raises(ConfigError, match="did you mean 'hidden'"):
        from_table(HybridPlan, {"network": {"kind": "dnn", "hiden": [8]}})
    with pytest.raises(ConfigError, match="max_epoch"):
        from_table(HybridPlan, {"training": {"max_epoch": 3}})


@pytest.fixture(scope="module")
def job(planted, rung, held_out, tmp_path_factory):
    """The inputs of a recipe's stage that trains a network."""
    folder = tmp_path_factory.mktemp("job")
    planted.save(folder / "data")
    rung.save(folder / "rung")
    network = {"kind": "dnn", "context": 1, "hidden": [16], "dropout": 0.0}
    # Without Adam, which makes a step of a rounding error where a gradient should be zero.
    training = replace(OPTIONS.training, max_epochs=3, optimizer="sgd", learning_rate=0.1)
    plan = HybridPlan(network, training, realignments=1)
    inputs = {"data": folder / "data", "ids": list(rung.alignments), "held_out": held_out, "below": folder / "rung"}
    return {**inputs, "plan": plan, "seed": 0, "n_jobs": 1}


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine that says it has two GPUs; the processes for them find none, and train on the CPU."""
    if torch.cuda.is_available():
        pytest.skip("there are GPUs here, which tests/nn/test_gpu.py uses")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_two_processes_of_a_recipe_train_the_network_of_one(job, tmp_path, two_gpus):
    alone, out = Run(tmp_path / "alone").stage("net", make_network, job), tmp_path / "shared"
    together, told = out / ".partial" / "net", []
    together.mkdir(parents=True)
    make_network(together, **job, gpus="all", progress=lambda *part: told.append(part))
    assert told and all(0 < done <= total for done, total in told)
    curves, expected = read_training(together), read_training(alone)
    assert list(curves) == list(expected) == ["round0-network0", "round1-network0"]
    for name, points in curves.items():
        found, wanted = ([p["held_out_loss"] for p in curve] for curve in (points, expected[name]))
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    one, two = Rung.load(alone), Rung.load(together)
    for name, array in one.model.acoustic.arrays().items():
        np.testing.assert_allclose(two.model.acoustic.arrays()[name], array, atol=1e-4, err_msg=name)
    for u in one.alignments:
        np.testing.assert_array_equal(two.alignments[u], one.alignments[u])
    log = (out / "run.log").read_text(encoding="utf-8")
    assert log.count("epoch 3: loss") == 2  # of two trainings, told by one process
    assert not list((out / ".training").iterdir())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
def test_on_gpus_a_recipe_trains_the_network_of_the_cpu(planted, rung, held_out, job, tmp_path):
    options = HybridOptions(job["plan"].training, realignments=1)
    how = {"held_out": held_out, "folder": tmp_path / "work", "device": "cuda"}
    model = train_hybrid(planted, rung, job["plan"].config, options, **how).model
    assert {p.device.type for p in model.acoustic.scores.parameters()} == {"cpu"}
    alone = Run(tmp_path / "alone").stage("net", make_network, job)
    together = Run(tmp_path / "shared").stage("net", make_network, {**job, "gpus": "all"})
    expected, features = Rung.load(alone).model, planted.normalised(rung.model.features)
    for found in (model, Rung.load(together).model):
        for u in held_out:
            scores = found.acoustic.log_likelihoods(features[u])
            np.testing.assert_allclose(scores, expected.acoustic.log_likelihoods(features[u]), atol=0.1)


def test_a_process_that_fails_says_why(job, tmp_path, two_gpus):
    wild = replace(job["plan"], training=replace(OPTIONS.training, max_gradient_norm=1e-6))
    run = Run(tmp_path)
    with pytest.raises(ModelError, match=r"--gpus all: a training process failed: epoch 1, .* gradient norm is"):
        run.stage("net", make_network, {**job, "plan": wild, "gpus": "all"})
    assert not (tmp_path / "net").exists()


def test_gpus_do_not_make_a_stage_run_again(job, tmp_path):
    quick = replace(job["plan"], training=replace(OPTIONS.training, max_epochs=1), realignments=0)
    made = Run(tmp_path).stage("net", make_network, {**job, "plan": quick})
    before = (made / "training.json").stat().st_mtime_ns
    Run(tmp_path).stage("net", make_network, {**job, "plan": quick, "gpus": "7"})
    assert (made / "training.json").stat().st_mtime_ns == before


def test_a_missing_gpu_is_told_at_once(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match="--gpus 0: torch finds no GPU on this machine; leave --gpus out"):
        present_gpus("0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match="there is no GPU 2; this machine has 0, 1"):
        present_gpus("1,2")
    assert present_gpus("0,1") == "0,1"


def test_a_job_comes_back_from_its_file(job, tmp_path):
    options = replace(OPTIONS.training, chunk_frames=20)
    plan = HybridPlan({"kind": "tdnn", "offsets": [[-1, 0, 1], [0]]}, options)
    pipeline = FeaturePipeline(0, ({"kind": "given", "dim": DIM},)).then_affine(np.eye(DIM))
    told = NetworkJob(**{**job, "plan": plan}, inputs=job["data"], pipeline=pipeline, start=job["below"])
    told.write(tmp_path)
    again = NetworkJob.read(tmp_path)
    assert again.key == told.key != replace(told, start=None).key
    assert (again.plan, again.inputs, again.start) == (plan, told.inputs, told.start)
    np.testing.assert_array_equal(again.pipeline.steps[1].matrix, np.eye(DIM))


def test_processes_cannot_import_a_network_of_the_script_itself(job, tmp_path, monkeypatch):
    @dataclass(frozen=True)
    class OwnConfig(DnnConfig):
        kind: ClassVar[str] = "own-in-script"

    register("own-in-script", OwnConfig, object)
    monkeypatch.setattr(OwnConfig, "__module__", "__main__")
    with pytest.raises(ConfigError, match="'own-in-script' is registered in the script itself"):
        NetworkJob(**{**job, "plan": HybridPlan({"kind": "own-in-script"})}).write(tmp_path)
