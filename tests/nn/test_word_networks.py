"""Language models that are networks: probabilities that are some, files, and what they learn."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from asr.errors import ConfigError, LanguageModelError
from asr.lm import Vocabulary, count, estimate
from asr.lm.mixing import mixed_perplexity, tuned_weight
from asr.nn.lm import OPTIONS, NeuralModel, WordNetworkConfig, train_words
from asr.nn.lm.networks import build_words

KINDS = ("lstm", "gru", "transformer")
WORDS = ("a", "b", "c", "d", "e")
SENTENCES = ["a b c", "", "e d c b a a b", "c", "x d"]


def model_of(kind, layers=2):
    """An untrained model, whose probabilities are far from even."""
    vocabulary = Vocabulary.of(WORDS)
    config = WordNetworkConfig(kind, 16, layers, heads=2)
    network = build_words(config, len(vocabulary), seed=3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3.0)
    return NeuralModel(vocabulary, network, config)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_is_scored_as_word_by_word(kind):
    model = model_of(kind)
    found = model.scores(SENTENCES)
    for sentence, score in zip(SENTENCES, found, strict=True):
        log_probs, state = model.start()
        expected = 0.0
        for word in [*sentence.split(), "</s>"]:
            assert np.exp(log_probs).sum() == pytest.approx(1.0)
            number = model.vocabulary.id(word)
            expected += log_probs[number]
            log_probs, state = model.step(state, number)
        assert score == pytest.approx(expected, abs=1e-4)
        assert model.score(sentence) == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_what_follows_does_not_change_what_was_before(kind):
    model = model_of(kind)
    first, second = (model.token_log_probs(model.vocabulary.encode([s])) for s in ("a b c d", "a b e e e e e"))
    assert first[:3] == pytest.approx(second[:3], abs=1e-5)
    assert first[3] != pytest.approx(second[3], abs=1e-3)


def test_perplexity_counts_as_that_of_ngrams_does():
    model = model_of("lstm")
    ngrams = estimate(count(["a b c d e"], 2))
    mine, theirs = model.perplexity(SENTENCES), ngrams.perplexity(SENTENCES)
    assert (mine.n_words == theirs.n_words).all() and (mine.n_unknown == theirs.n_unknown).all()
    total = (mine.known + mine.ends).sum()
    assert mine.total() == pytest.approx(math.exp(-total / (mine.n_words.sum() - 1 + len(SENTENCES))))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_holds_all(kind, tmp_path):
    model = model_of(kind)
    model.save(tmp_path / "lm.safetensors")
    again = NeuralModel.load(tmp_path / "lm.safetensors")
    assert again.config == model.config and again.vocabulary == model.vocabulary
    assert (again.scores(SENTENCES) == model.scores(SENTENCES)).all()


def test_damaged_and_other_files_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    model, path = model_of("gru"), tmp_path / "lm.safetensors"
    model.save(path)
    whole, tensors = path.read_bytes(), load_file(path)
    words = json.dumps(model.vocabulary.names)
    about = {"format": "hclg language model 1", "config": '{"kind": "gru", "width": 16, "layers": 2}', "words": words}
    faults = [
        ({"format": "pt"}, tensors, "asr lm train --neural"),
        (about | {"words": "[1, 2]"}, tensors, "damaged"),
        (about | {"words": json.dumps(["<unk>", "<s>", "</s>", "a"])}, tensors, "its tensors are not those"),
        (about | {"config": '{"kind": "cnn"}'}, tensors, "damaged"),
        (about | {"config": '{"kind": "gru", "width": 1e9}'}, tensors, "damaged"),
        (about, {**tensors, "bias": tensors["bias"] * np.nan}, "not a finite number"),
    ]
    for metadata, content, message in faults:
        save_file(content, path, metadata=metadata)
        with pytest.raises(LanguageModelError, match=message):
            NeuralModel.load(path)
    for length in (0, 6, 100, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(LanguageModelError, match="damaged"):
            NeuralModel.load(path)
    with pytest.raises(LanguageModelError, match="missing"):
        NeuralModel.load(tmp_path / "missing.safetensors")


def test_sizes_out_of_range_are_refused():
    for wrong in ({"kind": "rnn"}, {"width": 0}, {"width": 10**6}, {"layers": 0}, {"dropout": 1.0}):
        with pytest.raises(ConfigError):
            WordNetworkConfig(**wrong)
    with pytest.raises(ConfigError, match="heads"):
        WordNetworkConfig("transformer", 20, heads=4)
    with pytest.raises(LanguageModelError, match="vocabulary of 4"):
        NeuralModel(Vocabulary.of(["a"]), model_of("lstm").network, WordNetworkConfig())


def far_words(n, rng):
    """Sentences that end as they began, which no trigram can know: an opening word, three fillers, its closing word."""
    return [f"o{k} {' '.join(rng.choice(list('xyz'), 3))} c{k}" for k in rng.integers(0, 6, n)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_learns_what_ngrams_cannot(kind, tmp_path):
    rng = np.random.default_rng(0)
    train, held_out, test = far_words(600, rng), far_words(100, rng), far_words(200, rng)
    config = WordNetworkConfig(kind, 32, 2 if kind == "transformer" else 1, heads=2, dropout=0.1)
    options = replace(
        OPTIONS, max_epochs=15, patience=0, batch_frames=128, learning_rate=1e-2 if kind != "transformer" else 3e-3
    )
    calls = []
    model, result = train_words(
        train, held_out, config, options, folder=tmp_path, progress=lambda done, total: calls.append(done / total)
    )
    # Of six tokens one is one of six, three are one of three, and two are certain.
    least = math.exp((math.log(6) + 3 * math.log(3)) / 6)
    ngrams = estimate(count(train, 3))
    assert least < model.perplexity(test).total() < 1.1 * least < 1.2 * least < ngrams.perplexity(test).total()
    assert calls[-1] == 1.0 and result.best_loss == pytest.approx(math.log(least), abs=0.1)
    # The trigrams add nothing to it.
    assert tuned_weight(model, ngrams, held_out) > 0.9
    assert mixed_perplexity(model, ngrams, test)[0] <= 1.0001 * model.perplexity(test).total()


def test_training_needs_sentences(tmp_path):
    with pytest.raises(LanguageModelError, match="0 held out"):
        train_words(["a"], [], folder=tmp_path)
