import numpy as np
import pytest
import soundfile

pytest.importorskip("matplotlib")


def texts(svg):
    return svg.read_text(encoding="utf-8").partition("<svg")[2]


def test_recognised_words_and_phones_are_in_the_picture(run, sample, tmp_path):
    done = run("plot", sample, "--out", tmp_path / "a.svg", "--model", "digits")
    assert done == (0, "", "")
    drawn = texts(tmp_path / "a.svg")
    for word in sample.with_suffix(".txt").read_text().split():
        assert f">{word}</text>" in drawn
    assert ">SIL</text>" in drawn and "kHz" in drawn and "MFCC coefficient" in drawn and "recognised:" in drawn


def test_given_words_are_aligned_and_a_part_keeps_the_times_of_the_file(run, sample, tmp_path):
    words = sample.with_suffix(".txt").read_text().split()
    arguments = ["--model", "digits", "--text", words[0], "--start", 0.2, "--end", 0.6, "--features", "fbank"]
    done = run("plot", sample, "--out", tmp_path / "a.svg", *arguments)
    assert done.status == 0, done.err
    drawn = texts(tmp_path / "a.svg")
    assert "aligned:" in drawn and drawn.count(f">{words[0]}</text>") == 1 and ">0.40</text>" in drawn


@pytest.mark.parametrize("features", ["mfcc", "fbank", "lpc", "lpcc", "pitch", "none"])
def test_short_recordings_of_any_rate_are_drawn(run, tmp_path, features):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal((2000, 2)), 44100)
    done = run("plot", tmp_path / "a.wav", "--out", tmp_path / "a.png", "--features", features)
    assert done == (0, "", "") and (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_silence_has_no_words_and_says_so(run, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    done = run("plot", tmp_path / "a.wav", "--out", tmp_path / "a.pdf", "--model", "digits")
    assert done.status == 0 and "no words" in done.err and (tmp_path / "a.pdf").is_file()


def test_pitch_is_drawn_in_hertz_and_a_long_name_does_not_run_out(run, sample, tmp_path):
    name = tmp_path / f"{'long' * 30}_7.wav"
    name.write_bytes(sample.read_bytes())
    done = run("plot", name, "--out", tmp_path / "a.svg", "--features", "pitch", "--model", "digits")
    assert done.status == 0, done.err
    drawn = texts(tmp_path / "a.svg")
    assert ">pitch (Hz)</text>" in drawn and "deviations" not in drawn
    assert "…" in drawn and "_7.wav" in drawn and "long" * 30 not in drawn
    assert "recognised: " + sample.with_suffix(".txt").read_text().strip() in drawn
