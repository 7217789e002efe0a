"""CTC's loss against torch's, and a small model trained with it, from features to words and back from its directory."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from asr.errors import CorpusError, ModelError
from asr.features.pipeline import FeaturePipeline
from asr.features.table import FeatureTable
from asr.lang.lexicon import Lexicon
from asr.model.graphs import with_graph
from asr.nn import CnnRecurrentConfig, RecurrentConfig, TdnnConfig
from asr.nn.options import TrainingOptions
from asr.train.data import Data

torch = pytest.importorskip("torch")

WORDS = {"papa": ("P", "A", "P", "A"), "tata": ("T", "A", "T", "A"), "ki": ("K", "I"), "aa": ("A", "A")}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loss_and_gradient_are_torchs(dtype):
    from asr.nn.ctc import CtcLoss

    torch.manual_seed(0)
    lengths = torch.tensor([30, 17, 9])
    targets = [(1, 2, 2, 3, 1), (4,), (3, 3, 3)]
    scores = torch.randn(3, 30, 5, dtype=dtype, requires_grad=True)
    found = CtcLoss(5)(scores, lengths, targets)
    (gradient,) = torch.autograd.grad(found.total, scores)
    expected = torch.nn.functional.ctc_loss(
        scores.log_softmax(2).transpose(0, 1), torch.tensor([u for t in targets for u in t]), lengths,
        torch.tensor([len(t) for t in targets]), reduction="sum",
    )  # fmt: skip
    (wanted,) = torch.autograd.grad(expected, scores)
    torch.testing.assert_close(found.total, expected, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5)
    assert found.n_frames == 9 and not gradient[1, 17:].any()


def test_gradients_of_long_utterances_are_those_of_double_precision():
    """Sums of logarithms in float32, as torch's own loss takes them, would be off by 1e-3 and more."""
    from asr.nn.ctc import CtcLoss

    torch.manual_seed(0)
    lengths, target = torch.tensor([800]), torch.randint(1, 30, (250,))
    scores = (3 * torch.randn(1, 800, 30)).requires_grad_()
    (gradient,) = torch.autograd.grad(CtcLoss(30)(scores, lengths, [target.tolist()]).total, scores)
    rows = scores.double().log_softmax(2).transpose(0, 1)
    exact = torch.nn.functional.ctc_loss(rows, target[None], lengths, torch.tensor([250]), reduction="sum")
    (wanted,) = torch.autograd.grad(exact, scores)
    torch.testing.assert_close(gradient, wanted, rtol=0, atol=3e-6)


def test_an_utterance_without_units_is_all_blanks():
    from asr.nn.ctc import CtcLoss

    scores = torch.randn(1, 4, 3)
    found = CtcLoss(3)(scores, torch.tensor([4]), [()])
    assert float(found.total) == pytest.approx(-float(scores.log_softmax(2)[0, :, 0].sum()), rel=1e-5)
    assert found.n_frames == 0


def test_errors_are_edits_of_the_best_path():
    from asr.nn.ctc import CtcLoss

    best = [0, 1, 1, 0, 2, 0]
    scores = torch.full((1, 6, 4), -5.0)
    scores[0, torch.arange(6), torch.tensor(best)] = 5.0
    assert CtcLoss(4)(scores, torch.tensor([6]), [(1, 3, 2)]).errors == 1


def test_what_does_not_fit_is_told():
    from asr.nn.ctc import CtcLoss

    with pytest.raises(ModelError, match="the network has 4 outputs; this loss needs 5"):
        CtcLoss(5)(torch.zeros(1, 3, 4), torch.tensor([3]), [(1,)])
    with pytest.raises(ModelError, match="3 units need 4 rows; there are 3"):
        CtcLoss(4)(torch.zeros(1, 3, 4), torch.tensor([3]), [(1, 1, 2)])
    for unit in (-1, 0, 4):  # numba would read and write beyond the columns
        with pytest.raises(ModelError, match="need columns 1 to 3"):
            CtcLoss(4)(torch.zeros(1, 3, 4), torch.tensor([3]), [(1, unit)])


LEXICON = Lexicon(tuple(WORDS.items()))
PIPELINE = FeaturePipeline(0, ({"kind": "given", "dim": 6, "frame_shift": 10.0},))
HELD_OUT = [f"u{i:02}" for i in range(75, 90)]
NETWORKS = {
    "recurrent": RecurrentConfig(layers=1, width=24, context=1, dropout=0.0, subsampling=3),
    "cnn_recurrent": CnnRecurrentConfig(
        layers=1, width=24, channels=(4,), pool=(1,), beside=2, dropout=0.0, subsampling=2
    ),
    "tdnn": TdnnConfig(width=32, offsets=((-2, -1, 0, 1, 2), (-3, 0, 3)), dropout=0.0, subsampling=3),
}


@pytest.fixture(scope="module")
def trained(planted, tmp_path_factory):
    """A function of a kind of network, which gives what was trained; each kind is trained once."""
    from asr.train.ctc import CtcOptions, train_ctc

    training = TrainingOptions(max_epochs=25, batch_frames=500, learning_rate=0.01, schedule="cosine", patience=0)
    options = CtcOptions(training, prior_scale=0.3)

    @cache
    def of_kind(kind):
        folder = tmp_path_factory.mktemp(kind)
        return train_ctc(
            planted, LEXICON, NETWORKS[kind], options, pipeline=PIPELINE, held_out=HELD_OUT, folder=folder
        )  # fmt: skip

    return of_kind


@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_a_network_learns_to_say_words_and_where(planted, trained, kind, tmp_path):
    import asr

    with_graph(trained(kind).model).save(tmp_path / "model")
    model = asr.load(tmp_path / "model")
    assert (model.kind, model.subsampling) == ("ctc", NETWORKS[kind].subsampling)
    wrong = 0
    for u in HELD_OUT:
        found = model.transcribe_features(planted.raw[u])
        wrong += found.text != planted.transcripts[u]
        aligned = model.align_features(planted.raw[u], planted.transcripts[u])
        assert aligned.text == planted.transcripts[u]
        assert [p.phone for p in aligned.phones] == [p for w in planted.transcripts[u].split() for p in WORDS[w]]
        seconds = len(planted.raw[u]) / 100
        assert all(0 <= w.start < w.end <= seconds + 0.03 for w in aligned.words)
        first, second = aligned.words
        assert first.end <= second.start
    assert wrong <= 1


def test_words_are_where_they_were_planted(planted, trained):
    model = trained("tdnn").model
    off = []
    for u in HELD_OUT:
        silent = np.linalg.norm(planted.raw[u] - planted.raw[u][:3].mean(axis=0), axis=1) < 2.0
        speech = np.flatnonzero(~silent)
        first, second = model.align_features(planted.raw[u], planted.transcripts[u]).words
        off += [abs(first.start - speech[0] / 100), abs(second.end - speech[-1] / 100)]
    assert np.median(off) < 0.05 and max(off) < 0.15


def test_copies_are_trained_on_and_short_ones_told(planted, tmp_path):
    from asr.train.ctc import CtcOptions, train_ctc

    fast = Data(
        FeatureTable.from_dict({u: planted.raw[u][::2] for u in planted.raw if u not in HELD_OUT}),
        planted.speakers, planted.transcripts,
    )  # fmt: skip
    long = Lexicon((*WORDS.items(), ("no", ("P",) * 90)))
    texts = {**planted.transcripts, "u00": "no"}
    data = Data(planted.raw, planted.speakers, texts)
    made = train_ctc(
        data, long, NETWORKS["tdnn"], CtcOptions(TrainingOptions(max_epochs=1)), pipeline=PIPELINE, held_out=HELD_OUT,
        folder=tmp_path, copies={2.0: Data(fast.raw, fast.speakers, texts)},
    )  # fmt: skip
    assert sorted(made.failures) == ["sp2-u00", "u00"]
    assert "0.68 s are too short for its transcript, which needs 5.35 s or more" in made.failures["u00"]  # 178 x 3 + 1
    with pytest.raises(CorpusError, match="no utterance that is held out"):
        train_ctc(data, long, NETWORKS["tdnn"], pipeline=PIPELINE, held_out=["u00"], folder=tmp_path / "other")


def test_hmms_are_not_asked_of_a_ctc_model(planted, trained, tmp_path):
    from asr.train.hybrid import train_hybrid

    made = trained("tdnn")
    with pytest.raises(ModelError, match="this is a model of CTC, which has no HMMs"):
        train_hybrid(planted, made, TdnnConfig(), held_out=HELD_OUT, folder=tmp_path / "other")


@pytest.mark.parametrize("kind", ["recurrent", "cnn_recurrent"])
def test_a_ctc_model_is_exported_and_says_the_same(planted, trained, kind, tmp_path):
    pytest.importorskip("onnxruntime")
    import asr
    from asr.model.export import export_onnx

    model = with_graph(trained(kind).model)
    exported = export_onnx(model, features=[planted.raw[HELD_OUT[0]]])
    assert exported.difference < 1e-4
    exported.model.save(tmp_path / "exported")
    again = asr.load(tmp_path / "exported")
    for u in HELD_OUT[:4]:
        assert again.transcribe_features(planted.raw[u]).text == model.transcribe_features(planted.raw[u]).text
        aligned = again.align_features(planted.raw[u], planted.transcripts[u])
        assert aligned.words == model.align_features(planted.raw[u], planted.transcripts[u]).words


def test_a_training_does_not_go_on_with_other_transcripts(planted, tmp_path):
    from asr.train.ctc import CtcOptions, train_ctc

    how = {"pipeline": PIPELINE, "held_out": HELD_OUT, "folder": tmp_path}
    train_ctc(planted, LEXICON, NETWORKS["tdnn"], CtcOptions(TrainingOptions(max_epochs=1)), **how)
    other = Data(planted.raw, planted.speakers, {**planted.transcripts, "u00": "ki ki"})
    with pytest.raises(ModelError, match="checkpoint of a training with other training utterances"):
        train_ctc(other, LEXICON, NETWORKS["tdnn"], CtcOptions(TrainingOptions(max_epochs=2)), **how)


def test_scores_that_are_no_numbers_are_the_trainings_matter():
    """Which tells the epoch, the batch and what to do; the loss itself does not complain."""
    from asr.nn.ctc import CtcLoss

    scores = torch.zeros(1, 5, 3)
    scores[0, 2, 1] = float("nan")
    assert not np.isfinite(float(CtcLoss(3)(scores, torch.tensor([5]), [(1,)]).total))


def test_ids_that_look_like_copies_are_utterances(planted, tmp_path):
    from asr.train.ctc import prepare

    names = {u: f"sp2-{u}" if u == "u00" else u for u in planted.raw}
    raw = FeatureTable.from_dict({names[u]: planted.raw[u] for u in planted.raw})
    texts = {names[u]: text for u, text in planted.transcripts.items()}
    speakers = dict.fromkeys(texts, "ann")
    fast = Data(FeatureTable.from_dict({"u01": planted.raw["u01"][::2]}), speakers, texts)
    how = {"pipeline": PIPELINE, "held_out": HELD_OUT, "copies": {2.0: fast}}
    ready = prepare(Data(raw, speakers, {**texts, "u02": "wer"}), replace(LEXICON, oov="skip"), NETWORKS["tdnn"], **how)
    assert {"sp2-u00", "sp2-u01", "u01"} <= set(ready.examples.features)
    assert ready.failures == {"u02": "its words are not all in the lexicon: wer"}
