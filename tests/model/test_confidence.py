"""Confidences of a model's words: learnt from held-out words, kept with the model, and what is done with them."""

import json
from dataclasses import replace

import numpy as np
import pytest

import asr
from asr.errors import ModelError
from asr.model.confidence import (
    Calibrator,
    LatticeOptions,
    calibrate,
    calibrated,
    evidence_of,
    observed,
    without_unsure,
)
from asr.model.transcript import TimedWord, Transcript
from asr.scoring.confidence import reliability


def words_of(rng, n, honesty=1.0):
    """n words whose log-odds of being right are `honesty` times those of their confidence, and which are right."""
    odds = rng.normal(1.5, 2.0, n)
    words = [
        TimedWord(
            "w" * int(rng.integers(1, 9)), float(i), i + float(rng.uniform(0.1, 0.9)), float(1 / (1 + np.exp(-x)))
        )
        for i, x in enumerate(odds)
    ]
    return words, rng.random(n) < 1 / (1 + np.exp(-honesty * odds))


def test_what_posteriors_are_worth_is_learnt():
    rng = np.random.default_rng(0)
    words, right = words_of(rng, 3000, honesty=0.4)
    calibrator = Calibrator.of(evidence_of(words), right)
    assert calibrator is not None and calibrator.n_words == 3000
    new, new_right = words_of(rng, 3000, honesty=0.4)
    raw = reliability(np.array([w.confidence for w in new]), new_right)
    found = reliability(calibrator.probabilities(evidence_of(new)), new_right)
    assert found.calibration_error < 0.03 < 0.1 < raw.calibration_error and found.cross_entropy > raw.cross_entropy


def test_weights_are_those_of_greatest_likelihood():
    """Against scipy's general minimiser without slopes."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(1)
    words, right = words_of(rng, 400)
    inputs = np.column_stack([evidence_of(words), np.ones(400)])

    def loss(w):
        ridge = 0.5 * 1e-3 * 400 * (w[:-1] ** 2).sum()
        return np.logaddexp(0, -np.where(right, 1, -1) * (inputs @ w)).sum() + ridge

    found = Calibrator.of(evidence_of(words), right)
    other = minimize(loss, np.zeros(7), method="Powell", options={"xtol": 1e-8, "ftol": 1e-12}).x
    assert loss(np.array(found.weights)) <= loss(other) + 1e-4


def test_of_few_words_nothing_is_learnt():
    rng = np.random.default_rng(2)
    words, right = words_of(rng, 99)
    assert Calibrator.of(evidence_of(words), right) is None
    words, _ = words_of(rng, 500)
    assert Calibrator.of(evidence_of(words), np.ones(500, bool)) is None


def test_evidence_is_of_each_word_and_its_neighbours():
    words = [TimedWord("ab", 0.0, 0.5, 0.5), TimedWord("abcd", 0.5, 1.5, 0.9), TimedWord("a", 2.0, 2.0, None)]
    found = evidence_of(words)
    odds = np.log([1.0, 9.0])
    assert found[:2, 0] == pytest.approx(odds) and found[2, 0] > 13
    assert found[:, 1] == pytest.approx([0.0, 2.0, 2.0]) and found[:, 2] == pytest.approx([0.0, odds[1], 5.0])
    assert found[:, 3] == pytest.approx([odds[1], odds[0], odds[1]])
    assert found[:, 4] == pytest.approx(np.log([0.5, 1.0, 0.01])) and found[:, 5] == pytest.approx(np.log([2, 4, 1]))
    assert evidence_of([]).shape == (0, 6)


def test_transcripts_are_compared_with_what_was_said():
    words = tuple(TimedWord(w, i, i + 0.5, 0.8) for i, w in enumerate(["a", "b", "c"]))
    evidence, right = observed({"u": "a x c", "v": ""}, {"u": Transcript("a b c", words), "v": Transcript("")})
    assert right.tolist() == [True, False, True] and evidence.shape == (3, 6)
    assert calibrate({"u": "a x c"}, {"u": Transcript("a b c", words)}) is None


def test_unsure_words_are_left_out_or_marked():
    words = (TimedWord("a", 0, 1, 0.9), TimedWord("b", 1, 2, 0.2), TimedWord("c", 2, 3, None))
    transcript = Transcript("a b c", words)
    left = without_unsure(transcript, 0.5)
    assert left.text == "a c" and [w.word for w in left.words] == ["a", "c"]
    marked = without_unsure(transcript, 0.5, marks=True)
    assert marked.text == "a (b) c" and len(marked.words) == 3
    with pytest.raises(ValueError, match="least"):
        LatticeOptions(least=1.5)
    with pytest.raises(ValueError, match="n_best"):
        LatticeOptions(0)


def test_a_model_gives_alternatives_and_keeps_its_calibrator(tmp_path):
    model = asr.load("digits")
    samples = np.random.default_rng(0).normal(0, 0.01, 16000).astype(np.float32)
    plain = model.transcribe(samples, 16000)
    found = model.with_alternatives(3, beam=20.0).transcribe(samples, 16000)
    assert found.text == plain.text and found.score == pytest.approx(plain.score, abs=1e-3)
    assert [w.word for w in found.words] == [w.word for w in plain.words]
    assert all(0 <= w.confidence <= 1 for w in found.words)
    texts = [other.text for other in found.alternatives]
    assert texts[0] == found.text and len(set(texts)) == len(texts) <= 3
    scores = [other.score for other in found.alternatives]
    assert scores == sorted(scores, reverse=True)
    calibrator = Calibrator((1.0, 0.5, 0.1, 0.1, -0.1, 0.2, -2.0), 500)
    replace(model, calibrator=calibrator).save(tmp_path / "model")
    again = asr.load(tmp_path / "model")
    assert again.calibrator == calibrator
    sure = again.with_alternatives().transcribe(samples, 16000)
    raw = model.with_alternatives().transcribe(samples, 16000)
    assert sure.is_calibrated == bool(sure.words) or not sure.words
    expected = [w.confidence for w in calibrated(raw, calibrator).words]
    assert [w.confidence for w in sure.words] == expected


@pytest.mark.parametrize("wrong", [{"weights": [1.0], "n_words": 3}, {"weights": "abc"}, {"n_words": 1}, {}])
def test_damaged_calibrators_are_refused(tmp_path, wrong):
    model = asr.load("digits")
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"calibrator": wrong}))
    with pytest.raises(ModelError, match=r"model\.json.*weights"):
        asr.load(tmp_path / "model")
