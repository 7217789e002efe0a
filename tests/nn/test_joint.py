"""The joint system of CTC and attention: its parts by hand, its search against others, and a small task learnt."""

import itertools
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from asr.ctc import CtcTokens, PrefixOptions, PrefixSearch, greedy
from asr.errors import ConfigError, LanguageModelError, ModelError
from asr.features.pipeline import FeaturePipeline
from asr.lang.lexicon import Lexicon
from asr.lm import train as train_lm
from asr.model import Model, load
from asr.model.acoustic import log_posteriors
from asr.model.decoder_file import DECODER_FILE, load_decoder, save_decoder
from asr.model.graphs import with_graph
from asr.model.joint_search import JointSearch, JointSearchOptions
from asr.model.torch import NetworkAcoustic
from asr.model.units import CtcUnits
from asr.nn import (
    AttentionConfig,
    CnnConfig,
    CnnRecurrentConfig,
    DnnConfig,
    Network,
    RecurrentConfig,
    TdnnConfig,
    build,
)
from asr.nn.batches import Examples
from asr.nn.checkpoints import read_state
from asr.nn.ctc.attention import END, AttentionDecoder, cross_entropy, teacher_forcing
from asr.nn.ctc.joint import JointLoss, JointNetwork
from asr.nn.options import DecoderConfig, SpecAugmentOptions, TrainingOptions
from asr.nn.training import _narrow_type, train_network
from asr.train.ctc import SEARCH, CtcOptions
from asr.train.joint import JointOptions, train_joint

DIM = 6
WORDS = {"papa": ("P", "A", "P", "A"), "tata": ("T", "A", "T", "A"), "ki": ("K", "I"), "aa": ("A", "A")}
LEXICON = Lexicon(tuple(WORDS.items()))
N_COLUMNS = LEXICON.n_phones + 1
SAID = [p for p in range(1, N_COLUMNS) if p != LEXICON.silence_id]
NAMES = [LEXICON.phones.name(p) for p in SAID]
PIPELINE = FeaturePipeline(0, ({"kind": "given", "dim": DIM, "frame_shift": 10.0},))
ENCODER = RecurrentConfig(layers=1, width=12, context=1, dropout=0.0, subsampling=3, zero_output=False)
SMALL = DecoderConfig(width=10, embedding=6, attention=8, channels=3, reach=2, dropout=0.0)
KINDS = {
    "dnn": DnnConfig(hidden=(8,), context=1, subsampling=2),
    "tdnn": TdnnConfig(width=8, offsets=((-1, 0, 1), (-3, 0, 3)), subsampling=3),
    "cnn": CnnConfig(channels=(2,), pool=(2,), offsets=((-1, 0, 1),), width=8),
    "recurrent": replace(ENCODER, normalization="layer"),
    "cnn_recurrent": CnnRecurrentConfig(layers=1, width=8, channels=(2,), pool=(1,), beside=2, subsampling=2),
    "attention": AttentionConfig(layers=1, width=8, heads=2, feedforward=8, subsampling=2),
}


def untrained(seed=0, n_columns=N_COLUMNS, config=SMALL, lexicon=LEXICON):
    """A model and a decoder with random weights, strong enough that strings differ in their scores."""
    encoder = build(ENCODER, DIM, n_columns, seed=seed).eval()
    decoder = JointNetwork(encoder, config, seed=seed).decoder.eval()
    with torch.no_grad():
        for weight in (encoder.output.weight, decoder.output.weight, decoder.energy.weight):
            weight.mul_(4.0)
    acoustic = NetworkAcoustic(encoder, ENCODER, np.zeros(n_columns, np.float32), 0.0)
    return Model(PIPELINE, lexicon, CtcUnits(CtcTokens(n_columns - 1)), acoustic, None, SEARCH, 0), decoder


def noise(n_frames, seed=0):
    return np.random.default_rng(seed).normal(size=(n_frames, DIM)).astype(np.float32)


# ---- the network and the decoder


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_network_has_rows_that_a_decoder_can_look_at(kind):
    network = build(KINDS[kind], DIM, 5).eval()
    x, lengths = torch.randn(2, 13, DIM), torch.tensor([13, 8])
    rows = network.encode(x, lengths)
    assert rows.shape == (2, -(-13 // network.subsampling), network.output.in_features)
    assert torch.equal(network(x, lengths), network.output(rows))
    assert torch.equal(JointNetwork(network, SMALL)(x, lengths), rows)


def test_a_network_without_rows_is_refused():
    class Whole(Network):
        def forward(self, features, lengths):
            return features

    with pytest.raises(ModelError, match="Whole has no rows that a decoder could look at"):
        JointNetwork(Whole(3, 3), SMALL)
    with pytest.raises(ModelError, match="neither encode nor forward; define one"):
        Network(3, 3).encode(torch.zeros(1, 2, 3), torch.tensor([2]))


@pytest.mark.parametrize("channels", [0, 3])
def test_padding_and_company_change_nothing(channels):
    torch.manual_seed(0)
    decoder = AttentionDecoder(replace(SMALL, channels=channels), 7, 5).eval()
    rows, lengths = torch.randn(3, 9, 7), torch.tensor([9, 4, 6])
    targets = [(1, 2, 2, 3), (4,), ()]
    inputs, wanted = teacher_forcing(targets)
    assert inputs.shape == wanted.shape == (3, 5)
    soiled = rows.clone()
    soiled[1, 4:], soiled[2, 6:] = math.nan, 1e9
    scores = decoder(decoder.remember(soiled, lengths), inputs)
    assert scores.shape == (3, 5, 5)
    total = cross_entropy(scores, wanted)
    alone = 0.0
    for i, target in enumerate(targets):
        mine, my_wanted = teacher_forcing([target])
        memory = decoder.remember(rows[i : i + 1, : lengths[i]], lengths[i : i + 1])
        found = decoder(memory, mine)
        torch.testing.assert_close(found[0], scores[i, : len(target) + 1], rtol=1e-5, atol=1e-5)
        log_probs = found[0].detach().log_softmax(1)
        alone -= sum(float(log_probs[place, unit]) for place, unit in enumerate([*target, END]))
        assert float(cross_entropy(found.detach(), my_wanted)) >= 0
    assert float(total.detach()) == pytest.approx(alone, rel=1e-5)


def test_one_step_by_hand():
    torch.manual_seed(1)
    decoder = AttentionDecoder(SMALL, 4, 3).eval()
    memory = decoder.remember(torch.randn(1, 5, 4), torch.tensor([5]))
    _, state = decoder.step(torch.tensor([END]), decoder.start(memory), memory)
    scores, after = decoder.step(torch.tensor([2]), state, memory)
    padded = torch.nn.functional.pad(state.weights[0], (2, 2))
    energies = []
    for t in range(5):
        where = decoder.convolution.weight[:, 0] @ padded[t : t + 5]
        inner = decoder.key(memory.rows[0, t]) + decoder.query(state.hidden[0]) + decoder.place(where)
        energies.append(decoder.energy.weight[0] @ torch.tanh(inner))
    weights = torch.stack(energies).softmax(0)
    torch.testing.assert_close(after.weights[0], weights)
    seen = weights @ memory.rows[0]
    heard = torch.cat([decoder.embedding.weight[2], seen])
    hidden, _ = decoder.cell(heard[None], (state.hidden, state.cell))
    torch.testing.assert_close(scores, decoder.output(torch.cat([hidden[0], seen]))[None])


def test_the_loss_is_the_weighted_sum_and_its_gradient_reaches_every_weight():
    network = JointNetwork(build(ENCODER, DIM, 5), SMALL)
    features, lengths = torch.randn(2, 30, DIM), torch.tensor([30, 24])
    targets = [(1, 2, 2), (4, 3)]
    out_lengths = torch.tensor([10, 8])
    rows = network(features, lengths)
    found = JointLoss(network, 0.3, 0.1)(rows, out_lengths, targets)
    heard = JointLoss(network, 0.3).ctc(network.encoder.output(rows), out_lengths, targets)
    scores = network.decoder(network.decoder.remember(rows, out_lengths), teacher_forcing(targets)[0])
    said = cross_entropy(scores, teacher_forcing(targets)[1], 0.1)
    assert float(found.total.detach()) == pytest.approx(float((0.3 * heard.total + 0.7 * said).detach()), rel=1e-5)
    assert (found.n_frames, found.errors) == (5.0, heard.errors)
    found.total.backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert without == []
    network.eval()
    smooth, sharp = (JointLoss(network, 0.3, s)(network(features, lengths), out_lengths, targets) for s in (0.5, 0.0))
    assert torch.equal(smooth.total, sharp.total)  # held-out losses are not smoothed


@pytest.mark.skipif(_narrow_type(torch.device("cpu")) is None, reason="this processor has no bfloat16")
def test_half_precision_is_near():
    network = JointNetwork(build(ENCODER, DIM, 5), SMALL)
    features, lengths, targets = torch.randn(2, 30, DIM), torch.tensor([30, 24]), [(1, 2, 2), (4, 3)]
    loss, out_lengths = JointLoss(network), torch.tensor([10, 8])
    exact = float(loss(network(features, lengths), out_lengths, targets).total.detach())
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(network(features, lengths), out_lengths, targets).total
    found.backward()
    assert float(found.detach()) == pytest.approx(exact, rel=0.03)


def test_what_does_not_fit_is_told():
    network = JointNetwork(build(ENCODER, DIM, 5), SMALL)
    with pytest.raises(ModelError, match="3 units need 4 rows; there are 3"):
        JointLoss(network)(torch.zeros(1, 3, 24), torch.tensor([3]), [(1, 1, 2)])
    for weight in (0.0, 1.0, math.nan):
        with pytest.raises(ConfigError, match="ctc_weight"):
            JointLoss(network, weight)
        with pytest.raises(ConfigError, match="ctc_weight"):
            JointOptions(ctc_weight=weight)
    with pytest.raises(ConfigError, match="smoothing=1"):
        JointLoss(network, 0.5, 1.0)
    with pytest.raises(ConfigError, match="decoder: width=0; need 1 or more"):
        DecoderConfig(width=0)
    with pytest.raises(ConfigError, match="decoder: dropout=1"):
        DecoderConfig(dropout=1)


# ---- the search


@pytest.fixture(scope="module")
def lm():
    return train_lm(["P A P A", "T A T A K I", "A A", "K I A A", ""], 3, words=NAMES, smoothing="witten-bell")


def open_search(model, decoder, weight, lm=None, **changes):
    options = JointSearchOptions(weight, beam_size=100_000, beam=math.inf, **changes)
    return JointSearch(model, decoder, lm, options)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("with_lm", [False, True])
def test_without_attention_it_is_the_prefix_search(seed, with_lm, lm):
    model, decoder = untrained(seed)
    features = noise(13, seed)
    changes = {"lm_weight": 0.6, "insertion_bonus": 0.4} if with_lm else {}
    found = open_search(model, decoder, 0.0, lm if with_lm else None, **changes).search(features, 5)
    log_probs = log_posteriors(model.acoustic, features)[:, [0, *SAID]]
    options = PrefixOptions(100_000, math.inf, **{"lm_weight": 0.0, **changes})
    expected = PrefixSearch(NAMES, lm if with_lm else None, options).search(log_probs, 5)
    assert [s.units.tolist() for s in found] == [[SAID[k - 1] for k in p.tokens] for p in expected]
    np.testing.assert_allclose([s.score for s in found], [p.score for p in expected], atol=1e-5)
    np.testing.assert_allclose([s.ctc for s in found], [p.ctc for p in expected], atol=1e-5)
    np.testing.assert_allclose([s.lm for s in found], [p.lm for p in expected], atol=1e-5)
    assert all(s.attention == 0.0 for s in found)


@pytest.mark.parametrize("weight", [0.4, 1.0])
def test_open_beams_equal_all_strings(weight, lm):
    model, decoder = untrained(5)
    features = noise(12, 5)  # 4 rows
    found = open_search(model, decoder, weight, lm, lm_weight=0.5, insertion_bonus=0.2).search(features, 4)
    log_probs = log_posteriors(model.acoustic, features)[:, [0, *SAID]]
    spelled = {
        tuple(p.tokens.tolist()): p.ctc
        for p in PrefixSearch(NAMES, None, PrefixOptions(100_000, math.inf)).search(log_probs, 100_000)
    }
    rows = model.acoustic.networks[0].encode(torch.from_numpy(features)[None], torch.tensor([12]))
    memory = decoder.remember(rows, torch.tensor([4]))
    expected = {}
    for length in range(5):
        for string in itertools.product(range(1, len(SAID) + 1), repeat=length):
            units = tuple(SAID[k - 1] for k in string)
            inputs, wanted = teacher_forcing([units])
            with torch.inference_mode():
                attention = -float(cross_entropy(decoder(memory, inputs), wanted))
            ctc = spelled.get(string, -math.inf)
            score = weight * attention + ((1 - weight) * ctc if weight < 1 else 0.0) + 0.2 * length
            expected[units] = score + 0.5 * lm.score([NAMES[k - 1] for k in string])
    best = sorted(expected, key=lambda units: -expected[units])[:4]
    assert [tuple(s.units.tolist()) for s in found] == best
    np.testing.assert_allclose([s.score for s in found], [expected[units] for units in best], atol=1e-4)


def test_strings_are_distinct_and_narrow_beams_find_none_better():
    model, decoder = untrained(2)
    features = noise(40, 2)
    wide = JointSearch(model, decoder, None, JointSearchOptions(beam_size=50)).search(features, 10)
    narrow = JointSearch(model, decoder, None, JointSearchOptions(beam_size=2)).search(features, 10)
    for found in (wide, narrow):
        scores = [s.score for s in found]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(s.units.tolist()) for s in found}) == len(found)
        for s in found:
            assert s.score == pytest.approx(0.5 * s.attention + 0.5 * s.ctc)
            assert LEXICON.silence_id not in s.units
    assert narrow[0].score <= wide[0].score + 1e-9


def test_no_frames_no_units_and_one_row_one_unit():
    model, decoder = untrained()
    (found,) = JointSearch(model, decoder).search(np.zeros((0, DIM), np.float32))
    assert found.units.tolist() == [] and found.score == 0.0
    found = open_search(model, decoder, 1.0).search(noise(2), 1000)
    assert max(len(s.units) for s in found) == 1 and len(found) == 1 + len(SAID)


def test_what_cannot_be_searched_is_told(lm):
    model, decoder = untrained()
    for change, message in (
        ({"attention_weight": 1.5}, "attention_weight=1.5; must be 0 to 1"),
        ({"beam_size": 0}, "beam_size=0"),
        ({"beam": 0.0}, "beam=0.0"),
        ({"lm_weight": -1.0}, "lm_weight=-1.0"),
        ({"insertion_bonus": math.inf}, "insertion_bonus=inf"),
    ):
        with pytest.raises(ValueError, match=message):
            JointSearchOptions(**change)
    with pytest.raises(ModelError, match="the decoder is for rows of 7 values and 5 columns"):
        JointSearch(model, AttentionDecoder(SMALL, 7, 5))
    with pytest.raises(LanguageModelError, match="the language model has no token 'K'"):
        other = train_lm(["P A", "T I"], 2)
        JointSearch(model, decoder, other, JointSearchOptions(lm_weight=1.0))
    with pytest.raises(ModelError, match="the acoustic model needs"):
        JointSearch(model, decoder).search(np.zeros((4, DIM + 1), np.float32))
    with pytest.raises(ValueError, match="n_best=0"):
        JointSearch(model, decoder).search(noise(9), 0)
    twice = replace(model, acoustic=NetworkAcoustic([model.acoustic.networks[0]] * 2, [ENCODER] * 2))
    with pytest.raises(ModelError, match="a model with one network, as train_joint"):
        JointSearch(twice, decoder)


# ---- training


HELD_OUT = [f"u{i:02}" for i in range(75, 90)]
TRAINING = TrainingOptions(max_epochs=35, batch_frames=500, learning_rate=0.01, schedule="cosine", patience=0)


def planted_units(data, u):
    return [LEXICON.phones[p] for word in data.transcripts[u].split() for p in WORDS[word]]


@pytest.fixture(scope="module")
def learnt(planted, tmp_path_factory):
    options = JointOptions(CtcOptions(TRAINING), DecoderConfig(width=32, embedding=16, attention=16, reach=3), 0.5)
    encoder = replace(ENCODER, width=24, zero_output=True)
    folder = tmp_path_factory.mktemp("joint")
    return train_joint(planted, LEXICON, encoder, options, pipeline=PIPELINE, held_out=HELD_OUT, folder=folder)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_a_planted_task_is_learnt(planted, learnt, weight):
    """By the joint search, and by each of its parts: that decoder and CTC both have learnt it."""
    model = learnt.stage.model
    search = JointSearch(model, learnt.decoder, None, JointSearchOptions(weight))
    ready = planted.select(HELD_OUT).normalised(model.features)
    wrong = [u for u in HELD_OUT if search.search(ready[u])[0].units.tolist() != planted_units(planted, u)]
    assert len(wrong) <= (1 if weight == 0.5 else 2)


def test_the_model_alone_is_one_of_ctc(planted, learnt):
    model = learnt.stage.model
    ready = planted.select(HELD_OUT).normalised(model.features)
    said = [greedy(log_posteriors(model.acoustic, ready[u]))[0].tolist() for u in HELD_OUT]
    assert sum(s != planted_units(planted, u) for s, u in zip(said, HELD_OUT, strict=True)) <= 2
    assert model.align_features(planted.raw[HELD_OUT[0]], planted.transcripts[HELD_OUT[0]]).words
    recogniser = with_graph(model)
    wrong = [u for u in HELD_OUT if recogniser.transcribe_features(planted.raw[u]).text != planted.transcripts[u]]
    assert len(wrong) <= 1


def test_a_training_begins_with_another_model_s_weights(planted, learnt, tmp_path):
    """With steps that are next to nothing, the network says what the model says; only its batch statistics move."""
    model, still = learnt.stage.model, replace(TRAINING, max_epochs=1, learning_rate=1e-7)
    options = JointOptions(CtcOptions(still), SMALL)
    settings = {"pipeline": PIPELINE, "held_out": HELD_OUT, "start": model}
    encoder = replace(ENCODER, width=24, zero_output=True)
    made = train_joint(planted, LEXICON, encoder, options, folder=tmp_path / "same", **settings)
    ready = planted.select(HELD_OUT).normalised(model.features)
    for u in HELD_OUT:
        rows, expected = (m.acoustic.log_likelihoods(ready[u]) for m in (made.stage.model, model))
        assert greedy(log_softmax(rows, axis=1))[0].tolist() == greedy(log_softmax(expected, axis=1))[0].tolist()
        assert np.abs(rows - expected).mean() < 0.1
    with pytest.raises(ModelError, match="the model to start from has another network"):
        train_joint(planted, LEXICON, replace(encoder, width=16), options, folder=tmp_path / "other", **settings)
    other = Lexicon((*WORDS.items(), ("a", ("B", "A"))))
    with pytest.raises(ModelError, match="the model to start from has other units"):
        train_joint(planted, other, encoder, options, folder=tmp_path / "units", **settings)
    heard = replace(model, features=PIPELINE.then_affine(np.eye(DIM)))
    with pytest.raises(ModelError, match="the model to start from has other features"):
        train_joint(planted, LEXICON, encoder, options, folder=tmp_path / "heard", **settings | {"start": heard})


def test_saved_and_loaded_it_says_the_same(planted, learnt, tmp_path):
    model = learnt.stage.model
    model.save(tmp_path / "model")
    with pytest.raises(ModelError, match="a model's directory is replaced when it is saved"):
        save_decoder(learnt.decoder, model, tmp_path / "model")
    assert save_decoder(learnt.decoder, model, tmp_path) == tmp_path / DECODER_FILE
    again = load(tmp_path / "model")
    decoder = load_decoder(again, tmp_path)
    assert decoder.config == learnt.decoder.config and not decoder.training
    ready = planted.select(HELD_OUT).normalised(again.features)
    before, after = JointSearch(model, learnt.decoder), JointSearch(again, decoder)
    for u in HELD_OUT[:5]:
        one, two = before.search(ready[u], 3), after.search(ready[u], 3)
        assert [s.units.tolist() for s in one] == [s.units.tolist() for s in two]
        # Not to the bit: torch sums otherwise where memory begins elsewhere.
        np.testing.assert_allclose([s.score for s in one], [s.score for s in two], atol=1e-5)


def test_a_damaged_or_foreign_decoder_is_refused(tmp_path):
    model, decoder = untrained()
    file = save_decoder(decoder, model, tmp_path / "work" / DECODER_FILE)
    whole = file.read_bytes()
    with pytest.raises(ModelError, match="there is no decoder"):
        load_decoder(model, tmp_path)
    with pytest.raises(ModelError, match="it is the decoder of another model"):
        load_decoder(untrained(1)[0], file)
    for damaged in (
        whole[:-1],
        whole[:40],
        b"",
        whole[:-8] + bytes(8),
        whole.replace(b'\\"width\\": 10', b'\\"width\\": 11'),
        whole.replace(b'\\"width\\"', b'\\"widht\\"'),
        whole.replace(b'\\"format\\": 1', b'\\"format\\": 2'),
    ):
        assert damaged != whole
        file.write_bytes(damaged)
        with pytest.raises(ModelError, match=DECODER_FILE):
            load_decoder(model, file)
    file.write_bytes(whole)
    assert load_decoder(model, file.parent).config == SMALL


KILLED = TrainingOptions(
    max_epochs=3, batch_frames=500, schedule="cosine", warmup_steps=3, checkpoint_every_seconds=0.0, l2=1e-4,
    spec_augment=SpecAugmentOptions(time_masks=1),
)  # fmt: skip


def joint_of(planted, ctc_weight=0.3):
    table = planted.raw.select(list(planted.raw)[:30])
    targets = {u: tuple(planted_units(planted, u)) for u in table}
    ids = list(table)
    network = JointNetwork(build(replace(ENCODER, dropout=0.2), DIM, N_COLUMNS), replace(SMALL, dropout=0.2))
    loss = JointLoss(network, ctc_weight)
    return network, loss, *(Examples(table.select(some), targets) for some in (ids[:24], ids[24:]))


def test_interrupted_and_resumed_it_ends_with_the_same_bits(planted, tmp_path):
    class Interrupted(Exception):
        pass

    network, *rest = joint_of(planted)
    whole = train_network(network, *rest, KILLED, folder=tmp_path / "whole")
    at = 0

    def interrupt(done, total):
        nonlocal at
        at += 1
        if at == 11:  # told before the checkpoint of this batch, after that of the one before
            raise Interrupted

    other, *rest = joint_of(planted)
    with pytest.raises(Interrupted):
        train_network(other, *rest, KILLED, folder=tmp_path / "cut", progress=interrupt)
    position = read_state(tmp_path / "cut" / "last")["position"]
    assert 0 < position["step"] < whole.curves[-1].step and position["batch"] > 0
    again, *rest = joint_of(planted)
    resumed = train_network(again, *rest, KILLED, folder=tmp_path / "cut")
    without_time = [[{**asdict(p), "seconds": 0} for p in r.curves] for r in (whole, resumed)]
    assert without_time[0] == without_time[1]
    weights = network.state_dict()
    assert any(name.startswith("decoder.") for name in weights)
    assert [k for k, v in again.state_dict().items() if not torch.equal(v, weights[k])] == []
    other, *rest = joint_of(planted, ctc_weight=0.5)
    with pytest.raises(ModelError, match="of a training with other loss options"):
        train_network(other, *rest, KILLED, folder=tmp_path / "cut")
