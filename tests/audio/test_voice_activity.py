"""Speech is told from pauses whatever lies below it, and long signals are cut in pauses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio.voice_activity import CutOptions, VoiceActivity, VoiceOptions, cut_at_pauses, voice_activity
from asr.errors import AudioError

RATE = 8000


def talk(pauses, *, seed=0, syllables=6):
    """Made-up speech: buzzes of 0.2 s with 0.06 s between them, and longer pauses; the signal and the pauses' edges."""
    rng, parts, edges, n = np.random.default_rng(seed), [], [], 0
    time = np.arange(int(0.2 * RATE)) / RATE
    for pause in pauses:
        for _ in range(syllables):
            pitch = rng.uniform(90, 200)
            buzz = sum(np.sin(2 * np.pi * pitch * k * time + rng.uniform(0, 6)) / k for k in range(1, 18))
            parts += [0.1 * np.hanning(len(time)) * buzz, np.zeros(int(0.06 * RATE))]
        n += syllables * (len(time) + int(0.06 * RATE))
        edges.append((n / RATE - 0.06, n / RATE + pause))
        parts.append(np.zeros(int(pause * RATE)))
        n += int(pause * RATE)
    signal = np.concatenate(parts) + 3e-4 * rng.standard_normal(n)
    return signal.astype(np.float32), edges


def hum(n):
    time = np.arange(n) / RATE
    return sum(a * np.sin(2 * np.pi * f * time) for f, a in ((50, 0.05), (150, 0.02), (250, 0.01))).astype(np.float32)


CHANGES = {
    "as it is": lambda x: x,
    "a constant offset": lambda x: x + np.float32(0.2),
    "mains hum": lambda x: x + hum(len(x)),
    "40 dB down": lambda x: 0.01 * x,
    "20 dB up, clipped": lambda x: np.clip(10 * x, -1, 1),
    "gated to digital silence": lambda x: np.where(np.abs(x) < 2e-3, 0, x).astype(np.float32),
    "16 bits, 40 dB down": lambda x: np.round(0.01 * 32768 * x).astype(np.float32) / 32768,
    "padded with zeros": lambda x: np.concatenate([np.zeros(2 * RATE, np.float32), x, np.zeros(2 * RATE, np.float32)]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_pauses_are_found_and_cut_in_whatever_the_level(change):
    pauses = [0.4, 0.8, 1.2, 0.5, 2.0, 0.4] * 5
    signal, edges = talk(pauses)
    offset = 2.0 if change == "padded with zeros" else 0.0
    heard = voice_activity(CHANGES[change](signal), RATE)
    assert len(heard.speech) == len(CHANGES[change](signal)) // 80 and heard.level.dtype == np.float32
    for begin, end in edges:
        inside = heard.speech[int((begin + offset + 0.1) * 100) : int((end + offset - 0.1) * 100)]
        assert inside.mean() < 0.1, (change, begin, end)
    talking = np.ones(len(signal) // 80, bool)
    for begin, end in edges:
        talking[int(begin * 100) : int(np.ceil(end * 100))] = False
    found = heard.speech[int(offset * 100) :][: len(talking)]
    assert found[talking].mean() > 0.6, change  # of the rest, a fifth is between syllables
    pieces = list(cut_at_pauses([CHANGES[change](signal)], RATE))
    assert len(pieces) > 3
    for piece in pieces[1:]:
        at = piece.start / RATE - offset
        assert at < 0 or any(begin <= at <= end for begin, end in edges), (change, at)


def test_a_hum_that_begins_is_forgotten_and_silence_is_no_speech():
    signal, _ = talk([0.5] * 30)
    assert not voice_activity(np.zeros(5 * RATE, np.float32), RATE).speech.any()
    assert not voice_activity(np.full(5 * RATE, 0.3, np.float32), RATE).speech.any()
    assert voice_activity(3e-3 * np.random.default_rng(0).standard_normal(20 * RATE), RATE).speech.mean() < 0.02
    late = signal.copy()
    late[20 * RATE :] += hum(len(late) - 20 * RATE)
    plain, changed = voice_activity(signal, RATE), voice_activity(late, RATE)
    assert np.mean(plain.speech[3600:] == changed.speech[3600:]) > 0.9  # 16 s later


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(0, 30000), min_size=1, max_size=8), rate=st.sampled_from([8000, 11025, 16000]))
def test_blocks_of_any_size_give_the_same_pieces(sizes, rate):
    signal, _ = talk([0.4, 0.8, 1.2, 0.5] * 3, seed=len(sizes))
    at, blocks = 0, []
    while at < len(signal):
        for size in sizes:
            blocks.append(signal[at : at + size])
            at += size
        at, sizes = (at, sizes) if any(sizes) else (at, [1000])
    whole, cut = list(cut_at_pauses([signal], rate)), list(cut_at_pauses(blocks, rate))
    assert [p.start for p in whole] == [p.start for p in cut]
    assert np.array_equal(np.concatenate([p.samples for p in cut]), signal)
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(whole, cut, strict=True))


def test_where_nobody_pauses_pieces_still_end():
    signal, _ = talk([0.0], syllables=400)
    pieces = list(cut_at_pauses([signal], RATE, CutOptions(longest=20.0)))
    lengths = [len(p.samples) / RATE for p in pieces]
    assert len(pieces) > 4 and max(lengths) <= 20.0 and min(lengths[:-1]) >= 4.0 and lengths[-1] >= 0.3
    assert sum(lengths) == pytest.approx(len(signal) / RATE)
    assert list(cut_at_pauses([], RATE)) == [] == list(cut_at_pauses([np.zeros(0, np.float32)], RATE))


def test_impossible_settings_are_refused():
    for wrong in ({"frame_shift": 0.0}, {"n_bands": 0}, {"rank": 1.0}):
        with pytest.raises(ValueError, match="need"):
            VoiceOptions(**wrong)
    for wrong in ({"shortest": 30.0}, {"short_pause": 2.0}, {"keep": 0.0}):
        with pytest.raises(ValueError, match="need"):
            CutOptions(**wrong)
    with pytest.raises(AudioError, match="rate=10; need a number of Hz"):
        VoiceActivity(10)
    measure = VoiceActivity(RATE)
    measure.flush()
    with pytest.raises(ValueError, match="flushed"):
        measure.accept(np.zeros(10))
