"""Monophone training: planted phones are found again, processes and seeds do what they promise, trouble is reported."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from asr import audio
from asr.errors import ModelError
from asr.features import delta, mfcc
from asr.features.table import FeatureTable
from asr.gmm import mono
from asr.gmm.em import MStepOptions, update
from asr.gmm.mono import MonoOptions, flat_start, train_mono
from asr.gmm.passes import make_parts, pass_over
from asr.gmm.schedule import Run, usable_utterances
from asr.hmm.topology import Topology
from asr.hmm.transitions import TransitionModel
from asr.hmm.tree import MonophoneTree
from asr.lang.lexicon import Lexicon

REFERENCE = Path(__file__).parents[1] / "references" / "gmm.npz"
LEXICON = Lexicon((("ab", ("A", "B")), ("bc", ("B", "C")), ("ca", ("C", "A"))))
MEANS = {"SIL": (0.0, 0.0), "A": (6.0, 0.0), "B": (0.0, 6.0), "C": (-6.0, -6.0)}
SHORT = MonoOptions(num_iters=12, total_gaussians=25, max_iter_inc=8)


def planted(n_utterances=60, seed=0):
    """Features, transcripts and the true phone of every frame: silence, one to three words, silence."""
    rng = np.random.default_rng(seed)
    features, transcripts, truth = {}, {}, {}
    for i in range(n_utterances):
        words = rng.choice(["ab", "bc", "ca"], rng.integers(1, 4)).tolist()
        phones = ["SIL", *(p for w in words for p in LEXICON.entries_of(w)[0].phones), "SIL"]
        frames = [p for p in phones for _ in range(rng.integers(7, 15))]
        features[f"u{i:02}"] = np.array([MEANS[p] for p in frames]) + 0.6 * rng.normal(size=(len(frames), 2))
        transcripts[f"u{i:02}"] = LEXICON.encode(" ".join(words))
        truth[f"u{i:02}"] = [LEXICON.phones[p] for p in frames]
    return FeatureTable.from_dict(features), transcripts, truth


@pytest.fixture(scope="module")
def task():
    return planted()


@pytest.fixture(scope="module")
def result(task):
    return train_mono(task[0], task[1], LEXICON, SHORT, seed=1)


def test_planted_phones_are_found(task, result):
    right = total = 0
    for utterance, truth in task[2].items():
        found = result.transitions.phone_of_id[result.alignments[utterance]]
        right += int((found == truth).sum())
        total += len(truth)
    assert right / total > 0.97  # the true phones overlap by less than a thousandth


def test_planted_means_are_found(result):
    for phone, mean in MEANS.items():
        pdf = result.tree.pdf((LEXICON.phones[phone],), 1)
        rows = slice(result.gmms.offsets[pdf], result.gmms.offsets[pdf + 1])
        np.testing.assert_allclose(result.gmms.weights[rows] @ result.gmms.means[rows], mean, atol=0.5)


def test_log_tells_each_pass(task, result):
    log = result.log
    assert [r.iteration for r in log] == list(range(12))
    assert all(r.n_frames == len(task[0].frames) and r.n_failed == 0 and not r.fell for r in log)
    assert [r.realigned for r in log] == [i in mono.REALIGN_ITERS for i in range(12)]
    assert log[-1].log_likelihood > log[0].log_likelihood + 1
    assert log[0].n_gaussians == result.tree.n_pdfs < log[-1].n_gaussians <= 25


def test_likelihood_never_falls_without_splits_or_realignments(task):
    options = MonoOptions(num_iters=6, realign_iters=(), total_gaussians=14)
    log = train_mono(task[0], task[1], LEXICON, options, seed=1).log
    assert log[0].n_gaussians == log[-1].n_gaussians == 14
    assert (np.diff([r.log_likelihood for r in log]) >= -1e-6).all()


def test_repeatable_and_seeded(task, result):
    again = train_mono(task[0], task[1], LEXICON, SHORT, seed=1)
    other = train_mono(task[0], task[1], LEXICON, SHORT, seed=2)
    np.testing.assert_array_equal(again.gmms.means, result.gmms.means)
    assert not np.array_equal(other.gmms.means, result.gmms.means)


def test_two_processes_give_the_same_model(task, monkeypatch):
    monkeypatch.setattr(mono, "PART_FRAMES", 1500)
    options = MonoOptions(num_iters=4, total_gaussians=20, max_iter_inc=3)
    calls = []
    one = train_mono(task[0], task[1], LEXICON, options, seed=3)
    two = train_mono(
        task[0], task[1], LEXICON, options, seed=3, n_jobs=2, progress=lambda done, n: calls.append((done, n))
    )
    np.testing.assert_array_equal(two.gmms.means, one.gmms.means)
    np.testing.assert_array_equal(two.transitions.log_probs, one.transitions.log_probs)
    assert two.log[-1].log_likelihood == one.log[-1].log_likelihood
    assert two.alignments.keys() == one.alignments.keys() == set(task[1])
    assert calls == [(i + 1, 4) for i in range(4)]


def test_parts_hold_every_utterance_once(task, result):
    parts = make_parts(task[0], task[1], LEXICON, result.tree, result.transitions, part_frames=700)
    assert len(parts) > 2
    assert sorted(u for part in parts for u in part.ids) == sorted(task[1])
    for part in parts:
        for utterance, features in part.features().items():
            np.testing.assert_array_equal(features, task[0][utterance])


def test_bad_utterances_are_reported_and_the_rest_is_used(task, caplog):
    features = {u: task[0][u] for u in list(task[1])[:20]}
    features["short"] = np.zeros((3, 2), np.float32)
    features["nan"] = np.full((50, 2), np.nan, np.float32)
    features["unheard"] = np.zeros((50, 2), np.float32)
    transcripts = {u: task[1].get(u, [1]) for u in features if u != "unheard"}
    transcripts["nowhere"] = [1]
    with caplog.at_level(logging.WARNING):
        found = train_mono(FeatureTable.from_dict(features), transcripts, LEXICON, SHORT)
    assert set(found.failures) == {"short", "nan", "nowhere"}
    assert "3 frames" in found.failures["short"] and "finite" in found.failures["nan"]
    assert "no features" in found.failures["nowhere"]
    assert set(found.alignments) == set(list(task[1])[:20])
    assert found.log[-1].n_failed == 3
    assert "nan: its features are not all finite" in caplog.text and "short: 3 frames" in caplog.text


def test_utterances_that_no_beam_aligns_are_warned_of_at_the_end(task, caplog):
    features = {u: 20 * task[0][u] for u in task[1]}
    transcripts = {**task[1], "u07": LEXICON.encode("bc bc")}
    assert transcripts["u07"] != task[1]["u07"]
    options = MonoOptions(num_iters=12, total_gaussians=14, retry_beam=12.0)
    with caplog.at_level(logging.INFO):
        found = train_mono(FeatureTable.from_dict(features), transcripts, LEXICON, options)
    assert "u07" in found.failures and "u07" not in found.alignments
    after = caplog.records[[r.getMessage().startswith("pass 11") for r in caplog.records].index(True) + 1 :]
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING and "no alignment" in r.getMessage()]
    assert len(warnings) == 1 and warnings[0] in after  # a later pass may find what an earlier one lost
    assert "u07: no path through its transcript" in warnings[0].getMessage() and "1 failed" in caplog.text


def test_nothing_usable_is_an_error():
    short = FeatureTable.from_dict({f"u{i}": np.random.default_rng(i).normal(size=(3, 2)) for i in range(5)})
    with pytest.raises(ModelError, match=r"no utterance can be aligned.*u0: 3 frames.*and 2 more"):
        train_mono(short, {u: [1] for u in short}, LEXICON, SHORT)
    one = FeatureTable.from_dict(dict.fromkeys(short, np.zeros((1, 2), np.float32)))  # as a mean of one frame leaves it
    with pytest.raises(ModelError, match=r"no utterance can be aligned.*all 5 are too short: u0: 1 frames"):
        train_mono(one, {u: [1] for u in one}, LEXICON, SHORT)
    with pytest.raises(ModelError, match="no utterance has both features and a transcript: x: it has a transcript"):
        usable_utterances(short, {"x": [1]})
    with pytest.raises(ModelError, match="no utterance has both"):
        usable_utterances(short, {})


@pytest.mark.parametrize("value", [2.5, 0.1, -1e6 / 3, 0.0])
def test_constant_feature_is_an_error(task, value):
    features = {u: np.hstack([task[0][u], np.full((len(task[0][u]), 1), value)]) for u in task[0]}
    with pytest.raises(ModelError, match=f"feature 2 is {value:g} in every frame"):
        train_mono(FeatureTable.from_dict(features), task[1], LEXICON, SHORT)


def test_boosting_silence_moves_frames_but_not_the_model(task):
    options = {"num_iters": 3, "realign_iters": (2,), "acoustic_scale": 1.0, "beam": 500.0, "total_gaussians": 14}
    plain = train_mono(task[0], task[1], LEXICON, MonoOptions(**options), seed=1)
    boosted = train_mono(task[0], task[1], LEXICON, MonoOptions(**options, boost_silence=1e6), seed=1)
    # The last pass aligns with the boost; its likelihood is that of the unboosted model, and cannot gain 13 nats.
    assert boosted.log[2].log_likelihood <= plain.log[2].log_likelihood + 1e-6

    def silence(result):
        return sum(
            int((result.transitions.phone_of_id[ids] == LEXICON.silence_id).sum()) for ids in result.alignments.values()
        )

    assert silence(boosted) > silence(plain)


def test_a_fall_is_warned_of(caplog):
    run = SimpleNamespace(options=MonoOptions(), size_changed=False, log=[SimpleNamespace(log_likelihood=-50.0)])
    fell = Run._fell
    with caplog.at_level(logging.WARNING):
        assert not fell(run, 1, -50.0, False) and not fell(run, 1, -50.05, True)
        assert not caplog.text
        assert fell(run, 1, -50.05, False)
        assert "pass 1: the likelihood fell by 0.0500 to -50.0500" in caplog.text
        assert fell(run, 1, -50.2, True)
        run.size_changed = True
        assert not fell(run, 1, -50.05, False)


@pytest.mark.parametrize("wrong", [{"num_iters": 0}, {"total_gaussians": 0}, {"boost_silence": 0.0}])
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ModelError, match=next(iter(wrong))):
        MonoOptions(**wrong)


def test_passes_equal_kaldis():
    """From Kaldi's first alignment on, five passes of Viterbi training without splits give what Kaldi recorded."""
    with np.load(REFERENCE) as stored:
        kaldi = {name: stored[name] for name in stored.files if name.startswith("training_")}
    ids = kaldi["training_ids"].tolist()
    table = FeatureTable(ids, kaldi["training_features"], np.concatenate([[0], np.cumsum(kaldi["training_lengths"])]))
    pronunciations = [("zero", "AB"), ("zero", "BA"), ("one", "BC"), ("two", "CAB")]
    lexicon = Lexicon(tuple((word, tuple(phones)) for word, phones in pronunciations))
    transcripts = {u: lexicon.encode(["zero", "one", "two"][int(u[0])]) for u in ids}
    topology = Topology.kaldi(range(2, 5), [1])
    tree = MonophoneTree.from_topology(topology)
    transitions = TransitionModel.from_tree(topology, tree)
    (part,) = make_parts(table, transcripts, lexicon, tree, transitions)
    first = {u: kaldi["training_first"][a:b] for u, a, b in zip(ids, table.offsets, table.offsets[1:], strict=False)}
    alignment = part.together(first)
    gmms = flat_start(table, ids[:10], tree.n_pdfs)
    log = []
    for iteration in range(5):
        options = MonoOptions().align_options(iteration) if iteration else None
        result = pass_over(part, alignment, gmms, transitions, options, None)
        alignment = result.transition_ids
        log.append(result.statistics.log_likelihood / result.statistics.n_frames)
        gmms = update(gmms, result.statistics, MStepOptions(min_gaussian_occupancy=10.0 if iteration else 3.0))
        transitions = transitions.updated(result.transition_counts)
    np.testing.assert_allclose(log, kaldi["training_log"], atol=1e-4)
    found = part.by_utterance(alignment)
    np.testing.assert_array_equal(np.concatenate([found[u] for u in ids]), kaldi["training_last"])
    np.testing.assert_allclose(gmms.means, kaldi["training_means"], atol=1e-4)
    np.testing.assert_allclose(gmms.variances, kaldi["training_variances"], rtol=1e-3)
    np.testing.assert_allclose(transitions.log_probs, kaldi["training_log_probs"], atol=1e-4)


@pytest.mark.slow
def test_real_speech_reaches_kaldis_likelihood(fsdd):
    """The digits' official training split: Kaldi's code on the same features gave -88.44, -88.00 and -88.13."""
    digits = Lexicon.load(Path(__file__).parents[2] / "lang" / "digits" / "lexicon.tsv")
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    paths = [p for p in sorted(fsdd.glob("*.wav")) if int(p.stem.split("_")[2]) >= 5]
    raw = {p.stem: mfcc(*audio.read(p), use_energy=False) for p in paths}
    means = {
        speaker: np.concatenate([x for u, x in raw.items() if u.split("_")[1] == speaker]).mean(axis=0)
        for speaker in {u.split("_")[1] for u in raw}
    }
    table = FeatureTable.from_dict({u: delta(x - means[u.split("_")[1]]) for u, x in raw.items()})
    result = train_mono(table, {u: digits.encode(names[int(u[0])]) for u in table}, digits)
    assert not result.failures and not any(r.fell for r in result.log)
    assert result.log[-1].log_likelihood > -88.18
