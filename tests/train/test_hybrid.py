"""A hybrid trained above a small GMM-HMM whose features are planted: one frame tells its phone's state."""

import logging
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from asr.errors import ConfigError, CorpusError, ModelError
from asr.features.pipeline import FeaturePipeline
from asr.features.table import FeatureTable
from asr.files.json_files import read_json
from asr.lang.lexicon import Lexicon
from asr.model.adaptation import SpeakerAdaptation
from asr.nn import DnnConfig, RecurrentConfig, TdnnConfig
from asr.nn.options import TrainingOptions
from asr.options import from_table
from asr.recipe.networks import HybridTable, LfmmiTable, present_gpus, train_network
from asr.recipe.run import Run
from asr.recipe.systems import Part
from asr.train.data import Data
from asr.train.hybrid import HybridOptions, labelled, log_priors, prepare, realigned, train_hybrid
from asr.train.ladder import train_ladder
from asr.train.speeds import frames_at_speed
from asr.train.stage import Sizes, TrainedStage

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
def stage(planted):
    """Monophones of the first fifty utterances."""
    lexicon = Lexicon(tuple((word, phones) for word, phones in WORDS.items()))
    pipeline = FeaturePipeline(0, ({"kind": "given", "dim": DIM, "frame_shift": 10.0},))
    train = planted.where(lambda u: u < "u50")
    return train_ladder(train, lexicon, ["mono"], pipeline=pipeline, sizes=Sizes(mono_gaussians=40))["mono"]


@pytest.fixture(scope="module")
def held_out(planted):
    return [u for u in planted.raw if u >= "u50"]


def test_the_network_learns_the_frames_and_is_a_model(planted, stage, held_out, tmp_path):
    told = []
    made = train_hybrid(
        planted, stage, CONFIG, OPTIONS, held_out=held_out, folder=tmp_path / "work",
        progress=lambda done, total: told.append(done / total),
    )  # fmt: skip
    assert told == sorted(told) and told[-1] == 1.0
    assert (tmp_path / "work" / "round0-network0" / "curves.json").exists()
    table = planted.normalised(made.model.features)
    right = total = 0
    for u in held_out:
        loglikes = made.model.acoustic.log_likelihoods(table[u])
        assert loglikes.shape == (len(table[u]), stage.model.units.n_pdfs)
        labels = stage.transitions.pdf_of_id[made.alignments[u]]
        right, total = right + int((loglikes.argmax(axis=1) == labels).sum()), total + len(labels)
    assert right / total > 0.85
    assert set(made.alignments) == set(planted.raw)  # those held out are aligned too
    made.save(tmp_path / "stage")
    again = type(made).load(tmp_path / "stage")
    u = held_out[0]
    np.testing.assert_array_equal(
        again.model.acoustic.log_likelihoods(table[u]), made.model.acoustic.log_likelihoods(table[u])
    )
    assert not again.model.adaptation.adapts
    aligned = again.model.align_finished(table[u], planted.transcripts[u])
    assert np.mean(aligned.alignment == made.alignments[u]) > 0.85


@pytest.mark.parametrize("system", ["hybrid", "LF-MMI", "CTC", "CTC and attention"])
def test_what_is_left_out_is_told_before_anything_is_trained(
    planted, stage, held_out, tmp_path, monkeypatch, caplog, system
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
    lexicon = replace(stage.model.lexicon, oov="skip")
    known = {u: ids for u, ids in stage.alignments.items() if u not in ("u07", "u08")}
    below = replace(stage, model=replace(stage.model, lexicon=lexicon), alignments=known)
    how = {"held_out": held_out, "folder": tmp_path}
    without = {**how, "pipeline": stage.model.features}
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


def test_all_may_be_aligned_already(planted, stage):
    known = planted.select(stage.alignments)
    assert prepare(known, stage).alignments.keys() == stage.alignments.keys()


def test_priors_are_shares_of_frames_with_a_floor():
    found = np.exp(log_priors([np.array([0, 0, 1]), np.array([0])], 3, HybridOptions(prior_floor=0.01)))
    np.testing.assert_allclose(found, [0.75, 0.25, 0.01], rtol=1e-6)


def test_above_an_adapting_stage_the_network_hears_transformed_features(planted, stage, held_out, tmp_path):
    adapting = replace(stage, model=replace(stage.model, adaptation=SpeakerAdaptation(stage.gmms, stage.gmms)))
    plain = planted.normalised(stage.model.features)
    found = prepare(planted, adapting)

    def apart(table):
        means = [np.mean([table[u].mean(axis=0) for u in table if planted.speakers[u] == s], 0) for s in ("ann", "bob")]
        return np.abs(means[0] - means[1]).mean()

    assert apart(found.table) < 0.3 * apart(plain)
    options = replace(OPTIONS, training=replace(OPTIONS.training, max_epochs=1))
    model = train_hybrid(planted, adapting, CONFIG, options, held_out=held_out, folder=tmp_path).model
    assert model.adaptation.gmms is stage.gmms and model.adaptation.first_pass is stage.gmms
    model.save(tmp_path / "model")
    import asr

    again = asr.load(tmp_path / "model")
    np.testing.assert_array_equal(again.adaptation.gmms.means, stage.gmms.means)
    text = again.align_finished(plain["u55"], planted.transcripts["u55"]).text
    assert text == planted.transcripts["u55"]


def test_realignment_and_ensembles(planted, stage, held_out, tmp_path):
    options = replace(OPTIONS, n_networks=2, realignments=1)
    made = train_hybrid(planted, stage, CONFIG, options, held_out=held_out, folder=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"round{r}-network{n}" for r in (0, 1) for n in (0, 1)]
    assert len(made.model.acoustic.networks) == 2
    known = [u for u in planted.raw if u in stage.alignments]
    changed = np.mean([np.mean(made.alignments[u] != stage.alignments[u]) for u in known])
    assert 0 < changed < 0.5
    found = prepare(planted, stage)
    hopeless = type("Deaf", (), {"log_likelihoods": lambda self, x: np.full((len(x), 99), -np.inf, np.float32)})()
    kept = realigned(found, stage.model, hopeless)
    assert all(np.array_equal(kept.alignments[u], found.alignments[u]) for u in found.alignments)


@pytest.mark.parametrize("config", [CONFIG, TdnnConfig(width=24, offsets=((-1, 0, 1), (-3, 0, 3)), dropout=0.0)])
def test_an_epoch_may_learn_from_one_frame_of_three(planted, stage, held_out, tmp_path, config):
    options = replace(OPTIONS, learn_every=3, training=replace(OPTIONS.training, max_epochs=12))
    made = train_hybrid(planted, stage, config, options, held_out=held_out, folder=tmp_path)
    acoustic = made.model.acoustic
    assert acoustic.subsampling == 1
    table = planted.normalised(made.model.features)
    found = [acoustic.log_likelihoods(table[u]).argmax(axis=1) for u in held_out]
    labels = [stage.transitions.pdf_of_id[made.alignments[u]] for u in held_out]
    assert np.mean(np.concatenate(found) == np.concatenate(labels)) > 0.85  # of every frame, not of a third


def test_a_training_does_not_go_on_from_other_frames(planted, stage, held_out, tmp_path):
    options = replace(OPTIONS, training=replace(OPTIONS.training, max_epochs=1))
    how = {"held_out": held_out, "folder": tmp_path}
    train_hybrid(planted, stage, CONFIG, options, **how)
    with pytest.raises(ModelError, match="checkpoint of a training with other row options"):
        train_hybrid(planted, stage, CONFIG, replace(options, learn_every=3), **how)


def test_a_recurrent_network_learns_from_every_frame(planted, stage, held_out, tmp_path):
    options = replace(OPTIONS, learn_every=2)
    with pytest.raises(ConfigError, match="learn_every=2; a recurrent network would see fewer frames too"):
        train_hybrid(planted, stage, RecurrentConfig(), options, held_out=held_out, folder=tmp_path)
    with pytest.raises(ConfigError, match="learn_every=0; need 1 or more"):
        HybridOptions(learn_every=0)


def test_features_of_another_kind(planted, stage, held_out):
    wider = replace(planted, raw=FeatureTable.from_pairs((u, np.repeat(planted.raw[u], 2, 1)) for u in planted.raw))
    pipeline = FeaturePipeline(0, ({"kind": "given", "dim": 2 * DIM, "frame_shift": 10.0}, {"kind": "delta"}))
    found = prepare(planted, stage, inputs=wider, pipeline=pipeline)
    assert found.table.dim == 6 * DIM and found.pipeline.dim == 6 * DIM
    train, apart = labelled(found, stage.model, held_out, planted.speakers)
    assert set(apart.features) == set(held_out) and not set(train.features) & set(held_out)
    shifted = replace(wider, raw=FeatureTable.from_pairs((u, wider.raw[u][1:]) for u in wider.raw))
    with pytest.raises(CorpusError, match=r"utterance 'u00' has \d+ aligned frames, but \d+"):
        prepare(planted, stage, inputs=shifted, pipeline=pipeline)


def test_what_cannot_be_trained(planted, stage, tmp_path):
    with pytest.raises(CorpusError, match="no utterance that is held out"):
        train_hybrid(planted, stage, CONFIG, OPTIONS, held_out=[], folder=tmp_path)
    with pytest.raises(ConfigError, match="subsampling=3"):
        train_hybrid(planted, stage, DnnConfig(subsampling=3), OPTIONS, held_out=["u50"], folder=tmp_path)
    with pytest.raises(ConfigError, match="n_networks=0"):
        HybridOptions(n_networks=0)


def test_copies_at_another_speed_are_trained_on_too(planted, stage, held_out, tmp_path):
    """Frames of a copy that lasts 1 / 0.9 of the time have the pdfs of the frames they were."""
    slow = FeatureTable.from_dict({u: frames_at_speed(x, round(len(x) / 0.9), 0.9) for u, x in items(planted.raw)})
    copies, pipeline = {0.9: replace(planted, raw=slow)}, stage.model.features
    found = prepare(planted, stage, pipeline=pipeline, copies=copies)
    assert [u for u in found.table if u in found.copy_of] == [f"sp0.9-{u}" for u in planted.raw]
    train, rest = labelled(found, stage.model, held_out, planted.speakers)
    assert list(rest.features) == held_out
    assert list(train.features) == [p + u for p in ("", "sp0.9-") for u in planted.raw if u not in held_out]
    pdfs = train.targets["sp0.9-u00"]
    np.testing.assert_array_equal(pdfs, frames_at_speed(train.targets["u00"], len(slow["u00"]), 0.9))
    assert pdfs[0] == train.targets["u00"][0] and pdfs[-1] == train.targets["u00"][-1]
    # Each frame of the copy is a frame of the recording, so its features must be those of a frame with that pdf.
    for value, pdf in zip(slow["u00"], pdfs, strict=True):
        assert pdf in train.targets["u00"][(planted.raw["u00"] == value).all(axis=1)]
    made = train_hybrid(
        planted, stage, CONFIG, OPTIONS, held_out=held_out, folder=tmp_path, pipeline=pipeline, copies=copies
    )
    assert set(made.alignments) == set(planted.raw)


def items(table):
    return [(u, table[u]) for u in table]


def test_copies_need_a_pipeline_where_the_stage_adapts(planted, stage):
    adapting = replace(stage, model=replace(stage.model, adaptation=SpeakerAdaptation(stage.gmms, stage.gmms)))
    with pytest.raises(ConfigError, match="no fMLLR transforms"):
        prepare(planted, adapting, copies={0.9: planted})


def test_segments_of_a_copy_have_all_phones():
    from asr.hmm.transitions import PhoneSegment
    from asr.train.speeds import segments_at_speed

    segments = [PhoneSegment(3, 0, 1), PhoneSegment(4, 1, 2), PhoneSegment(5, 2, 9)]
    fast = segments_at_speed(segments, 4, 2.0)
    assert [s.phone for s in fast] == [3, 4, 5]
    assert fast[0].start == 0 and fast[-1].end == 4 and all(a.end == b.start for a, b in pairwise(fast))
    assert segments_at_speed(segments, 9, 1.0) == segments


def test_lfmmi_is_a_step_of_a_recipe_too(job, tmp_path):
    """Its settings come from a table; copies at other speeds are trained on."""
    table = {
        "network": {"kind": "tdnn", "width": 16, "offsets": [[-1, 0, 1]], "dropout": 0.0},
        "options": {
            "training": {"max_epochs": 2, "batch_frames": 512},
            "supervision": {"tree": {"min_gain": 20.0}, "lm_extra_states": 5},
        },
    }
    pipeline = FeaturePipeline(0, ({"kind": "given", "dim": DIM, "frame_shift": 10.0},))
    run = Run(tmp_path)
    model = job.step(run, from_table(LfmmiTable, table), pipeline=pipeline, copies={1.1: job.data}).model
    assert model.acoustic.subsampling == 3 and model.acoustic.log_priors is None
    curves = curves_of(run)
    assert list(curves) == ["network"] and len(curves["network"]) == 2


def kept_below(folder: Path) -> TrainedStage:
    return TrainedStage.load(folder)


def curves_of(run, name="net"):
    return read_json(run.folder / name / "curves.json")


@dataclass(frozen=True)
class Job:
    """A recipe's step that trains a network."""

    data: Data
    part: Part
    folder: Path  # of the stage below
    table: HybridTable

    def step(self, run, table=None, **options):
        below = run.kept("below", kept_below, self.folder)
        table = table or self.table
        return run.step("net", train_network, self.data, self.part, below, table=table, seed=0, **options)


@pytest.fixture(scope="module")
def job(planted, stage, held_out, tmp_path_factory):
    folder = tmp_path_factory.mktemp("job") / "stage"
    stage.save(folder)
    network = {"kind": "dnn", "context": 1, "hidden": [16], "dropout": 0.0}
    # Without Adam, which makes a step of a rounding error where a gradient should be zero.
    training = replace(OPTIONS.training, max_epochs=3, optimizer="sgd", learning_rate=0.1)
    table = HybridTable(network, options=HybridOptions(training, realignments=1))
    return Job(planted, Part("all", tuple(stage.alignments), tuple(held_out)), folder, table)


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine that says it has two GPUs; the processes for them find none, and train on the CPU."""
    if torch.cuda.is_available():
        pytest.skip("there are GPUs here, which tests/nn/test_gpu.py uses")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def test_two_processes_of_a_recipe_train_the_network_of_one(job, tmp_path, two_gpus, monkeypatch):
    monkeypatch.setattr("asr.recipe.progress._SAY_EVERY", 0.0)
    logging.getLogger("asr").setLevel(logging.INFO)
    alone = Run(tmp_path / "alone")
    one = job.step(alone)
    shared = Run(tmp_path / "shared")
    two = job.step(shared, gpus="all")
    assert list(curves_of(shared)) == list(curves_of(alone)) == ["round0-network0", "round1-network0"]
    for name, points in curves_of(shared).items():
        found, wanted = ([p["held_out_loss"] for p in curve] for curve in (points, curves_of(alone)[name]))
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    for name, array in one.model.acoustic.arrays().items():
        np.testing.assert_allclose(two.model.acoustic.arrays()[name], array, atol=1e-4, err_msg=name)
    for u in one.alignments:
        np.testing.assert_array_equal(two.alignments[u], one.alignments[u])
    log = (tmp_path / "shared" / "run.log").read_text(encoding="utf-8")
    assert log.count("epoch 3: loss") == 2  # of two trainings, told by one process
    assert not list((tmp_path / "shared" / ".training").iterdir())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
def test_on_gpus_a_recipe_trains_the_network_of_the_cpu(planted, stage, held_out, job, tmp_path):
    how = {"held_out": held_out, "folder": tmp_path / "work", "device": "cuda"}
    model = train_hybrid(planted, stage, job.table.config, job.table.options, **how).model
    assert {p.device.type for p in model.acoustic.scores.parameters()} == {"cpu"}
    expected = job.step(Run(tmp_path / "alone")).model
    together = job.step(Run(tmp_path / "shared"), gpus="all").model
    features = planted.normalised(stage.model.features)
    for found in (model, together):
        for u in held_out:
            scores = found.acoustic.log_likelihoods(features[u])
            np.testing.assert_allclose(scores, expected.acoustic.log_likelihoods(features[u]), atol=0.1)


def test_a_process_that_fails_says_why(job, tmp_path, two_gpus):
    wild = replace(job.table, options=HybridOptions(replace(OPTIONS.training, max_gradient_norm=1e-6)))
    with pytest.raises(ModelError, match=r"--gpus all: a training process failed: epoch 1, .* gradient norm is"):
        job.step(Run(tmp_path), wild, gpus="all")
    assert not (tmp_path / "net").exists()


def test_gpus_do_not_make_a_step_run_again(job, tmp_path):
    quick = replace(job.table, options=HybridOptions(replace(OPTIONS.training, max_epochs=1)))
    job.step(Run(tmp_path), quick)
    before = (tmp_path / "net" / "training.json").stat().st_mtime_ns
    job.step(Run(tmp_path), quick, gpus="7")
    assert (tmp_path / "net" / "training.json").stat().st_mtime_ns == before


def test_a_missing_gpu_is_told_at_once(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match="--gpus 0: torch finds no GPU on this machine; leave --gpus out"):
        present_gpus("0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match="there is no GPU 2; this machine has 0, 1"):
        present_gpus("1,2")
    assert present_gpus("0,1") == "0,1"
