"""Training with position-dependent phones and learnt pronunciation probabilities: planted answers, and real digits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import asr
from asr import audio
from asr.features.pipeline import FeaturePipeline
from asr.features.table import FeatureTable
from asr.gmm.mono import MonoOptions, train_mono
from asr.lang.lexicon import Lexicon
from asr.model import Model
from asr.model.graphs import with_graph
from asr.model.units import HmmUnits
from asr.model.word_times import count_pronunciations
from asr.train.data import Data
from asr.train.decoding import decode_all
from asr.train.mono import train_monophone

ENTRIES = (("ab", ("A", "B")), ("ab", ("A", "C")), ("ba", ("B", "A")), ("d", ("D",)))
SHORT = MonoOptions(num_iters=12, total_gaussians=30, max_iter_inc=8)
DIM = 13


@pytest.fixture(scope="module")
def task():
    """Features, transcripts, and how often each pronunciation was said: "ab" seldom as A C."""
    rng = np.random.default_rng(0)
    means = dict(zip(("SIL", "A", "B", "C", "D"), 5 * rng.standard_normal((5, DIM)), strict=True))
    features, transcripts, said = {}, {}, dict.fromkeys(ENTRIES, 0)
    for i in range(60):
        chosen = [ENTRIES[k] for k in rng.choice(4, rng.integers(1, 4), replace=False, p=[0.4, 0.1, 0.3, 0.2])]
        phones = ["SIL", *(phone for _, spelled in chosen for phone in spelled), "SIL"]
        frames = [phone for phone in phones for _ in range(rng.integers(7, 15))]
        features[f"u{i:02}"] = np.array([means[p] for p in frames]) + 0.6 * rng.normal(size=(len(frames), DIM))
        transcripts[f"u{i:02}"] = " ".join(word for word, _ in chosen)
        for entry in chosen:
            said[entry] += 1
    return FeatureTable.from_dict(features), transcripts, said


def trained(table, transcripts, lexicon):
    words = lexicon.encode_all(transcripts)
    return words, train_mono(table, words, lexicon, SHORT, seed=1)


def test_learnt_probabilities_are_those_of_the_planted_pronunciations(task, tmp_path):
    """Then a model with them, with positions too, decodes and aligns alike, before and after saving."""
    table, transcripts, said = task
    plain = Lexicon(ENTRIES)
    words, first = trained(table, transcripts, plain)
    counts = count_pronunciations(first.alignments, words, plain, first.transitions)
    assert counts == said
    learnt = replace(plain.estimate_probabilities(counts), position_dependent=True)
    ratio = (counts[ENTRIES[1]] + 1) / (counts[ENTRIES[0]] + 1)
    assert [e.probability for e in learnt.entries] == [1.0, ratio, 1.0, 1.0] and 0.1 < ratio < 0.7
    words, second = trained(table, transcripts, learnt)
    assert second.tree.n_pdfs == first.tree.n_pdfs == second.gmms.n_pdfs == 5 + 4 * 3

    pipeline = FeaturePipeline(8000, ({"kind": "mfcc"},))
    model = with_graph(Model(pipeline, learnt, HmmUnits(second.transitions, second.tree), second.gmms, graph=None))
    model = model.with_decoding(beam=1000.0)
    loaded = asr.load(model.save(tmp_path / "model"))
    assert loaded.lexicon == learnt and list(loaded.lexicon.phones)[2:6] == ["A_B", "A_E", "A_I", "A_S"]
    wrong = 0
    for utterance, text in transcripts.items():
        decoded = loaded.decode(table[utterance])
        assert decoded == model.decode(table[utterance])
        forced = loaded.align_features(table[utterance], decoded.text)
        np.testing.assert_array_equal(decoded.alignment, forced.alignment)
        assert decoded.words == forced.words
        begins = [p.start for p in decoded.phones if p.phone.endswith(("_B", "_S"))]
        ends = [p.end for p in decoded.phones if p.phone.endswith(("_E", "_S"))]
        assert [(w.start, w.end) for w in decoded.words] == list(zip(begins, ends, strict=True))
        wrong += decoded.text != text
    assert wrong == 0


@pytest.mark.slow
def test_digits_are_recognised_as_well_with_positions(fsdd):
    """The official test set, half of the training set and of the passes: 1 error in 300 without positions, 2 with."""
    plain = Lexicon.load(Path(__file__).parents[2] / "lang" / "digits" / "lexicon.tsv")
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    steps = ({"kind": "mfcc"}, {"kind": "cmvn", "mode": "speaker"}, {"kind": "delta", "order": 2, "window": 2})
    pipeline = FeaturePipeline(8000, steps)
    paths = [p for p in sorted(fsdd.glob("*.wav")) if int(p.stem.split("_")[2]) < 28]
    raw = FeatureTable.from_dict({p.stem: pipeline.front_end(audio.read(p).samples) for p in paths})
    data = Data(raw, {u: u.split("_")[1] for u in raw}, {u: names[int(u[0])] for u in raw})
    train, test = (data.where(lambda u, late=late: (int(u.split("_")[2]) >= 5) == late) for late in (True, False))
    errors, n_pdfs = [], set()
    for lexicon in (plain, replace(plain, position_dependent=True)):
        options = MonoOptions(num_iters=20, max_iter_inc=15)
        model, result = train_monophone(train, lexicon, pipeline, options)
        model = with_graph(model).with_decoding(acoustic_scale=1 / 12)
        errors.append(decode_all(model, test).score(test.references).errors)
        n_pdfs.add(result.gmms.n_pdfs)
    assert n_pdfs == {5 + 3 * 19}
    assert max(errors) <= 6, errors
