"""Pauses, from made-up levels and from sounds, and the times of units beside them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.ctc import CtcTokens
from asr.ctc.pauses import find_pauses, rows_of_pauses, rows_of_reach
from asr.features.pipeline import FeaturePipeline
from asr.lang.lexicon import Lexicon
from asr.model import Model
from asr.model.units import CtcUnits


def levels(*stretches, noise=0.3, gain=1.0, offset=0.0):
    """Loudness of stretches of (level, frames)."""
    values = np.concatenate([np.full(n, float(level)) for level, n in stretches])
    return gain * (values + noise * np.random.default_rng(0).standard_normal(len(values))) + offset


def test_pauses_are_the_long_quiet_stretches():
    found = find_pauses(levels((0, 40), (9, 60), (0, 8), (8, 50), (1, 30), (9, 40), (0, 25)))
    assert found == [(0, 40), (158, 188), (228, 253)]  # eight frames are the closure of a stop


@pytest.mark.parametrize(("gain", "offset"), [(0.01, 0.0), (1.0, -30.0), (50.0, 7.0)])
def test_gain_and_offset_do_not_matter(gain, offset):
    stretches = (0, 40), (9, 60), (0, 50)
    assert find_pauses(levels(*stretches, gain=gain, offset=offset)) == find_pauses(levels(*stretches))


def test_a_click_at_the_edge_is_no_speech():
    assert find_pauses(levels((9, 12), (0, 50), (9, 80), (0, 50), (9, 12))) == [(0, 62), (142, 204)]
    assert find_pauses(levels((9, 20), (0, 50), (9, 80))) == [(20, 70)]  # as short as a word can be


def test_times_are_those_of_frames_whatever_their_shift():
    stretches = (0, 40), (9, 60), (0, 8), (9, 50), (0, 30)
    coarse = find_pauses(levels(*stretches, noise=0.0))
    fine = find_pauses(np.repeat(levels(*stretches, noise=0.0), 2), 0.005)
    assert coarse == [(0, 40), (158, 188)]
    assert np.abs(2 * np.array(coarse) - fine).max() <= 1


@pytest.mark.parametrize("subsampling", [1, 2, 3, 4])
def test_rows_of_pauses_are_the_nearest(subsampling):
    ((first, last),) = rows_of_pauses(levels((9, 50), (0, 41), (9, 61)), 0.01, subsampling)
    middles = np.arange(-(-152 // subsampling)) * subsampling + (subsampling % 2 == 0) / 2  # of each row's frames
    inside = (middles >= 50) & (middles < 91)
    assert abs(first - np.flatnonzero(inside)[0]) <= 1 and abs(last - 1 - np.flatnonzero(inside)[-1]) <= 1
    assert rows_of_reach(0.01, subsampling) == {1: 9, 2: 4, 3: 3, 4: 2}[subsampling]


def test_where_all_is_equally_loud_or_too_short_there_are_none():
    assert find_pauses(np.zeros(0)) == find_pauses(np.zeros(200)) == find_pauses(levels((0, 10), (9, 15))) == []


def sound_between_pauses():
    """Two seconds, at 8 kHz, of which the second and the third half seconds are loud."""
    rng = np.random.default_rng(1)
    sound = 1e-3 * rng.standard_normal(16000)
    t = np.arange(8000) / 8000
    sound[4000:12000] += 0.2 * np.sin(2 * np.pi * 200 * t) + 0.05 * rng.standard_normal(8000)
    return sound.astype(np.float32)


def pipeline_of(kind, mode="speaker", **options):
    return FeaturePipeline(8000, ({"kind": kind, "options": options}, {"kind": "cmvn", "mode": mode}))


@pytest.mark.parametrize("kind", ["fbank", "mfcc"])
@pytest.mark.parametrize("use_energy", [True, False])
@pytest.mark.parametrize("htk_compat", [True, False])
def test_pauses_of_sounds(kind, use_energy, htk_compat):
    pipeline = pipeline_of(kind, use_energy=use_energy, htk_compat=htk_compat)
    (features,) = pipeline.finish([pipeline.front_end(sound_between_pauses())], [""])
    (before, after) = find_pauses(pipeline.loudness(features))
    assert before == (0, pytest.approx(50, abs=3)) and after == (pytest.approx(150, abs=3), len(features))


def test_features_that_do_not_tell_how_loud_they_are():
    lpc = FeaturePipeline(8000, ({"kind": "lpc"},))
    spliced = FeaturePipeline(8000, ({"kind": "fbank"}, {"kind": "splice"}))
    for pipeline in (lpc, spliced, pipeline_of("fbank", "sliding"), pipeline_of("fbank", use_log_fbank=False)):
        assert pipeline.loudness(np.zeros((5, pipeline.dim), np.float32)) is None


class SpikesAtTheEdges:
    """Says the first unit in the first row, the second in the last, as recurrent networks do; column 1 is silence."""

    subsampling, log_priors = 3, None

    def log_likelihoods(self, features, pdfs=None):
        rows = np.tile(np.log(np.array([0.97, 0.01, 0.01, 0.01], np.float32)), (-(-len(features) // 3), 1))
        rows[0], rows[-1] = rows[0, [2, 1, 0, 3]], rows[-1, [3, 1, 2, 0]]
        return rows

    def arrays(self):
        return {}


def test_words_end_where_the_sound_does():
    lexicon = Lexicon((("no", ("A",)), ("way", ("B",))), silence_prob=0.0)
    model = Model(pipeline_of("fbank"), lexicon, CtcUnits(CtcTokens(3)), SpikesAtTheEdges(), None)
    no, way = model.align(sound_between_pauses(), "no way", model.sample_rate).words
    assert (no.start, way.end) == (pytest.approx(0.5, abs=0.04), pytest.approx(1.5, abs=0.04))
    assert 0.55 < no.end <= way.start < 1.45


TOKENS = CtcTokens(3)


def test_no_unit_goes_on_into_a_pause():
    labels = [1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 3, 3, 1, 1, 1]
    assert [tuple(s) for s in TOKENS.phone_segments(labels, reach=3)] == [(1, 1, 8), (2, 8, 16)]
    pauses = [(0, 3), (6, 10), (14, 16)]
    assert [tuple(s) for s in TOKENS.phone_segments(labels, pauses, 3)] == [(1, 3, 6), (2, 10, 14)]


def test_spikes_at_the_edges_of_a_recording_are_moved_to_what_was_said():
    labels = [2, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 1, 1, 4]
    found = TOKENS.phone_segments(labels, [(0, 4), (9, 15)], 3)
    assert [tuple(s) for s in found] == [(1, 4, 6), (2, 6, 8), (3, 8, 9)]


def test_all_spikes_of_a_pause_are_moved_and_others_make_room():
    labels = np.ones(50, int)
    labels[[8, 14, 31, 36, 49]] = 2, 3, 4, 2, 3
    found = TOKENS.phone_segments(labels, [(33, 50)], 3)
    assert [s.end for s in found] == [12, 18, 31, 32, 33] and found[2].start == 27
    labels = np.array([2, 3, 1, 1, 1, 1, 1, 1, 4, 1, 1])
    assert [tuple(s) for s in TOKENS.phone_segments(labels, [(0, 5)], 3)] == [(1, 5, 6), (2, 6, 8), (3, 8, 11)]


def test_a_spike_in_a_pause_goes_where_more_room_is():
    labels = [1, 2, 1, 1, 3, 1, 1, 1, 1, 4]  # the second unit's is in rows 3 to 5
    assert [tuple(s) for s in TOKENS.phone_segments(labels, [(3, 6)], 3)] == [(1, 0, 3), (2, 6, 8), (3, 8, 10)]
    assert [s.start for s in TOKENS.phone_segments([1, 2, 3, 3, 4], [(2, 4)])] == [0, 1, 4]
    assert [s.start for s in TOKENS.phone_segments([2, 3, 3, 4], [(1, 3)])] == [0, 1, 3]  # there is none


@given(
    labels=st.lists(st.integers(1, 4), max_size=30),
    pauses=st.lists(st.integers(0, 30), max_size=8, unique=True).map(sorted),
)
def test_units_keep_their_order_and_do_not_overlap(labels, pauses):
    pairs = [(p, min(q, len(labels))) for p, q in zip(pauses[::2], pauses[1::2], strict=False) if p < len(labels)]
    units = [k - 1 for i, k in enumerate(labels) if k > 1 and (not i or labels[i - 1] != k)]
    found = TOKENS.phone_segments(labels, pairs, 2)
    assert [s.phone for s in found] == units
    times = [0, *(t for s in found for t in (s.start, s.end)), len(labels)]
    assert times == sorted(times) and all(s.end > s.start for s in found)


@given(
    rows=st.lists(st.integers(0, 39), min_size=1, max_size=5, unique=True).map(sorted),
    pause=st.sampled_from([(0, 12), (14, 26), (30, 40)]),
)
def test_units_stay_out_of_a_pause(rows, pause):
    labels = np.ones(40, int)
    labels[rows] = 2 + np.arange(len(rows)) % 3
    for segment in TOKENS.phone_segments(labels, [pause], 3):
        assert segment.end <= pause[0] or segment.start >= pause[1]
