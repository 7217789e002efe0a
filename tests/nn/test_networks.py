"""Networks as wholes: padding, receptive field, subsampling, settings, and a network of one's own."""

import dataclasses
import json
import subprocess
import sys
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from asr.errors import ConfigError
from asr.nn import (
    AttentionConfig,
    CnnConfig,
    DnnConfig,
    Network,
    NetworkConfig,
    RecurrentConfig,
    TdnnConfig,
    build,
    config_from_json,
    register,
    to_json,
)

DIM, N_OUTPUTS = 8, 5
OFFSETS = ((-1, 0, 2), (-2, 1), (-3, 0, 3))
SMALL = {
    "dnn": DnnConfig(context=2, hidden=(6, 7), zero_output=False),
    "tdnn": TdnnConfig(width=6, offsets=OFFSETS, zero_output=False),
    "tdnn-f": TdnnConfig(width=6, offsets=OFFSETS, bottleneck=3, normalization="layer", zero_output=False),
    "cnn": CnnConfig(
        maps=2, channels=(3, 4), pool=(2, 1), pointwise=2, width=6, offsets=((-1, 0, 1), (-3, 3)), zero_output=False
    ),
    "lstm": RecurrentConfig(layers=2, width=4, context=1, zero_output=False),
    "gru": RecurrentConfig(cell="gru", layers=2, width=4, bidirectional=False, zero_output=False),
    "attention": AttentionConfig(layers=2, width=8, heads=2, feedforward=12, context=1, zero_output=False),
}
CONVOLUTIONAL = ["dnn", "tdnn", "tdnn-f", "cnn"]
BUILT = {
    (name, subsampling): build(dataclasses.replace(config, subsampling=subsampling), DIM, N_OUTPUTS)
    for (name, config), subsampling in product(SMALL.items(), (1, 3))
}


def network_of(name, subsampling=1):
    """A small network in evaluation, whose batch normalisation has seen data."""
    network = build(dataclasses.replace(SMALL[name], subsampling=subsampling), DIM, N_OUTPUTS)
    network(torch.randn(4, 30, DIM, generator=torch.Generator().manual_seed(2)), torch.full((4,), 30))
    return network.eval()


@pytest.mark.parametrize("subsampling", [1, 3])
@pytest.mark.parametrize("name", SMALL)
@settings(deadline=None, max_examples=6)
@given(lengths=st.lists(st.integers(1, 14), min_size=1, max_size=4))
def test_an_utterance_scores_the_same_alone_as_among_others(name, subsampling, lengths):
    network, n_frames = BUILT[name, subsampling].eval(), max(lengths) + 2
    network.normalize.set_statistics(np.full(DIM, 0.5), np.full(DIM, 2.0))
    features = torch.randn(len(lengths), n_frames, DIM)
    for row, length in zip(features, lengths, strict=True):
        row[length:] = torch.nan
    with torch.no_grad():
        together = network(features, torch.tensor(lengths))
        assert together.shape == (len(lengths), -(-n_frames // subsampling), N_OUTPUTS)
        assert network.output_lengths(torch.tensor(lengths)).tolist() == [-(-n // subsampling) for n in lengths]
        for i, length in enumerate(lengths):
            alone = network(features[i : i + 1, :length], torch.tensor([length]))[0]
            assert len(alone) == -(-length // subsampling)
            torch.testing.assert_close(together[i, : len(alone)], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_padding_changes_nothing_in_training_either(name):
    config = dataclasses.replace(SMALL[name], dropout=0.0)
    x, lengths = torch.randn(2, 9, DIM), torch.tensor([6, 4])
    gradients = []
    for n_frames, filler in ((6, 0.0), (9, torch.nan)):
        network, features = build(config, DIM, N_OUTPUTS), x[:, :n_frames].clone()
        features[0, 6:], features[1, 4:] = filler, filler
        scores = network(features, lengths)
        (scores[0, :6].square().sum() + scores[1, :4].square().sum()).backward()
        gradients.append([p.grad for p in network.parameters()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("subsampling", [1, 3])
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_an_output_depends_on_the_configured_frames_and_no_others(name, subsampling):
    config = dataclasses.replace(SMALL[name], activation="tanh", normalization="none", subsampling=subsampling)
    if name == "cnn":  # a maximum passes no gradient to what is not the largest
        config = dataclasses.replace(config, pool=(1, 1))
    network, row = build(config, DIM, N_OUTPUTS).eval(), 8
    features = torch.randn(1, 45, DIM, requires_grad=True)
    network(features, torch.tensor([45]))[0, row].sum().backward()
    seen = np.flatnonzero(features.grad[0].abs().sum(dim=1)) - row * subsampling
    assert seen.tolist() == sorted(expected_frames(name, config))
    assert network.context == max(-seen.min(), seen.max())


def expected_frames(name, config):
    """The frames around its own that an output sees: sums of one offset per layer."""
    if name == "dnn":
        return set(range(-config.context, config.context + 1))
    layers = list(config.offsets)
    if name == "tdnn-f":  # a factorised layer joins the past and the future, and its input passes by it
        layers[1:] = [
            {a + b for a in {0, *filter(lambda o: o < 0, frames)} for b in {0, *filter(lambda o: o > 0, frames)}}
            for frames in layers[1:]
        ]
    if name == "cnn":
        layers += [(-1, 0, 1)] * len(config.channels)
    return {sum(path) for path in product(*layers)}


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_subsampling_computes_every_third_of_the_outputs(name):
    every, third = network_of(name), network_of(name, subsampling=3)
    third.load_state_dict(every.state_dict())
    features, lengths = torch.randn(2, 22, DIM), torch.tensor([22, 13])
    torch.testing.assert_close(third(features, lengths), every(features, lengths)[:, ::3], atol=1e-5, rtol=1e-4)


def test_dnn_is_the_textbook_formula():
    config = DnnConfig(context=1, hidden=(6,), activation="sigmoid", normalization="none", zero_output=False)
    network = build(config, 3, 4).eval()
    mean, std = np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 0.5])
    network.normalize.set_statistics(mean, std)
    weights = [w.detach().numpy().astype(np.float64) for w in network.parameters()]
    features = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    padded = np.pad((features - mean) / std, ((1, 1), (0, 0)))
    spliced = np.hstack([padded[:-2], padded[1:-1], padded[2:]])
    hidden = 1 / (1 + np.exp(-(spliced @ weights[0].T + weights[1])))
    scores = network(torch.from_numpy(features)[None], torch.tensor([5])).detach().numpy()[0]
    np.testing.assert_allclose(scores, hidden @ weights[2].T + weights[3], atol=1e-5)


def test_cnn_is_torchs_convolutions_and_poolings():
    """Two pictures of four frequencies, 3x3 kernels, the largest of two neighbours, and 1x1 as a matrix product."""
    sizes = {"maps": 2, "channels": (3, 4), "pool": (2, 1), "pointwise": 2, "width": 6, "offsets": ((0,),)}
    network = build(CnnConfig(**sizes, normalization="none", zero_output=False), DIM, N_OUTPUTS).eval()
    x, functional = torch.randn(1, 9, DIM), nn.functional
    first, second, pointwise = (picture.convolution for picture in network.pictures)
    pictures = x.reshape(1, 9, 2, 4).permute(0, 2, 1, 3)  # (batch, maps, frames, frequencies)
    pictures = functional.conv2d(pictures, first.weight, first.bias, padding=1).relu()
    pictures = torch.maximum(pictures[..., ::2], pictures[..., 1::2])
    pictures = functional.conv2d(pictures, second.weight, second.bias, padding=1).relu()
    values = (pictures.permute(0, 2, 3, 1) @ pointwise.weight[:, :, 0, 0].T + pointwise.bias).relu()
    (layer,) = network.layers
    expected = network.output(layer.linear(values.flatten(2)).relu())
    torch.testing.assert_close(network(x, torch.tensor([9])), expected)


def test_every_class_is_equally_likely_at_the_start_and_the_seed_decides_the_rest():
    config = dataclasses.replace(SMALL["dnn"], zero_output=True)
    state = torch.get_rng_state()
    a, b, c = (build(config, DIM, N_OUTPUTS, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert a(torch.randn(1, 4, DIM), torch.tensor([4])).abs().sum() == 0
    first = [n.layers[0].linear.weight for n in (a, b, c)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


@pytest.mark.parametrize("name", SMALL)
def test_settings_come_back_from_json(name):
    table = json.loads(json.dumps(to_json(SMALL[name])))
    assert table["kind"] == SMALL[name].kind
    assert config_from_json(table) == SMALL[name]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"kind": "tdn"}, "did you mean 'tdnn'"),
        ({}, "kind is None"),
        ({"kind": "dnn", "hiden": [3]}, "did you mean 'hidden'"),
        ({"kind": "dnn", "activation": "rleu"}, "did you mean 'relu'"),
        ({"kind": "recurrent", "cell": "lsmt"}, "did you mean 'lstm'"),
        ({"kind": "dnn", "hidden": []}, "hidden="),
        ({"kind": "dnn", "dropout": 1.0}, "dropout=1.0"),
        ({"kind": "tdnn", "subsampling": 0}, "subsampling=0"),
        ({"kind": "tdnn", "offsets": [[0], []]}, "offsets="),
        ({"kind": "cnn", "kernel": [2, 3]}, "odd"),
        ({"kind": "cnn", "pool": [2]}, "one number per convolution"),
        ({"kind": "attention", "width": 6, "heads": 4}, "multiple of twice heads"),
    ],
)
def test_a_wrong_setting_is_named_with_the_nearest_right_one(table, message):
    with pytest.raises(ConfigError, match=message) as found:
        config_from_json(table, where="a.toml: network.")
    assert str(found.value).startswith("a.toml: network")


def test_a_wrong_name_in_python_is_named_too():
    with pytest.raises(ConfigError, match=r"DnnConfig\.normalization is 'bacth'; did you mean 'batch'"):
        DnnConfig(normalization="bacth")


def test_features_that_are_no_pictures_are_refused():
    with pytest.raises(ConfigError, match="not 3 equal maps"):
        build(CnnConfig(maps=3), 40, N_OUTPUTS)
    with pytest.raises(ConfigError, match="leaves nothing"):
        build(CnnConfig(), 3, N_OUTPUTS)


@dataclass(frozen=True)
class GatedConfig(NetworkConfig):
    kind: ClassVar[str] = "gated"
    width: int = 16


class Gated(Network):
    def __init__(self, config, dim, n_outputs):
        super().__init__(dim, n_outputs)
        self.values, self.gates = nn.Linear(dim, config.width), nn.Linear(dim, config.width)
        self.output = nn.Linear(config.width, n_outputs)

    def forward(self, features, lengths):
        x, _ = self.start(features, lengths)
        return self.output(self.values(x) * self.gates(x).sigmoid())


def test_a_network_of_ones_own_is_registered_and_learns():
    with pytest.raises(ConfigError, match="not registered"):
        build(GatedConfig(), DIM, 2)
    register("gated", GatedConfig, Gated)
    network = build(config_from_json({"kind": "gated", "width": 12}), DIM, 2)
    features = torch.randn(3, 20, DIM, generator=torch.Generator().manual_seed(0))
    labels, lengths = (features[..., 0] > 0).long(), torch.tensor([20, 20, 20])
    optimizer, losses = torch.optim.Adam(network.parameters(), lr=0.05), []
    for _ in range(30):
        loss = nn.functional.cross_entropy(network(features, lengths).flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_toolkits_names_are_kept_and_half_a_network_is_refused():
    with pytest.raises(ConfigError, match="toolkit's own"):
        register("dnn", DnnConfig, nn.Module)
    with pytest.raises(ConfigError, match="kind: ClassVar"):
        register("other", GatedConfig, Gated)

    @dataclass(frozen=True)
    class BareConfig(NetworkConfig):
        kind: ClassVar[str] = "bare"

    register("bare", BareConfig, lambda config, dim, n_outputs: nn.Linear(dim, n_outputs))
    with pytest.raises(ConfigError, match="lacks dim, n_outputs"):
        build(BareConfig(), DIM, N_OUTPUTS)


def test_settings_are_read_without_torch_and_building_says_what_to_install():
    script = """
import sys
sys.modules["torch"] = None
from asr.errors import AsrError
from asr.extras import install
from asr.nn import build, config_from_json
try:
    build(config_from_json({"kind": "tdnn"}), 3, 4)
except AsrError as error:
    assert install("nn") in str(error) and "[nn]'" in install("nn")
else:
    raise SystemExit("built without torch?")
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
