"""The parts of networks beside numpy and torch's own layers."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from asr.nn import AttentionConfig, DnnConfig, RecurrentConfig
from asr.nn.attention import EncoderLayer, positions
from asr.nn.layers import ACTIVATIONS, BatchNorm, Dense, Normalize, fill_weights, frame_mask, splice, zero_padding
from asr.nn.networks import Activation
from asr.nn.recurrent import RecurrentLayer, turned_frames
from asr.nn.tdnn import SemiOrthogonal

LENGTHS = torch.tensor([7, 3, 1])


@pytest.fixture
def x():
    return torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(1))


@settings(deadline=None, max_examples=25)
@given(
    n_frames=st.integers(1, 9),
    offsets=st.lists(st.integers(-4, 4), min_size=1, max_size=4),
    stride=st.integers(1, 3),
)
def test_splice_takes_the_frames_it_says(n_frames, offsets, stride):
    x = torch.arange(1, n_frames + 1).float()[None, :, None]
    expected = [[t + o + 1.0 if 0 <= t + o < n_frames else 0.0 for o in offsets] for t in range(0, n_frames, stride)]
    assert splice(x, offsets, stride)[0].tolist() == expected


def test_padding_becomes_zero_even_where_it_is_not_a_number(x):
    mask = frame_mask(LENGTHS, 7)
    assert mask[..., 0].sum(dim=1).tolist() == LENGTHS.tolist()
    x[1, 3:] = math.nan
    y = zero_padding(x, mask)
    assert torch.equal(y[1, :3], x[1, :3])
    assert y[1, 3:].abs().sum() == 0


def test_normalize_brings_the_training_features_to_mean_0_and_deviation_1():
    features = np.random.default_rng(0).normal(3.0, 2.0, (500, 4)).astype(np.float32)
    features[:, 2] = 5.0
    normalize = Normalize(4)
    normalize.set_statistics(features.mean(axis=0), features.std(axis=0))
    y = normalize(torch.from_numpy(features))
    torch.testing.assert_close(y.mean(dim=0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(dim=0, unbiased=False), torch.tensor([1.0, 1.0, 0.0, 1.0]), atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="4 values"):
        normalize.set_statistics(np.zeros(3), np.ones(3))


def test_batch_norm_is_that_of_torch_on_the_real_frames(x):
    ours, theirs = BatchNorm(4), nn.BatchNorm1d(4)
    scale, shift = torch.tensor([1.0, 2.0, -1.0, 0.5]), torch.tensor([0.0, 1.0, 2.0, 3.0])
    for layer in (ours, theirs):
        layer.weight.data.copy_(scale)
        layer.bias.data.copy_(shift)
    real = frame_mask(LENGTHS, 7)
    weights = torch.randn(3, 7, 4)[real[..., 0]]
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        a, b = x.clone().requires_grad_(), x[real[..., 0]].clone().requires_grad_()
        y, z = ours(a, real)[real[..., 0]], theirs(b)
        torch.testing.assert_close(y, z)
        (y * weights).sum().backward()
        (z * weights).sum().backward()
        torch.testing.assert_close(a.grad[real[..., 0]], b.grad)
        assert a.grad[~real[..., 0]].abs().sum() == 0
        torch.testing.assert_close(ours.running_mean, theirs.running_mean)
        torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)
    torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)


def test_batch_norm_of_pictures_counts_every_frequency():
    x = torch.randn(2, 5, 6, 3)
    expected = nn.BatchNorm2d(3)(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    y = BatchNorm(3)(x, frame_mask(torch.tensor([5, 5]), 5)[..., None])
    torch.testing.assert_close(y, expected)


def test_activations_are_the_published_functions():
    x = np.linspace(-4, 4, 33)
    normal = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])
    exponential, sigmoid = np.expm1(np.minimum(x, 0)), 1 / (1 + np.exp(-x))
    selu = (1.0507009873554805, 1.6732632423543772)  # Klambauer et al., 2017
    expected = {
        "sigmoid": sigmoid, "tanh": np.tanh(x), "relu": np.maximum(x, 0), "leaky_relu": np.maximum(x, 0.01 * x),
        "elu": np.maximum(x, 0) + exponential, "selu": selu[0] * (np.maximum(x, 0) + selu[1] * exponential),
        "gelu": x * normal, "silu": x * sigmoid, "softplus": np.log1p(np.exp(x)),
    }  # fmt: skip
    assert set(expected) == set(ACTIVATIONS) == set(get_args(Activation))
    for name, values in expected.items():
        np.testing.assert_allclose(ACTIVATIONS[name]()(torch.from_numpy(x)), values, atol=1e-6, err_msg=name)


def test_dropout_keeps_the_mean_and_the_padding_zero(x):
    layer = Dense(4, 2000, DnnConfig(dropout=0.4, normalization="none", activation="softplus"))
    mask = frame_mask(LENGTHS, 7)
    trained = layer(x, mask)[0].detach()
    layer.eval()
    plain = layer(x, mask)[0].detach()
    assert (trained[0] == 0).float().mean() == pytest.approx(0.4, abs=0.02)
    assert trained.mean().item() == pytest.approx(plain.mean().item(), rel=0.02)
    assert trained[1, 3:].abs().sum() == plain[1, 3:].abs().sum() == 0


@pytest.mark.parametrize("shape", [(40, 90), (90, 40)])
def test_initial_weights_have_the_published_variances(shape):
    weight = torch.empty(shape)
    fill_weights(weight, "he")
    assert weight.var().item() == pytest.approx(2 / shape[1], rel=0.15)
    fill_weights(weight, "xavier")
    assert weight.var().item() == pytest.approx(2 / sum(shape), rel=0.1)
    fill_weights(weight, "orthogonal")
    narrow = weight if shape[0] < shape[1] else weight.T
    torch.testing.assert_close(narrow @ narrow.T, torch.eye(40), atol=1e-5, rtol=0)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("dim", "width"), [(30, 8), (8, 30)])
def test_semi_orthogonal_weights_come_to_orthogonal_rows_and_stay_in_evaluation(dim, width, half):
    layer = SemiOrthogonal(dim, width)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        for _ in range(60):
            layer(torch.zeros(1, dim))
    weight = layer.weight.detach()
    product = weight @ weight.T if width < dim else weight.T @ weight
    torch.testing.assert_close(product / product.diagonal().mean(), torch.eye(8), atol=1e-3, rtol=0)
    before = weight.clone()
    layer.eval()(torch.zeros(1, dim))
    assert torch.equal(layer.weight, before)


def test_frames_are_turned_within_each_utterance():
    turned = turned_frames(frame_mask(torch.tensor([4, 2]), 4))[..., 0]
    assert turned.tolist() == [[3, 2, 1, 0], [1, 0, 2, 3]]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_recurrent_layer_is_that_of_torch_run_on_each_utterance_alone(cell, x):
    layer = RecurrentLayer(4, RecurrentConfig(cell=cell, width=5))
    theirs = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](4, 5, batch_first=True, bidirectional=True)
    weights = dict(layer.forwards.named_parameters())
    weights |= {f"{name}_reverse": w for name, w in layer.backwards.named_parameters()}
    theirs.load_state_dict(weights)
    y = layer(x, frame_mask(LENGTHS, 7))
    for i, n in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(y[i, :n], theirs(x[i : i + 1, :n])[0][0])


def test_lstm_begins_with_forget_gates_open():
    bias = RecurrentLayer(4, RecurrentConfig(width=3)).forwards.bias_ih_l0
    assert bias.tolist() == [0] * 3 + [1] * 3 + [0] * 6


def test_encoder_layer_is_that_of_torch_on_each_utterance_alone():
    ours = EncoderLayer(AttentionConfig(width=8, heads=2, feedforward=12)).eval()
    theirs = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, norm_first=True).eval()
    names = {
        "self_attn.in_proj_": "queries_keys_values.",
        "self_attn.out_proj.": "merge.",
        "linear1.": "wide.",
        "linear2.": "narrow.",
        "norm1.": "norm_attention.",
        "norm2.": "norm_forward.",
    }
    weights = ours.state_dict()
    theirs.load_state_dict({a + kind: weights[b + kind] for a, b in names.items() for kind in ("weight", "bias")})
    x = torch.randn(3, 7, 8)
    y = ours(x, frame_mask(LENGTHS, 7)[:, None, None, :, 0])
    for i, n in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(y[i, :n], theirs(x[i : i + 1, :n])[0])


def test_positions_are_the_published_sines_and_cosines():
    table = positions(50, 6, torch.device("cpu"))
    for t in (0, 7, 49):
        for i in range(3):
            angle = t / 10000 ** (2 * i / 6)
            assert table[t, i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[t, i + 3].item() == pytest.approx(math.cos(angle), abs=1e-5)
