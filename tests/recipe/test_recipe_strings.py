"""Sound made of a corpus' recordings for recipes: strings, and copies for training."""

import numpy as np
import pytest
import soundfile

from asr.corpus import Corpus, Utterance
from asr.errors import CorpusError
from asr.features.table import FeatureTable
from asr.recipe.systems import with_copies
from asr.scoring.edges import read_ctm
from asr.train.data import Data
from recipes.digits.copies import PADDED, join_strings, padded_copies, speed_copies
from recipes.digits.strings import String, listed, read_list, write_list

RATE = 8000


def silent(done, total):
    pass


@pytest.fixture
def recordings(tmp_path):
    """Four words of a tone with a little hiss after it; the fourth file is broken."""
    rng = np.random.default_rng(0)
    found = []
    for i, word in enumerate(("one", "two", "three", "four")):
        tone = 0.5 * np.sin(2 * np.pi * 400 * (i + 1) * np.arange(1600 + 100 * i) / RATE)
        samples = np.concatenate([tone, 0.01 * rng.standard_normal(800)])
        path = tmp_path / f"{word}.wav"
        soundfile.write(path, samples, RATE)
        found.append(Utterance(f"u{i}", "ann", path, word))
    found[3].audio.write_bytes(b"RIFF")
    return Corpus(found)


def test_the_words_of_a_string_are_where_its_edges_say(recordings, tmp_path, caplog):
    whole = String("x-ann-001", "ann", ("u2", "u0", "u1"), (10, 0, 100, 0))
    broken = String("x-ann-002", "ann", ("u0", "u3", "u1"), (0, 0, 0, 0))
    out = tmp_path / "out"
    out.mkdir()
    (utterance,) = join_strings(recordings, [whole, broken], RATE, 7, out, silent)
    assert "x-ann-002 is left out" in caplog.text and "four.wav" in caplog.text
    assert read_list(out / "strings.tsv") == [whole]
    assert (utterance.id, utterance.speaker, utterance.text) == ("x-ann-001", "ann", "three one two")
    samples, rate = soundfile.read(utterance.audio)
    assert rate == RATE
    words = read_ctm(out / "edges.ctm")["x-ann-001"]
    assert [w.word for w in words] == ["three", "one", "two"]
    assert words[0].start == pytest.approx(0.01) and words[1].start == pytest.approx(words[0].end, abs=2e-6)
    assert words[2].start - words[1].end == pytest.approx(0.1, abs=2e-6)
    assert words[2].end == pytest.approx(len(samples) / RATE, abs=2e-6)
    for word, utterance_id in zip(words, whole.recordings, strict=True):
        original, _ = soundfile.read(recordings[utterance_id].audio)
        inside = samples[round(word.start * RATE) : round(word.end * RATE)]
        np.testing.assert_allclose(inside, original, atol=1e-4)


def test_a_list_of_other_recordings_is_not_used(recordings, tmp_path, caplog):
    path = tmp_path / "x.tsv"
    ours = [String("x-ann-001", "ann", ("u0", "u1", "u2", "u3"), (0, 1, 2, 3, 4))]
    write_list(path, ours, 7)
    assert listed(path, "x", list(recordings), 7) == ours
    assert {r for s in listed(path, "x", list(recordings)[:3], 7) for r in s.recordings} == {"u0", "u1", "u2"}
    assert "x.tsv is not of these recordings" in caplog.text


def test_copies_at_another_speed(recordings, tmp_path, caplog):
    folder = tmp_path / "copies"
    folder.mkdir()
    made = list(speed_copies(recordings, 0.9, RATE, folder, silent))
    assert "no copy of u3" in caplog.text
    assert [(u.id, u.speaker, u.text) for u in made] == [
        ("sp0.9-u0", "sp0.9-ann", "one"),
        ("sp0.9-u1", "sp0.9-ann", "two"),
        ("sp0.9-u2", "sp0.9-ann", "three"),
    ]
    assert soundfile.info(made[0].audio).frames == pytest.approx(2400 / 0.9, abs=1)
    assert soundfile.info(made[0].audio).subtype == "PCM_16"


def test_copies_with_pauses_hold_the_recording_and_its_hiss(recordings, tmp_path):
    folder = tmp_path / "copies"
    folder.mkdir()
    made = list(padded_copies(recordings, {u.id: "room" for u in recordings}, RATE, 0, folder, silent))
    assert [u.id for u in made] == ["pad-u0", "pad-u1", "pad-u2"]
    longer = 0
    for copy, recording in zip(made, recordings, strict=False):
        (samples, _), (original, _) = soundfile.read(copy.audio), soundfile.read(recording.audio)
        assert 0 <= len(samples) - len(original) <= 2 * 0.3 * RATE
        begin = int(np.argmax(np.correlate(samples, original)))
        np.testing.assert_allclose(samples[begin : begin + len(original)], original, atol=1e-4)
        pause = np.concatenate([samples[:begin], samples[begin + len(original) :]])
        if len(pause) > 400:
            longer += 1
            assert np.std(pause) == pytest.approx(0.01, rel=0.25)
    assert longer


def test_a_system_is_trained_on_all_its_copies_or_not_at_all():
    ids = ["a", "b", "sp0.9-a", "sp0.9-b", "pad-a", "sp1.1-c"]
    table = FeatureTable.from_dict({i: np.zeros((2, 13), np.float32) for i in ids})
    data = Data(table, dict.fromkeys(ids, "ann"), dict.fromkeys(ids, "one"))
    prefixes = ("sp0.9-", "", PADDED)
    assert list(with_copies(data, ["a", "b"], prefixes).raw) == ["sp0.9-a", "sp0.9-b", "a", "b", "pad-a"]
    assert list(with_copies(data, ["b"], ("",)).raw) == ["b"]
    with pytest.raises(CorpusError, match=r"not one copy of the recordings to train on that is called sp1\.1-ID"):
        with_copies(data, ["a", "b"], ("", "sp1.1-"))
