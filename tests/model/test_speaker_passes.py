"""Two passes and more: a speaker whose features are a known affine map away from the model's."""

from types import SimpleNamespace

import numpy as np
import pytest

from asr.features.affine import affine
from asr.gmm.model import DiagGmms
from asr.model.adaptation import ESTIMATES, UNADAPTED, SpeakerAdaptation, adapt, estimated, scores

MEANS = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0], [8.0, 2.0]])  # the first is silence
TRUTH = np.array([[1.2, 0.3, -2.2], [-0.2, 0.9, 1.0]])  # from the speaker's features to the model's
SILENCE = 1


class ArgMax:
    """A decoder without grammar: the likeliest pdf of each frame; label = pdf + 1."""

    def decode(self, loglikes):
        return SimpleNamespace(labels=(np.argmax(loglikes, axis=1) + 1).astype(np.int32))


def gmms(variance):
    n = len(MEANS)
    return DiagGmms(np.ones(n), MEANS, np.full(MEANS.shape, variance), np.arange(n + 1))


@pytest.fixture
def model():
    n = len(MEANS)
    transitions = SimpleNamespace(pdf_of_id=np.arange(-1, n), phone_of_id=np.arange(n + 1))
    lexicon, acoustic = SimpleNamespace(silence_id=SILENCE), gmms(0.5)
    return SimpleNamespace(
        acoustic=acoustic, adaptation=SpeakerAdaptation(gmms(1.0), acoustic), decoder=ArgMax(),
        hmms=SimpleNamespace(transitions=transitions), lexicon=lexicon,
    )  # fmt: skip


def adapted_scores(model, features, speakers, **options):
    return dict(scores(model, features, adapt(model, features, speakers, **options)))


def heard_by_the_model(rng, n_frames, pdfs=(0, 1, 2, 3, 4)):
    """Frames as the model would have them, and whose they are."""
    said = rng.choice(pdfs, n_frames)
    return MEANS[said] + rng.normal(0, 0.7, (n_frames, 2)), said


def said_by_the_speaker(frames):
    """The same frames as the speaker says them."""
    return ((frames - TRUTH[:, 2]) @ np.linalg.inv(TRUTH[:, :2]).T).astype(np.float32)


def test_a_second_estimate_is_nearer_to_the_truth(model):
    frames, said = heard_by_the_model(np.random.default_rng(0), 3000)
    features = {"a": said_by_the_speaker(frames[:1800]), "b": said_by_the_speaker(frames[1800:])}
    of = dict.fromkeys(features, "ann")
    found, right = {}, {}
    for n in (1, 2, 4):
        loglikes = adapted_scores(model, features, of, estimates=n)
        found[n] = np.concatenate([np.argmax(loglikes[u], axis=1) for u in features])
        right[n] = np.mean(found[n] == said)
    first_pass = model.adaptation.first_pass
    first = np.concatenate([np.argmax(first_pass.log_likelihoods(x), axis=1) for x in features.values()])
    assert np.mean(first == said) < right[1] < right[2] < right[4]
    at_best = np.argmax(model.acoustic.log_likelihoods(frames.astype(np.float32)), axis=1)
    assert right[4] > np.mean(at_best == said) - 0.01


def test_the_second_estimate_begins_where_the_first_ended(model):
    """The default is two estimates, and they are those of `estimated`, each of the pass before it."""
    frames, _ = heard_by_the_model(np.random.default_rng(1), 1500)
    features, of = {"a": said_by_the_speaker(frames)}, {"a": "ann"}
    decode = model.decoder.decode
    heard = {"a": decode(model.adaptation.first_pass.log_likelihoods(features["a"])).labels}
    one = estimated(model, features, heard, of)
    moved = affine(features["a"], one["ann"].matrix)
    heard = {"a": decode(model.acoustic.log_likelihoods(moved)).labels}
    two = estimated(model, features, heard, of, earlier=one)
    assert np.abs(two["ann"].matrix - TRUTH).max() < np.abs(one["ann"].matrix - TRUTH).max()
    expected = model.acoustic.log_likelihoods(affine(features["a"], two["ann"].matrix))
    assert ESTIMATES == 2
    np.testing.assert_array_equal(adapted_scores(model, features, of)["a"], expected)


def test_who_says_nothing_is_heard_by_the_model_of_the_first_pass(model):
    rng = np.random.default_rng(2)
    silent, _ = heard_by_the_model(rng, 300, pdfs=(0,))
    silent = (0.3 * silent).astype(np.float32)
    frames, _ = heard_by_the_model(rng, 900)
    features = {"a": silent, "b": said_by_the_speaker(frames), "c": np.zeros((0, 2), np.float32)}
    transforms = adapt(model, features, {"a": "ann", "b": "bob", "c": "cy"})
    assert {u: t.kind for u, t in transforms.items()} == {"a": "identity", "b": "full"}
    found = dict(scores(model, features, transforms))
    assert list(found) == ["a", "b", "c"] and found["c"].shape == (0, 5)
    np.testing.assert_array_equal(found["a"], model.adaptation.first_pass.log_likelihoods(silent))
    assert not np.array_equal(found["b"], model.adaptation.first_pass.log_likelihoods(features["b"]))


def test_a_model_that_does_not_adapt(model):
    model.adaptation = UNADAPTED
    features = {"a": MEANS.astype(np.float32)}
    assert adapt(model, features, {"a": "ann"}) == {}
    found = adapted_scores(model, features, {"a": "ann"})
    np.testing.assert_array_equal(found["a"], model.acoustic.log_likelihoods(features["a"]))
