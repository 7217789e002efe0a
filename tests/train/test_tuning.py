"""Between features and a tested model: selecting data, and choosing decoding options."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from asr.corpus import Utterance
from asr.errors import CorpusError, LexiconError, ModelError
from asr.features import cmvn, cmvn_statistics
from asr.features.pipeline import FeaturePipeline
from asr.features.table import FeatureTable
from asr.gmm.mono import MonoOptions
from asr.lang.lexicon import Lexicon
from asr.train.data import Data
from asr.train.mono import train_monophone
from asr.train.tuning import TuningPoint, add_tuning, best_point, tune_decoding, tuned, with_tuning

PIPELINE = FeaturePipeline(8000, ({"kind": "mfcc"}, {"kind": "cmvn", "mode": "speaker"}))


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    raw = FeatureTable.from_dict({u: rng.normal(5, 1, (60, 13)) for u in ("a1", "a2", "b1")})
    return Data(raw, {"a1": "a", "a2": "a", "b1": "b", "c1": "c"}, {"a1": "one", "a2": "two one", "b1": "", "c1": "x"})


def test_data_is_selected_saved_and_loaded(data, tmp_path):
    part = data.where(lambda u: u.startswith("a"))
    assert list(part.raw) == ["a1", "a2"] and part.references == {"a1": "one", "a2": "two one"}
    with pytest.raises(CorpusError, match="no utterances are left"):
        data.where(lambda u: u == "z")
    data.save(tmp_path)
    again = Data.load(tmp_path)
    assert again.transcripts == data.transcripts and again.speakers == data.speakers
    np.testing.assert_array_equal(again.raw.frames, data.raw.frames)


def test_speaker_statistics_are_of_the_selected_utterances_alone(data):
    whole, alone = data.normalised(PIPELINE), data.select(["a1"]).normalised(PIPELINE)
    both = cmvn_statistics([data.raw["a1"], data.raw["a2"]])
    np.testing.assert_array_equal(whole["a1"], cmvn(data.raw["a1"], mode="speaker", statistics=both))
    np.testing.assert_array_equal(alone["a1"], cmvn(data.raw["a1"]))


def test_transcripts_that_cannot_be_used_are_named(data):
    lexicon = Lexicon((("one", ("W", "N")),))
    with pytest.raises(LexiconError, match=r"'two', 1 times?, first in a2"):
        train_monophone(data, lexicon, PIPELINE)
    with pytest.raises(CorpusError, match=r"'a2' has features but no transcript \(2 of 3\)"):
        train_monophone(replace(data, transcripts={"a1": "one"}), lexicon, PIPELINE)
    skipping = Lexicon((("three", ("TH",)),), oov="skip")
    with pytest.raises(CorpusError, match="each has a word that the lexicon lacks"):
        train_monophone(data.select(["a1", "a2"]), skipping, PIPELINE)


def test_oov_utterances_are_skipped_where_the_lexicon_says_so(data):
    lexicon = Lexicon((("one", ("W", "N")),), oov="skip")
    _, result = train_monophone(data, lexicon, PIPELINE, MonoOptions(num_iters=2, total_gaussians=12))
    assert set(result.alignments) == {"a1", "b1"}


def table(rows):
    return [TuningPoint(0.1 * (i + 1), float(j), e, 100) for i, row in enumerate(rows) for j, e in enumerate(row)]


def test_the_fewest_errors_win_and_the_middle_of_a_plateau_among_what_ties():
    assert best_point(table([[90, 90, 90], [90, 30, 90], [40, 40, 40]])).errors == 30
    assert (
        best_point(table([[9, 9, 9], [3, 3, 2], [9, 9, 9]])).insertion_penalty == 1
    )  # 2 and 3 errors tell nothing apart
    best = best_point(table([[9, 9, 9, 9, 9], [5, 1, 1, 1, 5], [9, 9, 9, 9, 9]]))
    assert (best.acoustic_scale, best.insertion_penalty) == (pytest.approx(0.2), 2.0)
    with pytest.raises(ModelError, match="nothing was tuned"):
        best_point([])


def test_tuning_tables_of_several_speakers_add_up():
    total = add_tuning([table([[1, 2]]), table([[10, 20]])])
    assert [(p.insertion_penalty, p.errors, p.total, p.rate) for p in total] == [(0, 11, 200, 5.5), (1, 22, 200, 11.0)]


def test_tuning_decodes_every_setting(digits_model, sample):
    raw = FeatureTable.from_dict({"s": digits_model.features.front_end(digits_model.read(sample))})
    words = sample.with_suffix(".txt").read_text().strip()
    held_out = Data(raw, {"s": "x"}, {"s": words})
    points = tune_decoding(digits_model, held_out, acoustic_scales=(0.05, 0.0833), insertion_penalties=(2.0, 1000.0))
    assert [(p.acoustic_scale, p.insertion_penalty) for p in points] == [
        (0.05, 2.0), (0.05, 1000.0), (0.0833, 2.0), (0.0833, 1000.0)
    ]  # fmt: skip
    n = len(words.split())
    assert all(p.total == n for p in points) and points[2].errors == 0
    assert points[1].errors == points[3].errors == n  # nothing is worth a word
    (spelled,) = tune_decoding(
        digits_model, held_out, acoustic_scales=(0.05,), insertion_penalties=(1000.0,), unit="char"
    )
    assert spelled.total == spelled.errors == len(words)


def test_a_model_is_tuned_to_the_middle_of_the_plateau(digits_model, sample, caplog):
    raw = FeatureTable.from_dict({"s": digits_model.features.front_end(digits_model.read(sample))})
    held_out = Data(raw, {"s": "x"}, {"s": sample.with_suffix(".txt").read_text().strip()})
    grid = {"acoustic_scales": (0.07, 0.0833, 0.1), "insertion_penalties": (0.0, 2.0, 4.0, 1000.0)}
    model, points = tuned(digits_model, held_out, **grid)
    assert points == tune_decoding(digits_model, held_out, **grid)
    best = best_point(points)
    assert best.errors == 0 and (best.acoustic_scale, best.insertion_penalty) == (0.0833, 2.0)
    assert (model.decoding.acoustic_scale, model.decoding.insertion_penalty) == (0.0833, 2.0)
    assert model.decoding.beam == digits_model.decoding.beam and not caplog.records
    _, points = tuned(digits_model, held_out, acoustic_scales=(0.0833,), insertion_penalties=(2.0, 1000.0))
    assert points[0].errors == 0 and "the insertion penalty, 2, is the smallest" in caplog.text
    both = add_tuning([points, [replace(p, errors=100 - p.errors) for p in points]])
    assert with_tuning(digits_model, both[1:]).decoding.insertion_penalty == 1000.0


def test_data_of_a_corpus_keeps_and_logs_what_could_not_be_used(tmp_path, caplog):
    pipeline, sound = FeaturePipeline(8000, ({"kind": "mfcc"},)), np.random.default_rng(0).normal(0, 0.1, 1600)
    for name, samples in (
        ("a1", sound),
        ("a2", np.zeros(1600)),
        ("a3", sound[:100]),
        ("b1", sound),
        ("b2", sound[:90]),
    ):
        soundfile.write(tmp_path / f"{name}.wav", samples, 8000)
    names = ("a1", "a2", "a3", "b1", "b2")
    utterances = [Utterance(name, name[0], tmp_path / f"{name}.wav", "one") for name in names]
    data = Data.of(utterances, pipeline)
    assert list(data.raw) == ["a1", "b1"] and data.references == {"a1": "one", "b1": "one"}
    assert data.speakers["b1"] == "b" and [p.where for p in data.problems] == ["a2", "a3", "b2"]
    silent, short = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert silent.startswith("1 of 5 recordings are silent all through and are left out, such as a2 (")
    assert short.startswith(f"no features of 2 of 5 recordings, such as a3: {tmp_path}/a3.wav: too short")
    assert list(Data.of(utterances, pipeline, allow_silence=True).raw) == ["a1", "a2", "b1"]
    with pytest.raises(CorpusError, match=r"not one of 2 recordings can be used, such as a3: .*too short"):
        Data.of([utterances[2], utterances[4]], pipeline)
