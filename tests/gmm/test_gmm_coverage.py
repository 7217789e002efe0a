"""Training data that cannot teach everything: what is said about it, and that training goes on."""

import logging
from pathlib import Path

import numpy as np
import pytest

from asr import audio
from asr.display.brief import many
from asr.features import cmvn, cmvn_statistics, delta, mfcc
from asr.features.table import FeatureTable
from asr.gmm.coverage import warn_of_retried
from asr.gmm.mono import MonoOptions, train_mono
from asr.lang.lexicon import Lexicon

LEXICON = Lexicon((("ab", ("A", "B")), ("abc", ("A", "B", "C")), ("ba", ("B", "A")), ("dab", ("D", "A", "B"))))
MEANS = {"SIL": 0.0, "A": 5.0, "B": -5.0, "C": 10.0}
OPTIONS = MonoOptions(num_iters=6, total_gaussians=30, max_iter_inc=4)


def spoken(words, rng, frames_a_phone=8):
    """Features of a few words with silence around them."""
    phones = ["SIL", *(p for w in words.split() for p in LEXICON.entries_of(w)[0].phones), "SIL"]
    means = np.repeat([[MEANS[p], -MEANS[p]] for p in phones], frames_a_phone, axis=0)
    return means + rng.normal(size=means.shape)


def train(texts, caplog, level=logging.INFO):
    rng = np.random.default_rng(0)
    table = FeatureTable.from_dict({u: spoken(text, rng) for u, text in texts.items()})
    with caplog.at_level(level):
        return train_mono(table, {u: LEXICON.encode(text) for u, text in texts.items()}, LEXICON, OPTIONS)


def test_a_phone_that_never_occurs_keeps_the_global_gaussian(caplog):
    result = train({f"u{i}": "ab ba" for i in range(20)}, caplog)
    assert "2 untrained phones (C, D): no transcript has one" in caplog.text
    assert "words that need them: abc, dab" in caplog.text
    kept = [result.tree.pdf((LEXICON.phones["D"],), c) for c in range(3)]
    rows = [slice(*result.gmms.offsets[p : p + 2]) for p in kept]
    assert all(row.stop - row.start == 1 for row in rows)
    rng = np.random.default_rng(0)
    frames = np.concatenate([spoken("ab ba", rng) for _ in range(20)])
    for row in rows:
        np.testing.assert_allclose(result.gmms.means[row][0], frames.mean(axis=0), atol=1e-4)
        np.testing.assert_allclose(result.gmms.variances[row][0], frames.var(axis=0), rtol=1e-4)


def test_a_word_that_never_occurs_but_whose_phones_do_is_no_warning(caplog):
    lexicon = Lexicon((*LEXICON.entries[:1], LEXICON.entries[2], ("!SIL", ("SIL",))))
    rng = np.random.default_rng(0)
    table = FeatureTable.from_dict({f"u{i}": spoken("ab", rng) for i in range(20)})
    with caplog.at_level(logging.INFO):
        train_mono(table, {u: lexicon.encode("ab") for u in table}, lexicon, OPTIONS)
    assert "2 words of the lexicon in no transcript; the phones of 2 are trained without them" in caplog.text
    assert "untrained" not in caplog.text


def test_one_utterance(caplog):
    result = train({"only": "ab"}, caplog)
    assert "1 utterance in 1 part" in caplog.text and "1 utterances" not in caplog.text
    assert "2 hardly trained phones (A, B): 10 frames or fewer in one of their HMM states" in caplog.text
    assert set(result.alignments) == {"only"} and np.isfinite(result.log[-1].log_likelihood)


def test_wrong_transcripts_show_in_the_retried_utterances(caplog):
    rng = np.random.default_rng(1)
    said = {f"u{i:02}": "ab ba abc" if i % 2 else "ba ab" for i in range(40)}
    written = {u: ("abc abc abc" if u in ("u03", "u20") else text) for u, text in said.items()}
    table = FeatureTable.from_dict({u: 3.0 * spoken(text, rng) for u, text in said.items()})
    with caplog.at_level(logging.WARNING):
        result = train_mono(table, {u: LEXICON.encode(t) for u, t in written.items()}, LEXICON, OPTIONS)
    suspects = {*result.retried, *result.failures}
    assert suspects and suspects <= {"u03", "u20"}


@pytest.mark.slow
def test_a_fifth_of_real_transcripts_wrong(fsdd, caplog):
    """With right transcripts nothing is warned of; with wrong ones, the utterances named are nearly all wrong."""
    lexicon = Lexicon.load(Path(__file__).parents[2] / "lang" / "digits" / "lexicon.tsv")
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    paths = [p for p in sorted(fsdd.glob("*.wav")) if 5 <= int(p.stem.split("_")[2]) < 20]
    raw = {p.stem: mfcc(*audio.read(p), use_energy=False) for p in paths}
    speakers = {s: cmvn_statistics([x for u, x in raw.items() if s in u]) for s in {u.split("_")[1] for u in raw}}
    table = FeatureTable.from_dict(
        {u: delta(cmvn(x, mode="speaker", statistics=speakers[u.split("_")[1]])) for u, x in raw.items()}
    )
    rng, right = np.random.default_rng(0), {u: names[int(u[0])] for u in table}
    wrong = {u: (str(rng.choice(names)) if rng.random() < 0.2 else text) for u, text in right.items()}
    options = MonoOptions(num_iters=12, total_gaussians=200, max_iter_inc=8)
    with caplog.at_level(logging.WARNING):
        train_mono(table, {u: lexicon.encode(text) for u, text in right.items()}, lexicon, options)
        assert not caplog.records
        result = train_mono(table, {u: lexicon.encode(text) for u, text in wrong.items()}, lexicon, options)
    assert "often needed the retry beam to be aligned; look at their transcripts and audio" in caplog.text
    assert np.mean([wrong[u] != right[u] for u in result.retried]) > 0.8


def test_few_retried_utterances_are_usual(caplog):
    with caplog.at_level(logging.INFO):
        warn_of_retried(["x"], 900)
        warn_of_retried([], 900)
        assert [r.levelname for r in caplog.records] == ["INFO"]
        warn_of_retried([f"u{i}" for i in range(15)], 900)
    assert caplog.records[-1].levelname == "WARNING"
    assert "15 utterances of 900" in caplog.text and "u9 and 5 more" in caplog.text


@pytest.mark.parametrize(("n", "text"), [(0, "0 parts"), (1, "1 part"), (2, "2 parts")])
def test_counted(n, text):
    assert many(n, "part") == text
